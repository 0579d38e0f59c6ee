/* The 8254 timer's counter 0 as the scheduler's clock: mode 2, 1193182 Hz / 11932 = 100 Hz. */
#include "cpu.h"
#include "drivers.h"
#include "process.h"

#define PIT_COUNTER0 0x40
#define PIT_CONTROL 0x43
#define PIT_HZ 1193182

uint64_t timer_ticks;

static void timer_interrupt(struct TrapFrame *frame) {
    timer_ticks++;
    interrupt_controller_end(IRQ_TIMER);
    scheduler_tick(frame);
}

void timer_initialise(void) {
    uint16_t divisor = (PIT_HZ + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND;
    interrupt_register(IRQ_VECTOR_BASE + IRQ_TIMER, timer_interrupt);
    write_port8(PIT_CONTROL, 0x34); /* counter 0, low then high byte, mode 2, binary */
    write_port8(PIT_COUNTER0, (uint8_t)divisor);
    write_port8(PIT_COUNTER0, (uint8_t)(divisor >> 8));
    interrupt_controller_unmask(IRQ_TIMER);
}
