/* SPDX-License-Identifier: Apache-2.0
 *
 * test_producer.c -- every rule of the producer table, one by one.
 */
#include "producer_fixture.h"

#include "base/memory.h"

#include <string.h>

static struct producer_table *table;

static int setup(void **state)
{
    (void)state;
    table = producer_table_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    producer_table_free(table);
    return 0;
}

static void test_batches_without_producer_leave_no_trace(void **state)
{
    (void)state;
    struct wire_batch plain = fixture_batch(-1, -1, -1, 3);
    struct wire_batch control = fixture_batch(5, 0, -1, 1);
    control.attributes = 32;
    assert_append(table, plain);
    assert_append(table, control);
    producer_appended(table, &plain, 0);
    producer_committed(table, &plain, 0);
    producer_committed(table, &control, 3);
    assert_int_equal(producer_count(table), 0);
}

static void test_unknown_producer_begins_anywhere(void **state)
{
    (void)state;
    assert_append(table, fixture_batch(5, 0, 0, 1));
    assert_append(table, fixture_batch(5, 7, 1234, 1));
    fixture_commit(table, fixture_batch(5, 7, 1234, 1), 0);
    assert_append(table, fixture_batch(5, 7, 1235, 1));
}

static void test_gaps_and_repeats_are_refused(void **state)
{
    (void)state;
    fixture_commit(table, fixture_batch(5, 0, 0, 10), 100);
    assert_refused(table, fixture_batch(5, 0, 11, 1), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_refused(table, fixture_batch(5, 0, 9, 1), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_refused(table, fixture_batch(5, 0, 0, 9), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_refused(table, fixture_batch(5, 0, 1, 9), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_append(table, fixture_batch(5, 0, 10, 1));
}

static bool misses(struct wire_batch batch)
{
    return producer_misses_batches(table, &batch);
}

static void test_what_comes_before_is_missed(void **state)
{
    (void)state;
    assert_false(misses(fixture_batch(-1, -1, -1, 1)));
    assert_false(misses(fixture_batch(5, 0, 0, 1))); /* its first */
    assert_true(misses(fixture_batch(5, 0, 3, 1)));
    fixture_commit(table, fixture_batch(5, 0, INT32_MAX - 9, 10), 100);
    fixture_append(table, fixture_batch(5, 0, 0, 3), 110);
    assert_false(misses(fixture_batch(5, 0, 3, 1)));
    assert_true(misses(fixture_batch(5, 0, 4, 1)));
    assert_false(misses(fixture_batch(5, 0, 0, 3)));              /* a duplicate */
    assert_false(misses(fixture_batch(5, 0, INT32_MAX - 20, 3))); /* of long ago */
    assert_false(misses(fixture_batch(5, 1, 0, 1)));
    assert_true(misses(fixture_batch(5, 1, 2, 1)));
}

static void test_senseless_numbers_are_refused(void **state)
{
    (void)state;
    assert_refused(table, fixture_batch(5, -1, 0, 1), WIRE_ERROR_INVALID_RECORD);
    assert_refused(table, fixture_batch(5, 0, -1, 1), WIRE_ERROR_INVALID_RECORD);
    assert_refused(table, fixture_batch(5, 0, 0, 0), WIRE_ERROR_INVALID_RECORD);
}

static void test_last_five_are_duplicates_the_sixth_is_not(void **state)
{
    (void)state;
    for (int32_t i = 0; i < 6; i++) {
        fixture_commit(table, fixture_batch(5, 0, i * 3, 3), 100 + i * 3);
    }
    assert_refused(table, fixture_batch(5, 0, 0, 3), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    for (int32_t i = 1; i < 6; i++) {
        assert_duplicate(table, fixture_batch(5, 0, i * 3, 3), 100 + i * 3);
    }
    assert_append(table, fixture_batch(5, 0, 18, 3));
}

static void test_pending_batches_are_duplicates_too(void **state)
{
    (void)state;
    for (int32_t i = 0; i < 3; i++) {
        fixture_append(table, fixture_batch(5, 0, i, 1), 10 + i);
        fixture_commit(table, fixture_batch(5, 0, i, 1), 10 + i);
    }
    for (int32_t i = 3; i < 6; i++) {
        fixture_append(table, fixture_batch(5, 0, i, 1), 10 + i);
    }
    assert_refused(table, fixture_batch(5, 0, 0, 1), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    for (int32_t i = 1; i < 6; i++) {
        assert_duplicate(table, fixture_batch(5, 0, i, 1), 10 + i);
    }
    assert_append(table, fixture_batch(5, 0, 6, 1));
    fixture_commit(table, fixture_batch(5, 0, 3, 1), 13);
    assert_refused(table, fixture_batch(5, 0, 0, 1), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_duplicate(table, fixture_batch(5, 0, 1, 1), 11);
    assert_duplicate(table, fixture_batch(5, 0, 5, 1), 15);
}

static void test_more_than_five_may_be_pending(void **state)
{
    (void)state;
    for (int32_t i = 0; i < 20; i++) {
        fixture_append(table, fixture_batch(5, 0, i, 1), i);
    }
    assert_refused(table, fixture_batch(5, 0, 14, 1), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_duplicate(table, fixture_batch(5, 0, 15, 1), 15);
    for (int32_t i = 0; i < 20; i++) {
        fixture_commit(table, fixture_batch(5, 0, i, 1), i);
        assert_duplicate(table, fixture_batch(5, 0, 19, 1), 19);
        assert_append(table, fixture_batch(5, 0, 20, 1));
    }
}

static void test_dropping_pending_returns_to_what_is_committed(void **state)
{
    (void)state;
    fixture_append(table, fixture_batch(5, 0, 0, 1), 0);
    fixture_commit(table, fixture_batch(5, 0, 0, 1), 0);
    for (int32_t i = 1; i < 8; i++) {
        fixture_append(table, fixture_batch(5, 0, i, 1), i);
    }
    fixture_append(table, fixture_batch(6, 0, 0, 1), 8);
    assert_int_equal(producer_count(table), 2);
    producer_drop_pending(table);
    assert_int_equal(producer_count(table), 1);
    assert_duplicate(table, fixture_batch(5, 0, 0, 1), 0);
    assert_append(table, fixture_batch(5, 0, 1, 1));
    assert_refused(table, fixture_batch(5, 0, 7, 1), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_append(table, fixture_batch(6, 3, 77, 1));
    producer_drop_pending(table);
}

static void test_epochs(void **state)
{
    (void)state;
    fixture_commit(table, fixture_batch(5, 3, 40, 1), 0);
    assert_refused(table, fixture_batch(5, 2, 41, 1), WIRE_ERROR_INVALID_PRODUCER_EPOCH);
    assert_refused(table, fixture_batch(5, 2, 0, 1), WIRE_ERROR_INVALID_PRODUCER_EPOCH);
    assert_refused(table, fixture_batch(5, 4, 41, 1), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    fixture_append(table, fixture_batch(5, 4, 0, 1), 1);
    assert_refused(table, fixture_batch(5, 3, 40, 1), WIRE_ERROR_INVALID_PRODUCER_EPOCH);
    assert_refused(table, fixture_batch(5, 4, 40, 1), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_duplicate(table, fixture_batch(5, 4, 0, 1), 1);
    fixture_append(table, fixture_batch(5, 4, 1, 1), 2);
    producer_drop_pending(table);
    assert_duplicate(table, fixture_batch(5, 3, 40, 1), 0);
    fixture_commit(table, fixture_batch(5, 4, 0, 1), 1);
    assert_refused(table, fixture_batch(5, 3, 41, 1), WIRE_ERROR_INVALID_PRODUCER_EPOCH);
    assert_append(table, fixture_batch(5, 4, 1, 1));
}

static void test_sequences_wrap(void **state)
{
    (void)state;
    fixture_commit(table, fixture_batch(5, 0, INT32_MAX - 4, 5), 0);
    assert_append(table, fixture_batch(5, 0, 0, 1));
    assert_duplicate(table, fixture_batch(5, 0, INT32_MAX - 4, 5), 0);
    fixture_commit(table, fixture_batch(6, 0, INT32_MAX - 4, 10), 5);
    assert_duplicate(table, fixture_batch(6, 0, INT32_MAX - 4, 10), 5);
    assert_refused(table, fixture_batch(6, 0, 0, 1), WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_append(table, fixture_batch(6, 0, 5, 1));
}

static void test_append_time_comes_back(void **state)
{
    (void)state;
    struct wire_batch batch = fixture_batch(5, 0, 0, 1);
    enum wire_error error;
    int64_t offset = -1;
    int64_t log_append_time_ms = 0;
    fixture_commit(table, batch, 0);
    assert_int_equal(producer_check(table, &batch, &offset, &log_append_time_ms, &error),
                     PRODUCER_DUPLICATE);
    assert_int_equal(log_append_time_ms, -1);
    batch = fixture_batch(5, 0, 1, 1);
    batch.attributes = 8;
    batch.max_timestamp = 4711;
    fixture_commit(table, batch, 1);
    assert_int_equal(producer_check(table, &batch, &offset, &log_append_time_ms, &error),
                     PRODUCER_DUPLICATE);
    assert_int_equal(log_append_time_ms, 4711);
}

static void test_heads_are_those_remembered(void **state)
{
    (void)state;
    size_t count = 9;
    assert_null(producer_heads(table, &count));
    assert_int_equal(count, 0);
    for (int32_t i = 0; i < 7; i++) {
        fixture_commit(table, fixture_batch(5, 0, i, 1), 100 + 10 * i);
    }
    fixture_commit(table, fixture_batch(4, 0, 0, 1), 165);
    fixture_append(table, fixture_batch(5, 0, 7, 1), 170); /* not committed */
    uint64_t *heads = producer_heads(table, &count);
    static const uint64_t expected[] = {120, 130, 140, 150, 160, 165};
    assert_int_equal(count, 6);
    assert_memory_equal(heads, expected, sizeof(expected));
    memory_free(heads);
}

static void test_silent_producers_expire(void **state)
{
    (void)state;
    struct wire_batch batch = fixture_batch(1, 0, 0, 1);
    batch.max_timestamp = 100;
    fixture_commit(table, batch, 0);
    batch.producer_id = 2;
    fixture_commit(table, batch, 1);
    fixture_append(table, fixture_batch(2, 0, 1, 1), 2);
    batch.producer_id = 3;
    batch.max_timestamp = 200;
    fixture_commit(table, batch, 3);
    producer_expire(table, 100);
    assert_int_equal(producer_count(table), 3);
    producer_expire(table, 200);
    assert_int_equal(producer_count(table), 2);
    assert_append(table, fixture_batch(1, 0, 55, 1));
    assert_duplicate(table, fixture_batch(3, 0, 0, 1), 3);
    producer_drop_pending(table);
    producer_expire(table, 200);
    assert_int_equal(producer_count(table), 1);
}

static void test_what_is_committed_is_described(void **state)
{
    (void)state;
    struct producer_description found[3];
    struct wire_batch batch = fixture_batch(1, 3, 0, 4);
    batch.max_timestamp = 100;
    fixture_commit(table, batch, 0);
    batch = fixture_batch(2, 0, 7, 1);
    batch.max_timestamp = 50;
    fixture_commit(table, batch, 4);
    fixture_append(table, fixture_batch(2, 0, 8, 1), 5); /* may be undone */
    fixture_append(table, fixture_batch(9, 0, 0, 1), 6);
    assert_int_equal(producer_count(table), 3);
    assert_int_equal(producer_describe(table, found), 2);
    assert_int_equal(found[0].id, 1);
    assert_int_equal(found[0].epoch, 3);
    assert_int_equal(found[0].last_sequence, 3);
    assert_int_equal(found[0].last_timestamp_ms, 100);
    assert_int_equal(found[1].id, 2);
    assert_int_equal(found[1].last_sequence, 7);
    assert_int_equal(found[1].last_timestamp_ms, 50);
    producer_drop_pending(table);
    assert_int_equal(producer_describe(table, found), 2);
}

static void test_number_of_producers_is_bounded(void **state)
{
    (void)state;
    for (int64_t id = 0; id < PRODUCERS_MAX; id++) {
        fixture_commit(table, fixture_batch(id, 0, 0, 1), id);
    }
    fixture_commit(table, fixture_batch(0, 0, 1, 1), PRODUCERS_MAX);
    fixture_append(table, fixture_batch(1, 0, 1, 1), PRODUCERS_MAX + 1);
    fixture_commit(table, fixture_batch(PRODUCERS_MAX, 0, 0, 1), PRODUCERS_MAX + 2);
    fixture_commit(table, fixture_batch(PRODUCERS_MAX + 1, 0, 0, 1), PRODUCERS_MAX + 3);
    assert_duplicate(table, fixture_batch(0, 0, 1, 1), PRODUCERS_MAX);
    assert_duplicate(table, fixture_batch(1, 0, 1, 1), PRODUCERS_MAX + 1);
    assert_append(table, fixture_batch(2, 0, 99, 1));
    assert_int_equal(producer_count(table), PRODUCERS_MAX + 1);
    producer_drop_pending(table);
    assert_int_equal(producer_count(table), PRODUCERS_MAX);
    assert_append(table, fixture_batch(1, 0, 99, 1));
}

/* ---- Snapshots ---- */

static void fill(struct producer_table *to)
{
    for (int32_t i = 0; i < 40; i++) {
        fixture_commit(to, fixture_batch(i % 7, (int16_t)(i % 7), i / 7, 1), i);
    }
}

static void test_snapshot_comes_back(void **state)
{
    (void)state;
    struct producer_table *copy = producer_table_new();
    struct buf *content = NULL;
    fill(table);
    fixture_append(table, fixture_batch(99, 0, 0, 1), 40);
    producer_snapshot_write(table, &content);
    fixture_commit(copy, fixture_batch(1234, 0, 0, 1), 0);
    assert_true(producer_snapshot_restore(copy, content->data, content->length_bytes));
    buf_release(content);
    assert_int_equal(producer_count(copy), 7);
    fixture_assert_equal(table, copy);
    assert_duplicate(copy, fixture_batch(4, 4, 5, 1), 39);
    assert_append(copy, fixture_batch(4, 4, 6, 1));
    producer_table_free(copy);
}

static void test_empty_snapshot_comes_back(void **state)
{
    (void)state;
    struct buf *content = NULL;
    producer_snapshot_write(table, &content);
    fill(table);
    assert_true(producer_snapshot_restore(table, content->data, content->length_bytes));
    assert_int_equal(producer_count(table), 0);
    buf_release(content);
}

static void test_cut_or_longer_snapshots_are_refused(void **state)
{
    (void)state;
    struct buf *content = NULL;
    fill(table);
    producer_snapshot_write(table, &content);
    uint8_t *longer = memory_allocate_zeroed(content->length_bytes + 1);
    memcpy(longer, content->data, content->length_bytes);
    for (size_t length = 0; length <= content->length_bytes + 1; length++) {
        bool restored = producer_snapshot_restore(table, longer, length);
        assert_int_equal(restored, length == content->length_bytes);
        assert_int_equal(producer_count(table), restored ? 7 : 0);
    }
    memory_free(longer);
    buf_release(content);
}

static void test_damaged_snapshots_never_harm(void **state)
{
    (void)state;
    struct buf *content = NULL;
    fill(table);
    producer_snapshot_write(table, &content);
    for (size_t i = 0; i < content->length_bytes; i++) {
        uint8_t kept = content->data[i];
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            content->data[i] = (uint8_t)(kept ^ flip);
            if (producer_snapshot_restore(table, content->data, content->length_bytes)) {
                struct buf *again = NULL;
                producer_snapshot_write(table, &again);
                assert_memory_equal(again->data, content->data, content->length_bytes);
                buf_release(again);
            } else {
                assert_int_equal(producer_count(table), 0);
            }
        }
        content->data[i] = kept;
    }
    buf_release(content);
}

#define rule(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        rule(test_batches_without_producer_leave_no_trace),
        rule(test_unknown_producer_begins_anywhere),
        rule(test_gaps_and_repeats_are_refused),
        rule(test_what_comes_before_is_missed),
        rule(test_senseless_numbers_are_refused),
        rule(test_last_five_are_duplicates_the_sixth_is_not),
        rule(test_pending_batches_are_duplicates_too),
        rule(test_more_than_five_may_be_pending),
        rule(test_dropping_pending_returns_to_what_is_committed),
        rule(test_epochs),
        rule(test_sequences_wrap),
        rule(test_append_time_comes_back),
        rule(test_heads_are_those_remembered),
        rule(test_silent_producers_expire),
        rule(test_what_is_committed_is_described),
        rule(test_number_of_producers_is_bounded),
        rule(test_snapshot_comes_back),
        rule(test_empty_snapshot_comes_back),
        rule(test_cut_or_longer_snapshots_are_refused),
        rule(test_damaged_snapshots_never_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
