/* Workloads that compute and call: the LCG loop, SHA-256, indirect calls, cooperative switches. */
#include "workloads.h"

__attribute__((noinline)) uint64_t bench_lcg(uint64_t count) {
    uint64_t value = 1, taken = 0;
    do {
        value = next_random(value);
        if ((int64_t)value < 0) {
            taken++;
            __asm__ volatile("" : "+r"(taken)); /* keeps the branch a branch */
        }
    } while (--count != 0);
    return value ^ taken;
}

static const uint32_t ROUND_CONSTANTS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t value, int count) {
    return value >> count | value << (32 - count);
}

/* The compression function (FIPS 180-4 section 6.2.2). */
static void compress(uint32_t state[8], const uint32_t block[16]) {
    uint32_t schedule[64], work[8];
    for (int i = 0; i < 16; i++) {
        schedule[i] = __builtin_bswap32(block[i]);
    }
    for (int i = 16; i < 64; i++) {
        uint32_t early = schedule[i - 15], late = schedule[i - 2];
        uint32_t sigma0 = rotate(early, 7) ^ rotate(early, 18) ^ early >> 3;
        uint32_t sigma1 = rotate(late, 17) ^ rotate(late, 19) ^ late >> 10;
        schedule[i] = schedule[i - 16] + sigma0 + schedule[i - 7] + sigma1;
    }
    for (int i = 0; i < 8; i++) {
        work[i] = state[i];
    }
    for (int i = 0; i < 64; i++) {
        uint32_t a = work[0], e = work[4];
        uint32_t sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        uint32_t choice = (e & work[5]) ^ (~e & work[6]);
        uint32_t first = work[7] + sum1 + choice + ROUND_CONSTANTS[i] + schedule[i];
        uint32_t sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        uint32_t majority = (a & work[1]) ^ (a & work[2]) ^ (work[1] & work[2]);
        for (int k = 7; k > 0; k--) {
            work[k] = work[k - 1];
        }
        work[4] += first;
        work[0] = first + sum0 + majority;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += work[i];
    }
}

uint64_t bench_sha256(uint64_t blocks) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint32_t block[16] = {0};
    while (blocks-- != 0) {
        compress(state, block);
        block[blocks % 16] ^= state[0];
    }
    return (uint64_t)state[0] << 32 | state[7];
}

__attribute__((noinline)) static uint64_t add_one(uint64_t value) {
    return value + 1;
}

__attribute__((noinline)) static uint64_t twice(uint64_t value) {
    return value * 2 + 1;
}

__attribute__((noinline)) static uint64_t turned(uint64_t value) {
    return value << 13 | value >> 51;
}

__attribute__((noinline)) static uint64_t flipped(uint64_t value) {
    return value ^ 0x5555555555555555ull;
}

static uint64_t (*volatile const functions[4])(uint64_t) = {add_one, twice, turned, flipped};

uint64_t bench_indirect(uint64_t calls) {
    uint64_t value = 1;
    for (uint64_t i = 0; i < calls; i++) {
        value = functions[i % 4](value);
    }
    return value;
}

#define STACK_WORDS 512

static uint64_t coroutine_stack[STACK_WORDS];
static void *main_context, *coroutine_context;
static uint64_t shared_value;

void bench_exchange(void **save, void *load);

static _Noreturn void coroutine(void) {
    for (;;) {
        shared_value = next_random(shared_value);
        bench_exchange(&coroutine_context, main_context);
    }
}

/* Each round is two switches. */
uint64_t bench_switch(uint64_t switches) {
    uint64_t *top = coroutine_stack + STACK_WORDS;
    *--top = 0;
    *--top = (uint64_t)(uintptr_t)coroutine;
    for (int saved = 0; saved < 6; saved++) {
        *--top = 0;
    }
    coroutine_context = top;
    shared_value = 1;
    for (uint64_t i = 0; i < switches; i += 2) {
        shared_value ^= i;
        bench_exchange(&main_context, coroutine_context);
    }
    return shared_value;
}
