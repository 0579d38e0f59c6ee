/*
 * The heap: free lists of blocks of 32, 64 … 2048 bytes cut from single pages, and runs of whole
 * pages for what is larger. A 16-byte header in front of every block says which.
 */
#include "kernel.h"
#include "memory.h"
#include "process.h"

#define SMALLEST_BLOCK 32
#define CLASSES 7
#define HEADER_MAGIC 0x45584f48u

struct Header {
    uint32_t magic;
    uint32_t class; /* CLASSES: a run of pages */
    uint64_t pages;
};

struct FreeBlock {
    struct FreeBlock *next;
};

static struct FreeBlock *free_lists[CLASSES];

static uint32_t class_of(size_t size) {
    uint32_t class = 0;
    while (class < CLASSES && ((size_t)SMALLEST_BLOCK << class) < size) {
        class ++;
    }
    return class;
}

static bool refill(uint32_t class) {
    uint64_t page = page_allocate();
    if (page == 0) {
        return false;
    }
    size_t size = (size_t)SMALLEST_BLOCK << class;
    for (size_t offset = 0; offset < PAGE_SIZE; offset += size) {
        struct FreeBlock *block = (void *)((char *)direct_map(page) + offset);
        block->next = free_lists[class];
        free_lists[class] = block;
    }
    return true;
}

static struct Header *allocate_run(size_t size) {
    size_t pages = round_up(size, PAGE_SIZE) / PAGE_SIZE;
    uint64_t physical = page_allocate_run(pages);
    if (physical == 0) {
        return NULL;
    }
    struct Header *header = direct_map(physical);
    *header = (struct Header){HEADER_MAGIC, CLASSES, pages};
    return header;
}

static struct Header *allocate_block(uint32_t class) {
    if (free_lists[class] == NULL && !refill(class)) {
        return NULL;
    }
    struct Header *header = (void *)free_lists[class];
    free_lists[class] = free_lists[class]->next;
    *header = (struct Header){HEADER_MAGIC, class, 0};
    return header;
}

void *heap_allocate(size_t size) {
    size_t total = size + sizeof(struct Header);
    uint32_t class = class_of(total);
    preempt_disable();
    struct Header *header = class == CLASSES ? allocate_run(total) : allocate_block(class);
    preempt_enable();
    if (header == NULL) {
        return NULL;
    }
    memset(header + 1, 0, size);
    return header + 1;
}

void heap_free(void *pointer) {
    if (pointer == NULL) {
        return;
    }
    struct Header *header = (struct Header *)pointer - 1;
    if (header->magic != HEADER_MAGIC) {
        panic("a freed pointer must come from heap_allocate: %lx", (uint64_t)pointer);
    }
    header->magic = 0;
    preempt_disable();
    if (header->class == CLASSES) {
        uint64_t first = physical_of(header);
        uint64_t pages = header->pages;
        for (uint64_t i = 0; i < pages; i++) {
            page_release(first + i * PAGE_SIZE);
        }
    } else {
        uint32_t class = header->class;
        struct FreeBlock *block = (void *)header;
        block->next = free_lists[class];
        free_lists[class] = block;
    }
    preempt_enable();
}
