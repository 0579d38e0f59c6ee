/* System calls about files. */
#include "fs.h"
#include "kernel.h"
#include "process.h"
#include "syscall.h"

#define TRANSFER_LIMIT 0x7ffff000ull

static struct File *file_at(uint64_t descriptor) {
    if (descriptor >= PROCESS_FILES) {
        return NULL;
    }
    return current_thread()->process->files[descriptor];
}

int64_t sys_read(uint64_t descriptor, uint64_t buffer, uint64_t size) {
    struct File *file = file_at(descriptor);
    return file == NULL ? -EBADF
                        : file_read(file, buffer, size < TRANSFER_LIMIT ? size : TRANSFER_LIMIT);
}

int64_t sys_write(uint64_t descriptor, uint64_t buffer, uint64_t size) {
    struct File *file = file_at(descriptor);
    return file == NULL ? -EBADF
                        : file_write(file, buffer, size < TRANSFER_LIMIT ? size : TRANSFER_LIMIT);
}

int64_t sys_open(uint64_t path_address, uint64_t flags) {
    struct Process *process = current_thread()->process;
    char path[PATH_LENGTH];
    int64_t error = copy_string_from_user(path, path_address, sizeof(path));
    if (error != 0) {
        return error;
    }
    for (int64_t descriptor = 0; descriptor < PROCESS_FILES; descriptor++) {
        if (process->files[descriptor] == NULL) {
            error = file_open(path, (uint32_t)flags, &process->files[descriptor]);
            return error != 0 ? error : descriptor;
        }
    }
    return -EMFILE;
}

int64_t sys_close(uint64_t descriptor) {
    struct File *file = file_at(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    current_thread()->process->files[descriptor] = NULL;
    file_release(file);
    return 0;
}
