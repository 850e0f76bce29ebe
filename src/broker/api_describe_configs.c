/* SPDX-License-Identifier: Apache-2.0
 *
 * api_describe_configs.c -- DescribeConfigs: the complete configs of topics and of this broker,
 * each with its value, where that comes from, and what it stands in for.
 *
 * Topic configs are the table in cluster/topic_config.h.  Broker configs are those of
 * broker/config_table.h, under Kafka's name where there is one; what topics have that do not set a
 * config; and what tools of Kafka look for though nothing here follows from it
 * (broker/kafka_config_table.h).
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/config_alteration.h"
#include "broker/config_table.h"
#include "broker/effective_config.h"
#include "broker/kafka_config_table.h"
#include "broker/topic_place.h"
#include "cluster/dynamic_config.h"
#include "wire/describe_configs.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES_MAX (256u * 1024 * 1024)
#define VALUE_BYTES_MAX 1024
#define KEYS_MAX 1000 /* configs named for one resource; each is looked for among all */

typedef struct describe_configs_response_describe_configs_result described_resource;
typedef struct describe_configs_response_describe_configs_resource_result described_config;

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

/* What of a config does not depend on where its value was set. */
struct traits {
    const char *name;
    enum kafka_config_type type;
    const char *documentation;
    bool is_read_only;
};

static described_config *add_entry(struct description *description, described_resource *result,
                                   const struct traits *traits)
{
    described_config *entry = &result->configs[result->configs_count++];
    describe_configs_response_describe_configs_resource_result_init(entry);
    entry->name = topic_place_string(traits->name);
    entry->config_type = (int8_t)traits->type;
    entry->read_only = traits->is_read_only;
    if (description->body.include_documentation) {
        entry->documentation = topic_place_string(traits->documentation);
    }
    return entry;
}

static void set_value(described_config *entry, const char *value, enum config_source source)
{
    entry->value = topic_place_string(value);
    entry->config_source = (int8_t)source;
    entry->is_default = source == CONFIG_SOURCE_DEFAULT;
}

/* False: synonyms are not asked for, or there is no room. */
static bool begin_synonyms(struct description *description, described_config *entry, size_t most)
{
    if (!description->body.include_synonyms) {
        return false;
    }
    entry->synonyms = allocate(description, most, sizeof(*entry->synonyms));
    return entry->synonyms != NULL;
}

static void add_synonym(described_config *entry, const char *name, const char *value,
                        enum config_source source)
{
    struct describe_configs_response_describe_configs_synonym *synonym =
        &entry->synonyms[entry->synonyms_count++];
    describe_configs_response_describe_configs_synonym_init(synonym);
    synonym->name = topic_place_string(name);
    synonym->value = topic_place_string(value);
    synonym->source = (int8_t)source;
}

static enum kafka_config_type described_type(enum topic_config_type type)
{
    switch (type) {
    case TOPIC_CONFIG_BOOLEAN:
        return KAFKA_CONFIG_BOOLEAN;
    case TOPIC_CONFIG_INT:
        return KAFKA_CONFIG_INT;
    case TOPIC_CONFIG_LONG:
        return KAFKA_CONFIG_LONG;
    case TOPIC_CONFIG_DOUBLE:
        return KAFKA_CONFIG_DOUBLE;
    case TOPIC_CONFIG_STRING:
        return KAFKA_CONFIG_STRING;
    case TOPIC_CONFIG_LIST:
        return KAFKA_CONFIG_LIST;
    }
    return KAFKA_CONFIG_STRING;
}

/* ---- Topics ---- */

/* topic NULL: what topics have that do not set it, under the broker's name. */
static void describe_row(struct description *description, const struct topic_config *topic,
                         const struct topic_config_row *row, described_resource *result)
{
    struct config_value values[CONFIG_VALUES_MAX];
    size_t count = effective_config_values(description->request->shard, topic, row, values);
    const struct traits traits = {
        .name = topic != NULL ? row->name : row->broker_name,
        .type = described_type(row->type),
        .documentation = row->text,
        .is_read_only = topic == NULL &&
                        dynamic_config_find(row->broker_name, strlen(row->broker_name)) == NULL,
    };
    described_config *entry = add_entry(description, result, &traits);
    set_value(entry, values[0].text, values[0].source);
    if (!begin_synonyms(description, entry, count)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = values[i].source == CONFIG_SOURCE_TOPIC ? row->name : row->broker_name;
        if (name[0] != '\0') { /* brokers have no say in some */
            add_synonym(entry, name, values[i].text, values[i].source);
        }
    }
}

static void describe_topic(struct description *description, described_resource *result)
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
            describe_row(description, &topic->config, row, result);
        }
    }
}

/* ---- This broker ---- */

static enum kafka_config_type described_broker_type(enum config_type type)
{
    switch (type) {
    case CONFIG_BOOLEAN:
        return KAFKA_CONFIG_BOOLEAN;
    case CONFIG_UINT:
        return KAFKA_CONFIG_LONG;
    case CONFIG_TEXT:
        return KAFKA_CONFIG_STRING;
    case CONFIG_ADDRESS: /* Kafka can have several */
    case CONFIG_TEXT_LIST:
    case CONFIG_MEMBER_LIST:
        return KAFKA_CONFIG_LIST;
    }
    return KAFKA_CONFIG_STRING;
}

/* What the broker was started with, as text; NULL: no room.  Kafka's listeners name their protocol.
 */
static char *started_with(struct description *description, const struct config_row *row)
{
    static const char protocol[] = "PLAINTEXT://";
    char *value = allocate(description, VALUE_BYTES_MAX, 1);
    if (value == NULL) {
        return NULL;
    }
    size_t begin = 0;
    if (row->type == CONFIG_ADDRESS && row->kafka_name[0] != '\0') {
        memcpy(value, protocol, sizeof protocol);
        begin = sizeof protocol - 1;
    }
    return broker_config_format(description->request->shard->config, row, value + begin,
                                VALUE_BYTES_MAX - begin) -
           begin;
}

/* A key of the config file, under the name given. */
static void describe_key(struct description *description, const struct config_row *row,
                         const char *name, described_resource *result)
{
    struct config_value values[CONFIG_VALUES_MAX];
    size_t count = 0; /* of values set while the broker runs */
    const struct topic_config_row *dynamic = dynamic_config_find(name, strlen(name));
    char *value = started_with(description, row);
    if (value == NULL) {
        return;
    }
    if (dynamic != NULL) {
        count = effective_config_values(description->request->shard, NULL, dynamic, values) - 1;
    }
    const struct traits traits = {.name = name,
                                  .type = described_broker_type(row->type),
                                  .documentation = row->text,
                                  .is_read_only = dynamic == NULL};
    bool is_default = strcmp(value, row->default_text) == 0;
    enum config_source source = is_default ? CONFIG_SOURCE_DEFAULT : CONFIG_SOURCE_STATIC_BROKER;
    described_config *entry = add_entry(description, result, &traits);
    set_value(entry, count > 0 ? values[0].text : value, count > 0 ? values[0].source : source);
    if (!begin_synonyms(description, entry, count + 2)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        add_synonym(entry, name, values[i].text, values[i].source);
    }
    if (!is_default) {
        add_synonym(entry, name, value, source);
    }
    add_synonym(entry, name, row->default_text, CONFIG_SOURCE_DEFAULT);
}

/* One that nothing follows from, or another name of a key. */
static void describe_kafka_row(struct description *description, const struct kafka_config_row *row,
                               described_resource *result)
{
    if (row->key[0] != '\0') {
        describe_key(description, config_row_find(row->key), row->name, result);
        return;
    }
    const struct traits traits = {.name = row->name,
                                  .type = row->type,
                                  .documentation = kafka_config_text(row),
                                  .is_read_only = true};
    described_config *entry = add_entry(description, result, &traits);
    set_value(entry, row->default_text, CONFIG_SOURCE_DEFAULT);
    entry->is_sensitive = row->type == KAFKA_CONFIG_PASSWORD;
    if (begin_synonyms(description, entry, 1)) {
        add_synonym(entry, row->name, row->default_text, CONFIG_SOURCE_DEFAULT);
    }
}

static void describe_own(struct description *description, described_resource *result)
{
    size_t most = config_row_count() + topic_config_row_count() + kafka_config_row_count();
    result->configs = allocate(description, most, sizeof(*result->configs));
    for (size_t i = 0; description->is_complete && i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        const char *name = row->kafka_name[0] != '\0' ? row->kafka_name : row->name;
        if (is_asked_for(description, name)) {
            describe_key(description, row, name, result);
        }
    }
    for (size_t i = 0; description->is_complete && i < topic_config_row_count(); i++) {
        const struct topic_config_row *row = topic_config_row(i);
        if (row->broker_name[0] != '\0' && is_asked_for(description, row->broker_name)) {
            describe_row(description, NULL, row, result);
        }
    }
    for (size_t i = 0; description->is_complete && i < kafka_config_row_count(); i++) {
        const struct kafka_config_row *row = kafka_config_row(i);
        if (is_asked_for(description, row->name)) {
            describe_kafka_row(description, row, result);
        }
    }
}

/* What is set for all brokers while they run, and nothing else. */
static void describe_all_brokers(struct description *description, described_resource *result)
{
    const struct topic_config *config =
        cluster_broker_config(description->request->shard->metadata, 0);
    result->configs = allocate(description, config->count, sizeof(*result->configs));
    for (size_t i = 0; description->is_complete && i < config->count; i++) {
        const struct topic_config_override *override = &config->overrides[i];
        const struct traits traits = {.name = override->row->broker_name,
                                      .type = described_type(override->row->type),
                                      .documentation = override->row->text};
        if (!is_asked_for(description, traits.name)) {
            continue;
        }
        described_config *entry = add_entry(description, result, &traits);
        set_value(entry, override->value, CONFIG_SOURCE_DYNAMIC_DEFAULT);
        if (begin_synonyms(description, entry, 2)) {
            add_synonym(entry, traits.name, override->value, CONFIG_SOURCE_DYNAMIC_DEFAULT);
            add_synonym(entry, traits.name, override->row->default_text, CONFIG_SOURCE_DEFAULT);
        }
    }
}

static void describe_broker(struct description *description, described_resource *result)
{
    const struct broker_shard *shard = description->request->shard;
    char own_id[12];
    snprintf(own_id, sizeof(own_id), "%u", shard->broker_id);
    if (description->asked->resource_name.length == 0) {
        describe_all_brokers(description, result);
    } else if (wire_string_equal(description->asked->resource_name, own_id)) {
        describe_own(description, result);
    } else {
        result->error_code = WIRE_ERROR_INVALID_REQUEST;
        result->error_message =
            topic_place_string("A broker describes its own configs only: ask the broker named.");
    }
}

/* ---- The request ---- */

static void describe_resource(struct description *description, described_resource *result)
{
    describe_configs_response_describe_configs_result_init(result);
    result->resource_type = description->asked->resource_type;
    result->resource_name = description->asked->resource_name;
    if (description->asked->configuration_keys_count > KEYS_MAX) {
        result->error_code = WIRE_ERROR_INVALID_REQUEST;
        result->error_message = topic_place_string("There are not so many configs.");
    } else if (description->asked->resource_type == CONFIG_RESOURCE_TOPIC) {
        describe_topic(description, result);
    } else if (description->asked->resource_type == CONFIG_RESOURCE_BROKER) {
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
