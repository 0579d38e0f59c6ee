/*
 * A guest for measuring: no kernel, no interrupts from outside. The command line chooses:
 *
 *   NAME=COUNT  a workload of the list below, COUNT times; prints the result, then ends by the
 *               debug-exit port with 0
 *   spin        calls bench_hot for ever: for break-in, stepi and breakpoint benchmarks
 */
#include <stddef.h>
#include <stdint.h>

#include "workloads.h"

#define COM1 0x3f8
#define DEBUG_EXIT_PORT 0xf4

volatile uint64_t bench_counter;

static void write_port8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t read_port8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void wait_for_line(uint8_t status) {
    while ((read_port8(COM1 + 5) & status) != status) {
    }
}

static void print(const char *text) {
    for (; *text != 0; text++) {
        wait_for_line(0x20);
        write_port8(COM1, (uint8_t)*text);
    }
}

static void print_hexadecimal(uint64_t value) {
    char text[17];
    for (int i = 0; i < 16; i++) {
        text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    }
    text[16] = 0;
    print(text);
}

static void finish(const char *name, uint64_t result) {
    print("bench ");
    print(name);
    print(" result ");
    print_hexadecimal(result);
    print("\n");
    wait_for_line(0x60);
    write_port8(DEBUG_EXIT_PORT, 0);
}

/* If the command line has a word NAME or NAME=NUMBER: true, and the number (0 without one). */
static int find_argument(const char *line, const char *name, uint64_t *number) {
    for (const char *word = line; *word != 0; word++) {
        const char *at = word;
        const char *expected = name;
        while (*expected != 0 && *at == *expected) {
            at++;
            expected++;
        }
        if (*expected != 0 || (word != line && word[-1] != ' ') ||
            (*at != 0 && *at != '=' && *at != ' ')) {
            continue;
        }
        *number = 0;
        for (at += *at == '='; *at >= '0' && *at <= '9'; at++) {
            *number = *number * 10 + (uint64_t)(*at - '0');
        }
        return 1;
    }
    return 0;
}

__attribute__((noinline)) void bench_hot(void) {
    bench_counter++;
}

static _Noreturn void bench_spin(void) {
    for (;;) {
        bench_hot();
    }
}

static const struct {
    const char *name;
    uint64_t (*run)(uint64_t count);
} workloads[] = {
    {"lcg", bench_lcg},           {"store", bench_store},   {"sieve", bench_sieve},
    {"sha256", bench_sha256},     {"quicksort", bench_quicksort},
    {"matrix", bench_matrix},     {"indirect", bench_indirect},
    {"switch", bench_switch},     {"movs", bench_movs},     {"int80", bench_int80},
    {"fault", bench_fault},
};

_Noreturn void bench_main(const uint32_t *information) {
    const char *line = information[0] & 4 ? (const char *)(uintptr_t)information[4] : "";
    uint64_t count;
    print("bench guest\n");
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        if (find_argument(line, workloads[i].name, &count) && count != 0) {
            finish(workloads[i].name, workloads[i].run(count));
        }
    }
    if (find_argument(line, "spin", &count)) {
        print("bench spin\n");
        bench_spin();
    }
    print("bench: the command line must say spin or WORKLOAD=COUNT\n");
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
