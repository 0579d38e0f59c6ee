/*
 * Kernel page tables and the tables of tasks (Intel SDM 3A §4.5).
 *
 * Top-level slots: 0 the user half, 256 the direct map, 510 the task's kernel stack, 511 the kernel
 * image. 256 and 511 are made here once and shared by every task. In slot 510 each task has tables
 * and stack pages of its own, so a kernel stack has the same address in every task, and the page
 * below it is not mapped.
 */
#include "cpu.h"
#include "kernel.h"
#include "memory.h"

#define ENTRIES 512
#define SLOT_USER 0
#define SLOT_STACK 510
#define TWO_MEGABYTES 0x200000ull
#define ONE_GIGABYTE 0x40000000ull
#define STACK_PAGES (KERNEL_STACK_SIZE / PAGE_SIZE)
#define LEVEL_TOP 4
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITABLE)

extern char text_start[], text_end[], rodata_start[], rodata_end[], data_start[], image_end[];

static uint64_t kernel_pml4;

static uint64_t table_allocate(void) {
    uint64_t table = page_allocate_zeroed();
    if (table == 0) {
        panic("there must be memory for the kernel's page tables");
    }
    return table;
}

static uint64_t *entry_at(uint64_t table, uint64_t address, int level) {
    uint64_t *entries = direct_map(table);
    return &entries[address >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];
}

/*
 * The entry for `address` at `level`; makes the tables above it. Only for the kernel's own tables.
 */
static uint64_t *kernel_entry(uint64_t address, int level) {
    uint64_t table = kernel_pml4;
    for (int at = LEVEL_TOP; at > level; at--) {
        uint64_t *entry = entry_at(table, address, at);
        if (!(*entry & PTE_PRESENT)) {
            *entry = table_allocate() | TABLE_FLAGS;
        }
        table = *entry & PTE_ADDRESS;
    }
    return entry_at(table, address, level);
}

static uint64_t kernel_flags(uint64_t flags) {
    if (!cpu_features.nx) {
        flags &= ~PTE_NX;
    }
    return flags | PTE_PRESENT | (cpu_features.global_pages ? PTE_GLOBAL : 0);
}

static void map_image_part(const char *start, const char *end, uint64_t flags) {
    for (uint64_t address = (uint64_t)start; address < (uint64_t)end; address += PAGE_SIZE) {
        *kernel_entry(address, 1) = (address - KERNEL_BASE) | kernel_flags(flags);
    }
}

static void map_all_memory(void) {
    uint64_t step = cpu_features.gigabyte_pages ? ONE_GIGABYTE : TWO_MEGABYTES;
    int level = cpu_features.gigabyte_pages ? 3 : 2;
    for (uint64_t physical = 0; physical < physical_end(); physical += step) {
        *kernel_entry(DIRECT_MAP_BASE + physical, level) =
            physical | PTE_LARGE | kernel_flags(PTE_WRITABLE | PTE_NX);
    }
}

void paging_initialise(void) {
    kernel_pml4 = table_allocate();
    map_all_memory();
    map_image_part(text_start, text_end, 0);
    map_image_part(rodata_start, rodata_end, PTE_NX);
    map_image_part(data_start, image_end, PTE_WRITABLE | PTE_NX);
    write_cr3(kernel_pml4);
}

/* All tasks see it, since they share the tables below slot 511. */
volatile void *paging_map_device(uint64_t physical) {
    *kernel_entry(DEVICE_MAP_BASE, 1) =
        physical | kernel_flags(PTE_WRITABLE | PTE_NX | PTE_CACHE_DISABLE);
    invalidate_page(DEVICE_MAP_BASE);
    return (volatile void *)DEVICE_MAP_BASE;
}

/* Frees a table of the stack slot and everything below it. */
static void free_tree(uint64_t table, int level) {
    uint64_t *entries = direct_map(table);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!(entries[i] & PTE_PRESENT)) {
            continue;
        }
        if (level > 1) {
            free_tree(entries[i] & PTE_ADDRESS, level - 1);
        } else {
            page_release(entries[i] & PTE_ADDRESS);
        }
    }
    page_release(table);
}

/* Makes the entry for a kernel-stack page, with tables; null if there is no memory. */
static uint64_t *stack_entry(uint64_t pml4, uint64_t address) {
    uint64_t table = pml4;
    for (int level = LEVEL_TOP; level > 1; level--) {
        uint64_t *entry = entry_at(table, address, level);
        if (!(*entry & PTE_PRESENT)) {
            uint64_t page = page_allocate_zeroed();
            if (page == 0) {
                return NULL;
            }
            *entry = page | TABLE_FLAGS;
        }
        table = *entry & PTE_ADDRESS;
    }
    return entry_at(table, address, 1);
}

/* A PML4 with the kernel's half and a kernel stack of its own; 0 if there is no memory. */
uint64_t task_tables_create(void) {
    uint64_t pml4 = page_allocate_zeroed();
    if (pml4 == 0) {
        return 0;
    }
    uint64_t *entries = direct_map(pml4);
    const uint64_t *kernel_entries = direct_map(kernel_pml4);
    for (size_t i = ENTRIES / 2; i < ENTRIES; i++) {
        entries[i] = kernel_entries[i];
    }
    for (uint64_t i = 0; i < STACK_PAGES; i++) {
        uint64_t *entry = stack_entry(pml4, KERNEL_STACK_BASE + i * PAGE_SIZE);
        uint64_t page = entry == NULL ? 0 : page_allocate_zeroed();
        if (page == 0) {
            task_tables_destroy(pml4);
            return 0;
        }
        *entry = page | PTE_PRESENT | PTE_WRITABLE | (cpu_features.nx ? PTE_NX : 0);
    }
    return pml4;
}

/* Must not be the tables in CR3. The user half belongs to its address space and stays. */
void task_tables_destroy(uint64_t pml4) {
    uint64_t *entries = direct_map(pml4);
    if (entries[SLOT_STACK] & PTE_PRESENT) {
        free_tree(entries[SLOT_STACK] & PTE_ADDRESS, LEVEL_TOP - 1);
    }
    page_release(pml4);
}

void *task_stack_page(uint64_t pml4, uint64_t address) {
    uint64_t page = *stack_entry(pml4, address) & PTE_ADDRESS;
    return (char *)direct_map(page) + address % PAGE_SIZE;
}

void task_set_user_half(uint64_t pml4, uint64_t pdpt) {
    uint64_t *entries = direct_map(pml4);
    entries[SLOT_USER] = pdpt == 0 ? 0 : pdpt | TABLE_FLAGS | PTE_USER;
    if (read_cr3() == pml4) {
        write_cr3(pml4);
    }
}

static bool kernel_page_is_mapped(uint64_t address, bool write) {
    uint64_t table = read_cr3() & PTE_ADDRESS;
    for (int level = LEVEL_TOP; level >= 1; level--) {
        uint64_t entry = *entry_at(table, address, level);
        if (!(entry & PTE_PRESENT) || (write && !(entry & PTE_WRITABLE))) {
            return false;
        }
        if (level > 1 && level < LEVEL_TOP && entry & PTE_LARGE) {
            return true;
        }
        table = entry & PTE_ADDRESS;
    }
    return true;
}

/* For pointers that a kernel-mode process gave to a system call. */
bool kernel_range_is_mapped(uint64_t address, size_t size, bool write) {
    if (address < DIRECT_MAP_BASE || address + size < address) {
        return false;
    }
    for (uint64_t at = round_down(address, PAGE_SIZE); at < address + size; at += PAGE_SIZE) {
        if (!kernel_page_is_mapped(at, write)) {
            return false;
        }
        if (at + PAGE_SIZE < at) {
            break;
        }
    }
    return true;
}
