/* SPDX-License-Identifier: Apache-2.0
 *
 * test_list_offsets.c -- ListOffsets: ends of the log, and the exact record at a time, inside
 * compressed batches as well.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_group.h"
#include "wire/list_offsets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void append(struct fixture *fixture, const struct batch_spec *spec)
{
    exchange_produce(&fixture->shard, "t", spec);
    fake_group_commit_all(fixture_group(fixture, "t", 0));
}

/* Offsets 0 to 9 at 1000, 1010, ... plain, 10 to 19 at 2000, 2010, ... compressed. */
static void open_with_batches(struct fixture *fixture)
{
    fixture_open(fixture);
    fixture_add_topic(fixture, "t", 1, NULL);
    append(fixture, &(struct batch_spec){.record_count = 10, .timestamp_ms = 1000, .step_ms = 10});
    append(fixture,
           &(struct batch_spec){
               .record_count = 10, .timestamp_ms = 2000, .step_ms = 10, .is_compressed = true});
}

static void send_ask(struct exchange *exchange, struct fixture *fixture, int16_t version,
                     const int64_t *timestamps, int32_t epoch, int32_t count)
{
    struct list_offsets_request body;
    struct list_offsets_request_list_offsets_topic topic;
    struct list_offsets_request_list_offsets_partition partitions[4];
    list_offsets_request_init(&body);
    list_offsets_request_list_offsets_topic_init(&topic);
    body.replica_id = -1;
    body.topics = &topic;
    body.topics_count = 1;
    topic.name = (struct wire_string){"t", 1};
    topic.partitions = partitions;
    topic.partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        list_offsets_request_list_offsets_partition_init(&partitions[i]);
        partitions[i].timestamp = timestamps[i];
        partitions[i].current_leader_epoch = epoch;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    list_offsets_request_encode(&body, version, &writer);
    exchange_run(exchange, &fixture->shard, api_list_offsets, version, &writer);
}

static void ask(struct exchange *exchange, struct fixture *fixture, int16_t version,
                const int64_t *timestamps, int32_t epoch, int32_t count)
{
    send_ask(exchange, fixture, version, timestamps, epoch, count);
    shard_turn_until_answered(&fixture->shard, exchange);
}

static struct list_offsets_response_list_offsets_partition_response
find_with(struct fixture *fixture, int16_t version, int64_t timestamp, int32_t epoch)
{
    struct exchange exchange;
    struct list_offsets_response response;
    ask(&exchange, fixture, version, &timestamp, epoch, 1);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(list_offsets_response_decode(&response, version, &cursor));
    assert_true(wire_expect_end(&cursor));
    struct list_offsets_response_list_offsets_partition_response answer =
        response.topics[0].partitions[0];
    answer.old_style_offsets = NULL;
    exchange_free(&exchange);
    return answer;
}

static struct list_offsets_response_list_offsets_partition_response find(struct fixture *fixture,
                                                                         int64_t timestamp)
{
    return find_with(fixture, 9, timestamp, -1);
}

static void the_ends_of_the_log(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_batches(&fixture);
    fake_group_drop_before(fixture_group(&fixture, "t", 0), 3);
    assert_int_equal(find(&fixture, -1).offset, 20);
    assert_int_equal(find(&fixture, -1).leader_epoch, FIXTURE_TERM);
    assert_int_equal(find(&fixture, -2).offset, 3);
    assert_int_equal(find(&fixture, -2).leader_epoch, FIXTURE_TERM);
    assert_int_equal(find(&fixture, -2).timestamp, -1);
    assert_int_equal(find(&fixture, -4).offset, 3);
    assert_int_equal(find(&fixture, -5).offset, -1);
    assert_int_equal(find(&fixture, -5).error_code, WIRE_ERROR_NONE);
    assert_int_equal(find(&fixture, -77).error_code, WIRE_ERROR_UNSUPPORTED_VERSION);
    assert_int_equal(find_with(&fixture, 6, -3, -1).error_code, WIRE_ERROR_UNSUPPORTED_VERSION);
    fixture_close(&fixture);
}

static void a_time_is_found_to_the_record(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_batches(&fixture);
    const struct {
        int64_t asked, offset, timestamp;
    } cases[] = {{0, 0, 1000},     {1000, 0, 1000},  {1001, 1, 1010},  {1090, 9, 1090},
                 {1091, 10, 2000}, {2000, 10, 2000}, {2055, 16, 2060}, {2090, 19, 2090}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct list_offsets_response_list_offsets_partition_response answer =
            find(&fixture, cases[i].asked);
        assert_int_equal(answer.error_code, WIRE_ERROR_NONE);
        assert_int_equal(answer.offset, cases[i].offset);
        assert_int_equal(answer.timestamp, cases[i].timestamp);
        assert_int_equal(answer.leader_epoch, FIXTURE_TERM);
    }
    fixture_close(&fixture);
}

static void a_time_in_the_future_is_not_found(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_batches(&fixture);
    struct list_offsets_response_list_offsets_partition_response answer = find(&fixture, 2091);
    assert_int_equal(answer.error_code, WIRE_ERROR_NONE);
    assert_int_equal(answer.offset, -1);
    assert_int_equal(answer.timestamp, -1);
    fixture_close(&fixture);
}

static void records_before_the_start_are_not_found(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_batches(&fixture);
    fake_group_drop_before(fixture_group(&fixture, "t", 0), 4);
    assert_int_equal(find(&fixture, 0).offset, 4);
    assert_int_equal(find(&fixture, 0).timestamp, 1040);
    fixture_close(&fixture);
}

static void the_largest_timestamp_is_found_to_the_record(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_batches(&fixture);
    append(&fixture,
           &(struct batch_spec){.timestamp_ms = 1500}); /* later in the log, not in time */
    assert_int_equal(find(&fixture, -3).offset, 19);
    assert_int_equal(find(&fixture, -3).timestamp, 2090);
    fixture_close(&fixture);
}

static void the_old_form_is_a_list(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_batches(&fixture);
    assert_int_equal(find_with(&fixture, 0, -1, -1).old_style_offsets_count, 1);
    assert_int_equal(find_with(&fixture, 0, 9999, -1).old_style_offsets_count, 0);
    fixture_close(&fixture);
}

static void every_version_finds_the_same(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_batches(&fixture);
    for (int16_t version = 1; version <= 10; version++) {
        struct list_offsets_response_list_offsets_partition_response answer =
            find_with(&fixture, version, 2055, -1);
        assert_int_equal(answer.error_code, WIRE_ERROR_NONE);
        assert_int_equal(answer.offset, 16);
        assert_int_equal(answer.timestamp, 2060);
        assert_int_equal(answer.leader_epoch, version >= 4 ? FIXTURE_TERM : -1);
    }
    fixture_close(&fixture);
}

static void epochs_are_fenced_and_copies_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct list_offsets_response response;
    open_with_batches(&fixture);
    assert_int_equal(find_with(&fixture, 9, -1, FIXTURE_TERM - 1).error_code,
                     WIRE_ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(find_with(&fixture, 9, -1, FIXTURE_TERM + 1).error_code,
                     WIRE_ERROR_UNKNOWN_LEADER_EPOCH);

    ask(&exchange, &fixture, 9, (const int64_t[]){-1, -2}, -1, 2);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(list_offsets_response_decode(&response, 9, &cursor));
    assert_int_equal(response.topics[0].partitions[0].error_code, WIRE_ERROR_INVALID_REQUEST);
    assert_int_equal(response.topics[0].partitions[1].error_code, WIRE_ERROR_INVALID_REQUEST);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void a_leader_that_takes_over_is_waited_for(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct list_offsets_response response;
    open_with_batches(&fixture);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    for (int32_t round = 0; round < 2; round++) {
        fake_group_elect(group, FIXTURE_TERM + 1 + 2 * round);
        send_ask(&exchange, &fixture, 9, (int64_t[]){-1}, -1, 1);
        shard_turn(&fixture.shard);
        assert_false(exchange.is_answered);
        if (round == 0) {
            fake_group_lead(group, FIXTURE_TERM + 1);
        } else {
            fake_group_follow(group, 3, FIXTURE_TERM + 4);
        }
        shard_turn_until_answered(&fixture.shard, &exchange);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(list_offsets_response_decode(&response, 9, &cursor));
        assert_int_equal(response.topics[0].partitions[0].error_code,
                         round == 0 ? WIRE_ERROR_NONE : WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
        assert_int_equal(response.topics[0].partitions[0].offset, round == 0 ? 20 : -1);
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void a_leader_that_was_replaced_does_not_tell_the_end(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_batches(&fixture);
    fake_group_depose_unknowingly(fixture_group(&fixture, "t", 0));
    assert_int_equal(find(&fixture, -1).error_code, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(find(&fixture, -1).offset, -1);
    assert_int_equal(find(&fixture, -2).error_code, WIRE_ERROR_NONE);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ends_of_the_log),
        cmocka_unit_test(a_time_is_found_to_the_record),
        cmocka_unit_test(a_time_in_the_future_is_not_found),
        cmocka_unit_test(records_before_the_start_are_not_found),
        cmocka_unit_test(the_largest_timestamp_is_found_to_the_record),
        cmocka_unit_test(the_old_form_is_a_list),
        cmocka_unit_test(every_version_finds_the_same),
        cmocka_unit_test(epochs_are_fenced_and_copies_refused),
        cmocka_unit_test(a_leader_that_takes_over_is_waited_for),
        cmocka_unit_test(a_leader_that_was_replaced_does_not_tell_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
