/* SPDX-License-Identifier: Apache-2.0
 *
 * group_order.h -- starting or stopping a partition's group on the shard it belongs to, ordered
 * from shard 0, where the requests for it arrive.
 *
 * Locality: shard 0; the work itself on the shard of the group.
 */
#ifndef BROKER_GROUP_ORDER_H
#define BROKER_GROUP_ORDER_H

#include "broker/partition.h"

#include <stdbool.h>

/* What came of it. */
struct group_order_result {
    enum replica_result result;
    bool runs_the_same; /* ALREADY_RUNNING: the same partition with the same members */
};

typedef void (*group_order_done)(void *context, const struct group_order_result *result);

/* done comes once, in a later turn.  objection: NULL, or what is wrong with the specification
 * beyond its group id; then a group that runs is still found to be running, and any other is
 * REPLICA_BAD_REQUEST. */
void group_order_start(struct broker_shard *shard, const struct partition_spec *spec,
                       const char *objection, group_order_done done, void *context);
/* Stops the group and removes its data for good. */
void group_order_remove(struct broker_shard *shard, uint64_t group_id, group_order_done done,
                        void *context);

#endif
