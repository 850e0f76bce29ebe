/* SPDX-License-Identifier: Apache-2.0
 *
 * log_fixture.h -- making entries and opening logs, for the tests of this room.
 */
#ifndef TESTS_LOG_FIXTURE_H
#define TESTS_LOG_FIXTURE_H

#include "log/log.h"

/* A valid batch of records_count offsets whose payload is filled from seed; a new buf. */
struct buf *fixture_batch(uint64_t base_offset, uint32_t term, uint32_t record_count,
                          size_t payload_bytes, int64_t timestamp_ms, uint64_t seed);

/* Append in the order the log expects; positions come from the log. */
void fixture_append_batch(struct log *log, uint64_t term, uint32_t record_count,
                          size_t payload_bytes, int64_t timestamp_ms, uint64_t seed);
void fixture_append_term(struct log *log, uint64_t term);
/* A move of the log's start to the offset. */
void fixture_append_start_move(struct log *log, uint64_t term, uint64_t offset);
void fixture_append_membership(struct log *log, uint64_t term, uint8_t mark);

#endif
