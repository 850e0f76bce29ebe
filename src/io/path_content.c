/* SPDX-License-Identifier: Apache-2.0
 *
 * path_content.c -- whole small files, made of the single steps of path.c and file.c.
 *
 * Locality: any thread that may block, see file.h.
 */
#include "io/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

int io_path_read(const char *path, size_t size_max, struct buf **content)
{
    struct io_file *file = NULL;
    int result = io_file_open(&file, path, IO_OPEN_READ);
    if (result != 0) {
        return result;
    }
    uint64_t size = 0;
    result = io_file_size(file, &size);
    if (result == 0 && size > size_max) {
        result = -EFBIG;
    }
    if (result == 0) {
        struct buf *buf = buf_new((size_t)size);
        result = io_file_read(file, 0, buf->data, (size_t)size, &buf->length_bytes);
        if (result == 0) {
            *content = buf;
        } else {
            buf_release(buf);
        }
    }
    io_file_release(file);
    return result;
}

/* The directory part of path; "." when there is none. */
static int path_parent(const char *path, char parent[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        parent[0] = '.';
        parent[1] = 0;
        return 0;
    }
    size_t length = slash == path ? 1 : (size_t)(slash - path);
    if (length >= PATH_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(parent, path, length);
    parent[length] = 0;
    return 0;
}

static int path_write_new(const char *path, const void *content, size_t length)
{
    int result = io_path_remove(path); /* left over from a crash */
    if (result != 0) {
        return result;
    }
    struct io_file *file = NULL;
    result = io_file_open(&file, path, IO_OPEN_CREATE_NEW);
    if (result != 0) {
        return result;
    }
    result = io_file_write(file, 0, content, length);
    if (result == 0) {
        result = io_file_sync(file);
    }
    io_file_release(file);
    return result;
}

int io_path_replace(const char *path, const void *content, size_t length)
{
    char beside[PATH_MAX];
    char parent[PATH_MAX];
    int printed = snprintf(beside, sizeof beside, "%s.new", path);
    if (printed < 0 || (size_t)printed >= sizeof beside) {
        return -ENAMETOOLONG;
    }
    int result = path_parent(path, parent);
    if (result == 0) {
        result = path_write_new(beside, content, length);
    }
    if (result == 0) {
        result = io_path_rename(beside, path);
    }
    if (result == 0) {
        result = io_directory_sync(parent);
    }
    return result;
}
