/* SPDX-License-Identifier: Apache-2.0
 *
 * receive.c -- takes a message in: what its term means, then to whoever handles its kind.
 *
 * Rules of terms (thesis 3.3), with the exceptions that pre-vote needs: a question with a higher
 * term changes nothing until it is granted, and a leader of an older term is told the present one,
 * or a node that came back with a higher term would ignore its leader for ever.
 *
 * An answer from who is no member here is of another time: it was asked when it was one, by this
 * node, and was removed since.  Its later term is not heeded, or a late message to a removed node
 * would cost a leader its lead.  Nobody needs it: who is asked is a member, and a leader that has
 * missed the memberships behind its own is told of the later term by a member of its own, as the
 * majority that made the next one is in that term, or hears of no majority and gives up.
 *
 * Messages come from outside: what makes no sense is dropped, never asserted.
 *
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

static bool is_from_leader(enum raft_message_kind kind)
{
    return kind == RAFT_MESSAGE_APPEND || kind == RAFT_MESSAGE_HEARTBEAT;
}

static bool is_answer(enum raft_message_kind kind)
{
    return kind == RAFT_MESSAGE_PRE_VOTE_REPLY || kind == RAFT_MESSAGE_VOTE_REPLY ||
           kind == RAFT_MESSAGE_APPEND_REPLY || kind == RAFT_MESSAGE_HEARTBEAT_REPLY ||
           kind == RAFT_MESSAGE_SNAPSHOT_REPLY;
}

static bool is_of_stranger(const struct raft *raft, const struct raft_message *message)
{
    return !raft_membership_has_voter(&raft->membership, message->from) &&
           !raft_membership_has_learner(&raft->membership, message->from);
}

static bool is_addressed_here(const struct raft *raft, const struct raft_message *message)
{
    return message->group_id == raft->options.group_id && message->to == raft->options.node_id &&
           message->from != 0 && message->from != raft->options.node_id;
}

/* Tells a sender of an older term which term it is. */
static void answer_stale(struct raft *raft, const struct raft_message *message)
{
    if (is_from_leader(message->kind))
        raft_push(raft, RAFT_MESSAGE_APPEND_REPLY, message->from);
    else if (message->kind == RAFT_MESSAGE_VOTE && raft->options.may_vote)
        raft_push(raft, RAFT_MESSAGE_VOTE_REPLY, message->from);
}

/* False when the message is done with. */
static bool settle_term(struct raft *raft, const struct raft_message *message)
{
    if (message->term > raft->term && is_answer(message->kind) && is_of_stranger(raft, message))
        return false;
    if (message->kind == RAFT_MESSAGE_PRE_VOTE || message->kind == RAFT_MESSAGE_PRE_VOTE_REPLY) {
        bool is_refusal = message->kind == RAFT_MESSAGE_PRE_VOTE_REPLY && !message->granted;
        if (is_refusal && message->term > raft->term) {
            raft_become_follower(raft, message->term, 0);
            raft_stand_back(raft); /* somebody runs, or has won already */
        }
        return true;
    }
    if (message->term < raft->term) {
        answer_stale(raft, message);
        return false;
    }
    if (message->term > raft->term && message->kind != RAFT_MESSAGE_VOTE)
        raft_become_follower(raft, message->term, 0);
    return true;
}

static void dispatch_to_leader(struct raft *raft, const struct raft_message *message)
{
    struct raft_slot *slot = raft_slot_find(raft, message->from);
    if (raft->role != RAFT_LEADER || slot == NULL)
        return;
    bool was_at_rest = raft_slot_is_at_rest(raft, slot);
    slot->contact_ticks = raft_max(slot->contact_ticks, raft->now_ticks); /* see rest.c */
    slot->heard_ticks = raft->now_ticks;
    if (slot->is_disconnected) {
        slot->is_disconnected = false;
        slot->is_paused = slot->state == RAFT_PROBE ? false : slot->is_paused;
    }
    if (message->kind == RAFT_MESSAGE_APPEND_REPLY)
        raft_receive_append_reply(raft, message);
    else if (message->kind == RAFT_MESSAGE_HEARTBEAT_REPLY)
        raft_receive_heartbeat_reply(raft, message);
    else
        raft_receive_snapshot_reply(raft, message);
    if (raft->is_resting && message->rest_ticks == 0)
        raft_rest_end(raft); /* it has left the rest */
    /* At rest nothing commits, and only a commit can end the leadership here. */
    ensure(!was_at_rest || raft->role == RAFT_LEADER);
    if (raft->role == RAFT_LEADER && slot->match == raft->last_index)
        slot->caught_up_ticks = raft->now_ticks;
    /* The replies of an idle group give nothing to collect. */
    if (!was_at_rest || !raft_slot_is_at_rest(raft, slot))
        raft->is_dirty = true;
}

void raft_receive(struct raft *raft, const struct raft_message *message, uint64_t now_ticks,
                  struct raft_accepted *accepted)
{
    require(!raft->is_collected);
    raft->now_ticks = raft_max(raft->now_ticks, now_ticks);
    if (message->kind == RAFT_MESSAGE_APPEND)
        *accepted = (struct raft_accepted){.first_entry = message->entry_count};
    if (!is_addressed_here(raft, message) || !settle_term(raft, message))
        return;
    if (message->from == raft->lost_leader)
        raft->lost_leader = 0; /* it is back */
    if (is_from_leader(message->kind)) {
        if (raft->role == RAFT_LEADER)
            return; /* no term has two leaders: forged or corrupted */
        raft_follow(raft, message->from);
    }

    bool is_campaign = message->kind == RAFT_MESSAGE_PRE_VOTE || message->kind == RAFT_MESSAGE_VOTE;
    if (raft->role == RAFT_LEADER && is_campaign)
        raft_rest_end(raft); /* somebody misses the leader */

    switch (message->kind) {
    case RAFT_MESSAGE_PRE_VOTE:
        raft_receive_pre_vote(raft, message);
        break;
    case RAFT_MESSAGE_VOTE:
        raft_receive_vote(raft, message);
        break;
    case RAFT_MESSAGE_PRE_VOTE_REPLY:
    case RAFT_MESSAGE_VOTE_REPLY:
        raft_receive_vote_reply(raft, message);
        break;
    case RAFT_MESSAGE_APPEND:
        raft_receive_append(raft, message, accepted);
        break;
    case RAFT_MESSAGE_HEARTBEAT:
        raft_receive_heartbeat(raft, message);
        break;
    case RAFT_MESSAGE_APPEND_REPLY:
    case RAFT_MESSAGE_HEARTBEAT_REPLY:
    case RAFT_MESSAGE_SNAPSHOT_REPLY:
        dispatch_to_leader(raft, message);
        break;
    case RAFT_MESSAGE_TIMEOUT_NOW:
        raft_receive_timeout_now(raft, message);
        break;
    case RAFT_MESSAGE_KINDS:
        break;
    }
}
