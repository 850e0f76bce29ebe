/* SPDX-License-Identifier: Apache-2.0
 *
 * api_sync_group.c -- SyncGroup: answered when the assignment of the generation is kept.
 *
 * Locality: the shard of the request; perform and synced on the coordinator's.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/offsets_topic.h"
#include "broker/topic_place.h"
#include "wire/sync_group.h"

struct sync_work {
    struct coordinator_ask ask;
    struct request *request;
    struct group_sync sync;
};

/* ---- The answer ---- */

static void respond(struct request *request, const struct group_sync *sync)
{
    struct sync_group_response response;
    sync_group_response_init(&response);
    response.error_code = (int16_t)sync->error;
    response.protocol_type = sync->answer_protocol_type;
    response.protocol_name = sync->answer_protocol;
    response.assignment = sync->assignment;
    struct wire_writer writer;
    wire_writer_init(&writer, 64 + (size_t)sync->assignment.length);
    sync_group_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

static void answered(struct coordinator_ask *ask)
{
    struct sync_work *work = container_of(ask, struct sync_work, ask);
    struct coordinator_ask answer = work->ask; /* the request takes its memory with it */
    respond(work->request, &work->sync);
    coordinator_ask_free(&answer);
}

/* ---- On the coordinator's shard ---- */

static void synced(struct group_sync *sync)
{
    coordinator_ask_return(sync->context);
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    struct sync_work *work = container_of(ask, struct sync_work, ask);
    work->sync.arena = &ask->arena;
    work->sync.done = synced;
    work->sync.context = ask;
    if (table != NULL) {
        group_sync(table, &work->sync);
    } else {
        work->sync.error = WIRE_ERROR_NOT_COORDINATOR;
        coordinator_ask_return(ask);
    }
}

/* ---- The request ---- */

static bool fill(struct sync_work *work, const struct sync_group_request *body)
{
    struct group_sync *sync = &work->sync;
    struct group_assignment *assignments = arena_allocate_array(
        &work->request->arena, (size_t)body->assignments_count, sizeof(assignments[0]));
    if (assignments == NULL) {
        return false;
    }
    for (int32_t i = 0; i < body->assignments_count; i++) {
        assignments[i].member_id = body->assignments[i].member_id;
        assignments[i].assignment = body->assignments[i].assignment;
    }
    sync->group_id = body->group_id;
    sync->member_id = body->member_id;
    sync->instance_id = body->group_instance_id;
    sync->protocol_type = body->protocol_type;
    sync->protocol = body->protocol_name;
    sync->generation = body->generation_id;
    sync->assignments = assignments;
    sync->assignment_count = body->assignments_count;
    sync->answer_protocol = topic_place_string(NULL);
    sync->answer_protocol_type = topic_place_string(NULL);
    return true;
}

void api_sync_group(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct sync_group_request body;
    if (!sync_group_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    struct sync_work *work = arena_allocate(&request->arena, sizeof *work);
    if (work == NULL) {
        request_drop(request, "no memory to sync a group in");
        return;
    }
    work->request = request;
    if (!fill(work, &body)) {
        request_drop(request, "more assignments than a request may name");
        return;
    }
    coordinator_ask_init(&work->ask, request->shard, NULL, perform, answered);
    uint64_t group = offsets_topic_group(request->shard, body.group_id, &work->sync.error);
    if (group == 0) {
        respond(request, &work->sync);
        return;
    }
    coordinator_ask_send(&work->ask, group);
}
