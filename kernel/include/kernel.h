/* What every part of the kernel uses: strings, printing, giving up. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory_layout.h"

#define KERNEL_NAME "Exo-OS 0.1"

void *memcpy(void *destination, const void *source, size_t size);
void *memmove(void *destination, const void *source, size_t size);
void *memset(void *destination, int value, size_t size);
int memcmp(const void *left, const void *right, size_t size);
size_t strlen(const char *text);
int strcmp(const char *left, const char *right);
void copy_string(char *destination, const char *source, size_t size);
size_t format_arguments(char *buffer, size_t size, const char *format, va_list arguments);
size_t format(char *buffer, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* To the serial console, as one piece: no other output comes in between. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* States the rule that was broken, then stops the machine (with `test`: ends it as failed). */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Sends what is left on the serial line, writes the debug-exit port, halts if there is none. */
_Noreturn void machine_exit(uint8_t status);

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
