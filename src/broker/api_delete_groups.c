/* SPDX-License-Identifier: Apache-2.0
 *
 * api_delete_groups.c -- DeleteGroups: groups without members go, with what they committed; one ask
 * a group.
 *
 * Locality: the shard of the request; perform and deleted on the coordinator's.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/offsets_topic.h"
#include "wire/delete_groups.h"

struct delete_work;

struct delete_share {
    struct coordinator_ask ask;
    struct delete_work *work;
    struct group_delete deletion;
};

struct delete_work {
    struct request *request;
    struct delete_share *shares;
    int32_t share_count;
    int32_t shares_awaited;
};

static void respond(struct delete_work *work)
{
    struct request *request = work->request;
    struct delete_groups_response response;
    delete_groups_response_init(&response);
    size_t count = (size_t)work->share_count;
    request->arena.limit_bytes += count * sizeof(response.results[0]) + 16;
    response.results = arena_allocate_array(&request->arena, count, sizeof(response.results[0]));
    if (response.results == NULL) {
        request_drop(request, "more groups than a request may name");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct delete_groups_response_deletable_group_result *result =
            &response.results[response.results_count++];
        delete_groups_response_deletable_group_result_init(result);
        result->group_id = work->shares[i].deletion.group_id;
        result->error_code = (int16_t)work->shares[i].deletion.error;
        coordinator_ask_free(&work->shares[i].ask);
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 128);
    delete_groups_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

static void share_done(struct delete_work *work)
{
    if (--work->shares_awaited == 0) {
        respond(work);
    }
}

static void answered(struct coordinator_ask *ask)
{
    share_done(container_of(ask, struct delete_share, ask)->work);
}

static void deleted(struct group_delete *deletion)
{
    coordinator_ask_return(deletion->context);
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    struct delete_share *share = container_of(ask, struct delete_share, ask);
    share->deletion.done = deleted;
    share->deletion.context = ask;
    if (table != NULL) {
        group_delete(table, &share->deletion);
    } else {
        share->deletion.error = WIRE_ERROR_NOT_COORDINATOR;
        coordinator_ask_return(ask);
    }
}

void api_delete_groups(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct delete_groups_request body;
    if (!delete_groups_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    size_t count = (size_t)body.groups_names_count;
    request->arena.limit_bytes += count * (sizeof(struct delete_share) + 16) + 64;
    struct delete_work *work = arena_allocate(&request->arena, sizeof *work);
    struct delete_share *shares = arena_allocate_array(&request->arena, count, sizeof(shares[0]));
    if (work == NULL || shares == NULL) {
        request_drop(request, "more groups than a request may name");
        return;
    }
    *work = (struct delete_work){request, shares, (int32_t)count, (int32_t)count + 1};
    for (size_t i = 0; i < count; i++) {
        shares[i].work = work;
        shares[i].deletion.group_id = body.groups_names[i];
        coordinator_ask_init(&shares[i].ask, request->shard, NULL, perform, answered);
        uint64_t group =
            offsets_topic_group(request->shard, body.groups_names[i], &shares[i].deletion.error);
        if (group != 0) {
            coordinator_ask_send(&shares[i].ask, group);
        } else {
            share_done(work);
        }
    }
    share_done(work);
}
