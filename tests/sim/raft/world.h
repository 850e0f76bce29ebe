/* SPDX-License-Identifier: Apache-2.0
 *
 * world.h -- what the parts of a course share: a cluster, a source of chance, and which misfortunes
 * this world knows, each with its chance.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_RAFT_WORLD_H
#define TESTS_SIM_RAFT_WORLD_H

#include "base/prng.h"
#include "cluster.h"

enum operator_habit {
    OPERATOR_ABSENT,
    OPERATOR_ERRATIC, /* any change at any time */
    OPERATOR_MOVING   /* step by step to a goal, then to the next one */
};

/* Chances are out of 1,000 a tick. */
struct world {
    struct cluster *cluster;
    struct cluster_options options;
    struct prng prng;
    struct prng of_damage; /* apart: what happens without damage does not change with it */
    uint32_t loss;
    uint32_t duplication;
    uint32_t delay_ticks_max;
    uint32_t crash;
    uint32_t restart;
    uint32_t bounce; /* a crash with a restart at once */
    uint32_t cut;
    uint32_t mend;
    uint32_t save;
    uint32_t propose;
    uint32_t change;
    uint32_t transfer;
    uint32_t barrier;
    uint32_t compact;
    uint32_t notice; /* that a cut link is noticed as a broken connection */
    uint32_t wipe;   /* that a crash takes the disk along */
    uint32_t pause;  /* a process that stands still, and finds everything waiting when it wakes */
    uint32_t rot;    /* that the end of a node's log can be read no more, for good */
    uint32_t aim;    /* that a misfortune meets a leader rather than any node */
    enum operator_habit habit;
    struct raft_membership goal; /* OPERATOR_MOVING; no voters: none yet */
    bool is_paused[CLUSTER_NODES_MAX + 1];
    bool is_link_cut[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1];
    uint64_t last_sequence;      /* messages up to here have their fate */
    struct cluster_flight **due; /* of one tick */
    size_t due_capacity;

    /* When a node last heard another, and since when it leads this membership. */
    uint64_t heard_ticks[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1];
    uint64_t beat_ticks[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1]; /* of hosts, not of cores */
    bool is_missed[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1];
    uint64_t lead_since_ticks[CLUSTER_NODES_MAX + 1]; /* 0: it does not lead */
    struct raft_membership led_membership[CLUSTER_NODES_MAX + 1];
};

static inline bool world_happens(struct world *world, uint32_t chance)
{
    return prng_below(&world->prng, 1000) < chance;
}

static inline uint32_t world_random_node(struct world *world)
{
    return 1 + (uint32_t)prng_below(&world->prng, world->options.node_count);
}

static inline bool world_is_leader(struct world *world, uint32_t id)
{
    const struct cluster_node *node = cluster_node(world->cluster, id);
    return node->raft != NULL && raft_role(node->raft) == RAFT_LEADER;
}

#endif
