/*
 * The IDT and what the kernel does about each vector (Intel SDM 3A §6). An exception that a process
 * causes ends that process, in ring 3 and in kernel mode alike; only the kernel's own threads
 * panic.
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"
#include "process.h"
#include "system_call_numbers.h"

#define VECTORS 49
#define EXCEPTIONS 32
#define VECTOR_DEBUG 1
#define VECTOR_NMI 2
#define VECTOR_BREAKPOINT 3
#define VECTOR_DEVICE_NOT_AVAILABLE 7
#define VECTOR_PAGE_FAULT 14
#define PAGE_FAULT_WRITE 2
#define PAGE_FAULT_FETCH 16

struct Gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

static const struct {
    const char *name;
    uint8_t signal, ist;
} exceptions[EXCEPTIONS] = {
    {"divide error", SIGFPE, 0},         {"debug", SIGTRAP, 3},
    {"NMI", SIGKILL, 2},                 {"breakpoint", SIGTRAP, 0},
    {"overflow", SIGSEGV, 0},            {"bound range", SIGSEGV, 0},
    {"invalid opcode", SIGILL, 0},       {"device not available", SIGFPE, 0},
    {"double fault", SIGSEGV, 1},        {"coprocessor overrun", SIGFPE, 0},
    {"invalid TSS", SIGSEGV, 0},         {"segment not present", SIGBUS, 0},
    {"stack fault", SIGBUS, 0},          {"general protection", SIGSEGV, 0},
    {"page fault", SIGSEGV, 0},          {"exception 15", SIGKILL, 0},
    {"x87 error", SIGFPE, 0},            {"alignment check", SIGBUS, 0},
    {"machine check", SIGBUS, 2},        {"SIMD error", SIGFPE, 0},
    {"virtualization", SIGKILL, 0},      {"control protection", SIGSEGV, 0},
};

extern const uint64_t interrupt_stubs[VECTORS];
static struct Gate gates[256] __attribute__((aligned(16)));
static InterruptHandler handlers[VECTORS];

void interrupt_register(uint8_t vector, InterruptHandler handler) {
    handlers[vector] = handler;
}

void interrupts_initialise(void) {
    for (size_t vector = 0; vector < VECTORS; vector++) {
        uint64_t offset = interrupt_stubs[vector];
        bool from_user = vector == VECTOR_BREAKPOINT || vector == 4;
        gates[vector] = (struct Gate){
            .offset_low = (uint16_t)offset,
            .selector = KERNEL_CS,
            .ist = vector < EXCEPTIONS ? exceptions[vector].ist : 0,
            .type = from_user ? 0xee : 0x8e,
            .offset_middle = (uint16_t)(offset >> 16),
            .offset_high = (uint32_t)(offset >> 32),
        };
    }
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof(gates) - 1, (uint64_t)gates};
    __asm__ volatile("lidt %0" : : "m"(pointer));
    interrupt_controller_initialise();
}

static const char *exception_name(uint64_t vector) {
    const char *name = exceptions[vector].name;
    return name != NULL ? name : "reserved exception";
}

/* True if the page fault was a page to be filled in or copied. */
static bool resolve_page_fault(const struct TrapFrame *frame, uint64_t address) {
    struct Thread *thread = current_thread();
    if (!frame_is_user(frame) || thread->process->space == NULL) {
        return false;
    }
    uint32_t access = frame->error & PAGE_FAULT_WRITE   ? PROTECTION_WRITE
                      : frame->error & PAGE_FAULT_FETCH ? PROTECTION_EXECUTE
                                                        : PROTECTION_READ;
    preempt_disable();
    bool resolved = address_space_fault(thread->process->space, address, access);
    preempt_enable();
    return resolved;
}

/* The process pays for its exception; a kernel thread's is a bug of ours. */
static void exception(struct TrapFrame *frame, uint64_t address) {
    struct Thread *thread = current_thread();
    const char *name = exception_name(frame->vector);
    const char *mode = frame_is_user(frame) ? "ring 3" : "kernel mode";
    if (thread == NULL || thread->pid <= 1) {
        panic("%s in the kernel: rip=%lx rsp=%lx error=%lx cr2=%lx thread=%s", name, frame->rip,
              frame->rsp, frame->error, address, thread == NULL ? "none" : thread->name);
    }
    print("[KILL] pid %u \"%s\": %s in %s, rip=%lx rsp=%lx error=%lx cr2=%lx\n", thread->pid,
          thread->name, name, mode, frame->rip, frame->rsp, frame->error, address);
    process_exit_current(exceptions[frame->vector].signal);
}

static void handle_exception(struct TrapFrame *frame) {
    uint64_t address = frame->vector == VECTOR_PAGE_FAULT ? read_cr2() : 0;
    if (frame->rflags & RFLAGS_IF && frame_is_user(frame)) {
        __asm__ volatile("sti");
    }
    if (frame->vector == VECTOR_PAGE_FAULT && resolve_page_fault(frame, address)) {
        return;
    }
    if (frame->vector == VECTOR_DEVICE_NOT_AVAILABLE && frame_is_user(frame)) {
        fpu_device_not_available();
        return;
    }
    if (frame->vector == VECTOR_NMI) {
        print("[NMI] rip=%lx\n", frame->rip);
        return;
    }
    if (frame->vector == VECTOR_DEBUG && !frame_is_user(frame)) {
        frame->rflags &= ~RFLAGS_TF;
        return;
    }
    exception(frame, address);
}

/* Called by every stub, interrupts off. */
void interrupt_dispatch(struct TrapFrame *frame) {
    if (frame->vector < EXCEPTIONS) {
        handle_exception(frame);
        return;
    }
    if (handlers[frame->vector] != NULL) {
        handlers[frame->vector](frame);
    } else {
        interrupt_controller_end((uint8_t)(frame->vector - IRQ_VECTOR_BASE));
    }
    scheduler_preempt_if_due();
}
