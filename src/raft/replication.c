/* SPDX-License-Identifier: Apache-2.0
 *
 * replication.c -- a leader's work: new entries, the followers' answers, and what is committed.
 *
 * The leader's disk is one disk among the others: it counts itself only for what raft_saved()
 * proved, and a majority of the others may commit an entry before its own flush ends
 * (thesis 10.2.1). Only an entry of its own term is committed by counting; what came before is
 * committed with it (3.6.2).
 *
 * Lost frames are found by heartbeats: the reply says how far the follower received, and what had
 * been sent before that heartbeat should have arrived before it.
 *
 * Invariant: commit never falls.
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "raft/raft_private.h"

/* ---- Taking and losing the lead ---- */

void raft_lead(struct raft *raft)
{
    raft->term_first_index = raft->last_index + 1;
    raft->is_noop_due = true;
    raft->transfer_target = 0;
    raft->barred_since_ticks = RAFT_NEVER;
    raft->backlog_count = 0;
    raft->backlog_bytes = 0;
    raft_slots_refresh(raft, raft->last_index + 1);
    uint64_t interval = raft->options.heartbeat_ticks;
    raft->heartbeat_due_ticks = (raft->now_ticks / interval + 1) * interval;
    raft->is_resting = false;
    raft->is_rest_offered = false;
}

void raft_stop_leading(struct raft *raft)
{
    require(raft->role == RAFT_LEADER);
    raft_abstain_if_barred(raft);
    raft->is_noop_due = false;
    raft->transfer_target = 0;
    raft->backlog_count = 0;
    raft->backlog_bytes = 0;
    raft->is_resting = false;
    raft->is_rest_offered = false;
    raft_slots_free(raft);
    raft_barriers_fail(raft);
}

bool raft_is_ready_leader(const struct raft *raft)
{
    return raft->role == RAFT_LEADER && raft->commit_index >= raft->term_first_index;
}

/* ---- Entries ---- */

bool raft_take_noop(struct raft *raft, struct raft_entry *entry)
{
    if (!raft->is_noop_due)
        return false;
    raft->is_noop_due = false;
    *entry = (struct raft_entry){.first_index = raft->last_index + 1,
                                 .last_index = raft->last_index + 1,
                                 .term = raft->term,
                                 .kind = RAFT_ENTRY_NOOP};
    ensure(entry->first_index == raft->term_first_index);
    raft_append_entry(raft, entry);
    return true;
}

static enum raft_result propose(struct raft *raft, enum raft_entry_kind kind, uint64_t span_indexes,
                                uint64_t bytes, struct raft_entry *entry)
{
    require(span_indexes > 0);
    if (raft->role != RAFT_LEADER)
        return RAFT_NOT_LEADER;
    if (!raft_is_ready_leader(raft))
        return RAFT_NOT_READY;
    if (raft->transfer_target != 0)
        return RAFT_BUSY;
    bool is_room = bytes <= raft->options.uncommitted_bytes_max &&
                   raft->backlog_bytes <= raft->options.uncommitted_bytes_max - bytes;
    if (!is_room && raft->backlog_bytes > 0)
        return RAFT_FULL; /* an entry larger than the limit goes through alone */
    *entry = (struct raft_entry){.first_index = raft->last_index + 1,
                                 .last_index = raft->last_index + span_indexes,
                                 .term = raft->term,
                                 .bytes = bytes,
                                 .kind = kind};
    raft_append_entry(raft, entry);
    raft_backlog_add(raft, entry->last_index, bytes);
    return RAFT_OK;
}

enum raft_result raft_propose(struct raft *raft, uint64_t span_indexes, uint64_t bytes,
                              struct raft_entry *entry)
{
    return propose(raft, RAFT_ENTRY_DATA, span_indexes, bytes, entry);
}

enum raft_result raft_propose_control(struct raft *raft, uint64_t bytes, struct raft_entry *entry)
{
    return propose(raft, RAFT_ENTRY_CONTROL, 1, bytes, entry);
}

/* ---- Commit ---- */

static uint64_t match_of(const struct raft_slot *slot)
{
    return slot->match_counted;
}

static uint64_t contact_of(const struct raft_slot *slot)
{
    return slot->contact_ticks;
}

uint64_t raft_quorum_value(const struct raft *raft, uint64_t own,
                           uint64_t (*value_of)(const struct raft_slot *slot))
{
    uint64_t descending[RAFT_MEMBERS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < raft->membership.voter_count; ++i) {
        uint32_t node_id = raft->membership.voters[i];
        uint64_t value = own;
        if (node_id != raft->options.node_id) {
            const struct raft_slot *slot = raft_slot_find(raft, node_id);
            ensure(slot != NULL);
            value = value_of(slot);
        }
        uint32_t place = count++;
        for (; place > 0 && descending[place - 1] < value; --place)
            descending[place] = descending[place - 1];
        descending[place] = value;
    }
    ensure(count == raft->membership.voter_count && count > 0);
    return descending[raft_membership_quorum(&raft->membership) - 1];
}

void raft_set_commit(struct raft *raft, uint64_t commit_index)
{
    ensure(commit_index > raft->commit_index && commit_index <= raft->last_index);
    raft->commit_index = commit_index;
    raft->is_dirty = true;
    raft_refresh_role(raft);
}

void raft_advance_commit(struct raft *raft)
{
    require(raft->role == RAFT_LEADER);
    uint64_t index = raft_quorum_value(raft, raft->saved_index, match_of);
    if (index <= raft->commit_index || raft_term_known(raft, index) != raft->term)
        return;
    raft_set_commit(raft, index);
    raft_backlog_commit(raft);
    raft_leave_if_removed(raft);
}

bool raft_quorum_is_active(const struct raft *raft)
{
    uint64_t contact_ticks = raft_quorum_value(raft, raft->now_ticks, contact_of);
    return raft->now_ticks < contact_ticks + raft->options.election_ticks;
}

/* ---- Heartbeats ---- */

void raft_heartbeat(struct raft *raft)
{
    require(raft->role == RAFT_LEADER);
    raft->round += 1;
    uint32_t rest_ticks = raft_rest_offer(raft);
    for (uint32_t i = 0; i < raft->slot_count; ++i) {
        struct raft_slot *slot = &raft->slots[i];
        struct raft_message *message = raft_push(raft, RAFT_MESSAGE_HEARTBEAT, slot->node_id);
        message->barrier = raft->round;
        message->rest_ticks = rest_ticks;
        if (raft_term_at(raft, slot->match, &message->index_term)) {
            message->index = slot->match;
            message->commit = raft_min(raft->commit_index, slot->match);
        }
        if (slot->heartbeat_round <= slot->barrier) {
            slot->heartbeat_round = raft->round;
            slot->heartbeat_match = message->index;
            slot->heartbeat_sent = slot->state == RAFT_REPLICATE ? slot->next - 1 : 0;
        }
        raft_offer_proof(raft, slot, message);
        slot->commit_sent = raft_max(slot->commit_sent, message->commit);
        slot->is_stalled = false;
        raft_slot_shrink(slot);
    }
}

/* ---- Answers ---- */

/* A majority is made of what voters acknowledged while they might vote. */
static void count_ack(struct raft *raft, struct raft_slot *slot, uint64_t index)
{
    if (slot->mark != 0 || index <= slot->match_counted)
        return;
    slot->match_counted = index;
    raft_advance_commit(raft);
}

void raft_receive_append_reply(struct raft *raft, const struct raft_message *message)
{
    struct raft_slot *slot = raft_slot_find(raft, message->from);
    require(slot != NULL);
    if (!message->granted) {
        raft_slot_refused(raft, slot, message);
    } else if (message->index <= raft->last_index) {
        raft_slot_marked(raft, slot, message->hint_term);
        raft_slot_acked(raft, slot, message->index);
        count_ack(raft, slot, message->index);
    }
}

/* The reply to a heartbeat shows whether what left before it has arrived. */
static void judge_heartbeat(struct raft_slot *slot, uint64_t durable, uint64_t received)
{
    if (durable < slot->heartbeat_match) {
        /* It lost what it had made durable (a new disk): it is filled again from there. */
        slot->match = durable;
        slot->match_counted = raft_min(slot->match_counted, durable);
        raft_slot_enter(slot, RAFT_PROBE, durable + 1);
    } else if (slot->state == RAFT_REPLICATE && received < slot->heartbeat_sent) {
        raft_slot_enter(slot, RAFT_PROBE, raft_max(slot->match, received) + 1);
    }
    slot->heartbeat_match = 0;
    slot->heartbeat_sent = 0;
}

/* It may show that the logs meet where the probe asks, or that the probe is lost. */
static void judge_probe(struct raft_slot *slot, uint64_t round, uint64_t received)
{
    bool is_probe_later = slot->is_paused && round <= slot->probe_round;
    if (is_probe_later && received < slot->probe_last)
        return; /* the probe left after this heartbeat: its own answer is on the way */
    if (received + 1 >= slot->next)
        raft_slot_enter(slot, RAFT_REPLICATE, raft_max(slot->match, received) + 1);
    else
        slot->is_paused = false;
}

void raft_receive_heartbeat_reply(struct raft *raft, const struct raft_message *message)
{
    struct raft_slot *slot = raft_slot_find(raft, message->from);
    require(slot != NULL);
    if (message->barrier > raft->round || message->index > raft->last_index ||
        message->hint_index > raft->last_index)
        return;
    uint64_t received = raft_max(message->hint_index, message->index);
    raft_slot_marked(raft, slot, message->hint_term);
    slot->barrier = raft_max(slot->barrier, message->barrier);
    if (slot->mark == 0)
        slot->barrier_counted = raft_max(slot->barrier_counted, message->barrier);
    if (message->barrier >= slot->heartbeat_round)
        judge_heartbeat(slot, message->index, received);
    if (slot->state == RAFT_PROBE)
        judge_probe(slot, message->barrier, received);
    raft_barriers_confirm(raft);
    if (message->index > slot->match)
        raft_slot_acked(raft, slot, message->index);
    count_ack(raft, slot, message->index);
    if (raft->role == RAFT_LEADER)
        raft_rest_taken(raft, slot, message);
}

void raft_receive_snapshot_reply(struct raft *raft, const struct raft_message *message)
{
    if (message->index <= raft->last_index)
        raft_snapshot_sent(raft, message->from, message->index, message->granted);
}

void raft_snapshot_sent(struct raft *raft, uint32_t to, uint64_t index, bool success)
{
    struct raft_slot *slot = raft_slot_find(raft, to);
    if (raft->role != RAFT_LEADER || slot == NULL || slot->state != RAFT_SNAPSHOT)
        return; /* of an earlier leadership, or reported twice */
    raft->is_dirty = true;
    if (success && index <= raft->last_index && index > slot->match) {
        slot->match = index;
        slot->is_barred = false;
        raft_slot_enter(slot, RAFT_PROBE, index + 1);
        slot->is_paused = false;
    } else {
        raft_slot_enter(slot, RAFT_PROBE, slot->next);
        slot->is_paused = true; /* until it answers a heartbeat */
    }
}
