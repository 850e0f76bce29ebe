/* SPDX-License-Identifier: Apache-2.0
 *
 * test_replication.c -- managers that elect, replicate, lose each other and catch up.
 */
#include "nodes.h"

#include "base/assert.h"
#include "replica/group.h"
#include "wire/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct nodes *cluster;

static int begin(void **state)
{
    (void)state;
    cluster = calloc(1, sizeof *cluster);
    nodes_begin(cluster, 3);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    nodes_end(cluster);
    free(cluster);
    return 0;
}

static void start_everywhere(uint64_t group_id)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct replica_group_spec spec = nodes_spec(cluster, i, group_id, 3);
        assert_int_equal(nodes_start_group(cluster, i, &spec), REPLICA_OK);
    }
    cluster->group_id = group_id;
}

static void three_elect_and_replicate(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 500, 300);
    nodes_assert_equal(cluster, 1001);
    uint32_t leader = nodes_leader(cluster);
    struct replica_group_view view;
    replica_group_view(nodes_group(cluster, leader, 1001), &view);
    assert_string_equal(view.role, "leader");
    assert_int_equal(view.high_watermark, 500);
    assert_int_equal(view.log_end_offset, 500);
    assert_int_equal(view.member_count, 3);
    assert_int_equal(view.commit_index, view.applied_index);
    assert_int_equal(nodes_applier(cluster, leader, 1001)->saved_offset, 500);
}

static void large_batches_arrive(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 30, 700000);
    nodes_assert_equal(cluster, 1001);
}

static void leader_lost_and_back(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 100, 100);
    uint32_t old = nodes_leader(cluster);
    nodes_cut_off(cluster, old);
    nodes_run_until(cluster, nodes_have_leader);
    assert_int_not_equal(nodes_leader(cluster), old);
    nodes_write(cluster, 1001, 100, 100);
    nodes_connect(cluster);
    cluster->wanted = 200;
    nodes_run_until(cluster, nodes_have_applied);
    nodes_assert_equal(cluster, 1001);
    assert_int_equal(nodes_applier(cluster, old, 1001)->batches, 200);
}

static bool every_start_has_moved(struct nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        struct replica_group *group = nodes_group(nodes, i, nodes->group_id);
        if (group != NULL && log_start_offset(replica_group_log(group)) != nodes->wanted) {
            return false;
        }
    }
    return true;
}

static void a_moved_start_reaches_every_replica_and_stays(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 100, 100);
    uint32_t away = (nodes_leader(cluster) + 1) % 3;
    nodes_cut_off(cluster, away);
    uint32_t leader = nodes_leader(cluster);
    struct replica_group *group = nodes_group(cluster, leader, 1001);
    assert_int_equal(replica_propose_start(nodes_group(cluster, away, 1001), 40),
                     REPLICA_NOT_LEADER);
    assert_int_equal(replica_propose_start(group, 40), REPLICA_OK);
    assert_int_equal(log_start_offset(replica_group_log(group)), 0); /* not committed yet */
    assert_int_equal(log_next_offset(replica_group_log(group)), 100);
    nodes_connect(cluster);
    cluster->wanted = 40;
    nodes_run_until(cluster, every_start_has_moved);

    for (uint32_t i = 0; i < 3; i++) {
        nodes_stop_manager(cluster, i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        nodes_start_manager(cluster, i);
        struct replica_group_spec spec = nodes_spec(cluster, i, 1001, 3);
        assert_int_equal(nodes_start_group(cluster, i, &spec), REPLICA_OK);
    }
    nodes_connect(cluster);
    nodes_run_until(cluster, nodes_have_leader);
    cluster->wanted = 40;
    nodes_run_until(cluster, every_start_has_moved);
    nodes_write(cluster, 1001, 10, 100);
    nodes_assert_equal(cluster, 1001);
}

static void an_uncommitted_move_of_the_start_is_undone(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 20, 100);
    uint32_t old = nodes_leader(cluster);
    nodes_cut_off(cluster, old);
    enum replica_result result = replica_propose_start(nodes_group(cluster, old, 1001), 15);
    assert_true(result == REPLICA_OK || result == REPLICA_NOT_LEADER);
    nodes_write(cluster, 1001, 10, 100);
    nodes_connect(cluster);
    cluster->wanted = 30;
    nodes_run_until(cluster, nodes_have_applied);
    cluster->wanted = 0;
    nodes_run_until(cluster, every_start_has_moved);
    nodes_assert_equal(cluster, 1001);
}

static void uncommitted_tail_is_replaced(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 10, 100);
    uint32_t old = nodes_leader(cluster);
    nodes_cut_off(cluster, old);
    struct replica_group *group = nodes_group(cluster, old, 1001);
    for (int i = 0; i < 5; i++) {
        struct buf *buf = wire_batch_build(NULL, -1, "lost", 4, 1);
        uint64_t base_offset;
        enum replica_result result =
            replica_propose(group, buf, buf->data, buf->length_bytes, 1, &base_offset);
        assert_true(result == REPLICA_OK || result == REPLICA_NOT_LEADER);
        buf_release(buf);
    }
    nodes_write(cluster, 1001, 10, 100);
    nodes_connect(cluster);
    cluster->wanted = 20;
    nodes_run_until(cluster, nodes_have_applied);
    nodes_assert_equal(cluster, 1001);
}

static void restart_finds_everything(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 300, 1000);
    uint32_t checksum = nodes_applier(cluster, 0, 1001)->checksum;
    for (uint32_t i = 0; i < 3; i++) {
        nodes_stop_manager(cluster, i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        nodes_start_manager(cluster, i);
    }
    start_everywhere(1001);
    nodes_connect(cluster);
    cluster->wanted = 300;
    nodes_run_until(cluster, nodes_have_applied);
    nodes_assert_equal(cluster, 1001);
    assert_int_equal(nodes_applier(cluster, 0, 1001)->checksum, checksum);
    nodes_write(cluster, 1001, 10, 1000);
    nodes_assert_equal(cluster, 1001);
}

static void follower_catches_up_from_disk(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 10, 1000);
    uint32_t away = (nodes_leader(cluster) + 1) % 3;
    nodes_stop_manager(cluster, away);
    nodes_write(cluster, 1001, 300, 50000);
    nodes_start_manager(cluster, away);
    struct replica_group_spec spec = nodes_spec(cluster, away, 1001, 3);
    assert_int_equal(nodes_start_group(cluster, away, &spec), REPLICA_OK);
    nodes_connect(cluster);
    cluster->wanted = 310;
    nodes_run_until(cluster, nodes_have_applied);
    nodes_assert_equal(cluster, 1001);
}

static uint32_t sender;
static uint64_t messages_wanted;

static bool sender_has_sent(struct nodes *nodes)
{
    const struct replica_stats *stats = replica_stats(nodes->node[sender].manager);
    return counter_read(&stats->messages_sent) >= messages_wanted;
}

static void many_groups_share_frames(void **state)
{
    (void)state;
    for (uint64_t id = 1001; id < 1041; id++) {
        start_everywhere(id);
    }
    for (uint64_t id = 1001; id < 1041; id++) {
        nodes_write(cluster, id, 5, 100);
        nodes_assert_equal(cluster, id);
    }
    uint64_t leading = 0;
    uint64_t led = 0;
    for (uint32_t i = 0; i < 3; i++) {
        const struct replica_stats *stats = replica_stats(cluster->node[i].manager);
        assert_int_equal(counter_read(&stats->groups_running), 40);
        assert_int_equal(counter_read(&stats->groups_leaderless), 0);
        uint64_t here = counter_read(&stats->groups_leading);
        leading += here;
        if (here > led) {
            led = here;
            sender = i;
        }
    }
    assert_int_equal(leading, 40);

    /* Each has something to tell both others, in one turn. */
    const struct replica_stats *stats = replica_stats(cluster->node[sender].manager);
    uint64_t frames_before = counter_read(&stats->frames_sent);
    messages_wanted = counter_read(&stats->messages_sent) + 2 * led;
    uint64_t proposed = 0;
    for (uint64_t id = 1001; id < 1041; id++) {
        proposed += nodes_propose(cluster, sender, id, 100) ? 1 : 0;
    }
    assert_int_equal(proposed, led);
    nodes_run_until(cluster, sender_has_sent);
    assert_true(counter_read(&stats->frames_sent) - frames_before < led);
}

static uint32_t barriers_confirmed;
static uint32_t barriers_denied;

static void barrier_done(void *context, bool confirmed)
{
    (void)context;
    barriers_confirmed += confirmed;
    barriers_denied += !confirmed;
}

static bool barrier_is_answered(struct nodes *nodes)
{
    (void)nodes;
    return barriers_confirmed + barriers_denied > 0;
}

static void read_barrier_needs_a_majority(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 1, 100);
    uint32_t leader = nodes_leader(cluster);
    barriers_confirmed = barriers_denied = 0;
    replica_read_barrier(nodes_group(cluster, leader, 1001), barrier_done, NULL);
    assert_int_equal(barriers_confirmed + barriers_denied, 0);
    nodes_run_until(cluster, barrier_is_answered);
    assert_int_equal(barriers_confirmed, 1);

    nodes_cut_off(cluster, leader);
    barriers_confirmed = barriers_denied = 0;
    replica_read_barrier(nodes_group(cluster, leader, 1001), barrier_done, NULL);
    nodes_run_until(cluster, barrier_is_answered);
    assert_int_equal(barriers_denied, 1);
}

static uint32_t transfer_target;

static bool target_leads(struct nodes *nodes)
{
    return nodes_leader(nodes) == transfer_target;
}

static void leadership_moves_on_request(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 1, 100);
    uint32_t leader = nodes_leader(cluster);
    transfer_target = (leader + 1) % 3;
    assert_int_equal(replica_transfer_leadership(nodes_group(cluster, leader, 1001),
                                                 cluster->node[transfer_target].broker_id),
                     REPLICA_OK);
    nodes_run_until(cluster, target_leads);
    nodes_write(cluster, 1001, 10, 100);
    nodes_assert_equal(cluster, 1001);
}

static bool proposals_are_taken_again(struct nodes *nodes)
{
    return nodes_applier(nodes, (transfer_target + 2) % 3, 1001)->proposables > 0;
}

/* Nothing commits meanwhile that could wake who waits to propose. */
static void a_transfer_that_is_given_up_is_told(void **state)
{
    (void)state;
    start_everywhere(1001);
    nodes_write(cluster, 1001, 1, 100);
    uint32_t leader = nodes_leader(cluster);
    transfer_target = (leader + 1) % 3;
    nodes_cut_off(cluster, transfer_target);
    assert_int_equal(replica_transfer_leadership(nodes_group(cluster, leader, 1001),
                                                 cluster->node[transfer_target].broker_id),
                     REPLICA_OK);
    assert_false(nodes_propose(cluster, leader, 1001, 100));
    nodes_run_until(cluster, proposals_are_taken_again);
    assert_int_equal(nodes_leader(cluster), leader);
    assert_true(nodes_propose(cluster, leader, 1001, 100));
}

static bool membership_is_committed(struct nodes *nodes)
{
    uint32_t leader = nodes_leader(nodes);
    if (leader == NODES_MAX) {
        return false;
    }
    struct replica_group_view view;
    replica_group_view(nodes_group(nodes, leader, 1001), &view);
    return view.member_count == nodes->wanted && view.commit_index == view.last_index;
}

static const struct raft_membership *proposed_members;

/* BUSY while the one before, or the proof that a newcomer may vote, is under way. */
static bool membership_is_taken(struct nodes *nodes)
{
    uint32_t leader = nodes_leader(nodes);
    if (leader == NODES_MAX) {
        return false;
    }
    enum replica_result result =
        replica_propose_membership(nodes_group(nodes, leader, 1001), proposed_members);
    assert_true(result == REPLICA_OK || result == REPLICA_BUSY || result == REPLICA_NOT_READY);
    return result == REPLICA_OK;
}

static void change_membership(const struct raft_membership *members)
{
    proposed_members = members;
    nodes_run_until(cluster, membership_is_taken);
    cluster->wanted = members->voter_count + members->learner_count;
    nodes_run_until(cluster, membership_is_committed);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Two members; a third joins empty, learns, is promoted, and then its vote is needed. */
static void joining_replica_becomes_a_voter(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct replica_group_spec spec = nodes_spec(cluster, i, 1001, 2);
        assert_int_equal(nodes_start_group(cluster, i, &spec), REPLICA_OK);
    }
    nodes_write(cluster, 1001, 50, 1000);
    struct replica_group_spec spec = nodes_spec(cluster, 2, 1001, 0);
    spec.join = true;
    spec.incarnation = 2;
    assert_int_equal(nodes_start_group(cluster, 2, &spec), REPLICA_OK);
    nodes_run_until(cluster, nodes_have_leader);
    replica_group_expect(nodes_group(cluster, nodes_leader(cluster), 1001), 3, 2);
    uint64_t begin_ms = now_ms();
    change_membership(&(struct raft_membership){
        .voter_count = 2, .learner_count = 1, .voters = {1, 2}, .learners = {3}});
    nodes_write(cluster, 1001, 10, 1000);
    nodes_assert_equal(cluster, 1001);
    nodes_write(cluster, 1001, 1, 1000);
    nodes_assert_equal(cluster, 1001);
    /* What went first used up the learners' rate, so the last had to wait. */
    assert_true(now_ms() - begin_ms >= 250);
    change_membership(&(struct raft_membership){.voter_count = 3, .voters = {1, 2, 3}, .epoch = 2});

    /* Restarted, it still knows that it may vote, and without it there is no majority. */
    nodes_stop_manager(cluster, 2);
    nodes_start_manager(cluster, 2);
    spec = nodes_spec(cluster, 2, 1001, 0);
    spec.join = true;
    assert_int_equal(nodes_start_group(cluster, 2, &spec), REPLICA_OK);
    assert_int_equal(replica_group_incarnation(nodes_group(cluster, 2, 1001)), 2);
    nodes_connect(cluster);
    nodes_run_until(cluster, nodes_have_leader);
    uint32_t leader = nodes_leader(cluster);
    nodes_cut_off(cluster, leader == 2 ? 0 : leader);
    nodes_write(cluster, 1001, 10, 1000);
    nodes_connect(cluster);
    cluster->wanted = 71;
    nodes_run_until(cluster, nodes_have_applied);
    nodes_assert_equal(cluster, 1001);
}

static bool the_third_ones_disk_has_failed(struct nodes *nodes)
{
    return nodes->node[2].disk_failures > 0;
}

/* Were it made a voter, a crash would leave a group of two that elects nobody: it had no vote, and
 * there were no leader to prove to it that it may have one. */
static void no_voter_before_its_vote_is_durable(void **state)
{
    (void)state;
    static const struct raft_membership learns = {
        .voter_count = 1, .learner_count = 1, .voters = {1}, .learners = {3}};
    static const struct raft_membership votes = {.voter_count = 2, .voters = {1, 3}, .epoch = 2};
    struct replica_group_spec spec = nodes_spec(cluster, 0, 1001, 1);
    assert_int_equal(nodes_start_group(cluster, 0, &spec), REPLICA_OK);
    spec = nodes_spec(cluster, 2, 1001, 0);
    spec.join = true;
    assert_int_equal(nodes_start_group(cluster, 2, &spec), REPLICA_OK);
    nodes_shell("mkdir %s/groups/1001/group.new", cluster->node[2].directory);
    cluster->group_id = 1001;
    nodes_run_until(cluster, nodes_have_leader);
    change_membership(&learns);
    nodes_run_until(cluster, the_third_ones_disk_has_failed);
    nodes_write(cluster, 1001, 3, 100);
    assert_true(replica_group_is_joining(nodes_group(cluster, 2, 1001)));
    assert_int_equal(replica_propose_membership(nodes_group(cluster, 0, 1001), &votes),
                     REPLICA_BUSY);

    nodes_stop_manager(cluster, 2);
    nodes_shell("rmdir %s/groups/1001/group.new", cluster->node[2].directory);
    nodes_start_manager(cluster, 2);
    spec = nodes_spec(cluster, 2, 1001, 0);
    spec.join = true;
    assert_int_equal(nodes_start_group(cluster, 2, &spec), REPLICA_OK);
    nodes_connect(cluster);
    change_membership(&votes);
    assert_false(replica_group_is_joining(nodes_group(cluster, 2, 1001)));
}

/* What an earlier life of a replica acknowledged does not count. */
static void earlier_lives_are_not_listened_to(void **state)
{
    (void)state;
    struct replica_group_spec spec = nodes_spec(cluster, 0, 1001, 1);
    assert_int_equal(nodes_start_group(cluster, 0, &spec), REPLICA_OK);
    struct replica_group *group = nodes_group(cluster, 0, 1001);
    assert_true(replica_group_listens_to(group, 3, 0));
    replica_group_expect(group, 3, 4);
    replica_group_expect(group, 3, 2); /* late */
    assert_false(replica_group_listens_to(group, 3, 3));
    assert_true(replica_group_listens_to(group, 3, 4));
    assert_true(replica_group_listens_to(group, 2, 0));
    for (uint32_t node_id = 10; node_id < 50; node_id++) { /* places of strangers are used again */
        replica_group_expect(group, node_id, 7);
        assert_false(replica_group_listens_to(group, node_id, 6));
    }
}

/* The same members once more, following a later decision; never an earlier one. */
static void epochs_of_memberships_never_fall(void **state)
{
    (void)state;
    struct replica_group_spec spec = nodes_spec(cluster, 0, 1001, 1);
    assert_int_equal(nodes_start_group(cluster, 0, &spec), REPLICA_OK);
    cluster->group_id = 1001;
    nodes_run_until(cluster, nodes_have_leader);
    struct raft_membership members = {.voter_count = 1, .voters = {1}, .epoch = 5};
    struct replica_group_view view;
    change_membership(&members);
    replica_group_view(nodes_group(cluster, 0, 1001), &view);
    assert_int_equal(view.membership_epoch, 5);
    struct replica_group *group = nodes_group(cluster, 0, 1001);
    nodes_write(cluster, 1001, 1, 100); /* behind it, so it is committed */
    assert_int_equal(replica_propose_membership(group, &members), REPLICA_BAD_REQUEST);
    members.epoch = 4;
    members.learner_count = 1;
    members.learners[0] = 2;
    assert_int_equal(replica_propose_membership(group, &members), REPLICA_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(three_elect_and_replicate, begin, finish),
        cmocka_unit_test_setup_teardown(large_batches_arrive, begin, finish),
        cmocka_unit_test_setup_teardown(leader_lost_and_back, begin, finish),
        cmocka_unit_test_setup_teardown(a_moved_start_reaches_every_replica_and_stays, begin,
                                        finish),
        cmocka_unit_test_setup_teardown(an_uncommitted_move_of_the_start_is_undone, begin, finish),
        cmocka_unit_test_setup_teardown(uncommitted_tail_is_replaced, begin, finish),
        cmocka_unit_test_setup_teardown(restart_finds_everything, begin, finish),
        cmocka_unit_test_setup_teardown(follower_catches_up_from_disk, begin, finish),
        cmocka_unit_test_setup_teardown(many_groups_share_frames, begin, finish),
        cmocka_unit_test_setup_teardown(read_barrier_needs_a_majority, begin, finish),
        cmocka_unit_test_setup_teardown(leadership_moves_on_request, begin, finish),
        cmocka_unit_test_setup_teardown(a_transfer_that_is_given_up_is_told, begin, finish),
        cmocka_unit_test_setup_teardown(joining_replica_becomes_a_voter, begin, finish),
        cmocka_unit_test_setup_teardown(no_voter_before_its_vote_is_durable, begin, finish),
        cmocka_unit_test_setup_teardown(earlier_lives_are_not_listened_to, begin, finish),
        cmocka_unit_test_setup_teardown(epochs_of_memberships_never_fall, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
