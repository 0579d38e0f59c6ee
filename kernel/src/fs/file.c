/*
 * Open files: the console and files of the tmpfs. Data goes through a small buffer in the kernel.
 */
#include "drivers.h"
#include "fs.h"
#include "kernel.h"
#include "memory.h"
#include "process.h"
#include "system_call_numbers.h"

#define CHUNK 256
#define ACCESS_MODE 3u

struct File *file_open_console(void) {
    struct File *file = heap_allocate(sizeof(*file));
    if (file != NULL) {
        file->references = 1;
        file->flags = O_RDWR;
    }
    return file;
}

static int64_t find_or_create(const char *path, uint32_t flags, struct TmpfsNode **found) {
    struct TmpfsNode *node = tmpfs_find(path);
    if (node != NULL && flags & O_CREAT && flags & O_EXCL) {
        return -EEXIST;
    }
    if (node == NULL) {
        if (!(flags & O_CREAT) || path[0] != '/') {
            return -ENOENT;
        }
        node = tmpfs_create(path, NULL, 0);
    }
    *found = node;
    return node == NULL ? -ENOMEM : 0;
}

int64_t file_open(const char *path, uint32_t flags, struct File **opened) {
    struct TmpfsNode *node = NULL;
    struct File *file = file_open_console();
    if (file == NULL) {
        return -ENOMEM;
    }
    file->flags = flags;
    if (strcmp(path, "/dev/console") != 0) {
        int64_t error = find_or_create(path, flags, &node);
        if (error != 0) {
            heap_free(file);
            return error;
        }
        if (flags & O_TRUNC && flags & ACCESS_MODE) {
            tmpfs_truncate(node);
        }
    }
    file->node = node;
    *opened = file;
    return 0;
}

void file_release(struct File *file) {
    file->references--;
    if (file->references == 0) {
        heap_free(file);
    }
}

/* Waits for at least one byte. */
static int64_t console_read(uint64_t user_buffer, size_t size) {
    char chunk[CHUNK];
    size_t count = 0;
    while (size > 0 && count == 0) {
        uint64_t flags = interrupts_disable();
        count = serial_read(chunk, size < CHUNK ? size : CHUNK);
        if (count == 0) {
            thread_wait(WAIT_CONSOLE, 0, 0);
        }
        interrupts_restore(flags);
    }
    int64_t error = copy_to_user(user_buffer, chunk, count);
    return error != 0 ? error : (int64_t)count;
}

int64_t file_read(struct File *file, uint64_t user_buffer, size_t size) {
    if ((file->flags & ACCESS_MODE) == O_WRONLY) {
        return -EBADF;
    }
    if (file->node == NULL) {
        return console_read(user_buffer, size);
    }
    const struct TmpfsNode *node = file->node;
    if (file->offset >= node->size) {
        return 0;
    }
    size_t rest = node->size - file->offset;
    size_t count = size < rest ? size : rest;
    int64_t error = copy_to_user(user_buffer, node->data + file->offset, count);
    if (error != 0) {
        return error;
    }
    file->offset += count;
    return (int64_t)count;
}

static int64_t write_chunk(struct File *file, const char *chunk, size_t size) {
    if (file->node == NULL) {
        serial_write(chunk, size);
        return (int64_t)size;
    }
    if (file->flags & O_APPEND) {
        file->offset = file->node->size;
    }
    int64_t result = tmpfs_write(file->node, file->offset, chunk, size);
    file->offset += result > 0 ? (uint64_t)result : 0;
    return result;
}

int64_t file_write(struct File *file, uint64_t user_buffer, size_t size) {
    char chunk[CHUNK];
    size_t done = 0;
    if ((file->flags & ACCESS_MODE) == 0) {
        return -EBADF;
    }
    while (done < size) {
        size_t part = size - done < CHUNK ? size - done : CHUNK;
        int64_t result = copy_from_user(chunk, user_buffer + done, part);
        if (result == 0) {
            result = write_chunk(file, chunk, part);
        }
        if (result < 0) {
            return done > 0 ? (int64_t)done : result;
        }
        done += (size_t)result;
    }
    return (int64_t)done;
}
