/* SPDX-License-Identifier: Apache-2.0
 *
 * effects.c -- everything that leaves the core: the write of the turn, messages, sends, and
 * promises whose time has come.
 *
 * The one place where a promise turns into a message, and so the one place to check that it rests
 * on something durable: a granted vote and an append ack wait for the present term and vote to be
 * saved, and an ack names saved entries only.
 *
 * Lists are kept for the next turn while small; a burst's memory is given back.
 *
 * Invariant: between collect and release no message is pushed (receive and tick are refused).
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "raft/raft_private.h"

#include <string.h>

/* Kept between turns: a follower's answers, and a heartbeat and another message for each peer. */
#define MESSAGES_KEPT 4

struct raft_message *raft_push(struct raft *raft, enum raft_message_kind kind, uint32_t to)
{
    require(!raft->is_collected && to != 0);
    raft->messages = raft_grow(raft->messages, &raft->message_capacity, raft->message_count + 1,
                               sizeof(raft->messages[0]));
    struct raft_message *message = &raft->messages[raft->message_count++];
    *message = (struct raft_message){.kind = kind,
                                     .from = raft->options.node_id,
                                     .to = to,
                                     .group_id = raft->options.group_id,
                                     .term = raft->term};
    raft->is_dirty = true;
    return message;
}

/* ---- Promises ---- */

static void push_ack(struct raft *raft)
{
    if (raft->leader == 0 || raft->role == RAFT_LEADER)
        return;
    uint64_t durable = raft_min(raft->verified_index, raft->saved_index);
    bool is_complete = durable == raft->verified_index;
    if (!raft->is_ack_due || (!is_complete && durable <= raft->acked_index))
        return;
    struct raft_message *reply = raft_push(raft, RAFT_MESSAGE_APPEND_REPLY, raft->leader);
    reply->granted = true;
    reply->index = durable;
    reply->hint_term = raft->mark;
    raft->acked_index = raft_max(raft->acked_index, durable);
    raft->is_ack_due = !is_complete;
}

static void push_heartbeat_reply(struct raft *raft)
{
    if (!raft->is_heartbeat_reply_due || raft->leader == 0)
        return;
    ensure(raft->role != RAFT_LEADER); /* a new term has dropped what was due */
    struct raft_message *reply = raft_push(raft, RAFT_MESSAGE_HEARTBEAT_REPLY, raft->leader);
    reply->index = raft_min(raft->verified_index, raft->saved_index);
    reply->hint_index = raft->verified_index;
    reply->hint_term = raft->mark;
    reply->barrier = raft->heartbeat_barrier;
    if (raft->is_resting && raft->now_ticks < raft->rest_end_ticks)
        reply->rest_ticks = (uint32_t)(raft->rest_end_ticks - raft->now_ticks);
    raft->is_heartbeat_reply_due = false;
}

static void push_promises(struct raft *raft)
{
    if (!raft_hard_state_is_saved(raft))
        return;
    if (raft->role == RAFT_CANDIDATE && raft->is_vote_request_due)
        raft_push_vote_requests(raft);
    if (raft->vote_reply_to != 0) {
        ensure(raft->vote == raft->vote_reply_to);
        struct raft_message *reply = raft_push(raft, RAFT_MESSAGE_VOTE_REPLY, raft->vote_reply_to);
        reply->granted = true;
        raft->vote_reply_to = 0;
    }
    push_ack(raft);
    push_heartbeat_reply(raft);
}

/* ---- A leader's effects ---- */

static void push_timeout_now(struct raft *raft)
{
    if (raft->farewell_to != 0)
        raft_push(raft, RAFT_MESSAGE_TIMEOUT_NOW, raft->farewell_to);
    raft->farewell_to = 0;
    if (!raft_transfer_is_ripe(raft))
        return;
    raft_push(raft, RAFT_MESSAGE_TIMEOUT_NOW, raft->transfer_target);
    raft->is_transfer_asked = true;
}

static void collect_send(struct raft *raft, struct raft_slot *slot, struct raft_send *send)
{
    uint64_t bytes_max = 0; /* a probe: one entry, whatever its size */
    if (slot->state == RAFT_REPLICATE)
        bytes_max = raft->options.inflight_bytes_max - slot->inflight_bytes;
    *send = (struct raft_send){.to = slot->node_id,
                               .term = raft->term,
                               .index = slot->next - 1,
                               .index_term = raft_term_known(raft, slot->next - 1),
                               .last_index_max = raft->last_index,
                               .bytes_max = bytes_max,
                               .commit = raft->commit_index};
    slot->is_send_owed = true;
    slot->send_index = send->index;
    slot->commit_sent = raft_max(slot->commit_sent, raft->commit_index);
}

/* A follower that has everything learns of a commit without waiting for the next entry or
 * heartbeat. */
static void push_commit(struct raft *raft, struct raft_slot *slot)
{
    bool has_everything = slot->state == RAFT_REPLICATE && slot->match == raft->last_index;
    if (!has_everything || slot->commit_sent >= raft->commit_index)
        return;
    struct raft_message *message = raft_push(raft, RAFT_MESSAGE_HEARTBEAT, slot->node_id);
    message->index = slot->match;
    message->index_term = raft_term_known(raft, slot->match);
    message->commit = raft_min(raft->commit_index, slot->match);
    slot->commit_sent = raft->commit_index;
}

static void collect_slots(struct raft *raft, struct raft_effects *effects)
{
    require(!raft->is_noop_due); /* see raft_take_noop() */
    if (raft->role != RAFT_LEADER)
        return;
    if (raft->send_capacity < raft->slot_count) {
        raft->send_capacity = raft->slot_count;
        raft->sends = memory_reallocate(raft->sends, raft->send_capacity * sizeof(raft->sends[0]));
        raft->snapshots =
            memory_reallocate(raft->snapshots, raft->send_capacity * sizeof(raft->snapshots[0]));
    }
    for (uint32_t i = 0; i < raft->slot_count; ++i) {
        struct raft_slot *slot = &raft->slots[i];
        if (raft_slot_wants_snapshot(raft, slot)) {
            raft_slot_enter(slot, RAFT_SNAPSHOT, slot->next);
            raft->snapshots[effects->snapshot_count++] = slot->node_id;
        } else if (raft_slot_wants_send(raft, slot)) {
            collect_send(raft, slot, &raft->sends[effects->send_count++]);
        } else {
            push_commit(raft, slot);
        }
    }
    effects->sends = raft->sends;
    effects->snapshots = raft->snapshots;
}

/* ---- Collecting ---- */

static void collect_barriers(struct raft *raft, struct raft_effects *effects)
{
    if (raft_barrier_round_is_due(raft))
        raft_heartbeat(raft);
    if (raft->role == RAFT_LEADER)
        raft_barriers_confirm(raft); /* a group of one, or become one, needs no answer */
    effects->barriers = raft->barriers;
    effects->barrier_count = raft->barrier_passed_count;
    effects->barriers_failed = raft->barriers + raft->barrier_passed_count;
    effects->barrier_failed_count = raft->barrier_failed_count;
}

static void collect_changes(struct raft *raft, struct raft_effects *effects)
{
    effects->role_changed = raft->role != raft->reported_role ||
                            raft->leader != raft->reported_leader ||
                            raft->term != raft->reported_term;
    effects->commit_changed = raft->commit_index != raft->reported_commit;
    raft->reported_role = raft->role;
    raft->reported_leader = raft->leader;
    raft->reported_term = raft->term;
    raft->reported_commit = raft->commit_index;
}

bool raft_is_dirty(const struct raft *raft)
{
    return raft->is_dirty;
}

bool raft_collect(struct raft *raft, struct raft_effects *effects)
{
    require(!raft->is_collected);
    *effects = (struct raft_effects){0};
    if (!raft->is_dirty)
        return false;
    raft_rest_end_if_disturbed(raft);
    collect_barriers(raft, effects);
    push_promises(raft);
    push_timeout_now(raft);
    collect_slots(raft, effects);
    collect_changes(raft, effects);
    raft_writes_begin(raft, &effects->write);
    effects->messages = raft->messages;
    effects->message_count = raft->message_count;
    raft->is_dirty = false;
    raft->is_collected = effects->write.id != 0 || effects->message_count > 0 ||
                         effects->send_count > 0 || effects->snapshot_count > 0 ||
                         effects->barrier_count > 0 || effects->barrier_failed_count > 0 ||
                         effects->role_changed || effects->commit_changed;
    return raft->is_collected;
}

/* What only a burst or a leadership needed. */
static void give_back_memory(struct raft *raft)
{
    if (raft->message_capacity > raft_max(MESSAGES_KEPT, 4 * raft->slot_count)) {
        memory_free(raft->messages);
        raft->messages = NULL;
        raft->message_capacity = 0;
    }
    if (raft->role != RAFT_LEADER && raft->send_capacity > 0) {
        memory_free(raft->sends);
        memory_free(raft->snapshots);
        raft->sends = NULL;
        raft->snapshots = NULL;
        raft->send_capacity = 0;
    }
}

void raft_release(struct raft *raft, struct raft_effects *effects)
{
    require(raft->is_collected);
    uint32_t decided = effects->barrier_count + effects->barrier_failed_count;
    ensure(decided <= raft->barrier_count);
    raft->barrier_count -= decided;
    memmove(raft->barriers, raft->barriers + decided,
            raft->barrier_count * sizeof(raft->barriers[0]));
    raft->barrier_passed_count -= effects->barrier_count;
    raft->barrier_failed_count -= effects->barrier_failed_count;
    raft->message_count = 0;
    give_back_memory(raft);
    raft->is_collected = false;
    *effects = (struct raft_effects){0};
}
