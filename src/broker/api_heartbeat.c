/* SPDX-License-Identifier: Apache-2.0
 *
 * api_heartbeat.c -- Heartbeat: a member is alive, and hears whether it has to join again.
 *
 * Locality: the shard of the request; perform on the coordinator's.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/offsets_topic.h"
#include "wire/heartbeat.h"

struct heartbeat_work {
    struct coordinator_ask ask;
    struct request *request;
    struct heartbeat_request body;
    enum wire_error error;
};

static void respond(struct request *request, enum wire_error error)
{
    struct heartbeat_response response;
    heartbeat_response_init(&response);
    response.error_code = (int16_t)error;
    struct wire_writer writer;
    wire_writer_init(&writer, 16);
    heartbeat_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

static void answered(struct coordinator_ask *ask)
{
    const struct heartbeat_work *work = container_of(ask, struct heartbeat_work, ask);
    coordinator_ask_free(ask);
    respond(work->request, work->error);
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    struct heartbeat_work *work = container_of(ask, struct heartbeat_work, ask);
    work->error = WIRE_ERROR_NOT_COORDINATOR;
    if (table != NULL) {
        work->error = group_heartbeat(table, work->body.group_id, work->body.member_id,
                                      work->body.group_instance_id, work->body.generation_id);
    }
    coordinator_ask_return(ask);
}

void api_heartbeat(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct heartbeat_work *work = arena_allocate(&request->arena, sizeof *work);
    if (work == NULL) {
        request_drop(request, "no memory for a heartbeat");
        return;
    }
    if (!heartbeat_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    work->request = request;
    coordinator_ask_init(&work->ask, request->shard, NULL, perform, answered);
    enum wire_error error = WIRE_ERROR_NONE;
    uint64_t group = offsets_topic_group(request->shard, work->body.group_id, &error);
    if (group == 0) {
        respond(request, error);
        return;
    }
    coordinator_ask_send(&work->ask, group);
}
