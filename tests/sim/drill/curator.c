/* SPDX-License-Identifier: Apache-2.0
 *
 * curator.c -- one request at a time, for one lasting topic or one of its partitions.
 *
 * Configs are set, or go back to their defaults, but none so that a topic without keys were
 * compacted, or one that keeps everything did not.  A wish whose answer did not come may be carried
 * out later, behind one that was acknowledged, so that config is promised nothing from then on.
 *
 * Records are deleted before an offset that was acknowledged, so every leader has it.
 *
 *   protocol    an answer makes no sense, or has a code that does not belong to it
 *   short-trim  less was deleted than was asked for
 */
#include "drill/curator.h"

#include "base/assert.h"
#include "base/memory.h"
#include "drill/history.h"
#include "wire/delete_records.h"
#include "wire/error.h"
#include "wire/incremental_alter_configs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAUSE_NS 300000000ull
#define REQUEST_MS 8000
#define VALUE_SIZE 24
#define RESOURCE_TOPIC 2
#define OPERATION_SET 0
#define OPERATION_DELETE 1

/* Which topics a config is changed of. */
enum reach { OF_ALL, OF_CUT, OF_KEYED, OF_UNKEPT_TOMBSTONES };

struct config_row {
    const char *name;
    enum reach reach;
    bool may_be_unset;
    uint32_t least;
    uint32_t most;
    bool is_share; /* in hundredths */
};

static const struct config_row config_rows[] = {
    {"segment.bytes", OF_ALL, false, 2048, 65536, false},
    {"index.interval.bytes", OF_ALL, true, 0, 8192, false},
    {"retention.bytes", OF_CUT, false, 8192, 200000, false},
    {"cleanup.policy", OF_KEYED, false, 0, 0, false},
    {"compression.type", OF_ALL, true, 0, 0, false},
    {"min.cleanable.dirty.ratio", OF_KEYED, true, 0, 99, true},
    {"min.compaction.lag.ms", OF_KEYED, true, 0, 2000, false},
    {"max.compaction.lag.ms", OF_KEYED, true, 1, 5000, false},
    {"delete.retention.ms", OF_UNKEPT_TOMBSTONES, false, 0, 3000, false},
};
#define CONFIG_COUNT (sizeof config_rows / sizeof config_rows[0])

static const char *const policies[] = {"compact", "compact,delete"};
static const char *const codecs[] = {"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"};

/* What is known of the end of a config's changes. */
struct promise {
    bool is_made;
    bool is_open; /* some wish may come to be that was not acknowledged */
    char value[VALUE_SIZE];
    bool is_unset;
};

struct drill_curator {
    struct client *client;
    struct io_timer timer;
    bool alters;
    bool trims;
    bool is_waiting; /* for an answer */
    /* What is asked for now. */
    uint32_t topic;
    uint32_t partition;
    uint32_t config;
    struct promise wish;
    int64_t trim_offset;
    uint64_t altered;
    uint64_t trimmed;
    struct promise promises[HISTORY_TOPICS_MAX][CONFIG_COUNT];
};

static uint32_t draw(struct drill_curator *curator, uint32_t bound)
{
    return (uint32_t)prng_below(client_prng(curator->client), bound);
}

static struct history_topic *topic_of(const struct drill_curator *curator)
{
    return &client_history(curator->client)->topics[curator->topic];
}

static void rest(struct drill_curator *curator)
{
    struct io_loop *loop = client_loop(curator->client);
    curator->is_waiting = false;
    io_timer_start(loop, &curator->timer, io_now_ns(loop) + PAUSE_NS);
}

static void nonsense(struct drill_curator *curator, const char *api, int16_t code)
{
    sim_world_fail(
        client_world(curator->client), "protocol: an answer to %s makes no sense (%s, %s-%u)", api,
        wire_error_name((enum wire_error)code), topic_of(curator)->name, curator->partition);
}

static bool is_temporary(int16_t code)
{
    return code == WIRE_ERROR_NOT_CONTROLLER || code == WIRE_ERROR_REQUEST_TIMED_OUT ||
           code == WIRE_ERROR_COORDINATOR_NOT_AVAILABLE ||
           code == WIRE_ERROR_NOT_LEADER_OR_FOLLOWER || code == WIRE_ERROR_LEADER_NOT_AVAILABLE ||
           code == WIRE_ERROR_KAFKA_STORAGE_ERROR || code == WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

/* ---- Configs ---- */

static void altered_told(struct drill_curator *curator, int16_t code)
{
    struct promise *promise = &curator->promises[curator->topic][curator->config];
    if (code == WIRE_ERROR_NONE) {
        bool was_open = promise->is_open;
        *promise = curator->wish;
        promise->is_made = true;
        promise->is_open = was_open;
        curator->altered++;
    } else if (is_temporary(code)) {
        promise->is_open = true;
    } else {
        nonsense(curator, "IncrementalAlterConfigs", code);
    }
}

static void altered(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_curator *curator = context;
    struct incremental_alter_configs_response response;
    int16_t version = client_version(curator->client, CLIENT_ALTER_CONFIGS);
    rest(curator);
    if (result != CLIENT_ANSWERED) {
        altered_told(curator, WIRE_ERROR_REQUEST_TIMED_OUT);
    } else if (!incremental_alter_configs_response_decode(&response, version, body) ||
               response.responses_count != 1) {
        nonsense(curator, "IncrementalAlterConfigs", 0);
    } else {
        altered_told(curator, response.responses[0].error_code);
    }
}

static void draw_value(struct drill_curator *curator, const struct config_row *row)
{
    struct promise *wish = &curator->wish;
    const char *text = NULL;
    *wish = (struct promise){.is_unset = row->may_be_unset && draw(curator, 4) == 0};
    if (strcmp(row->name, "cleanup.policy") == 0) {
        text = policies[draw(curator, sizeof policies / sizeof policies[0])];
    } else if (strcmp(row->name, "compression.type") == 0) {
        text = codecs[draw(curator, sizeof codecs / sizeof codecs[0])];
    }
    if (text != NULL) {
        (void)snprintf(wish->value, sizeof wish->value, "%s", text);
        return;
    }
    uint32_t number = row->least + draw(curator, row->most - row->least + 1);
    (void)snprintf(wish->value, sizeof wish->value, row->is_share ? "0.%02" PRIu32 : "%" PRIu32,
                   number);
}

static void send_alteration(struct drill_curator *curator)
{
    struct incremental_alter_configs_request_alterable_config config;
    struct incremental_alter_configs_request_alter_configs_resource resource;
    struct incremental_alter_configs_request body;
    struct wire_writer writer;
    const struct promise *wish = &curator->wish;
    incremental_alter_configs_request_init(&body);
    incremental_alter_configs_request_alter_configs_resource_init(&resource);
    incremental_alter_configs_request_alterable_config_init(&config);
    config.name = wire_string_from(config_rows[curator->config].name);
    config.config_operation = wish->is_unset ? OPERATION_DELETE : OPERATION_SET;
    config.value = wire_string_from(wish->is_unset ? NULL : wish->value);
    resource.resource_type = RESOURCE_TOPIC;
    resource.resource_name = wire_string_from(topic_of(curator)->name);
    resource.configs = &config;
    resource.configs_count = 1;
    body.resources = &resource;
    body.resources_count = 1;
    curator->is_waiting = true;
    client_begin(curator->client, CLIENT_ALTER_CONFIGS, &writer);
    incremental_alter_configs_request_encode(
        &body, client_version(curator->client, CLIENT_ALTER_CONFIGS), &writer);
    client_send(curator->client, client_any_broker(curator->client), CLIENT_ALTER_CONFIGS, &writer,
                REQUEST_MS, altered, curator);
}

static bool reaches(const struct history_topic *topic, enum reach reach)
{
    switch (reach) {
    case OF_ALL:
        return true;
    case OF_CUT:
        return !topic->keeps_everything;
    case OF_KEYED:
        return topic->key_count > 0;
    case OF_UNKEPT_TOMBSTONES:
        return topic->key_count > 0 && !topic->keeps_tombstones;
    }
    unreachable_code();
}

static void alter(struct drill_curator *curator)
{
    curator->config = draw(curator, CONFIG_COUNT);
    const struct config_row *row = &config_rows[curator->config];
    if (!reaches(topic_of(curator), row->reach)) {
        rest(curator);
        return;
    }
    draw_value(curator, row);
    send_alteration(curator);
}

/* ---- Records ---- */

static void trimmed(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_curator *curator = context;
    struct delete_records_response response;
    struct history *history = client_history(curator->client);
    struct history_partition *partition =
        history_partition(history, curator->topic, curator->partition);
    int16_t version = client_version(curator->client, CLIENT_DELETE_RECORDS);
    rest(curator);
    if (result != CLIENT_ANSWERED) {
        return;
    }
    if (!delete_records_response_decode(&response, version, body) || response.topics_count != 1 ||
        response.topics[0].partitions_count != 1) {
        nonsense(curator, "DeleteRecords", 0);
        return;
    }
    int16_t code = response.topics[0].partitions[0].error_code;
    int64_t low_watermark = response.topics[0].partitions[0].low_watermark;
    bool is_refused = code == WIRE_ERROR_POLICY_VIOLATION && topic_of(curator)->key_count > 0;
    if (code == WIRE_ERROR_NONE && low_watermark < curator->trim_offset) {
        sim_world_fail(client_world(curator->client),
                       "short-trim: %s-%u was to lose all before %ld, and begins at %ld",
                       topic_of(curator)->name, curator->partition, (long)curator->trim_offset,
                       (long)low_watermark);
    } else if (code == WIRE_ERROR_NONE) {
        /* Where retention cuts as well, it may be this leader's alone that has gone as far. */
        bool is_cut = !topic_of(curator)->keeps_everything || topic_of(curator)->key_count > 0;
        if (!is_cut && curator->trim_offset > partition->trim_acked) {
            partition->trim_acked = curator->trim_offset;
        }
        curator->trimmed++;
    } else if (!is_temporary(code) && !is_refused) {
        nonsense(curator, "DeleteRecords", code);
    }
    if (code != WIRE_ERROR_NONE) {
        client_forget_leader(curator->client, curator->topic, curator->partition);
    }
}

static void send_trim(struct drill_curator *curator, uint32_t leader)
{
    struct delete_records_request_delete_records_partition partition;
    struct delete_records_request_delete_records_topic topic;
    struct delete_records_request body;
    struct wire_writer writer;
    delete_records_request_init(&body);
    delete_records_request_delete_records_topic_init(&topic);
    delete_records_request_delete_records_partition_init(&partition);
    partition.partition_index = (int32_t)curator->partition;
    partition.offset = curator->trim_offset;
    topic.name = wire_string_from(topic_of(curator)->name);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    body.topics = &topic;
    body.topics_count = 1;
    body.timeout_ms = REQUEST_MS / 2;
    curator->is_waiting = true;
    client_begin(curator->client, CLIENT_DELETE_RECORDS, &writer);
    delete_records_request_encode(&body, client_version(curator->client, CLIENT_DELETE_RECORDS),
                                  &writer);
    client_send(curator->client, leader, CLIENT_DELETE_RECORDS, &writer, REQUEST_MS, trimmed,
                curator);
}

static void trim(struct drill_curator *curator)
{
    struct history *history = client_history(curator->client);
    struct history_partition *partition =
        history_partition(history, curator->topic, curator->partition);
    uint32_t leader = client_leader(curator->client, curator->topic, curator->partition);
    if (leader == 0) {
        client_refresh(curator->client);
        rest(curator);
        return;
    }
    curator->trim_offset =
        (int64_t)prng_below(client_prng(curator->client), (uint64_t)partition->acked_most + 2);
    if (curator->trim_offset > partition->trim_asked) {
        partition->trim_asked = curator->trim_offset;
    }
    send_trim(curator, leader);
}

/* ---- What next ---- */

static bool choose_partition(struct drill_curator *curator)
{
    const struct history *history = client_history(curator->client);
    uint32_t live = 0;
    for (uint32_t i = 0; i < history->topic_count; i++) {
        const struct history_topic *topic = &history->topics[i];
        if (topic->state == HISTORY_TOPIC_LIVE && !topic->churns && draw(curator, ++live) == 0) {
            curator->topic = i;
        }
    }
    if (live > 0) {
        curator->partition = draw(curator, history->topics[curator->topic].partition_count);
    }
    return live > 0;
}

static void due(struct io_timer *timer)
{
    struct drill_curator *curator = container_of(timer, struct drill_curator, timer);
    require(!curator->is_waiting);
    if ((!curator->alters && !curator->trims) || !choose_partition(curator)) {
        rest(curator);
    } else if (curator->trims && (!curator->alters || draw(curator, 2) == 0)) {
        trim(curator);
    } else {
        alter(curator);
    }
}

struct drill_curator *drill_curator_new(struct client *client)
{
    struct drill_curator *curator = memory_allocate_zeroed(sizeof *curator);
    curator->client = client;
    io_timer_init(&curator->timer, due);
    rest(curator);
    return curator;
}

void drill_curator_free(struct drill_curator *curator)
{
    io_timer_stop(client_loop(curator->client), &curator->timer);
    memory_free(curator);
}

void drill_curator_alter(struct drill_curator *curator, bool on)
{
    curator->alters = on;
}

void drill_curator_trim(struct drill_curator *curator, bool on)
{
    curator->trims = on;
}

bool drill_curator_is_idle(const struct drill_curator *curator)
{
    return !curator->is_waiting;
}

uint64_t drill_curator_altered(const struct drill_curator *curator)
{
    return curator->altered;
}

uint64_t drill_curator_trimmed(const struct drill_curator *curator)
{
    return curator->trimmed;
}

void drill_curator_promises(const struct drill_curator *curator, uint32_t topic,
                            void (*told)(void *context, const char *name, const char *value),
                            void *context)
{
    require(topic < HISTORY_TOPICS_MAX);
    for (uint32_t i = 0; i < CONFIG_COUNT; i++) {
        const struct promise *promise = &curator->promises[topic][i];
        if (promise->is_made && !promise->is_open) {
            told(context, config_rows[i].name, promise->is_unset ? NULL : promise->value);
        }
    }
}
