/* SPDX-License-Identifier: Apache-2.0
 *
 * test_model.c -- random changes to a cluster against a model of plain arrays.
 *
 * One copy plans, and every record is applied to it and to a second copy, which is sometimes
 * rebuilt from a snapshot.  After each step the copies and the model agree.
 */
#include "cluster_fixture.h"

#include "base/prng.h"

#define TOPICS 12
#define BROKERS 5
#define STEPS 600

struct model_topic {
    bool exists;
    struct uuid id;
    uint32_t partition_count;
    uint32_t replica_count;
    uint64_t group_ids[64];
    int64_t retention_ms; /* -1: default */
};

struct model {
    struct model_topic topics[TOPICS];
    uint64_t next_group_id;
    int64_t next_producer_id;
};

struct run {
    struct prng prng;
    struct model model;
    struct cluster_metadata *planning;
    struct cluster_metadata *following;
    uint64_t ids_used;
};

static const char *name_of(size_t number)
{
    static const char *const names[TOPICS] = {"a",      "b.b",      "c-c", "d_d",
                                              "orders", "orders-2", "zz",  "y.1",
                                              "y-1",    "Z",        "__x", "__consumer_offsets"};
    return names[number];
}

/* Applies to both copies; the change as the planning copy saw it. */
static struct cluster_change apply_to_both(struct run *run, struct wire_writer *writer)
{
    struct cluster_change change;
    struct cluster_change followed;
    const uint8_t *data = writer->buf->data;
    size_t length = wire_writer_length(writer);
    assert_true(cluster_apply(run->following, data, length, &followed));
    assert_true(cluster_apply(run->planning, data, length, &change));
    assert_int_equal(change.kind, followed.kind);
    assert_int_equal(change.error, followed.error);
    wire_writer_free(writer);
    return change;
}

static void take_groups(struct run *run, struct model_topic *topic, uint32_t count)
{
    for (uint32_t i = topic->partition_count; i < count; i++) {
        topic->group_ids[i] = run->model.next_group_id++;
    }
    topic->partition_count = count;
}

static void create_topic(struct run *run, size_t number)
{
    struct model_topic *topic = &run->model.topics[number];
    struct wire_writer writer;
    struct cluster_problem problem;
    int32_t partitions = 1 + (int32_t)prng_below(&run->prng, 12);
    int32_t replicas = 1 + (int32_t)prng_below(&run->prng, BROKERS);
    struct cluster_topic_request request =
        fixture_request(name_of(number), ++run->ids_used, partitions, replicas, BROKERS);
    wire_writer_init(&writer, 64);
    cluster_plan_create_topic(run->planning, &request, &writer, &problem);
    if (topic->exists) {
        assert_int_equal(problem.error, WIRE_ERROR_TOPIC_ALREADY_EXISTS);
        wire_writer_free(&writer);
        return;
    }
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    assert_int_equal(apply_to_both(run, &writer).kind, CLUSTER_CHANGE_TOPIC_CREATED);
    *topic = (struct model_topic){
        .exists = true,
        .id = request.id,
        .replica_count = (uint32_t)replicas,
        .retention_ms = -1,
    };
    take_groups(run, topic, (uint32_t)partitions);
}

static void delete_topic(struct run *run, size_t number)
{
    struct model_topic *topic = &run->model.topics[number];
    struct wire_writer writer;
    struct cluster_problem problem;
    wire_writer_init(&writer, 64);
    cluster_plan_delete_topic(run->planning, &topic->id, &writer, &problem);
    if (!topic->exists) {
        assert_int_equal(problem.error, WIRE_ERROR_UNKNOWN_TOPIC_ID);
        wire_writer_free(&writer);
        return;
    }
    struct cluster_change change = apply_to_both(run, &writer);
    assert_int_equal(change.kind, CLUSTER_CHANGE_TOPIC_DELETED);
    assert_string_equal(change.topic->name, name_of(number));
    assert_int_equal(change.topic->partition_count, topic->partition_count);
    topic->exists = false;
}

static void add_partitions(struct run *run, size_t number)
{
    struct model_topic *topic = &run->model.topics[number];
    struct wire_writer writer;
    struct cluster_problem problem;
    const char *name = name_of(number);
    uint32_t count = topic->partition_count + (uint32_t)prng_below(&run->prng, 4);
    if (count > 60) {
        return;
    }
    wire_writer_init(&writer, 64);
    cluster_plan_create_partitions(run->planning, name, strlen(name), (int32_t)count, NULL, 0,
                                   fixture_live, BROKERS, &writer, &problem);
    if (!topic->exists || count == topic->partition_count) {
        assert_int_equal(problem.error, topic->exists ? WIRE_ERROR_INVALID_PARTITIONS
                                                      : WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        wire_writer_free(&writer);
        return;
    }
    struct cluster_change change = apply_to_both(run, &writer);
    assert_int_equal(change.kind, CLUSTER_CHANGE_PARTITIONS_ADDED);
    assert_int_equal(change.first_new_partition, topic->partition_count);
    take_groups(run, topic, count);
}

static void alter_retention(struct run *run, size_t number)
{
    struct model_topic *topic = &run->model.topics[number];
    struct wire_writer writer;
    struct cluster_problem problem;
    char value[32];
    bool set = prng_below(&run->prng, 2) == 0;
    int64_t retention_ms = (int64_t)prng_below(&run->prng, 1000000);
    int length = snprintf(value, sizeof value, "%lld", (long long)retention_ms);
    struct cluster_config_alteration alteration = {
        .entry = {"retention.ms", 12, value, length},
        .operation = set ? CLUSTER_CONFIG_SET : CLUSTER_CONFIG_DELETE,
    };
    wire_writer_init(&writer, 64);
    cluster_plan_alter_topic_config(run->planning, &topic->id, &alteration, 1, false, &writer,
                                    &problem);
    if (!topic->exists) {
        assert_int_equal(problem.error, WIRE_ERROR_UNKNOWN_TOPIC_ID);
        wire_writer_free(&writer);
        return;
    }
    assert_int_equal(apply_to_both(run, &writer).kind, CLUSTER_CHANGE_TOPIC_CONFIG);
    topic->retention_ms = set ? retention_ms : -1;
}

static void allocate_producer_ids(struct run *run)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    int32_t count = 1 + (int32_t)prng_below(&run->prng, 100);
    wire_writer_init(&writer, 64);
    cluster_plan_allocate_producer_ids(run->planning, 1, count, &writer, &problem);
    struct cluster_change change = apply_to_both(run, &writer);
    assert_int_equal(change.producer_id_first, run->model.next_producer_id);
    run->model.next_producer_id += count;
}

static void rebuild_follower(struct run *run)
{
    struct buf *content = NULL;
    cluster_snapshot_write(run->following, &content);
    assert_true(cluster_snapshot_restore(run->following, content->data, content->length_bytes));
    buf_release(content);
}

static void assert_topic_agrees(const struct cluster_metadata *metadata, size_t number,
                                const struct model_topic *expected)
{
    const char *name = name_of(number);
    const struct cluster_topic *topic = cluster_topic_find(metadata, name, strlen(name));
    assert_int_equal(topic != NULL, expected->exists);
    assert_ptr_equal(cluster_topic_find_id(metadata, &expected->id), topic);
    for (uint32_t i = 0; i < expected->partition_count; i++) {
        const struct cluster_topic *served = NULL;
        uint32_t partition = 0;
        assert_int_equal(cluster_group_find(metadata, expected->group_ids[i], &served, &partition),
                         expected->exists);
        if (topic != NULL) {
            assert_ptr_equal(served, topic);
            assert_int_equal(partition, i);
            assert_int_equal(topic->partitions[i].replica_count, expected->replica_count);
        }
    }
    if (topic != NULL) {
        assert_int_equal(topic->partition_count, expected->partition_count);
        assert_int_equal(topic_config_number(&topic->config, "retention.ms"),
                         expected->retention_ms < 0 ? 604800000 : expected->retention_ms);
    }
}

static void assert_all_agree(const struct run *run)
{
    size_t count = 0;
    fixture_assert_equal(run->planning, run->following);
    for (size_t i = 0; i < TOPICS; i++) {
        assert_topic_agrees(run->following, i, &run->model.topics[i]);
        count += run->model.topics[i].exists ? 1 : 0;
    }
    assert_int_equal(cluster_topic_count(run->following), count);
    assert_int_equal(cluster_next_group_id(run->following), run->model.next_group_id);
}

static void step(struct run *run)
{
    size_t number = (size_t)prng_below(&run->prng, TOPICS);
    switch (prng_below(&run->prng, 8)) {
    case 0:
    case 1:
        create_topic(run, number);
        break;
    case 2:
        delete_topic(run, number);
        break;
    case 3:
        add_partitions(run, number);
        break;
    case 4:
    case 5:
        alter_retention(run, number);
        break;
    case 6:
        allocate_producer_ids(run);
        break;
    default:
        rebuild_follower(run);
        break;
    }
}

static void test_random_changes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct run run = {
            .model = {.next_group_id = CLUSTER_FIRST_PARTITION_GROUP_ID},
            .planning = fixture_cluster(BROKERS, NULL),
            .following = fixture_cluster(BROKERS, NULL),
        };
        prng_init(&run.prng, seed);
        for (uint32_t i = 0; i < STEPS; i++) {
            step(&run);
            assert_all_agree(&run);
        }
        cluster_metadata_free(run.planning);
        cluster_metadata_free(run.following);
    }
}

static void test_many_partitions_are_cheap_to_hold(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(3, NULL);
    struct cluster_metadata *copy = cluster_metadata_new();
    struct buf *content = NULL;
    char name[32];
    for (uint64_t i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "topic.%llu", (unsigned long long)(i * 7919 % 2000));
        struct cluster_topic_request request = fixture_request(name, i + 1, 10, 3, 3);
        fixture_create(metadata, &request);
    }
    for (uint64_t group = 1001; group < 21001; group++) {
        const struct cluster_topic *topic;
        uint32_t partition;
        assert_true(cluster_group_find(metadata, group, &topic, &partition));
        assert_int_equal(topic->partitions[partition].group_id, group);
    }
    cluster_snapshot_write(metadata, &content);
    assert_true(cluster_snapshot_restore(copy, content->data, content->length_bytes));
    assert_int_equal(cluster_topic_count(copy), 2000);
    buf_release(content);
    cluster_metadata_free(metadata);
    cluster_metadata_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_many_partitions_are_cheap_to_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
