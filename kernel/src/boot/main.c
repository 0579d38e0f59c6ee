/* The kernel's start, as a list, and init. */
#include "boot.h"
#include "cpu.h"
#include "drivers.h"
#include "fs.h"
#include "kernel.h"
#include "memory.h"
#include "process.h"
#include "process_tests.h"
#include "system_call_numbers.h"

static void idle(uint64_t argument) {
    (void)argument;
    for (;;) {
        __asm__ volatile("sti; hlt" : : : "memory");
        schedule();
    }
}

static int64_t system_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c) {
    return kernel_syscall(number, a, b, c, 0, 0, 0);
}

static void start_user_program(uint64_t path) {
    int64_t error = system_call(SYS_EXECVE, path, 0, 0);
    print("[INIT] %s cannot be started: error %ld\n", (const char *)path, -error);
    system_call(SYS_EXIT, 127, 0, 0);
}

/* Starts a child of init without a fork; returns its pid, 0 if there is no memory. */
static uint32_t start_process(const char *name, ThreadFunction function, uint64_t argument) {
    preempt_disable();
    struct Process *process = process_spawn_kernel(name, function, argument);
    uint32_t pid = process == NULL ? 0 : process->pid;
    preempt_enable();
    return pid;
}

/* Runs one process to its end; returns its wait status. */
static int32_t run_to_end(const char *name, ThreadFunction function, uint64_t argument) {
    int32_t status = -1;
    uint32_t pid = start_process(name, function, argument);
    if (pid != 0) {
        system_call(SYS_WAIT4, pid, (uint64_t)&status, 0);
    }
    return status;
}

static bool run_all_tests(void) {
    int32_t kernel_mode = run_to_end("test-runner", test_runner_main, 0);
    int32_t ring3 =
        run_to_end("tests.elf", start_user_program, (uint64_t) "/bin/tests.elf");
    int32_t protection =
        run_to_end("protection.elf", start_user_program, (uint64_t) "/bin/protection.elf");
    int32_t crashes = run_to_end("crash-runner", crash_runner_main, 0);
    bool passed = kernel_mode == 0 && ring3 == 0 && protection == 0 && crashes == 0;
    print("[TEST] all runs: %s\n", passed ? "PASSED" : "FAILED");
    return passed;
}

/* What the worker does in the child of init's fork: becomes a ring-3 program, which exits. */
static void work(void) {
    system_call(SYS_EXECVE, (uint64_t) "/bin/worker.elf", 0, 0);
    system_call(SYS_EXIT, 1, 0, 0);
}

static void fork_worker(void) {
    int64_t pid = system_call(SYS_FORK, 0, 0, 0);
    if (pid == 0) {
        work();
    }
}

static void reap_children(void) {
    int32_t status;
    while (system_call(SYS_WAIT4, (uint64_t)-1, (uint64_t)&status, WNOHANG) > 0) {
    }
}

/* Process 1, in kernel mode: runs the tests, then forks a worker every second, for ever. */
static void init_main(uint64_t argument) {
    (void)argument;
    bool passed = run_all_tests();
    if (boot_information.run_tests_and_exit) {
        machine_exit(passed ? 0 : 1);
    }
    start_process("console.elf", start_user_program, (uint64_t) "/bin/console.elf");
    print("[INIT] forking a worker every second\n");
    for (;;) {
        static const int64_t one_second[2] = {1, 0};
        fork_worker();
        system_call(SYS_NANOSLEEP, (uint64_t)one_second, 0, 0);
        reap_children();
    }
}

static void create_first_processes(void) {
    struct Process *kernel = process_create(0, NULL, "kernel");
    cpus[0].idle = kernel == NULL ? NULL : thread_create(kernel, "idle", idle, 0);
    if (cpus[0].idle == NULL || process_spawn_kernel("init", init_main, 0) == NULL) {
        panic("there must be memory for the first processes");
    }
}

_Noreturn void kernel_main(uint32_t magic, uint32_t boot_information_address) {
    serial_initialise();
    print("%s\n", KERNEL_NAME);
    cpu_initialise();
    interrupts_initialise();
    boot_information_read(magic, boot_information_address);
    physical_initialise();
    paging_initialise();
    print("[BOOT] %s, command line \"%s\", %lu MiB free\n", boot_information.protocol,
          boot_information.command_line, pages_free() * PAGE_SIZE >> 20);
    tmpfs_initialise();
    create_first_processes();
    serial_enable_input();
    timer_initialise();
    scheduler_start();
}
