/* Workloads on memory: stores, a sieve, quicksort, rep movsb. */
#include "workloads.h"

#define STORE_WORDS 8192
#define SIEVE_BYTES 2000000
#define SORT_LIMIT 1000000
#define COPY_BYTES (1024 * 1024)

static uint64_t store_area[STORE_WORDS];
static uint8_t sieve_area[SIEVE_BYTES];
static uint32_t sort_area[SORT_LIMIT];
static uint8_t copy_area[2][COPY_BYTES];

__attribute__((noinline)) uint64_t bench_store(uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        ((volatile uint64_t *)store_area)[i % STORE_WORDS] = i;
    }
    return store_area[7];
}

/* How many primes are below SIEVE_BYTES. */
static uint64_t sieve(void) {
    uint64_t primes = 0;
    for (uint64_t i = 0; i < SIEVE_BYTES; i++) {
        sieve_area[i] = 1;
        __asm__ volatile("" : : : "memory"); /* byte by byte */
    }
    for (uint64_t i = 2; i < SIEVE_BYTES; i++) {
        if (sieve_area[i] == 0) {
            continue;
        }
        primes++;
        for (uint64_t multiple = 2 * i; multiple < SIEVE_BYTES; multiple += i) {
            sieve_area[multiple] = 0;
        }
    }
    return primes;
}

uint64_t bench_sieve(uint64_t count) {
    uint64_t sum = 0;
    while (count-- != 0) {
        sum += sieve();
    }
    return sum;
}

static void quicksort(uint32_t *first, uint32_t *last) {
    while (first < last) {
        uint32_t pivot = first[(last - first) / 2];
        uint32_t *low = first, *high = last;
        while (low <= high) {
            while (*low < pivot) {
                low++;
            }
            while (*high > pivot) {
                high--;
            }
            if (low <= high) {
                uint32_t value = *low;
                *low++ = *high;
                *high-- = value;
            }
        }
        quicksort(first, high);
        first = low;
    }
}

uint64_t bench_quicksort(uint64_t count) {
    uint64_t random = 1, sum = 0;
    if (count > SORT_LIMIT) {
        count = SORT_LIMIT;
    }
    for (uint64_t i = 0; i < count; i++) {
        random = next_random(random);
        sort_area[i] = (uint32_t)(random >> 32);
    }
    quicksort(sort_area, sort_area + count - 1);
    for (uint64_t i = 0; i < count; i++) {
        sum = sum * 31 + sort_area[i];
    }
    return sum;
}

uint64_t bench_movs(uint64_t megabytes) {
    for (uint64_t i = 0; i < COPY_BYTES; i++) {
        copy_area[0][i] = (uint8_t)(i * 7);
    }
    for (uint64_t i = 0; i < megabytes; i++) {
        void *from = copy_area[i % 2], *to = copy_area[(i + 1) % 2];
        uint64_t count = COPY_BYTES;
        __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
        copy_area[(i + 1) % 2][i % COPY_BYTES]++;
    }
    uint64_t sum = 0;
    for (uint64_t i = 0; i < COPY_BYTES; i++) {
        sum = sum * 31 + copy_area[megabytes % 2][i];
    }
    return sum;
}
