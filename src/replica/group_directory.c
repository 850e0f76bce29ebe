/* SPDX-License-Identifier: Apache-2.0
 *
 * group_directory.c -- the file `group`, and making and removing group directories.
 *
 *     magic (4), format (2), cluster id (16), broker id (4), group id (8), incarnation (4), join
 * (1), applier name length (1) and name, membership length (2) and membership, description length
 * (2) and description, crc32c of all before (4)
 *
 * Format 1 had no incarnation: it is 0.
 */
#include "replica/group_directory.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/trace.h"
#include "log/torn.h"
#include "log/window.h"
#include "replica/membership_codec.h"
#include "replica/quarantine.h"
#include "wire/cursor.h"
#include "wire/writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECORD_MAGIC 0x464c4752 /* "FLGR" */
#define RECORD_FORMAT 2
#define RECORD_BYTES_MAX 4096

char *replica_group_path(const char *data_directory, uint64_t group_id, const char *suffix,
                         char *path)
{
    int length = snprintf(path, REPLICA_PATH_SIZE, "%s/groups/%llu%s", data_directory,
                          (unsigned long long)group_id, suffix);
    ensure(length > 0 && length < REPLICA_PATH_SIZE);
    return path;
}

/* ---- The record as bytes ---- */

static void encode_record(struct wire_writer *writer, const struct replica_group_record *record)
{
    require(record->description_length <= REPLICA_DESCRIPTION_BYTES_MAX);
    size_t name_length = strlen(record->applier_name);
    uint8_t members[REPLICA_MEMBERSHIP_BYTES_MAX];
    size_t members_length = replica_membership_encode(&record->members, members);
    wire_writer_init(writer, RECORD_BYTES_MAX);
    wire_write_int32(writer, RECORD_MAGIC);
    wire_write_int16(writer, RECORD_FORMAT);
    wire_write_uuid(writer, &record->cluster_id);
    wire_write_uint32(writer, record->broker_id);
    wire_write_int64(writer, (int64_t)record->group_id);
    wire_write_uint32(writer, record->incarnation);
    wire_write_bool(writer, record->join);
    wire_write_int8(writer, (int8_t)name_length);
    wire_write_raw(writer, record->applier_name, name_length);
    wire_write_int16(writer, (int16_t)members_length);
    wire_write_raw(writer, members, members_length);
    wire_write_int16(writer, (int16_t)record->description_length);
    wire_write_raw(writer, record->description, record->description_length);
    wire_write_uint32(writer, crc32c(0, writer->buf->data, wire_writer_length(writer)));
    ensure(wire_writer_length(writer) <= RECORD_BYTES_MAX);
}

static void decode_fields(struct wire_cursor *cursor, int16_t format,
                          struct replica_group_record *record)
{
    record->cluster_id = wire_read_uuid(cursor);
    record->broker_id = wire_read_uint32(cursor);
    record->group_id = (uint64_t)wire_read_int64(cursor);
    record->incarnation = format >= 2 ? wire_read_uint32(cursor) : 0;
    record->join = wire_read_bool(cursor);
    size_t length = (uint8_t)wire_read_int8(cursor);
    const uint8_t *bytes = wire_read_raw(cursor, length);
    if (bytes == NULL || length >= sizeof record->applier_name) {
        wire_fail(cursor, "applier name");
        return;
    }
    memcpy(record->applier_name, bytes, length);
    length = wire_read_uint16(cursor);
    bytes = wire_read_raw(cursor, length);
    if (bytes == NULL || !replica_membership_decode(&record->members, bytes, length)) {
        wire_fail(cursor, "membership");
        return;
    }
    length = wire_read_uint16(cursor);
    bytes = wire_read_raw(cursor, length);
    if (bytes == NULL || length > sizeof record->description) {
        wire_fail(cursor, "description");
        return;
    }
    memcpy(record->description, bytes, length);
    record->description_length = length;
}

static bool decode_record(struct replica_group_record *record, const struct buf *content)
{
    memset(record, 0, sizeof *record);
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, content->data, content->length_bytes, NULL);
    int32_t magic = wire_read_int32(&cursor);
    int16_t format = wire_read_int16(&cursor);
    if (magic != RECORD_MAGIC || format < 1 || format > RECORD_FORMAT) {
        return false;
    }
    decode_fields(&cursor, format, record);
    size_t covered = content->length_bytes - wire_remaining(&cursor);
    uint32_t crc = wire_read_uint32(&cursor);
    return cursor.error == NULL && wire_remaining(&cursor) == 0 &&
           crc == crc32c(0, content->data, covered) &&
           record->join == replica_membership_is_empty(&record->members);
}

/* Whether a record that makes no sense may be one whose only write was cut by a crash, so that it
 * was never synced: it ends before its own end, or a sector of it was never written. */
static bool may_be_torn(const struct buf *content)
{
    const size_t head_bytes = sizeof(int32_t) + sizeof(int16_t);
    size_t length = content->length_bytes;
    if (length <= head_bytes || torn_has_unwritten_sector(content->data, length, 0, 0, length)) {
        return true;
    }
    struct replica_group_record record;
    memset(&record, 0, sizeof record);
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, content->data, length, NULL);
    bool is_ours = wire_read_int32(&cursor) == RECORD_MAGIC;
    decode_fields(&cursor, wire_read_int16(&cursor), &record);
    return is_ours && (cursor.error != NULL || wire_remaining(&cursor) < sizeof(uint32_t));
}

/* ---- Files ---- */

enum replica_record_state replica_record_read(const char *data_directory, uint64_t group_id,
                                              struct replica_group_record *record, int *result)
{
    char path[REPLICA_PATH_SIZE];
    *result = 0;
    if (!io_path_exists(replica_group_path(data_directory, group_id, "", path))) {
        return RECORD_ABSENT;
    }
    struct buf *content = NULL;
    *result = io_path_read(replica_group_path(data_directory, group_id, "/group", path),
                           RECORD_BYTES_MAX, &content);
    if (*result == -ENOENT) {
        *result = 0;
        return RECORD_UNBORN;
    }
    if (*result < 0) {
        return *result == -EFBIG ? RECORD_DAMAGED : RECORD_UNREADABLE;
    }
    enum replica_record_state state = RECORD_WHOLE;
    if (!decode_record(record, content)) {
        state = may_be_torn(content) ? RECORD_UNBORN : RECORD_DAMAGED;
    }
    buf_release(content);
    return state;
}

static int verify_record(const struct io_file *file)
{
    uint64_t size = 0;
    struct log_window window;
    struct replica_group_record record;
    const uint8_t *data;
    int result = io_file_size(file, &size);
    if (result != 0 || size == 0 || size > RECORD_BYTES_MAX) {
        return result != 0 ? result : -EBADMSG;
    }
    log_window_init(&window, file, size);
    result = log_window_show(&window, 0, (size_t)size, &data);
    if (result == 0) {
        struct buf *content = buf_new((size_t)size);
        memcpy(content->data, data, (size_t)size);
        content->length_bytes = (size_t)size;
        result = decode_record(&record, content) ? 0 : -EBADMSG;
        buf_release(content);
    }
    log_window_free(&window);
    return result;
}

int replica_record_verify(const char *data_directory, uint64_t group_id)
{
    char path[REPLICA_PATH_SIZE];
    struct io_file *file = NULL;
    int result = io_file_open(&file, replica_group_path(data_directory, group_id, "/group", path),
                              IO_OPEN_READ_MEDIUM);
    if (result == 0) {
        result = verify_record(file);
        io_file_release(file);
    }
    return result == -ENOENT ? -EBADMSG : result;
}

int replica_record_create_beside(const char *data_directory,
                                 const struct replica_group_record *record, const char *suffix,
                                 struct io_file **file)
{
    char path[REPLICA_PATH_SIZE];
    char name[64];
    int result =
        io_directory_make(replica_group_path(data_directory, record->group_id, suffix, path));
    if (result < 0) {
        return result;
    }
    snprintf(name, sizeof name, "%s/group", suffix);
    replica_group_path(data_directory, record->group_id, name, path);
    result = io_file_open(file, path, IO_OPEN_CREATE_NEW);
    if (result < 0) {
        return result;
    }
    struct wire_writer writer;
    encode_record(&writer, record);
    result = io_file_write(*file, 0, writer.buf->data, wire_writer_length(&writer));
    wire_writer_free(&writer);
    if (result < 0) {
        io_file_release(*file);
        *file = NULL;
    }
    return result;
}

int replica_record_create(const char *data_directory, const struct replica_group_record *record,
                          struct io_file **file)
{
    return replica_record_create_beside(data_directory, record, "", file);
}

int replica_record_replace(const char *data_directory, const struct replica_group_record *record)
{
    char path[REPLICA_PATH_SIZE];
    struct wire_writer writer;
    encode_record(&writer, record);
    int result =
        io_path_replace(replica_group_path(data_directory, record->group_id, "/group", path),
                        writer.buf->data, wire_writer_length(&writer));
    wire_writer_free(&writer);
    return result;
}

bool replica_record_is_ours(const struct replica_group_record *record,
                            const struct uuid *cluster_id, uint32_t broker_id, uint64_t group_id)
{
    return uuid_equal(&record->cluster_id, cluster_id) && record->broker_id == broker_id &&
           record->group_id == group_id;
}

enum replica_result replica_directory_remove_unborn(const char *data_directory, uint64_t group_id,
                                                    struct log_stream *stream,
                                                    const struct log_options *options)
{
    char path[REPLICA_PATH_SIZE];
    char error[256] = "";
    replica_group_path(data_directory, group_id, "", path);
    struct log *log = NULL;
    struct log_found found = {0};
    int result = log_open(&log, stream, path, options, &found, error, sizeof error);
    if (result < 0) {
        trace_error("group %llu: no record of its owner, and its log: %s",
                    (unsigned long long)group_id, error);
        return result == -EBADMSG ? REPLICA_DAMAGED : REPLICA_DISK_FAILED;
    }
    bool promised = found.term != 0 || found.vote != 0 || found.first_index != 1 ||
                    found.last_index != 0 || found.membership_count != 0;
    log_detach(log);
    log_close(log);
    if (promised) {
        trace_error("group %llu: its log holds data but the record of its owner is gone",
                    (unsigned long long)group_id);
        return REPLICA_DAMAGED;
    }
    trace_info("group %llu: half created before a crash, removed", (unsigned long long)group_id);
    result = log_unmake(path);
    result = result < 0 ? result : io_directory_remove_tree(path);
    return result < 0 ? REPLICA_DISK_FAILED : REPLICA_OK;
}

int replica_directory_delete(const char *data_directory, uint64_t group_id)
{
    char path[REPLICA_PATH_SIZE];
    char deleted[REPLICA_PATH_SIZE];
    char directory[REPLICA_PATH_SIZE];
    snprintf(directory, sizeof directory, "%s/groups", data_directory);
    replica_group_path(data_directory, group_id, "", path);
    replica_group_path(data_directory, group_id, ".deleted", deleted);
    char joining[REPLICA_PATH_SIZE];
    replica_group_path(data_directory, group_id, REPLICA_JOINING_SUFFIX, joining);
    int result = io_directory_remove_tree(deleted);
    result = result < 0 ? result : io_directory_remove_tree(joining);
    if (result == 0 && io_path_exists(path)) {
        result = io_path_rename(path, deleted);
        /* Only now: the old name must not come back with a part of what it held. */
        result = result < 0 ? result : io_directory_sync(directory);
        result = result < 0 ? result : io_directory_remove_tree(deleted);
    }
    return result;
}
