/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tables.c -- the small tables a broker keeps: request types, leaders, admitted connections,
 * brokers that are present, suppressed log lines.
 */
#include "base/map.h"
#include "broker/admission.h"
#include "broker/config_table.h"
#include "broker/kafka_config_table.h"
#include "broker/leader_table.h"
#include "broker/line_limit.h"
#include "broker/peer_presence.h"
#include "broker/request.h"
#include "cluster/dynamic_config.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_request_table_is_sorted_and_whole(void **state)
{
    (void)state;
    int32_t last_type = -1;
    for (size_t i = 0; i < request_configuration_count(); i++) {
        const struct request_configuration *row = request_configuration_at(i);
        assert_true(row->type > last_type);
        last_type = row->type;
        assert_ptr_equal(request_configuration_find(row->type), row);
        assert_non_null(row->handler);
        assert_true(row->version_least <= row->version_most);
        assert_true(row->version_advertised_least <= row->version_least);
        bool is_between_brokers =
            row->class == REQUEST_INTER_BROKER || row->class == REQUEST_CONTROLLER;
        bool is_for_operators = row->type == REQUEST_RECOMMISSION_BROKER;
        assert_int_equal(is_between_brokers || is_for_operators,
                         row->type >= REQUEST_FIRST_PEER_TYPE);
    }
    assert_null(request_configuration_at(request_configuration_count()));
}

static void test_unknown_request_types(void **state)
{
    (void)state;
    static const int16_t unknown[] = {-1, INT16_MIN, 4, 999, 1999, INT16_MAX};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_null(request_configuration_find(unknown[i]));
    }
}

static void put_name(struct map *names, const char *name)
{
    if (name[0] != '\0' && map_put_bytes(names, name, strlen(name), names) != NULL) {
        fail_msg("the broker config %s stands in two tables", name);
    }
}

static void test_broker_configs_stand_in_one_table(void **state)
{
    (void)state;
    struct map names;
    map_init(&names);
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        put_name(&names, row->kafka_name[0] != '\0' ? row->kafka_name : row->name);
    }
    for (size_t i = 0; i < topic_config_row_count(); i++) {
        put_name(&names, topic_config_row(i)->broker_name);
    }
    for (size_t i = 0; i < kafka_config_row_count(); i++) {
        const struct kafka_config_row *row = kafka_config_row(i);
        put_name(&names, row->name);
        assert_true(i == 0 || strcmp(kafka_config_row(i - 1)->name, row->name) < 0);
        assert_ptr_equal(kafka_config_find(row->name, strlen(row->name)), row);
        assert_true((row->reason == KAFKA_CONFIG_ALIAS) == (row->key[0] != '\0'));
        assert_true(row->key[0] == '\0' || config_row_find(row->key) != NULL);
        assert_true(row->type != KAFKA_CONFIG_PASSWORD || row->default_text == NULL);
        assert_non_null(kafka_config_text(row));
    }
    map_free(&names);
}

static void test_dynamic_configs_have_the_defaults_of_their_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < dynamic_config_broker_row_count(); i++) {
        const struct topic_config_row *row = dynamic_config_broker_row(i);
        const struct config_row *key = NULL;
        for (size_t j = 0; j < config_row_count(); j++) {
            key = strcmp(config_row_at(j)->kafka_name, row->name) == 0 ? config_row_at(j) : key;
        }
        assert_non_null(key);
        assert_string_equal(key->default_text, row->default_text);
        assert_int_equal(key->least, row->least);
        assert_int_equal(key->most, row->most);
    }
}

/* What a replica lost from sight counts again when the replica is gone. */
static void test_leaders_last_of_a_term(void **state)
{
    (void)state;
    struct leader_table *table = leader_table_new();
    uint64_t term = 9;
    assert_int_equal(leader_table_last(table, 1001, &term), 0);
    assert_int_equal(term, 0);
    assert_true(leader_table_put(table, 1001, 2, 5));
    assert_true(leader_table_put(table, 1001, 0, 5));
    assert_int_equal(leader_table_last(table, 1001, &term), 2);
    assert_int_equal(term, 5);
    assert_true(leader_table_put(table, 1001, 0, 6));
    assert_int_equal(leader_table_last(table, 1001, &term), 0);
    assert_int_equal(term, 6);
    leader_table_free(table);
}

static void test_leaders_highest_term_wins(void **state)
{
    (void)state;
    struct leader_table *table = leader_table_new();
    uint32_t leader = 9;
    uint64_t term = 9;
    assert_false(leader_table_get(table, 1001, &leader, &term));
    assert_int_equal(leader, 0);
    assert_true(leader_table_put(table, 1001, 2, 5));
    assert_false(leader_table_put(table, 1001, 3, 4));
    assert_false(leader_table_put(table, 1001, 2, 5));
    assert_true(leader_table_put(table, 1001, 0, 6));
    assert_true(leader_table_put(table, 1001, 3, 6));
    assert_true(leader_table_get(table, 1001, &leader, &term));
    assert_int_equal(leader, 3);
    assert_int_equal(term, 6);
    leader_table_remove(table, 1001);
    leader_table_remove(table, 1001);
    assert_false(leader_table_get(table, 1001, &leader, &term));
    leader_table_free(table);
}

static uint32_t slot_of(const char *text)
{
    struct io_address address = {0};
    assert_true(io_address_parse(&address, text, 1));
    return admission_slot(&address);
}

static void test_admission_counts_whole_and_address(void **state)
{
    (void)state;
    struct admission *admission = memory_allocate_zeroed(sizeof *admission);
    uint32_t here = slot_of("10.0.0.1");
    uint32_t there = slot_of("10.0.0.2");
    assert_int_not_equal(here, there);
    assert_true(admission_enter(admission, here, 3, 2));
    assert_true(admission_enter(admission, here, 3, 2));
    assert_false(admission_enter(admission, here, 3, 2));
    assert_true(admission_enter(admission, there, 3, 2));
    assert_false(admission_enter(admission, there, 3, 2));
    admission_leave(admission, here);
    assert_true(admission_enter(admission, there, 3, 2));
    memory_free(admission);
}

static void test_admission_counts_ipv6_by_network(void **state)
{
    (void)state;
    assert_int_equal(slot_of("2001:db8:1:2::1"), slot_of("2001:db8:1:2:ffff::9"));
    assert_int_not_equal(slot_of("2001:db8:1:2::1"), slot_of("2001:db8:1:3::1"));
    assert_int_equal(slot_of("10.0.0.1"), slot_of("::ffff:10.0.0.1"));
}

static void test_one_process_to_a_broker_id(void **state)
{
    (void)state;
    struct peer_presence *presence = peer_presence_new();
    const struct connection_peer first = {.broker_id = 2, .incarnation = {{1}}};
    const struct connection_peer second = {.broker_id = 2, .incarnation = {{2}}};
    const uint64_t start_ns = 10 * PEER_PRESENCE_HEARD_NS;

    assert_false(peer_presence_is_live(presence, 2, start_ns));
    assert_true(peer_presence_enter(presence, &first, start_ns));
    assert_true(peer_presence_enter(presence, &first, start_ns));
    assert_true(peer_presence_is_live(presence, 2, start_ns));
    assert_false(peer_presence_enter(presence, &second, start_ns + 1));

    /* One that is gone makes room at once, */
    peer_presence_left(presence, &first);
    assert_false(peer_presence_enter(presence, &second, start_ns + 2));
    peer_presence_left(presence, &first);
    assert_true(peer_presence_enter(presence, &second, start_ns + 3));

    /* one that fell silent after a while, and its connections' end is not the other's. */
    assert_true(peer_presence_enter(presence, &first, start_ns + 3 + PEER_PRESENCE_HEARD_NS));
    peer_presence_left(presence, &second);
    assert_true(peer_presence_is_live(presence, 2, start_ns + 3 + PEER_PRESENCE_HEARD_NS));
    peer_presence_free(presence);
}

static void test_a_broker_that_falls_silent_is_not_live(void **state)
{
    (void)state;
    struct peer_presence *presence = peer_presence_new();
    const struct connection_peer peer = {.broker_id = 2, .incarnation = {{1}}};
    assert_true(peer_presence_enter(presence, &peer, 1));
    peer_presence_heard(presence, 2, 100);
    assert_true(peer_presence_is_live(presence, 2, 99 + PEER_PRESENCE_HEARD_NS));
    assert_false(peer_presence_is_live(presence, 2, 100 + PEER_PRESENCE_HEARD_NS));
    peer_presence_heard(presence, 3, 100);
    assert_false(peer_presence_is_live(presence, 3, 100));
    peer_presence_free(presence);
}

static void test_log_lines_are_limited(void **state)
{
    (void)state;
    struct line_limit limit = {0};
    const uint64_t second_ns = 1000000000ull;
    uint64_t missed = 0;
    for (uint32_t i = 0; i < LINE_LIMIT_A_SECOND; i++) {
        assert_true(line_limit_allows(&limit, second_ns, &missed));
    }
    assert_false(line_limit_allows(&limit, second_ns + 1, &missed));
    assert_false(line_limit_allows(&limit, second_ns + 2, &missed));
    assert_true(line_limit_allows(&limit, 2 * second_ns, &missed));
    assert_int_equal(missed, 2);
    assert_true(line_limit_allows(&limit, 2 * second_ns, &missed));
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_table_is_sorted_and_whole),
        cmocka_unit_test(test_broker_configs_stand_in_one_table),
        cmocka_unit_test(test_dynamic_configs_have_the_defaults_of_their_keys),
        cmocka_unit_test(test_unknown_request_types),
        cmocka_unit_test(test_leaders_highest_term_wins),
        cmocka_unit_test(test_leaders_last_of_a_term),
        cmocka_unit_test(test_admission_counts_whole_and_address),
        cmocka_unit_test(test_admission_counts_ipv6_by_network),
        cmocka_unit_test(test_one_process_to_a_broker_id),
        cmocka_unit_test(test_a_broker_that_falls_silent_is_not_live),
        cmocka_unit_test(test_log_lines_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
