/* SPDX-License-Identifier: Apache-2.0
 *
 * test_rest.c -- groups in which nothing happens are silent, and what is noticed all the same.
 */
#include "nodes.h"

#include "base/assert.h"
#include "raft/raft.h"
#include "replica/manager.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GROUP_ID 1001
#define SILENT_FRAMES 20 /* so many without a message of a group show that it is at rest */

static struct nodes *cluster;
static uint64_t messages_seen;
static uint64_t frames_seen;
static uint32_t old_leader;

static int begin(void **state)
{
    (void)state;
    cluster = calloc(1, sizeof *cluster);
    nodes_begin(cluster, 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct replica_group_spec spec = nodes_spec(cluster, i, GROUP_ID, 3);
        assert_int_equal(nodes_start_group(cluster, i, &spec), REPLICA_OK);
    }
    cluster->group_id = GROUP_ID;
    nodes_run_until(cluster, nodes_have_leader);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    nodes_end(cluster);
    free(cluster);
    return 0;
}

static const struct replica_stats *stats_of(uint32_t index)
{
    return replica_stats(cluster->node[index].manager);
}

static bool is_silent(struct nodes *nodes)
{
    const struct replica_stats *stats = stats_of(nodes_leader(nodes));
    uint64_t messages = counter_read(&stats->messages_sent);
    uint64_t frames = counter_read(&stats->frames_sent);
    if (messages != messages_seen) {
        messages_seen = messages;
        frames_seen = frames;
    }
    return frames - frames_seen >= SILENT_FRAMES;
}

static struct raft *core_of(uint32_t index)
{
    return nodes_group(cluster, index, GROUP_ID)->raft;
}

static void peers_are_heard_while_groups_are_silent(void **state)
{
    (void)state;
    nodes_run_until(cluster, is_silent);
    uint32_t leader = nodes_leader(cluster);
    uint64_t term = raft_term(core_of(leader));
    struct replica_group_view view;
    replica_group_view(nodes_group(cluster, leader, GROUP_ID), &view);
    for (uint32_t i = 0; i < view.member_count; i++) {
        assert_true(view.members[i].is_active);
        assert_in_range(view.members[i].heard_ns_ago, 0, 500000000);
        assert_in_range(view.members[i].caught_up_ns_ago, 0, 500000000);
    }
    nodes_write(cluster, GROUP_ID, 10, 100); /* and it wakes at once */
    assert_int_equal(nodes_leader(cluster), leader);
    assert_int_equal(raft_term(core_of(leader)), term);
    nodes_run_until(cluster, is_silent);
    assert_int_equal(raft_term(core_of(leader)), term);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(counter_read(&stats_of(i)->peers_missed), 0);
    }
}

static bool is_led_by_another(struct nodes *nodes)
{
    uint32_t leader = nodes_leader(nodes);
    return leader < NODES_MAX && leader != old_leader &&
           raft_leader(core_of(old_leader)) == nodes->node[leader].broker_id;
}

/* Its connections stand and it hears, but says no more. */
static void a_leader_that_falls_silent_is_replaced(void **state)
{
    (void)state;
    nodes_run_until(cluster, is_silent);
    old_leader = nodes_leader(cluster);
    for (uint32_t i = 0; i < 3; i++) {
        if (i != old_leader) {
            replica_peer_detach(cluster->node[old_leader].manager, cluster->node[i].broker_id,
                                false);
        }
    }
    nodes_run_until(cluster, is_led_by_another);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(i == old_leader || counter_read(&stats_of(i)->peers_missed) == 1);
    }
}

static bool is_nobody_watched(struct nodes *nodes)
{
    bool is_watched = false;
    for (uint32_t i = 0; i < 3; i++) {
        is_watched = is_watched || nodes->node[i].manager->silence_due_ticks != REPLICA_DUE_NEVER;
    }
    return !is_watched;
}

/* Without groups there is nothing to say. */
static void who_has_no_groups_is_not_missed(void **state)
{
    (void)state;
    nodes_run_until(cluster, is_silent);
    assert_false(is_nobody_watched(cluster));
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(nodes_stop_group(cluster, i, GROUP_ID, true), REPLICA_OK);
    }
    nodes_run_until(cluster, is_nobody_watched);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(counter_read(&stats_of(i)->peers_missed), 0);
    }
}

/* A heartbeat that offers a rest, from a broker with so many shards: when the follower's election
 * is due, in ticks from now. */
static uint64_t patience_after_offer(uint32_t follower, uint16_t shard_count)
{
    const uint32_t rest_ticks = 300;
    uint32_t leader = nodes_leader(cluster);
    struct raft *raft = core_of(follower);
    struct replica_frame_head head = {.broker_id = cluster->node[leader].broker_id,
                                      .shard_count = shard_count};
    struct raft_message heartbeat = {.kind = RAFT_MESSAGE_HEARTBEAT,
                                     .group_id = GROUP_ID,
                                     .term = raft_term(raft),
                                     .index = raft_last_index(raft),
                                     .index_term = raft_term(raft),
                                     .commit = raft_commit_index(raft),
                                     .barrier = UINT32_MAX,
                                     .rest_ticks = rest_ticks};
    struct replica_frame_writer frame;
    replica_frame_init(&frame);
    replica_frame_begin(&frame, &head);
    replica_frame_add_message(&frame, &heartbeat, 0);
    const size_t header_bytes = 15;
    const uint8_t *body = frame.writer.buf->data + header_bytes;
    assert_true(replica_receive_frame(cluster->node[follower].manager, head.broker_id,
                                      frame.writer.buf, body,
                                      wire_writer_length(&frame.writer) - header_bytes));
    replica_frame_free(&frame);
    return raft_due_ticks(raft) - replica_now_ticks(cluster->node[follower].manager);
}

static void no_rest_is_taken_from_a_broker_with_other_shards(void **state)
{
    (void)state;
    nodes_run_until(cluster, is_silent);
    uint32_t follower = (nodes_leader(cluster) + 1) % 3;
    assert_in_range(patience_after_offer(follower, 1), 300 + 50, 300 + 100);
    assert_in_range(patience_after_offer(follower, 2), 50, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(peers_are_heard_while_groups_are_silent, begin, finish),
        cmocka_unit_test_setup_teardown(a_leader_that_falls_silent_is_replaced, begin, finish),
        cmocka_unit_test_setup_teardown(who_has_no_groups_is_not_missed, begin, finish),
        cmocka_unit_test_setup_teardown(no_rest_is_taken_from_a_broker_with_other_shards, begin,
                                        finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
