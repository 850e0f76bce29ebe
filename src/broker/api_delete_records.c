/* SPDX-License-Identifier: Apache-2.0
 *
 * api_delete_records.c -- DeleteRecords (KIP-107): the leaders of the partitions delete what is
 * before an offset.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/ask_fan.h"
#include "broker/broker.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "wire/delete_records.h"

#define WAIT_MS_MAX 60000

typedef struct delete_records_response_delete_records_topic_result answered_topic;
typedef struct delete_records_response_delete_records_partition_result answered_partition;

struct delete_work {
    struct ask_fan fan; /* of struct delete_item */
    struct delete_records_request body;
};

/* False when the arena is exhausted. */
static bool describe(const struct delete_work *work, struct delete_records_response *response)
{
    struct arena *arena = &work->fan.request->arena;
    const struct delete_item *item = work->fan.items;
    response->topics =
        arena_allocate_array(arena, (size_t)work->body.topics_count, sizeof(*response->topics));
    if (response->topics == NULL) {
        return false;
    }
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct delete_records_request_delete_records_topic *asked = &work->body.topics[i];
        answered_topic *topic = &response->topics[response->topics_count++];
        delete_records_response_delete_records_topic_result_init(topic);
        topic->name = asked->name;
        topic->partitions = arena_allocate_array(arena, (size_t)asked->partitions_count,
                                                 sizeof(*topic->partitions));
        if (topic->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < asked->partitions_count; j++, item++) {
            answered_partition *partition = &topic->partitions[topic->partitions_count++];
            delete_records_response_delete_records_partition_result_init(partition);
            partition->partition_index = asked->partitions[j].partition_index;
            partition->error_code = (int16_t)item->head.error;
            partition->low_watermark = item->low_watermark;
        }
    }
    return true;
}

static void respond(struct ask_fan *fan)
{
    const struct delete_work *work = container_of(fan, struct delete_work, fan);
    struct delete_records_response response;
    delete_records_response_init(&response);
    if (!describe(work, &response)) {
        request_drop(fan->request, "the answer needs more memory than a request may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    delete_records_response_encode(&response, fan->request->version, &writer);
    request_respond(fan->request, &writer);
}

static void fill_items(struct delete_work *work)
{
    struct delete_item *item = work->fan.items;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct delete_records_request_delete_records_topic *asked = &work->body.topics[i];
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(work->fan.request->shard, asked->name, &error);
        for (int32_t j = 0; j < asked->partitions_count; j++, item++) {
            item->offset = asked->partitions[j].offset;
            item->low_watermark = -1;
            ask_fan_place(&item->head, topic, error, asked->partitions[j].partition_index);
        }
    }
}

static void prepare(struct ask_fan *fan, struct ask *ask)
{
    const struct delete_work *work = container_of(fan, struct delete_work, fan);
    int32_t wait_ms = work->body.timeout_ms < WAIT_MS_MAX ? work->body.timeout_ms : WAIT_MS_MAX;
    uint64_t wait_ns = wait_ms > 0 ? (uint64_t)wait_ms * 1000000u : 0;
    container_of(ask, struct delete_ask, ask)->deadline_ns = fan->request->received_ns + wait_ns;
}

void api_delete_records(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct delete_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !delete_records_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    uint64_t count = 0;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        count += (uint64_t)work->body.topics[i].partitions_count;
    }
    if (!ask_fan_make(&work->fan, request, count, sizeof(struct delete_item),
                      sizeof(answered_partition))) {
        return;
    }
    fill_items(work);
    work->fan.ask_bytes = sizeof(struct delete_ask);
    work->fan.prepare = prepare;
    work->fan.perform = delete_perform;
    work->fan.respond = respond;
    ask_fan_send(&work->fan);
}
