/*
 * Floating-point programs that run twice: on the host as a program, and in the emulated PC as a
 * Multiboot kernel in 32-bit protected mode (GUEST). Each prints the bits of its results; both runs
 * must print the same.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef double double2 __attribute__((vector_size(16)));
typedef float float4 __attribute__((vector_size(16)));
typedef int int4 __attribute__((vector_size(16)));

#ifdef GUEST
static void put(char c) { __asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((unsigned short)0x3f8)); }
static void leave(void) { __asm__ volatile("outb %0, %1" : : "a"((u8)0), "Nd"((unsigned short)0xf4)); }
#else
#include <stdio.h>
static void put(char c) { putchar(c); }
static void leave(void) {}
#endif

static void print_text(const char *text) { while (*text) put(*text++); }

static void print_hex(u64 value, int digits) {
  while (digits-- > 0) put("0123456789abcdef"[(value >> (digits * 4)) & 15]);
  put(' ');
}

static void print_double(double value) {
  union { double value; u64 bits; } both = { value };
  print_hex(both.bits, 16);
}

static void print_float(float value) {
  union { float value; u32 bits; } both = { value };
  print_hex(both.bits, 8);
}

static u32 get_mxcsr(void) {
  u32 value;
  __asm__ volatile("stmxcsr %0" : "=m"(value));
  return value;
}

static void set_mxcsr(u32 value) { __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory"); }

static double root(double value) {
  __asm__("sqrtsd %1, %0" : "=x"(value) : "x"(value));
  return value;
}

/* The sun and four planets: add, multiply, divide and square root of doubles. */
static void orbits(void) {
  static double p[5][3] = { {0, 0, 0}, {4.84, -1.16, -0.10}, {8.34, 4.12, -0.40},
                            {12.89, -15.11, -0.22}, {15.37, -25.9, 0.17} };
  static double v[5][3] = { {0, 0, 0}, {0.6, 2.81, -0.02}, {-1.01, 1.82, 0.008},
                            {1.08, 0.86, -0.01}, {0.97, 0.59, -0.03} };
  static const double mass[5] = { 39.47, 0.037, 0.011, 0.0017, 0.002 };
  for (int step = 0; step < 2000; step++) {
    for (int i = 0; i < 5; i++)
      for (int j = i + 1; j < 5; j++) {
        double d[3], square = 0;
        for (int k = 0; k < 3; k++) { d[k] = p[i][k] - p[j][k]; square += d[k] * d[k]; }
        double magnitude = 0.01 / (square * root(square));
        for (int k = 0; k < 3; k++) {
          v[i][k] -= d[k] * mass[j] * magnitude;
          v[j][k] += d[k] * mass[i] * magnitude;
        }
      }
    for (int i = 0; i < 5; i++) for (int k = 0; k < 3; k++) p[i][k] += 0.01 * v[i][k];
  }
  for (int i = 0; i < 5; i++) for (int k = 0; k < 3; k++) print_double(p[i][k]);
}

/* Escape times of the Mandelbrot set: four singles at once, compares and masks. */
static void fractal(void) {
  for (int row = 0; row < 24; row++) {
    int4 total = { 0, 0, 0, 0 };
    for (int column = 0; column < 64; column += 4) {
      float c = column;
      float4 re = { c, c + 1, c + 2, c + 3 };
      re = re / 24.0f - 2.0f;
      float4 im = (float4){ 0, 0, 0, 0 } + (row / 10.0f - 1.2f), x = re, y = im;
      for (int count = 0; count < 50; count++) {
        float4 xx = x * x, yy = y * y;
        total -= (int4)(xx + yy < 4.0f);
        y = 2.0f * x * y + im;
        x = xx - yy + re;
        if (count % 8 == 7) x = (float4)((int4)x & (int4)(xx + yy < 1e6f));
      }
    }
    print_hex(total[0] + total[1] * 3 + total[2] * 5 + total[3] * 7, 8);
  }
}

/* Whole numbers in doubles: nothing is ever inexact. */
static void whole_numbers(void) {
  double sum = 0, product = 1;
  for (int i = 1; i < 3000; i++) {
    sum += (double)i * i;
    if (i < 18) product *= i;
  }
  print_double(sum);
  print_double(product);
  print_hex(get_mxcsr(), 8);
}

/* Down to the denormals and up to infinity, under every rounding mode, with and without FTZ. */
static void extremes(void) {
  for (u32 mode = 0; mode < 8; mode++) {
    set_mxcsr(0x1f80 | ((mode & 3) << 13) | (mode >> 2) * 0x8040);
    volatile double tiny = 1.0, huge = 1.5;
    volatile float small = 1.0f;
    for (int i = 0; i < 700; i++) { tiny /= 3.1; huge *= 3.7; small = small * 0.77f; }
    print_double(tiny); print_double(huge); print_float(small);
    volatile double third = -1.0 / 3;
    print_float((float)third);
    int rounded, truncated;
    volatile double number = 2.5 + mode;
    __asm__("cvtsd2si %1, %0" : "=r"(rounded) : "x"(number));
    __asm__("cvttsd2si %1, %0" : "=r"(truncated) : "x"(number));
    print_hex(rounded, 8); print_hex(truncated, 8); print_hex(get_mxcsr(), 8);
  }
  set_mxcsr(0x1f80);
}

/* A dot product of integers and doubles in vectors: conversions, shuffles and unpacking. */
static void vectors(void) {
  double2 sum = { 0, 0 };
  int4 lanes = { 1, -2, 3, -4 };
  for (int i = 0; i < 500; i++) {
    lanes = lanes * 3 + (lanes >> 7) - i;
    float4 f = __builtin_convertvector(lanes, float4);
    float4 turned = __builtin_shuffle(f, (int4){ 3, 1, 0, 2 });
    f = f / (turned + 1.0f);
    sum += (double2){ f[0], f[1] } * (double2){ f[2], f[3] };
  }
  print_double(sum[0]);
  print_double(sum[1]);
  for (int i = 0; i < 4; i++) print_hex(lanes[i], 8);
}

static void run(const char *name, void (*program)(void)) {
  set_mxcsr(0x1f80);
  print_text(name);
  put(' ');
  program();
  put('\n');
}

static void run_all(void) {
  run("orbits", orbits);
  run("fractal", fractal);
  run("whole", whole_numbers);
  run("extremes", extremes);
  run("vectors", vectors);
  leave();
}

#ifdef GUEST
__asm__(".section .multiboot, \"a\"\n"
        ".align 4\n.long 0x1badb002, 0, -0x1badb002\n"
        ".text\n.global _start\n_start:\n"
        "mov $stack_top, %esp\n"
        "mov %cr0, %eax\nand $~4, %eax\nor $2, %eax\nmov %eax, %cr0\n"
        "mov %cr4, %eax\nor $0x600, %eax\nmov %eax, %cr4\n"
        "call guest_main\n1: hlt\njmp 1b\n"
        ".bss\n.align 16\n.skip 65536\nstack_top:\n.text\n");
void guest_main(void) { run_all(); }
#else
int main(void) { run_all(); return 0; }
#endif
