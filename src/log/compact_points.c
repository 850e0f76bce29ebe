/* SPDX-License-Identifier: Apache-2.0
 *
 * compact_points.c -- the points in memory, and their file: {magic, version, checksum of the rest,
 * count, points}, big-endian.
 */
#include "log/compact_points.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "io/file.h"
#include "log/bytes.h"
#include "log/segment.h"
#include "wire/cursor.h"

#include <string.h>

#define POINTS_NAME "compaction"
#define POINTS_MAGIC 0x464c4350u /* "FLCP" */
#define POINTS_VERSION 1u
#define CHECKED_FROM 12
#define HEAD_BYTES 16
#define POINT_BYTES 16
#define FILE_BYTES_MAX (HEAD_BYTES + COMPACT_POINTS_MAX * POINT_BYTES)

uint64_t compact_points_offset(const struct compact_points *points)
{
    return points->count > 0 ? points->points[points->count - 1].offset : 0;
}

uint64_t compact_points_older(const struct compact_points *points, int64_t oldest_ms)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < points->count && points->points[i].time_ms <= oldest_ms; i++) {
        offset = points->points[i].offset;
    }
    return offset;
}

void compact_points_add(struct compact_points *points, uint64_t offset, int64_t time_ms)
{
    require(offset >= compact_points_offset(points));
    if (points->count > 0) {
        struct compact_point *last = &points->points[points->count - 1];
        if (offset == last->offset) {
            return; /* compacted again: its tombstones are as old as they were */
        }
        time_ms = time_ms > last->time_ms ? time_ms : last->time_ms; /* the clock went back */
    }
    if (points->count == COMPACT_POINTS_MAX) {
        /* The two oldest become one, at the later time. */
        memmove(points->points, points->points + 1,
                (COMPACT_POINTS_MAX - 1) * sizeof(points->points[0]));
        points->count--;
    }
    points->points[points->count++] = (struct compact_point){offset, time_ms};
}

int compact_points_write(const char *directory, const struct compact_points *points)
{
    uint8_t file[FILE_BYTES_MAX];
    uint8_t *at = put_uint32(put_uint32(file, POINTS_MAGIC), POINTS_VERSION);
    at = put_uint32(file + CHECKED_FROM, (uint32_t)points->count);
    for (size_t i = 0; i < points->count; i++) {
        at = put_uint64(at, points->points[i].offset);
        at = put_uint64(at, (uint64_t)points->points[i].time_ms);
    }
    size_t length = (size_t)(at - file);
    put_uint32(file + 8, crc32c(0, file + CHECKED_FROM, length - CHECKED_FROM));
    char *path = log_path(directory, POINTS_NAME);
    int result = io_path_replace(path, file, length);
    memory_free(path);
    return result;
}

static bool decode(const uint8_t *data, size_t length, struct compact_points *points)
{
    if (length < HEAD_BYTES) {
        return false;
    }
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, length, NULL);
    bool is_known = wire_read_uint32(&cursor) == POINTS_MAGIC;
    is_known = wire_read_uint32(&cursor) == POINTS_VERSION && is_known;
    uint32_t crc = crc32c(0, data + CHECKED_FROM, length - CHECKED_FROM);
    if (!is_known || wire_read_uint32(&cursor) != crc) {
        return false;
    }
    uint32_t count = wire_read_uint32(&cursor);
    if (count > COMPACT_POINTS_MAX || length != HEAD_BYTES + (size_t)count * POINT_BYTES) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t offset = (uint64_t)wire_read_int64(&cursor);
        int64_t time_ms = wire_read_int64(&cursor);
        if (i > 0 &&
            (offset <= points->points[i - 1].offset || time_ms < points->points[i - 1].time_ms)) {
            return false;
        }
        points->points[points->count++] = (struct compact_point){offset, time_ms};
    }
    return true;
}

void compact_points_read(const char *directory, uint64_t end_offset, struct compact_points *points)
{
    *points = (struct compact_points){.count = 0};
    struct buf *content;
    char *path = log_path(directory, POINTS_NAME);
    int result = io_path_read(path, FILE_BYTES_MAX, &content);
    memory_free(path);
    if (result != 0) {
        return;
    }
    if (!decode(content->data, content->length_bytes, points) ||
        compact_points_offset(points) > end_offset) {
        points->count = 0;
    }
    buf_release(content);
}

int compact_points_remove(const char *directory)
{
    char *path = log_path(directory, POINTS_NAME);
    int result = io_path_remove(path);
    memory_free(path);
    return result;
}
