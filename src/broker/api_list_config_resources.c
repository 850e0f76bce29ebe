/* SPDX-License-Identifier: Apache-2.0
 *
 * api_list_config_resources.c -- ListConfigResources (KIP-1142): the topics and the brokers, which
 * have configs here.  Broker loggers, client metrics and groups have none, so none is listed.
 *
 * Version 0 asks for client metrics only.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/config_alteration.h"
#include "broker/topic_place.h"
#include "wire/list_config_resources.h"

#include <stdio.h>

#define BROKER_ID_TEXT_SIZE 11

typedef struct list_config_resources_response_config_resource listed_resource;

struct wanted_types {
    bool topics;
    bool brokers;
};

/* An empty list asks for all types. */
static enum wire_error read_types(const struct list_config_resources_request *body, int16_t version,
                                  struct wanted_types *wanted)
{
    bool are_all = version >= 1 && body->resource_types_count == 0;
    *wanted = (struct wanted_types){are_all, are_all};
    for (int32_t i = 0; i < body->resource_types_count; i++) {
        switch (body->resource_types[i]) {
        case CONFIG_RESOURCE_TOPIC:
            wanted->topics = true;
            break;
        case CONFIG_RESOURCE_BROKER:
            wanted->brokers = true;
            break;
        case CONFIG_RESOURCE_BROKER_LOGGER:
        case CONFIG_RESOURCE_CLIENT_METRICS:
        case CONFIG_RESOURCE_GROUP:
            break;
        default:
            return WIRE_ERROR_UNSUPPORTED_VERSION; /* as Kafka answers what it does not know yet */
        }
    }
    return WIRE_ERROR_NONE;
}

static void put(struct list_config_resources_response *response, const char *name,
                enum config_resource_type type)
{
    listed_resource *listed = &response->config_resources[response->config_resources_count++];
    list_config_resources_response_config_resource_init(listed);
    listed->resource_name = topic_place_string(name);
    listed->resource_type = (int8_t)type;
}

static void put_topics(const struct broker_shard *shard,
                       struct list_config_resources_response *response)
{
    size_t position = 0;
    const struct cluster_topic *topic;
    while ((topic = cluster_topic_next(shard->metadata, &position)) != NULL) {
        put(response, topic->name, CONFIG_RESOURCE_TOPIC);
    }
}

/* Those that can be asked for their configs now.  False: no memory. */
static bool put_brokers(const struct broker_shard *shard, struct arena *arena,
                        struct list_config_resources_response *response)
{
    size_t position = 0;
    const struct cluster_broker *broker;
    while ((broker = cluster_broker_next(shard->metadata, &position)) != NULL) {
        if (!broker_is_live(shard, broker->id)) {
            continue;
        }
        char *name = arena_allocate(arena, BROKER_ID_TEXT_SIZE);
        if (name == NULL) {
            return false;
        }
        snprintf(name, BROKER_ID_TEXT_SIZE, "%u", (unsigned)broker->id);
        put(response, name, CONFIG_RESOURCE_BROKER);
    }
    return true;
}

static bool list(struct request *request, const struct wanted_types *wanted,
                 struct list_config_resources_response *response)
{
    const struct broker_shard *shard = request->shard;
    struct arena *arena = &request->arena;
    size_t topics = wanted->topics ? cluster_topic_count(shard->metadata) : 0;
    size_t brokers = wanted->brokers ? cluster_broker_count(shard->metadata) : 0;
    arena->limit_bytes += (topics + brokers) * sizeof(listed_resource) +
                          brokers * (BROKER_ID_TEXT_SIZE + sizeof(uint64_t)) + 16;
    response->config_resources =
        arena_allocate_array(arena, topics + brokers, sizeof(listed_resource));
    if (response->config_resources == NULL) {
        return false;
    }
    if (wanted->topics) {
        put_topics(shard, response);
    }
    return !wanted->brokers || put_brokers(shard, arena, response);
}

void api_list_config_resources(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct list_config_resources_request body;
    if (!list_config_resources_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    struct wanted_types wanted;
    struct list_config_resources_response response;
    list_config_resources_response_init(&response);
    enum wire_error error = read_types(&body, request->version, &wanted);
    bool is_needed = wanted.topics || wanted.brokers;
    if (error == WIRE_ERROR_NONE && is_needed && !request->shard->metadata_is_loaded) {
        error = WIRE_ERROR_LEADER_NOT_AVAILABLE; /* what is there is not known yet */
    }
    response.error_code = (int16_t)error;
    if (error == WIRE_ERROR_NONE && !list(request, &wanted, &response)) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 512);
    list_config_resources_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}
