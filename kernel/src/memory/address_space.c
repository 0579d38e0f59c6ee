/*
 * The user half: regions say what is allowed, the page tables what is there. Pages are filled with
 * zeros at the first touch; a fork shares them read-only and the first write copies one.
 * The whole half lies in one top-level slot, so tasks share it by sharing one PDPT.
 */
#include "cpu.h"
#include "kernel.h"
#include "memory.h"
#include "system_call_numbers.h"

#define ENTRIES 512
#define LEVEL_PDPT 3
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITABLE | PTE_USER)

struct AddressSpace *address_space_create(void) {
    struct AddressSpace *space = heap_allocate(sizeof(*space));
    if (space == NULL) {
        return NULL;
    }
    space->references = 1;
    space->pdpt = page_allocate_zeroed();
    if (space->pdpt == 0) {
        heap_free(space);
        return NULL;
    }
    return space;
}

static uint64_t *entry_at(uint64_t table, uint64_t address, int level) {
    uint64_t *entries = direct_map(table);
    return &entries[address >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];
}

/* The page-table entry of `address`, with tables made as needed; null if there is no memory. */
static uint64_t *make_entry(struct AddressSpace *space, uint64_t address) {
    uint64_t table = space->pdpt;
    for (int level = LEVEL_PDPT; level > 1; level--) {
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

/*
 * The first page that is there from *address on, before `end`: its entry, with *address set to it;
 * null if there is none. Missing tables are skipped whole: a region may be 512 GiB of nothing.
 */
static uint64_t *next_present(struct AddressSpace *space, uint64_t *address, uint64_t end) {
    while (*address < end) {
        int level = LEVEL_PDPT;
        uint64_t *entry = entry_at(space->pdpt, *address, level);
        while (level > 1 && *entry & PTE_PRESENT) {
            level--;
            entry = entry_at(*entry & PTE_ADDRESS, *address, level);
        }
        if (*entry & PTE_PRESENT) {
            return entry;
        }
        uint64_t covered = 1ull << (12 + 9 * (level - 1));
        *address = round_down(*address, covered) + covered;
    }
    return NULL;
}

static struct Region *find_region(struct AddressSpace *space, uint64_t address) {
    for (struct Region *region = space->regions; region != NULL; region = region->next) {
        if (address >= region->start && address < region->end) {
            return region;
        }
    }
    return NULL;
}

bool address_space_is_free(struct AddressSpace *space, uint64_t start, uint64_t end) {
    for (struct Region *region = space->regions; region != NULL; region = region->next) {
        if (start < region->end && region->start < end) {
            return false;
        }
    }
    return true;
}

static bool range_is_user(uint64_t start, uint64_t size) {
    return start % PAGE_SIZE == 0 && size > 0 && start >= USER_START && start < USER_END &&
           size <= USER_END - start;
}

/* Adds a region; its pages appear when they are touched. The range must be free. */
int64_t address_space_map(struct AddressSpace *space, uint64_t start, uint64_t size,
                          uint32_t protection) {
    size = round_up(size, PAGE_SIZE);
    if (!range_is_user(start, size)) {
        return -EINVAL;
    }
    if (!address_space_is_free(space, start, start + size)) {
        return -EEXIST;
    }
    struct Region *region = heap_allocate(sizeof(*region));
    if (region == NULL) {
        return -ENOMEM;
    }
    struct Region **link = &space->regions;
    while (*link != NULL && (*link)->start < start) {
        link = &(*link)->next;
    }
    *region = (struct Region){*link, start, start + size, protection};
    *link = region;
    return 0;
}

static void release_pages(struct AddressSpace *space, uint64_t start, uint64_t end) {
    uint64_t address = start;
    for (uint64_t *entry; (entry = next_present(space, &address, end)) != NULL;) {
        page_release(*entry & PTE_ADDRESS);
        *entry = 0;
        invalidate_page(address);
    }
}

/* Cuts [start, end) out of one region; `link` points at it. Returns false without memory. */
static bool cut_region(struct Region **link, uint64_t start, uint64_t end) {
    struct Region *region = *link;
    if (start <= region->start && end >= region->end) {
        *link = region->next;
        heap_free(region);
        return true;
    }
    if (start > region->start && end < region->end) {
        struct Region *tail = heap_allocate(sizeof(*tail));
        if (tail == NULL) {
            return false;
        }
        *tail = (struct Region){region->next, end, region->end, region->protection};
        region->next = tail;
        region->end = start;
    } else if (start <= region->start) {
        region->start = end;
    } else {
        region->end = start;
    }
    return true;
}

int64_t address_space_unmap(struct AddressSpace *space, uint64_t start, uint64_t size) {
    size = round_up(size, PAGE_SIZE);
    if (!range_is_user(start, size)) {
        return -EINVAL;
    }
    uint64_t end = start + size;
    for (struct Region **link = &space->regions; *link != NULL;) {
        struct Region *region = *link;
        if (end <= region->start || region->end <= start) {
            link = &region->next;
            continue;
        }
        uint64_t from = start > region->start ? start : region->start;
        uint64_t to = end < region->end ? end : region->end;
        if (!cut_region(link, start, end)) {
            return -ENOMEM;
        }
        release_pages(space, from, to);
        if (*link == region) {
            link = &region->next;
        }
    }
    return 0;
}

uint64_t address_space_find_gap(struct AddressSpace *space, uint64_t size) {
    uint64_t start = USER_MAP_START;
    for (struct Region *region = space->regions; region != NULL; region = region->next) {
        if (region->end > start && region->start < start + size) {
            start = region->end;
        }
    }
    return start + size <= USER_STACK_TOP - 2 * USER_STACK_SIZE ? start : 0;
}

static uint64_t entry_flags(uint32_t protection) {
    uint64_t flags = PTE_PRESENT | PTE_USER;
    if (protection & PROTECTION_WRITE) {
        flags |= PTE_WRITABLE;
    }
    if (!(protection & PROTECTION_EXECUTE) && cpu_features.nx) {
        flags |= PTE_NX;
    }
    return flags;
}

/* The first write to a page that a fork shares: the last sharer keeps it, the others copy it. */
static bool copy_shared_page(uint64_t *entry, uint64_t address) {
    uint64_t old = *entry & PTE_ADDRESS;
    if (page_references(old) == 1) {
        *entry |= PTE_WRITABLE;
        invalidate_page(address);
        return true;
    }
    uint64_t copy = page_allocate();
    if (copy == 0) {
        return false;
    }
    memcpy(direct_map(copy), direct_map(old), PAGE_SIZE);
    *entry = copy | PTE_WRITABLE | (*entry & ~PTE_ADDRESS);
    page_release(old);
    invalidate_page(address);
    return true;
}

bool address_space_fault(struct AddressSpace *space, uint64_t address, uint32_t access) {
    address = round_down(address, PAGE_SIZE);
    struct Region *region = find_region(space, address);
    if (region == NULL || (region->protection & access) != access) {
        return false;
    }
    uint64_t *entry = make_entry(space, address);
    if (entry == NULL) {
        return false;
    }
    if (*entry & PTE_PRESENT) {
        bool copy = access & PROTECTION_WRITE && !(*entry & PTE_WRITABLE);
        return copy ? copy_shared_page(entry, address) : true;
    }
    uint64_t page = page_allocate_zeroed();
    if (page == 0) {
        return false;
    }
    *entry = page | entry_flags(region->protection);
    return true;
}

uint8_t *address_space_page(struct AddressSpace *space, uint64_t address, uint32_t access) {
    if (address >= USER_END || !address_space_fault(space, address, access)) {
        return NULL;
    }
    uint64_t entry = *make_entry(space, address);
    return (uint8_t *)direct_map(entry & PTE_ADDRESS) + address % PAGE_SIZE;
}

static bool share_pages(struct AddressSpace *copy, struct AddressSpace *source,
                        const struct Region *region) {
    uint64_t address = region->start;
    for (uint64_t *entry; (entry = next_present(source, &address, region->end)) != NULL;) {
        uint64_t *copied = make_entry(copy, address);
        if (copied == NULL) {
            return false;
        }
        *entry &= ~PTE_WRITABLE;
        page_share(*entry & PTE_ADDRESS);
        *copied = *entry;
        invalidate_page(address);
        address += PAGE_SIZE;
    }
    return true;
}

/*
 * For fork. The source must be the current address space, since its entries lose their
 * writability.
 */
struct AddressSpace *address_space_copy(struct AddressSpace *source) {
    struct AddressSpace *copy = address_space_create();
    if (copy == NULL) {
        return NULL;
    }
    copy->break_start = source->break_start;
    copy->break_end = source->break_end;
    for (struct Region *region = source->regions; region != NULL; region = region->next) {
        if (address_space_map(copy, region->start, region->end - region->start,
                              region->protection) != 0 ||
            !share_pages(copy, source, region)) {
            address_space_release(copy);
            return NULL;
        }
    }
    return copy;
}

static void free_tables(uint64_t table, int level) {
    uint64_t *entries = direct_map(table);
    for (size_t i = 0; level > 1 && i < ENTRIES; i++) {
        if (entries[i] & PTE_PRESENT) {
            free_tables(entries[i] & PTE_ADDRESS, level - 1);
        }
    }
    page_release(table);
}

/* The last user frees it; by then no task's tables may refer to it. */
void address_space_release(struct AddressSpace *space) {
    space->references--;
    if (space->references > 0) {
        return;
    }
    while (space->regions != NULL) {
        struct Region *region = space->regions;
        release_pages(space, region->start, region->end);
        space->regions = region->next;
        heap_free(region);
    }
    free_tables(space->pdpt, LEVEL_PDPT);
    heap_free(space);
}
