/* The awareness descriptor and its ELF note; see exo_debug.h. */
#include "exo_debug.h"

#include <stddef.h>

#include "fork_ring.h"
#include "kernel.h"
#include "process.h"

#define KERNEL_SYMBOL(name) extern const char name[]
KERNEL_SYMBOL(text_start);
KERNEL_SYMBOL(text_end);
KERNEL_SYMBOL(sys_fork);
KERNEL_SYMBOL(sys_vfork);
KERNEL_SYMBOL(switch_window_start);
KERNEL_SYMBOL(switch_window_end);

static const char kernel_name[] = KERNEL_NAME;

static const char *const thread_states[] = {
    [THREAD_UNUSED] = "unused",   [THREAD_READY] = "ready",   [THREAD_RUNNING] = "running",
    [THREAD_WAITING] = "waiting", [THREAD_ZOMBIE] = "zombie",
};

static const char *const process_states[] = {
    [PROCESS_UNUSED] = "unused",
    [PROCESS_ALIVE] = "alive",
    [PROCESS_ZOMBIE] = "zombie",
};

static const char *const wait_reasons[] = {
    [WAIT_NONE] = "none",   [WAIT_SLEEP] = "sleep",     [WAIT_CHILD] = "child",
    [WAIT_VFORK] = "vfork", [WAIT_CONSOLE] = "console",
};

_Static_assert(sizeof(struct ThreadContext) == EXO_CONTEXT_REGISTER_COUNT * 8, "19 registers");
_Static_assert(sizeof(struct CapturedRegisters) == EXO_CAPTURED_REGISTER_COUNT * 8, "7 registers");
_Static_assert(sizeof(struct TrapFrame) == EXO_TRAP_FRAME_FIELD_COUNT * 8, "22 fields");

#define ADDRESS_OF(symbol) ((uint64_t)&(symbol))
#define NAME_TABLE(table) {.address = ADDRESS_OF(table), .count = COUNT_OF(table)}
#define THREAD(field) offsetof(struct Thread, field)
#define PROCESS(field) offsetof(struct Process, field)
#define FORK(field) offsetof(struct ForkRecord, field)

const struct ExoDebug exo_debug = {
    .magic = {'E', 'X', 'O', 'D', 'E', 'B', 'U', 'G'},
    .version = EXO_DEBUG_VERSION,
    .size = sizeof(struct ExoDebug),
    .context_register_count = EXO_CONTEXT_REGISTER_COUNT,
    .captured_register_count = EXO_CAPTURED_REGISTER_COUNT,
    .trap_frame_field_count = EXO_TRAP_FRAME_FIELD_COUNT,
    .kernel_name_address = ADDRESS_OF(kernel_name),
    .direct_map_base = DIRECT_MAP_BASE,
    .text_start = ADDRESS_OF(text_start),
    .text_end = ADDRESS_OF(text_end),
    .fork_entry_addresses = {ADDRESS_OF(sys_fork), ADDRESS_OF(sys_vfork)},
    .switch_window_start = ADDRESS_OF(switch_window_start),
    .switch_window_end = ADDRESS_OF(switch_window_end),
    .thread_states = NAME_TABLE(thread_states),
    .process_states = NAME_TABLE(process_states),
    .wait_reasons = NAME_TABLE(wait_reasons),
    .cpu =
        {
            .base_address = ADDRESS_OF(cpus),
            .size = sizeof(struct Cpu),
            .count = COUNT_OF(cpus),
            .current_thread_offset = offsetof(struct Cpu, current),
            .idle_thread_offset = offsetof(struct Cpu, idle),
            .ticks_address = ADDRESS_OF(timer_ticks),
            .ticks_per_second = TICKS_PER_SECOND,
        },
    .thread =
        {
            .head_address = ADDRESS_OF(thread_list),
            .size = sizeof(struct Thread),
            .next_offset = THREAD(next),
            .next_in_process_offset = THREAD(next_in_process),
            .process_offset = THREAD(process),
            .tid_offset = THREAD(tid),
            .pid_offset = THREAD(pid),
            .name_offset = THREAD(name),
            .name_length = NAME_LENGTH,
            .state_offset = THREAD(state),
            .wait_reason_offset = THREAD(wait_reason),
            .wait_channel_offset = THREAD(wait_channel),
            .wake_tick_offset = THREAD(wake_tick),
            .context_offset = THREAD(context),
            .kernel_stack_base_offset = THREAD(kernel_stack_base),
            .kernel_stack_size_offset = THREAD(kernel_stack_size),
            .cr3_offset = THREAD(cr3),
            .mode_offset = THREAD(mode),
            .trap_frame_offset = THREAD(trap_frame),
            .switch_count_offset = THREAD(switch_count),
            .run_ticks_offset = THREAD(run_ticks),
        },
    .process =
        {
            .head_address = ADDRESS_OF(process_list),
            .size = sizeof(struct Process),
            .next_offset = PROCESS(next),
            .pid_offset = PROCESS(pid),
            .ppid_offset = PROCESS(ppid),
            .name_offset = PROCESS(name),
            .name_length = NAME_LENGTH,
            .state_offset = PROCESS(state),
            .exit_status_offset = PROCESS(exit_status),
            .threads_offset = PROCESS(threads),
            .mode_offset = PROCESS(mode),
            .fork_count_offset = PROCESS(fork_count),
            .start_tick_offset = PROCESS(start_tick),
        },
    .fork_ring =
        {
            .address = ADDRESS_OF(fork_ring),
            .total_address = ADDRESS_OF(fork_ring_total),
            .capacity = FORK_RING_CAPACITY,
            .entry_size = sizeof(struct ForkRecord),
            .sequence_offset = FORK(sequence),
            .tick_offset = FORK(tick),
            .kind_offset = FORK(kind),
            .flags_offset = FORK(flags),
            .parent_tid_offset = FORK(parent_tid),
            .parent_pid_offset = FORK(parent_pid),
            .child_tid_offset = FORK(child_tid),
            .child_pid_offset = FORK(child_pid),
            .captured_offset = FORK(captured),
            .derived_rip_offset = FORK(derived_rip),
            .stale_offset = FORK(stale),
            .child_offset = FORK(child),
        },
};

/* The note: 4 bytes of owner, 8 bytes of address; exo_debug.h gives the type. */
__asm__(".pushsection .note.exo, \"a\", @note\n"
        "    .balign 4\n"
        "    .long 4, 8, 0x45584f44\n"
        "    .asciz \"Exo\"\n"
        "    .quad exo_debug\n"
        ".popsection");
