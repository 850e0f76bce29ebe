/* SPDX-License-Identifier: Apache-2.0
 *
 * api_alter_partition_reassignments.c -- AlterPartitionReassignments (KIP-455), on the controller
 * leader: begins, alters and cancels reassignments.
 *
 * The answer leaves when the wishes are committed; moving the data takes its time
 * (reassignment.h), which ListPartitionReassignments shows.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/proposal_line.h"
#include "broker/topic_growth.h"
#include "broker/topic_place.h"
#include "wire/alter_partition_reassignments.h"

#include <stdio.h>

struct wish {
    uint32_t topic; /* its position in the request */
    const struct alter_partition_reassignments_request_reassignable_partition *asked;
    struct cluster_problem problem;
};

struct reassignment_work {
    struct proposal_line line; /* line.count wishes */
    struct request *request;
    struct alter_partition_reassignments_request body;
    struct wish *wishes; /* in the order of the request */
};

/* ---- The answer ---- */

static void
describe(const struct wish *wish,
         struct alter_partition_reassignments_response_reassignable_partition_response *answer)
{
    alter_partition_reassignments_response_reassignable_partition_response_init(answer);
    answer->partition_index = wish->asked->partition_index;
    answer->error_code = (int16_t)wish->problem.error;
    answer->error_message = topic_place_message(&wish->problem);
}

static bool describe_all(struct reassignment_work *work,
                         struct alter_partition_reassignments_response *response)
{
    struct arena *arena = &work->request->arena;
    uint32_t topic_count = (uint32_t)work->body.topics_count;
    const struct wish *wish = work->wishes;
    response->responses = arena_allocate_array(arena, topic_count, sizeof(*response->responses));
    if (response->responses == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < topic_count; i++) {
        uint32_t count = (uint32_t)work->body.topics[i].partitions_count;
        struct alter_partition_reassignments_response_reassignable_topic_response *topic =
            &response->responses[i];
        alter_partition_reassignments_response_reassignable_topic_response_init(topic);
        topic->name = work->body.topics[i].name;
        topic->partitions = arena_allocate_array(arena, count, sizeof(*topic->partitions));
        if (topic->partitions == NULL) {
            return false;
        }
        topic->partitions_count = (int32_t)count;
        for (uint32_t j = 0; j < count; j++) {
            describe(wish++, &topic->partitions[j]);
        }
    }
    response->responses_count = (int32_t)topic_count;
    return true;
}

static void respond(struct reassignment_work *work, bool is_here)
{
    struct alter_partition_reassignments_response response;
    alter_partition_reassignments_response_init(&response);
    response.allow_replication_factor_change = work->body.allow_replication_factor_change;
    response.error_message = topic_place_string(NULL);
    if (!is_here) {
        response.error_code = WIRE_ERROR_NOT_CONTROLLER;
    } else if (!describe_all(work, &response)) {
        request_drop(work->request, "more partitions than a request may name");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    alter_partition_reassignments_response_encode(&response, work->request->version, &writer);
    request_respond(work->request, &writer);
}

/* ---- The line ---- */

static void refuse(struct wish *wish, enum wire_error error, const char *message)
{
    wish->problem.error = error;
    snprintf(wish->problem.message, sizeof(wish->problem.message), "%s", message);
}

static void plan_target(struct reassignment_work *work, struct wish *wish,
                        const struct cluster_topic *topic, struct wire_writer *record)
{
    struct broker_shard *shard = work->request->shard;
    struct cluster_assignment target = {0};
    uint32_t live[CLUSTER_BROKERS_MAX];
    uint32_t number = (uint32_t)wish->asked->partition_index;
    if (!topic_growth_read_replicas(&target, wish->asked->replicas, wish->asked->replicas_count)) {
        refuse(wish, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
               "The partition has too many replicas, or a number is negative.");
        return;
    }
    if (!work->body.allow_replication_factor_change &&
        target.replica_count != cluster_partition_replication_factor(&topic->partitions[number])) {
        refuse(wish, WIRE_ERROR_INVALID_REPLICATION_FACTOR, "The replication factor would change.");
        return;
    }
    cluster_plan_reassign_partition(shard->metadata, &topic->id, number, &target, live,
                                    controller_live_brokers(shard, live, CLUSTER_BROKERS_MAX),
                                    record, &wish->problem);
}

static bool plan(struct proposal_line *line, uint32_t position, struct wire_writer *record)
{
    struct reassignment_work *work = container_of(line, struct reassignment_work, line);
    struct wish *wish = &work->wishes[position];
    const struct cluster_topic *topic =
        topic_place_by_name(line->shard, work->body.topics[wish->topic].name, &wish->problem.error);
    if (topic == NULL) {
        return false;
    }
    int32_t number = wish->asked->partition_index;
    if (number < 0 || (uint32_t)number >= topic->partition_count) {
        refuse(wish, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION, "There is no such partition.");
    } else if (wish->asked->replicas_count < 0) {
        cluster_plan_cancel_reassignment(line->shard->metadata, &topic->id, (uint32_t)number,
                                         record, &wish->problem);
    } else {
        plan_target(work, wish, topic, record);
    }
    return wish->problem.error == WIRE_ERROR_NONE;
}

static void committed(struct proposal_line *line, uint32_t position, enum wire_error error,
                      const struct cluster_change *change)
{
    struct reassignment_work *work = container_of(line, struct reassignment_work, line);
    (void)change; /* who is concerned follows the metadata */
    if (error == WIRE_ERROR_UNKNOWN_TOPIC_ID) {
        /* Deleted while the wish was on its way; whoever asks knows the topic by its name. */
        refuse(&work->wishes[position], WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
               "The topic was deleted meanwhile.");
    } else if (error != WIRE_ERROR_NONE) {
        refuse(&work->wishes[position], error, "The reassignment was not begun.");
    }
}

static void ended(struct proposal_line *line)
{
    respond(container_of(line, struct reassignment_work, line), true);
}

/* ---- The request ---- */

static bool make_wishes(struct reassignment_work *work)
{
    struct arena *arena = &work->request->arena;
    size_t count = 0;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        count += (size_t)work->body.topics[i].partitions_count;
    }
    /* Beyond decoding: wishes and answers. */
    arena->limit_bytes +=
        count *
            (sizeof(struct wish) +
             sizeof(
                 struct alter_partition_reassignments_response_reassignable_partition_response)) +
        (size_t)work->body.topics_count *
            (sizeof(struct alter_partition_reassignments_response_reassignable_topic_response) +
             64);
    work->wishes = arena_allocate_array(arena, count, sizeof(*work->wishes));
    if (work->wishes == NULL) {
        return false;
    }
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        for (int32_t j = 0; j < work->body.topics[i].partitions_count; j++) {
            struct wish *wish = &work->wishes[work->line.count++];
            wish->topic = (uint32_t)i;
            wish->asked = &work->body.topics[i].partitions[j];
        }
    }
    return true;
}

void api_alter_partition_reassignments(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct reassignment_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL ||
        !alter_partition_reassignments_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    work->request = request;
    work->line = (struct proposal_line){
        .shard = request->shard, .plan = plan, .committed = committed, .ended = ended};
    if (!proposal_line_is_here(request->shard)) {
        respond(work, false);
    } else if (!make_wishes(work)) {
        request_drop(request, "more partitions than a request may name");
    } else {
        proposal_line_run(&work->line);
    }
}
