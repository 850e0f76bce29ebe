/* SPDX-License-Identifier: Apache-2.0
 *
 * beats.c -- what this shard and its like on another broker hear of each other, for all their
 * groups at once.
 *
 * Groups at rest say nothing for seconds (raft/rest.c), so each manager sends every connected peer
 * a frame with every heartbeat interval, an empty one if need be.  A peer whose frames stay away
 * for an election timeout is missed: every group is told, once, and those that rest on it act as
 * if that had been their own silence.
 *
 * Only a peer with as many shards as this broker is watched, as only then one shard of it has all
 * the groups that this one shares with it; from another one no rest is taken.
 *
 * Invariant: silence_due_ticks is not later than the first watched peer's heard_ticks and an
 * election timeout.
 * Locality: the shard of its manager.
 */
#include "replica/beats.h"

#include "base/assert.h"
#include "replica/manager.h"

static uint64_t ticks_of(uint32_t ms)
{
    return ms * 1000000ull / REPLICA_TICK_NS;
}

static uint64_t earlier(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* ---- Hearing ---- */

void replica_beats_heard(struct replica_manager *manager, struct replica_peer *peer)
{
    peer->heard_ticks = replica_now_ticks(manager);
    if (!peer->is_watched) {
        peer->is_watched = true;
        uint64_t due_ticks = peer->heard_ticks + ticks_of(manager->options.election_ms);
        manager->silence_due_ticks = earlier(manager->silence_due_ticks, due_ticks);
    }
}

static bool is_member(const struct replica_group *group, uint32_t broker_id)
{
    const struct raft_membership *membership = raft_membership(group->raft);
    return raft_membership_has_voter(membership, broker_id) ||
           raft_membership_has_learner(membership, broker_id);
}

static void miss(struct replica_manager *manager, struct replica_peer *peer, uint64_t now_ticks)
{
    ensure(peer->is_watched);
    peer->is_watched = false;
    bool is_member_here = false;
    size_t position = 0;
    struct replica_group *group;
    while ((group = replica_group_next(manager, &position)) != NULL) {
        is_member_here = is_member_here || is_member(group, peer->broker_id);
        if (!group->is_installing) {
            raft_peer_silent(group->raft, peer->broker_id, peer->heard_ticks, now_ticks);
            replica_group_touched(group);
        }
    }
    /* A shard whose last group went says nothing any more, and nobody waits for it. */
    counter_add(&manager->stats.peers_missed, is_member_here ? 1 : 0);
}

void replica_beats_look(struct replica_manager *manager)
{
    uint64_t now_ticks = replica_now_ticks(manager);
    if (now_ticks < manager->silence_due_ticks) {
        return;
    }
    manager->silence_due_ticks = REPLICA_DUE_NEVER;
    for (uint32_t i = 0; i < manager->peer_count; i++) {
        struct replica_peer *peer = manager->peers_all[i];
        uint64_t due_ticks = peer->heard_ticks + ticks_of(manager->options.election_ms);
        if (peer->is_watched && due_ticks <= now_ticks) {
            miss(manager, peer, now_ticks);
        } else if (peer->is_watched) {
            manager->silence_due_ticks = earlier(manager->silence_due_ticks, due_ticks);
        }
    }
}

/* ---- Being heard ---- */

static bool has_listeners(const struct replica_manager *manager)
{
    for (uint32_t i = 0; manager->groups.count > 0 && i < manager->peer_count; i++) {
        if (manager->peers_all[i]->stream != NULL) {
            return true;
        }
    }
    return false;
}

void replica_beats_send(struct replica_manager *manager)
{
    uint64_t now_ticks = replica_now_ticks(manager);
    if (now_ticks < manager->beat_due_ticks || manager->groups.count == 0) {
        return;
    }
    uint64_t interval_ticks = ticks_of(manager->options.heartbeat_ms);
    manager->beat_due_ticks = (now_ticks / interval_ticks + 1) * interval_ticks;
    for (uint32_t i = 0; i < manager->peer_count; i++) {
        struct replica_peer *peer = manager->peers_all[i];
        if (replica_peer_has_room(manager, peer->broker_id, NULL)) {
            replica_peer_open_frame(manager, peer);
        }
    }
}

uint64_t replica_beats_due_ticks(const struct replica_manager *manager)
{
    return has_listeners(manager) ? earlier(manager->beat_due_ticks, manager->silence_due_ticks)
                                  : manager->silence_due_ticks;
}
