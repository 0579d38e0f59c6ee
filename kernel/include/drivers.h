/* The PC's chips that this kernel drives. */
#ifndef DRIVERS_H
#define DRIVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IRQ_VECTOR_BASE 32
#define IRQ_TIMER 0
#define IRQ_SERIAL 4
#define VECTOR_APIC_TIMER 48

void serial_initialise(void);
void serial_enable_input(void); /* after interrupts_initialise */
void serial_write(const char *bytes, size_t size);
void serial_drain(void);        /* returns when the last bit is on the wire */
size_t serial_read(char *bytes, size_t size); /* what has come in, may be 0; wakes WAIT_CONSOLE */

void interrupt_controller_initialise(void);
void interrupt_controller_unmask(uint8_t irq);
void interrupt_controller_end(uint8_t irq);

bool local_apic_timer_start(uint8_t vector, uint16_t pit_counts);
void local_apic_end(void);

void timer_initialise(void);

#endif
