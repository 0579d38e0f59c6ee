/* The entry of every program, at 0x401000: main(argc, argv), then exit. */
#include "system_call_numbers.h"

    .cfi_sections .debug_frame
    .section .text.start, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    .cfi_startproc
    .cfi_undefined rip
    xorl %ebp, %ebp
    movq (%rsp), %rdi
    leaq 8(%rsp), %rsi
    call main
    movl %eax, %edi
    movl $SYS_EXIT_GROUP, %eax
    syscall
    ud2
    .cfi_endproc
    .size _start, . - _start
    .section .note.GNU-stack, "", @progbits
