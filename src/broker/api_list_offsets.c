/* SPDX-License-Identifier: Apache-2.0
 *
 * api_list_offsets.c -- ListOffsets: where a partition begins, ends, or reached a time.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/ask_fan.h"
#include "broker/broker.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "wire/list_offsets.h"

/* Versions from which a special timestamp means something; below them it is refused. */
#define MAX_TIMESTAMP_LEAST_VERSION 7
#define EARLIEST_LOCAL_LEAST_VERSION 8
#define LATEST_TIERED_LEAST_VERSION 9

struct offsets_work {
    struct ask_fan fan; /* of struct offset_item */
    struct list_offsets_request body;
};

/* ---- The answer ---- */

/* Version 0 answers with a list of offsets, of which we know one; none where there is no such
 * record. */
static void describe_old_style(struct offset_item *item,
                               struct list_offsets_response_list_offsets_partition_response *answer)
{
    bool is_known = item->head.error == WIRE_ERROR_NONE && item->found_offset >= 0;
    answer->old_style_offsets = &item->found_offset;
    answer->old_style_offsets_count = is_known ? 1 : 0;
}

/* False when the arena is exhausted. */
static bool describe(const struct offsets_work *work, struct list_offsets_response *response)
{
    struct arena *arena = &work->fan.request->arena;
    struct offset_item *item = work->fan.items;
    response->topics_count = work->body.topics_count;
    response->topics =
        arena_allocate_array(arena, (size_t)work->body.topics_count, sizeof(*response->topics));
    if (response->topics == NULL) {
        return false;
    }
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct list_offsets_request_list_offsets_topic *topic = &work->body.topics[i];
        struct list_offsets_response_list_offsets_topic_response *answer = &response->topics[i];
        list_offsets_response_list_offsets_topic_response_init(answer);
        answer->name = topic->name;
        answer->partitions_count = topic->partitions_count;
        answer->partitions = arena_allocate_array(arena, (size_t)topic->partitions_count,
                                                  sizeof(*answer->partitions));
        if (answer->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < topic->partitions_count; j++, item++) {
            struct list_offsets_response_list_offsets_partition_response *partition =
                &answer->partitions[j];
            list_offsets_response_list_offsets_partition_response_init(partition);
            partition->partition_index = topic->partitions[j].partition_index;
            partition->error_code = (int16_t)item->head.error;
            partition->timestamp = item->found_timestamp_ms;
            partition->offset = item->found_offset;
            partition->leader_epoch = item->found_epoch;
            describe_old_style(item, partition);
        }
    }
    return true;
}

static void respond(struct ask_fan *fan)
{
    const struct offsets_work *work = container_of(fan, struct offsets_work, fan);
    struct request *request = fan->request;
    struct list_offsets_response response;
    list_offsets_response_init(&response);
    if (!describe(work, &response)) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    list_offsets_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

/* ---- The request ---- */

static bool timestamp_is_served(int64_t timestamp_ms, int16_t version)
{
    switch (timestamp_ms) {
    case OFFSET_LATEST:
    case OFFSET_EARLIEST:
        return true;
    case OFFSET_MAX_TIMESTAMP:
        return version >= MAX_TIMESTAMP_LEAST_VERSION;
    case OFFSET_EARLIEST_LOCAL:
        return version >= EARLIEST_LOCAL_LEAST_VERSION;
    case OFFSET_LATEST_TIERED:
        return version >= LATEST_TIERED_LEAST_VERSION;
    default:
        return timestamp_ms >= 0;
    }
}

static void fill_items(struct offsets_work *work)
{
    const struct request *request = work->fan.request;
    struct offset_item *item = work->fan.items;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct list_offsets_request_list_offsets_topic *asked = &work->body.topics[i];
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(request->shard, asked->name, &error);
        for (int32_t j = 0; j < asked->partitions_count; j++, item++) {
            const struct list_offsets_request_list_offsets_partition *partition =
                &asked->partitions[j];
            item->timestamp_ms = partition->timestamp;
            item->current_leader_epoch = partition->current_leader_epoch;
            item->found_offset = -1;
            item->found_timestamp_ms = -1;
            item->found_epoch = -1;
            ask_fan_place(&item->head, topic, error, partition->partition_index);
            if (item->head.error == WIRE_ERROR_NONE &&
                !timestamp_is_served(item->timestamp_ms, request->version)) {
                item->head.error = WIRE_ERROR_UNSUPPORTED_VERSION;
            }
        }
    }
}

void api_list_offsets(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct offsets_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !list_offsets_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    uint64_t count = 0;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        count += (uint64_t)work->body.topics[i].partitions_count;
    }
    if (!ask_fan_make(&work->fan, request, count, sizeof(struct offset_item),
                      sizeof(struct list_offsets_response_list_offsets_partition_response))) {
        return;
    }
    fill_items(work);
    work->fan.ask_bytes = sizeof(struct offset_ask);
    work->fan.perform = offsets_perform;
    work->fan.respond = respond;
    ask_fan_send(&work->fan);
}
