/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_control.c -- the tests' hand on the disks: faults, damage, copies, and reading for checkers.
 */
#include "base/assert.h"
#include "disk.h"
#include "internal.h"
#include "own_memory.h"

#include <stdlib.h>
#include <string.h>

struct sim_disk_copy {
    struct sim_disk *disk;
};

void sim_disk_fault(struct sim_host *host, enum sim_disk_fault fault, const char *part)
{
    struct sim_fault *waiting = own_allocate(sizeof *waiting);
    waiting->kind = fault;
    waiting->part = own_duplicate(part);
    list_append(&host->faults, &waiting->node);
}

bool sim_disk_has_fault(const struct sim_host *host)
{
    return !list_is_empty(&host->faults);
}

void sim_disk_drop_faults(struct sim_host *host)
{
    list_for_each(&host->faults, node)
    {
        struct sim_fault *fault = container_of(node, struct sim_fault, node);
        list_remove(&fault->node);
        own_free(fault->part);
        own_free(fault);
    }
}

void sim_disk_set_options(struct sim_host *host, const struct sim_disk_options *options)
{
    host->disk_options = *options;
    disk_set_capacity(host->disk, options->capacity_bytes);
}

void sim_disk_set_capacity(struct sim_host *host, uint64_t capacity_bytes)
{
    disk_set_capacity(host->disk, capacity_bytes);
}

uint64_t sim_disk_used(const struct sim_host *host)
{
    return disk_used(host->disk);
}

void sim_disk_slow(struct sim_host *host, uint64_t ns)
{
    host->slow_ns = ns;
}

void sim_host_wipe(struct sim_host *host)
{
    require(host->process == NULL);
    uint64_t capacity = disk_capacity(host->disk);
    disk_free(host->disk);
    host->disk = disk_new();
    disk_set_capacity(host->disk, capacity);
}

void sim_host_swap_disks(struct sim_host *one, struct sim_host *other)
{
    require(one->process == NULL && other->process == NULL);
    struct sim_disk *disk = one->disk;
    one->disk = other->disk;
    other->disk = disk;
}

struct sim_disk_copy *sim_disk_copy(const struct sim_host *host)
{
    struct sim_disk_copy *copy = own_allocate(sizeof *copy);
    copy->disk = disk_copy(host->disk);
    return copy;
}

void sim_disk_restore(struct sim_host *host, const struct sim_disk_copy *copy)
{
    require(host->process == NULL);
    disk_free(host->disk);
    host->disk = disk_copy(copy->disk);
}

void sim_disk_copy_free(struct sim_disk_copy *copy)
{
    disk_free(copy->disk);
    own_free(copy);
}

struct buf *sim_disk_read(const struct sim_host *host, const char *path)
{
    struct sim_inode *inode = NULL;
    if (disk_find(host->disk, path, &inode) != 0 || inode_is_directory(inode)) {
        return NULL;
    }
    struct buf *buf = buf_new((size_t)inode_size(inode));
    buf->length_bytes = inode_read(inode, 0, buf->data, buf->capacity_bytes);
    return buf;
}

void sim_disk_write(struct sim_host *host, const char *path, const void *data, size_t length)
{
    struct sim_inode *inode = NULL;
    bool is_new = false;
    char parent[DISK_PATH_SIZE];
    require(strlen(path) < sizeof parent);
    int result = disk_create(host->disk, path, &inode, &is_new);
    require(result == 0);
    result = inode_truncate(inode, 0);
    ensure(result == 0);
    result = inode_write(inode, 0, data, length);
    require(result == 0);
    inode_sync(inode);
    memcpy(parent, path, strlen(path) + 1);
    char *slash = strrchr(parent, '/');
    *(slash != NULL ? slash : parent) = 0;
    result = disk_sync_directory(host->disk, parent);
    ensure(result == 0);
}

void sim_disk_set_byte(struct sim_host *host, const char *path, uint64_t position, uint8_t byte)
{
    struct sim_inode *inode = NULL;
    int result = disk_find(host->disk, path, &inode);
    require(result == 0);
    inode_set_byte(inode, position, byte);
}

/* ---- Walking all files, in order of name ---- */

struct walk {
    bool (*visit)(const char *path, struct sim_inode *inode, void *context);
    void *context;
};

struct walk_child {
    const char *name;
    struct sim_inode *inode;
};

static int compare_names(const void *one, const void *other)
{
    return strcmp(((const struct walk_child *)one)->name, ((const struct walk_child *)other)->name);
}

static void path_append(char *path, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    ensure(length + name_length + 2 <= DISK_PATH_SIZE);
    if (length > 0) {
        path[length++] = '/';
    }
    memcpy(path + length, name, name_length + 1);
}

/* path: with room for DISK_PATH_SIZE bytes, and as it was again afterwards. */
static bool walk_directory(const struct walk *walk, const struct sim_inode *directory, char *path)
{
    size_t length = strlen(path);
    size_t count = 0;
    bool goes_on = true;
    while (disk_name_at(directory, count) != NULL) {
        count++;
    }
    struct walk_child *children = own_allocate(count * sizeof *children);
    for (size_t i = 0; i < count; i++) {
        children[i] = (struct walk_child){disk_name_at(directory, i), disk_child_at(directory, i)};
    }
    qsort(children, count, sizeof *children, compare_names);
    for (size_t i = 0; i < count && goes_on; i++) {
        path_append(path, length, children[i].name);
        goes_on = inode_is_directory(children[i].inode)
                      ? walk_directory(walk, children[i].inode, path)
                      : walk->visit(path, children[i].inode, walk->context);
        path[length] = 0;
    }
    own_free(children);
    return goes_on;
}

static void walk_disk(const struct walk *walk, struct sim_disk *disk)
{
    char path[DISK_PATH_SIZE] = "";
    struct sim_inode *root = NULL;
    int result = disk_find(disk, "", &root);
    ensure(result == 0);
    (void)walk_directory(walk, root, path);
}

struct listing {
    bool (*visit)(const char *path, uint64_t size_bytes, void *context);
    void *context;
};

static bool list_file(const char *path, struct sim_inode *inode, void *context)
{
    const struct listing *listing = context;
    return listing->visit(path, inode_size(inode), listing->context);
}

void sim_disk_list(const struct sim_host *host,
                   bool (*visit)(const char *path, uint64_t size_bytes, void *context),
                   void *context)
{
    struct listing listing = {visit, context};
    walk_disk(&(struct walk){list_file, &listing}, host->disk);
}

/* ---- Rot ---- */

struct rot {
    const char *part;
    uint64_t byte; /* counted over all durable bytes that match; the walk counts down to it */
    uint64_t total;
    bool is_counting;
    struct sim_inode *inode;
    uint64_t position;
    char path[DISK_PATH_SIZE];
};

static bool rot_visit(const char *path, struct sim_inode *inode, void *context)
{
    struct rot *rot = context;
    uint64_t size = inode_durable_size(inode);
    if (strstr(path, rot->part) == NULL) {
        return true;
    }
    if (rot->is_counting) {
        rot->total += size;
        return true;
    }
    if (rot->byte >= size) {
        rot->byte -= size;
        return true;
    }
    rot->inode = inode;
    rot->position = rot->byte;
    snprintf(rot->path, sizeof rot->path, "%s", path);
    return false;
}

bool sim_disk_rot(struct sim_host *host, const char *part, struct prng *prng, char *path,
                  size_t path_size, uint64_t *position)
{
    struct rot rot = {.part = part, .is_counting = true};
    struct walk walk = {rot_visit, &rot};
    walk_disk(&walk, host->disk);
    if (rot.total == 0) {
        return false;
    }
    rot.is_counting = false;
    rot.byte = prng_below(prng, rot.total);
    walk_disk(&walk, host->disk);
    ensure(rot.inode != NULL);
    inode_rot(rot.inode, rot.position, (unsigned)prng_below(prng, 8));
    if (path != NULL) {
        snprintf(path, path_size, "%s", rot.path);
    }
    if (position != NULL) {
        *position = rot.position;
    }
    return true;
}
