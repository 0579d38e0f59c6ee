/* System calls about memory: brk, mmap, munmap, and the FS and GS bases. */
#include "kernel.h"
#include "process.h"
#include "syscall.h"

/* Only anonymous private memory; an address is a wish unless MAP_FIXED says otherwise. */
int64_t sys_mmap(uint64_t address, uint64_t size, uint64_t protection, uint64_t flags) {
    struct AddressSpace *space = current_thread()->process->space;
    if (size == 0 || size > USER_END || address % PAGE_SIZE != 0 ||
        !(flags & (MAP_PRIVATE | MAP_SHARED))) {
        return -EINVAL;
    }
    if (space == NULL || !(flags & MAP_ANONYMOUS) || flags & MAP_SHARED) {
        return -ENOSYS;
    }
    size = round_up(size, PAGE_SIZE);
    if (flags & MAP_FIXED) {
        int64_t error = address_space_unmap(space, address, size);
        if (error != 0) {
            return error;
        }
    } else {
        address = address_space_find_gap(space, size);
    }
    if (address == 0) {
        return -ENOMEM;
    }
    int64_t error = address_space_map(space, address, size, (uint32_t)protection & 7);
    return error != 0 ? error : (int64_t)address;
}

int64_t sys_munmap(uint64_t address, uint64_t size) {
    struct AddressSpace *space = current_thread()->process->space;
    if (space == NULL || size > USER_END) {
        return -EINVAL;
    }
    return address_space_unmap(space, address, size);
}

static bool move_break(struct AddressSpace *space, uint64_t old_end, uint64_t new_end) {
    if (new_end > old_end) {
        return address_space_map(space, old_end, new_end - old_end,
                                 PROTECTION_READ | PROTECTION_WRITE) == 0;
    }
    return new_end == old_end || address_space_unmap(space, new_end, old_end - new_end) == 0;
}

/* As Linux: returns the new end, or the old one if it could not be moved. */
int64_t sys_brk(uint64_t wanted) {
    struct AddressSpace *space = current_thread()->process->space;
    if (space == NULL) {
        return -ENOMEM;
    }
    if (wanted >= space->break_start && wanted < USER_MAP_START &&
        move_break(space, round_up(space->break_end, PAGE_SIZE), round_up(wanted, PAGE_SIZE))) {
        space->break_end = wanted;
    }
    return (int64_t)space->break_end;
}

static int64_t set_base(uint64_t address, uint32_t msr, uint64_t *saved) {
    if (address >= USER_END) {
        return -EPERM;
    }
    uint64_t flags = interrupts_disable();
    *saved = address;
    write_msr(msr, address);
    interrupts_restore(flags);
    return 0;
}

int64_t sys_arch_prctl(uint64_t code, uint64_t address) {
    struct Thread *thread = current_thread();
    if (thread->mode == MODE_KERNEL) {
        return -EINVAL;
    }
    switch (code) {
    case ARCH_SET_FS:
        return set_base(address, MSR_FS_BASE, &thread->fs_base);
    case ARCH_SET_GS:
        return set_base(address, MSR_KERNEL_GS_BASE, &thread->gs_base);
    case ARCH_GET_FS:
        return copy_to_user(address, &thread->fs_base, sizeof(uint64_t));
    case ARCH_GET_GS:
        return copy_to_user(address, &thread->gs_base, sizeof(uint64_t));
    default:
        return -EINVAL;
    }
}
