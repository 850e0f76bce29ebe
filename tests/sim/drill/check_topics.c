/* SPDX-License-Identifier: Apache-2.0
 *
 * check_topics.c -- what the controller's answers promise.
 *
 *   two-leaders      of a partition and leader epoch only one leader is ever told, by whatever
 * broker lost-topic       a topic whose creation was acknowledged, and that nobody deletes, is in
 * every copy of the metadata once the cluster is at rest resurrection     one whose deletion was
 * acknowledged is in none
 */
#include "drill/check.h"
#include "drill/drill.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "cluster/cluster.h"

struct check_leaders {
    struct history *history;
    struct map leaders; /* topic, partition and epoch -> broker id */
};

struct check_leaders *check_leaders_new(struct history *history)
{
    struct check_leaders *leaders = memory_allocate_zeroed(sizeof *leaders);
    leaders->history = history;
    map_init(&leaders->leaders);
    return leaders;
}

void check_leaders_free(struct check_leaders *leaders)
{
    map_free(&leaders->leaders);
    memory_free(leaders);
}

void check_leader_told(struct check_leaders *leaders, uint32_t topic, uint32_t partition,
                       int32_t epoch, int32_t leader)
{
    require(leader > 0);
    if (epoch < 0) {
        return;
    }
    uint64_t key =
        ((uint64_t)topic << 44) | ((uint64_t)partition << 36) | (uint64_t)(uint32_t)epoch;
    uintptr_t known = (uintptr_t)map_put(&leaders->leaders, key, (void *)(uintptr_t)leader);
    if (known != 0 && known != (uintptr_t)leader) {
        sim_world_fail(
            leaders->history->world, "two-leaders: %s-%u in epoch %d: broker %lu was told, now %d",
            leaders->history->topics[topic].name, partition, epoch, (unsigned long)known, leader);
    }
}

static void check_copy(struct drill *drill, uint32_t host, const struct cluster_metadata *metadata)
{
    for (uint32_t i = 0; i < drill->history.topic_count; i++) {
        const struct history_topic *topic = &drill->history.topics[i];
        if (uuid_is_zero(&topic->id)) {
            continue;
        }
        bool is_there = cluster_topic_find_id(metadata, &topic->id) != NULL;
        if (topic->state == HISTORY_TOPIC_LIVE && !is_there) {
            sim_world_fail(drill->world, "lost-topic: broker %u does not know %s (topic %u)", host,
                           topic->name, i);
        }
        if (topic->state == HISTORY_TOPIC_DELETED && is_there) {
            sim_world_fail(drill->world, "resurrection: broker %u knows %s (topic %u)", host,
                           topic->name, i);
        }
    }
}

void check_topics_at_rest(struct drill *drill)
{
    for (uint32_t host = 1; host <= drill->swarm.brokers; host++) {
        struct broker *broker = sim_host_broker(drill->hosts[host]);
        for (uint32_t i = 0; broker != NULL && i < broker_shard_count(broker); i++) {
            check_copy(drill, host, broker_shard_at(broker, i)->metadata);
        }
    }
}
