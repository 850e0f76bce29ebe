/* SPDX-License-Identifier: Apache-2.0
 *
 * file.c -- open files: reading, writing, truncating, syncing.
 *
 * Calls interrupted by a signal are repeated; nothing else is.  A write, truncation or sync that
 * fails is logged here with the file's name, which nobody above holds.
 *
 * Locality: any thread that may block, see file.h.
 */
#define _GNU_SOURCE
#include "io/file.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "io/file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_MODE 0600
#define FILE_GATHER 128

struct io_file {
    _Atomic uint32_t references;
    int descriptor;
    bool is_aligned;        /* opened for reading from the medium */
    bool leaves_page_cache; /* likewise, on a file system that reads through the page cache only */
};

static int open_file(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
}

int io_file_open(struct io_file **file, const char *path, enum io_open_mode mode)
{
    static const int flags[] = {
        [IO_OPEN_READ] = O_RDONLY,
        [IO_OPEN_READ_MEDIUM] = O_RDONLY | O_DIRECT,
        [IO_OPEN_WRITE] = O_RDWR,
        [IO_OPEN_CREATE] = O_RDWR | O_CREAT,
        [IO_OPEN_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
    };
    require(mode <= IO_OPEN_CREATE_NEW);
    int descriptor = open_file(path, flags[mode]);
    bool is_indirect = mode == IO_OPEN_READ_MEDIUM && descriptor < 0 && errno == EINVAL;
    if (is_indirect) {
        descriptor = open_file(path, O_RDONLY);
    }
    if (descriptor < 0) {
        return -errno;
    }
    struct io_file *opened = memory_allocate(sizeof *opened);
    atomic_init(&opened->references, 1);
    opened->descriptor = descriptor;
    opened->is_aligned = mode == IO_OPEN_READ_MEDIUM;
    opened->leaves_page_cache = is_indirect;
    *file = opened;
    return 0;
}

struct io_file *io_file_reference(struct io_file *file)
{
    uint32_t before = atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    require(before > 0);
    return file;
}

void io_file_release(struct io_file *file)
{
    if (file == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel);
    require(before > 0);
    if (before == 1) {
        close(file->descriptor);
        memory_free(file);
    }
}

int io_file_descriptor(const struct io_file *file)
{
    return file->descriptor;
}

/* The error of a call that failed, logged: the result to return. */
static int file_failed(const struct io_file *file, const char *what)
{
    int error = errno;
    char link[64];
    char path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file->descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    trace_error("%s %s failed: %s", what, path, strerror(error));
    return -error;
}

int io_file_size(const struct io_file *file, uint64_t *size)
{
    struct stat status;
    if (fstat(file->descriptor, &status) != 0) {
        return -errno;
    }
    *size = (uint64_t)status.st_size;
    return 0;
}

/* A direct read that ended early was at the end: going on from there would not be aligned. */
static int read_until(const struct io_file *file, uint64_t position, void *data, size_t length,
                      size_t *done)
{
    uint8_t *at = data;
    *done = 0;
    while (*done < length && !(file->is_aligned && *done % IO_MEDIUM_ALIGNMENT != 0)) {
        ssize_t got =
            pread(file->descriptor, at + *done, length - *done, (off_t)(position + *done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        *done += (size_t)got;
    }
    return 0;
}

/* Reads from the page cache what is there; the rest comes into it and is let go again. */
static int read_leaving_page_cache(const struct io_file *file, uint64_t position, void *data,
                                   size_t length, size_t *done)
{
    int result = io_file_read_cached(file, position, data, length, done);
    if (result != 0 || *done == length) {
        return result;
    }
    size_t cached = *done / IO_MEDIUM_ALIGNMENT * IO_MEDIUM_ALIGNMENT;
    (void)posix_fadvise(file->descriptor, 0, 0, POSIX_FADV_RANDOM); /* no reading ahead */
    result = read_until(file, position, data, length, done);
    (void)posix_fadvise(file->descriptor, (off_t)(position + cached), (off_t)(length - cached),
                        POSIX_FADV_DONTNEED);
    return result;
}

int io_file_read(const struct io_file *file, uint64_t position, void *data, size_t length,
                 size_t *done)
{
    require(!file->is_aligned || (position | length | (uintptr_t)data) % IO_MEDIUM_ALIGNMENT == 0);
    return file->leaves_page_cache ? read_leaving_page_cache(file, position, data, length, done)
                                   : read_until(file, position, data, length, done);
}
/* A file system that cannot say what it has cached (EOPNOTSUPP) counts as having nothing cached. */
int io_file_read_cached(const struct io_file *file, uint64_t position, void *data, size_t length,
                        size_t *done)
{
    uint8_t *at = data;
    *done = 0;
    while (*done < length) {
        struct iovec vector = {at + *done, length - *done};
        ssize_t got = preadv2(file->descriptor, &vector, 1, (off_t)(position + *done), RWF_NOWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno != EAGAIN && errno != EOPNOTSUPP) {
            return -errno;
        }
        if (got <= 0) {
            break;
        }
        *done += (size_t)got;
    }
    return 0;
}

int io_file_write(struct io_file *file, uint64_t position, const void *data, size_t length)
{
    struct buf_slice slice = {NULL, data, length};
    return io_file_write_slices(file, position, &slice, 1);
}

/* Where a gathered write goes on: the slice and the bytes of it that are already written. */
struct file_cursor {
    const struct buf_slice *slices;
    uint32_t slice_count;
    uint32_t at;
    size_t offset;
};

static int file_gather(const struct file_cursor *cursor, struct iovec *vectors)
{
    int count = 0;
    size_t offset = cursor->offset;
    for (uint32_t i = cursor->at; i < cursor->slice_count && count < FILE_GATHER; i++) {
        const struct buf_slice *slice = &cursor->slices[i];
        if (slice->length_bytes > offset) {
            vectors[count].iov_base = (void *)(slice->data + offset);
            vectors[count].iov_len = slice->length_bytes - offset;
            count++;
        }
        offset = 0;
    }
    return count;
}

static void file_advance(struct file_cursor *cursor, size_t written)
{
    while (written > 0) {
        ensure(cursor->at < cursor->slice_count);
        size_t left = cursor->slices[cursor->at].length_bytes - cursor->offset;
        if (written < left) {
            cursor->offset += written;
            return;
        }
        written -= left;
        cursor->at++;
        cursor->offset = 0;
    }
}

int io_file_write_slices(struct io_file *file, uint64_t position, const struct buf_slice *slices,
                         uint32_t slice_count)
{
    struct file_cursor cursor = {slices, slice_count, 0, 0};
    struct iovec vectors[FILE_GATHER];
    int count = file_gather(&cursor, vectors);
    while (count > 0) {
        ssize_t written = pwritev(file->descriptor, vectors, count, (off_t)position);
        if (written == 0) {
            errno = EIO;
        }
        if (written == 0 || (written < 0 && errno != EINTR)) {
            return file_failed(file, "writing");
        }
        if (written > 0) {
            position += (uint64_t)written;
            file_advance(&cursor, (size_t)written);
        }
        count = file_gather(&cursor, vectors);
    }
    return 0;
}

int io_file_truncate(struct io_file *file, uint64_t size)
{
    int result = 0;
    do {
        result = ftruncate(file->descriptor, (off_t)size);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : file_failed(file, "truncating");
}

/* fdatasync writes the file's size as well when that is needed to read the data back.  It is not
 * repeated after EINTR either: a sync is asked once. */
int io_file_sync(struct io_file *file)
{
    return fdatasync(file->descriptor) == 0 ? 0 : file_failed(file, "syncing");
}
