/*
 * Between a system call and its caller's memory. User pages are reached through the direct map
 * after the regions have been asked, so a bad pointer is -EFAULT, never a fault, and SMAP needs
 * no gap. A kernel-mode process passes kernel pointers; those only have to be mapped.
 */
#include "kernel.h"
#include "memory.h"
#include "process.h"
#include "system_call_numbers.h"

static size_t until_page_end(uint64_t address, size_t size) {
    size_t rest = PAGE_SIZE - address % PAGE_SIZE;
    return size < rest ? size : rest;
}

static int64_t copy(uint8_t *kernel, uint64_t user, size_t size, uint32_t access) {
    struct AddressSpace *space = current_thread()->process->space;
    if (user >= USER_END || size > USER_END - user) {
        return -EFAULT;
    }
    while (size > 0) {
        size_t part = until_page_end(user, size);
        uint8_t *page = address_space_page(space, user, access);
        if (page == NULL) {
            return -EFAULT;
        }
        if (access == PROTECTION_WRITE) {
            memcpy(page, kernel, part);
        } else {
            memcpy(kernel, page, part);
        }
        kernel += part;
        user += part;
        size -= part;
    }
    return 0;
}

static bool caller_is_kernel(void) {
    return current_thread()->mode == MODE_KERNEL;
}

int64_t copy_from_user(void *destination, uint64_t source, size_t size) {
    if (!caller_is_kernel()) {
        return copy(destination, source, size, PROTECTION_READ);
    }
    if (!kernel_range_is_mapped(source, size, false)) {
        return -EFAULT;
    }
    memcpy(destination, (const void *)source, size);
    return 0;
}

int64_t copy_to_user(uint64_t destination, const void *source, size_t size) {
    if (!caller_is_kernel()) {
        return copy((uint8_t *)source, destination, size, PROTECTION_WRITE);
    }
    if (!kernel_range_is_mapped(destination, size, true)) {
        return -EFAULT;
    }
    memcpy((void *)destination, source, size);
    return 0;
}

/* Copies up to and with the NUL; -ENAMETOOLONG if it does not fit. */
int64_t copy_string_from_user(char *destination, uint64_t source, size_t size) {
    for (size_t i = 0; i < size; i++) {
        int64_t error = copy_from_user(&destination[i], source + i, 1);
        if (error != 0) {
            return error;
        }
        if (destination[i] == 0) {
            return 0;
        }
    }
    return -ENAMETOOLONG;
}
