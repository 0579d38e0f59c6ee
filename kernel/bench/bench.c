/*
 * A guest for measuring: no kernel, no interrupts. The command line chooses one workload:
 *
 *   lcg=COUNT    COUNT rounds of a 64-bit linear congruential generator and a branch that depends
 *   on
 *                it; prints the result, then ends by the debug-exit port with 0
 *   store=COUNT  COUNT stores that walk over 64 KiB; the same end
 *   spin         calls bench_hot for ever: for break-in, stepi and breakpoint benchmarks
 */
#include <stdint.h>

#define COM1 0x3f8
#define DEBUG_EXIT_PORT 0xf4
#define LCG_MULTIPLIER 6364136223846793005ull
#define LCG_INCREMENT 1442695040888963407ull
#define STORE_WORDS 8192

volatile uint64_t bench_counter;
static uint64_t store_area[STORE_WORDS];

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

__attribute__((noinline)) uint64_t bench_lcg(uint64_t count) {
    uint64_t value = 1, taken = 0;
    do {
        value = value * LCG_MULTIPLIER + LCG_INCREMENT;
        if ((int64_t)value < 0) {
            taken++;
            __asm__ volatile("" : "+r"(taken)); /* keeps the branch a branch */
        }
    } while (--count != 0);
    return value ^ taken;
}

__attribute__((noinline)) uint64_t bench_store(uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        ((volatile uint64_t *)store_area)[i % STORE_WORDS] = i;
    }
    return store_area[7];
}

__attribute__((noinline)) void bench_hot(void) {
    bench_counter++;
}

static _Noreturn void bench_spin(void) {
    for (;;) {
        bench_hot();
    }
}

_Noreturn void bench_main(const uint32_t *information) {
    const char *line = information[0] & 4 ? (const char *)(uintptr_t)information[4] : "";
    uint64_t count;
    print("bench guest\n");
    if (find_argument(line, "lcg", &count) && count != 0) {
        finish("lcg", bench_lcg(count));
    } else if (find_argument(line, "store", &count) && count != 0) {
        finish("store", bench_store(count));
    } else if (find_argument(line, "spin", &count)) {
        print("bench spin\n");
        bench_spin();
    } else {
        print("bench: the command line must say lcg=COUNT, store=COUNT or spin\n");
    }
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
