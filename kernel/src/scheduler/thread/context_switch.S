/*
 * context_switch(previous: rdi, next: rsi), interrupts off.
 *
 * Saves all general registers of the previous thread as they are at the final `ret`, so that a
 * debugger unwinds a switched-out thread from its saved context: rip = context_switch_resume,
 * rsp at the return address into the caller. CR3 and rsp change together: every kernel stack has
 * the same linear address, so between the two instructions rsp means another task's memory.
 */
#include "cpu.h"

#define RAX 0
#define RBX 8
#define RCX 16
#define RDX 24
#define RSI 32
#define RDI 40
#define RBP 48
#define RSP 56
#define R8 64
#define R9 72
#define R10 80
#define R11 88
#define R12 96
#define R13 104
#define R14 112
#define R15 120
#define RIP 128
#define RFLAGS 136
#define CS 144
#define CR3 152

    .cfi_sections .debug_frame
    .globl context_switch, context_switch_resume, switch_window_start, switch_window_end
    .type context_switch, @function
    .text
context_switch:
    .cfi_startproc
    movq %rax, RAX(%rdi)
    movq %rbx, RBX(%rdi)
    movq %rcx, RCX(%rdi)
    movq %rdx, RDX(%rdi)
    movq %rsi, RSI(%rdi)
    movq %rdi, RDI(%rdi)
    movq %rbp, RBP(%rdi)
    movq %rsp, RSP(%rdi)
    movq %r8, R8(%rdi)
    movq %r9, R9(%rdi)
    movq %r10, R10(%rdi)
    movq %r11, R11(%rdi)
    movq %r12, R12(%rdi)
    movq %r13, R13(%rdi)
    movq %r14, R14(%rdi)
    movq %r15, R15(%rdi)
    leaq context_switch_resume(%rip), %rax
    movq %rax, RIP(%rdi)
    pushfq
    .cfi_adjust_cfa_offset 8
    popq RFLAGS(%rdi)
    .cfi_adjust_cfa_offset -8
    movl %cs, %eax
    movq %rax, CS(%rdi)

    movq CR3(%rsi), %rax
switch_window_start:
    movq %rax, %cr3
    movq RSP(%rsi), %rsp
    movq %rsi, %gs:CPU_CURRENT_THREAD
switch_window_end:
    pushq RIP(%rsi)                 /* the return address from here on: no CFA adjustment */
    pushq RFLAGS(%rsi)
    .cfi_adjust_cfa_offset 8
    movq RAX(%rsi), %rax
    movq RBX(%rsi), %rbx
    movq RCX(%rsi), %rcx
    movq RDX(%rsi), %rdx
    movq RDI(%rsi), %rdi
    movq RBP(%rsi), %rbp
    movq R8(%rsi), %r8
    movq R9(%rsi), %r9
    movq R10(%rsi), %r10
    movq R11(%rsi), %r11
    movq R12(%rsi), %r12
    movq R13(%rsi), %r13
    movq R14(%rsi), %r14
    movq R15(%rsi), %r15
    movq RSI(%rsi), %rsi
    popfq                           /* from here an interrupt finds the next thread */
    .cfi_adjust_cfa_offset -8
    ret
context_switch_resume:
    ret
    .cfi_endproc
    .size context_switch, . - context_switch
    .section .note.GNU-stack, "", @progbits
