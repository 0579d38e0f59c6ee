/*
 * From the boot loader to kernel_main: 32-bit protected mode to long mode, to the higher half.
 *
 * All three protocols start a 32-bit kernel without paging, with interrupts off:
 *   Multiboot 1 (specification 0.6.96, §3.2)  eax = 0x2badb002, ebx = information
 *   Multiboot 2 (specification 2.0, §3.2)     eax = 0x36d76289, ebx = information
 *   PVH (Xen, "x86/HVM direct boot ABI")      ebx = start_info, which has its own magic
 * The first 4 GiB are mapped with 2 MiB pages at 0, at the direct map and (1 GiB) at -2 GiB;
 * paging.c replaces these tables.
 */
#include "memory_layout.h"

#define PHYSICAL(symbol) (symbol - 0xffffffff80000000)

#define MULTIBOOT1_MAGIC 0x1badb002
#define MULTIBOOT1_FLAGS 0x00010003 /* page-aligned modules, memory map, address fields */
#define MULTIBOOT2_MAGIC 0xe85250d6
#define PVH_START_MAGIC 0x336ec578

    .cfi_sections .debug_frame
    .section .boot.headers, "ax", @progbits
    .balign 8
multiboot1_header:
    .long MULTIBOOT1_MAGIC
    .long MULTIBOOT1_FLAGS
    .long -(MULTIBOOT1_MAGIC + MULTIBOOT1_FLAGS)
    .long multiboot1_header         /* header_addr */
    .long image_physical_start      /* load_addr */
    .long load_physical_end         /* load_end_addr */
    .long image_physical_end        /* bss_end_addr */
    .long multiboot_entry           /* entry_addr */

    .balign 8
multiboot2_header:
    .long MULTIBOOT2_MAGIC
    .long 0                         /* i386 */
    .long multiboot2_header_end - multiboot2_header
    .long -(MULTIBOOT2_MAGIC + multiboot2_header_end - multiboot2_header)
    .word 0, 0                      /* end tag */
    .long 8
multiboot2_header_end:

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18                  /* name size, description size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad pvh_entry

    .section .boot.text, "ax", @progbits
    .code32
    .globl multiboot_entry, pvh_entry
    .type multiboot_entry, @function
    .type pvh_entry, @function
pvh_entry:
    movl $PVH_START_MAGIC, %eax
multiboot_entry:
    cli
    cld
    movl $PHYSICAL(boot_stack_top), %esp
    movl %eax, %ebp                 /* the magic; ebx stays the information */

    movl $0x80000000, %eax
    pushl %ebx
    cpuid
    cmpl $0x80000001, %eax
    jb no_long_mode
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc no_long_mode
    popl %ebx

    /* 2048 entries of 2 MiB: present, writable, large. */
    movl $PHYSICAL(boot_directories), %edi
    movl $0x83, %eax
    xorl %edx, %edx
1:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $8, %edi
    addl $0x200000, %eax
    jnc 1b
    movl $PHYSICAL(boot_directories) + 3, %eax
    movl $PHYSICAL(boot_pdpt_low), %edi
    movl %eax, PHYSICAL(boot_pdpt_high) + 510 * 8
    movl $4, %ecx
2:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x1000, %eax
    loop 2b
    movl $PHYSICAL(boot_pdpt_low) + 3, PHYSICAL(boot_pml4)
    movl $PHYSICAL(boot_pdpt_low) + 3, PHYSICAL(boot_pml4) + 256 * 8
    movl $PHYSICAL(boot_pdpt_high) + 3, PHYSICAL(boot_pml4) + 511 * 8

    movl %cr4, %eax
    orl $(1 << 5), %eax             /* CR4.PAE */
    movl %eax, %cr4
    movl $PHYSICAL(boot_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $(1 << 8), %eax             /* EFER.LME */
    wrmsr
    movl %cr0, %eax
    orl $0x80010001, %eax           /* PG, WP, PE */
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $0x08, $long_mode_entry

no_long_mode:
    movl $no_long_mode_text, %esi
1:  movw $0x3fd, %dx
    inb %dx, %al
    testb $0x20, %al
    jz 1b
    lodsb
    testb %al, %al
    jz 2f
    movw $0x3f8, %dx
    outb %al, %dx
    jmp 1b
2:  hlt
    jmp 2b
    .size multiboot_entry, . - multiboot_entry

no_long_mode_text:
    .asciz "Exo-OS: this processor has no long mode\n"

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        /* 64-bit code */
    .quad 0x00cf93000000ffff        /* data */
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long boot_gdt

    .code64
    .type long_mode_entry, @function
long_mode_entry:
    .cfi_startproc
    .cfi_undefined rip
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    movl %ebp, %edi
    movl %ebx, %esi
    xorl %ebp, %ebp
    movabsq $kernel_main, %rax
    call *%rax
    ud2
    .cfi_endproc
    .size long_mode_entry, . - long_mode_entry

    .section .bss
    .balign 4096
boot_pml4: .skip 4096
boot_pdpt_low: .skip 4096
boot_pdpt_high: .skip 4096
boot_directories: .skip 4 * 4096
boot_stack: .skip 16384
boot_stack_top:
    .section .note.GNU-stack, "", @progbits
