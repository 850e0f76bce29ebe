/* SPDX-License-Identifier: Apache-2.0
 *
 * test_reassignment.c -- moving the replicas of a partition, as the metadata sees it: begin, alter,
 * cancel, complete; incarnations that never come back; snapshots in the middle of it.
 */
#include "cluster_fixture.h"

#include "base/crc32c.h"
#include "base/prng.h"
#include "cluster/record.h"
#include "wire/topic_state.h"

#define GROUP CLUSTER_FIRST_PARTITION_GROUP_ID
#define BROKERS 6

static struct cluster_metadata *cluster_with_topic(uint32_t replicas)
{
    struct cluster_metadata *metadata = fixture_cluster(BROKERS, NULL);
    struct cluster_topic_request request = fixture_request("t", 1, 1, -1, BROKERS);
    struct cluster_assignment founding = {.replica_count = replicas};
    for (uint32_t i = 0; i < replicas; i++) {
        founding.replicas[i] = i + 1;
    }
    request.partition_count = -1;
    request.replication_factor = -1;
    request.assignments = &founding;
    request.assignment_count = 1;
    fixture_create(metadata, &request);
    return metadata;
}

static const struct cluster_partition *partition_of(const struct cluster_metadata *metadata)
{
    return &cluster_topic_find(metadata, "t", 1)->partitions[0];
}

static struct cluster_assignment to(uint32_t count, const uint32_t *brokers)
{
    struct cluster_assignment target = {.replica_count = count};
    memcpy(target.replicas, brokers, count * sizeof brokers[0]);
    return target;
}

static struct cluster_problem try_reassign(const struct cluster_metadata *metadata,
                                           struct cluster_assignment target,
                                           struct wire_writer *writer)
{
    struct cluster_problem problem;
    struct uuid id = fixture_id(1);
    wire_writer_init(writer, 64);
    cluster_plan_reassign_partition(metadata, &id, 0, &target, fixture_live, BROKERS, writer,
                                    &problem);
    return problem;
}

static void reassign(struct cluster_metadata *metadata, struct cluster_assignment target)
{
    struct wire_writer writer;
    struct cluster_problem problem = try_reassign(metadata, target, &writer);
    assert_string_equal(problem.message, "");
    struct cluster_change change = fixture_apply(metadata, &writer);
    assert_int_equal(change.kind, CLUSTER_CHANGE_REASSIGNMENT);
    assert_int_equal(change.partition, 0);
    assert_ptr_equal(change.topic, cluster_topic_find(metadata, "t", 1));
}

static enum wire_error cancel(struct cluster_metadata *metadata)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    struct uuid id = fixture_id(1);
    wire_writer_init(&writer, 64);
    cluster_plan_cancel_reassignment(metadata, &id, 0, &writer, &problem);
    if (problem.error == WIRE_ERROR_NONE) {
        struct cluster_change change = fixture_apply(metadata, &writer);
        assert_int_equal(change.kind, CLUSTER_CHANGE_REASSIGNMENT);
    } else {
        wire_writer_free(&writer);
    }
    return problem.error;
}

static enum wire_error complete(struct cluster_metadata *metadata, uint32_t epoch)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    wire_writer_init(&writer, 64);
    cluster_plan_complete_reassignment(metadata, GROUP, epoch, &writer, &problem);
    if (problem.error == WIRE_ERROR_NONE) {
        struct cluster_change change = fixture_apply(metadata, &writer);
        assert_int_equal(change.kind, CLUSTER_CHANGE_REASSIGNMENT);
    } else {
        wire_writer_free(&writer);
    }
    return problem.error;
}

/* Of each replica the broker, its standing (+ adding, - removing, ~ withdrawn) and its incarnation.
 */
static void assert_replicas(const struct cluster_metadata *metadata, const char *expected)
{
    static const char marks[] = {' ', '+', '-', '~'};
    const struct cluster_partition *partition = partition_of(metadata);
    char text[256] = "";
    size_t length = 0;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%u%c%u",
                                   i > 0 ? " " : "", partition->replicas[i],
                                   marks[partition->standings[i]], partition->incarnations[i]);
    }
    assert_string_equal(text, expected);
}

static void assert_survives_snapshot(const struct cluster_metadata *metadata)
{
    struct cluster_metadata *copy = cluster_metadata_new();
    struct buf *content = NULL;
    cluster_snapshot_write(metadata, &content);
    assert_true(cluster_snapshot_restore(copy, content->data, content->length_bytes));
    fixture_assert_equal(metadata, copy);
    buf_release(content);
    cluster_metadata_free(copy);
}

static void test_move_all_and_back(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(3);
    assert_replicas(metadata, "1 0 2 0 3 0");
    reassign(metadata, to(3, (uint32_t[]){3, 4, 5}));
    assert_replicas(metadata, "3 0 4+1 5+1 1-0 2-0");
    assert_true(cluster_partition_is_moving(partition_of(metadata)));
    assert_int_equal(cluster_partition_replication_factor(partition_of(metadata)), 3);
    assert_survives_snapshot(metadata);
    assert_int_equal(complete(metadata, 0), WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(complete(metadata, 1), WIRE_ERROR_NONE);
    assert_replicas(metadata, "3 0 4 1 5 1");
    assert_false(cluster_partition_is_moving(partition_of(metadata)));
    assert_int_equal(complete(metadata, 1), WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    reassign(metadata, to(3, (uint32_t[]){1, 2, 3}));
    assert_replicas(metadata, "1+2 2+2 3 0 4-1 5-1");
    assert_int_equal(complete(metadata, 2), WIRE_ERROR_NONE);
    assert_replicas(metadata, "1 2 2 2 3 0");
    assert_survives_snapshot(metadata);
    cluster_metadata_free(metadata);
}

static void test_cancel(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(2);
    assert_int_equal(cancel(metadata), WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    reassign(metadata, to(2, (uint32_t[]){4, 2}));
    assert_int_equal(cancel(metadata), WIRE_ERROR_NONE);
    assert_replicas(metadata, "2 0 1 0 4~1"); /* 4 may have begun: it is listed until it is out */
    assert_int_equal(partition_of(metadata)->epoch, 2);
    assert_int_equal(cancel(metadata), WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(complete(metadata, 1), WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(complete(metadata, 2), WIRE_ERROR_NONE);
    assert_replicas(metadata, "2 0 1 0");
    cluster_metadata_free(metadata);
}

static void test_another_target_in_the_middle(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(3);
    reassign(metadata, to(3, (uint32_t[]){4, 5, 6}));
    reassign(metadata, to(3, (uint32_t[]){1, 4, 6}));
    assert_replicas(metadata, "1 0 4+1 6+1 5~1 2-0 3-0");
    reassign(metadata, to(2, (uint32_t[]){5, 1}));
    assert_replicas(metadata, "5+1 1 0 4~1 6~1 2-0 3-0");
    assert_int_equal(cancel(metadata), WIRE_ERROR_NONE);
    assert_replicas(metadata, "1 0 2 0 3 0 5~1 4~1 6~1");
    assert_survives_snapshot(metadata);
    assert_int_equal(complete(metadata, 4), WIRE_ERROR_NONE);
    assert_replicas(metadata, "1 0 2 0 3 0");
    cluster_metadata_free(metadata);
}

static void test_another_order_is_reached_at_once(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(3);
    reassign(metadata, to(3, (uint32_t[]){3, 1, 2}));
    assert_replicas(metadata, "3 0 1 0 2 0");
    assert_int_equal(partition_of(metadata)->epoch, 0);
    assert_int_equal(complete(metadata, 0), WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    cluster_metadata_free(metadata);
}

static void test_refusals(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(3);
    struct cluster_problem problem;
    struct wire_writer writer;
    const struct {
        uint32_t count;
        uint32_t brokers[3];
        const char *words;
    } bad[] = {
        {0, {0}, "0 brokers"}, {2, {4, 4}, "twice"}, {2, {4, 9}, "broker 9, which is not part"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        problem = try_reassign(metadata, to(bad[i].count, bad[i].brokers), &writer);
        assert_int_equal(problem.error, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
        assert_non_null(strstr(problem.message, bad[i].words));
        assert_int_equal(wire_writer_length(&writer), 0);
        wire_writer_free(&writer);
    }
    struct cluster_assignment good = to(1, (uint32_t[]){4});
    struct uuid id = fixture_id(1);
    struct uuid other = fixture_id(2);
    wire_writer_init(&writer, 64);
    cluster_plan_reassign_partition(metadata, &id, 1, &good, fixture_live, BROKERS, &writer,
                                    &problem);
    assert_int_equal(problem.error, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    cluster_plan_reassign_partition(metadata, &other, 0, &good, fixture_live, BROKERS, &writer,
                                    &problem);
    assert_int_equal(problem.error, WIRE_ERROR_UNKNOWN_TOPIC_ID);
    cluster_plan_cancel_reassignment(metadata, &other, 0, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_UNKNOWN_TOPIC_ID);
    cluster_plan_complete_reassignment(metadata, GROUP + 1, 0, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(wire_writer_length(&writer), 0);
    wire_writer_free(&writer);
    cluster_metadata_free(metadata);
}

/* Two were planned on the same state: the one that is applied second does nothing. */
static void test_only_the_first_of_two_counts(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = cluster_with_topic(3);
    struct wire_writer first;
    struct wire_writer second;
    try_reassign(metadata, to(1, (uint32_t[]){4}), &first);
    try_reassign(metadata, to(1, (uint32_t[]){5}), &second);
    fixture_apply(metadata, &first);
    struct cluster_change change = fixture_apply(metadata, &second);
    assert_int_equal(change.kind, CLUSTER_CHANGE_NONE);
    assert_int_equal(change.error, WIRE_ERROR_REASSIGNMENT_IN_PROGRESS);
    assert_replicas(metadata, "4+1 1-0 2-0 3-0");
    cluster_metadata_free(metadata);
}

/* A target that shares nothing with fifteen replicas to be removed does not fit beside them. */
static void test_too_many_at_once(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(16, NULL);
    struct cluster_topic_request request = fixture_request("t", 1, 1, 15, 15);
    fixture_create(metadata, &request);
    struct cluster_assignment target = to(1, (uint32_t[]){16});
    struct cluster_problem problem;
    struct wire_writer writer;
    struct uuid id = fixture_id(1);
    wire_writer_init(&writer, 64);
    cluster_plan_reassign_partition(metadata, &id, 0, &target, fixture_live, 16, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_non_null(strstr(problem.message, "more than 15"));
    wire_writer_free(&writer);
    cluster_metadata_free(metadata);
}

/* What this version reads of the one before it: no replica was ever moved. */
static void test_a_snapshot_of_the_version_before(void **state)
{
    (void)state;
    static const uint8_t counters[] = {0,   8, 0, 0, 0, 0, 0, 0, 0, 0, 3,
                                       234, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint32_t replicas[] = {2, 1};
    struct topic_state_record_partition partition = {
        .group_id = GROUP, .replicas = replicas, .replicas_count = 2};
    struct topic_state_record record = {.topic_id = fixture_id(1),
                                        .name = {"t", 1},
                                        .partitions = &partition,
                                        .partitions_count = 1};
    struct wire_writer topic;
    struct wire_writer snapshot;
    wire_writer_init(&topic, 64);
    cluster_record_begin(&topic, CLUSTER_RECORD_TOPIC_STATE);
    topic_state_record_encode(&record, 0, &topic);
    wire_writer_init(&snapshot, 64);
    wire_write_int16(&snapshot, 0);
    wire_write_uint32(&snapshot, 0);
    wire_write_uint32(&snapshot, 2);
    wire_write_uint32(&snapshot, sizeof counters);
    wire_write_raw(&snapshot, counters, sizeof counters);
    wire_write_uint32(&snapshot, (uint32_t)wire_writer_length(&topic));
    wire_write_raw(&snapshot, topic.buf->data, wire_writer_length(&topic));
    wire_patch_int32(&snapshot, 2,
                     (int32_t)crc32c(0, snapshot.buf->data + 6, wire_writer_length(&snapshot) - 6));
    struct cluster_metadata *metadata = cluster_metadata_new();
    assert_true(
        cluster_snapshot_restore(metadata, snapshot.buf->data, wire_writer_length(&snapshot)));
    assert_replicas(metadata, "2 0 1 0");
    assert_int_equal(partition_of(metadata)->epoch, 0);
    wire_writer_free(&topic);
    wire_writer_free(&snapshot);
    cluster_metadata_free(metadata);
}

/* A founder that starts late takes those who founded the group with it for its members, neither
 * those that are being added nor fewer than there were. */
static void test_who_founded_the_group(void **state)
{
    (void)state;
    uint32_t founders[CLUSTER_REPLICAS_MAX] = {0};
    struct cluster_metadata *metadata = cluster_with_topic(5);
    assert_int_equal(cluster_partition_founders(partition_of(metadata), founders), 5);
    reassign(metadata, to(3, (uint32_t[]){6, 4, 5}));
    assert_int_equal(cluster_partition_founders(partition_of(metadata), founders), 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_not_equal(founders[i], 6);
    }
    assert_int_equal(complete(metadata, 1), WIRE_ERROR_NONE);
    assert_replicas(metadata, "6 1 4 0 5 0");
    /* Of five who founded it two are left: together they are no majority of anything. */
    assert_int_equal(cluster_partition_founders(partition_of(metadata), founders), 0);
    assert_survives_snapshot(metadata);
    reassign(metadata, to(2, (uint32_t[]){4, 5}));
    assert_int_equal(complete(metadata, 2), WIRE_ERROR_NONE);
    assert_int_equal(cluster_partition_founders(partition_of(metadata), founders), 0);
    cluster_metadata_free(metadata);
}

/* ---- At random ---- */

struct life {
    uint32_t left[BROKERS + 1]; /* the highest incarnation that left the list, + 1 */
};

static void check_step(const struct cluster_partition *before,
                       const struct cluster_partition *after, struct life *life)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < before->replica_count; i++) {
        if (!cluster_partition_find_replica(after, before->replicas[i], &at)) {
            life->left[before->replicas[i]] = before->incarnations[i] + 1;
        } else {
            assert_int_equal(after->incarnations[at], before->incarnations[i]);
        }
    }
    for (uint32_t i = 0; i < after->replica_count; i++) {
        assert_true(after->incarnations[i] >= life->left[after->replicas[i]]);
        assert_true(after->incarnations[i] <= after->epoch);
    }
    assert_true(after->epoch >= before->epoch);
    assert_true(cluster_partition_wants(after, 0));
}

static void test_incarnations_never_come_back(void **state)
{
    (void)state;
    struct prng prng;
    struct life life = {{0}};
    prng_init(&prng, 11);
    struct cluster_metadata *metadata = cluster_with_topic(3);
    for (uint32_t step = 0; step < 5000; step++) {
        struct cluster_partition before = *partition_of(metadata);
        uint64_t act = prng_below(&prng, 4);
        if (act == 0) {
            complete(metadata, before.epoch);
        } else if (act == 1) {
            cancel(metadata);
        } else {
            uint32_t brokers[BROKERS] = {1, 2, 3, 4, 5, 6};
            for (uint32_t i = 0; i < BROKERS; i++) {
                uint64_t other = prng_below(&prng, BROKERS);
                uint32_t kept = brokers[i];
                brokers[i] = brokers[other];
                brokers[other] = kept;
            }
            reassign(metadata, to(1 + (uint32_t)prng_below(&prng, BROKERS), brokers));
        }
        check_step(&before, partition_of(metadata), &life);
        if (step % 50 == 0) {
            assert_survives_snapshot(metadata);
        }
    }
    cluster_metadata_free(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_move_all_and_back),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_another_target_in_the_middle),
        cmocka_unit_test(test_another_order_is_reached_at_once),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_only_the_first_of_two_counts),
        cmocka_unit_test(test_too_many_at_once),
        cmocka_unit_test(test_a_snapshot_of_the_version_before),
        cmocka_unit_test(test_who_founded_the_group),
        cmocka_unit_test(test_incarnations_never_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
