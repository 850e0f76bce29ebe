/* SPDX-License-Identifier: Apache-2.0
 *
 * broker_shard_end.c -- how the shards of a broker end.
 *
 * Led by shard 0, one step on all shards before the next begins anywhere:
 *
 *     RUNNING -> GROUPS   no new connection; leadership is handed over, groups stop
 *             -> CLOSING  connections and links are closed, partitions let go
 *             -> ENDED    the loop stops
 *
 * so that a shard still carries the frames of the others while they hand over.  A step that hangs
 * ends after a time limit: what has not been saved by then was never acknowledged.
 *
 * Locality: the shard's own thread; the steps are counted on shard 0.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "broker/broker_process.h"
#include "broker/connection.h"
#include "broker/controller_upkeep.h"
#include "broker/disk_pulse.h"
#include "broker/forward.h"
#include "broker/founding.h"
#include "broker/leader_balance.h"
#include "broker/partition.h"
#include "broker/peer_link.h"
#include "broker/raft_group_flow.h"
#include "broker/reconciler.h"
#include "broker/registration.h"
#include "broker/repair.h"
#include "broker/tombstone_rounds.h"
#include "broker/upkeep.h"

#define CLOSING_LOOK_NS 5000000ull
#define CLOSING_LOOKS_MAX                                                                          \
    600 /* three seconds of running: a process that was stopped has not had them */

struct shard_life {
    struct broker_shard *state;
    struct io_timer timer; /* CLOSING: looks whether all is gone */
    uint32_t closing_looks;
    bool is_clean; /* everything was gone when the loop stopped */
};

struct shard_life *shard_life_new(struct broker_shard *state)
{
    struct shard_life *life = memory_allocate_zeroed(sizeof *life);
    life->state = state;
    return life;
}

bool shard_life_ended_clean(const struct shard_life *life)
{
    return life->is_clean;
}

void shard_life_free(struct shard_life *life)
{
    memory_free(life);
}

/* ---- Steps ---- */

/* A step of the end, to one shard; the answer goes to shard 0. */
struct step_message {
    struct shard_message message;
};

static void post_step(struct broker_shard *state, uint32_t to,
                      void (*deliver)(struct shard *shard, struct shard_message *message))
{
    struct step_message *step = memory_allocate_zeroed(sizeof *step);
    list_node_init(&step->message.node);
    step->message.deliver = deliver;
    shard_post(state->shard, to, &step->message);
}

static void post_step_to_all(struct broker_shard *state,
                             void (*deliver)(struct shard *shard, struct shard_message *message))
{
    state->broker->shards_awaited = state->broker->shard_count;
    for (uint32_t to = 0; to < state->broker->shard_count; to++) {
        post_step(state, to, deliver);
    }
}

static struct broker_shard *take_step(struct shard *shard, struct shard_message *message)
{
    memory_free(container_of(message, struct step_message, message));
    return shard_owner(shard);
}

/* Shard 0: one more has done its step; true when it was the last. */
static bool is_last(struct broker_shard *state)
{
    ensure(state->broker->shards_awaited > 0);
    return --state->broker->shards_awaited == 0;
}

static void end_loop(struct shard *shard, struct shard_message *message)
{
    struct broker_shard *state = take_step(shard, message);
    if (state->life->is_clean) {
        upkeep_stop(state);
    }
    io_loop_stop(state->loop);
}

static void shard_closed(struct shard *shard, struct shard_message *message)
{
    struct broker_shard *state = take_step(shard, message);
    if (is_last(state)) {
        post_step_to_all(state, end_loop);
    }
}

/* ---- Closing ---- */

static bool waits_for_nothing(const struct broker_shard *state)
{
    const struct upkeep *upkeep = state->upkeep;
    return list_is_empty(&upkeep->fetches) && list_is_empty(&upkeep->conditions) &&
           list_is_empty(&upkeep->producer_ids.waiting);
}

static bool everything_is_gone(const struct broker_shard *state)
{
    bool is_gone = connection_table_is_empty(state->connections) &&
                   peer_links_are_closed(state->links) && reconciler_is_idle(state->reconciler) &&
                   repairs_are_idle(state->repairs) && state->partitions.count == 0 &&
                   waits_for_nothing(state);
    if (state->controller == NULL) {
        return is_gone;
    }
    return is_gone && state->forwarder == NULL && raft_group_flows_are_done(state->flows) &&
           registration_is_idle(state->registration) && founding_is_idle(state->founding) &&
           controller_upkeep_is_idle(state->controller_upkeep);
}

static void look_whether_closed(struct io_timer *timer)
{
    struct shard_life *life = container_of(timer, struct shard_life, timer);
    struct broker_shard *state = life->state;
    uint64_t now_ns = io_now_ns(state->loop);
    life->is_clean = everything_is_gone(state);
    if (life->is_clean || ++life->closing_looks == CLOSING_LOOKS_MAX) {
        post_step(state, 0, shard_closed);
        return;
    }
    io_timer_start(state->loop, timer, now_ns + CLOSING_LOOK_NS);
}

static void partition_let_go(void *context, enum replica_result result)
{
    (void)context;
    (void)result;
}

static void let_partitions_go(struct broker_shard *state)
{
    size_t count = 0;
    size_t position = 0;
    struct partition *partition = NULL;
    uint64_t *group_ids = memory_allocate(state->partitions.count * sizeof *group_ids);
    while ((partition = map_next(&state->partitions, &position)) != NULL) {
        group_ids[count++] = partition_spec_of(partition)->group_id;
    }
    for (size_t i = 0; i < count; i++) {
        partition_stop(state, group_ids[i], false, partition_let_go, NULL);
    }
    memory_free(group_ids);
}

static void close_shard(struct shard *shard, struct shard_message *message)
{
    struct broker_shard *state = take_step(shard, message);
    let_partitions_go(state);
    connection_table_close_all(state->connections);
    peer_links_stop(state->links);
    if (state->controller != NULL) {
        forwarder_stop(state->forwarder);
    }
    io_timer_init(&state->life->timer, look_whether_closed);
    io_timer_start(state->loop, &state->life->timer, io_now_ns(state->loop));
}

static void shard_groups_stopped(struct shard *shard, struct shard_message *message)
{
    struct broker_shard *state = take_step(shard, message);
    if (is_last(state)) {
        post_step_to_all(state, close_shard);
    }
}

static void groups_stopped(void *context)
{
    struct broker_shard *state = context;
    post_step(state, 0, shard_groups_stopped);
}

static void stop_groups(struct shard *shard, struct shard_message *message)
{
    struct broker_shard *state = take_step(shard, message);
    listener_close_all(state);
    reconciler_stop(state->reconciler);
    leader_balance_stop(state->leader_balance);
    tombstone_rounds_stop(state->tombstone_rounds);
    disk_pulse_stop(state->disk_pulse);
    if (state->controller != NULL) {
        founding_stop(state->founding);
        controller_upkeep_stop(state->controller_upkeep);
        registration_stop(state->registration);
        raft_group_flows_stop(state->flows);
    }
    replica_manager_stop(state->replicas, groups_stopped, state);
}

void broker_shard_stop_all(struct broker_shard *state)
{
    require(broker_shard_id(state) == 0);
    if (!state->broker->is_stopping) {
        state->broker->is_stopping = true;
        post_step_to_all(state, stop_groups);
    }
}
