/*
 * Loads a program: a static ELF64 executable for x86-64 (System V gABI, chapters 4 and 5). Every
 * number in the file is doubted before it is used; what does not fit is -ENOEXEC.
 */
#include "kernel.h"
#include "memory.h"
#include "process.h"
#include "system_call_numbers.h"

#define ELF_EXECUTABLE 2
#define ELF_MACHINE_X86_64 62
#define SEGMENT_LOAD 1
#define SEGMENT_EXECUTE 1u
#define SEGMENT_WRITE 2u
#define SEGMENT_READ 4u

struct ElfHeader {
    uint8_t identification[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_size, program_header_size, program_header_count;
    uint16_t section_header_size, section_header_count, section_names;
};

struct ProgramHeader {
    uint32_t type, flags;
    uint64_t offset, address, physical_address, file_size, memory_size, alignment;
};

static const uint8_t expected_identification[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

static bool header_is_good(const struct ElfHeader *header, size_t size) {
    return memcmp(header->identification, expected_identification,
                  sizeof(expected_identification)) == 0 &&
           header->type == ELF_EXECUTABLE && header->machine == ELF_MACHINE_X86_64 &&
           header->program_header_size == sizeof(struct ProgramHeader) &&
           header->program_headers <= size &&
           header->program_header_count <=
               (size - header->program_headers) / sizeof(struct ProgramHeader) &&
           header->entry >= USER_START && header->entry < USER_END;
}

static bool segment_is_good(const struct ProgramHeader *segment, size_t size) {
    return segment->file_size <= segment->memory_size && segment->offset <= size &&
           segment->file_size <= size - segment->offset &&
           segment->address >= USER_START && segment->address < USER_MAP_START &&
           segment->memory_size <= USER_MAP_START - segment->address;
}

static uint32_t protection_of(uint32_t flags) {
    return (flags & SEGMENT_READ ? PROTECTION_READ : 0) |
           (flags & SEGMENT_WRITE ? PROTECTION_WRITE : 0) |
           (flags & SEGMENT_EXECUTE ? PROTECTION_EXECUTE : 0);
}

static int64_t load_segment(const uint8_t *image, const struct ProgramHeader *segment,
                            struct AddressSpace *space) {
    uint64_t start = round_down(segment->address, PAGE_SIZE);
    uint32_t protection = protection_of(segment->flags);
    int64_t error = address_space_map(
        space, start, segment->address + segment->memory_size - start, protection);
    if (error != 0) {
        return error == -EEXIST ? -ENOEXEC : error;
    }
    for (uint64_t done = 0; done < segment->file_size;) {
        uint64_t address = segment->address + done;
        uint64_t part = PAGE_SIZE - address % PAGE_SIZE;
        part = part < segment->file_size - done ? part : segment->file_size - done;
        uint8_t *page = address_space_page(space, address, 0);
        if (page == NULL) {
            return -ENOMEM;
        }
        memcpy(page, image + segment->offset + done, part);
        done += part;
    }
    uint64_t end = round_up(segment->address + segment->memory_size, PAGE_SIZE);
    if (end > space->break_start) {
        space->break_start = space->break_end = end;
    }
    return 0;
}

/* On an error the caller releases the space. */
int64_t program_load(const uint8_t *image, size_t size, struct AddressSpace *space,
                     uint64_t *entry) {
    struct ElfHeader header;
    bool loaded = false;
    if (size < sizeof(header)) {
        return -ENOEXEC;
    }
    memcpy(&header, image, sizeof(header));
    if (!header_is_good(&header, size)) {
        return -ENOEXEC;
    }
    for (size_t i = 0; i < header.program_header_count; i++) {
        struct ProgramHeader segment;
        memcpy(&segment, image + header.program_headers + i * sizeof(segment), sizeof(segment));
        if (segment.type != SEGMENT_LOAD || segment.memory_size == 0) {
            continue;
        }
        int64_t error = segment_is_good(&segment, size) ? load_segment(image, &segment, space)
                                                        : -ENOEXEC;
        if (error != 0) {
            return error;
        }
        loaded = true;
    }
    *entry = header.entry;
    return loaded ? 0 : -ENOEXEC;
}
