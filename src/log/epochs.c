/* SPDX-License-Identifier: Apache-2.0
 *
 * epochs.c -- writing the epoch log: records into pending bytes, checkpoints into their slots, and
 * the whole file anew.  Reading stands in epochs_replay.c.
 */
#include "log/epochs.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "log/bytes.h"
#include "log/epochs_format.h"

#include <string.h>

uint32_t epochs_record_crc(uint64_t position, const uint8_t *record, size_t length)
{
    uint8_t seed[8];
    put_uint64(seed, position);
    uint32_t crc = crc32c(0, seed, sizeof(seed));
    return crc32c(crc, record + 4, length - 4);
}

uint32_t epochs_slot_crc(uint64_t position, const uint8_t *slot)
{
    return epochs_record_crc(position, slot, EPOCHS_SLOT_BYTES);
}

static void encode_record(uint8_t *at, const struct log_record *record, uint64_t position,
                          uint64_t durable_length)
{
    uint8_t *start = at;
    at += 4;
    *at++ = (uint8_t)record->type;
    *at++ = 0;
    at = put_uint16(at, (uint16_t)record->payload_length);
    at = put_uint64(at, durable_length);
    at = put_uint64(at, record->term);
    at = put_uint64(at, record->index);
    at = put_uint64(at, record->offset);
    ensure(at == start + LOG_EPOCHS_RECORD_HEAD_BYTES);
    if (record->payload_length > 0) {
        memcpy(at, record->payload, record->payload_length);
        at += record->payload_length;
    }
    *at++ = EPOCHS_MARK;
    put_uint32(start, epochs_record_crc(position, start, (size_t)(at - start)));
}

static void reserve(struct log_epochs *epochs, size_t more)
{
    size_t needed = epochs->pending_length + more;
    if (needed > epochs->pending_capacity) {
        epochs->pending_capacity = needed > 256 ? needed * 2 : 256;
        epochs->pending = memory_reallocate(epochs->pending, epochs->pending_capacity);
    }
}

void log_epochs_append(struct log_epochs *epochs, const struct log_record *record)
{
    require(record->type > 0 && record->type < LOG_RECORD_TYPES_END);
    require(record->payload_length <= LOG_MEMBERSHIP_BYTES_MAX);
    size_t length = EPOCHS_RECORD_BYTES(record->payload_length);
    reserve(epochs, length);
    encode_record(epochs->pending + epochs->pending_length, record, epochs->end_position,
                  epochs->durable_length);
    epochs->pending_length += length;
    epochs->end_position += length;
}

static enum log_record_type record_type_of(enum log_entry_kind kind)
{
    switch (kind) {
    case LOG_ENTRY_TERM_START:
        return LOG_RECORD_TERM_START;
    case LOG_ENTRY_MEMBERSHIP:
        return LOG_RECORD_MEMBERSHIP;
    case LOG_ENTRY_START_MOVE:
        return LOG_RECORD_START_MOVE;
    case LOG_ENTRY_BATCH:
        break; /* stands in a segment */
    }
    unreachable_code();
}

void log_epochs_append_control(struct log_epochs *epochs, const struct log_control *control)
{
    struct log_record record = {
        .type = record_type_of(control->kind),
        .term = control->term,
        .index = control->index,
        .offset = control->offset,
        .payload = control->payload,
        .payload_length = control->payload_length,
    };
    /* Every batch names its term, and none what else took an index before it. */
    epochs->pending_goes_first =
        epochs->pending_goes_first || control->kind != LOG_ENTRY_TERM_START;
    log_epochs_append(epochs, &record);
}

static struct log_record start_record(const struct log_history *history, enum log_record_type type)
{
    return (struct log_record){
        .type = type,
        .term = history->prefix_term,
        .index = history->first_index - 1,
        .offset = history->first_offset,
    };
}

static void append_prefix_membership(struct log_epochs *epochs, const struct log_history *history)
{
    const struct log_control *membership = &history->prefix_membership;
    if (membership->payload_length > 0) {
        struct log_record record = {
            .type = LOG_RECORD_PREFIX_MEMBERSHIP,
            .term = membership->term,
            .index = membership->index,
            .offset = membership->offset,
            .payload = membership->payload,
            .payload_length = membership->payload_length,
        };
        log_epochs_append(epochs, &record);
    }
}

void log_epochs_append_start(struct log_epochs *epochs, const struct log_history *history)
{
    struct log_record record = start_record(history, LOG_RECORD_LOG_START);
    uint8_t payload[EPOCHS_START_PAYLOAD_BYTES];
    put_uint64(payload, history->start_offset);
    record.payload = payload;
    record.payload_length = sizeof(payload);
    log_epochs_append(epochs, &record);
}

void log_epochs_append_reset(struct log_epochs *epochs, const struct log_history *history,
                             bool unfinished)
{
    struct log_record record = start_record(history, LOG_RECORD_RESET);
    uint8_t payload[EPOCHS_RESET_PAYLOAD_BYTES] = {unfinished ? 1 : 0};
    record.payload = payload;
    record.payload_length = sizeof(payload);
    log_epochs_append(epochs, &record);
    append_prefix_membership(epochs, history);
}

struct buf *log_epochs_take(struct log_epochs *epochs, uint64_t *position)
{
    if (epochs->pending_length == 0) {
        return NULL;
    }
    struct buf *content = buf_new(epochs->pending_length);
    memcpy(content->data, epochs->pending, epochs->pending_length);
    content->length_bytes = epochs->pending_length;
    *position = epochs->end_position - epochs->pending_length;
    memory_free(epochs->pending);
    epochs->pending = NULL;
    epochs->pending_length = 0;
    epochs->pending_capacity = 0;
    epochs->pending_goes_first = false;
    return content;
}

static void encode_slot(uint8_t *slot, const struct log_checkpoint *checkpoint, uint64_t position)
{
    uint8_t *at = slot + 4;
    at = put_uint64(at, checkpoint->sequence);
    at = put_uint64(at, checkpoint->epochs_length);
    at = put_uint64(at, checkpoint->segment_base);
    at = put_uint64(at, checkpoint->position);
    at = put_uint64(at, checkpoint->offset);
    at = put_uint64(at, (uint64_t)checkpoint->max_timestamp);
    at = put_uint64(at, checkpoint->max_timestamp_offset);
    ensure(at == slot + EPOCHS_SLOT_BYTES);
    put_uint32(slot, epochs_slot_crc(position, slot));
}

struct buf *log_epochs_take_checkpoint(struct log_epochs *epochs,
                                       const struct log_checkpoint *checkpoint, uint64_t *position)
{
    struct log_checkpoint next = *checkpoint;
    next.sequence = ++epochs->checkpoint_sequence;
    next.epochs_length = epochs->durable_length;
    *position = (next.sequence % 2) * LOG_SECTOR_BYTES;
    struct buf *slot = buf_new(EPOCHS_SLOT_BYTES);
    encode_slot(slot->data, &next, *position);
    slot->length_bytes = EPOCHS_SLOT_BYTES;
    return slot;
}

struct buf *log_epochs_encode(const struct log_epochs_state *state)
{
    const struct log_history *history = &state->history;
    struct log_epochs epochs = {.end_position = LOG_EPOCHS_RECORDS_AT,
                                .durable_length = LOG_EPOCHS_RECORDS_AT};
    log_epochs_append(
        &epochs, &(struct log_record){.type = LOG_RECORD_FORMAT, .term = EPOCHS_FORMAT_VERSION});
    log_epochs_append(&epochs, &(struct log_record){.type = LOG_RECORD_HARD_STATE,
                                                    .term = state->term,
                                                    .index = state->vote});
    log_epochs_append_reset(&epochs, history, state->reset_unfinished);
    log_epochs_append_start(&epochs, history);
    for (size_t i = 0; i < history->control_count; i++) {
        log_epochs_append_control(&epochs, &history->controls[i]);
    }
    struct buf *content = buf_new(LOG_EPOCHS_RECORDS_AT + epochs.pending_length);
    memset(content->data, 0, LOG_EPOCHS_RECORDS_AT);
    memcpy(content->data + LOG_EPOCHS_RECORDS_AT, epochs.pending, epochs.pending_length);
    content->length_bytes = LOG_EPOCHS_RECORDS_AT + epochs.pending_length;
    if (state->checkpoint.sequence > 0) {
        struct log_checkpoint checkpoint = state->checkpoint;
        checkpoint.epochs_length = content->length_bytes;
        uint64_t position = (checkpoint.sequence % 2) * LOG_SECTOR_BYTES;
        encode_slot(content->data + position, &checkpoint, position);
    }
    log_epochs_free(&epochs);
    return content;
}

void log_epochs_free(struct log_epochs *epochs)
{
    io_file_release(epochs->file);
    memory_free(epochs->pending);
    *epochs = (struct log_epochs){0};
}
