/* SPDX-License-Identifier: Apache-2.0
 *
 * apply.c -- feeding committed entries to the applier, and telling it what moved.
 *
 * Only what is durable here is applied: a snapshot of the applier never stands for entries that a
 * power cut could take back.  The applied position may be ahead of the log's end right after a
 * snapshot was installed; the entries up to it then come into the log without being applied.
 *
 * Locality: from the turn hook, or from a read of the log that went to file.
 */
#include "base/assert.h"
#include "base/trace.h"
#include "replica/manager.h"
#include "replica/membership_codec.h"
#include "replica/quarantine.h"
#include "wire/batch.h"

#include <string.h>

#define APPLY_READ_BYTES (1u << 20)
#define APPLY_READS_PER_TURN 4

static uint64_t smaller(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

void replica_apply_mark(struct replica_group *group)
{
    require(group->state == GROUP_RUNNING);
    if (!list_is_linked(&group->apply_node)) {
        list_append(&group->manager->applying, &group->apply_node);
        replica_manager_wake(group->manager);
    }
}

static bool takes_proposals_again(const struct replica_group *group)
{
    return group->was_busy && !raft_is_transferring(group->raft);
}

void replica_apply_mark_if_moved(struct replica_group *group)
{
    const struct raft *raft = group->raft;
    bool has_moved =
        raft_commit_index(raft) != group->seen_commit_index ||
        raft_saved_index(raft) != group->seen_saved_index ||
        raft_term(raft) != group->standing.term || raft_leader(raft) != group->standing.leader ||
        raft_is_ready_leader(raft) != group->standing.is_leader || takes_proposals_again(group);
    if (has_moved) {
        replica_apply_mark(group);
    }
}

/* ---- Entries ---- */

static void apply_batch(struct replica_group *group, const struct log_entry *entry)
{
    struct wire_batch batch;
    bool is_batch = wire_batch_read(&batch, entry->payload.data, entry->payload.length_bytes);
    ensure(is_batch); /* the log has checked it */
    group->manager->is_in_apply = true;
    group->applier->type->apply(group->applier, entry, (uint64_t)batch.base_offset);
    group->manager->is_in_apply = false;
    group->bytes_since_snapshot += entry->payload.length_bytes;
}

static void apply_membership(struct replica_group *group, const struct log_entry *entry)
{
    struct raft_membership membership;
    bool is_known =
        replica_membership_decode(&membership, entry->payload.data, entry->payload.length_bytes);
    ensure(is_known); /* checked when it was received or proposed */
    group->membership = membership;
    group->membership_index = entry->first_index;
}

/* The log itself moves its start when it hears of the commit. */
static void apply_start_move(struct replica_group *group)
{
    log_set_commit(group->log, raft_commit_index(group->raft));
    if (group->applier->type->start_moved != NULL) {
        group->applier->type->start_moved(group->applier);
    }
}

static void apply_entries(struct replica_group *group, const struct log_entry *entries,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct log_entry *entry = &entries[i];
        ensure(entry->first_index > group->applied_index);
        switch (entry->kind) {
        case LOG_ENTRY_BATCH:
            apply_batch(group, entry);
            break;
        case LOG_ENTRY_MEMBERSHIP:
            apply_membership(group, entry);
            break;
        case LOG_ENTRY_START_MOVE:
            apply_start_move(group);
            break;
        case LOG_ENTRY_TERM_START:
            break;
        }
        group->applied_index = entry->last_index;
    }
}

static void read_done(struct log_read *read, int result, const struct log_entry *entries,
                      size_t count)
{
    struct replica_group *group = container_of(read, struct replica_group, apply_read);
    require(group->is_apply_reading);
    group->is_apply_reading = false;
    if (group->state == GROUP_RUNNING) {
        if (replica_read_met_damage(result)) {
            group->is_apply_blocked = true;
            replica_group_damaged(group, "what is to be applied cannot be read");
        } else if (result < 0) {
            trace_warn("group %llu: what is to be applied cannot be read: %s; tried again later",
                       (unsigned long long)group->id, strerror(-result));
        } else {
            apply_entries(group, entries, count);
            replica_apply_mark(group);
        }
    }
    replica_group_unhold(group);
}

static uint64_t apply_limit(const struct replica_group *group)
{
    return smaller(raft_commit_index(group->raft), raft_saved_index(group->raft));
}

static bool may_read(const struct replica_group *group)
{
    return group->state == GROUP_RUNNING && !group->is_installing && !group->is_apply_reading &&
           !group->is_apply_blocked && group->applied_index < apply_limit(group);
}

static void read_more(struct replica_group *group)
{
    group->is_apply_reading = true;
    replica_group_hold(group);
    memset(&group->apply_read, 0, sizeof group->apply_read);
    group->apply_read.after_index = group->applied_index;
    group->apply_read.last_index = apply_limit(group);
    group->apply_read.bytes_max = APPLY_READ_BYTES;
    group->apply_read.done = read_done;
    log_read(group->log, &group->apply_read);
}

/* ---- What the applier is told ---- */

static bool standing_is(const struct applier_standing *left, const struct applier_standing *right)
{
    return left->is_leader == right->is_leader && left->leader == right->leader &&
           left->term == right->term;
}

static void count_standing(struct replica_group *group, const struct applier_standing *standing)
{
    struct replica_stats *stats = &group->manager->stats;
    counter_add(&stats->groups_leading,
                (uint64_t)standing->is_leader - (uint64_t)group->standing.is_leader);
    bool is_leaderless = group->state == GROUP_RUNNING && standing->leader == 0;
    counter_add(&stats->groups_leaderless,
                (uint64_t)is_leaderless - (uint64_t)group->is_leaderless);
    group->is_leaderless = is_leaderless;
}

static void tell_standing(struct replica_group *group)
{
    struct applier_standing standing = {
        .is_leader =
            raft_is_ready_leader(group->raft) && group->applied_index >= group->term_start_index,
        .leader = raft_leader(group->raft),
        .term = raft_term(group->raft),
    };
    if (standing_is(&standing, &group->standing)) {
        return;
    }
    count_standing(group, &standing);
    group->standing = standing;
    group->applier->type->standing_changed(group->applier, &standing);
}

void replica_apply_farewell(struct replica_group *group)
{
    struct applier_standing standing = {.term = group->standing.term};
    count_standing(group, &standing);
    group->standing = standing;
    group->applier->type->standing_changed(group->applier, &standing);
}

static void tell_committed(struct replica_group *group)
{
    uint64_t visible = smaller(apply_limit(group), group->applied_index);
    uint64_t high_watermark = log_offset_after(group->log, visible);
    if (high_watermark > group->high_watermark) {
        group->high_watermark = high_watermark;
        group->applier->type->committed(group->applier, high_watermark);
    }
}

static void tell_saved(struct replica_group *group)
{
    if (group->applier->type->saved == NULL) {
        return;
    }
    uint64_t saved_offset = log_offset_after(group->log, raft_saved_index(group->raft));
    if (saved_offset != group->saved_offset) {
        group->saved_offset = saved_offset;
        group->applier->type->saved(group->applier, saved_offset);
    }
}

/* A transfer was given up.  Without this, who waits to propose would wait for a commit that only
 * proposals bring. */
static void tell_proposable(struct replica_group *group)
{
    if (!takes_proposals_again(group)) {
        return;
    }
    group->was_busy = false;
    if (group->standing.is_leader && group->applier->type->proposable != NULL) {
        group->applier->type->proposable(group->applier);
    }
}

void replica_apply_run(struct replica_group *group)
{
    if (group->state == GROUP_RUNNING) {
        group->seen_commit_index = raft_commit_index(group->raft);
        group->seen_saved_index = raft_saved_index(group->raft);
    }
    for (uint32_t i = 0; i < APPLY_READS_PER_TURN && may_read(group); i++) {
        read_more(group);
    }
    /* Any of these may stop the group: its state is looked at each time. */
    void (*const steps[])(struct replica_group *) = {
        tell_committed,         tell_saved, tell_standing, tell_proposable, replica_barriers_serve,
        replica_snapshot_if_due};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (group->state != GROUP_RUNNING || group->is_installing) {
            return;
        }
        steps[i](group);
    }
    if (may_read(group)) {
        replica_apply_mark(group);
    } else if (group->state == GROUP_RUNNING) {
        list_remove(&group->apply_node); /* marked by its own reads: everything was told */
    }
}
