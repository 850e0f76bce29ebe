/* SPDX-License-Identifier: Apache-2.0
 *
 * producer_fixture.h -- batches of idempotent producers, and short ways to say what the table must
 * answer.
 */
#ifndef TESTS_PRODUCER_FIXTURE_H
#define TESTS_PRODUCER_FIXTURE_H

#include "base/buf.h"
#include "txn/producer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static inline struct wire_batch fixture_batch(int64_t producer_id, int16_t epoch,
                                              int32_t base_sequence, int32_t record_count)
{
    return (struct wire_batch){
        .magic = 2,
        .producer_id = producer_id,
        .producer_epoch = epoch,
        .base_sequence = base_sequence,
        .record_count = record_count,
        .last_offset_delta = record_count - 1,
        .max_timestamp = 1000,
    };
}

static inline enum producer_verdict fixture_check(const struct producer_table *table,
                                                  struct wire_batch batch, int64_t *base_offset,
                                                  enum wire_error *error)
{
    int64_t log_append_time_ms = 0;
    *base_offset = -1;
    *error = WIRE_ERROR_NONE;
    return producer_check(table, &batch, base_offset, &log_append_time_ms, error);
}

#define assert_append(table, batch)                                                                \
    do {                                                                                           \
        int64_t offset_;                                                                           \
        enum wire_error error_;                                                                    \
        assert_int_equal(fixture_check(table, batch, &offset_, &error_), PRODUCER_APPEND);         \
    } while (0)

#define assert_duplicate(table, batch, expected_offset)                                            \
    do {                                                                                           \
        int64_t offset_;                                                                           \
        enum wire_error error_;                                                                    \
        assert_int_equal(fixture_check(table, batch, &offset_, &error_), PRODUCER_DUPLICATE);      \
        assert_int_equal(offset_, expected_offset);                                                \
    } while (0)

#define assert_refused(table, batch, expected_error)                                               \
    do {                                                                                           \
        int64_t offset_;                                                                           \
        enum wire_error error_;                                                                    \
        assert_int_equal(fixture_check(table, batch, &offset_, &error_), PRODUCER_REFUSED);        \
        assert_int_equal(error_, expected_error);                                                  \
    } while (0)

static inline void fixture_commit(struct producer_table *table, struct wire_batch batch,
                                  int64_t base_offset)
{
    producer_committed(table, &batch, base_offset);
}

static inline void fixture_append(struct producer_table *table, struct wire_batch batch,
                                  int64_t base_offset)
{
    assert_append(table, batch);
    producer_appended(table, &batch, base_offset);
}

/* Equal committed parts have equal snapshots. */
static inline void fixture_assert_equal(const struct producer_table *left,
                                        const struct producer_table *right)
{
    struct buf *left_bytes = NULL;
    struct buf *right_bytes = NULL;
    producer_snapshot_write(left, &left_bytes);
    producer_snapshot_write(right, &right_bytes);
    assert_int_equal(left_bytes->length_bytes, right_bytes->length_bytes);
    assert_memory_equal(left_bytes->data, right_bytes->data, left_bytes->length_bytes);
    buf_release(left_bytes);
    buf_release(right_bytes);
}

#endif
