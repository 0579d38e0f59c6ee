/* System calls about the CPU and time, and uname. */
#include "kernel.h"
#include "process.h"
#include "syscall.h"

#define NANOSECONDS_PER_SECOND 1000000000ull
#define NANOSECONDS_PER_TICK (NANOSECONDS_PER_SECOND / TICKS_PER_SECOND)
#define UTS_LENGTH 65

int64_t sys_sched_yield(void) {
    schedule();
    return 0;
}

/* Sleeps whole ticks, at least as long as asked. Nothing interrupts a sleep, so the rest is 0. */
int64_t sys_nanosleep(uint64_t request) {
    struct {
        int64_t seconds, nanoseconds;
    } time;
    int64_t error = copy_from_user(&time, request, sizeof(time));
    if (error != 0) {
        return error;
    }
    if (time.seconds < 0 || time.nanoseconds < 0 ||
        time.nanoseconds >= (int64_t)NANOSECONDS_PER_SECOND) {
        return -EINVAL;
    }
    uint64_t ticks = (uint64_t)time.seconds * TICKS_PER_SECOND +
                     ((uint64_t)time.nanoseconds + NANOSECONDS_PER_TICK - 1) / NANOSECONDS_PER_TICK;
    uint64_t wake_tick = timer_ticks + ticks + 1;
    thread_wait(WAIT_SLEEP, wake_tick, wake_tick);
    return 0;
}

int64_t sys_uname(uint64_t buffer) {
    static const char names[6][UTS_LENGTH] = {"Exo-OS", "exo", "0.1", KERNEL_NAME, "x86_64", ""};
    return copy_to_user(buffer, names, sizeof(names));
}
