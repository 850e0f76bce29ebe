/* SPDX-License-Identifier: Apache-2.0
 *
 * api_fetch.c -- Fetch: record batches for consumers, as references to where they lie.
 *
 * The request's partitions are split by shard; each shard waits for its share (partition_read.c),
 * and the first share that is worth sending ends the wait of the others.  With several shards
 * min_bytes is divided among them; max_bytes is granted to each, and what is too much together is
 * dropped here, in the order of the request, so that every partition has its turn as the client
 * rotates them.
 *
 * Sessions (KIP-227) are not kept: every fetch is full and is answered with session id 0.
 *
 * Locality: the shard of the request.
 */
#include "base/assert.h"
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/leader_endpoints.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "wire/fetch.h"

#include <string.h>

#define BYTES_MAX (55 * 1024 * 1024)
/* A client that asks to wait longer is answered with nothing and asks again. */
#define WAIT_MS_MAX 30000
#define READ_COMMITTED 1

struct fetch_work {
    struct request *request;
    struct fetch_request body;
    struct fetch_item *items; /* of all topics, in the order of the request */
    uint32_t item_count;
    struct fetch_ask *asks;
    struct ask_share shares[SHARDS_MAX];
    uint32_t ask_count;
    uint32_t asks_away; /* asks, and stops sent after them */
    bool is_stopped;
};

/* ---- The answer ---- */

/* Drops what passes the request's max_bytes when all shares are put together; the first data stays.
 */
static void trim(struct fetch_work *work)
{
    uint64_t bytes_max = work->body.max_bytes > 0 ? (uint64_t)work->body.max_bytes : 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < work->item_count; i++) {
        struct fetch_item *item = &work->items[i];
        if (item->fetched == NULL) {
            continue;
        }
        if (bytes > 0 && bytes + item->fetched->length_bytes > bytes_max) {
            log_fetched_release(item->fetched);
            item->fetched = NULL;
            continue;
        }
        bytes += item->fetched->length_bytes;
    }
}

/* The references move into the request's arena, from where the answer's sender takes them over. */
static void describe_records(struct fetch_work *work, struct fetch_item *item,
                             struct wire_records *records)
{
    static const uint8_t nothing[1];
    records->data = nothing; /* never null: clients take a null for a broken answer */
    records->length = 0;
    if (item->fetched == NULL) {
        return;
    }
    size_t size = offsetof(struct log_fetched, slices) +
                  item->fetched->slice_count * sizeof(struct buf_slice);
    struct log_fetched *moved = arena_allocate(&work->request->arena, size);
    if (moved == NULL) {
        return; /* it stays unread, and is asked for again */
    }
    memcpy(moved, item->fetched, size);
    item->fetched = NULL;
    records->data = NULL;
    records->length = (int32_t)moved->length_bytes;
    records->payload = moved;
}

static void describe_partition(struct fetch_work *work, struct fetch_item *item, int32_t index,
                               struct leader_endpoints *endpoints,
                               struct fetch_response_partition_data *answer)
{
    enum wire_error error = item->head.error;
    answer->partition_index = index;
    answer->error_code = (int16_t)error;
    answer->high_watermark = item->high_watermark;
    answer->last_stable_offset = item->high_watermark; /* there are no transactions */
    answer->log_start_offset = item->log_start_offset;
    answer->aborted_transactions_count = work->body.isolation_level == READ_COMMITTED ? 0 : -1;
    if (item->diverges) {
        answer->diverging_epoch.epoch = item->diverging_epoch;
        answer->diverging_epoch.end_offset = item->diverging_end_offset;
    }
    if (error == WIRE_ERROR_NOT_LEADER_OR_FOLLOWER || error == WIRE_ERROR_FENCED_LEADER_EPOCH) {
        struct topic_place_leader leader =
            leader_endpoints_add(endpoints, work->request->shard, &item->head);
        answer->current_leader.leader_id = leader.id;
        answer->current_leader.leader_epoch = leader.epoch;
    }
    describe_records(work, item, &answer->records);
}

/* False when the arena is exhausted. */
static bool describe(struct fetch_work *work, struct fetch_response *response,
                     struct leader_endpoints *endpoints)
{
    struct arena *arena = &work->request->arena;
    struct fetch_item *item = work->items;
    response->responses_count = work->body.topics_count;
    response->responses =
        arena_allocate_array(arena, (size_t)work->body.topics_count, sizeof(*response->responses));
    if (response->responses == NULL) {
        return false;
    }
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &work->body.topics[i];
        struct fetch_response_fetchable_topic_response *answer = &response->responses[i];
        fetch_response_fetchable_topic_response_init(answer);
        answer->topic = topic->topic;
        answer->topic_id = topic->topic_id;
        answer->partitions_count = topic->partitions_count;
        answer->partitions = arena_allocate_array(arena, (size_t)topic->partitions_count,
                                                  sizeof(*answer->partitions));
        if (answer->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            fetch_response_partition_data_init(&answer->partitions[j]);
            describe_partition(work, item++, topic->partitions[j].partition, endpoints,
                               &answer->partitions[j]);
        }
    }
    return true;
}

static void release_results(struct fetch_work *work)
{
    for (uint32_t i = 0; i < work->item_count; i++) {
        if (work->items[i].fetched != NULL) {
            log_fetched_release(work->items[i].fetched);
        }
    }
    for (uint32_t i = 0; i < work->ask_count; i++) {
        arena_free(&work->asks[i].results);
    }
}

static void encode_and_respond(struct request *request, struct fetch_response *response,
                               const struct leader_endpoints *endpoints)
{
    struct fetch_response_node_endpoint nodes[LEADER_ENDPOINTS_MAX];
    for (uint32_t i = 0; i < endpoints->count; i++) {
        const struct leader_endpoint *endpoint = &endpoints->nodes[i];
        nodes[i] = (struct fetch_response_node_endpoint){endpoint->id, endpoint->host,
                                                         endpoint->port, endpoint->rack};
    }
    response->node_endpoints = nodes;
    response->node_endpoints_count = (int32_t)endpoints->count;

    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    fetch_response_encode(response, request->version, &writer);
    request_respond(request, &writer);
}

static void respond(struct fetch_work *work)
{
    struct request *request = work->request;
    struct fetch_response response;
    struct leader_endpoints endpoints;
    trim(work);
    for (uint32_t i = 0; i < work->ask_count; i++) {
        request->arena.limit_bytes += work->asks[i].results.used_bytes; /* they move there */
    }
    fetch_response_init(&response);
    leader_endpoints_init(&endpoints, &request->arena);
    bool complete = describe(work, &response, &endpoints);
    release_results(work);
    if (!complete) {
        /* What moved already has to be let go as well; nobody will send it. */
        for (int32_t i = 0; response.responses != NULL && i < response.responses_count; i++) {
            struct fetch_response_fetchable_topic_response *topic = &response.responses[i];
            for (int32_t j = 0; topic->partitions != NULL && j < topic->partitions_count; j++) {
                if (topic->partitions[j].records.payload != NULL) {
                    log_fetched_release(topic->partitions[j].records.payload);
                }
            }
        }
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    encode_and_respond(request, &response, &endpoints);
}

static void respond_error(struct request *request, enum wire_error error)
{
    struct fetch_response response;
    struct leader_endpoints endpoints;
    fetch_response_init(&response);
    response.error_code = (int16_t)error;
    leader_endpoints_init(&endpoints, &request->arena);
    encode_and_respond(request, &response, &endpoints);
}

/* ---- Asks coming home ---- */

static void came_home(struct fetch_work *work)
{
    ensure(work->asks_away > 0);
    work->asks_away--;
    if (work->asks_away == 0) {
        respond(work);
    }
}

static void stop_is_back(struct fetch_ask *ask)
{
    came_home(ask->ask.context);
}

/* The shares that still wait answer with what they have. */
static void stop_waiting(struct fetch_work *work)
{
    work->is_stopped = true;
    work->asks_away++; /* held while some of them come home inside this loop */
    for (uint32_t i = 0; i < work->ask_count; i++) {
        struct fetch_ask *ask = &work->asks[i];
        if (!ask->is_sent || ask->is_home) {
            continue;
        }
        bool is_local = work->shares[i].shard_id == shard_id(work->request->shard->shard);
        work->asks_away += is_local ? 0 : 1; /* the stop itself has to come back */
        fetch_ask_stop(ask, work->shares[i].shard_id);
    }
    came_home(work);
}

static void ask_answered(struct ask *base)
{
    struct fetch_ask *ask = container_of(base, struct fetch_ask, ask);
    struct fetch_work *work = base->context;
    ask->is_home = true;
    if (!work->is_stopped && work->asks_away > 1) { /* this share is complete */
        stop_waiting(work);
    }
    came_home(work);
}

/* Nobody waits for the answer any more: the frame and the waits are let go. */
static void abandoned(struct request *request)
{
    struct fetch_work *work = request->state;
    if (!work->is_stopped) {
        stop_waiting(work);
    }
}

/* ---- The request ---- */

static enum wire_error check_request(const struct request *request,
                                     const struct fetch_request *body)
{
    int32_t replica_id = request->version >= 15 ? body->replica_state.replica_id : body->replica_id;
    if (replica_id >= 0) {
        return WIRE_ERROR_INVALID_REQUEST; /* replicas do not fetch here, and nobody may pose as one
                                            */
    }
    /* Epochs 0 and -1 ask for everything, be it to begin a session or to end one. */
    return body->session_epoch == 0 || body->session_epoch == -1
               ? WIRE_ERROR_NONE
               : WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND;
}

static uint64_t count_items(const struct fetch_request *body)
{
    uint64_t count = 0;
    for (int32_t i = 0; i < body->topics_count; i++) {
        count += (uint64_t)body->topics[i].partitions_count;
    }
    return count;
}

static void make_items(struct fetch_work *work, struct ask_item **items)
{
    const struct broker_shard *shard = work->request->shard;
    bool has_ids = work->request->version >= 13;
    struct fetch_item *item = work->items;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct fetch_request_fetch_topic *asked = &work->body.topics[i];
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic = has_ids
                                                ? topic_place_by_id(shard, &asked->topic_id, &error)
                                                : topic_place_by_name(shard, asked->topic, &error);
        for (int32_t j = 0; j < asked->partitions_count; j++, item++) {
            const struct fetch_request_fetch_partition *partition = &asked->partitions[j];
            item->offset = partition->fetch_offset;
            item->bytes_max = partition->partition_max_bytes;
            item->current_leader_epoch = partition->current_leader_epoch;
            item->last_fetched_epoch = partition->last_fetched_epoch;
            item->high_watermark = -1;
            item->log_start_offset = -1;
            item->head.error = error;
            if (topic != NULL) {
                item->head.group_id = topic_place_group(topic, partition->partition);
                item->head.error = item->head.group_id == 0 ? WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                                            : WIRE_ERROR_NONE;
            }
            *items++ = &item->head;
        }
    }
}

static bool has_errors(const struct fetch_work *work)
{
    for (uint32_t i = 0; i < work->item_count; i++) {
        if (work->items[i].head.error != WIRE_ERROR_NONE) {
            return true;
        }
    }
    return false;
}

static uint64_t deadline_of(const struct fetch_work *work)
{
    int64_t wait_ms = work->body.max_wait_ms;
    wait_ms = wait_ms < 0 ? 0 : wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX : wait_ms;
    if (work->body.min_bytes <= 0 || has_errors(work)) {
        wait_ms = 0; /* errors are told at once */
    }
    return work->request->received_ns + (uint64_t)wait_ms * 1000000u;
}

static void make_asks(struct fetch_work *work)
{
    uint64_t deadline_ns = deadline_of(work);
    uint64_t bytes_least = work->body.min_bytes > 0 ? (uint64_t)work->body.min_bytes : 0;
    for (uint32_t i = 0; i < work->ask_count; i++) {
        struct fetch_ask *ask = &work->asks[i];
        ask_init(&ask->ask, &work->shares[i], work->request->shard, fetch_perform, ask_answered,
                 work);
        ask->bytes_least = (bytes_least + work->ask_count - 1) / work->ask_count;
        ask->bytes_max = (uint64_t)work->body.max_bytes;
        ask->deadline_ns = deadline_ns;
        ask->stopped = stop_is_back;
    }
}

static void send_asks(struct fetch_work *work)
{
    work->asks_away = work->ask_count + 1; /* all, before the first can come home */
    for (uint32_t i = 0; i < work->ask_count; i++) {
        struct fetch_ask *ask = &work->asks[i];
        if (work->is_stopped) {
            ask->deadline_ns = work->request->received_ns; /* an earlier one was complete at once */
        }
        ask->is_sent = true;
        ask_send(&ask->ask, work->shares[i].shard_id);
    }
    came_home(work);
}

/* Items and asks of the request; false when it names too many partitions. */
static bool make_work(struct fetch_work *work)
{
    struct arena *arena = &work->request->arena;
    uint64_t item_count = count_items(&work->body);
    if (item_count > ASK_ITEMS_MAX) {
        return false;
    }
    work->item_count = (uint32_t)item_count;
    ask_allow_items(arena, work->item_count,
                    sizeof(struct fetch_item) + sizeof(struct fetch_response_partition_data));
    work->items = arena_allocate_array(arena, work->item_count, sizeof(*work->items));
    struct ask_item **items = arena_allocate_array(arena, work->item_count, sizeof(*items));
    if (work->items == NULL || items == NULL) {
        return false;
    }
    make_items(work, items);
    bool complete = true;
    work->ask_count = ask_split(arena, items, work->item_count,
                                shard_count(work->request->shard->shard), work->shares, &complete);
    work->asks = arena_allocate_array(arena, work->ask_count, sizeof(*work->asks));
    return complete && work->asks != NULL;
}

void api_fetch(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct fetch_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !fetch_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    counter_add(&request->shard->stats.fetch_requests, 1);
    work->request = request;
    if (work->body.max_bytes > BYTES_MAX) {
        work->body.max_bytes = BYTES_MAX;
    }
    enum wire_error error = check_request(request, &work->body);
    if (error != WIRE_ERROR_NONE) {
        counter_add(&request->shard->stats.fetch_errors, 1);
        if (request->version < 7) {
            request_drop(request,
                         "a fetch as a replica, in a version that cannot be told an error");
        } else {
            respond_error(request, error);
        }
        return;
    }

    if (!make_work(work)) {
        request_drop(request, "more partitions than a request may name");
        return;
    }
    request->state = work;
    request->abandoned = abandoned;
    make_asks(work);
    send_asks(work);
}
