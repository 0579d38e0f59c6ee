/*
 * Segments, task state, control registers and system-call MSRs (Intel SDM 3A §2.5, §3.4, §5.8.8,
 * §7.7).
 */
#include "cpu.h"

#include "kernel.h"
#include "syscall.h"

struct TaskState {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
} __attribute__((packed));

struct DescriptorPointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

#define IST_STACK_SIZE 8192
#define IST_STACKS 3 /* double fault, NMI and machine check, debug: see interrupts.c */

struct Cpu cpus[1];
struct CpuFeatures cpu_features;

static struct TaskState task_state;
static uint8_t ist_stacks[IST_STACKS][IST_STACK_SIZE] __attribute__((aligned(16)));

/* sysret wants: 32-bit code, then data, then 64-bit code (STAR[63:48] + 0, 8, 16). */
static uint64_t descriptors[] = {
    0,
    0x00af9b000000ffff, /* 0x08 kernel code */
    0x00cf93000000ffff, /* 0x10 kernel data */
    0x00cffb000000ffff, /* 0x18 user code, 32-bit: only a place */
    0x00cff3000000ffff, /* 0x20 user data */
    0x00affb000000ffff, /* 0x28 user code */
    0, 0,               /* 0x30 task state */
};

static void load_segments(void) {
    uint64_t base = (uint64_t)&task_state;
    task_state.rsp[0] = KERNEL_STACK_TOP;
    task_state.io_map_base = sizeof(task_state);
    for (size_t i = 0; i < IST_STACKS; i++) {
        task_state.ist[i] = (uint64_t)(ist_stacks[i] + IST_STACK_SIZE);
    }
    descriptors[6] = (sizeof(task_state) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
                     (base >> 24 & 0xff) << 56;
    descriptors[7] = base >> 32;
    struct DescriptorPointer pointer = {sizeof(descriptors) - 1, (uint64_t)descriptors};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %2, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "movl %%eax, %%ss\n\t"
                     "ltr %w3"
                     :
                     : "m"(pointer), "i"(KERNEL_CS), "i"(KERNEL_SS), "r"(TSS_SELECTOR)
                     : "rax", "memory");
}

static void detect_features(void) {
    uint32_t registers[4];
    cpuid(0, 0, registers);
    uint32_t highest = registers[0];
    cpuid(1, 0, registers);
    cpu_features.global_pages = registers[3] >> 13 & 1;
    if (!(registers[3] >> 24 & 1) || !(registers[3] >> 26 & 1)) {
        panic("the processor must have FXSAVE and SSE2; CPUID.1:EDX is %x", registers[3]);
    }
    if (highest >= 7) {
        cpuid(7, 0, registers);
        cpu_features.smep = registers[1] >> 7 & 1;
        cpu_features.smap = registers[1] >> 20 & 1;
    }
    cpuid(0x80000001, 0, registers);
    cpu_features.nx = registers[3] >> 20 & 1;
    cpu_features.gigabyte_pages = registers[3] >> 26 & 1;
}

void cpu_initialise(void) {
    detect_features();
    load_segments();
    cpus[0].self = &cpus[0];
    write_msr(MSR_GS_BASE, (uint64_t)&cpus[0]);
    write_msr(MSR_KERNEL_GS_BASE, 0);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE | (cpu_features.nx ? EFER_NXE : 0));
    write_msr(MSR_STAR, (uint64_t)0x18 << 48 | (uint64_t)KERNEL_CS << 32);
    write_msr(MSR_LSTAR, (uint64_t)syscall_entry);
    write_msr(MSR_SFMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
    write_cr0((read_cr0() & ~CR0_EM) | CR0_MP | CR0_NE | CR0_WP | CR0_TS);
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT |
              (cpu_features.global_pages ? CR4_PGE : 0) | (cpu_features.smep ? CR4_SMEP : 0) |
              (cpu_features.smap ? CR4_SMAP : 0));
}
