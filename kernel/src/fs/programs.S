/* The programs as the tmpfs holds them: stripped copies of those in kernel/images. */
.macro program name
    .section .rodata
    .balign 16
    .globl program_\name\()_start, program_\name\()_end
program_\name\()_start:
    .incbin "\name\().stripped"
program_\name\()_end:
.endm

    program hello
    program tests
    program protection
    program worker
    program console
    .section .note.GNU-stack, "", @progbits
