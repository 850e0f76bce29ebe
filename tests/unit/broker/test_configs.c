/* SPDX-License-Identifier: Apache-2.0
 *
 * test_configs.c -- AlterConfigs and IncrementalAlterConfigs on the controller leader.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_controller.h"
#include "wire/alter_configs.h"
#include "wire/incremental_alter_configs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TOPIC 2

static void open_as_controller(struct fixture *fixture)
{
    fixture_open(fixture);
    fixture->shard.controller =
        (struct controller *)fixture; /* only whether there is one matters */
    fake_controller_lead(true);
}

/* One config to change. */
struct change {
    int8_t type;
    const char *resource;
    const char *name;
    int8_t operation; /* of IncrementalAlterConfigs */
    const char *value;
};

/* Each change as a resource of its own; the error of each, and the first message. */
static void alter(struct fixture *fixture, const struct change *changes, int32_t count,
                  bool validate_only, int16_t *errors, char *message, size_t message_size)
{
    struct incremental_alter_configs_request body;
    struct incremental_alter_configs_request_alter_configs_resource resources[4];
    struct incremental_alter_configs_request_alterable_config configs[4];
    struct exchange exchange;
    struct wire_writer writer;
    incremental_alter_configs_request_init(&body);
    body.resources = resources;
    body.resources_count = count;
    body.validate_only = validate_only;
    for (int32_t i = 0; i < count; i++) {
        incremental_alter_configs_request_alter_configs_resource_init(&resources[i]);
        incremental_alter_configs_request_alterable_config_init(&configs[i]);
        resources[i].resource_type = changes[i].type;
        resources[i].resource_name = wire_string_from(changes[i].resource);
        resources[i].configs = &configs[i];
        resources[i].configs_count = 1;
        configs[i].name = wire_string_from(changes[i].name);
        configs[i].config_operation = changes[i].operation;
        configs[i].value = changes[i].value != NULL ? wire_string_from(changes[i].value)
                                                    : (struct wire_string){NULL, -1};
    }
    wire_writer_init(&writer, 64);
    incremental_alter_configs_request_encode(&body, 1, &writer);
    exchange_run(&exchange, &fixture->shard, api_incremental_alter_configs, 1, &writer);

    struct incremental_alter_configs_response response;
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(incremental_alter_configs_response_decode(&response, 1, &cursor));
    assert_true(wire_expect_end(&cursor));
    assert_int_equal(response.responses_count, count);
    for (int32_t i = 0; i < count; i++) {
        errors[i] = response.responses[i].error_code;
        assert_int_equal(response.responses[i].resource_type, changes[i].type);
        assert_true(wire_string_equal(response.responses[i].resource_name, changes[i].resource));
        assert_true((response.responses[i].error_message.length < 0) == (errors[i] == 0));
    }
    snprintf(message, message_size, "%.*s",
             response.responses[0].error_message.length < 0
                 ? 0
                 : (int)response.responses[0].error_message.length,
             response.responses[0].error_message.data);
    exchange_free(&exchange);
}

static int16_t alter_one(struct fixture *fixture, struct change change, const char *wanted_message)
{
    int16_t error = 0;
    char message[300];
    alter(fixture, &change, 1, false, &error, message, sizeof message);
    if (strstr(message, wanted_message) == NULL) {
        fail_msg("'%s' does not say '%s'", message, wanted_message);
    }
    return error;
}

static const struct topic_config *config_of(struct fixture *fixture, const char *topic)
{
    return &cluster_topic_find(fixture->shard.metadata, topic, strlen(topic))->config;
}

static void single_configs_are_set_and_deleted(void **state)
{
    (void)state;
    struct fixture fixture;
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "t", 1, (const char *const[]){"segment.ms", "7", NULL});
    assert_int_equal(
        alter_one(&fixture, (struct change){TOPIC, "t", "retention.ms", 0, "60000"}, ""), 0);
    assert_int_equal(topic_config_number(config_of(&fixture, "t"), "retention.ms"), 60000);
    assert_int_equal(topic_config_number(config_of(&fixture, "t"), "segment.ms"), 7);
    assert_int_equal(
        alter_one(&fixture, (struct change){TOPIC, "t", "cleanup.policy", 2, "compact"}, ""), 0);
    assert_string_equal(topic_config_text(config_of(&fixture, "t"), "cleanup.policy"),
                        "delete,compact");
    assert_int_equal(
        alter_one(&fixture, (struct change){TOPIC, "t", "cleanup.policy", 3, "delete"}, ""), 0);
    assert_string_equal(topic_config_text(config_of(&fixture, "t"), "cleanup.policy"), "compact");
    assert_int_equal(alter_one(&fixture, (struct change){TOPIC, "t", "retention.ms", 1, NULL}, ""),
                     0);
    assert_null(topic_config_override(config_of(&fixture, "t"), "retention.ms"));
    fixture_close(&fixture);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        struct change change;
        enum wire_error error;
        const char *message;
    } cases[] = {
        {{TOPIC, "t", "retention.ms", 0, "soon"}, WIRE_ERROR_INVALID_CONFIG, "retention.ms"},
        {{TOPIC, "t", "segment.bytes", 0, "1"}, WIRE_ERROR_INVALID_CONFIG, "14 to"},
        {{TOPIC, "t", "compression.type", 0, "rar"}, WIRE_ERROR_INVALID_CONFIG, "zstd"},
        {{TOPIC, "t", "no.such", 0, "1"}, WIRE_ERROR_INVALID_CONFIG, "'no.such'"},
        {{TOPIC, "t", "retention.ms", 2, "1"}, WIRE_ERROR_INVALID_CONFIG, "no list"},
        {{TOPIC, "t", "retention.ms", 9, "1"}, WIRE_ERROR_INVALID_REQUEST, "operation 9"},
        {{TOPIC, "t", "retention.ms", -1, "1"}, WIRE_ERROR_INVALID_REQUEST, "operation -1"},
        {{TOPIC, "t", "retention.ms", 0, NULL}, WIRE_ERROR_INVALID_REQUEST, "no value"},
        {{TOPIC, "u", "retention.ms", 0, "1"}, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION, "no topic"},
        {{TOPIC, "", "retention.ms", 0, "1"}, WIRE_ERROR_INVALID_TOPIC_EXCEPTION, "name"},
        {{16, "t", "retention.ms", 0, "1"}, WIRE_ERROR_INVALID_REQUEST, "Topics"},
    };
    struct fixture fixture;
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(alter_one(&fixture, cases[i].change, cases[i].message), cases[i].error);
    }
    assert_int_equal(config_of(&fixture, "t")->count, 0);
    fixture_close(&fixture);
}

#define BROKER 4

static void brokers_are_configured_while_they_run(void **state)
{
    (void)state;
    struct fixture fixture;
    open_as_controller(&fixture);
    const struct topic_config *topic = &fixture_add_topic(&fixture, "t", 1, NULL)->config;
    const struct broker_shard *shard = &fixture.shard;
    assert_int_equal(
        alter_one(&fixture, (struct change){BROKER, "", "log.retention.ms", 0, "600"}, ""), 0);
    assert_string_equal(effective_config_text(shard, topic, "retention.ms"), "600");
    assert_int_equal(
        alter_one(&fixture, (struct change){BROKER, "1", "log.retention.ms", 0, "700"}, ""), 0);
    assert_int_equal(
        alter_one(&fixture, (struct change){BROKER, "2", "log.retention.ms", 0, "800"}, ""), 0);
    assert_string_equal(effective_config_text(shard, topic, "retention.ms"), "700");
    assert_int_equal(alter_one(&fixture, (struct change){TOPIC, "t", "retention.ms", 0, "900"}, ""),
                     0);
    assert_string_equal(effective_config_text(shard, topic, "retention.ms"), "900");

    struct config_value values[CONFIG_VALUES_MAX];
    const struct topic_config_row *row = topic_config_find("retention.ms", 12);
    assert_int_equal(effective_config_values(shard, topic, row, values), 4);
    assert_int_equal(values[0].source, CONFIG_SOURCE_TOPIC);
    assert_int_equal(values[1].source, CONFIG_SOURCE_DYNAMIC_BROKER);
    assert_int_equal(values[2].source, CONFIG_SOURCE_DYNAMIC_DEFAULT);
    assert_int_equal(values[3].source, CONFIG_SOURCE_DEFAULT);

    fixture.config.connections_max = 77;
    assert_int_equal(effective_broker_limits(shard).connections_max, 77);
    assert_int_equal(
        alter_one(&fixture, (struct change){BROKER, "", "max.connections", 0, "55"}, ""), 0);
    assert_int_equal(effective_broker_limits(shard).connections_max, 55);
    fixture_close(&fixture);
}

static void what_brokers_cannot_change_is_told(void **state)
{
    (void)state;
    static const struct {
        struct change change;
        enum wire_error error;
        const char *message;
    } cases[] = {
        {{BROKER, "1", "num.partitions", 0, "3"}, WIRE_ERROR_INVALID_REQUEST, "config file"},
        {{BROKER, "1", "shards", 0, "3"}, WIRE_ERROR_INVALID_REQUEST, "config file"},
        {{BROKER, "1", "num.io.threads", 0, "3"}, WIRE_ERROR_INVALID_REQUEST, "no effect"},
        {{BROKER, "1", "log.preallocate", 0, "true"}, WIRE_ERROR_INVALID_REQUEST, "no effect"},
        {{BROKER, "1", "no.such", 0, "3"}, WIRE_ERROR_INVALID_CONFIG, "'no.such'"},
        {{BROKER, "1", "max.connections", 0, "3"}, WIRE_ERROR_INVALID_CONFIG, "10 to"},
        {{BROKER, "9", "max.connections", 0, "30"}, WIRE_ERROR_BROKER_ID_NOT_REGISTERED, "9"},
        {{BROKER, "x", "max.connections", 0, "30"}, WIRE_ERROR_INVALID_REQUEST, "id"},
        {{BROKER, "0", "max.connections", 0, "30"}, WIRE_ERROR_INVALID_REQUEST, "id"},
        {{BROKER, "99999999999", "max.connections", 0, "30"}, WIRE_ERROR_INVALID_REQUEST, "id"},
    };
    struct fixture fixture;
    open_as_controller(&fixture);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(alter_one(&fixture, cases[i].change, cases[i].message), cases[i].error);
    }
    fixture_close(&fixture);
}

static void a_resource_named_twice_is_left_alone(void **state)
{
    (void)state;
    static const struct change changes[] = {{TOPIC, "t", "retention.ms", 0, "1"},
                                            {TOPIC, "u", "retention.ms", 0, "2"},
                                            {TOPIC, "t", "segment.ms", 0, "3"}};
    struct fixture fixture;
    int16_t errors[3];
    char message[300];
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    fixture_add_topic(&fixture, "u", 1, NULL);
    alter(&fixture, changes, 3, false, errors, message, sizeof message);
    assert_int_equal(errors[0], WIRE_ERROR_INVALID_REQUEST);
    assert_int_equal(errors[1], WIRE_ERROR_NONE);
    assert_int_equal(errors[2], WIRE_ERROR_INVALID_REQUEST);
    assert_int_equal(config_of(&fixture, "t")->count, 0);
    assert_int_equal(topic_config_number(config_of(&fixture, "u"), "retention.ms"), 2);
    fixture_close(&fixture);
}

static void a_trial_changes_nothing(void **state)
{
    (void)state;
    static const struct change changes[] = {{TOPIC, "t", "retention.ms", 0, "1"},
                                            {TOPIC, "u", "retention.ms", 0, "-7"}};
    struct fixture fixture;
    int16_t errors[2];
    char message[300];
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    fixture_add_topic(&fixture, "u", 1, NULL);
    alter(&fixture, changes, 2, true, errors, message, sizeof message);
    assert_int_equal(errors[0], WIRE_ERROR_NONE);
    assert_int_equal(errors[1], WIRE_ERROR_INVALID_CONFIG);
    assert_int_equal(config_of(&fixture, "t")->count, 0);
    fixture_close(&fixture);
}

static void only_the_controller_leader_alters(void **state)
{
    (void)state;
    struct fixture fixture;
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    fake_controller_lead(false);
    assert_int_equal(
        alter_one(&fixture, (struct change){TOPIC, "t", "retention.ms", 0, "1"}, "controller"),
        WIRE_ERROR_NOT_CONTROLLER);
    fake_controller_lead(true);
    fixture_close(&fixture);
}

/* Begins to set retention.ms of the topic. */
static void begin_to_set(struct fixture *fixture, struct exchange *exchange, const char *topic,
                         const char *value, bool validate_only)
{
    struct incremental_alter_configs_request body;
    struct incremental_alter_configs_request_alter_configs_resource resource;
    struct incremental_alter_configs_request_alterable_config config;
    struct wire_writer writer;
    incremental_alter_configs_request_init(&body);
    incremental_alter_configs_request_alter_configs_resource_init(&resource);
    incremental_alter_configs_request_alterable_config_init(&config);
    body.resources = &resource;
    body.resources_count = 1;
    body.validate_only = validate_only;
    resource.resource_type = TOPIC;
    resource.resource_name = wire_string_from(topic);
    resource.configs = &config;
    resource.configs_count = 1;
    config.name = wire_string_from("retention.ms");
    config.value = wire_string_from(value);
    wire_writer_init(&writer, 64);
    incremental_alter_configs_request_encode(&body, 1, &writer);
    exchange_run(exchange, &fixture->shard, api_incremental_alter_configs, 1, &writer);
}

static void the_answer_waits_until_the_others_know(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    fake_controller_hold_metadata(true);
    begin_to_set(&fixture, &exchange, "t", "60000", false);
    shard_turn(&fixture.shard);
    assert_false(exchange.is_answered);
    assert_int_equal(topic_config_number(config_of(&fixture, "t"), "retention.ms"), 60000);
    fake_controller_hold_metadata(false);
    assert_true(exchange.is_answered);
    assert_false(exchange.is_dropped);
    exchange_free(&exchange);

    /* Where nothing has changed there is nothing to wait for. */
    fake_controller_hold_metadata(true);
    begin_to_set(&fixture, &exchange, "t", "soon", false);
    assert_true(exchange.is_answered);
    exchange_free(&exchange);
    begin_to_set(&fixture, &exchange, "t", "70000", true);
    assert_true(exchange.is_answered);
    exchange_free(&exchange);
    fake_controller_hold_metadata(false);
    fixture_close(&fixture);
}

/* Returns the error of the one resource. */
static int16_t replace(struct fixture *fixture, const char *topic, const char *const *pairs,
                       int16_t version)
{
    struct alter_configs_request body;
    struct alter_configs_request_alter_configs_resource resource;
    struct alter_configs_request_alterable_config configs[4];
    struct exchange exchange;
    struct wire_writer writer;
    alter_configs_request_init(&body);
    alter_configs_request_alter_configs_resource_init(&resource);
    body.resources = &resource;
    body.resources_count = 1;
    resource.resource_type = TOPIC;
    resource.resource_name = wire_string_from(topic);
    resource.configs = configs;
    resource.configs_count = 0;
    for (; pairs != NULL && *pairs != NULL; pairs += 2) {
        struct alter_configs_request_alterable_config *config = &configs[resource.configs_count++];
        alter_configs_request_alterable_config_init(config);
        config->name = wire_string_from(pairs[0]);
        config->value = wire_string_from(pairs[1]);
    }
    wire_writer_init(&writer, 64);
    alter_configs_request_encode(&body, version, &writer);
    exchange_run(&exchange, &fixture->shard, api_alter_configs, version, &writer);
    struct alter_configs_response response;
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(alter_configs_response_decode(&response, version, &cursor));
    assert_true(wire_expect_end(&cursor));
    assert_int_equal(response.responses_count, 1);
    int16_t error = response.responses[0].error_code;
    exchange_free(&exchange);
    return error;
}

/* Pitfall 12: who alters this way resets all that is not named. */
static void replacing_resets_what_is_not_named(void **state)
{
    (void)state;
    struct fixture fixture;
    open_as_controller(&fixture);
    fixture_add_topic(&fixture, "t", 1, (const char *const[]){"segment.ms", "7", NULL});
    for (int16_t version = ALTER_CONFIGS_VERSION_MIN; version <= ALTER_CONFIGS_VERSION_MAX;
         version++) {
        const char *const pairs[] = {"retention.ms", "5", "max.message.bytes", "900", NULL};
        assert_int_equal(replace(&fixture, "t", pairs, version), 0);
        assert_int_equal(config_of(&fixture, "t")->count, 2);
        assert_int_equal(topic_config_number(config_of(&fixture, "t"), "max.message.bytes"), 900);
        assert_null(topic_config_override(config_of(&fixture, "t"), "segment.ms"));
        assert_int_equal(replace(&fixture, "t", NULL, version), 0);
        assert_int_equal(config_of(&fixture, "t")->count, 0);
    }
    const char *const twice[] = {"retention.ms", "5", "retention.ms", "6", NULL};
    assert_int_equal(replace(&fixture, "t", twice, 2), WIRE_ERROR_INVALID_REQUEST);
    const char *const wrong[] = {"retention.ms", "5", "segment.ms", "x", NULL};
    assert_int_equal(replace(&fixture, "t", wrong, 2), WIRE_ERROR_INVALID_CONFIG);
    assert_int_equal(config_of(&fixture, "t")->count, 0);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_configs_are_set_and_deleted),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(brokers_are_configured_while_they_run),
        cmocka_unit_test(what_brokers_cannot_change_is_told),
        cmocka_unit_test(a_resource_named_twice_is_left_alone),
        cmocka_unit_test(a_trial_changes_nothing),
        cmocka_unit_test(the_answer_waits_until_the_others_know),
        cmocka_unit_test(only_the_controller_leader_alters),
        cmocka_unit_test(replacing_resets_what_is_not_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
