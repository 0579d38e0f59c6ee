/*
 * The tests of processes. Compiled twice: into the kernel, where they run as a kernel-mode process
 * that calls the dispatcher directly, and into the ring-3 program tests.elf.
 */
#include "process_tests.h"

#include "kernel.h"
#include "system_call_numbers.h"

#define EXIT_STATUS 42
#define CYCLE_CHILDREN 3

static int64_t getpid(void) {
    return test_call(SYS_GETPID, 0, 0, 0);
}

static int64_t fork(void) {
    return test_call(SYS_FORK, 0, 0, 0);
}

static int64_t execute(const char *path) {
    const char *arguments[] = {path, NULL};
    return test_call(SYS_EXECVE, (uint64_t)path, (uint64_t)arguments, 0);
}

static bool exited_with(int32_t status, int32_t code) {
    return status == code << 8;
}

static bool test_getpid(void) {
    int64_t pid = getpid();
    return pid > 1 && pid == getpid() && pid == test_call(SYS_GETTID, 0, 0, 0) &&
           test_call(SYS_GETPPID, 0, 0, 0) > 0;
}

/* The child runs, and runs as a process of its own. */
static bool test_fork(void) {
    int32_t status = -1;
    int64_t parent = getpid();
    int64_t child = fork();
    if (child == 0) {
        bool good = getpid() != parent && test_call(SYS_GETPPID, 0, 0, 0) == parent;
        test_exit(good ? 0 : 1);
    }
    return child > 0 && test_wait(child, &status) == child && exited_with(status, 0);
}

/* 0 in the child, the child's pid in the parent, two pids, and the exit status arrives. */
static bool test_fork_return_value(void) {
    int32_t status = -1;
    int64_t parent = getpid();
    int64_t result = fork();
    if (getpid() != parent) {
        test_exit(result == 0 ? EXIT_STATUS : 1);
    }
    return result > 0 && result != parent && test_wait(result, &status) == result &&
           exited_with(status, EXIT_STATUS);
}

static bool test_fork_wait_cycle(void) {
    int64_t children[CYCLE_CHILDREN];
    int reaped = 0;
    for (int i = 0; i < CYCLE_CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            test_exit(10 + i);
        }
    }
    test_sleep(20); /* all are zombies now */
    for (int i = 0; i < CYCLE_CHILDREN; i++) {
        int32_t status = -1;
        if (children[i] > 0 && test_wait(children[i], &status) == children[i]) {
            reaped += exited_with(status, 10 + i);
        }
    }
    test_say("[TEST] reaped %d/%d\n", reaped, CYCLE_CHILDREN);
    return reaped == CYCLE_CHILDREN && test_call(SYS_WAIT4, (uint64_t)-1, 0, 0) == -ECHILD;
}

static bool create_file(const char *path, const char *text) {
    int64_t file = test_call(SYS_OPEN, (uint64_t)path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0) {
        return false;
    }
    int64_t size = (int64_t)strlen(text);
    int64_t written = test_call(SYS_WRITE, (uint64_t)file, (uint64_t)text, (uint64_t)size);
    return test_call(SYS_CLOSE, (uint64_t)file, 0, 0) == 0 && written == size;
}

static void execute_hello(void) {
    execute("/tmp/hello.elf");
    test_exit(1);
}

/* What cannot be executed says why and leaves the caller alive; what can replaces a child. */
static bool test_exec(void) {
    static const char bad_header[] = "\177ELF\2\1\1 but nothing behind it";
    bool refused = execute("/tmp/missing.elf") == -ENOENT && create_file("/tmp/text", "no ELF") &&
                   execute("/tmp/text") == -ENOEXEC && create_file("/tmp/bad.elf", bad_header) &&
                   execute("/tmp/bad.elf") == -ENOEXEC &&
                   test_call(SYS_EXECVE, 16, 0, 0) == -EFAULT;
    return refused && exited_with(test_run_child(execute_hello), 0);
}

static bool test_fork_exec_wait(void) {
    int32_t status = -1;
    int64_t child = fork();
    if (child == 0) {
        execute_hello();
    }
    return child > 0 && test_wait(child, &status) == child && exited_with(status, 0) &&
           test_wait(child, &status) == -ECHILD;
}

static const struct Test process_tests[] = {
    {"test_getpid", test_getpid},
    {"test_fork", test_fork},
    {"test_fork_return_value", test_fork_return_value},
    {"test_fork_wait_cycle", test_fork_wait_cycle},
    {"test_exec", test_exec},
    {"test_fork_exec_wait", test_fork_exec_wait},
};

int process_tests_run(const char *mode) {
    test_say("[TEST] run: process tests, %s\n", mode);
    return test_run_all(mode, process_tests, COUNT_OF(process_tests));
}

#ifndef RING3
/* The thread's function of the kernel-mode run. */
void test_runner_main(uint64_t argument) {
    static int64_t runner;
    (void)argument;
    if (runner != 0) {
        test_say("[TEST] pid %ld starts where its parent %ld started and is stopped\n", getpid(),
                 runner);
        test_exit(99);
    }
    runner = getpid();
    test_exit(process_tests_run("kernel-mode") == 0 ? 0 : 1);
}
#endif
