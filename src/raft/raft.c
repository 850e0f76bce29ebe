/* SPDX-License-Identifier: Apache-2.0
 *
 * raft.c -- a replica's birth and end, snapshots and cuts at the log's beginning, and what others
 * may see.
 *
 * Invariant: a replica is born from durable state alone; what it does not find there it never
 * promises. Locality: the shard of the group.
 */
#include "raft/raft.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "raft/raft_private.h"

/* ---- Birth ---- */

static const char *options_complaint(const struct raft_options *options)
{
    if (options->group_id == 0 || options->node_id == 0)
        return "group id and node id must not be 0";
    if (options->heartbeat_ticks == 0 || options->election_ticks <= 2 * options->heartbeat_ticks)
        return "the election timeout must exceed two heartbeat intervals";
    if (options->inflight_messages_max == 0 || options->inflight_bytes_max == 0 ||
        options->uncommitted_bytes_max == 0)
        return "limits must not be 0";
    return NULL;
}

static const char *spans_complaint(const struct raft_state *state)
{
    bool is_empty = state->last_index + 1 == state->first_index;
    if (is_empty)
        return NULL;
    if (state->span_count == 0 || state->spans[0].first_index > state->first_index)
        return "terms do not cover the log";
    for (size_t i = 1; i < state->span_count; ++i)
        if (state->spans[i].term <= state->spans[i - 1].term ||
            state->spans[i].first_index <= state->spans[i - 1].first_index)
            return "terms do not ascend";
    if (state->spans[0].term < state->prefix_term &&
        state->spans[0].first_index == state->first_index)
        return "terms fall behind the snapshot";
    if (state->spans[state->span_count - 1].term > raft_max(state->term, state->prefix_term))
        return "an entry has a later term than the hard state";
    return NULL;
}

/* A replica that waits to be added to a group knows no members yet. */
static bool is_membership_plausible(const struct raft_membership *membership)
{
    bool is_unknown = membership->voter_count == 0 && membership->learner_count == 0;
    return is_unknown || raft_membership_is_valid(membership);
}

static const char *state_complaint(const struct raft_state *state)
{
    if (state->first_index == 0 || state->last_index + 1 < state->first_index) /* UINT64_MAX: too */
        return "first and last index contradict each other";
    if (state->last_index > 0 && state->term == 0 && state->prefix_term == 0)
        return "a log without a term";
    if (state->commit > state->last_index || state->commit + 1 < state->first_index)
        return "commit lies outside the log";
    if (!is_membership_plausible(&state->membership) ||
        !is_membership_plausible(&state->membership_committed))
        return "a membership is not valid";
    if (state->membership_committed_index > state->membership_index ||
        state->membership_index > state->last_index)
        return "membership indexes contradict the log";
    return spans_complaint(state);
}

static void load_state(struct raft *raft, const struct raft_state *state)
{
    raft->term = state->term;
    raft->vote = state->vote;
    raft->first_index = state->first_index;
    raft->last_index = state->last_index;
    raft->saved_index = state->last_index;
    raft->commit_index = state->commit;
    raft->prefix_term = state->prefix_term;
    raft->verified_index = state->commit;
    raft->membership = state->membership;
    raft->membership_index = state->membership_index;
    raft->membership_previous = state->membership_committed;
    raft->membership_previous_index = state->membership_committed_index;
    raft_terms_load(raft, state->spans, state->span_count);
    if (state->prefix_term > state->term) {
        /* A snapshot of a term that this node had heard of but not saved yet, so promised nothing
         * in. */
        raft->term = state->prefix_term;
        raft->vote = 0;
        raft->is_hard_state_changed = true;
        raft->is_dirty = true;
    }
}

/* Of the voters; without a wish another one for each group, so that leaders spread. */
static uint32_t first_candidate(const struct raft *raft)
{
    const struct raft_membership *membership = &raft->membership;
    if (raft_membership_has_voter(membership, raft->options.first_candidate))
        return raft->options.first_candidate;
    return membership->voters[raft->options.group_id % membership->voter_count];
}

/* The first election of a group need not wait for a leader to be missed.  Of a new group's voters
 * one begins at once, the others as ever, should it not be there; a sole voter always does.
 */
static void draw_first_deadline(struct raft *raft)
{
    raft_draw_deadline(raft);
    uint32_t voter_count = raft->membership.voter_count;
    if (!raft_can_campaign(raft))
        return;
    bool is_new = raft->term == 0;
    ensure(!is_new || raft->last_index == 0);
    uint32_t first = first_candidate(raft);
    if (voter_count == 1 && first == raft->options.node_id) {
        raft->election_deadline_ticks = raft->now_ticks;
    } else if (is_new && first == raft->options.node_id) {
        raft->eager_until_ticks = raft->now_ticks + raft->options.election_ticks;
        raft->election_deadline_ticks = raft->now_ticks + 1;
    }
}

struct raft *raft_new(const struct raft_options *options, const struct raft_state *state,
                      uint64_t now_ticks)
{
    const char *complaint = options_complaint(options);
    if (complaint == NULL)
        complaint = state_complaint(state);
    if (complaint != NULL) {
        trace_error("Raft group %llu cannot start on node %u: %s",
                    (unsigned long long)options->group_id, (unsigned)options->node_id, complaint);
        return NULL;
    }
    struct raft *raft = memory_allocate_zeroed(sizeof(*raft));
    raft->options = *options;
    raft->now_ticks = now_ticks;
    prng_init(&raft->prng, options->seed);
    raft_mark_draw(raft);
    load_state(raft, state);
    raft->role = raft_is_electable(raft) ? RAFT_FOLLOWER : RAFT_LEARNER;
    raft->reported_role = raft->role;
    raft->reported_term = raft->term;
    raft->reported_commit = raft->commit_index;
    draw_first_deadline(raft);
    return raft;
}

void raft_free(struct raft *raft)
{
    if (raft == NULL)
        return;
    raft_slots_free(raft);
    memory_free(raft->spans);
    memory_free(raft->writes);
    memory_free(raft->owed);
    memory_free(raft->messages);
    memory_free(raft->sends);
    memory_free(raft->snapshots);
    memory_free(raft);
}

/* ---- The log's beginning ---- */

void raft_restored(struct raft *raft, uint64_t index, uint64_t term, uint64_t leader_term,
                   uint32_t leader, const struct raft_membership *membership,
                   uint64_t membership_index, uint64_t now_ticks)
{
    require(index > raft->commit_index && term <= leader_term);
    require(raft->role != RAFT_LEADER && raft_membership_is_valid(membership));
    require(membership_index <= index);
    /* What follows a position the log has may have been acknowledged. */
    uint64_t our_term = 0;
    require(!raft_term_at(raft, index, &our_term) || our_term != term);
    raft->now_ticks = raft_max(raft->now_ticks, now_ticks);
    raft->verified_index = raft_min(raft->verified_index, index);
    raft_terms_reset(raft, index, term);
    raft_writes_cap(raft, index);
    raft->saved_index = index;
    raft_set_commit(raft, index);
    raft->membership = *membership;
    raft->membership_index = membership_index;
    raft->membership_previous = *membership;
    raft->membership_previous_index = membership_index;
    raft_become_follower(raft, raft_max(leader_term, raft->term), 0);
    raft->verified_index = index;
    if (leader_term == raft->term && leader != 0 && leader != raft->options.node_id)
        raft_follow(raft, leader);
}

void raft_prefix_dropped(struct raft *raft, uint64_t first_index)
{
    require(first_index <= raft->commit_index + 1);
    if (first_index > raft->first_index)
        raft_terms_drop_prefix(raft, first_index);
    raft->is_dirty = true;
}

/* ---- Views ---- */

enum raft_role raft_role(const struct raft *raft)
{
    return raft->role;
}

const char *raft_role_name(enum raft_role role)
{
    static const char *const names[] = {[RAFT_LEARNER] = "learner",
                                        [RAFT_FOLLOWER] = "follower",
                                        [RAFT_PRE_CANDIDATE] = "pre-candidate",
                                        [RAFT_CANDIDATE] = "candidate",
                                        [RAFT_LEADER] = "leader"};
    require(role <= RAFT_LEADER);
    return names[role];
}

uint64_t raft_term(const struct raft *raft)
{
    return raft->term;
}

uint32_t raft_leader(const struct raft *raft)
{
    return raft->leader;
}

uint64_t raft_first_index(const struct raft *raft)
{
    return raft->first_index;
}

uint64_t raft_last_index(const struct raft *raft)
{
    return raft->last_index;
}

uint64_t raft_saved_index(const struct raft *raft)
{
    return raft->saved_index;
}

uint64_t raft_commit_index(const struct raft *raft)
{
    return raft->commit_index;
}

const struct raft_membership *raft_membership(const struct raft *raft)
{
    return &raft->membership;
}
