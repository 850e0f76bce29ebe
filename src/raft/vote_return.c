/* SPDX-License-Identifier: Apache-2.0
 *
 * vote_return.c -- how a replica that may have forgotten its votes (a lost disk) gets its vote
 * back.
 *
 * Until then it counts for nothing: it neither votes nor campaigns, and its leader counts neither
 * its copies nor its answers to barriers, as it may have voted that leader out.  It is safe again
 * when a membership of which it is no voter is committed, and none that was made before its disk
 * was lost and comes later makes it one: whoever might still count a forgotten vote, or rely on a
 * lost copy, needs a majority that shares a node with the one that committed this membership.
 *
 * Old memberships prove nothing: the log that refills the replica may tell of a time before it was
 * a voter.  So the proof is asked for.  Every life of such a replica draws a mark and sends it with
 * its answers.  A leader that hears a mark, is confirmed by a majority after that, and has
 * committed its present membership, of which the replica is no voter, names that membership's index
 * in a heartbeat with the mark.  When the replica's own commit has reached it the vote is proven,
 * and the replica votes again as soon as its host has made that durable.
 *
 * Not before, as who has no mark may be made a voter: a voter that after a crash only asks for the
 * proof again may be the one without which there is no leader to give it.
 *
 * Invariant: a mark is 0 exactly when the replica may vote.
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

void raft_mark_draw(struct raft *raft)
{
    while (!raft->options.may_vote && raft->mark == 0)
        raft->mark = prng_next(&raft->prng);
}

bool raft_may_vote(const struct raft *raft)
{
    return raft->options.may_vote;
}

/* ---- The replica ---- */

bool raft_is_vote_proven(const struct raft *raft)
{
    return raft->mark != 0 && raft->proof_index != 0 && raft->commit_index >= raft->proof_index;
}

void raft_return_vote(struct raft *raft, uint64_t now_ticks)
{
    require(!raft->is_collected && raft_is_vote_proven(raft));
    ensure(raft->role == RAFT_FOLLOWER || raft->role == RAFT_LEARNER);
    raft->now_ticks = raft_max(raft->now_ticks, now_ticks);
    raft->options.may_vote = true;
    raft->mark = 0;
    if (raft->election_deadline_ticks == RAFT_NEVER)
        raft_draw_deadline(raft); /* its leader was missed while it could do nothing about it */
}

void raft_receive_proof(struct raft *raft, const struct raft_message *message)
{
    require(message->kind == RAFT_MESSAGE_HEARTBEAT);
    if (raft->mark == 0 || message->hint_term != raft->mark)
        return; /* for nobody, or for an earlier life of this replica */
    if (raft_is_vote_proven(raft))
        return; /* and stays so: the leader names later memberships until it hears no mark */
    raft->proof_index = raft_max(raft->proof_index, message->hint_index);
    raft->is_dirty = true; /* the host looks whether that is enough */
}

/* ---- Its leader ---- */

void raft_slot_marked(const struct raft *raft, struct raft_slot *slot, uint64_t mark)
{
    if (mark != slot->mark)
        slot->mark_round = raft->round;
    slot->mark = mark;
}

static uint64_t barrier_of(const struct raft_slot *slot)
{
    return slot->barrier_counted;
}

void raft_offer_proof(const struct raft *raft, const struct raft_slot *slot,
                      struct raft_message *heartbeat)
{
    require(raft->role == RAFT_LEADER);
    bool is_asked =
        slot->mark != 0 && raft_membership_has_learner(&raft->membership, slot->node_id);
    if (!is_asked || !raft_is_ready_leader(raft) || raft->membership_index > raft->commit_index)
        return;
    /* A round begun after the mark was heard, so this leader led after that disk was lost. */
    if (raft_quorum_value(raft, raft->round - 1, barrier_of) <= slot->mark_round)
        return;
    heartbeat->hint_index = raft->membership_index;
    heartbeat->hint_term = slot->mark;
}
