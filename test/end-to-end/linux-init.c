/*
 * The first process of a Linux without a C library: says who it is, which addresses the kernel has,
 * computes a while, switches off.
 */
#define SYS_read 0
#define SYS_write 1
#define SYS_open 2
#define SYS_getpid 39
#define SYS_mount 165
#define SYS_reboot 169

static long call(long number, long first, long second, long third)
{
    /* Flags and data of mount, the argument of reboot: none. */
    register long fourth __asm__("r10") = 0;
    register long fifth __asm__("r8") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third), "r"(fourth), "r"(fifth)
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

static const char *const wanted[] = {
    "init_task", "init_top_pgt", "current_task", "__per_cpu_offset", "phys_base",
    "page_offset_base", "linux_banner", "sys_call_table", "__x64_sys_write", "__schedule",
};

static int is_wanted(const char *line)
{
    /* "0123456789abcdef T name\n" */
    for (unsigned which = 0; which < sizeof wanted / sizeof *wanted; which++) {
        const char *name = wanted[which], *seen = line + 19;
        while (*name != '\0' && *name == *seen)
            name++, seen++;
        if (*name == '\0' && *seen == '\n')
            return 1;
    }
    return 0;
}

/* Lines of /proc/kallsyms, which is System.map as the kernel has it. */
static void say_symbols(void)
{
    static char line[512], buffer[4096];
    long length, used = 0;

    call(SYS_mount, (long)"proc", (long)"/proc", (long)"proc");
    long file = call(SYS_open, (long)"/proc/kallsyms", 0, 0);
    while ((length = call(SYS_read, file, (long)buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < length; at++) {
            if (used < (long)sizeof line - 1)
                line[used++] = buffer[at];
            if (buffer[at] != '\n')
                continue;
            line[used] = '\0';
            if (used > 19 && is_wanted(line))
                say(line);
            used = 0;
        }
    }
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
    say_symbols();
    say(triangle(100) == 5050 ? "init: computed\n" : "init: wrong\n");
    /* LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF */
    call(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc);
}
