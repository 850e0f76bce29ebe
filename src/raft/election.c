/* SPDX-License-Identifier: Apache-2.0
 *
 * election.c -- roles and votes: who leads, and how that is settled (thesis 3.4, 6.2, 9.6).
 *
 * A campaign: ask without consequences (pre-vote); then raise the term, vote for oneself, and when
 * that vote is durable ask for the others'.  Asking later than the save costs one flush in an
 * election and buys that no restarted candidate ever collects votes it asked for with a log it has
 * lost.
 *
 * A voter refuses while it hears a leader (stickiness), so a node that was cut off cannot depose a
 * leader that works.  A voter whose leader's process is gone is free at once.
 *
 * Where everybody has seen the leader go, all are eager at the same time, and a vote takes two
 * flushes and two ways.  So who supports a candidate stands back: it would otherwise run against
 * the one it has just helped, and depose it in the moment it wins.  Who has voted encourages nobody
 * else for a while, either; of two who ask each other the lower id goes first.  And who has refused
 * one as its own log is longer runs itself soon: the other cannot win.
 *
 * A learner campaigns never, but answers when asked: only a candidate that has it as a voter asks,
 * which is how a group goes on whose promoted member has not received its promotion yet.  For the
 * same reason a voter that is being removed stands for election until its removal has committed
 * (thesis 4.2.2).
 *
 * Invariant: a vote once cast in a term stands; it is told only when durable.
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

/* Which role may follow which.  LEARNER and FOLLOWER change into each other with the membership. */
static const bool role_may_follow[][RAFT_LEADER + 1] = {
    [RAFT_LEARNER] = {[RAFT_LEARNER] = true, [RAFT_FOLLOWER] = true},
    [RAFT_FOLLOWER] = {[RAFT_LEARNER] = true,
                       [RAFT_FOLLOWER] = true,
                       [RAFT_PRE_CANDIDATE] = true,
                       [RAFT_CANDIDATE] = true},
    [RAFT_PRE_CANDIDATE] = {[RAFT_LEARNER] = true,
                            [RAFT_FOLLOWER] = true,
                            [RAFT_PRE_CANDIDATE] = true,
                            [RAFT_CANDIDATE] = true},
    [RAFT_CANDIDATE] = {[RAFT_LEARNER] = true,
                        [RAFT_FOLLOWER] = true,
                        [RAFT_PRE_CANDIDATE] = true,
                        [RAFT_CANDIDATE] = true,
                        [RAFT_LEADER] = true},
    [RAFT_LEADER] = {[RAFT_LEARNER] = true, [RAFT_FOLLOWER] = true},
};

static void set_role(struct raft *raft, enum raft_role role)
{
    ensure(role_may_follow[raft->role][role]);
    raft->role = role;
    raft->is_dirty = true;
}

bool raft_is_electable(const struct raft *raft)
{
    if (raft_membership_has_voter(&raft->membership, raft->options.node_id))
        return true;
    /* A removal that may yet be undone, or that nobody else has: this node may be needed to commit
     * it. */
    return raft->membership_index > raft->commit_index &&
           raft_membership_has_voter(&raft->membership_previous, raft->options.node_id);
}

bool raft_can_campaign(const struct raft *raft)
{
    return raft->options.may_vote && raft_is_electable(raft);
}

bool raft_leader_is_alive(const struct raft *raft)
{
    if (raft->role == RAFT_LEADER)
        return true;
    uint64_t heard_ticks = raft->is_resting ? raft->rest_end_ticks : raft->leader_contact_ticks;
    return raft->leader != 0 && raft->now_ticks < heard_ticks + raft->options.election_ticks;
}

void raft_draw_deadline(struct raft *raft)
{
    uint64_t ticks = raft->options.election_ticks;
    ticks += prng_below(&raft->prng, ticks);
    if (raft->now_ticks < raft->eager_until_ticks)
        ticks = 1 + prng_below(&raft->prng, RAFT_EAGER_TICKS);
    raft->election_deadline_ticks = raft_max(raft->now_ticks + ticks, raft->abstain_until_ticks);
}

/* There is a leader. */
static void forget_election(struct raft *raft)
{
    raft->eager_until_ticks = 0;
    raft->lost_leader = 0;
    raft->vote_stands_ticks = 0;
}

/* How long a candidate may take to win. */
static uint64_t draw_patience(struct raft *raft)
{
    uint64_t least = raft->options.election_ticks / 4 + 1;
    return least + prng_below(&raft->prng, least);
}

void raft_stand_back(struct raft *raft)
{
    uint64_t until = raft->now_ticks + draw_patience(raft);
    raft->election_deadline_ticks = raft_max(raft->election_deadline_ticks, until);
}

/* The same for whom it has voted for, which may be itself. */
static void stand_by_vote(struct raft *raft)
{
    raft->vote_stands_ticks = raft->now_ticks + draw_patience(raft);
    raft->election_deadline_ticks =
        raft_max(raft->election_deadline_ticks, raft->vote_stands_ticks);
}

/* No leader is heard, and who wants to be one has a log that this node must refuse. */
static void stand_instead(struct raft *raft)
{
    if (raft->role == RAFT_CANDIDATE || !raft_can_campaign(raft))
        return;
    uint64_t soon = raft->now_ticks + 1 + prng_below(&raft->prng, RAFT_EAGER_TICKS);
    soon = raft_max(soon, raft->abstain_until_ticks);
    raft->election_deadline_ticks = raft_min(raft->election_deadline_ticks, soon);
}

static void enter_term(struct raft *raft, uint64_t term, uint32_t vote)
{
    require(term > raft->term);
    raft->term = term;
    raft->vote = vote;
    raft->is_hard_state_changed = true;
    /* What was promised or known belonged to the term before. */
    raft->vote_reply_to = 0;
    raft->is_ack_due = false;
    raft->is_heartbeat_reply_due = false;
    raft->heartbeat_barrier = 0;
    raft->is_vote_request_due = false;
    raft->verified_index = raft->commit_index;
    raft->acked_index = 0;
    raft->vote_stands_ticks = 0;
    raft->is_dirty = true;
}

void raft_become_follower(struct raft *raft, uint64_t term, uint32_t leader)
{
    require(term >= raft->term);
    if (raft->role == RAFT_LEADER)
        raft_stop_leading(raft);
    if (term > raft->term)
        enter_term(raft, term, 0);
    raft->is_vote_request_due = false;
    raft->is_resting = false;
    raft->leader = leader;
    set_role(raft, raft_is_electable(raft) ? RAFT_FOLLOWER : RAFT_LEARNER);
    raft_draw_deadline(raft);
}

void raft_follow(struct raft *raft, uint32_t leader)
{
    require(raft->role != RAFT_LEADER);
    bool is_following = raft->role == RAFT_FOLLOWER || raft->role == RAFT_LEARNER;
    forget_election(raft);
    raft->leader_contact_ticks = raft->now_ticks;
    if (raft->is_resting)
        raft_rest_leave(raft);
    if (is_following && raft->leader == leader)
        raft_draw_deadline(raft);
    else
        raft_become_follower(raft, raft->term, leader);
}

void raft_refresh_role(struct raft *raft)
{
    if (raft->role == RAFT_LEADER)
        return;
    bool is_campaigning = raft->role == RAFT_PRE_CANDIDATE || raft->role == RAFT_CANDIDATE;
    enum raft_role role = raft_is_electable(raft) ? RAFT_FOLLOWER : RAFT_LEARNER;
    if (is_campaigning && role == RAFT_FOLLOWER)
        return;
    if (role == raft->role)
        return;
    set_role(raft, role);
    raft_draw_deadline(raft);
}

/* ---- Campaigning ---- */

static uint32_t count_bits(uint16_t bits)
{
    return (uint32_t)__builtin_popcount(bits);
}

/* 0: it is no voter. */
static uint16_t voter_bit(const struct raft *raft, uint32_t node_id)
{
    int position = raft_membership_voter_position(&raft->membership, node_id);
    return (uint16_t)(position < 0 ? 0u : 1u << position);
}

static void win(struct raft *raft)
{
    ensure(raft_hard_state_is_saved(raft));
    ensure(raft->vote == raft->options.node_id);
    raft->is_vote_request_due = false;
    set_role(raft, RAFT_LEADER);
    raft->leader = raft->options.node_id;
    forget_election(raft);
    raft_lead(raft);
}

static void run_for_term(struct raft *raft)
{
    enter_term(raft, raft->term + 1, raft->options.node_id);
    set_role(raft, RAFT_CANDIDATE);
    raft->leader = 0;
    raft->votes_granted = 0;
    raft->votes_refused = 0;
    raft->is_vote_request_due = true;
    raft_draw_deadline(raft);
    stand_by_vote(raft);
}

/* Acts on the answers so far. */
static void count_votes(struct raft *raft)
{
    uint32_t quorum = raft_membership_quorum(&raft->membership);
    if (count_bits(raft->votes_granted) >= quorum) {
        if (raft->role == RAFT_PRE_CANDIDATE)
            run_for_term(raft);
        else
            win(raft);
        return;
    }
    uint16_t lost = raft->votes_refused | voter_bit(raft, raft->lost_leader);
    if (raft->membership.voter_count - count_bits(lost) >= quorum)
        return;
    raft->vote_stands_ticks = 0; /* may another one win */
    raft_become_follower(raft, raft->term, 0);
}

static void count_vote(struct raft *raft, uint32_t node_id, bool granted)
{
    uint16_t bit = voter_bit(raft, node_id);
    if (bit == 0)
        return; /* no voter here: its opinion does not count */
    if (granted)
        raft->votes_granted |= bit;
    else if ((raft->votes_granted & bit) == 0)
        raft->votes_refused |= bit;
    count_votes(raft);
}

void raft_campaign(struct raft *raft, bool forced)
{
    require(raft->role != RAFT_LEADER && raft_can_campaign(raft));
    raft->is_campaign_forced = forced;
    raft->is_resting = false;
    if (forced) {
        run_for_term(raft);
        return;
    }
    set_role(raft, RAFT_PRE_CANDIDATE);
    raft->leader = 0;
    raft->is_vote_request_due = false;
    raft->votes_granted = 0;
    raft->votes_refused = 0;
    raft_draw_deadline(raft);
    for (uint32_t i = 0; i < raft->membership.voter_count; ++i) {
        if (raft->membership.voters[i] == raft->options.node_id)
            continue;
        struct raft_message *message =
            raft_push(raft, RAFT_MESSAGE_PRE_VOTE, raft->membership.voters[i]);
        message->term = raft->term + 1;
        message->index = raft->last_index;
        message->index_term = raft_last_term(raft);
    }
    count_vote(raft, raft->options.node_id, true);
}

void raft_own_vote_saved(struct raft *raft)
{
    if (raft->role != RAFT_CANDIDATE)
        return;
    stand_by_vote(raft); /* only now are the others asked */
    count_vote(raft, raft->options.node_id, true);
}

void raft_push_vote_requests(struct raft *raft)
{
    ensure(raft_hard_state_is_saved(raft) && raft->vote == raft->options.node_id);
    raft->is_vote_request_due = false;
    for (uint32_t i = 0; i < raft->membership.voter_count; ++i) {
        if (raft->membership.voters[i] == raft->options.node_id)
            continue;
        struct raft_message *message =
            raft_push(raft, RAFT_MESSAGE_VOTE, raft->membership.voters[i]);
        message->index = raft->last_index;
        message->index_term = raft_last_term(raft);
        message->forced = raft->is_campaign_forced;
    }
}

/* ---- Answering ---- */

static bool is_up_to_date(const struct raft *raft, const struct raft_message *message)
{
    uint64_t last_term = raft_last_term(raft);
    if (message->index_term != last_term)
        return message->index_term > last_term;
    return message->index >= raft->last_index;
}

/* Nobody who works would be deposed.  A leader that asks does not lead any more. */
static bool is_without_leader(const struct raft *raft, const struct raft_message *message)
{
    return !raft_leader_is_alive(raft) || raft->leader == message->from;
}

/* Whom this node has voted for, which may be itself, may be about to win. */
static bool has_favourite(const struct raft *raft, const struct raft_message *message)
{
    return raft->now_ticks < raft->vote_stands_ticks && raft->vote != message->from;
}

/* Two with equal logs that ask each other at the same time would both run, and split the votes. */
static bool goes_first(const struct raft *raft, const struct raft_message *message)
{
    return raft->role == RAFT_PRE_CANDIDATE && raft->options.node_id < message->from &&
           message->index == raft->last_index && message->index_term == raft_last_term(raft);
}

void raft_receive_pre_vote(struct raft *raft, const struct raft_message *message)
{
    if (!raft->options.may_vote)
        return;
    bool is_free = is_without_leader(raft, message);
    bool granted = message->term > raft->term && is_free && !has_favourite(raft, message) &&
                   !goes_first(raft, message) && is_up_to_date(raft, message);
    struct raft_message *reply = raft_push(raft, RAFT_MESSAGE_PRE_VOTE_REPLY, message->from);
    reply->granted = granted;
    if (granted) {
        reply->term = message->term;
        if (raft->role == RAFT_PRE_CANDIDATE)
            raft_become_follower(raft, raft->term, 0);
        raft_stand_back(raft);
    } else if (is_free && !is_up_to_date(raft, message)) {
        stand_instead(raft);
    }
}

void raft_receive_vote(struct raft *raft, const struct raft_message *message)
{
    if (!raft->options.may_vote)
        return;
    if (message->term > raft->term) {
        if (!is_without_leader(raft, message) && !message->forced)
            return;
        raft_become_follower(raft, message->term, 0);
    }
    bool is_free = raft->vote == 0 || raft->vote == message->from;
    ensure(message->term == raft->term);
    if (is_free && is_up_to_date(raft, message)) {
        if (raft->vote == 0) {
            raft->vote = message->from;
            raft->is_hard_state_changed = true;
            raft_draw_deadline(raft);
            stand_by_vote(raft);
        }
        raft->vote_reply_to = message->from; /* leaves when the vote is durable */
        raft->is_dirty = true;
        return;
    }
    raft_push(raft, RAFT_MESSAGE_VOTE_REPLY, message->from);
}

void raft_receive_vote_reply(struct raft *raft, const struct raft_message *message)
{
    if (message->kind == RAFT_MESSAGE_PRE_VOTE_REPLY) {
        if (raft->role != RAFT_PRE_CANDIDATE)
            return;
        if (message->granted && message->term != raft->term + 1)
            return; /* granted to an earlier attempt */
    } else if (raft->role != RAFT_CANDIDATE) {
        return;
    }
    ensure(message->kind == RAFT_MESSAGE_PRE_VOTE_REPLY || message->term == raft->term);
    count_vote(raft, message->from, message->granted);
}

void raft_receive_timeout_now(struct raft *raft, const struct raft_message *message)
{
    require(message->term == raft->term);
    bool is_following = raft->role == RAFT_FOLLOWER && raft->leader == message->from;
    if (is_following && raft_can_campaign(raft) && !raft_is_abstaining(raft))
        raft_campaign(raft, true);
}
