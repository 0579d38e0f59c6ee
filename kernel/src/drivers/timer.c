/*
 * The scheduler's clock, 100 Hz: the 8254's counter 0 (mode 2, 1193182 Hz / 11932), or with the
 * boot argument timer=apic the local APIC's timer.
 */
#include "boot.h"
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"
#include "process.h"

#define PIT_COUNTER0 0x40
#define PIT_CONTROL 0x43
#define PIT_HZ 1193182
#define PIT_COUNTS ((PIT_HZ + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND)

uint64_t timer_ticks;

static void timer_interrupt(struct TrapFrame *frame) {
    timer_ticks++;
    interrupt_controller_end(IRQ_TIMER);
    scheduler_tick(frame);
}

static void apic_timer_interrupt(struct TrapFrame *frame) {
    timer_ticks++;
    local_apic_end();
    scheduler_tick(frame);
}

static void start_pit(void) {
    interrupt_register(IRQ_VECTOR_BASE + IRQ_TIMER, timer_interrupt);
    write_port8(PIT_CONTROL, 0x34); /* counter 0, low then high byte, mode 2, binary */
    write_port8(PIT_COUNTER0, (uint8_t)PIT_COUNTS);
    write_port8(PIT_COUNTER0, (uint8_t)(PIT_COUNTS >> 8));
    interrupt_controller_unmask(IRQ_TIMER);
}

void timer_initialise(void) {
    interrupt_register(VECTOR_APIC_TIMER, apic_timer_interrupt);
    if (boot_has_argument("timer=apic")) {
        if (local_apic_timer_start(VECTOR_APIC_TIMER, PIT_COUNTS)) {
            print("[BOOT] clock: local APIC timer\n");
            return;
        }
        print("[BOOT] timer=apic: this processor has no local APIC\n");
    }
    start_pit();
}
