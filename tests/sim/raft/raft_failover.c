/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_failover.c -- how long a group is without a leader whose process was killed.
 *
 *     raft_failover [--seed N] [--seeds K]
 *
 * All of the others see their connections to it break, within a few ticks.  What makes a fail-over
 * long is that they are eager at the same time while a vote takes two saves and two ways: so disks
 * are slow here, to different degrees, as they are when a broker led a third of a thousand groups.
 * Prints for each degree how many milliseconds pass until another leader has committed, and fails
 * when one group in a hundred takes longer than an election timeout, which nobody should wait for
 * who knows that the leader is gone, or when one takes two of them.
 *
 * Locality: one thread; no clock.
 */
#include "base/assert.h"
#include "base/prng.h"
#include "cluster.h"
#include "course.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ELECTION_TICKS 100
#define HEARTBEAT_TICKS 20
#define WAY_TICKS 3 /* a message, or that a connection broke, takes fewer */
#define GIVEN_UP_TICKS 3000
#define SEEDS_MAX 100000

static const uint32_t node_counts[] = {3, 5};
static const uint32_t save_ticks_max[] = {1, 4, 8, 16};

struct failover {
    struct cluster *cluster;
    struct prng prng;
    uint32_t save_ticks_max;
    size_t saving[CLUSTER_NODES_MAX + 1]; /* writes that the save under way takes along */
    uint64_t save_due_ticks[CLUSTER_NODES_MAX + 1];
    uint64_t notice_ticks[CLUSTER_NODES_MAX + 1]; /* when it sees that the leader is gone; 0: not */
    uint64_t flights_seen;
};

static void draw_delays(struct failover *failover)
{
    uint64_t seen = failover->flights_seen;
    for (size_t i = 0; i < cluster_flight_count(failover->cluster); ++i) {
        struct cluster_flight *flight = cluster_flight(failover->cluster, i);
        if (flight->sequence < seen)
            continue;
        flight->deliver_ticks += prng_below(&failover->prng, WAY_TICKS);
        failover->flights_seen = flight->sequence + 1;
    }
}

static void deliver_due(struct failover *failover)
{
    draw_delays(failover);
    for (size_t i = 0; i < cluster_flight_count(failover->cluster);) {
        if (cluster_flight(failover->cluster, i)->deliver_ticks <= cluster_now(failover->cluster)) {
            cluster_deliver(failover->cluster, i);
            draw_delays(failover);
            i = 0;
        } else {
            ++i;
        }
    }
}

/* One save at a time; what is written meanwhile waits for the next one. */
static void save_due(struct failover *failover, uint32_t id)
{
    struct cluster_node *node = cluster_node(failover->cluster, id);
    uint64_t now = cluster_now(failover->cluster);
    if (failover->saving[id] > 0 && now >= failover->save_due_ticks[id]) {
        cluster_save(failover->cluster, id, failover->saving[id]);
        failover->saving[id] = 0;
    }
    if (failover->saving[id] == 0 && node->write_count > 0) {
        failover->saving[id] = node->write_count;
        failover->save_due_ticks[id] =
            now + 1 + prng_below(&failover->prng, failover->save_ticks_max);
    }
}

/* What was under way on a connection that broke is lost. */
static void lose_flights(struct failover *failover, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < cluster_flight_count(failover->cluster);) {
        const struct raft_message *message = &cluster_flight(failover->cluster, i)->message;
        if (message->from == from && message->to == to)
            cluster_drop(failover->cluster, i);
        else
            ++i;
    }
}

static void pass_tick(struct failover *failover, uint32_t lost)
{
    struct cluster *cluster = failover->cluster;
    cluster_set_now(cluster, cluster_now(cluster) + 1);
    for (uint32_t id = 1; id <= cluster_node_count(cluster); ++id) {
        if (id == lost)
            continue;
        if (failover->notice_ticks[id] == cluster_now(cluster)) {
            lose_flights(failover, lost, id);
            cluster_disconnect(cluster, id, lost);
        }
        cluster_tick(cluster, id);
        save_due(failover, id);
    }
    deliver_due(failover);
}

/* 0: none has committed in its term. */
static uint32_t leader_that_commits(struct cluster *cluster)
{
    for (uint32_t id = 1; id <= cluster_node_count(cluster); ++id) {
        const struct raft *raft = cluster_node(cluster, id)->raft;
        if (raft != NULL && raft_role(raft) == RAFT_LEADER &&
            raft_commit_index(raft) == raft_last_index(raft))
            return id;
    }
    return 0;
}

/* Ticks without a leader. */
static uint64_t run(uint64_t seed, uint32_t node_count, uint32_t save_max)
{
    const struct cluster_options options = {.node_count = node_count,
                                            .voter_count = node_count,
                                            .seed = seed,
                                            .heartbeat_ticks = HEARTBEAT_TICKS,
                                            .election_ticks = ELECTION_TICKS,
                                            .inflight_messages_max = 8,
                                            .inflight_bytes_max = 1 << 20,
                                            .uncommitted_bytes_max = 1 << 20,
                                            .entries_per_message_max = 8};
    struct failover failover = {.cluster = cluster_new(&options), .save_ticks_max = save_max};
    prng_init(&failover.prng, seed);
    for (uint32_t id = 1; id <= node_count; ++id)
        cluster_start(failover.cluster, id);
    uint32_t leader = 0;
    for (uint64_t i = 0; leader == 0 && i < GIVEN_UP_TICKS; ++i) {
        pass_tick(&failover, 0);
        leader = leader_that_commits(failover.cluster);
    }
    ensure(leader != 0);
    for (uint64_t i = prng_below(&failover.prng, 2 * HEARTBEAT_TICKS); i > 0; --i)
        pass_tick(&failover, 0);
    /* Some have its last entry, others do not. */
    (void)cluster_propose(failover.cluster, leader, 1, 10);
    for (uint64_t i = prng_below(&failover.prng, 4); i > 0; --i)
        pass_tick(&failover, 0);

    uint64_t lost_ticks = cluster_now(failover.cluster);
    cluster_crash(failover.cluster, leader, 0);
    for (uint32_t id = 1; id <= node_count; ++id)
        if (id != leader)
            failover.notice_ticks[id] = lost_ticks + 1 + prng_below(&failover.prng, WAY_TICKS);
    while (leader_that_commits(failover.cluster) == 0 &&
           cluster_now(failover.cluster) < lost_ticks + GIVEN_UP_TICKS)
        pass_tick(&failover, leader);
    uint64_t ticks = cluster_now(failover.cluster) - lost_ticks;
    cluster_free(failover.cluster);
    return ticks;
}

static int by_size(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Whether nobody waited too long. */
static bool measure(uint64_t seed, uint64_t seeds, uint32_t node_count, uint32_t save_max)
{
    static uint64_t ticks[SEEDS_MAX];
    for (uint64_t i = 0; i < seeds; ++i)
        ticks[i] = run(seed + i, node_count, save_max);
    qsort(ticks, seeds, sizeof ticks[0], by_size);
    uint64_t p99 = ticks[seeds * 99 / 100];
    uint64_t longest = ticks[seeds - 1];
    printf("raft_failover: %" PRIu32 " nodes, saves of up to %3" PRIu32 " ms, %" PRIu64
           " leaders killed: p50 %" PRIu64 " p99 %" PRIu64 " max %" PRIu64 " ms\n",
           node_count, save_max * COURSE_TICK_MS, seeds, ticks[seeds / 2] * COURSE_TICK_MS,
           p99 * COURSE_TICK_MS, longest * COURSE_TICK_MS);
    return p99 <= ELECTION_TICKS && longest <= 2 * ELECTION_TICKS;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    uint64_t seeds = 1000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(argv[i + 1], NULL, 10);
    }
    if (argc % 2 == 0 || seeds == 0 || seeds > SEEDS_MAX) {
        fprintf(stderr, "usage: raft_failover [--seed N] [--seeds 1..%d]\n", SEEDS_MAX);
        return 2;
    }
    bool is_fine = true;
    for (size_t i = 0; i < sizeof node_counts / sizeof node_counts[0]; ++i)
        for (size_t j = 0; j < sizeof save_ticks_max / sizeof save_ticks_max[0]; ++j)
            is_fine = measure(seed, seeds, node_counts[i], save_ticks_max[j]) && is_fine;
    if (!is_fine)
        printf("raft_failover: p99 <= %d and max <= %d ms are promised\n",
               ELECTION_TICKS * COURSE_TICK_MS, 2 * ELECTION_TICKS * COURSE_TICK_MS);
    return is_fine ? 0 : 1;
}
