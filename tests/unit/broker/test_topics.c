/* SPDX-License-Identifier: Apache-2.0
 *
 * test_topics.c -- CreateTopics, CreatePartitions and DeleteTopics on the controller leader.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_controller.h"
#include "wire/create_partitions.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION 7

static struct wire_string text(const char *value)
{
    return (struct wire_string){value, (int32_t)strlen(value)};
}

static void create(struct exchange *exchange, struct fixture *fixture, int32_t timeout_ms,
                   bool validate_only, const char *const *names, int32_t count)
{
    struct create_topics_request body;
    struct create_topics_request_creatable_topic topics[4];
    create_topics_request_init(&body);
    body.topics = topics;
    body.topics_count = count;
    body.timeout_ms = timeout_ms;
    body.validate_only = validate_only;
    for (int32_t i = 0; i < count; i++) {
        create_topics_request_creatable_topic_init(&topics[i]);
        topics[i].name = text(names[i]);
        topics[i].num_partitions = 2;
        topics[i].replication_factor = 3;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    create_topics_request_encode(&body, VERSION, &writer);
    exchange_run(exchange, &fixture->shard, api_create_topics, VERSION, &writer);
}

static struct create_topics_response_creatable_topic_result take(struct exchange *exchange,
                                                                 int32_t position)
{
    struct create_topics_response response;
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(create_topics_response_decode(&response, VERSION, &cursor));
    assert_true(wire_expect_end(&cursor));
    assert_true(position < response.topics_count);
    return response.topics[position];
}

static bool exists(struct fixture *fixture, const char *name)
{
    return cluster_topic_find(fixture->shard.metadata, name, strlen(name)) != NULL;
}

static void open_as_controller(struct fixture *fixture)
{
    fixture_open(fixture);
    fixture->shard.controller =
        (struct controller *)fixture; /* only whether there is one matters */
    fake_controller_lead(true);
    fake_controller_hold_groups(false);
    fake_controller_groups_started();
    fake_controller_groups_stopped();
}

/* KafkaJS asks so in version 3, and Kafka's controller asks no version either. */
static void the_default_count_may_be_asked_for_in_any_version(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_as_controller(&fixture);
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request body;
    struct create_topics_response response;
    struct wire_writer writer;
    for (int16_t version = 0; version <= VERSION; version++) {
        char name[] = {'a', (char)('0' + version), 0};
        create_topics_request_init(&body);
        create_topics_request_creatable_topic_init(&topic);
        topic.name = text(name);
        topic.num_partitions = -1;
        topic.replication_factor = -1;
        body.topics = &topic;
        body.topics_count = 1;
        wire_writer_init(&writer, 64);
        create_topics_request_encode(&body, version, &writer);
        exchange_run(&exchange, &fixture.shard, api_create_topics, version, &writer);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(create_topics_response_decode(&response, version, &cursor));
        assert_int_equal(response.topics[0].error_code, WIRE_ERROR_NONE);
        assert_true(exists(&fixture, name));
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void a_topic_is_answered_when_its_groups_have_leaders(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_as_controller(&fixture);
    fake_controller_hold_groups(true);
    create(&exchange, &fixture, 5000, false, (const char *const[]){"a", "b"}, 2);
    assert_true(exists(&fixture, "a") && exists(&fixture, "b"));
    assert_int_equal(fake_controller_groups_started(), 4);
    assert_false(exchange.is_answered);
    fake_controller_finish(true);
    struct create_topics_response_creatable_topic_result answer = take(&exchange, 1);
    assert_int_equal(answer.error_code, WIRE_ERROR_NONE);
    assert_int_equal(answer.num_partitions, 2);
    assert_int_equal(answer.replication_factor, 3);
    assert_int_equal(answer.configs_count, topic_config_row_count());
    assert_false(uuid_is_zero(&answer.topic_id));
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void late_leaders_are_told_though_the_topic_exists(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_as_controller(&fixture);
    fake_controller_hold_groups(true);
    create(&exchange, &fixture, 5000, false, (const char *const[]){"a"}, 1);
    fake_controller_finish(false);
    assert_int_equal(take(&exchange, 0).error_code, WIRE_ERROR_REQUEST_TIMED_OUT);
    assert_true(exists(&fixture, "a"));
    exchange_free(&exchange);

    create(&exchange, &fixture, 0, false, (const char *const[]){"b"}, 1); /* does not wait */
    assert_int_equal(take(&exchange, 0).error_code, WIRE_ERROR_NONE);
    fake_controller_finish(true);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void leaders_are_spread_over_the_topics_of_one_request(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    uint32_t leads[4] = {0};
    open_as_controller(&fixture);
    create(&exchange, &fixture, 5000, false, (const char *const[]){"a", "b", "c"}, 3);
    size_t position = 0;
    const struct cluster_topic *topic;
    while ((topic = cluster_topic_next(fixture.shard.metadata, &position)) != NULL) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            leads[topic->partitions[i].replicas[0]]++;
        }
    }
    for (uint32_t id = 1; id <= 3; id++) {
        assert_int_equal(leads[id], 2);
    }
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void refusals_are_told_one_by_one(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "old", 1, NULL);
    create(&exchange, &fixture, 5000, false, (const char *const[]){"old", "a/b", "twice", "twice"},
           4);
    assert_int_equal(take(&exchange, 0).error_code, WIRE_ERROR_TOPIC_ALREADY_EXISTS);
    assert_int_equal(take(&exchange, 1).error_code, WIRE_ERROR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(take(&exchange, 2).error_code, WIRE_ERROR_INVALID_REQUEST);
    assert_int_equal(take(&exchange, 3).error_code, WIRE_ERROR_INVALID_REQUEST);
    assert_false(exists(&fixture, "twice"));
    assert_int_equal(fake_controller_groups_started(), 0);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void a_trial_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_as_controller(&fixture);
    create(&exchange, &fixture, 5000, true, (const char *const[]){"a"}, 1);
    struct create_topics_response_creatable_topic_result answer = take(&exchange, 0);
    assert_int_equal(answer.error_code, WIRE_ERROR_NONE);
    assert_int_equal(answer.num_partitions, 2); /* what would have come of it */
    assert_int_equal(answer.replication_factor, 3);
    assert_int_equal(answer.configs_count, topic_config_row_count());
    assert_true(uuid_is_zero(&answer.topic_id));
    assert_false(exists(&fixture, "a"));
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void only_the_controller_leader_creates(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_as_controller(&fixture);
    fake_controller_lead(false);
    create(&exchange, &fixture, 5000, false, (const char *const[]){"a"}, 1);
    assert_int_equal(take(&exchange, 0).error_code, WIRE_ERROR_NOT_CONTROLLER);
    exchange_free(&exchange);
    fake_controller_lead(true);
    fixture_close(&fixture);
}

static void partitions_are_added(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct wire_writer writer;
    struct create_partitions_request body;
    struct create_partitions_response response;
    struct create_partitions_request_create_partitions_topic topics[2];
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    create_partitions_request_init(&body);
    body.timeout_ms = 5000;
    body.topics = topics;
    body.topics_count = 2;
    for (int i = 0; i < 2; i++) {
        create_partitions_request_create_partitions_topic_init(&topics[i]);
        topics[i].assignments_count = -1;
        topics[i].count = 3;
    }
    topics[0].name = text("t");
    topics[1].name = text("unknown");
    wire_writer_init(&writer, 64);
    create_partitions_request_encode(&body, 3, &writer);
    exchange_run(&exchange, &fixture.shard, api_create_partitions, 3, &writer);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(create_partitions_response_decode(&response, 3, &cursor));
    assert_int_equal(response.results[0].error_code, WIRE_ERROR_NONE);
    assert_int_equal(response.results[1].error_code, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(fake_controller_groups_started(), 2);
    assert_int_equal(cluster_topic_find(fixture.shard.metadata, "t", 1)->partition_count, 3);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void topics_are_deleted_by_name_and_by_id(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct wire_writer writer;
    struct delete_topics_request body;
    struct delete_topics_response response;
    struct delete_topics_request_delete_topic_state topics[4];
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "a", 2, NULL);
    delete_topics_request_init(&body);
    body.topics = topics;
    body.topics_count = 4;
    for (int i = 0; i < 4; i++) {
        delete_topics_request_delete_topic_state_init(&topics[i]);
        topics[i].name.length = -1;
    }
    topics[0].name = text("a");
    topics[1].topic_id = fixture_add_topic(&fixture, "b", 1, NULL)->id;
    topics[2].name = text("unknown");
    topics[3].topic_id.bytes[0] = 1;
    wire_writer_init(&writer, 64);
    delete_topics_request_encode(&body, 6, &writer);
    exchange_run(&exchange, &fixture.shard, api_delete_topics, 6, &writer);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(delete_topics_response_decode(&response, 6, &cursor));
    assert_int_equal(response.responses[0].error_code, WIRE_ERROR_NONE);
    assert_int_equal(response.responses[1].error_code, WIRE_ERROR_NONE);
    assert_true(wire_string_equal(response.responses[1].name, "b"));
    assert_int_equal(response.responses[2].error_code, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(response.responses[3].error_code, WIRE_ERROR_UNKNOWN_TOPIC_ID);
    assert_false(exists(&fixture, "a") || exists(&fixture, "b"));
    assert_int_equal(fake_controller_groups_stopped(), 3);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

/* By name, in version 3.  The response is borrowed from the exchange. */
static void delete_named(struct fixture *fixture, struct exchange *exchange,
                         struct wire_string *names, int32_t count,
                         struct delete_topics_response *response)
{
    struct wire_writer writer;
    struct delete_topics_request body;
    delete_topics_request_init(&body);
    body.topic_names = names;
    body.topic_names_count = count;
    wire_writer_init(&writer, 64);
    delete_topics_request_encode(&body, 3, &writer);
    exchange_run(exchange, &fixture->shard, api_delete_topics, 3, &writer);
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(delete_topics_response_decode(response, 3, &cursor));
}

/* What it knows may be old news, so it does not say what there is not. */
static void who_was_replaced_unheard_calls_no_topic_unknown(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct delete_topics_response response;
    struct wire_string names[] = {text("made by another")};
    open_as_controller(&fixture);
    fake_controller_replace_unheard(true);
    delete_named(&fixture, &exchange, names, 1, &response);
    assert_int_equal(response.responses[0].error_code, WIRE_ERROR_NOT_CONTROLLER);
    fake_controller_replace_unheard(false);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void a_deletion_is_answered_when_its_groups_have_stopped(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct wire_writer writer;
    struct delete_topics_request body;
    struct delete_topics_response response;
    struct wire_string names[] = {{"a", 1}, {"b", 1}};
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "a", 1, NULL);
    fixture_add_topic(&fixture, "b", 1, NULL);
    fake_controller_hold_groups(true);
    delete_topics_request_init(&body);
    body.topic_names = names;
    body.topic_names_count = 2;
    body.timeout_ms = 5000;
    wire_writer_init(&writer, 64);
    delete_topics_request_encode(&body, 3, &writer);
    exchange_run(&exchange, &fixture.shard, api_delete_topics, 3, &writer);
    assert_false(exchange.is_answered);
    assert_false(exists(&fixture, "a") || exists(&fixture, "b"));
    fake_controller_finish(false); /* a broker that is away does not undo the deletion */
    assert_true(exchange.is_answered);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(delete_topics_response_decode(&response, 3, &cursor));
    assert_int_equal(response.responses[0].error_code, WIRE_ERROR_NONE);
    assert_int_equal(response.responses[1].error_code, WIRE_ERROR_NONE);
    fake_controller_hold_groups(false);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void the_same_topic_twice_is_not_deleted(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct delete_topics_response response;
    struct wire_string names[] = {{"a", 1}, {"a", 1}};
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "a", 1, NULL);
    delete_named(&fixture, &exchange, names, 2, &response);
    assert_int_equal(response.responses[0].error_code, WIRE_ERROR_INVALID_REQUEST);
    assert_int_equal(response.responses[1].error_code, WIRE_ERROR_INVALID_REQUEST);
    assert_true(exists(&fixture, "a"));
    exchange_free(&exchange);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_count_may_be_asked_for_in_any_version),
        cmocka_unit_test(a_topic_is_answered_when_its_groups_have_leaders),
        cmocka_unit_test(late_leaders_are_told_though_the_topic_exists),
        cmocka_unit_test(leaders_are_spread_over_the_topics_of_one_request),
        cmocka_unit_test(refusals_are_told_one_by_one),
        cmocka_unit_test(a_trial_changes_nothing),
        cmocka_unit_test(only_the_controller_leader_creates),
        cmocka_unit_test(partitions_are_added),
        cmocka_unit_test(topics_are_deleted_by_name_and_by_id),
        cmocka_unit_test(who_was_replaced_unheard_calls_no_topic_unknown),
        cmocka_unit_test(a_deletion_is_answered_when_its_groups_have_stopped),
        cmocka_unit_test(the_same_topic_twice_is_not_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
