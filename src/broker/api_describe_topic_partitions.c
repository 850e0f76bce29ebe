/* SPDX-License-Identifier: Apache-2.0
 *
 * api_describe_topic_partitions.c -- DescribeTopicPartitions: topics in the order of their names,
 * so many partitions a page, with a cursor to where the next page begins.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/topic_picture.h"
#include "broker/topic_place.h"
#include "wire/describe_topic_partitions.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX (256u * 1024 * 1024)
#define PARTITIONS_A_PAGE_MAX 2000
#define TOPICS_MAX 100000 /* that a request may name; they are sorted on the loop */

struct page {
    struct request *request;
    struct describe_topic_partitions_request body;
    struct describe_topic_partitions_response response;
    struct arena arena;
    uint32_t partitions_left;
    bool is_complete; /* false: the arena is exhausted */
};

static int compare_names(struct wire_string left, struct wire_string right)
{
    size_t length = (size_t)(left.length < right.length ? left.length : right.length);
    int order = memcmp(left.data, right.data, length);
    return order != 0 ? order : (left.length > right.length) - (left.length < right.length);
}

static int compare_asked(const void *left, const void *right)
{
    return compare_names(
        ((const struct describe_topic_partitions_request_topic_request *)left)->name,
        ((const struct describe_topic_partitions_request_topic_request *)right)->name);
}

/* ---- One topic ---- */

static void describe_partition(
    struct page *page, const struct cluster_partition *partition,
    struct describe_topic_partitions_response_describe_topic_partitions_response_partition *answer)
{
    struct partition_picture picture;
    if (!partition_picture_take(page->request->shard, partition, &page->arena, &picture)) {
        page->is_complete = false;
        return;
    }
    answer->error_code = (int16_t)picture.error;
    answer->leader_id = picture.leader;
    answer->leader_epoch = picture.leader_epoch;
    answer->replica_nodes = picture.replicas;
    answer->replica_nodes_count = picture.replica_count;
    answer->isr_nodes = picture.in_sync;
    answer->isr_nodes_count = picture.in_sync_count;
    answer->offline_replicas = picture.offline;
    answer->offline_replicas_count = picture.offline_count;
    /* Raft knows no such replicas.  Null is allowed, but Java's admin client stumbles over it. */
    answer->eligible_leader_replicas_count = 0;
    answer->last_known_elr_count = 0;
}

static void set_cursor(struct page *page, struct wire_string topic, uint32_t partition)
{
    page->response.next_cursor_present = true;
    page->response.next_cursor.topic_name = topic;
    page->response.next_cursor.partition_index = (int32_t)partition;
    page->partitions_left = 0;
}

static void describe_topic(struct page *page, const struct cluster_topic *topic, uint32_t first)
{
    struct wire_string name = {topic->name, (int32_t)topic->name_length};
    if (page->partitions_left == 0) {
        set_cursor(page, name, first);
        return;
    }
    struct describe_topic_partitions_response_describe_topic_partitions_response_topic *answer =
        &page->response.topics[page->response.topics_count++];
    describe_topic_partitions_response_describe_topic_partitions_response_topic_init(answer);
    answer->name = name;
    answer->topic_id = topic->id;
    answer->is_internal = topic->is_internal;

    uint32_t count = first < topic->partition_count ? topic->partition_count - first : 0;
    bool is_cut = count > page->partitions_left;
    count = is_cut ? page->partitions_left : count;
    answer->partitions = arena_allocate_array(&page->arena, count, sizeof(*answer->partitions));
    page->is_complete = page->is_complete && answer->partitions != NULL;
    for (uint32_t i = 0; page->is_complete && i < count; i++) {
        describe_topic_partitions_response_describe_topic_partitions_response_partition_init(
            &answer->partitions[i]);
        answer->partitions[i].partition_index = (int32_t)(first + i);
        describe_partition(page, &topic->partitions[first + i], &answer->partitions[i]);
    }
    answer->partitions_count = (int32_t)count;
    page->partitions_left -= count;
    if (is_cut) {
        set_cursor(page, name, first + count);
    }
}

static void describe_unknown(struct page *page, struct wire_string name, enum wire_error error)
{
    struct describe_topic_partitions_response_describe_topic_partitions_response_topic *answer =
        &page->response.topics[page->response.topics_count++];
    describe_topic_partitions_response_describe_topic_partitions_response_topic_init(answer);
    bool is_good = cluster_topic_name_error(name.data, (size_t)name.length) == NULL;
    answer->name = name;
    answer->error_code = (int16_t)(is_good ? error : WIRE_ERROR_INVALID_TOPIC_EXCEPTION);
}

/* ---- The page ---- */

/* The first partition of the topic to describe, or -1 when it lies before the cursor. */
static int64_t first_partition(const struct page *page, struct wire_string name)
{
    if (!page->body.cursor_present) {
        return 0;
    }
    int order = compare_names(name, page->body.cursor.topic_name);
    if (order != 0) {
        return order < 0 ? -1 : 0;
    }
    return page->body.cursor.partition_index < 0 ? 0 : page->body.cursor.partition_index;
}

static void describe_asked(struct page *page)
{
    qsort(page->body.topics, (size_t)page->body.topics_count, sizeof(*page->body.topics),
          compare_asked);
    for (int32_t i = 0; page->is_complete && i < page->body.topics_count; i++) {
        struct wire_string name = page->body.topics[i].name;
        bool is_copy = i > 0 && compare_names(name, page->body.topics[i - 1].name) == 0;
        int64_t first = first_partition(page, name);
        if (is_copy || first < 0 || page->response.next_cursor_present) {
            continue;
        }
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic = topic_place_by_name(page->request->shard, name, &error);
        if (topic == NULL) {
            describe_unknown(page, name, error);
        } else {
            describe_topic(page, topic, (uint32_t)first);
        }
    }
}

static void describe_all(struct page *page)
{
    size_t position = 0;
    const struct cluster_topic *topic;
    while (page->is_complete && !page->response.next_cursor_present &&
           (topic = cluster_topic_next(page->request->shard->metadata, &position)) != NULL) {
        struct wire_string name = {topic->name, (int32_t)topic->name_length};
        int64_t first = first_partition(page, name);
        if (first >= 0) {
            describe_topic(page, topic, (uint32_t)first);
        }
    }
}

static void respond(struct page *page)
{
    size_t count = page->body.topics_count > 0
                       ? (size_t)page->body.topics_count
                       : cluster_topic_count(page->request->shard->metadata);
    describe_topic_partitions_response_init(&page->response);
    page->response.topics =
        arena_allocate_array(&page->arena, count, sizeof(*page->response.topics));
    page->is_complete = page->response.topics != NULL;
    if (page->body.topics_count > 0) {
        describe_asked(page);
    } else {
        describe_all(page);
    }
    if (!page->is_complete) {
        arena_free(&page->arena);
        request_drop(page->request, "the answer needs more memory than an answer may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 1024);
    describe_topic_partitions_response_encode(&page->response, page->request->version, &writer);
    arena_free(&page->arena);
    request_respond(page->request, &writer);
}

void api_describe_topic_partitions(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct page page = {.request = request};
    if (!describe_topic_partitions_request_decode(&page.body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (page.body.topics_count > TOPICS_MAX) {
        request_drop(request, "more topics than a request may name");
        return;
    }
    int32_t limit = page.body.response_partition_limit;
    page.partitions_left =
        limit < 1 || limit > PARTITIONS_A_PAGE_MAX ? PARTITIONS_A_PAGE_MAX : (uint32_t)limit;
    arena_init(&page.arena, ANSWER_BYTES_MAX);
    respond(&page);
}
