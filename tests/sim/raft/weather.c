/* SPDX-License-Identifier: Apache-2.0
 *
 * weather.c -- see weather.h.
 *
 * Lost, late, doubled and reordered messages, cut links, crashes that lose what was not saved, slow
 * disks, lost disks, processes that stand still, ends of logs that rot on one disk.  With every
 * tick it also demands of leaders that they give up when nobody hears them.
 *
 * Locality: one thread; no clock.
 */
#include "weather.h"

#include "base/assert.h"
#include "base/memory.h"
#include "operators.h"

#include <string.h>

/* Election timeouts that a leader may go on without having heard a majority. */
#define DEAF_ELECTIONS_MAX 3

#define GHOST_TICKS 600

/* Indexes at the end of a log that rot at once. */
#define ROTTEN_MAX 40

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
        if (is_cut || (is_stormy && world_happens(world, world->loss))) {
            cluster_drop(cluster, position);
            count -= 1;
            continue;
        }
        uint64_t delay = is_stormy ? prng_below(&world->prng, world->delay_ticks_max) : 0;
        flight->deliver_ticks = cluster_now(cluster) + 1 + delay;
        if (is_stormy && world_happens(world, world->duplication)) {
            cluster_duplicate(cluster, position);
            uint64_t late = 3 * world->delay_ticks_max;
            if (world_happens(world, 50))
                late = GHOST_TICKS; /* a message of long ago */
            cluster_flight(cluster, cluster_flight_count(cluster) - 1)->deliver_ticks +=
                1 + prng_below(&world->prng, late);
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

static void note_beat(struct world *world, uint32_t id, uint32_t peer)
{
    world->beat_ticks[id][peer] = cluster_now(world->cluster);
    world->is_missed[id][peer] = false;
}

static void note_heard(struct world *world, uint32_t id, uint32_t peer)
{
    world->heard_ticks[id][peer] = cluster_now(world->cluster);
    note_beat(world, id, peer);
}

/* In calm weather in order, in a storm those due come in any. */
static void deliver_due(struct world *world, bool is_stormy)
{
    size_t due = collect_due(world);
    for (size_t i = 0; i < due; ++i) {
        size_t chosen = is_stormy ? i + (size_t)prng_below(&world->prng, due - i) : i;
        struct cluster_flight *flight = world->due[chosen];
        world->due[chosen] = world->due[i];
        note_heard(world, flight->message.to, flight->message.from);
        cluster_hand_over(world->cluster, flight);
    }
}

void weather_isolate(struct world *world, uint32_t id)
{
    for (uint32_t other = 1; other <= world->options.node_count; ++other)
        if (other != id)
            world->is_link_cut[id][other] = world->is_link_cut[other][id] = true;
}

void weather_part(struct world *world, uint32_t left, uint32_t right)
{
    world->is_link_cut[left][right] = world->is_link_cut[right][left] = true;
}

/* Any node, or in a world that aims at leaders, one of those. */
static uint32_t draw_victim(struct world *world)
{
    uint32_t id = world_random_node(world);
    if (!world_happens(world, world->aim))
        return id;
    for (uint32_t i = 0; i < world->options.node_count; ++i) {
        uint32_t other = 1 + (id + i) % world->options.node_count;
        if (world_is_leader(world, other))
            return other;
    }
    return id;
}

static void cut_both_ways(struct world *world, uint32_t from, uint32_t to)
{
    world->is_link_cut[from][to] = world->is_link_cut[to][from] = true;
    if (world_happens(world, world->notice)) {
        cluster_disconnect(world->cluster, from, to);
        cluster_disconnect(world->cluster, to, from);
    }
}

/* Two sides that do not hear each other; from is on the second. */
static void cut_in_two(struct world *world, uint32_t from)
{
    uint64_t sides = prng_next(&world->prng) & ~(1ull << from);
    for (uint32_t left = 1; left <= world->options.node_count; ++left)
        for (uint32_t right = 1; right <= world->options.node_count; ++right)
            if ((sides >> left & 1) != 0 && (sides >> right & 1) == 0)
                cut_both_ways(world, left, right);
}

static void cut_link(struct world *world)
{
    uint32_t from = draw_victim(world);
    uint64_t kind = prng_below(&world->prng, 4);
    if (kind == 0) {
        cut_in_two(world, from);
        return;
    }
    bool is_isolation = kind == 1;
    bool is_one_way = prng_below(&world->prng, 4) == 0;
    for (uint32_t to = 1; to <= world->options.node_count; ++to) {
        if (to == from || (!is_isolation && prng_below(&world->prng, 2) == 0))
            continue;
        if (is_one_way)
            world->is_link_cut[from][to] = true;
        else
            cut_both_ways(world, from, to);
    }
}

void weather_mend(struct world *world)
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
    uint32_t leader = world_happens(world, world->wipe) ? operators_may_wipe(world, id) : 0;
    cluster_crash(world->cluster, id, (size_t)prng_below(&world->prng, node->write_count + 1));
    if (leader != 0 && leader != id)
        cluster_wipe(world->cluster, id, leader);
    for (uint32_t peer = 1; peer <= world->options.node_count; ++peer)
        if (peer != id && world_happens(world, world->notice))
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

/* ---- Damage ---- */

static void rot(struct world *world)
{
    uint32_t id = 1 + (uint32_t)prng_below(&world->of_damage, world->options.node_count);
    const struct cluster_node *node = cluster_node(world->cluster, id);
    if (node->raft == NULL || raft_last_index(node->raft) == 0)
        return;
    uint64_t last_index = raft_last_index(node->raft);
    uint64_t count = 1 + prng_below(&world->of_damage, ROTTEN_MAX);
    cluster_damage(world->cluster, id, last_index > count ? last_index - count : 1, last_index);
}

/* A group of that membership can elect somebody else. */
static bool can_do_without(const struct world *world, const struct raft_membership *membership,
                           uint32_t id)
{
    uint32_t others = 0;
    for (uint32_t i = 0; i < membership->voter_count; ++i)
        others += membership->voters[i] != id &&
                  cluster_node(world->cluster, membership->voters[i])->may_vote;
    return membership->voter_count == 0 || others >= raft_membership_quorum(membership);
}

/* All run, and none other is damaged: whatever this one cannot read, the group goes on. */
static bool bears_damage_of(const struct world *world, uint32_t id)
{
    for (uint32_t i = 1; i <= world->options.node_count; ++i) {
        const struct cluster_node *node = cluster_node(world->cluster, i);
        if ((i != id && node->damaged_from != 0) || node->is_returning ||
            !can_do_without(world, raft_membership(node->raft), id))
            return false;
    }
    return true;
}

/* In calm weather at most one disk is damaged, and only if the group must bear it. */
static void mend_disks(struct world *world)
{
    for (uint32_t id = 1; id <= world->options.node_count; ++id)
        if (cluster_node(world->cluster, id)->damaged_from != 0 && !bears_damage_of(world, id))
            cluster_damage(world->cluster, id, 0, 0);
}

/* Its host has it hand over to whoever can read more. */
static void hand_over_damaged(struct world *world, uint32_t id)
{
    struct cluster_node *node = cluster_node(world->cluster, id);
    if (node->has_met_damage && world_is_leader(world, id))
        (void)cluster_transfer(world->cluster, id, 0); /* if not, when it meets it again */
    node->has_met_damage = false;
}

void weather_strike(struct world *world)
{
    if (world->rot > 0 && prng_below(&world->of_damage, 1000) < world->rot)
        rot(world);
    uint32_t id = world_random_node(world);
    if (world_happens(world, world->crash))
        crash(world, draw_victim(world));
    if (world_happens(world, world->restart))
        restart(world, id);
    if (world_happens(world, world->bounce)) {
        uint32_t victim = draw_victim(world);
        crash(world, victim);
        restart(world, victim);
    }
    if (world_happens(world, world->cut))
        cut_link(world);
    if (world_happens(world, world->mend))
        weather_mend(world);
    if (world_happens(world, world->pause))
        world->is_paused[draw_victim(world)] = true;
    else if (world->is_paused[id] && world_happens(world, 50))
        world->is_paused[id] = false; /* a client may come before the clock */
}

void weather_clear(struct world *world)
{
    cluster_set_hold_sends(world->cluster, false);
    cluster_set_unreadable(world->cluster, 0);
    memset(world->is_paused, 0, sizeof(world->is_paused));
    weather_mend(world);
    for (uint32_t id = 1; id <= world->options.node_count; ++id)
        restart(world, id);
    mend_disks(world);
}

/* ---- What hosts hear of each other ---- */

/* Hosts beat for all their groups at once, and tell a core when another host's beats stay away. */
static void watch_hosts(struct world *world, uint32_t id)
{
    uint64_t now = cluster_now(world->cluster);
    for (uint32_t peer = 1; peer <= world->options.node_count; ++peer) {
        bool is_heard = cluster_node(world->cluster, peer)->raft != NULL &&
                        !world->is_paused[peer] && !world->is_link_cut[peer][id];
        if (is_heard && now % world->options.heartbeat_ticks == 0)
            note_beat(world, id, peer);
        bool is_missing = now - world->beat_ticks[id][peer] >= world->options.election_ticks;
        if (peer != id && is_missing && !world->is_missed[id][peer]) {
            world->is_missed[id][peer] = true;
            cluster_miss(world->cluster, id, peer, world->beat_ticks[id][peer]);
        }
    }
}

/* ---- Time ---- */

/* A leader that no majority was heard by for long has given up (check-quorum). */
static void check_leader_is_heard(struct world *world, uint32_t id)
{
    uint64_t now = cluster_now(world->cluster);
    uint64_t patience = DEAF_ELECTIONS_MAX * world->options.election_ticks;
    if (!world_is_leader(world, id)) {
        world->lead_since_ticks[id] = 0;
        return;
    }
    const struct raft_membership *membership =
        raft_membership(cluster_node(world->cluster, id)->raft);
    if (world->lead_since_ticks[id] == 0 ||
        !raft_membership_equal(membership, &world->led_membership[id])) {
        world->lead_since_ticks[id] = now;
        world->led_membership[id] = *membership;
    }
    uint32_t others = 0;
    uint32_t heard = 0;
    for (uint32_t i = 0; i < membership->voter_count; ++i) {
        uint32_t voter = membership->voters[i];
        others += voter != id;
        heard += voter != id &&
                 now - world->heard_ticks[id][voter] <= patience + world->options.rest_ticks &&
                 (world->options.rest_ticks == 0 || now - world->beat_ticks[id][voter] <= patience);
    }
    uint32_t needed = raft_membership_quorum(membership) - (others < membership->voter_count);
    ensure(heard >= needed || now - world->lead_since_ticks[id] <= patience);
}

void weather_pass_tick(struct world *world, bool is_stormy)
{
    struct cluster *cluster = world->cluster;
    cluster_set_now(cluster, cluster_now(cluster) + 1);
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        if (world->is_paused[id])
            continue;
        if (world->options.rest_ticks > 0)
            watch_hosts(world, id);
        cluster_tick(cluster, id);
    }
    deliver_due(world, is_stormy);
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        struct cluster_node *node = cluster_node(cluster, id);
        if (node->raft == NULL || world->is_paused[id])
            continue;
        if (!is_stormy || node->write_count > CLUSTER_WRITES_MAX / 2)
            cluster_save(cluster, id, CLUSTER_WRITES_MAX);
        else if (world_happens(world, world->save))
            cluster_save(cluster, id, 1 + (size_t)prng_below(&world->prng, 4));
        if (!is_stormy || world_happens(world, 300))
            cluster_carry_out(cluster, id);
    }
    decide_fates(world, is_stormy);
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        if (world->is_paused[id])
            continue;
        hand_over_damaged(world, id);
        check_leader_is_heard(world, id);
    }
}
