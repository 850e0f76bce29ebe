/* SPDX-License-Identifier: Apache-2.0
 *
 * host_file.c -- io/file.h on the disk of the process that runs.  Before every operation the
 * process may die.
 *
 * Locality: one thread.
 */
#include "../world/disk.h"
#include "base/assert.h"
#include "base/memory.h"
#include "host_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct io_file {
    struct list_node node;
    uint32_t references;
    struct sim_inode *inode; /* held */
};

int io_file_open(struct io_file **file, const char *path, enum io_open_mode mode)
{
    *file = NULL;
    host_operation();
    struct sim_inode *inode = NULL;
    bool is_new = false;
    bool creates = mode == IO_OPEN_CREATE || mode == IO_OPEN_CREATE_NEW;
    int result = creates ? disk_create(host_disk_in_use(), path, &inode, &is_new)
                         : disk_find(host_disk_in_use(), path, &inode);
    if (result == 0 && mode == IO_OPEN_CREATE_NEW && !is_new) {
        result = -EEXIST;
    }
    if (result == 0 && inode_is_directory(inode)) {
        result = -EISDIR;
    }
    if (result == 0) {
        *file = memory_allocate_zeroed(sizeof **file);
        (*file)->references = 1;
        (*file)->inode = inode_hold(inode);
        list_node_init(&(*file)->node);
        list_append(host_open_files(), &(*file)->node);
    }
    return result;
}

struct io_file *io_file_reference(struct io_file *file)
{
    file->references++;
    return file;
}

void io_file_release(struct io_file *file)
{
    if (file != NULL && --file->references == 0) {
        list_remove(&file->node);
        inode_release(file->inode);
        memory_free(file);
    }
}

void host_files_close(struct list *files)
{
    struct list_node *node;
    while ((node = list_take_first(files)) != NULL) {
        inode_release(container_of(node, struct io_file, node)->inode);
    }
}

int io_file_size(const struct io_file *file, uint64_t *size)
{
    *size = inode_size(file->inode);
    return 0;
}

int io_file_read(const struct io_file *file, uint64_t position, void *data, size_t length,
                 size_t *done)
{
    host_operation();
    *done = inode_read(file->inode, position, data, length);
    return 0;
}

int io_file_read_cached(const struct io_file *file, uint64_t position, void *data, size_t length,
                        size_t *done)
{
    *done = inode_read(file->inode, position, data, length);
    return 0;
}

int io_file_write(struct io_file *file, uint64_t position, const void *data, size_t length)
{
    host_operation();
    return inode_write(file->inode, position, data, length);
}

int io_file_truncate(struct io_file *file, uint64_t size)
{
    host_operation();
    return inode_truncate(file->inode, size);
}

int io_file_sync(struct io_file *file)
{
    host_operation();
    inode_sync(file->inode);
    return 0;
}

int host_flush_step(const struct io_flush_step *step)
{
    int result = 0;
    uint64_t position = step->position;
    switch (step->kind) {
    case IO_FLUSH_WRITE:
        for (uint32_t i = 0; result == 0 && i < step->slice_count; i++) {
            const struct buf_slice *slice = &step->slices[i];
            result = io_file_write(step->file, position, slice->data, slice->length_bytes);
            position += slice->length_bytes;
        }
        return result;
    case IO_FLUSH_TRUNCATE:
        return io_file_truncate(step->file, step->position);
    case IO_FLUSH_SYNC:
        return io_file_sync(step->file);
    case IO_FLUSH_SYNC_DIRECTORY:
        return io_directory_sync(step->path);
    }
    unreachable_code();
}

/* ---- Names ---- */

int io_directory_make(const char *path)
{
    host_operation();
    int result = disk_make_directory(host_disk_in_use(), path);
    return result == -EEXIST ? 0 : result;
}

int io_directory_sync(const char *path)
{
    host_operation();
    return disk_sync_directory(host_disk_in_use(), path);
}

int io_path_rename(const char *from, const char *to)
{
    host_operation();
    return disk_rename(host_disk_in_use(), from, to);
}

int io_path_remove(const char *path)
{
    host_operation();
    int result = disk_remove(host_disk_in_use(), path);
    return result == -ENOENT ? 0 : result;
}

int io_directory_remove_tree(const char *path)
{
    struct sim_inode *inode;
    if (disk_find(host_disk_in_use(), path, &inode) != 0) {
        return 0;
    }
    const char *name;
    int result = 0;
    while (result == 0 && inode_is_directory(inode) && (name = disk_name_at(inode, 0)) != NULL) {
        char child[DISK_PATH_SIZE];
        snprintf(child, sizeof child, "%s/%s", path, name);
        result = io_directory_remove_tree(child);
    }
    return result == 0 ? io_path_remove(path) : result;
}

bool io_path_exists(const char *path)
{
    struct sim_inode *inode;
    return disk_find(host_disk_in_use(), path, &inode) == 0;
}

int io_directory_list(const char *path, bool (*visit)(const char *name, void *context),
                      void *context)
{
    host_operation();
    struct sim_inode *inode;
    int result = disk_find(host_disk_in_use(), path, &inode);
    const char *name;
    for (size_t i = 0; result == 0 && (name = disk_name_at(inode, i)) != NULL; i++) {
        if (!visit(name, context)) {
            break;
        }
    }
    return result;
}
