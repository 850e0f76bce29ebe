/* SPDX-License-Identifier: Apache-2.0
 *
 * api_list_offsets.c -- ListOffsets: where a partition begins, ends, or reached a time.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "wire/list_offsets.h"

/* Versions from which a special timestamp means something; below them it is refused. */
#define MAX_TIMESTAMP_LEAST_VERSION 7
#define EARLIEST_LOCAL_LEAST_VERSION 8
#define LATEST_TIERED_LEAST_VERSION 9

struct offsets_work {
    struct request *request;
    struct list_offsets_request body;
    struct offset_item *items; /* of all topics, in the order of the request */
    uint32_t item_count;
    uint32_t asks_away;
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
    struct arena *arena = &work->request->arena;
    struct offset_item *item = work->items;
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

static void respond(struct offsets_work *work)
{
    struct request *request = work->request;
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

static void ask_answered(struct ask *ask)
{
    struct offsets_work *work = ask->context;
    work->asks_away--;
    if (work->asks_away == 0) {
        respond(work);
    }
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

static void make_items(struct offsets_work *work)
{
    struct offset_item *item = work->items;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct list_offsets_request_list_offsets_topic *asked = &work->body.topics[i];
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(work->request->shard, asked->name, &error);
        for (int32_t j = 0; j < asked->partitions_count; j++, item++) {
            const struct list_offsets_request_list_offsets_partition *partition =
                &asked->partitions[j];
            item->timestamp_ms = partition->timestamp;
            item->current_leader_epoch = partition->current_leader_epoch;
            item->found_offset = -1;
            item->found_timestamp_ms = -1;
            item->found_epoch = -1;
            item->head.error = error;
            if (topic == NULL) {
                continue;
            }
            item->head.group_id = topic_place_group(topic, partition->partition_index);
            if (item->head.group_id == 0) {
                item->head.error = WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
            } else if (!timestamp_is_served(item->timestamp_ms, work->request->version)) {
                item->head.error = WIRE_ERROR_UNSUPPORTED_VERSION;
            }
        }
    }
}

static void send_asks(struct offsets_work *work, struct ask_item **items)
{
    struct request *request = work->request;
    struct ask_share shares[SHARDS_MAX];
    bool complete = true;
    uint32_t share_count = ask_split(&request->arena, items, work->item_count,
                                     shard_count(request->shard->shard), shares, &complete);
    struct offset_ask *asks = arena_allocate_array(&request->arena, share_count, sizeof(*asks));
    if (!complete || asks == NULL) {
        request_drop(request, "more partitions than a request may name");
        return;
    }
    if (share_count == 0) {
        respond(work);
        return;
    }
    work->asks_away = share_count; /* all of them, before the first can come home */
    for (uint32_t i = 0; i < share_count; i++) {
        ask_init(&asks[i].ask, &shares[i], request->shard, offsets_perform, ask_answered, work);
    }
    for (uint32_t i = 0; i < share_count; i++) {
        ask_send(&asks[i].ask, shares[i].shard_id);
    }
}

void api_list_offsets(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct arena *arena = &request->arena;
    struct offsets_work *work = arena_allocate(arena, sizeof(*work));
    if (work == NULL || !list_offsets_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    work->request = request;
    uint64_t item_count = 0;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        item_count += (uint64_t)work->body.topics[i].partitions_count;
    }
    if (item_count > ASK_ITEMS_MAX) {
        request_drop(request, "more partitions than a request may name");
        return;
    }
    work->item_count = (uint32_t)item_count;
    ask_allow_items(arena, work->item_count,
                    sizeof(struct offset_item) +
                        sizeof(struct list_offsets_response_list_offsets_partition_response));
    work->items = arena_allocate_array(arena, work->item_count, sizeof(*work->items));
    struct ask_item **items = arena_allocate_array(arena, work->item_count, sizeof(*items));
    if (work->items == NULL || items == NULL) {
        request_drop(request, "more partitions than a request may name");
        return;
    }
    make_items(work);
    for (uint32_t i = 0; i < work->item_count; i++) {
        items[i] = &work->items[i].head;
    }
    ask_refuse_copies(items, work->item_count);
    for (uint32_t i = 0; i < work->item_count; i++) {
        items[i] = &work->items[i].head;
        items[i]->group_id = items[i]->error == WIRE_ERROR_NONE ? items[i]->group_id : 0;
    }
    send_asks(work, items);
}
