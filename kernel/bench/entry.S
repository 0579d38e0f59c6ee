/*
 * A bench guest's start: Multiboot 1 to long mode, 1 GiB mapped one to one with 2 MiB pages,
 * interrupts off for good. The kernel's own start (src/boot/entry.S) explains the steps.
 */
#define MAGIC 0x1badb002
#define FLAGS 0x00010003

    .section .boot, "ax", @progbits
    .balign 4
header:
    .long MAGIC, FLAGS, -(MAGIC + FLAGS)
    .long header, image_start, load_end, image_end, bench_entry

    .code32
    .globl bench_entry
    .type bench_entry, @function
bench_entry:
    cli
    cld
    movl $stack_top, %esp
    movl %ebx, %esi
    movl $directory, %edi
    movl $0x83, %eax
    movl $512, %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    loop 1b
    movl $directory + 3, pdpt
    movl $pdpt + 3, pml4
    movl %cr4, %eax
    orl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    andl $~4, %eax /* EM */
    orl $0x80000003, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $0x08, $long_mode
    .size bench_entry, . - bench_entry

    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .code64
    .type long_mode, @function
long_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %esi, %edi
    call bench_main
    ud2
    .size long_mode, . - long_mode

    .text
    /* void bench_exchange(void **save, void *load): to another stack. */
    .globl bench_exchange
    .type bench_exchange, @function
bench_exchange:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size bench_exchange, . - bench_exchange

    .section .bss
    .balign 4096
    .globl pdpt
pml4: .skip 4096
pdpt: .skip 4096
directory: .skip 4096
    .skip 65536
stack_top:
    .section .note.GNU-stack, "", @progbits
