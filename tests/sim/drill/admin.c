/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.c -- creates and deletes topics, one request at a time.
 *
 * What it is told moves the history's topic on:
 *
 *     CREATING --told yes, its id found--> LIVE --asked to delete--> DELETING --told yes--> DELETED
 *
 * A request without an answer is made again until there is one; "exists already" and "unknown
 * topic" then say that an earlier attempt went through.  Without an earlier attempt they are lies:
 *   resurrection   a new topic exists already under a name that was deleted or never used
 *   lost-topic     a topic that was created is unknown when it is to be deleted
 */
#include "drill/admin.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/error.h"
#include "wire/metadata.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAUSE_NS 300000000ull
#define REQUEST_MS 8000
#define CHURN_TOPICS_LIVE 2
#define TOPICS_KEPT_FREE 4
#define CONFIGS_OF_ALL 2
#define CONFIGS_MAX 6
#define CONFIG_VALUE_SIZE 24
#define DAY_MS 86400000u

enum admin_step { STEP_IDLE, STEP_CREATE, STEP_FIND, STEP_DELETE };

struct drill_admin {
    struct client *client;
    const struct swarm *swarm;
    struct io_timer timer;
    enum admin_step step;
    bool is_waiting; /* for an answer */
    bool was_tried;  /* an attempt of this step had no clear answer */
    bool churns;
    uint32_t topic;    /* the step's */
    uint32_t own_made; /* of the swarm's topics */
    uint32_t churn_made;
};

static struct history_topic *topic_of(const struct drill_admin *admin)
{
    return &client_history(admin->client)->topics[admin->topic];
}

/* What the swarm says of the topic of that number. */
static const struct swarm_topic *kind_of(const struct drill_admin *admin, uint32_t number)
{
    return &admin->swarm->topics[number % admin->swarm->topic_count];
}

static void add_topic(struct drill_admin *admin, const char *name, uint32_t partitions,
                      uint32_t replicas)
{
    struct history *history = client_history(admin->client);
    admin->topic = history_topic_add(history, name, partitions, replicas);
    topic_of(admin)->key_count = swarm_key_count(admin->swarm, admin->topic);
    topic_of(admin)->key_bytes = swarm_key_bytes(admin->swarm, admin->topic);
    topic_of(admin)->keeps_tombstones = kind_of(admin, admin->topic)->keeps_tombstones;
}

static void again(struct drill_admin *admin, uint64_t delay_ns)
{
    struct io_loop *loop = client_loop(admin->client);
    admin->is_waiting = false;
    io_timer_start(loop, &admin->timer, io_now_ns(loop) + delay_ns);
}

static void enter(struct drill_admin *admin, enum admin_step step)
{
    admin->step = step;
    admin->was_tried = false;
    again(admin, step == STEP_IDLE ? PAUSE_NS : 0);
}

static void nonsense(struct drill_admin *admin, const char *api)
{
    sim_world_fail(client_world(admin->client), "protocol: a %s answer makes no sense", api);
    again(admin, PAUSE_NS);
}

/* ---- Create ---- */

static void created(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_admin *admin = context;
    struct create_topics_response response;
    if (result != CLIENT_ANSWERED) {
        admin->was_tried = admin->was_tried || result == CLIENT_LOST;
        again(admin, PAUSE_NS);
        return;
    }
    if (!create_topics_response_decode(&response,
                                       client_version(admin->client, CLIENT_CREATE_TOPICS), body) ||
        response.topics_count != 1) {
        nonsense(admin, "CreateTopics");
        return;
    }
    int16_t code = response.topics[0].error_code;
    if (code == WIRE_ERROR_NONE || (code == WIRE_ERROR_TOPIC_ALREADY_EXISTS && admin->was_tried)) {
        enter(admin, STEP_FIND);
        return;
    }
    if (code == WIRE_ERROR_TOPIC_ALREADY_EXISTS) {
        sim_world_fail(client_world(admin->client),
                       "resurrection: %s exists already, but was deleted or never made",
                       topic_of(admin)->name);
    }
    admin->was_tried = true;
    again(admin, PAUSE_NS);
}

/* Of the topic's kind; their number.  values: their memory. */
static int32_t write_configs(const struct drill_admin *admin,
                             struct create_topics_request_creatable_topic_config *configs,
                             char values[CONFIGS_MAX][CONFIG_VALUE_SIZE])
{
    const struct swarm_topic *like = kind_of(admin, admin->topic);
    bool compacts = topic_of(admin)->key_count > 0;
    static const char *const names[CONFIGS_MAX] = {
        "segment.bytes",       "retention.bytes",       "cleanup.policy",
        "delete.retention.ms", "min.compaction.lag.ms", "min.cleanable.dirty.ratio"};
    (void)snprintf(values[0], CONFIG_VALUE_SIZE, "%" PRIu32,
                   compacts ? like->compacted_segment_bytes : like->segment_bytes);
    (void)snprintf(values[1], CONFIG_VALUE_SIZE, "%" PRId64, like->retention_bytes);
    (void)snprintf(values[2], CONFIG_VALUE_SIZE, "%s",
                   like->deletes_too ? "compact,delete" : "compact");
    (void)snprintf(values[3], CONFIG_VALUE_SIZE, "%" PRIu32,
                   like->keeps_tombstones ? DAY_MS : like->tombstone_ms);
    (void)snprintf(values[4], CONFIG_VALUE_SIZE, "%" PRIu32, like->min_lag_ms);
    (void)snprintf(values[5], CONFIG_VALUE_SIZE, "0.%02" PRIu32, like->dirty_percent);
    int32_t count = compacts ? CONFIGS_MAX : CONFIGS_OF_ALL;
    for (int32_t i = 0; i < count; i++) {
        create_topics_request_creatable_topic_config_init(&configs[i]);
        configs[i].name = wire_string_from(names[i]);
        configs[i].value = wire_string_from(values[i]);
    }
    return count;
}

static void create(struct drill_admin *admin)
{
    const struct history_topic *topic = topic_of(admin);
    struct create_topics_request_creatable_topic_config configs[CONFIGS_MAX];
    char values[CONFIGS_MAX][CONFIG_VALUE_SIZE];
    struct create_topics_request_creatable_topic asked;
    struct create_topics_request body;
    struct wire_writer writer;
    create_topics_request_creatable_topic_init(&asked);
    asked.name = wire_string_from(topic->name);
    asked.num_partitions = (int32_t)topic->partition_count;
    asked.replication_factor = (int16_t)topic->replicas;
    asked.configs = configs;
    asked.configs_count = write_configs(admin, configs, values);
    create_topics_request_init(&body);
    body.topics = &asked;
    body.topics_count = 1;
    body.timeout_ms = REQUEST_MS / 2;
    client_begin(admin->client, CLIENT_CREATE_TOPICS, &writer);
    create_topics_request_encode(&body, client_version(admin->client, CLIENT_CREATE_TOPICS),
                                 &writer);
    client_send(admin->client, client_any_broker(admin->client), CLIENT_CREATE_TOPICS, &writer,
                REQUEST_MS, created, admin);
}

/* ---- Find its id ---- */

static void found(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_admin *admin = context;
    struct history_topic *topic = topic_of(admin);
    struct metadata_response response;
    if (result != CLIENT_ANSWERED) {
        again(admin, PAUSE_NS);
        return;
    }
    if (!metadata_response_decode(&response, client_version(admin->client, CLIENT_METADATA),
                                  body) ||
        response.topics_count != 1) {
        nonsense(admin, "Metadata");
        return;
    }
    const struct history *history = client_history(admin->client);
    const struct metadata_response_metadata_response_topic *told = &response.topics[0];
    bool is_older = false; /* a broker that has not heard of the deletion before yet */
    for (uint32_t i = 0; i < admin->topic; i++) {
        is_older = is_older || uuid_equal(&history->topics[i].id, &told->topic_id);
    }
    if (told->error_code != 0 || uuid_is_zero(&told->topic_id) || is_older ||
        (uint32_t)told->partitions_count != topic->partition_count) {
        again(admin, PAUSE_NS);
        return;
    }
    topic->id = told->topic_id;
    topic->state = HISTORY_TOPIC_LIVE;
    topic->created_ns = sim_world_now_ns(client_world(admin->client));
    enter(admin, STEP_IDLE);
}

static void find(struct drill_admin *admin)
{
    struct metadata_request_metadata_request_topic asked;
    struct metadata_request body;
    struct wire_writer writer;
    metadata_request_init(&body);
    metadata_request_metadata_request_topic_init(&asked);
    asked.name = wire_string_from(topic_of(admin)->name);
    body.topics = &asked;
    body.topics_count = 1;
    body.allow_auto_topic_creation = false;
    client_begin(admin->client, CLIENT_METADATA, &writer);
    metadata_request_encode(&body, client_version(admin->client, CLIENT_METADATA), &writer);
    client_send(admin->client, client_any_broker(admin->client), CLIENT_METADATA, &writer,
                REQUEST_MS, found, admin);
}

/* ---- Delete ---- */

static void removed(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_admin *admin = context;
    struct history_topic *topic = topic_of(admin);
    struct delete_topics_response response;
    if (result != CLIENT_ANSWERED) {
        admin->was_tried = admin->was_tried || result == CLIENT_LOST;
        again(admin, PAUSE_NS);
        return;
    }
    if (!delete_topics_response_decode(&response,
                                       client_version(admin->client, CLIENT_DELETE_TOPICS), body) ||
        response.responses_count != 1) {
        nonsense(admin, "DeleteTopics");
        return;
    }
    int16_t code = response.responses[0].error_code;
    bool is_unknown =
        code == WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION || code == WIRE_ERROR_UNKNOWN_TOPIC_ID;
    if (code == WIRE_ERROR_NONE || (is_unknown && admin->was_tried)) {
        topic->state = HISTORY_TOPIC_DELETED;
        topic->deleted_ns = sim_world_now_ns(client_world(admin->client));
        enter(admin, STEP_IDLE);
        return;
    }
    if (is_unknown) {
        sim_world_fail(client_world(admin->client),
                       "lost-topic: %s is unknown when it is to be deleted", topic->name);
    }
    admin->was_tried = true;
    again(admin, PAUSE_NS);
}

static void delete_it(struct drill_admin *admin)
{
    const struct history_topic *topic = topic_of(admin);
    struct delete_topics_request_delete_topic_state state;
    struct wire_string name = wire_string_from(topic->name);
    struct delete_topics_request body;
    struct wire_writer writer;
    delete_topics_request_init(&body);
    delete_topics_request_delete_topic_state_init(&state);
    if (prng_below(client_prng(admin->client), 2) == 0) {
        state.name = name;
    } else {
        state.name = wire_string_from(NULL);
        state.topic_id = topic->id;
    }
    body.topics = &state;
    body.topics_count = 1;
    body.topic_names = &name;
    body.topic_names_count = 1;
    body.timeout_ms = REQUEST_MS / 2;
    client_begin(admin->client, CLIENT_DELETE_TOPICS, &writer);
    delete_topics_request_encode(&body, client_version(admin->client, CLIENT_DELETE_TOPICS),
                                 &writer);
    client_send(admin->client, client_any_broker(admin->client), CLIENT_DELETE_TOPICS, &writer,
                REQUEST_MS, removed, admin);
}

/* ---- What next ---- */

static void begin_own(struct drill_admin *admin)
{
    const struct swarm_topic *wanted = &admin->swarm->topics[admin->own_made];
    char name[HISTORY_TOPIC_NAME_SIZE];
    (void)snprintf(name, sizeof name, "lasting-%" PRIu32, admin->own_made);
    admin->own_made++;
    add_topic(admin, name, wanted->partitions, wanted->replicas);
    topic_of(admin)->keeps_everything = wanted->retention_bytes < 0;
    enter(admin, STEP_CREATE);
}

/* A name that was deleted, if chance has it, else a new one.  A topic with keys does not follow one
 * without: what is sent to one may reach the other. */
static void choose_name(struct drill_admin *admin, char *name, size_t size)
{
    const struct history *history = client_history(admin->client);
    struct prng *prng = client_prng(admin->client);
    (void)snprintf(name, size, "passing-%" PRIu32, admin->churn_made++);
    if (prng_below(prng, 2) == 0) {
        return;
    }
    for (uint32_t i = 0; i < history->topic_count; i++) {
        bool is_free =
            history->topics[i].state == HISTORY_TOPIC_DELETED &&
            history->topics[i].key_bytes == swarm_key_bytes(admin->swarm, history->topic_count);
        for (uint32_t j = i + 1; j < history->topic_count; j++) {
            is_free = is_free && strcmp(history->topics[j].name, history->topics[i].name) != 0;
        }
        if (is_free && prng_below(prng, 2) == 0) {
            memcpy(name, history->topics[i].name, strlen(history->topics[i].name) + 1);
            return;
        }
    }
}

static void begin_churn(struct drill_admin *admin)
{
    struct history *history = client_history(admin->client);
    struct prng *prng = client_prng(admin->client);
    uint32_t live = 0;
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < history->topic_count; i++) {
        if (history->topics[i].churns && history->topics[i].state == HISTORY_TOPIC_LIVE &&
            prng_below(prng, ++live) == 0) {
            chosen = i;
        }
    }
    if (live > 0 && prng_below(prng, CHURN_TOPICS_LIVE + 1) < live) {
        admin->topic = chosen;
        topic_of(admin)->state = HISTORY_TOPIC_DELETING;
        topic_of(admin)->delete_ns = sim_world_now_ns(client_world(admin->client));
        enter(admin, STEP_DELETE);
    } else if (history->topic_count + TOPICS_KEPT_FREE < HISTORY_TOPICS_MAX) {
        char name[HISTORY_TOPIC_NAME_SIZE];
        choose_name(admin, name, sizeof name);
        add_topic(admin, name, 1 + (uint32_t)prng_below(prng, 2), admin->swarm->topics[0].replicas);
        topic_of(admin)->churns = true;
        enter(admin, STEP_CREATE);
    } else {
        again(admin, PAUSE_NS);
    }
}

static void due(struct io_timer *timer)
{
    struct drill_admin *admin = container_of(timer, struct drill_admin, timer);
    require(!admin->is_waiting);
    if (admin->step == STEP_IDLE && admin->own_made < admin->swarm->topic_count) {
        begin_own(admin);
        return;
    }
    if (admin->step == STEP_IDLE && admin->churns) {
        begin_churn(admin);
        return;
    }
    admin->is_waiting = admin->step != STEP_IDLE;
    switch (admin->step) {
    case STEP_IDLE:
        again(admin, PAUSE_NS);
        return;
    case STEP_CREATE:
        create(admin);
        return;
    case STEP_FIND:
        find(admin);
        return;
    case STEP_DELETE:
        delete_it(admin);
        return;
    }
    unreachable_code();
}

struct drill_admin *drill_admin_new(struct client *client, const struct swarm *swarm)
{
    struct drill_admin *admin = memory_allocate_zeroed(sizeof *admin);
    admin->client = client;
    admin->swarm = swarm;
    client_speak(client, CLIENT_METADATA, METADATA_VERSION_MAX);
    io_timer_init(&admin->timer, due);
    enter(admin, STEP_IDLE);
    return admin;
}

void drill_admin_free(struct drill_admin *admin)
{
    io_timer_stop(client_loop(admin->client), &admin->timer);
    memory_free(admin);
}

bool drill_admin_is_ready(const struct drill_admin *admin)
{
    return admin->step == STEP_IDLE && admin->own_made == admin->swarm->topic_count;
}

void drill_admin_churn(struct drill_admin *admin, bool on)
{
    admin->churns = on;
}

bool drill_admin_is_idle(const struct drill_admin *admin)
{
    return admin->step == STEP_IDLE;
}
