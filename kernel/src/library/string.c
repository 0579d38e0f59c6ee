/* Bytes and strings. The string instructions are the fastest way on every machine this runs on. */
#include "kernel.h"

void *memcpy(void *destination, const void *source, size_t size) {
    void *result = destination;
    size_t quadwords = size / 8;
    size_t rest = size % 8;
    __asm__ volatile("rep movsq"
                     : "+D"(destination), "+S"(source), "+c"(quadwords)
                     :
                     : "memory");
    __asm__ volatile("rep movsb" : "+D"(destination), "+S"(source), "+c"(rest) : : "memory");
    return result;
}

void *memmove(void *destination, const void *source, size_t size) {
    if ((uintptr_t)destination - (uintptr_t)source >= size) {
        return memcpy(destination, source, size);
    }
    uint8_t *to = destination;
    const uint8_t *from = source;
    while (size > 0) {
        size--;
        to[size] = from[size];
    }
    return destination;
}

void *memset(void *destination, int value, size_t size) {
    void *result = destination;
    uint64_t pattern = 0x0101010101010101ull * (uint8_t)value;
    size_t quadwords = size / 8;
    size_t rest = size % 8;
    __asm__ volatile("rep stosq" : "+D"(destination), "+c"(quadwords) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(destination), "+c"(rest) : "a"(pattern) : "memory");
    return result;
}

int memcmp(const void *left, const void *right, size_t size) {
    const uint8_t *a = left, *b = right;
    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i]) {
            return a[i] - b[i];
        }
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0) {
        length++;
    }
    return length;
}

int strcmp(const char *left, const char *right) {
    while (*left != 0 && *left == *right) {
        left++;
        right++;
    }
    return (uint8_t)*left - (uint8_t)*right;
}

/* Copies at most size - 1 bytes and always terminates. */
void copy_string(char *destination, const char *source, size_t size) {
    size_t i = 0;
    while (i + 1 < size && source[i] != 0) {
        destination[i] = source[i];
        i++;
    }
    destination[i] = 0;
}
