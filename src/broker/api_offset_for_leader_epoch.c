/* SPDX-License-Identifier: Apache-2.0
 *
 * api_offset_for_leader_epoch.c -- OffsetForLeaderEpoch (KIP-101, KIP-320): where a leader epoch
 * ended, by which a consumer finds out that what it has read was cut off since.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/ask_fan.h"
#include "broker/broker.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "wire/offset_for_leader_epoch.h"

typedef struct offset_for_leader_epoch_response_offset_for_leader_topic_result answered_topic;
typedef struct offset_for_leader_epoch_response_epoch_end_offset answered_partition;

struct epochs_work {
    struct ask_fan fan; /* of struct offset_item */
    struct offset_for_leader_epoch_request body;
};

/* False when the arena is exhausted. */
static bool describe(const struct epochs_work *work,
                     struct offset_for_leader_epoch_response *response)
{
    struct arena *arena = &work->fan.request->arena;
    const struct offset_item *item = work->fan.items;
    response->topics =
        arena_allocate_array(arena, (size_t)work->body.topics_count, sizeof(*response->topics));
    if (response->topics == NULL) {
        return false;
    }
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct offset_for_leader_epoch_request_offset_for_leader_topic *asked =
            &work->body.topics[i];
        answered_topic *topic = &response->topics[response->topics_count++];
        offset_for_leader_epoch_response_offset_for_leader_topic_result_init(topic);
        topic->topic = asked->topic;
        topic->partitions = arena_allocate_array(arena, (size_t)asked->partitions_count,
                                                 sizeof(*topic->partitions));
        if (topic->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < asked->partitions_count; j++, item++) {
            answered_partition *partition = &topic->partitions[topic->partitions_count++];
            offset_for_leader_epoch_response_epoch_end_offset_init(partition);
            partition->partition = asked->partitions[j].partition;
            partition->error_code = (int16_t)item->head.error;
            partition->leader_epoch = item->found_epoch;
            partition->end_offset = item->found_offset;
        }
    }
    return true;
}

static void respond(struct ask_fan *fan)
{
    const struct epochs_work *work = container_of(fan, struct epochs_work, fan);
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_response_init(&response);
    if (!describe(work, &response)) {
        request_drop(fan->request, "the answer needs more memory than a request may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    offset_for_leader_epoch_response_encode(&response, fan->request->version, &writer);
    request_respond(fan->request, &writer);
}

static void fill_items(struct epochs_work *work)
{
    struct offset_item *item = work->fan.items;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct offset_for_leader_epoch_request_offset_for_leader_topic *asked =
            &work->body.topics[i];
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(work->fan.request->shard, asked->topic, &error);
        for (int32_t j = 0; j < asked->partitions_count; j++, item++) {
            item->timestamp_ms = OFFSET_OF_EPOCH_END;
            item->epoch = asked->partitions[j].leader_epoch;
            item->current_leader_epoch = asked->partitions[j].current_leader_epoch;
            item->found_offset = -1;
            item->found_epoch = -1;
            ask_fan_place(&item->head, topic, error, asked->partitions[j].partition);
        }
    }
}

void api_offset_for_leader_epoch(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct epochs_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL ||
        !offset_for_leader_epoch_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    uint64_t count = 0;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        count += (uint64_t)work->body.topics[i].partitions_count;
    }
    if (!ask_fan_make(&work->fan, request, count, sizeof(struct offset_item),
                      sizeof(answered_partition))) {
        return;
    }
    fill_items(work);
    work->fan.ask_bytes = sizeof(struct offset_ask);
    work->fan.perform = offsets_perform;
    work->fan.respond = respond;
    ask_fan_send(&work->fan);
}
