/* System calls about processes: fork, vfork, execve, exit, wait4, kill and the ids. */
#include "process.h"

#include "fork_ring.h"
#include "fs.h"
#include "kernel.h"
#include "syscall.h"

#define ARGUMENT_COUNT 16
#define ARGUMENT_BYTES 2048
#define SIGNALS 64
#define AT_NULL 0
#define AT_PAGESZ 6
#define AT_ENTRY 9

static struct Process *current_process(void) {
    return current_thread()->process;
}

int64_t sys_getpid(void) {
    return current_thread()->pid;
}

int64_t sys_getppid(void) {
    return current_process()->ppid;
}

int64_t sys_gettid(void) {
    return current_thread()->tid;
}

/*
 * fork and vfork are naked: at their first instruction nothing has moved rsp, so the quadword at
 * rsp is the return address into syscall_dispatch. The seven registers go on the stack as a
 * struct CapturedRegisters and on to fork_captured(kind, captured, rflags), whose result is the
 * parent's. The child never comes here: it starts at that return address with rax = 0.
 *
 * In an ordinary C function a breakpoint lands behind the prologue, where that quadword is
 * something else. The CFI keeps backtraces right at every instruction.
 */
__attribute__((naked)) int64_t sys_fork(void) {
    __asm__("movq %rsp, %rax"); /* before anything moves rsp */
    __asm__("pushfq\n\t.cfi_adjust_cfa_offset 8");
    __asm__("popq %rdx\n\t.cfi_adjust_cfa_offset -8");
    __asm__("subq $56, %rsp\n\t.cfi_adjust_cfa_offset 56");
    __asm__("movq %rbx, 0(%rsp)");
    __asm__("movq %rbp, 8(%rsp)");
    __asm__("movq %r12, 16(%rsp)");
    __asm__("movq %r13, 24(%rsp)");
    __asm__("movq %r14, 32(%rsp)");
    __asm__("movq %r15, 40(%rsp)");
    __asm__("movq %rax, 48(%rsp)");
    __asm__("movl $0, %edi"); /* FORK_KIND_FORK */
    __asm__("movq %rsp, %rsi");
    __asm__("call fork_captured");
    __asm__("addq $56, %rsp\n\t.cfi_adjust_cfa_offset -56");
    __asm__("ret");
}

__attribute__((naked)) int64_t sys_vfork(void) {
    __asm__("movq %rsp, %rax"); /* before anything moves rsp */
    __asm__("pushfq\n\t.cfi_adjust_cfa_offset 8");
    __asm__("popq %rdx\n\t.cfi_adjust_cfa_offset -8");
    __asm__("subq $56, %rsp\n\t.cfi_adjust_cfa_offset 56");
    __asm__("movq %rbx, 0(%rsp)");
    __asm__("movq %rbp, 8(%rsp)");
    __asm__("movq %r12, 16(%rsp)");
    __asm__("movq %r13, 24(%rsp)");
    __asm__("movq %r14, 32(%rsp)");
    __asm__("movq %r15, 40(%rsp)");
    __asm__("movq %rax, 48(%rsp)");
    __asm__("movl $1, %edi"); /* FORK_KIND_VFORK */
    __asm__("movq %rsp, %rsi");
    __asm__("call fork_captured");
    __asm__("addq $56, %rsp\n\t.cfi_adjust_cfa_offset -56");
    __asm__("ret");
}

static void inherit_files(struct Process *child, struct Process *parent) {
    for (size_t i = 0; i < PROCESS_FILES; i++) {
        child->files[i] = parent->files[i];
        if (child->files[i] != NULL) {
            child->files[i]->references++;
        }
    }
}

/* The child's user half: a copy, or with vfork the parent's own. False if there is no memory. */
static bool inherit_memory(struct Process *child, struct Process *parent, enum ForkKind kind) {
    if (parent->space == NULL) {
        return true;
    }
    if (kind == FORK_KIND_VFORK) {
        parent->space->references++;
        child->space = parent->space;
    } else {
        child->space = address_space_copy(parent->space);
    }
    return child->space != NULL;
}

static void abandon_child(struct Process *child) {
    if (child->space != NULL) {
        address_space_release(child->space);
    }
    process_unlink(child);
}

/* Makes the child ready. A vfork child holds its parent until it execs or exits. */
static void start_child(struct Process *process, struct Thread *child, enum ForkKind kind) {
    uint32_t pid = process->pid;
    if (process->space != NULL) {
        task_set_user_half(child->cr3, process->space->pdpt);
    }
    process->vfork_pending = kind == FORK_KIND_VFORK;
    thread_link(child, process);
    while (process_find(pid) == process && process->vfork_pending &&
           process->state == PROCESS_ALIVE) {
        thread_wait(WAIT_VFORK, pid, 0);
    }
}

/* Called by sys_fork and sys_vfork with what they captured. Returns the child's pid or -errno. */
__attribute__((used)) static int64_t
fork_captured(enum ForkKind kind, const struct CapturedRegisters *captured, uint64_t rflags) {
    struct Thread *parent = current_thread();
    parent->call_rflags = rflags & ~RFLAGS_TF;
    if (process_count() >= PROCESS_LIMIT) {
        return -EAGAIN;
    }
    uint32_t pid = process_next_pid();
    struct Process *process = process_create(pid, parent->process, parent->process->name);
    if (process == NULL) {
        return -ENOMEM;
    }
    process->mode = parent->mode;
    if (!inherit_memory(process, parent->process, kind)) {
        process_unlink(process);
        return -ENOMEM;
    }
    struct Thread *child = fork_from(parent, pid, pid, captured);
    if (child == NULL) {
        abandon_child(process);
        return -ENOMEM;
    }
    inherit_files(process, parent->process);
    parent->process->fork_count++;
    start_child(process, child, kind);
    return pid;
}

/* --- execve --- */

/* Arguments of execve, copied out of the old program before it goes. */
struct Arguments {
    uint32_t count;
    uint32_t used;
    uint32_t offsets[ARGUMENT_COUNT];
    char bytes[ARGUMENT_BYTES];
};

static int64_t copy_arguments(struct Arguments *arguments, uint64_t vector) {
    while (vector != 0) {
        uint64_t pointer;
        int64_t error = copy_from_user(&pointer, vector, sizeof(pointer));
        if (error != 0) {
            return error;
        }
        if (pointer == 0) {
            return 0;
        }
        if (arguments->count == ARGUMENT_COUNT) {
            return -E2BIG;
        }
        char *place = arguments->bytes + arguments->used;
        error = copy_string_from_user(place, pointer, ARGUMENT_BYTES - arguments->used);
        if (error != 0) {
            return error == -ENAMETOOLONG ? -E2BIG : error;
        }
        arguments->offsets[arguments->count++] = arguments->used;
        arguments->used += (uint32_t)strlen(place) + 1;
        vector += sizeof(pointer);
    }
    return 0;
}

static bool put_on_stack(struct AddressSpace *space, uint64_t address, const void *bytes,
                         size_t size) {
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size; i++) {
        uint8_t *to = address_space_page(space, address + i, PROTECTION_WRITE);
        if (to == NULL) {
            return false;
        }
        *to = from[i];
    }
    return true;
}

/*
 * The new program's stack, as the System V ABI (x86-64, §3.4.1) wants it, lowest address first:
 * argc, argv…, 0, an empty environment: 0, the auxiliary vector. Returns rsp, 0 without memory.
 */
static uint64_t build_stack(struct AddressSpace *space, const struct Arguments *arguments,
                            uint64_t entry) {
    uint64_t strings = USER_STACK_TOP - round_up(arguments->used, 16);
    uint64_t words[ARGUMENT_COUNT + 10];
    size_t count = 0;
    words[count++] = arguments->count;
    for (uint32_t i = 0; i < arguments->count; i++) {
        words[count++] = strings + arguments->offsets[i];
    }
    words[count++] = 0;
    words[count++] = 0;
    const uint64_t auxiliary[] = {AT_PAGESZ, PAGE_SIZE, AT_ENTRY, entry, AT_NULL, 0};
    memcpy(&words[count], auxiliary, sizeof(auxiliary));
    count += COUNT_OF(auxiliary);
    uint64_t rsp = round_down(strings - count * sizeof(words[0]), 16);
    bool done = address_space_map(space, USER_STACK_TOP - USER_STACK_SIZE, USER_STACK_SIZE,
                                  PROTECTION_READ | PROTECTION_WRITE) == 0 &&
                put_on_stack(space, strings, arguments->bytes, arguments->used) &&
                put_on_stack(space, rsp, words, count * sizeof(words[0]));
    return done ? rsp : 0;
}

static const char *base_name(const char *path) {
    const char *name = path;
    for (; *path != 0; path++) {
        if (*path == '/') {
            name = path + 1;
        }
    }
    return name;
}

/* From here the old program is gone. Leaves the kernel by a fresh frame at the stack's top. */
static _Noreturn void start_program(struct AddressSpace *space, const char *path, uint64_t entry,
                                    uint64_t rsp) {
    struct Thread *thread = current_thread();
    struct Process *process = thread->process;
    struct AddressSpace *old = process->space;
    interrupts_disable();
    process->space = space;
    task_set_user_half(thread->cr3, space->pdpt);
    if (old != NULL) {
        address_space_release(old);
    }
    fpu_forget(thread);
    thread->fs_base = thread->gs_base = 0;
    write_msr(MSR_FS_BASE, 0);
    write_msr(MSR_KERNEL_GS_BASE, 0);
    copy_string(thread->name, base_name(path), NAME_LENGTH);
    copy_string(process->name, base_name(path), NAME_LENGTH);
    thread->mode = process->mode = MODE_USER;
    process->vfork_pending = false;
    thread_wake(WAIT_VFORK, process->pid);
    thread->trap_frame = NULL;
    thread->preempt_depth = 0;
    struct TrapFrame *frame = (struct TrapFrame *)KERNEL_STACK_TOP - 1;
    *frame = (struct TrapFrame){
        .vector = TRAP_VECTOR_SYSCALL,
        .rip = entry,
        .cs = USER_CS,
        .rflags = RFLAGS_FIXED | RFLAGS_IF,
        .rsp = rsp,
        .ss = USER_SS,
    };
    enter_user_mode(frame);
}

static int64_t load_program(const char *path, const struct Arguments *arguments,
                            struct AddressSpace **loaded, uint64_t *entry, uint64_t *rsp) {
    struct TmpfsNode *node = tmpfs_find(path);
    if (node == NULL) {
        return -ENOENT;
    }
    struct AddressSpace *space = address_space_create();
    if (space == NULL) {
        return -ENOMEM;
    }
    int64_t error = program_load(node->data, node->size, space, entry);
    if (error == 0) {
        *rsp = build_stack(space, arguments, *entry);
        error = *rsp == 0 ? -ENOMEM : 0;
    }
    if (error != 0) {
        address_space_release(space);
        return error;
    }
    *loaded = space;
    return 0;
}

/* execve(path, argv, envp): the environment is not kept. */
int64_t sys_execve(uint64_t path_address, uint64_t argv) {
    char path[PATH_LENGTH];
    struct AddressSpace *space = NULL;
    uint64_t entry = 0, rsp = 0;
    int64_t error = copy_string_from_user(path, path_address, sizeof(path));
    if (error != 0) {
        return error;
    }
    struct Arguments *arguments = heap_allocate(sizeof(*arguments));
    if (arguments == NULL) {
        return -ENOMEM;
    }
    error = copy_arguments(arguments, argv);
    if (error == 0) {
        error = load_program(path, arguments, &space, &entry, &rsp);
    }
    heap_free(arguments);
    if (error != 0) {
        return error;
    }
    start_program(space, path, entry, rsp);
}

/* --- the end of processes --- */

int64_t sys_exit(uint64_t status) {
    process_exit_current((int32_t)(status & 0xff) << 8);
}

/* A child that matches wait4's first argument; a zombie if there is one, else any living one. */
static struct Process *find_child(struct Process *parent, int64_t pid) {
    struct Process *living = NULL;
    for (struct Process *child = process_list; child != NULL; child = child->next) {
        if (child->parent != parent || (pid > 0 && child->pid != (uint64_t)pid)) {
            continue;
        }
        if (child->state == PROCESS_ZOMBIE) {
            return child;
        }
        living = child;
    }
    return living;
}

/* wait4(pid, status, options, rusage): pid -1 is any child; there are no process groups. */
int64_t sys_wait4(uint64_t pid, uint64_t status, uint64_t options) {
    struct Process *process = current_process();
    for (;;) {
        struct Process *child = find_child(process, (int32_t)pid);
        if (child == NULL) {
            return -ECHILD;
        }
        if (child->state == PROCESS_ZOMBIE) {
            int64_t child_pid = child->pid;
            int64_t error =
                status == 0 ? 0 : copy_to_user(status, &child->exit_status, sizeof(int32_t));
            if (error != 0) {
                return error;
            }
            process_reap(child);
            return child_pid;
        }
        if (options & WNOHANG) {
            return 0;
        }
        thread_wait(WAIT_CHILD, (int32_t)pid > 0 ? (uint32_t)pid : WAIT_ANY_CHILD, 0);
    }
}

/*
 * Every signal ends its process, since there are no handlers; signal 0 only asks whether it lives.
 */
int64_t sys_kill(uint64_t pid, uint64_t signal) {
    if (signal > SIGNALS) {
        return -EINVAL;
    }
    struct Process *process = (int32_t)pid > 0 ? process_find((uint32_t)pid) : NULL;
    if (process == NULL) {
        return -ESRCH;
    }
    if (process->pid == 1) {
        return -EPERM;
    }
    if (signal == 0 || process->state != PROCESS_ALIVE) {
        return 0;
    }
    if (process == current_process()) {
        process_exit_current((int32_t)signal);
    }
    process_terminate(process, (int32_t)signal);
    return 0;
}
