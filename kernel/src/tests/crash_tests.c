/*
 * Kernel-mode processes that crash are ended like any other: the kernel and the parent go on. A
 * stack overflow is the hard one, since the processor finds no room for the exception: double
 * fault.
 */
#include "kernel.h"
#include "process_tests.h"
#include "system_call_numbers.h"

#define UNMAPPED 0xffffe00000000000ull
#define NON_CANONICAL 0x8000000000000000ull

static void read_unmapped(void) {
    (void)*(volatile int *)UNMAPPED;
}

static void read_non_canonical(void) {
    (void)*(volatile int *)NON_CANONICAL;
}

static void write_own_code(void) {
    *(volatile uint8_t *)(uintptr_t)&write_own_code = 0;
}

static void jump_to_null(void) {
    ((void (*)(void))0)();
}

static void undefined_instruction(void) {
    __asm__ volatile("ud2");
}

static uint64_t recurse(uint64_t depth) {
    volatile uint64_t space[32];
    space[0] = depth;
    return depth == 1000000 ? 0 : recurse(depth + 1) + space[0];
}

static void overflow_stack(void) {
    recurse(0);
}

static void lose_stack(void) {
    __asm__ volatile("xorl %%esp, %%esp\n\tpushq %%rax" : : : "memory");
}

static bool test_kernel_mode_crashes(void) {
    return test_run_child(read_unmapped) == SIGSEGV &&
           test_run_child(read_non_canonical) == SIGSEGV &&
           test_run_child(write_own_code) == SIGSEGV && test_run_child(jump_to_null) == SIGSEGV &&
           test_run_child(undefined_instruction) == SIGILL;
}

static bool test_kernel_stack_overflow(void) {
    return test_run_child(overflow_stack) == SIGSEGV && test_run_child(lose_stack) == SIGSEGV;
}

static const struct Test crash_tests[] = {
    {"test_kernel_mode_crashes", test_kernel_mode_crashes},
    {"test_kernel_stack_overflow", test_kernel_stack_overflow},
};

void crash_runner_main(uint64_t argument) {
    (void)argument;
    test_say("[TEST] run: crash tests, kernel-mode\n");
    test_exit(test_run_all("crashes", crash_tests, COUNT_OF(crash_tests)) == 0 ? 0 : 1);
}
