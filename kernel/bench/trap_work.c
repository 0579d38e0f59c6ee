/* Workloads that go through the interrupt table: int 0x80 there and back, page faults with invlpg. */
#include "workloads.h"

#define CODE_SELECTOR 8
#define INTERRUPT_GATE 0x8e00ull
#define PAGE_FAULT 14
#define SYSTEM_CALL 0x80

/* The pages that fault: 2 MiB from 1 GiB on, which the start has not mapped. */
#define FAULT_BASE 0x40000000ull
#define FAULT_PAGES 512
#define PRESENT_WRITABLE 3

struct frame;

static uint64_t interrupt_table[512] __attribute__((aligned(16)));
static uint64_t directory[512] __attribute__((aligned(4096)));
static uint64_t table[512] __attribute__((aligned(4096)));
static uint8_t frames[16][4096] __attribute__((aligned(4096)));
static uint64_t calls_served, faults_served;
extern uint64_t pdpt[512];

__attribute__((interrupt)) static void on_system_call(struct frame *frame) {
    (void)frame;
    calls_served++;
}

__attribute__((interrupt)) static void on_page_fault(struct frame *frame, uint64_t error_code) {
    uint64_t address;
    (void)frame;
    __asm__ volatile("movq %%cr2, %0" : "=r"(address));
    faults_served += 1 + error_code;
    uint64_t page = (address - FAULT_BASE) / 4096;
    table[page] = (uint64_t)(uintptr_t)frames[page % 16] | PRESENT_WRITABLE;
}

static void set_gate(int vector, uintptr_t handler) {
    uint64_t offset = (uint64_t)handler;
    interrupt_table[vector * 2] = (offset & 0xffff) | (uint64_t)CODE_SELECTOR << 16 |
                                  INTERRUPT_GATE << 32 | (offset >> 16 & 0xffff) << 48;
    interrupt_table[vector * 2 + 1] = offset >> 32;
}

static void load_interrupt_table(void) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof interrupt_table - 1,
                                         (uint64_t)(uintptr_t)interrupt_table};
    set_gate(SYSTEM_CALL, (uintptr_t)on_system_call);
    set_gate(PAGE_FAULT, (uintptr_t)on_page_fault);
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

uint64_t bench_int80(uint64_t calls) {
    load_interrupt_table();
    for (uint64_t i = 0; i < calls; i++) {
        __asm__ volatile("int $0x80" : : "a"(i) : "memory");
    }
    return calls_served;
}

uint64_t bench_fault(uint64_t faults) {
    uint64_t sum = 0;
    load_interrupt_table();
    directory[0] = (uint64_t)(uintptr_t)table | PRESENT_WRITABLE;
    pdpt[FAULT_BASE >> 30] = (uint64_t)(uintptr_t)directory | PRESENT_WRITABLE;
    for (uint64_t i = 0; i < faults; i++) {
        uint64_t page = i * 7 % FAULT_PAGES;
        volatile uint64_t *place = (volatile uint64_t *)(uintptr_t)(FAULT_BASE + page * 4096);
        sum = sum * 31 + *place;
        *place = i;
        table[page] = 0;
        __asm__ volatile("invlpg (%0)" : : "r"(place) : "memory");
    }
    return sum ^ faults_served;
}
