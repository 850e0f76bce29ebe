/* SPDX-License-Identifier: Apache-2.0
 *
 * api_readmit_replica.c -- ReadmitReplica (1008): a replica that the metadata wants here and that
 * has no vote asks for it.
 *
 * It is made a learner, and a voter when it has caught up.  One whose disk was lost may have voted
 * before and not know it; it counts for nothing until the leader has proven to it, as a learner,
 * that this does not matter (docs/design/consensus.md), so it is removed first.  One change at a
 * time; what is refused now is asked for again (readmission.h).
 *
 * Locality: shard 0; the change on the shard of the group.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/controller_upkeep.h"
#include "broker/membership_step.h"
#include "wire/readmit_replica.h"

#include <inttypes.h>

struct readmission {
    struct shard_message message;
    uint64_t group_id;
    uint32_t broker_id;
    uint32_t incarnation;
    bool may_vote;
};

/* The partition of which the metadata wants this very replica, or NULL. */
static const struct cluster_partition *wanting_partition(const struct broker_shard *shard,
                                                         const struct readmission *wish)
{
    const struct cluster_topic *topic = NULL;
    uint32_t number = 0;
    uint32_t position = 0;
    if (!cluster_group_find(shard->metadata, wish->group_id, &topic, &number)) {
        return NULL;
    }
    const struct cluster_partition *partition = &topic->partitions[number];
    bool is_wanted = cluster_partition_find_replica(partition, wish->broker_id, &position) &&
                     cluster_partition_wants(partition, position) &&
                     partition->incarnations[position] == wish->incarnation;
    return is_wanted ? partition : NULL;
}

/* How it is to stand next; false: as it does. */
static bool next_standing(const struct replica_group_view *view, const struct readmission *wish,
                          enum member_standing *next)
{
    const struct replica_member_view *member = NULL;
    switch (member_standing_of(view, wish->broker_id, &member)) {
    case MEMBER_NONE:
        *next = MEMBER_LEARNER;
        return true;
    case MEMBER_LEARNER:
        *next = MEMBER_VOTER;
        return wish->may_vote && member_is_caught_up(view, member);
    case MEMBER_VOTER:
        *next = MEMBER_NONE;
        return !wish->may_vote;
    }
    unreachable_code();
}

static void readmit(struct broker_shard *shard, const struct readmission *wish)
{
    static const char *const becomes[] = {"is removed from", "becomes a learner of",
                                          "becomes a voter of"};
    struct replica_group *group = replica_group_find(shard->replicas, wish->group_id);
    const struct cluster_partition *partition = wanting_partition(shard, wish);
    if (group == NULL || !replica_standing(group).is_leader || partition == NULL) {
        return;
    }
    struct replica_group_view view;
    struct raft_membership members;
    enum member_standing next = MEMBER_NONE;
    replica_group_view(group, &view);
    if (view.membership_epoch > partition->epoch || !next_standing(&view, wish, &next) ||
        !membership_step(&view, wish->broker_id, next, partition->epoch, &members)) {
        return;
    }
    replica_group_expect(group, wish->broker_id, wish->incarnation);
    enum replica_result result = replica_propose_membership(group, &members);
    if (result == REPLICA_OK) {
        trace_info("Broker %" PRIu32 " %s group %" PRIu64, wish->broker_id, becomes[next],
                   wish->group_id);
    } else {
        trace_debug("broker %" PRIu32 " not yet: it %s group %" PRIu64 ": %s", wish->broker_id,
                    becomes[next], wish->group_id, replica_result_text(result));
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
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (message.group_id == CLUSTER_CONTROLLER_GROUP_ID) {
        controller_upkeep_note_lost(request->shard->controller_upkeep, request->peer_broker_id);
    } else if (message.group_id >= CLUSTER_FIRST_PARTITION_GROUP_ID) {
        struct readmission *wish = memory_allocate_zeroed(sizeof *wish);
        list_node_init(&wish->message.node);
        wish->message.deliver = deliver_readmission;
        wish->group_id = (uint64_t)message.group_id;
        wish->broker_id = request->peer_broker_id;
        wish->incarnation = message.incarnation;
        wish->may_vote = message.may_vote;
        shard_post(request->shard->shard,
                   replica_shard_of_group(wish->group_id, request->shard->broker->shard_count),
                   &wish->message);
    }
    request_end(request);
}
