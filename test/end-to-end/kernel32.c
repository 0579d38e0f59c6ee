/**
 * A 32-bit Multiboot kernel as tutorials have it, for debuggers: it greets on COM1 and counts for ever. It is
 * compiled for 64 bits too, where long-mode.S leads to kernel_main.
 */

__attribute__((section(".multiboot"), used)) static const unsigned multiboot[] = {
    0x1badb002, 0, -0x1badb002u};

struct counter {
  int steps;
  unsigned sum;
};

volatile struct counter total;
unsigned char stack[4096] __attribute__((aligned(16), used));

static void put(char letter) {
  __asm__ volatile("outb %0, %1" : : "a"(letter), "Nd"((unsigned short)0x3f8));
}

__attribute__((noinline)) unsigned add(unsigned value, int by) {
  unsigned result = value + by;
  total.steps++;
  return result;
}

__attribute__((noinline)) unsigned sum_to(int last) {
  unsigned sum = 0;
  for (int number = 1; number <= last; number++) sum = add(sum, number);
  total.sum = sum;
  return sum;
}

__attribute__((used)) void kernel_main(void) {
  for (const char *text = "32 bits\n"; *text != 0; text++) put(*text);
  for (;;) sum_to(10);
}

#ifdef __i386__
__attribute__((naked)) void _start(void) {
  __asm__ volatile("mov $stack + 4096, %esp\n xor %ebp, %ebp\n call kernel_main\n");
}
#endif
