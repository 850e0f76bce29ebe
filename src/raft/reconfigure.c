/* SPDX-License-Identifier: Apache-2.0
 *
 * reconfigure.c -- how a group's membership changes: by log entries, one server at a time
 * (thesis 4.1).
 *
 * A membership counts from the moment it is appended, so two that follow each other must share a
 * member in every pair of majorities: they differ by one server, the earlier one is committed
 * before the later is proposed, and a leader proposes none before an entry of its own term has
 * committed -- without that last rule two leaders could each commit a change the other has never
 * seen. Cut from the log, a membership gives way to the one before it.
 *
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

static void apply(struct raft *raft)
{
    raft->is_dirty = true;
    if (raft->role == RAFT_LEADER)
        raft_slots_refresh(raft, raft->last_index); /* a newcomer is probed with this very entry */
    else
        raft_refresh_role(raft);
}

void raft_membership_adopt(struct raft *raft, const struct raft_membership *membership,
                           uint64_t index)
{
    require(index > raft->membership_index || raft->membership_index == 0);
    require(raft_membership_is_valid(membership));
    raft->membership_previous = raft->membership;
    raft->membership_previous_index = raft->membership_index;
    raft->membership = *membership;
    raft->membership_index = index;
    apply(raft);
}

void raft_membership_truncated(struct raft *raft, uint64_t from_index)
{
    if (raft->membership_index < from_index)
        return;
    /* The one before was committed when this one was proposed, so it cannot be cut as well. */
    ensure(raft->membership_previous_index < from_index);
    raft->membership = raft->membership_previous;
    raft->membership_index = raft->membership_previous_index;
    apply(raft);
}

/* ---- Proposing ---- */

enum standing { STRANGER, LEARNER, VOTER };

static enum standing standing_of(const struct raft_membership *membership, uint32_t node_id)
{
    if (raft_membership_has_voter(membership, node_id))
        return VOTER;
    return raft_membership_has_learner(membership, node_id) ? LEARNER : STRANGER;
}

/* How many of the nodes listed stand differently in other; unlisted: count those strange to other
 * only. */
static uint32_t count_changed(const struct raft_membership *listed,
                              const struct raft_membership *other, bool strangers_only,
                              bool *is_demotion)
{
    uint32_t changed = 0;
    for (uint32_t i = 0; i < listed->voter_count + listed->learner_count; ++i) {
        bool is_voter = i < listed->voter_count;
        uint32_t node_id = is_voter ? listed->voters[i] : listed->learners[i - listed->voter_count];
        enum standing there = standing_of(other, node_id);
        if (strangers_only ? there == STRANGER : there != (is_voter ? VOTER : LEARNER))
            changed += 1;
        if (!strangers_only && is_voter && there == LEARNER)
            *is_demotion = true;
    }
    return changed;
}

/* Exactly one server added, removed or promoted, or none and a later epoch: then the same members
 * follow a decision that they must be known to follow. */
static bool is_single_change(const struct raft_membership *from, const struct raft_membership *to)
{
    bool is_demotion = false;
    uint32_t changed = count_changed(from, to, false, &is_demotion);
    changed += count_changed(to, from, true, &is_demotion);
    bool is_step = changed == 1 || (changed == 0 && to->epoch > from->epoch);
    return is_step && !is_demotion && to->epoch >= from->epoch;
}

/* Whether a member becomes a voter that does not have its vote back yet: it would only be missed.
 */
static bool promotes_without_vote(const struct raft *raft, const struct raft_membership *to)
{
    for (uint32_t i = 0; i < raft->slot_count; ++i) {
        const struct raft_slot *slot = &raft->slots[i];
        if (slot->mark != 0 && raft_membership_has_voter(to, slot->node_id) &&
            !raft_membership_has_voter(&raft->membership, slot->node_id))
            return true;
    }
    return false;
}

enum raft_result raft_propose_membership(struct raft *raft,
                                         const struct raft_membership *membership,
                                         struct raft_entry *entry)
{
    if (raft->role != RAFT_LEADER)
        return RAFT_NOT_LEADER;
    if (!raft_is_ready_leader(raft))
        return RAFT_NOT_READY;
    if (raft->transfer_target != 0 || raft->membership_index > raft->commit_index)
        return RAFT_BUSY;
    if (!raft_membership_is_valid(membership) || !is_single_change(&raft->membership, membership))
        return RAFT_BAD_REQUEST;
    if (promotes_without_vote(raft, membership))
        return RAFT_BUSY;
    *entry = (struct raft_entry){.first_index = raft->last_index + 1,
                                 .last_index = raft->last_index + 1,
                                 .term = raft->term,
                                 .kind = RAFT_ENTRY_MEMBERSHIP,
                                 .membership = *membership};
    raft_append_entry(raft, entry);
    return RAFT_OK;
}

void raft_leave_if_removed(struct raft *raft)
{
    require(raft->role == RAFT_LEADER);
    bool is_removed = !raft_membership_has_voter(&raft->membership, raft->options.node_id);
    if (!is_removed || raft->membership_index > raft->commit_index)
        return;
    raft->farewell_to = raft_most_advanced_voter(raft);
    raft_become_follower(raft, raft->term, 0);
}
