/*
 * Entries from the IDT. Every vector leaves the same trap frame (struct TrapFrame) on the kernel
 * stack:
 *
 *   high   ss rsp rflags cs rip   by the CPU, in 64-bit mode always all five
 *          error                  by the CPU, or 0 from the stub
 *          vector                 by the stub
 *   low    rdi rsi … r14 r15      by interrupt_common; rsp points at r15
 *
 * The CFI describes the interrupted code as the caller (.cfi_signal_frame: its rip is exact, not a
 * return address), so a backtrace goes through interrupts, into ring 3 as well.
 */
#include "cpu.h"

    .cfi_sections .debug_frame

/* \above: bytes between rsp and the pushed rip. */
.macro frame_cfi above
    .cfi_signal_frame
    .cfi_def_cfa rsp, \above + 40
    .cfi_offset rip, -40
    .cfi_offset rsp, -16
.endm

.macro push_register name
    pushq %\name
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \name, 0
.endm

.macro pop_register name
    popq %\name
    .cfi_adjust_cfa_offset -8
    .cfi_restore \name
.endm

.macro push_registers
    .irp name, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
    push_register \name
    .endr
.endm

.macro pop_registers
    .irp name, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
    pop_register \name
    .endr
.endm

.macro vector_stub number, has_error
    .type interrupt_stub_\number, @function
interrupt_stub_\number:
    .cfi_startproc simple
    .if \has_error
    frame_cfi 8
    .else
    frame_cfi 0
    pushq $0
    .cfi_adjust_cfa_offset 8
    .endif
    pushq $\number
    .cfi_adjust_cfa_offset 8
    .if \number == 1 || \number == 2 || \number == 8 || \number == 18
    jmp interrupt_paranoid
    .else
    jmp interrupt_common
    .endif
    .cfi_endproc
    .size interrupt_stub_\number, . - interrupt_stub_\number
    .section .rodata
    .quad interrupt_stub_\number
    .text
.endm

    .section .rodata
    .balign 8
    .globl interrupt_stubs
interrupt_stubs:
    .text
    .altmacro
    .set vector, 0
    .rept 49
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
    vector_stub %vector, 1
    .else
    vector_stub %vector, 0
    .endif
    .set vector, vector + 1
    .endr
    .noaltmacro

    .globl interrupt_common, trap_return, thread_entry, enter_user_mode
    .type interrupt_common, @function
interrupt_common:
    .cfi_startproc simple
    frame_cfi 16
    push_registers
    testb $3, 144(%rsp)             /* cs: from ring 3? */
    jz 1f
    swapgs
1:  cld
    movq %rsp, %rdi
    call interrupt_dispatch
trap_return:
    cli
    testb $3, 144(%rsp)
    jz 2f
    swapgs
2:  pop_registers
    addq $16, %rsp
    .cfi_adjust_cfa_offset -16
    iretq
    .cfi_endproc
    .size interrupt_common, . - interrupt_common

/*
 * Vectors that can strike between a ring change and its swapgs (debug, NMI, double fault, machine
 * check) run on stacks of their own and look at GS itself: the kernel's is in the upper half.
 */
    .type interrupt_paranoid, @function
interrupt_paranoid:
    .cfi_startproc simple
    frame_cfi 16
    push_registers
    cld
    movl $MSR_GS_BASE, %ecx
    rdmsr
    xorl %ebx, %ebx
    testl %edx, %edx
    js 1f
    swapgs
    incl %ebx                       /* swap back at the end */
1:  movq %rsp, %rdi
    call interrupt_dispatch
    cli
    testl %ebx, %ebx
    jz 2f
    swapgs
2:  pop_registers
    addq $16, %rsp
    .cfi_adjust_cfa_offset -16
    iretq
    .cfi_endproc
    .size interrupt_paranoid, . - interrupt_paranoid

/* enter_user_mode(frame): leaves the kernel by this frame, which lies at the stack's top. */
    .type enter_user_mode, @function
enter_user_mode:
    .cfi_startproc
    .cfi_undefined rip
    cli
    movq %rdi, %rsp
    jmp trap_return
    .cfi_endproc
    .size enter_user_mode, . - enter_user_mode

/*
 * Where a new kernel thread starts, THREAD_ENTRY_START bytes in: rbx = function, r12 = argument.
 * The outermost frame. The nop is for debuggers, which look a return address up by the byte before
 * it, and to which the switch to a new thread is a return to here.
 */
    .type thread_entry, @function
thread_entry:
    .cfi_startproc
    .cfi_undefined rip
    nop
    xorl %ebp, %ebp
    movq %r12, %rdi
    call *%rbx
    call thread_returned
    ud2
    .cfi_endproc
    .size thread_entry, . - thread_entry
    .section .note.GNU-stack, "", @progbits
