/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_controller.c -- see fake_controller.h.
 */
#include "fake_controller.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/forward.h"
#include "broker/leader_handover.h"
#include "broker/metadata_wait.h"
#include "broker/request.h"
#include "wire/allocate_producer_ids.h"
#include "wire/create_topics.h"

#include <string.h>

static bool is_following;
static bool is_holding;
static bool is_dead[4];
static uint32_t started;
static uint32_t stopped;
static uint32_t forwarded;

static struct {
    void (*done)(void *context, enum wire_error error);
    void *context;
} held[16];
static uint32_t held_count;
static bool is_metadata_held;
static struct metadata_wait *held_wait;

static struct {
    uint64_t group_id;
    uint32_t leader;
    uint32_t to_broker_id;
    uint32_t count;
} handover; /* the last one asked for */

static bool is_replaced_unheard;

void fake_controller_replace_unheard(bool is_replaced)
{
    is_replaced_unheard = is_replaced;
}

void fake_controller_lead(bool is_leader)
{
    is_following = !is_leader;
}

void fake_controller_hold_groups(bool hold)
{
    is_holding = hold;
}

void fake_controller_finish(bool in_time)
{
    uint32_t count = held_count;
    held_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        held[i].done(held[i].context, in_time ? WIRE_ERROR_NONE : WIRE_ERROR_REQUEST_TIMED_OUT);
    }
}

void fake_controller_hold_metadata(bool hold)
{
    struct metadata_wait *wait = held_wait;
    is_metadata_held = hold;
    held_wait = NULL;
    if (wait != NULL) {
        wait->done(wait);
    }
}

void metadata_wait_begin(struct broker_shard *shard, struct metadata_wait *wait)
{
    (void)shard;
    require(held_wait == NULL);
    if (is_metadata_held) {
        held_wait = wait;
    } else {
        wait->done(wait);
    }
}

uint32_t fake_controller_groups_started(void)
{
    uint32_t count = started;
    started = 0;
    return count;
}

uint32_t fake_controller_groups_stopped(void)
{
    uint32_t count = stopped;
    stopped = 0;
    return count;
}

uint32_t fake_controller_forwarded(void)
{
    uint32_t count = forwarded;
    forwarded = 0;
    return count;
}

uint32_t fake_controller_handovers(uint64_t *group_id, uint32_t *leader, uint32_t *to_broker_id)
{
    uint32_t count = handover.count;
    *group_id = handover.group_id;
    *leader = handover.leader;
    *to_broker_id = handover.to_broker_id;
    handover.count = 0;
    return count;
}

void leader_handover_ask(struct broker_shard *shard, uint64_t group_id, uint32_t leader,
                         uint32_t to_broker_id)
{
    (void)shard;
    handover.group_id = group_id;
    handover.leader = leader;
    handover.to_broker_id = to_broker_id;
    handover.count++;
}

void fake_broker_set_live(uint32_t broker_id, bool is_live)
{
    is_dead[broker_id] = !is_live;
}

/* ---- broker, controller, forward ---- */

bool broker_is_live(const struct broker_shard *shard, uint32_t broker_id)
{
    (void)shard;
    return broker_id < 4 && !is_dead[broker_id];
}

bool controller_is_leader(const struct broker_shard *shard)
{
    (void)shard;
    return !is_following;
}

uint32_t controller_leader(const struct broker_shard *shard)
{
    (void)shard;
    return is_following ? 0 : 1;
}

static struct replica_group_view quorum;

void fake_controller_set_view(const struct replica_group_view *view)
{
    quorum = *view;
}

bool controller_view(const struct broker_shard *shard, struct replica_group_view *view)
{
    *view = quorum;
    return controller_is_leader(shard);
}

size_t controller_live_brokers(const struct broker_shard *shard, uint32_t *broker_ids,
                               size_t capacity)
{
    size_t count = 0;
    for (uint32_t id = 1; id <= 3 && count < capacity; id++) {
        if (broker_is_live(shard, id)) {
            broker_ids[count++] = id;
        }
    }
    return count;
}

void controller_confirm_lead(struct broker_shard *shard,
                             void (*done)(void *context, bool is_leader), void *context)
{
    done(context, controller_is_leader(shard) && !is_replaced_unheard);
}

void controller_propose(struct broker_shard *shard, struct wire_writer *record,
                        void (*done)(void *context, enum wire_error error,
                                     const struct cluster_change *change),
                        void *context)
{
    struct cluster_change change;
    bool applied =
        cluster_apply(shard->metadata, record->buf->data, wire_writer_length(record), &change);
    ensure(applied);
    wire_writer_free(record);
    done(context, change.error, &change);
}

static void hold_or_end(void (*done)(void *context, enum wire_error error), void *context)
{
    if (is_holding) {
        ensure(held_count < sizeof(held) / sizeof(held[0]));
        held[held_count].done = done;
        held[held_count++].context = context;
    } else {
        done(context, WIRE_ERROR_NONE);
    }
}

void controller_start_groups(struct broker_shard *shard, const struct cluster_topic *topic,
                             uint32_t first_partition, uint64_t deadline_ns,
                             void (*done)(void *context, enum wire_error error), void *context)
{
    (void)shard;
    (void)deadline_ns;
    started += topic->partition_count - first_partition;
    hold_or_end(done, context);
}

void controller_stop_groups(struct broker_shard *shard, const struct cluster_topic *topic,
                            uint64_t deadline_ns,
                            void (*done)(void *context, enum wire_error error), void *context)
{
    (void)shard;
    (void)deadline_ns;
    stopped += topic->partition_count;
    hold_or_end(done, context);
}

void forward_request(struct broker_shard *shard, const struct request *request,
                     struct wire_writer *body, uint32_t timeout_ms,
                     void (*done)(void *context, enum wire_error error, struct buf *response,
                                  const uint8_t *data, size_t length),
                     void *context)
{
    (void)shard;
    (void)request;
    (void)timeout_ms;
    wire_writer_free(body);
    done(context, WIRE_ERROR_NOT_CONTROLLER, NULL, NULL, 0);
}

static void answer_allocation(struct wire_writer *answer)
{
    static int64_t next_id = 5000;
    struct allocate_producer_ids_response response;
    allocate_producer_ids_response_init(&response);
    response.first_id = next_id;
    response.count = 1000;
    next_id += 1000;
    allocate_producer_ids_response_encode(&response, 0, answer);
}

static void answer_creation(struct broker_shard *shard, const struct create_topics_request *request,
                            int16_t version, struct wire_writer *answer)
{
    uint32_t live[3];
    struct create_topics_response response;
    struct create_topics_response_creatable_topic_result results[16];
    create_topics_response_init(&response);
    response.topics = results;
    response.topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        struct wire_writer record;
        struct cluster_problem problem;
        struct cluster_change change;
        const struct create_topics_request_creatable_topic *asked = &request->topics[i];
        struct cluster_topic_request topic = {
            .name = asked->name.data,
            .name_length = (size_t)asked->name.length,
            .id = uuid_from_random(99, cluster_topic_count(shard->metadata)),
            .partition_count = asked->num_partitions,
            .replication_factor = asked->replication_factor,
            .default_partition_count = shard->config->default_partitions,
            .default_replication_factor = shard->config->default_replication_factor,
            .live_brokers = live,
            .live_broker_count = controller_live_brokers(shard, live, 3),
        };
        wire_writer_init(&record, 128);
        cluster_plan_create_topic(shard->metadata, &topic, &record, &problem);
        if (problem.error == WIRE_ERROR_NONE) {
            cluster_apply(shard->metadata, record.buf->data, wire_writer_length(&record), &change);
        }
        wire_writer_free(&record);
        create_topics_response_creatable_topic_result_init(&results[i]);
        results[i].name = asked->name;
        results[i].error_code = (int16_t)problem.error;
    }
    create_topics_response_encode(&response, version, answer);
}

void forward_to_controller(struct broker_shard *shard, int16_t type, int16_t version,
                           struct wire_writer *body, uint32_t timeout_ms,
                           void (*done)(void *context, enum wire_error error, struct buf *response,
                                        const uint8_t *data, size_t length),
                           void *context)
{
    (void)timeout_ms;
    forwarded++;
    struct arena arena;
    struct wire_cursor cursor;
    struct wire_writer answer;
    struct create_topics_request creation;
    arena_init(&arena, 1u << 20);
    wire_writer_init(&answer, 128);
    wire_cursor_init(&cursor, body->buf->data, wire_writer_length(body), &arena);
    if (type == REQUEST_ALLOCATE_PRODUCER_IDS) {
        answer_allocation(&answer);
    } else {
        ensure(create_topics_request_decode(&creation, version, &cursor));
        answer_creation(shard, &creation, version, &answer);
    }
    done(context, WIRE_ERROR_NONE, answer.buf, answer.buf->data, wire_writer_length(&answer));
    wire_writer_free(&answer);
    wire_writer_free(body);
    arena_free(&arena);
}
