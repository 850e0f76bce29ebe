/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch_answer.c -- see fetch_answer.h.
 */
#include "broker/fetch_answer.h"

#include "broker/broker.h"
#include "broker/leader_endpoints.h"
#include "wire/fetch.h"

#include <string.h>

/* ---- What is told ---- */

/* Drops what passes the request's max_bytes when all shards' shares are put together, in the order
 * of the rows; the first data stays. */
static void trim(struct fetch_answer *answer)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < answer->row_count; i++) {
        struct fetch_item *item = &answer->rows[i].item;
        if (item->fetched == NULL) {
            continue;
        }
        if (bytes > 0 && bytes + item->fetched->length_bytes > answer->bytes_max) {
            log_fetched_release(item->fetched);
            item->fetched = NULL;
            continue;
        }
        bytes += item->fetched->length_bytes;
    }
}

static bool note(struct fetch_session *session, struct fetch_session_partition *partition,
                 const struct fetch_item *item)
{
    const struct fetch_session_news news = {
        .error = item->head.error,
        .high_watermark = item->high_watermark,
        .log_start_offset = item->log_start_offset,
        .has_records = item->fetched != NULL,
        .is_parting = item->diverges || item->preferred_replica != 0,
    };
    return fetch_session_note(session, partition, &news);
}

/* Marks the rows that have news. */
static void choose_news(struct fetch_answer *answer, struct fetch_session *session)
{
    for (uint32_t i = 0; i < answer->row_count; i++) {
        struct fetch_row *row = &answer->rows[i];
        row->is_told = note(session, row->kept, &row->item);
    }
}

/* The id of a session that knows what this answer tells; 0: there is no room for one. */
static int32_t begin_session(const struct fetch_answer *answer)
{
    struct broker_shard *shard = answer->request->shard;
    struct fetch_session_table *table = shard->fetch_sessions;
    if (answer->row_count == 0) {
        return 0;
    }
    struct fetch_session *session = fetch_session_create(table, answer->request->version >= 13,
                                                         answer->row_count, io_now_ns(shard->loop));
    for (uint32_t i = 0; session != NULL && i < answer->row_count; i++) {
        const struct fetch_row *row = &answer->rows[i];
        const struct fetch_session_wish wish = {
            .offset = row->item.offset,
            .bytes_max = row->item.bytes_max,
            .current_leader_epoch = row->item.current_leader_epoch,
            .last_fetched_epoch = row->item.last_fetched_epoch,
        };
        struct fetch_session_partition *partition =
            fetch_session_put(table, session, &row->topic_id, row->topic, row->partition, &wish);
        if (partition == NULL) {
            fetch_session_close(table, session->id);
            return 0;
        }
        note(session, partition, &row->item);
    }
    return session == NULL ? 0 : session->id;
}

/* ---- Partitions ---- */

/* The references move into the request's arena, from where the answer's sender takes them over. */
static void describe_records(struct request *request, struct fetch_item *item,
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
    struct log_fetched *moved = arena_allocate(&request->arena, size);
    if (moved == NULL) {
        return; /* it stays unread, and is asked for again */
    }
    memcpy(moved, item->fetched, size);
    item->fetched = NULL;
    records->data = NULL;
    records->length = (int32_t)moved->length_bytes;
    records->payload = moved;
}

static void describe_partition(const struct fetch_answer *answer, struct fetch_row *row,
                               struct leader_endpoints *endpoints,
                               struct fetch_response_partition_data *data)
{
    struct fetch_item *item = &row->item;
    enum wire_error error = item->head.error;
    fetch_response_partition_data_init(data);
    data->partition_index = row->partition;
    data->error_code = (int16_t)error;
    data->high_watermark = item->high_watermark;
    data->last_stable_offset = item->high_watermark; /* there are no transactions */
    data->log_start_offset = item->log_start_offset;
    data->aborted_transactions_count = answer->is_read_committed ? 0 : -1;
    if (item->preferred_replica != 0) {
        data->preferred_read_replica = (int32_t)item->preferred_replica;
    }
    if (item->diverges) {
        data->diverging_epoch.epoch = item->diverging_epoch;
        data->diverging_epoch.end_offset = item->diverging_end_offset;
    }
    if (error == WIRE_ERROR_NOT_LEADER_OR_FOLLOWER || error == WIRE_ERROR_FENCED_LEADER_EPOCH) {
        struct topic_place_leader leader =
            leader_endpoints_add(endpoints, answer->request->shard, &item->head);
        data->current_leader.leader_id = leader.id;
        data->current_leader.leader_epoch = leader.epoch;
    }
    describe_records(answer->request, item, &data->records);
}

static uint32_t count_told(const struct fetch_answer *answer)
{
    uint32_t told = 0;
    for (uint32_t i = 0; i < answer->row_count; i++) {
        told += answer->rows[i].is_told;
    }
    return told;
}

/* Neighbours of one topic stand together under it.  False when the arena is exhausted. */
static bool describe(const struct fetch_answer *answer, struct fetch_response *response,
                     struct leader_endpoints *endpoints)
{
    struct arena *arena = &answer->request->arena;
    uint32_t told = count_told(answer);
    struct fetch_response_fetchable_topic_response *topic =
        arena_allocate_array(arena, told, sizeof *topic);
    struct fetch_response_partition_data *data = arena_allocate_array(arena, told, sizeof *data);
    if (topic == NULL || data == NULL) {
        return false;
    }
    response->responses = topic;
    uint32_t topic_number = 0;
    for (uint32_t i = 0; i < answer->row_count; i++) {
        struct fetch_row *row = &answer->rows[i];
        if (!row->is_told) {
            continue;
        }
        if (response->responses_count == 0 || row->topic_number != topic_number) {
            topic = &response->responses[response->responses_count++];
            fetch_response_fetchable_topic_response_init(topic);
            topic->topic = row->topic;
            topic->topic_id = row->topic_id;
            topic->partitions = data;
            topic_number = row->topic_number;
        }
        describe_partition(answer, row, endpoints, data++);
        topic->partitions_count++;
    }
    return true;
}

/* ---- The answer ---- */

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

void fetch_answer_error(struct request *request, enum wire_error error)
{
    struct fetch_response response;
    struct leader_endpoints endpoints;
    counter_add(&request->shard->stats.fetch_errors, 1);
    fetch_response_init(&response);
    response.error_code = (int16_t)error;
    leader_endpoints_init(&endpoints, &request->arena);
    encode_and_respond(request, &response, &endpoints);
}

static void release_rows(struct fetch_answer *answer)
{
    for (uint32_t i = 0; i < answer->row_count; i++) {
        if (answer->rows[i].item.fetched != NULL) {
            log_fetched_release(answer->rows[i].item.fetched);
            answer->rows[i].item.fetched = NULL;
        }
    }
}

static void tell_all(struct fetch_answer *answer)
{
    for (uint32_t i = 0; i < answer->row_count; i++) {
        answer->rows[i].is_told = true;
    }
}

void fetch_answer(struct fetch_answer *answer)
{
    struct request *request = answer->request;
    struct fetch_response response;
    struct leader_endpoints endpoints;
    fetch_response_init(&response);
    leader_endpoints_init(&endpoints, &request->arena);
    trim(answer);
    if (answer->kind == FETCH_WITHIN_SESSION) {
        enum wire_error error = WIRE_ERROR_NONE;
        struct fetch_session *session = fetch_session_find(
            request->shard->fetch_sessions, answer->session_id, answer->session_epoch, &error);
        if (session == NULL) { /* it ended or went on while this fetch waited */
            release_rows(answer);
            fetch_answer_error(request, error);
            return;
        }
        choose_news(answer, session);
        response.session_id = session->id;
    } else {
        tell_all(answer);
        response.session_id = answer->kind == FETCH_BEGINS_SESSION ? begin_session(answer) : 0;
    }
    bool is_complete = describe(answer, &response, &endpoints);
    release_rows(answer); /* those that are not told, or did not move */
    if (!is_complete) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    encode_and_respond(request, &response, &endpoints);
}
