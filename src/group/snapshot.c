/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.c -- all that is kept of all groups as bytes, and back: the records that would make it,
 * in batches.
 *
 *     format (2), count of batches (4), and for each its length (4) and bytes; crc32c of all (4)
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "group/group_state.h"
#include "wire/batch.h"

#define FORMAT 1
#define BATCH_BYTES (1u << 20) /* a batch is closed when it is larger */

struct snapshot {
    struct wire_writer writer;
    struct wire_batch_writer batch;
    int32_t batch_count;
};

static void close_batch(struct snapshot *snapshot)
{
    if (snapshot->batch.record_count == 0) {
        wire_batch_writer_drop(&snapshot->batch);
        return;
    }
    struct buf *buf = wire_batch_writer_finish(&snapshot->batch);
    wire_write_int32(&snapshot->writer, (int32_t)buf->length_bytes);
    wire_write_raw(&snapshot->writer, buf->data, buf->length_bytes);
    buf_release(buf);
    snapshot->batch_count++;
}

static void write_group(const struct group *group, struct snapshot *snapshot)
{
    if (group->kept_value.length >= 0) {
        group_write_kept_metadata(group, &snapshot->batch);
    }
    size_t position = 0;
    const struct kept_offset *kept;
    while ((kept = map_next(&group->offsets, &position)) != NULL) {
        group_write_kept_offset(group, kept, &snapshot->batch);
        if (wire_writer_length(&snapshot->batch.writer) > BATCH_BYTES) {
            close_batch(snapshot);
            wire_batch_writer_begin(&snapshot->batch, 0);
        }
    }
}

void group_table_snapshot_write(const struct group_table *table, struct buf **content)
{
    struct snapshot snapshot = {.batch_count = 0};
    wire_writer_init(&snapshot.writer, 4096);
    wire_write_int16(&snapshot.writer, FORMAT);
    size_t count_position = wire_writer_length(&snapshot.writer);
    wire_write_int32(&snapshot.writer, 0);
    wire_batch_writer_begin(&snapshot.batch, 0);
    size_t position = 0;
    const struct group *group;
    while ((group = map_next(&table->groups, &position)) != NULL) {
        write_group(group, &snapshot);
    }
    close_batch(&snapshot);
    wire_patch_int32(&snapshot.writer, count_position, snapshot.batch_count);
    const struct buf *buf = snapshot.writer.buf;
    uint32_t crc = crc32c(0, buf->data, wire_writer_length(&snapshot.writer));
    wire_write_uint32(&snapshot.writer, crc);
    *content = wire_writer_take(&snapshot.writer);
}

static bool read_batch(struct group_table *table, struct wire_cursor *cursor)
{
    int32_t length = wire_read_int32(cursor);
    const uint8_t *data = length > 0 ? wire_read_raw(cursor, (size_t)length) : NULL;
    struct wire_batch batch;
    if (data == NULL || !wire_batch_read(&batch, data, (size_t)length) || batch.data == NULL ||
        batch.total_bytes != (uint32_t)length || !wire_batch_crc_matches(&batch)) {
        return false;
    }
    group_table_apply(table, data, (size_t)length);
    return true;
}

bool group_table_snapshot_restore(struct group_table *table, const uint8_t *content, size_t length)
{
    group_table_reset(table);
    if (length < 4) {
        return false;
    }
    struct wire_cursor cursor;
    struct wire_cursor tail;
    wire_cursor_init(&cursor, content, length - 4, NULL);
    wire_cursor_init(&tail, content + length - 4, 4, NULL);
    bool is_good = wire_read_uint32(&tail) == crc32c(0, content, length - 4) &&
                   wire_read_int16(&cursor) == FORMAT;
    int32_t count = is_good ? wire_read_int32(&cursor) : 0;
    for (int32_t i = 0; i < count && is_good; i++) {
        is_good = read_batch(table, &cursor);
    }
    is_good = is_good && wire_expect_end(&cursor);
    if (!is_good) {
        group_table_reset(table);
    }
    return is_good;
}
