/* The tests of processes: src/tests. The same text runs in kernel mode and in ring 3. */
#ifndef PROCESS_TESTS_H
#define PROCESS_TESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Test {
    const char *name;
    bool (*run)(void);
};

/* --- test_support.c --- */
int64_t test_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c);
void test_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void test_exit(int status);
void test_sleep(uint64_t milliseconds);
/* As wait4(pid, status, 0), but kills the child and gives up after two seconds. */
int64_t test_wait(int64_t pid, int32_t *status);
/* Forks a child that runs `child`, waits for it; -1 or its wait status. */
int32_t test_run_child(void (*child)(void));
/* Prints a line for each test and a summary; returns how many failed. */
int test_run_all(const char *mode, const struct Test *tests, size_t count);

/* --- process_tests.c --- */
int process_tests_run(const char *mode);
/* A thread's function: runs the tests, exits with 0 if all passed. */
void test_runner_main(uint64_t argument);

/* --- crash_tests.c: only in kernel mode --- */
void crash_runner_main(uint64_t argument);

#endif
