/*
 * The processor: segments, trap frames, per-CPU state and the few instructions C cannot say.
 * Intel SDM 3A. The constants are spelled as there.
 */
#ifndef CPU_H
#define CPU_H

#define KERNEL_CS 0x08
#define KERNEL_SS 0x10
#define USER_SS 0x23
#define USER_CS 0x2b
#define TSS_SELECTOR 0x30

#define CPU_CURRENT_THREAD 8 /* offsets in struct Cpu, for assembly */
#define CPU_USER_RSP 16
#define TRAP_FRAME_SIZE 176
#define THREAD_ENTRY_START 1 /* what a new thread's rip has over thread_entry */
#define TRAP_VECTOR_SYSCALL 0x100        /* `vector` of a frame made by the syscall instruction */
#define TRAP_VECTOR_KERNEL_SYSCALL 0x101 /* … by a kernel-mode process's call */

#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SFMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stdint.h>

#define EFER_SCE (1ull << 0)
#define EFER_NXE (1ull << 11)
#define CR0_MP (1ull << 1)
#define CR0_EM (1ull << 2)
#define CR0_TS (1ull << 3)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR4_PGE (1ull << 7)
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)
#define RFLAGS_FIXED (1ull << 1)
#define RFLAGS_TF (1ull << 8)
#define RFLAGS_IF (1ull << 9)
#define RFLAGS_DF (1ull << 10)
#define RFLAGS_NT (1ull << 14)
#define RFLAGS_AC (1ull << 18)

/* What an interrupt, exception or system call leaves on the kernel stack; lowest address first. */
struct TrapFrame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct TrapFrame) == TRAP_FRAME_SIZE, "assembly knows this size");

struct Thread;

/* Per-CPU state; GS points here while the kernel runs. */
struct Cpu {
    struct Cpu *self;
    struct Thread *current;    /* CPU_CURRENT_THREAD */
    uint64_t user_rsp;         /* CPU_USER_RSP: scratch of the syscall entry */
    struct Thread *idle;
    struct Thread *fpu_owner;  /* whose SSE state is in the registers, or null */
    bool must_reschedule;
};

struct CpuFeatures {
    bool nx, gigabyte_pages, global_pages, smep, smap;
};

extern struct Cpu cpus[1];
extern struct CpuFeatures cpu_features;

static inline bool frame_is_user(const struct TrapFrame *frame) {
    return (frame->cs & 3) == 3;
}

static inline struct Thread *current_thread(void) {
    struct Thread *thread;
    __asm__ volatile("movq %%gs:8, %0" : "=r"(thread));
    return thread;
}

static inline void write_port8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t read_port8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t read_msr(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value) {
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

#define DEFINE_CONTROL_REGISTER(name)                                                              \
    static inline uint64_t read_##name(void) {                                                     \
        uint64_t value;                                                                            \
        __asm__ volatile("movq %%" #name ", %0" : "=r"(value));                                    \
        return value;                                                                              \
    }                                                                                              \
    static inline void write_##name(uint64_t value) {                                              \
        __asm__ volatile("movq %0, %%" #name : : "r"(value) : "memory");                           \
    }
DEFINE_CONTROL_REGISTER(cr0)
DEFINE_CONTROL_REGISTER(cr2)
DEFINE_CONTROL_REGISTER(cr3)
DEFINE_CONTROL_REGISTER(cr4)

static inline void invalidate_page(uint64_t address) {
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline uint64_t interrupts_disable(void) {
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}

static inline void interrupts_restore(uint64_t flags) {
    if (flags & RFLAGS_IF) {
        __asm__ volatile("sti" : : : "memory");
    }
}

static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]) {
    __asm__ volatile("cpuid"
                     : "=a"(registers[0]), "=b"(registers[1]), "=c"(registers[2]),
                       "=d"(registers[3])
                     : "a"(leaf), "c"(subleaf));
}

void cpu_initialise(void);
void interrupts_initialise(void);

typedef void (*InterruptHandler)(struct TrapFrame *frame);
void interrupt_register(uint8_t vector, InterruptHandler handler);

/* Ring-3 SSE state, saved lazily. */
void fpu_switched_to(struct Thread *next);
void fpu_copy(struct Thread *child, struct Thread *parent);
void fpu_forget(struct Thread *thread);
void fpu_device_not_available(void);
#endif
#endif
