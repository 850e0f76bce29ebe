/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_picture.h -- a partition as answers describe it: who leads it, where its replicas are,
 * which of them run.
 *
 * Raft has no ISR.  A majority has every acknowledged record, whichever brokers that is; what
 * operators and tools read from the ISR is which replicas are there, so we report the replicas
 * whose brokers run.
 *
 * Locality: the shard of the request.
 */
#ifndef BROKER_TOPIC_PICTURE_H
#define BROKER_TOPIC_PICTURE_H

#include "base/arena.h"
#include "cluster/cluster.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;

struct partition_picture {
    enum wire_error error; /* NONE or LEADER_NOT_AVAILABLE */
    int32_t leader;        /* -1: none known */
    int32_t leader_epoch;  /* the Raft term; -1 unknown */
    int32_t *replicas;
    int32_t replica_count;
    int32_t *in_sync;
    int32_t in_sync_count;
    int32_t *offline;
    int32_t offline_count;
};

/* False when the arena, from which the lists are taken, is exhausted. */
bool partition_picture_take(const struct broker_shard *shard,
                            const struct cluster_partition *partition, struct arena *arena,
                            struct partition_picture *picture);

#endif
