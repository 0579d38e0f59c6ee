/*
 * How a program of GDB's test suite starts on the bare machine: PVH entry (Xen, "x86/HVM direct boot
 * ABI"), long mode, one to one with 2 MiB pages and page 0 missing, as a null pointer must fault; then
 * the process's first stack as the System V ABI has it, and the C library's _start, in ring 0.
 *
 * The linker's own layout is kept: the program loads at 4 MiB, and its entry in the ELF header stays _start.
 */
#define MAPPED_GIGABYTES 1
#define PRESENT_WRITABLE 3
#define LARGE_PAGE 0x80

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18 /* name size, description size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long machine_entry

    .text
    .code32
    .globl machine_entry
    .type machine_entry, @function
machine_entry:
    cli
    cld
    movl $kernel_stack_top, %esp
    movl %ebx, %esi /* start_info */

    movl $large_pages, %edi
    movl $(LARGE_PAGE | PRESENT_WRITABLE), %eax
    movl $(512 * MAPPED_GIGABYTES), %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    loop 1b
    movl $(small_pages + 8), %edi
    movl $(0x1000 | PRESENT_WRITABLE), %eax
    movl $511, %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x1000, %eax
    loop 1b
    movl $(small_pages + PRESENT_WRITABLE), large_pages
    movl $(large_pages + PRESENT_WRITABLE), pdpt
    movl $(pdpt + PRESENT_WRITABLE), pml4

    movl %cr4, %eax
    orl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x101, %eax /* LME, SCE */
    wrmsr
    movl %cr0, %eax
    andl $~4, %eax /* EM */
    orl $0x80000003, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $0x08, $long_mode
    .size machine_entry, . - machine_entry

    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt
idt_pointer:
    .word 32 * 16 - 1
    .quad idt

    .code64
    .type long_mode, @function
long_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    fninit

    /* Every exception ends the program: its number is all that is wanted of it. */
    movl $idt, %edi
    movl $exceptions, %eax
    movl $32, %ecx
1:  movw %ax, (%rdi)
    movw $8, 2(%rdi)
    movw $0x8e00, 4(%rdi)
    movl %eax, %edx
    shrl $16, %edx
    movw %dx, 6(%rdi)
    addl $16, %edi
    addl $16, %eax
    loop 1b
    lidt idt_pointer

    movl $0xc0000081, %ecx /* STAR: selectors 8 and 16 after syscall */
    xorl %eax, %eax
    movl $8, %edx
    wrmsr
    incl %ecx /* LSTAR */
    movl $system_call, %eax
    xorl %edx, %edx
    wrmsr
    addl $2, %ecx /* FMASK: direction and trap */
    movl $0x500, %eax
    wrmsr

    movl %esi, %edi
    call prepare_process
    movq %rax, %rsp
    xorl %edx, %edx /* nothing to call at exit */
    xorl %ebp, %ebp
    jmp _start
    .size long_mode, . - long_mode

    /* syscall from ring 0: rcx has the return address, r11 the flags. */
    .type system_call, @function
system_call:
    movq %rsp, caller_stack
    movl $kernel_stack_top, %esp
    pushq %rcx
    pushq %r11
    pushq %r9
    pushq %r8
    pushq %r10
    pushq %rdx
    pushq %rsi
    pushq %rdi
    movq %rsp, %rsi
    movq %rax, %rdi
    call answer_system_call
    popq %rdi
    popq %rsi
    popq %rdx
    popq %r10
    popq %r8
    popq %r9
    popq %r11
    popq %rcx
    pushq %r11
    popfq
    movq caller_stack, %rsp
    jmp *%rcx
    .size system_call, . - system_call

    .type exceptions, @function
    .balign 16
exceptions:
    .set vector, 0
    .rept 32
    .balign 16
    movl $vector, %edi
    jmp exception
    .set vector, vector + 1
    .endr
exception:
    movl $kernel_stack_top, %esp
    call end_with_exception
    .size exceptions, . - exceptions

    .section .bss
    .balign 4096
pml4: .skip 4096
pdpt: .skip 4096
    .globl large_pages
large_pages: .skip 4096 * MAPPED_GIGABYTES
small_pages: .skip 4096
idt: .skip 32 * 16
    .skip 16384
kernel_stack_top:
caller_stack: .skip 8
    .section .note.GNU-stack, "", @progbits
