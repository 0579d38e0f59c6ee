/*
 * Round robin over the list of threads, one tick each. A thread that waits is passed over; the idle
 * thread runs when nobody else can.
 */
#include "boot.h"
#include "cpu.h"
#include "kernel.h"
#include "process.h"

#define STUCK_TICKS_LIMIT 100 /* a second without a moment in which it could be preempted */
#define TEST_TICKS_LIMIT (60 * TICKS_PER_SECOND)

static struct Thread boot_thread; /* takes the registers of the boot stack, which nobody needs */

void preempt_disable(void) {
    struct Thread *thread = current_thread();
    if (thread != NULL) {
        thread->preempt_depth++;
    }
}

void preempt_enable(void) {
    struct Thread *thread = current_thread();
    if (thread != NULL) {
        thread->preempt_depth--;
    }
}

static struct Thread *next_ready_thread(const struct Thread *after) {
    const struct Thread *start = after->next != NULL ? after->next : thread_list;
    const struct Thread *thread = start;
    do {
        if (thread->state == THREAD_READY && thread != cpus[0].idle) {
            return (struct Thread *)thread;
        }
        thread = thread->next != NULL ? thread->next : thread_list;
    } while (thread != start);
    return NULL;
}

/* Always both: a ring-3 program changes its FS base behind our back when it loads the selector. */
static void load_user_bases(const struct Thread *next) {
    if (next->mode == MODE_USER) {
        write_msr(MSR_FS_BASE, next->fs_base);
        write_msr(MSR_KERNEL_GS_BASE, next->gs_base);
    }
}

/* Gives the CPU to the next ready thread. The caller has set its own state unless it goes on. */
void schedule(void) {
    uint64_t flags = interrupts_disable();
    struct Thread *previous = current_thread();
    if (previous->state == THREAD_RUNNING) {
        previous->state = THREAD_READY;
    }
    struct Thread *next = next_ready_thread(previous);
    if (next == NULL) {
        next = cpus[0].idle;
    }
    cpus[0].must_reschedule = false;
    next->state = THREAD_RUNNING;
    if (next != previous) {
        next->switch_count++;
        fpu_switched_to(next);
        load_user_bases(next);
        context_switch(previous, next);
    }
    interrupts_restore(flags);
}

_Noreturn void scheduler_start(void) {
    struct Thread *first = cpus[0].idle;
    interrupts_disable();
    first->state = THREAD_RUNNING;
    first->switch_count++;
    context_switch(&boot_thread, first);
    panic("the boot stack must not run again");
}

void thread_wait(enum WaitReason reason, uint64_t channel, uint64_t wake_tick) {
    struct Thread *thread = current_thread();
    uint64_t flags = interrupts_disable();
    thread->wait_reason = reason;
    thread->wait_channel = channel;
    thread->wake_tick = wake_tick;
    thread->state = THREAD_WAITING;
    schedule();
    interrupts_restore(flags);
}

static void make_ready(struct Thread *thread) {
    thread->state = THREAD_READY;
    thread->wait_reason = WAIT_NONE;
    thread->wait_channel = 0;
    thread->wake_tick = 0;
    cpus[0].must_reschedule = true;
}

void thread_wake(enum WaitReason reason, uint64_t channel) {
    uint64_t flags = interrupts_disable();
    for (struct Thread *thread = thread_list; thread != NULL; thread = thread->next) {
        if (thread->state == THREAD_WAITING && thread->wait_reason == reason &&
            thread->wait_channel == channel) {
            make_ready(thread);
        }
    }
    interrupts_restore(flags);
}

static void wake_sleepers(void) {
    for (struct Thread *thread = thread_list; thread != NULL; thread = thread->next) {
        if (thread->state == THREAD_WAITING && thread->wake_tick != 0 &&
            thread->wake_tick <= timer_ticks) {
            make_ready(thread);
        }
    }
}

/* Code of a process that went astray inside a system call can never be preempted: end it. */
static void end_stuck_thread(struct Thread *thread, const struct TrapFrame *frame) {
    thread->stuck_ticks = thread->preempt_depth > 0 ? thread->stuck_ticks + 1 : 0;
    if (thread->stuck_ticks >= STUCK_TICKS_LIMIT && thread->pid > 1) {
        print("[KILL] pid %u \"%s\": stuck in the kernel, rip=%lx\n", thread->pid, thread->name,
              frame->rip);
        process_exit_current(9);
    }
}

void scheduler_tick(struct TrapFrame *frame) {
    struct Thread *thread = current_thread();
    thread->run_ticks++;
    wake_sleepers();
    cpus[0].must_reschedule = true;
    if (boot_information.run_tests_and_exit && timer_ticks > TEST_TICKS_LIMIT) {
        panic("the tests must end within %d ticks", TEST_TICKS_LIMIT);
    }
    end_stuck_thread(thread, frame);
}

/* At the end of an interrupt: the other half of preemption. */
void scheduler_preempt_if_due(void) {
    struct Thread *thread = current_thread();
    if (thread != NULL && cpus[0].must_reschedule && thread->preempt_depth == 0) {
        schedule();
    }
}
