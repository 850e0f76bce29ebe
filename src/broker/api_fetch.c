/* SPDX-License-Identifier: Apache-2.0
 *
 * api_fetch.c -- Fetch: record batches for consumers, as references to where they lie.
 *
 * What is to be read stands in the request, or in the client's session with what the request
 * changes of it.  The partitions are split by shard; each shard waits for its share
 * (partition_read.c), and the first share that is worth sending ends the wait of the others.  With
 * several shards min_bytes is divided among them; max_bytes is granted to each, and what is too
 * much together is dropped from the answer, in the order of its partitions.
 *
 * Not here: sessions (fetch_session.c), the answer (fetch_answer.c).
 *
 * Locality: the shard of the request.
 */
#include "base/assert.h"
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/fetch_answer.h"
#include "broker/fetch_session.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "wire/fetch.h"

#define BYTES_MAX (55 * 1024 * 1024)
/* A client that asks to wait longer is answered with nothing and asks again. */
#define WAIT_MS_MAX 30000
#define READ_COMMITTED 1
/* Epochs that are none of a session: a full fetch that asks for one, and one that wants none. */
#define EPOCH_BEGIN 0
#define EPOCH_NONE (-1)

struct fetch_work {
    struct fetch_request body;
    struct fetch_answer answer;
    struct fetch_ask *asks;
    struct ask_share shares[SHARDS_MAX];
    uint32_t ask_count;
    uint32_t asks_away; /* asks, and stops sent after them */
    bool is_stopped;
};

static struct broker_shard *shard_of(const struct fetch_work *work)
{
    return work->answer.request->shard;
}

static void publish_sessions(struct broker_shard *shard)
{
    struct fetch_session_stats stats = fetch_session_table_stats(shard->fetch_sessions);
    counter_set(&shard->stats.fetch_sessions, stats.sessions);
    counter_set(&shard->stats.fetch_session_partitions, stats.partitions);
    counter_set(&shard->stats.fetch_sessions_evicted, stats.evicted);
    counter_set(&shard->stats.fetch_sessions_refused, stats.refused);
}

/* ---- Asks coming home ---- */

static void respond(struct fetch_work *work)
{
    /* The request, and the work with it, is gone when it is answered. */
    struct broker_shard *shard = shard_of(work);
    struct arena results[SHARDS_MAX];
    uint32_t result_count = work->ask_count;
    for (uint32_t i = 0; i < result_count; i++) {
        results[i] = work->asks[i].results;
        work->answer.request->arena.limit_bytes += results[i].used_bytes; /* they move there */
    }
    fetch_answer(&work->answer);
    for (uint32_t i = 0; i < result_count; i++) {
        arena_free(&results[i]);
    }
    publish_sessions(shard);
}

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
        bool is_local = work->shares[i].shard_id == shard_id(shard_of(work)->shard);
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

/* ---- What is to be read ---- */

static uint64_t count_partitions(const struct fetch_request *body)
{
    uint64_t count = 0;
    for (int32_t i = 0; i < body->topics_count; i++) {
        count += (uint64_t)body->topics[i].partitions_count;
    }
    return count;
}

static struct fetch_session_wish wish_of(const struct fetch_request_fetch_partition *asked)
{
    return (struct fetch_session_wish){
        .offset = asked->fetch_offset,
        .bytes_max = asked->partition_max_bytes,
        .current_leader_epoch = asked->current_leader_epoch,
        .last_fetched_epoch = asked->last_fetched_epoch,
    };
}

static void fill_row(struct fetch_row *row, int32_t partition,
                     const struct fetch_session_wish *wish)
{
    row->partition = partition;
    row->item.offset = wish->offset;
    row->item.bytes_max = wish->bytes_max;
    row->item.current_leader_epoch = wish->current_leader_epoch;
    row->item.last_fetched_epoch = wish->last_fetched_epoch;
    row->item.high_watermark = -1;
    row->item.log_start_offset = -1;
}

static void fill_rows_from_request(struct fetch_work *work)
{
    struct fetch_row *row = work->answer.rows;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &work->body.topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++, row++) {
            struct fetch_session_wish wish = wish_of(&topic->partitions[j]);
            fill_row(row, topic->partitions[j].partition, &wish);
            row->topic = topic->topic;
            row->topic_id = topic->topic_id;
            row->topic_number = (uint32_t)i;
        }
    }
}

static void fill_rows_from_session(struct fetch_work *work, struct fetch_session *session)
{
    struct fetch_row *row = work->answer.rows;
    list_for_each(&session->partitions, node)
    {
        struct fetch_session_partition *kept =
            container_of(node, struct fetch_session_partition, node);
        fill_row(row, kept->partition, &kept->wish);
        row->topic = kept->topic->name;
        row->topic_id = kept->topic->id;
        row->topic_number = kept->topic->number;
        row->kept = kept;
        row++;
    }
    ensure(row == work->answer.rows + work->answer.row_count);
}

/* Finds the group of every row; neighbours of one topic share the look for it. */
static void place_rows(struct fetch_work *work, struct ask_item **items)
{
    const struct broker_shard *shard = shard_of(work);
    bool has_ids = work->answer.request->version >= 13;
    const struct cluster_topic *topic = NULL;
    enum wire_error error = WIRE_ERROR_NONE;
    for (uint32_t i = 0; i < work->answer.row_count; i++) {
        struct fetch_row *row = &work->answer.rows[i];
        if (i == 0 || row->topic_number != row[-1].topic_number) {
            topic = has_ids ? topic_place_by_id(shard, &row->topic_id, &error)
                            : topic_place_by_name(shard, row->topic, &error);
        }
        row->item.head.error = error;
        if (topic != NULL) {
            row->item.head.group_id = topic_place_group(topic, row->partition);
            row->item.head.error = row->item.head.group_id == 0
                                       ? WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                       : WIRE_ERROR_NONE;
        }
        items[i] = &row->item.head;
    }
}

/* ---- Sessions ---- */

/* Lets the request change what its session reads.  False when that has become too much. */
static bool change_session(const struct fetch_request *body, struct fetch_session_table *table,
                           struct fetch_session *session)
{
    for (int32_t i = 0; i < body->topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &body->topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct fetch_session_wish wish = wish_of(&topic->partitions[j]);
            if (fetch_session_put(table, session, &topic->topic_id, topic->topic,
                                  topic->partitions[j].partition, &wish) == NULL) {
                return false;
            }
        }
    }
    for (int32_t i = 0; i < body->forgotten_topics_data_count; i++) {
        const struct fetch_request_forgotten_topic *topic = &body->forgotten_topics_data[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            fetch_session_forget(table, session, &topic->topic_id, topic->topic,
                                 topic->partitions[j]);
        }
    }
    return true;
}

/* A session that has become too large ends, and its client begins anew with a full fetch; one of
 * which nothing is left ends as well, and this fetch is a full one of what it names. */
static enum wire_error enter_session(struct fetch_work *work, struct fetch_session **session)
{
    struct fetch_session_table *table = shard_of(work)->fetch_sessions;
    const struct fetch_request *body = &work->body;
    enum wire_error error = fetch_session_advance(table, body->session_id, body->session_epoch,
                                                  work->answer.request->version >= 13,
                                                  work->answer.request->received_ns, session);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    bool fits = change_session(body, table, *session);
    if (!fits || (*session)->partition_count == 0) {
        fetch_session_close(table, body->session_id);
        *session = NULL;
    }
    return fits ? WIRE_ERROR_NONE : WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND;
}

/* ---- The request ---- */

static bool has_errors(const struct fetch_work *work)
{
    for (uint32_t i = 0; i < work->answer.row_count; i++) {
        if (work->answer.rows[i].item.head.error != WIRE_ERROR_NONE) {
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
    return work->answer.request->received_ns + (uint64_t)wait_ms * 1000000u;
}

static void make_asks(struct fetch_work *work)
{
    uint64_t deadline_ns = deadline_of(work);
    uint64_t bytes_least = work->body.min_bytes > 0 ? (uint64_t)work->body.min_bytes : 0;
    for (uint32_t i = 0; i < work->ask_count; i++) {
        struct fetch_ask *ask = &work->asks[i];
        ask_init(&ask->ask, &work->shares[i], shard_of(work), fetch_perform, ask_answered, work);
        ask->bytes_least = (bytes_least + work->ask_count - 1) / work->ask_count;
        ask->bytes_max = work->answer.bytes_max;
        ask->deadline_ns = deadline_ns;
        ask->may_read_follower = work->answer.request->version >= 11;
        ask->rack = work->body.rack_id;
        ask->stopped = stop_is_back;
    }
}

static void send_asks(struct fetch_work *work)
{
    work->asks_away = work->ask_count + 1; /* all, before the first can come home */
    for (uint32_t i = 0; i < work->ask_count; i++) {
        struct fetch_ask *ask = &work->asks[i];
        if (work->is_stopped) { /* an earlier one was complete at once */
            ask->deadline_ns = work->answer.request->received_ns;
        }
        ask->is_sent = true;
        ask_send(&ask->ask, work->shares[i].shard_id);
    }
    came_home(work);
}

/* Rows and asks, of the session or of the request alone; false when it names too many partitions.
 */
static bool make_work(struct fetch_work *work, struct fetch_session *session)
{
    struct arena *arena = &work->answer.request->arena;
    uint64_t count = session != NULL ? session->partition_count : count_partitions(&work->body);
    if (count > ASK_ITEMS_MAX) {
        return false;
    }
    work->answer.row_count = (uint32_t)count;
    ask_allow_items(arena, (uint32_t)count,
                    sizeof(struct fetch_row) + sizeof(struct fetch_response_partition_data) +
                        sizeof(struct fetch_response_fetchable_topic_response));
    work->answer.rows = arena_allocate_array(arena, count, sizeof *work->answer.rows);
    struct ask_item **items = arena_allocate_array(arena, count, sizeof(*items));
    if (work->answer.rows == NULL || items == NULL) {
        return false;
    }
    if (session != NULL) {
        fill_rows_from_session(work, session);
    } else {
        fill_rows_from_request(work);
    }
    place_rows(work, items);
    bool complete = true;
    work->ask_count = ask_split(arena, items, work->answer.row_count,
                                shard_count(shard_of(work)->shard), work->shares, &complete);
    work->asks = arena_allocate_array(arena, work->ask_count, sizeof(*work->asks));
    return complete && work->asks != NULL;
}

static void refuse(struct request *request, enum wire_error error)
{
    if (request->version >= 7) {
        fetch_answer_error(request, error);
        return;
    }
    counter_add(&request->shard->stats.fetch_errors, 1);
    request_drop(request, "a fetch as a replica, in a version that cannot be told an error");
}

/* Which kind of fetch it is, and its session; an error refuses it as a whole. */
static enum wire_error find_kind(struct fetch_work *work, struct fetch_session **session)
{
    const struct fetch_request *body = &work->body;
    struct fetch_answer *answer = &work->answer;
    int32_t replica_id =
        answer->request->version >= 15 ? body->replica_state.replica_id : body->replica_id;
    if (replica_id >= 0) { /* replicas do not fetch here, and nobody may pose as one */
        return WIRE_ERROR_INVALID_REQUEST;
    }
    if (body->session_epoch == EPOCH_BEGIN || body->session_epoch == EPOCH_NONE) {
        fetch_session_close(shard_of(work)->fetch_sessions, body->session_id);
        answer->kind = body->session_epoch == EPOCH_BEGIN && answer->request->version >= 7
                           ? FETCH_BEGINS_SESSION
                           : FETCH_FULL;
        return WIRE_ERROR_NONE;
    }
    enum wire_error error = enter_session(work, session);
    if (*session != NULL) {
        answer->kind = FETCH_WITHIN_SESSION;
        answer->session_id = body->session_id;
        answer->session_epoch = body->session_epoch;
    }
    return error;
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
    if (work->body.max_bytes > BYTES_MAX) {
        work->body.max_bytes = BYTES_MAX;
    }
    work->answer.request = request;
    work->answer.bytes_max = work->body.max_bytes > 0 ? (uint64_t)work->body.max_bytes : 0;
    work->answer.is_read_committed = work->body.isolation_level == READ_COMMITTED;
    struct fetch_session *session = NULL;
    enum wire_error error = find_kind(work, &session);
    publish_sessions(request->shard);
    if (error != WIRE_ERROR_NONE) {
        refuse(request, error);
        return;
    }
    if (!make_work(work, session)) {
        request_drop(request, "more partitions than a request may name");
        return;
    }
    request->state = work;
    request->abandoned = abandoned;
    make_asks(work);
    send_asks(work);
}
