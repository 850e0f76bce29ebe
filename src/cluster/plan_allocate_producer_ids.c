/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_allocate_producer_ids.c -- writes the record that gives a broker the next block of producer
 * ids.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/plan.h"
#include "cluster/record.h"

#include "wire/producer_ids_allocated.h"

void cluster_plan_allocate_producer_ids(const struct cluster_metadata *metadata, uint32_t broker_id,
                                        int32_t count, struct wire_writer *record,
                                        struct cluster_problem *problem)
{
    if (cluster_broker_find(metadata, broker_id) == NULL) {
        plan_refuse(problem, WIRE_ERROR_BROKER_ID_NOT_REGISTERED,
                    "broker %u is not part of the cluster", broker_id);
        return;
    }
    if (count < 1 || count > CLUSTER_PRODUCER_IDS_PER_BLOCK_MAX) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST, "%d is no block size; 1 to %d are", count,
                    CLUSTER_PRODUCER_IDS_PER_BLOCK_MAX);
        return;
    }
    struct producer_ids_allocated_record allocated = {.broker_id = broker_id, .count = count};
    cluster_record_begin(record, CLUSTER_RECORD_PRODUCER_IDS_ALLOCATED);
    producer_ids_allocated_record_encode(&allocated, CLUSTER_RECORD_VERSION, record);
    plan_accept(problem);
}
