/* SPDX-License-Identifier: Apache-2.0
 *
 * api_readmit_replica.c -- ReadmitReplica (1008): a replica whose disk was lost wants its vote
 * back.
 *
 * It may have voted before and not know it, so it does not vote until a membership without its vote
 * is committed (replica/joined.c).  The leader therefore makes it a learner, and a voter again when
 * it has caught up.  One change at a time; what is refused now is asked for again by the next pass
 * of its reconciler.
 *
 * Locality: shard 0; the change on the shard of the group.
 */
#include "base/memory.h"
#include "base/trace.h"
#include "broker/api.h"
#include "broker/broker_process.h"
#include "wire/readmit_replica.h"

#include <inttypes.h>
#include <string.h>

/* A learner this close behind follows the log as it grows. */
#define CAUGHT_UP_INDEXES 1000

struct readmission {
    struct shard_message message;
    uint64_t group_id;
    uint32_t broker_id;
    bool may_vote;
};

static void insert(uint32_t *ids, uint32_t *count, uint32_t id)
{
    uint32_t at = (*count)++;
    while (at > 0 && ids[at - 1] > id) {
        ids[at] = ids[at - 1];
        at--;
    }
    ids[at] = id;
}

/* What the broker becomes next; NULL: nothing, or not yet. */
static const char *move_member(const struct replica_group_view *view,
                               const struct readmission *wish, struct raft_membership *members)
{
    bool is_member = false;
    const char *becomes = NULL;
    memset(members, 0, sizeof *members);
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        bool is_voter = member->is_voter;
        if (member->node_id == wish->broker_id) {
            is_member = true;
            if (is_voter && !wish->may_vote) {
                becomes = "is removed from";
                continue;
            }
            if (!is_voter && wish->may_vote && member->lag_indexes <= CAUGHT_UP_INDEXES) {
                becomes = "becomes a voter of";
                is_voter = true;
            }
        }
        if (is_voter) {
            insert(members->voters, &members->voter_count, member->node_id);
        } else {
            insert(members->learners, &members->learner_count, member->node_id);
        }
    }
    if (!is_member && !wish->may_vote && view->member_count < RAFT_MEMBERS_MAX) {
        becomes = "becomes a learner of";
        insert(members->learners, &members->learner_count, wish->broker_id);
    }
    return members->voter_count > 0 ? becomes : NULL;
}

static bool is_replica_of(const struct broker_shard *shard, const struct readmission *wish)
{
    const struct cluster_topic *topic = NULL;
    uint32_t number = 0;
    if (!cluster_group_find(shard->metadata, wish->group_id, &topic, &number)) {
        return false;
    }
    const struct cluster_partition *partition = &topic->partitions[number];
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (partition->replicas[i] == wish->broker_id) {
            return true;
        }
    }
    return false;
}

static void readmit(struct broker_shard *shard, const struct readmission *wish)
{
    struct replica_group *group = replica_group_find(shard->replicas, wish->group_id);
    if (group == NULL || !replica_standing(group).is_leader || !is_replica_of(shard, wish)) {
        return;
    }
    struct replica_group_view view;
    struct raft_membership members;
    replica_group_view(group, &view);
    const char *becomes = move_member(&view, wish, &members);
    if (becomes == NULL) {
        return;
    }
    enum replica_result result = replica_propose_membership(group, &members);
    if (result == REPLICA_OK) {
        trace_info("Broker %" PRIu32 " %s group %" PRIu64, wish->broker_id, becomes,
                   wish->group_id);
    } else {
        trace_debug("broker %" PRIu32 " not yet: it %s group %" PRIu64 ": %s", wish->broker_id,
                    becomes, wish->group_id, replica_result_text(result));
    }
}

static void deliver_readmission(struct shard *shard, struct shard_message *message)
{
    struct readmission *wish = container_of(message, struct readmission, message);
    readmit(shard_owner(shard), wish);
    memory_free(wish);
}

void api_readmit_replica(struct request *request)
{
    struct readmit_replica_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!readmit_replica_request_decode(&message, request->version, &cursor) ||
        !wire_expect_end(&cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (message.group_id >= CLUSTER_FIRST_PARTITION_GROUP_ID) {
        struct readmission *wish = memory_allocate_zeroed(sizeof *wish);
        list_node_init(&wish->message.node);
        wish->message.deliver = deliver_readmission;
        wish->group_id = (uint64_t)message.group_id;
        wish->broker_id = request->peer_broker_id;
        wish->may_vote = message.may_vote;
        shard_post(request->shard->shard,
                   replica_shard_of_group(wish->group_id, request->shard->broker->shard_count),
                   &wish->message);
    }
    request_end(request);
}
