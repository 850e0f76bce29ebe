/* SPDX-License-Identifier: Apache-2.0
 *
 * test_leave.c -- a broker leaves the cluster: what is refused, where its replicas go, when it is
 * gone, and that a snapshot in the middle knows all of it.
 */
#include "cluster_fixture.h"

#define MOVES_MAX 4

typedef void (*leave_plan)(const struct cluster_metadata *metadata, uint32_t broker_id,
                           struct wire_writer *record, struct cluster_problem *problem);

static struct cluster_problem run(struct cluster_metadata *metadata, leave_plan plan,
                                  uint32_t broker_id)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    wire_writer_init(&writer, 64);
    plan(metadata, broker_id, &writer, &problem);
    if (problem.error != WIRE_ERROR_NONE) {
        wire_writer_free(&writer);
        return problem;
    }
    struct cluster_change change = fixture_apply(metadata, &writer);
    assert_int_equal(change.error, WIRE_ERROR_NONE);
    assert_int_equal(change.broker_id, broker_id);
    return problem;
}

static bool is_leaving(const struct cluster_metadata *metadata, uint32_t broker_id)
{
    return cluster_broker_find(metadata, broker_id)->is_leaving;
}

static void assert_survives_snapshot(const struct cluster_metadata *metadata)
{
    struct cluster_metadata *copy = cluster_metadata_new();
    struct buf *content = NULL;
    cluster_snapshot_write(metadata, &content);
    assert_true(cluster_snapshot_restore(copy, content->data, content->length_bytes));
    fixture_assert_equal(metadata, copy);
    size_t position = 0;
    const struct cluster_broker *broker = NULL;
    while ((broker = cluster_broker_next(metadata, &position)) != NULL) {
        assert_int_equal(is_leaving(copy, broker->id), broker->is_leaving);
    }
    buf_release(content);
    cluster_metadata_free(copy);
}

static struct cluster_metadata *cluster_with_topic(uint32_t brokers, const char *const *racks,
                                                   int32_t partitions, int32_t replicas)
{
    struct cluster_metadata *metadata = fixture_cluster(brokers, racks);
    struct cluster_topic_request request = fixture_request("t", 1, partitions, replicas, brokers);
    fixture_create(metadata, &request);
    return metadata;
}

static const struct cluster_topic *topic_of(const struct cluster_metadata *metadata)
{
    return cluster_topic_find(metadata, "t", 1);
}

/* Carries out one plan of moves and completes them; how many there were. */
static size_t evacuate(struct cluster_metadata *metadata, const uint32_t *live, size_t live_count)
{
    struct cluster_move moves[MOVES_MAX];
    size_t count = cluster_plan_evacuation(metadata, live, live_count, moves, MOVES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct wire_writer writer;
        struct cluster_problem problem;
        wire_writer_init(&writer, 64);
        cluster_plan_reassign_partition(metadata, &moves[i].topic_id, moves[i].target.partition,
                                        &moves[i].target, live, live_count, &writer, &problem);
        assert_string_equal(problem.message, "");
        fixture_apply(metadata, &writer);
    }
    if (count == MOVES_MAX) { /* all that may be under way are */
        assert_int_equal(cluster_plan_evacuation(metadata, live, live_count, moves, MOVES_MAX), 0);
    }
    for (size_t i = 0; i < count; i++) {
        const struct cluster_partition *partition =
            &topic_of(metadata)->partitions[moves[i].target.partition];
        struct wire_writer writer;
        struct cluster_problem problem;
        wire_writer_init(&writer, 64);
        cluster_plan_complete_reassignment(metadata, partition->group_id, partition->epoch, &writer,
                                           &problem);
        assert_string_equal(problem.message, "");
        fixture_apply(metadata, &writer);
    }
    return count;
}

static void test_a_broker_leaves(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(5, NULL, 20, 3);
    uint64_t to_move = cluster_broker_replica_count(metadata, 2);
    assert_int_equal(to_move, 12);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 2).error, WIRE_ERROR_NONE);
    assert_true(is_leaving(metadata, 2));
    assert_survives_snapshot(metadata);
    assert_int_equal(run(metadata, cluster_plan_unregister_broker, 2).error,
                     WIRE_ERROR_INVALID_REQUEST);
    uint64_t moved = 0;
    size_t count = 0;
    while ((count = evacuate(metadata, fixture_live, 5)) > 0) {
        moved += count;
    }
    assert_int_equal(moved, to_move);
    for (uint32_t id = 1; id <= 5; id++) { /* and evenly */
        assert_int_equal(cluster_broker_replica_count(metadata, id), id == 2 ? 0 : 15);
    }
    assert_int_equal(run(metadata, cluster_plan_unregister_broker, 2).error, WIRE_ERROR_NONE);
    assert_null(cluster_broker_find(metadata, 2));
    assert_int_equal(cluster_broker_count(metadata), 4);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 2).error,
                     WIRE_ERROR_BROKER_ID_NOT_REGISTERED);
    assert_survives_snapshot(metadata);
    cluster_metadata_free(metadata);
}

static void test_racks_are_kept_apart(void **state)
{
    (void)state;
    static const char *const racks[] = {"a", "b", "c", "a", "b", "c"};
    struct cluster_metadata *metadata = cluster_with_topic(6, racks, 12, 3);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 1).error, WIRE_ERROR_NONE);
    while (evacuate(metadata, fixture_live, 6) > 0) {
    }
    for (uint32_t i = 0; i < 12; i++) {
        const struct cluster_partition *partition = &topic_of(metadata)->partitions[i];
        bool seen[3] = {false, false, false};
        for (uint32_t j = 0; j < partition->replica_count; j++) {
            seen[(partition->replicas[j] - 1) % 3] = true;
        }
        assert_true(seen[0] && seen[1] && seen[2]);
    }
    cluster_metadata_free(metadata);
}

static void test_nothing_is_placed_on_a_leaver(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(4, NULL, 1, 1);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 3).error, WIRE_ERROR_NONE);
    struct cluster_topic_request request = fixture_request("u", 2, 30, 3, 4);
    fixture_create(metadata, &request);
    assert_int_equal(cluster_broker_replica_count(metadata, 3),
                     topic_of(metadata)->partitions[0].replicas[0] == 3 ? 1 : 0);
    request = fixture_request("v", 3, 1, 4, 4);
    assert_int_equal(fixture_try_create(metadata, &request).error,
                     WIRE_ERROR_INVALID_REPLICATION_FACTOR);
    struct cluster_assignment wanted = {.replica_count = 1, .replicas = {3}};
    request = fixture_request("w", 4, -1, -1, 4);
    request.assignments = &wanted;
    request.assignment_count = 1;
    struct cluster_problem problem = fixture_try_create(metadata, &request);
    assert_int_equal(problem.error, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_non_null(strstr(problem.message, "leaving"));
    cluster_metadata_free(metadata);
}

static void test_refused_when_too_few_would_remain(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(4, NULL, 2, 3);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 4).error, WIRE_ERROR_NONE);
    struct cluster_problem problem = run(metadata, cluster_plan_decommission_broker, 1);
    assert_int_equal(problem.error, WIRE_ERROR_POLICY_VIOLATION);
    assert_non_null(strstr(problem.message, "topic t has 3 replicas"));
    assert_false(is_leaving(metadata, 1));
    cluster_metadata_free(metadata);

    metadata = fixture_cluster(1, NULL);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 1).error,
                     WIRE_ERROR_POLICY_VIOLATION);
    cluster_metadata_free(metadata);
}

static void test_cancelled(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(4, NULL, 8, 3);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 1).error, WIRE_ERROR_NONE);
    struct cluster_change change;
    fixture_register_broker(metadata, 1, "", &change); /* a restart in the middle */
    assert_true(is_leaving(metadata, 1));
    assert_int_equal(run(metadata, cluster_plan_recommission_broker, 1).error, WIRE_ERROR_NONE);
    assert_false(is_leaving(metadata, 1));
    assert_int_equal(evacuate(metadata, fixture_live, 4), 0);
    assert_int_equal(run(metadata, cluster_plan_unregister_broker, 1).error,
                     WIRE_ERROR_INVALID_REQUEST);
    cluster_metadata_free(metadata);
}

static void test_waits_for_a_broker_that_can_take_over(void **state)
{
    (void)state;
    static const uint32_t live[] = {1, 2, 3};
    struct cluster_metadata *metadata = cluster_with_topic(4, NULL, 4, 3);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 1).error, WIRE_ERROR_NONE);
    /* Broker 4 is away, so partitions that 2 and 3 hold already find nobody. */
    while (evacuate(metadata, live, 3) > 0) {
    }
    assert_true(cluster_broker_replica_count(metadata, 1) > 0);
    while (evacuate(metadata, fixture_live, 4) > 0) {
    }
    assert_int_equal(cluster_broker_replica_count(metadata, 1), 0);
    cluster_metadata_free(metadata);
}

static void reassign(struct cluster_metadata *metadata, uint32_t partition, uint32_t replica_count,
                     struct wire_writer *record)
{
    struct cluster_problem problem;
    struct cluster_assignment target = {.partition = partition, .replica_count = replica_count};
    memcpy(target.replicas, fixture_live, sizeof target.replicas);
    wire_writer_init(record, 64);
    cluster_plan_reassign_partition(metadata, &topic_of(metadata)->id, partition, &target,
                                    fixture_live, 4, record, &problem);
    assert_string_equal(problem.message, "");
}

/* Each was planned when nothing stood against it, and the other one came first. */
static void test_leaving_and_more_replicas_at_once(void **state)
{
    (void)state;
    struct wire_writer leaving;
    struct wire_writer moving;
    struct cluster_problem problem;
    for (uint32_t leaves_first = 0; leaves_first < 2; leaves_first++) {
        struct cluster_metadata *metadata = cluster_with_topic(4, NULL, 2, 3);
        wire_writer_init(&leaving, 64);
        cluster_plan_decommission_broker(metadata, 2, &leaving, &problem);
        reassign(metadata, 0, 4, &moving);
        struct cluster_change first = fixture_apply(metadata, leaves_first ? &leaving : &moving);
        struct cluster_change second = fixture_apply(metadata, leaves_first ? &moving : &leaving);
        assert_int_equal(first.error, WIRE_ERROR_NONE);
        assert_int_equal(second.error, leaves_first ? WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT
                                                    : WIRE_ERROR_POLICY_VIOLATION);
        assert_int_equal(is_leaving(metadata, 2), leaves_first);
        assert_survives_snapshot(metadata);
        cluster_metadata_free(metadata);
    }
}

static void test_leaving_and_a_topic_at_once(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(4, NULL, 2, 3);
    struct cluster_topic_request request = fixture_request("wide", 2, 1, 4, 4);
    struct wire_writer topic;
    struct cluster_problem problem;
    wire_writer_init(&topic, 64);
    cluster_plan_create_topic(metadata, &request, &topic, &problem);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 2).error, WIRE_ERROR_NONE);
    assert_int_equal(fixture_apply(metadata, &topic).error, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_null(cluster_topic_find(metadata, "wide", 4));
    cluster_metadata_free(metadata);
}

/* Without topics nothing else is in the way. */
static void test_the_last_two_at_once(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct wire_writer other;
    struct cluster_problem problem;
    wire_writer_init(&other, 64);
    cluster_plan_decommission_broker(metadata, 2, &other, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 1).error, WIRE_ERROR_NONE);
    assert_int_equal(fixture_apply(metadata, &other).error, WIRE_ERROR_POLICY_VIOLATION);
    assert_true(is_leaving(metadata, 1));
    assert_false(is_leaving(metadata, 2));
    assert_survives_snapshot(metadata);
    cluster_metadata_free(metadata);
}

/* It was to have fewer replicas, so that a broker may leave; and then it is to have them after all.
 */
static void test_no_way_back_to_a_leaver_that_is_needed(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(4, NULL, 1, 4);
    struct wire_writer writer;
    struct cluster_problem problem;
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 4).error,
                     WIRE_ERROR_POLICY_VIOLATION);
    reassign(metadata, 0, 3, &writer);
    fixture_apply(metadata, &writer);
    assert_int_equal(run(metadata, cluster_plan_decommission_broker, 4).error, WIRE_ERROR_NONE);
    wire_writer_init(&writer, 64);
    cluster_plan_cancel_reassignment(metadata, &topic_of(metadata)->id, 0, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
    wire_writer_free(&writer);
    cluster_metadata_free(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_broker_leaves),
        cmocka_unit_test(test_racks_are_kept_apart),
        cmocka_unit_test(test_nothing_is_placed_on_a_leaver),
        cmocka_unit_test(test_refused_when_too_few_would_remain),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_waits_for_a_broker_that_can_take_over),
        cmocka_unit_test(test_leaving_and_more_replicas_at_once),
        cmocka_unit_test(test_leaving_and_a_topic_at_once),
        cmocka_unit_test(test_the_last_two_at_once),
        cmocka_unit_test(test_no_way_back_to_a_leaver_that_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
