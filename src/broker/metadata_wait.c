/* SPDX-License-Identifier: Apache-2.0
 *
 * metadata_wait.c -- see metadata_wait.h.
 *
 * A broker has applied an index when every one of its shards has: a letter that goes around them
 * comes to each behind the records.
 */
#include "broker/metadata_wait.h"

#include "base/assert.h"
#include "base/memory.h"
#include "broker/broker_process.h"
#include "broker/controller.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "wire/await_metadata.h"

#define WAIT_NS 2000000000ull

struct metadata_waits {
    struct broker_shard *shard;
    struct list waiting; /* struct metadata_wait */
    int64_t last_ask;
};

/* Another broker, or this one itself, wants to know when the index is applied here. */
struct metadata_ask {
    struct upkeep_condition condition;
    struct shard_message message;
    struct metadata_waits *waits;
    struct metadata_wait_message content;
};

struct metadata_waits *metadata_waits_new(struct broker_shard *shard)
{
    struct metadata_waits *waits = memory_allocate_zeroed(sizeof *waits);
    waits->shard = shard;
    waits->last_ask = (int64_t)(io_random(shard->loop) >> 2); /* not those of an earlier process */
    list_init(&waits->waiting);
    return waits;
}

void metadata_waits_free(struct metadata_waits *waits)
{
    ensure(list_is_empty(&waits->waiting));
    memory_free(waits);
}

static bool send(struct broker_shard *shard, uint32_t to, int64_t ask, uint64_t index,
                 bool is_applied)
{
    struct await_metadata_request request;
    struct wire_writer writer;
    await_metadata_request_init(&request);
    request.ask = ask;
    request.index = (int64_t)index;
    request.is_applied = is_applied;
    peer_request_frame_begin(&writer, AWAIT_METADATA_TYPE, 0);
    await_metadata_request_encode(&request, 0, &writer);
    struct buf *frame = peer_request_frame_take(&writer);
    bool is_sent = peer_link_send(shard->links, to, frame);
    buf_release(frame);
    return is_sent;
}

/* ---- Who is asked ---- */

static void take_answer(struct metadata_waits *waits, uint32_t from, int64_t ask)
{
    list_for_each(&waits->waiting, node)
    {
        struct metadata_wait *wait = container_of(node, struct metadata_wait, node);
        for (uint32_t i = 0; wait->ask == ask && i < wait->awaited_count; i++) {
            if (wait->awaited[i] == from) {
                wait->awaited[i] = wait->awaited[--wait->awaited_count];
            }
        }
    }
    io_loop_again(waits->shard->loop);
}

/* The letter has been on all shards and comes home. */
static void say_applied(const struct metadata_ask *asked)
{
    struct broker_shard *shard = asked->waits->shard;
    if (asked->content.from == shard->broker_id) {
        take_answer(asked->waits, shard->broker_id, asked->content.ask);
    } else {
        /* If it cannot be sent, who asked does not wait for ever. */
        (void)send(shard, asked->content.from, asked->content.ask, asked->content.index, true);
    }
}

static void deliver_ask(struct shard *shard, struct shard_message *message)
{
    struct metadata_ask *asked = container_of(message, struct metadata_ask, message);
    const struct broker_shard *state = shard_owner(shard);
    uint32_t here = broker_shard_id(state);
    if (here != 0) {
        shard_post(shard, (here + 1) % state->broker->shard_count, message);
        return;
    }
    say_applied(asked);
    memory_free(asked);
}

static bool is_applied(struct upkeep_condition *condition)
{
    const struct metadata_ask *asked = container_of(condition, struct metadata_ask, condition);
    const struct replica_group *group =
        replica_group_find(asked->waits->shard->replicas, CLUSTER_CONTROLLER_GROUP_ID);
    if (group == NULL) {
        return false;
    }
    struct replica_group_view view;
    replica_group_view(group, &view);
    return view.applied_index >= asked->content.index;
}

static void applied(struct upkeep_condition *condition, bool in_time)
{
    struct metadata_ask *asked = container_of(condition, struct metadata_ask, condition);
    const struct broker_shard *shard = asked->waits->shard;
    if (!in_time) {
        memory_free(asked);
        return;
    }
    list_node_init(&asked->message.node);
    asked->message.deliver = deliver_ask;
    shard_post(shard->shard, 1 % shard->broker->shard_count, &asked->message);
}

void metadata_waits_take(struct metadata_waits *waits, const struct metadata_wait_message *message)
{
    struct broker_shard *shard = waits->shard;
    if (message->is_applied) {
        take_answer(waits, message->from, message->ask);
        return;
    }
    struct metadata_ask *asked = memory_allocate_zeroed(sizeof *asked);
    asked->waits = waits;
    asked->content = *message;
    asked->condition.holds = is_applied;
    asked->condition.done = applied;
    upkeep_wait(shard->upkeep, &asked->condition, io_now_ns(shard->loop) + WAIT_NS);
}

/* ---- Who waits ---- */

static bool have_applied(struct upkeep_condition *condition)
{
    struct metadata_wait *wait = container_of(condition, struct metadata_wait, condition);
    uint32_t i = 0;
    while (i < wait->awaited_count) {
        if (broker_is_live(wait->waits->shard, wait->awaited[i])) {
            i++;
        } else {
            wait->awaited[i] = wait->awaited[--wait->awaited_count];
        }
    }
    return wait->awaited_count == 0;
}

static void waited(struct upkeep_condition *condition, bool in_time)
{
    (void)in_time;
    struct metadata_wait *wait = container_of(condition, struct metadata_wait, condition);
    list_remove(&wait->node);
    memory_free(wait->awaited);
    wait->awaited = NULL;
    wait->done(wait);
}

void metadata_wait_begin(struct broker_shard *shard, struct metadata_wait *wait)
{
    struct metadata_waits *waits = shard->metadata_waits;
    struct replica_group_view view;
    require(wait->done != NULL);
    wait->waits = waits;
    wait->ask = ++waits->last_ask;
    wait->awaited_count = 0;
    wait->awaited = NULL;
    if (controller_view(shard, &view)) {
        wait->awaited = memory_allocate(CLUSTER_BROKERS_MAX * sizeof wait->awaited[0]);
        uint32_t live =
            (uint32_t)controller_live_brokers(shard, wait->awaited, CLUSTER_BROKERS_MAX);
        for (uint32_t i = 0; i < live; i++) {
            uint32_t broker_id = wait->awaited[i];
            if (broker_id == shard->broker_id) {
                metadata_waits_take(
                    waits, &(struct metadata_wait_message){
                               .from = broker_id, .ask = wait->ask, .index = view.commit_index});
                wait->awaited[wait->awaited_count++] = broker_id;
            } else if (send(shard, broker_id, wait->ask, view.commit_index, false)) {
                wait->awaited[wait->awaited_count++] = broker_id;
            }
        }
    }
    list_node_init(&wait->node);
    list_append(&waits->waiting, &wait->node);
    wait->condition.holds = have_applied;
    wait->condition.done = waited;
    uint64_t deadline_ns = io_now_ns(shard->loop) + WAIT_NS;
    if (wait->deadline_ns != 0 && wait->deadline_ns < deadline_ns) {
        deadline_ns = wait->deadline_ns;
    }
    upkeep_wait(shard->upkeep, &wait->condition, deadline_ns);
}
