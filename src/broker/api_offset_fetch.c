/* SPDX-License-Identifier: Apache-2.0
 *
 * api_offset_fetch.c -- OffsetFetch: how far groups have read, of named partitions or of all.
 *
 * From version 8 on several groups may be asked for, whose coordinators may live on several shards:
 * one ask a group, and the answer leaves when all are home.
 *
 * Locality: the shard of the request; perform on the coordinator's.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/offsets_topic.h"
#include "wire/offset_fetch.h"

#include <string.h>

#define GROUPS_LEAST_VERSION 8
#define TOP_ERROR_LEAST_VERSION 2

typedef struct offset_fetch_response_offset_fetch_response_group answer_group;
typedef struct offset_fetch_response_offset_fetch_response_topics answer_topic;
typedef struct offset_fetch_response_offset_fetch_response_partitions answer_partition;

struct fetch_work;

/* One group of the request. */
struct fetch_share {
    struct coordinator_ask ask;
    struct fetch_work *work;
    struct wire_string group_id;
    bool wants_all;
    struct group_offset *offsets; /* asked for, or (wants_all) found */
    int32_t offset_count;
    enum wire_error error;
};

struct fetch_work {
    struct request *request;
    struct fetch_share *shares;
    int32_t share_count;
    int32_t shares_awaited;
};

/* ---- The answer ---- */

static bool same_topic(const struct group_offset *left, const struct group_offset *right)
{
    return left->topic.length == right->topic.length &&
           (left->topic.length <= 0 ||
            memcmp(left->topic.data, right->topic.data, (size_t)left->topic.length) == 0);
}

static void answer_offset(const struct group_offset *offset, enum wire_error error,
                          answer_partition *answer)
{
    offset_fetch_response_offset_fetch_response_partitions_init(answer);
    bool is_good = error == WIRE_ERROR_NONE;
    answer->partition_index = offset->partition;
    answer->committed_offset = is_good ? offset->offset : -1;
    answer->committed_leader_epoch = is_good ? offset->leader_epoch : -1;
    answer->metadata = is_good ? offset->metadata : (struct wire_string){"", 0};
    answer->error_code = (int16_t)error;
}

/* Neighbours of one topic become one entry.  False: no memory. */
static bool answer_share(struct arena *arena, const struct fetch_share *share, answer_group *group)
{
    size_t count = (size_t)share->offset_count;
    arena->limit_bytes += count * (sizeof(answer_topic) + sizeof(answer_partition) + 32);
    group->group_id = share->group_id;
    group->error_code = (int16_t)share->error;
    group->topics = arena_allocate_array(arena, count, sizeof(group->topics[0]));
    answer_partition *partitions = arena_allocate_array(arena, count, sizeof(partitions[0]));
    if (group->topics == NULL || partitions == NULL) {
        return false;
    }
    answer_topic *topic = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct group_offset *offset = &share->offsets[i];
        if (topic == NULL || !same_topic(offset, offset - 1)) {
            topic = &group->topics[group->topics_count++];
            offset_fetch_response_offset_fetch_response_topics_init(topic);
            topic->name = offset->topic;
            topic->partitions = &partitions[i];
        }
        answer_offset(offset, share->error, &partitions[i]);
        topic->partitions_count++;
    }
    return true;
}

/* The form of one group.  False: no memory. */
static bool answer_single(struct arena *arena, const answer_group *group,
                          struct offset_fetch_response *response)
{
    arena->limit_bytes += (size_t)group->topics_count * (sizeof(response->topics[0]) + 16);
    response->error_code = group->error_code;
    response->topics =
        arena_allocate_array(arena, (size_t)group->topics_count, sizeof(response->topics[0]));
    for (int32_t i = 0; response->topics != NULL && i < group->topics_count; i++) {
        const answer_topic *from = &group->topics[i];
        struct offset_fetch_response_offset_fetch_response_topic *topic =
            &response->topics[response->topics_count++];
        size_t count = (size_t)from->partitions_count;
        offset_fetch_response_offset_fetch_response_topic_init(topic);
        topic->name = from->name;
        arena->limit_bytes += count * sizeof(topic->partitions[0]) + 16;
        topic->partitions = arena_allocate_array(arena, count, sizeof(topic->partitions[0]));
        if (topic->partitions == NULL) {
            return false;
        }
        for (size_t k = 0; k < count; k++) {
            struct offset_fetch_response_offset_fetch_response_partition *partition =
                &topic->partitions[topic->partitions_count++];
            offset_fetch_response_offset_fetch_response_partition_init(partition);
            partition->partition_index = from->partitions[k].partition_index;
            partition->committed_offset = from->partitions[k].committed_offset;
            partition->committed_leader_epoch = from->partitions[k].committed_leader_epoch;
            partition->metadata = from->partitions[k].metadata;
            partition->error_code = from->partitions[k].error_code;
        }
    }
    return response->topics != NULL;
}

static bool make_answer(struct fetch_work *work, struct offset_fetch_response *response)
{
    struct request *request = work->request;
    struct arena *arena = &request->arena;
    arena->limit_bytes += (size_t)work->share_count * (sizeof(answer_group) + 16);
    answer_group *groups =
        arena_allocate_array(arena, (size_t)work->share_count, sizeof(groups[0]));
    if (groups == NULL) {
        return false;
    }
    for (int32_t i = 0; i < work->share_count; i++) {
        struct fetch_share *share = &work->shares[i];
        offset_fetch_response_offset_fetch_response_group_init(&groups[i]);
        if (share->error != WIRE_ERROR_NONE && request->version >= TOP_ERROR_LEAST_VERSION) {
            share->offset_count = 0; /* the one error says it */
        }
        if (!answer_share(arena, share, &groups[i])) {
            return false;
        }
    }
    if (request->version < GROUPS_LEAST_VERSION) {
        return answer_single(arena, &groups[0], response);
    }
    response->groups = groups;
    response->groups_count = work->share_count;
    return true;
}

static void respond(struct fetch_work *work)
{
    struct request *request = work->request;
    struct offset_fetch_response response;
    offset_fetch_response_init(&response);
    bool is_made = make_answer(work, &response);
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    if (is_made) {
        offset_fetch_response_encode(&response, request->version, &writer);
    }
    for (int32_t i = 0; i < work->share_count; i++) {
        coordinator_ask_free(&work->shares[i].ask);
    }
    if (is_made) {
        request_respond(request, &writer);
    } else {
        wire_writer_free(&writer);
        request_drop(request, "more offsets than a request may name");
    }
}

static void share_done(struct fetch_work *work)
{
    if (--work->shares_awaited == 0) {
        respond(work);
    }
}

static void answered(struct coordinator_ask *ask)
{
    share_done(container_of(ask, struct fetch_share, ask)->work);
}

/* ---- On the coordinator's shard ---- */

/* What was found stands in the table; the answer has copies.  False: no memory. */
static bool copy_text(struct arena *arena, struct wire_string *text)
{
    char *copy = arena_allocate(arena, text->length > 0 ? (size_t)text->length : 0);
    if (copy == NULL) {
        return false;
    }
    if (text->length > 0) {
        memcpy(copy, text->data, (size_t)text->length);
    }
    text->data = copy;
    return true;
}

static enum wire_error copy_found(struct fetch_share *share)
{
    for (int32_t i = 0; i < share->offset_count; i++) {
        struct group_offset *offset = &share->offsets[i];
        if ((share->wants_all && !copy_text(&share->ask.arena, &offset->topic)) ||
            !copy_text(&share->ask.arena, &offset->metadata)) {
            return WIRE_ERROR_UNKNOWN_SERVER_ERROR;
        }
    }
    return WIRE_ERROR_NONE;
}

static void look_up(struct coordinator_ask *ask, struct group_table *table)
{
    struct fetch_share *share = container_of(ask, struct fetch_share, ask);
    if (table == NULL) {
        share->error = WIRE_ERROR_NOT_COORDINATOR;
    } else if (share->wants_all) {
        share->error = group_fetch_all(table, share->group_id, &ask->arena, &share->offsets,
                                       &share->offset_count);
        if (share->error == WIRE_ERROR_NONE && share->offsets == NULL) {
            share->error = WIRE_ERROR_UNKNOWN_SERVER_ERROR;
        }
    } else {
        share->error = group_fetch(table, share->group_id, share->offsets, share->offset_count);
    }
    if (share->error == WIRE_ERROR_NONE) {
        share->error = copy_found(share);
    }
    coordinator_ask_return(ask);
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    (void)table;
    coordinator_ask_confirm(ask, look_up);
}

/* ---- The request ---- */

static void add_topic(struct fetch_share *share, struct wire_string name, const int32_t *partitions,
                      int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        share->offsets[share->offset_count++] =
            (struct group_offset){.topic = name, .partition = partitions[i]};
    }
}

static bool make_room(struct arena *arena, struct fetch_share *share, size_t count)
{
    arena->limit_bytes += count * sizeof(share->offsets[0]) + 16;
    share->offsets = arena_allocate_array(arena, count, sizeof(share->offsets[0]));
    return share->offsets != NULL;
}

static bool take_single(struct fetch_work *work, const struct offset_fetch_request *body)
{
    struct arena *arena = &work->request->arena;
    struct fetch_share *share = &work->shares[0];
    size_t count = 0;
    share->group_id = body->group_id;
    share->wants_all = body->topics_count < 0;
    for (int32_t i = 0; i < body->topics_count; i++) {
        count += (size_t)body->topics[i].partition_indexes_count;
    }
    if (!make_room(arena, share, count)) {
        return false;
    }
    for (int32_t i = 0; i < body->topics_count; i++) {
        add_topic(share, body->topics[i].name, body->topics[i].partition_indexes,
                  body->topics[i].partition_indexes_count);
    }
    return true;
}

static bool take_group(struct fetch_share *share, struct arena *arena,
                       const struct offset_fetch_request_offset_fetch_request_group *asked)
{
    size_t count = 0;
    share->group_id = asked->group_id;
    share->wants_all = asked->topics_count < 0;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        count += (size_t)asked->topics[i].partition_indexes_count;
    }
    if (!make_room(arena, share, count)) {
        return false;
    }
    for (int32_t i = 0; i < asked->topics_count; i++) {
        add_topic(share, asked->topics[i].name, asked->topics[i].partition_indexes,
                  asked->topics[i].partition_indexes_count);
    }
    return true;
}

static bool take_request(struct fetch_work *work, const struct offset_fetch_request *body)
{
    struct request *request = work->request;
    bool has_groups = request->version >= GROUPS_LEAST_VERSION;
    work->share_count = has_groups ? body->groups_count : 1;
    request->arena.limit_bytes += (size_t)work->share_count * (sizeof(work->shares[0]) + 16);
    work->shares =
        arena_allocate_array(&request->arena, (size_t)work->share_count, sizeof(work->shares[0]));
    if (work->shares == NULL) {
        return false;
    }
    for (int32_t i = 0; i < work->share_count; i++) {
        struct fetch_share *share = &work->shares[i];
        share->work = work;
        coordinator_ask_init(&share->ask, request->shard, NULL, perform, answered);
        bool is_taken = has_groups ? take_group(share, &request->arena, &body->groups[i])
                                   : take_single(work, body);
        if (!is_taken) {
            return false;
        }
    }
    return true;
}

void api_offset_fetch(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct offset_fetch_request body;
    if (!offset_fetch_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    struct fetch_work *work = arena_allocate(&request->arena, sizeof *work);
    if (work == NULL) {
        request_drop(request, "no memory to look up offsets in");
        return;
    }
    work->request = request;
    if (!take_request(work, &body)) {
        request_drop(request, "more offsets than a request may name");
        return;
    }
    work->shares_awaited = work->share_count + 1; /* one for this loop */
    for (int32_t i = 0; i < work->share_count; i++) {
        struct fetch_share *share = &work->shares[i];
        uint64_t group = offsets_topic_group(request->shard, share->group_id, &share->error);
        if (group != 0) {
            coordinator_ask_send(&share->ask, group);
        } else {
            share_done(work);
        }
    }
    share_done(work);
}
