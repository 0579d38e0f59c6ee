/* Writes the fork-capture ring; exo_debug.h says how a debugger reads it. */
#include "fork_ring.h"

#include "boot.h"
#include "kernel.h"
#include "system_call_numbers.h"

struct ForkRecord fork_ring[FORK_RING_CAPACITY];
uint64_t fork_ring_total;

static void compiler_barrier(void) {
    __asm__ volatile("" : : : "memory");
}

/* Called by fork_from in the parent, preemption off. */
void fork_ring_record(const struct Thread *parent, const struct Thread *child,
                      const struct CapturedRegisters *captured) {
    struct ForkRecord *record = &fork_ring[fork_ring_total % FORK_RING_CAPACITY];
    record->sequence = FORK_RING_WRITING;
    compiler_barrier();
    record->tick = timer_ticks;
    record->kind = parent->trap_frame->rax == SYS_VFORK ? FORK_KIND_VFORK : FORK_KIND_FORK;
    record->flags = boot_information.capture_stale ? FORK_FLAG_STALE : 0;
    record->parent_tid = parent->tid;
    record->parent_pid = parent->pid;
    record->child_tid = child->tid;
    record->child_pid = child->pid;
    record->captured = *captured;
    record->derived_rip = *(const uint64_t *)captured->rsp;
    record->stale = parent->context;
    record->child = child->context;
    compiler_barrier();
    record->sequence = fork_ring_total;
    compiler_barrier();
    fork_ring_total++;
}
