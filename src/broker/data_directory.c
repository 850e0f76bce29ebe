/* SPDX-License-Identifier: Apache-2.0
 *
 * data_directory.c -- see data_directory.h.
 *
 * `meta`: magic, format version, cluster id, broker id, directory id, first founded group id,
 * number of founders, each with broker id and directory id, number of the first start that is
 * told, how many are, and their ids (all from format 3 on), CRC-32C; big-endian.
 */
#include "broker/data_directory.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "base/trace.h"
#include "cluster/cluster.h"
#include "io/file.h"
#include "wire/cursor.h"
#include "wire/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define META_MAGIC 0x464c4f54u /* "FLOT" */
#define META_FORMAT 3
#define META_FORMAT_LEAST 2 /* without the starts */
#define META_BYTES_MAX 4096
#define PATH_BYTES_MAX 4096

static uint64_t mix_text(uint64_t seed, const char *text)
{
    uint64_t mixed = seed;
    for (const char *at = text; *at != '\0'; at++) {
        struct prng prng;
        prng_init(&prng, mixed ^ (uint8_t)*at);
        mixed = prng_next(&prng);
    }
    return mixed;
}

/* An identity, not a secret: it keeps apart clusters that were named differently.  Two chains of
 * the generator over the name's bytes, with different beginnings. */
struct uuid data_directory_cluster_id(const char *cluster_name)
{
    return uuid_from_random(mix_text(0x666c6f74696c6c61u, cluster_name),
                            mix_text(0x636c757374657221u, cluster_name));
}

static bool path_of(char path[PATH_BYTES_MAX], const char *directory, const char *name)
{
    int length = snprintf(path, PATH_BYTES_MAX, "%s/%s", directory, name);
    return length > 0 && length < PATH_BYTES_MAX;
}

/* Of the starts the last start_count. */
static int meta_write(const struct data_directory *directory, uint32_t start_count)
{
    char path[PATH_BYTES_MAX];
    if (!path_of(path, directory->path, "meta")) {
        return -ENAMETOOLONG;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    wire_write_uint32(&writer, META_MAGIC);
    wire_write_uint32(&writer, META_FORMAT);
    wire_write_uuid(&writer, &directory->cluster_id);
    wire_write_uint32(&writer, directory->broker_id);
    wire_write_uuid(&writer, &directory->id);
    wire_write_int64(&writer, (int64_t)directory->first_founded_group_id);
    wire_write_uint32(&writer, directory->founder_count);
    for (uint32_t i = 0; i < directory->founder_count; i++) {
        wire_write_uint32(&writer, directory->founders[i].broker_id);
        wire_write_uuid(&writer, &directory->founders[i].directory_id);
    }
    uint32_t skipped = directory->start_count - start_count;
    wire_write_int64(&writer, (int64_t)(directory->first_start + skipped));
    wire_write_uint32(&writer, start_count);
    for (uint32_t i = skipped; i < directory->start_count; i++) {
        wire_write_uuid(&writer, &directory->starts[i]);
    }
    uint32_t crc = crc32c(0, writer.buf->data, wire_writer_length(&writer));
    wire_write_uint32(&writer, crc);
    int result = io_path_replace(path, writer.buf->data, wire_writer_length(&writer));
    wire_writer_free(&writer);
    return result;
}

static bool founders_decode(struct data_directory *directory, struct wire_cursor *cursor)
{
    uint32_t count = wire_read_uint32(cursor);
    if (count > DATA_DIRECTORY_FOUNDERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        directory->founders[i].broker_id = wire_read_uint32(cursor);
        directory->founders[i].directory_id = wire_read_uuid(cursor);
    }
    directory->founder_count = count;
    return true;
}

static bool starts_decode(struct data_directory *directory, struct wire_cursor *cursor)
{
    directory->first_start = (uint64_t)wire_read_int64(cursor);
    uint32_t count = wire_read_uint32(cursor);
    if (count > CLUSTER_DIRECTORY_STARTS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        directory->starts[i] = wire_read_uuid(cursor);
    }
    directory->start_count = count;
    return true;
}

static bool meta_decode(struct data_directory *directory, const struct buf *content)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, content->data, content->length_bytes, NULL);
    bool is_meta = wire_read_uint32(&cursor) == META_MAGIC;
    uint32_t format = wire_read_uint32(&cursor);
    is_meta = is_meta && format >= META_FORMAT_LEAST && format <= META_FORMAT;
    directory->cluster_id = wire_read_uuid(&cursor);
    directory->broker_id = wire_read_uint32(&cursor);
    directory->id = wire_read_uuid(&cursor);
    directory->first_founded_group_id = (uint64_t)wire_read_int64(&cursor);
    is_meta = founders_decode(directory, &cursor) && is_meta;
    is_meta = (format < META_FORMAT || starts_decode(directory, &cursor)) && is_meta;
    size_t checked = content->length_bytes - wire_remaining(&cursor);
    uint32_t crc = wire_read_uint32(&cursor);
    return wire_expect_end(&cursor) && is_meta && crc == crc32c(0, content->data, checked);
}

static bool check_owner(const struct data_directory *found, const struct broker_config *config,
                        const struct uuid *cluster_id, char *error, size_t error_size)
{
    if (!uuid_equal(&found->cluster_id, cluster_id)) {
        char theirs[UUID_TEXT_LENGTH + 1];
        char ours[UUID_TEXT_LENGTH + 1];
        snprintf(error, error_size,
                 "data directory %s belongs to cluster %s, not to cluster %s (%s): set "
                 "data_directory or cluster_name right",
                 config->data_directory, uuid_format(&found->cluster_id, theirs),
                 uuid_format(cluster_id, ours), config->cluster_name);
        return false;
    }
    if (found->broker_id != config->broker_id) {
        snprintf(error, error_size,
                 "data directory %s belongs to broker %" PRIu32 ", not to broker %" PRIu32
                 ": set data_directory or broker_id right",
                 config->data_directory, found->broker_id, config->broker_id);
        return false;
    }
    return true;
}

static bool prepare(const struct broker_config *config, char *error, size_t error_size)
{
    char path[PATH_BYTES_MAX];
    int result = io_directory_make(config->data_directory);
    if (result != 0) {
        snprintf(error, error_size, "cannot make data directory %s: %s", config->data_directory,
                 strerror(-result));
        return false;
    }
    result = path_of(path, config->data_directory, "lock") ? io_path_lock(path) : -ENAMETOOLONG;
    if (result == -EWOULDBLOCK) {
        snprintf(error, error_size, "data directory %s is in use by another process",
                 config->data_directory);
        return false;
    }
    if (result != 0) {
        snprintf(error, error_size, "cannot lock data directory %s: %s", config->data_directory,
                 strerror(-result));
        return false;
    }
    return true;
}

/* The directory's own name must outlive a power cut as what is in it does.  Whoever made it where
 * we may not read has seen to that. */
static int sync_name(const struct data_directory *directory)
{
    char parent[PATH_BYTES_MAX];
    int result = path_of(parent, directory->path, "..") ? io_directory_sync(parent) : -ENAMETOOLONG;
    if (result == -EACCES) {
        trace_warn("%s cannot be synced: %s", parent, strerror(-result));
        return 0;
    }
    return result;
}

static void note_start(struct data_directory *directory, const struct uuid *start_id)
{
    if (directory->start_count == 0) {
        directory->first_start = 1;
    }
    if (directory->start_count < CLUSTER_DIRECTORY_STARTS_MAX) {
        directory->starts[directory->start_count++] = *start_id;
    }
}

bool data_directory_open(struct data_directory *directory, const struct broker_config *config,
                         const struct uuid *fresh_id, const struct uuid *start_id, char *error,
                         size_t error_size)
{
    char path[PATH_BYTES_MAX];
    struct uuid cluster_id = data_directory_cluster_id(config->cluster_name);
    if (!prepare(config, error, error_size) || !path_of(path, config->data_directory, "meta")) {
        return false;
    }
    struct buf *content = NULL;
    int result = io_path_read(path, META_BYTES_MAX, &content);
    directory->path = config->data_directory;
    if (result == 0) {
        bool is_meta = meta_decode(directory, content);
        buf_release(content);
        if (!is_meta) {
            snprintf(error, error_size, "%s is damaged or of an unknown format", path);
            return false;
        }
        if (!check_owner(directory, config, &cluster_id, error, error_size)) {
            return false;
        }
    } else if (result == -ENOENT) {
        directory->cluster_id = cluster_id;
        directory->broker_id = config->broker_id;
        directory->id = *fresh_id;
        directory->first_founded_group_id = DATA_DIRECTORY_NO_LIMIT;
        result = sync_name(directory);
    }
    note_start(directory, start_id);
    result = result != 0 ? result : meta_write(directory, directory->start_count);
    if (result != 0) {
        snprintf(error, error_size, "cannot read or write %s: %s", path, strerror(-result));
    }
    return result == 0;
}

int data_directory_set_founders(struct data_directory *directory,
                                const struct data_directory_founder *founders,
                                uint32_t founder_count)
{
    require(founder_count > 0 && founder_count <= DATA_DIRECTORY_FOUNDERS_MAX);
    memcpy(directory->founders, founders, founder_count * sizeof founders[0]);
    directory->founder_count = founder_count;
    return meta_write(directory, directory->start_count);
}

int data_directory_set_joined(struct data_directory *directory, uint64_t group_id)
{
    directory->first_founded_group_id = group_id;
    return meta_write(directory, 1);
}
