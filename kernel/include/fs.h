/* Open files, the console, and the file system in memory. */
#ifndef FS_H
#define FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_LENGTH 64

struct TmpfsNode {
    struct TmpfsNode *next;
    char path[PATH_LENGTH];
    uint8_t *data;
    size_t size;
    size_t capacity; /* 0: `data` is constant and is copied at the first write */
};

struct File {
    uint32_t references;
    struct TmpfsNode *node; /* null: the console */
    uint64_t offset;
    uint32_t flags;
};

void tmpfs_initialise(void);
struct TmpfsNode *tmpfs_find(const char *path);
struct TmpfsNode *tmpfs_create(const char *path, const void *constant_data, size_t size);
int64_t tmpfs_write(struct TmpfsNode *node, uint64_t offset, const void *bytes, size_t size);
int64_t tmpfs_truncate(struct TmpfsNode *node);

struct File *file_open_console(void);
int64_t file_open(const char *path, uint32_t flags, struct File **opened);
void file_release(struct File *file);
int64_t file_read(struct File *file, uint64_t user_buffer, size_t size);
int64_t file_write(struct File *file, uint64_t user_buffer, size_t size);

#endif
