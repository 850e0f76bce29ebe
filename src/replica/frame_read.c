/* SPDX-License-Identifier: Apache-2.0
 *
 * frame_read.c -- decoding peer frames.  A frame that is malformed is refused whole from that point
 * on (BAD); one whose form is right but holds a batch that contradicts its checksum or its entry
 * loses only that message (SKIPPED): the sender's next probe asks for it again.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "replica/frame.h"
#include "replica/frame_format.h"
#include "replica/membership_codec.h"
#include "replica/replica.h"
#include "wire/batch.h"

#include <string.h>

void replica_frame_reader_init(struct replica_frame_reader *reader)
{
    *reader = (struct replica_frame_reader){0};
}

void replica_frame_reader_free(struct replica_frame_reader *reader)
{
    memory_free(reader->entries);
    memory_free(reader->payloads);
    *reader = (struct replica_frame_reader){0};
}

bool replica_frame_reader_begin(struct replica_frame_reader *reader, struct buf *buf,
                                const uint8_t *body, size_t length, struct replica_frame_head *head)
{
    struct wire_cursor *cursor = &reader->cursor;
    wire_cursor_init(cursor, body, length, NULL);
    reader->buf = buf;
    reader->last_group_id = 0;
    reader->damage = NULL;
    if (wire_read_int8(cursor) != FRAME_VERSION) {
        wire_fail(cursor, "peer frame: unknown version");
    }
    head->broker_id = wire_read_uint32(cursor);
    head->shard = wire_read_uint16(cursor);
    head->shard_count = wire_read_uint16(cursor);
    if (head->shard >= head->shard_count) {
        wire_fail(cursor, "peer frame: shard out of range");
    }
    return cursor->error == NULL;
}

static uint64_t read_number(struct replica_frame_reader *reader)
{
    return (uint64_t)wire_read_varlong(&reader->cursor);
}

static void read_message_head(struct replica_frame_reader *reader, struct raft_message *message)
{
    uint8_t fields = (uint8_t)wire_read_int8(&reader->cursor);
    message->term = read_number(reader);
    if ((fields & FRAME_HAS_INDEX) != 0) {
        message->index = read_number(reader);
    }
    if ((fields & FRAME_HAS_INDEX_TERM) != 0) {
        message->index_term = message->term - read_number(reader);
    }
    if ((fields & FRAME_HAS_COMMIT) != 0) {
        message->commit = message->index - read_number(reader);
    }
    if ((fields & FRAME_HAS_BARRIER) != 0) {
        message->barrier = read_number(reader);
    }
    if ((fields & FRAME_HAS_HINT_INDEX) != 0) {
        message->hint_index = read_number(reader);
    }
    if ((fields & FRAME_HAS_HINT_TERM) != 0) {
        message->hint_term = read_number(reader);
    }
    message->granted = (fields & FRAME_IS_GRANTED) != 0;
    message->forced = (fields & FRAME_IS_FORCED) != 0;
    if (message->term > INT32_MAX || message->index_term > message->term ||
        message->index > INT64_MAX || message->commit > INT64_MAX) {
        wire_fail(&reader->cursor, "peer frame: term or index out of range");
    }
}

static void make_room(struct replica_frame_reader *reader, uint32_t count)
{
    if (count <= reader->entry_capacity) {
        return;
    }
    uint32_t capacity = reader->entry_capacity == 0 ? 64 : reader->entry_capacity;
    while (capacity < count) {
        capacity *= 2;
    }
    reader->entries = memory_reallocate(reader->entries, capacity * sizeof *reader->entries);
    reader->payloads = memory_reallocate(reader->payloads, capacity * sizeof *reader->payloads);
    reader->entry_capacity = capacity;
}

/* What is wrong with a batch as the payload of entry, or NULL. */
static const char *batch_damage(const struct raft_entry *entry, const struct buf_slice *payload)
{
    struct wire_batch batch;
    if (!wire_batch_read(&batch, payload->data, payload->length_bytes) ||
        batch.total_bytes != payload->length_bytes || batch.magic != 2) {
        return "not one whole record batch";
    }
    if (!wire_batch_crc_matches(&batch)) {
        return "checksum of a batch does not match";
    }
    if (batch.base_offset < 0 || batch.last_offset_delta < 0 || batch.leader_epoch < 0 ||
        (uint64_t)batch.leader_epoch != entry->term ||
        (uint64_t)batch.last_offset_delta != entry->last_index - entry->first_index) {
        return "a batch contradicts its place";
    }
    return NULL;
}

static void read_payload(struct replica_frame_reader *reader, struct raft_entry *entry,
                         uint8_t kind, const struct buf_slice *payload)
{
    const char *damage = NULL;
    switch (kind) {
    case LOG_ENTRY_BATCH:
        entry->kind = RAFT_ENTRY_DATA;
        damage = batch_damage(entry, payload);
        break;
    case LOG_ENTRY_TERM_START:
        entry->kind = RAFT_ENTRY_NOOP;
        damage = payload->length_bytes != 0 ? "a term start with payload" : NULL;
        break;
    case LOG_ENTRY_MEMBERSHIP:
        entry->kind = RAFT_ENTRY_MEMBERSHIP;
        if (!replica_membership_decode(&entry->membership, payload->data, payload->length_bytes) ||
            replica_membership_is_empty(&entry->membership)) {
            damage = "a membership that makes no sense";
        }
        break;
    case LOG_ENTRY_START_MOVE:
        entry->kind = RAFT_ENTRY_CONTROL;
        if (!log_start_move_decode(payload->data, payload->length_bytes, &(uint64_t){0})) {
            damage = "a moved start that makes no sense";
        }
        break;
    default:
        wire_fail(&reader->cursor, "peer frame: unknown kind of entry");
        return;
    }
    if (entry->kind != RAFT_ENTRY_DATA && entry->last_index != entry->first_index) {
        damage = "a control entry of more than one index";
    }
    if (damage != NULL && reader->damage == NULL) {
        reader->damage = damage;
    }
}

static void read_entry(struct replica_frame_reader *reader, const struct raft_message *message,
                       uint64_t position, uint32_t i)
{
    struct wire_cursor *cursor = &reader->cursor;
    struct raft_entry *entry = &reader->entries[i];
    memset(entry, 0, sizeof *entry);
    uint8_t kind = (uint8_t)wire_read_int8(cursor);
    uint64_t gap = read_number(reader);
    uint64_t span = read_number(reader);
    entry->term = message->term - read_number(reader);
    uint32_t length = wire_read_unsigned_varint(cursor);
    const uint8_t *data = wire_read_raw(cursor, length);
    if (cursor->error != NULL) {
        return;
    }
    if (gap > INT32_MAX || span > INT32_MAX || entry->term > message->term || entry->term == 0 ||
        position > INT64_MAX - gap - span - 1) {
        wire_fail(cursor, "peer frame: place of an entry out of range");
        return;
    }
    entry->first_index = position + 1 + gap;
    entry->last_index = entry->first_index + span;
    entry->bytes = length;
    reader->payloads[i] = (struct buf_slice){reader->buf, data, length};
    read_payload(reader, entry, kind, &reader->payloads[i]);
}

/* Terms in a log never fall, and each begins with its no-op. */
static void check_order(struct replica_frame_reader *reader, const struct raft_message *message)
{
    uint64_t term = message->index_term;
    for (uint32_t i = 0; i < message->entry_count && reader->damage == NULL; i++) {
        const struct raft_entry *entry = &reader->entries[i];
        if (entry->term < term) {
            reader->damage = "terms of entries fall";
        } else if (entry->term > term && entry->kind != RAFT_ENTRY_NOOP) {
            reader->damage = "a term that does not begin with its no-op";
        }
        term = entry->term;
    }
}

static void read_entries(struct replica_frame_reader *reader, struct raft_message *message)
{
    uint32_t count = wire_read_unsigned_varint(&reader->cursor);
    if (count == 0 || count > REPLICA_FRAME_ENTRIES_MAX ||
        count > wire_remaining(&reader->cursor) / FRAME_ENTRY_BYTES_MIN) {
        wire_fail(&reader->cursor, "peer frame: number of entries out of range");
        return;
    }
    make_room(reader, count);
    uint64_t position = message->index;
    for (uint32_t i = 0; i < count && reader->cursor.error == NULL; i++) {
        read_entry(reader, message, position, i);
        position = reader->entries[i].last_index;
    }
    if (reader->cursor.error == NULL) {
        message->entries = reader->entries;
        message->entry_count = count;
        check_order(reader, message);
    }
}

static void read_place(struct replica_frame_reader *reader, struct replica_snapshot_place *place)
{
    struct wire_cursor *cursor = &reader->cursor;
    place->log_index = read_number(reader);
    place->log_term = read_number(reader);
    place->log_offset = read_number(reader);
    place->index = read_number(reader);
    place->term = read_number(reader);
    place->next_offset = read_number(reader);
    place->membership_index = read_number(reader);
    uint32_t length = wire_read_unsigned_varint(cursor);
    const uint8_t *bytes = wire_read_raw(cursor, length);
    place->total_bytes = read_number(reader);
    place->crc = wire_read_uint32(cursor);
    if (cursor->error != NULL) {
        return;
    }
    if (!replica_membership_decode(&place->membership, bytes, length) ||
        replica_membership_is_empty(&place->membership)) {
        wire_fail(cursor, "peer frame: membership of a snapshot makes no sense");
    } else if (place->log_index == 0 || place->log_index > place->index ||
               place->index > INT64_MAX || place->log_term == 0 || place->log_term > place->term ||
               place->term > INT32_MAX || place->log_offset > place->next_offset ||
               place->next_offset > INT64_MAX || place->membership_index > place->log_index ||
               place->total_bytes > REPLICA_SNAPSHOT_BYTES_MAX) {
        wire_fail(cursor, "peer frame: place of a snapshot out of range");
    }
}

static void read_chunk(struct replica_frame_reader *reader, struct replica_snapshot_chunk *chunk)
{
    chunk->term = read_number(reader);
    chunk->transfer_id = read_number(reader);
    read_place(reader, &chunk->place);
    chunk->position = read_number(reader);
    uint32_t length = wire_read_unsigned_varint(&reader->cursor);
    const uint8_t *data = wire_read_raw(&reader->cursor, length);
    if (reader->cursor.error == NULL &&
        (chunk->term > INT32_MAX || chunk->term < chunk->place.term ||
         length > REPLICA_SNAPSHOT_CHUNK_BYTES || chunk->position > chunk->place.total_bytes ||
         length > chunk->place.total_bytes - chunk->position)) {
        wire_fail(&reader->cursor, "peer frame: chunk of a snapshot out of range");
    }
    chunk->data = (struct buf_slice){reader->buf, data, length};
}

static void read_ack(struct replica_frame_reader *reader, struct replica_snapshot_ack *ack)
{
    ack->term = read_number(reader);
    ack->transfer_id = read_number(reader);
    ack->received = read_number(reader);
    uint8_t status = (uint8_t)wire_read_int8(&reader->cursor);
    if (status >= REPLICA_SNAPSHOT_STATUSES || ack->received > REPLICA_SNAPSHOT_BYTES_MAX) {
        wire_fail(&reader->cursor, "peer frame: snapshot answer out of range");
        return;
    }
    ack->status = (enum replica_snapshot_status)status;
}

static void read_incarnation(struct replica_frame_reader *reader, struct replica_frame_item *item,
                             uint8_t tag)
{
    uint64_t incarnation = (tag & FRAME_TAG_HAS_INCARNATION) != 0 ? read_number(reader) : 0;
    if (incarnation >= REPLICA_INCARNATION_NONE) {
        wire_fail(&reader->cursor, "peer frame: incarnation out of range");
    }
    item->incarnation = (uint32_t)incarnation;
}

static void read_rest(struct replica_frame_reader *reader, struct raft_message *message,
                      uint8_t tag)
{
    uint64_t rest_ticks = (tag & FRAME_TAG_HAS_REST) != 0 ? read_number(reader) : 0;
    if (rest_ticks > INT32_MAX) {
        wire_fail(&reader->cursor, "peer frame: rest out of range");
    }
    message->rest_ticks = (uint32_t)rest_ticks;
}

static void read_item(struct replica_frame_reader *reader, struct replica_frame_item *item,
                      uint8_t tag)
{
    uint8_t kind = tag & (uint8_t) ~(FRAME_TAG_HAS_INCARNATION | FRAME_TAG_HAS_REST);
    if (kind < RAFT_MESSAGE_KINDS) {
        item->kind = REPLICA_FRAME_MESSAGE;
        item->message.kind = (enum raft_message_kind)kind;
        read_incarnation(reader, item, tag);
        item->message.group_id = item->group_id;
        read_message_head(reader, &item->message);
        read_rest(reader, &item->message, tag);
        if (kind == RAFT_MESSAGE_APPEND && reader->cursor.error == NULL) {
            read_entries(reader, &item->message);
        }
    } else if (tag == FRAME_TAG_CHUNK) {
        item->kind = REPLICA_FRAME_CHUNK;
        item->chunk.group_id = item->group_id;
        read_chunk(reader, &item->chunk);
    } else if (tag == FRAME_TAG_ACK) {
        item->kind = REPLICA_FRAME_ACK;
        item->ack.group_id = item->group_id;
        read_ack(reader, &item->ack);
    } else {
        wire_fail(&reader->cursor, "peer frame: unknown item");
    }
}

void replica_frame_reader_next(struct replica_frame_reader *reader, struct replica_frame_item *item)
{
    require(reader->cursor.error == NULL);
    if (wire_remaining(&reader->cursor) == 0) {
        item->kind = REPLICA_FRAME_END;
        return;
    }
    memset(item, 0, sizeof *item);
    reader->damage = NULL;
    uint8_t tag = (uint8_t)wire_read_int8(&reader->cursor);
    item->group_id = reader->last_group_id + read_number(reader);
    reader->last_group_id = item->group_id;
    if (reader->cursor.error == NULL) {
        read_item(reader, item, tag);
    }
    if (reader->cursor.error != NULL) {
        item->kind = REPLICA_FRAME_BAD;
    } else if (reader->damage != NULL) {
        item->kind = REPLICA_FRAME_SKIPPED;
    }
}
