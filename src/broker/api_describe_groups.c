/* SPDX-License-Identifier: Apache-2.0
 *
 * api_describe_groups.c -- DescribeGroups: state and members; one ask a group.
 *
 * Locality: the shard of the request; perform on the coordinator's.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/offsets_topic.h"
#include "broker/topic_place.h"
#include "wire/describe_groups.h"

#include <string.h>

#define NOT_FOUND_LEAST_VERSION 6 /* before, an unknown group is a dead one */
#define DEAD "Dead"

struct describe_work;

struct describe_share {
    struct coordinator_ask ask;
    struct describe_work *work;
    struct wire_string group_id;
    struct group_view view;
    enum wire_error error;
};

struct describe_work {
    struct request *request;
    struct describe_share *shares;
    int32_t share_count;
    int32_t shares_awaited;
};

/* ---- The answer ---- */

static struct wire_string never_null(struct wire_string text)
{
    return text.length >= 0 ? text : (struct wire_string){"", 0};
}

static bool answer_members(struct arena *arena, const struct group_view *view,
                           struct describe_groups_response_described_group *answer)
{
    size_t count = (size_t)view->member_count;
    arena->limit_bytes += count * sizeof(answer->members[0]) + 16;
    answer->members = arena_allocate_array(arena, count, sizeof(answer->members[0]));
    if (answer->members == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct group_member_view *from = &view->members[i];
        struct describe_groups_response_described_group_member *member =
            &answer->members[answer->members_count++];
        describe_groups_response_described_group_member_init(member);
        member->member_id = from->id;
        member->group_instance_id = from->instance_id;
        member->client_id = never_null(from->client_id);
        member->client_host = never_null(from->client_host);
        member->member_metadata = from->metadata;
        member->member_assignment = from->assignment;
    }
    return true;
}

static bool answer_share(struct request *request, const struct describe_share *share,
                         struct describe_groups_response_described_group *answer)
{
    describe_groups_response_described_group_init(answer);
    answer->group_id = share->group_id;
    answer->error_code = (int16_t)share->error;
    answer->group_state = topic_place_string("");
    if (share->error != WIRE_ERROR_NONE) {
        return true;
    }
    answer->group_state = topic_place_string(share->view.state);
    answer->protocol_type = never_null(share->view.protocol_type);
    answer->protocol_data = never_null(share->view.protocol);
    if (strcmp(share->view.state, DEAD) == 0 && request->version >= NOT_FOUND_LEAST_VERSION) {
        answer->error_code = WIRE_ERROR_GROUP_ID_NOT_FOUND;
        answer->error_message = topic_place_string("There is no such group.");
    }
    return answer_members(&request->arena, &share->view, answer);
}

static bool make_answer(struct describe_work *work, struct describe_groups_response *response)
{
    struct arena *arena = &work->request->arena;
    size_t count = (size_t)work->share_count;
    arena->limit_bytes += count * (sizeof(response->groups[0]) + 16);
    response->groups = arena_allocate_array(arena, count, sizeof(response->groups[0]));
    response->groups_count = work->share_count;
    for (size_t i = 0; response->groups != NULL && i < count; i++) {
        if (!answer_share(work->request, &work->shares[i], &response->groups[i])) {
            return false;
        }
    }
    return response->groups != NULL;
}

static void respond(struct describe_work *work)
{
    struct request *request = work->request;
    struct describe_groups_response response;
    describe_groups_response_init(&response);
    bool is_made = make_answer(work, &response);
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    if (is_made) {
        describe_groups_response_encode(&response, request->version, &writer);
    }
    for (int32_t i = 0; i < work->share_count; i++) {
        coordinator_ask_free(&work->shares[i].ask);
    }
    if (is_made) {
        request_respond(request, &writer);
    } else {
        wire_writer_free(&writer);
        request_drop(request, "more groups than a request may name");
    }
}

static void share_done(struct describe_work *work)
{
    if (--work->shares_awaited == 0) {
        respond(work);
    }
}

static void answered(struct coordinator_ask *ask)
{
    share_done(container_of(ask, struct describe_share, ask)->work);
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    struct describe_share *share = container_of(ask, struct describe_share, ask);
    share->error = table != NULL ? group_check(table, share->group_id) : WIRE_ERROR_NOT_COORDINATOR;
    if (share->error == WIRE_ERROR_NONE &&
        !group_describe(table, share->group_id, &ask->arena, &share->view)) {
        share->error = WIRE_ERROR_UNKNOWN_SERVER_ERROR;
    }
    coordinator_ask_return(ask);
}

/* ---- The request ---- */

void api_describe_groups(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct describe_groups_request body;
    if (!describe_groups_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    size_t count = (size_t)body.groups_count;
    request->arena.limit_bytes += count * (sizeof(struct describe_share) + 16) + 64;
    struct describe_work *work = arena_allocate(&request->arena, sizeof *work);
    struct describe_share *shares = arena_allocate_array(&request->arena, count, sizeof(shares[0]));
    if (work == NULL || shares == NULL) {
        request_drop(request, "more groups than a request may name");
        return;
    }
    *work = (struct describe_work){request, shares, body.groups_count, body.groups_count + 1};
    for (size_t i = 0; i < count; i++) {
        shares[i].work = work;
        shares[i].group_id = body.groups[i];
        coordinator_ask_init(&shares[i].ask, request->shard, NULL, perform, answered);
        uint64_t group = offsets_topic_group(request->shard, body.groups[i], &shares[i].error);
        if (group != 0) {
            coordinator_ask_send(&shares[i].ask, group);
        } else {
            share_done(work);
        }
    }
    share_done(work);
}
