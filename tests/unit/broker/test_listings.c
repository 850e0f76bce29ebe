/* SPDX-License-Identifier: Apache-2.0
 *
 * test_listings.c -- ListConfigResources, ListTransactions and DescribeTransactions.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_controller.h"
#include "wire/describe_transactions.h"
#include "wire/list_config_resources.h"
#include "wire/list_transactions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TOPIC 2
#define BROKER 4

static struct list_config_resources_response list_resources(struct exchange *exchange,
                                                            struct fixture *fixture,
                                                            int16_t version, int8_t *types,
                                                            int32_t count)
{
    struct list_config_resources_request body;
    struct list_config_resources_response response;
    struct wire_writer writer;
    list_config_resources_request_init(&body);
    body.resource_types = types;
    body.resource_types_count = count;
    wire_writer_init(&writer, 64);
    list_config_resources_request_encode(&body, version, &writer);
    exchange_run(exchange, &fixture->shard, api_list_config_resources, version, &writer);
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(list_config_resources_response_decode(&response, version, &cursor));
    assert_true(wire_expect_end(&cursor));
    return response;
}

/* How often a resource is listed. */
static uint32_t count_of(const struct list_config_resources_response *response, int8_t type,
                         const char *name)
{
    uint32_t count = 0;
    for (int32_t i = 0; i < response->config_resources_count; i++) {
        const struct list_config_resources_response_config_resource *listed =
            &response->config_resources[i];
        bool is_name = name == NULL || wire_string_equal(listed->resource_name, name);
        count += listed->resource_type == type && is_name ? 1 : 0;
    }
    return count;
}

static void topics_and_brokers_are_listed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture.shard.metadata_is_loaded = true;
    fixture_add_topic(&fixture, "one", 1, NULL);
    fixture_add_topic(&fixture, "two", 3, NULL);
    struct list_config_resources_response all = list_resources(&exchange, &fixture, 1, NULL, 0);
    assert_int_equal(all.error_code, 0);
    assert_int_equal(all.config_resources_count, 5);
    assert_int_equal(count_of(&all, TOPIC, "one"), 1);
    assert_int_equal(count_of(&all, TOPIC, "two"), 1);
    assert_int_equal(count_of(&all, BROKER, "1"), 1);
    assert_int_equal(count_of(&all, BROKER, "3"), 1);
    exchange_free(&exchange);

    int8_t topics_twice[] = {TOPIC, TOPIC, 16};
    struct list_config_resources_response topics =
        list_resources(&exchange, &fixture, 1, topics_twice, 3);
    assert_int_equal(topics.config_resources_count, 2);
    assert_int_equal(count_of(&topics, TOPIC, NULL), 2);
    exchange_free(&exchange);

    fake_broker_set_live(2, false);
    int8_t only_brokers[] = {BROKER};
    struct list_config_resources_response brokers =
        list_resources(&exchange, &fixture, 1, only_brokers, 1);
    fake_broker_set_live(2, true);
    assert_int_equal(brokers.config_resources_count, 2);
    assert_int_equal(count_of(&brokers, BROKER, "2"), 0);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void what_has_no_configs_is_an_empty_list(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "one", 1, NULL);
    int8_t without[] = {8, 16, 32};
    struct list_config_resources_response none = list_resources(&exchange, &fixture, 1, without, 3);
    assert_int_equal(none.error_code, 0);
    assert_int_equal(none.config_resources_count, 0);
    exchange_free(&exchange);

    /* Version 0 asks for client metrics. */
    none = list_resources(&exchange, &fixture, 0, NULL, 0);
    assert_int_equal(none.error_code, 0);
    assert_int_equal(none.config_resources_count, 0);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void what_cannot_be_listed_is_an_error(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture.shard.metadata_is_loaded = true;
    fixture_add_topic(&fixture, "one", 1, NULL);
    int8_t unknown[] = {TOPIC, 3};
    struct list_config_resources_response refused =
        list_resources(&exchange, &fixture, 1, unknown, 2);
    assert_int_equal(refused.error_code, WIRE_ERROR_UNSUPPORTED_VERSION);
    assert_int_equal(refused.config_resources_count, 0);
    exchange_free(&exchange);

    fixture.shard.metadata_is_loaded = false;
    refused = list_resources(&exchange, &fixture, 1, NULL, 0);
    assert_int_equal(refused.error_code, WIRE_ERROR_LEADER_NOT_AVAILABLE);
    assert_int_equal(refused.config_resources_count, 0);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void there_are_no_transactions(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    for (int16_t version = 0; version <= 2; version++) {
        struct list_transactions_request body;
        struct list_transactions_response response;
        struct exchange exchange;
        struct wire_writer writer;
        struct wire_string states[] = {
            {"Ongoing", 7}, {"Sleeping", 8}, {"CompleteAbort", 13}, {"ongoing", 7}};
        int64_t ids[] = {7};
        list_transactions_request_init(&body);
        body.state_filters = states;
        body.state_filters_count = 4;
        body.producer_id_filters = ids;
        body.producer_id_filters_count = 1;
        if (version >= 2) {
            body.transactional_id_pattern = (struct wire_string){"^(", 2};
        }
        wire_writer_init(&writer, 64);
        list_transactions_request_encode(&body, version, &writer);
        exchange_run(&exchange, &fixture.shard, api_list_transactions, version, &writer);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(list_transactions_response_decode(&response, version, &cursor));
        assert_true(wire_expect_end(&cursor));
        assert_int_equal(response.error_code, 0);
        assert_int_equal(response.transaction_states_count, 0);
        assert_int_equal(response.unknown_state_filters_count, 2);
        assert_true(wire_string_equal(response.unknown_state_filters[0], "Sleeping"));
        assert_true(wire_string_equal(response.unknown_state_filters[1], "ongoing"));
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void no_transactional_id_is_known(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    for (int32_t count = 0; count <= 3; count++) {
        struct describe_transactions_request body;
        struct describe_transactions_response response;
        struct wire_writer writer;
        struct wire_string ids[] = {{"payments", 8}, {"", 0}, {"payments", 8}};
        describe_transactions_request_init(&body);
        body.transactional_ids = ids;
        body.transactional_ids_count = count;
        wire_writer_init(&writer, 64);
        describe_transactions_request_encode(&body, 0, &writer);
        exchange_run(&exchange, &fixture.shard, api_describe_transactions, 0, &writer);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(describe_transactions_response_decode(&response, 0, &cursor));
        assert_true(wire_expect_end(&cursor));
        assert_int_equal(response.transaction_states_count, count);
        for (int32_t i = 0; i < count; i++) {
            const struct describe_transactions_response_transaction_state *described =
                &response.transaction_states[i];
            assert_int_equal(described->error_code, WIRE_ERROR_TRANSACTIONAL_ID_NOT_FOUND);
            assert_int_equal(described->transactional_id.length, ids[i].length);
            assert_memory_equal(described->transactional_id.data, ids[i].data,
                                (size_t)ids[i].length);
            assert_int_equal(described->topics_count, 0);
        }
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_and_brokers_are_listed),
        cmocka_unit_test(what_has_no_configs_is_an_empty_list),
        cmocka_unit_test(what_cannot_be_listed_is_an_error),
        cmocka_unit_test(there_are_no_transactions),
        cmocka_unit_test(no_transactional_id_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
