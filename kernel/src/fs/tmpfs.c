/*
 * The file system in memory: a flat list of absolute paths. The programs are part of the kernel
 * image and are copied only if somebody writes to them.
 */
#include "boot.h"
#include "fs.h"
#include "kernel.h"
#include "memory.h"
#include "system_call_numbers.h"

#define FILE_SIZE_LIMIT (1u << 20)

static struct TmpfsNode *nodes;

#define PROGRAM(symbol)                                                                            \
    extern const uint8_t program_##symbol##_start[], program_##symbol##_end[]
PROGRAM(hello);
PROGRAM(tests);
PROGRAM(protection);
PROGRAM(worker);
PROGRAM(console);

struct TmpfsNode *tmpfs_find(const char *path) {
    struct TmpfsNode *node = nodes;
    while (node != NULL && strcmp(node->path, path) != 0) {
        node = node->next;
    }
    return node;
}

/* `constant_data` is not copied and must stay. Returns null if there is no memory. */
struct TmpfsNode *tmpfs_create(const char *path, const void *constant_data, size_t size) {
    struct TmpfsNode *node = heap_allocate(sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    copy_string(node->path, path, sizeof(node->path));
    node->data = (uint8_t *)constant_data;
    node->size = size;
    node->next = nodes;
    nodes = node;
    return node;
}

void tmpfs_initialise(void) {
    static const struct {
        const char *path;
        const uint8_t *start, *end;
    } programs[] = {
        {"/tmp/hello.elf", program_hello_start, program_hello_end},
        {"/bin/tests.elf", program_tests_start, program_tests_end},
        {"/bin/protection.elf", program_protection_start, program_protection_end},
        {"/bin/worker.elf", program_worker_start, program_worker_end},
        {"/bin/console.elf", program_console_start, program_console_end},
    };
    for (size_t i = 0; i < COUNT_OF(programs); i++) {
        size_t size = (size_t)(programs[i].end - programs[i].start);
        if (tmpfs_create(programs[i].path, programs[i].start, size) == NULL) {
            panic("there must be memory for the first files");
        }
    }
    for (size_t i = 0; i < boot_information.module_count; i++) {
        struct PhysicalRange module = boot_information.modules[i];
        char path[PATH_LENGTH];
        format(path, sizeof(path), "/boot/module%lu", i);
        tmpfs_create(path, direct_map(module.start), module.end - module.start);
    }
}

/* Makes room for `size` bytes in memory of the file's own. */
static bool reserve(struct TmpfsNode *node, size_t size) {
    if (size <= node->capacity) {
        return true;
    }
    size_t capacity = round_up(size, PAGE_SIZE);
    uint8_t *data = heap_allocate(capacity);
    if (data == NULL) {
        return false;
    }
    memcpy(data, node->data, node->size);
    if (node->capacity > 0) {
        heap_free(node->data);
    }
    node->data = data;
    node->capacity = capacity;
    return true;
}

/* Bytes between the old end and `offset` read as zeros. */
int64_t tmpfs_write(struct TmpfsNode *node, uint64_t offset, const void *bytes, size_t size) {
    if (offset > FILE_SIZE_LIMIT || size > FILE_SIZE_LIMIT - offset) {
        return -EFBIG;
    }
    if (!reserve(node, offset + size)) {
        return -ENOMEM;
    }
    if (offset > node->size) {
        memset(node->data + node->size, 0, offset - node->size);
    }
    memcpy(node->data + offset, bytes, size);
    if (offset + size > node->size) {
        node->size = offset + size;
    }
    return (int64_t)size;
}

int64_t tmpfs_truncate(struct TmpfsNode *node) {
    if (node->capacity > 0) {
        heap_free(node->data);
    }
    node->data = NULL;
    node->size = node->capacity = 0;
    return 0;
}
