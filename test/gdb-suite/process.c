/*
 * The little of Linux that a static program of the host's C library needs to run alone on the machine:
 * a first stack, memory, a console and an end. Everything else is ENOSYS; there are no files, no signals
 * and no second process. System call numbers and structures: Linux, x86-64.
 */
#include <stddef.h>
#include <stdint.h>

#define COM1 0x3f8
#define LINE_STATUS (COM1 + 5)
#define DATA_READY 1
#define DEBUG_EXIT 0xf4

#define PAGE 4096ul
#define LARGE_PAGE 0x200000ul
#define LARGE_PAGE_FLAG 0x80ul
#define PRESENT_WRITABLE 3ul
#define ENTRIES 512
#define SPLIT_PAGES 16 /* for as many large pages of which a part is unmapped */

#define HEAP_START 0x4000000ul
#define HEAP_END 0x8000000ul
#define MAPPINGS_END 0xd000000ul
#define STACK_TOP 0xe000000ul

enum { ENOENT = 2, EBADF = 9, ENOMEM = 12, EINVAL = 22, ESPIPE = 29, ENOSYS = 38 };
enum { AT_NULL, AT_PHDR = 3, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_ENTRY = 9, AT_SECURE = 23, AT_RANDOM = 25 };

struct arguments {
    uint64_t values[6]; /* rdi rsi rdx r10 r8 r9 */
};

struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line;
};

struct elf_header {
    uint8_t identification[32];
    uint64_t program_headers;
    uint8_t middle[14];
    uint16_t header_size, program_header_size, program_header_count;
};

struct buffer {
    const char *bytes;
    uint64_t length;
};

extern const struct elf_header __ehdr_start;
extern void _start(void);
extern uint64_t large_pages[]; /* in start.S, from address 0 on */

static uint64_t heap_end = HEAP_START, mappings_end = HEAP_END;

static void out_byte(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in_byte(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static uint64_t time_stamp(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void write_bytes(const char *bytes, uint64_t length) {
    for (uint64_t index = 0; index < length; index++) out_byte(COM1, bytes[index]);
}

static void zero(void *start, uint64_t length) {
    __asm__ volatile("rep stosb" : "+D"(start), "+c"(length) : "a"(0) : "memory");
}

static _Noreturn void end(uint8_t status) {
    out_byte(DEBUG_EXIT, status);
    for (;;) __asm__ volatile("pause");
}

_Noreturn void end_with_exception(int vector) {
    const char text[] = {'e', 'x', 'c', 'e', 'p', 't', 'i', 'o', 'n', ' ', '0' + vector / 10, '0' + vector % 10, '\n'};
    write_bytes(text, sizeof text);
    end(128 + vector);
}

/* Splits the command line at its spaces, in place; the count of its words. */
static int split(char *line, char **words, int most) {
    int count = 0;
    while (*line != 0 && count < most) {
        words[count++] = line;
        while (*line != 0 && *line != ' ') line++;
        while (*line == ' ') *line++ = 0;
    }
    return count;
}

/* System V ABI, "Initial Process Stack": what the stack pointer is at _start. */
void *prepare_process(const struct start_info *info) {
    static char program[] = "program";
    static uint64_t random[2] = {0x0123456789abcdef, 0xfedcba9876543210};
    char *words[32] = {program};
    int count = 0;
    if (info->command_line != 0) count = split((char *)info->command_line, words, 32);
    const uint64_t auxiliary[] = {
        AT_PHDR, (uint64_t)&__ehdr_start + __ehdr_start.program_headers,
        AT_PHENT, __ehdr_start.program_header_size,
        AT_PHNUM, __ehdr_start.program_header_count,
        AT_PAGESZ, 4096,
        AT_ENTRY, (uint64_t)_start,
        AT_SECURE, 0,
        AT_RANDOM, (uint64_t)random,
        AT_NULL, 0,
    };
    if (count == 0) count = 1;
    uint64_t *stack = (uint64_t *)STACK_TOP - 128, *next = stack;
    *next++ = count;
    for (int index = 0; index < count; index++) *next++ = (uint64_t)words[index];
    *next++ = 0; /* end of argv */
    *next++ = 0; /* end of the environment */
    for (size_t index = 0; index < sizeof auxiliary / sizeof *auxiliary; index++) *next++ = auxiliary[index];
    return stack;
}

/* One line, or what there is of it; the end of the input is ^D. */
static int64_t read_line(char *bytes, uint64_t length) {
    uint64_t count = 0;
    while (count < length) {
        while (!(in_byte(LINE_STATUS) & DATA_READY)) __asm__ volatile("pause");
        char letter = in_byte(COM1);
        if (letter == 4) break;
        if (letter == '\r') letter = '\n';
        bytes[count++] = letter;
        if (letter == '\n') break;
    }
    return count;
}

static int64_t write_buffers(const struct buffer *buffers, uint64_t count) {
    int64_t sum = 0;
    for (; count > 0; count--, buffers++) {
        write_bytes(buffers->bytes, buffers->length);
        sum += buffers->length;
    }
    return sum;
}

/* A character device: the C library then writes line by line. */
static int64_t describe_console(uint8_t *status) {
    zero(status, 144);
    *(uint32_t *)(status + 24) = 0020620; /* st_mode */
    *(uint64_t *)(status + 40) = 0x0440; /* st_rdev, ttyS0 */
    *(uint64_t *)(status + 56) = 1024; /* st_blksize */
    return 0;
}

static int64_t move_heap_end(uint64_t wanted) {
    if (wanted >= HEAP_START && wanted <= HEAP_END) heap_end = wanted;
    return heap_end;
}

static uint64_t round_to_pages(uint64_t length) {
    return (length + PAGE - 1) & ~(PAGE - 1);
}

/* Memory without a file, at addresses that were never used. */
static int64_t map(uint64_t length, int file) {
    length = round_to_pages(length);
    if (file != -1) return -EBADF;
    if (length > MAPPINGS_END - mappings_end) return -ENOMEM;
    uint64_t start = mappings_end;
    mappings_end += length;
    zero((void *)start, length);
    return start;
}

/* The entry of a 4 KiB page, in a table that is made when a large page is first split; NULL if there is none left. */
static uint64_t *small_page_entry(uint64_t address) {
    static uint64_t tables[SPLIT_PAGES][ENTRIES] __attribute__((aligned(PAGE)));
    static int used;
    uint64_t *large = &large_pages[address / LARGE_PAGE];
    if (*large & LARGE_PAGE_FLAG) {
        if (used == SPLIT_PAGES) return NULL;
        uint64_t *table = tables[used++], start = address & ~(LARGE_PAGE - 1);
        for (int index = 0; index < ENTRIES; index++) table[index] = (start + index * PAGE) | PRESENT_WRITABLE;
        *large = (uint64_t)table | PRESENT_WRITABLE;
    }
    return (uint64_t *)(*large & ~(PAGE - 1)) + address / PAGE % ENTRIES;
}

static int64_t unmap(uint64_t start, uint64_t length) {
    uint64_t end = start + round_to_pages(length);
    if (start % PAGE != 0 || length == 0 || end < start || end > STACK_TOP) return -EINVAL;
    for (uint64_t address = start; address < end; address += PAGE) {
        uint64_t *entry = small_page_entry(address);
        if (entry == NULL) return -ENOMEM;
        *entry = 0;
        __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
    }
    return 0;
}

static int64_t set_thread_area(uint64_t operation, uint64_t address) {
    if (operation != 0x1002) return -EINVAL; /* ARCH_SET_FS */
    __asm__ volatile("wrmsr" : : "c"(0xc0000100), "a"((uint32_t)address), "d"((uint32_t)(address >> 32)));
    return 0;
}

/* Seconds and a fraction, of a clock that ticks with the time stamp counter. */
static int64_t tell_time(uint64_t *time, uint64_t fractions_per_second) {
    uint64_t ticks = time_stamp() / 1000;
    if (time == NULL) return ticks / 1000000;
    time[0] = ticks / 1000000;
    time[1] = ticks % 1000000 * (fractions_per_second / 1000000);
    return 0;
}

/* Seconds and nanoseconds, in which a debugger may break in. Empty loops are what a machine is fast at. */
static int64_t sleep_for(const uint64_t *time) {
    uint64_t end = time_stamp() + time[0] * 1000000000 + time[1];
    while (time_stamp() < end) {
        for (int turn = 0; turn < 10000; turn++) __asm__ volatile("");
    }
    return 0;
}

static int64_t fill_random(uint8_t *bytes, uint64_t length) {
    for (uint64_t index = 0; index < length; index++) bytes[index] = 0x5a + index;
    return length;
}

int64_t answer_system_call(uint64_t number, const struct arguments *arguments) {
    const uint64_t *values = arguments->values;
    switch (number) {
    case 0: return read_line((char *)values[1], values[2]);
    case 1: write_bytes((const char *)values[1], values[2]); return values[2];
    case 3: return 0; /* close */
    case 5: return values[0] <= 2 ? describe_console((uint8_t *)values[1]) : -EBADF;
    case 8: return -ESPIPE; /* lseek */
    case 9: return map(values[1], values[4]);
    case 10: return 0; /* mprotect */
    case 11: return unmap(values[0], values[1]);
    case 12: return move_heap_end(values[0]);
    case 13: case 14: return 0; /* rt_sigaction, rt_sigprocmask */
    case 16: return 0; /* ioctl */
    case 20: return write_buffers((const struct buffer *)values[1], values[2]);
    case 35: return sleep_for((const uint64_t *)values[0]); /* nanosleep */
    case 37: return 0; /* alarm */
    case 230: return values[1] == 0 ? sleep_for((const uint64_t *)values[2]) : -EINVAL; /* clock_nanosleep */
    case 39: case 186: return 1; /* getpid, gettid */
    case 60: case 231: end(values[0]);
    case 62: end(128 + values[1]); /* kill */
    case 234: end(128 + values[2]); /* tgkill */
    case 96: return tell_time((uint64_t *)values[0], 1000000);
    case 102: case 104: case 107: case 108: return 0; /* getuid and its kin */
    case 110: return 0; /* getppid */
    case 158: return set_thread_area(values[0], values[1]);
    case 201: return tell_time(NULL, 0);
    case 202: return (values[1] & 127) == 1 ? 0 : -ENOSYS; /* futex: nobody waits; a wait would have no end */
    case 218: return 1; /* set_tid_address */
    case 228: return tell_time((uint64_t *)values[1], 1000000000);
    case 257: return -ENOENT; /* openat */
    case 262: return values[0] <= 2 ? describe_console((uint8_t *)values[2]) : -ENOENT;
    case 273: return 0; /* set_robust_list */
    case 318: return fill_random((uint8_t *)values[0], values[1]);
    default: return -ENOSYS;
    }
}
