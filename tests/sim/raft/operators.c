/* SPDX-License-Identifier: Apache-2.0
 *
 * operators.c -- see operators.h.
 *
 * A node without a vote (its disk was lost) is taken out of the voters, added as a learner, and
 * made a voter again when it has its vote back and has caught up: one change at a time, as brokers
 * do.
 *
 * Locality: one thread; no clock.
 */
#include "operators.h"

#include "base/assert.h"

#include <string.h>

/* A learner this close behind is promoted. */
#define CAUGHT_UP_INDEXES 10

static void insert_ascending(uint32_t *nodes, uint32_t *count, uint32_t node_id)
{
    uint32_t place = (*count)++;
    for (; place > 0 && nodes[place - 1] > node_id; --place)
        nodes[place] = nodes[place - 1];
    nodes[place] = node_id;
}

static void take_out(uint32_t *nodes, uint32_t *count, uint32_t node_id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; ++i)
        if (nodes[i] != node_id)
            nodes[kept++] = nodes[i];
    *count = kept;
}

/* Two at once are refused. */
static void ask_for_two_changes(struct world *world, uint32_t leader)
{
    const struct raft_membership *now = raft_membership(cluster_node(world->cluster, leader)->raft);
    struct raft_membership membership = {0};
    uint32_t changed = 0;
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        bool is_voter = raft_membership_has_voter(now, id);
        bool toggles = changed < 2 && !raft_membership_has_learner(now, id) &&
                       prng_below(&world->prng, 2) == 0;
        changed += toggles;
        if (is_voter != toggles)
            membership.voters[membership.voter_count++] = id;
        else if (raft_membership_has_learner(now, id))
            membership.learners[membership.learner_count++] = id;
    }
    if (changed == 2)
        ensure(cluster_change(world->cluster, leader, &membership) != RAFT_OK);
}

static void change_erratically(struct world *world, uint32_t leader)
{
    if (prng_below(&world->prng, 8) == 0) {
        ask_for_two_changes(world, leader);
        return;
    }
    struct raft_membership membership =
        *raft_membership(cluster_node(world->cluster, leader)->raft);
    uint32_t node_id = world_random_node(world);
    bool coin = prng_below(&world->prng, 2) == 0;
    if (raft_membership_has_voter(&membership, node_id)) {
        take_out(membership.voters, &membership.voter_count, node_id);
    } else if (raft_membership_has_learner(&membership, node_id)) {
        take_out(membership.learners, &membership.learner_count, node_id);
        if (coin)
            insert_ascending(membership.voters, &membership.voter_count, node_id);
    } else if (coin) {
        insert_ascending(membership.learners, &membership.learner_count, node_id);
    } else {
        insert_ascending(membership.voters, &membership.voter_count, node_id);
    }
    cluster_change(world->cluster, leader, &membership);
}

static void remove_member(struct raft_membership *membership, uint32_t node_id)
{
    take_out(membership->voters, &membership->voter_count, node_id);
    take_out(membership->learners, &membership->learner_count, node_id);
}

static void promote(struct raft_membership *membership, uint32_t node_id)
{
    take_out(membership->learners, &membership->learner_count, node_id);
    insert_ascending(membership->voters, &membership->voter_count, node_id);
}

/* ---- Nodes without a vote ---- */

static bool is_caught_up(const struct cluster_node *leader, uint32_t node_id)
{
    struct raft_progress_view view;
    return raft_progress(leader->raft, node_id, &view) &&
           view.match_index + CAUGHT_UP_INDEXES >= raft_last_index(leader->raft);
}

bool operators_readmit(struct world *world, uint32_t leader)
{
    const struct cluster_node *node = cluster_node(world->cluster, leader);
    struct raft_membership membership = *raft_membership(node->raft);
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        const struct cluster_node *other = cluster_node(world->cluster, id);
        bool is_voter = raft_membership_has_voter(&membership, id);
        bool is_learner = raft_membership_has_learner(&membership, id);
        if (!other->is_returning)
            continue;
        if (is_voter && other->may_vote) {
            cluster_returned(world->cluster, id);
            continue;
        }
        if (is_voter)
            remove_member(&membership, id);
        else if (!is_learner)
            insert_ascending(membership.learners, &membership.learner_count, id);
        else if (other->may_vote && is_caught_up(node, id))
            promote(&membership, id);
        else
            return true;
        cluster_change(world->cluster, leader, &membership);
        return true;
    }
    return false;
}

static bool is_copy_whole(struct world *world, uint32_t id)
{
    const struct cluster_node *node = cluster_node(world->cluster, id);
    uint64_t end = cluster_ledger_end(world->cluster);
    return node->may_vote && !node->is_returning && node->raft != NULL &&
           raft_commit_index(node->raft) >= end && raft_saved_index(node->raft) >= end;
}

/* All copies but one, which need not be the lost one, are whole. */
static bool bears_a_loss(struct world *world, const struct raft_membership *membership)
{
    uint32_t whole = 0;
    for (uint32_t i = 0; i < membership->voter_count; ++i)
        whole += is_copy_whole(world, membership->voters[i]);
    return membership->voter_count >= 3 && whole + 1 >= membership->voter_count;
}

/* While a membership is on its way it may be committed or cut off, so both it and the one before
 * have to bear the loss; and whoever is a voter of one alone keeps its disk, as nobody knows then
 * whether its vote counts. */
static bool bears_a_loss_of(struct world *world, uint32_t leader, uint32_t node_id)
{
    const struct cluster_node *node = cluster_node(world->cluster, leader);
    uint64_t index = 0;
    const struct raft_membership *newest = raft_membership(node->raft);
    const struct raft_membership *committed = cluster_committed_membership(node, &index);
    return raft_membership_has_voter(newest, node_id) ==
               raft_membership_has_voter(committed, node_id) &&
           bears_a_loss(world, newest) && bears_a_loss(world, committed);
}

/* The ready leader of the latest term that any node knows; 0: there is none.  One of an earlier
 * term, which stood still meanwhile, does not know the newest membership. */
static uint32_t latest_leader(struct world *world)
{
    uint32_t leader = 0;
    uint64_t term = 0;
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        const struct cluster_node *node = cluster_node(world->cluster, id);
        uint64_t known = node->raft != NULL ? raft_term(node->raft) : node->disk_term;
        if (known > term)
            leader = 0;
        term = known > term ? known : term;
        if (known == term && world_is_leader(world, id) && raft_is_ready_leader(node->raft))
            leader = id;
    }
    return leader;
}

uint32_t operators_may_wipe(struct world *world, uint32_t node_id)
{
    for (uint32_t id = 1; id <= world->options.node_count; ++id)
        if (cluster_node(world->cluster, id)->is_returning)
            return 0;
    uint32_t leader = latest_leader(world);
    if (leader == 0)
        return 0;
    return bears_a_loss_of(world, leader, node_id) ? leader : 0;
}

/* ---- Goals ---- */

static void draw_goal(struct world *world, const struct raft_membership *now)
{
    struct raft_membership goal = {0};
    uint32_t kind = (uint32_t)prng_below(&world->prng, 4);
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        bool is_in = raft_membership_has_voter(now, id);
        bool wanted = kind == 0   ? true                              /* everybody */
                      : kind == 1 ? !is_in                            /* all replaced */
                                  : prng_below(&world->prng, 2) == 0; /* some */
        if (wanted && kind != 3)
            goal.voters[goal.voter_count++] = id;
    }
    if (goal.voter_count == 0)
        goal.voters[goal.voter_count++] = world_random_node(world); /* down to one */
    world->goal = goal;
}

/* First all newcomers, then the removals, so that the group never has fewer voters than it must. */
static void move_on(struct world *world, uint32_t leader)
{
    const struct cluster_node *node = cluster_node(world->cluster, leader);
    struct raft_membership membership = *raft_membership(node->raft);
    if (world->goal.voter_count == 0 || raft_membership_equal(&membership, &world->goal))
        draw_goal(world, &membership);
    for (uint32_t i = 0; i < world->goal.voter_count; ++i) {
        uint32_t id = world->goal.voters[i];
        if (raft_membership_has_voter(&membership, id))
            continue;
        if (!raft_membership_has_learner(&membership, id))
            insert_ascending(membership.learners, &membership.learner_count, id);
        else if (is_caught_up(node, id))
            promote(&membership, id);
        else
            return; /* it is still catching up */
        cluster_change(world->cluster, leader, &membership);
        return;
    }
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        bool is_member = raft_membership_has_voter(&membership, id) ||
                         raft_membership_has_learner(&membership, id);
        if (!is_member || raft_membership_has_voter(&world->goal, id))
            continue;
        remove_member(&membership, id);
        cluster_change(world->cluster, leader, &membership);
        return;
    }
}

/* ---- Asking ---- */

static void change_members(struct world *world, uint32_t leader)
{
    if (operators_readmit(world, leader))
        return; /* one thing at a time */
    if (world->habit == OPERATOR_ERRATIC)
        change_erratically(world, leader);
    else if (world->habit == OPERATOR_MOVING)
        move_on(world, leader);
}

void operators_ask(struct world *world, uint32_t id)
{
    struct cluster_node *node = cluster_node(world->cluster, id);
    if (world_happens(world, world->propose)) {
        uint64_t span = 1 + prng_below(&world->prng, 9);
        cluster_propose(world->cluster, id, span, prng_below(&world->prng, 1000));
    }
    if (world_is_leader(world, id) && world_happens(world, world->barrier))
        cluster_barrier(world->cluster, id);
    if (world_is_leader(world, id) && world_happens(world, world->change))
        change_members(world, id);
    if (world_is_leader(world, id) && world_happens(world, world->transfer))
        cluster_transfer(world->cluster, id,
                         world_happens(world, 300) ? 0 : world_random_node(world));
    require(node->raft != NULL);
}
