/* SPDX-License-Identifier: Apache-2.0
 *
 * promise.c -- see promise.h.
 *
 * Locality: one thread.
 */
#include "promise.h"

#include "base/assert.h"

/* Whether the log has an entry of that term that ends at index, or had one before its beginning
 * (what a snapshot covers was committed). */
static bool log_has(const struct cluster_log *log, uint64_t index, uint64_t term)
{
    if (index <= log->snapshot_index)
        return index < log->snapshot_index || term == log->snapshot_term;
    size_t position = cluster_record_find(log->records, log->count, index);
    return position < log->count && log->records[position].entry.last_index == index &&
           log->records[position].entry.term == term;
}

static bool is_on_disk(const struct cluster_node *node, uint64_t index)
{
    uint64_t term = 0;
    if (!raft_term_at(node->raft, index, &term))
        return index < raft_first_index(node->raft);
    return log_has(&node->disk, index, term);
}

static const struct raft_membership *newest_membership(const struct cluster_log *log)
{
    for (size_t i = log->count; i > 0; --i)
        if (log->records[i - 1].entry.kind == RAFT_ENTRY_MEMBERSHIP)
            return &log->records[i - 1].entry.membership;
    return &log->snapshot_membership;
}

void promise_check_node(const struct cluster_node *node)
{
    ensure(is_on_disk(node, raft_saved_index(node->raft)));
    if (node->is_membership_doubtful)
        ensure(raft_membership_equal(raft_membership(node->raft), newest_membership(&node->log)));
}

/* One vote a term, whatever its disk has lost since. */
static void check_vote(struct cluster_node *node, uint64_t term, uint32_t vote)
{
    ensure(node->disk_term == term && node->disk_vote == vote && !node->is_amnesiac);
    ensure(term >= node->voted_term);
    ensure(term > node->voted_term || vote == node->voted_for);
    node->voted_term = term;
    node->voted_for = vote;
}

void promise_check_message(struct cluster_node *node, const struct raft_message *message)
{
    switch (message->kind) {
    case RAFT_MESSAGE_VOTE:
        check_vote(node, message->term, node->id);
        break;
    case RAFT_MESSAGE_VOTE_REPLY:
        if (message->granted)
            check_vote(node, message->term, message->to);
        break;
    case RAFT_MESSAGE_APPEND_REPLY:
        if (message->granted)
            ensure(node->disk_term == message->term && is_on_disk(node, message->index));
        break;
    case RAFT_MESSAGE_HEARTBEAT_REPLY:
        ensure(node->disk_term == message->term && is_on_disk(node, message->index));
        break;
    case RAFT_MESSAGE_APPEND:
    case RAFT_MESSAGE_HEARTBEAT:
    case RAFT_MESSAGE_TIMEOUT_NOW:
        ensure(node->disk_term >= message->term);
        break;
    case RAFT_MESSAGE_PRE_VOTE:
    case RAFT_MESSAGE_PRE_VOTE_REPLY:
    case RAFT_MESSAGE_SNAPSHOT_REPLY:
    case RAFT_MESSAGE_KINDS:
        break;
    }
}

void promise_check_barrier(const struct cluster_node *node, const struct cluster_barrier *barrier)
{
    const struct raft_membership *membership = raft_membership(node->raft);
    uint32_t answers = 0;
    for (uint32_t i = 0; i < membership->voter_count; ++i) {
        uint32_t voter = membership->voters[i];
        answers += voter == node->id || node->round_answered[voter] > barrier->round;
    }
    ensure(answers >= raft_membership_quorum(membership));
}

/* A membership is committed: those that lost their disk before, and are no voters of it, may be
 * given their vote back. */
static void end_amnesia(struct cluster *cluster, const struct raft_entry *entry)
{
    for (uint32_t id = 1; id <= cluster_node_count(cluster); ++id) {
        struct cluster_node *node = cluster_node(cluster, id);
        if (node->is_amnesiac && entry->last_index > node->amnesia_index &&
            !raft_membership_has_voter(&entry->membership, id))
            node->is_amnesiac = false;
    }
}

void promise_check_commit(struct cluster *cluster, const struct cluster_node *node,
                          const struct cluster_record *record)
{
    const struct raft_membership *membership = raft_membership(node->raft);
    const struct raft_entry *entry = &record->entry;
    uint32_t holders = 0;
    if (entry->kind == RAFT_ENTRY_MEMBERSHIP)
        end_amnesia(cluster, entry);
    if (node->led_term != raft_term(node->raft))
        return; /* it was told by a leader that a script made up */
    for (uint32_t i = 0; i < membership->voter_count; ++i) {
        const struct cluster_node *voter = cluster_node(cluster, membership->voters[i]);
        /* A voter that forgot its votes may have voted this leader out.  What its lost disk held
         * counts: the acknowledgement may arrive later than the loss. */
        if ((!voter->is_amnesiac && log_has(&voter->disk, entry->last_index, entry->term)) ||
            log_has(&voter->lost_disk, entry->last_index, entry->term))
            holders += 1;
    }
    ensure(holders >= raft_membership_quorum(membership));
}
