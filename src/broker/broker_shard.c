/* SPDX-License-Identifier: Apache-2.0
 *
 * broker_shard.c -- one shard of the broker: put together on the main thread, run on its own, taken
 * apart on the main thread again.
 *
 * Not here: what it does when the metadata changes (broker_shard_metadata.c), and how it ends
 * (broker_shard_end.c).
 *
 * Locality: as each function says.
 */
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/connection.h"
#include "broker/controller_applier.h"
#include "broker/controller_upkeep.h"
#include "broker/disk_pulse.h"
#include "broker/fetch_session.h"
#include "broker/forward.h"
#include "broker/founding.h"
#include "broker/leader_balance.h"
#include "broker/leader_feed.h"
#include "broker/leader_table.h"
#include "broker/metadata_wait.h"
#include "broker/partition.h"
#include "broker/peer_link.h"
#include "broker/peer_presence.h"
#include "broker/raft_group_flow.h"
#include "broker/reconciler.h"
#include "broker/registration.h"
#include "broker/repair.h"
#include "broker/tombstone_rounds.h"
#include "broker/upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void disk_failed(void *owner, int result)
{
    struct broker_shard *state = owner;
    char reason[128];
    snprintf(reason, sizeof reason, "the disk under %s failed: %s", state->config->data_directory,
             strerror(-result));
    broker_abandon(reason);
}

/* ---- Putting together: main thread ---- */

/* This shard's share of a bound of the broker; a bound is never none. */
static uint64_t share_of(const struct broker_shard *state, uint64_t rate)
{
    uint64_t share = rate / state->broker->shard_count;
    return rate > 0 && share == 0 ? 1 : share;
}

void broker_shard_limits_changed(struct broker_shard *state)
{
    state->limits = effective_broker_limits(state);
    replica_set_learner_rate(state->replicas,
                             share_of(state, state->limits.catch_up_bytes_per_second));
}

static struct fetch_session_table *make_fetch_sessions(struct broker_shard *state)
{
    const struct fetch_session_limits limits = {
        .sessions_max = (uint32_t)share_of(state, state->config->fetch_sessions_max),
        .bytes_max = FETCH_SESSION_TABLE_BYTES_MAX,
        .shard_id = broker_shard_id(state),
        .seed = io_random(state->loop),
    };
    return fetch_session_table_new(&limits);
}

static bool prepare_replicas(struct broker_shard *state, char *error, size_t error_size)
{
    struct replica_manager_options options = {
        .shard = state->shard,
        .data_directory = state->config->data_directory,
        .broker_id = state->broker_id,
        .cluster_id = state->cluster_id,
        .heartbeat_ms = state->config->heartbeat_ms,
        .election_ms = state->config->election_ms,
        .learner_bytes_per_second = share_of(state, state->limits.catch_up_bytes_per_second),
        .scrub_bytes_per_second = share_of(state, state->config->scrub_bytes_per_second),
        .scrub_interval_ms = state->config->scrub_interval_ms,
        .disk_failed = disk_failed,
        .owner = state,
    };
    state->replicas = replica_manager_new(&options, error, error_size);
    return state->replicas != NULL;
}

bool broker_shard_prepare(struct broker_shard *state, char *error, size_t error_size)
{
    shard_set_owner(state->shard, state);
    state->loop = shard_loop(state->shard);
    state->life = shard_life_new(state);
    state->metadata = cluster_metadata_new();
    state->limits = effective_broker_limits(state);
    state->leaders = leader_table_new();
    map_init(&state->partitions);
    /* Turn hooks run in this order: requests read late in a turn still reach the groups in it, and
     * what the groups did in it still leaves in it. */
    state->connections = connection_table_new(state);
    state->fetch_sessions = make_fetch_sessions(state);
    if (!prepare_replicas(state, error, error_size)) {
        return false;
    }
    state->links = peer_links_new(state);
    state->leader_feed = leader_feed_new(state);
    state->reconciler = reconciler_new(state);
    state->leader_balance = leader_balance_new(state);
    state->repairs = repairs_new(state);
    state->tombstone_rounds = tombstone_rounds_new(state);
    state->disk_pulse = disk_pulse_new(state);
    if (broker_shard_id(state) == 0) {
        state->controller = controller_new(state);
        state->presence = peer_presence_new();
        state->founding = founding_new(state);
        state->controller_upkeep = controller_upkeep_new(state);
        state->forwarder = forwarder_new(state);
        state->metadata_waits = metadata_waits_new(state);
        state->flows = raft_group_flows_new(state);
        state->registration = registration_new(state);
    }
    return listener_open_all(state, error, error_size);
}

/* ---- Running: the shard's thread ---- */

struct found_groups {
    struct partition_spec *specs;
    size_t count;
    size_t capacity;
};

static void found_group(uint64_t group_id, const uint8_t *description, size_t description_length,
                        void *context)
{
    struct found_groups *found = context;
    if (group_id == CLUSTER_CONTROLLER_GROUP_ID) {
        return;
    }
    if (found->count == found->capacity) {
        found->capacity = found->capacity > 0 ? found->capacity * 2 : 16;
        found->specs = memory_reallocate(found->specs, found->capacity * sizeof found->specs[0]);
    }
    struct partition_spec *spec = &found->specs[found->count];
    if (!partition_spec_decode(spec, description, description_length) ||
        spec->group_id != group_id) {
        trace_error("group %" PRIu64 " is not started: its description makes no sense", group_id);
        return;
    }
    found->count++;
}

static void found_started(void *context, enum replica_result result)
{
    (void)context;
    /* A stop, or the topic's deletion, that overtakes the start is no failure. */
    bool is_wanted = result != REPLICA_NOT_RUNNING && result != REPLICA_DELETED;
    if (result != REPLICA_OK && is_wanted) {
        trace_error("a group found on disk is not started: %s", replica_result_text(result));
    }
}

static void start_found(struct broker_shard *state)
{
    struct found_groups found = {NULL, 0, 0};
    replica_manager_scan(state->replicas, found_group, &found);
    for (size_t i = 0; i < found.count; i++) {
        partition_start(state, &found.specs[i], found_started, NULL);
    }
    memory_free(found.specs);
}

void broker_shard_run(struct shard *shard)
{
    struct broker_shard *state = shard_owner(shard);
    trace_set_shard((int)broker_shard_id(state));
    upkeep_start(state);
    start_found(state);
    peer_links_update(state->links);
    reconciler_wake(state->reconciler);
    leader_balance_start(state->leader_balance);
    tombstone_rounds_start(state->tombstone_rounds);
    disk_pulse_start(state->disk_pulse);
    if (state->controller != NULL) {
        controller_start(state);
        controller_upkeep_start(state->controller_upkeep);
        registration_wake(state->registration);
    }
}

void broker_shard_leads_controller(struct broker_shard *state)
{
    forwarder_wake(state->forwarder);
    registration_wake(state->registration);
}

bool broker_is_live(const struct broker_shard *shard, uint32_t broker_id)
{
    if (cluster_broker_find(shard->metadata, broker_id) == NULL) {
        return false;
    }
    if (broker_id == shard->broker_id) {
        return true;
    }
    if (peer_link_is_attached(shard->links, broker_id)) {
        return peer_link_answers(shard->links, broker_id);
    }
    return shard->presence != NULL &&
           peer_presence_is_live(shard->presence, broker_id, io_now_ns(shard->loop));
}

/* ---- Taking apart: main thread, after the loop; or what prepare left half done ---- */

static void free_members(struct broker_shard *state)
{
    if (state->registration != NULL) {
        registration_free(state->registration);
        raft_group_flows_free(state->flows);
        peer_presence_free(state->presence);
        metadata_waits_free(state->metadata_waits);
        controller_upkeep_free(state->controller_upkeep);
        founding_free(state->founding);
        controller_free(state->controller);
    }
    if (state->forwarder != NULL) {
        forwarder_stop(state->forwarder);
    }
    if (state->links != NULL) {
        leader_balance_free(state->leader_balance);
        reconciler_free(state->reconciler);
        repairs_free(state->repairs);
        tombstone_rounds_free(state->tombstone_rounds);
        disk_pulse_free(state->disk_pulse);
        leader_feed_free(state->leader_feed);
        peer_links_free(state->links);
        replica_manager_free(state->replicas);
    }
    connection_table_free(state->connections);
    fetch_session_table_free(state->fetch_sessions);
    map_free(&state->partitions);
    leader_table_free(state->leaders);
    cluster_metadata_free(state->metadata);
}

void broker_shard_free(struct broker_shard *state)
{
    if (state->life == NULL) {
        return;
    }
    listener_close_all(state);
    /* A shard that was cut off by the time limit still has its parts entangled; the process ends.
     */
    bool never_ran = state->upkeep == NULL && !shard_life_ended_clean(state->life);
    if (shard_life_ended_clean(state->life) || never_ran) {
        free_members(state);
    }
    shard_life_free(state->life);
}
