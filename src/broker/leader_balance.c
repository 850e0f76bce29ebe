/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_balance.c -- see leader_balance.h.
 *
 * A sweep visits every group once, TRANSFERS_MAX transfers a pass, a pass a second; then it rests.
 *
 * Locality: one a shard.
 */
#include "broker/leader_balance.h"

#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/leader_handover.h"
#include "broker/peer_link.h"

#include <inttypes.h>

#define PASS_NS 1000000000ull
#define TRANSFERS_MAX 16

struct leader_balance {
    struct broker_shard *shard;
    struct io_timer timer;
    size_t position; /* of the sweep, among the groups */
};

static uint64_t delay_ns(const struct broker_shard *shard)
{
    return shard->config->leader_balance_delay_ms * 1000000ull;
}

/* The broker that should lead, when it is not this one and can; else 0. */
static uint32_t better_leader(const struct broker_shard *shard, const struct replica_group *group)
{
    const struct cluster_topic *topic = NULL;
    uint32_t number = 0;
    if (!replica_standing(group).is_leader ||
        !cluster_group_find(shard->metadata, replica_group_id(group), &topic, &number)) {
        return 0;
    }
    uint32_t preferred = cluster_partition_preferred_leader(&topic->partitions[number]);
    const struct cluster_broker *broker = cluster_broker_find(shard->metadata, preferred);
    if (preferred == shard->broker_id || broker == NULL || broker->is_leaving ||
        !peer_link_has_held(shard->links, preferred, delay_ns(shard))) {
        return 0;
    }
    return leader_may_pass_to(group, preferred) ? preferred : 0;
}

static void pass_due(struct io_timer *timer)
{
    struct leader_balance *balance = container_of(timer, struct leader_balance, timer);
    struct broker_shard *shard = balance->shard;
    struct replica_group *group = NULL;
    uint32_t transfers = 0;
    while (transfers < TRANSFERS_MAX &&
           (group = replica_group_next(shard->replicas, &balance->position)) != NULL) {
        uint32_t better = better_leader(shard, group);
        if (better != 0 && replica_transfer_leadership(group, better) == REPLICA_OK) {
            trace_info("Handing group %" PRIu64 " over to broker %" PRIu32
                       ", which is preferred to lead it",
                       replica_group_id(group), better);
            counter_add(&shard->stats.leaders_handed_over, 1);
            transfers++;
        }
    }
    uint64_t pause_ns = PASS_NS;
    if (group == NULL) {
        balance->position = 0;
        pause_ns += delay_ns(shard);
    }
    io_timer_start(shard->loop, timer, io_now_ns(shard->loop) + pause_ns);
}

struct leader_balance *leader_balance_new(struct broker_shard *shard)
{
    struct leader_balance *balance = memory_allocate_zeroed(sizeof *balance);
    balance->shard = shard;
    io_timer_init(&balance->timer, pass_due);
    return balance;
}

void leader_balance_start(struct leader_balance *balance)
{
    if (balance->shard->config->leader_balance) {
        io_timer_start(balance->shard->loop, &balance->timer,
                       io_now_ns(balance->shard->loop) + PASS_NS);
    }
}

void leader_balance_stop(struct leader_balance *balance)
{
    io_timer_stop(balance->shard->loop, &balance->timer);
}

void leader_balance_free(struct leader_balance *balance)
{
    memory_free(balance);
}
