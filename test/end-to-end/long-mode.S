/* From 32-bit code, as Multiboot 1 leaves it, to kernel_main in long mode; the first 2 MiB are mapped. */

.section .text
.code32
.globl _start
_start:
  mov $stack + 4096, %esp
  movl $page_directory_pointers + 3, page_map
  movl $page_directory + 3, page_directory_pointers
  movl $0x83, page_directory          /* 2 MiB, writable, present */
  mov $page_map, %eax
  mov %eax, %cr3
  mov $0x20, %eax                     /* PAE */
  mov %eax, %cr4
  mov $0xc0000080, %ecx               /* EFER */
  rdmsr
  or $0x100, %eax                     /* LME */
  wrmsr
  mov $0x80000011, %eax               /* PG, ET, PE */
  mov %eax, %cr0
  lgdt gdt_register
  ljmp $8, $long_mode

.code64
long_mode:
  movabs $0x1122334455667788, %rax
  xor %ebp, %ebp
  call kernel_main

.data
.align 8
gdt:
  .quad 0, 0x00af9b000000ffff         /* 64-bit code */
gdt_register:
  .word 15
  .long gdt

.bss
.align 4096
page_map: .skip 4096
page_directory_pointers: .skip 4096
page_directory: .skip 4096

.section .note.GNU-stack, "", @progbits
