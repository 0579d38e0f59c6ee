/*
 * Reads what the loader left: Multiboot 1 (0.6.96 §3.3), Multiboot 2 (2.0 §3.6), PVH start_info.
 * Only the command line, usable memory and modules are taken.
 */
#include "boot.h"

#include "kernel.h"
#include "memory.h"

#define MULTIBOOT1_LOADED 0x2badb002u
#define MULTIBOOT2_LOADED 0x36d76289u
#define PVH_START 0x336ec578u
#define MEMORY_USABLE 1u

struct Multiboot1Information {
    uint32_t flags, memory_lower, memory_upper, boot_device, command_line;
    uint32_t module_count, modules;
    uint32_t symbols[4];
    uint32_t map_size, map;
};

struct Multiboot1MapEntry {
    uint32_t size; /* of what follows */
    uint64_t start, length;
    uint32_t type;
} __attribute__((packed));

struct Multiboot1Module {
    uint32_t start, end, command_line, reserved;
};

struct Multiboot2Tag {
    uint32_t type, size;
};

struct Multiboot2Map {
    struct Multiboot2Tag tag;
    uint32_t entry_size, entry_version;
};

struct MapEntry { /* Multiboot 2 and PVH agree */
    uint64_t start, length;
    uint32_t type, reserved;
};

struct Multiboot2Module {
    struct Multiboot2Tag tag;
    uint32_t start, end;
};

struct PvhStartInformation {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, map;
    uint32_t map_count, reserved;
};

struct PvhModule {
    uint64_t start, size, command_line, reserved;
};

struct BootInformation boot_information;

static void add_usable(uint64_t start, uint64_t length, uint32_t type) {
    struct BootInformation *boot = &boot_information;
    if (type == MEMORY_USABLE && length > 0 && boot->usable_count < BOOT_MEMORY_RANGES) {
        boot->usable[boot->usable_count++] = (struct PhysicalRange){start, start + length};
    }
}

static void add_module(uint64_t start, uint64_t end) {
    struct BootInformation *boot = &boot_information;
    if (boot->module_count < BOOT_MODULES) {
        boot->modules[boot->module_count++] = (struct PhysicalRange){start, end};
    }
}

static void set_command_line(const char *text) {
    copy_string(boot_information.command_line, text, sizeof(boot_information.command_line));
}

static void read_multiboot1(uint64_t address) {
    const struct Multiboot1Information *information = direct_map(address);
    boot_information.protocol = "Multiboot 1";
    if (information->flags & (1u << 2)) {
        set_command_line(direct_map(information->command_line));
    }
    if (information->flags & (1u << 3)) {
        const struct Multiboot1Module *modules = direct_map(information->modules);
        for (uint32_t i = 0; i < information->module_count; i++) {
            add_module(modules[i].start, modules[i].end);
        }
    }
    if (!(information->flags & (1u << 6))) {
        add_usable(0x100000, (uint64_t)information->memory_upper << 10, MEMORY_USABLE);
        return;
    }
    for (uint32_t offset = 0; offset < information->map_size;) {
        const struct Multiboot1MapEntry *entry = direct_map(information->map + offset);
        add_usable(entry->start, entry->length, entry->type);
        offset += entry->size + 4;
    }
}

static void read_multiboot2_tag(const struct Multiboot2Tag *tag) {
    if (tag->type == 1) {
        set_command_line((const char *)(tag + 1));
    } else if (tag->type == 3) {
        const struct Multiboot2Module *module = (const void *)tag;
        add_module(module->start, module->end);
    } else if (tag->type == 6) {
        const struct Multiboot2Map *map = (const void *)tag;
        for (uint32_t offset = sizeof(*map); offset < tag->size; offset += map->entry_size) {
            const struct MapEntry *entry = (const void *)((const char *)tag + offset);
            add_usable(entry->start, entry->length, entry->type);
        }
    }
}

static void read_multiboot2(uint64_t address) {
    uint32_t total_size = *(const uint32_t *)direct_map(address);
    boot_information.protocol = "Multiboot 2";
    for (uint32_t offset = 8; offset < total_size;) {
        const struct Multiboot2Tag *tag = direct_map(address + offset);
        if (tag->type == 0) {
            return;
        }
        read_multiboot2_tag(tag);
        offset += (uint32_t)round_up(tag->size, 8);
    }
}

static void read_pvh(uint64_t address) {
    const struct PvhStartInformation *information = direct_map(address);
    boot_information.protocol = "PVH";
    if (information->magic != PVH_START) {
        panic("PVH start_info must carry its magic, not %x", information->magic);
    }
    if (information->command_line != 0) {
        set_command_line(direct_map(information->command_line));
    }
    const struct PvhModule *modules = direct_map(information->modules);
    for (uint32_t i = 0; i < information->module_count; i++) {
        add_module(modules[i].start, modules[i].start + modules[i].size);
    }
    if (information->version < 1) {
        panic("PVH start_info must be version 1 or later to have a memory map");
    }
    const struct MapEntry *map = direct_map(information->map);
    for (uint32_t i = 0; i < information->map_count; i++) {
        add_usable(map[i].start, map[i].length, map[i].type);
    }
}

/* True if the command line has exactly this word. */
bool boot_has_argument(const char *word) {
    const char *text = boot_information.command_line;
    size_t length = strlen(word);
    while (*text != 0) {
        size_t word_length = 0;
        while (text[word_length] != 0 && text[word_length] != ' ') {
            word_length++;
        }
        if (word_length == length && memcmp(text, word, length) == 0) {
            return true;
        }
        text += word_length;
        while (*text == ' ') {
            text++;
        }
    }
    return false;
}

void boot_information_read(uint32_t magic, uint32_t physical_address) {
    static const struct {
        uint32_t magic;
        void (*read)(uint64_t address);
    } protocols[] = {
        {MULTIBOOT1_LOADED, read_multiboot1},
        {MULTIBOOT2_LOADED, read_multiboot2},
        {PVH_START, read_pvh},
    };
    for (size_t i = 0; i < COUNT_OF(protocols); i++) {
        if (protocols[i].magic == magic) {
            protocols[i].read(physical_address);
        }
    }
    if (boot_information.protocol == NULL) {
        panic("the boot loader must be Multiboot 1, Multiboot 2 or PVH; eax is %x", magic);
    }
    boot_information.run_tests_and_exit = boot_has_argument("test");
    boot_information.capture_stale = boot_has_argument("capture=stale");
}
