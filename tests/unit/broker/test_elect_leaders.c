/* SPDX-License-Identifier: Apache-2.0
 *
 * test_elect_leaders.c -- ElectLeaders on the controller leader: whom it asks, how long it waits,
 * and what it refuses.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_controller.h"
#include "fake_group.h"
#include "wire/elect_leaders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PREFERRED 0
#define UNCLEAN 1

static void begin(struct fixture *fixture)
{
    fixture_open(fixture);
    fixture->shard.controller =
        (struct controller *)fixture; /* only whether there is one matters */
    fake_controller_lead(true);
    fixture_add_topic(fixture, "t", 3, NULL);
}

/* Another one than the preferred leader leads the partition; returns who. */
static uint32_t lead_wrongly(struct fixture *fixture, uint32_t partition)
{
    const struct cluster_topic *topic = cluster_topic_find(fixture->shard.metadata, "t", 1);
    uint32_t other = topic->partitions[partition].replicas[1];
    struct replica_group *group = fixture_group(fixture, "t", partition);
    if (other == fixture->shard.broker_id) {
        fake_group_lead(group, FIXTURE_TERM + 1);
    } else {
        fake_group_follow(group, other, FIXTURE_TERM + 1);
    }
    return other;
}

static void lead_rightly(struct fixture *fixture, uint32_t partition)
{
    const struct cluster_topic *topic = cluster_topic_find(fixture->shard.metadata, "t", 1);
    uint32_t preferred = topic->partitions[partition].replicas[0];
    struct replica_group *group = fixture_group(fixture, "t", partition);
    if (preferred == fixture->shard.broker_id) {
        fake_group_lead(group, FIXTURE_TERM + 2);
    } else {
        fake_group_follow(group, preferred, FIXTURE_TERM + 2);
    }
}

/* partitions NULL: of all topics. */
static void ask(struct fixture *fixture, struct exchange *exchange, int16_t version, int8_t type,
                const char *name, int32_t *partitions, int32_t count, int32_t timeout_ms)
{
    struct wire_writer writer;
    struct elect_leaders_request body;
    struct elect_leaders_request_topic_partitions topic = {.topic = {name, (int32_t)strlen(name)},
                                                           .partitions = partitions,
                                                           .partitions_count = count};
    elect_leaders_request_init(&body);
    body.election_type = type;
    body.topic_partitions = &topic;
    body.topic_partitions_count = partitions != NULL ? 1 : -1;
    body.timeout_ms = timeout_ms;
    wire_writer_init(&writer, 64);
    elect_leaders_request_encode(&body, version, &writer);
    exchange_run(exchange, &fixture->shard, api_elect_leaders, version, &writer);
}

/* What the answer says of the partition; -100: nothing. */
static int answer_of(struct exchange *exchange, int32_t partition)
{
    struct elect_leaders_response response;
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(elect_leaders_response_decode(&response, exchange->request.version, &cursor));
    assert_true(wire_expect_end(&cursor));
    if (response.error_code != WIRE_ERROR_NONE) {
        assert_int_equal(response.replica_election_results_count, 0);
        return response.error_code;
    }
    for (int32_t i = 0; i < response.replica_election_results_count; i++) {
        const struct elect_leaders_response_replica_election_result *topic =
            &response.replica_election_results[i];
        for (int32_t j = 0; j < topic->partition_result_count; j++) {
            const struct elect_leaders_response_partition_result *result =
                &topic->partition_result[j];
            if (result->partition_id == partition) {
                assert_int_equal(result->error_message.length > 0,
                                 result->error_code != WIRE_ERROR_NONE);
                return result->error_code;
            }
        }
    }
    return -100;
}

static int elect(struct fixture *fixture, int16_t version, int8_t type, const char *name,
                 int32_t partition)
{
    struct exchange exchange;
    ask(fixture, &exchange, version, type, name, &partition, 1, 0);
    shard_turn_until_answered(&fixture->shard, &exchange);
    int result = answer_of(&exchange, partition);
    exchange_free(&exchange);
    return result;
}

static void the_leader_is_asked_until_the_preferred_one_leads(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    int32_t partitions[] = {1};
    uint64_t group_id = 0;
    uint32_t leader = 0;
    uint32_t to = 0;
    begin(&fixture);
    const struct cluster_topic *topic = cluster_topic_find(fixture.shard.metadata, "t", 1);
    for (int16_t version = 0; version <= 2; version++) {
        uint32_t wrong = lead_wrongly(&fixture, 1);
        ask(&fixture, &exchange, version, PREFERRED, "t", partitions, 1, 60000);
        shard_turn(&fixture.shard);
        assert_false(exchange.is_answered);
        assert_int_equal(fake_controller_handovers(&group_id, &leader, &to), 1);
        assert_int_equal(group_id, topic->partitions[1].group_id);
        assert_int_equal(leader, wrong);
        assert_int_equal(to, topic->partitions[1].replicas[0]);
        lead_rightly(&fixture, 1);
        shard_turn_until_answered(&fixture.shard, &exchange);
        assert_int_equal(answer_of(&exchange, 1), WIRE_ERROR_NONE);
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void a_wish_that_was_lost_is_sent_again(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    int32_t partitions[] = {0};
    uint64_t group_id = 0;
    uint32_t leader = 0;
    uint32_t to = 0;
    begin(&fixture);
    lead_wrongly(&fixture, 0);
    ask(&fixture, &exchange, 2, PREFERRED, "t", partitions, 1, 700);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(answer_of(&exchange, 0), WIRE_ERROR_REQUEST_TIMED_OUT);
    assert_true(fake_controller_handovers(&group_id, &leader, &to) >= 2);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void all_partitions_are_those_that_need_it(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    begin(&fixture);
    for (uint32_t i = 0; i < 3; i++) {
        lead_rightly(&fixture, i);
    }
    ask(&fixture, &exchange, 2, PREFERRED, "", NULL, 0, 60000);
    shard_turn_until_answered(&fixture.shard, &exchange);
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(answer_of(&exchange, i), -100);
    }
    exchange_free(&exchange);

    lead_wrongly(&fixture, 2);
    ask(&fixture, &exchange, 2, PREFERRED, "", NULL, 0, 60000);
    shard_turn(&fixture.shard);
    assert_false(exchange.is_answered);
    fake_group_follow(fixture_group(&fixture, "t", 2), 0, FIXTURE_TERM + 2);
    shard_turn(&fixture.shard);
    assert_false(exchange.is_answered); /* no leader is not the preferred one */
    lead_rightly(&fixture, 2);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(answer_of(&exchange, 0), -100);
    assert_int_equal(answer_of(&exchange, 2), WIRE_ERROR_NONE);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void elections_are_refused_as_by_kafka(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    const struct cluster_topic *topic = cluster_topic_find(fixture.shard.metadata, "t", 1);
    lead_rightly(&fixture, 0);
    assert_int_equal(elect(&fixture, 2, PREFERRED, "t", 0), WIRE_ERROR_ELECTION_NOT_NEEDED);
    assert_int_equal(elect(&fixture, 0, PREFERRED, "t", 3), WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(elect(&fixture, 2, PREFERRED, "t", -1), WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(elect(&fixture, 2, PREFERRED, "absent", 0),
                     WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(elect(&fixture, 2, 7, "t", 0), WIRE_ERROR_INVALID_REQUEST);

    lead_wrongly(&fixture, 0);
    fake_broker_set_live(topic->partitions[0].replicas[0], false);
    assert_int_equal(elect(&fixture, 1, PREFERRED, "t", 0),
                     WIRE_ERROR_PREFERRED_LEADER_NOT_AVAILABLE);
    fake_broker_set_live(topic->partitions[0].replicas[0], true);

    fake_controller_lead(false);
    assert_int_equal(elect(&fixture, 2, PREFERRED, "t", 0), WIRE_ERROR_NOT_CONTROLLER);
    assert_int_equal(elect(&fixture, 0, PREFERRED, "t", 0), WIRE_ERROR_NOT_CONTROLLER);
    fake_controller_lead(true);
    fixture_close(&fixture);
}

static void nobody_is_elected_uncleanly(void **state)
{
    (void)state;
    struct fixture fixture;
    uint64_t group_id = 0;
    uint32_t leader = 0;
    uint32_t to = 0;
    begin(&fixture);
    (void)fake_controller_handovers(&group_id, &leader, &to);
    lead_wrongly(&fixture, 0);
    assert_int_equal(elect(&fixture, 1, UNCLEAN, "t", 0), WIRE_ERROR_ELECTION_NOT_NEEDED);
    fake_group_follow(fixture_group(&fixture, "t", 0), 0, FIXTURE_TERM + 2);
    assert_int_equal(elect(&fixture, 2, UNCLEAN, "t", 0),
                     WIRE_ERROR_ELIGIBLE_LEADERS_NOT_AVAILABLE);
    assert_int_equal(fake_controller_handovers(&group_id, &leader, &to), 0);
    fixture_close(&fixture);
}

static void who_loses_the_controller_group_waits_no_longer(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    int32_t partitions[] = {0};
    begin(&fixture);
    lead_wrongly(&fixture, 0);
    ask(&fixture, &exchange, 2, PREFERRED, "t", partitions, 1, 60000);
    shard_turn(&fixture.shard);
    assert_false(exchange.is_answered);
    fake_controller_lead(false);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(answer_of(&exchange, 0), WIRE_ERROR_NOT_CONTROLLER);
    exchange_free(&exchange);
    fake_controller_lead(true);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_leader_is_asked_until_the_preferred_one_leads),
        cmocka_unit_test(a_wish_that_was_lost_is_sent_again),
        cmocka_unit_test(all_partitions_are_those_that_need_it),
        cmocka_unit_test(elections_are_refused_as_by_kafka),
        cmocka_unit_test(nobody_is_elected_uncleanly),
        cmocka_unit_test(who_loses_the_controller_group_waits_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
