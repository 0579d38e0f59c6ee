/*
 * Threads: making them, forking them, freeing them. Each has page tables of its own with a kernel
 * stack at the same linear address as every other's.
 */
#include "boot.h"
#include "fork_ring.h"
#include "kernel.h"
#include "process.h"

struct Thread *thread_list;

/* A thread without context; null if there is no memory. */
static struct Thread *thread_allocate(const char *name) {
    struct Thread *thread = heap_allocate(sizeof(*thread));
    if (thread == NULL) {
        return NULL;
    }
    thread->cr3 = task_tables_create();
    if (thread->cr3 == 0) {
        heap_free(thread);
        return NULL;
    }
    copy_string(thread->name, name, sizeof(thread->name));
    thread->kernel_stack_base = KERNEL_STACK_BASE;
    thread->kernel_stack_size = KERNEL_STACK_SIZE;
    thread->context.cs = KERNEL_CS;
    thread->context.rsp = KERNEL_STACK_TOP;
    thread->context.rflags = RFLAGS_FIXED | RFLAGS_IF;
    return thread;
}

/* Puts a finished thread on the lists and makes it ready. */
void thread_link(struct Thread *thread, struct Process *process) {
    uint64_t flags = interrupts_disable();
    struct Thread **link = &thread_list;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = thread;
    thread->process = process;
    thread->pid = process->pid;
    thread->next_in_process = process->threads;
    process->threads = thread;
    thread->state = THREAD_READY;
    interrupts_restore(flags);
}

/* A kernel-mode thread that starts at function(argument); null if there is no memory. */
struct Thread *thread_create(struct Process *process, const char *name, ThreadFunction function,
                             uint64_t argument) {
    struct Thread *thread = thread_allocate(name);
    if (thread == NULL) {
        return NULL;
    }
    thread->tid = process->pid;
    thread->context.rip = (uint64_t)thread_entry + THREAD_ENTRY_START;
    thread->context.rbx = (uint64_t)function;
    thread->context.r12 = argument;
    thread_link(thread, process);
    return thread;
}

/* Frees a zombie; it must not be the thread on the CPU. */
void thread_destroy(struct Thread *thread) {
    uint64_t flags = interrupts_disable();
    struct Thread **link = &thread_list;
    while (*link != thread) {
        link = &(*link)->next;
    }
    *link = thread->next;
    interrupts_restore(flags);
    task_tables_destroy(thread->cr3);
    heap_free(thread);
}

/* thread_entry calls this when a thread's function returns. */
_Noreturn void thread_returned(void) {
    process_exit_current(0);
}

/*
 * The child's registers from the seven that sys_fork captured. rip is what its `ret` would pop, rsp
 * lies behind it. The caller-saved ones come from the parent's trap frame: after a call they are
 * nobody's, but a debugger shows them, and they should tell what the caller passed.
 */
static struct ThreadContext context_from_capture(const struct Thread *parent,
                                                 const struct CapturedRegisters *captured) {
    const struct TrapFrame *frame = parent->trap_frame;
    return (struct ThreadContext){
        .rax = 0,
        .rbx = captured->rbx,
        .rcx = frame->rcx,
        .rdx = frame->rdx,
        .rsi = frame->rsi,
        .rdi = frame->rdi,
        .rbp = captured->rbp,
        .rsp = captured->rsp + sizeof(uint64_t),
        .r8 = frame->r8,
        .r9 = frame->r9,
        .r10 = frame->r10,
        .r11 = frame->r11,
        .r12 = captured->r12,
        .r13 = captured->r13,
        .r14 = captured->r14,
        .r15 = captured->r15,
        .rip = *(const uint64_t *)captured->rsp,
    };
}

static void copy_kernel_stack(struct Thread *child, const struct Thread *parent) {
    for (uint64_t offset = 0; offset < KERNEL_STACK_SIZE; offset += PAGE_SIZE) {
        uint64_t address = KERNEL_STACK_BASE + offset;
        memcpy(task_stack_page(child->cr3, address), task_stack_page(parent->cr3, address),
               PAGE_SIZE);
    }
}

/*
 * A copy of the running thread `parent` that continues behind its call of sys_fork with rax = 0.
 * The kernel stack is copied page by page and needs no relocation. The caller links the child.
 * With the boot argument capture=stale the child gets what the last context switch stored for the
 * parent: the bug this kernel once had. Returns null if there is no memory.
 */
struct Thread *fork_from(struct Thread *parent, uint32_t child_tid, uint32_t child_pid,
                         const struct CapturedRegisters *captured_regs) {
    struct Thread *child = thread_allocate(parent->name);
    if (child == NULL) {
        return NULL;
    }
    child->tid = child_tid;
    child->pid = child_pid;
    child->mode = parent->mode;
    child->trap_frame = parent->trap_frame;
    child->preempt_depth = parent->preempt_depth;
    child->fs_base = parent->fs_base;
    child->gs_base = parent->gs_base;
    fpu_copy(child, parent);
    copy_kernel_stack(child, parent);
    child->context = boot_information.capture_stale ? parent->context
                                                    : context_from_capture(parent, captured_regs);
    child->context.rax = 0;
    child->context.rflags = parent->call_rflags;
    child->context.cs = KERNEL_CS;
    fork_ring_record(parent, child, captured_regs);
    return child;
}
