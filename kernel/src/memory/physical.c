/*
 * Physical pages. One PageFrame for every page up to the end of usable memory; a page is free when
 * nobody refers to it. Allocation searches on from where the last one ended.
 */
#include "boot.h"
#include "kernel.h"
#include "memory.h"
#include "process.h"

#define RESERVED 0xffff
#define LOW_MEMORY_END 0x100000ull  /* firmware and loader data live below */
#define BOOT_MAPPED_END 0x100000000ull

struct PageFrame {
    uint16_t references; /* 0 free, RESERVED not ours */
};

extern char image_physical_end[];

static struct PageFrame *frames;
static uint64_t frame_count, free_count, search_from;

uint64_t physical_end(void) {
    return frame_count * PAGE_SIZE;
}

uint64_t pages_free(void) {
    return free_count;
}

static void mark(struct PhysicalRange range, uint16_t references) {
    uint64_t end = range.end / PAGE_SIZE < frame_count ? range.end / PAGE_SIZE : frame_count;
    for (uint64_t i = round_up(range.start, PAGE_SIZE) / PAGE_SIZE; i < end; i++) {
        frames[i].references = references;
    }
}

/* The first place behind the kernel and all modules where `size` bytes are usable. */
static uint64_t place_for_frames(uint64_t size) {
    const struct BootInformation *boot = &boot_information;
    uint64_t start = (uint64_t)image_physical_end;
    for (size_t i = 0; i < boot->module_count; i++) {
        start = boot->modules[i].end > start ? boot->modules[i].end : start;
    }
    for (size_t i = 0; i < boot->usable_count; i++) {
        uint64_t from = boot->usable[i].start > start ? boot->usable[i].start : start;
        from = round_up(from, PAGE_SIZE);
        if (from + size <= boot->usable[i].end && from + size <= BOOT_MAPPED_END) {
            return from;
        }
    }
    panic("there must be %lu bytes of usable memory for page frames", size);
}

void physical_initialise(void) {
    const struct BootInformation *boot = &boot_information;
    for (size_t i = 0; i < boot->usable_count; i++) {
        uint64_t end = boot->usable[i].end / PAGE_SIZE;
        frame_count = end > frame_count ? end : frame_count;
    }
    uint64_t size = round_up(frame_count * sizeof(struct PageFrame), PAGE_SIZE);
    uint64_t place = place_for_frames(size);
    frames = direct_map(place);
    memset(frames, 0xff, size);
    for (size_t i = 0; i < boot->usable_count; i++) {
        mark(boot->usable[i], 0);
    }
    mark((struct PhysicalRange){0, LOW_MEMORY_END}, RESERVED);
    mark((struct PhysicalRange){LOW_MEMORY_END, (uint64_t)image_physical_end}, RESERVED);
    mark((struct PhysicalRange){place, place + size}, RESERVED);
    for (size_t i = 0; i < boot->module_count; i++) {
        struct PhysicalRange module = boot->modules[i];
        module.start = round_down(module.start, PAGE_SIZE);
        module.end = round_up(module.end, PAGE_SIZE);
        mark(module, RESERVED);
    }
    for (uint64_t i = 0; i < frame_count; i++) {
        free_count += frames[i].references == 0;
    }
    search_from = place / PAGE_SIZE;
}

static bool run_is_free(uint64_t first, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (frames[first + i].references != 0) {
            return false;
        }
    }
    return true;
}

static uint64_t take(uint64_t first, size_t count) {
    for (size_t i = 0; i < count; i++) {
        frames[first + i].references = 1;
    }
    free_count -= count;
    search_from = first + count;
    return first * PAGE_SIZE;
}

/* Returns the physical address of `count` adjoining pages, each with one reference, or 0. */
uint64_t page_allocate_run(size_t count) {
    uint64_t result = 0;
    preempt_disable();
    if (free_count >= count) {
        for (uint64_t i = 0; i < frame_count && result == 0; i++) {
            uint64_t first = (search_from + i) % frame_count;
            if (first + count <= frame_count && run_is_free(first, count)) {
                result = take(first, count);
            }
        }
    }
    preempt_enable();
    return result;
}

uint64_t page_allocate(void) {
    return page_allocate_run(1);
}

uint64_t page_allocate_zeroed(void) {
    uint64_t page = page_allocate();
    if (page != 0) {
        memset(direct_map(page), 0, PAGE_SIZE);
    }
    return page;
}

static struct PageFrame *frame_of(uint64_t physical) {
    uint64_t index = physical / PAGE_SIZE;
    if (index >= frame_count || frames[index].references == 0 ||
        frames[index].references == RESERVED) {
        panic("a page in use must be allocated: %lx", physical);
    }
    return &frames[index];
}

void page_share(uint64_t physical) {
    frame_of(physical)->references++;
}

uint32_t page_references(uint64_t physical) {
    return frame_of(physical)->references;
}

void page_release(uint64_t physical) {
    struct PageFrame *frame = frame_of(physical);
    preempt_disable();
    frame->references--;
    if (frame->references == 0) {
        free_count++;
        if (physical / PAGE_SIZE < search_from) {
            search_from = physical / PAGE_SIZE;
        }
    }
    preempt_enable();
}
