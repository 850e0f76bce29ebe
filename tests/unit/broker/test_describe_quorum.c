/* SPDX-License-Identifier: Apache-2.0
 *
 * test_describe_quorum.c -- DescribeQuorum: the controller group as Kafka's tools see it.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_controller.h"
#include "io/loop.h"
#include "wire/describe_quorum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull

static const struct replica_group_view controllers = {
    .leader = 1,
    .term = 5,
    .last_index = 120,
    .commit_index = 110,
    .member_count = 4,
    .members = {{.node_id = 1, .is_voter = true, .is_active = true, .match_index = 115},
                {.node_id = 2,
                 .is_voter = true,
                 .match_index = 110,
                 .heard_ns_ago = 2 * SECOND_NS,
                 .caught_up_ns_ago = 9 * SECOND_NS},
                {.node_id = 4, /* a learner, not registered yet */
                 .match_index = 40,
                 .heard_ns_ago = SECOND_NS,
                 .caught_up_ns_ago = UINT64_MAX},
                {.node_id = 3,
                 .is_voter = true,
                 .heard_ns_ago = UINT64_MAX,
                 .caught_up_ns_ago = UINT64_MAX}}};

static void ask(struct fixture *fixture, struct exchange *exchange, int16_t version,
                const char *name, int32_t partition, struct describe_quorum_response *response)
{
    struct wire_writer writer;
    struct describe_quorum_request body;
    struct describe_quorum_request_partition_data asked = {.partition_index = partition};
    struct describe_quorum_request_topic_data topic = {
        .topic_name = {name, (int32_t)strlen(name)}, .partitions = &asked, .partitions_count = 1};
    describe_quorum_request_init(&body);
    body.topics = &topic;
    body.topics_count = 1;
    wire_writer_init(&writer, 64);
    describe_quorum_request_encode(&body, version, &writer);
    exchange_run(exchange, &fixture->shard, api_describe_quorum, version, &writer);
    shard_turn_until_answered(&fixture->shard, exchange);
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(describe_quorum_response_decode(response, version, &cursor));
    assert_true(wire_expect_end(&cursor));
}

static void assert_around(int64_t time_ms, int64_t expected_ms)
{
    assert_in_range(time_ms, expected_ms - 1000, expected_ms + 1000);
}

static void voters_and_observers_are_told_apart(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct describe_quorum_response response;
    fixture_open(&fixture);
    fake_controller_set_view(&controllers);
    for (int16_t version = 0; version <= 2; version++) {
        ask(&fixture, &exchange, version, "__cluster_metadata", 0, &response);
        int64_t now_ms = io_wall_ms(fixture.shard.loop);
        assert_int_equal(response.error_code, WIRE_ERROR_NONE);
        assert_int_equal(response.topics_count, 1);
        const struct describe_quorum_response_partition_data *quorum =
            response.topics[0].partitions;
        assert_int_equal(quorum->error_code, WIRE_ERROR_NONE);
        assert_int_equal(quorum->leader_id, 1);
        assert_int_equal(quorum->leader_epoch, 5);
        assert_int_equal(quorum->high_watermark, 110);
        assert_int_equal(quorum->current_voters_count, 3);
        assert_int_equal(quorum->current_voters[0].replica_id, 1);
        assert_int_equal(quorum->current_voters[0].log_end_offset, 120); /* its own, unsaved too */
        assert_int_equal(quorum->current_voters[1].replica_id, 2);
        assert_int_equal(quorum->current_voters[1].log_end_offset, 110);
        assert_int_equal(quorum->current_voters[2].replica_id, 3);
        assert_int_equal(quorum->observers_count, 1);
        assert_int_equal(quorum->observers[0].replica_id, 4);
        assert_int_equal(quorum->observers[0].log_end_offset, 40);
        if (version >= 1) {
            assert_around(quorum->current_voters[0].last_fetch_timestamp, now_ms);
            assert_around(quorum->current_voters[1].last_fetch_timestamp, now_ms - 2000);
            assert_around(quorum->current_voters[1].last_caught_up_timestamp, now_ms - 9000);
            assert_int_equal(quorum->current_voters[2].last_fetch_timestamp, -1);
            assert_int_equal(quorum->current_voters[2].last_caught_up_timestamp, -1);
            assert_around(quorum->observers[0].last_fetch_timestamp, now_ms - 1000);
            assert_int_equal(quorum->observers[0].last_caught_up_timestamp, -1);
        }
        if (version >= 2) {
            assert_int_equal(response.nodes_count, 3); /* 4 is not registered */
            assert_int_equal(response.nodes[1].node_id, 2);
            assert_int_equal(response.nodes[1].listeners_count, 1);
            assert_int_equal(response.nodes[1].listeners[0].port, 19092);
            assert_memory_equal(response.nodes[1].listeners[0].host.data, "peer2", 5);
        }
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void nothing_else_is_a_quorum(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct describe_quorum_response response;
    fixture_open(&fixture);
    fake_controller_set_view(&controllers);
    ask(&fixture, &exchange, 2, "__cluster_metadata", 1, &response);
    assert_int_equal(response.topics[0].partitions[0].error_code,
                     WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(response.topics[0].partitions[0].partition_index, 1);
    assert_true(response.topics[0].partitions[0].error_message.length > 0);
    exchange_free(&exchange);
    ask(&fixture, &exchange, 0, "t", 0, &response);
    assert_int_equal(response.topics[0].partitions[0].error_code,
                     WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    exchange_free(&exchange);
    fake_controller_lead(false);
    ask(&fixture, &exchange, 2, "__cluster_metadata", 0, &response);
    assert_int_equal(response.error_code, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(response.topics_count, 0);
    exchange_free(&exchange);
    fake_controller_lead(true);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voters_and_observers_are_told_apart),
        cmocka_unit_test(nothing_else_is_a_quorum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
