/* SPDX-License-Identifier: Apache-2.0
 *
 * api_offset_delete.c -- OffsetDelete: single committed offsets of a group go (KIP-496).
 *
 * Locality: the shard of the request; perform and deleted on the coordinator's.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/offsets_topic.h"
#include "wire/offset_delete.h"

struct offset_delete_work {
    struct coordinator_ask ask;
    struct request *request;
    struct offset_delete_request body;
    struct group_delete deletion;
};

/* ---- The answer ---- */

static bool make_answer(const struct offset_delete_work *work,
                        struct offset_delete_response *response)
{
    struct arena *arena = &work->request->arena;
    const struct offset_delete_request *body = &work->body;
    if (work->deletion.error != WIRE_ERROR_NONE) {
        return true; /* says it all */
    }
    arena->limit_bytes +=
        (size_t)work->deletion.offset_count * (sizeof(*response->topics->partitions) + 16) +
        (size_t)body->topics_count * (sizeof(*response->topics) + 16);
    response->topics =
        arena_allocate_array(arena, (size_t)body->topics_count, sizeof(*response->topics));
    const struct group_offset *offset = work->deletion.offsets;
    for (int32_t i = 0; response->topics != NULL && i < body->topics_count; i++) {
        struct offset_delete_response_offset_delete_response_topic *topic =
            &response->topics[response->topics_count++];
        offset_delete_response_offset_delete_response_topic_init(topic);
        topic->name = body->topics[i].name;
        topic->partitions = arena_allocate_array(arena, (size_t)body->topics[i].partitions_count,
                                                 sizeof(*topic->partitions));
        if (topic->partitions == NULL) {
            return false;
        }
        for (int32_t k = 0; k < body->topics[i].partitions_count; k++, offset++) {
            struct offset_delete_response_offset_delete_response_partition *partition =
                &topic->partitions[topic->partitions_count++];
            offset_delete_response_offset_delete_response_partition_init(partition);
            partition->partition_index = offset->partition;
            partition->error_code = (int16_t)offset->error;
        }
    }
    return response->topics != NULL;
}

static void respond(struct offset_delete_work *work)
{
    struct offset_delete_response response;
    offset_delete_response_init(&response);
    response.error_code = (int16_t)work->deletion.error;
    if (!make_answer(work, &response)) {
        request_drop(work->request, "more offsets than a request may name");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    offset_delete_response_encode(&response, work->request->version, &writer);
    request_respond(work->request, &writer);
}

static void answered(struct coordinator_ask *ask)
{
    coordinator_ask_free(ask);
    respond(container_of(ask, struct offset_delete_work, ask));
}

/* ---- On the coordinator's shard ---- */

static void deleted(struct group_delete *deletion)
{
    coordinator_ask_return(deletion->context);
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    struct offset_delete_work *work = container_of(ask, struct offset_delete_work, ask);
    work->deletion.done = deleted;
    work->deletion.context = ask;
    if (table != NULL) {
        group_delete(table, &work->deletion);
    } else {
        work->deletion.error = WIRE_ERROR_NOT_COORDINATOR;
        coordinator_ask_return(ask);
    }
}

/* ---- The request ---- */

static bool fill(struct offset_delete_work *work)
{
    const struct offset_delete_request *body = &work->body;
    struct group_delete *deletion = &work->deletion;
    size_t count = 0;
    for (int32_t i = 0; i < body->topics_count; i++) {
        count += (size_t)body->topics[i].partitions_count;
    }
    work->request->arena.limit_bytes += count * (sizeof(deletion->offsets[0]) + 16);
    deletion->group_id = body->group_id;
    deletion->offsets =
        arena_allocate_array(&work->request->arena, count, sizeof(deletion->offsets[0]));
    for (int32_t i = 0; deletion->offsets != NULL && i < body->topics_count; i++) {
        for (int32_t k = 0; k < body->topics[i].partitions_count; k++) {
            deletion->offsets[deletion->offset_count++] =
                (struct group_offset){.topic = body->topics[i].name,
                                      .partition = body->topics[i].partitions[k].partition_index};
        }
    }
    return deletion->offsets != NULL;
}

void api_offset_delete(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct offset_delete_work *work = arena_allocate(&request->arena, sizeof *work);
    if (work == NULL) {
        request_drop(request, "no memory to delete in");
        return;
    }
    if (!offset_delete_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    work->request = request;
    if (!fill(work)) {
        request_drop(request, "more offsets than a request may name");
        return;
    }
    coordinator_ask_init(&work->ask, request->shard, NULL, perform, answered);
    uint64_t group =
        offsets_topic_group(request->shard, work->body.group_id, &work->deletion.error);
    if (group == 0) {
        respond(work);
        return;
    }
    coordinator_ask_send(&work->ask, group);
}
