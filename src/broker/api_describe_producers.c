/* SPDX-License-Identifier: Apache-2.0
 *
 * api_describe_producers.c -- DescribeProducers (KIP-664): the idempotent producers that partitions
 * remember, as their leaders know them.  There are no transactions, so none is open.
 *
 * Locality: the shard of the request.
 */
#include "base/memory.h"
#include "broker/api.h"
#include "broker/ask_fan.h"
#include "broker/broker.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "txn/producer.h"
#include "wire/describe_producers.h"

typedef struct describe_producers_response_topic_response answered_topic;
typedef struct describe_producers_response_partition_response answered_partition;
typedef struct describe_producers_response_producer_state producer_state;

struct producers_work {
    struct ask_fan fan; /* of struct producers_item */
    struct describe_producers_request body;
};

/* ---- The answer ---- */

static bool describe_partition(struct arena *arena, const struct producers_item *item,
                               answered_partition *answer)
{
    arena->limit_bytes += item->producer_count * sizeof(producer_state) + 64;
    answer->error_code = (int16_t)item->head.error;
    answer->error_message = topic_place_string(
        item->head.error == WIRE_ERROR_NONE ? NULL : wire_error_text(item->head.error));
    answer->active_producers =
        arena_allocate_array(arena, item->producer_count, sizeof(producer_state));
    if (answer->active_producers == NULL) {
        return false;
    }
    for (size_t i = 0; i < item->producer_count; i++) {
        producer_state *state = &answer->active_producers[answer->active_producers_count++];
        describe_producers_response_producer_state_init(state);
        state->producer_id = item->producers[i].id;
        state->producer_epoch = item->producers[i].epoch;
        state->last_sequence = item->producers[i].last_sequence;
        state->last_timestamp = item->producers[i].last_timestamp_ms;
        state->coordinator_epoch = -1;
    }
    return true;
}

/* False when the arena is exhausted. */
static bool describe(const struct producers_work *work,
                     struct describe_producers_response *response)
{
    struct arena *arena = &work->fan.request->arena;
    const struct producers_item *item = work->fan.items;
    response->topics =
        arena_allocate_array(arena, (size_t)work->body.topics_count, sizeof(*response->topics));
    if (response->topics == NULL) {
        return false;
    }
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct describe_producers_request_topic_request *asked = &work->body.topics[i];
        answered_topic *topic = &response->topics[response->topics_count++];
        describe_producers_response_topic_response_init(topic);
        topic->name = asked->name;
        topic->partitions = arena_allocate_array(arena, (size_t)asked->partition_indexes_count,
                                                 sizeof(*topic->partitions));
        if (topic->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < asked->partition_indexes_count; j++, item++) {
            answered_partition *partition = &topic->partitions[topic->partitions_count++];
            describe_producers_response_partition_response_init(partition);
            partition->partition_index = asked->partition_indexes[j];
            if (!describe_partition(arena, item, partition)) {
                return false;
            }
        }
    }
    return true;
}

static void respond(struct ask_fan *fan)
{
    const struct producers_work *work = container_of(fan, struct producers_work, fan);
    struct request *request = fan->request;
    struct producers_item *items = fan->items;
    struct describe_producers_response response;
    describe_producers_response_init(&response);
    bool good = describe(work, &response);
    for (uint32_t i = 0; i < fan->count; i++) {
        memory_free(items[i].producers);
    }
    if (!good) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    describe_producers_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

/* ---- The request ---- */

void api_describe_producers(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct producers_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL ||
        !describe_producers_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    uint64_t count = 0;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        count += (uint64_t)work->body.topics[i].partition_indexes_count;
    }
    if (!ask_fan_make(&work->fan, request, count, sizeof(struct producers_item),
                      sizeof(answered_partition))) {
        return;
    }
    struct producers_item *item = work->fan.items;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(request->shard, work->body.topics[i].name, &error);
        for (int32_t j = 0; j < work->body.topics[i].partition_indexes_count; j++, item++) {
            ask_fan_place(&item->head, topic, error, work->body.topics[i].partition_indexes[j]);
        }
    }
    work->fan.ask_bytes = sizeof(struct ask);
    work->fan.perform = producers_perform;
    work->fan.respond = respond;
    ask_fan_send(&work->fan);
}
