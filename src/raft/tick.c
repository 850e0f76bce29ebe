/* SPDX-License-Identifier: Apache-2.0
 *
 * tick.c -- what the passing of time asks for: elections, heartbeats, and giving up.
 *
 * Only raft_due_ticks() decides when a group costs anything; an idle follower is touched when a
 * heartbeat arrives, an idle leader once per heartbeat interval, or per rest (rest.c), a leader
 * without peers never.
 *
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

static bool is_candidate_waiting_for_disk(const struct raft *raft)
{
    return raft->role == RAFT_CANDIDATE && !raft_hard_state_is_saved(raft);
}

static void tick_follower(struct raft *raft)
{
    if (raft->now_ticks < raft->election_deadline_ticks)
        return;
    if (!raft_can_campaign(raft)) {
        raft->leader = 0;
        raft->is_resting = false;
        raft->election_deadline_ticks = RAFT_NEVER;
        raft->is_dirty = true;
    } else if (is_candidate_waiting_for_disk(raft)) {
        raft_stand_back(raft); /* another term would only queue behind the same disk */
    } else {
        raft_campaign(raft, false);
    }
}

static void tick_leader(struct raft *raft)
{
    if (raft->now_ticks < raft->heartbeat_due_ticks)
        return;
    if (!raft_quorum_is_active(raft)) {
        raft_become_follower(raft, raft->term, 0);
        return;
    }
    if (raft_leave_if_barred(raft))
        return;
    if (raft->transfer_target != 0 && raft->now_ticks >= raft->transfer_deadline_ticks)
        raft->transfer_target = 0;
    raft->is_transfer_asked = false;
    uint64_t interval = raft->options.heartbeat_ticks;
    raft->heartbeat_due_ticks = (raft->now_ticks / interval + 1) * interval;
    raft_heartbeat(raft);
}

void raft_tick(struct raft *raft, uint64_t now_ticks)
{
    require(now_ticks >= raft->now_ticks && !raft->is_collected);
    raft->now_ticks = now_ticks;
    if (raft->role == RAFT_LEADER) {
        if (raft->slot_count > 0)
            tick_leader(raft);
    } else {
        tick_follower(raft);
    }
}

uint64_t raft_due_ticks(const struct raft *raft)
{
    if (raft->role != RAFT_LEADER)
        return raft->election_deadline_ticks;
    return raft->slot_count > 0 ? raft->heartbeat_due_ticks : RAFT_NEVER;
}

/* ---- Connections ---- */

void raft_peer_disconnected(struct raft *raft, uint32_t node_id, uint64_t now_ticks)
{
    raft->now_ticks = raft_max(raft->now_ticks, now_ticks);
    if (raft->role == RAFT_LEADER) {
        struct raft_slot *slot = raft_slot_find(raft, node_id);
        if (slot == NULL)
            return;
        slot->is_disconnected = true;
        slot->contact_ticks = raft_min(slot->contact_ticks, raft->now_ticks);
        raft_rest_end(raft);
        if (slot->state != RAFT_SNAPSHOT)
            raft_slot_enter(slot, RAFT_PROBE, slot->match + 1);
        return;
    }
    if (raft->leader == 0 || raft->leader != node_id)
        return;
    raft->leader = 0;
    raft->lost_leader = node_id;
    raft->is_resting = false;
    raft->eager_until_ticks = raft->now_ticks + raft->options.election_ticks;
    raft->is_dirty = true;
    raft_draw_deadline(raft);
}

void raft_peer_connected(struct raft *raft, uint32_t node_id)
{
    struct raft_slot *slot = raft_slot_find(raft, node_id);
    if (raft->role != RAFT_LEADER || slot == NULL)
        return;
    slot->is_disconnected = false;
    slot->is_stalled = false;
    if (slot->state == RAFT_PROBE)
        slot->is_paused = false;
    raft->is_dirty = true;
}
