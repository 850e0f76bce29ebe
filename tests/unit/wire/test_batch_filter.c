/* SPDX-License-Identifier: Apache-2.0
 *
 * test_batch_filter.c -- taking records out of batches: what stays is at its offset, byte for byte,
 * in the batch's own compression, and the head still says where the batch stands.
 */
#include "base/buf.h"
#include "unit/wire/batches.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int compressions[] = {
    WIRE_COMPRESSION_NONE, WIRE_COMPRESSION_GZIP, WIRE_COMPRESSION_SNAPPY,
    BATCH_SNAPPY_FRAMED,   WIRE_COMPRESSION_LZ4,  WIRE_COMPRESSION_ZSTD,
};

#define RECORDS 40
#define PLACE_PRODUCER_ID 43

struct choice {
    bool stays[RECORDS];
    int32_t asked;
};

static bool stays(const struct wire_record *record, void *context)
{
    struct choice *choice = context;
    choice->asked++;
    return choice->stays[record->offset_delta];
}

static struct wire_batch read_batch(const struct buf *buf)
{
    struct wire_batch batch;
    assert_true(wire_batch_read(&batch, buf->data, buf->length_bytes));
    assert_int_equal(batch.total_bytes, buf->length_bytes);
    assert_true(wire_batch_crc_matches(&batch));
    return batch;
}

/* The records of rest are those of whole that were chosen. */
static void assert_chosen(const struct wire_batch *whole, const struct wire_batch *rest,
                          const struct choice *choice)
{
    struct wire_record_reader *all = wire_record_reader_open(whole, SIZE_MAX);
    struct wire_record_reader *some = wire_record_reader_open(rest, SIZE_MAX);
    struct wire_record expected;
    struct wire_record record;
    int64_t newest_ms = -1;
    while (wire_record_reader_next(all, &expected)) {
        if (!choice->stays[expected.offset_delta]) {
            continue;
        }
        assert_true(wire_record_reader_next(some, &record));
        assert_int_equal(record.offset_delta, expected.offset_delta);
        assert_int_equal(record.timestamp_ms, expected.timestamp_ms);
        assert_int_equal(record.encoded.length, expected.encoded.length);
        assert_memory_equal(record.encoded.data, expected.encoded.data,
                            (size_t)record.encoded.length);
        newest_ms = record.timestamp_ms > newest_ms ? record.timestamp_ms : newest_ms;
    }
    assert_false(wire_record_reader_next(some, &record));
    assert_null(wire_record_reader_error(some));
    assert_int_equal(rest->max_timestamp, newest_ms);
    wire_record_reader_close(all);
    wire_record_reader_close(some);
}

static void assert_same_place(const struct wire_batch *whole, const struct wire_batch *rest)
{
    assert_int_equal(rest->base_offset, whole->base_offset);
    assert_int_equal(rest->last_offset_delta, whole->last_offset_delta);
    assert_int_equal(rest->leader_epoch, whole->leader_epoch);
    assert_int_equal(rest->producer_id, whole->producer_id);
    assert_int_equal(rest->producer_epoch, whole->producer_epoch);
    assert_int_equal(rest->base_sequence, whole->base_sequence);
    assert_int_equal(rest->base_timestamp, whole->base_timestamp);
}

static struct buf *stamped(int compression)
{
    struct buf *buf = batch_new(RECORDS, compression);
    batch_put(buf, PLACE_PRODUCER_ID, 8, 77);
    batch_put(buf, PLACE_PRODUCER_ID + 8, 2, 3);
    batch_put(buf, PLACE_PRODUCER_ID + 10, 4, 900);
    wire_batch_stamp(buf->data, 12345, 6);
    return buf;
}

static void some_records_stay(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(compressions) / sizeof(compressions[0]); i++) {
        for (int32_t step = 2; step <= RECORDS; step++) {
            struct buf *buf = stamped(compressions[i]);
            struct wire_batch whole = read_batch(buf);
            struct choice choice = {.asked = 0};
            for (int32_t k = 0; k < RECORDS; k++) {
                choice.stays[k] = k % step == step - 1;
            }
            struct buf *rest_buf = NULL;
            assert_int_equal(wire_batch_filter(&whole, stays, &choice, &rest_buf),
                             WIRE_BATCH_REST_SOME);
            assert_int_equal(choice.asked, RECORDS);
            struct wire_batch rest = read_batch(rest_buf);
            assert_same_place(&whole, &rest);
            assert_int_equal(rest.record_count, RECORDS / step);
            assert_int_equal(wire_batch_compression(&rest), wire_batch_compression(&whole));
            assert_chosen(&whole, &rest, &choice);
            buf_release(rest_buf);
            buf_release(buf);
        }
    }
}

static void all_or_nothing_makes_no_batch(void **state)
{
    (void)state;
    struct buf *buf = stamped(WIRE_COMPRESSION_LZ4);
    struct wire_batch whole = read_batch(buf);
    struct choice choice = {.asked = 0};
    struct buf *rest = buf;
    assert_int_equal(wire_batch_filter(&whole, stays, &choice, &rest), WIRE_BATCH_REST_NOTHING);
    assert_null(rest);
    memset(choice.stays, 1, sizeof(choice.stays));
    assert_int_equal(wire_batch_filter(&whole, stays, &choice, &rest), WIRE_BATCH_REST_ALL);
    assert_null(rest);
    buf_release(buf);
}

static void what_cannot_be_read_is_told_apart(void **state)
{
    (void)state;
    static const uint8_t garbage[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct buf *buf = batch_from_body(garbage, sizeof(garbage), 3, WIRE_COMPRESSION_ZSTD);
    struct wire_batch whole = read_batch(buf);
    struct choice choice = {.asked = 0};
    struct buf *rest = buf;
    assert_int_equal(wire_batch_filter(&whole, stays, &choice, &rest), WIRE_BATCH_REST_UNKNOWN);
    assert_null(rest);
    buf_release(buf);
}

static void records_that_shrink_too_well_are_stored_plain(void **state)
{
    (void)state;
    static uint8_t zeros[1 << 20];
    static const int codecs[] = {WIRE_COMPRESSION_GZIP, WIRE_COMPRESSION_ZSTD};
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        struct buf *packed = batch_compress(codecs[i], zeros, sizeof(zeros));
        assert_true(packed->length_bytes * 128 < sizeof(zeros));
        buf_release(packed);
    }
    /* One record of zeros beside one of chance: together they may be compressed, alone not. */
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        struct wire_batch_writer writer;
        uint8_t noise[16384];
        uint32_t chance = 1;
        for (size_t k = 0; k < sizeof(noise); k++) {
            chance = chance * 1664525u + 1013904223u;
            noise[k] = (uint8_t)(chance >> 24);
        }
        wire_batch_writer_begin(&writer, 1000);
        wire_batch_writer_add(&writer, "zeros", 5, zeros, sizeof(zeros));
        wire_batch_writer_add(&writer, "noise", 5, noise, sizeof(noise));
        struct buf *plain = wire_batch_writer_finish(&writer);
        struct buf *body = batch_compress(codecs[i], plain->data + WIRE_BATCH_HEAD_BYTES,
                                          plain->length_bytes - WIRE_BATCH_HEAD_BYTES);
        struct buf *buf = batch_from_body(body->data, body->length_bytes, 2, codecs[i]);
        struct wire_batch whole = read_batch(buf);
        struct choice choice = {.stays = {true, false}};
        struct buf *rest_buf = NULL;
        assert_int_equal(wire_batch_filter(&whole, stays, &choice, &rest_buf),
                         WIRE_BATCH_REST_SOME);
        struct wire_batch rest = read_batch(rest_buf);
        assert_int_equal(wire_batch_compression(&rest), WIRE_COMPRESSION_NONE);
        assert_chosen(&whole, &rest, &choice);
        buf_release(rest_buf);
        buf_release(buf);
        buf_release(body);
        buf_release(plain);
    }
}

static void an_empty_batch_keeps_the_producer(void **state)
{
    (void)state;
    struct buf *buf = stamped(WIRE_COMPRESSION_GZIP);
    struct wire_batch whole = read_batch(buf);
    struct buf *empty_buf = wire_batch_empty(&whole);
    struct wire_batch empty = read_batch(empty_buf);
    assert_same_place(&whole, &empty);
    assert_int_equal(empty.total_bytes, WIRE_BATCH_HEAD_BYTES);
    assert_int_equal(empty.record_count, 0);
    assert_int_equal(empty.max_timestamp, whole.max_timestamp);
    assert_int_equal(wire_batch_compression(&empty), WIRE_COMPRESSION_NONE);
    assert_false(wire_batch_is_filler(&empty));
    struct choice choice = {.asked = 0};
    struct buf *rest;
    assert_int_equal(wire_batch_filter(&empty, stays, &choice, &rest), WIRE_BATCH_REST_NOTHING);
    buf_release(empty_buf);
    buf_release(buf);
}

static void a_filler_says_that_nothing_is_left(void **state)
{
    (void)state;
    struct buf *buf = wire_batch_filler(1ll << 40, INT32_MAX, 9);
    struct wire_batch filler = read_batch(buf);
    assert_true(wire_batch_is_filler(&filler));
    assert_int_equal(filler.base_offset, 1ll << 40);
    assert_int_equal(filler.last_offset_delta, INT32_MAX);
    assert_int_equal(filler.leader_epoch, 9);
    assert_int_equal(filler.magic, 2);
    assert_int_equal(filler.record_count, 0);
    assert_int_equal(filler.max_timestamp, -1);
    const char *reason;
    struct wire_batch checked;
    assert_int_equal(wire_batch_validate(&checked, buf->data, buf->length_bytes, &reason),
                     WIRE_ERROR_INVALID_RECORD); /* no client may write one */
    buf_release(buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_records_stay),
        cmocka_unit_test(all_or_nothing_makes_no_batch),
        cmocka_unit_test(what_cannot_be_read_is_told_apart),
        cmocka_unit_test(records_that_shrink_too_well_are_stored_plain),
        cmocka_unit_test(an_empty_batch_keeps_the_producer),
        cmocka_unit_test(a_filler_says_that_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
