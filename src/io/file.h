/* SPDX-License-Identifier: Apache-2.0
 *
 * file.h -- files and directories: the blocking calls, the durable writes of a shard, and the
 * thread that takes blocking work off the loop.
 *
 * Three doors.  io_file_* block and run where blocking is allowed: at start, and inside a work.
 * io_flush_submit() hands an ordered list of writes and syncs to the loop's flusher thread.
 * io_work_submit() runs a function on the loop's worker thread.
 *
 * A failed write or sync is final: its flush fails and every later one fails without touching the
 * disk (what the kernel still holds is unknown).  Nothing is retried.
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/buf.h"
#include "base/list.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An open file, reference counted (atomically), closed with the last reference. */
struct io_file;

#define IO_MEDIUM_ALIGNMENT 4096

enum io_open_mode {
    IO_OPEN_READ,        /* must exist */
    IO_OPEN_READ_MEDIUM, /* likewise; reads go past the page cache and leave it as it is, as far as
                            the file system can: positions, lengths and memory are multiples of
                            IO_MEDIUM_ALIGNMENT, and a read that ends early ends the file */
    IO_OPEN_WRITE,       /* must exist; read and write */
    IO_OPEN_CREATE,      /* read and write, created when missing */
    IO_OPEN_CREATE_NEW,  /* must not exist */
};

/* All paths are absolute or relative to the process's directory; files are made 0600, directories
 * 0700, symbolic links are not followed in the last component. Results: 0, or a negative errno.
 * Locality: any thread that may block. */
int io_file_open(struct io_file **file, const char *path, enum io_open_mode mode);
struct io_file *io_file_reference(struct io_file *file);
void io_file_release(struct io_file *file); /* accepts NULL */
int io_file_size(const struct io_file *file, uint64_t *size);
/* Reads until length or the end of the file: *done tells. */
int io_file_read(const struct io_file *file, uint64_t position, void *data, size_t length,
                 size_t *done);
/* Writes everything or fails. */
int io_file_write(struct io_file *file, uint64_t position, const void *data, size_t length);
int io_file_truncate(struct io_file *file, uint64_t size);
int io_file_sync(struct io_file *file);
/* Reads what the page cache holds without waiting for the disk: *done may be short.  May be called
 * on the loop. */
int io_file_read_cached(const struct io_file *file, uint64_t position, void *data, size_t length,
                        size_t *done);

int io_directory_make(const char *path); /* 0 also when it exists */
int io_directory_sync(const char *path);
int io_path_rename(const char *from, const char *to);
int io_path_remove(const char *path);           /* file; 0 also when missing */
int io_directory_remove_tree(const char *path); /* 0 also when missing */
bool io_path_exists(const char *path);
/* Calls visit for every entry but "." and ".."; stops when it returns false. */
int io_directory_list(const char *path, bool (*visit)(const char *name, void *context),
                      void *context);
/* Whole small files: read into a new buf; written beside, synced, renamed over, directory synced.
 */
int io_path_read(const char *path, size_t size_max, struct buf **content);
int io_path_replace(const char *path, const void *content, size_t length);
/* An exclusive lock on a file (made when missing) held until the process ends; -EWOULDBLOCK when
 * another process has it. */
int io_path_lock(const char *path);
/* Free and total bytes of the file system that holds path. */
int io_path_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes);

/* One step of a flush. */
struct io_flush_step {
    enum { IO_FLUSH_WRITE, IO_FLUSH_TRUNCATE, IO_FLUSH_SYNC, IO_FLUSH_SYNC_DIRECTORY } kind;
    struct io_file *file;           /* borrowed until the flush is done; NULL for SYNC_DIRECTORY */
    const char *path;               /* SYNC_DIRECTORY only; borrowed likewise */
    uint64_t position;              /* WRITE: where; TRUNCATE: the new size */
    const struct buf_slice *slices; /* WRITE: gathered in order; borrowed likewise */
    uint32_t slice_count;
};

struct io_flush {
    struct list_node node; /* the loop's */
    const struct io_flush_step *steps;
    uint32_t step_count;
    int result;                           /* 0 or a negative errno, set before done */
    uint64_t duration_ns;                 /* from taken up to finished */
    void (*done)(struct io_flush *flush); /* on the loop's thread */
};

/* Steps run in order, flushes in the order of submission, except that neighbouring SYNC steps of
 * one flush may run side by side. */
void io_flush_submit(struct io_loop *loop, struct io_flush *flush);

struct io_work {
    struct list_node node;              /* the loop's */
    void (*run)(struct io_work *work);  /* on the worker thread: touches only what the work holds */
    void (*done)(struct io_work *work); /* on the loop's thread */
};

/* Works of a loop run one after another, in order. */
void io_work_submit(struct io_loop *loop, struct io_work *work);

#endif
