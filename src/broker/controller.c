/* SPDX-License-Identifier: Apache-2.0
 *
 * controller.c -- the controller group on this broker: starting it, proposing to it.
 *
 * Locality: shard 0, except controller_leader(), which every shard answers from its leader table.
 */
#include "broker/controller.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/controller_applier.h"
#include "broker/founding.h"
#include "broker/leader_table.h"
#include "wire/batch.h"

#include <inttypes.h>
#include <string.h>

#define CONTROLLER_SEGMENT_BYTES (16u << 20)
#define CONTROLLER_SEGMENT_MS (7ull * 24 * 60 * 60 * 1000)
#define CONTROLLER_INDEX_INTERVAL_BYTES 4096
#define CONTROLLER_SNAPSHOT_BYTES (4u << 20)

static const char description[] = "controller";

bool controller_is_leader(const struct broker_shard *shard)
{
    return shard->controller != NULL && shard->controller->standing.is_leader;
}

bool controller_is_voter(const struct broker_shard *shard)
{
    /* Not controller->group: that stays until the group is gone, and a stopping one has no view. */
    const struct replica_group *group =
        replica_group_find(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID);
    if (group == NULL || replica_group_is_joining(group)) {
        return false;
    }
    struct replica_group_view view;
    replica_group_view(group, &view);
    for (uint32_t i = 0; i < view.member_count; i++) {
        if (view.members[i].node_id == shard->broker_id) {
            return view.members[i].is_voter;
        }
    }
    return false;
}

uint32_t controller_leader(const struct broker_shard *shard)
{
    uint32_t leader = 0;
    uint64_t term = 0;
    leader_table_get(shard->leaders, CLUSTER_CONTROLLER_GROUP_ID, &leader, &term);
    return leader;
}

bool controller_view(const struct broker_shard *shard, struct replica_group_view *view)
{
    const struct replica_group *group =
        replica_group_find(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID);
    if (!controller_is_leader(shard) || group == NULL) {
        return false;
    }
    replica_group_view(group, view);
    return view->leader == shard->broker_id;
}

/* ---- Proposing ---- */

static enum wire_error error_of(enum replica_result result)
{
    bool is_full = result == REPLICA_FULL || result == REPLICA_BUSY;
    return is_full ? WIRE_ERROR_REQUEST_TIMED_OUT : WIRE_ERROR_NOT_CONTROLLER;
}

static void propose_now(struct controller *controller, struct controller_proposal *proposal)
{
    enum replica_result result = REPLICA_NOT_RUNNING;
    if (controller->group != NULL && controller->standing.is_leader) {
        struct buf *value = proposal->value;
        struct buf *batch = wire_batch_build(NULL, -1, value->data, (int32_t)value->length_bytes,
                                             io_wall_ms(controller->shard->loop));
        result = replica_propose(controller->group, batch, batch->data, batch->length_bytes, 1,
                                 &proposal->base_offset);
        buf_release(batch);
    }
    buf_release(proposal->value);
    proposal->value = NULL;
    if (result == REPLICA_OK) {
        list_append(&controller->proposals, &proposal->node);
        return;
    }
    proposal->error = error_of(result);
    list_append(&controller->refused, &proposal->node);
    io_loop_again(controller->shard->loop);
}

void controller_propose(struct broker_shard *shard, struct wire_writer *record,
                        void (*done)(void *context, enum wire_error error,
                                     const struct cluster_change *change),
                        void *context)
{
    struct controller *controller = shard->controller;
    struct controller_proposal *proposal = memory_allocate_zeroed(sizeof *proposal);
    list_node_init(&proposal->node);
    proposal->value = wire_writer_take(record);
    proposal->done = done;
    proposal->context = context;
    if (controller->is_applying) {
        list_append(&controller->deferred, &proposal->node);
        io_loop_again(shard->loop);
        return;
    }
    propose_now(controller, proposal);
}

void controller_confirm_lead(struct broker_shard *shard,
                             void (*done)(void *context, bool is_leader), void *context)
{
    if (controller_is_leader(shard) && shard->controller->group != NULL) {
        replica_read_barrier(shard->controller->group, done, context);
    } else {
        done(context, false);
    }
}

static void end_of_turn(struct io_turn_hook *hook)
{
    struct controller *controller = container_of(hook, struct controller, hook);
    struct list_node *node = NULL;
    while ((node = list_take_first(&controller->deferred)) != NULL) {
        propose_now(controller, container_of(node, struct controller_proposal, node));
    }
    controller_fail_proposals(&controller->refused, WIRE_ERROR_NONE);
}

size_t controller_live_brokers(const struct broker_shard *shard, uint32_t *broker_ids,
                               size_t capacity)
{
    size_t position = 0;
    size_t count = 0;
    const struct cluster_broker *broker = NULL;
    while (count < capacity && (broker = cluster_broker_next(shard->metadata, &position)) != NULL) {
        if (broker_is_live(shard, broker->id)) {
            broker_ids[count++] = broker->id;
        }
    }
    return count;
}

/* ---- The group ---- */

static struct raft_membership founding_members(const struct broker_shard *shard)
{
    const struct data_directory_founder *founders = NULL;
    struct raft_membership members = {0};
    uint32_t count = founding_founders(shard->founding, &founders);
    ensure(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        members.voters[members.voter_count++] = founders[i].broker_id;
    }
    return members;
}

/* Nobody else could fill the replica here. */
static bool is_alone(const struct broker_shard *shard)
{
    const struct broker_config *config = shard->config;
    return config->controller_count == 0 ||
           (config->controller_count == 1 && config->controllers[0].id == shard->broker_id);
}

static void group_started(void *context, enum replica_result result, struct replica_group *group)
{
    struct controller *controller = context;
    const struct broker_shard *shard = controller->shard;
    if (result != REPLICA_OK && shard->broker->is_stopping) {
        return; /* the end came first */
    }
    if (result == REPLICA_DAMAGED && !is_alone(shard)) {
        return; /* controller_repair.h */
    }
    if (result != REPLICA_OK) {
        trace_error("the controller group cannot start: %s", replica_result_text(result));
        broker_abandon("this broker cannot take part in the controller group");
    }
    controller->group = group;
    controller_addresses_look_up(&controller->addresses, controller->shard, group);
}

static void start_group(struct broker_shard *shard, bool join)
{
    struct controller *controller = shard->controller;
    struct replica_group_spec spec = {
        .group_id = CLUSTER_CONTROLLER_GROUP_ID,
        .join = join,
        .members = founding_members(shard),
        .applier = &controller->applier,
        .log = {.segment_bytes = CONTROLLER_SEGMENT_BYTES,
                .segment_ms = CONTROLLER_SEGMENT_MS,
                .index_interval_bytes = CONTROLLER_INDEX_INTERVAL_BYTES},
        .description = description,
        .description_length = sizeof description - 1,
        .snapshot_bytes = CONTROLLER_SNAPSHOT_BYTES,
        .drop_prefix_after_snapshot = true,
    };
    replica_group_start(shard->replicas, &spec, group_started, controller);
}

static void founders_known(void *context)
{
    struct broker_shard *shard = context;
    start_group(shard, !founding_is_founder(shard->founding));
}

void controller_start_again(struct broker_shard *shard)
{
    /* What is in its directory says how: that of a damaged one that could not be moved, too. */
    start_group(shard, true);
}

void controller_quarantine(struct broker_shard *shard,
                           void (*done)(void *context, enum replica_result result), void *context)
{
    shard->controller->group = NULL;
    replica_group_quarantine(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID, description,
                             sizeof description - 1, done, context);
}

void controller_start(struct broker_shard *shard)
{
    founding_start(shard->founding, founders_known, shard);
}

struct controller *controller_new(struct broker_shard *shard)
{
    struct controller *controller = memory_allocate_zeroed(sizeof *controller);
    controller->applier.type = &controller_applier_type;
    controller->shard = shard;
    list_init(&controller->deferred);
    list_init(&controller->proposals);
    list_init(&controller->refused);
    list_node_init(&controller->hook.node);
    controller->hook.run = end_of_turn;
    io_turn_hook_add(shard->loop, &controller->hook);
    return controller;
}

void controller_free(struct controller *controller)
{
    ensure(!controller->addresses.is_reading);
    ensure(list_is_empty(&controller->deferred) && list_is_empty(&controller->proposals) &&
           list_is_empty(&controller->refused));
    io_turn_hook_remove(controller->shard->loop, &controller->hook);
    memory_free(controller);
}
