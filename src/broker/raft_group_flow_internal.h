/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_group_flow_internal.h -- what the two files of the flows share: raft_group_flow.c holds
 * their life, raft_group_flow_send.c speaks to the brokers.
 *
 * Locality: shard 0.
 */
#ifndef BROKER_RAFT_GROUP_FLOW_INTERNAL_H
#define BROKER_RAFT_GROUP_FLOW_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "broker/raft_group_flow.h"
#include "cluster/cluster.h"
#include "io/loop.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stdint.h>

struct raft_group_flows {
    struct broker_shard *shard;
    struct list flows;
    struct map awaited; /* group id -> struct flow_group, of start flows, without a leader yet */
    bool is_stopped;    /* the broker ends: nothing is sent any more */
};

/* How starting and stopping differ. */
struct flow_kind {
    int16_t type;
    const char *begins;  /* "Starting Raft groups" */
    const char *sends;   /* in "Sending ... to" */
    const char *request; /* in "Connected to broker at ... for ..." */
    bool awaits_leaders;
};

struct flow_group {
    struct flow *flow;
    uint64_t group_id;
    uint32_t partition;
    uint32_t replica_count;
    uint32_t replicas[CLUSTER_REPLICAS_MAX];
    bool is_awaited;
};

struct flow {
    struct list_node node;
    struct raft_group_flows *flows;
    const struct flow_kind *kind;
    char topic[CLUSTER_TOPIC_NAME_BYTES_MAX + 1];
    struct uuid topic_id;
    struct flow_group *groups;
    uint32_t group_count;
    uint32_t awaited;    /* groups without a leader */
    uint32_t unanswered; /* requests */
    struct list targets; /* not closed yet */
    uint32_t failures;
    bool is_begun;         /* everything is sent; it may end */
    bool is_done;          /* the caller was told */
    struct io_timer timer; /* the caller's deadline */
    void (*done)(void *context, enum wire_error error);
    void *context;
};

/* Sends one broker everything of the flow that is for it, over one connection. */
void flow_send_to(struct flow *flow, uint32_t broker_id);
/* Closes the flow's connections; what is unanswered fails some turns later. */
void flow_close_targets(struct flow *flow);

/* An answer came or a target is gone: tells the caller if that was all.  May free the flow. */
void flow_look(struct flow *flow);

#endif
