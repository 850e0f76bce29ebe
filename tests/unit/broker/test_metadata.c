/* SPDX-License-Identifier: Apache-2.0
 *
 * test_metadata.c -- Metadata and its kin: what is told about brokers, topics and leaders, topics
 * made on demand, and ApiVersions in every shape.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_controller.h"
#include "fake_group.h"
#include "wire/api_versions.h"
#include "wire/describe_configs.h"
#include "wire/describe_topic_partitions.h"
#include "wire/find_coordinator.h"
#include "wire/init_producer_id.h"
#include "wire/metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct wire_string text(const char *value)
{
    return (struct wire_string){value, (int32_t)strlen(value)};
}

/* name NULL: all topics. */
static void ask(struct exchange *exchange, struct fixture *fixture, int16_t version,
                const char *name, bool may_create)
{
    struct metadata_request body;
    struct metadata_request_metadata_request_topic topic;
    metadata_request_init(&body);
    metadata_request_metadata_request_topic_init(&topic);
    body.allow_auto_topic_creation = may_create;
    body.topics = &topic;
    body.topics_count = name != NULL ? 1 : version == 0 ? 0 : -1;
    if (name != NULL) {
        topic.name = text(name);
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    metadata_request_encode(&body, version, &writer);
    exchange_run(exchange, &fixture->shard, api_metadata, version, &writer);
}

static struct metadata_response take(struct exchange *exchange)
{
    struct metadata_response response;
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(metadata_response_decode(&response, exchange->request.version, &cursor));
    assert_true(wire_expect_end(&cursor));
    return response;
}

/* ---- Metadata ---- */

static int32_t controller_told_by(struct fixture *fixture)
{
    struct exchange exchange;
    ask(&exchange, fixture, 13, NULL, false);
    int32_t told = take(&exchange).controller_id;
    exchange_free(&exchange);
    return told;
}

/* Clients that are told of no controller may wait for a long time before they ask again. */
static void there_is_always_a_controller_to_ask(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    fixture.shard.broker_id = 2;
    assert_int_equal(controller_told_by(&fixture), 1);
    fake_broker_set_live(1, false);
    assert_int_equal(controller_told_by(&fixture), 2);
    fake_broker_set_live(1, true);
    fake_controller_lead(false);
    assert_int_equal(controller_told_by(&fixture), 2);
    fake_controller_lead(true);
    fixture.shard.broker_id = 1;
    fixture_close(&fixture);
}

static void every_version_tells_the_same(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 2, NULL);
    for (int16_t version = 0; version <= 13; version++) {
        struct exchange exchange;
        ask(&exchange, &fixture, version, NULL, false);
        struct metadata_response response = take(&exchange);
        assert_int_equal(response.brokers_count, 3);
        assert_true(wire_string_equal(response.brokers[1].host, "host2"));
        assert_int_equal(response.controller_id, version >= 1 ? 1 : -1);
        assert_int_equal(response.topics_count, 1);
        assert_true(wire_string_equal(response.topics[0].name, "t"));
        assert_int_equal(response.topics[0].error_code, WIRE_ERROR_NONE);
        assert_int_equal(response.topics[0].partitions_count, 2);
        assert_int_equal(response.topics[0].partitions[1].leader_id, 1);
        assert_int_equal(response.topics[0].partitions[1].leader_epoch,
                         version >= 7 ? FIXTURE_TERM : -1);
        assert_int_equal(response.topics[0].partitions[1].replica_nodes_count, 3);
        assert_int_equal(response.topics[0].partitions[1].isr_nodes_count, 3);
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void nothing_is_made_up_about_leaders(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    fake_group_follow(fixture_group(&fixture, "t", 0), 0, FIXTURE_TERM + 1);
    fake_broker_set_live(3, false);
    ask(&exchange, &fixture, 12, "t", false);
    assert_false(exchange.is_answered); /* an election may be under way */
    shard_turn_until_answered(&fixture.shard, &exchange);
    struct metadata_response response = take(&exchange);
    const struct metadata_response_metadata_response_partition *partition =
        &response.topics[0].partitions[0];
    assert_int_equal(response.brokers_count, 2);
    assert_int_equal(partition->error_code, WIRE_ERROR_LEADER_NOT_AVAILABLE);
    assert_int_equal(partition->leader_id, -1);
    assert_int_equal(partition->isr_nodes_count, 2);
    assert_int_equal(partition->offline_replicas_count, 1);
    assert_int_equal(partition->offline_replicas[0], 3);
    fake_broker_set_live(3, true);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void the_first_leader_is_waited_for_longer(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    fake_group_follow(fixture_group(&fixture, "t", 0), 0, 0);
    ask(&exchange, &fixture, 12, "t", false);
    uint64_t begin_ns = io_now_ns(fixture.shard.loop);
    while (io_now_ns(fixture.shard.loop) - begin_ns < 500000000) {
        shard_turn(&fixture.shard);
    }
    assert_false(exchange.is_answered);
    fake_group_lead(fixture_group(&fixture, "t", 0), FIXTURE_TERM + 1);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(take(&exchange).topics[0].partitions[0].leader_id, 1);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

/* A client notices the death of a leader's process a moment before this broker does. */
static void a_leader_that_dies_while_it_is_asked_for_is_not_named(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    fake_group_follow(fixture_group(&fixture, "t", 0), 3, FIXTURE_TERM + 1);
    ask(&exchange, &fixture, 12, "t", false);
    assert_false(exchange.is_answered);
    fake_broker_set_live(3, false);
    shard_turn(&fixture.shard);
    assert_false(exchange.is_answered); /* an election is under way */
    fake_group_follow(fixture_group(&fixture, "t", 0), 2, FIXTURE_TERM + 2);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(take(&exchange).topics[0].partitions[0].leader_id, 2);
    exchange_free(&exchange);

    ask(&exchange, &fixture, 12, "t", false); /* and one that lives is */
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(take(&exchange).topics[0].partitions[0].leader_id, 2);
    exchange_free(&exchange);
    fake_broker_set_live(3, true);
    fixture_close(&fixture);
}

static void unknown_and_bad_names_are_told_apart(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    ask(&exchange, &fixture, 9, "unknown", true); /* creation is off */
    assert_int_equal(take(&exchange).topics[0].error_code, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    exchange_free(&exchange);
    ask(&exchange, &fixture, 9, "a/b", true);
    assert_int_equal(take(&exchange).topics[0].error_code, WIRE_ERROR_INVALID_TOPIC_EXCEPTION);
    exchange_free(&exchange);
    fixture.shard.metadata_is_loaded = false;
    ask(&exchange, &fixture, 9, "unknown", true); /* nothing is unknown for sure yet */
    assert_int_equal(take(&exchange).topics[0].error_code, WIRE_ERROR_LEADER_NOT_AVAILABLE);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void a_topic_is_made_on_demand(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture.config.auto_create_topics = true;
    fake_controller_forwarded();
    ask(&exchange, &fixture, 9, "wanted", false);
    assert_int_equal(take(&exchange).topics[0].error_code, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    exchange_free(&exchange);
    assert_int_equal(fake_controller_forwarded(), 0);

    ask(&exchange, &fixture, 9, "wanted", true);
    assert_int_equal(fake_controller_forwarded(), 1);
    shard_turn(&fixture.shard);
    assert_false(exchange.is_answered); /* there is no leader yet */
    const struct cluster_topic *topic = cluster_topic_find(fixture.shard.metadata, "wanted", 6);
    struct partition_spec spec = {
        .group_id = topic->partitions[0].group_id, .topic = "wanted", .topic_id = topic->id};
    fixture_host(&fixture, &spec);
    shard_turn_until_answered(&fixture.shard, &exchange);
    struct metadata_response response = take(&exchange);
    assert_int_equal(response.topics[0].error_code, WIRE_ERROR_NONE);
    assert_int_equal(response.topics[0].partitions[0].leader_id, 1);
    exchange_free(&exchange);

    fixture.config.default_replication_factor = 9; /* more than there are brokers */
    ask(&exchange, &fixture, 0, "more", true);     /* version 0 has no flag and means yes */
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(take(&exchange).topics[0].error_code, WIRE_ERROR_INVALID_REPLICATION_FACTOR);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void garbage_closes(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct wire_writer writer;
    fixture_open(&fixture);
    wire_writer_init(&writer, 16);
    wire_write_int32(&writer, 1 << 30);
    exchange_run(&exchange, &fixture.shard, api_metadata, 1, &writer);
    assert_true(exchange.is_dropped);
    assert_true(exchange.request.is_malformed);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

/* ---- ApiVersions ---- */

static void versions_are_told_in_every_shape(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    for (int16_t version = -1; version <= 4; version++) {
        struct exchange exchange;
        struct wire_writer writer;
        struct api_versions_request body;
        struct api_versions_response response;
        int16_t shape = version < 0 ? 0 : version;
        api_versions_request_init(&body);
        body.client_software_name = text("kcat");
        body.client_software_version = text("1.7.0");
        wire_writer_init(&writer, 64);
        api_versions_request_encode(&body, shape, &writer);
        exchange_run(&exchange, &fixture.shard, api_api_versions, version, &writer);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(api_versions_response_decode(&response, shape, &cursor));
        assert_true(wire_expect_end(&cursor));
        if (version < 0) {
            assert_int_equal(response.error_code, WIRE_ERROR_UNSUPPORTED_VERSION);
            assert_int_equal(response.api_keys_count, 1);
            assert_int_equal(response.api_keys[0].api_key, API_VERSIONS_TYPE);
        } else {
            assert_int_equal(response.error_code, WIRE_ERROR_NONE);
            assert_true(response.api_keys_count > 10);
            assert_int_equal(response.finalized_features_count, 0);
        }
        for (int32_t i = 0; i < response.api_keys_count; i++) {
            assert_true(response.api_keys[i].api_key < REQUEST_FIRST_PEER_TYPE);
        }
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void bad_software_names_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    const char *const bad[] = {"", "-a", "a-", "a b", "a\nb", "\xff"};
    fixture_open(&fixture);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct exchange exchange;
        struct wire_writer writer;
        struct api_versions_request body;
        struct api_versions_response response;
        api_versions_request_init(&body);
        body.client_software_name = text(bad[i]);
        body.client_software_version = text("1");
        wire_writer_init(&writer, 64);
        api_versions_request_encode(&body, 3, &writer);
        exchange_run(&exchange, &fixture.shard, api_api_versions, 3, &writer);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(api_versions_response_decode(&response, 3, &cursor));
        assert_int_equal(response.error_code, WIRE_ERROR_INVALID_REQUEST);
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

/* ---- Others ---- */

static void producer_ids_are_never_given_twice(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t last = -1;
    fixture_open(&fixture);
    fake_controller_forwarded();
    for (int i = 0; i < 1500; i++) {
        struct exchange exchange;
        struct wire_writer writer;
        struct init_producer_id_request body;
        struct init_producer_id_response response;
        init_producer_id_request_init(&body);
        body.transactional_id.length = -1;
        wire_writer_init(&writer, 64);
        init_producer_id_request_encode(&body, 4, &writer);
        exchange_run(&exchange, &fixture.shard, api_init_producer_id, 4, &writer);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(init_producer_id_response_decode(&response, 4, &cursor));
        assert_int_equal(response.error_code, WIRE_ERROR_NONE);
        assert_int_equal(response.producer_epoch, 0);
        assert_true(response.producer_id > last);
        last = response.producer_id;
        exchange_free(&exchange);
    }
    assert_int_equal(fake_controller_forwarded(), 2); /* a block of a thousand each */
    fixture_close(&fixture);
}

static void topics_are_described_page_by_page(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "a", 3, NULL);
    fixture_add_topic(&fixture, "b", 2, NULL);
    char seen[64] = "";
    char cursor_topic[8] = "";
    struct describe_topic_partitions_request body;
    describe_topic_partitions_request_init(&body);
    body.response_partition_limit = 2;
    for (int page = 0; page < 5; page++) {
        struct exchange exchange;
        struct wire_writer writer;
        struct describe_topic_partitions_response response;
        wire_writer_init(&writer, 64);
        describe_topic_partitions_request_encode(&body, 0, &writer);
        exchange_run(&exchange, &fixture.shard, api_describe_topic_partitions, 0, &writer);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(describe_topic_partitions_response_decode(&response, 0, &cursor));
        for (int32_t i = 0; i < response.topics_count; i++) {
            for (int32_t j = 0; j < response.topics[i].partitions_count; j++) {
                /* Never null: Java's admin client cannot read that. */
                assert_int_equal(response.topics[i].partitions[j].eligible_leader_replicas_count,
                                 0);
                assert_int_equal(response.topics[i].partitions[j].last_known_elr_count, 0);
            }
        }
        for (int32_t i = 0; i < response.topics_count; i++) {
            for (int32_t j = 0; j < response.topics[i].partitions_count; j++) {
                size_t used = strlen(seen);
                snprintf(seen + used, sizeof(seen) - used, "%c%d ", response.topics[i].name.data[0],
                         response.topics[i].partitions[j].partition_index);
            }
        }
        bool is_last = !response.next_cursor_present;
        if (!is_last) {
            snprintf(cursor_topic, sizeof(cursor_topic), "%.*s",
                     (int)response.next_cursor.topic_name.length,
                     response.next_cursor.topic_name.data);
            body.cursor_present = true;
            body.cursor.topic_name = text(cursor_topic);
            body.cursor.partition_index = response.next_cursor.partition_index;
        }
        exchange_free(&exchange);
        if (is_last) {
            break;
        }
    }
    assert_string_equal(seen, "a0 a1 a2 b0 b1 ");
    fixture_close(&fixture);
}

static void configs_say_where_they_come_from(void **state)
{
    (void)state;
    struct fixture fixture;
    const char *const config[] = {"cleanup.policy", "compact", NULL};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, config);
    for (int16_t version = 0; version <= 4; version++) {
        struct exchange exchange;
        struct wire_writer writer;
        struct describe_configs_request body;
        struct describe_configs_response response;
        struct describe_configs_request_describe_configs_resource resources[2];
        describe_configs_request_init(&body);
        body.resources = resources;
        body.resources_count = 2;
        body.include_synonyms = true;
        for (int i = 0; i < 2; i++) {
            describe_configs_request_describe_configs_resource_init(&resources[i]);
            resources[i].configuration_keys_count = -1;
        }
        resources[0].resource_type = 2;
        resources[0].resource_name = text("t");
        resources[1].resource_type = 4;
        resources[1].resource_name = text("2"); /* another broker */
        wire_writer_init(&writer, 64);
        describe_configs_request_encode(&body, version, &writer);
        exchange_run(&exchange, &fixture.shard, api_describe_configs, version, &writer);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(describe_configs_response_decode(&response, version, &cursor));
        assert_true(wire_expect_end(&cursor));
        assert_int_equal(response.results[0].configs_count, topic_config_row_count());
        assert_int_equal(response.results[1].error_code, WIRE_ERROR_INVALID_REQUEST);
        bool found = false;
        for (int32_t i = 0; i < response.results[0].configs_count; i++) {
            const struct describe_configs_response_describe_configs_resource_result *entry =
                &response.results[0].configs[i];
            if (wire_string_equal(entry->name, "cleanup.policy")) {
                found = true;
                assert_true(wire_string_equal(entry->value, "compact"));
                assert_false(entry->is_default);
                assert_int_equal(entry->synonyms_count, version >= 1 ? 2 : 0);
                if (version >= 1) {
                    assert_int_equal(entry->config_source, 1);
                    assert_true(wire_string_equal(entry->synonyms[1].value, "delete"));
                }
            }
        }
        assert_true(found);
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

/* ---- FindCoordinator ---- */

static void find_coordinator(struct exchange *exchange, struct fixture *fixture, int16_t version,
                             int8_t key_type)
{
    struct wire_writer writer;
    struct find_coordinator_request body;
    struct wire_string keys[] = {{"g", 1}, {"h", 1}};
    find_coordinator_request_init(&body);
    body.key = keys[0];
    body.key_type = key_type;
    body.coordinator_keys = keys;
    body.coordinator_keys_count = 2;
    wire_writer_init(&writer, 64);
    find_coordinator_request_encode(&body, version, &writer);
    exchange_run(exchange, &fixture->shard, api_find_coordinator, version, &writer);
}

static void assert_coordinator(struct exchange *exchange, int16_t version, enum wire_error error,
                               int32_t node_id)
{
    struct find_coordinator_response response;
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(find_coordinator_response_decode(&response, version, &cursor));
    assert_int_equal(response.coordinators_count, version >= 4 ? 2 : 0);
    assert_int_equal(version >= 4 ? response.coordinators[1].error_code : response.error_code,
                     error);
    assert_int_equal(version >= 4 ? response.coordinators[1].node_id : response.node_id, node_id);
    exchange_free(exchange);
}

static void the_coordinator_is_the_leader_of_the_groups_partition(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture.config.offsets_topic_partitions = 1;
    fixture.config.offsets_topic_replication_factor = 1;
    fixture.config.group_max_size = 10;
    fake_controller_forwarded();
    find_coordinator(&exchange, &fixture, 0, 0); /* the first makes the topic */
    assert_int_equal(fake_controller_forwarded(), 1);
    shard_turn_until_answered(&fixture.shard, &exchange); /* which gets no leader in time */
    assert_coordinator(&exchange, 0, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE, -1);

    const struct cluster_topic *topic =
        cluster_topic_find(fixture.shard.metadata, "__consumer_offsets", 18);
    assert_int_equal(topic->partition_count, 1);
    assert_int_equal(topic->partitions[0].replica_count, 1);
    assert_true(topic->is_internal);
    struct partition_spec spec = {.group_id = topic->partitions[0].group_id,
                                  .topic = "__consumer_offsets",
                                  .topic_id = topic->id};
    fixture_host(&fixture, &spec);
    for (int16_t version = 0; version <= 5; version++) {
        find_coordinator(&exchange, &fixture, version, 0);
        assert_coordinator(&exchange, version, WIRE_ERROR_NONE, 1);
        if (version >= 1) { /* nobody coordinates transactions */
            find_coordinator(&exchange, &fixture, version, 1);
            assert_coordinator(&exchange, version, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE, -1);
        }
    }
    assert_int_equal(fake_controller_forwarded(), 0);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_always_a_controller_to_ask),
        cmocka_unit_test(every_version_tells_the_same),
        cmocka_unit_test(nothing_is_made_up_about_leaders),
        cmocka_unit_test(the_first_leader_is_waited_for_longer),
        cmocka_unit_test(a_leader_that_dies_while_it_is_asked_for_is_not_named),
        cmocka_unit_test(unknown_and_bad_names_are_told_apart),
        cmocka_unit_test(a_topic_is_made_on_demand),
        cmocka_unit_test(garbage_closes),
        cmocka_unit_test(versions_are_told_in_every_shape),
        cmocka_unit_test(bad_software_names_are_refused),
        cmocka_unit_test(producer_ids_are_never_given_twice),
        cmocka_unit_test(topics_are_described_page_by_page),
        cmocka_unit_test(configs_say_where_they_come_from),
        cmocka_unit_test(the_coordinator_is_the_leader_of_the_groups_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
