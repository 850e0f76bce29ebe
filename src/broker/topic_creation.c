/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_creation.c -- sends CreateTopics to the controller leader and waits until this broker knows
 * the outcome.
 *
 * That somebody else creates the same topic at the same time is no error here: all that matters is
 * that it exists.
 *
 * Locality: the shard of the request.
 */
#include "broker/topic_creation.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/forward.h"
#include "broker/offsets_topic.h"
#include "broker/request.h"
#include "broker/topic_place.h"
#include "wire/create_topics.h"

#include <string.h>

#define CREATE_TOPICS_VERSION 7
#define WAIT_MS 2000

/* ---- Waiting until they are here ---- */

static bool are_here(struct upkeep_condition *condition)
{
    struct topic_creation *creation = container_of(condition, struct topic_creation, condition);
    for (int32_t i = 0; i < creation->count; i++) {
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(creation->shard, creation->names[i], &error);
        if (creation->errors[i] == WIRE_ERROR_NONE &&
            (topic == NULL || !topic_place_has_leaders(creation->shard, topic))) {
            return false;
        }
    }
    return true;
}

static void waited(struct upkeep_condition *condition, bool in_time)
{
    (void)in_time;
    struct topic_creation *creation = container_of(condition, struct topic_creation, condition);
    creation->done(creation);
}

/* ---- The controller's answer ---- */

/* Errors that leave it open whether the topic will be there soon. */
static enum wire_error lasting_error(int16_t code)
{
    switch (code) {
    case WIRE_ERROR_TOPIC_ALREADY_EXISTS:
    case WIRE_ERROR_REQUEST_TIMED_OUT:
        return WIRE_ERROR_NONE;
    case WIRE_ERROR_NOT_CONTROLLER:
        return WIRE_ERROR_LEADER_NOT_AVAILABLE;
    default:
        return (enum wire_error)code;
    }
}

static void take_error(struct topic_creation *creation,
                       const struct create_topics_response_creatable_topic_result *result)
{
    for (int32_t i = 0; i < creation->count; i++) {
        if (result->name.length == creation->names[i].length &&
            memcmp(result->name.data, creation->names[i].data, (size_t)result->name.length) == 0) {
            creation->errors[i] = lasting_error(result->error_code);
        }
    }
}

static void answered(void *context, enum wire_error error, struct buf *buf, const uint8_t *data,
                     size_t length)
{
    (void)buf;
    struct topic_creation *creation = context;
    struct create_topics_response response;
    struct wire_cursor cursor;
    if (error == WIRE_ERROR_NONE) {
        wire_cursor_init(&cursor, data, length, creation->arena);
        if (create_topics_response_decode(&response, CREATE_TOPICS_VERSION, &cursor)) {
            for (int32_t i = 0; i < response.topics_count; i++) {
                take_error(creation, &response.topics[i]);
            }
        }
    }
    creation->condition.holds = are_here;
    creation->condition.done = waited;
    upkeep_wait(creation->shard->upkeep, &creation->condition, creation->deadline_ns);
}

/* By default as the controller's broker is configured. */
static void shape(const struct topic_creation *creation, struct wire_string name,
                  struct create_topics_request_creatable_topic *topic)
{
    static struct create_topics_request_creatable_topic_config offsets_configs[] = {
        {.name = {"cleanup.policy", 14}, .value = {"compact", 7}},
        {.name = {"segment.bytes", 13}, .value = {"104857600", 9}},
    };
    create_topics_request_creatable_topic_init(topic);
    topic->name = name;
    topic->num_partitions = -1;
    topic->replication_factor = -1;
    if (offsets_topic_is(name.data, (size_t)name.length)) {
        topic->num_partitions = offsets_topic_partition_count(creation->shard);
        topic->replication_factor = offsets_topic_replication_factor(creation->shard);
        topic->configs = offsets_configs;
        topic->configs_count = sizeof offsets_configs / sizeof offsets_configs[0];
    }
}

void topic_creation_start(struct topic_creation *creation)
{
    require(creation->count > 0);
    creation->deadline_ns = io_now_ns(creation->shard->loop) + WAIT_MS * 1000000ull;

    struct create_topics_request request;
    create_topics_request_init(&request);
    request.timeout_ms = WAIT_MS;
    request.topics =
        arena_allocate_array(creation->arena, (size_t)creation->count, sizeof(*request.topics));
    if (request.topics == NULL) {
        for (int32_t i = 0; i < creation->count; i++) {
            creation->errors[i] = WIRE_ERROR_LEADER_NOT_AVAILABLE;
        }
        creation->done(creation);
        return;
    }
    request.topics_count = creation->count;
    for (int32_t i = 0; i < creation->count; i++) {
        struct create_topics_request_creatable_topic *topic = &request.topics[i];
        shape(creation, creation->names[i], topic);
    }
    struct wire_writer body;
    wire_writer_init(&body, 256);
    create_topics_request_encode(&request, CREATE_TOPICS_VERSION, &body);
    forward_to_controller(creation->shard, REQUEST_CREATE_TOPICS, CREATE_TOPICS_VERSION, &body,
                          WAIT_MS, answered, creation);
}
