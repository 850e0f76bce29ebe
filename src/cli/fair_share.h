/* SPDX-License-Identifier: Apache-2.0
 *
 * fair_share.h -- which replicas a broker that was added takes over from the others.
 *
 * A plan only: nothing is asked of the cluster.  It never puts two replicas of a partition on one
 * broker, never lets a partition span fewer racks than before, and never takes a broker below the
 * fair share itself, so that a plan for what was carried out is empty.
 *
 * Locality: plain data.
 */
#ifndef CLI_FAIR_SHARE_H
#define CLI_FAIR_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAIR_SHARE_REPLICAS_MAX 15

struct fair_share_broker {
    int32_t id;
    bool takes_part;  /* live, and not leaving: it gives and takes, and the mean is of its like */
    const char *rack; /* "" when it has none; the caller's */
    uint32_t replica_count; /* set by fair_share_plan() */
};

struct fair_share_partition {
    uint32_t topic;                            /* partitions of one topic have the same number */
    int32_t replicas[FAIR_SHARE_REPLICAS_MAX]; /* in the order of preference */
    int32_t replica_count;
    bool is_moving;  /* already: it is left alone; replicas are those it moves to */
    bool is_planned; /* set: replicas are as they are to be */
};

/* The newcomer is one of the brokers, and takes part.  Puts it in the place of other replicas until
 * it holds as many as the mean, rounded down, or nothing more can be taken; topics in turn, and
 * preferred leaders in proportion.  Returns how many partitions were planned. */
size_t fair_share_plan(struct fair_share_partition *partitions, size_t partition_count,
                       struct fair_share_broker *brokers, size_t broker_count, int32_t newcomer);

#endif
