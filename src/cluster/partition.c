/* SPDX-License-Identifier: Apache-2.0
 *
 * partition.c -- the replicas of a partition and where a reassignment of them stands.
 *
 *                 wanted again            wanted no more           complete
 *     SETTLED                             -> REMOVING
 *     REMOVING    -> SETTLED                                       leaves
 *     ADDING                              -> WITHDRAWN             -> SETTLED
 *     WITHDRAWN   -> ADDING                                        leaves
 *
 * A replica that is not wanted stays listed until the group's leader has proven that it is no
 * member, so whoever might still count it is told of it.
 *
 * Invariant: the wanted replicas come first, and there is one.
 *
 * Locality: the owner of the partition.
 */
#include "cluster/partition.h"

#include "base/assert.h"

#include <string.h>

/* ---- Questions ---- */

bool cluster_partition_find_replica(const struct cluster_partition *partition, uint32_t broker_id,
                                    uint32_t *position)
{
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (partition->replicas[i] == broker_id) {
            *position = i;
            return true;
        }
    }
    return false;
}

bool cluster_partition_is_moving(const struct cluster_partition *partition)
{
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (partition->standings[i] != CLUSTER_REPLICA_SETTLED) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(uint8_t standing)
{
    return standing == CLUSTER_REPLICA_SETTLED || standing == CLUSTER_REPLICA_ADDING;
}

bool cluster_partition_wants(const struct cluster_partition *partition, uint32_t position)
{
    require(position < partition->replica_count);
    return is_wanted(partition->standings[position]);
}

uint32_t cluster_partition_preferred_leader(const struct cluster_partition *partition)
{
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (is_wanted(partition->standings[i])) {
            return partition->replicas[i];
        }
    }
    return 0;
}

uint32_t cluster_partition_replication_factor(const struct cluster_partition *partition)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        count += is_wanted(partition->standings[i]) ? 1 : 0;
    }
    return count;
}

uint32_t cluster_partition_founders(const struct cluster_partition *partition, uint32_t *founders)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < partition->replica_count && !partition->has_lost_founder; i++) {
        if (partition->incarnations[i] == 0) {
            founders[count++] = partition->replicas[i];
        }
    }
    ensure(partition->has_lost_founder || count > 0);
    return count;
}

/* ---- Taking ---- */

bool partition_take_replicas(struct cluster_partition *partition, const uint32_t *replicas,
                             int32_t count)
{
    if (count < 1 || count > CLUSTER_REPLICAS_MAX) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        for (int32_t j = 0; j < i; j++) {
            if (replicas[j] == replicas[i]) {
                return false;
            }
        }
        if (replicas[i] == 0) {
            return false;
        }
        partition->replicas[i] = replicas[i];
        partition->incarnations[i] = 0;
        partition->standings[i] = CLUSTER_REPLICA_SETTLED;
    }
    partition->replica_count = (uint32_t)count;
    return true;
}

bool partition_take_reassignment(struct cluster_partition *partition, uint32_t epoch,
                                 const uint32_t *incarnations, int32_t incarnation_count,
                                 const int8_t *standings, int32_t standing_count)
{
    bool is_wanted_before = true;
    if (incarnation_count != (int32_t)partition->replica_count ||
        standing_count != incarnation_count) {
        return false;
    }
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (standings[i] < CLUSTER_REPLICA_SETTLED || standings[i] > CLUSTER_REPLICA_WITHDRAWN ||
            incarnations[i] > epoch) {
            return false;
        }
        bool is_wanted_now = is_wanted((uint8_t)standings[i]);
        if (is_wanted_now && !is_wanted_before) {
            return false;
        }
        is_wanted_before = is_wanted_now;
        partition->incarnations[i] = incarnations[i];
        partition->standings[i] = (uint8_t)standings[i];
    }
    partition->epoch = epoch;
    return is_wanted(partition->standings[0]);
}

/* ---- Changing ---- */

static void append(struct cluster_partition *partition, uint32_t broker_id, uint32_t incarnation,
                   enum cluster_replica_standing standing)
{
    uint32_t at = partition->replica_count++;
    partition->replicas[at] = broker_id;
    partition->incarnations[at] = incarnation;
    partition->standings[at] = (uint8_t)standing;
}

static bool was_replica_before(uint8_t standing)
{
    return standing == CLUSTER_REPLICA_SETTLED || standing == CLUSTER_REPLICA_REMOVING;
}

/* Appends the wanted replicas; true when one of them was not wanted before. */
static bool append_wanted(const struct cluster_partition *partition,
                          const struct cluster_partition *target, struct cluster_partition *result)
{
    bool is_change = false;
    for (uint32_t i = 0; i < target->replica_count; i++) {
        uint32_t at = 0;
        if (!cluster_partition_find_replica(partition, target->replicas[i], &at)) {
            append(result, target->replicas[i], partition->epoch + 1, CLUSTER_REPLICA_ADDING);
            is_change = true;
            continue;
        }
        bool was_before = was_replica_before(partition->standings[at]);
        append(result, partition->replicas[at], partition->incarnations[at],
               was_before ? CLUSTER_REPLICA_SETTLED : CLUSTER_REPLICA_ADDING);
        is_change = is_change || !is_wanted(partition->standings[at]);
    }
    return is_change;
}

bool partition_retarget(const struct cluster_partition *partition,
                        const struct cluster_partition *target, struct cluster_partition *result)
{
    require(target->replica_count > 0 && partition->epoch < UINT32_MAX);
    memset(result, 0, sizeof *result);
    result->group_id = partition->group_id;
    result->has_lost_founder = partition->has_lost_founder;
    bool is_change = append_wanted(partition, target, result);
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        uint32_t at = 0;
        if (cluster_partition_find_replica(target, partition->replicas[i], &at)) {
            continue;
        }
        if (result->replica_count == CLUSTER_REPLICAS_MAX) {
            return false;
        }
        append(result, partition->replicas[i], partition->incarnations[i],
               was_replica_before(partition->standings[i]) ? CLUSTER_REPLICA_REMOVING
                                                           : CLUSTER_REPLICA_WITHDRAWN);
        is_change = is_change || is_wanted(partition->standings[i]);
    }
    result->epoch = partition->epoch + (is_change ? 1 : 0);
    return true;
}

void partition_settle(struct cluster_partition *partition)
{
    uint32_t kept = cluster_partition_replication_factor(partition);
    require(kept > 0);
    for (uint32_t i = 0; i < kept; i++) {
        ensure(is_wanted(partition->standings[i]));
        partition->standings[i] = CLUSTER_REPLICA_SETTLED;
    }
    for (uint32_t i = kept; i < partition->replica_count; i++) {
        partition->has_lost_founder =
            partition->has_lost_founder || partition->incarnations[i] == 0;
    }
    partition->replica_count = kept;
}
