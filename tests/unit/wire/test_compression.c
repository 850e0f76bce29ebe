/* SPDX-License-Identifier: Apache-2.0
 *
 * test_compression.c -- compressed batches: every codec gives the records back, in pieces and in
 * bulk; bombs, cut and damaged streams end in an error and in bounded memory.
 */
#include "base/memory.h"
#include "unit/wire/batches.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OUTPUT_BYTES_MAX (64u << 20)

static const int compressions[] = {
    WIRE_COMPRESSION_NONE, WIRE_COMPRESSION_GZIP, WIRE_COMPRESSION_SNAPPY,
    BATCH_SNAPPY_FRAMED,   WIRE_COMPRESSION_LZ4,  WIRE_COMPRESSION_ZSTD,
};
#define COMPRESSION_COUNT (sizeof(compressions) / sizeof(compressions[0]))

/* Reads all records out of an exact copy; their number, and the error if there was one. */
static int32_t read_all(const struct buf *buf, size_t output_bytes_max, const char **error)
{
    uint8_t *copy = malloc(buf->length_bytes);
    assert_non_null(copy);
    memcpy(copy, buf->data, buf->length_bytes);
    struct wire_batch batch;
    assert_true(wire_batch_read(&batch, copy, buf->length_bytes));
    struct wire_record_reader *reader = wire_record_reader_open(&batch, output_bytes_max);
    struct wire_record record;
    int32_t count = 0;
    while (wire_record_reader_next(reader, &record)) {
        assert_true(record.offset_delta >= count);
        count++;
    }
    *error = wire_record_reader_error(reader);
    wire_record_reader_close(reader);
    free(copy);
    return count;
}

static void every_codec_gives_the_records_back(void **state)
{
    (void)state;
    static const struct {
        int32_t records;
        size_t value_bytes;
    } shapes[] = {{1, 0}, {3, 10}, {1000, 30}, {7, 50000}, {2, 700000}};
    for (size_t i = 0; i < COMPRESSION_COUNT; i++) {
        for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
            /* A pattern so regular would pass for a bomb: the large shapes are held uncompressed.
             */
            if (shapes[k].value_bytes > 1000 && compressions[i] != WIRE_COMPRESSION_NONE &&
                compressions[i] != WIRE_COMPRESSION_SNAPPY &&
                compressions[i] != BATCH_SNAPPY_FRAMED) {
                continue;
            }
            struct buf *buf =
                batch_new_sized(shapes[k].records, compressions[i], shapes[k].value_bytes);
            struct wire_batch batch;
            const char *reason = NULL;
            assert_int_equal(wire_batch_validate(&batch, buf->data, buf->length_bytes, &reason),
                             WIRE_ERROR_NONE);
            const char *error;
            assert_int_equal(read_all(buf, OUTPUT_BYTES_MAX, &error), shapes[k].records);
            assert_null(error);
            buf_release(buf);
        }
    }
}

/* One record with a value that does not compress, larger than every window. */
static void records_larger_than_the_window_pass(void **state)
{
    (void)state;
    const size_t value_bytes = 300000;
    struct prng prng;
    prng_init(&prng, 3);
    struct wire_writer writer;
    wire_writer_init(&writer, value_bytes + 100);
    wire_write_varint(&writer, (int32_t)(3 + 1 + 3 + value_bytes + 1));
    wire_write_raw(&writer, "\0\0\0\1", 4);
    wire_write_varint(&writer, (int32_t)value_bytes);
    for (size_t i = 0; i < value_bytes; i++) {
        wire_write_int8(&writer, (int8_t)prng_next(&prng));
    }
    wire_write_int8(&writer, 0);
    struct buf *plain = wire_writer_take(&writer);
    for (size_t i = 0; i < COMPRESSION_COUNT; i++) {
        struct buf *body = batch_compress(compressions[i], plain->data, plain->length_bytes);
        int compression =
            compressions[i] == BATCH_SNAPPY_FRAMED ? WIRE_COMPRESSION_SNAPPY : compressions[i];
        struct buf *buf = batch_from_body(body->data, body->length_bytes, 1, compression);
        const char *error;
        assert_int_equal(read_all(buf, OUTPUT_BYTES_MAX, &error), 1);
        assert_null(error);
        buf_release(buf);
        buf_release(body);
    }
    buf_release(plain);
}

static void bombs_are_stopped(void **state)
{
    (void)state;
    const size_t bomb_bytes = 32u << 20;
    uint8_t *zeros = memory_allocate_zeroed(bomb_bytes);
    static const int bombs[] = {WIRE_COMPRESSION_GZIP, WIRE_COMPRESSION_LZ4, WIRE_COMPRESSION_ZSTD};
    /* A record that claims all of it: length, attributes, time, offset, no key, value length. */
    const uint8_t head[] = {0xf8, 0xff, 0xff, 0x1f, 0, 0, 0, 1, 0xe0, 0xff, 0xff, 0x1f};
    memcpy(zeros, head, sizeof(head));
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        struct buf *body = batch_compress(bombs[i], zeros, bomb_bytes);
        struct buf *buf = batch_from_body(body->data, body->length_bytes, 1, bombs[i]);
        const char *error;
        assert_int_equal(read_all(buf, 1u << 20, &error), 0);
        assert_non_null(error);
        assert_int_equal(read_all(buf, SIZE_MAX, &error), 0);
        assert_non_null(error);
        buf_release(buf);
        buf_release(body);
    }
    memory_free(zeros);
}

static void the_given_limit_holds(void **state)
{
    (void)state;
    for (size_t i = 1; i < COMPRESSION_COUNT; i++) {
        struct buf *buf = batch_new_sized(100, compressions[i], 60);
        const char *error;
        assert_true(read_all(buf, 2000, &error) < 100);
        assert_non_null(error);
        buf_release(buf);
    }
}

static void a_declared_snappy_length_is_not_believed(void **state)
{
    (void)state;
    /* Says 4 GiB - 1 and holds three bytes. */
    const uint8_t body[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0, 'a'};
    struct buf *buf = batch_from_body(body, sizeof(body), 1, WIRE_COMPRESSION_SNAPPY);
    const char *error;
    assert_int_equal(read_all(buf, SIZE_MAX, &error), 0);
    assert_string_equal(error, "damaged snappy data");
    buf_release(buf);
}

static void a_zstd_window_that_is_too_large_is_refused(void **state)
{
    (void)state;
    /* Magic, descriptor without content size, window 2^27, then a block that is never reached. */
    const uint8_t body[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3, 0x01, 0, 0};
    struct buf *buf = batch_from_body(body, sizeof(body), 1, WIRE_COMPRESSION_ZSTD);
    const char *error;
    assert_int_equal(read_all(buf, SIZE_MAX, &error), 0);
    assert_non_null(error);
    assert_string_equal(error, "damaged zstd data, or a window that is too large");
    buf_release(buf);
}

static void cut_streams_end_in_an_error(void **state)
{
    (void)state;
    for (size_t i = 1; i < COMPRESSION_COUNT; i++) {
        struct buf *whole = batch_new(20, compressions[i]);
        const uint8_t *body = whole->data + WIRE_BATCH_HEAD_BYTES;
        size_t body_bytes = whole->length_bytes - WIRE_BATCH_HEAD_BYTES;
        int compression =
            compressions[i] == BATCH_SNAPPY_FRAMED ? WIRE_COMPRESSION_SNAPPY : compressions[i];
        for (size_t length = 0; length < body_bytes; length++) {
            struct buf *buf = batch_from_body(body, length, 20, compression);
            const char *error;
            read_all(buf, OUTPUT_BYTES_MAX, &error);
            if (error == NULL) {
                fail_msg("compression %d: %zu of %zu bytes pass", compressions[i], length,
                         body_bytes);
            }
            buf_release(buf);
        }
        buf_release(whole);
    }
}

static void damaged_streams_stay_in_bounds(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 11);
    for (size_t i = 0; i < COMPRESSION_COUNT; i++) {
        for (int round = 0; round < 400; round++) {
            struct buf *buf = batch_new(20, compressions[i]);
            size_t body = buf->length_bytes - WIRE_BATCH_HEAD_BYTES;
            for (int change = 0; change < 3; change++) {
                batch_put(buf, WIRE_BATCH_HEAD_BYTES + prng_below(&prng, body), 1,
                          (int64_t)prng_below(&prng, 256));
            }
            const char *error;
            assert_true(read_all(buf, OUTPUT_BYTES_MAX, &error) <= 20);
            buf_release(buf);
        }
    }
}

static void gzip_members_follow_one_another(void **state)
{
    (void)state;
    struct buf *plain = batch_new(2, WIRE_COMPRESSION_NONE);
    const uint8_t *records = plain->data + WIRE_BATCH_HEAD_BYTES;
    size_t length = plain->length_bytes - WIRE_BATCH_HEAD_BYTES;
    struct buf *first = batch_compress(WIRE_COMPRESSION_GZIP, records, 10);
    struct buf *second = batch_compress(WIRE_COMPRESSION_GZIP, records + 10, length - 10);
    struct buf *both = buf_new(first->length_bytes + second->length_bytes);
    memcpy(both->data, first->data, first->length_bytes);
    memcpy(both->data + first->length_bytes, second->data, second->length_bytes);
    both->length_bytes = first->length_bytes + second->length_bytes;
    struct buf *buf = batch_from_body(both->data, both->length_bytes, 2, WIRE_COMPRESSION_GZIP);
    const char *error;
    assert_int_equal(read_all(buf, OUTPUT_BYTES_MAX, &error), 2);
    assert_null(error);
    buf_release(buf);
    buf_release(both);
    buf_release(second);
    buf_release(first);
    buf_release(plain);
}

/* ---- Recompressing ---- */

static const int targets[] = {WIRE_COMPRESSION_NONE, WIRE_COMPRESSION_GZIP, WIRE_COMPRESSION_SNAPPY,
                              WIRE_COMPRESSION_LZ4, WIRE_COMPRESSION_ZSTD};
#define TARGET_COUNT (sizeof(targets) / sizeof(targets[0]))

static struct buf *recompress(const struct buf *buf, int target, size_t output_bytes_max,
                              const char **reason)
{
    struct wire_batch batch;
    assert_true(wire_batch_read(&batch, buf->data, buf->length_bytes));
    return wire_batch_recompress(&batch, (enum wire_compression)target, target == 0 ? 0 : 3,
                                 output_bytes_max, reason);
}

/* Byte for byte the records of the plain batch, and a head that differs in its compression only. */
static void expect_same(const struct buf *plain, const struct buf *packed, int target)
{
    struct wire_batch batch;
    const char *reason = NULL;
    assert_int_equal(wire_batch_validate(&batch, packed->data, packed->length_bytes, &reason),
                     WIRE_ERROR_NONE);
    assert_int_equal(wire_batch_compression(&batch), target);
    struct buf *again = NULL;
    if (target != WIRE_COMPRESSION_NONE) {
        again = recompress(packed, WIRE_COMPRESSION_NONE, OUTPUT_BYTES_MAX, &reason);
        assert_non_null(again);
        packed = again;
    }
    assert_int_equal(packed->length_bytes, plain->length_bytes);
    assert_memory_equal(packed->data, plain->data, plain->length_bytes);
    buf_release(again);
}

static void every_codec_turns_into_every_other(void **state)
{
    (void)state;
    static const int32_t counts[] = {1, 20, 3000}; /* the last is more than a block of snappy */
    for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
        struct buf *plain = batch_new_sized(counts[k], WIRE_COMPRESSION_NONE, 30);
        for (size_t i = 0; i < COMPRESSION_COUNT; i++) {
            for (size_t j = 0; j < TARGET_COUNT; j++) {
                struct buf *buf = batch_new_sized(counts[k], compressions[i], 30);
                struct wire_batch batch;
                const char *reason = NULL;
                assert_true(wire_batch_read(&batch, buf->data, buf->length_bytes));
                if (wire_batch_compression(&batch) != targets[j]) {
                    struct buf *packed = recompress(buf, targets[j], OUTPUT_BYTES_MAX, &reason);
                    assert_non_null(packed);
                    expect_same(plain, packed, targets[j]);
                    buf_release(packed);
                }
                buf_release(buf);
            }
        }
        buf_release(plain);
    }
}

/* What would expand to more than readers believe stays as it came. */
static void what_nearly_vanishes_is_left_alone(void **state)
{
    (void)state;
    const char *reason = "none";
    struct wire_batch_writer writer;
    uint8_t *zeros = memory_allocate_zeroed(2000000);
    wire_batch_writer_begin(&writer, 7);
    wire_batch_writer_add(&writer, NULL, -1, zeros, 2000000);
    struct buf *plain = wire_batch_writer_finish(&writer);
    assert_null(recompress(plain, WIRE_COMPRESSION_ZSTD, OUTPUT_BYTES_MAX, &reason));
    assert_null(reason);

    /* A client may send such a batch, and have it stored in another way. */
    struct buf *body = batch_compress(WIRE_COMPRESSION_ZSTD, plain->data + WIRE_BATCH_HEAD_BYTES,
                                      plain->length_bytes - WIRE_BATCH_HEAD_BYTES);
    struct buf *vanished =
        batch_from_body(body->data, body->length_bytes, 1, WIRE_COMPRESSION_ZSTD);
    struct buf *again = recompress(vanished, WIRE_COMPRESSION_NONE, OUTPUT_BYTES_MAX, &reason);
    assert_non_null(again);
    assert_int_equal(again->length_bytes, plain->length_bytes);
    buf_release(again);
    buf_release(vanished);
    buf_release(body);
    buf_release(plain);
    memory_free(zeros);
}

static void what_is_not_good_is_not_recompressed(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 17);
    for (size_t i = 1; i < COMPRESSION_COUNT; i++) {
        struct buf *buf = batch_new(20, compressions[i]);
        const char *reason = NULL;
        assert_null(recompress(buf, WIRE_COMPRESSION_NONE, 100, &reason)); /* too much comes out */
        assert_non_null(reason);
        batch_put(buf, 57, 4, 21); /* a record more than there are */
        reason = NULL;
        assert_null(recompress(buf, WIRE_COMPRESSION_NONE, OUTPUT_BYTES_MAX, &reason));
        assert_non_null(reason);
        buf_release(buf);
        for (int round = 0; round < 300; round++) {
            struct buf *damaged = batch_new(20, compressions[i]);
            size_t body = damaged->length_bytes - WIRE_BATCH_HEAD_BYTES;
            batch_put(damaged, WIRE_BATCH_HEAD_BYTES + prng_below(&prng, body), 1,
                      (int64_t)prng_below(&prng, 256));
            reason = NULL;
            struct buf *packed =
                recompress(damaged, WIRE_COMPRESSION_NONE, OUTPUT_BYTES_MAX, &reason);
            assert_true((packed == NULL) == (reason != NULL));
            buf_release(packed);
            buf_release(damaged);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_gives_the_records_back),
        cmocka_unit_test(records_larger_than_the_window_pass),
        cmocka_unit_test(bombs_are_stopped),
        cmocka_unit_test(the_given_limit_holds),
        cmocka_unit_test(a_declared_snappy_length_is_not_believed),
        cmocka_unit_test(a_zstd_window_that_is_too_large_is_refused),
        cmocka_unit_test(cut_streams_end_in_an_error),
        cmocka_unit_test(damaged_streams_stay_in_bounds),
        cmocka_unit_test(gzip_members_follow_one_another),
        cmocka_unit_test(every_codec_turns_into_every_other),
        cmocka_unit_test(what_nearly_vanishes_is_left_alone),
        cmocka_unit_test(what_is_not_good_is_not_recompressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
