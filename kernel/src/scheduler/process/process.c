/* Processes: the table, their end, and who inherits their children. */
#include "fs.h"
#include "kernel.h"
#include "process.h"

#define INIT_PID 1

struct Process *process_list;
static uint32_t last_pid;

struct Process *process_find(uint32_t pid) {
    struct Process *process = process_list;
    while (process != NULL && process->pid != pid) {
        process = process->next;
    }
    return process;
}

uint32_t process_next_pid(void) {
    do {
        last_pid = last_pid % 32767 + 1;
    } while (process_find(last_pid) != NULL);
    return last_pid;
}

uint32_t process_count(void) {
    uint32_t count = 0;
    for (struct Process *process = process_list; process != NULL; process = process->next) {
        count++;
    }
    return count;
}

/* Adds a process without threads to the table; null if there is no memory. */
struct Process *process_create(uint32_t pid, struct Process *parent, const char *name) {
    struct Process *process = heap_allocate(sizeof(*process));
    if (process == NULL) {
        return NULL;
    }
    process->pid = pid;
    process->parent = parent;
    process->ppid = parent != NULL ? parent->pid : 0;
    copy_string(process->name, name, sizeof(process->name));
    process->state = PROCESS_ALIVE;
    process->start_tick = timer_ticks;
    preempt_disable();
    struct Process **link = &process_list;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = process;
    preempt_enable();
    return process;
}

static void open_standard_files(struct Process *process) {
    struct File *console = file_open_console();
    if (console != NULL) {
        console->references = 3;
        process->files[0] = process->files[1] = process->files[2] = console;
    }
}

/* A kernel-mode process, child of the caller's process; null if there is no memory. */
struct Process *process_spawn_kernel(const char *name, ThreadFunction function, uint64_t argument) {
    struct Thread *creator = current_thread();
    struct Process *parent = creator != NULL ? creator->process : NULL;
    struct Process *process = process_create(process_next_pid(), parent, name);
    if (process == NULL) {
        return NULL;
    }
    open_standard_files(process);
    if (thread_create(process, name, function, argument) == NULL) {
        process_unlink(process);
        return NULL;
    }
    return process;
}

static void close_files(struct Process *process) {
    for (size_t i = 0; i < PROCESS_FILES; i++) {
        if (process->files[i] != NULL) {
            file_release(process->files[i]);
            process->files[i] = NULL;
        }
    }
}

static void release_space(struct Process *process) {
    if (process->space == NULL) {
        return;
    }
    for (struct Thread *t = process->threads; t != NULL; t = t->next_in_process) {
        task_set_user_half(t->cr3, 0);
    }
    address_space_release(process->space);
    process->space = NULL;
}

static void give_children_to_init(struct Process *process) {
    struct Process *init = process_find(INIT_PID);
    for (struct Process *child = process_list; child != NULL; child = child->next) {
        if (child->parent == process) {
            child->parent = init;
            child->ppid = INIT_PID;
        }
    }
    thread_wake(WAIT_CHILD, WAIT_ANY_CHILD);
}

/*
 * Ends a process: it becomes a zombie and its parent is told. Its kernel stack stays, so that the
 * caller may be the process itself; process_reap frees the rest.
 */
void process_terminate(struct Process *process, int32_t status) {
    if (process->pid <= INIT_PID) {
        panic("init must not end; status %x", (uint32_t)status);
    }
    uint64_t flags = interrupts_disable();
    for (struct Thread *t = process->threads; t != NULL; t = t->next_in_process) {
        t->state = THREAD_ZOMBIE;
        t->wait_reason = WAIT_NONE;
        t->wait_channel = t->wake_tick = 0;
        fpu_forget(t);
    }
    process->state = PROCESS_ZOMBIE;
    process->exit_status = status;
    close_files(process);
    release_space(process);
    give_children_to_init(process);
    thread_wake(WAIT_VFORK, process->pid);
    thread_wake(WAIT_CHILD, process->pid);
    thread_wake(WAIT_CHILD, WAIT_ANY_CHILD);
    interrupts_restore(flags);
}

_Noreturn void process_exit_current(int32_t status) {
    interrupts_disable();
    process_terminate(current_thread()->process, status);
    schedule();
    panic("a zombie must not run again");
}

void process_unlink(struct Process *process) {
    preempt_disable();
    struct Process **link = &process_list;
    while (*link != process) {
        link = &(*link)->next;
    }
    *link = process->next;
    preempt_enable();
    close_files(process);
    heap_free(process);
}

/* Frees a zombie whose status has been fetched. */
void process_reap(struct Process *zombie) {
    while (zombie->threads != NULL) {
        struct Thread *thread = zombie->threads;
        zombie->threads = thread->next_in_process;
        thread_destroy(thread);
    }
    process_unlink(zombie);
}
