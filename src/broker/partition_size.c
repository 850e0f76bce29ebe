/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_size.c -- how much of the disk the replicas here take.
 *
 * Locality: the shard of the partitions.
 */
#include "broker/partition_state.h"

#include "broker/broker.h"

void sizes_perform(struct broker_shard *shard, struct ask *ask)
{
    for (uint32_t i = 0; i < ask->count; i++) {
        struct size_item *item = container_of(ask->items[i], struct size_item, head);
        const struct partition *partition = partition_find(shard, item->head.group_id);
        item->is_here = partition != NULL && partition->life == PARTITION_RUNNING &&
                        replica_group_is_running(shard->replicas, item->head.group_id);
        item->size_bytes = item->is_here ? log_size_bytes(replica_group_log(partition->group)) : 0;
    }
    ask_return(shard, ask);
}
