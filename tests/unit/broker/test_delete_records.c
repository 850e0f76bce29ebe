/* SPDX-License-Identifier: Apache-2.0
 *
 * test_delete_records.c -- DeleteRecords: what moves a log's start, when that is answered, and what
 * is refused.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_group.h"
#include "wire/delete_records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_MOST 2
#define LONG_MS 60000

/* "t": ten committed records in partition 0. */
static struct replica_group *begin(struct fixture *fixture, const char *const *config)
{
    fixture_open(fixture);
    fixture_add_topic(fixture, "t", 1, config);
    struct replica_group *group = fixture_group(fixture, "t", 0);
    exchange_produce(&fixture->shard, "t", &(struct batch_spec){.record_count = 10});
    fake_group_commit_all(group);
    return group;
}

static void ask(struct fixture *fixture, struct exchange *exchange, int16_t version,
                const char *name, int32_t partition, int64_t offset, int32_t timeout_ms)
{
    struct wire_writer writer;
    struct delete_records_request body;
    struct delete_records_request_delete_records_partition asked = {.partition_index = partition,
                                                                    .offset = offset};
    struct delete_records_request_delete_records_topic topic = {
        .name = {name, (int32_t)strlen(name)}, .partitions = &asked, .partitions_count = 1};
    delete_records_request_init(&body);
    body.topics = &topic;
    body.topics_count = 1;
    body.timeout_ms = timeout_ms;
    wire_writer_init(&writer, 64);
    delete_records_request_encode(&body, version, &writer);
    exchange_run(exchange, &fixture->shard, api_delete_records, version, &writer);
    shard_turn(&fixture->shard);
}

/* The error of the only partition; *low_watermark what is told beside it. */
static enum wire_error answer_of(struct fixture *fixture, struct exchange *exchange,
                                 int64_t *low_watermark)
{
    struct delete_records_response response;
    shard_turn_until_answered(&fixture->shard, exchange);
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(delete_records_response_decode(&response, exchange->request.version, &cursor));
    assert_true(wire_expect_end(&cursor));
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].partitions_count, 1);
    *low_watermark = response.topics[0].partitions[0].low_watermark;
    enum wire_error error = (enum wire_error)response.topics[0].partitions[0].error_code;
    exchange_free(exchange);
    return error;
}

static void assert_refused(struct fixture *fixture, const char *name, int32_t partition,
                           int64_t offset, enum wire_error error)
{
    struct exchange exchange;
    int64_t low_watermark = 0;
    ask(fixture, &exchange, VERSION_MOST, name, partition, offset, LONG_MS);
    assert_int_equal(answer_of(fixture, &exchange, &low_watermark), error);
    assert_int_equal(low_watermark, -1);
}

static void it_is_answered_when_the_start_has_moved(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    int64_t low_watermark = 0;
    struct replica_group *group = begin(&fixture, NULL);
    for (int16_t version = 0; version <= VERSION_MOST; version++) {
        ask(&fixture, &exchange, version, "t", 0, 3 + version, LONG_MS);
        assert_false(exchange.is_answered);
        fake_group_commit_all(group);
        assert_int_equal(answer_of(&fixture, &exchange, &low_watermark), WIRE_ERROR_NONE);
        assert_int_equal(low_watermark, 3 + version);
    }
    fixture_close(&fixture);
}

static void minus_one_is_the_high_watermark(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    int64_t low_watermark = 0;
    struct replica_group *group = begin(&fixture, NULL);
    exchange_produce(&fixture.shard, "t", &(struct batch_spec){.record_count = 5});
    ask(&fixture, &exchange, VERSION_MOST, "t", 0, -1, LONG_MS);
    fake_group_commit_all(group);
    assert_int_equal(answer_of(&fixture, &exchange, &low_watermark), WIRE_ERROR_NONE);
    assert_int_equal(low_watermark, 10); /* not the five that were not committed */
    fixture_close(&fixture);
}

static void what_is_deleted_already_takes_no_entry(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct exchange second;
    int64_t low_watermark = 0;
    struct replica_group *group = begin(&fixture, NULL);
    ask(&fixture, &exchange, VERSION_MOST, "t", 0, 6, LONG_MS);
    ask(&fixture, &second, VERSION_MOST, "t", 0, 4, LONG_MS);
    fake_group_commit_all(group);
    assert_int_equal(answer_of(&fixture, &exchange, &low_watermark), WIRE_ERROR_NONE);
    assert_int_equal(answer_of(&fixture, &second, &low_watermark), WIRE_ERROR_NONE);
    assert_int_equal(low_watermark, 6);
    ask(&fixture, &exchange, VERSION_MOST, "t", 0, 5, LONG_MS);
    assert_int_equal(answer_of(&fixture, &exchange, &low_watermark), WIRE_ERROR_NONE);
    assert_int_equal(low_watermark, 6);
    ask(&fixture, &exchange, VERSION_MOST, "t", 0, 0, LONG_MS);
    assert_int_equal(answer_of(&fixture, &exchange, &low_watermark), WIRE_ERROR_NONE);
    assert_int_equal(fake_group_starts_proposed(group), 1);
    fixture_close(&fixture);
}

static void deletions_are_refused_as_by_kafka(void **state)
{
    (void)state;
    static const char *const compacted[] = {"cleanup.policy", "compact", NULL};
    static const char *const both[] = {"cleanup.policy", "compact,delete", NULL};
    struct fixture fixture;
    struct exchange exchange;
    int64_t low_watermark = 0;
    struct replica_group *group = begin(&fixture, NULL);
    assert_refused(&fixture, "t", 0, 11, WIRE_ERROR_OFFSET_OUT_OF_RANGE);
    assert_refused(&fixture, "t", 0, -2, WIRE_ERROR_OFFSET_OUT_OF_RANGE);
    assert_refused(&fixture, "t", 1, 3, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_refused(&fixture, "absent", 0, 3, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    fixture_add_topic(&fixture, "__consumer_offsets", 1, both);
    assert_refused(&fixture, "__consumer_offsets", 0, 0, WIRE_ERROR_INVALID_TOPIC_EXCEPTION);
    fake_group_set_full(group, true);
    assert_refused(&fixture, "t", 0, 3, WIRE_ERROR_REQUEST_TIMED_OUT);
    fake_group_set_full(group, false);
    fake_group_follow(group, 2, FIXTURE_TERM + 1);
    assert_refused(&fixture, "t", 0, 3, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    fixture_close(&fixture);

    begin(&fixture, compacted);
    assert_refused(&fixture, "t", 0, 3, WIRE_ERROR_POLICY_VIOLATION);
    fixture_close(&fixture);

    group = begin(&fixture, both);
    ask(&fixture, &exchange, VERSION_MOST, "t", 0, 3, LONG_MS);
    fake_group_commit_all(group);
    assert_int_equal(answer_of(&fixture, &exchange, &low_watermark), WIRE_ERROR_NONE);
    fixture_close(&fixture);
}

static void who_loses_the_lead_knows_nothing_of_the_outcome(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    int64_t low_watermark = 0;
    struct replica_group *group = begin(&fixture, NULL);
    ask(&fixture, &exchange, VERSION_MOST, "t", 0, 3, LONG_MS);
    assert_false(exchange.is_answered);
    fake_group_follow(group, 2, FIXTURE_TERM + 1);
    assert_int_equal(answer_of(&fixture, &exchange, &low_watermark),
                     WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(low_watermark, -1);
    fixture_close(&fixture);
}

static void it_waits_no_longer_than_it_was_told(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    int64_t low_watermark = 0;
    struct replica_group *group = begin(&fixture, NULL);
    ask(&fixture, &exchange, VERSION_MOST, "t", 0, 3, 50);
    assert_int_equal(answer_of(&fixture, &exchange, &low_watermark), WIRE_ERROR_REQUEST_TIMED_OUT);
    fake_group_commit_all(group); /* nobody waits any more */
    ask(&fixture, &exchange, VERSION_MOST, "t", 0, 3, 50);
    assert_int_equal(answer_of(&fixture, &exchange, &low_watermark), WIRE_ERROR_NONE);
    assert_int_equal(low_watermark, 3);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_answered_when_the_start_has_moved),
        cmocka_unit_test(minus_one_is_the_high_watermark),
        cmocka_unit_test(what_is_deleted_already_takes_no_entry),
        cmocka_unit_test(deletions_are_refused_as_by_kafka),
        cmocka_unit_test(who_loses_the_lead_knows_nothing_of_the_outcome),
        cmocka_unit_test(it_waits_no_longer_than_it_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
