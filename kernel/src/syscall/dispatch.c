/*
 * From a trap frame to the handler, for ring-3 and kernel-mode processes alike. A system call is
 * not preempted until it waits by itself; interrupts stay on.
 */
#include "kernel.h"
#include "process.h"
#include "syscall.h"

static const SystemCall system_calls[] = {
    [SYS_READ] = sys_read,
    [SYS_WRITE] = sys_write,
    [SYS_OPEN] = sys_open,
    [SYS_CLOSE] = sys_close,
    [SYS_MMAP] = sys_mmap,
    [SYS_MUNMAP] = sys_munmap,
    [SYS_BRK] = sys_brk,
    [SYS_SCHED_YIELD] = sys_sched_yield,
    [SYS_NANOSLEEP] = sys_nanosleep,
    [SYS_GETPID] = sys_getpid,
    [SYS_FORK] = sys_fork,
    [SYS_VFORK] = sys_vfork,
    [SYS_EXECVE] = sys_execve,
    [SYS_EXIT] = sys_exit,
    [SYS_WAIT4] = sys_wait4,
    [SYS_KILL] = sys_kill,
    [SYS_UNAME] = sys_uname,
    [SYS_GETPPID] = sys_getppid,
    [SYS_ARCH_PRCTL] = sys_arch_prctl,
    [SYS_GETTID] = sys_gettid,
    [SYS_EXIT_GROUP] = sys_exit,
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
