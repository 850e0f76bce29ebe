/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_told.c -- see controller_told.h.
 */
#include "broker/controller_told.h"

#include "broker/controller.h"
#include "cluster/cluster.h"

int32_t controller_told(const struct broker_shard *shard)
{
    uint32_t told = controller_leader(shard);
    if (told == 0 || !broker_is_live(shard, told)) {
        told = shard->broker_id;
    }
    return cluster_broker_find(shard->metadata, told) != NULL ? (int32_t)told : -1;
}
