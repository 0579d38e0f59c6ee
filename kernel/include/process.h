/*
 * Threads and processes. One process has one thread today, but the lists are there for more.
 *
 * Locking: there is one CPU. Thread states and the lists are changed with interrupts off; all
 * else is changed by system calls, which cannot be preempted (preempt_depth) until they wait.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "memory.h"

#define PROCESS_FILES 16
#define PROCESS_LIMIT 64
#define NAME_LENGTH 16
#define TICKS_PER_SECOND 100

/* The 19 registers of a thread that is not on the CPU. */
struct ThreadContext {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, rflags, cs;
};

/* What sys_fork holds at its first instruction: the callee-saved registers and rsp. */
struct CapturedRegisters {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp;
};

enum ThreadState { THREAD_UNUSED, THREAD_READY, THREAD_RUNNING, THREAD_WAITING, THREAD_ZOMBIE };
enum ProcessState { PROCESS_UNUSED, PROCESS_ALIVE, PROCESS_ZOMBIE };
enum WaitReason { WAIT_NONE, WAIT_SLEEP, WAIT_CHILD, WAIT_VFORK, WAIT_CONSOLE };
enum TaskMode { MODE_KERNEL, MODE_USER };

struct Process;
struct File;

struct Thread {
    struct ThreadContext context; /* offset 0: context_switch.S */
    uint64_t cr3;                 /* offset 152: context_switch.S */
    struct Thread *next;
    struct Thread *next_in_process;
    struct Process *process;
    uint32_t tid, pid;
    char name[NAME_LENGTH];
    uint32_t state;
    uint32_t wait_reason;
    uint64_t wait_channel;
    uint64_t wake_tick;
    uint64_t kernel_stack_base, kernel_stack_size;
    uint32_t mode;
    uint32_t preempt_depth; /* > 0: the timer must not switch away */
    struct TrapFrame *trap_frame; /* of the system call in progress; lies on its own stack */
    uint64_t switch_count, run_ticks;
    uint64_t stuck_ticks;   /* timer ticks in a row that found it unpreemptible */
    uint64_t call_rflags;   /* at the last call of sys_fork */
    uint64_t fs_base, gs_base;
    bool fpu_used;
    uint8_t fpu_state[512] __attribute__((aligned(16)));
};
_Static_assert(offsetof(struct Thread, context) == 0, "context_switch.S");
_Static_assert(offsetof(struct Thread, cr3) == 152, "context_switch.S");

struct Process {
    struct Process *next;
    struct Process *parent; /* null: made by the kernel */
    struct Thread *threads;
    uint32_t pid, ppid;
    char name[NAME_LENGTH];
    uint32_t state;
    int32_t exit_status; /* as wait4 reports it */
    uint32_t mode;
    uint32_t fork_count;
    uint64_t start_tick;
    struct AddressSpace *space; /* null in a kernel-mode process */
    bool vfork_pending;         /* the parent waits until this one execs or exits */
    struct File *files[PROCESS_FILES];
};

typedef void (*ThreadFunction)(uint64_t argument);

extern struct Thread *thread_list;
extern struct Process *process_list;
extern uint64_t timer_ticks;

/* --- thread.c --- */
struct Thread *thread_create(struct Process *process, const char *name, ThreadFunction function,
                             uint64_t argument);
void thread_link(struct Thread *thread, struct Process *process);
void thread_destroy(struct Thread *thread);
struct Thread *fork_from(struct Thread *parent, uint32_t child_tid, uint32_t child_pid,
                         const struct CapturedRegisters *captured_regs);
void context_switch(struct Thread *previous, struct Thread *next);

/* --- scheduler.c --- */
_Noreturn void scheduler_start(void);
void schedule(void);
void scheduler_tick(struct TrapFrame *frame);
void scheduler_preempt_if_due(void);
void preempt_disable(void);
void preempt_enable(void);
#define WAIT_ANY_CHILD (~0ull)
/* Waits until woken for the same reason and channel, or until wake_tick (0 = no end). */
void thread_wait(enum WaitReason reason, uint64_t channel, uint64_t wake_tick);
void thread_wake(enum WaitReason reason, uint64_t channel);

/* --- process.c --- */
struct Process *process_create(uint32_t pid, struct Process *parent, const char *name);
struct Process *process_spawn_kernel(const char *name, ThreadFunction function, uint64_t argument);
struct Process *process_find(uint32_t pid);
uint32_t process_next_pid(void);
uint32_t process_count(void);
void process_terminate(struct Process *process, int32_t status);
void process_unlink(struct Process *process);
void process_reap(struct Process *zombie);
_Noreturn void process_exit_current(int32_t status);

/* --- elf.c --- */
int64_t program_load(const uint8_t *image, size_t size, struct AddressSpace *space,
                     uint64_t *entry);

/* --- assembly --- */
_Noreturn void enter_user_mode(struct TrapFrame *frame);
void thread_entry(void);
int64_t kernel_syscall(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                       uint64_t f);

#endif
