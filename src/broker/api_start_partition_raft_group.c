/* SPDX-License-Identifier: Apache-2.0
 *
 * api_start_partition_raft_group.c -- StartPartitionRaftGroup (1003): the controller leader wants a
 * partition's Raft group to run here.
 *
 * A group that runs already answers "Raft group already running"; that counts as success when it is
 * the same partition with the same members, because then the reconciler was faster, and has told of
 * the start.
 *
 * A broker with a new data directory that has not seen its registration in the metadata cannot tell
 * a group that is founded from one whose replica here was lost with an earlier directory, and
 * whose vote is forgotten.  It waits until it knows, and refuses when that takes too long; the
 * reconciler starts the group then.
 *
 * Locality: shard 0.
 */
#include "base/assert.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/group_order.h"
#include "broker/reconciler.h"
#include "broker/replica_error.h"
#include "broker/upkeep.h"
#include "wire/start_partition_raft_group.h"

#include <inttypes.h>
#include <string.h>

#define KNOWING_NS 2000000000ull

struct start_work {
    struct upkeep_condition knows; /* which groups existed before the directory */
    struct request *request;
    struct partition_spec spec;
    const char *objection; /* NULL, or why it cannot be started */
};

static void answer(struct request *request, bool success, enum wire_error error,
                   const char *message)
{
    struct start_partition_raft_group_response response;
    start_partition_raft_group_response_init(&response);
    response.success = success;
    response.error_code = (int16_t)error;
    response.message = wire_string_from(message);
    struct wire_writer body;
    wire_writer_init(&body, 64);
    start_partition_raft_group_response_encode(&response, request->version, &body);
    request_respond(request, &body);
}

static const char *join_text(bool join)
{
    return join ? "true" : "false";
}

static void started(void *context, const struct group_order_result *result)
{
    struct start_work *work = context;
    struct request *request = work->request;
    const struct partition_spec *spec = &work->spec;
    const char *text = result->result == REPLICA_BAD_REQUEST && work->objection != NULL
                           ? work->objection
                           : replica_result_text(result->result);
    if (result->result == REPLICA_OK) {
        partition_spec_trace_started(spec);
        answer(request, true, WIRE_ERROR_NONE, "");
    } else if (result->runs_the_same) {
        answer(request, true, WIRE_ERROR_NONE, text);
    } else {
        trace_warn("Failed to start Raft group %" PRIu64 " for partition %s-%" PRIu32 ": %s",
                   spec->group_id, spec->topic, spec->partition, text);
        answer(request, false, replica_error(result->result), text);
    }
    memory_free(work);
}

/* NULL, or why the members cannot found the group here. */
static const char *read_members(const struct start_partition_raft_group_request *message,
                                const struct broker_shard *shard, struct raft_membership *members)
{
    bool has_self = false;
    if (message->members_count < 1 || message->members_count > CLUSTER_REPLICAS_MAX) {
        return "a group needs 1 to 15 members";
    }
    for (int32_t i = 0; i < message->members_count; i++) {
        uint32_t broker_id = message->members[i].broker_id;
        has_self = has_self || broker_id == shard->broker_id;
        uint32_t at = members->voter_count++;
        while (at > 0 && members->voters[at - 1] > broker_id) {
            members->voters[at] = members->voters[at - 1];
            at--;
        }
        members->voters[at] = broker_id;
    }
    if (!raft_membership_is_valid(members)) {
        return "the members of the group make no sense";
    }
    return has_self || message->join ? NULL : "this broker is not a member of the group";
}

/* NULL, or what is wrong with the request, whose group id is a partition's. */
static const char *read_spec(const struct start_partition_raft_group_request *message,
                             const struct broker_shard *shard, struct partition_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->group_id = (uint64_t)message->group_id;
    const char *error =
        cluster_topic_name_error(message->topic_name.data, (size_t)message->topic_name.length);
    if (error != NULL) {
        return error;
    }
    memcpy(spec->topic, message->topic_name.data, (size_t)message->topic_name.length);
    if (message->partition < 0 || message->partition >= CLUSTER_PARTITIONS_PER_TOPIC_MAX ||
        uuid_is_zero(&message->topic_id)) {
        return "the partition makes no sense";
    }
    spec->topic_id = message->topic_id;
    spec->partition = (uint32_t)message->partition;
    spec->join = message->join;
    spec->preferred = message->members_count > 0 ? message->members[0].broker_id : 0;
    return read_members(message, shard, &spec->members);
}

static void start(struct start_work *work)
{
    struct broker_shard *shard = work->request->shard;
    require(work->spec.join || reconciler_knows_founding(shard));
    work->spec.join = work->spec.join || reconciler_must_join(shard, work->spec.group_id);
    group_order_start(shard, &work->spec, work->objection, started, work);
}

static bool knows(struct upkeep_condition *condition)
{
    struct start_work *work = container_of(condition, struct start_work, knows);
    return work->spec.join || reconciler_knows_founding(work->request->shard);
}

static void waited(struct upkeep_condition *condition, bool in_time)
{
    struct start_work *work = container_of(condition, struct start_work, knows);
    if (in_time) {
        start(work);
        return;
    }
    const char *error = "whether the group is older than the data directory is not known yet";
    trace_warn("Failed to start Raft group %" PRIu64 ": %s", work->spec.group_id, error);
    answer(work->request, false, WIRE_ERROR_REPLICA_NOT_AVAILABLE, error);
    memory_free(work);
}

static const char *group_id_error(int64_t group_id)
{
    if (group_id <= 0) {
        return replica_result_text(REPLICA_INVALID_GROUP_ID);
    }
    return group_id < CLUSTER_FIRST_PARTITION_GROUP_ID ? "the group id is not one of a partition"
                                                       : NULL;
}

void api_start_partition_raft_group(struct request *request)
{
    struct start_partition_raft_group_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!start_partition_raft_group_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    trace_info("Received StartPartitionRaftGroup request: GroupID=%" PRId64
               ", Topic=%.*s, Partition=%" PRId32 ", Join=%s",
               message.group_id, (int)message.topic_name.length, message.topic_name.data,
               message.partition, join_text(message.join));
    const char *error = group_id_error(message.group_id);
    if (error != NULL) {
        trace_warn("Failed to start Raft group %" PRId64 ": %s", message.group_id, error);
        answer(request, false, WIRE_ERROR_INVALID_REQUEST, error);
        return;
    }
    struct start_work *work = memory_allocate_zeroed(sizeof *work);
    work->request = request;
    work->objection = read_spec(&message, request->shard, &work->spec);
    if (knows(&work->knows)) {
        start(work);
        return;
    }
    work->knows.holds = knows;
    work->knows.done = waited;
    upkeep_wait(request->shard->upkeep, &work->knows, io_now_ns(request->shard->loop) + KNOWING_NS);
}
