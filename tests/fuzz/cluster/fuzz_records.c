/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_records.c -- controller records and snapshots of the cluster's metadata.
 *
 * Input: one byte for the kind.  Even: a snapshot, whose checksum is mended first, since no
 * mutation would ever find a right one.  Odd: records, each behind its length (uint16), applied in
 * order. Whatever state comes of it must be the same again after a snapshot of it.
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "cluster/cluster.h"
#include "fuzz/fuzz.h"
#include "wire/cursor.h"

#include <string.h>

#define CHECKSUM_POSITION 2 /* in a snapshot: see src/cluster/snapshot.c */
#define CHECKED_POSITION 6

static void check_groups(const struct cluster_metadata *metadata)
{
    const struct cluster_topic *topic;
    size_t position = 0;
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        ensure(cluster_topic_find(metadata, topic->name, topic->name_length) == topic);
        ensure(cluster_topic_find_id(metadata, &topic->id) == topic);
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            const struct cluster_topic *found;
            uint32_t partition;
            ensure(cluster_group_find(metadata, topic->partitions[i].group_id, &found, &partition));
            ensure(found == topic && partition == i);
            ensure(topic->partitions[i].group_id < cluster_next_group_id(metadata));
        }
    }
}

static void check_state(const struct cluster_metadata *metadata)
{
    check_groups(metadata);
    struct cluster_metadata *copy = cluster_metadata_new();
    struct buf *once;
    struct buf *twice;
    cluster_snapshot_write(metadata, &once);
    ensure(cluster_snapshot_restore(copy, once->data, once->length_bytes));
    cluster_snapshot_write(copy, &twice);
    ensure(once->length_bytes == twice->length_bytes);
    ensure(memcmp(once->data, twice->data, once->length_bytes) == 0);
    buf_release(once);
    buf_release(twice);
    cluster_metadata_free(copy);
}

static void restore(struct cluster_metadata *metadata, const uint8_t *data, size_t length)
{
    struct buf *mended = buf_new(length);
    memcpy(mended->data, data, length);
    mended->length_bytes = length;
    if (length >= CHECKED_POSITION) {
        uint32_t checksum = crc32c(0, mended->data + CHECKED_POSITION, length - CHECKED_POSITION);
        for (size_t i = 0; i < 4; i++) {
            mended->data[CHECKSUM_POSITION + i] = (uint8_t)(checksum >> (24 - 8 * i));
        }
    }
    bool restored = cluster_snapshot_restore(metadata, mended->data, length);
    ensure(restored || (cluster_topic_count(metadata) == 0 && cluster_broker_count(metadata) == 0));
    buf_release(mended);
}

static void apply(struct cluster_metadata *metadata, const uint8_t *data, size_t length)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, length, NULL);
    while (wire_remaining(&cursor) > 0) {
        uint16_t record_length = wire_read_uint16(&cursor);
        const uint8_t *record = wire_read_raw(&cursor, record_length);
        if (cursor.error != NULL) {
            return;
        }
        struct cluster_change change;
        bool applied = cluster_apply(metadata, record, record_length, &change);
        ensure(applied || change.kind == CLUSTER_CHANGE_NONE);
        ensure(change.error == WIRE_ERROR_NONE || change.kind == CLUSTER_CHANGE_NONE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length == 0) {
        return 0;
    }
    struct cluster_metadata *metadata = cluster_metadata_new();
    if (data[0] % 2 == 0) {
        restore(metadata, data + 1, length - 1);
    } else {
        apply(metadata, data + 1, length - 1);
    }
    check_state(metadata);
    cluster_metadata_free(metadata);
    return 0;
}
