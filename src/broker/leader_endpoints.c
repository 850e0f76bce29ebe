/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_endpoints.c -- collecting the addresses of leaders, each once.
 *
 * Locality: the shard of the request.
 */
#include "broker/leader_endpoints.h"

#include "broker/broker.h"

void leader_endpoints_init(struct leader_endpoints *endpoints, struct arena *arena)
{
    *endpoints = (struct leader_endpoints){.arena = arena};
}

static void add_node(struct leader_endpoints *endpoints, const struct cluster_broker *broker)
{
    for (uint32_t i = 0; i < endpoints->count; i++) {
        if (endpoints->nodes[i].id == (int32_t)broker->id) {
            return;
        }
    }
    if (endpoints->nodes == NULL) {
        endpoints->nodes =
            arena_allocate_array(endpoints->arena, LEADER_ENDPOINTS_MAX, sizeof(*endpoints->nodes));
    }
    if (endpoints->nodes != NULL && endpoints->count < LEADER_ENDPOINTS_MAX) {
        endpoints->nodes[endpoints->count++] = (struct leader_endpoint){
            .id = (int32_t)broker->id,
            .host = topic_place_string(broker->kafka_host),
            .port = broker->kafka_port,
            .rack = topic_place_string(broker->rack[0] == '\0' ? NULL : broker->rack),
        };
    }
}

struct topic_place_leader leader_endpoints_add(struct leader_endpoints *endpoints,
                                               const struct broker_shard *shard,
                                               const struct ask_item *item)
{
    struct topic_place_leader leader = {-1, -1};
    if (item->term > 0) {
        leader.epoch = (int32_t)item->term;
    }
    const struct cluster_broker *broker =
        item->leader == 0 ? NULL : cluster_broker_find(shard->metadata, item->leader);
    if (broker == NULL && item->group_id != 0) {
        leader = topic_place_leader(shard, item->group_id);
        broker = leader.id < 0 ? NULL : cluster_broker_find(shard->metadata, (uint32_t)leader.id);
    }
    if (broker != NULL) {
        leader.id = (int32_t)broker->id;
        add_node(endpoints, broker);
    }
    return leader;
}
