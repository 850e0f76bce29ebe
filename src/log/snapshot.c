/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.c -- the file that keeps an applier's state beside its log.
 *
 * {magic, version, checksum of all that follows, position, length, content}; replaced as a whole,
 * so an old or a new one is there, never a part.
 */
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/trace.h"
#include "log/bytes.h"
#include "log/state.h"
#include "log/window.h"
#include "wire/cursor.h"

#include <errno.h>
#include <string.h>

#define SNAPSHOT_NAME "snapshot"
#define SNAPSHOT_MAGIC 0x464c534eu /* "FLSN" */
#define SNAPSHOT_VERSION 1u
#define SNAPSHOT_HEAD_BYTES 48
#define SNAPSHOT_HEAD_CHECKED_FROM 12
#define SNAPSHOT_BYTES_MAX ((size_t)1 << 30)

struct snapshot_head {
    uint64_t index;
    uint64_t term;
    uint64_t next_offset;
    uint64_t length;
    uint32_t content_crc;
};

int log_snapshot_write(const char *directory, uint64_t index, uint64_t term, uint64_t next_offset,
                       const void *content, size_t length)
{
    if (length > SNAPSHOT_BYTES_MAX - SNAPSHOT_HEAD_BYTES) {
        return -EFBIG;
    }
    struct buf *file = buf_new(SNAPSHOT_HEAD_BYTES + length);
    uint8_t *checked = file->data + SNAPSHOT_HEAD_CHECKED_FROM;
    put_uint32(put_uint32(file->data, SNAPSHOT_MAGIC), SNAPSHOT_VERSION);
    uint8_t *at = put_uint32(checked, crc32c(0, content, length));
    at = put_uint64(at, index);
    at = put_uint64(at, term);
    at = put_uint64(at, next_offset);
    at = put_uint64(at, length);
    put_uint32(file->data + 8,
               crc32c(0, checked, SNAPSHOT_HEAD_BYTES - SNAPSHOT_HEAD_CHECKED_FROM));
    if (length > 0) {
        memcpy(at, content, length);
    }
    file->length_bytes = SNAPSHOT_HEAD_BYTES + length;
    char *path = log_path(directory, SNAPSHOT_NAME);
    int result = io_path_replace(path, file->data, file->length_bytes);
    memory_free(path);
    buf_release(file);
    return result;
}

static bool decode_head(const uint8_t *data, size_t length, struct snapshot_head *head)
{
    if (length < SNAPSHOT_HEAD_BYTES) {
        return false;
    }
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, SNAPSHOT_HEAD_BYTES, NULL);
    bool known = wire_read_uint32(&cursor) == SNAPSHOT_MAGIC;
    known = wire_read_uint32(&cursor) == SNAPSHOT_VERSION && known;
    uint32_t crc = crc32c(0, data + SNAPSHOT_HEAD_CHECKED_FROM,
                          SNAPSHOT_HEAD_BYTES - SNAPSHOT_HEAD_CHECKED_FROM);
    if (!known || wire_read_uint32(&cursor) != crc) {
        return false;
    }
    head->content_crc = wire_read_uint32(&cursor);
    head->index = (uint64_t)wire_read_int64(&cursor);
    head->term = (uint64_t)wire_read_int64(&cursor);
    head->next_offset = (uint64_t)wire_read_int64(&cursor);
    head->length = (uint64_t)wire_read_int64(&cursor);
    return cursor.error == NULL;
}

int log_snapshot_read(const char *directory, uint64_t *index, uint64_t *term, uint64_t *next_offset,
                      struct buf **content)
{
    *content = NULL;
    struct buf *file;
    char *path = log_path(directory, SNAPSHOT_NAME);
    int result = io_path_read(path, SNAPSHOT_BYTES_MAX, &file);
    memory_free(path);
    if (result != 0) {
        return result;
    }
    struct snapshot_head head;
    bool valid =
        decode_head(file->data, file->length_bytes, &head) &&
        head.length == file->length_bytes - SNAPSHOT_HEAD_BYTES &&
        head.content_crc == crc32c(0, file->data + SNAPSHOT_HEAD_BYTES, (size_t)head.length);
    if (valid) {
        *index = head.index;
        *term = head.term;
        *next_offset = head.next_offset;
        *content = buf_new((size_t)head.length);
        memcpy((*content)->data, file->data + SNAPSHOT_HEAD_BYTES, (size_t)head.length);
        (*content)->length_bytes = (size_t)head.length;
    }
    buf_release(file);
    return valid ? 0 : -EBADMSG;
}

int log_snapshot_position(const char *directory, uint64_t *index)
{
    char *path = log_path(directory, SNAPSHOT_NAME);
    struct io_file *file;
    int result = io_file_open(&file, path, IO_OPEN_READ);
    memory_free(path);
    if (result != 0) {
        return result;
    }
    uint8_t data[SNAPSHOT_HEAD_BYTES];
    uint64_t size = 0;
    size_t done = 0;
    struct snapshot_head head;
    result = io_file_read(file, 0, data, sizeof(data), &done);
    if (result == 0) {
        result = io_file_size(file, &size);
    }
    io_file_release(file);
    if (result == 0 &&
        (!decode_head(data, done, &head) || head.length != size - SNAPSHOT_HEAD_BYTES)) {
        result = -EBADMSG;
    }
    if (result == 0) {
        *index = head.index;
    }
    return result;
}

#define VERIFY_PIECE_BYTES ((size_t)256 << 10)

static int verify_content(struct log_window *window, const struct snapshot_head *head)
{
    uint32_t crc = 0;
    uint64_t position = SNAPSHOT_HEAD_BYTES;
    while (position < window->file_size) {
        const uint8_t *data;
        uint64_t left = window->file_size - position;
        size_t length = left < VERIFY_PIECE_BYTES ? (size_t)left : VERIFY_PIECE_BYTES;
        int result = log_window_show(window, position, length, &data);
        if (result != 0) {
            return result;
        }
        crc = crc32c(crc, data, length);
        position += length;
    }
    return crc == head->content_crc ? 0 : -EBADMSG;
}

static int verify_file(const struct io_file *file, uint64_t size)
{
    struct log_window window;
    struct snapshot_head head;
    const uint8_t *data;
    if (size < SNAPSHOT_HEAD_BYTES) {
        return -EBADMSG;
    }
    log_window_init(&window, file, size);
    int result = log_window_show(&window, 0, SNAPSHOT_HEAD_BYTES, &data);
    if (result == 0 && (!decode_head(data, SNAPSHOT_HEAD_BYTES, &head) ||
                        head.length != size - SNAPSHOT_HEAD_BYTES)) {
        result = -EBADMSG;
    }
    result = result == 0 ? verify_content(&window, &head) : result;
    log_window_free(&window);
    return result;
}

int log_snapshot_verify(const char *directory, uint64_t *bytes_read)
{
    char *path = log_path(directory, SNAPSHOT_NAME);
    struct io_file *file;
    uint64_t size = 0;
    *bytes_read = 0;
    int result = io_file_open(&file, path, IO_OPEN_READ_MEDIUM);
    if (result == 0) {
        result = io_file_size(file, &size);
        result = result == 0 ? verify_file(file, size) : result;
        io_file_release(file);
        *bytes_read = size;
    }
    if (result == -EBADMSG || result == -EIO) {
        trace_error("%s: its content does not match its checksums", path);
    }
    memory_free(path);
    return result;
}
