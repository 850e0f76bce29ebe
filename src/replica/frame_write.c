/* SPDX-License-Identifier: Apache-2.0
 *
 * frame_write.c -- building peer frames.  Payload above a few cache lines is spliced in by
 * reference; less than that is copied, which costs less than another piece for the kernel to
 * gather.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "replica/frame.h"
#include "replica/frame_format.h"
#include "replica/membership_codec.h"

#define PAYLOAD_COPY_BYTES_MAX 256
#define FRAME_CAPACITY_HINT 512

void replica_frame_init(struct replica_frame_writer *frame)
{
    *frame = (struct replica_frame_writer){0};
}

void replica_frame_free(struct replica_frame_writer *frame)
{
    replica_frame_discard(frame);
    memory_free(frame->payloads);
    *frame = (struct replica_frame_writer){0};
}

void replica_frame_begin(struct replica_frame_writer *frame, const struct replica_frame_head *head)
{
    require(!frame->is_open);
    require(head->shard < head->shard_count);
    struct wire_writer *writer = &frame->writer;
    wire_writer_init(writer, FRAME_CAPACITY_HINT);
    frame->is_open = true;
    frame->last_group_id = 0;
    wire_write_int32(writer, 0);                          /* size, patched when sent */
    wire_write_int16(writer, REPLICA_FRAME_REQUEST_TYPE); /* request header: type, */
    wire_write_int16(writer, 0);                          /* version, */
    wire_write_int32(writer, 0);                          /* correlation id, */
    wire_write_int16(writer, -1);                         /* no client id, */
    wire_write_int8(writer, 0);                           /* no tagged fields */
    wire_write_int8(writer, FRAME_VERSION);
    wire_write_uint32(writer, head->broker_id);
    wire_write_int16(writer, (int16_t)head->shard);
    wire_write_int16(writer, (int16_t)head->shard_count);
}

static void write_number(struct replica_frame_writer *frame, uint64_t value)
{
    wire_write_varlong(&frame->writer, (int64_t)value);
}

static void write_item_head(struct replica_frame_writer *frame, uint8_t tag, uint64_t group_id)
{
    require(frame->is_open);
    wire_write_int8(&frame->writer, (int8_t)tag);
    write_number(frame, group_id - frame->last_group_id);
    frame->last_group_id = group_id;
}

static uint8_t fields_present(const struct raft_message *message)
{
    uint8_t fields = 0;
    fields |= message->index != 0 ? FRAME_HAS_INDEX : 0;
    fields |= message->index_term != 0 ? FRAME_HAS_INDEX_TERM : 0;
    fields |= message->commit != 0 ? FRAME_HAS_COMMIT : 0;
    fields |= message->barrier != 0 ? FRAME_HAS_BARRIER : 0;
    fields |= message->hint_index != 0 ? FRAME_HAS_HINT_INDEX : 0;
    fields |= message->hint_term != 0 ? FRAME_HAS_HINT_TERM : 0;
    fields |= message->granted != 0 ? FRAME_IS_GRANTED : 0;
    fields |= message->forced != 0 ? FRAME_IS_FORCED : 0;
    return fields;
}

/* Terms near the sender's and commits near the index are written as what is missing to them. */
static void write_message_head(struct replica_frame_writer *frame,
                               const struct raft_message *message, uint32_t incarnation)
{
    uint8_t fields = fields_present(message);
    uint8_t has_incarnation = incarnation != 0 ? FRAME_TAG_HAS_INCARNATION : 0;
    uint8_t has_rest = message->rest_ticks != 0 ? FRAME_TAG_HAS_REST : 0;
    write_item_head(frame, (uint8_t)message->kind | has_incarnation | has_rest, message->group_id);
    if (incarnation != 0) {
        write_number(frame, incarnation);
    }
    wire_write_int8(&frame->writer, (int8_t)fields);
    write_number(frame, message->term);
    if ((fields & FRAME_HAS_INDEX) != 0) {
        write_number(frame, message->index);
    }
    if ((fields & FRAME_HAS_INDEX_TERM) != 0) {
        write_number(frame, message->term - message->index_term);
    }
    if ((fields & FRAME_HAS_COMMIT) != 0) {
        write_number(frame, message->index - message->commit);
    }
    if ((fields & FRAME_HAS_BARRIER) != 0) {
        write_number(frame, message->barrier);
    }
    if ((fields & FRAME_HAS_HINT_INDEX) != 0) {
        write_number(frame, message->hint_index);
    }
    if ((fields & FRAME_HAS_HINT_TERM) != 0) {
        write_number(frame, message->hint_term);
    }
    if (has_rest != 0) {
        write_number(frame, message->rest_ticks);
    }
}

void replica_frame_add_message(struct replica_frame_writer *frame,
                               const struct raft_message *message, uint32_t incarnation)
{
    require(message->kind < RAFT_MESSAGE_KINDS && message->kind != RAFT_MESSAGE_APPEND);
    write_message_head(frame, message, incarnation);
}

static void splice_payload(struct replica_frame_writer *frame, const struct buf_slice *payload)
{
    if (frame->payload_count == frame->payload_capacity) {
        frame->payload_capacity = frame->payload_capacity == 0 ? 64 : 2 * frame->payload_capacity;
        frame->payloads =
            memory_reallocate(frame->payloads, frame->payload_capacity * sizeof *frame->payloads);
    }
    buf_reference(payload->buf);
    frame->payloads[frame->payload_count++] = *payload;
    /* Splices and payloads pair up by position, which survives the growth of either array. */
    wire_write_splice(&frame->writer, frame, payload->length_bytes);
    ensure(frame->writer.splice_count == frame->payload_count);
}

static void write_payload(struct replica_frame_writer *frame, const struct buf_slice *payload)
{
    if (payload->length_bytes <= PAYLOAD_COPY_BYTES_MAX) {
        wire_write_raw(&frame->writer, payload->data, payload->length_bytes);
    } else {
        splice_payload(frame, payload);
    }
}

void replica_frame_add_append(struct replica_frame_writer *frame,
                              const struct raft_message *message, const struct log_entry *entries,
                              size_t count)
{
    require(message->kind == RAFT_MESSAGE_APPEND);
    require(count > 0 && count <= REPLICA_FRAME_ENTRIES_MAX);
    write_message_head(frame, message, 0);
    wire_write_unsigned_varint(&frame->writer, (uint32_t)count);
    uint64_t position = message->index;
    for (size_t i = 0; i < count; i++) {
        const struct log_entry *entry = &entries[i];
        ensure(entry->first_index > position && entry->last_index >= entry->first_index);
        wire_write_int8(&frame->writer, (int8_t)entry->kind);
        write_number(frame, entry->first_index - position - 1);
        write_number(frame, entry->last_index - entry->first_index);
        write_number(frame, message->term - entry->term);
        wire_write_unsigned_varint(&frame->writer, (uint32_t)entry->payload.length_bytes);
        write_payload(frame, &entry->payload);
        position = entry->last_index;
    }
}

static void write_place(struct replica_frame_writer *frame,
                        const struct replica_snapshot_place *place)
{
    write_number(frame, place->log_index);
    write_number(frame, place->log_term);
    write_number(frame, place->log_offset);
    write_number(frame, place->index);
    write_number(frame, place->term);
    write_number(frame, place->next_offset);
    write_number(frame, place->membership_index);
    uint8_t bytes[REPLICA_MEMBERSHIP_BYTES_MAX];
    size_t length = replica_membership_encode(&place->membership, bytes);
    wire_write_unsigned_varint(&frame->writer, (uint32_t)length);
    wire_write_raw(&frame->writer, bytes, length);
    write_number(frame, place->total_bytes);
    wire_write_uint32(&frame->writer, place->crc);
}

void replica_frame_add_chunk(struct replica_frame_writer *frame,
                             const struct replica_snapshot_chunk *chunk)
{
    require(chunk->data.length_bytes <= REPLICA_SNAPSHOT_CHUNK_BYTES);
    write_item_head(frame, FRAME_TAG_CHUNK, chunk->group_id);
    write_number(frame, chunk->term);
    write_number(frame, chunk->transfer_id);
    write_place(frame, &chunk->place);
    write_number(frame, chunk->position);
    wire_write_unsigned_varint(&frame->writer, (uint32_t)chunk->data.length_bytes);
    write_payload(frame, &chunk->data);
}

void replica_frame_add_ack(struct replica_frame_writer *frame,
                           const struct replica_snapshot_ack *ack)
{
    require(ack->status < REPLICA_SNAPSHOT_STATUSES);
    write_item_head(frame, FRAME_TAG_ACK, ack->group_id);
    write_number(frame, ack->term);
    write_number(frame, ack->transfer_id);
    write_number(frame, ack->received);
    wire_write_int8(&frame->writer, (int8_t)ack->status);
}

size_t replica_frame_bytes(const struct replica_frame_writer *frame)
{
    return frame->is_open ? wire_writer_length(&frame->writer) + frame->writer.spliced_bytes : 0;
}

void replica_frame_send(struct replica_frame_writer *frame, struct io_stream *stream)
{
    require(frame->is_open && stream != NULL);
    struct wire_writer *writer = &frame->writer;
    wire_patch_int32(writer, 0, (int32_t)(replica_frame_bytes(frame) - 4));
    size_t length = wire_writer_length(writer);
    size_t position = 0;
    for (size_t i = 0; i < writer->splice_count; i++) {
        size_t until = writer->splices[i].position;
        ensure(until > position && until <= length);
        io_stream_send(stream, (struct buf_slice){writer->buf, writer->buf->data + position,
                                                  until - position});
        io_stream_send(stream, frame->payloads[i]);
        position = until;
    }
    if (position < length) {
        io_stream_send(stream, (struct buf_slice){writer->buf, writer->buf->data + position,
                                                  length - position});
    }
    replica_frame_discard(frame);
}

void replica_frame_discard(struct replica_frame_writer *frame)
{
    if (!frame->is_open) {
        return;
    }
    for (uint32_t i = 0; i < frame->payload_count; i++) {
        buf_release(frame->payloads[i].buf);
    }
    frame->payload_count = 0;
    wire_writer_free(&frame->writer);
    frame->is_open = false;
}
