/* The product of two matrices of doubles, which SSE2 computes. */
#include "workloads.h"

#define SIZE 160

static double left[SIZE][SIZE], right[SIZE][SIZE], product[SIZE][SIZE];

static void multiply(void) {
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            double sum = 0;
            for (int k = 0; k < SIZE; k++) {
                sum += left[i][k] * right[k][j];
            }
            product[i][j] = sum;
        }
    }
}

uint64_t bench_matrix(uint64_t count) {
    uint64_t random = 1;
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++) {
            random = next_random(random);
            left[i][j] = (double)(int64_t)(random >> 40) / 4096;
            random = next_random(random);
            right[i][j] = (double)(int64_t)(random >> 40) / 4097;
        }
    }
    union {
        double number;
        uint64_t bits;
    } sum = {.number = 0};
    while (count-- != 0) {
        multiply();
        for (int i = 0; i < SIZE; i++) {
            sum.number += product[i][(i * 7 + (int)count) % SIZE];
        }
        left[count % SIZE][3] += 1;
    }
    return sum.bits;
}
