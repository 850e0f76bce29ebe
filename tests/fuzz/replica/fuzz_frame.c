/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_frame.c -- peer frames: whatever a broker sends, reading it ends, and what an item points to
 * lies in the frame.
 *
 * Input: the body of a frame.  The reader is used twice, as between frames of one connection.
 */
#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "replica/frame.h"

static void check_slice(const struct buf_slice *slice, const uint8_t *data, size_t length)
{
    if (slice->length_bytes > 0) {
        ensure(slice->data >= data && slice->data < data + length);
        ensure(slice->length_bytes <= length - (size_t)(slice->data - data));
    }
}

static void check_append(const struct replica_frame_reader *reader,
                         const struct raft_message *message, const uint8_t *data, size_t length)
{
    ensure(message->entry_count <= REPLICA_FRAME_ENTRIES_MAX);
    for (uint32_t i = 0; i < message->entry_count; i++) {
        const struct raft_entry *entry = &message->entries[i];
        ensure(entry->first_index <= entry->last_index);
        ensure(entry->kind == RAFT_ENTRY_DATA || entry->first_index == entry->last_index);
        check_slice(&reader->payloads[i], data, length);
    }
}

static void check_chunk(const struct replica_snapshot_chunk *chunk, const uint8_t *data,
                        size_t length)
{
    ensure(chunk->place.total_bytes <= REPLICA_SNAPSHOT_BYTES_MAX);
    ensure(chunk->position <= chunk->place.total_bytes);
    ensure(chunk->data.length_bytes <= chunk->place.total_bytes - chunk->position);
    ensure(chunk->place.index >= chunk->place.log_index);
    check_slice(&chunk->data, data, length);
}

static void read_frame(struct replica_frame_reader *reader, struct buf *buf, const uint8_t *data,
                       size_t length)
{
    struct replica_frame_head head;
    if (!replica_frame_reader_begin(reader, buf, data, length, &head)) {
        return;
    }
    ensure(head.shard < head.shard_count);
    struct replica_frame_item item;
    size_t count = 0;
    do {
        replica_frame_reader_next(reader, &item);
        ensure(++count <= length + 1); /* each item takes a byte at least */
        if (item.kind == REPLICA_FRAME_MESSAGE && item.message.kind == RAFT_MESSAGE_APPEND) {
            check_append(reader, &item.message, data, length);
        } else if (item.kind == REPLICA_FRAME_CHUNK) {
            check_chunk(&item.chunk, data, length);
        } else if (item.kind == REPLICA_FRAME_ACK) {
            ensure(item.ack.status < REPLICA_SNAPSHOT_STATUSES);
        }
    } while (item.kind != REPLICA_FRAME_END && item.kind != REPLICA_FRAME_BAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct buf *buf = buf_new(1); /* only its address is passed on */
    struct replica_frame_reader reader;
    replica_frame_reader_init(&reader);
    read_frame(&reader, buf, data, length);
    read_frame(&reader, buf, data, length);
    replica_frame_reader_free(&reader);
    buf_release(buf);
    return 0;
}
