/* SPDX-License-Identifier: Apache-2.0
 *
 * inputs.c -- everything that goes into a group's Raft core, and the log kept in step with it.
 *
 * Invariant: when an input returns, the log holds exactly the entries the core knows of.
 */
#include "base/assert.h"
#include "base/trace.h"
#include "replica/manager.h"
#include "replica/membership_codec.h"
#include "wire/batch.h"

#include <string.h>

/* ---- After an input ---- */

static void take_term_start(struct replica_group *group)
{
    struct raft_entry entry;
    if (!raft_take_noop(group->raft, &entry)) {
        return;
    }
    replica_group_append_control(group, &entry);
    group->term_start_index = entry.first_index;
    counter_add(&group->manager->stats.elections_won, 1);
}

void replica_group_touched(struct replica_group *group)
{
    require(group->state == GROUP_RUNNING);
    struct replica_manager *manager = group->manager;
    take_term_start(group);
    ensure(group->is_installing || log_last_index(group->log) == raft_last_index(group->raft));
    bool is_dirty =
        raft_is_dirty(group->raft) || (!group->is_write_queued && log_is_dirty(group->log));
    if (is_dirty && !list_is_linked(&group->dirty_node)) {
        list_append(&manager->dirty, &group->dirty_node);
        replica_manager_wake(manager);
    }
    replica_apply_mark_if_moved(group);
    replica_due_set(&manager->due, &group->due_node, &group->due_ticks,
                    raft_due_ticks(group->raft));
}

void replica_group_sync_prefix(struct replica_group *group)
{
    uint64_t first_index = log_first_index(group->log);
    if (first_index > raft_first_index(group->raft)) {
        raft_prefix_dropped(group->raft, first_index);
    }
}

void replica_log_changed(struct replica_group *group)
{
    if (group->state == GROUP_RUNNING && !group->is_installing) {
        replica_group_sync_prefix(group);
        replica_group_touched(group);
    }
}

void replica_group_tick(struct replica_group *group, uint64_t now_ticks)
{
    replica_snapshot_drop_prefix(group);
    replica_group_sync_prefix(group);
    if (group->applied_index < raft_commit_index(group->raft)) {
        replica_apply_mark(group); /* a read to apply may have failed for want of descriptors */
    }
    if (!group->is_installing && raft_due_ticks(group->raft) <= now_ticks) {
        raft_tick(group->raft, now_ticks);
    }
    replica_group_touched(group);
}

/* ---- Entries into the log ---- */

static bool append_start_move(struct replica_group *group, const struct raft_entry *entry,
                              const struct buf_slice *payload)
{
    uint64_t offset = 0;
    if (!log_start_move_decode(payload->data, payload->length_bytes, &offset) ||
        offset > log_next_offset(group->log)) {
        return false;
    }
    struct log_entry appended = {.first_index = entry->first_index,
                                 .last_index = entry->last_index,
                                 .term = entry->term,
                                 .kind = LOG_ENTRY_START_MOVE,
                                 .payload = *payload};
    log_append_control(group->log, &appended);
    return true;
}

void replica_group_append_control(struct replica_group *group, const struct raft_entry *entry)
{
    require(entry->kind == RAFT_ENTRY_NOOP || entry->kind == RAFT_ENTRY_MEMBERSHIP);
    require(entry->first_index == entry->last_index);
    uint8_t bytes[REPLICA_MEMBERSHIP_BYTES_MAX];
    struct log_entry appended = {.first_index = entry->first_index,
                                 .last_index = entry->last_index,
                                 .term = entry->term,
                                 .kind = LOG_ENTRY_TERM_START};
    if (entry->kind == RAFT_ENTRY_MEMBERSHIP) {
        appended.kind = LOG_ENTRY_MEMBERSHIP;
        appended.payload =
            (struct buf_slice){NULL, bytes, replica_membership_encode(&entry->membership, bytes)};
    }
    log_append_control(group->log, &appended);
}

/* False when the batch's own offset is not the one that its index means here. */
static bool append_batch(struct replica_group *group, const struct raft_entry *entry,
                         const struct buf_slice *payload)
{
    struct wire_batch batch;
    bool is_batch = wire_batch_read(&batch, payload->data, payload->length_bytes);
    ensure(is_batch); /* the frame reader has checked it */
    uint64_t gap = entry->first_index - log_last_index(group->log) - 1;
    if ((uint64_t)batch.base_offset != log_next_offset(group->log) + gap) {
        return false;
    }
    struct log_entry appended = {.first_index = entry->first_index,
                                 .last_index = entry->last_index,
                                 .term = entry->term,
                                 .kind = LOG_ENTRY_BATCH,
                                 .payload = *payload};
    log_append_batch(group->log, &appended);
    return true;
}

/* Puts what the core accepted into the log.  False: the peer's log contradicts ours, which no order
 * of messages explains. */
static bool append_accepted(struct replica_group *group, const struct raft_message *message,
                            const struct raft_accepted *accepted, const struct buf_slice *payloads)
{
    if (accepted->truncate_from != 0) {
        log_truncate(group->log, accepted->truncate_from);
    }
    for (uint32_t i = accepted->first_entry; i < message->entry_count; i++) {
        const struct raft_entry *entry = &message->entries[i];
        ensure(entry->first_index > log_last_index(group->log));
        bool fits = true;
        if (entry->kind == RAFT_ENTRY_DATA) {
            fits = append_batch(group, entry, &payloads[i]);
        } else if (entry->kind == RAFT_ENTRY_CONTROL) {
            fits = append_start_move(group, entry, &payloads[i]);
        } else {
            replica_group_append_control(group, entry);
        }
        if (!fits) {
            return false;
        }
    }
    return true;
}

void replica_group_receive(struct replica_group *group, const struct raft_message *message,
                           const struct buf_slice *payloads)
{
    require(group->state == GROUP_RUNNING);
    if (group->is_installing) {
        counter_add(&group->manager->stats.messages_dropped, 1);
        return;
    }
    struct raft_accepted accepted = {0};
    raft_receive(group->raft, message, replica_now_ticks(group->manager), &accepted);
    if (message->kind == RAFT_MESSAGE_APPEND &&
        !append_accepted(group, message, &accepted, payloads)) {
        replica_group_fail(group, REPLICA_DAMAGED,
                           "the leader's offsets are not those of this log");
        return;
    }
    if (message->kind == RAFT_MESSAGE_HEARTBEAT_REPLY && !raft_is_dirty(group->raft)) {
        return; /* all is at rest: not even the deadline has moved */
    }
    replica_group_touched(group);
}
