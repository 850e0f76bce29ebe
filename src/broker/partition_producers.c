/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_producers.c -- which producers the partitions led here remember.
 *
 * Locality: the shard of the partitions.
 */
#include "broker/partition_state.h"

#include "base/memory.h"
#include "broker/broker.h"
#include "txn/producer.h"

static void describe(const struct partition *partition, struct producers_item *item)
{
    size_t most = producer_count(partition->producers);
    if (most > 0) {
        item->producers = memory_allocate(most * sizeof *item->producers);
        item->producer_count = producer_describe(partition->producers, item->producers);
    }
}

void producers_perform(struct broker_shard *shard, struct ask *ask)
{
    for (uint32_t i = 0; i < ask->count; i++) {
        struct producers_item *item = container_of(ask->items[i], struct producers_item, head);
        const struct partition *partition = partition_find(shard, item->head.group_id);
        item->head.error = partition == NULL ? WIRE_ERROR_NOT_LEADER_OR_FOLLOWER
                                             : partition_leads(partition, &item->head);
        if (item->head.error == WIRE_ERROR_NONE) {
            describe(partition, item);
        }
    }
    ask_return(shard, ask);
}
