/*
 * SSE state of ring-3 threads, saved lazily (Intel SDM 3A §14.4): CR0.TS is set whenever the thread
 * on the CPU does not own the registers; its first SSE instruction then raises #NM.
 */
#include "cpu.h"
#include "kernel.h"
#include "process.h"

#define FXSAVE_FCW 0
#define FXSAVE_MXCSR 24

static void save(struct Thread *thread) {
    __asm__ volatile("fxsave64 %0" : "=m"(thread->fpu_state));
}

static void restore(const struct Thread *thread) {
    __asm__ volatile("fxrstor64 %0" : : "m"(thread->fpu_state));
}

static void set_task_switched(bool set) {
    uint64_t cr0 = read_cr0();
    if (((cr0 & CR0_TS) != 0) != set) {
        if (set) {
            write_cr0(cr0 | CR0_TS);
        } else {
            __asm__ volatile("clts");
        }
    }
}

void fpu_switched_to(struct Thread *next) {
    set_task_switched(cpus[0].fpu_owner != next);
}

/* #NM: gives the registers to the current thread. */
void fpu_device_not_available(void) {
    struct Thread *thread = current_thread();
    uint64_t flags = interrupts_disable();
    set_task_switched(false);
    if (cpus[0].fpu_owner != NULL) {
        save(cpus[0].fpu_owner);
    }
    if (!thread->fpu_used) {
        memset(thread->fpu_state, 0, sizeof(thread->fpu_state));
        *(uint16_t *)(thread->fpu_state + FXSAVE_FCW) = 0x37f;
        *(uint32_t *)(thread->fpu_state + FXSAVE_MXCSR) = 0x1f80;
        thread->fpu_used = true;
    }
    restore(thread);
    cpus[0].fpu_owner = thread;
    interrupts_restore(flags);
}

void fpu_copy(struct Thread *child, struct Thread *parent) {
    uint64_t flags = interrupts_disable();
    if (cpus[0].fpu_owner == parent) {
        set_task_switched(false);
        save(parent);
    }
    interrupts_restore(flags);
    child->fpu_used = parent->fpu_used;
    memcpy(child->fpu_state, parent->fpu_state, sizeof(child->fpu_state));
}

/* The state is lost: the thread ended, or starts a new program. */
void fpu_forget(struct Thread *thread) {
    uint64_t flags = interrupts_disable();
    thread->fpu_used = false;
    if (cpus[0].fpu_owner == thread) {
        cpus[0].fpu_owner = NULL;
        set_task_switched(true);
    }
    interrupts_restore(flags);
}
