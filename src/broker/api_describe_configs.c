/* SPDX-License-Identifier: Apache-2.0
 *
 * api_describe_configs.c -- DescribeConfigs: the complete configs of topics and of this broker,
 * each with its value, where that comes from, and what it stands in for.
 *
 * Topic configs are the table in cluster/topic_config.h; broker configs are those of
 * broker/config_table.h, under Kafka's name where there is one, and the broker-wide defaults of the
 * topic configs.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/config_table.h"
#include "broker/topic_place.h"
#include "wire/describe_configs.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES_MAX (256u * 1024 * 1024)
#define VALUE_BYTES_MAX 1024
#define KEYS_MAX 1000 /* configs named for one resource; each is looked for among all */

/* The protocol's numbers. */
enum resource_type { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };
enum config_source { SOURCE_TOPIC = 1, SOURCE_STATIC_BROKER = 4, SOURCE_DEFAULT = 5 };
enum described_type {
    DESCRIBED_BOOLEAN = 1,
    DESCRIBED_STRING = 2,
    DESCRIBED_INT = 3,
    DESCRIBED_LONG = 5,
    DESCRIBED_DOUBLE = 6,
    DESCRIBED_LIST = 7,
};

struct description {
    struct request *request;
    struct describe_configs_request body;
    const struct describe_configs_request_describe_configs_resource *asked; /* the one at hand */
    struct arena arena;
    bool is_complete; /* false: the arena is exhausted */
};

/* ---- Entries ---- */

static void *allocate(struct description *description, size_t count, size_t size)
{
    void *memory = arena_allocate_array(&description->arena, count, size);
    description->is_complete = description->is_complete && memory != NULL;
    return memory;
}

/* Null asks for all of them. */
static bool is_asked_for(const struct description *description, const char *name)
{
    const struct describe_configs_request_describe_configs_resource *asked = description->asked;
    for (int32_t i = 0; i < asked->configuration_keys_count; i++) {
        if (wire_string_equal(asked->configuration_keys[i], name)) {
            return true;
        }
    }
    return asked->configuration_keys_count < 0;
}

static struct describe_configs_response_describe_configs_resource_result *
add_entry(struct description *description,
          struct describe_configs_response_describe_configs_result *result, const char *name,
          const char *value, enum config_source source)
{
    struct describe_configs_response_describe_configs_resource_result *entry =
        &result->configs[result->configs_count++];
    describe_configs_response_describe_configs_resource_result_init(entry);
    entry->name = topic_place_string(name);
    entry->value = topic_place_string(value);
    entry->config_source = (int8_t)source;
    entry->is_default = source == SOURCE_DEFAULT;
    entry->read_only = description->asked->resource_type == RESOURCE_BROKER;
    return entry;
}

static void add_synonym(struct describe_configs_response_describe_configs_resource_result *entry,
                        const char *name, const char *value, enum config_source source)
{
    struct describe_configs_response_describe_configs_synonym *synonym =
        &entry->synonyms[entry->synonyms_count++];
    describe_configs_response_describe_configs_synonym_init(synonym);
    synonym->name = topic_place_string(name);
    synonym->value = topic_place_string(value);
    synonym->source = (int8_t)source;
}

/* ---- Topics ---- */

static int8_t described_type(enum topic_config_type type)
{
    switch (type) {
    case TOPIC_CONFIG_BOOLEAN:
        return DESCRIBED_BOOLEAN;
    case TOPIC_CONFIG_INT:
        return DESCRIBED_INT;
    case TOPIC_CONFIG_LONG:
        return DESCRIBED_LONG;
    case TOPIC_CONFIG_DOUBLE:
        return DESCRIBED_DOUBLE;
    case TOPIC_CONFIG_STRING:
        return DESCRIBED_STRING;
    case TOPIC_CONFIG_LIST:
        return DESCRIBED_LIST;
    }
    return DESCRIBED_STRING;
}

static void describe_topic_row(struct description *description, const struct cluster_topic *topic,
                               const struct topic_config_row *row,
                               struct describe_configs_response_describe_configs_result *result)
{
    const char *override = topic_config_override(&topic->config, row->name);
    const char *value = override != NULL ? override : row->default_text;
    struct describe_configs_response_describe_configs_resource_result *entry = add_entry(
        description, result, row->name, value, override != NULL ? SOURCE_TOPIC : SOURCE_DEFAULT);
    entry->config_type = described_type(row->type);
    if (description->body.include_documentation) {
        entry->documentation = topic_place_string(row->text);
    }
    if (!description->body.include_synonyms) {
        return;
    }
    entry->synonyms = allocate(description, 2, sizeof(*entry->synonyms));
    if (entry->synonyms == NULL) {
        return;
    }
    if (override != NULL) {
        add_synonym(entry, row->name, override, SOURCE_TOPIC);
    }
    if (row->broker_name[0] != '\0') {
        add_synonym(entry, row->broker_name, row->default_text, SOURCE_DEFAULT);
    }
}

static void describe_topic(struct description *description,
                           struct describe_configs_response_describe_configs_result *result)
{
    enum wire_error error = WIRE_ERROR_NONE;
    struct wire_string name = description->asked->resource_name;
    const struct cluster_topic *topic =
        topic_place_by_name(description->request->shard, name, &error);
    if (topic == NULL) {
        bool is_good = cluster_topic_name_error(name.data, (size_t)name.length) == NULL;
        result->error_code = (int16_t)(is_good ? error : WIRE_ERROR_INVALID_TOPIC_EXCEPTION);
        return;
    }
    result->configs = allocate(description, topic_config_row_count(), sizeof(*result->configs));
    for (size_t i = 0; description->is_complete && i < topic_config_row_count(); i++) {
        const struct topic_config_row *row = topic_config_row(i);
        if (is_asked_for(description, row->name)) {
            describe_topic_row(description, topic, row, result);
        }
    }
}

/* ---- This broker ---- */

static int8_t described_broker_type(enum config_type type)
{
    switch (type) {
    case CONFIG_BOOLEAN:
        return DESCRIBED_BOOLEAN;
    case CONFIG_UINT:
        return DESCRIBED_LONG;
    case CONFIG_TEXT:
    case CONFIG_ADDRESS:
        return DESCRIBED_STRING;
    case CONFIG_TEXT_LIST:
    case CONFIG_MEMBER_LIST:
        return DESCRIBED_LIST;
    }
    return DESCRIBED_STRING;
}

static void describe_broker_row(struct description *description, const struct config_row *row,
                                struct describe_configs_response_describe_configs_result *result)
{
    const char *name = row->kafka_name[0] != '\0' ? row->kafka_name : row->name;
    if (!is_asked_for(description, name)) {
        return;
    }
    char *value = allocate(description, VALUE_BYTES_MAX, 1);
    if (value == NULL) {
        return;
    }
    broker_config_format(description->request->shard->config, row, value, VALUE_BYTES_MAX);
    enum config_source source =
        strcmp(value, row->default_text) == 0 ? SOURCE_DEFAULT : SOURCE_STATIC_BROKER;
    struct describe_configs_response_describe_configs_resource_result *entry =
        add_entry(description, result, name, value, source);
    entry->config_type = described_broker_type(row->type);
    if (description->body.include_documentation) {
        entry->documentation = topic_place_string(row->text);
    }
    if (description->body.include_synonyms) {
        entry->synonyms = allocate(description, 1, sizeof(*entry->synonyms));
        if (entry->synonyms != NULL) {
            add_synonym(entry, name, value, source);
        }
    }
}

/* The broker-wide value of a topic config, which is its default. */
static void describe_topic_default(struct description *description,
                                   const struct topic_config_row *row,
                                   struct describe_configs_response_describe_configs_result *result)
{
    if (row->broker_name[0] == '\0' || !is_asked_for(description, row->broker_name)) {
        return;
    }
    struct describe_configs_response_describe_configs_resource_result *entry =
        add_entry(description, result, row->broker_name, row->default_text, SOURCE_DEFAULT);
    entry->config_type = described_type(row->type);
    if (description->body.include_documentation) {
        entry->documentation = topic_place_string(row->text);
    }
}

static void describe_broker(struct description *description,
                            struct describe_configs_response_describe_configs_result *result)
{
    const struct broker_shard *shard = description->request->shard;
    char own_id[12];
    snprintf(own_id, sizeof(own_id), "%u", shard->broker_id);
    if (!wire_string_equal(description->asked->resource_name, own_id)) {
        result->error_code = WIRE_ERROR_INVALID_REQUEST;
        result->error_message =
            topic_place_string("A broker describes its own configs only: ask the broker named.");
        return;
    }
    result->configs = allocate(description, config_row_count() + topic_config_row_count(),
                               sizeof(*result->configs));
    for (size_t i = 0; description->is_complete && i < config_row_count(); i++) {
        describe_broker_row(description, config_row_at(i), result);
    }
    for (size_t i = 0; description->is_complete && i < topic_config_row_count(); i++) {
        describe_topic_default(description, topic_config_row(i), result);
    }
}

/* ---- The request ---- */

static void describe_resource(struct description *description,
                              struct describe_configs_response_describe_configs_result *result)
{
    describe_configs_response_describe_configs_result_init(result);
    result->resource_type = description->asked->resource_type;
    result->resource_name = description->asked->resource_name;
    if (description->asked->configuration_keys_count > KEYS_MAX) {
        result->error_code = WIRE_ERROR_INVALID_REQUEST;
        result->error_message = topic_place_string("There are not so many configs.");
    } else if (description->asked->resource_type == RESOURCE_TOPIC) {
        describe_topic(description, result);
    } else if (description->asked->resource_type == RESOURCE_BROKER) {
        describe_broker(description, result);
    } else {
        result->error_code = WIRE_ERROR_INVALID_REQUEST;
        result->error_message = topic_place_string("Topics (2) and brokers (4) have configs here.");
    }
}

static void respond(struct description *description)
{
    struct describe_configs_response response;
    describe_configs_response_init(&response);
    response.results =
        allocate(description, (size_t)description->body.resources_count, sizeof(*response.results));
    for (int32_t i = 0; description->is_complete && i < description->body.resources_count; i++) {
        description->asked = &description->body.resources[i];
        describe_resource(description, &response.results[response.results_count++]);
    }
    if (!description->is_complete) {
        arena_free(&description->arena);
        request_drop(description->request, "the answer needs more memory than an answer may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 4096);
    describe_configs_response_encode(&response, description->request->version, &writer);
    arena_free(&description->arena);
    request_respond(description->request, &writer);
}

void api_describe_configs(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct description description = {.request = request, .is_complete = true};
    if (!describe_configs_request_decode(&description.body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    arena_init(&description.arena, ANSWER_BYTES_MAX);
    respond(&description);
}
