/* SPDX-License-Identifier: Apache-2.0
 *
 * file.c -- io/file.h on a host's disk: the time that operations take, the faults they meet, and
 * the crash that comes between two of them.
 *
 * On a fiber a blocking call gives way and others go on; on a loop's own thread it makes the turn
 * longer.  The operation happens at the end of its time, all at once.
 */
#include "io/file.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "disk.h"
#include "fiber.h"
#include "file_parts.h"
#include "kernel.h"
#include "loop_parts.h"
#include "own_memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TREE_DEPTH_MAX 16

struct io_file {
    struct list_node node; /* of its process */
    uint32_t references;
    struct sim_host *host;
    struct sim_inode *inode; /* held */
    enum io_open_mode mode;
    char path[];
};

/* ---- Time and crashes ---- */

uint64_t file_operation_ns(const struct sim_host *host, bool is_sync)
{
    const struct sim_disk_options *options = &host->disk_options;
    struct prng *prng = &host->world->disk_prng;
    uint64_t duration_ns = is_sync
                               ? sim_between(prng, options->sync_least_ns, options->sync_most_ns)
                               : sim_between(prng, options->write_least_ns, options->write_most_ns);
    if (sim_happens(prng, options->slow_ppm)) {
        duration_ns += sim_between(prng, 0, options->slow_most_ns);
    }
    return duration_ns + host->slow_ns;
}

static struct sim_host *running_host(void)
{
    require(the_world != NULL && the_world->host != NULL);
    return the_world->host;
}

void file_count_operation(void)
{
    struct sim_host *host = running_host();
    host->operations++;
    if (host->crash_in > 0 && host->process != NULL && --host->crash_in == 0) {
        process_end_here(host->crash == SIM_CRASH_POWER ? SIM_END_POWER_CUT : SIM_END_KILLED,
                         "at a file operation");
    }
}

static void operation(bool is_sync)
{
    struct sim_world *world = the_world;
    uint64_t duration_ns = file_operation_ns(running_host(), is_sync);
    if (world->fiber != NULL) {
        fiber_sleep(duration_ns);
    } else if (world->loop != NULL) {
        loop_block(world->loop, duration_ns);
    }
    file_count_operation();
}

static void read_operation(void)
{
    if (sim_happens(&the_world->disk_prng, running_host()->disk_options.cached_ppm)) {
        file_count_operation();
    } else {
        operation(false);
    }
}

/* ---- Faults ---- */

/* A fault that was asked for and waits for such an operation; it is used up. */
static bool fault_meets(struct sim_host *host, enum sim_disk_fault kind, const char *path)
{
    list_for_each(&host->faults, node)
    {
        struct sim_fault *fault = container_of(node, struct sim_fault, node);
        if (fault->kind == kind && strstr(path, fault->part) != NULL) {
            sim_world_trace(host->world, "disk of host %u: fault %d meets %s", host->number, kind,
                            path);
            list_remove(&fault->node);
            own_free(fault->part);
            own_free(fault);
            return true;
        }
    }
    return false;
}

static bool fails(struct sim_host *host, enum sim_disk_fault kind, uint32_t ppm, const char *path)
{
    return fault_meets(host, kind, path) || sim_happens(&host->world->disk_prng, ppm);
}

static int failed(const struct io_file *file, const char *what, int error)
{
    trace_error("%s %s failed: %s", what, file->path, strerror(error));
    return -error;
}

/* ---- Open files ---- */

int io_file_open(struct io_file **file, const char *path, enum io_open_mode mode)
{
    struct sim_host *host = running_host();
    struct sim_inode *inode = NULL;
    bool is_new = false;
    require(mode <= IO_OPEN_CREATE_NEW && strlen(path) < DISK_PATH_SIZE);
    operation(false);
    int result = mode == IO_OPEN_CREATE || mode == IO_OPEN_CREATE_NEW
                     ? disk_create(host->disk, path, &inode, &is_new)
                     : disk_find(host->disk, path, &inode);
    if (result == 0 && mode == IO_OPEN_CREATE_NEW && !is_new) {
        result = -EEXIST;
    }
    if (result == 0 && inode_is_directory(inode) && mode != IO_OPEN_READ) {
        result = -EISDIR;
    }
    if (result != 0) {
        return result;
    }
    size_t path_bytes = strlen(path) + 1;
    struct io_file *opened = memory_allocate_zeroed(sizeof *opened + path_bytes);
    opened->references = 1;
    opened->host = host;
    opened->inode = inode_hold(inode);
    opened->mode = mode;
    memcpy(opened->path, path, path_bytes);
    list_node_init(&opened->node);
    if (the_world->process != NULL) {
        list_append(&the_world->process->files, &opened->node);
    }
    *file = opened;
    return 0;
}

struct io_file *io_file_reference(struct io_file *file)
{
    require(file->references > 0);
    file->references++;
    return file;
}

void io_file_release(struct io_file *file)
{
    if (file == NULL) {
        return;
    }
    require(file->references > 0);
    file->references--;
    if (file->references == 0) {
        list_remove(&file->node);
        inode_release(file->inode);
        memory_free(file);
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
    read_operation();
    *done = 0;
    if (inode_is_directory(file->inode)) {
        return -EISDIR;
    }
    if (fails(file->host, SIM_DISK_READ_FAILS, file->host->disk_options.read_fails_ppm,
              file->path)) {
        return -EIO;
    }
    *done = inode_read(file->inode, position, data, length);
    return 0;
}

int io_file_read_cached(const struct io_file *file, uint64_t position, void *data, size_t length,
                        size_t *done)
{
    struct prng *prng = &file->host->world->disk_prng;
    *done = 0;
    if (sim_happens(prng, file->host->disk_options.uncached_ppm)) {
        length = prng_below(prng, 2) == 0 ? 0 : (size_t)prng_below(prng, length + 1);
    }
    *done = inode_read(file->inode, position, data, length);
    return 0;
}

/* ---- Writing ---- */

static size_t slices_bytes(const struct buf_slice *slices, uint32_t slice_count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < slice_count; i++) {
        bytes += slices[i].length_bytes;
    }
    return bytes;
}

/* The first so many bytes. */
static int write_some(struct io_file *file, uint64_t position, const struct buf_slice *slices,
                      uint32_t slice_count, size_t bytes)
{
    int result = 0;
    for (uint32_t i = 0; i < slice_count && bytes > 0 && result == 0; i++) {
        size_t length = slices[i].length_bytes < bytes ? slices[i].length_bytes : bytes;
        result = inode_write(file->inode, position, slices[i].data, length);
        position += length;
        bytes -= length;
    }
    return result;
}

/* What is written lands on another sector of the file; where it belongs, nothing changes. */
static void misdirect(struct io_file *file, uint64_t position, size_t bytes)
{
    struct prng *prng = &file->host->world->disk_prng;
    uint8_t sector[DISK_SECTOR_BYTES];
    size_t length =
        inode_read(file->inode, position, sector, bytes < sizeof sector ? bytes : sizeof sector);
    uint64_t size = inode_durable_size(file->inode);
    inode_lose_write(file->inode, position, bytes);
    if (size > 0) {
        inode_misdirect(file->inode, prng_below(prng, size), sector, length);
    }
}

int file_write_slices(struct io_file *file, uint64_t position, const struct buf_slice *slices,
                      uint32_t slice_count)
{
    struct sim_host *host = file->host;
    size_t bytes = slices_bytes(slices, slice_count);
    require(file->mode != IO_OPEN_READ);
    if (fails(host, SIM_DISK_WRITE_FAILS, host->disk_options.write_fails_ppm, file->path)) {
        write_some(file, position, slices, slice_count,
                   (size_t)prng_below(&host->world->disk_prng, bytes + 1));
        return failed(file, "writing", EIO);
    }
    int result = write_some(file, position, slices, slice_count, bytes);
    if (result != 0) {
        return failed(file, "writing", -result);
    }
    if (fault_meets(host, SIM_DISK_WRITE_LOST, file->path)) {
        inode_lose_write(file->inode, position, bytes);
    }
    if (fault_meets(host, SIM_DISK_WRITE_MISDIRECTED, file->path)) {
        misdirect(file, position, bytes);
    }
    return 0;
}

int io_file_write(struct io_file *file, uint64_t position, const void *data, size_t length)
{
    struct buf_slice slice = {NULL, data, length};
    operation(false);
    return file_write_slices(file, position, &slice, 1);
}

int file_truncate(struct io_file *file, uint64_t size)
{
    require(file->mode != IO_OPEN_READ);
    int result = inode_truncate(file->inode, size);
    return result == 0 ? 0 : failed(file, "truncating", -result);
}

int io_file_truncate(struct io_file *file, uint64_t size)
{
    operation(false);
    return file_truncate(file, size);
}

int file_sync(struct io_file *file)
{
    struct sim_host *host = file->host;
    if (fails(host, SIM_DISK_SYNC_FAILS, host->disk_options.sync_fails_ppm, file->path)) {
        inode_fail_sync(file->inode, &host->world->disk_prng);
        return failed(file, "syncing", EIO);
    }
    inode_sync(file->inode);
    return 0;
}

int io_file_sync(struct io_file *file)
{
    operation(true);
    return file_sync(file);
}

void file_abandon_step(const struct io_flush_step *step)
{
    if (step->kind == IO_FLUSH_WRITE) {
        struct prng *prng = &step->file->host->world->disk_prng;
        size_t bytes = slices_bytes(step->slices, step->slice_count);
        write_some(step->file, step->position, step->slices, step->slice_count,
                   (size_t)prng_below(prng, bytes + 1));
    }
}

/* ---- Names ---- */

int io_directory_make(const char *path)
{
    operation(false);
    return disk_make_directory(running_host()->disk, path);
}

int file_sync_directory(struct sim_host *host, const char *path)
{
    if (fails(host, SIM_DISK_SYNC_FAILS, host->disk_options.sync_fails_ppm, path)) {
        trace_error("syncing %s failed: %s", path, strerror(EIO));
        return -EIO;
    }
    return disk_sync_directory(host->disk, path);
}

int io_directory_sync(const char *path)
{
    operation(true);
    return file_sync_directory(running_host(), path);
}

int io_path_rename(const char *from, const char *to)
{
    operation(false);
    return disk_rename(running_host()->disk, from, to);
}

int io_path_remove(const char *path)
{
    struct sim_host *host = running_host();
    struct sim_inode *inode = NULL;
    operation(false);
    int result = disk_find(host->disk, path, &inode);
    if (result != 0) {
        return result == -ENOENT ? 0 : result;
    }
    return inode_is_directory(inode) ? -EISDIR : disk_remove(host->disk, path);
}

bool io_path_exists(const char *path)
{
    struct sim_inode *inode = NULL;
    operation(false);
    return disk_find(running_host()->disk, path, &inode) == 0;
}

static int remove_tree(struct sim_disk *disk, const char *path, int depth)
{
    struct sim_inode *inode = NULL;
    int result = disk_find(disk, path, &inode);
    if (result != 0) {
        return result == -ENOENT ? 0 : result;
    }
    while (inode_is_directory(inode) && disk_name_at(inode, 0) != NULL && result == 0) {
        char child[DISK_PATH_SIZE];
        int printed = snprintf(child, sizeof child, "%s/%s", path, disk_name_at(inode, 0));
        if (printed < 0 || (size_t)printed >= sizeof child || depth == 0) {
            return -ELOOP;
        }
        result = remove_tree(disk, child, depth - 1);
        if (result == 0) {
            result = disk_find(disk, path, &inode); /* it was given way meanwhile */
        }
    }
    operation(false);
    return result == 0 ? disk_remove(disk, path) : result;
}

int io_directory_remove_tree(const char *path)
{
    return remove_tree(running_host()->disk, path, TREE_DEPTH_MAX);
}

int io_directory_list(const char *path, bool (*visit)(const char *name, void *context),
                      void *context)
{
    struct sim_host *host = running_host();
    struct sim_inode *directory = NULL;
    operation(false);
    int result = disk_find(host->disk, path, &directory);
    if (result == 0 && !inode_is_directory(directory)) {
        result = -ENOTDIR;
    }
    if (result != 0) {
        return result;
    }
    const char *name = NULL;
    bool goes_on = true;
    for (size_t i = 0; goes_on && (name = disk_name_at(directory, i)) != NULL; i++) {
        char copy[DISK_PATH_SIZE]; /* visit may change the directory, even remove it */
        snprintf(copy, sizeof copy, "%s", name);
        goes_on = visit(copy, context) && disk_find(host->disk, path, &directory) == 0;
    }
    return 0;
}

int io_path_lock(const char *path)
{
    struct sim_host *host = running_host();
    struct sim_inode *inode = NULL;
    bool is_new = false;
    operation(false);
    int result = disk_create(host->disk, path, &inode, &is_new);
    if (result != 0) {
        return result;
    }
    /* Another owner is a process that has ended: a host runs one at a time. */
    uint64_t owner = (uint64_t)host->number << 32 | host->starts;
    if (inode_lock_owner(inode) == owner) {
        return -EWOULDBLOCK;
    }
    inode_set_lock_owner(inode, owner);
    return 0;
}

int io_path_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
    const struct sim_disk *disk = running_host()->disk;
    (void)path;
    operation(false);
    *total_bytes = disk_capacity(disk);
    *free_bytes = *total_bytes > disk_used(disk) ? *total_bytes - disk_used(disk) : 0;
    return 0;
}

/* ---- The kernel's part when a process or the power goes ---- */

void kernel_close_files(struct sim_process *process)
{
    struct list_node *node = NULL;
    while ((node = list_take_first(&process->files)) != NULL) {
        inode_release(container_of(node, struct io_file, node)->inode);
    }
}

void kernel_lose_power(struct sim_host *host)
{
    disk_lose_power(host->disk, &host->world->disk_prng);
}
