/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster_print.c -- messages and memberships in words, for traces, scenarios and findings.
 *
 * Locality: one thread.
 */
#include "cluster.h"

#include <inttypes.h>

const char *cluster_kind_name(enum raft_message_kind kind)
{
    static const char *const names[RAFT_MESSAGE_KINDS] = {
        [RAFT_MESSAGE_PRE_VOTE] = "PRE_VOTE",
        [RAFT_MESSAGE_PRE_VOTE_REPLY] = "PRE_VOTE_REPLY",
        [RAFT_MESSAGE_VOTE] = "VOTE",
        [RAFT_MESSAGE_VOTE_REPLY] = "VOTE_REPLY",
        [RAFT_MESSAGE_APPEND] = "APPEND",
        [RAFT_MESSAGE_APPEND_REPLY] = "APPEND_REPLY",
        [RAFT_MESSAGE_HEARTBEAT] = "HEARTBEAT",
        [RAFT_MESSAGE_HEARTBEAT_REPLY] = "HEARTBEAT_REPLY",
        [RAFT_MESSAGE_SNAPSHOT_REPLY] = "SNAPSHOT_REPLY",
        [RAFT_MESSAGE_TIMEOUT_NOW] = "TIMEOUT_NOW"};
    return names[kind];
}

static void print_nodes(FILE *file, const char *name, const uint32_t *nodes, uint32_t count)
{
    fprintf(file, "%s", name);
    for (uint32_t i = 0; i < count; ++i)
        fprintf(file, "%s%u", i == 0 ? "=" : ",", (unsigned)nodes[i]);
}

void cluster_print_membership(FILE *file, const struct raft_membership *membership)
{
    print_nodes(file, "voters", membership->voters, membership->voter_count);
    if (membership->learner_count > 0)
        print_nodes(file, " learners", membership->learners, membership->learner_count);
}

static void print_entries(FILE *file, const struct cluster_flight *flight)
{
    for (uint32_t i = 0; i < flight->message.entry_count; ++i) {
        const struct raft_entry *entry = &flight->entries[i];
        fprintf(file, " [%" PRIu64, entry->first_index);
        if (entry->last_index != entry->first_index)
            fprintf(file, "-%" PRIu64, entry->last_index);
        fprintf(file, "/%" PRIu64, entry->term);
        if (entry->kind == RAFT_ENTRY_NOOP)
            fprintf(file, " no-op");
        if (entry->kind == RAFT_ENTRY_MEMBERSHIP) {
            fprintf(file, " ");
            cluster_print_membership(file, &entry->membership);
        }
        fprintf(file, "]");
    }
}

void cluster_print_flight(FILE *file, const struct cluster_flight *flight)
{
    const struct raft_message *message = &flight->message;
    fprintf(file, "%u -> %u %s term=%" PRIu64, (unsigned)message->from, (unsigned)message->to,
            flight->is_snapshot ? "SNAPSHOT" : cluster_kind_name(message->kind), message->term);
    bool is_refused_append = message->kind == RAFT_MESSAGE_APPEND_REPLY && !message->granted;
    switch (message->kind) {
    case RAFT_MESSAGE_PRE_VOTE:
    case RAFT_MESSAGE_VOTE:
        fprintf(file, " last=%" PRIu64 "/%" PRIu64 "%s", message->index, message->index_term,
                message->forced ? " forced" : "");
        break;
    case RAFT_MESSAGE_PRE_VOTE_REPLY:
    case RAFT_MESSAGE_VOTE_REPLY:
        fprintf(file, " %s", message->granted ? "granted" : "refused");
        break;
    case RAFT_MESSAGE_APPEND:
    case RAFT_MESSAGE_HEARTBEAT:
        fprintf(file, " after=%" PRIu64 "/%" PRIu64 " commit=%" PRIu64, message->index,
                message->index_term, message->commit);
        if (message->barrier != 0)
            fprintf(file, " round=%" PRIu64, message->barrier);
        if (message->rest_ticks != 0)
            fprintf(file, " rest=%u", (unsigned)message->rest_ticks);
        print_entries(file, flight);
        break;
    case RAFT_MESSAGE_APPEND_REPLY:
        fprintf(file, " %s=%" PRIu64, message->granted ? "has" : "refused", message->index);
        if (is_refused_append)
            fprintf(file, " hint=%" PRIu64 "/%" PRIu64, message->hint_index, message->hint_term);
        break;
    case RAFT_MESSAGE_HEARTBEAT_REPLY:
        fprintf(file, " has=%" PRIu64 " received=%" PRIu64 " round=%" PRIu64, message->index,
                message->hint_index, message->barrier);
        if (message->rest_ticks != 0)
            fprintf(file, " rest=%u", (unsigned)message->rest_ticks);
        break;
    case RAFT_MESSAGE_SNAPSHOT_REPLY:
        fprintf(file, " %s index=%" PRIu64, message->granted ? "installed" : "failed",
                message->index);
        break;
    case RAFT_MESSAGE_TIMEOUT_NOW:
    case RAFT_MESSAGE_KINDS:
        break;
    }
    fprintf(file, "\n");
}
