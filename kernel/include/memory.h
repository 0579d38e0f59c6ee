/* Physical pages, the heap, page tables and address spaces. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory_layout.h"

#define PTE_PRESENT (1ull << 0)
#define PTE_WRITABLE (1ull << 1)
#define PTE_USER (1ull << 2)
#define PTE_CACHE_DISABLE (1ull << 4)
#define PTE_LARGE (1ull << 7)
#define PTE_GLOBAL (1ull << 8)
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

static inline void *direct_map(uint64_t physical) {
    return (void *)(DIRECT_MAP_BASE + physical);
}

static inline uint64_t physical_of(const void *direct_mapped) {
    return (uint64_t)direct_mapped - DIRECT_MAP_BASE;
}

static inline uint64_t round_up(uint64_t value, uint64_t unit) {
    return (value + unit - 1) & ~(unit - 1);
}

static inline uint64_t round_down(uint64_t value, uint64_t unit) {
    return value & ~(unit - 1);
}

/* --- physical.c: page frames with reference counts --- */
void physical_initialise(void);
uint64_t page_allocate(void);        /* one page, not cleared; 0 if there is none */
uint64_t page_allocate_zeroed(void);
uint64_t page_allocate_run(size_t count);
void page_share(uint64_t physical);
void page_release(uint64_t physical); /* drops a reference, frees at the last */
uint32_t page_references(uint64_t physical);
uint64_t pages_free(void);
uint64_t physical_end(void);         /* end of the highest usable page */

/* --- heap.c --- */
void *heap_allocate(size_t size);    /* cleared, 16-aligned; null if there is no memory */
void heap_free(void *pointer);

/* --- paging.c: kernel tables and the tables of tasks --- */
void paging_initialise(void);
volatile void *paging_map_device(uint64_t physical); /* one page of registers, at a fixed address */
uint64_t task_tables_create(void);   /* a PML4 with its own kernel stack; 0 if no memory */
void task_tables_destroy(uint64_t pml4);
/* The direct-mapped byte at an address in the task's stack slot. */
void *task_stack_page(uint64_t pml4, uint64_t address);
void task_set_user_half(uint64_t pml4, uint64_t pdpt);  /* 0 = none */
bool kernel_range_is_mapped(uint64_t address, size_t size, bool write);

/* --- address_space.c: the user half --- */
#define PROTECTION_READ 1u
#define PROTECTION_WRITE 2u
#define PROTECTION_EXECUTE 4u

struct Region {
    struct Region *next; /* in ascending order of addresses */
    uint64_t start, end;
    uint32_t protection;
};

struct AddressSpace {
    uint32_t references; /* tasks that use it */
    uint64_t pdpt;       /* physical */
    struct Region *regions;
    uint64_t break_start, break_end;
};

struct AddressSpace *address_space_create(void);
struct AddressSpace *address_space_copy(struct AddressSpace *source); /* copy on write */
void address_space_release(struct AddressSpace *space);
int64_t address_space_map(struct AddressSpace *space, uint64_t start, uint64_t size,
                          uint32_t protection);
int64_t address_space_unmap(struct AddressSpace *space, uint64_t start, uint64_t size);
uint64_t address_space_find_gap(struct AddressSpace *space, uint64_t size);
bool address_space_is_free(struct AddressSpace *space, uint64_t start, uint64_t end);
/*
 * Makes the page usable for the access if a region allows it: fills it in, or copies a shared one.
 */
bool address_space_fault(struct AddressSpace *space, uint64_t address, uint32_t access);
/* The page's bytes through the direct map, or null if the access is not allowed. */
uint8_t *address_space_page(struct AddressSpace *space, uint64_t address, uint32_t access);

/* --- user_copy.c: 0 or -EFAULT; kernel-mode processes may pass kernel addresses --- */
int64_t copy_from_user(void *destination, uint64_t source, size_t size);
int64_t copy_to_user(uint64_t destination, const void *source, size_t size);
int64_t copy_string_from_user(char *destination, uint64_t source, size_t size);

#endif
