/* SPDX-License-Identifier: Apache-2.0
 *
 * api_stop_partition_raft_group.c -- StopPartitionRaftGroup (1004): a topic was deleted, and its
 * partition's Raft group ends here for good.
 *
 * Stopping a group that does not run is a success: its tombstone is written all the same, so that a
 * late start does not bring it back.
 *
 * Locality: shard 0.
 */
#include "base/memory.h"
#include "base/trace.h"
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/group_order.h"
#include "broker/replica_error.h"
#include "wire/stop_partition_raft_group.h"

#include <inttypes.h>
#include <string.h>

struct stop_work {
    struct request *request;
    uint64_t group_id;
    uint32_t partition;
    char topic[CLUSTER_TOPIC_NAME_BYTES_MAX + 1];
};

static void answer(struct request *request, bool success, enum wire_error error,
                   const char *message)
{
    struct stop_partition_raft_group_response response;
    stop_partition_raft_group_response_init(&response);
    response.success = success;
    response.error_code = (int16_t)error;
    response.message = wire_string_from(message);
    struct wire_writer body;
    wire_writer_init(&body, 64);
    stop_partition_raft_group_response_encode(&response, request->version, &body);
    request_respond(request, &body);
}

static void stopped(void *context, const struct group_order_result *result)
{
    struct stop_work *work = context;
    const char *text = replica_result_text(result->result);
    bool is_gone = result->result == REPLICA_OK || result->result == REPLICA_NOT_RUNNING ||
                   result->result == REPLICA_DELETED;
    if (is_gone) {
        trace_info("Successfully stopped Raft group %" PRIu64 " for partition %s-%" PRIu32,
                   work->group_id, work->topic, work->partition);
        answer(work->request, true, WIRE_ERROR_NONE, result->result == REPLICA_OK ? "" : text);
    } else {
        trace_warn("Failed to stop Raft group %" PRIu64 " for partition %s-%" PRIu32 ": %s",
                   work->group_id, work->topic, work->partition, text);
        answer(work->request, false, replica_error(result->result), text);
    }
    memory_free(work);
}

static const char *objection(const struct stop_partition_raft_group_request *message)
{
    if (message->group_id <= 0) {
        return replica_result_text(REPLICA_INVALID_GROUP_ID);
    }
    if (message->group_id < CLUSTER_FIRST_PARTITION_GROUP_ID) {
        return "the group id is not one of a partition";
    }
    if (message->partition < 0) {
        return "the partition makes no sense";
    }
    return cluster_topic_name_error(message->topic_name.data, (size_t)message->topic_name.length);
}

void api_stop_partition_raft_group(struct request *request)
{
    struct stop_partition_raft_group_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!stop_partition_raft_group_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    trace_info("Received StopPartitionRaftGroup request: GroupID=%" PRId64
               ", Topic=%.*s, Partition=%" PRId32,
               message.group_id, (int)message.topic_name.length, message.topic_name.data,
               message.partition);
    const char *error = objection(&message);
    if (error != NULL) {
        trace_warn("Failed to stop Raft group %" PRId64 ": %s", message.group_id, error);
        answer(request, false, WIRE_ERROR_INVALID_REQUEST, error);
        return;
    }
    struct stop_work *work = memory_allocate_zeroed(sizeof *work);
    work->request = request;
    work->group_id = (uint64_t)message.group_id;
    work->partition = (uint32_t)message.partition;
    memcpy(work->topic, message.topic_name.data, (size_t)message.topic_name.length);
    group_order_remove(request->shard, work->group_id, stopped, work);
}
