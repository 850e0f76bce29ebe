/* SPDX-License-Identifier: Apache-2.0
 *
 * api_produce.c -- Produce: record batches to the partitions this broker leads.
 *
 * Here, on the connection's shard, everything is checked that needs no partition: shape, checksums,
 * counts.  What passes goes to the shards of the partitions, which append it and answer when it is
 * as safe as acks asks (partition_append.c).
 *
 * Locality: the shard of the request.
 */
#include "base/assert.h"
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/leader_endpoints.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "wire/produce.h"

#include <string.h>

#define ZSTD_LEAST_VERSION 7
/* How long a produce may wait, whatever the client says. */
#define WAIT_MS_MAX (5 * 60 * 1000)
/* What is looked at of a compressed batch on the loop; a record behind it is taken as it is. */
#define DECOMPRESSED_BYTES_MAX (16u * 1024 * 1024)

struct produce_work {
    struct request *request;
    struct produce_request body;
    struct produce_item *items; /* of all topics, in the order of the request */
    uint32_t item_count;
    uint32_t asks_away;
};

/* ---- The answer ---- */

static void describe_partition(const struct produce_work *work, const struct produce_item *item,
                               int32_t index, struct leader_endpoints *endpoints,
                               struct produce_response_partition_produce_response *answer)
{
    answer->index = index;
    answer->error_code = (int16_t)item->head.error;
    answer->base_offset = item->base_offset;
    answer->log_append_time_ms = item->append_time_ms;
    answer->log_start_offset = item->log_start_offset;
    answer->error_message = topic_place_string(item->message);
    answer->record_errors = item->record_errors;
    answer->record_errors_count = item->record_error_count;
    if (item->head.error == WIRE_ERROR_NOT_LEADER_OR_FOLLOWER) {
        struct topic_place_leader leader =
            leader_endpoints_add(endpoints, work->request->shard, &item->head);
        answer->current_leader.leader_id = leader.id;
        answer->current_leader.leader_epoch = leader.epoch;
    }
}

/* False when the arena is exhausted. */
static bool describe(const struct produce_work *work, struct produce_response *response,
                     struct leader_endpoints *endpoints)
{
    struct arena *arena = &work->request->arena;
    const struct produce_item *item = work->items;
    response->responses_count = work->body.topic_data_count;
    response->responses = arena_allocate_array(arena, (size_t)work->body.topic_data_count,
                                               sizeof(*response->responses));
    if (response->responses == NULL) {
        return false;
    }
    for (int32_t i = 0; i < work->body.topic_data_count; i++) {
        const struct produce_request_topic_produce_data *topic = &work->body.topic_data[i];
        struct produce_response_topic_produce_response *answer = &response->responses[i];
        produce_response_topic_produce_response_init(answer);
        answer->name = topic->name;
        answer->partition_responses_count = topic->partition_data_count;
        answer->partition_responses = arena_allocate_array(
            arena, (size_t)topic->partition_data_count, sizeof(*answer->partition_responses));
        if (answer->partition_responses == NULL) {
            return false;
        }
        for (int32_t j = 0; j < topic->partition_data_count; j++) {
            produce_response_partition_produce_response_init(&answer->partition_responses[j]);
            describe_partition(work, item++, topic->partition_data[j].index, endpoints,
                               &answer->partition_responses[j]);
        }
    }
    return true;
}

static bool has_errors(const struct produce_work *work)
{
    for (uint32_t i = 0; i < work->item_count; i++) {
        if (work->items[i].head.error != WIRE_ERROR_NONE) {
            return true;
        }
    }
    return false;
}

static void respond(struct produce_work *work)
{
    struct request *request = work->request;
    if (request->wants_no_response && has_errors(work)) {
        request_drop(request, "a batch without acknowledgement could not be appended");
        return;
    }

    struct produce_response response;
    struct leader_endpoints endpoints;
    produce_response_init(&response);
    leader_endpoints_init(&endpoints, &request->arena);
    if (!describe(work, &response, &endpoints)) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    struct produce_response_node_endpoint nodes[LEADER_ENDPOINTS_MAX];
    for (uint32_t i = 0; i < endpoints.count; i++) {
        const struct leader_endpoint *endpoint = &endpoints.nodes[i];
        nodes[i] = (struct produce_response_node_endpoint){endpoint->id, endpoint->host,
                                                           endpoint->port, endpoint->rack};
    }
    response.node_endpoints = nodes;
    response.node_endpoints_count = (int32_t)endpoints.count;

    struct wire_writer writer;
    wire_writer_init(&writer, 128);
    produce_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

static void ask_answered(struct ask *ask)
{
    struct produce_work *work = ask->context;
    work->asks_away--;
    if (work->asks_away == 0) {
        respond(work);
    }
}

/* ---- Checks ---- */

/* A compacted topic keeps the newest record of each key, so every record needs one.  Returns how
 * many have none, and writes the positions of the first room of them. */
static int32_t find_null_keys(const struct wire_batch *batch,
                              struct produce_response_batch_index_and_error_message *found,
                              int32_t room)
{
    struct wire_record record;
    int32_t count = 0;
    struct wire_record_reader *reader = wire_record_reader_open(batch, DECOMPRESSED_BYTES_MAX);
    for (int32_t i = 0; wire_record_reader_next(reader, &record); i++) {
        if (record.key.length >= 0) {
            continue;
        }
        if (count < room) {
            produce_response_batch_index_and_error_message_init(&found[count]);
            found[count].batch_index = i;
        }
        count++;
    }
    wire_record_reader_close(reader);
    return count;
}

/* Names in the item each record without a key, so that the producer can tell them from those that
 * only were in their batch.  Without room for that the batch's error alone is told. */
static bool has_null_keys(const struct produce_work *work, struct produce_item *item)
{
    int32_t count = find_null_keys(&item->batch, NULL, 0);
    if (count == 0) {
        return false;
    }
    item->record_errors =
        arena_allocate_array(&work->request->arena, (size_t)count, sizeof(*item->record_errors));
    if (item->record_errors != NULL) {
        item->record_error_count = count;
        int32_t again = find_null_keys(&item->batch, item->record_errors, count);
        ensure(again == count);
    }
    return true;
}

static enum wire_error check_batch(const struct produce_work *work,
                                   const struct cluster_topic *topic,
                                   const struct wire_records *records, struct produce_item *item)
{
    if (records->data == NULL || records->length <= 0) {
        item->message = "A partition is sent exactly one record batch.";
        return WIRE_ERROR_INVALID_RECORD;
    }
    /* The frame is ours and writable: the head of the batch will be stamped in it. */
    item->data = work->request->body + (records->data - work->request->body);
    enum wire_error error =
        wire_batch_validate(&item->batch, item->data, (size_t)records->length, &item->message);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    item->message = NULL;
    if (wire_batch_compression(&item->batch) == WIRE_COMPRESSION_ZSTD &&
        work->request->version < ZSTD_LEAST_VERSION) {
        item->message = "Produce version 7 is the first that may carry zstd.";
        return WIRE_ERROR_UNSUPPORTED_COMPRESSION_TYPE;
    }
    if (wire_batch_is_transactional(&item->batch)) {
        item->message = "This broker does not serve transactions.";
        return WIRE_ERROR_INVALID_TXN_STATE;
    }
    if (wire_batch_is_log_append_time(&item->batch)) {
        item->message = "A producer cannot say that its timestamps are the broker's.";
        return WIRE_ERROR_INVALID_TIMESTAMP;
    }
    const char *policy =
        effective_config_text(work->request->shard, &topic->config, "cleanup.policy");
    if (strstr(policy, "compact") != NULL && has_null_keys(work, item)) {
        item->message = "A compacted topic takes no record without a key.";
        return WIRE_ERROR_INVALID_RECORD;
    }
    return WIRE_ERROR_NONE;
}

static void check_partition(const struct produce_work *work, const struct cluster_topic *topic,
                            const struct produce_request_partition_produce_data *partition,
                            struct produce_item *item)
{
    uint64_t group_id = topic_place_group(topic, partition->index);
    if (group_id == 0) {
        item->head.error = WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    item->head.error = check_batch(work, topic, &partition->records, item);
    /* Kept with an error too, so that a second copy of the partition is noticed. */
    item->head.group_id = group_id;
}

/* What is wrong with the request as a whole is said for each of its partitions. */
static enum wire_error check_request(const struct produce_request *body, const char **message)
{
    if (body->acks < -1 || body->acks > 1) {
        *message = "acks is -1, 0 or 1.";
        return WIRE_ERROR_INVALID_REQUIRED_ACKS;
    }
    if (body->transactional_id.length >= 0) {
        *message = "This broker does not serve transactions.";
        return WIRE_ERROR_INVALID_TXN_STATE;
    }
    return WIRE_ERROR_NONE;
}

static void check_items(struct produce_work *work)
{
    const struct produce_request *body = &work->body;
    struct produce_item *item = work->items;
    const char *message = NULL;
    enum wire_error request_error = check_request(body, &message);
    for (int32_t i = 0; i < body->topic_data_count; i++) {
        enum wire_error topic_error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(work->request->shard, body->topic_data[i].name, &topic_error);
        for (int32_t j = 0; j < body->topic_data[i].partition_data_count; j++, item++) {
            item->base_offset = -1;
            item->append_time_ms = -1;
            item->log_start_offset = -1;
            item->message = message;
            item->head.error = request_error != WIRE_ERROR_NONE ? request_error : topic_error;
            if (item->head.error == WIRE_ERROR_NONE) {
                check_partition(work, topic, &body->topic_data[i].partition_data[j], item);
            }
        }
    }
}

/* ---- The request ---- */

static uint64_t count_items(const struct produce_request *body)
{
    uint64_t count = 0;
    for (int32_t i = 0; i < body->topic_data_count; i++) {
        count += (uint64_t)body->topic_data[i].partition_data_count;
    }
    return count;
}

/* Puts in items those that are for the partitions to answer; the others have their errors. */
static void select_items(struct produce_work *work, struct ask_item **items)
{
    for (uint32_t i = 0; i < work->item_count; i++) {
        items[i] = &work->items[i].head;
    }
    /* There is no telling which copy is meant to be first, so none is appended. */
    ask_refuse_copies(items, work->item_count);
    for (uint32_t i = 0; i < work->item_count; i++) {
        struct produce_item *item = &work->items[i];
        items[i] = &item->head;
        if (item->head.error != WIRE_ERROR_NONE) {
            counter_add(&work->request->shard->stats.produce_errors, 1);
            item->head.group_id = 0; /* answered already */
        }
        if (item->head.error == WIRE_ERROR_INVALID_REQUEST) {
            item->message = "The partition is named more than once.";
        }
    }
}

static void make_ask(struct produce_work *work, const struct ask_share *share,
                     struct produce_ask *ask)
{
    struct request *request = work->request;
    int64_t timeout_ms = work->body.timeout_ms;
    timeout_ms = timeout_ms < 0 ? 0 : timeout_ms > WAIT_MS_MAX ? WAIT_MS_MAX : timeout_ms;
    ask_init(&ask->ask, share, request->shard, produce_perform, ask_answered, work);
    ask->frame = request->frame;
    ask->acks = work->body.acks;
    ask->deadline_ns = request->received_ns + (uint64_t)timeout_ms * 1000000u;
}

static void send_asks(struct produce_work *work, struct ask_item **items)
{
    struct request *request = work->request;
    struct ask_share shares[SHARDS_MAX];
    bool complete = true;
    uint32_t share_count = ask_split(&request->arena, items, work->item_count,
                                     shard_count(request->shard->shard), shares, &complete);
    struct produce_ask *asks = arena_allocate_array(&request->arena, share_count, sizeof(*asks));
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
        make_ask(work, &shares[i], &asks[i]);
    }
    for (uint32_t i = 0; i < share_count; i++) {
        ask_send(&asks[i].ask, shares[i].shard_id);
    }
}

void api_produce(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct produce_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !produce_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    counter_add(&request->shard->stats.produce_requests, 1);
    work->request = request;
    request->wants_no_response = work->body.acks == 0;
    uint64_t item_count = count_items(&work->body);
    if (item_count > ASK_ITEMS_MAX) {
        request_drop(request, "more partitions than a request may name");
        return;
    }
    work->item_count = (uint32_t)item_count;

    struct arena *arena = &request->arena;
    ask_allow_items(arena, work->item_count,
                    sizeof(struct produce_item) +
                        sizeof(struct produce_response_partition_produce_response));
    work->items = arena_allocate_array(arena, work->item_count, sizeof(*work->items));
    struct ask_item **items = arena_allocate_array(arena, work->item_count, sizeof(*items));
    if (work->items == NULL || items == NULL) {
        request_drop(request, "more partitions than a request may name");
        return;
    }
    check_items(work);
    select_items(work, items);
    send_asks(work, items);
}
