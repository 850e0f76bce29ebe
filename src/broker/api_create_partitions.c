/* SPDX-License-Identifier: Apache-2.0
 *
 * api_create_partitions.c -- CreatePartitions, on the controller leader: more partitions for
 * topics.  The way from what is asked to what came of it is topic_growth.h.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/topic_growth.h"
#include "broker/topic_place.h"
#include "wire/create_partitions.h"

struct extension_work {
    struct topic_growth growth;
    struct create_partitions_request body;
};

/* ---- The answer ---- */

static void respond(struct topic_growth *growth)
{
    struct request *request = growth->request;
    uint32_t count = growth->line.count;
    struct create_partitions_response response;
    create_partitions_response_init(&response);
    response.results = arena_allocate_array(&request->arena, count, sizeof(*response.results));
    if (response.results == NULL) {
        request_drop(request, "more topics than a request may name");
        return;
    }
    response.results_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        const struct topic_growth_item *item = &growth->items[i];
        struct create_partitions_response_create_partitions_topic_result *answer =
            &response.results[i];
        create_partitions_response_create_partitions_topic_result_init(answer);
        answer->name = item->name;
        answer->error_code = (int16_t)item->problem.error;
        answer->error_message = topic_place_message(&item->problem);
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    create_partitions_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

/* ---- Plans ---- */

/* The new partitions in order; the protocol gives no numbers with them. */
static bool read_assignments(const struct create_partitions_request_create_partitions_topic *asked,
                             uint32_t first, struct arena *arena,
                             struct cluster_assignment **assignments, size_t *assignment_count)
{
    size_t count = asked->assignments_count < 0 ? 0 : (size_t)asked->assignments_count;
    *assignment_count = count;
    *assignments = arena_allocate_array(arena, count, sizeof(struct cluster_assignment));
    for (uint32_t i = 0; *assignments != NULL && i < count; i++) {
        const struct create_partitions_request_create_partitions_assignment *given =
            &asked->assignments[i];
        if (!topic_growth_read_replicas(&(*assignments)[i], given->broker_ids,
                                        given->broker_ids_count)) {
            return false;
        }
        (*assignments)[i].partition = first + i;
    }
    return *assignments != NULL;
}

static void plan(struct topic_growth *growth, uint32_t position, struct arena *arena,
                 struct wire_writer *record)
{
    const struct extension_work *work = container_of(growth, struct extension_work, growth);
    const struct create_partitions_request_create_partitions_topic *asked =
        &work->body.topics[position];
    struct topic_growth_item *item = &growth->items[position];
    struct broker_shard *shard = growth->request->shard;
    struct cluster_assignment *assignments = NULL;
    uint32_t live[CLUSTER_BROKERS_MAX];
    const struct cluster_topic *topic =
        topic_place_by_name(shard, item->name, &item->problem.error);
    if (topic == NULL) {
        return;
    }
    size_t count = 0;
    if (!read_assignments(asked, topic->partition_count, arena, &assignments, &count)) {
        topic_growth_refuse(item, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                            "A partition has too many replicas, or a number is negative.");
        return;
    }
    cluster_plan_create_partitions(
        shard->metadata, topic->name, topic->name_length, asked->count, assignments, count, live,
        controller_live_brokers(shard, live, CLUSTER_BROKERS_MAX), record, &item->problem);
}

/* ---- The request ---- */

static const struct topic_growth_kind extension_kind = {
    .plan = plan,
    .respond = respond,
    .refused_message = "The partitions were not created.",
    .late_message = "The partitions exist, but not all of them have a leader yet.",
};

void api_create_partitions(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct extension_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !create_partitions_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    uint32_t count = (uint32_t)work->body.topics_count;
    request->arena.limit_bytes += /* beyond decoding */
        count * sizeof(struct create_partitions_response_create_partitions_topic_result);
    if (!topic_growth_init(&work->growth, &extension_kind, request, count, work->body.timeout_ms,
                           work->body.validate_only)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        work->growth.items[i].name = work->body.topics[i].name;
    }
    topic_growth_run(&work->growth);
}
