/*
 * What tests are written with. Every wait has an end: a broken fork makes tests fail, never hang.
 */
#include "kernel.h"
#include "process_tests.h"
#include "system_call_numbers.h"

#define WAIT_ATTEMPTS 100
#define WAIT_STEP_MILLISECONDS 10
#define STATUS_STRAY 99

#ifdef RING3
#include "user.h"
#else
#include "process.h"
#endif

int64_t test_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c) {
#ifdef RING3
    return system_call(number, a, b, c, 0, 0, 0);
#else
    return kernel_syscall(number, a, b, c, 0, 0, 0);
#endif
}

void test_say(const char *format, ...) {
    char line[160];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_arguments(line, sizeof(line), format, arguments);
    va_end(arguments);
    test_call(SYS_WRITE, 1, (uint64_t)line, length);
}

_Noreturn void test_exit(int status) {
    for (;;) {
        test_call(SYS_EXIT, (uint64_t)status, 0, 0);
    }
}

void test_sleep(uint64_t milliseconds) {
    uint64_t time[2] = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    test_call(SYS_NANOSLEEP, (uint64_t)time, 0, 0);
}

int64_t test_wait(int64_t pid, int32_t *status) {
    for (int attempt = 0; attempt < WAIT_ATTEMPTS; attempt++) {
        int64_t result = test_call(SYS_WAIT4, (uint64_t)pid, (uint64_t)status, WNOHANG);
        if (result != 0) {
            return result;
        }
        test_sleep(WAIT_STEP_MILLISECONDS);
    }
    test_say("[TEST] pid %ld did not end in time and is killed\n", pid);
    test_call(SYS_KILL, (uint64_t)pid, SIGKILL, 0);
    return test_call(SYS_WAIT4, (uint64_t)pid, (uint64_t)status, 0);
}

int32_t test_run_child(void (*child)(void)) {
    int32_t status = -1;
    int64_t pid = test_call(SYS_FORK, 0, 0, 0);
    if (pid == 0) {
        child();
        test_exit(0);
    }
    return pid > 0 && test_wait(pid, &status) == pid ? status : -1;
}

/*
 * A child whose registers are wrong may come back somewhere in the middle of the tests. Only the
 * runner itself may go on with them.
 */
static void stop_strays(int64_t runner) {
    int64_t pid = test_call(SYS_GETPID, 0, 0, 0);
    if (pid != runner) {
        test_say("[TEST] pid %ld runs code of its parent %ld and is stopped\n", pid, runner);
        test_exit(STATUS_STRAY);
    }
}

int test_run_all(const char *mode, const struct Test *tests, size_t count) {
    static int64_t runner; /* not on the stack: a child's copy may hold anything */
    int failed = 0;
    runner = test_call(SYS_GETPID, 0, 0, 0);
    for (size_t i = 0; i < count; i++) {
        bool passed = tests[i].run();
        stop_strays(runner);
        test_say("[TEST] %s %s\n", tests[i].name, passed ? "PASSED" : "FAILED");
        failed += !passed;
    }
    test_say("[TEST] summary: %s %d passed, %d failed\n", mode, (int)count - failed, failed);
    return failed;
}
