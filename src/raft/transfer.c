/* SPDX-License-Identifier: Apache-2.0
 *
 * transfer.c -- hands leadership to a chosen voter (thesis 3.10).
 *
 * Proposals stop, the target catches up, and is told to campaign at once.  If it has not taken over
 * after an election timeout, this leader goes on (tick.c).
 *
 * A leader may never come to commit the beginning of its term, as its disk has lost what the others
 * need of it.  So it hands over before that, too, but only to a voter that can take over at once.
 *
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

bool raft_slot_is_active(const struct raft *raft, const struct raft_slot *slot)
{
    return !slot->is_disconnected &&
           raft->now_ticks < slot->contact_ticks + raft->options.election_ticks;
}

uint32_t raft_most_advanced_voter(const struct raft *raft)
{
    const struct raft_slot *best = NULL;
    for (uint32_t i = 0; i < raft->slot_count; ++i) {
        const struct raft_slot *slot = &raft->slots[i];
        bool is_voter = raft_membership_has_voter(&raft->membership, slot->node_id);
        /* Who may not vote may not campaign either: it would not heed TIMEOUT_NOW. */
        if (!is_voter || slot->mark != 0 || !raft_slot_is_active(raft, slot))
            continue;
        if (best == NULL || slot->match > best->match)
            best = slot;
    }
    return best == NULL ? 0 : best->node_id;
}

/* It holds this leader's log, the beginning of the term included. */
static bool has_term_beginning(const struct raft *raft, uint32_t node_id)
{
    const struct raft_slot *slot = raft_slot_find(raft, node_id);
    ensure(slot != NULL);
    return slot->match >= raft->term_first_index;
}

enum raft_result raft_transfer_leadership(struct raft *raft, uint32_t node_id, uint64_t now_ticks)
{
    raft->now_ticks = raft_max(raft->now_ticks, now_ticks);
    if (raft->role != RAFT_LEADER)
        return RAFT_NOT_LEADER;
    if (raft->transfer_target != 0)
        return RAFT_BUSY;
    uint32_t target = node_id != 0 ? node_id : raft_most_advanced_voter(raft);
    if (target == 0 || target == raft->options.node_id ||
        !raft_membership_has_voter(&raft->membership, target))
        return RAFT_BAD_REQUEST;
    if (!raft_is_ready_leader(raft) && !has_term_beginning(raft, target))
        return RAFT_NOT_READY;
    raft->transfer_target = target;
    raft->transfer_deadline_ticks = raft->now_ticks + raft->options.election_ticks;
    raft->is_transfer_asked = false;
    raft->is_dirty = true;
    return RAFT_OK;
}

bool raft_is_transferring(const struct raft *raft)
{
    return raft->transfer_target != 0;
}

bool raft_transfer_is_ripe(const struct raft *raft)
{
    if (raft->role != RAFT_LEADER || raft->transfer_target == 0 || raft->is_transfer_asked)
        return false;
    const struct raft_slot *slot = raft_slot_find(raft, raft->transfer_target);
    ensure(slot != NULL); /* no membership changes while a transfer is under way */
    return slot->match == raft->last_index;
}
