/* What the boot loader said, in one form for all protocols. */
#ifndef BOOT_H
#define BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOT_MEMORY_RANGES 64
#define BOOT_MODULES 8

struct PhysicalRange {
    uint64_t start, end; /* end exclusive */
};

struct BootInformation {
    const char *protocol;
    char command_line[256];
    struct PhysicalRange usable[BOOT_MEMORY_RANGES];
    size_t usable_count;
    struct PhysicalRange modules[BOOT_MODULES];
    size_t module_count;
    bool run_tests_and_exit; /* `test` */
    bool capture_stale;      /* `capture=stale` */
};

extern struct BootInformation boot_information;

/* Copies everything out of the loader's memory; panics on an unknown magic. */
void boot_information_read(uint32_t magic, uint32_t physical_address);
bool boot_has_argument(const char *word);

#endif
