/*
 * COM1, a 16550 UART (National Semiconductor PC16550D). Output is polled, so that a line is out
 * before the machine can stop; input comes by interrupt into a ring.
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"
#include "process.h"

#define COM1 0x3f8
#define UART_DATA (COM1 + 0)
#define UART_IER (COM1 + 1)
#define UART_FCR (COM1 + 2)
#define UART_LCR (COM1 + 3)
#define UART_MCR (COM1 + 4)
#define UART_LSR (COM1 + 5)
#define LSR_DR 0x01
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define INPUT_SIZE 256

static char input[INPUT_SIZE];
static size_t input_head, input_tail;

/* 115200 baud, 8N1, FIFOs on, no interrupts yet. */
void serial_initialise(void) {
    static const struct {
        uint16_t port;
        uint8_t value;
    } setup[] = {
        {UART_IER, 0x00}, {UART_LCR, 0x80}, {UART_DATA, 0x01}, {UART_IER, 0x00},
        {UART_LCR, 0x03}, {UART_FCR, 0x07}, {UART_MCR, 0x0b},
    };
    for (size_t i = 0; i < COUNT_OF(setup); i++) {
        write_port8(setup[i].port, setup[i].value);
    }
}

/* A missing UART reads all ones, so this ends; a stuck one must not hang the kernel either. */
static void wait_for(uint8_t line_status) {
    for (uint32_t tries = 0; tries < 1000000; tries++) {
        if ((read_port8(UART_LSR) & line_status) == line_status) {
            return;
        }
    }
}

void serial_write(const char *bytes, size_t size) {
    uint64_t flags = interrupts_disable();
    for (size_t i = 0; i < size; i++) {
        wait_for(LSR_THRE);
        write_port8(UART_DATA, (uint8_t)bytes[i]);
    }
    interrupts_restore(flags);
}

void serial_drain(void) {
    wait_for(LSR_THRE | LSR_TEMT);
}

static void serial_interrupt(struct TrapFrame *frame) {
    (void)frame;
    while (read_port8(UART_LSR) & LSR_DR) {
        char byte = (char)read_port8(UART_DATA);
        if (input_head - input_tail < INPUT_SIZE) {
            input[input_head++ % INPUT_SIZE] = byte;
        }
    }
    interrupt_controller_end(IRQ_SERIAL);
    thread_wake(WAIT_CONSOLE, 0);
}

void serial_enable_input(void) {
    interrupt_register(IRQ_VECTOR_BASE + IRQ_SERIAL, serial_interrupt);
    write_port8(UART_IER, 0x01);
    interrupt_controller_unmask(IRQ_SERIAL);
}

size_t serial_read(char *bytes, size_t size) {
    size_t count = 0;
    uint64_t flags = interrupts_disable();
    while (count < size && input_tail != input_head) {
        bytes[count++] = input[input_tail++ % INPUT_SIZE];
    }
    interrupts_restore(flags);
    return count;
}

void print(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_arguments(line, sizeof(line), format, arguments);
    va_end(arguments);
    serial_write(line, length);
}
