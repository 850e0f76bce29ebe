/* SPDX-License-Identifier: Apache-2.0
 *
 * readmission.c -- see readmission.h.
 */
#include "broker/readmission.h"

#include "broker/broker.h"
#include "broker/membership_step.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "wire/readmit_replica.h"

/* The replica that runs here is the one that the metadata wants here. */
static bool is_wanted(const struct broker_shard *shard, const struct replica_group *group)
{
    const struct cluster_topic *topic = NULL;
    uint32_t number = 0;
    uint32_t position = 0;
    if (!cluster_group_find(shard->metadata, replica_group_id(group), &topic, &number)) {
        return false;
    }
    const struct cluster_partition *partition = &topic->partitions[number];
    return cluster_partition_find_replica(partition, shard->broker_id, &position) &&
           cluster_partition_wants(partition, position) &&
           partition->incarnations[position] == replica_group_incarnation(group);
}

/* One that hears of no leader may have been removed and not been told. */
static bool has_its_vote(const struct broker_shard *shard, const struct replica_group *group)
{
    struct replica_group_view view;
    if (replica_group_is_joining(group)) {
        return false;
    }
    replica_group_view(group, &view);
    return view.leader != 0 && member_standing_of(&view, shard->broker_id, NULL) == MEMBER_VOTER;
}

/* All the others: one that is no member does not hear of the leader, and who does not lead ignores
 * it. */
static void ask(struct broker_shard *shard, const struct replica_group *group)
{
    const struct cluster_topic *topic = NULL;
    uint32_t number = 0;
    struct readmit_replica_request request;
    struct wire_writer writer;
    readmit_replica_request_init(&request);
    request.group_id = (int64_t)replica_group_id(group);
    request.may_vote = !replica_group_is_joining(group);
    request.incarnation = replica_group_incarnation(group);
    peer_request_frame_begin(&writer, READMIT_REPLICA_TYPE, 0);
    readmit_replica_request_encode(&request, 0, &writer);
    struct buf *frame = peer_request_frame_take(&writer);
    if (cluster_group_find(shard->metadata, replica_group_id(group), &topic, &number)) {
        const struct cluster_partition *partition = &topic->partitions[number];
        for (uint32_t i = 0; i < partition->replica_count; i++) {
            if (partition->replicas[i] != shard->broker_id) {
                /* If it cannot be sent, the next pass asks again. */
                (void)peer_link_send(shard->links, partition->replicas[i], frame);
            }
        }
    }
    buf_release(frame);
}

bool readmission_pass(struct broker_shard *shard)
{
    struct replica_group *group = NULL;
    size_t position = 0;
    bool is_asking = false;
    while ((group = replica_group_next(shard->replicas, &position)) != NULL) {
        if (replica_group_is_damaged(shard->replicas, replica_group_id(group))) {
            continue; /* it is to leave (repair.h) */
        }
        if (is_wanted(shard, group) && !has_its_vote(shard, group)) {
            is_asking = true;
            ask(shard, group);
        }
    }
    return is_asking;
}
