/* SPDX-License-Identifier: Apache-2.0
 *
 * progress.c -- what a leader knows of each follower, and when to send it something.
 *
 *     PROBE ----- accepted ----> REPLICATE          REPLICATE -- refused, lost, damaged --> PROBE
 *     PROBE, REPLICATE -- entries gone --> SNAPSHOT -- installed or failed --> PROBE
 *
 * Where the logs meet, when a follower refuses: it names its last index whose term is not above the
 * one asked for.  Same term here at that index: everything up to it is equal.  Ours higher: they
 * can meet only at or before the end of our last stretch of a term not above it.  Ours lower:
 * nothing of its later terms is ours, so we ask again at the end of our stretch.  Each round trip
 * removes at least one term from the question, and every place asked for ends an entry of ours.
 *
 * Invariants: match < next; next - 1 ends an entry; inflight is empty except in REPLICATE.
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "raft/raft_private.h"

#include <string.h>

static const bool state_may_follow[RAFT_PROGRESS_STATES][RAFT_PROGRESS_STATES] = {
    [RAFT_PROBE] = {[RAFT_PROBE] = true, [RAFT_REPLICATE] = true, [RAFT_SNAPSHOT] = true},
    [RAFT_REPLICATE] = {[RAFT_PROBE] = true, [RAFT_SNAPSHOT] = true},
    [RAFT_SNAPSHOT] = {[RAFT_PROBE] = true},
};

/* ---- Unacknowledged sends ---- */

static void inflight_clear(struct raft_slot *slot)
{
    slot->inflight_first = 0;
    slot->inflight_count = 0;
    slot->inflight_bytes = 0;
}

static void inflight_grow(struct raft_slot *slot)
{
    uint32_t capacity = slot->inflight_capacity == 0 ? 4 : 2 * slot->inflight_capacity;
    struct raft_inflight *ring = memory_allocate(capacity * sizeof(ring[0]));
    for (uint32_t i = 0; i < slot->inflight_count; ++i)
        ring[i] = slot->inflight[(slot->inflight_first + i) % slot->inflight_capacity];
    memory_free(slot->inflight);
    slot->inflight = ring;
    slot->inflight_first = 0;
    slot->inflight_capacity = capacity;
}

static void inflight_add(struct raft_slot *slot, uint64_t last_index, uint64_t bytes)
{
    if (slot->inflight_count == slot->inflight_capacity)
        inflight_grow(slot);
    uint32_t place = (slot->inflight_first + slot->inflight_count) % slot->inflight_capacity;
    slot->inflight[place] = (struct raft_inflight){.last_index = last_index, .bytes = bytes};
    slot->inflight_count += 1;
    slot->inflight_bytes += bytes;
}

static void inflight_free_to(struct raft_slot *slot, uint64_t index)
{
    while (slot->inflight_count > 0) {
        const struct raft_inflight *oldest = &slot->inflight[slot->inflight_first];
        if (oldest->last_index > index)
            break;
        ensure(slot->inflight_bytes >= oldest->bytes);
        slot->inflight_bytes -= oldest->bytes;
        slot->inflight_first = (slot->inflight_first + 1) % slot->inflight_capacity;
        slot->inflight_count -= 1;
    }
}

void raft_slot_shrink(struct raft_slot *slot)
{
    if (slot->inflight_count > 0 || slot->inflight_capacity <= 4)
        return;
    memory_free(slot->inflight);
    slot->inflight = NULL;
    slot->inflight_capacity = 0;
    slot->inflight_first = 0;
}

/* ---- Slots ---- */

struct raft_slot *raft_slot_find(const struct raft *raft, uint32_t node_id)
{
    for (uint32_t i = 0; i < raft->slot_count; ++i)
        if (raft->slots[i].node_id == node_id)
            return &raft->slots[i];
    return NULL;
}

static int owed_position(const struct raft *raft, uint32_t node_id)
{
    for (uint32_t i = 0; i < raft->owed_count; ++i)
        if (raft->owed[i] == node_id)
            return (int)i;
    return -1;
}

bool raft_slot_is_owed(const struct raft *raft, uint32_t node_id)
{
    return owed_position(raft, node_id) >= 0;
}

/* Its send, if one is under way, is reported later, when it means nothing any more. */
static void slot_discard(struct raft *raft, struct raft_slot *slot)
{
    memory_free(slot->inflight);
    if (!slot->is_send_owed)
        return;
    ensure(!raft_slot_is_owed(raft, slot->node_id));
    raft->owed =
        raft_grow(raft->owed, &raft->owed_capacity, raft->owed_count + 1, sizeof(raft->owed[0]));
    raft->owed[raft->owed_count++] = slot->node_id;
}

static void slot_add(struct raft *raft, uint32_t node_id, uint64_t next_index)
{
    if (node_id == raft->options.node_id || raft_slot_find(raft, node_id) != NULL)
        return;
    ensure(raft->slot_count < raft->slot_capacity);
    raft->slots[raft->slot_count++] = (struct raft_slot){.node_id = node_id,
                                                         .state = RAFT_PROBE,
                                                         .next = next_index,
                                                         .contact_ticks = raft->now_ticks};
}

void raft_slots_refresh(struct raft *raft, uint64_t next_index)
{
    const struct raft_membership *membership = &raft->membership;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < raft->slot_count; ++i) {
        uint32_t node_id = raft->slots[i].node_id;
        if (raft_membership_has_voter(membership, node_id) ||
            raft_membership_has_learner(membership, node_id))
            raft->slots[kept++] = raft->slots[i];
        else
            slot_discard(raft, &raft->slots[i]);
    }
    raft->slot_count = kept;
    /* A leader is a voter, or removed: nobody is demoted to a learner. */
    bool is_member = raft_membership_has_voter(membership, raft->options.node_id);
    uint32_t others = membership->voter_count + membership->learner_count - (is_member ? 1 : 0);
    if (others > raft->slot_capacity) {
        raft->slot_capacity = others;
        raft->slots = memory_reallocate(raft->slots, others * sizeof(raft->slots[0]));
    }
    for (uint32_t i = 0; i < membership->voter_count; ++i)
        slot_add(raft, membership->voters[i], next_index);
    for (uint32_t i = 0; i < membership->learner_count; ++i)
        slot_add(raft, membership->learners[i], next_index);
}

void raft_slots_free(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->slot_count; ++i)
        slot_discard(raft, &raft->slots[i]);
    memory_free(raft->slots);
    raft->slots = NULL;
    raft->slot_count = 0;
    raft->slot_capacity = 0;
}

void raft_slot_enter(struct raft_slot *slot, enum raft_progress_state state, uint64_t next_index)
{
    ensure(state_may_follow[slot->state][state]);
    ensure(next_index > slot->match);
    inflight_clear(slot);
    slot->state = (uint8_t)state;
    slot->next = next_index;
    slot->is_paused = false;
    slot->probe_last = 0;
}

/* ---- Answers ---- */

void raft_slot_acked(struct raft *raft, struct raft_slot *slot, uint64_t index)
{
    require(index <= raft->last_index);
    if (index > slot->match)
        slot->is_barred = false;
    slot->match = raft_max(slot->match, index);
    if (slot->state == RAFT_SNAPSHOT) {
        slot->next = raft_max(slot->next, slot->match + 1);
        if (slot->match + 1 >= raft->first_index)
            raft_slot_enter(slot, RAFT_PROBE, slot->match + 1);
        return;
    }
    uint64_t next = raft_max(slot->next, slot->match + 1);
    if (slot->state == RAFT_PROBE)
        raft_slot_enter(slot, RAFT_REPLICATE, raft_max(next, slot->probe_last + 1));
    else
        slot->next = next;
    inflight_free_to(slot, slot->match);
}

/* The first index to send to a follower that refused (see the head of this file). */
static uint64_t next_after_refusal(const struct raft *raft, uint64_t hint_index, uint64_t hint_term)
{
    uint64_t our_term = 0;
    if (!raft_term_at(raft, hint_index, &our_term))
        return hint_index + 1; /* before our log: only a snapshot helps */
    if (our_term == hint_term)
        return hint_index + 1;
    if (our_term < hint_term)
        return raft_terms_span_end(raft, hint_index) + 1;
    uint64_t meeting = 0;
    if (raft_terms_find_last(raft, hint_index, hint_term, &meeting))
        return meeting + 1;
    return raft->first_index - 1;
}

void raft_slot_refused(struct raft *raft, struct raft_slot *slot,
                       const struct raft_message *message)
{
    uint64_t refused = message->index;
    bool is_current =
        slot->state == RAFT_REPLICATE || (slot->state == RAFT_PROBE && refused == slot->next - 1);
    if (!is_current || refused <= slot->match || refused >= slot->next ||
        message->hint_index > refused)
        return; /* of an earlier question */
    uint64_t next = next_after_refusal(raft, message->hint_index, message->hint_term);
    if (next > refused)
        next = slot->match + 1; /* the hint contradicts itself */
    raft_slot_enter(slot, RAFT_PROBE, raft_max(next, slot->match + 1));
}

/* ---- Sending ---- */

bool raft_slot_wants_snapshot(const struct raft *raft, const struct raft_slot *slot)
{
    return !slot->is_disconnected && !slot->is_paused && slot->state != RAFT_SNAPSHOT &&
           slot->next < raft->first_index;
}

bool raft_slot_wants_send(const struct raft *raft, const struct raft_slot *slot)
{
    if (slot->is_disconnected || slot->is_paused || slot->is_stalled || slot->is_send_owed)
        return false;
    if (slot->state == RAFT_SNAPSHOT || slot->next > raft->last_index ||
        raft_slot_is_owed(raft, slot->node_id))
        return false;
    ensure(slot->next >= raft->first_index); /* or it would want a snapshot */
    if (slot->state == RAFT_PROBE)
        return true;
    return slot->inflight_count < raft->options.inflight_messages_max &&
           slot->inflight_bytes < raft->options.inflight_bytes_max;
}

bool raft_slot_is_at_rest(const struct raft *raft, const struct raft_slot *slot)
{
    return slot->state == RAFT_REPLICATE && slot->match == raft->last_index &&
           slot->match_counted == slot->match && slot->commit_sent == raft->commit_index &&
           slot->mark == 0 && raft->barrier_count == 0 && raft->transfer_target == 0;
}

/* Takes the report of a send: the slot that it is about, NULL when it means nothing any more. */
static struct raft_slot *take_report(struct raft *raft, uint32_t to)
{
    raft->is_dirty = true;
    int position = owed_position(raft, to);
    if (position >= 0) { /* of an earlier leadership or membership */
        raft->owed[position] = raft->owed[--raft->owed_count];
        return NULL;
    }
    struct raft_slot *slot = raft_slot_find(raft, to);
    require(raft->role == RAFT_LEADER && slot != NULL && slot->is_send_owed);
    slot->is_send_owed = false;
    if (slot->next != slot->send_index + 1 || slot->state == RAFT_SNAPSHOT)
        return NULL; /* an answer moved it meanwhile */
    return slot;
}

void raft_append_sent(struct raft *raft, uint32_t to, uint64_t last_index, uint64_t bytes)
{
    struct raft_slot *slot = take_report(raft, to);
    if (slot == NULL)
        return;
    require(last_index >= slot->send_index && last_index <= raft->last_index);
    if (last_index == slot->send_index) {
        slot->is_stalled = true;
    } else if (slot->state == RAFT_PROBE) {
        slot->is_paused = true;
        slot->probe_last = last_index;
        slot->probe_round = raft->round;
    } else {
        slot->next = last_index + 1;
        inflight_add(slot, last_index, bytes);
    }
}

/* It may have these entries and nobody knows: one that was started again has verified none of them,
 * and what it acknowledged may have been lost.  So it is asked again where this leader began, with
 * an entry that stands behind them; what it really lacks, its refusal says. */
void raft_append_unreadable(struct raft *raft, uint32_t to)
{
    struct raft_slot *slot = take_report(raft, to);
    if (slot == NULL)
        return;
    slot->is_barred = true;
    slot->is_stalled = true; /* who lacks them would be asked in a circle: once a heartbeat */
    if (slot->next < raft->term_first_index)
        raft_slot_enter(slot, RAFT_PROBE, raft->term_first_index);
}

bool raft_progress(const struct raft *raft, uint32_t node_id, struct raft_progress_view *view)
{
    if (raft->role != RAFT_LEADER)
        return false;
    bool is_voter = raft_membership_has_voter(&raft->membership, node_id);
    if (node_id == raft->options.node_id) {
        *view = (struct raft_progress_view){.match_index = raft->saved_index,
                                            .next_index = raft->last_index + 1,
                                            .is_voter = is_voter,
                                            .is_active = true,
                                            .heard_ticks = raft->now_ticks,
                                            .caught_up_ticks = raft->now_ticks};
        return true;
    }
    const struct raft_slot *slot = raft_slot_find(raft, node_id);
    if (slot == NULL)
        return false;
    *view = (struct raft_progress_view){
        .match_index = slot->match,
        .next_index = slot->next,
        .is_voter = is_voter,
        .is_active = raft->now_ticks < slot->contact_ticks + raft->options.election_ticks,
        .is_at_rest = raft->is_resting && raft_slot_is_at_rest(raft, slot),
        .is_receiving_snapshot = slot->state == RAFT_SNAPSHOT,
        .heard_ticks = slot->heard_ticks,
        .caught_up_ticks = slot->caught_up_ticks};
    return true;
}
