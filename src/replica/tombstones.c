/* SPDX-License-Identifier: Apache-2.0
 *
 * tombstones.c -- the file of deleted groups.
 *
 *     head:   magic (4), cluster id (16), broker id (4), crc32c of these (4)
 *     record: group id (8), floor (4), crc32c of both (4)
 *
 * In the first format, whose magic is another, records had no floor: every incarnation was dead.
 * Such a file is read, and the own one written anew in the present format.
 */
#include "replica/tombstones.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/trace.h"
#include "replica/replica.h"
#include "wire/cursor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOMBSTONE_MAGIC_FIRST 0x464c5431u /* "FLT1" */
#define TOMBSTONE_MAGIC 0x464c5432u       /* "FLT2" */
#define TOMBSTONE_HEAD_BYTES 28
#define TOMBSTONE_RECORD_BYTES_FIRST 12
#define TOMBSTONE_RECORD_BYTES 16
#define TOMBSTONE_FILE_BYTES_MAX (256u << 20)
#define TOMBSTONE_PATH_SIZE 4096

struct tombstone {
    uint64_t group_id;
    uint32_t floor; /* the least incarnation that may live */
};

static void put_big_endian(uint8_t *bytes, uint64_t value, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(value >> (8 * (length - 1 - i)));
    }
}

static void encode_head(uint8_t *bytes, uint32_t magic,
                        const struct replica_tombstones_options *options)
{
    put_big_endian(bytes, magic, 4);
    memcpy(bytes + 4, options->cluster_id.bytes, 16);
    put_big_endian(bytes + 20, options->broker_id, 4);
    put_big_endian(bytes + 24, crc32c(0, bytes, 24), 4);
}

static void encode_record(uint8_t *bytes, uint64_t group_id, uint32_t floor)
{
    put_big_endian(bytes, group_id, 8);
    put_big_endian(bytes + 8, floor, 4);
    put_big_endian(bytes + 12, crc32c(0, bytes, 12), 4);
}

/* False when the checksum does not match; no group has id 0, so a record of zeros is none. */
static bool decode_record(const uint8_t *bytes, size_t record_bytes, uint64_t *group_id,
                          uint32_t *floor)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, bytes, record_bytes, NULL);
    *group_id = (uint64_t)wire_read_int64(&cursor);
    *floor = record_bytes == TOMBSTONE_RECORD_BYTES ? wire_read_uint32(&cursor)
                                                    : REPLICA_INCARNATION_NONE;
    return wire_read_uint32(&cursor) == crc32c(0, bytes, record_bytes - 4) && *group_id != 0 &&
           *floor != 0;
}

static void remember(struct replica_tombstones *tombstones, uint64_t group_id, uint32_t floor)
{
    struct tombstone *stone = map_get(&tombstones->stones, group_id);
    if (stone == NULL) {
        stone = memory_allocate(sizeof *stone);
        *stone = (struct tombstone){group_id, floor};
        map_put(&tombstones->stones, group_id, stone);
    } else if (stone->floor < floor) {
        stone->floor = floor;
    }
}

/* Length of the whole records at the beginning of content; SIZE_MAX when a whole one follows a bad
 * one. */
static size_t read_records(struct replica_tombstones *tombstones, const struct buf *content,
                           size_t record_bytes)
{
    size_t whole = TOMBSTONE_HEAD_BYTES;
    bool is_torn = false;
    for (size_t at = TOMBSTONE_HEAD_BYTES; at + record_bytes <= content->length_bytes;
         at += record_bytes) {
        uint64_t group_id;
        uint32_t floor;
        if (!decode_record(content->data + at, record_bytes, &group_id, &floor)) {
            is_torn = true;
        } else if (is_torn) {
            return SIZE_MAX;
        } else {
            remember(tombstones, group_id, floor);
            whole = at + record_bytes;
        }
    }
    return whole;
}

static bool is_all_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* What is good in a file. */
struct found {
    size_t whole_bytes; /* 0: nothing, not even the head */
    bool is_first_format;
};

/* Reads one shard's file. */
static bool read_file(struct replica_tombstones *tombstones,
                      const struct replica_tombstones_options *options, const char *path,
                      struct found *found, char *error, size_t error_size)
{
    struct buf *content = NULL;
    int result = io_path_read(path, TOMBSTONE_FILE_BYTES_MAX, &content);
    if (result < 0) {
        snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(-result));
        return false;
    }
    uint8_t head[TOMBSTONE_HEAD_BYTES];
    uint8_t head_first[TOMBSTONE_HEAD_BYTES];
    encode_head(head, TOMBSTONE_MAGIC, options);
    encode_head(head_first, TOMBSTONE_MAGIC_FIRST, options);
    bool is_good = true;
    *found = (struct found){0};
    if (content->length_bytes < TOMBSTONE_HEAD_BYTES ||
        is_all_zero(content->data, content->length_bytes)) {
        /* The head is durable before the first record is written: nothing was lost. */
    } else if (memcmp(content->data, head, sizeof head) != 0 &&
               memcmp(content->data, head_first, sizeof head_first) != 0) {
        snprintf(error, error_size, "%s: damaged, or of another cluster or broker", path);
        is_good = false;
    } else {
        found->is_first_format = memcmp(content->data, head, sizeof head) != 0;
        found->whole_bytes = read_records(tombstones, content,
                                          found->is_first_format ? TOMBSTONE_RECORD_BYTES_FIRST
                                                                 : TOMBSTONE_RECORD_BYTES);
        if (found->whole_bytes == SIZE_MAX) {
            snprintf(error, error_size, "%s: a damaged record before whole ones", path);
            is_good = false;
        }
    }
    buf_release(content);
    return is_good;
}

/* Puts everything known into the own file, in the present format. */
static int write_anew(struct replica_tombstones *tombstones,
                      const struct replica_tombstones_options *options, const char *path,
                      size_t *whole)
{
    struct buf *content =
        buf_new(TOMBSTONE_HEAD_BYTES + tombstones->stones.count * TOMBSTONE_RECORD_BYTES);
    size_t position = 0;
    const struct tombstone *stone = NULL;
    encode_head(content->data, TOMBSTONE_MAGIC, options);
    content->length_bytes = TOMBSTONE_HEAD_BYTES;
    while ((stone = map_next(&tombstones->stones, &position)) != NULL) {
        encode_record(content->data + content->length_bytes, stone->group_id, stone->floor);
        content->length_bytes += TOMBSTONE_RECORD_BYTES;
    }
    *whole = content->length_bytes;
    int result = io_path_replace(path, content->data, content->length_bytes);
    buf_release(content);
    return result;
}

/* Opens the own file for appending behind what is good in it. */
static int open_own(struct replica_tombstones *tombstones,
                    const struct replica_tombstones_options *options, const char *path,
                    size_t whole)
{
    int result = io_file_open(&tombstones->file, path, IO_OPEN_CREATE);
    if (result < 0) {
        return result;
    }
    if (whole == 0) {
        uint8_t head[TOMBSTONE_HEAD_BYTES];
        encode_head(head, TOMBSTONE_MAGIC, options);
        result = io_file_write(tombstones->file, 0, head, sizeof head);
        whole = TOMBSTONE_HEAD_BYTES;
    }
    uint64_t size = 0;
    result = result < 0 ? result : io_file_size(tombstones->file, &size);
    if (result == 0 && size > whole) {
        trace_warn("%s: a torn record of %llu bytes was cut", path,
                   (unsigned long long)(size - whole));
        result = io_file_truncate(tombstones->file, whole);
    }
    result = result < 0 ? result : io_file_sync(tombstones->file);
    result = result < 0 ? result : io_directory_sync(options->directory);
    tombstones->position = whole;
    return result;
}

struct read_all {
    struct replica_tombstones *tombstones;
    const struct replica_tombstones_options *options;
    struct found own;
    bool is_good;
    char *error;
    size_t error_size;
};

static bool read_one(const char *name, void *context)
{
    struct read_all *all = context;
    char *end = NULL;
    unsigned long shard = strtoul(name, &end, 10);
    if (end == name || *end != '\0') {
        trace_warn("tombstones/%s is not ours and was left alone", name);
        return true;
    }
    char path[TOMBSTONE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", all->options->directory, name);
    struct found found;
    all->is_good =
        read_file(all->tombstones, all->options, path, &found, all->error, all->error_size);
    if (shard == all->options->shard) {
        all->own = found;
    }
    return all->is_good;
}

static void flush_done(struct io_flush *flush);

bool replica_tombstones_open(struct replica_tombstones *tombstones,
                             const struct replica_tombstones_options *options, char *error,
                             size_t error_size)
{
    require(options->saved != NULL && error_size > 0);
    *tombstones = (struct replica_tombstones){
        .loop = options->loop, .saved = options->saved, .owner = options->owner};
    map_init(&tombstones->stones);
    list_node_init(&tombstones->flush.node);
    tombstones->flush.done = flush_done;
    struct read_all all = {tombstones, options, {0}, true, error, error_size};
    int result = io_directory_make(options->directory);
    result = result < 0 ? result : io_directory_list(options->directory, read_one, &all);
    if (result == 0 && all.is_good) {
        char path[TOMBSTONE_PATH_SIZE];
        snprintf(path, sizeof path, "%s/%u", options->directory, options->shard);
        if (all.own.is_first_format) {
            result = write_anew(tombstones, options, path, &all.own.whole_bytes);
        }
        result = result < 0 ? result : open_own(tombstones, options, path, all.own.whole_bytes);
    }
    if (result < 0) {
        snprintf(error, error_size, "%s: %s", options->directory, strerror(-result));
    }
    if (result < 0 || !all.is_good) {
        replica_tombstones_close(tombstones);
        return false;
    }
    return true;
}

void replica_tombstones_close(struct replica_tombstones *tombstones)
{
    require(tombstones->writing == NULL);
    io_file_release(tombstones->file);
    tombstones->file = NULL;
    buf_release(tombstones->waiting);
    tombstones->waiting = NULL;
    size_t position = 0;
    struct tombstone *stone = NULL;
    while ((stone = map_next(&tombstones->stones, &position)) != NULL) {
        memory_free(stone);
    }
    map_free(&tombstones->stones);
}

uint32_t replica_tombstones_floor(const struct replica_tombstones *tombstones, uint64_t group_id)
{
    const struct tombstone *stone = map_get(&tombstones->stones, group_id);
    return stone != NULL ? stone->floor : 0;
}

static struct buf *grown(struct buf *content)
{
    struct buf *larger =
        buf_new(content == NULL ? 64 * TOMBSTONE_RECORD_BYTES : 2 * content->capacity_bytes);
    if (content != NULL) {
        memcpy(larger->data, content->data, content->length_bytes);
        larger->length_bytes = content->length_bytes;
        buf_release(content);
    }
    return larger;
}

void replica_tombstones_add(struct replica_tombstones *tombstones, uint64_t group_id,
                            uint32_t floor)
{
    require(group_id != 0);
    require(replica_tombstones_floor(tombstones, group_id) < floor);
    remember(tombstones, group_id, floor);
    struct buf *waiting = tombstones->waiting;
    if (waiting == NULL ||
        waiting->length_bytes + TOMBSTONE_RECORD_BYTES > waiting->capacity_bytes) {
        waiting = tombstones->waiting = grown(waiting);
    }
    encode_record(waiting->data + waiting->length_bytes, group_id, floor);
    waiting->length_bytes += TOMBSTONE_RECORD_BYTES;
}

bool replica_tombstones_submit(struct replica_tombstones *tombstones)
{
    if (tombstones->waiting == NULL || tombstones->writing != NULL) {
        return false;
    }
    struct buf *writing = tombstones->writing = tombstones->waiting;
    tombstones->waiting = NULL;
    tombstones->slice = (struct buf_slice){writing, writing->data, writing->length_bytes};
    tombstones->steps[0] = (struct io_flush_step){.kind = IO_FLUSH_WRITE,
                                                  .file = tombstones->file,
                                                  .position = tombstones->position,
                                                  .slices = &tombstones->slice,
                                                  .slice_count = 1};
    tombstones->steps[1] = (struct io_flush_step){.kind = IO_FLUSH_SYNC, .file = tombstones->file};
    tombstones->flush.steps = tombstones->steps;
    tombstones->flush.step_count = 2;
    tombstones->position += writing->length_bytes;
    io_flush_submit(tombstones->loop, &tombstones->flush);
    return true;
}

static void flush_done(struct io_flush *flush)
{
    struct replica_tombstones *tombstones = container_of(flush, struct replica_tombstones, flush);
    ensure(tombstones->writing != NULL);
    buf_release(tombstones->writing);
    tombstones->writing = NULL;
    tombstones->saved(tombstones->owner, flush->result);
}

bool replica_tombstones_are_busy(const struct replica_tombstones *tombstones)
{
    return tombstones->waiting != NULL || tombstones->writing != NULL;
}
