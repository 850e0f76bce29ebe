/* SPDX-License-Identifier: Apache-2.0
 *
 * course.c -- see course.h: first a storm, then calm.
 *
 * In the storm anything goes (weather.c, operators.c), and the oracle judges after every step. Then
 * everything heals, and the group must elect a leader, keep it, commit, bring every member up to
 * date, give nodes whose disk was lost their votes back, hand leadership over when asked, and not
 * mind a follower that comes and goes.  One disk may stay damaged, if the group can do without it.
 *
 * Locality: one thread; no clock.
 */
#include "course.h"

#include "base/assert.h"
#include "base/memory.h"
#include "operators.h"
#include "weather.h"

#include <inttypes.h>
#include <string.h>

#define STORM_TICKS 1500
#define REST_SEED 0x72657374
#define DAMAGE_SEED 0x62726f6b656e
#define UNREADABLE_MAX 300 /* of 1,000 sends */
#define ROT_MAX 20
#define SUCCESSION_ELECTIONS 40
#define REST_ELECTIONS_MAX 80
#define CALM_ELECTIONS 60 /* election timeouts that healing may take, besides catching up */

/* ---- A world from its seed ---- */

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
    world->bounce = draw_chance(world, 15);
    if (prng_below(prng, 4) == 0) /* a leader that nobody hears may believe in itself for long */
        world->options.election_ticks *= 4;
    world->aim = prng_below(prng, 2) == 0 ? 0 : 700;
    world->habit = (enum operator_habit)prng_below(prng, 3);
    if (prng_below(prng, 4) == 0) {
        world->wipe = 500;
        world->bounce = 5 + (uint32_t)prng_below(prng, 20);
        world->change = 20 + (uint32_t)prng_below(prng, 300);
    }
    struct prng of_rest; /* its own, or every world would change with it */
    prng_init(&of_rest, seed ^ REST_SEED);
    if (prng_below(&of_rest, 2) == 0)
        world->options.rest_ticks = (uint32_t)prng_below(
            &of_rest, REST_ELECTIONS_MAX * (uint64_t)world->options.election_ticks);
    prng_init(&world->of_damage, seed ^ DAMAGE_SEED); /* likewise */
    if (prng_below(&world->of_damage, 8) == 0)
        world->options.unreadable = 1 + (uint32_t)prng_below(&world->of_damage, UNREADABLE_MAX);
    if (prng_below(&world->of_damage, 4) == 0)
        world->rot = 1 + (uint32_t)prng_below(&world->of_damage, ROT_MAX);
    world->cluster = cluster_new(&world->options);
    for (uint32_t id = 1; id <= node_count; ++id)
        cluster_start(world->cluster, id);
}

/* ---- Storm ---- */

static void compact(struct world *world, uint32_t id)
{
    const struct cluster_node *node = cluster_node(world->cluster, id);
    if (node->raft != NULL)
        cluster_compact(world->cluster, id, prng_below(&world->prng, node->applied + 1));
}

static void storm(struct world *world)
{
    for (uint32_t tick = 0; tick < STORM_TICKS; ++tick) {
        weather_pass_tick(world, true);
        weather_strike(world);
        if (world_happens(world, world->compact))
            compact(world, world_random_node(world));
        for (uint32_t leader = 1; leader <= world->options.node_count; ++leader)
            if (world_is_leader(world, leader) && !world->is_paused[leader])
                operators_ask(world, leader);
    }
}

/* ---- Calm ---- */

/* The leader whose members are all level with it, at or behind index; 0: not yet. */
static uint32_t find_settled_leader(struct world *world, uint64_t index)
{
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        const struct cluster_node *node = cluster_node(world->cluster, id);
        if (!world_is_leader(world, id) || !raft_is_ready_leader(node->raft) ||
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

static void print_nodes(struct world *world)
{
    for (uint32_t id = 1; id <= world->options.node_count; ++id) {
        const struct cluster_node *node = cluster_node(world->cluster, id);
        fprintf(stderr, "%u %s term=%" PRIu64 " last=%" PRIu64 " commit=%" PRIu64 "%s ",
                (unsigned)id, raft_role_name(raft_role(node->raft)), raft_term(node->raft),
                raft_last_index(node->raft), raft_commit_index(node->raft),
                node->may_vote ? "" : " without a vote");
        cluster_print_membership(stderr, raft_membership(node->raft));
        fprintf(stderr, "\n");
    }
}

/* Within bounded time there is a leader and all its members are level. */
static uint32_t settle(struct world *world, uint64_t index)
{
    uint64_t ticks_max = CALM_ELECTIONS * world->options.election_ticks + world->options.rest_ticks;
    for (uint32_t id = 1; id <= world->options.node_count; ++id)
        ticks_max += 4 * raft_last_index(cluster_node(world->cluster, id)->raft);
    for (uint64_t tick = 0; tick < ticks_max; ++tick) {
        weather_pass_tick(world, false);
        uint32_t leader = find_settled_leader(world, index);
        if (leader != 0)
            return leader;
    }
    print_nodes(world);
    bool has_settled = false; /* no progress after everything healed */
    ensure(has_settled);
    return 0;
}

static void wait_elections(struct world *world, uint32_t elections)
{
    for (uint32_t tick = 0; tick < elections * world->options.election_ticks; ++tick)
        weather_pass_tick(world, false);
}

/* Nodes whose disk was lost become voters again. */
static void readmit_all(struct world *world)
{
    for (uint32_t step = 0; step < 8 * world->options.node_count; ++step) {
        uint32_t leader = settle(world, cluster_ledger_end(world->cluster));
        if (!operators_readmit(world, leader))
            return;
        wait_elections(world, 1); /* also when a leader removes itself and hands over */
    }
    print_nodes(world);
    bool has_its_vote_back = false;
    ensure(has_its_vote_back);
}

/* Writes and reads go through, and the leader stays. */
static void demand_service(struct world *world)
{
    for (int round = 0; round < 3; ++round) {
        uint32_t leader = settle(world, cluster_ledger_end(world->cluster));
        uint64_t passed = cluster_node(world->cluster, leader)->barriers_passed;
        ensure(cluster_propose(world->cluster, leader, 3, 10) == RAFT_OK);
        ensure(cluster_barrier(world->cluster, leader) == RAFT_OK);
        uint64_t index = raft_last_index(cluster_node(world->cluster, leader)->raft);
        ensure(settle(world, index) == leader);
        wait_elections(world, 1);
        ensure(cluster_node(world->cluster, leader)->barriers_passed > passed);
    }
}

/* A node that is cut off for a while and comes back does not cost the leader its lead. */
static void demand_steadiness(struct world *world)
{
    uint32_t leader = settle(world, cluster_ledger_end(world->cluster));
    const struct raft *raft = cluster_node(world->cluster, leader)->raft;
    const struct raft_membership *membership = raft_membership(raft);
    uint32_t other = world_random_node(world);
    bool is_spare = !raft_membership_has_voter(membership, other) || membership->voter_count > 2;
    if (other == leader || !is_spare)
        return;
    uint64_t term = raft_term(raft);
    if (prng_below(&world->prng, 2) == 0)
        weather_isolate(world, other);
    else
        weather_part(world, other, leader); /* it still hears those that hear the leader */
    if (raft_membership_has_voter(membership, other))
        ensure(cluster_transfer(world->cluster, leader, other) == RAFT_OK); /* and in vain */
    wait_elections(world, 4);
    ensure(cluster_propose(world->cluster, leader, 1, 10) == RAFT_OK);
    weather_mend(world);
    wait_elections(world, 4);
    ensure(world_is_leader(world, leader) && raft_term(raft) == term);
}

/* A voter that is asked to take over does. */
static void demand_transfer(struct world *world)
{
    uint32_t leader = settle(world, cluster_ledger_end(world->cluster));
    const struct raft_membership *membership =
        raft_membership(cluster_node(world->cluster, leader)->raft);
    uint32_t target = membership->voters[prng_below(&world->prng, membership->voter_count)];
    if (target == leader)
        return;
    ensure(cluster_transfer(world->cluster, leader, target) == RAFT_OK);
    wait_elections(world, 1);
    ensure(world_is_leader(world, target));
}

static bool has_another_leader(struct world *world, uint32_t leader)
{
    for (uint32_t id = 1; id <= world->options.node_count; ++id)
        if (id != leader && world_is_leader(world, id) &&
            raft_is_ready_leader(cluster_node(world->cluster, id)->raft))
            return true;
    return false;
}

/* A leader whose process stands still is replaced soon, even if it was silent by agreement. */
static void demand_succession(struct world *world)
{
    uint32_t leader = settle(world, cluster_ledger_end(world->cluster));
    if (raft_membership(cluster_node(world->cluster, leader)->raft)->voter_count < 3)
        return;
    wait_elections(world, 2);
    world->is_paused[leader] = true;
    uint32_t ticks_max = SUCCESSION_ELECTIONS * world->options.election_ticks;
    uint32_t tick = 0;
    while (tick < ticks_max && !has_another_leader(world, leader)) {
        weather_pass_tick(world, false);
        tick += 1;
    }
    ensure(tick < ticks_max);
    world->is_paused[leader] = false;
    settle(world, cluster_ledger_end(world->cluster));
}

static void calm(struct world *world)
{
    weather_clear(world);
    settle(world, cluster_ledger_end(world->cluster));
    wait_elections(world, 3); /* a transfer begun in the storm ends one way or the other */
    readmit_all(world);
    demand_service(world);
    switch (prng_below(&world->prng, 4)) {
    case 0:
        demand_steadiness(world);
        break;
    case 1:
        demand_transfer(world);
        break;
    case 2:
        demand_succession(world);
        break;
    default:
        break;
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
