/* SPDX-License-Identifier: Apache-2.0
 *
 * api_delete_topics.c -- DeleteTopics, on the controller leader.
 *
 * A deletion that is committed stands.  The answer leaves when the brokers have stopped the topics'
 * Raft groups as well, so that a client which then asks any of them finds the topics gone; a broker
 * that is slow or away holds it up for a short time only, and catches up by itself.
 *
 * Locality: shard 0.
 */
#include "base/map.h"
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/metadata_wait.h"
#include "broker/proposal_line.h"
#include "broker/topic_place.h"
#include "wire/delete_topics.h"

/* How long the answer waits at most for groups to stop; the client may want to wait less.  Stopping
 * them goes on behind it. */
#define ANSWER_MS_MAX 2000
#define ID_LEAST_VERSION 6

struct deletion_item {
    struct wire_string name; /* as answered: that of the request, or of the topic its id names */
    struct uuid id;          /* zero: no such topic */
    struct cluster_problem problem;
};

struct deletion_work {
    struct proposal_line line;
    struct request *request;
    struct delete_topics_request body;
    struct deletion_item *items;
    uint64_t answer_wait_ns;
    bool is_changed; /* a topic was deleted */
    struct metadata_wait wait;
};

/* ---- The answer ---- */

static void respond(struct deletion_work *work)
{
    struct request *request = work->request;
    struct delete_topics_response response;
    delete_topics_response_init(&response);
    response.responses =
        arena_allocate_array(&request->arena, work->line.count, sizeof(*response.responses));
    if (response.responses == NULL) {
        request_drop(request, "more topics than a request may name");
        return;
    }
    response.responses_count = (int32_t)work->line.count;
    for (uint32_t i = 0; i < work->line.count; i++) {
        const struct deletion_item *item = &work->items[i];
        struct delete_topics_response_deletable_topic_result *answer = &response.responses[i];
        delete_topics_response_deletable_topic_result_init(answer);
        answer->name = item->name;
        answer->topic_id = item->id;
        answer->error_code = (int16_t)item->problem.error;
        answer->error_message = topic_place_message(&item->problem);
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    delete_topics_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

/* ---- The line ---- */

static void stopped(void *context, enum wire_error error)
{
    (void)error; /* what was not reached is removed by the reconciler of its broker */
    proposal_line_release(context);
}

static bool plan(struct proposal_line *line, uint32_t position, struct wire_writer *record)
{
    struct deletion_work *work = container_of(line, struct deletion_work, line);
    struct deletion_item *item = &work->items[position];
    if (item->problem.error == WIRE_ERROR_NONE) {
        cluster_plan_delete_topic(line->shard->metadata, &item->id, record, &item->problem);
    }
    return item->problem.error == WIRE_ERROR_NONE;
}

static void committed(struct proposal_line *line, uint32_t position, enum wire_error error,
                      const struct cluster_change *change)
{
    struct deletion_work *work = container_of(line, struct deletion_work, line);
    work->items[position].problem.error = error;
    if (error == WIRE_ERROR_NONE) {
        uint64_t deadline_ns = io_now_ns(line->shard->loop) + work->answer_wait_ns;
        work->is_changed = true;
        work->wait.deadline_ns = deadline_ns;
        proposal_line_hold(line);
        controller_stop_groups(line->shard, change->topic, deadline_ns, stopped, line);
    }
}

static void known_everywhere(struct metadata_wait *wait)
{
    respond(container_of(wait, struct deletion_work, wait));
}

/* Brokers that had no replica learn of the change by the controller log alone. */
static void ended(struct proposal_line *line)
{
    struct deletion_work *work = container_of(line, struct deletion_work, line);
    if (!work->is_changed || work->answer_wait_ns == 0) {
        respond(work);
        return;
    }
    work->wait.done = known_everywhere;
    metadata_wait_begin(line->shard, &work->wait);
}

/* ---- The request ---- */

/* The name is copied: the topic it stands in will be gone when the answer is written. */
static struct wire_string keep_name(struct request *request, const struct cluster_topic *topic)
{
    char *name = arena_allocate(&request->arena, topic->name_length);
    if (name == NULL) {
        return topic_place_string(NULL);
    }
    for (uint32_t i = 0; i < topic->name_length; i++) {
        name[i] = topic->name[i];
    }
    return (struct wire_string){name, (int32_t)topic->name_length};
}

static void resolve(struct deletion_work *work, uint32_t position, struct deletion_item *item)
{
    const struct broker_shard *shard = work->request->shard;
    const struct cluster_topic *topic = NULL;
    if (work->request->version < ID_LEAST_VERSION) {
        item->name = work->body.topic_names[position];
        topic = topic_place_by_name(shard, item->name, &item->problem.error);
    } else if (work->body.topics[position].name.length >= 0) {
        item->name = work->body.topics[position].name;
        topic = topic_place_by_name(shard, item->name, &item->problem.error);
    } else {
        item->name = topic_place_string(NULL);
        item->id = work->body.topics[position].topic_id;
        topic = topic_place_by_id(shard, &item->id, &item->problem.error);
        item->name = topic == NULL ? item->name : keep_name(work->request, topic);
    }
    if (topic != NULL) {
        item->id = topic->id;
    }
}

static void make_items(struct deletion_work *work)
{
    struct map ids;
    map_init(&ids);
    bool is_here = proposal_line_is_here(work->request->shard);
    for (uint32_t i = 0; i < work->line.count; i++) {
        struct deletion_item *item = &work->items[i];
        resolve(work, i, item);
        if (!is_here) {
            item->problem.error = WIRE_ERROR_NOT_CONTROLLER;
        }
        if (item->problem.error != WIRE_ERROR_NONE) {
            continue;
        }
        struct deletion_item *twin = map_put_bytes(&ids, &item->id, sizeof(item->id), item);
        if (twin != NULL) {
            item->problem.error = WIRE_ERROR_INVALID_REQUEST;
            twin->problem.error = WIRE_ERROR_INVALID_REQUEST;
        }
    }
    map_free(&ids);
}

static uint64_t answer_wait_ns(int32_t timeout_ms)
{
    int32_t wait_ms = timeout_ms < ANSWER_MS_MAX ? timeout_ms : ANSWER_MS_MAX;
    return wait_ms > 0 ? (uint64_t)wait_ms * 1000000u : 0;
}

void api_delete_topics(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct deletion_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !delete_topics_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    uint32_t count = (uint32_t)(request->version < ID_LEAST_VERSION ? work->body.topic_names_count
                                                                    : work->body.topics_count);
    /* Beyond decoding: items, answers, and names found by id. */
    request->arena.limit_bytes +=
        (size_t)count * (sizeof(struct deletion_item) + CLUSTER_TOPIC_NAME_BYTES_MAX +
                         sizeof(struct delete_topics_response_deletable_topic_result));
    work->items = arena_allocate_array(&request->arena, count, sizeof(*work->items));
    if (work->items == NULL) {
        request_drop(request, "more topics than a request may name");
        return;
    }
    work->request = request;
    work->answer_wait_ns = answer_wait_ns(work->body.timeout_ms);
    work->line = (struct proposal_line){.shard = request->shard,
                                        .count = count,
                                        .plan = plan,
                                        .committed = committed,
                                        .ended = ended};
    make_items(work);
    proposal_line_run(&work->line);
}
