/* The workloads: each takes how often and returns a number that depends on all that it did. */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include <stdint.h>

uint64_t bench_lcg(uint64_t rounds);
uint64_t bench_store(uint64_t stores);
uint64_t bench_sieve(uint64_t sieves);
uint64_t bench_sha256(uint64_t blocks);
uint64_t bench_quicksort(uint64_t elements);
uint64_t bench_matrix(uint64_t products);
uint64_t bench_indirect(uint64_t calls);
uint64_t bench_switch(uint64_t switches);
uint64_t bench_movs(uint64_t megabytes);
uint64_t bench_int80(uint64_t calls);
uint64_t bench_fault(uint64_t faults);

/* Makes a generator of numbers go on: the 64-bit LCG of Knuth's MMIX. */
static inline uint64_t next_random(uint64_t value) {
    return value * 6364136223846793005ull + 1442695040888963407ull;
}

#endif
