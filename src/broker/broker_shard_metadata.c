/* SPDX-License-Identifier: Apache-2.0
 *
 * broker_shard_metadata.c -- what a shard does when its copy of the metadata changed: links,
 * partitions and the leader table follow it.
 *
 * Locality: the shard's own thread.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/leader_table.h"
#include "broker/partition.h"
#include "broker/peer_link.h"
#include "broker/reconciler.h"
#include "broker/registration.h"

/* ---- The data directory has joined ---- */

struct joining_work {
    struct io_work work;
    struct data_directory *directory;
    uint64_t group_id;
    int result;
};

static void joining_run(struct io_work *work)
{
    struct joining_work *joining = container_of(work, struct joining_work, work);
    joining->result = data_directory_set_joined(joining->directory, joining->group_id);
}

static void joining_done(struct io_work *work)
{
    struct joining_work *joining = container_of(work, struct joining_work, work);
    if (joining->result != 0) {
        broker_abandon("the data directory's meta file cannot be written");
    }
    memory_free(joining);
}

/* The cluster has heard of this start of the broker, once a process.  A new directory learns which
 * groups existed before it: those before its first registration, which may have been an earlier
 * start's that ended before it came here. */
static void note_joined(struct broker_shard *state)
{
    struct broker *broker = state->broker;
    if (broker->has_joined) {
        return;
    }
    broker->has_joined = true;
    if (atomic_load(&broker->first_founded_group_id) == DATA_DIRECTORY_NO_LIMIT) {
        const struct cluster_broker *self = cluster_broker_find(state->metadata, state->broker_id);
        require(self != NULL);
        atomic_store(&broker->first_founded_group_id, self->first_founded_group_id);
    }
    struct joining_work *joining = memory_allocate_zeroed(sizeof *joining);
    joining->directory = &broker->directory;
    joining->group_id = atomic_load(&broker->first_founded_group_id);
    joining->work.run = joining_run;
    joining->work.done = joining_done;
    list_node_init(&joining->work.node);
    io_work_submit(state->loop, &joining->work);
}

/* ---- Following ---- */

static void configure_partitions(struct broker_shard *state, const struct cluster_topic *topic)
{
    struct topic_config config;
    effective_config_merge(state, &topic->config, &config);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        partition_configure(state, topic->partitions[i].group_id, &config);
    }
    topic_config_clear(&config);
}

static void configure_all(struct broker_shard *state)
{
    const struct cluster_topic *topic = NULL;
    size_t position = 0;
    while ((topic = cluster_topic_next(state->metadata, &position)) != NULL) {
        configure_partitions(state, topic);
    }
    broker_shard_limits_changed(state);
}

static void forget_leaders(struct broker_shard *state, const struct cluster_topic *topic)
{
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        leader_table_remove(state->leaders, topic->partitions[i].group_id);
    }
}

/* Not while older records are applied: a broker of the same id may have left before. */
static void leave(struct broker_shard *state)
{
    if (broker_shard_id(state) == 0 && state->metadata_is_loaded) {
        trace_info("This broker has left the cluster and ends; its data directory may be deleted");
        registration_stop(state->registration); /* or it would come back before it ends */
        broker_request_stop(state->broker);
    }
}

static void follow_change(struct broker_shard *state, const struct cluster_change *change)
{
    switch (change->kind) {
    case CLUSTER_CHANGE_BROKER:
        peer_links_update(state->links);
        break;
    case CLUSTER_CHANGE_BROKER_REMOVED:
        if (change->broker_id == state->broker_id) {
            leave(state);
        }
        break;
    case CLUSTER_CHANGE_TOPIC_CREATED:
    case CLUSTER_CHANGE_PARTITIONS_ADDED:
    case CLUSTER_CHANGE_TOPIC_CONFIG:
        configure_partitions(state, change->topic);
        break;
    case CLUSTER_CHANGE_BROKER_CONFIG:
        if (change->broker_id == 0 || change->broker_id == state->broker_id) {
            configure_all(state);
        }
        break;
    case CLUSTER_CHANGE_TOPIC_DELETED:
        forget_leaders(state, change->topic);
        break;
    case CLUSTER_CHANGE_REASSIGNMENT:
        reconciler_hurry(state->reconciler);
        break;
    case CLUSTER_CHANGE_NONE:
    case CLUSTER_CHANGE_PRODUCER_IDS:
        break;
    }
}

/* As a whole: after a snapshot. */
static void follow_all(struct broker_shard *state)
{
    peer_links_update(state->links);
    configure_all(state);
}

void broker_shard_metadata_changed(struct broker_shard *state, const struct cluster_change *change)
{
    if (change != NULL) {
        follow_change(state, change);
    } else {
        follow_all(state);
    }
    /* This process registered after it started, so whoever has applied that has everything that was
     * committed before the start. */
    if (!state->metadata_is_loaded && registration_is_done(state)) {
        state->metadata_is_loaded = true;
        state->metadata_loaded_ns = io_now_ns(state->loop);
        if (broker_shard_id(state) == 0) {
            note_joined(state);
            trace_info("The cluster's metadata is loaded: %zu topics, %zu brokers",
                       cluster_topic_count(state->metadata), cluster_broker_count(state->metadata));
        }
    }
    reconciler_wake(state->reconciler);
}
