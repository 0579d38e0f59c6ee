/* The first process of a Linux without a C library: says who it is, computes a while, switches off. */
#define SYS_write 1
#define SYS_getpid 39
#define SYS_reboot 169

static long call(long number, long first, long second, long third)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

static void say(const char *text)
{
    long length = 0;
    while (text[length] != '\0')
        length++;
    call(SYS_write, 1, (long)text, length);
}

__attribute__((noinline)) int triangle(int number)
{
    int sum = 0;
    for (int term = 1; term <= number; term++)
        sum += term;
    return sum;
}

void _start(void)
{
    say(call(SYS_getpid, 0, 0, 0) == 1 ? "init: I am process 1\n" : "init: who am I?\n");
    say(triangle(100) == 5050 ? "init: computed\n" : "init: wrong\n");
    register long magic __asm__("r10") = 0;
    /* LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF */
    __asm__ volatile("" : : "r"(magic));
    call(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc);
}
