/*
 * /bin/protection.elf: what a program must not be able to do to the kernel or to others, and what
 * only ring 3 has: memory of its own, copy on write, SSE state, vfork, files.
 */
#include "kernel.h"
#include "process_tests.h"
#include "user.h"

#define KERNEL_ADDRESS 0xffffffff80200000ull
#define RANDOM_SEEDS 8
#define NON_CANONICAL 0x8000000000000000ull

static void read_null(void) {
    (void)*(volatile int *)8;
}

static void read_kernel(void) {
    (void)*(volatile int *)KERNEL_ADDRESS;
}

static void read_non_canonical(void) {
    (void)*(volatile int *)NON_CANONICAL;
}

static void write_code(void) {
    *(volatile uint8_t *)(uintptr_t)&write_code = 0;
}

static void execute_data(void) {
    static const uint8_t code[] = {0xc3};
    ((void (*)(void))(uintptr_t)code)();
}

static void halt(void) {
    __asm__ volatile("hlt");
}

static void undefined(void) {
    __asm__ volatile("ud2");
}

static void divide_by_zero(void) {
    __asm__ volatile("xorl %%edx, %%edx; divl %%edx" : : "a"(1) : "edx");
}

static uint64_t overflow_stack(uint64_t depth) {
    volatile uint64_t space[64];
    space[0] = depth;
    return depth == 1000000 ? 0 : overflow_stack(depth + 1) + space[0];
}

static void use_up_stack(void) {
    overflow_stack(0);
}

static bool dies_by(void (*child)(void), int32_t signal) {
    return test_run_child(child) == signal;
}

static bool test_bad_accesses(void) {
    return dies_by(read_null, SIGSEGV) && dies_by(read_kernel, SIGSEGV) &&
           dies_by(read_non_canonical, SIGSEGV) && dies_by(write_code, SIGSEGV) &&
           dies_by(execute_data, SIGSEGV);
}

static bool test_bad_instructions(void) {
    return dies_by(halt, SIGSEGV) && dies_by(undefined, SIGILL) && dies_by(divide_by_zero, SIGFPE);
}

static bool test_stack_overflow(void) {
    return dies_by(use_up_stack, SIGSEGV);
}

static bool test_wild_pointers(void) {
    static const uint64_t pointers[] = {8, KERNEL_ADDRESS, NON_CANONICAL, 0x7fffffffffull,
                                        ~0ull - 3};
    for (size_t i = 0; i < COUNT_OF(pointers); i++) {
        uint64_t pointer = pointers[i];
        if (test_call(SYS_WRITE, 1, pointer, 8) != -EFAULT ||
            test_call(SYS_OPEN, pointer, 0, 0) != -EFAULT ||
            test_call(SYS_NANOSLEEP, pointer, 0, 0) != -EFAULT ||
            test_call(SYS_UNAME, pointer, 0, 0) != -EFAULT ||
            test_call(SYS_EXECVE, (uint64_t) "/tmp/hello.elf", pointer, 0) != -EFAULT) {
            return false;
        }
    }
    return true;
}

static bool test_bad_calls(void) {
    return test_call(1000, 0, 0, 0) == -ENOSYS && test_call(~0ull, 0, 0, 0) == -ENOSYS &&
           test_call(SYS_WRITE, 77, 0, 0) == -EBADF && test_call(SYS_CLOSE, 9, 0, 0) == -EBADF &&
           test_call(SYS_KILL, 30000, SIGKILL, 0) == -ESRCH &&
           test_call(SYS_KILL, 1, SIGKILL, 0) == -EPERM &&
           test_call(SYS_OPEN, (uint64_t) "/tmp/missing", 0, 0) == -ENOENT;
}

static uint64_t random_seed;

/* Calls that neither end the caller nor wait nor write to the console. */
static void call_at_random(void) {
    static const uint64_t calls[] = {SYS_READ,   SYS_WRITE,   SYS_OPEN,  SYS_CLOSE,      SYS_MMAP,
                                     SYS_MUNMAP, SYS_BRK,     SYS_UNAME, SYS_ARCH_PRCTL, SYS_EXECVE,
                                     SYS_GETPID, SYS_GETPPID, 600,       ~0ull};
    static const uint64_t values[] = {0, 1, 3, 7, 0x22, 0x32, 4096, 0x1002, 0x400000, 0x401000,
                                      0x7fffffe000, USER_END, USER_END - 1, DIRECT_MAP_BASE,
                                      KERNEL_STACK_TOP, KERNEL_ADDRESS, NON_CANONICAL, ~0ull};
    uint64_t random = random_seed;
    uint64_t arguments[6];
    for (int round = 0; round < 500; round++) {
        for (size_t i = 0; i < COUNT_OF(arguments); i++) {
            random = random * 6364136223846793005ull + 1442695040888963407ull;
            arguments[i] = values[(random >> 33) % COUNT_OF(values)];
        }
        uint64_t number = calls[(random >> 13) % COUNT_OF(calls)];
        bool on_console = (number == SYS_READ || number == SYS_WRITE) && arguments[0] < 3;
        system_call(number, on_console ? 9 : arguments[0], arguments[1], arguments[2],
                    arguments[3], arguments[4], arguments[5]);
    }
}

/* Nonsense may end its caller, which may unmap itself; the kernel and all others go on. */
static bool test_random_calls(void) {
    for (random_seed = 1; random_seed <= RANDOM_SEEDS; random_seed++) {
        int32_t status = test_run_child(call_at_random);
        if (status != 0 && status != SIGSEGV) {
            return false;
        }
    }
    return true;
}

static bool test_files(void) {
    static const char path[] = "/tmp/note";
    char text[16] = {0};
    int64_t file = test_call(SYS_OPEN, (uint64_t)path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    bool written = test_call(SYS_WRITE, (uint64_t)file, (uint64_t) "memory", 6) == 6;
    test_call(SYS_CLOSE, (uint64_t)file, 0, 0);
    file = test_call(SYS_OPEN, (uint64_t)path, 0, 0);
    bool read = test_call(SYS_READ, (uint64_t)file, (uint64_t)text, sizeof(text)) == 6 &&
                test_call(SYS_READ, (uint64_t)file, (uint64_t)text + 8, 8) == 0;
    return written && read && strcmp(text, "memory") == 0 &&
           test_call(SYS_CLOSE, (uint64_t)file, 0, 0) == 0;
}

static volatile uint64_t shared_value = 1;

static void change_value(void) {
    shared_value = 2;
    test_exit(shared_value == 2 ? 0 : 1);
}

/* A child's write is not seen by its parent, nor the parent's by its child. */
static bool test_copy_on_write(void) {
    shared_value = 1;
    return test_run_child(change_value) == 0 && shared_value == 1;
}

static bool test_memory_calls(void) {
    int64_t start = test_call(SYS_BRK, 0, 0, 0);
    bool grown = test_call(SYS_BRK, (uint64_t)start + 10000, 0, 0) == start + 10000;
    *(volatile uint8_t *)(start + 9999) = 1;
    int64_t map = system_call(SYS_MMAP, 0, 8192, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0);
    if (map <= 0) {
        return false;
    }
    volatile uint64_t *words = (volatile uint64_t *)map;
    words[1000] = 7;
    bool zeroed = words[0] == 0 && words[1000] == 7;
    return grown && zeroed && test_call(SYS_MUNMAP, (uint64_t)map, 8192, 0) == 0 &&
           test_call(SYS_WRITE, 1, (uint64_t)map, 1) == -EFAULT &&
           test_call(SYS_BRK, (uint64_t)start, 0, 0) == start;
}

/* The child runs in the parent's memory while the parent waits. */
static bool test_vfork(void) {
    int32_t status = -1;
    shared_value = 1;
    int64_t pid = test_call(SYS_VFORK, 0, 0, 0);
    if (pid == 0) {
        shared_value = 3;
        system_call(SYS_EXECVE, (uint64_t) "/bin/worker.elf", 0, 0, 0, 0, 0);
        system_call(SYS_EXIT, 1, 0, 0, 0, 0, 0);
    }
    return pid > 0 && shared_value == 3 && test_wait(pid, &status) == pid && status == 0;
}

static double series(double seed, int terms) {
    double sum = 0;
    for (int i = 1; i <= terms; i++) {
        sum += seed / ((double)i * i);
    }
    return sum;
}

static void compute_in_child(void) {
    double expected = series(2.0, 3000);
    for (int round = 0; round < 20; round++) {
        if (series(2.0, 3000) != expected) {
            test_exit(1);
        }
        test_call(SYS_SCHED_YIELD, 0, 0, 0);
    }
}

/* Two processes compute in turns; a double lives across fork and every switch. */
static bool test_sse_state(void) {
    double expected = series(3.0, 3000);
    int32_t status = -1;
    int64_t pid = test_call(SYS_FORK, 0, 0, 0);
    if (pid == 0) {
        compute_in_child();
        test_exit(expected == series(3.0, 3000) ? 0 : 1);
    }
    for (int round = 0; round < 20; round++) {
        if (series(3.0, 3000) != expected) {
            return false;
        }
        test_call(SYS_SCHED_YIELD, 0, 0, 0);
    }
    return test_wait(pid, &status) == pid && status == 0;
}

static bool test_fs_base(void) {
    static uint64_t block[2] = {11, 22};
    uint64_t first, base = 0;
    if (test_call(SYS_ARCH_PRCTL, ARCH_SET_FS, (uint64_t)&block[1], 0) != 0) {
        return false;
    }
    test_call(SYS_SCHED_YIELD, 0, 0, 0);
    __asm__ volatile("movq %%fs:0, %0" : "=r"(first));
    test_call(SYS_ARCH_PRCTL, ARCH_GET_FS, (uint64_t)&base, 0);
    return first == 22 && base == (uint64_t)&block[1];
}

static void loop_for_ever(void) {
    for (;;) {
        __asm__ volatile("" : : : "memory");
    }
}

/* A program that never calls the kernel is preempted, and can be killed. */
static bool test_preemption(void) {
    int32_t status = -1;
    int64_t pid = test_call(SYS_FORK, 0, 0, 0);
    if (pid == 0) {
        loop_for_ever();
    }
    test_sleep(10);
    return test_call(SYS_KILL, (uint64_t)pid, SIGTERM, 0) == 0 &&
           test_wait(pid, &status) == pid && status == SIGTERM;
}

static const struct Test tests[] = {
    {"test_bad_accesses", test_bad_accesses},
    {"test_bad_instructions", test_bad_instructions},
    {"test_stack_overflow", test_stack_overflow},
    {"test_wild_pointers", test_wild_pointers},
    {"test_bad_calls", test_bad_calls},
    {"test_random_calls", test_random_calls},
    {"test_files", test_files},
    {"test_copy_on_write", test_copy_on_write},
    {"test_memory_calls", test_memory_calls},
    {"test_vfork", test_vfork},
    {"test_sse_state", test_sse_state},
    {"test_fs_base", test_fs_base},
    {"test_preemption", test_preemption},
};

int main(int argument_count, char **arguments) {
    (void)argument_count;
    (void)arguments;
    test_say("[TEST] run: protection tests, ring-3\n");
    return test_run_all("protection", tests, COUNT_OF(tests)) == 0 ? 0 : 1;
}
