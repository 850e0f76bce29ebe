/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c -- asserts what must hold between any two inputs (I1 to I5 of raft.h and the rooms of its
 * files).
 *
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

static void check_log(const struct raft *raft)
{
    ensure(raft->first_index >= 1);
    ensure(raft->commit_index <= raft->last_index); /* I1 */
    ensure(raft->first_index - 1 <= raft->commit_index);
    ensure(raft->saved_index <= raft->last_index); /* I2 */
    ensure(raft->verified_index <= raft->last_index);
    ensure(raft_last_term(raft) <= raft->term);
    ensure((raft->span_count == 0) == (raft->last_index + 1 == raft->first_index));
    for (uint32_t i = 0; i < raft->span_count; ++i) {
        const struct raft_term_span *span = &raft->spans[i];
        ensure(span->first_index <= raft->last_index);
        if (i == 0) {
            ensure(span->first_index == raft->first_index && span->term >= raft->prefix_term);
        } else {
            ensure(span->first_index > span[-1].first_index && span->term > span[-1].term);
        }
    }
}

static void check_writes(const struct raft *raft)
{
    ensure(raft->saved_write_id <= raft->last_write_id);
    ensure(raft->write_count <= RAFT_WRITES_MAX);
    for (uint32_t i = 0; i < raft->write_count; ++i) {
        ensure(raft->writes[i].id > raft->saved_write_id);
        ensure(raft->writes[i].saved_index <= raft->last_index);
    }
}

static void check_role(const struct raft *raft)
{
    bool is_running = raft->role == RAFT_PRE_CANDIDATE || raft->role == RAFT_CANDIDATE;
    if (raft->role == RAFT_LEARNER)
        ensure(!raft_is_electable(raft));
    if (raft->role == RAFT_FOLLOWER)
        ensure(raft_is_electable(raft));
    if (is_running)
        ensure(raft_can_campaign(raft) && raft->leader == 0);
    if (raft->role == RAFT_CANDIDATE || raft->role == RAFT_LEADER)
        ensure(raft->vote == raft->options.node_id);
    if (raft->vote_reply_to != 0)
        ensure(raft->vote == raft->vote_reply_to && raft->options.may_vote); /* I3 */
    ensure((raft->role == RAFT_LEADER) == (raft->leader == raft->options.node_id));
    ensure((raft->mark == 0) == raft->options.may_vote);
    ensure(!raft->is_resting || raft->leader != 0);
}

static void check_slot(const struct raft *raft, const struct raft_slot *slot)
{
    ensure(slot->match < slot->next);
    ensure(slot->match <= raft->last_index && slot->next <= raft->last_index + 1);
    ensure(slot->state < RAFT_PROGRESS_STATES);
    bool has_question = slot->next <= raft->last_index || raft->is_noop_due;
    ensure(slot->state != RAFT_PROBE || has_question || slot->match == raft->last_index);
    ensure(slot->state == RAFT_REPLICATE || slot->inflight_count == 0);
    ensure(slot->state != RAFT_REPLICATE || !slot->is_disconnected);
    ensure(slot->inflight_count <= raft->options.inflight_messages_max);
    ensure(slot->barrier <= raft->round && slot->barrier_counted <= slot->barrier);
    ensure(slot->match_counted <= raft->last_index);
    ensure(!slot->is_barred || slot->match < raft->last_index);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < slot->inflight_count; ++i)
        bytes += slot->inflight[(slot->inflight_first + i) % slot->inflight_capacity].bytes;
    ensure(bytes == slot->inflight_bytes);
}

static void check_leader(const struct raft *raft)
{
    const struct raft_membership *membership = &raft->membership;
    bool is_member = raft_membership_has_voter(membership, raft->options.node_id);
    ensure(!raft_membership_has_learner(membership, raft->options.node_id));
    uint32_t others = membership->voter_count + membership->learner_count - (is_member ? 1 : 0);
    ensure(raft->slot_count == others); /* I4 */
    ensure(raft_hard_state_is_saved(raft));
    for (uint32_t i = 0; i < raft->slot_count; ++i) {
        const struct raft_slot *slot = &raft->slots[i];
        ensure(raft_membership_has_voter(membership, slot->node_id) ||
               raft_membership_has_learner(membership, slot->node_id));
        check_slot(raft, slot);
    }
    ensure(raft->is_noop_due == (raft->last_index + 1 == raft->term_first_index));
    if (raft->is_resting) {
        ensure(raft->heartbeat_due_ticks == raft->rest_end_ticks && raft->is_rest_offered);
        ensure(raft->is_dirty || raft_is_at_rest(raft));
    }
    if (raft->commit_index >= raft->term_first_index) /* I5 */
        ensure(raft_term_known(raft, raft->commit_index) == raft->term);
}

static void check_lists(const struct raft *raft)
{
    ensure(raft->barrier_count <= RAFT_BARRIERS_MAX);
    ensure(raft->barrier_passed_count + raft->barrier_failed_count <= raft->barrier_count);
    for (uint32_t i = 1; i < raft->barrier_count; ++i)
        ensure(raft->barriers[i - 1] < raft->barriers[i]);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < raft->backlog_count; ++i)
        bytes += raft->backlog[i].bytes;
    ensure(bytes == raft->backlog_bytes);
    ensure(raft->membership_index <= raft->last_index);
    ensure(raft->membership_previous_index <= raft->membership_index);
}

void raft_check(const struct raft *raft)
{
    check_log(raft);
    check_writes(raft);
    check_role(raft);
    check_lists(raft);
    if (raft->role == RAFT_LEADER)
        check_leader(raft);
    else
        ensure(raft->slot_count == 0 && raft->backlog_count == 0 && !raft->is_noop_due);
}
