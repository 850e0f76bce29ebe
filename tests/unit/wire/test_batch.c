/* SPDX-License-Identifier: Apache-2.0
 *
 * test_batch.c -- record batches: building, checking, stamping, and everything a broker has to
 * refuse.
 */
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "unit/wire/batches.h"
#include "wire/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum wire_error validate(const struct buf *buf, const char **reason)
{
    struct wire_batch batch;
    /* A copy of exactly this length, so that the sanitizer sees a read beyond it. */
    uint8_t *copy = malloc(buf->length_bytes > 0 ? buf->length_bytes : 1);
    assert_non_null(copy);
    memcpy(copy, buf->data, buf->length_bytes);
    *reason = NULL;
    enum wire_error error = wire_batch_validate(&batch, copy, buf->length_bytes, reason);
    assert_true((error == WIRE_ERROR_NONE) == (*reason == NULL));
    free(copy);
    return error;
}

static void a_built_batch_is_valid_and_read_back(void **state)
{
    (void)state;
    struct buf *buf = wire_batch_build("key", 3, "value", 5, 1234567890123);
    struct wire_batch batch;
    const char *reason = NULL;
    assert_int_equal(wire_batch_validate(&batch, buf->data, buf->length_bytes, &reason),
                     WIRE_ERROR_NONE);
    assert_int_equal(batch.total_bytes, buf->length_bytes);
    assert_int_equal(batch.record_count, 1);
    assert_int_equal(batch.producer_id, -1);
    struct wire_record_reader *reader = wire_record_reader_open(&batch, 1000);
    struct wire_record record;
    assert_true(wire_record_reader_next(reader, &record));
    assert_int_equal(record.key.length, 3);
    assert_memory_equal(record.key.data, "key", 3);
    assert_int_equal(record.value.length, 5);
    assert_memory_equal(record.value.data, "value", 5);
    assert_true(record.timestamp_ms == 1234567890123);
    assert_false(wire_record_reader_next(reader, &record));
    assert_null(wire_record_reader_error(reader));
    wire_record_reader_close(reader);
    buf_release(buf);
}

static void records_are_written_one_after_another(void **state)
{
    (void)state;
    enum { COUNT = 300 }; /* offset deltas of one and of two bytes */
    struct wire_batch_writer writer;
    wire_batch_writer_begin(&writer, 77);
    for (int32_t i = 0; i < COUNT; i++) {
        wire_batch_writer_add(&writer, &i, sizeof(i), i % 3 == 0 ? NULL : "value",
                              i % 3 == 0 ? -1 : 5);
    }
    struct buf *buf = wire_batch_writer_finish(&writer);
    struct wire_batch batch;
    const char *reason = NULL;
    assert_int_equal(wire_batch_validate(&batch, buf->data, buf->length_bytes, &reason),
                     WIRE_ERROR_NONE);
    assert_int_equal(batch.record_count, COUNT);
    assert_int_equal(batch.last_offset_delta, COUNT - 1);
    struct wire_record_reader *reader = wire_record_reader_open(&batch, 1 << 20);
    struct wire_record record;
    for (int32_t i = 0; i < COUNT; i++) {
        assert_true(wire_record_reader_next(reader, &record));
        assert_int_equal(record.offset_delta, i);
        assert_memory_equal(record.key.data, &i, sizeof(i));
        assert_int_equal(record.value.length, i % 3 == 0 ? -1 : 5);
    }
    assert_false(wire_record_reader_next(reader, &record));
    assert_null(wire_record_reader_error(reader));
    wire_record_reader_close(reader);
    buf_release(buf);

    wire_batch_writer_begin(&writer, 1);
    wire_batch_writer_drop(&writer);
}

static void nulls_are_kept(void **state)
{
    (void)state;
    struct buf *buf = wire_batch_build(NULL, -1, NULL, -1, 1);
    struct wire_batch batch;
    const char *reason = NULL;
    assert_int_equal(wire_batch_validate(&batch, buf->data, buf->length_bytes, &reason),
                     WIRE_ERROR_NONE);
    struct wire_record_reader *reader = wire_record_reader_open(&batch, 1000);
    struct wire_record record;
    assert_true(wire_record_reader_next(reader, &record));
    assert_int_equal(record.key.length, -1);
    assert_int_equal(record.value.length, -1);
    wire_record_reader_close(reader);
    buf_release(buf);
}

static void bytes_of_a_batch_known_from_elsewhere(void **state)
{
    (void)state;
    /* One record "a" -> "b" at time 1000, written down by hand from the format. */
    const uint8_t expected_after_crc[] = {
        0,    0,                                        /* attributes */
        0,    0,    0,    0,                            /* last offset delta */
        0,    0,    0,    0,    0,    0,    0x03, 0xe8, /* base timestamp */
        0,    0,    0,    0,    0,    0,    0x03, 0xe8, /* max timestamp */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* producer id */
        0xff, 0xff,                                     /* producer epoch */
        0xff, 0xff, 0xff, 0xff,                         /* base sequence */
        0,    0,    0,    1,                            /* record count */
        0x10,                                           /* record length 8 */
        0,    0,    0,    0x02, 'a',  0x02, 'b',  0,
    };
    struct buf *buf = wire_batch_build("a", 1, "b", 1, 1000);
    assert_int_equal(buf->length_bytes, 21 + sizeof(expected_after_crc));
    const uint8_t prefix[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 58, 0xff, 0xff, 0xff, 0xff, 2};
    assert_memory_equal(buf->data, prefix, sizeof(prefix));
    assert_memory_equal(buf->data + 21, expected_after_crc, sizeof(expected_after_crc));
    buf_release(buf);
}

static void stamping_does_not_touch_the_checksum(void **state)
{
    (void)state;
    struct buf *buf = batch_new(3, WIRE_COMPRESSION_NONE);
    wire_batch_stamp(buf->data, 0x0102030405060708, 77);
    struct wire_batch batch;
    assert_true(wire_batch_read(&batch, buf->data, buf->length_bytes));
    assert_true(batch.base_offset == 0x0102030405060708);
    assert_int_equal(batch.leader_epoch, 77);
    assert_true(wire_batch_crc_matches(&batch));
    buf_release(buf);
}

static void append_time_mends_the_checksum(void **state)
{
    (void)state;
    struct buf *buf = batch_new(3, WIRE_COMPRESSION_NONE);
    wire_batch_set_append_time(buf->data, buf->length_bytes, 424242);
    struct wire_batch batch;
    assert_true(wire_batch_read(&batch, buf->data, buf->length_bytes));
    assert_true(wire_batch_is_log_append_time(&batch));
    assert_int_equal(batch.max_timestamp, 424242);
    assert_true(wire_batch_crc_matches(&batch));
    struct wire_record_reader *reader = wire_record_reader_open(&batch, 1000);
    struct wire_record record;
    while (wire_record_reader_next(reader, &record)) {
        assert_int_equal(record.timestamp_ms, 424242);
    }
    assert_null(wire_record_reader_error(reader));
    wire_record_reader_close(reader);
    buf_release(buf);
}

static void a_part_gives_the_head_but_no_data(void **state)
{
    (void)state;
    struct buf *buf = batch_new(3, WIRE_COMPRESSION_NONE);
    struct wire_batch batch;
    assert_true(wire_batch_read(&batch, buf->data, buf->length_bytes - 1));
    assert_int_equal(batch.total_bytes, buf->length_bytes);
    assert_null(batch.data);
    assert_false(wire_batch_crc_matches(&batch));
    struct wire_record record;
    struct wire_record_reader *reader = wire_record_reader_open(&batch, 1000);
    assert_false(wire_record_reader_next(reader, &record));
    assert_non_null(wire_record_reader_error(reader));
    wire_record_reader_close(reader);
    assert_false(wire_batch_read(&batch, buf->data, WIRE_BATCH_HEAD_BYTES - 1));
    buf_release(buf);
}

struct change {
    const char *what;
    size_t place;
    size_t size;
    int64_t value;
    enum wire_error error;
};

/* Each is made to a good batch of three records; the checksum is mended unless the magic is wrong.
 */
static void every_wrong_head_is_refused(void **state)
{
    (void)state;
    static const struct change changes[] = {
        {"too long", 8, 4, 5000, WIRE_ERROR_CORRUPT_MESSAGE},
        {"too short", 8, 4, 48, WIRE_ERROR_CORRUPT_MESSAGE},
        {"negative length", 8, 4, -1, WIRE_ERROR_CORRUPT_MESSAGE},
        {"magic 0", 16, 1, 0, WIRE_ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT},
        {"magic 1", 16, 1, 1, WIRE_ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT},
        {"magic 3", 16, 1, 3, WIRE_ERROR_CORRUPT_MESSAGE},
        {"compression 5", 21, 2, 5, WIRE_ERROR_UNSUPPORTED_COMPRESSION_TYPE},
        {"compression 7", 21, 2, 7, WIRE_ERROR_UNSUPPORTED_COMPRESSION_TYPE},
        {"control", 21, 2, 32, WIRE_ERROR_INVALID_RECORD},
        {"transactional without producer", 21, 2, 16, WIRE_ERROR_INVALID_RECORD},
        {"last offset", 23, 4, 3, WIRE_ERROR_INVALID_RECORD},
        {"producer without epoch", 43, 8, 9, WIRE_ERROR_INVALID_RECORD},
        {"no records", 57, 4, 0, WIRE_ERROR_INVALID_RECORD},
        {"negative count", 57, 4, -1, WIRE_ERROR_INVALID_RECORD},
        {"huge count", 57, 4, INT32_MAX, WIRE_ERROR_INVALID_RECORD},
        {"fewer than there are", 57, 4, 2, WIRE_ERROR_INVALID_RECORD},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct buf *buf = batch_new(3, WIRE_COMPRESSION_NONE);
        batch_put(buf, changes[i].place, changes[i].size, changes[i].value);
        const char *reason;
        enum wire_error error = validate(buf, &reason);
        if (error != changes[i].error) {
            fail_msg("%s: %s", changes[i].what, wire_error_name(error));
        }
        buf_release(buf);
    }
}

static void every_flipped_bit_behind_the_epoch_is_noticed(void **state)
{
    (void)state;
    struct buf *buf = batch_new(2, WIRE_COMPRESSION_NONE);
    for (size_t bit = 16 * 8; bit < buf->length_bytes * 8; bit++) {
        buf->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const char *reason;
        assert_int_not_equal(validate(buf, &reason), WIRE_ERROR_NONE);
        buf->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    const char *reason;
    assert_int_equal(validate(buf, &reason), WIRE_ERROR_NONE);
    buf_release(buf);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct buf *buf = batch_new(3, WIRE_COMPRESSION_NONE);
    size_t whole = buf->length_bytes;
    for (size_t length = 0; length < whole; length++) {
        buf->length_bytes = length;
        const char *reason;
        assert_int_equal(validate(buf, &reason), WIRE_ERROR_CORRUPT_MESSAGE);
    }
    buf_release(buf);
}

static void damaged_records_with_a_right_checksum_are_refused_or_read(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 7);
    for (int i = 0; i < 3000; i++) {
        struct buf *buf = batch_new(3, WIRE_COMPRESSION_NONE);
        size_t body = buf->length_bytes - WIRE_BATCH_HEAD_BYTES;
        batch_put(buf, WIRE_BATCH_HEAD_BYTES + prng_below(&prng, body), 1,
                  (int64_t)prng_below(&prng, 256));
        const char *reason;
        enum wire_error error = validate(buf, &reason);
        assert_true(error == WIRE_ERROR_NONE || error == WIRE_ERROR_INVALID_RECORD);
        buf_release(buf);
    }
}

static void record_faults_are_named(void **state)
{
    (void)state;
    static const struct {
        uint8_t record[10];
        size_t length;
        const char *reason;
    } faults[] = {
        {{0x0e, 0, 0, 2, 1, 1, 0, 0}, 8, "a record with an offset outside of its batch"},
        {{0x0c, 0, 0, 0, 3, 1, 0}, 7, "a negative length in a record"},
        {{0x0c, 0, 0, 0, 1, 1, 0x7f}, 7, "a record with more headers than it can hold"},
        {{0x0c, 0, 0, 0, 1, 1, 1}, 7, "a record with more headers than it can hold"},
        {{0x0e, 0, 0, 0, 1, 1, 0, 0}, 8, "a record that is longer than its parts"},
        {{0x10, 0, 0, 0, 1, 1, 0}, 7, "a record is longer than its batch"},
        {{0x0c, 0, 0, 0, 1, 1, 0, 9}, 8, "bytes after the last record"},
        {{0x0c, 0, 0, 0, 1, 0x20, 0}, 7, "the message ends too early"},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct buf *buf = batch_from_body(faults[i].record, faults[i].length, 1, 0);
        const char *reason;
        assert_int_equal(validate(buf, &reason), WIRE_ERROR_INVALID_RECORD);
        assert_string_equal(reason, faults[i].reason);
        buf_release(buf);
    }
}

static void impossible_lengths_are_not_read(void **state)
{
    (void)state;
    static const uint8_t bodies[][7] = {
        {0x0b, 0, 0, 0, 1, 1, 0},                /* below 0 */
        {0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0},    /* more than the batch has */
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, /* without an end */
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct buf *buf = batch_from_body(bodies[i], sizeof(bodies[i]), 1, WIRE_COMPRESSION_NONE);
        struct wire_batch batch;
        assert_true(wire_batch_read(&batch, buf->data, buf->length_bytes));
        struct wire_record_reader *reader = wire_record_reader_open(&batch, 1000);
        struct wire_record record;
        assert_false(wire_record_reader_next(reader, &record));
        assert_string_equal(wire_record_reader_error(reader), "a record with an impossible length");
        wire_record_reader_close(reader);
        buf_release(buf);
    }
    wire_record_reader_close(NULL);
}

static void offsets_must_count_up_without_a_gap(void **state)
{
    (void)state;
    const uint8_t twice[] = {0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 0, 1, 1, 0};
    const uint8_t swapped[] = {0x0c, 0, 0, 2, 1, 1, 0, 0x0c, 0, 0, 0, 1, 1, 0};
    const uint8_t good[] = {0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 2, 1, 1, 0};
    const char *reason;
    struct buf *buf = batch_from_body(twice, sizeof(twice), 2, WIRE_COMPRESSION_NONE);
    assert_int_equal(validate(buf, &reason), WIRE_ERROR_INVALID_RECORD);
    assert_string_equal(reason, "the offsets of the records leave a gap");
    buf_release(buf);
    buf = batch_from_body(swapped, sizeof(swapped), 2, WIRE_COMPRESSION_NONE);
    assert_int_equal(validate(buf, &reason), WIRE_ERROR_INVALID_RECORD);
    buf_release(buf);
    buf = batch_from_body(good, sizeof(good), 2, WIRE_COMPRESSION_NONE);
    assert_int_equal(validate(buf, &reason), WIRE_ERROR_NONE);
    buf_release(buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_built_batch_is_valid_and_read_back),
        cmocka_unit_test(records_are_written_one_after_another),
        cmocka_unit_test(nulls_are_kept),
        cmocka_unit_test(bytes_of_a_batch_known_from_elsewhere),
        cmocka_unit_test(stamping_does_not_touch_the_checksum),
        cmocka_unit_test(append_time_mends_the_checksum),
        cmocka_unit_test(a_part_gives_the_head_but_no_data),
        cmocka_unit_test(every_wrong_head_is_refused),
        cmocka_unit_test(every_flipped_bit_behind_the_epoch_is_noticed),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(damaged_records_with_a_right_checksum_are_refused_or_read),
        cmocka_unit_test(record_faults_are_named),
        cmocka_unit_test(impossible_lengths_are_not_read),
        cmocka_unit_test(offsets_must_count_up_without_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
