/* SPDX-License-Identifier: Apache-2.0
 *
 * api_find_coordinator.c -- FindCoordinator: which broker coordinates a consumer group.
 *
 * It is the leader of the group's partition of __consumer_offsets, which is created when the first
 * group is asked for.  Nobody coordinates transactions, and that is said in the way clients
 * understand, which is to ask again later.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/offsets_topic.h"
#include "broker/topic_creation.h"
#include "broker/topic_place.h"
#include "group/group.h"
#include "wire/error.h"
#include "wire/find_coordinator.h"

/* From here on several keys are asked for at once, in another form. */
#define BATCH_LEAST_VERSION 4
#define KEY_TYPE_GROUP 0

typedef struct find_coordinator_response_coordinator found_coordinator;

struct find_work {
    struct request *request;
    struct find_coordinator_request body;
    struct topic_creation creation;
    struct wire_string topic_name;
    enum wire_error topic_error;
};

/* ---- One key ---- */

static void set_unavailable(found_coordinator *found, enum wire_error error, const char *message)
{
    found->node_id = -1;
    found->host = topic_place_string("");
    found->port = -1;
    found->error_code = (int16_t)error;
    found->error_message = topic_place_string(message);
}

static void find_group(const struct broker_shard *shard, struct wire_string key,
                       found_coordinator *found)
{
    enum wire_error error = WIRE_ERROR_NONE;
    uint64_t raft_group = offsets_topic_group(shard, key, &error);
    if (raft_group == 0) {
        set_unavailable(found, error, wire_error_text(error));
        return;
    }
    struct topic_place_leader leader = topic_place_leader(shard, raft_group);
    const struct cluster_broker *broker =
        leader.id >= 0 ? cluster_broker_find(shard->metadata, (uint32_t)leader.id) : NULL;
    if (broker == NULL) {
        set_unavailable(found, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE,
                        "The partition of the group has no leader at the moment.");
        return;
    }
    found->node_id = leader.id;
    found->host = topic_place_string(broker->kafka_host);
    found->port = broker->kafka_port;
}

static void find(const struct find_work *work, struct wire_string key, found_coordinator *found)
{
    find_coordinator_response_coordinator_init(found);
    found->key = key;
    if (work->body.key_type != KEY_TYPE_GROUP) {
        set_unavailable(found, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE,
                        "No coordinator of this kind is available.");
    } else if (key.length <= 0) {
        set_unavailable(found, WIRE_ERROR_INVALID_GROUP_ID, "The group id is empty.");
    } else {
        find_group(work->request->shard, key, found);
    }
}

/* ---- The answer ---- */

static bool find_all(struct find_work *work, struct find_coordinator_response *response)
{
    struct request *request = work->request;
    size_t count = (size_t)work->body.coordinator_keys_count;
    request->arena.limit_bytes += count * sizeof(response->coordinators[0]) + 16;
    response->coordinators =
        arena_allocate_array(&request->arena, count, sizeof(response->coordinators[0]));
    if (response->coordinators == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        find(work, work->body.coordinator_keys[i],
             &response->coordinators[response->coordinators_count++]);
    }
    return true;
}

static void respond(struct find_work *work)
{
    struct request *request = work->request;
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    if (request->version < BATCH_LEAST_VERSION) {
        found_coordinator found;
        find(work, work->body.key, &found);
        response.error_code = found.error_code;
        response.error_message = found.error_message;
        response.node_id = found.node_id;
        response.host = found.host;
        response.port = found.port;
    } else if (!find_all(work, &response)) {
        request_drop(request, "more keys than a request may name");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 128);
    find_coordinator_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

/* ---- The topic ---- */

static void created(struct topic_creation *creation)
{
    respond(creation->context);
}

/* Proven absent: not while the metadata is not known yet. */
static bool topic_is_missing(const struct broker_shard *shard)
{
    enum wire_error error = WIRE_ERROR_NONE;
    return topic_place_by_name(shard, topic_place_string(GROUP_OFFSETS_TOPIC), &error) == NULL &&
           error == WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

static void create_topic(struct find_work *work)
{
    work->topic_name = topic_place_string(GROUP_OFFSETS_TOPIC);
    work->topic_error = WIRE_ERROR_NONE;
    work->creation = (struct topic_creation){.shard = work->request->shard,
                                             .arena = &work->request->arena,
                                             .names = &work->topic_name,
                                             .errors = &work->topic_error,
                                             .count = 1,
                                             .done = created,
                                             .context = work};
    topic_creation_start(&work->creation);
}

void api_find_coordinator(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct find_work *work = arena_allocate(&request->arena, sizeof *work);
    if (work == NULL) {
        request_drop(request, "no memory to find a coordinator in");
        return;
    }
    if (!find_coordinator_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    work->request = request;
    if (work->body.key_type == KEY_TYPE_GROUP && topic_is_missing(request->shard)) {
        create_topic(work);
    } else {
        respond(work);
    }
}
