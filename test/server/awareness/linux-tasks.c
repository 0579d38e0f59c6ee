/*
 * The variables and types of a Linux kernel that its awareness reads, of a kernel that stands still: the
 * idle task on the CPU, init with two threads, kthreadd, and a child of init that has exited with 42.
 * Built with gcc -gbtf, which writes the types as Linux's own build does.
 */
struct list_head {
    struct list_head *next, *prev;
};

struct mm_struct {
    struct {
        unsigned int users;
        void *pgd;
    };
};

struct signal_struct {
    int live;
    struct list_head thread_head;
};

struct thread_struct {
    unsigned long debug[3];
    unsigned long sp;
};

typedef int pid_t;
typedef struct thread_struct thread_t;

struct task_struct {
    unsigned int __state;
    void *stack;
    unsigned int flags : 3, in_execve : 1;
    struct list_head tasks;
    struct mm_struct *mm;
    int exit_state;
    int exit_code;
    pid_t pid;
    pid_t tgid;
    struct task_struct *real_parent;
    struct list_head thread_node;
    unsigned long nvcsw, nivcsw;
    unsigned long start_time;
    char comm[16];
    struct signal_struct *signal;
    union {
        int spare;
        volatile thread_t thread;
    };
};

extern struct task_struct init_task, init, second, kthreadd, child;
extern struct signal_struct idle_signal, init_signal, kthreadd_signal, child_signal;

struct frame {
    unsigned long r15, r14, r13, r12, bx, bp, ret_addr;
} sleeping = {15, 14, 13, 12, 3, 5, 0xffffffff81001234};

#define ALONE(name, shared) .thread_node = {&shared.thread_head, 0}, .signal = &shared
#define SIGNAL(task) {1, {(struct list_head *)&task.thread_node, 0}}

struct signal_struct idle_signal = SIGNAL(init_task);
struct signal_struct init_signal = SIGNAL(init);
struct signal_struct kthreadd_signal = SIGNAL(kthreadd);
struct signal_struct child_signal = SIGNAL(child);
/* At the fifth page of the direct map. */
struct mm_struct init_memory = {{1, (void *)0xffff888000005000}};

struct task_struct init_task = {.tasks = {&init.tasks, &child.tasks}, .comm = "swapper/0", ALONE(init_task, idle_signal)};
struct task_struct init = {
    .__state = 1, .pid = 1, .tgid = 1, .comm = "init", .mm = &init_memory, .real_parent = &init_task,
    .tasks = {&kthreadd.tasks, 0}, .thread_node = {&second.thread_node, 0}, .signal = &init_signal,
    .thread.sp = (unsigned long)&sleeping, .nvcsw = 3, .nivcsw = 4, .stack = &sleeping, .start_time = 1230000000,
};
struct task_struct second = {
    .__state = 2, .pid = 7, .tgid = 1, .comm = "helper", .mm = &init_memory, .real_parent = &init_task,
    .thread_node = {&init_signal.thread_head, 0}, .signal = &init_signal,
};
struct task_struct kthreadd = {
    .__state = 0x402, .pid = 2, .tgid = 2, .comm = "kthreadd", .real_parent = &init_task,
    .tasks = {&child.tasks, 0}, ALONE(kthreadd, kthreadd_signal),
};
struct task_struct child = {
    .exit_state = 32, .exit_code = 42 << 8, .pid = 9, .tgid = 9, .comm = "sh\033[31m", .real_parent = &second,
    .tasks = {&init_task.tasks, 0}, ALONE(child, child_signal),
};

/* The first CPU's area begins 16 bytes behind what the symbols say. */
struct task_struct *current_task[3] = {0, 0, &init_task};
unsigned long __per_cpu_offset[1] = {16};
unsigned long phys_base = 0x1000000;
unsigned long page_offset_base = 0xffff888000000000;
char init_top_pgt[4096] = {1};
const char linux_banner[] = "Linux version 6.1.0-test (somebody@somewhere)";

void __x64_sys_read(void) {}
void __x64_sys_ni_syscall(void) {}
void __x64_sys_write(void) {}
void another(void) {}
void *const sys_call_table[] = {__x64_sys_read, __x64_sys_ni_syscall, __x64_sys_write, another};
