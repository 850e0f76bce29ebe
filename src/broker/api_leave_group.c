/* SPDX-License-Identifier: Apache-2.0
 *
 * api_leave_group.c -- LeaveGroup: members go by themselves, or are taken out by an administrator.
 *
 * Locality: the shard of the request; perform on the coordinator's.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/offsets_topic.h"
#include "broker/topic_place.h"
#include "wire/leave_group.h"

#define MEMBERS_LEAST_VERSION 3

struct leave_work {
    struct coordinator_ask ask;
    struct request *request;
    struct leave_group_request body;
    enum wire_error error; /* of the whole request; before version 3 that of the one member */
    enum wire_error *errors;
};

static void respond(struct leave_work *work)
{
    struct request *request = work->request;
    struct leave_group_response response;
    leave_group_response_init(&response);
    response.error_code = (int16_t)work->error;
    int32_t count = work->error == WIRE_ERROR_NONE ? work->body.members_count : 0;
    request->arena.limit_bytes += (size_t)count * (sizeof(*response.members) + 16);
    response.members =
        arena_allocate_array(&request->arena, (size_t)count, sizeof(*response.members));
    if (response.members == NULL) {
        request_drop(request, "more members than a request may name");
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        struct leave_group_response_member_response *member =
            &response.members[response.members_count++];
        leave_group_response_member_response_init(member);
        member->member_id = work->body.members[i].member_id;
        member->group_instance_id = work->body.members[i].group_instance_id;
        member->error_code = (int16_t)work->errors[i];
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    leave_group_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

static void answered(struct coordinator_ask *ask)
{
    coordinator_ask_free(ask);
    respond(container_of(ask, struct leave_work, ask));
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    struct leave_work *work = container_of(ask, struct leave_work, ask);
    const struct leave_group_request *body = &work->body;
    const struct wire_string dynamic = {NULL, -1};
    work->error = table != NULL ? group_check(table, body->group_id) : WIRE_ERROR_NOT_COORDINATOR;
    if (work->error == WIRE_ERROR_NONE && work->request->version < MEMBERS_LEAST_VERSION) {
        work->error = group_leave(table, body->group_id, body->member_id, dynamic);
    } else if (work->error == WIRE_ERROR_NONE) {
        for (int32_t i = 0; i < body->members_count; i++) {
            work->errors[i] = group_leave(table, body->group_id, body->members[i].member_id,
                                          body->members[i].group_instance_id);
        }
    }
    coordinator_ask_return(ask);
}

void api_leave_group(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct leave_work *work = arena_allocate(&request->arena, sizeof *work);
    if (work == NULL) {
        request_drop(request, "no memory to leave a group in");
        return;
    }
    if (!leave_group_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    work->request = request;
    work->errors = arena_allocate_array(&request->arena, (size_t)work->body.members_count,
                                        sizeof(work->errors[0]));
    if (work->errors == NULL) {
        request_drop(request, "more members than a request may name");
        return;
    }
    coordinator_ask_init(&work->ask, request->shard, NULL, perform, answered);
    uint64_t group = offsets_topic_group(request->shard, work->body.group_id, &work->error);
    if (group == 0) {
        respond(work);
        return;
    }
    coordinator_ask_send(&work->ask, group);
}
