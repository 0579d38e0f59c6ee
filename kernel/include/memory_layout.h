/*
 * The linear address space, alike in every task except where said.
 *
 *   0000000000001000 - 0000007fffffffff  user half: top-level slot 0, one PDPT per address space
 *   ffff800000000000 + physical          direct map of all RAM (slot 256)
 *   ffffff0000010000 - ffffff0000013fff  THIS task's kernel stack (slot 510, private to each task)
 *   ffffffff80000000 + physical          the kernel image (slot 511, -2 GiB)
 *   ffffffffffe00000                     the local APIC's registers (slot 511)
 *
 * Included by C and by assembly.
 */
#ifndef MEMORY_LAYOUT_H
#define MEMORY_LAYOUT_H

#ifdef __ASSEMBLER__
#define ADDRESS(value) value
#else
#include <stdint.h>
#define ADDRESS(value) ((uint64_t)value##ull)
#endif

#define PAGE_SIZE 4096
#define KERNEL_BASE ADDRESS(0xffffffff80000000)
#define DEVICE_MAP_BASE ADDRESS(0xffffffffffe00000)
#define DIRECT_MAP_BASE ADDRESS(0xffff800000000000)
#define KERNEL_STACK_BASE ADDRESS(0xffffff0000010000)
#define KERNEL_STACK_SIZE ADDRESS(0x4000)
#define KERNEL_STACK_TOP (KERNEL_STACK_BASE + KERNEL_STACK_SIZE)

#define USER_START ADDRESS(0x1000)
#define USER_END ADDRESS(0x8000000000)
#define USER_STACK_TOP ADDRESS(0x7ffffff000)
#define USER_STACK_SIZE ADDRESS(0x40000)
#define USER_MAP_START ADDRESS(0x1000000000)

#endif
