/* SPDX-License-Identifier: Apache-2.0
 *
 * group_start.c -- from a request to start to a running group: what can be refused at once, the
 * opening on the worker thread (group_open.c), and the birth of the Raft core from what was found.
 *
 * A directory may exist before its group was ever known here to be started; then what it says wins.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "replica/manager.h"
#include "replica/membership_codec.h"

#include <string.h>

#define INFLIGHT_MESSAGES_MAX 64
#define REST_MS                                                                                    \
    3000 /* what a group costs while nothing happens in it, against what beats.c misses */
#define INFLIGHT_BYTES_MAX (4u << 20)
#define UNCOMMITTED_BYTES_MAX (64u << 20)

/* ---- The request ---- */

static bool is_spec_sound(const struct replica_group_spec *spec)
{
    return spec->incarnation < REPLICA_INCARNATION_NONE && spec->applier != NULL &&
           spec->applier->type != NULL &&
           strlen(spec->applier->type->name) < REPLICA_APPLIER_NAME_SIZE &&
           spec->description_length <= REPLICA_DESCRIPTION_BYTES_MAX &&
           (spec->join || raft_membership_is_valid(&spec->members));
}

/* What a start of a group in this state is told. */
static enum replica_result refusal(const struct replica_group *group,
                                   const struct replica_group_spec *spec)
{
    switch (group->state) {
    case GROUP_STARTING:
    case GROUP_RUNNING:
        return REPLICA_ALREADY_RUNNING;
    case GROUP_FAILED:
        return group->failure;
    case GROUP_STOPPING:
        return REPLICA_BUSY;
    case GROUP_DELETING: /* an earlier life of the replica, and soon gone */
        ensure(spec->incarnation >= group->floor);
        return REPLICA_BUSY;
    case GROUP_GONE:
    case GROUP_STATES:
        break;
    }
    unreachable_code();
}

static enum replica_result check(struct replica_manager *manager,
                                 const struct replica_group_spec *spec)
{
    if (spec->group_id == 0) {
        return REPLICA_INVALID_GROUP_ID;
    }
    if (replica_shard_of_group(spec->group_id, manager->shard_count) != manager->shard ||
        !is_spec_sound(spec)) {
        return REPLICA_BAD_REQUEST;
    }
    if (spec->incarnation < replica_tombstones_floor(&manager->tombstones, spec->group_id)) {
        return REPLICA_DELETED;
    }
    const struct replica_group *group = map_get(&manager->groups, spec->group_id);
    if (group != NULL) {
        return refusal(group, spec);
    }
    return manager->is_stopping ? REPLICA_BUSY : REPLICA_OK;
}

static void fill_record(struct replica_group_record *record, const struct replica_manager *manager,
                        const struct replica_group_spec *spec)
{
    record->cluster_id = manager->options.cluster_id;
    record->broker_id = manager->options.broker_id;
    record->group_id = spec->group_id;
    record->incarnation = spec->incarnation;
    record->join = spec->join;
    if (!spec->join) {
        record->members = spec->members;
    }
    memcpy(record->applier_name, spec->applier->type->name, strlen(spec->applier->type->name));
    record->description_length = spec->description_length;
    if (spec->description_length > 0) {
        memcpy(record->description, spec->description, spec->description_length);
    }
}

void replica_group_start(struct replica_manager *manager, const struct replica_group_spec *spec,
                         void (*done)(void *context, enum replica_result result,
                                      struct replica_group *group),
                         void *context)
{
    require(done != NULL);
    enum replica_result result = check(manager, spec);
    if (result != REPLICA_OK) {
        replica_answer_start(manager, done, context, result, NULL);
        return;
    }
    struct replica_group *group = replica_group_new(manager, spec->group_id, spec->applier);
    group->incarnation = spec->incarnation;
    group->snapshot_bytes = spec->snapshot_bytes;
    group->drops_prefix = spec->drop_prefix_after_snapshot;
    struct replica_open *open = memory_allocate_zeroed(sizeof *open);
    open->manager = manager;
    open->group = group;
    open->done = done;
    open->context = context;
    open->log_options = spec->log;
    open->floor = replica_tombstones_floor(&manager->tombstones, spec->group_id);
    open->first_candidate = spec->first_candidate;
    fill_record(&open->record, manager, spec);
    list_node_init(&open->node);
    list_append(&manager->opens_waiting, &open->node);
    replica_group_hold(group);
    replica_manager_wake(manager);
}

/* ---- What was found, as the core wants it ---- */

struct found_membership {
    struct raft_membership membership;
    uint64_t index;
};

/* The newest two memberships, newest first, the founding one being at index 0. */
static bool find_memberships(const struct replica_open *open, struct found_membership *found)
{
    size_t count = 0;
    for (size_t i = 0; i < open->found.membership_count && count < 2; i++) {
        const struct log_membership_entry *entry = &open->found.memberships[i];
        if (!replica_membership_decode(&found[count].membership, entry->payload,
                                       entry->payload_length)) {
            return false;
        }
        found[count++].index = entry->index;
    }
    const struct replica_snapshot *snapshot = &open->snapshot;
    if (count == 0 && snapshot->envelope != NULL &&
        snapshot->place.membership_index <= open->found.last_index) {
        found[count].membership = snapshot->place.membership;
        found[count++].index = snapshot->place.membership_index;
    }
    for (; count < 2; count++) {
        found[count].membership = open->record.members;
        found[count].index = 0;
    }
    return true;
}

/* The term starts that reach into the log, cut at its beginning. */
static size_t fill_spans(const struct log_found *found, struct raft_term_span *spans)
{
    size_t count = 0;
    if (found->last_index < found->first_index) {
        return 0;
    }
    if (found->term_start_count == 0 || found->term_starts[0].first_index > found->first_index) {
        spans[count++] = (struct raft_term_span){found->prefix_term, found->first_index};
    }
    for (size_t i = 0; i < found->term_start_count; i++) {
        uint64_t first = found->term_starts[i].first_index;
        if (first <= found->first_index) {
            count = 0;
            first = found->first_index;
        }
        spans[count++] = (struct raft_term_span){found->term_starts[i].term, first};
    }
    return count;
}

static struct raft *new_core(const struct replica_open *open,
                             const struct found_membership *memberships,
                             const struct raft_term_span *spans, size_t span_count)
{
    struct replica_manager *manager = open->manager;
    const struct log_found *found = &open->found;
    struct raft_options options = {
        .group_id = open->record.group_id,
        .seed = io_random(manager->loop),
        .node_id = manager->options.broker_id,
        .heartbeat_ticks = (uint32_t)(manager->options.heartbeat_ms * 1000000ull / REPLICA_TICK_NS),
        .election_ticks = (uint32_t)(manager->options.election_ms * 1000000ull / REPLICA_TICK_NS),
        .rest_ticks = (uint32_t)(REST_MS * 1000000ull / REPLICA_TICK_NS),
        .inflight_messages_max = INFLIGHT_MESSAGES_MAX,
        .inflight_bytes_max = INFLIGHT_BYTES_MAX,
        .uncommitted_bytes_max = UNCOMMITTED_BYTES_MAX,
        .first_candidate = open->first_candidate,
        .may_vote = !open->group->is_joining,
    };
    uint64_t applied = open->snapshot.envelope != NULL ? open->snapshot.place.index : 0;
    uint64_t commit = applied < found->last_index ? applied : found->last_index;
    struct raft_state state = {
        .term = found->term,
        .vote = found->vote,
        .first_index = found->first_index,
        .last_index = found->last_index,
        .prefix_term = found->prefix_term,
        .commit = commit < found->first_index ? found->first_index - 1 : commit,
        .spans = spans,
        .span_count = span_count,
        .membership = memberships[0].membership,
        .membership_index = memberships[0].index,
        .membership_committed = memberships[1].membership,
        .membership_committed_index = memberships[1].index,
    };
    return raft_new(&options, &state, replica_now_ticks(manager));
}

static bool make_core(struct replica_open *open)
{
    struct replica_group *group = open->group;
    struct found_membership memberships[2];
    if (!find_memberships(open, memberships)) {
        return false;
    }
    group->is_joining = open->record.join;
    group->is_proof_taken = false;
    struct raft_term_span *spans =
        memory_allocate((open->found.term_start_count + 1) * sizeof *spans);
    size_t span_count = fill_spans(&open->found, spans);
    group->raft = new_core(open, memberships, spans, span_count);
    memory_free(spans);
    if (group->raft == NULL) {
        return false;
    }
    uint32_t committed = memberships[0].index <= raft_commit_index(group->raft) ? 0 : 1;
    group->membership = memberships[committed].membership;
    group->membership_index = memberships[committed].index;
    return true;
}

static bool restore_applier(struct replica_open *open)
{
    struct replica_group *group = open->group;
    const struct applier_type *type = group->applier->type;
    type->reset(group->applier);
    if (open->snapshot.envelope == NULL) {
        return true;
    }
    const struct buf_slice *content = &open->snapshot.content;
    if (!type->snapshot_restore(group->applier, content->data, content->length_bytes)) {
        return false;
    }
    group->applied_index = open->snapshot.place.index;
    group->snapshot_index = open->snapshot.place.index;
    return true;
}

/* ---- Back from the worker ---- */

static enum replica_result bring_to_life(struct replica_open *open)
{
    struct replica_group *group = open->group;
    const char *reason = NULL;
    if (!restore_applier(open)) {
        reason = "its snapshot makes no sense to its applier";
    } else if (!make_core(open)) {
        reason = "what its log says of terms and members contradicts itself";
    }
    if (reason != NULL) {
        replica_group_fail(group, REPLICA_DAMAGED, reason);
        return REPLICA_DAMAGED;
    }
    group->standing.term = raft_term(group->raft);
    log_set_commit(group->log, raft_commit_index(group->raft));
    replica_group_move(group, GROUP_RUNNING);
    replica_group_touched(group);
    replica_apply_mark(group);
    return REPLICA_OK;
}

/* The group as the worker left it; what the caller is told. */
static enum replica_result settle(struct replica_open *open)
{
    struct replica_group *group = open->group;
    group->log = open->log;
    group->incarnation = open->record.incarnation;
    if (open->record_file != NULL) {
        replica_creation_note(group, open->record_file);
    }
    if (group->state == GROUP_STOPPING) {
        return REPLICA_NOT_RUNNING; /* a stop overtook the start */
    }
    if (group->state == GROUP_DELETING) {
        return REPLICA_DELETED;
    }
    if (open->result != REPLICA_OK) {
        replica_group_fail(group, open->result, open->error);
        return open->result;
    }
    return bring_to_life(open);
}

void replica_open_done(struct replica_open *open)
{
    struct replica_group *group = open->group;
    enum replica_result result = settle(open);
    if (group->state == GROUP_FAILED) {
        group->applier = NULL;
    }
    replica_snapshot_release(&open->snapshot);
    open->done(open->context, result, result == REPLICA_OK ? group : NULL);
    memory_free(open);
    replica_group_unhold(group);
}
