/* SPDX-License-Identifier: Apache-2.0
 *
 * unreadable.c -- a leader whose disk has lost what the others lack.
 *
 * The longest log wins elections, also when its end is damaged.  Such a leader cannot show these
 * entries to anybody, and without them nothing behind them commits.  Who has them as well is handed
 * the lead (transfer.c).  If nobody has, the group stands still as long as this leader is there.
 *
 * So it leaves when for RAFT_BARRED_ELECTIONS election timeouts a majority of the voters, all of
 * them heard and with a vote, lacked what it cannot read: by then it has asked each of them behind
 * the damage, and handed over if one of them could relieve it.  It asks the most advanced of them
 * to campaign, and abstains itself for RAFT_ABSTAIN_ELECTIONS, or until its log has given way to
 * another leader's: otherwise its longer log would win again, or be handed the lead back by another
 * leader whose disk has lost the same.
 *
 * Nothing committed is lost by that, whatever this leader believes: it only does not lead, which
 * any node may refuse at any time.  Votes are given as ever, by this node to nobody whose log is
 * shorter than its own.  That the others are a majority without it makes it no safer, but of use:
 * they can elect one of themselves, and cannot if what they lack was committed, as long as every
 * majority has somebody who holds it and votes.
 *
 * Which voters there are is asked of this leader's membership, and, while that has not committed,
 * of the one before it as well: the others may not have heard of it, as it may be what they lack.
 *
 * Where the others are no majority (a group of two; one of three whose third has no vote) these
 * entries may have been committed with this node's copy, and only it votes for them.  It goes on,
 * and waits for whoever has them.
 *
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

/* One of those that could elect another leader, and gain by it. */
static bool is_barred(const struct raft *raft, const struct raft_slot *slot)
{
    return slot->is_barred && slot->state != RAFT_SNAPSHOT && slot->mark == 0 &&
           raft_slot_is_active(raft, slot);
}

/* Who is no member any more by this leader's log may well be one by theirs, and help them. */
static bool is_majority_barred_of(const struct raft *raft, const struct raft_membership *membership)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < membership->voter_count; ++i) {
        if (membership->voters[i] == raft->options.node_id)
            continue;
        const struct raft_slot *slot = raft_slot_find(raft, membership->voters[i]);
        count += slot == NULL || is_barred(raft, slot);
    }
    return count >= raft_membership_quorum(membership);
}

/* A membership that has not committed may be among what the others lack. */
static bool is_majority_barred(const struct raft *raft)
{
    return is_majority_barred_of(raft, &raft->membership) ||
           (raft->membership_index > raft->commit_index &&
            is_majority_barred_of(raft, &raft->membership_previous));
}

/* Up to where its log is known to be this leader's.  What it was to be sent last tells that, unless
 * it was to be asked behind the damage. */
static uint64_t parting_index(const struct raft *raft, const struct raft_slot *slot)
{
    bool is_asked_behind = slot->send_index + 1 >= raft->term_first_index;
    return is_asked_behind ? slot->match : raft_max(slot->match, slot->send_index);
}

/* The barred voter that is with this leader for longest; 0: none. */
static uint32_t most_advanced_barred(const struct raft *raft)
{
    uint32_t best = 0;
    uint64_t best_index = 0;
    for (uint32_t i = 0; i < raft->slot_count; ++i) {
        const struct raft_slot *slot = &raft->slots[i];
        bool is_voter = raft_membership_has_voter(&raft->membership, slot->node_id);
        uint64_t index = parting_index(raft, slot);
        if (is_voter && is_barred(raft, slot) && (best == 0 || index > best_index)) {
            best = slot->node_id;
            best_index = index;
        }
    }
    return best;
}

bool raft_leave_if_barred(struct raft *raft)
{
    require(raft->role == RAFT_LEADER);
    if (!is_majority_barred(raft)) {
        raft->barred_since_ticks = RAFT_NEVER;
        return false;
    }
    raft->barred_since_ticks = raft_min(raft->barred_since_ticks, raft->now_ticks);
    uint64_t patience = (uint64_t)RAFT_BARRED_ELECTIONS * raft->options.election_ticks;
    if (raft->now_ticks - raft->barred_since_ticks < patience)
        return false;
    raft->farewell_to = most_advanced_barred(raft);
    raft_become_follower(raft, raft->term, 0);
    return true;
}

void raft_abstain_if_barred(struct raft *raft)
{
    require(raft->role == RAFT_LEADER);
    if (is_majority_barred(raft))
        raft->abstain_until_ticks =
            raft->now_ticks + (uint64_t)RAFT_ABSTAIN_ELECTIONS * raft->options.election_ticks;
}

bool raft_is_abstaining(const struct raft *raft)
{
    return raft->now_ticks < raft->abstain_until_ticks;
}
