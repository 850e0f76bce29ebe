/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_group_flow_send.c -- the requests of a flow and their answers.
 *
 * One connection to each target broker, its requests sent without waiting for answers.  This
 * broker's own share goes to the same handler without a connection.
 *
 * Locality: shard 0.
 */
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/nested_request.h"
#include "broker/peer_dial.h"
#include "broker/peer_request.h"
#include "broker/raft_group_flow_internal.h"
#include "wire/start_partition_raft_group.h"
#include "wire/stop_partition_raft_group.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TARGET_DEADLINE_NS 30000000000ull
#define FAILURES_LOGGED_MAX 10

struct flow_target {
    struct list_node node;
    struct flow *flow;
    char host[CLUSTER_HOST_BYTES_MAX + 1];
    uint16_t port;
    struct peer_client *client; /* NULL: this broker itself */
};

/* ---- Answers ---- */

static void note_failure(struct flow *flow, const char *what, int32_t length)
{
    if (flow->failures++ < FAILURES_LOGGED_MAX) {
        trace_warn("%s for topic %s: %.*s", flow->kind->begins, flow->topic, (int)length, what);
    }
}

/* Both answers have the same form. */
static void take_answer(struct flow *flow, struct wire_cursor *cursor, const char *reason)
{
    struct start_partition_raft_group_response answer;
    if (cursor == NULL) {
        note_failure(flow, reason, (int32_t)strlen(reason));
    } else if (!start_partition_raft_group_response_decode(&answer, 0, cursor)) {
        note_failure(flow, cursor->error, (int32_t)strlen(cursor->error));
    } else if (!answer.success) {
        note_failure(flow, answer.message.data, answer.message.length);
    }
    flow->unanswered--;
    flow_look(flow);
}

static void remote_answered(void *context, struct wire_cursor *cursor, bool was_sent,
                            const char *reason)
{
    (void)was_sent;
    take_answer(context, cursor, reason);
}

static void local_answered(void *context, struct wire_writer *body, const char *reason)
{
    struct wire_cursor cursor;
    if (body != NULL) {
        wire_cursor_init(&cursor, body->buf->data, wire_writer_length(body), NULL);
    }
    take_answer(context, body != NULL ? &cursor : NULL, reason);
}

/* ---- Sending ---- */

static void encode_start(const struct flow *flow, const struct flow_group *group,
                         struct wire_writer *writer)
{
    struct start_partition_raft_group_request_member members[CLUSTER_REPLICAS_MAX];
    char hosts[CLUSTER_REPLICAS_MAX][CLUSTER_HOST_BYTES_MAX + 1];
    for (uint32_t i = 0; i < group->replica_count; i++) {
        members[i].broker_id = group->replicas[i];
        if (!peer_address_find(flow->flows->shard, group->replicas[i], hosts[i],
                               &members[i].port)) {
            hosts[i][0] = '\0';
            members[i].port = 0;
        }
        members[i].host = wire_string_from(hosts[i]);
    }
    struct start_partition_raft_group_request request;
    start_partition_raft_group_request_init(&request);
    request.group_id = (int64_t)group->group_id;
    request.topic_name = wire_string_from(flow->topic);
    request.topic_id = flow->topic_id;
    request.partition = (int32_t)group->partition;
    request.join = false;
    request.members = members;
    request.members_count = (int32_t)group->replica_count;
    start_partition_raft_group_request_encode(&request, 0, writer);
}

static void encode_stop(const struct flow *flow, const struct flow_group *group,
                        struct wire_writer *writer)
{
    struct stop_partition_raft_group_request request;
    stop_partition_raft_group_request_init(&request);
    request.group_id = (int64_t)group->group_id;
    request.topic_name = wire_string_from(flow->topic);
    request.topic_id = flow->topic_id;
    request.partition = (int32_t)group->partition;
    stop_partition_raft_group_request_encode(&request, 0, writer);
}

static void encode(const struct flow *flow, const struct flow_group *group,
                   struct wire_writer *writer)
{
    if (flow->kind->awaits_leaders) {
        encode_start(flow, group, writer);
    } else {
        encode_stop(flow, group, writer);
    }
}

static void serve_here(struct flow *flow, const struct flow_group *group)
{
    struct wire_writer body;
    wire_writer_init(&body, 256);
    encode(flow, group, &body);
    struct buf *frame = wire_writer_take(&body);
    struct nested_request nested = {
        .configuration = request_configuration_find(flow->kind->type),
        .client_id = {NULL, -1},
        .frame = frame,
        .body = frame->data,
        .body_length = frame->length_bytes,
        .peer_broker_id = flow->flows->shard->broker_id,
        .done = local_answered,
        .context = flow,
    };
    nested_request_run(flow->flows->shard, &nested);
    buf_release(frame);
}

static void send(struct flow_target *target, const struct flow_group *group)
{
    struct flow *flow = target->flow;
    const char *join = flow->kind->awaits_leaders ? " (join=false)" : "";
    trace_info("Sending %s to %s:%u for group %" PRIu64 "%s", flow->kind->sends, target->host,
               target->port, group->group_id, join);
    flow->unanswered++;
    if (target->client == NULL) {
        serve_here(flow, group);
        return;
    }
    struct wire_writer request;
    peer_client_begin(&request, flow->kind->type);
    encode(flow, group, &request);
    peer_client_ask(target->client, &request, remote_answered, flow);
}

static void target_connected(void *context)
{
    struct flow_target *target = context;
    trace_info("Connected to broker at %s:%u for %s", target->host, target->port,
               target->flow->kind->request);
}

static void target_closed(void *context)
{
    struct flow_target *target = context;
    struct flow *flow = target->flow;
    list_remove(&target->node);
    memory_free(target);
    flow_look(flow);
}

static struct flow_target *target_open(struct flow *flow, uint32_t broker_id)
{
    struct broker_shard *shard = flow->flows->shard;
    struct flow_target *target = memory_allocate_zeroed(sizeof *target);
    target->flow = flow;
    if (!peer_address_find(shard, broker_id, target->host, &target->port)) {
        memory_free(target);
        return NULL;
    }
    list_node_init(&target->node);
    list_append(&flow->targets, &target->node);
    if (broker_id != shard->broker_id) {
        struct peer_client_options options = {
            .broker_id = broker_id,
            .host = target->host,
            .port = target->port,
            .deadline_ns = io_now_ns(shard->loop) + TARGET_DEADLINE_NS,
            .on_connected = target_connected,
            .on_closed = target_closed,
            .context = target,
        };
        target->client = peer_client_open(shard, &options);
    }
    return target;
}

static void close_when_answered(struct flow_target *target)
{
    if (target->client != NULL) {
        peer_client_close_when_idle(target->client);
    } else {
        target_closed(target);
    }
}

static bool has_replica(const struct flow_group *group, uint32_t broker_id)
{
    for (uint32_t i = 0; i < group->replica_count; i++) {
        if (group->replicas[i] == broker_id) {
            return true;
        }
    }
    return false;
}

void flow_send_to(struct flow *flow, uint32_t broker_id)
{
    struct flow_target *target = NULL;
    for (uint32_t i = 0; i < flow->group_count; i++) {
        if (!has_replica(&flow->groups[i], broker_id)) {
            continue;
        }
        if (target == NULL && (target = target_open(flow, broker_id)) == NULL) {
            char what[64];
            int length = snprintf(what, sizeof what, "no address of broker %" PRIu32, broker_id);
            note_failure(flow, what, length);
            return;
        }
        send(target, &flow->groups[i]);
    }
    if (target != NULL) {
        close_when_answered(target);
    }
}

void flow_close_targets(struct flow *flow)
{
    list_for_each(&flow->targets, node)
    {
        struct flow_target *target = container_of(node, struct flow_target, node);
        if (target->client != NULL) {
            peer_client_close(target->client);
        }
    }
}
