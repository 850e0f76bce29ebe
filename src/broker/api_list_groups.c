/* SPDX-License-Identifier: Apache-2.0
 *
 * api_list_groups.c -- ListGroups: the groups that this broker coordinates; one ask a shard.
 *
 * Locality: the shard of the request; perform on every shard.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/topic_place.h"
#include "wire/list_groups.h"

#include <string.h>
#include <strings.h>

#define GROUP_TYPE "classic"

typedef struct list_groups_response_listed_group listed_group;

struct list_work;

struct list_share {
    struct coordinator_ask ask;
    struct list_work *work;
    listed_group *groups; /* in the ask's arena */
    int32_t group_count;
    bool is_complete;
};

struct list_work {
    struct request *request;
    struct list_groups_request body;
    struct list_share *shares;
    uint32_t share_count;
    uint32_t shares_awaited;
};

/* ---- The answer ---- */

static bool make_answer(struct list_work *work, struct list_groups_response *response)
{
    struct arena *arena = &work->request->arena;
    size_t count = 0;
    for (uint32_t i = 0; i < work->share_count; i++) {
        count += (size_t)work->shares[i].group_count;
        if (!work->shares[i].is_complete) {
            return false;
        }
    }
    arena->limit_bytes += count * sizeof(response->groups[0]) + 16;
    response->groups = arena_allocate_array(arena, count, sizeof(response->groups[0]));
    for (uint32_t i = 0; response->groups != NULL && i < work->share_count; i++) {
        const struct list_share *share = &work->shares[i];
        if (share->group_count > 0) {
            memcpy(&response->groups[response->groups_count], share->groups,
                   (size_t)share->group_count * sizeof(share->groups[0]));
        }
        response->groups_count += share->group_count;
    }
    return response->groups != NULL;
}

static void answered(struct coordinator_ask *ask)
{
    struct list_work *work = container_of(ask, struct list_share, ask)->work;
    if (--work->shares_awaited > 0) {
        return;
    }
    struct list_groups_response response;
    list_groups_response_init(&response);
    bool is_made = make_answer(work, &response);
    struct request *request = work->request;
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    if (is_made) {
        list_groups_response_encode(&response, request->version, &writer);
    }
    for (uint32_t i = 0; i < work->share_count; i++) {
        coordinator_ask_free(&work->shares[i].ask);
    }
    if (is_made) {
        request_respond(request, &writer);
    } else {
        wire_writer_free(&writer);
        request_drop(request, "more groups than an answer may name");
    }
}

/* ---- On every shard ---- */

static bool is_named(const struct wire_string *names, int32_t count, const char *text)
{
    size_t length = strlen(text);
    for (int32_t i = 0; i < count; i++) {
        if ((size_t)names[i].length == length && strncasecmp(names[i].data, text, length) == 0) {
            return true;
        }
    }
    return count <= 0; /* no filter */
}

static bool copy_text(struct arena *arena, struct wire_string from, struct wire_string *to)
{
    size_t length = from.length > 0 ? (size_t)from.length : 0;
    char *copy = arena_allocate(arena, length);
    if (copy != NULL && length > 0) {
        memcpy(copy, from.data, length);
    }
    *to = (struct wire_string){copy, (int32_t)length};
    return copy != NULL;
}

static bool list_group(struct list_share *share, const struct group_view *view)
{
    listed_group *listed = &share->groups[share->group_count++];
    list_groups_response_listed_group_init(listed);
    listed->group_state = topic_place_string(view->state);
    listed->group_type = topic_place_string(GROUP_TYPE);
    return copy_text(&share->ask.arena, view->id, &listed->group_id) &&
           copy_text(&share->ask.arena, view->protocol_type, &listed->protocol_type);
}

static bool list_all(struct list_share *share)
{
    struct broker_shard *shard = share->ask.performing;
    const struct list_groups_request *body = &share->work->body;
    size_t count = 0;
    size_t position = 0;
    struct group_table *table;
    while ((table = coordinator_next(shard, &position)) != NULL) {
        struct group_stats stats;
        group_table_stats(table, &stats);
        count += stats.groups;
    }
    share->groups = arena_allocate_array(&share->ask.arena, count, sizeof(share->groups[0]));
    bool is_good = share->groups != NULL;
    bool is_classic_wanted = is_named(body->types_filter, body->types_filter_count, GROUP_TYPE);
    for (position = 0;
         is_good && is_classic_wanted && (table = coordinator_next(shard, &position)) != NULL;) {
        size_t at = 0;
        struct group_view view;
        while (is_good && group_next(table, &at, &view)) {
            if (is_named(body->states_filter, body->states_filter_count, view.state)) {
                is_good = list_group(share, &view);
            }
        }
    }
    return is_good;
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    (void)table;
    struct list_share *share = container_of(ask, struct list_share, ask);
    share->is_complete = list_all(share);
    coordinator_ask_return(ask);
}

/* ---- The request ---- */

void api_list_groups(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    uint32_t count = shard_count(request->shard->shard);
    struct list_work *work = arena_allocate(&request->arena, sizeof *work);
    request->arena.limit_bytes += count * (sizeof(struct list_share) + 16);
    struct list_share *shares = arena_allocate_array(&request->arena, count, sizeof(shares[0]));
    if (work == NULL || shares == NULL) {
        request_drop(request, "no memory to list groups in");
        return;
    }
    if (!list_groups_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    work->request = request;
    work->shares = shares;
    work->share_count = count;
    work->shares_awaited = count;
    for (uint32_t i = 0; i < count; i++) {
        shares[i].work = work;
        coordinator_ask_init(&shares[i].ask, request->shard, NULL, perform, answered);
    }
    /* The last answer may come from inside of the last send, and takes the work with it. */
    for (uint32_t i = 0; i < count; i++) {
        coordinator_ask_send_to_shard(&shares[i].ask, i);
    }
}
