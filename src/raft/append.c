/* SPDX-License-Identifier: Apache-2.0
 *
 * append.c -- a follower's log: entries from the leader, and the answers they earn.
 *
 * A message may be late, doubled or out of order.  So nothing is cut because a message is short:
 * only an entry of another term at the same place proves that ours is wrong, and then it and what
 * follows go. An answer names what is durable here and equal to the leader's log; it waits for the
 * disk (effects.c).
 *
 * Invariants: nothing at or below commit is cut; commit follows what this term's leader has
 * verified, never merely what it claims.
 *
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "base/trace.h"
#include "raft/raft_private.h"

void raft_truncate(struct raft *raft, uint64_t from_index)
{
    ensure(from_index > raft->commit_index);
    raft_terms_truncate(raft, from_index);
    raft_writes_cap(raft, from_index - 1);
    raft->verified_index = raft_min(raft->verified_index, from_index - 1);
    raft->abstain_until_ticks = 0; /* what could not be shown has given way to a leader's log */
    raft->is_log_changed = true;
    raft->is_dirty = true;
    raft_membership_truncated(raft, from_index);
}

void raft_append_entry(struct raft *raft, const struct raft_entry *entry)
{
    require(entry->first_index == raft->last_index + 1);
    raft_terms_append(raft, entry->last_index, entry->term);
    raft->is_log_changed = true;
    raft->is_dirty = true;
    if (entry->kind == RAFT_ENTRY_MEMBERSHIP)
        raft_membership_adopt(raft, &entry->membership, entry->last_index);
}

static bool entry_is_well_formed(const struct raft_entry *entry)
{
    if (entry->last_index < entry->first_index || entry->last_index == UINT64_MAX)
        return false;
    if (entry->kind == RAFT_ENTRY_DATA)
        return true;
    if (entry->first_index != entry->last_index)
        return false;
    return entry->kind != RAFT_ENTRY_MEMBERSHIP || raft_membership_is_valid(&entry->membership);
}

/* Entries follow each other without a gap, terms do not fall, none is of the future. */
static bool is_well_formed(const struct raft_message *message)
{
    uint64_t index = message->index;
    uint64_t term = message->index_term;
    for (uint32_t i = 0; i < message->entry_count; ++i) {
        const struct raft_entry *entry = &message->entries[i];
        if (!entry_is_well_formed(entry) || entry->first_index != index + 1 || entry->term < term)
            return false;
        index = entry->last_index;
        term = entry->term;
    }
    return term <= message->term;
}

/* Whether our log has the entry that ends at index with term.  What lies before our first index was
 * committed, and every leader has what was committed. */
static bool has_entry(const struct raft *raft, uint64_t index, uint64_t term)
{
    uint64_t our_term = 0;
    if (index < raft->first_index)
        return true;
    return raft_term_at(raft, index, &our_term) && our_term == term;
}

/* Says no, with the last place of ours that may be in the leader's log: not behind the place asked
 * for, not of a later term than it has there, not before what is committed. */
static void refuse(struct raft *raft, const struct raft_message *message)
{
    uint64_t hint = raft->first_index - 1;
    raft_terms_find_last(raft, raft_min(message->index, raft->last_index), message->index_term,
                         &hint);
    hint = raft_max(hint, raft->commit_index);
    struct raft_message *reply = raft_push(raft, RAFT_MESSAGE_APPEND_REPLY, message->from);
    reply->index = message->index;
    reply->hint_index = hint;
    reply->hint_term = raft_term_known(raft, hint);
}

/* Our log equals the leader's up to index. */
static void verify(struct raft *raft, uint64_t index, uint64_t leader_commit)
{
    raft->verified_index = raft_max(raft->verified_index, raft_min(index, raft->last_index));
    uint64_t commit = raft_min(leader_commit, raft->verified_index);
    if (commit > raft->commit_index)
        raft_set_commit(raft, commit);
}

/* Whoever ends in an entry of this leader's own term has its log up to there: only it makes entries
 * of that term, and it removes none while it leads.  Needed where the leader cannot show it: the
 * entries before are damaged on its disk, and this node, which has them, was started again. */
static void verify_own_term(struct raft *raft, const struct raft_message *message)
{
    if (raft_last_term(raft) == message->term)
        verify(raft, raft->last_index, message->commit);
}

/* How far our log holds the beginning of an entry that it does not hold whole; entry->first_index -
 * 1 for nothing.  A leader whose log was compacted may have joined entries of one term whose
 * records are gone, of which we have some: up to the last of them our log is the leader's. */
static uint64_t part_held(const struct raft *raft, const struct raft_entry *entry)
{
    uint64_t last = entry->first_index - 1;
    if (entry->kind != RAFT_ENTRY_DATA || !has_entry(raft, entry->first_index, entry->term))
        return last;
    raft_terms_find_last(raft, raft_min(entry->last_index, raft->last_index), entry->term, &last);
    return last;
}

/* Takes what we hold of the entry for what it is and nothing more: the answer says up to where, and
 * the leader goes on from there. */
static void accept_part(struct raft *raft, const struct raft_message *message, uint64_t last)
{
    verify(raft, last, message->commit);
    raft->is_ack_due = true;
    raft->is_dirty = true;
}

void raft_receive_append(struct raft *raft, const struct raft_message *message,
                         struct raft_accepted *accepted)
{
    if (!is_well_formed(message))
        return;
    if (!has_entry(raft, message->index, message->index_term)) {
        refuse(raft, message);
        return;
    }
    uint32_t known = 0;
    while (known < message->entry_count &&
           has_entry(raft, message->entries[known].last_index, message->entries[known].term))
        known += 1;
    if (known < message->entry_count) {
        uint64_t part = part_held(raft, &message->entries[known]);
        if (part >= message->entries[known].first_index) {
            accepted->first_entry = message->entry_count;
            accept_part(raft, message, part);
            return;
        }
    }
    bool is_conflict =
        known < message->entry_count && message->entries[known].first_index <= raft->last_index;
    if (is_conflict && message->entries[known].first_index <= raft->commit_index) {
        trace_error("Raft group %llu: node %u contradicts what is committed at %llu: ignored",
                    (unsigned long long)message->group_id, (unsigned)message->from,
                    (unsigned long long)message->entries[known].first_index);
        return;
    }
    accepted->first_entry = known;
    if (is_conflict) {
        accepted->truncate_from = message->entries[known].first_index;
        raft_truncate(raft, accepted->truncate_from);
    }
    for (uint32_t i = known; i < message->entry_count; ++i)
        raft_append_entry(raft, &message->entries[i]);

    uint64_t end = message->index;
    if (message->entry_count > 0)
        end = message->entries[message->entry_count - 1].last_index;
    verify(raft, end, message->commit);
    raft->is_ack_due = true;
    raft->is_dirty = true;
}

void raft_receive_heartbeat(struct raft *raft, const struct raft_message *message)
{
    if (has_entry(raft, message->index, message->index_term))
        verify(raft, message->index, message->commit);
    verify_own_term(raft, message);
    raft_receive_proof(raft, message);
    if (message->barrier == 0)
        return; /* it only tells the commit */
    raft->heartbeat_barrier = raft_max(raft->heartbeat_barrier, message->barrier);
    raft_rest_take(raft, message);
    raft->is_heartbeat_reply_due = true;
    raft->is_dirty = true;
}
