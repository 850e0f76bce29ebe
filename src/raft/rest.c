/* SPDX-License-Identifier: Apache-2.0
 *
 * rest.c -- a group in which nothing happens is silent: its leader beats once in options.rest_ticks
 * instead of every heartbeat interval.
 *
 * A leader whose followers have everything, know it and answered the last round offers the rest
 * with a heartbeat.  A follower that has everything takes it: its election deadline moves away by
 * the rest, and its answer says so.  When all members have taken it, the next heartbeat is due at
 * the rest's end.  Whatever ends the state (an entry, a barrier, a transfer, somebody's pre-vote)
 * ends the rest, and heartbeats come as always.
 *
 * What a rest takes away is the news that the leader lives, and the host gives that instead: it
 * hears each broker for all groups at once, and raft_peer_silent() says when it does not any more.
 * So the loss of a leader or of a majority is noticed as soon as without a rest.  Safety rests on
 * no clock here: a barrier is a round of heartbeats, at rest too.
 *
 * A follower that hears anything of its leader has left the rest, also when that is old and was
 * long on its way.  It answers, and an answer that takes no rest ends the leader's.
 *
 * Should anything go wrong with the host's news, a rest is over after rest_ticks by itself.
 *
 * Invariants: a leader rests only while raft_is_at_rest(), and then its next heartbeat is due at
 * the rest's end, until when its members count as heard.  A follower rests only while it has a
 * leader. Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

bool raft_is_at_rest(const struct raft *raft)
{
    require(raft->role == RAFT_LEADER);
    if (raft->commit_index != raft->last_index || raft->saved_index != raft->last_index)
        return false;
    for (uint32_t i = 0; i < raft->slot_count; ++i)
        if (!raft_slot_is_at_rest(raft, &raft->slots[i]))
            return false;
    return true;
}

/* ---- Its leader ---- */

uint32_t raft_rest_offer(struct raft *raft)
{
    require(raft->role == RAFT_LEADER && raft->round > 0);
    raft->is_resting = false;
    raft->is_rest_offered = false;
    if (raft->options.rest_ticks == 0 || !raft_is_at_rest(raft))
        return 0;
    for (uint32_t i = 0; i < raft->slot_count; ++i) {
        /* Who does not answer may have taken a rest that its leader knows nothing of. */
        if (raft->slots[i].barrier + 1 < raft->round)
            return 0;
        raft->slots[i].takes_rest = false;
    }
    raft->is_rest_offered = true;
    raft->rest_end_ticks = raft->now_ticks + raft->options.rest_ticks;
    raft->rest_end_ticks -= raft->rest_end_ticks % raft->options.heartbeat_ticks;
    return raft->options.rest_ticks;
}

void raft_rest_taken(struct raft *raft, struct raft_slot *slot, const struct raft_message *reply)
{
    require(raft->role == RAFT_LEADER && reply->kind == RAFT_MESSAGE_HEARTBEAT_REPLY);
    if (reply->rest_ticks == 0 || !raft->is_rest_offered || reply->barrier != raft->round)
        return;
    slot->takes_rest = true;
    for (uint32_t i = 0; i < raft->slot_count; ++i)
        if (!raft->slots[i].takes_rest)
            return;
    if (raft->rest_end_ticks <= raft->heartbeat_due_ticks || !raft_is_at_rest(raft))
        return; /* too short, or about to be ended */
    raft->is_resting = true;
    raft->heartbeat_due_ticks = raft->rest_end_ticks;
    for (uint32_t i = 0; i < raft->slot_count; ++i)
        raft->slots[i].contact_ticks = raft->rest_end_ticks;
}

void raft_rest_end(struct raft *raft)
{
    require(raft->role == RAFT_LEADER);
    raft->is_rest_offered = false;
    if (!raft->is_resting)
        return;
    ensure(raft->heartbeat_due_ticks == raft->rest_end_ticks);
    uint64_t interval = raft->options.heartbeat_ticks;
    uint64_t next_ticks = (raft->now_ticks / interval + 1) * interval;
    raft->heartbeat_due_ticks = raft_min(raft->heartbeat_due_ticks, next_ticks);
    raft->is_resting = false;
    raft->is_dirty = true; /* the host looks when the next heartbeat is due */
}

void raft_rest_end_if_disturbed(struct raft *raft)
{
    if (raft->is_rest_offered && !raft_is_at_rest(raft))
        raft_rest_end(raft);
}

/* ---- A follower ---- */

void raft_rest_take(struct raft *raft, const struct raft_message *heartbeat)
{
    require(raft->role != RAFT_LEADER && heartbeat->kind == RAFT_MESSAGE_HEARTBEAT);
    ensure(!raft->is_resting); /* it was just heard */
    if (heartbeat->rest_ticks == 0 || heartbeat->rest_ticks > raft->options.rest_ticks ||
        heartbeat->barrier != raft->heartbeat_barrier)
        return; /* none, longer than this node would offer, or an old one that came late */
    if (heartbeat->index != raft->last_index || raft->commit_index != raft->last_index ||
        raft->saved_index != raft->last_index)
        return;
    raft->is_resting = true;
    raft->rest_end_ticks = raft->now_ticks + heartbeat->rest_ticks;
    raft->election_deadline_ticks += heartbeat->rest_ticks;
}

void raft_rest_leave(struct raft *raft)
{
    require(raft->role != RAFT_LEADER && raft->is_resting);
    raft->is_resting = false;
    raft->is_heartbeat_reply_due = true;
    raft->is_dirty = true;
}

/* ---- The host's news ---- */

static void miss_leader(struct raft *raft, uint64_t heard_ticks)
{
    raft->is_resting = false;
    raft->leader_contact_ticks = raft_max(raft->leader_contact_ticks, heard_ticks);
    uint64_t election_ticks = raft->options.election_ticks;
    uint64_t deadline_ticks = raft->leader_contact_ticks + election_ticks;
    deadline_ticks += prng_below(&raft->prng, election_ticks);
    if (deadline_ticks <= raft->now_ticks)
        deadline_ticks = raft->now_ticks + 1 + prng_below(&raft->prng, RAFT_EAGER_TICKS);
    raft->election_deadline_ticks = raft_min(raft->election_deadline_ticks, deadline_ticks);
}

void raft_peer_silent(struct raft *raft, uint32_t node_id, uint64_t heard_ticks, uint64_t now_ticks)
{
    require(!raft->is_collected && heard_ticks <= now_ticks);
    raft->now_ticks = raft_max(raft->now_ticks, now_ticks);
    if (raft->role == RAFT_LEADER) {
        struct raft_slot *slot = raft_slot_find(raft, node_id);
        if (slot == NULL)
            return;
        if (raft->is_resting) {
            raft_rest_end(raft);
            raft->heartbeat_due_ticks = raft->now_ticks; /* and sees who is left to hear it */
        }
        raft->is_rest_offered = false;
        slot->contact_ticks = raft_min(slot->contact_ticks, heard_ticks);
    } else if (raft->leader == node_id && raft->is_resting) {
        miss_leader(raft, heard_ticks);
    }
}
