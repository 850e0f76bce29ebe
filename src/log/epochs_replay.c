/* SPDX-License-Identifier: Apache-2.0
 *
 * epochs_replay.c -- reading the epoch log: every record checked, a torn end told from damage.
 */
#include "base/assert.h"
#include "log/epochs.h"
#include "log/epochs_format.h"
#include "log/torn.h"
#include "wire/cursor.h"

#include <errno.h>
#include <string.h>

struct parsed {
    struct log_record record;
    uint64_t durable_length;
    size_t length; /* of the whole record */
};

enum parse_result { PARSE_OK, PARSE_SHORT, PARSE_BAD };

static bool payload_length_fits(uint8_t type, uint16_t payload_length)
{
    switch (type) {
    case LOG_RECORD_MEMBERSHIP:
    case LOG_RECORD_PREFIX_MEMBERSHIP:
        return payload_length <= LOG_MEMBERSHIP_BYTES_MAX;
    case LOG_RECORD_LOG_START:
        return payload_length == EPOCHS_START_PAYLOAD_BYTES;
    case LOG_RECORD_RESET:
        return payload_length == EPOCHS_RESET_PAYLOAD_BYTES;
    case LOG_RECORD_START_MOVE:
        return payload_length == LOG_START_MOVE_BYTES;
    default:
        return payload_length == 0;
    }
}

/* The record at a position.  PARSE_SHORT: the file ends inside it.  On PARSE_BAD length is how long
 * it seems to be. */
static enum parse_result parse(const uint8_t *data, size_t length, uint64_t position,
                               struct parsed *parsed)
{
    struct wire_cursor cursor;
    parsed->length = EPOCHS_RECORD_BYTES(0);
    if (length - position < parsed->length) {
        return PARSE_SHORT;
    }
    const uint8_t *start = data + position;
    wire_cursor_init(&cursor, start, LOG_EPOCHS_RECORD_HEAD_BYTES, NULL);
    uint32_t crc = wire_read_uint32(&cursor);
    uint8_t type = (uint8_t)wire_read_int8(&cursor);
    wire_read_int8(&cursor);
    uint16_t payload_length = wire_read_uint16(&cursor);
    if (type == 0 || type >= LOG_RECORD_TYPES_END || !payload_length_fits(type, payload_length)) {
        return PARSE_BAD;
    }
    parsed->length = EPOCHS_RECORD_BYTES(payload_length);
    if (length - position < parsed->length) {
        return PARSE_SHORT;
    }
    if (crc != epochs_record_crc(position, start, parsed->length)) {
        return PARSE_BAD;
    }
    parsed->durable_length = (uint64_t)wire_read_int64(&cursor);
    parsed->record = (struct log_record){
        .type = (enum log_record_type)type,
        .term = (uint64_t)wire_read_int64(&cursor),
        .index = (uint64_t)wire_read_int64(&cursor),
        .offset = (uint64_t)wire_read_int64(&cursor),
        .payload = start + LOG_EPOCHS_RECORD_HEAD_BYTES,
        .payload_length = payload_length,
    };
    return PARSE_OK;
}

static bool parse_slot(const uint8_t *data, size_t length, uint64_t position,
                       struct log_checkpoint *checkpoint)
{
    *checkpoint = (struct log_checkpoint){0};
    if (length < position + EPOCHS_SLOT_BYTES) {
        return false;
    }
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data + position, EPOCHS_SLOT_BYTES, NULL);
    if (wire_read_uint32(&cursor) != epochs_slot_crc(position, data + position)) {
        return false;
    }
    checkpoint->sequence = (uint64_t)wire_read_int64(&cursor);
    checkpoint->epochs_length = (uint64_t)wire_read_int64(&cursor);
    checkpoint->segment_base = (uint64_t)wire_read_int64(&cursor);
    checkpoint->position = (uint64_t)wire_read_int64(&cursor);
    checkpoint->offset = (uint64_t)wire_read_int64(&cursor);
    checkpoint->max_timestamp = wire_read_int64(&cursor);
    checkpoint->max_timestamp_offset = (uint64_t)wire_read_int64(&cursor);
    return checkpoint->sequence > 0;
}

static int fail(struct log_epochs_state *state, const char *problem, uint64_t position)
{
    state->problem = problem;
    state->problem_position = position;
    return -EBADMSG;
}

static void void_checkpoints(struct log_checkpoint slots[2], uint64_t record_position,
                             uint64_t offset_end)
{
    for (int i = 0; i < 2; i++) {
        if (slots[i].epochs_length <= record_position && slots[i].offset > offset_end) {
            slots[i] = (struct log_checkpoint){.sequence = 0, .epochs_length = 0};
        }
    }
}

static bool apply_start(struct log_history *history, const struct log_record *record)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, record->payload, record->payload_length, NULL);
    uint64_t start_offset = (uint64_t)wire_read_int64(&cursor);
    uint64_t first_index = record->index + 1;
    if (first_index < history->first_index || record->offset < history->first_offset ||
        start_offset < record->offset || record->offset > record->index) {
        return false;
    }
    log_history_trim(history, first_index, record->offset);
    bool fits = history->prefix_term == record->term;
    /* The control entries that went are those the recorded start says. */
    for (size_t i = 0; i < history->control_count && fits; i++) {
        const struct log_control *control = &history->controls[i];
        fits = control->index == control->offset + (first_index - 1 - record->offset) + i + 1;
    }
    history->start_offset = start_offset;
    return fits;
}

static bool apply_control(struct log_history *history, const struct log_record *record,
                          enum log_entry_kind kind)
{
    struct log_control control = {
        .index = record->index,
        .term = record->term,
        .offset = record->offset,
        .kind = kind,
        .payload_length = record->payload_length,
        .payload = (uint8_t *)(uintptr_t)record->payload, /* read only: it is copied */
    };
    if (record->type == LOG_RECORD_PREFIX_MEMBERSHIP) {
        bool fits = record->index < history->first_index;
        if (fits) {
            log_history_set_prefix_membership(history, &control);
        }
        return fits;
    }
    return log_history_add(history, &control);
}

static bool apply(struct log_epochs_state *state, const struct log_record *record,
                  uint64_t position, struct log_checkpoint slots[2])
{
    struct log_history *history = &state->history;
    switch (record->type) {
    case LOG_RECORD_FORMAT:
        return record->term == EPOCHS_FORMAT_VERSION;
    case LOG_RECORD_HARD_STATE:
        if (record->term < state->term || record->index > UINT32_MAX) {
            return false;
        }
        state->term = record->term;
        state->vote = (uint32_t)record->index;
        return true;
    case LOG_RECORD_TERM_START:
        return apply_control(history, record, LOG_ENTRY_TERM_START);
    case LOG_RECORD_MEMBERSHIP:
    case LOG_RECORD_PREFIX_MEMBERSHIP:
        return apply_control(history, record, LOG_ENTRY_MEMBERSHIP);
    case LOG_RECORD_START_MOVE:
        return apply_control(history, record, LOG_ENTRY_START_MOVE);
    case LOG_RECORD_LOG_START:
        return apply_start(history, record);
    case LOG_RECORD_TRUNCATE:
        if (record->index < history->first_index) {
            return false;
        }
        log_history_truncate(history, record->index);
        void_checkpoints(slots, position, record->offset);
        if (!state->was_truncated || record->offset < state->truncated_to) {
            state->truncated_to = record->offset;
        }
        state->was_truncated = true;
        return true;
    case LOG_RECORD_RESET:
        if (record->offset > record->index || record->index > UINT64_MAX / 2) {
            return false;
        }
        void_checkpoints(slots, position, 0);
        log_history_reset(history, record->index, record->term, record->offset);
        state->reset_unfinished = record->payload[0] != 0;
        return true;
    case LOG_RECORD_TYPES_END:
        unreachable_code(); /* parse() refuses it */
    }
    unreachable_code();
}

/* Whether a valid record behind a bad one, or a checkpoint, says that the bad one had been durable.
 */
static bool was_durable(const uint8_t *data, size_t length, uint64_t position,
                        const struct log_checkpoint slots[2])
{
    if (slots[0].epochs_length > position || slots[1].epochs_length > position) {
        return true;
    }
    for (uint64_t at = position + 1; at < length; at++) {
        struct parsed parsed;
        if (parse(data, length, at, &parsed) == PARSE_OK && parsed.durable_length > position) {
            return true;
        }
    }
    return false;
}

/* The record at a position is not valid: a torn write (0) or damage. */
static int judge_end(const uint8_t *data, size_t length, uint64_t position,
                     enum parse_result result, const struct parsed *parsed,
                     const struct log_checkpoint slots[2], struct log_epochs_state *state)
{
    if (was_durable(data, length, position, slots)) {
        return fail(state, "a record that had been made durable is damaged", position);
    }
    if (result == PARSE_SHORT) {
        return 0;
    }
    uint64_t end = position + parsed->length;
    if (data[end - 1] == 0 || torn_has_unwritten_sector(data, length, 0, position, end)) {
        return 0;
    }
    return fail(state, "a whole record is damaged", position);
}

int log_epochs_replay(const uint8_t *data, size_t length, struct log_epochs_state *state)
{
    *state = (struct log_epochs_state){0};
    log_history_init(&state->history);
    struct log_checkpoint slots[2];
    parse_slot(data, length, 0, &slots[0]);
    parse_slot(data, length, LOG_SECTOR_BYTES, &slots[1]);
    uint64_t position = LOG_EPOCHS_RECORDS_AT;
    if (length < position) {
        return fail(state, "the file is too short", length);
    }
    while (position < length) {
        struct parsed parsed;
        enum parse_result result = parse(data, length, position, &parsed);
        if (result != PARSE_OK) {
            int error = judge_end(data, length, position, result, &parsed, slots, state);
            if (error != 0) {
                return error;
            }
            break;
        }
        bool is_first = position == LOG_EPOCHS_RECORDS_AT;
        if (is_first != (parsed.record.type == LOG_RECORD_FORMAT) ||
            !apply(state, &parsed.record, position, slots)) {
            return fail(state, "a record contradicts those before it", position);
        }
        position += parsed.length;
    }
    if (position == LOG_EPOCHS_RECORDS_AT) {
        return fail(state, "the first record is missing", position);
    }
    if (slots[0].epochs_length > position || slots[1].epochs_length > position) {
        return fail(state, "records that had been made durable are missing", position);
    }
    state->checkpoint = slots[0].sequence > slots[1].sequence ? slots[0] : slots[1];
    state->valid_length = position;
    return 0;
}

void log_epochs_state_free(struct log_epochs_state *state)
{
    log_history_free(&state->history);
}
