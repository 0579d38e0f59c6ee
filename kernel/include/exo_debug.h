/*
 * The awareness descriptor: everything a debugger must know to list threads, processes and forks.
 *
 * One constant, `exo_debug`, lies in .rodata. A debugger finds it by the symbol `exo_debug` or, in
 * a stripped kernel, by an ELF note (PT_NOTE segment and section .note.exo):
 *
 *     owner "Exo" (4 bytes with its NUL), type EXO_DEBUG_NOTE_TYPE, 8 bytes of description:
 *     the linear address of `exo_debug`, u64 little endian.
 *
 * Rules for the reader
 *   - Everything is little endian. Every *_address is a linear address in the kernel half, mapped
 *     alike in every task's page tables. Every *_offset is in bytes from the start of its
 *     structure.
 *   - The descriptor only grows at its end; `size` says how much of it this kernel has.
 *   - A list is: head_address holds a u64 pointer to the first element, 0 if there is none; the
 *     pointer to the next element is at next_offset, 0 at the end. Never circular in a sound
 *     kernel.
 *   - Kernel stacks are the exception to "mapped alike": each task has its own at the same linear
 *     address, so read the stack of a thread through that thread's cr3.
 *   - A thread that is on the CPU has its registers in the CPU; its saved context is old ("stale").
 *   - While rip is in [switch_window_start, switch_window_end) the CPU is between two threads:
 *     cr3 and rsp may already be the next thread's while `current_thread` is the previous one.
 */
#ifndef EXO_DEBUG_H
#define EXO_DEBUG_H

#include <stdint.h>

#define EXO_DEBUG_MAGIC "EXODEBUG" /* 8 bytes, without a NUL */
#define EXO_DEBUG_VERSION 1
#define EXO_DEBUG_NOTE_OWNER "Exo"
#define EXO_DEBUG_NOTE_TYPE 0x45584f44 /* "EXOD" read as a big-endian number */

/* Order of the u64 registers of a ThreadContext, wherever one is stored. */
#define EXO_CONTEXT_REGISTERS                                                                      \
    "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags cs"
#define EXO_CONTEXT_REGISTER_COUNT 19

/* Order of the u64 registers that sys_fork captures at its first instruction. */
#define EXO_CAPTURED_REGISTERS "rbx rbp r12 r13 r14 r15 rsp"
#define EXO_CAPTURED_REGISTER_COUNT 7

/*
 * Order of the u64 fields of a trap frame (what an interrupt or syscall left on the kernel stack).
 */
#define EXO_TRAP_FRAME_FIELDS                                                                      \
    "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi vector error rip cs rflags rsp ss"
#define EXO_TRAP_FRAME_FIELD_COUNT 22

/*
 * A table of names: `count` u64 pointers to NUL-terminated strings; index = the enumeration value.
 */
struct ExoNameTable {
    uint64_t address; /* of the first pointer */
    uint32_t count;
    uint32_t reserved;
};

struct ExoThreadLayout {
    uint64_t head_address;              /* of the u64 pointer to the first thread */
    uint32_t size;                      /* sizeof(struct Thread) */
    uint32_t next_offset;               /* u64 pointer to the next thread of the whole system */
    uint32_t next_in_process_offset;    /* u64 pointer to the next thread of the same process */
    uint32_t process_offset;            /* u64 pointer to the owning process */
    uint32_t tid_offset;                /* u32; 0 is the idle thread */
    uint32_t pid_offset;                /* u32; 0 is the kernel itself */
    uint32_t name_offset;               /* char[name_length], NUL-terminated inside */
    uint32_t name_length;               /* 16 */
    uint32_t state_offset;              /* u32, index into thread_states */
    uint32_t wait_reason_offset;        /* u32, index into wait_reasons; 0 = does not wait */
    uint32_t wait_channel_offset;       /* u64: sleep: the tick; child: the pid, all ones = any;
                                           vfork: the child's pid; console: 0 */
    uint32_t wake_tick_offset;          /* u64: timer tick that ends a sleep; 0 = none */
    uint32_t context_offset;            /* ThreadContext: 19 u64 in EXO_CONTEXT_REGISTERS order */
    uint32_t kernel_stack_base_offset;  /* u64 linear address, same in every task */
    uint32_t kernel_stack_size_offset;  /* u64 bytes; top = base + size */
    uint32_t cr3_offset;                /* u64 physical address of the task's own PML4 */
    uint32_t mode_offset;               /* u32: 0 kernel-mode task, 1 ring-3 task */
    uint32_t trap_frame_offset;         /* u64 linear address of the trap frame of the system call
                                           in progress, on its kernel stack; 0 if none */
    uint32_t switch_count_offset;       /* u64: how often it was put on the CPU */
    uint32_t run_ticks_offset;          /* u64: timer ticks that found it running */
    uint32_t reserved;
};

struct ExoProcessLayout {
    uint64_t head_address;              /* of the u64 pointer to the first process */
    uint32_t size;                      /* sizeof(struct Process) */
    uint32_t next_offset;               /* u64 pointer to the next process */
    uint32_t pid_offset;                /* u32 */
    uint32_t ppid_offset;               /* u32; 0 = made by the kernel */
    uint32_t name_offset;               /* char[name_length], NUL-terminated inside */
    uint32_t name_length;               /* 16 */
    uint32_t state_offset;              /* u32, index into process_states */
    uint32_t exit_status_offset;        /* i32 as wait4 has it: code << 8, or the signal */
    uint32_t threads_offset;            /* u64 pointer to the first thread */
    uint32_t mode_offset;               /* u32: 0 kernel-mode process, 1 ring-3 process */
    uint32_t fork_count_offset;         /* u32: how many children it forked */
    uint32_t start_tick_offset;         /* u64: timer tick at which it was made */
};

struct ExoCpuLayout {
    uint64_t base_address;              /* of the first per-CPU structure; GS base in the kernel */
    uint32_t size;                      /* bytes per CPU; the next one follows directly */
    uint32_t count;                     /* 1 */
    uint32_t current_thread_offset;     /* u64 pointer; 0 until there are threads */
    uint32_t idle_thread_offset;        /* u64 pointer */
    uint64_t ticks_address;             /* of the u64 timer tick counter */
    uint32_t ticks_per_second;          /* 100 */
    uint32_t reserved;
};

/*
 * The fork-capture ring. Fork number n (from 0) is entry n % capacity. The kernel first sets the
 * entry's sequence to all ones, fills it, then writes the sequence, then total: an entry whose
 * sequence is not the expected n was overwritten or is being written.
 */
struct ExoForkRingLayout {
    uint64_t address;                   /* of entry 0 */
    uint64_t total_address;             /* of the u64 count of all forks since boot */
    uint32_t capacity;                  /* entries, 64 */
    uint32_t entry_size;                /* bytes */
    uint32_t sequence_offset;           /* u64: n */
    uint32_t tick_offset;               /* u64: timer tick of the fork */
    uint32_t kind_offset;               /* u32: 0 fork, 1 vfork */
    uint32_t flags_offset;              /* u32: bit 0 = the child was made from the stale context */
    uint32_t parent_tid_offset;         /* u32 */
    uint32_t parent_pid_offset;         /* u32 */
    uint32_t child_tid_offset;          /* u32 */
    uint32_t child_pid_offset;          /* u32 */
    uint32_t captured_offset;           /* 7 u64 in EXO_CAPTURED_REGISTERS order */
    uint32_t derived_rip_offset;        /* u64: the quadword at the captured rsp */
    uint32_t stale_offset;              /* 19 u64: the parent's context as last switched out */
    uint32_t child_offset;              /* 19 u64: the context the child starts with */
};

struct ExoDebug {
    char magic[8];                      /* EXO_DEBUG_MAGIC */
    uint32_t version;                   /* EXO_DEBUG_VERSION */
    uint32_t size;                      /* sizeof(struct ExoDebug) in this kernel */
    uint32_t context_register_count;    /* 19 */
    uint32_t captured_register_count;   /* 7 */
    uint32_t trap_frame_field_count;    /* 22 */
    uint32_t reserved;
    uint64_t kernel_name_address;       /* NUL-terminated name and version of the kernel */
    uint64_t direct_map_base;           /* linear address at which physical 0 is mapped */
    uint64_t text_start, text_end;      /* kernel code, linear, end exclusive */
    uint64_t fork_entry_addresses[2];   /* first instruction of sys_fork, sys_vfork */
    uint64_t switch_window_start, switch_window_end;
    struct ExoNameTable thread_states;  /* unused, ready, running, waiting, zombie */
    struct ExoNameTable process_states; /* unused, alive, zombie */
    struct ExoNameTable wait_reasons;   /* none, sleep, child, vfork, console, ... */
    struct ExoCpuLayout cpu;
    struct ExoThreadLayout thread;
    struct ExoProcessLayout process;
    struct ExoForkRingLayout fork_ring;
};

extern const struct ExoDebug exo_debug;

#endif
