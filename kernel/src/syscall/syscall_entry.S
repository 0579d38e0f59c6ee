/*
 * The two ways into a system call. Both leave a trap frame and call syscall_dispatch(frame).
 */
#include "cpu.h"
#include "memory_layout.h"

    .cfi_sections .debug_frame

/* Below ss, rsp, rflags, cs, rip, error, vector: the registers in the order of struct TrapFrame. */
.macro push_register name
    pushq %\name
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \name, 0
.endm

.macro push_registers
    .irp name, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
    push_register \name
    .endr
.endm

/*
 * The syscall instruction from ring 3: rcx = rip, r11 = rflags, interrupts off (SFMASK), still on
 * the user's stack. Every task's kernel stack has the same top, so no task data is needed to find
 * it.
 */
    .globl syscall_entry
    .type syscall_entry, @function
    .text
syscall_entry:
    .cfi_startproc simple
    .cfi_def_cfa rsp, 0
    .cfi_register rip, rcx
    swapgs
    movq %rsp, %gs:CPU_USER_RSP
    movabsq $KERNEL_STACK_TOP, %rsp
    .cfi_def_cfa rsp, 0
    pushq $USER_SS
    .cfi_adjust_cfa_offset 8
    pushq %gs:CPU_USER_RSP
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rsp, 0
    pushq %r11
    .cfi_adjust_cfa_offset 8
    pushq $USER_CS
    .cfi_adjust_cfa_offset 8
    pushq %rcx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rip, 0
    pushq $0
    .cfi_adjust_cfa_offset 8
    pushq $TRAP_VECTOR_SYSCALL
    .cfi_adjust_cfa_offset 8
    push_registers
    movq %rsp, %rdi
    sti
    call syscall_dispatch
    cli
    .irp name, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
    popq %\name
    .cfi_adjust_cfa_offset -8
    .cfi_restore \name
    .endr
    movq 16(%rsp), %rcx             /* rip */
    .cfi_register rip, rcx
    movq 32(%rsp), %r11             /* rflags */
    movq 40(%rsp), %rsp
    .cfi_def_cfa rsp, 0
    .cfi_same_value rsp
    swapgs
    sysretq
    .cfi_endproc
    .size syscall_entry, . - syscall_entry

/*
 * kernel_syscall(number, a, b, c, d, e, f): a kernel-mode process's system call, by the C calling
 * convention. The registers are put where the syscall instruction would have them, so that the trap
 * frame says the same in both modes.
 */
    .globl kernel_syscall
    .type kernel_syscall, @function
kernel_syscall:
    .cfi_startproc
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq %rcx, %rdx
    movq %r8, %r10
    movq %r9, %r8
    movq 8(%rsp), %r9
    movq (%rsp), %rcx               /* the return address */
    leaq 8(%rsp), %r11              /* rsp behind the return */
    pushq $0                        /* keeps rsp a multiple of 16 at the call */
    .cfi_adjust_cfa_offset 8
    pushq $KERNEL_SS
    .cfi_adjust_cfa_offset 8
    pushq %r11
    .cfi_adjust_cfa_offset 8
    pushfq
    .cfi_adjust_cfa_offset 8
    movq (%rsp), %r11
    pushq $KERNEL_CS
    .cfi_adjust_cfa_offset 8
    pushq %rcx
    .cfi_adjust_cfa_offset 8
    pushq $0
    .cfi_adjust_cfa_offset 8
    pushq $TRAP_VECTOR_KERNEL_SYSCALL
    .cfi_adjust_cfa_offset 8
    push_registers
    movq %rsp, %rdi
    call syscall_dispatch
    movq 40(%rsp), %rbx
    .cfi_restore rbx
    movq 32(%rsp), %rbp
    .cfi_restore rbp
    movq 24(%rsp), %r12
    .cfi_restore r12
    movq 16(%rsp), %r13
    .cfi_restore r13
    movq 8(%rsp), %r14
    .cfi_restore r14
    movq 0(%rsp), %r15
    .cfi_restore r15
    addq $(TRAP_FRAME_SIZE + 8), %rsp
    .cfi_adjust_cfa_offset -(TRAP_FRAME_SIZE + 8)
    ret
    .cfi_endproc
    .size kernel_syscall, . - kernel_syscall
    .section .note.GNU-stack, "", @progbits
