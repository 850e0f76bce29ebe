/* SPDX-License-Identifier: Apache-2.0
 *
 * test_plan.c -- what requests are refused, with which error and which words, and what good ones
 * do.
 */
#include "cluster_fixture.h"

#include "base/memory.h"

static void assert_refused(const struct cluster_problem *problem, enum wire_error error,
                           const char *words)
{
    assert_int_equal(problem->error, error);
    if (strstr(problem->message, words) == NULL) {
        fail_msg("'%s' does not say '%s'", problem->message, words);
    }
}

static void test_topic_names(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(1, NULL);
    char longest[CLUSTER_TOPIC_NAME_BYTES_MAX + 2];
    memset(longest, 'n', sizeof longest);
    static const struct {
        const char *name;
        size_t length;
    } bad[] = {{"", 0},  {".", 1},        {"..", 2},  {"a/b", 3}, {"a\0b", 3},
               {" ", 1}, {"\xc3\xa9", 2}, {"a\n", 2}, {"a:b", 3}, {"../../etc", 9}};
    struct cluster_topic_request request = fixture_request("x", 1, 1, 1, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request.name = bad[i].name;
        request.name_length = bad[i].length;
        struct cluster_problem problem = fixture_try_create(metadata, &request);
        assert_int_equal(problem.error, WIRE_ERROR_INVALID_TOPIC_EXCEPTION);
    }
    request.name = longest;
    request.name_length = CLUSTER_TOPIC_NAME_BYTES_MAX + 1;
    struct cluster_problem problem = fixture_try_create(metadata, &request);
    assert_int_equal(problem.error, WIRE_ERROR_INVALID_TOPIC_EXCEPTION);
    request.name_length = CLUSTER_TOPIC_NAME_BYTES_MAX;
    const struct cluster_topic *topic = fixture_create(metadata, &request);
    assert_int_equal(topic->name_length, CLUSTER_TOPIC_NAME_BYTES_MAX);
    assert_null(cluster_topic_find(metadata, longest, CLUSTER_TOPIC_NAME_BYTES_MAX + 1));
    struct cluster_topic_request dots = fixture_request("...", 2, 1, 1, 1);
    fixture_create(metadata, &dots);
    cluster_metadata_free(metadata);
}

static void test_taken_and_colliding_names(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(1, NULL);
    struct cluster_topic_request first = fixture_request("foo_bar", 1, 1, 1, 1);
    fixture_create(metadata, &first);
    struct cluster_topic_request again = fixture_request("foo_bar", 2, 1, 1, 1);
    struct cluster_problem problem = fixture_try_create(metadata, &again);
    assert_refused(&problem, WIRE_ERROR_TOPIC_ALREADY_EXISTS, "exists");
    struct cluster_topic_request alike = fixture_request("foo.bar", 2, 1, 1, 1);
    problem = fixture_try_create(metadata, &alike);
    assert_refused(&problem, WIRE_ERROR_INVALID_TOPIC_EXCEPTION, "'foo_bar'");
    assert_null(cluster_topic_find(metadata, "foo.bar", 7));
    struct cluster_topic_request same_id = fixture_request("other", 1, 1, 1, 1);
    problem = fixture_try_create(metadata, &same_id);
    assert_int_equal(problem.error, WIRE_ERROR_INVALID_REQUEST);
    struct cluster_topic_request internal = fixture_request("__consumer_offsets", 3, 1, 1, 1);
    assert_true(fixture_create(metadata, &internal)->is_internal);
    struct cluster_topic_request not_internal = fixture_request("__mine", 4, 1, 1, 1);
    assert_false(fixture_create(metadata, &not_internal)->is_internal);
    cluster_metadata_free(metadata);
}

static void test_counts(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(3, NULL);
    static const struct {
        int32_t partitions;
        int32_t replicas;
        enum wire_error error;
        const char *words;
    } cases[] = {
        {0, 1, WIRE_ERROR_INVALID_PARTITIONS, "0 partitions"},
        {-5, 1, WIRE_ERROR_INVALID_PARTITIONS, "-5 partitions"},
        {INT32_MIN, 1, WIRE_ERROR_INVALID_PARTITIONS, "at least 1"},
        {1000000, 1, WIRE_ERROR_POLICY_VIOLATION, "1000000 partitions"},
        {INT32_MAX, 1, WIRE_ERROR_POLICY_VIOLATION, "at once"},
        {1, 0, WIRE_ERROR_INVALID_REPLICATION_FACTOR, "0"},
        {1, -2, WIRE_ERROR_INVALID_REPLICATION_FACTOR, "-2"},
        {1, 4, WIRE_ERROR_INVALID_REPLICATION_FACTOR, "with 2 live brokers at most 3 is possible"},
        {1, 16, WIRE_ERROR_INVALID_REPLICATION_FACTOR, "1 to 15"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cluster_topic_request request =
            fixture_request("t", 1, cases[i].partitions, cases[i].replicas, 2);
        struct cluster_problem problem = fixture_try_create(metadata, &request);
        assert_refused(&problem, cases[i].error, cases[i].words);
    }
    struct cluster_topic_request defaults = fixture_request("t", 1, -1, -1, 2);
    defaults.default_partition_count = 4;
    defaults.default_replication_factor = 2;
    const struct cluster_topic *topic = fixture_create(metadata, &defaults);
    assert_int_equal(topic->partition_count, 4);
    assert_int_equal(topic->partitions[3].replica_count, 2);
    cluster_metadata_free(metadata);
}

/* A broker that is away gets its share of the replicas, but no partition's leadership, and no
 * partition whose majority would be away. */
static void test_brokers_that_are_away(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(3, NULL);
    struct cluster_topic_request request = fixture_request("t", 1, 6, 3, 2);
    const struct cluster_topic *topic = fixture_create(metadata, &request);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct cluster_partition *partition = &topic->partitions[i];
        assert_int_equal(partition->replica_count, 3);
        assert_int_not_equal(partition->replicas[0], 3);
        assert_int_equal(partition->replicas[2], 3);
    }
    struct cluster_topic_request lonely = fixture_request("u", 2, 1, 2, 1);
    struct cluster_problem problem = fixture_try_create(metadata, &lonely);
    assert_refused(&problem, WIRE_ERROR_INVALID_REPLICATION_FACTOR, "at most 1 is possible");
    cluster_metadata_free(metadata);
}

static void test_partitions_of_the_whole_cluster_are_limited(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(1, NULL);
    char name[32];
    for (uint64_t i = 0; i < CLUSTER_PARTITIONS_MAX / CLUSTER_PARTITIONS_PER_REQUEST_MAX; i++) {
        snprintf(name, sizeof name, "topic%llu", (unsigned long long)i);
        struct cluster_topic_request request =
            fixture_request(name, i, CLUSTER_PARTITIONS_PER_REQUEST_MAX, 1, 1);
        fixture_create(metadata, &request);
    }
    struct cluster_topic_request one_more = fixture_request("one-more", 5000, 1, 1, 1);
    struct cluster_problem problem = fixture_try_create(metadata, &one_more);
    assert_refused(&problem, WIRE_ERROR_POLICY_VIOLATION, "1000000");
    cluster_metadata_free(metadata);
}

static void test_configs(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(1, NULL);
    struct cluster_topic_request request = fixture_request("t", 1, 1, 1, 1);
    struct topic_config_entry entries[2] = {
        {"retention.ms", 12, "1000", 4},
        {"cleanup.policy", 14, "compact", 7},
    };
    request.config = entries;
    request.config_count = 2;
    entries[0] = (struct topic_config_entry){"retention.mz\n", 13, "1000", 4};
    struct cluster_problem problem = fixture_try_create(metadata, &request);
    assert_refused(&problem, WIRE_ERROR_INVALID_CONFIG, "'retention.mz?'");
    entries[0] = (struct topic_config_entry){"retention.ms", 12, "soon", 4};
    problem = fixture_try_create(metadata, &request);
    assert_refused(&problem, WIRE_ERROR_INVALID_CONFIG, "retention.ms: the value 'soon'");
    entries[0] = (struct topic_config_entry){"retention.ms", 12, NULL, -1};
    problem = fixture_try_create(metadata, &request);
    assert_refused(&problem, WIRE_ERROR_INVALID_CONFIG, "no value");
    entries[0] = entries[1];
    problem = fixture_try_create(metadata, &request);
    assert_refused(&problem, WIRE_ERROR_INVALID_CONFIG, "twice");
    entries[0] = (struct topic_config_entry){"retention.ms", 12, "1000", 4};
    const struct cluster_topic *topic = fixture_create(metadata, &request);
    assert_int_equal(topic_config_number(&topic->config, "retention.ms"), 1000);
    assert_string_equal(topic_config_override(&topic->config, "cleanup.policy"), "compact");
    cluster_metadata_free(metadata);
}

static void test_assignments(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(4, NULL);
    static const struct {
        struct cluster_assignment assignments[2];
        int32_t partitions;
        enum wire_error error;
        const char *words;
    } cases[] = {
        {{{0, 2, {1, 2}}, {1, 2, {2, 1}}}, 2, WIRE_ERROR_INVALID_REQUEST, "not both"},
        {{{0, 2, {1, 2}}, {2, 2, {2, 1}}}, -1, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "0 to 1"},
        {{{0, 2, {1, 2}}, {0, 2, {2, 1}}}, -1, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "each once"},
        {{{0, 2, {1, 1}}, {1, 2, {2, 1}}}, -1, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "twice"},
        {{{0, 2, {1, 9}}, {1, 2, {2, 1}}}, -1, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "broker 9"},
        {{{0, 2, {1, 2}}, {1, 1, {2}}}, -1, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "others have"},
        {{{0, 0, {0}}, {1, 1, {2}}}, -1, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "0 brokers"},
        {{{0, 99, {1}}, {1, 1, {2}}}, -1, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "99 brokers"},
        {{{0, 2, {1, 4}}, {1, 2, {2, 1}}}, -1, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "alive"},
    };
    struct cluster_topic_request request = fixture_request("t", 1, -1, -1, 3);
    request.assignment_count = 2;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        request.assignments = cases[i].assignments;
        request.partition_count = cases[i].partitions;
        struct cluster_problem problem = fixture_try_create(metadata, &request);
        assert_refused(&problem, cases[i].error, cases[i].words);
    }
    const struct cluster_assignment good[2] = {{1, 3, {2, 3, 4}}, {0, 3, {3, 2, 1}}};
    request.assignments = good;
    request.partition_count = -1;
    const struct cluster_topic *topic = fixture_create(metadata, &request);
    assert_int_equal(topic->partition_count, 2);
    assert_int_equal(topic->partitions[0].replicas[0], 3);
    assert_int_equal(topic->partitions[1].replicas[0], 2);
    assert_int_equal(topic->partitions[1].replicas[2], 4);
    cluster_metadata_free(metadata);
}

static struct cluster_problem plan_partitions(const struct cluster_metadata *metadata,
                                              const char *name, int32_t count,
                                              const struct cluster_assignment *assignments,
                                              size_t assignment_count, struct wire_writer *writer)
{
    struct cluster_problem problem;
    wire_writer_init(writer, 64);
    cluster_plan_create_partitions(metadata, name, strlen(name), count, assignments,
                                   assignment_count, fixture_live, 3, writer, &problem);
    if (problem.error != WIRE_ERROR_NONE) {
        assert_int_equal(wire_writer_length(writer), 0);
        wire_writer_free(writer);
    }
    return problem;
}

static void test_create_partitions(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(3, NULL);
    struct wire_writer writer;
    struct cluster_topic_request request = fixture_request("t", 1, 3, 2, 3);
    fixture_create(metadata, &request);
    struct cluster_problem problem = plan_partitions(metadata, "u", 4, NULL, 0, &writer);
    assert_refused(&problem, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION, "no such topic");
    problem = plan_partitions(metadata, "t", 3, NULL, 0, &writer);
    assert_refused(&problem, WIRE_ERROR_INVALID_PARTITIONS, "3 partitions already");
    problem = plan_partitions(metadata, "t", -1, NULL, 0, &writer);
    assert_refused(&problem, WIRE_ERROR_INVALID_PARTITIONS, "no increase");
    problem = plan_partitions(metadata, "t", INT32_MAX, NULL, 0, &writer);
    assert_int_equal(problem.error, WIRE_ERROR_POLICY_VIOLATION);
    const struct cluster_assignment one[] = {{0, 2, {3, 1}}, {0, 1, {3}}};
    problem = plan_partitions(metadata, "t", 5, one, 1, &writer);
    assert_refused(&problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "2 partitions are new, but 1");
    problem = plan_partitions(metadata, "t", 5, one, 2, &writer);
    assert_refused(&problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT, "the topic has 2");
    problem = plan_partitions(metadata, "t", 4, one, 1, &writer);
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    struct cluster_change change = fixture_apply(metadata, &writer);
    assert_int_equal(change.kind, CLUSTER_CHANGE_PARTITIONS_ADDED);
    assert_int_equal(change.first_new_partition, 3);
    assert_int_equal(change.topic->partition_count, 4);
    assert_int_equal(change.topic->partitions[3].replicas[0], 3);
    assert_int_equal(change.topic->partitions[3].group_id, 1004);
    problem = plan_partitions(metadata, "t", 6, NULL, 0, &writer);
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    change = fixture_apply(metadata, &writer);
    assert_int_equal(change.topic->partitions[5].replica_count, 2);
    cluster_metadata_free(metadata);
}

static void test_delete_topic(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(1, NULL);
    struct wire_writer writer;
    struct cluster_problem problem;
    struct uuid id = fixture_id(1);
    wire_writer_init(&writer, 64);
    cluster_plan_delete_topic(metadata, &id, &writer, &problem);
    assert_refused(&problem, WIRE_ERROR_UNKNOWN_TOPIC_ID, "no topic");
    struct cluster_topic_request request = fixture_request("t", 1, 2, 1, 1);
    fixture_create(metadata, &request);
    cluster_plan_delete_topic(metadata, &id, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    struct cluster_change change = fixture_apply(metadata, &writer);
    assert_int_equal(change.kind, CLUSTER_CHANGE_TOPIC_DELETED);
    assert_string_equal(change.topic->name, "t");
    assert_int_equal(change.topic->partitions[1].group_id, 1002);
    assert_null(cluster_topic_find(metadata, "t", 1));
    assert_int_equal(cluster_next_group_id(metadata), 1003);
    cluster_metadata_free(metadata);
}

static struct cluster_problem try_register(const struct cluster_metadata *metadata,
                                           const struct cluster_broker *broker)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    wire_writer_init(&writer, 64);
    cluster_plan_register_broker(metadata, broker, &writer, &problem);
    wire_writer_free(&writer);
    return problem;
}

static void test_register_broker(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_change change;
    struct cluster_broker broker = {.id = 0, .kafka_port = 1, .peer_port = 2};
    snprintf(broker.kafka_host, sizeof broker.kafka_host, "here");
    struct cluster_problem problem = try_register(metadata, &broker);
    assert_refused(&problem, WIRE_ERROR_INVALID_REQUEST, "0 is no broker id");
    broker.id = 1u << 31;
    problem = try_register(metadata, &broker);
    assert_int_equal(problem.error, WIRE_ERROR_INVALID_REQUEST);
    broker.id = 1;
    problem = try_register(metadata, &broker);
    assert_refused(&problem, WIRE_ERROR_INVALID_REQUEST, "reach it");
    fixture_register_broker(metadata, 2, "north", &change);
    assert_int_equal(change.broker_id, 2);
    assert_int_equal(cluster_broker_count(metadata), 2);
    assert_string_equal(cluster_broker_find(metadata, 2)->rack, "north");
    assert_string_equal(cluster_broker_find(metadata, 2)->kafka_host, "host2");
    assert_null(cluster_broker_find(metadata, 3));
    cluster_metadata_free(metadata);
}

static void test_producer_ids(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(1, NULL);
    struct wire_writer writer;
    struct cluster_problem problem;
    wire_writer_init(&writer, 64);
    cluster_plan_allocate_producer_ids(metadata, 7, 1000, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_BROKER_ID_NOT_REGISTERED);
    cluster_plan_allocate_producer_ids(metadata, 1, 0, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_INVALID_REQUEST);
    cluster_plan_allocate_producer_ids(metadata, 1, INT32_MAX, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_INVALID_REQUEST);
    wire_writer_free(&writer);
    for (int64_t block = 0; block < 3; block++) {
        wire_writer_init(&writer, 64);
        cluster_plan_allocate_producer_ids(metadata, 1, 1000, &writer, &problem);
        struct cluster_change change = fixture_apply(metadata, &writer);
        assert_int_equal(change.kind, CLUSTER_CHANGE_PRODUCER_IDS);
        assert_int_equal(change.broker_id, 1);
        assert_int_equal(change.producer_id_first, block * 1000);
        assert_int_equal(change.producer_id_count, 1000);
    }
    cluster_metadata_free(metadata);
}

/* ---- Altering configs ---- */

static struct cluster_config_alteration alteration(enum cluster_config_operation operation,
                                                   const char *name, const char *value)
{
    return (struct cluster_config_alteration){
        .entry = {name, (int32_t)strlen(name), value, value == NULL ? -1 : (int32_t)strlen(value)},
        .operation = operation,
    };
}

static struct cluster_problem alter(struct cluster_metadata *metadata,
                                    struct cluster_config_alteration change, bool replace)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    struct uuid id = fixture_id(1);
    wire_writer_init(&writer, 64);
    cluster_plan_alter_topic_config(metadata, &id, &change, 1, replace, &writer, &problem);
    if (problem.error == WIRE_ERROR_NONE) {
        struct cluster_change applied = fixture_apply(metadata, &writer);
        assert_int_equal(applied.kind, CLUSTER_CHANGE_TOPIC_CONFIG);
    } else {
        wire_writer_free(&writer);
    }
    return problem;
}

static void test_alter_topic_config(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(1, NULL);
    struct cluster_topic_request request = fixture_request("t", 1, 1, 1, 1);
    const struct topic_config *config = &fixture_create(metadata, &request)->config;
    alter(metadata, alteration(CLUSTER_CONFIG_SET, "retention.ms", "5"), false);
    alter(metadata, alteration(CLUSTER_CONFIG_SET, "segment.ms", "6"), false);
    assert_int_equal(topic_config_number(config, "retention.ms"), 5);
    assert_int_equal(config->count, 2);
    alter(metadata, alteration(CLUSTER_CONFIG_DELETE, "segment.ms", NULL), false);
    assert_null(topic_config_override(config, "segment.ms"));
    alter(metadata, alteration(CLUSTER_CONFIG_APPEND, "cleanup.policy", "compact,delete"), false);
    assert_string_equal(topic_config_text(config, "cleanup.policy"), "delete,compact");
    alter(metadata, alteration(CLUSTER_CONFIG_SUBTRACT, "cleanup.policy", "delete"), false);
    assert_string_equal(topic_config_text(config, "cleanup.policy"), "compact");
    struct cluster_problem problem =
        alter(metadata, alteration(CLUSTER_CONFIG_SUBTRACT, "cleanup.policy", "compact"), false);
    assert_refused(&problem, WIRE_ERROR_INVALID_CONFIG, "cleanup.policy");
    problem = alter(metadata, alteration(CLUSTER_CONFIG_APPEND, "segment.ms", "7"), false);
    assert_refused(&problem, WIRE_ERROR_INVALID_CONFIG, "no list");
    problem = alter(metadata, alteration(CLUSTER_CONFIG_SET, "no.such", "7"), false);
    assert_refused(&problem, WIRE_ERROR_INVALID_CONFIG, "'no.such'");
    problem = alter(metadata, alteration(CLUSTER_CONFIG_SET, "segment.ms", NULL), false);
    assert_refused(&problem, WIRE_ERROR_INVALID_REQUEST, "no value");
    alter(metadata, alteration(CLUSTER_CONFIG_SET, "segment.bytes", "99"), true);
    assert_int_equal(config->count, 1);
    assert_int_equal(topic_config_number(config, "segment.bytes"), 99);
    cluster_metadata_free(metadata);
}

static struct cluster_problem alter_broker(struct cluster_metadata *metadata, uint32_t broker_id,
                                           struct cluster_config_alteration change, bool replace)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    wire_writer_init(&writer, 64);
    cluster_plan_alter_broker_config(metadata, broker_id, &change, 1, replace, &writer, &problem);
    if (problem.error == WIRE_ERROR_NONE) {
        struct cluster_change applied = fixture_apply(metadata, &writer);
        assert_int_equal(applied.kind, CLUSTER_CHANGE_BROKER_CONFIG);
        assert_int_equal(applied.broker_id, broker_id);
    } else {
        wire_writer_free(&writer);
    }
    return problem;
}

static void test_alter_broker_config(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    alter_broker(metadata, 0, alteration(CLUSTER_CONFIG_SET, "log.retention.ms", "5"), false);
    alter_broker(metadata, 2, alteration(CLUSTER_CONFIG_SET, "max.connections", "20"), false);
    alter_broker(metadata, 2, alteration(CLUSTER_CONFIG_APPEND, "log.cleanup.policy", "compact"),
                 false);
    assert_int_equal(cluster_broker_config(metadata, 1)->count, 0);
    assert_string_equal(topic_config_override(cluster_broker_config(metadata, 0), "retention.ms"),
                        "5");
    assert_string_equal(topic_config_text(cluster_broker_config(metadata, 2), "cleanup.policy"),
                        "delete,compact");

    struct buf *content = NULL;
    struct cluster_metadata *copy = cluster_metadata_new();
    cluster_snapshot_write(metadata, &content);
    assert_true(cluster_snapshot_restore(copy, content->data, content->length_bytes));
    assert_int_equal(cluster_broker_config(copy, 0)->count, 1);
    assert_int_equal(cluster_broker_config(copy, 2)->count, 2);
    assert_string_equal(cluster_broker_config(copy, 2)->overrides[1].value, "20");
    buf_release(content);
    cluster_metadata_free(copy);

    struct cluster_problem problem =
        alter_broker(metadata, 3, alteration(CLUSTER_CONFIG_SET, "max.connections", "20"), false);
    assert_refused(&problem, WIRE_ERROR_BROKER_ID_NOT_REGISTERED, "broker 3");
    problem =
        alter_broker(metadata, 1, alteration(CLUSTER_CONFIG_SET, "max.connections", "2"), false);
    assert_refused(&problem, WIRE_ERROR_INVALID_CONFIG, "max.connections: the value '2'");
    problem = alter_broker(metadata, 1, alteration(CLUSTER_CONFIG_SET, "retention.ms", "2"), false);
    assert_refused(&problem, WIRE_ERROR_INVALID_CONFIG, "'retention.ms'");
    alter_broker(metadata, 2, alteration(CLUSTER_CONFIG_SET, "log.segment.bytes", "99"), true);
    assert_int_equal(cluster_broker_config(metadata, 2)->count, 1);
    alter_broker(metadata, 2, alteration(CLUSTER_CONFIG_DELETE, "log.segment.bytes", NULL), false);
    assert_int_equal(cluster_broker_config(metadata, 2)->count, 0);
    cluster_metadata_free(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topic_names),
        cmocka_unit_test(test_taken_and_colliding_names),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_brokers_that_are_away),
        cmocka_unit_test(test_partitions_of_the_whole_cluster_are_limited),
        cmocka_unit_test(test_configs),
        cmocka_unit_test(test_assignments),
        cmocka_unit_test(test_create_partitions),
        cmocka_unit_test(test_delete_topic),
        cmocka_unit_test(test_register_broker),
        cmocka_unit_test(test_producer_ids),
        cmocka_unit_test(test_alter_topic_config),
        cmocka_unit_test(test_alter_broker_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
