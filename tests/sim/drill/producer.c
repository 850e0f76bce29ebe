/* SPDX-License-Identifier: Apache-2.0
 *
 * producer.c -- the producing client.
 *
 * A lane holds what one producer owes one partition, oldest first:
 *
 *     QUEUED -> SENT -> gone (told yes, or a final no)
 *        ^________|     (idempotent, an error that may pass)
 *
 * Which codes are a final no, a no for this attempt, or no answer at all is the table below; it
 * states what the brokers promise (broker/partition_append.c).  A batch of which one attempt had no
 * answer is never reported as failed.
 *
 * Rules checked here:
 *   sequence-gap   a broker says that an idempotent producer's oldest unanswered batch leaves a
 * gap, or does not know the producer: it has lost what it acknowledged
 */
#include "drill/producer.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/memory.h"
#include "wire/batch.h"
#include "wire/error.h"
#include "wire/init_producer_id.h"
#include "wire/produce.h"

#include <string.h>

#define CALL_ITEMS_MAX 4
#define BATCHES_AHEAD_MOST 5 /* brokers remember a producer's last five (KIP-98) */
#define RETRY_PAUSE_NS 100000000ull
#define ANSWER_SLACK_MS 2000 /* the broker answers late requests itself, if it can */
#define BATCH_PRODUCER_ID 43 /* positions in a batch of format v2 */
#define BATCH_PRODUCER_EPOCH 51
#define BATCH_BASE_SEQUENCE 53
#define TOMBSTONE_ONE_IN 6
#define NS_PER_MS UINT64_C(1000000)

enum verdict {
    VERDICT_YES,
    VERDICT_NOT_NOW, /* not appended by this attempt */
    VERDICT_NEVER,   /* and trying again will not help */
    VERDICT_OPEN,    /* appended or not */
    VERDICT_GAP,     /* appended not, as something before it is missing */
};

struct code_row {
    enum wire_error code;
    enum verdict verdict;
};

static const struct code_row code_rows[] = {
    {WIRE_ERROR_NONE, VERDICT_YES},
    {WIRE_ERROR_DUPLICATE_SEQUENCE_NUMBER, VERDICT_YES},
    {WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION, VERDICT_NOT_NOW},
    {WIRE_ERROR_LEADER_NOT_AVAILABLE, VERDICT_NOT_NOW},
    {WIRE_ERROR_NOT_LEADER_OR_FOLLOWER, VERDICT_NOT_NOW},
    {WIRE_ERROR_NOT_ENOUGH_REPLICAS, VERDICT_NOT_NOW},
    {WIRE_ERROR_KAFKA_STORAGE_ERROR, VERDICT_NOT_NOW},
    {WIRE_ERROR_REQUEST_TIMED_OUT, VERDICT_OPEN},
    {WIRE_ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, VERDICT_OPEN},
    {WIRE_ERROR_UNKNOWN_SERVER_ERROR, VERDICT_OPEN},
    {WIRE_ERROR_INVALID_TIMESTAMP, VERDICT_NEVER},
    {WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER, VERDICT_GAP},
    {WIRE_ERROR_UNKNOWN_PRODUCER_ID, VERDICT_GAP},
};

struct batch {
    struct list_node node;
    struct buf *bytes;
    uint32_t first_value;
    uint32_t count;
    uint64_t number; /* in its lane */
    bool is_sent;
    bool is_open; /* an attempt had no answer */
};

struct lane {
    struct drill_producer *producer;
    uint32_t topic;
    uint32_t partition;
    struct list batches;
    uint64_t next_number;
    uint32_t batch_count;
    uint32_t sent_count;
    bool is_draining; /* an error came: nothing is sent until all answers are in */
    uint64_t pause_until_ns;
    uint32_t session;
    int32_t next_sequence;
    uint32_t last_value; /* HISTORY_NO_VALUE: none in this session */
};

struct call {
    struct list_node node;
    struct drill_producer *producer;
    uint32_t broker;
    uint32_t count;
    struct lane *lanes[CALL_ITEMS_MAX];
    struct batch *batches[CALL_ITEMS_MAX];
};

struct drill_producer {
    struct client *client;
    struct producer_options options;
    struct io_timer load_timer;
    struct io_timer pump_timer;
    bool is_quiet;
    bool is_asking_for_id;
    int64_t producer_id; /* -1: none yet */
    int16_t producer_epoch;
    struct list calls; /* in flight */
    struct lane lanes[HISTORY_TOPICS_MAX][HISTORY_PARTITIONS_MAX];
};

static void pump(struct drill_producer *producer);

static struct history *history_of(const struct drill_producer *producer)
{
    return client_history(producer->client);
}

static void pump_later(struct drill_producer *producer, uint64_t delay_ns)
{
    struct io_loop *loop = client_loop(producer->client);
    if (!io_timer_is_running(&producer->pump_timer)) {
        io_timer_start(loop, &producer->pump_timer, io_now_ns(loop) + delay_ns);
    }
}

/* ---- The fate of a batch ---- */

static void settle(struct lane *lane, struct batch *batch, enum verdict verdict,
                   int64_t base_offset)
{
    struct history *history = history_of(lane->producer);
    for (uint32_t i = 0; i < batch->count; i++) {
        if (verdict == VERDICT_YES) {
            history_ack(history, batch->first_value + i, base_offset < 0 ? -1 : base_offset + i);
        } else if (verdict == VERDICT_OPEN || batch->is_open) {
            history_give_up(history, batch->first_value + i);
        } else {
            history_fail(history, batch->first_value + i);
        }
    }
    ensure(lane->batch_count > 0);
    lane->batch_count--;
    list_remove(&batch->node);
    buf_release(batch->bytes);
    memory_free(batch);
}

static bool topic_is_going(const struct lane *lane)
{
    enum history_topic_state state = history_of(lane->producer)->topics[lane->topic].state;
    return state != HISTORY_TOPIC_LIVE;
}

static void try_again(struct lane *lane, struct batch *batch)
{
    struct io_loop *loop = client_loop(lane->producer->client);
    lane->is_draining = true;
    lane->pause_until_ns = io_now_ns(loop) + RETRY_PAUSE_NS;
    if (topic_is_going(lane)) {
        settle(lane, batch, VERDICT_NOT_NOW, -1);
    }
    pump_later(lane->producer, RETRY_PAUSE_NS);
}

static void check_gap(struct lane *lane, const struct batch *batch)
{
    const struct history_topic *topic = &history_of(lane->producer)->topics[lane->topic];
    if (list_first(&lane->batches) == &batch->node && !topic->churns) {
        sim_world_fail(client_world(lane->producer->client),
                       "sequence-gap: %s-%u: the broker misses something before value %u, of which "
                       "everything was acked",
                       topic->name, lane->partition, batch->first_value);
    }
}

static void judge(struct lane *lane, struct batch *batch, enum verdict verdict, int64_t base_offset)
{
    struct drill_producer *producer = lane->producer;
    ensure(batch->is_sent && lane->sent_count > 0);
    batch->is_sent = false;
    lane->sent_count--;
    if (verdict == VERDICT_YES) {
        settle(lane, batch, verdict, base_offset);
        return;
    }
    client_forget_leader(producer->client, lane->topic, lane->partition);
    if (!producer->options.is_idempotent) {
        settle(lane, batch, verdict, -1);
        return;
    }
    batch->is_open = batch->is_open || verdict == VERDICT_OPEN;
    if (verdict == VERDICT_GAP) {
        check_gap(lane, batch);
    }
    if (verdict == VERDICT_NEVER) {
        sim_world_fail(client_world(producer->client), "protocol: value %u refused for good",
                       batch->first_value);
    }
    try_again(lane, batch);
}

static enum verdict verdict_of(struct drill_producer *producer, int16_t code)
{
    for (size_t i = 0; i < sizeof code_rows / sizeof code_rows[0]; i++) {
        if ((int16_t)code_rows[i].code == code) {
            return code_rows[i].verdict;
        }
    }
    sim_world_fail(client_world(producer->client), "protocol: Produce is answered with %s",
                   wire_error_name((enum wire_error)code));
    return VERDICT_OPEN;
}

/* ---- Calls ---- */

static const struct produce_response_partition_produce_response *
find_answer(const struct produce_response *response, const char *name, uint32_t partition)
{
    for (int32_t i = 0; i < response->responses_count; i++) {
        const struct produce_response_topic_produce_response *topic = &response->responses[i];
        if (!wire_string_equal(topic->name, name)) {
            continue;
        }
        for (int32_t j = 0; j < topic->partition_responses_count; j++) {
            if (topic->partition_responses[j].index == (int32_t)partition) {
                return &topic->partition_responses[j];
            }
        }
    }
    return NULL;
}

static void called(void *context, enum client_result result, struct wire_cursor *body)
{
    struct call *call = context;
    struct drill_producer *producer = call->producer;
    struct produce_response response;
    produce_response_init(&response);
    if (result == CLIENT_ANSWERED &&
        !produce_response_decode(&response, client_version(producer->client, CLIENT_PRODUCE),
                                 body)) {
        sim_world_fail(client_world(producer->client), "protocol: a Produce answer makes no sense");
    }
    for (uint32_t i = 0; i < call->count; i++) {
        struct lane *lane = call->lanes[i];
        const struct history_topic *topic = &history_of(producer)->topics[lane->topic];
        const struct produce_response_partition_produce_response *answer =
            result == CLIENT_ANSWERED ? find_answer(&response, topic->name, lane->partition) : NULL;
        if (answer != NULL) {
            judge(lane, call->batches[i], verdict_of(producer, answer->error_code),
                  answer->base_offset);
        } else {
            judge(lane, call->batches[i], result == CLIENT_UNSENT ? VERDICT_NOT_NOW : VERDICT_OPEN,
                  -1);
        }
    }
    list_remove(&call->node);
    memory_free(call);
    pump(producer);
}

static void encode(struct drill_producer *producer, const struct call *call,
                   struct wire_writer *writer)
{
    struct produce_request_topic_produce_data topics[CALL_ITEMS_MAX];
    struct produce_request_partition_produce_data partitions[CALL_ITEMS_MAX];
    struct produce_request body;
    produce_request_init(&body);
    body.transactional_id = wire_string_from(NULL);
    body.acks = producer->options.acks;
    body.timeout_ms = (int32_t)producer->options.timeout_ms;
    body.topic_data = topics;
    body.topic_data_count = (int32_t)call->count;
    for (uint32_t i = 0; i < call->count; i++) {
        const struct lane *lane = call->lanes[i];
        produce_request_topic_produce_data_init(&topics[i]);
        produce_request_partition_produce_data_init(&partitions[i]);
        topics[i].name = wire_string_from(history_of(producer)->topics[lane->topic].name);
        topics[i].partition_data = &partitions[i];
        topics[i].partition_data_count = 1;
        partitions[i].index = (int32_t)lane->partition;
        partitions[i].records.data = call->batches[i]->bytes->data;
        partitions[i].records.length = (int32_t)call->batches[i]->bytes->length_bytes;
    }
    produce_request_encode(&body, client_version(producer->client, CLIENT_PRODUCE), writer);
}

static void make_call(struct drill_producer *producer, struct call *call)
{
    struct wire_writer writer;
    client_begin(producer->client, CLIENT_PRODUCE, &writer);
    encode(producer, call, &writer);
    client_send(producer->client, call->broker, CLIENT_PRODUCE, &writer,
                producer->options.timeout_ms + ANSWER_SLACK_MS, called, call);
}

/* The oldest batch that was not sent, unless it is so far ahead of the oldest that has no answer
 * that the brokers would not recognise that one any more when it comes again: its answer may be
 * lost with a leader while the next one acknowledges what follows. */
static struct batch *next_unsent(const struct lane *lane)
{
    uint64_t oldest = container_of(list_first(&lane->batches), struct batch, node)->number;
    list_for_each(&lane->batches, node)
    {
        struct batch *batch = container_of(node, struct batch, node);
        if (!batch->is_sent) {
            return batch->number - oldest < BATCHES_AHEAD_MOST ? batch : NULL;
        }
    }
    return NULL;
}

/* The oldest batch of a lane that is to be sent now, or NULL. */
static struct batch *sendable(struct lane *lane, uint64_t now_ns)
{
    if (lane->batch_count == 0) {
        return NULL;
    }
    if (lane->is_draining && lane->sent_count == 0) {
        lane->is_draining = false;
    }
    if (lane->is_draining || lane->sent_count >= lane->producer->options.window) {
        return NULL;
    }
    if (now_ns < lane->pause_until_ns) {
        pump_later(lane->producer, lane->pause_until_ns - now_ns);
        return NULL;
    }
    if (client_leader(lane->producer->client, lane->topic, lane->partition) == 0) {
        client_refresh(lane->producer->client);
        pump_later(lane->producer, RETRY_PAUSE_NS);
        return NULL;
    }
    return next_unsent(lane);
}

static void add_to_call(struct call *call, struct lane *lane, struct batch *batch)
{
    call->lanes[call->count] = lane;
    call->batches[call->count] = batch;
    call->count++;
    batch->is_sent = true;
    lane->sent_count++;
}

/* Fills a call with what is for one broker; NULL when nothing is to be sent. */
static struct call *next_call(struct drill_producer *producer)
{
    const struct history *history = history_of(producer);
    uint64_t now_ns = io_now_ns(client_loop(producer->client));
    struct call *call = NULL;
    for (uint32_t i = 0; i < history->topic_count; i++) {
        for (uint32_t j = 0; j < history->topics[i].partition_count; j++) {
            struct lane *lane = &producer->lanes[i][j];
            struct batch *batch = sendable(lane, now_ns);
            if (batch == NULL) {
                continue;
            }
            uint32_t leader = client_leader(producer->client, i, j);
            if (call == NULL) {
                call = memory_allocate_zeroed(sizeof *call);
                call->producer = producer;
                call->broker = leader;
                list_append(&producer->calls, &call->node);
            }
            if (leader == call->broker && call->count < CALL_ITEMS_MAX) {
                add_to_call(call, lane, batch);
            }
        }
    }
    return call;
}

static void pump(struct drill_producer *producer)
{
    struct call *call;
    while ((call = next_call(producer)) != NULL) {
        make_call(producer, call);
    }
}

/* ---- New batches ---- */

static struct buf *build(struct lane *lane, const struct batch *batch)
{
    struct drill_producer *producer = lane->producer;
    const struct history *history = history_of(producer);
    struct wire_batch_writer writer;
    wire_batch_writer_begin(&writer, io_wall_ms(client_loop(producer->client)));
    for (uint32_t i = 0; i < batch->count; i++) {
        history_value_write(history, batch->first_value + i, &writer);
    }
    struct buf *buf = wire_batch_writer_finish(&writer);
    if (producer->options.is_idempotent) {
        struct wire_writer head;
        wire_writer_init(&head, 16);
        wire_write_int64(&head, producer->producer_id);
        wire_write_int16(&head, producer->producer_epoch);
        wire_write_int32(&head, lane->next_sequence);
        memcpy(buf->data + BATCH_PRODUCER_ID, head.buf->data, wire_writer_length(&head));
        wire_writer_free(&head);
        wire_batch_write_crc(buf->data, buf->length_bytes);
    }
    return buf;
}

static void add_batch(struct lane *lane, uint32_t count)
{
    struct drill_producer *producer = lane->producer;
    struct prng *prng = client_prng(producer->client);
    struct batch *batch = memory_allocate_zeroed(sizeof *batch);
    batch->count = count;
    batch->number = lane->next_number++;
    uint32_t key_count = history_of(producer)->topics[lane->topic].key_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = HISTORY_NO_KEY;
        uint32_t bytes = HISTORY_VALUE_BYTES_LEAST +
                         (uint32_t)prng_below(prng, producer->options.record_bytes_most);
        if (key_count > 0) {
            key = (uint32_t)prng_below(prng, key_count);
            bytes = prng_below(prng, TOMBSTONE_ONE_IN) == 0 ? 0 : bytes;
        }
        uint32_t value =
            history_send(history_of(producer), lane->topic, lane->partition, lane->session,
                         lane->last_value, producer->options.acks, key, bytes);
        batch->first_value = i == 0 ? value : batch->first_value;
        lane->last_value = producer->options.is_idempotent ? value : HISTORY_NO_VALUE;
    }
    batch->bytes = build(lane, batch);
    lane->next_sequence += (int32_t)count;
    lane->batch_count++;
    list_append(&lane->batches, &batch->node);
}

static struct lane *draw_lane(struct drill_producer *producer)
{
    const struct history *history = history_of(producer);
    struct prng *prng = client_prng(producer->client);
    struct lane *lane = NULL;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < history->topic_count; i++) {
        const struct history_topic *topic = &history->topics[i];
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            bool is_open = topic->state == HISTORY_TOPIC_LIVE &&
                           producer->lanes[i][j].batch_count < producer->options.window * 2;
            if (is_open && prng_below(prng, ++seen) == 0) {
                lane = &producer->lanes[i][j];
            }
        }
    }
    return lane;
}

static void id_given(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_producer *producer = context;
    struct init_producer_id_response response;
    producer->is_asking_for_id = false;
    if (result != CLIENT_ANSWERED) {
        return;
    }
    if (!init_producer_id_response_decode(
            &response, client_version(producer->client, CLIENT_INIT_PRODUCER_ID), body)) {
        sim_world_fail(client_world(producer->client),
                       "protocol: an InitProducerId answer makes no sense");
    } else if (response.error_code == 0) {
        producer->producer_id = response.producer_id;
        producer->producer_epoch = response.producer_epoch;
    }
}

static void ask_for_id(struct drill_producer *producer)
{
    struct init_producer_id_request body;
    struct wire_writer writer;
    if (producer->is_asking_for_id) {
        return;
    }
    producer->is_asking_for_id = true;
    init_producer_id_request_init(&body);
    body.transactional_id = wire_string_from(NULL);
    body.producer_id = -1;
    body.producer_epoch = -1;
    client_begin(producer->client, CLIENT_INIT_PRODUCER_ID, &writer);
    init_producer_id_request_encode(
        &body, client_version(producer->client, CLIENT_INIT_PRODUCER_ID), &writer);
    client_send(producer->client, client_any_broker(producer->client), CLIENT_INIT_PRODUCER_ID,
                &writer, 5000, id_given, producer);
}

/* How long the lull of this moment goes on; 0: it is none. */
static uint64_t lull_left_ns(const struct drill_producer *producer)
{
    uint64_t burst_ns = producer->options.burst_ms * NS_PER_MS;
    uint64_t period_ns = burst_ns + producer->options.lull_ms * NS_PER_MS;
    uint64_t now_ns = sim_world_now_ns(client_world(producer->client));
    bool is_lull = producer->options.lull_ms > 0 && now_ns % period_ns >= burst_ns;
    return is_lull ? period_ns - now_ns % period_ns : 0;
}

static void load(struct io_timer *timer)
{
    struct drill_producer *producer = container_of(timer, struct drill_producer, load_timer);
    struct io_loop *loop = client_loop(producer->client);
    struct prng *prng = client_prng(producer->client);
    uint64_t pause_ms = 1 + prng_below(prng, 2ull * producer->options.mean_ms);
    uint64_t lull_ns = lull_left_ns(producer);
    io_timer_start(loop, timer, io_now_ns(loop) + lull_ns + pause_ms * NS_PER_MS);
    if (producer->is_quiet || lull_ns > 0) {
        pump(producer);
        return;
    }
    if (producer->options.is_idempotent && producer->producer_id < 0) {
        ask_for_id(producer);
        return;
    }
    struct lane *lane = draw_lane(producer);
    if (lane != NULL) {
        add_batch(lane, 1 + (uint32_t)prng_below(prng, producer->options.records_most));
    }
    pump(producer);
}

static void pump_due(struct io_timer *timer)
{
    pump(container_of(timer, struct drill_producer, pump_timer));
}

/* ---- The producer ---- */

struct drill_producer *drill_producer_new(struct client *client,
                                          const struct producer_options *options)
{
    require(!options->is_idempotent || options->acks == -1);
    require(options->window > 0 && options->records_most > 0 && options->mean_ms > 0);
    struct drill_producer *producer = memory_allocate_zeroed(sizeof *producer);
    producer->client = client;
    producer->options = *options;
    producer->producer_id = -1;
    for (uint32_t i = 0; i < HISTORY_TOPICS_MAX; i++) {
        for (uint32_t j = 0; j < HISTORY_PARTITIONS_MAX; j++) {
            struct lane *lane = &producer->lanes[i][j];
            lane->producer = producer;
            lane->topic = i;
            lane->partition = j;
            lane->last_value = HISTORY_NO_VALUE;
            lane->session = options->is_idempotent ? ++client_history(client)->session_count : 0;
            list_init(&lane->batches);
        }
    }
    list_init(&producer->calls);
    io_timer_init(&producer->load_timer, load);
    io_timer_init(&producer->pump_timer, pump_due);
    io_timer_start(client_loop(client), &producer->load_timer,
                   io_now_ns(client_loop(client)) + options->mean_ms * 1000000ull);
    return producer;
}

void drill_producer_free(struct drill_producer *producer)
{
    struct io_loop *loop = client_loop(producer->client);
    io_timer_stop(loop, &producer->load_timer);
    io_timer_stop(loop, &producer->pump_timer);
    struct list_node *call;
    while ((call = list_take_first(&producer->calls)) != NULL) {
        memory_free(container_of(call, struct call, node));
    }
    for (uint32_t i = 0; i < HISTORY_TOPICS_MAX; i++) {
        for (uint32_t j = 0; j < HISTORY_PARTITIONS_MAX; j++) {
            struct list_node *node;
            while ((node = list_take_first(&producer->lanes[i][j].batches)) != NULL) {
                struct batch *batch = container_of(node, struct batch, node);
                buf_release(batch->bytes);
                memory_free(batch);
            }
        }
    }
    memory_free(producer);
}

void drill_producer_quiet(struct drill_producer *producer)
{
    producer->is_quiet = true;
}

bool drill_producer_is_ready(const struct drill_producer *producer)
{
    return !producer->options.is_idempotent || producer->producer_id >= 0;
}

void drill_producer_send_one(struct drill_producer *producer, uint32_t topic, uint32_t partition)
{
    require(drill_producer_is_ready(producer));
    add_batch(&producer->lanes[topic][partition], 1);
    pump_later(producer, 0);
}

bool drill_producer_is_done(const struct drill_producer *producer)
{
    const struct history *history = client_history(producer->client);
    for (uint32_t i = 0; i < history->topic_count; i++) {
        for (uint32_t j = 0; j < history->topics[i].partition_count; j++) {
            const struct lane *lane = &producer->lanes[i][j];
            if (history->topics[i].state == HISTORY_TOPIC_LIVE && lane->batch_count > 0) {
                return false;
            }
        }
    }
    return true;
}
