/* SPDX-License-Identifier: Apache-2.0
 *
 * test_reassignments.c -- AlterPartitionReassignments and ListPartitionReassignments on the
 * controller leader, and the steps by which a membership changes.
 */
#include "broker/api.h"
#include "broker/membership_step.h"
#include "broker_fixture.h"
#include "fake_controller.h"
#include "wire/alter_partition_reassignments.h"
#include "wire/list_partition_reassignments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ALTER_VERSION 1

typedef struct alter_partition_reassignments_request_reassignable_partition asked_partition;
typedef struct alter_partition_reassignments_request_reassignable_topic asked_topic;
typedef struct list_partition_reassignments_response_ongoing_partition_reassignment
    listed_partition;

static void begin(struct fixture *fixture)
{
    fixture_open(fixture);
    fixture->shard.controller =
        (struct controller *)fixture; /* only whether there is one matters */
    fake_controller_lead(true);
    fixture_add_topic(fixture, "t", 2, NULL);
}

/* The error of one partition's wish, or of the whole request. */
static enum wire_error alter(struct fixture *fixture, const char *name, int32_t partition,
                             int32_t *replicas, int32_t count, bool allows_factor_change)
{
    struct exchange exchange;
    struct wire_writer writer;
    struct alter_partition_reassignments_request body;
    struct alter_partition_reassignments_response response;
    asked_partition asked = {
        .partition_index = partition, .replicas = replicas, .replicas_count = count};
    asked_topic topic = {
        .name = {name, (int32_t)strlen(name)}, .partitions = &asked, .partitions_count = 1};
    alter_partition_reassignments_request_init(&body);
    body.topics = &topic;
    body.topics_count = 1;
    body.allow_replication_factor_change = allows_factor_change;
    wire_writer_init(&writer, 64);
    alter_partition_reassignments_request_encode(&body, ALTER_VERSION, &writer);
    exchange_run(&exchange, &fixture->shard, api_alter_partition_reassignments, ALTER_VERSION,
                 &writer);
    shard_turn_until_answered(&fixture->shard, &exchange);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(alter_partition_reassignments_response_decode(&response, ALTER_VERSION, &cursor));
    assert_true(wire_expect_end(&cursor));
    enum wire_error error = (enum wire_error)response.error_code;
    if (error == WIRE_ERROR_NONE) {
        assert_int_equal(response.responses_count, 1);
        assert_int_equal(response.responses[0].partitions_count, 1);
        assert_int_equal(response.responses[0].partitions[0].partition_index, partition);
        error = (enum wire_error)response.responses[0].partitions[0].error_code;
    }
    exchange_free(&exchange);
    return error;
}

/* What is listed of "t"; partitions NULL: everything is asked for. */
static int32_t list(struct fixture *fixture, int32_t *partitions, int32_t count,
                    listed_partition *first, int32_t ids[3])
{
    struct exchange exchange;
    struct wire_writer writer;
    struct list_partition_reassignments_request body;
    struct list_partition_reassignments_response response;
    struct list_partition_reassignments_request_list_partition_reassignments_topics topic = {
        .name = {"t", 1}, .partition_indexes = partitions, .partition_indexes_count = count};
    list_partition_reassignments_request_init(&body);
    body.topics = &topic;
    body.topics_count = partitions != NULL ? 1 : -1;
    wire_writer_init(&writer, 64);
    list_partition_reassignments_request_encode(&body, 0, &writer);
    exchange_run(&exchange, &fixture->shard, api_list_partition_reassignments, 0, &writer);
    shard_turn_until_answered(&fixture->shard, &exchange);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(list_partition_reassignments_response_decode(&response, 0, &cursor));
    assert_true(wire_expect_end(&cursor));
    assert_int_equal(response.error_code, WIRE_ERROR_NONE);
    int32_t listed = 0;
    if (response.topics_count > 0) {
        listed = response.topics[0].partitions_count;
        *first = response.topics[0].partitions[0];
        for (int32_t i = 0; i < first->replicas_count; i++) {
            ids[i] = first->replicas[i];
        }
    }
    exchange_free(&exchange);
    return listed;
}

static void wishes_are_committed_and_listed(void **state)
{
    (void)state;
    struct fixture fixture;
    listed_partition row;
    int32_t ids[3] = {0};
    int32_t to_two[] = {2};
    int32_t zero[] = {0};
    int32_t one_and_more[] = {1, 7};
    begin(&fixture);
    assert_int_equal(list(&fixture, NULL, 0, &row, ids), 0);
    assert_int_equal(alter(&fixture, "t", 1, to_two, 1, true), WIRE_ERROR_NONE);
    assert_int_equal(list(&fixture, NULL, 0, &row, ids), 1);
    assert_int_equal(row.partition_index, 1);
    assert_int_equal(row.replicas_count, 3);
    assert_int_equal(ids[0], 2);
    assert_int_equal(row.adding_replicas_count, 0);
    assert_int_equal(row.removing_replicas_count, 2);
    assert_int_equal(list(&fixture, zero, 1, &row, ids), 0);
    assert_int_equal(list(&fixture, one_and_more, 2, &row, ids), 1);
    assert_int_equal(alter(&fixture, "t", 1, NULL, -1, true), WIRE_ERROR_NONE);
    assert_int_equal(list(&fixture, NULL, 0, &row, ids), 0); /* nothing had been added */
    assert_int_equal(alter(&fixture, "t", 1, NULL, -1, true),
                     WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    fixture_close(&fixture);
}

static void wishes_are_refused_as_by_kafka(void **state)
{
    (void)state;
    struct fixture fixture;
    int32_t good[] = {2};
    int32_t unknown[] = {1, 9};
    int32_t negative[] = {-1};
    begin(&fixture);
    assert_int_equal(alter(&fixture, "absent", 0, good, 1, true),
                     WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(alter(&fixture, "t", 2, good, 1, true), WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(alter(&fixture, "t", -1, good, 1, true),
                     WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(alter(&fixture, "t", 0, unknown, 2, true),
                     WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(alter(&fixture, "t", 0, negative, 1, true),
                     WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(alter(&fixture, "t", 0, good, 0, true), WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(alter(&fixture, "t", 0, good, 1, false),
                     WIRE_ERROR_INVALID_REPLICATION_FACTOR);
    fake_controller_lead(false);
    assert_int_equal(alter(&fixture, "t", 0, good, 1, true), WIRE_ERROR_NOT_CONTROLLER);
    fake_controller_lead(true);
    fixture_close(&fixture);
}

static void a_step_changes_one_member(void **state)
{
    (void)state;
    struct raft_membership members;
    const struct replica_member_view *member = NULL;
    struct replica_group_view view = {.commit_index = 9000, .last_index = 10000, .member_count = 3};
    view.members[0] = (struct replica_member_view){.node_id = 2, .is_voter = true};
    view.members[1] = (struct replica_member_view){.node_id = 5, .is_voter = true};
    view.members[2] = (struct replica_member_view){.node_id = 3, .is_active = true};
    assert_int_equal(member_standing_of(&view, 4, &member), MEMBER_NONE);
    assert_null(member);
    assert_true(membership_step(&view, 4, MEMBER_LEARNER, 7, &members));
    assert_int_equal(members.learner_count, 2);
    assert_int_equal(members.learners[0], 3);
    assert_int_equal(members.learners[1], 4);
    assert_int_equal(members.epoch, 7);
    assert_true(membership_step(&view, 3, MEMBER_VOTER, 7, &members));
    assert_int_equal(members.voter_count, 3);
    assert_int_equal(members.voters[1], 3);
    assert_true(membership_step(&view, 2, MEMBER_NONE, 7, &members));
    assert_int_equal(members.voter_count, 1);
    assert_int_equal(members.voters[0], 5);
    view.members[1].is_voter = false;
    assert_false(membership_step(&view, 2, MEMBER_NONE, 7, &members)); /* the last voter */
    view.member_count = RAFT_MEMBERS_MAX;
    for (uint32_t i = 3; i < RAFT_MEMBERS_MAX; i++) {
        view.members[i] = (struct replica_member_view){.node_id = 10 + i, .is_voter = true};
    }
    assert_false(membership_step(&view, 4, MEMBER_LEARNER, 7, &members));
}

static void a_learner_is_caught_up_when_it_has_what_a_majority_has(void **state)
{
    (void)state;
    struct replica_group_view view = {.commit_index = 9000, .last_index = 10000};
    struct replica_member_view member = {
        .match_index = 9500, .lag_indexes = 500, .is_active = true};
    assert_true(member_is_caught_up(&view, &member));
    member =
        (struct replica_member_view){.match_index = 8500, .lag_indexes = 1500, .is_active = true};
    assert_true(member_is_caught_up(&view, &member));
    member.is_active = false;
    assert_false(member_is_caught_up(&view, &member));
    member =
        (struct replica_member_view){.match_index = 7000, .lag_indexes = 3000, .is_active = true};
    assert_false(member_is_caught_up(&view, &member));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wishes_are_committed_and_listed),
        cmocka_unit_test(wishes_are_refused_as_by_kafka),
        cmocka_unit_test(a_step_changes_one_member),
        cmocka_unit_test(a_learner_is_caught_up_when_it_has_what_a_majority_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
