/* SPDX-License-Identifier: Apache-2.0
 *
 * api_join_group.c -- JoinGroup: answered when the generation that the member is in begins.
 *
 * Locality: the shard of the request; perform and joined on the coordinator's.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/offsets_topic.h"
#include "broker/topic_place.h"
#include "io/stream.h"
#include "wire/join_group.h"

#include <stdio.h>
#include <string.h>

#define MEMBER_ID_FIRST_LEAST_VERSION 4 /* KIP-394 */
#define NULLABLE_PROTOCOL_LEAST_VERSION 7
#define SKIP_ASSIGNMENT_LEAST_VERSION 9 /* KIP-814 */

struct join_work {
    struct coordinator_ask ask;
    struct request *request;
    struct group_join join;
    char client_host[IO_ADDRESS_TEXT_SIZE];
};

/* ---- The answer ---- */

static void respond(struct request *request, const struct group_join *join)
{
    struct join_group_response response;
    join_group_response_init(&response);
    response.error_code = (int16_t)join->error;
    response.generation_id = join->generation;
    response.protocol_type = join->answer_protocol_type;
    response.protocol_name = join->answer_protocol;
    if (response.protocol_name.length < 0 && request->version < NULLABLE_PROTOCOL_LEAST_VERSION) {
        response.protocol_name = topic_place_string("");
    }
    response.leader = join->leader;
    response.skip_assignment = join->skip_assignment;
    response.member_id = join->answer_member_id;
    response.members = arena_allocate_array(&request->arena, (size_t)join->member_count,
                                            sizeof(*response.members));
    if (response.members == NULL) {
        request_drop(request, "the members of the group need more memory than an answer may have");
        return;
    }
    for (int32_t i = 0; i < join->member_count; i++) {
        struct join_group_response_join_group_response_member *member =
            &response.members[response.members_count++];
        join_group_response_join_group_response_member_init(member);
        member->member_id = join->members[i].id;
        member->group_instance_id = join->members[i].instance_id;
        member->metadata = join->members[i].metadata;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    join_group_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

static void answered(struct coordinator_ask *ask)
{
    struct join_work *work = container_of(ask, struct join_work, ask);
    struct request *request = work->request;
    struct coordinator_ask answer = work->ask; /* the request takes its memory with it */
    request->arena.limit_bytes +=
        (size_t)work->join.member_count *
        (sizeof(struct join_group_response_join_group_response_member) + 16);
    respond(request, &work->join);
    coordinator_ask_free(&answer);
}

/* ---- On the coordinator's shard ---- */

static void joined(struct group_join *join)
{
    coordinator_ask_return(join->context);
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    struct join_work *work = container_of(ask, struct join_work, ask);
    work->join.arena = &ask->arena;
    work->join.done = joined;
    work->join.context = ask;
    if (table != NULL) {
        group_join(table, &work->join);
    } else {
        work->join.error = WIRE_ERROR_NOT_COORDINATOR;
        coordinator_ask_return(ask);
    }
}

/* ---- The request ---- */

/* As Kafka writes it: a slash, and the address without port. */
static struct wire_string describe_host(const struct request *request, char *text)
{
    if (request->client_address == NULL) {
        return topic_place_string("/");
    }
    char address[IO_ADDRESS_TEXT_SIZE];
    io_address_format(request->client_address, address);
    size_t length = strlen(address);
    while (length > 0 && address[length - 1] != ':') {
        length--;
    }
    snprintf(text, IO_ADDRESS_TEXT_SIZE, "/%.*s", (int)(length > 0 ? length - 1 : 0), address);
    return topic_place_string(text);
}

static bool take_protocols(struct join_work *work, const struct join_group_request *body)
{
    struct request *request = work->request;
    struct group_protocol *protocols =
        arena_allocate_array(&request->arena, (size_t)body->protocols_count, sizeof(protocols[0]));
    if (protocols == NULL) {
        return false;
    }
    for (int32_t i = 0; i < body->protocols_count; i++) {
        protocols[i] =
            (struct group_protocol){body->protocols[i].name, body->protocols[i].metadata};
    }
    work->join.protocols = protocols;
    work->join.protocol_count = body->protocols_count;
    return true;
}

static void fill(struct join_work *work, const struct join_group_request *body)
{
    struct request *request = work->request;
    struct group_join *join = &work->join;
    join->group_id = body->group_id;
    join->member_id = body->member_id;
    join->instance_id = body->group_instance_id;
    join->client_id = request->client_id.length >= 0 ? request->client_id : topic_place_string("");
    join->client_host = describe_host(request, work->client_host);
    join->protocol_type = body->protocol_type;
    join->session_timeout_ms = body->session_timeout_ms;
    join->rebalance_timeout_ms =
        body->rebalance_timeout_ms >= 0 ? body->rebalance_timeout_ms : body->session_timeout_ms;
    join->requires_member_id = request->version >= MEMBER_ID_FIRST_LEAST_VERSION;
    join->can_skip_assignment = request->version >= SKIP_ASSIGNMENT_LEAST_VERSION;
    join->generation = -1;
    join->leader = topic_place_string("");
    join->answer_member_id = body->member_id;
    join->answer_protocol = topic_place_string(NULL);
    join->answer_protocol_type = topic_place_string(NULL);
}

void api_join_group(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct join_group_request body;
    if (!join_group_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    struct join_work *work = arena_allocate(&request->arena, sizeof *work);
    if (work == NULL) {
        request_drop(request, "no memory to join a group in");
        return;
    }
    work->request = request;
    if (!take_protocols(work, &body)) {
        request_drop(request, "more protocols than a request may name");
        return;
    }
    fill(work, &body);
    coordinator_ask_init(&work->ask, request->shard, NULL, perform, answered);
    uint64_t group = body.group_id.length > 0
                         ? offsets_topic_group(request->shard, body.group_id, &work->join.error)
                         : 0;
    if (group == 0) {
        if (body.group_id.length <= 0) {
            work->join.error = WIRE_ERROR_INVALID_GROUP_ID;
        }
        respond(request, &work->join);
        return;
    }
    coordinator_ask_send(&work->ask, group);
}
