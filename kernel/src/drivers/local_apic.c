/*
 * The local APIC's timer (Intel SDM 3A §11.5.4), with the boot argument timer=apic: periodic, its
 * speed measured against counter 2 of the 8254. The 8259s stay in use through LINT0.
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"
#include "memory.h"
#include "process.h"

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_ENABLE (1ull << 11)
#define APIC_EOI 0x0b0
#define APIC_SVR 0x0f0
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_INITIAL_COUNT 0x380
#define APIC_CURRENT_COUNT 0x390
#define APIC_DIVIDE 0x3e0
#define SVR_ENABLE 0x100
#define LVT_MASKED 0x10000
#define LVT_PERIODIC 0x20000
#define LVT_EXTINT 0x700
#define DIVIDE_BY_16 3
#define SPURIOUS_VECTOR 47

#define PIT_COUNTER2 0x42
#define PIT_CONTROL 0x43
#define SPEAKER_PORT 0x61
#define SPEAKER_GATE2 1
#define SPEAKER_ENABLE 2
#define SPEAKER_OUT2 0x20

static volatile uint32_t *registers;

static void write_register(uint32_t offset, uint32_t value) {
    registers[offset / 4] = value;
}

static uint32_t read_register(uint32_t offset) {
    return registers[offset / 4];
}

void local_apic_end(void) {
    write_register(APIC_EOI, 0);
}

/* Counter 2 counts down once (mode 0); its output rises at the end. */
static void wait_by_pit(uint16_t counts) {
    uint8_t speaker = read_port8(SPEAKER_PORT) & (uint8_t)~(SPEAKER_GATE2 | SPEAKER_ENABLE);
    write_port8(SPEAKER_PORT, speaker);
    write_port8(PIT_CONTROL, 0xb0);
    write_port8(PIT_COUNTER2, (uint8_t)counts);
    write_port8(PIT_COUNTER2, (uint8_t)(counts >> 8));
    write_port8(SPEAKER_PORT, speaker | SPEAKER_GATE2);
    while (!(read_port8(SPEAKER_PORT) & SPEAKER_OUT2)) {
    }
}

static uint32_t counts_per_tick(uint16_t pit_counts) {
    write_register(APIC_DIVIDE, DIVIDE_BY_16);
    write_register(APIC_LVT_TIMER, LVT_MASKED);
    write_register(APIC_INITIAL_COUNT, UINT32_MAX);
    wait_by_pit(pit_counts);
    return UINT32_MAX - read_register(APIC_CURRENT_COUNT);
}

/* Starts the timer with a tick of pit_counts / 1193182 seconds. False if there is no local APIC. */
bool local_apic_timer_start(uint8_t vector, uint16_t pit_counts) {
    uint32_t identification[4];
    cpuid(1, 0, identification);
    if (!(identification[3] >> 9 & 1)) {
        return false;
    }
    uint64_t base = read_msr(MSR_APIC_BASE);
    write_msr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
    registers = paging_map_device(base & PTE_ADDRESS);
    write_register(APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
    write_register(APIC_LVT_LINT0, LVT_EXTINT);
    uint32_t counts = counts_per_tick(pit_counts);
    write_register(APIC_LVT_TIMER, LVT_PERIODIC | vector);
    write_register(APIC_INITIAL_COUNT, counts);
    return true;
}
