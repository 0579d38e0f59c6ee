/*
 * A guest whose program calls its kernel by every instruction there is: SYSENTER, INT 0x80 and a call
 * gate from 32-bit compatibility mode, SYSCALL from 64-bit mode; the numbers are 20, 5, 24 and 39. PVH
 * entry (Xen, "x86/HVM direct boot ABI"), one to one with 2 MiB pages that ring 3 may use.
 */
#define PRESENT_WRITABLE_USER 7
#define LARGE_PAGE 0x80
#define USER 3
#define KERNEL_CODE 0x08
#define USER_CODE_32 0x18
#define USER_DATA 0x20
#define USER_CODE_64 0x28
#define TASK 0x30
#define CALL_GATE 0x40

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18 /* name size, description size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long _start

    .text
    .code32
    .globl _start
_start:
    movl $large_pages, %edi
    movl $(LARGE_PAGE | PRESENT_WRITABLE_USER), %eax
    movl $16, %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    loop 1b
    movl $(large_pages + PRESENT_WRITABLE_USER), pdpt
    movl $(pdpt + PRESENT_WRITABLE_USER), pml4
    movl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER: LME, SCE */
    movl $0x101, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80000011, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $KERNEL_CODE, $long_mode

    .code64
long_mode:
    movl $(KERNEL_CODE + 8), %eax
    movl %eax, %ss
    movl $kernel_stack_top, %esp
    movl $task, %eax
    movw %ax, gdt + TASK + 2
    shrl $16, %eax
    movb %al, gdt + TASK + 4
    movl $TASK, %eax
    ltr %ax
    movl $int80_entry, %eax
    movw %ax, interrupt_gate
    shrl $16, %eax
    movw %ax, interrupt_gate + 6
    lidt idt_pointer
    movl $gate_entry, %eax
    movw %ax, gdt + CALL_GATE
    shrl $16, %eax
    movw %ax, gdt + CALL_GATE + 6

    xorl %edx, %edx
    movl $0x174, %ecx /* SYSENTER_CS, _ESP, _EIP */
    movl $KERNEL_CODE, %eax
    wrmsr
    incl %ecx
    movl $kernel_stack_top, %eax
    wrmsr
    incl %ecx
    movl $sysenter_entry, %eax
    wrmsr
    movl $0xc0000082, %ecx /* LSTAR */
    movl $syscall_entry, %eax
    wrmsr
    decl %ecx /* STAR: below SYSRET's user code */
    xorl %eax, %eax
    movl $(KERNEL_CODE | (USER_CODE_32 | USER) << 16), %edx
    wrmsr

    pushq $(USER_DATA | USER)
    pushq $user_stack_top
    pushq $2
    pushq $(USER_CODE_32 | USER)
    pushq $program
    iretq

sysenter_entry:
    sysexitl /* to edx, with ecx for a stack */
int80_entry:
    iretq
gate_entry:
    lretq
syscall_entry:
    sysretq

    .code32
program:
    movl $20, %eax
    movl %esp, %ecx
    movl $after_sysenter, %edx
    sysenter
    nop
after_sysenter:
    movl $5, %eax
    int $0x80
after_int80:
    movl $24, %eax
    lcall $CALL_GATE, $0
after_gate:
    ljmp $(USER_CODE_64 | USER), $program64
    .code64
program64:
    movl $39, %eax
    syscall
after_syscall:
    ljmp *back
back:
    .long program
    .word USER_CODE_32 | USER

    .data
    .balign 16
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
    .quad 0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
    .quad 0x0000890000000067, 0 /* the task, whose address comes later */
    .quad 0x0000ec0000080000, 0 /* the call gate, likewise */
gdt_pointer:
    .word . - gdt - 1
    .long gdt
idt_pointer:
    .word 0x81 * 16 - 1
    .quad idt
idt:
    .zero 0x80 * 16
interrupt_gate:
    .quad 0x0000ee0000080000, 0
task:
    .long 0
    .quad kernel_stack_top
    .zero 0x68 - 12

    .bss
    .balign 4096
pml4: .zero 4096
pdpt: .zero 4096
large_pages: .zero 4096
    .zero 4096
kernel_stack_top:
    .zero 4096
user_stack_top:
