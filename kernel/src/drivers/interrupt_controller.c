/* The two 8259A interrupt controllers, the second one on input 2 of the first. */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

#define PIC1 0x20
#define PIC2 0xa0
#define OCW2_EOI 0x20

static uint16_t mask = 0xffff & ~(1u << 2);

static void write_mask(void) {
    write_port8(PIC1 + 1, (uint8_t)mask);
    write_port8(PIC2 + 1, (uint8_t)(mask >> 8));
}

void interrupt_controller_initialise(void) {
    static const struct {
        uint16_t port;
        uint8_t value;
    } setup[] = {
        {PIC1, 0x11},     {PIC1 + 1, IRQ_VECTOR_BASE},     {PIC1 + 1, 4}, {PIC1 + 1, 1},
        {PIC2, 0x11},     {PIC2 + 1, IRQ_VECTOR_BASE + 8}, {PIC2 + 1, 2}, {PIC2 + 1, 1},
    };
    for (size_t i = 0; i < COUNT_OF(setup); i++) {
        write_port8(setup[i].port, setup[i].value);
    }
    write_mask();
}

void interrupt_controller_unmask(uint8_t irq) {
    mask &= (uint16_t)~(1u << irq);
    write_mask();
}

void interrupt_controller_end(uint8_t irq) {
    if (irq >= 8) {
        write_port8(PIC2, OCW2_EOI);
    }
    write_port8(PIC1, OCW2_EOI);
}
