/* SPDX-License-Identifier: Apache-2.0
 *
 * course.c -- see course.h: first a storm, then calm.
 *
 * The storm: lost, late, doubled and reordered messages, cut links, crashes that lose what was not
 * saved, slow disks, lost disks, processes that stand still, membership changes, transfers, cut
 * logs.  The oracle judges after every step.  Then everything heals, and the group must elect a
 * leader, keep it, commit, and bring every member up to date.
 *
 * Locality: one thread; no clock.
 */
#include "course.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/prng.h"
#include "cluster.h"

#include <inttypes.h>
#include <string.h>

#define STORM_TICKS 1500
#define CALM_ELECTIONS 60 /* election timeouts that healing may take, besides catching up */

/* Chances are out of 1,000 a tick. */
struct world {
    struct cluster *cluster;
    struct cluster_options options;
    struct prng prng;
    uint32_t loss;
    uint32_t duplication;
    uint32_t delay_ticks_max;
    uint32_t crash;
    uint32_t restart;
    uint32_t cut;
    uint32_t mend;
    uint32_t save;
    uint32_t propose;
    uint32_t change;
    uint32_t transfer;
    uint32_t barrier;
    uint32_t compact;
    uint32_t notice; /* that a cut link is noticed as a broken connection */
    uint32_t wipe;
    uint32_t pause; /* a process that stands still, and finds everything waiting when it wakes */
    bool was_wiped;
    bool is_paused[CLUSTER_NODES_MAX + 1];
    bool is_link_cut[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1];
    uint64_t last_sequence;      /* messages up to here have their fate */
    struct cluster_flight **due; /* of one tick */
    size_t due_capacity;
};

static bool happens(struct world *world, uint32_t chance)
{
    return prng_below(&world->prng, 1000) < chance;
}

static uint32_t random_node(struct world *world)
{
    return 1 + (uint32_t)prng_below(&world->prng, world->options.node_count);
}

/* Half of the worlds know a given misfortune, each to its own degree. */
static uint32_t draw_chance(struct world *world, uint32_t chance_max)
{
    if (prng_below(&world->prng, 2) == 0)
        return 0;
    return 1 + (uint32_t)prng_below(&world->prng, chance_max);
}

static void draw_world(struct world *world, uint64_t seed, FILE *trace)
{
    memset(world, 0, sizeof(*world));
    prng_init(&world->prng, seed);
    struct prng *prng = &world->prng;
    uint32_t node_count = 1 + (uint32_t)prng_below(prng, 7);
    world->options =
        (struct cluster_options){.node_count = node_count,
                                 .voter_count = 1 + (uint32_t)prng_below(prng, node_count),
                                 .seed = seed,
                                 .heartbeat_ticks = 1 + (uint32_t)prng_below(prng, 5),
                                 .election_ticks = 12 + (uint32_t)prng_below(prng, 30),
                                 .inflight_messages_max = 1 + (uint32_t)prng_below(prng, 10),
                                 .inflight_bytes_max = 1 + prng_below(prng, 5000),
                                 .uncommitted_bytes_max = 1 + prng_below(prng, 20000),
                                 .entries_per_message_max = 1 + (uint32_t)prng_below(prng, 8),
                                 .hold_sends = prng_below(prng, 3) == 0,
                                 .trace = trace};
    world->loss = draw_chance(world, 300);
    world->duplication = draw_chance(world, 200);
    world->delay_ticks_max = 1 + (uint32_t)prng_below(prng, prng_below(prng, 3) == 0 ? 20 : 3);
    world->crash = draw_chance(world, 15);
    world->restart = 5 + draw_chance(world, 100);
    world->cut = draw_chance(world, 30);
    world->mend = 5 + draw_chance(world, 100);
    world->save = prng_below(prng, 2) == 0 ? 1000 : 50 + (uint32_t)prng_below(prng, 500);
    world->propose = 100 + (uint32_t)prng_below(prng, 900);
    world->change = draw_chance(world, 50);
    world->transfer = draw_chance(world, 20);
    world->barrier = draw_chance(world, 300);
    world->compact = draw_chance(world, 50);
    world->notice = draw_chance(world, 1000);
    world->pause = draw_chance(world, 20);
    if (world->options.voter_count >= 3 && prng_below(prng, 4) == 0) {
        world->change = 0; /* a member without a vote leaves no room for more losses */
        world->wipe = 2;
    }
    world->cluster = cluster_new(&world->options);
    for (uint32_t id = 1; id <= node_count; ++id)
        cluster_start(world->cluster, id);
}

/* ---- Network ---- */

/* Position of the first message sent since the last call of decide_fates(). */
static size_t first_undecided(struct world *world)
{
    size_t position = cluster_flight_count(world->cluster);
    while (position > 0 &&
           cluster_flight(world->cluster, position - 1)->sequence > world->last_sequence)
        position -= 1;
    return position;
}

/* Decides what becomes of messages sent since the last call. */
static void decide_fates(struct world *world, bool is_stormy)
{
    struct cluster *cluster = world->cluster;
    size_t position = first_undecided(world);
    size_t count = cluster_flight_count(cluster);
    while (position < count) {
        struct cluster_flight *flight = cluster_flight(cluster, position);
        const struct raft_message *message = &flight->message;
        bool is_cut = world->is_link_cut[message->from][message->to];
        if (is_cut || (is_stormy && happens(world, world->loss))) {
            cluster_drop(cluster, position);
            count -= 1;
            continue;
        }
        uint64_t delay = is_stormy ? prng_below(&world->prng, world->delay_ticks_max) : 0;
        flight->deliver_ticks = cluster_now(cluster) + 1 + delay;
        if (is_stormy && happens(world, world->duplication)) {
            cluster_duplicate(cluster, position);
            cluster_flight(cluster, cluster_flight_count(cluster) - 1)->deliver_ticks +=
                1 + prng_below(&world->prng, 3 * world->delay_ticks_max);
        }
        position += 1;
    }
    count = cluster_flight_count(cluster);
    if (count > 0)
        world->last_sequence = cluster_flight(cluster, count - 1)->sequence;
}

/* Takes what is due out of the network. */
static size_t collect_due(struct world *world)
{
    size_t count = first_undecided(world);
    if (count > world->due_capacity) {
        world->due_capacity = 2 * count;
        world->due = memory_reallocate(world->due, world->due_capacity * sizeof(world->due[0]));
    }
    size_t due = 0;
    for (size_t i = 0; i < count;) {
        const struct cluster_flight *flight = cluster_flight(world->cluster, i);
        if (flight->deliver_ticks > cluster_now(world->cluster) ||
            world->is_paused[flight->message.to]) {
            i += 1;
        } else {
            world->due[due++] = cluster_take(world->cluster, i);
            count -= 1;
        }
    }
    return due;
}

/* In calm weather in order, in a storm those due come in any. */
static void deliver_due(struct world *world, bool is_stormy)
{
    size_t due = collect_due(world);
    for (size_t i = 0; i < due; ++i) {
        size_t chosen = is_stormy ? i + (size_t)prng_below(&world->prng, due - i) : i;
        struct cluster_flight *flight = world->due[chosen];
        world->due[chosen] = world->due[i];
        cluster_hand_over(world->cluster, flight);
    }
}

static void cut_link(struct world *world)
{
    uint32_t from = random_node(world);
    bool is_isolation = prng_below(&world->prng, 2) == 0;
    bool is_one_way = prng_below(&world->prng, 4) == 0;
    for (uint32_t to = 1; to <= world->options.node_count; ++to) {
        if (to == from || (!is_isolation && prng_below(&world->prng, 2) == 0))
            continue;
        world->is_link_cut[from][to] = true;
        if (!is_one_way)
            world->is_link_cut[to][from] = true;
        if (happens(world, world->notice)) {
            cluster_disconnect(world->cluster, from, to);
            cluster_disconnect(world->cluster, to, from);
        }
    }
}

static void connect_all(struct world *world)
{
    memset(world->is_link_cut, 0, sizeof(world->is_link_cut));
    for (uint32_t from = 1; from <= world->options.node_count; ++from)
        for (uint32_t to = 1; to <= world->options.node_count; ++to)
            if (from != to)
                cluster_connect(world->cluster, from, to);
}

/* ---- Life and death ---- */

static void crash(struct world *world, uint32_t id)
{
    struct cluster_node *node = cluster_node(world->cluster, id);
    if (node->raft == NULL)
        return;
    cluster_crash(world->cluster, id, (size_t)prng_below(&world->prng, node->write_count + 1));
    if (!world->was_wiped && happens(world, world->wipe * 100)) {
        world->was_wiped = true;
        cluster_wipe(world->cluster, id);
    }
    for (uint32_t peer = 1; peer <= world->options.node_count; ++peer)
        if (peer != id && happens(world, world->notice))
            cluster_disconnect(world->cluster, peer, id);
}

static void restart(struct world *world, uint32_t id)
{
    if (cluster_node(world->cluster, id)->raft != NULL)
        return;
    cluster_start(world->cluster, id);
    for (uint32_t peer = 1; peer <= world->options.node_count; ++peer)
        if (peer != id)
            cluster_connect(world->cluster, peer, id);
}

/* ---- Clients and operators ---- */

static bool is_leader(struct world *world, uint32_t id)
{
    const struct cluster_node *node = cluster_node(world->cluster, id);
    return node->raft != NULL && raft_role(node->raft) == RAFT_LEADER;
}

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

static void change_membership(struct world *world, uint32_t leader)
{
    struct raft_membership membership =
        *raft_membership(cluster_node(world->cluster, leader)->raft);
    uint32_t node_id = random_node(world);
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

static void lead(struct world *world, uint32_t id)
{
    struct cluster_node *node = cluster_node(world->cluster, id);
    if (happens(world, world->propose)) {
        uint64_t span = 1 + prng_below(&world->prng, 9);
        cluster_propose(world->cluster, id, span, prng_below(&world->prng, 1000));
    }
    if (is_leader(world, id) && happens(world, world->barrier))
        cluster_barrier(world->cluster, id);
    if (is_leader(world, id) && happens(world, world->change))
        change_membership(world, id);
    if (is_leader(world, id) && happens(world, world->transfer))
        cluster_transfer(world->cluster, id, happens(world, 300) ? 0 : random_node(world));
    require(node->raft != NULL);
}

static void compact(struct world *world, uint32_t id)
{
    const struct cluster_node *node = cluster_node(world->cluster, id);
    if (node->raft != NULL)
        cluster_compact(world->cluster, id, prng_below(&world->prng, node->applied + 1));
}

/* ---- Course of a world ---- */

static void pass_tick(struct world *world, bool is_stormy)
{
    struct cluster *cluster = world->cluster;
    cluster_set_now(cluster, cluster_now(cluster) + 1);
    for (uint32_t id = 1; id <= world->options.node_count; ++id)
        if (!world->is_paused[id])
            cluster_tick(cluster, id);
    deliver_due(world, is_stormy);
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        struct cluster_node *node = cluster_node(cluster, id);
        if (node->raft == NULL || world->is_paused[id])
            continue;
        if (!is_stormy || node->write_count > CLUSTER_WRITES_MAX / 2)
            cluster_save(cluster, id, CLUSTER_WRITES_MAX);
        else if (happens(world, world->save))
            cluster_save(cluster, id, 1 + (size_t)prng_below(&world->prng, 4));
        if (!is_stormy || happens(world, 300))
            cluster_carry_out(cluster, id);
    }
    decide_fates(world, is_stormy);
}

static void storm(struct world *world)
{
    for (uint32_t tick = 0; tick < STORM_TICKS; ++tick) {
        pass_tick(world, true);
        uint32_t id = random_node(world);
        if (happens(world, world->crash))
            crash(world, id);
        if (happens(world, world->restart))
            restart(world, id);
        if (happens(world, world->cut))
            cut_link(world);
        if (happens(world, world->mend))
            connect_all(world);
        if (happens(world, world->compact))
            compact(world, id);
        if (happens(world, world->pause))
            world->is_paused[id] = true;
        else if (world->is_paused[id] && happens(world, 50))
            world->is_paused[id] = false; /* a client may come before the clock */
        for (uint32_t leader = 1; leader <= world->options.node_count; ++leader)
            if (is_leader(world, leader) && !world->is_paused[leader])
                lead(world, leader);
    }
}

/* The leader whose members are all level with it, at or behind index; 0: not yet. */
static uint32_t find_settled_leader(struct world *world, uint64_t index)
{
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        const struct cluster_node *node = cluster_node(world->cluster, id);
        if (!is_leader(world, id) || !raft_is_ready_leader(node->raft) ||
            raft_commit_index(node->raft) < index)
            continue;
        const struct raft_membership *membership = raft_membership(node->raft);
        bool is_level = true;
        for (uint32_t peer = 1; peer <= world->options.node_count; ++peer) {
            if (!raft_membership_has_voter(membership, peer) &&
                !raft_membership_has_learner(membership, peer))
                continue;
            const struct raft *raft = cluster_node(world->cluster, peer)->raft;
            is_level = is_level && raft_commit_index(raft) == raft_last_index(node->raft) &&
                       raft_saved_index(raft) == raft_last_index(node->raft);
        }
        if (is_level)
            return id;
    }
    return 0;
}

/* Everything heals; within bounded time there is a leader and all its members are level. */
static uint32_t settle(struct world *world, uint64_t index)
{
    uint64_t ticks_max = CALM_ELECTIONS * world->options.election_ticks;
    for (uint32_t id = 1; id <= world->options.node_count; ++id)
        ticks_max += 4 * raft_last_index(cluster_node(world->cluster, id)->raft);
    for (uint64_t tick = 0; tick < ticks_max; ++tick) {
        pass_tick(world, false);
        uint32_t leader = find_settled_leader(world, index);
        if (leader != 0)
            return leader;
    }
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        const struct raft *raft = cluster_node(world->cluster, id)->raft;
        fprintf(stderr, "%u %s term=%" PRIu64 " last=%" PRIu64 " commit=%" PRIu64 " ", (unsigned)id,
                raft_role_name(raft_role(raft)), raft_term(raft), raft_last_index(raft),
                raft_commit_index(raft));
        cluster_print_membership(stderr, raft_membership(raft));
        fprintf(stderr, "\n");
    }
    bool has_settled = false; /* no progress after everything healed */
    ensure(has_settled);
    return 0;
}

static void calm(struct world *world)
{
    cluster_set_hold_sends(world->cluster, false);
    memset(world->is_paused, 0, sizeof(world->is_paused));
    connect_all(world);
    for (uint32_t id = 1; id <= world->options.node_count; ++id)
        restart(world, id);
    settle(world, cluster_ledger_end(world->cluster));
    for (uint32_t tick = 0; tick < 3 * world->options.election_ticks; ++tick)
        pass_tick(world, false); /* a transfer begun in the storm ends one way or the other */
    for (int round = 0; round < 3; ++round) {
        uint32_t leader = settle(world, cluster_ledger_end(world->cluster));
        uint64_t passed = cluster_node(world->cluster, leader)->barriers_passed;
        ensure(cluster_propose(world->cluster, leader, 3, 10) == RAFT_OK);
        ensure(cluster_barrier(world->cluster, leader) == RAFT_OK);
        uint64_t index = raft_last_index(cluster_node(world->cluster, leader)->raft);
        ensure(settle(world, index) == leader);
        for (uint32_t tick = 0; tick < world->options.election_ticks; ++tick)
            pass_tick(world, false);
        ensure(cluster_node(world->cluster, leader)->barriers_passed > passed);
    }
}

void course_run(uint64_t seed, FILE *trace, struct course_totals *totals)
{
    struct world world;
    draw_world(&world, seed, trace);
    storm(&world);
    calm(&world);
    totals->seeds += 1;
    totals->steps += cluster_steps(world.cluster);
    totals->ticks += cluster_now(world.cluster);
    cluster_free(world.cluster);
    memory_free(world.due);
}
