/* SPDX-License-Identifier: Apache-2.0
 *
 * test_membership.c -- the two rules of the controller group: who founds it, and which of its
 * members changes next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/controller_members.h"
#include "broker/founding.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* ---- Founding ---- */

static struct uuid directory(uint64_t number)
{
    return uuid_from_random(7, number);
}

static struct founding_answer empty(uint32_t broker_id)
{
    return (struct founding_answer){broker_id, true, true, directory(broker_id)};
}

static void test_the_lowest_founds_when_all_are_empty(void **state)
{
    (void)state;
    struct data_directory_founder founders[DATA_DIRECTORY_FOUNDERS_MAX];
    struct uuid own = directory(1);
    struct founding_answer others[] = {empty(5), empty(3)};
    assert_int_equal(founding_decide(1, &own, others, 2, founders), 3);
    assert_int_equal(founders[0].broker_id, 1);
    assert_int_equal(founders[1].broker_id, 3);
    assert_int_equal(founders[2].broker_id, 5);
    assert_true(uuid_equal(&founders[2].directory_id, &others[0].directory_id));
    assert_int_equal(founding_decide(1, &own, NULL, 0, founders), 1);
}

static void test_nobody_else_does(void **state)
{
    (void)state;
    struct data_directory_founder founders[DATA_DIRECTORY_FOUNDERS_MAX];
    struct uuid own = directory(2);
    struct founding_answer others[] = {empty(1), empty(3)};
    assert_int_equal(founding_decide(2, &own, others, 2, founders), 0);
    others[0] = empty(4);
    assert_int_equal(founding_decide(2, &own, others, 2, founders), 3);
    others[1].has_answered = false;
    assert_int_equal(founding_decide(2, &own, others, 2, founders), 0);
    others[1] = empty(3);
    others[1].is_agreed = false;
    assert_int_equal(founding_decide(2, &own, others, 2, founders), 0);
}

/* ---- Members ---- */

struct world {
    struct cluster_metadata *metadata;
    struct replica_group_view view;
    uint32_t withdrawn; /* 0: none */
};

static void apply(struct cluster_metadata *metadata, struct wire_writer *record)
{
    struct cluster_change change;
    assert_true(cluster_apply(metadata, record->buf->data, wire_writer_length(record), &change));
    wire_writer_free(record);
}

static void add_broker(struct world *world, uint32_t id)
{
    struct wire_writer record;
    struct cluster_problem problem;
    struct cluster_broker broker = {.id = id, .kafka_port = 1, .peer_port = 2};
    snprintf(broker.kafka_host, sizeof broker.kafka_host, "k");
    snprintf(broker.peer_host, sizeof broker.peer_host, "p");
    wire_writer_init(&record, 64);
    cluster_plan_register_broker(world->metadata, &broker, &record, &problem);
    apply(world->metadata, &record);
}

static void leave(struct world *world, uint32_t id)
{
    struct wire_writer record;
    struct cluster_problem problem;
    wire_writer_init(&record, 64);
    cluster_plan_decommission_broker(world->metadata, id, &record, &problem);
    apply(world->metadata, &record);
}

/* Brokers 1 .. count are registered; nobody is a member but broker 1, which leads. */
static struct world world_new(uint32_t count)
{
    struct world world = {.metadata = cluster_metadata_new()};
    for (uint32_t id = 1; id <= count; id++) {
        add_broker(&world, id);
    }
    world.view = (struct replica_group_view){
        .leader = 1,
        .commit_index = 10,
        .member_count = 1,
        .members = {{.node_id = 1, .is_voter = true, .is_active = true, .match_index = 10}},
    };
    return world;
}

static struct replica_member_view *member(struct world *world, uint32_t id)
{
    for (uint32_t i = 0; i < world->view.member_count; i++) {
        if (world->view.members[i].node_id == id) {
            return &world->view.members[i];
        }
    }
    return NULL;
}

/* Takes one step, as a group whose members all follow at once; false when there is none. */
static bool step(struct world *world, uint32_t lost)
{
    struct controller_members_step next;
    struct raft_membership members;
    if (!controller_members_next(world->metadata, &world->view, lost, world->withdrawn, &next)) {
        return false;
    }
    if (next.hands_over) {
        assert_true(member(world, next.broker_id)->is_voter);
        world->view.leader = next.broker_id;
        return true;
    }
    assert_true(membership_step(&world->view, next.broker_id, next.standing, 0, &members));
    assert_int_not_equal(next.broker_id, world->view.leader);
    struct replica_group_view before = world->view;
    world->view.member_count = 0;
    for (uint32_t i = 0; i < members.voter_count + members.learner_count; i++) {
        bool is_voter = i < members.voter_count;
        uint32_t id = is_voter ? members.voters[i] : members.learners[i - members.voter_count];
        bool was_away = false;
        for (uint32_t j = 0; j < before.member_count; j++) {
            was_away =
                was_away || (before.members[j].node_id == id && !before.members[j].is_active);
        }
        world->view.members[world->view.member_count++] = (struct replica_member_view){
            .node_id = id, .is_voter = is_voter, .is_active = !was_away, .match_index = 10};
    }
    return true;
}

static void settle(struct world *world)
{
    for (int steps = 0; step(world, 0); steps++) {
        assert_true(steps < 100);
    }
}

static uint32_t voters(const struct world *world)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->view.member_count; i++) {
        count += world->view.members[i].is_voter ? 1 : 0;
    }
    return count;
}

static void test_voters_follow_the_brokers(void **state)
{
    (void)state;
    static const uint32_t wanted[] = {1, 2, 3, 3, 5, 5, 5};
    for (uint32_t count = 1; count <= 7; count++) {
        struct world world = world_new(count);
        settle(&world);
        assert_int_equal(world.view.member_count, count);
        assert_int_equal(voters(&world), wanted[count - 1]);
        cluster_metadata_free(world.metadata);
    }
}

static void test_no_even_number_that_could_last(void **state)
{
    (void)state;
    struct world world = world_new(3);
    settle(&world);
    add_broker(&world, 4);
    add_broker(&world, 5);
    assert_true(step(&world, 0));
    assert_true(step(&world, 0));
    member(&world, 5)->match_index = 9; /* it has not caught up */
    settle(&world);
    assert_int_equal(voters(&world), 3);
    member(&world, 5)->match_index = 10;
    settle(&world);
    assert_int_equal(voters(&world), 5);
    cluster_metadata_free(world.metadata);
}

static void test_a_leader_that_leaves_hands_over(void **state)
{
    (void)state;
    struct world world = world_new(4);
    settle(&world);
    leave(&world, 1);
    settle(&world);
    assert_int_not_equal(world.view.leader, 1);
    assert_int_equal(voters(&world), 3);
    assert_false(member(&world, 1)->is_voter); /* it follows until it is unregistered */
    cluster_metadata_free(world.metadata);
}

static void test_the_majority_stays_heard(void **state)
{
    (void)state;
    struct world world = world_new(3);
    settle(&world);
    member(&world, 2)->is_active = false;
    leave(&world, 3);
    assert_false(step(&world, 0)); /* brokers 1 and 2 would remain, one of them not heard */
    member(&world, 2)->is_active = true;
    settle(&world);
    assert_int_equal(voters(&world), 2);
    cluster_metadata_free(world.metadata);
}

static void test_a_lost_disk_costs_the_vote_until_it_is_full_again(void **state)
{
    (void)state;
    struct world world = world_new(3);
    settle(&world);
    assert_true(step(&world, 3));
    assert_null(member(&world, 3));
    assert_true(step(&world, 0));
    assert_false(member(&world, 3)->is_voter);
    member(&world, 3)->match_index = 0;
    assert_false(step(&world, 0));
    member(&world, 3)->match_index = 10;
    settle(&world);
    assert_int_equal(voters(&world), 3);
    cluster_metadata_free(world.metadata);
}

/* A damaged replica is taken out and kept out until it comes back empty: then it is a learner
 * first. */
static void test_a_withdrawn_replica_is_kept_out(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 5; count++) {
        for (uint32_t withdrawn = 1; withdrawn <= count; withdrawn++) {
            struct world world = world_new(count);
            settle(&world);
            bool may_go = count > 1 && withdrawn != world.view.leader;
            world.withdrawn = withdrawn;
            settle(&world);
            assert_true((member(&world, withdrawn) == NULL) == may_go);
            world.withdrawn = 0;
            if (may_go) {
                assert_true(step(&world, 0));
                assert_false(member(&world, withdrawn)->is_voter);
            }
            settle(&world);
            assert_int_equal(world.view.member_count, count);
            assert_int_equal(voters(&world), controller_members_voters_wanted(count));
            cluster_metadata_free(world.metadata);
        }
    }
    struct world world = world_new(3);
    settle(&world);
    world.withdrawn = 2;
    member(&world, 3)->is_active = false;
    settle(&world);
    assert_true(member(&world, 2)->is_voter); /* without it nobody could go on */
    cluster_metadata_free(world.metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lowest_founds_when_all_are_empty),
        cmocka_unit_test(test_nobody_else_does),
        cmocka_unit_test(test_voters_follow_the_brokers),
        cmocka_unit_test(test_a_withdrawn_replica_is_kept_out),
        cmocka_unit_test(test_no_even_number_that_could_last),
        cmocka_unit_test(test_a_leader_that_leaves_hands_over),
        cmocka_unit_test(test_the_majority_stays_heard),
        cmocka_unit_test(test_a_lost_disk_costs_the_vote_until_it_is_full_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
