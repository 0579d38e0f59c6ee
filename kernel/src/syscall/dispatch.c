/*
 * From a trap frame to the handler, for ring-3 and kernel-mode processes alike. A system call is
 * not preempted until it waits by itself; interrupts stay on.
 */
#include "kernel.h"
#include "process.h"
#include "syscall.h"

static const SystemCall system_calls[] = {
#define SYSTEM_CALL(number, name, handler, parameters) [number] = handler,
#include "system_call_list.h"
#undef SYSTEM_CALL
};

int64_t syscall_dispatch(struct TrapFrame *frame) {
    struct Thread *thread = current_thread();
    thread->trap_frame = frame;
    thread->preempt_depth = 1;
    int64_t result = -ENOSYS;
    uint64_t number = frame->rax;
    if (number < COUNT_OF(system_calls) && system_calls[number] != NULL) {
        result = system_calls[number](frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8,
                                      frame->r9);
    }
    frame->rax = (uint64_t)result;
    thread = current_thread(); /* behind a fork this may be the child */
    thread->trap_frame = NULL;
    thread->preempt_depth = 0;
    scheduler_preempt_if_due();
    return result;
}
