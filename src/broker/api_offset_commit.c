/* SPDX-License-Identifier: Apache-2.0
 *
 * api_offset_commit.c -- OffsetCommit: answered when the offsets are flushed on a majority.
 *
 * Locality: the shard of the request; perform and committed on the coordinator's.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/coordinator_ask.h"
#include "broker/offsets_topic.h"
#include "wire/offset_commit.h"

struct commit_work {
    struct coordinator_ask ask;
    struct request *request;
    struct offset_commit_request body;
    struct group_commit commit;
};

/* ---- The answer ---- */

static bool answer_topic(struct request *request,
                         const struct offset_commit_request_offset_commit_request_topic *asked,
                         const struct group_offset *offsets,
                         struct offset_commit_response_offset_commit_response_topic *answer)
{
    answer->name = asked->name;
    answer->partitions = arena_allocate_array(&request->arena, (size_t)asked->partitions_count,
                                              sizeof(*answer->partitions));
    if (answer->partitions == NULL) {
        return false;
    }
    answer->partitions_count = asked->partitions_count;
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        offset_commit_response_offset_commit_response_partition_init(&answer->partitions[i]);
        answer->partitions[i].partition_index = offsets[i].partition;
        answer->partitions[i].error_code = (int16_t)offsets[i].error;
    }
    return true;
}

static bool make_answer(const struct commit_work *work, struct offset_commit_response *response)
{
    struct request *request = work->request;
    const struct offset_commit_request *body = &work->body;
    request->arena.limit_bytes +=
        (size_t)work->commit.offset_count * (sizeof(*response->topics->partitions) + 16) +
        (size_t)body->topics_count * (sizeof(*response->topics) + 16);
    response->topics = arena_allocate_array(&request->arena, (size_t)body->topics_count,
                                            sizeof(*response->topics));
    if (response->topics == NULL) {
        return false;
    }
    const struct group_offset *offsets = work->commit.offsets;
    for (int32_t i = 0; i < body->topics_count; i++) {
        struct offset_commit_response_offset_commit_response_topic *topic =
            &response->topics[response->topics_count++];
        offset_commit_response_offset_commit_response_topic_init(topic);
        if (!answer_topic(request, &body->topics[i], offsets, topic)) {
            return false;
        }
        offsets += body->topics[i].partitions_count;
    }
    return true;
}

static void respond(struct commit_work *work)
{
    struct offset_commit_response response;
    offset_commit_response_init(&response);
    if (!make_answer(work, &response)) {
        request_drop(work->request, "more offsets than a request may name");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    offset_commit_response_encode(&response, work->request->version, &writer);
    request_respond(work->request, &writer);
}

static void answered(struct coordinator_ask *ask)
{
    coordinator_ask_free(ask);
    respond(container_of(ask, struct commit_work, ask));
}

/* ---- On the coordinator's shard ---- */

static void committed(struct group_commit *commit)
{
    coordinator_ask_return(commit->context);
}

static void refuse_all(struct group_commit *commit, enum wire_error error)
{
    for (int32_t i = 0; i < commit->offset_count; i++) {
        commit->offsets[i].error = error;
    }
}

static void perform(struct coordinator_ask *ask, struct group_table *table)
{
    struct commit_work *work = container_of(ask, struct commit_work, ask);
    work->commit.done = committed;
    work->commit.context = ask;
    if (table != NULL) {
        group_commit(table, &work->commit);
    } else {
        refuse_all(&work->commit, WIRE_ERROR_NOT_COORDINATOR);
        coordinator_ask_return(ask);
    }
}

/* ---- The request ---- */

static bool fill(struct commit_work *work)
{
    const struct offset_commit_request *body = &work->body;
    struct group_commit *commit = &work->commit;
    size_t count = 0;
    for (int32_t i = 0; i < body->topics_count; i++) {
        count += (size_t)body->topics[i].partitions_count;
    }
    work->request->arena.limit_bytes += count * (sizeof(commit->offsets[0]) + 16);
    commit->offsets =
        arena_allocate_array(&work->request->arena, count, sizeof(commit->offsets[0]));
    if (commit->offsets == NULL) {
        return false;
    }
    for (int32_t i = 0; i < body->topics_count; i++) {
        const struct offset_commit_request_offset_commit_request_topic *topic = &body->topics[i];
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            commit->offsets[commit->offset_count++] =
                (struct group_offset){.topic = topic->name,
                                      .partition = topic->partitions[k].partition_index,
                                      .offset = topic->partitions[k].committed_offset,
                                      .leader_epoch = topic->partitions[k].committed_leader_epoch,
                                      .metadata = topic->partitions[k].committed_metadata};
        }
    }
    commit->group_id = body->group_id;
    commit->member_id = body->member_id;
    commit->instance_id = body->group_instance_id;
    commit->generation = body->generation_id_or_member_epoch;
    return true;
}

void api_offset_commit(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct commit_work *work = arena_allocate(&request->arena, sizeof *work);
    if (work == NULL) {
        request_drop(request, "no memory to commit in");
        return;
    }
    if (!offset_commit_request_decode(&work->body, request->version, &cursor) ||
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
    enum wire_error error = WIRE_ERROR_NONE;
    uint64_t group = offsets_topic_group(request->shard, work->body.group_id, &error);
    if (group == 0) {
        refuse_all(&work->commit, error);
        respond(work);
        return;
    }
    coordinator_ask_send(&work->ask, group);
}
