/*
 * The last 64 forks, for the debugger: what was captured, what the child got, what would be stale.
 */
#ifndef FORK_RING_H
#define FORK_RING_H

#include <stdint.h>

#include "process.h"

#define FORK_RING_CAPACITY 64
#define FORK_RING_WRITING (~0ull)

enum ForkKind { FORK_KIND_FORK, FORK_KIND_VFORK };

#define FORK_FLAG_STALE 1u

struct ForkRecord {
    uint64_t sequence; /* FORK_RING_WRITING while the rest is not complete */
    uint64_t tick;
    uint32_t kind, flags;
    uint32_t parent_tid, parent_pid, child_tid, child_pid;
    struct CapturedRegisters captured;
    uint64_t derived_rip;
    struct ThreadContext stale, child;
};

extern struct ForkRecord fork_ring[FORK_RING_CAPACITY];
extern uint64_t fork_ring_total;

void fork_ring_record(const struct Thread *parent, const struct Thread *child,
                      const struct CapturedRegisters *captured);

#endif
