/* SPDX-License-Identifier: Apache-2.0
 *
 * test_field.c -- the parts that the generated codecs are made of: numbers, lengths, counts, tagged
 * fields, spliced payload, and the table of errors.
 */
#include "base/memory.h"
#include "wire/error.h"
#include "wire/fetch.h"
#include "wire/field.h"
#include "wire/response_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wire_cursor cursor_over(const uint8_t *data, size_t length)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, length, NULL);
    return cursor;
}

static void numbers_come_back(void **state)
{
    (void)state;
    static const int64_t values[] = {
        0,   1,        -1,        63,        64,        -64,       -65,       127,    128,
        300, INT8_MIN, INT16_MAX, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1 << 20};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct wire_writer writer;
        wire_writer_init(&writer, 0);
        wire_write_int64(&writer, values[i]);
        wire_write_int32(&writer, (int32_t)values[i]);
        wire_write_uint32(&writer, (uint32_t)values[i]);
        wire_write_int16(&writer, (int16_t)values[i]);
        wire_write_uint16(&writer, (uint16_t)values[i]);
        wire_write_int8(&writer, (int8_t)values[i]);
        wire_write_varlong(&writer, values[i]);
        wire_write_varint(&writer, (int32_t)values[i]);
        wire_write_unsigned_varint(&writer, (uint32_t)values[i]);
        wire_write_float64(&writer, (double)values[i] / 3);
        struct wire_cursor cursor = cursor_over(writer.buf->data, writer.buf->length_bytes);
        assert_true(wire_read_int64(&cursor) == values[i]);
        assert_int_equal(wire_read_int32(&cursor), (int32_t)values[i]);
        assert_int_equal(wire_read_uint32(&cursor), (uint32_t)values[i]);
        assert_int_equal(wire_read_int16(&cursor), (int16_t)values[i]);
        assert_int_equal(wire_read_uint16(&cursor), (uint16_t)values[i]);
        assert_int_equal(wire_read_int8(&cursor), (int8_t)values[i]);
        assert_true(wire_read_varlong(&cursor) == values[i]);
        assert_int_equal(wire_read_varint(&cursor), (int32_t)values[i]);
        assert_int_equal(wire_read_unsigned_varint(&cursor), (uint32_t)values[i]);
        assert_true(wire_read_float64(&cursor) == (double)values[i] / 3);
        assert_true(wire_expect_end(&cursor));
        wire_writer_free(&writer);
    }
}

static void varints_may_be_padded_but_not_overflow(void **state)
{
    (void)state;
    const uint8_t padded[] = {0x81, 0x80, 0x80, 0x80, 0x00};
    struct wire_cursor cursor = cursor_over(padded, sizeof(padded));
    assert_int_equal(wire_read_unsigned_varint(&cursor), 1);
    assert_true(wire_expect_end(&cursor));
    const uint8_t largest[] = {0xff, 0xff, 0xff, 0xff, 0x0f};
    cursor = cursor_over(largest, sizeof(largest));
    assert_int_equal(wire_read_unsigned_varint(&cursor), UINT32_MAX);
    const uint8_t refused[][11] = {
        {0xff, 0xff, 0xff, 0xff, 0x1f},             /* a 33rd bit */
        {0x80, 0x80, 0x80, 0x80, 0x80, 0x00},       /* six bytes */
        {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, /* no end */
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        cursor = cursor_over(refused[i], sizeof(refused[i]));
        assert_int_equal(wire_read_unsigned_varint(&cursor), 0);
        assert_non_null(cursor.error);
    }
    const uint8_t long_refused[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    cursor = cursor_over(long_refused, sizeof(long_refused));
    assert_int_equal(wire_read_varlong(&cursor), 0);
    assert_non_null(cursor.error);
}

static void the_first_error_stays(void **state)
{
    (void)state;
    const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct wire_cursor cursor = cursor_over(data, sizeof(data));
    assert_int_equal(wire_read_int8(&cursor), 1);
    wire_fail(&cursor, "first");
    wire_fail(&cursor, "second");
    assert_string_equal(cursor.error, "first");
    assert_int_equal(wire_read_int32(&cursor), 0);
    assert_null(wire_read_raw(&cursor, 0));
    assert_false(wire_expect_end(&cursor));
    assert_string_equal(cursor.error, "first");
}

static void counts_are_held_against_the_bytes_left(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    int32_t count;
    const uint8_t three[] = {0, 0, 0, 3, 1, 2, 3, 4, 5, 6};
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, three, sizeof(three), &arena);
    assert_non_null(wire_read_array(&cursor, false, false, 2, 16, &count));
    assert_int_equal(count, 3);
    wire_cursor_init(&cursor, three, sizeof(three) - 1, &arena);
    assert_null(wire_read_array(&cursor, false, false, 2, 16, &count));
    assert_int_equal(count, 0);
    assert_non_null(cursor.error);
    wire_cursor_init(&cursor, three, sizeof(three), &arena);
    assert_null(wire_read_array(&cursor, false, false, 2, 500, &count));
    assert_string_equal(cursor.error, "the message needs too much memory");
    const uint8_t most[] = {0x7f, 0xff, 0xff, 0xff};
    wire_cursor_init(&cursor, most, sizeof(most), &arena);
    assert_null(wire_read_array(&cursor, false, true, 1, 16, &count));
    assert_non_null(cursor.error);
    const uint8_t null_array[] = {0xff, 0xff, 0xff, 0xff};
    wire_cursor_init(&cursor, null_array, sizeof(null_array), &arena);
    assert_null(wire_read_array(&cursor, false, true, 1, 16, &count));
    assert_int_equal(count, -1);
    assert_null(cursor.error);
    wire_cursor_init(&cursor, null_array, sizeof(null_array), &arena);
    assert_null(wire_read_array(&cursor, false, false, 1, 16, &count));
    assert_string_equal(cursor.error, "null where no null is allowed");
    const uint8_t negative[] = {0xff, 0xff, 0xff, 0xfe};
    wire_cursor_init(&cursor, negative, sizeof(negative), &arena);
    assert_null(wire_read_array(&cursor, false, true, 1, 16, &count));
    assert_string_equal(cursor.error, "an impossible length");
    arena_free(&arena);
}

static const char *error_of_tags(const uint8_t *data, size_t length)
{
    struct wire_cursor cursor = cursor_over(data, length);
    struct response_header header;
    response_header_decode(&header, 1, &cursor);
    wire_expect_end(&cursor);
    return cursor.error;
}

static void unknown_tags_are_passed_over_and_bad_ones_refused(void **state)
{
    (void)state;
    const uint8_t two[] = {0, 0, 0, 7, 2, 5, 1, 'x', 9, 0};
    assert_null(error_of_tags(two, sizeof(two)));
    const uint8_t falling[] = {0, 0, 0, 7, 2, 9, 0, 5, 1, 'x'};
    assert_string_equal(error_of_tags(falling, sizeof(falling)), "tagged fields out of order");
    const uint8_t twice[] = {0, 0, 0, 7, 2, 5, 0, 5, 0};
    assert_string_equal(error_of_tags(twice, sizeof(twice)), "tagged fields out of order");
    const uint8_t beyond[] = {0, 0, 0, 7, 1, 5, 2, 'x'};
    assert_string_equal(error_of_tags(beyond, sizeof(beyond)),
                        "the message ends inside a tagged field");
    const uint8_t many[] = {0, 0, 0, 7, WIRE_TAGGED_FIELDS_MAX + 1};
    assert_string_equal(error_of_tags(many, sizeof(many)), "too many tagged fields");
    uint8_t most[5 + 2 * WIRE_TAGGED_FIELDS_MAX] = {0, 0, 0, 7, WIRE_TAGGED_FIELDS_MAX};
    for (uint8_t tag = 0; tag < WIRE_TAGGED_FIELDS_MAX; tag++) {
        most[5 + 2 * tag] = tag;
    }
    assert_null(error_of_tags(most, sizeof(most)));
}

static void a_known_tag_must_fill_its_length(void **state)
{
    (void)state;
    /* A fetch response of version 16 without topics, with tag 0, the node endpoints. */
    const uint8_t good[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1};
    const uint8_t longer[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 2, 1, 0};
    const uint8_t shorter[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0};
    const struct {
        const uint8_t *data;
        size_t length;
        const char *error;
    } cases[] = {
        {good, sizeof(good), NULL},
        {longer, sizeof(longer), "a tagged field is longer than its content"},
        {shorter, sizeof(shorter), "the message ends too early"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_cursor cursor = cursor_over(cases[i].data, cases[i].length);
        struct fetch_response response;
        fetch_response_decode(&response, 16, &cursor);
        wire_expect_end(&cursor);
        if (cases[i].error == NULL) {
            assert_null(cursor.error);
        } else {
            assert_non_null(cursor.error);
            assert_string_equal(cursor.error, cases[i].error);
        }
    }
}

static void long_tagged_fields_get_a_long_length(void **state)
{
    (void)state;
    for (size_t length = 120; length < 20000; length = length < 140 ? length + 1 : length * 5) {
        struct wire_writer writer;
        wire_writer_init(&writer, 0);
        wire_write_int32(&writer, 7);
        wire_write_unsigned_varint(&writer, 1);
        size_t mark = wire_write_tag_begin(&writer, 300);
        for (size_t i = 0; i < length; i++) {
            wire_write_int8(&writer, (int8_t)i);
        }
        wire_write_tag_end(&writer, mark);
        struct wire_cursor cursor = cursor_over(writer.buf->data, writer.buf->length_bytes);
        assert_int_equal(wire_read_int32(&cursor), 7);
        struct wire_tags tags;
        wire_tags_open(&tags, &cursor);
        assert_true(wire_tags_next(&tags, &cursor));
        assert_int_equal(tags.tag, 300);
        assert_int_equal(wire_remaining(&cursor), length);
        for (size_t i = 0; i < length; i++) {
            assert_int_equal(wire_read_int8(&cursor), (int8_t)i);
        }
        assert_false(wire_tags_next(&tags, &cursor));
        assert_true(wire_expect_end(&cursor));
        wire_writer_free(&writer);
    }
}

static void null_is_written_as_empty_where_no_null_is_known(void **state)
{
    (void)state;
    struct wire_writer writer;
    wire_writer_init(&writer, 0);
    wire_write_string(&writer, false, false, wire_string_from(NULL));
    wire_write_string(&writer, false, true, wire_string_from(NULL));
    wire_write_string(&writer, true, false, wire_string_from(NULL));
    wire_write_string(&writer, true, true, wire_string_from(NULL));
    const uint8_t expected[] = {0, 0, 0xff, 0xff, 1, 0};
    assert_int_equal(writer.buf->length_bytes, sizeof(expected));
    assert_memory_equal(writer.buf->data, expected, sizeof(expected));
    wire_writer_free(&writer);
}

static void strings_have_one_limit_in_both_forms(void **state)
{
    (void)state;
    const size_t size = 40000;
    uint8_t *data = memory_allocate_zeroed(size);
    const struct {
        uint8_t prefix[3];
        bool accepted;
    } lengths[] = {{{0x80, 0x80, 0x02}, true}, {{0x81, 0x80, 0x02}, false}}; /* 32,767 and 32,768 */
    for (size_t i = 0; i < 2; i++) {
        memcpy(data, lengths[i].prefix, 3);
        struct wire_cursor cursor = cursor_over(data, size);
        struct wire_string string = wire_read_string(&cursor, true, false);
        assert_int_equal(string.length, lengths[i].accepted ? INT16_MAX : 0);
        assert_true((cursor.error == NULL) == lengths[i].accepted);
    }
    memory_free(data);
}

static void payload_is_spliced_not_copied(void **state)
{
    (void)state;
    int payload;
    struct fetch_response_partition_data partitions[2];
    struct fetch_response_fetchable_topic_response topic;
    struct fetch_response response;
    fetch_response_init(&response);
    fetch_response_fetchable_topic_response_init(&topic);
    for (size_t i = 0; i < 2; i++) {
        fetch_response_partition_data_init(&partitions[i]);
        partitions[i].records = (struct wire_records){.length = 1000, .payload = &payload};
    }
    topic.partitions = partitions;
    topic.partitions_count = 2;
    response.responses = &topic;
    response.responses_count = 1;
    struct wire_writer writer;
    wire_writer_init(&writer, 0);
    fetch_response_encode(&response, 12, &writer);
    assert_int_equal(writer.splice_count, 2);
    assert_int_equal(writer.spliced_bytes, 2000);
    assert_ptr_equal(writer.splices[0].payload, &payload);
    assert_true(writer.buf->length_bytes < 200);
    /* In front of each place stands the length, 1000 + 1, as a varint. */
    const uint8_t *place = writer.buf->data + writer.splices[1].position;
    assert_int_equal(place[-2], 0xe9);
    assert_int_equal(place[-1], 0x07);
    wire_writer_free(&writer);
}

static void errors_have_names_and_words(void **state)
{
    (void)state;
    assert_string_equal(wire_error_name(WIRE_ERROR_NONE), "NONE");
    assert_string_equal(wire_error_name(WIRE_ERROR_UNKNOWN_SERVER_ERROR), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(wire_error_name(WIRE_ERROR_NOT_LEADER_OR_FOLLOWER),
                        "NOT_LEADER_OR_FOLLOWER");
    assert_string_equal(wire_error_name((enum wire_error)9999), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(wire_error_name((enum wire_error) - 2), "UNKNOWN_SERVER_ERROR");
    assert_true(wire_error_is_retriable(WIRE_ERROR_NOT_LEADER_OR_FOLLOWER));
    assert_false(wire_error_is_retriable(WIRE_ERROR_INVALID_RECORD));
    for (int code = -1; code <= 133; code++) {
        assert_true(strlen(wire_error_text((enum wire_error)code)) > 5);
        assert_true(strlen(wire_error_name((enum wire_error)code)) > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(varints_may_be_padded_but_not_overflow),
        cmocka_unit_test(the_first_error_stays),
        cmocka_unit_test(counts_are_held_against_the_bytes_left),
        cmocka_unit_test(unknown_tags_are_passed_over_and_bad_ones_refused),
        cmocka_unit_test(a_known_tag_must_fill_its_length),
        cmocka_unit_test(long_tagged_fields_get_a_long_length),
        cmocka_unit_test(null_is_written_as_empty_where_no_null_is_known),
        cmocka_unit_test(strings_have_one_limit_in_both_forms),
        cmocka_unit_test(payload_is_spliced_not_copied),
        cmocka_unit_test(errors_have_names_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
