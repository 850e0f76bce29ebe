/* SPDX-License-Identifier: Apache-2.0
 *
 * consumer.c -- the consuming client.
 *
 * One fetch is on its way to each broker, for all partitions that it is believed to lead.  A
 * partition whose position is unknown is asked for its beginning first.
 *
 * Rules checked here, on top of check_reads.c:
 *   poll-skip            each answer goes on exactly where the last one ended, without a gap
 *   beyond-watermark     nothing at or above the high watermark is given out
 *   watermark-back       the high watermark that one broker tells of a partition never falls, as it
 *                        serves only what no later leader takes back
 *   phantom              a batch whose checksum is wrong
 */
#include "drill/consumer.h"

#include "base/assert.h"
#include "base/memory.h"
#include "drill/check.h"
#include "wire/batch.h"
#include "wire/error.h"
#include "wire/fetch.h"
#include "wire/list_offsets.h"

#include <string.h>

#define PAUSE_NS 50000000ull
#define ANSWER_SLACK_MS 3000
#define FIRST_VERSION_WITH_ID 13
#define RECORD_BYTES_MAX (16u * 1024 * 1024)
#define TIMESTAMP_LATEST (-1)
#define TIMESTAMP_EARLIEST (-2)

struct track {
    int64_t position;    /* next offset to read; -1: the beginning is not known */
    uint32_t generation; /* how often reading began anew */
    bool is_asking_start;
    uint64_t pause_until_ns;
    int64_t watermarks[CLIENT_BROKERS_MAX]; /* told last, by broker */
};

struct target {
    uint32_t topic;
    uint32_t partition;
    uint32_t generation;
    int64_t position;
};

struct feed {
    struct drill_consumer *consumer;
    uint32_t broker;
    bool is_busy;
    uint32_t target_count;
    struct target targets[HISTORY_TOPICS_MAX];
};

struct question {
    struct list_node node;
    struct drill_consumer *consumer;
    uint32_t topic;
    uint32_t partition;
    bool is_latest;
    int64_t acked_before;
    int64_t trimmed_before;
};

struct drill_consumer {
    struct client *client;
    struct consumer_options options;
    struct io_timer pump_timer;
    struct io_timer ask_timer;
    struct io_timer restart_timer;
    struct list questions; /* in flight */
    struct feed feeds[CLIENT_BROKERS_MAX];
    struct track tracks[HISTORY_TOPICS_MAX][HISTORY_PARTITIONS_MAX];
};

static void pump(struct drill_consumer *consumer);

static struct history *history_of(const struct drill_consumer *consumer)
{
    return client_history(consumer->client);
}

static uint64_t now_of(const struct drill_consumer *consumer)
{
    return io_now_ns(client_loop(consumer->client));
}

static void pump_later(struct drill_consumer *consumer)
{
    if (!io_timer_is_running(&consumer->pump_timer)) {
        io_timer_start(client_loop(consumer->client), &consumer->pump_timer,
                       now_of(consumer) + PAUSE_NS);
    }
}

/* ---- Where a partition begins and ends ---- */

static const struct list_offsets_response_list_offsets_partition_response *
only_answer(const struct list_offsets_response *response)
{
    bool is_one = response->topics_count == 1 && response->topics[0].partitions_count == 1;
    return is_one ? &response->topics[0].partitions[0] : NULL;
}

static void take_offset(const struct question *question, int64_t offset)
{
    struct history *history = history_of(question->consumer);
    struct track *track = &question->consumer->tracks[question->topic][question->partition];
    if (history->topics[question->topic].delete_ns != 0) {
        return;
    }
    if (question->is_latest) {
        check_latest(history, question->topic, question->partition, question->acked_before, offset);
        return;
    }
    check_trimmed(history, question->topic, question->partition, question->trimmed_before, offset);
    check_start(history, question->topic, question->partition, offset);
    track->position = offset;
    if (question->consumer->options.is_last) {
        history_partition(history, question->topic, question->partition)->start = offset;
    }
}

static void told(void *context, enum client_result result, struct wire_cursor *body)
{
    struct question *question = context;
    struct drill_consumer *consumer = question->consumer;
    struct track *track = &consumer->tracks[question->topic][question->partition];
    struct list_offsets_response response;
    const struct list_offsets_response_list_offsets_partition_response *answer = NULL;
    if (result == CLIENT_ANSWERED) {
        if (list_offsets_response_decode(
                &response, client_version(consumer->client, CLIENT_LIST_OFFSETS), body)) {
            answer = only_answer(&response);
        }
        if (answer == NULL) {
            sim_world_fail(client_world(consumer->client),
                           "protocol: a ListOffsets answer makes no sense");
        }
    }
    if (answer != NULL && answer->error_code == 0) {
        take_offset(question, answer->offset);
    } else {
        client_forget_leader(consumer->client, question->topic, question->partition);
    }
    if (!question->is_latest) {
        track->is_asking_start = false;
        track->pause_until_ns = track->position < 0 ? now_of(consumer) + PAUSE_NS : 0;
    }
    list_remove(&question->node);
    memory_free(question);
    pump(consumer);
}

static void ask_offset(struct drill_consumer *consumer, uint32_t topic, uint32_t partition,
                       bool is_latest)
{
    struct history *history = history_of(consumer);
    struct list_offsets_request_list_offsets_partition asked;
    struct list_offsets_request_list_offsets_topic asked_topic;
    struct list_offsets_request body;
    struct wire_writer writer;
    struct question *question = memory_allocate_zeroed(sizeof *question);
    question->consumer = consumer;
    question->topic = topic;
    question->partition = partition;
    question->is_latest = is_latest;
    question->acked_before = history_partition(history, topic, partition)->acked_most;
    question->trimmed_before = history_partition(history, topic, partition)->trim_acked;
    list_append(&consumer->questions, &question->node);

    list_offsets_request_init(&body);
    list_offsets_request_list_offsets_topic_init(&asked_topic);
    list_offsets_request_list_offsets_partition_init(&asked);
    body.replica_id = -1;
    body.topics = &asked_topic;
    body.topics_count = 1;
    asked_topic.name = wire_string_from(history->topics[topic].name);
    asked_topic.partitions = &asked;
    asked_topic.partitions_count = 1;
    asked.partition_index = (int32_t)partition;
    asked.timestamp = is_latest ? TIMESTAMP_LATEST : TIMESTAMP_EARLIEST;
    client_begin(consumer->client, CLIENT_LIST_OFFSETS, &writer);
    list_offsets_request_encode(&body, client_version(consumer->client, CLIENT_LIST_OFFSETS),
                                &writer);
    client_send(consumer->client, client_leader(consumer->client, topic, partition),
                CLIENT_LIST_OFFSETS, &writer, 5000, told, question);
}

/* ---- What a fetch brought ---- */

static void read_batch(struct drill_consumer *consumer, const struct target *target,
                       const struct wire_batch *batch, int64_t from)
{
    struct wire_record record;
    struct wire_record_reader *reader = wire_record_reader_open(batch, RECORD_BYTES_MAX);
    while (wire_record_reader_next(reader, &record)) {
        int64_t offset = batch->base_offset + record.offset_delta;
        if (offset >= from) {
            history_read(history_of(consumer), target->topic, target->partition, offset, &record);
        }
    }
    if (wire_record_reader_error(reader) != NULL) {
        sim_world_fail(client_world(consumer->client), "phantom: a batch at %ld: %s",
                       (long)batch->base_offset, wire_record_reader_error(reader));
    }
    wire_record_reader_close(reader);
}

/* The position behind all batches, or -1 when something was wrong with them. */
static int64_t read_batches(struct drill_consumer *consumer, const struct target *target,
                            const struct fetch_response_partition_data *data)
{
    struct sim_world *world = client_world(consumer->client);
    const char *name = history_of(consumer)->topics[target->topic].name;
    bool has_keys = history_of(consumer)->topics[target->topic].key_count > 0;
    int64_t position = target->position;
    size_t done = 0;
    size_t length = data->records.length > 0 ? (size_t)data->records.length : 0;
    while (done < length) {
        struct wire_batch batch;
        if (!wire_batch_read(&batch, data->records.data + done, length - done) ||
            batch.data == NULL || !wire_batch_crc_matches(&batch)) {
            if (history_of(consumer)->has_rot) {
                /* A broker checks what it sends once: what rots behind that, the consumer finds. */
                consumer->tracks[target->topic][target->partition].pause_until_ns =
                    now_of(consumer) + PAUSE_NS;
                return position;
            }
            sim_world_fail(world, "phantom: %s-%u: the batch after %ld is damaged", name,
                           target->partition, (long)position);
            return -1;
        }
        int64_t end = batch.base_offset + batch.last_offset_delta + 1;
        bool is_near = batch.base_offset <= position || has_keys; /* it may pass over fillers */
        bool follows = done == 0 ? is_near && end > position : batch.base_offset == position;
        if (!follows) {
            sim_world_fail(world, "poll-skip: %s-%u: asked for %ld, given a batch of [%ld, %ld)",
                           name, target->partition, (long)position, (long)batch.base_offset,
                           (long)end);
            return -1;
        }
        if (end > data->high_watermark) {
            sim_world_fail(
                world, "beyond-watermark: %s-%u: a batch of [%ld, %ld), but the watermark is %ld",
                name, target->partition, (long)batch.base_offset, (long)end,
                (long)data->high_watermark);
            return -1;
        }
        read_batch(consumer, target, &batch, position);
        position = end;
        done += batch.total_bytes;
    }
    return position;
}

static void check_watermark(struct drill_consumer *consumer, uint32_t broker,
                            const struct target *target, int64_t watermark)
{
    struct track *track = &consumer->tracks[target->topic][target->partition];
    if (watermark < track->watermarks[broker]) {
        sim_world_fail(client_world(consumer->client),
                       "watermark-back: %s-%u: broker %u said %ld, then %ld",
                       history_of(consumer)->topics[target->topic].name, target->partition, broker,
                       (long)track->watermarks[broker], (long)watermark);
    }
    track->watermarks[broker] = watermark;
}

static void take_partition(struct feed *feed, const struct target *target,
                           const struct fetch_response_partition_data *data)
{
    struct drill_consumer *consumer = feed->consumer;
    struct track *track = &consumer->tracks[target->topic][target->partition];
    if (data->error_code == WIRE_ERROR_OFFSET_OUT_OF_RANGE) {
        if (track->generation == target->generation) {
            track->position = -1;
            track->pause_until_ns = now_of(consumer) + PAUSE_NS;
        }
        return;
    }
    if (data->error_code != 0) {
        client_forget_leader(consumer->client, target->topic, target->partition);
        track->pause_until_ns = now_of(consumer) + PAUSE_NS;
        return;
    }
    check_watermark(consumer, feed->broker, target, data->high_watermark);
    check_start(history_of(consumer), target->topic, target->partition, data->log_start_offset);
    int64_t position = read_batches(consumer, target, data);
    if (position >= 0 && track->generation == target->generation) {
        track->position = position;
    }
}

static const struct fetch_response_partition_data *find_data(const struct drill_consumer *consumer,
                                                             const struct fetch_response *response,
                                                             const struct target *target)
{
    const struct history_topic *topic = &history_of(consumer)->topics[target->topic];
    bool has_id = client_version(consumer->client, CLIENT_FETCH) >= FIRST_VERSION_WITH_ID;
    for (int32_t i = 0; i < response->responses_count; i++) {
        const struct fetch_response_fetchable_topic_response *told = &response->responses[i];
        bool is_it = has_id ? uuid_equal(&told->topic_id, &topic->id)
                            : wire_string_equal(told->topic, topic->name);
        for (int32_t j = 0; is_it && j < told->partitions_count; j++) {
            if (told->partitions[j].partition_index == (int32_t)target->partition) {
                return &told->partitions[j];
            }
        }
    }
    return NULL;
}

static void fetched(void *context, enum client_result result, struct wire_cursor *body)
{
    struct feed *feed = context;
    struct drill_consumer *consumer = feed->consumer;
    struct fetch_response response;
    bool is_good =
        result == CLIENT_ANSWERED &&
        fetch_response_decode(&response, client_version(consumer->client, CLIENT_FETCH), body);
    if (result == CLIENT_ANSWERED && !is_good) {
        sim_world_fail(client_world(consumer->client), "protocol: a Fetch answer makes no sense");
    }
    feed->is_busy = false;
    for (uint32_t i = 0; i < feed->target_count; i++) {
        const struct target *target = &feed->targets[i];
        const struct fetch_response_partition_data *data =
            is_good ? find_data(consumer, &response, target) : NULL;
        if (data != NULL) {
            take_partition(feed, target, data);
        } else {
            client_forget_leader(consumer->client, target->topic, target->partition);
            consumer->tracks[target->topic][target->partition].pause_until_ns =
                now_of(consumer) + PAUSE_NS;
        }
    }
    pump(consumer);
}

/* ---- Fetching ---- */

static bool may_read(const struct drill_consumer *consumer, uint32_t topic)
{
    const struct history_topic *known = &history_of(consumer)->topics[topic];
    bool has_id = client_version(consumer->client, CLIENT_FETCH) >= FIRST_VERSION_WITH_ID;
    return known->state == HISTORY_TOPIC_LIVE && (has_id || !known->churns);
}

static void send_fetch(struct feed *feed)
{
    struct drill_consumer *consumer = feed->consumer;
    struct prng *prng = client_prng(consumer->client);
    struct fetch_request_fetch_topic topics[HISTORY_TOPICS_MAX];
    struct fetch_request_fetch_partition partitions[HISTORY_TOPICS_MAX];
    struct fetch_request body;
    struct wire_writer writer;
    fetch_request_init(&body);
    body.max_wait_ms = (int32_t)prng_below(prng, 800);
    body.min_bytes = 1;
    body.max_bytes = prng_below(prng, 4) == 0 ? 3000 : 1000000;
    body.topics = topics;
    body.topics_count = (int32_t)feed->target_count;
    for (uint32_t i = 0; i < feed->target_count; i++) {
        const struct target *target = &feed->targets[i];
        const struct history_topic *topic = &history_of(consumer)->topics[target->topic];
        fetch_request_fetch_topic_init(&topics[i]);
        fetch_request_fetch_partition_init(&partitions[i]);
        topics[i].topic = wire_string_from(topic->name);
        topics[i].topic_id = topic->id;
        topics[i].partitions = &partitions[i];
        topics[i].partitions_count = 1;
        partitions[i].partition = (int32_t)target->partition;
        partitions[i].fetch_offset = target->position;
        partitions[i].partition_max_bytes = prng_below(prng, 4) == 0 ? 1 : 500000;
    }
    feed->is_busy = true;
    client_begin(consumer->client, CLIENT_FETCH, &writer);
    fetch_request_encode(&body, client_version(consumer->client, CLIENT_FETCH), &writer);
    client_send(consumer->client, feed->broker, CLIENT_FETCH, &writer,
                (uint32_t)body.max_wait_ms + ANSWER_SLACK_MS, fetched, feed);
}

/* Adds the partition to its leader's next fetch, or finds out what is missing for that. */
static void aim(struct drill_consumer *consumer, uint32_t topic, uint32_t partition)
{
    struct track *track = &consumer->tracks[topic][partition];
    uint32_t leader = client_leader(consumer->client, topic, partition);
    if (leader == 0) {
        client_refresh(consumer->client);
        pump_later(consumer);
        return;
    }
    if (now_of(consumer) < track->pause_until_ns) {
        pump_later(consumer);
        return;
    }
    if (track->position < 0) {
        if (!track->is_asking_start) {
            track->is_asking_start = true;
            ask_offset(consumer, topic, partition, false);
        }
        return;
    }
    struct feed *feed = &consumer->feeds[leader];
    if (!feed->is_busy && feed->target_count < HISTORY_TOPICS_MAX) {
        feed->targets[feed->target_count++] =
            (struct target){topic, partition, track->generation, track->position};
    }
}

static void pump(struct drill_consumer *consumer)
{
    const struct history *history = history_of(consumer);
    for (uint32_t i = 0; i < CLIENT_BROKERS_MAX; i++) {
        if (!consumer->feeds[i].is_busy) {
            consumer->feeds[i].target_count = 0;
        }
    }
    for (uint32_t i = 0; i < history->topic_count; i++) {
        for (uint32_t j = 0; may_read(consumer, i) && j < history->topics[i].partition_count; j++) {
            aim(consumer, i, j);
        }
    }
    for (uint32_t i = 0; i < CLIENT_BROKERS_MAX; i++) {
        struct feed *feed = &consumer->feeds[i];
        if (!feed->is_busy && feed->target_count > 0) {
            send_fetch(feed);
        }
    }
    pump_later(consumer);
}

static void pump_due(struct io_timer *timer)
{
    pump(container_of(timer, struct drill_consumer, pump_timer));
}

/* ---- Moods ---- */

static bool draw_partition(struct drill_consumer *consumer, uint32_t *topic, uint32_t *partition)
{
    const struct history *history = history_of(consumer);
    struct prng *prng = client_prng(consumer->client);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < history->topic_count; i++) {
        for (uint32_t j = 0; may_read(consumer, i) && j < history->topics[i].partition_count; j++) {
            if (prng_below(prng, ++seen) == 0) {
                *topic = i;
                *partition = j;
            }
        }
    }
    return seen > 0;
}

static void ask_due(struct io_timer *timer)
{
    struct drill_consumer *consumer = container_of(timer, struct drill_consumer, ask_timer);
    uint64_t pause_ms =
        1 + prng_below(client_prng(consumer->client), 2ull * consumer->options.ask_mean_ms);
    uint32_t topic;
    uint32_t partition;
    io_timer_start(client_loop(consumer->client), timer, now_of(consumer) + pause_ms * 1000000ull);
    if (draw_partition(consumer, &topic, &partition) &&
        client_leader(consumer->client, topic, partition) != 0) {
        ask_offset(consumer, topic, partition, true);
    }
}

static void begin_anew(struct track *track)
{
    track->position = -1;
    track->generation++;
}

static void restart_due(struct io_timer *timer)
{
    struct drill_consumer *consumer = container_of(timer, struct drill_consumer, restart_timer);
    uint64_t pause_ms =
        1 + prng_below(client_prng(consumer->client), 2ull * consumer->options.restart_mean_ms);
    uint32_t topic;
    uint32_t partition;
    io_timer_start(client_loop(consumer->client), timer, now_of(consumer) + pause_ms * 1000000ull);
    if (draw_partition(consumer, &topic, &partition)) {
        begin_anew(&consumer->tracks[topic][partition]);
    }
}

/* ---- The consumer ---- */

struct drill_consumer *drill_consumer_new(struct client *client,
                                          const struct consumer_options *options)
{
    struct drill_consumer *consumer = memory_allocate_zeroed(sizeof *consumer);
    struct io_loop *loop = client_loop(client);
    consumer->client = client;
    consumer->options = *options;
    list_init(&consumer->questions);
    for (uint32_t i = 0; i < CLIENT_BROKERS_MAX; i++) {
        consumer->feeds[i].consumer = consumer;
        consumer->feeds[i].broker = i;
    }
    for (uint32_t i = 0; i < HISTORY_TOPICS_MAX; i++) {
        for (uint32_t j = 0; j < HISTORY_PARTITIONS_MAX; j++) {
            consumer->tracks[i][j].position = -1;
        }
    }
    io_timer_init(&consumer->pump_timer, pump_due);
    io_timer_init(&consumer->ask_timer, ask_due);
    io_timer_init(&consumer->restart_timer, restart_due);
    if (options->ask_mean_ms > 0) {
        io_timer_start(loop, &consumer->ask_timer, 0);
    }
    if (options->restart_mean_ms > 0) {
        io_timer_start(loop, &consumer->restart_timer, 0);
    }
    pump_later(consumer);
    return consumer;
}

void drill_consumer_free(struct drill_consumer *consumer)
{
    struct io_loop *loop = client_loop(consumer->client);
    struct list_node *node;
    io_timer_stop(loop, &consumer->pump_timer);
    io_timer_stop(loop, &consumer->ask_timer);
    io_timer_stop(loop, &consumer->restart_timer);
    while ((node = list_take_first(&consumer->questions)) != NULL) {
        memory_free(container_of(node, struct question, node));
    }
    memory_free(consumer);
}

int64_t drill_consumer_position(const struct drill_consumer *consumer, uint32_t topic,
                                uint32_t partition)
{
    require(topic < HISTORY_TOPICS_MAX && partition < HISTORY_PARTITIONS_MAX);
    return consumer->tracks[topic][partition].position;
}
