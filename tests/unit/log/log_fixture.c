/* SPDX-License-Identifier: Apache-2.0
 *
 * log_fixture.c -- making entries for the tests of this room.
 */
#include "log_fixture.h"

#include "base/crc32c.h"
#include "base/prng.h"
#include "log/bytes.h"
#include "wire/batch.h"

#include <string.h>

struct buf *fixture_batch(uint64_t base_offset, uint32_t term, uint32_t record_count,
                          size_t payload_bytes, int64_t timestamp_ms, uint64_t seed)
{
    size_t length = WIRE_BATCH_HEAD_BYTES + payload_bytes;
    struct buf *batch = buf_new(length);
    uint8_t *at = put_uint64(batch->data, base_offset);
    at = put_uint32(at, (uint32_t)(length - WIRE_BATCH_PREFIX_BYTES));
    at = put_uint32(at, term);
    *at++ = 2;
    uint8_t *crc = at;
    uint8_t *checked = put_uint32(at, 0);
    at = put_uint16(checked, 0);
    at = put_uint32(at, record_count - 1);
    at = put_uint64(at, (uint64_t)timestamp_ms);
    at = put_uint64(at, (uint64_t)timestamp_ms);
    at = put_uint64(at, UINT64_MAX);
    at = put_uint16(at, UINT16_MAX);
    at = put_uint32(at, UINT32_MAX);
    at = put_uint32(at, record_count);
    struct prng prng;
    prng_init(&prng, seed);
    for (size_t i = 0; i < payload_bytes; i++) {
        *at++ = (uint8_t)(prng_next(&prng) | 1);
    }
    put_uint32(crc, crc32c(0, checked, (size_t)(at - checked)));
    batch->length_bytes = length;
    return batch;
}

void fixture_append_batch(struct log *log, uint64_t term, uint32_t record_count,
                          size_t payload_bytes, int64_t timestamp_ms, uint64_t seed)
{
    struct buf *batch = fixture_batch(log_next_offset(log), (uint32_t)term, record_count,
                                      payload_bytes, timestamp_ms, seed);
    struct log_entry entry = {
        .first_index = log_last_index(log) + 1,
        .last_index = log_last_index(log) + record_count,
        .term = term,
        .kind = LOG_ENTRY_BATCH,
        .payload = {batch, batch->data, batch->length_bytes},
    };
    log_append_batch(log, &entry);
    buf_release(batch);
}

void fixture_append_term(struct log *log, uint64_t term)
{
    uint64_t index = log_last_index(log) + 1;
    log_append_control(log, &(struct log_entry){.first_index = index,
                                                .last_index = index,
                                                .term = term,
                                                .kind = LOG_ENTRY_TERM_START});
}

void fixture_append_membership(struct log *log, uint64_t term, uint8_t mark)
{
    uint8_t payload[24];
    memset(payload, mark, sizeof(payload));
    uint64_t index = log_last_index(log) + 1;
    log_append_control(log, &(struct log_entry){.first_index = index,
                                                .last_index = index,
                                                .term = term,
                                                .kind = LOG_ENTRY_MEMBERSHIP,
                                                .payload = {NULL, payload, sizeof(payload)}});
}

void fixture_append_start_move(struct log *log, uint64_t term, uint64_t offset)
{
    uint8_t payload[LOG_START_MOVE_BYTES];
    log_start_move_encode(offset, payload);
    uint64_t index = log_last_index(log) + 1;
    log_append_control(log, &(struct log_entry){.first_index = index,
                                                .last_index = index,
                                                .term = term,
                                                .kind = LOG_ENTRY_START_MOVE,
                                                .payload = {NULL, payload, sizeof(payload)}});
}
