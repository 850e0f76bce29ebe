/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_group_flow.c -- the life of a flow: what it waits for, and when its caller is told.
 *
 * A start flow is done for its caller when every group has a leader, wherever the answers are by
 * then; the flow itself lives until the last answer.
 *
 * Locality: shard 0.
 */
#include "broker/raft_group_flow.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/leader_table.h"
#include "broker/raft_group_flow_internal.h"
#include "wire/start_partition_raft_group.h"
#include "wire/stop_partition_raft_group.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct flow_kind flow_start = {START_PARTITION_RAFT_GROUP_TYPE, "Starting Raft groups",
                                            "StartPartitionRaftGroup request",
                                            "StartPartitionRaftGroup request", true};
static const struct flow_kind flow_stop = {STOP_PARTITION_RAFT_GROUP_TYPE, "Stopping Raft groups",
                                           "StopRaftGroup command",
                                           "StopPartitionRaftGroup request", false};

/* ---- The end ---- */

static void stop_awaiting(struct flow *flow)
{
    for (uint32_t i = 0; i < flow->group_count && flow->awaited > 0; i++) {
        if (flow->groups[i].is_awaited) {
            flow->groups[i].is_awaited = false;
            flow->awaited--;
            map_take(&flow->flows->awaited, flow->groups[i].group_id);
        }
    }
}

static void tell(struct flow *flow, enum wire_error error)
{
    if (!flow->is_done) {
        flow->is_done = true;
        io_timer_stop(flow->flows->shard->loop, &flow->timer);
        stop_awaiting(flow);
        flow->done(flow->context, error);
    }
}

static bool is_complete(const struct flow *flow)
{
    return flow->awaited == 0 && (flow->kind->awaits_leaders || flow->unanswered == 0);
}

void flow_look(struct flow *flow)
{
    if (!flow->is_begun) {
        return;
    }
    if (is_complete(flow)) {
        tell(flow, WIRE_ERROR_NONE);
    }
    if (flow->is_done && flow->unanswered == 0 && list_is_empty(&flow->targets)) {
        list_remove(&flow->node);
        memory_free(flow->groups);
        memory_free(flow);
    }
}

static void deadline_passed(struct io_timer *timer)
{
    struct flow *flow = container_of(timer, struct flow, timer);
    if (is_complete(flow) && !flow->flows->is_stopped) {
        flow_look(flow);
        return;
    }
    if (flow->awaited > 0) {
        trace_warn("%s for topic %s: %" PRIu32 " of %" PRIu32 " groups have no leader in time",
                   flow->kind->begins, flow->topic, flow->awaited, flow->group_count);
    }
    tell(flow, WIRE_ERROR_REQUEST_TIMED_OUT);
    flow_look(flow);
}

void raft_group_flows_leader_known(struct raft_group_flows *flows, uint64_t group_id,
                                   uint32_t leader)
{
    struct flow_group *group = leader != 0 ? map_take(&flows->awaited, group_id) : NULL;
    if (group != NULL) {
        group->is_awaited = false;
        group->flow->awaited--;
        flow_look(group->flow);
    }
}

/* ---- The beginning ---- */

static void await_leaders(struct flow *flow)
{
    for (uint32_t i = 0; i < flow->group_count; i++) {
        struct flow_group *group = &flow->groups[i];
        uint32_t leader = 0;
        uint64_t term = 0;
        leader_table_get(flow->flows->shard->leaders, group->group_id, &leader, &term);
        if (leader == 0 && map_get(&flow->flows->awaited, group->group_id) == NULL) {
            group->is_awaited = true;
            flow->awaited++;
            map_put(&flow->flows->awaited, group->group_id, group);
        }
    }
}

static struct flow *flow_new(struct broker_shard *shard, const struct flow_kind *kind,
                             const struct cluster_topic *topic, uint32_t first_partition)
{
    require(first_partition <= topic->partition_count);
    struct flow *flow = memory_allocate_zeroed(sizeof *flow);
    flow->flows = shard->flows;
    flow->kind = kind;
    snprintf(flow->topic, sizeof flow->topic, "%s", topic->name);
    flow->topic_id = topic->id;
    flow->group_count = topic->partition_count - first_partition;
    flow->groups = memory_allocate_zeroed(flow->group_count * sizeof flow->groups[0]);
    for (uint32_t i = 0; i < flow->group_count; i++) {
        const struct cluster_partition *partition = &topic->partitions[first_partition + i];
        struct flow_group *group = &flow->groups[i];
        group->flow = flow;
        group->group_id = partition->group_id;
        group->partition = first_partition + i;
        group->replica_count = partition->replica_count;
        memcpy(group->replicas, partition->replicas, sizeof group->replicas);
    }
    list_init(&flow->targets);
    list_node_init(&flow->node);
    list_append(&shard->flows->flows, &flow->node);
    io_timer_init(&flow->timer, deadline_passed);
    return flow;
}

static void send_to_all(struct flow *flow)
{
    struct map reached; /* broker ids that have got theirs */
    map_init(&reached);
    for (uint32_t i = 0; i < flow->group_count; i++) {
        for (uint32_t j = 0; j < flow->groups[i].replica_count; j++) {
            uint32_t broker_id = flow->groups[i].replicas[j];
            if (map_put(&reached, broker_id, flow) == NULL) {
                flow_send_to(flow, broker_id);
            }
        }
    }
    map_free(&reached);
}

static void flow_run(struct broker_shard *shard, struct flow *flow, uint64_t deadline_ns)
{
    trace_info("%s for %" PRIu32 " partitions across multiple brokers", flow->kind->begins,
               flow->group_count);
    if (flow->kind->awaits_leaders) {
        await_leaders(flow);
    }
    send_to_all(flow);
    flow->is_begun = true;
    /* The caller is never told before it has this call behind it. */
    io_timer_start(shard->loop, &flow->timer,
                   is_complete(flow) ? io_now_ns(shard->loop) : deadline_ns);
}

/* What is committed while the broker ends is told to nobody any more: what was sent to a broker
 * that does not answer would hold up the end.  The brokers reconcile. */
static void flow_begin(struct broker_shard *shard, struct flow *flow, uint64_t deadline_ns)
{
    if (shard->flows->is_stopped) {
        flow->is_begun = true;
        io_timer_start(shard->loop, &flow->timer, io_now_ns(shard->loop));
    } else {
        flow_run(shard, flow, deadline_ns);
    }
}

void controller_start_groups(struct broker_shard *shard, const struct cluster_topic *topic,
                             uint32_t first_partition, uint64_t deadline_ns,
                             void (*done)(void *context, enum wire_error error), void *context)
{
    struct flow *flow = flow_new(shard, &flow_start, topic, first_partition);
    flow->done = done;
    flow->context = context;
    flow_begin(shard, flow, deadline_ns);
}

void controller_stop_groups(struct broker_shard *shard, const struct cluster_topic *topic,
                            uint64_t deadline_ns,
                            void (*done)(void *context, enum wire_error error), void *context)
{
    struct flow *flow = flow_new(shard, &flow_stop, topic, 0);
    flow->done = done;
    flow->context = context;
    flow_begin(shard, flow, deadline_ns);
}

struct raft_group_flows *raft_group_flows_new(struct broker_shard *shard)
{
    struct raft_group_flows *flows = memory_allocate_zeroed(sizeof *flows);
    flows->shard = shard;
    list_init(&flows->flows);
    map_init(&flows->awaited);
    return flows;
}

void raft_group_flows_stop(struct raft_group_flows *flows)
{
    flows->is_stopped = true;
    list_for_each(&flows->flows, node)
    {
        struct flow *flow = container_of(node, struct flow, node);
        flow_close_targets(flow);
        tell(flow, WIRE_ERROR_REQUEST_TIMED_OUT);
        flow_look(flow);
    }
}

bool raft_group_flows_are_done(const struct raft_group_flows *flows)
{
    return list_is_empty(&flows->flows);
}

void raft_group_flows_free(struct raft_group_flows *flows)
{
    require(raft_group_flows_are_done(flows));
    map_free(&flows->awaited);
    memory_free(flows);
}
