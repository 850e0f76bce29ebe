/* SPDX-License-Identifier: Apache-2.0
 *
 * upkeep.c -- the turn hook that looks at waiting requests, and the walk of retention over the
 * partitions.
 *
 * Locality: one a shard, used on it only.
 */
#include "broker/upkeep.h"

#include "base/assert.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "broker/partition_ask.h"
#include "broker/partition_retention.h"

/* Partitions a turn looks at, so that a broker with thousands of them keeps its turns short. */
#define RETENTION_PARTITIONS_A_TURN 64
#define RETENTION_NEXT_TURN_NS (1000u * 1000)

/* ---- The end of a turn ---- */

static void look_at_fetches(struct upkeep *upkeep)
{
    /* A look that ends in waiting on puts nothing back here; what an answer starts waits for the
     * next turn. */
    struct list due;
    struct list_node *node;
    list_init(&due);
    while ((node = list_take_first(&upkeep->fetches)) != NULL) {
        list_append(&due, node);
    }
    while ((node = list_take_first(&due)) != NULL) {
        fetch_ask_look(container_of(node, struct fetch_ask, node));
    }
}

static void finish_condition(struct upkeep_condition *condition, bool in_time)
{
    list_remove(&condition->node);
    io_timer_stop(condition->upkeep->shard->loop, &condition->timer);
    condition->done(condition, in_time);
}

static void look_at_conditions(struct upkeep *upkeep)
{
    struct list due;
    struct list_node *node;
    list_init(&due);
    while ((node = list_take_first(&upkeep->conditions)) != NULL) {
        list_append(&due, node);
    }
    while ((node = list_take_first(&due)) != NULL) {
        struct upkeep_condition *condition = container_of(node, struct upkeep_condition, node);
        if (condition->holds(condition)) {
            finish_condition(condition, true);
        } else {
            list_append(&upkeep->conditions, node);
        }
    }
}

static void end_of_turn(struct io_turn_hook *hook)
{
    struct upkeep *upkeep = container_of(hook, struct upkeep, hook);
    look_at_fetches(upkeep);
    look_at_conditions(upkeep);
}

void upkeep_fetch_is_due(struct upkeep *upkeep, struct fetch_ask *ask)
{
    require(ask->is_waiting);
    if (!list_is_linked(&ask->node)) {
        list_append(&upkeep->fetches, &ask->node);
        io_loop_again(upkeep->shard->loop);
    }
}

static void condition_timed_out(struct io_timer *timer)
{
    struct upkeep_condition *condition = container_of(timer, struct upkeep_condition, timer);
    finish_condition(condition, condition->holds(condition));
}

void upkeep_wait(struct upkeep *upkeep, struct upkeep_condition *condition, uint64_t deadline_ns)
{
    require(condition->holds != NULL && condition->done != NULL);
    condition->upkeep = upkeep;
    list_node_init(&condition->node);
    list_append(&upkeep->conditions, &condition->node);
    io_timer_init(&condition->timer, condition_timed_out);
    io_timer_start(upkeep->shard->loop, &condition->timer, deadline_ns);
    io_loop_again(upkeep->shard->loop);
}

/* ---- Retention ---- */

static void retention_due(struct io_timer *timer)
{
    struct upkeep *upkeep = container_of(timer, struct upkeep, retention);
    struct broker_shard *shard = upkeep->shard;
    struct partition *partition = NULL;
    for (uint32_t i = 0; i < RETENTION_PARTITIONS_A_TURN; i++) {
        partition = map_next(&shard->partitions, &upkeep->retention_position);
        if (partition == NULL) {
            break;
        }
        partition_apply_retention(partition, io_wall_ms(shard->loop));
    }
    uint64_t pause_ns = RETENTION_NEXT_TURN_NS;
    if (partition == NULL) {
        upkeep->retention_position = 0;
        pause_ns = (uint64_t)shard->config->retention_check_ms * 1000000u;
    }
    io_timer_start(shard->loop, &upkeep->retention, io_now_ns(shard->loop) + pause_ns);
}

/* ---- Life ---- */

void upkeep_start(struct broker_shard *shard)
{
    require(shard->upkeep == NULL && shard->replicas != NULL);
    struct upkeep *upkeep = memory_allocate_zeroed(sizeof(*upkeep));
    upkeep->shard = shard;
    list_init(&upkeep->fetches);
    list_init(&upkeep->conditions);
    list_init(&upkeep->producer_ids.waiting);
    upkeep->hook.run = end_of_turn;
    io_turn_hook_add(shard->loop, &upkeep->hook);
    disk_room_start(&upkeep->disk_room, shard);
    partition_compactor_start(&upkeep->compactor, shard);
    io_timer_init(&upkeep->retention, retention_due);
    io_timer_start(shard->loop, &upkeep->retention,
                   io_now_ns(shard->loop) + (uint64_t)shard->config->retention_check_ms * 1000000u);
    shard->upkeep = upkeep;
}

void upkeep_stop(struct broker_shard *shard)
{
    struct upkeep *upkeep = shard->upkeep;
    require(upkeep != NULL);
    ensure(list_is_empty(&upkeep->fetches) && list_is_empty(&upkeep->conditions));
    io_timer_stop(shard->loop, &upkeep->retention);
    partition_compactor_stop(&upkeep->compactor);
    disk_room_stop(&upkeep->disk_room);
    io_turn_hook_remove(shard->loop, &upkeep->hook);
    memory_free(upkeep);
    shard->upkeep = NULL;
}
