/* SPDX-License-Identifier: Apache-2.0
 *
 * command_topic.c -- flotilla topic create, list, describe, delete.
 */
#include "cli/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Waits for the one result of a topic operation; prints it. */
static int finish_topic_operation(rd_kafka_queue_t *queue, const struct tool_options *options,
                                  bool is_creation, const char *done)
{
    rd_kafka_event_t *event = tool_wait_for_result(queue, options);
    if (event == NULL) {
        return tool_fail("no answer from the cluster (%s)", options->brokers);
    }
    int status = TOOL_DONE;
    size_t count = 0;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = tool_fail("%s", rd_kafka_event_error_string(event));
    } else {
        const rd_kafka_topic_result_t **results =
            is_creation
                ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
                                                      &count)
                : rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event),
                                                      &count);
        for (size_t i = 0; i < count; i++) {
            const char *name = rd_kafka_topic_result_name(results[i]);
            rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
            if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
                const char *text = rd_kafka_topic_result_error_string(results[i]);
                status = tool_fail("%s: %s", name, text != NULL ? text : rd_kafka_err2str(error));
            } else if (options->json) {
                tool_print_json(json_pack("{ss ss}", "topic", name, "result", done));
            } else {
                printf("%s %s\n", done, name);
            }
        }
    }
    rd_kafka_event_destroy(event);
    return status;
}

/* "key=value,key=value"; a value may hold commas, so what has no '=' belongs to the value before.
 * False after a message. */
static bool set_configs(rd_kafka_NewTopic_t *topic, const char *text)
{
    char *copy = strdup(text);
    char *pair = copy;
    bool good = true;
    while (pair != NULL && good) {
        char *equals = strchr(pair, '=');
        char *next = equals != NULL ? strchr(equals + 1, '=') : NULL;
        while (next != NULL && next > equals && *next != ',') {
            next--; /* to the comma before the next key */
        }
        if (equals == NULL || equals == pair ||
            memchr(pair, ',', (size_t)(equals - pair)) != NULL || next == equals) {
            tool_usage("--config: '%s' is not KEY=VALUE", pair);
            good = false;
        } else {
            *equals = 0;
            if (next != NULL) {
                *next++ = 0;
            }
            rd_kafka_NewTopic_set_config(topic, pair, equals + 1);
            pair = next;
        }
    }
    free(copy);
    return good;
}

int command_topic_create(const struct tool_options *options)
{
    if (!tool_check_options(options, "--partitions --replication-factor --config", "", 1)) {
        return TOOL_USAGE;
    }
    const char *name = tool_positional(options, 0, "");
    const char *partitions_text = tool_take_option(options, "--partitions");
    const char *factor_text = tool_take_option(options, "--replication-factor");
    const char *config = tool_take_option(options, "--config");
    int64_t partitions = -1;
    int64_t factor = -1;
    if (name == NULL) {
        return tool_usage("topic create needs a name");
    }
    if ((partitions_text != NULL &&
         !tool_parse_number("--partitions", partitions_text, 1, 100000, &partitions)) ||
        (factor_text != NULL &&
         !tool_parse_number("--replication-factor", factor_text, 1, 15, &factor))) {
        return TOOL_USAGE;
    }
    char error[512];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, (int)partitions, (int)factor, error, sizeof error);
    if (topic == NULL) {
        return tool_fail("%s", error);
    }
    if (config != NULL && !set_configs(topic, config)) {
        rd_kafka_NewTopic_destroy(topic);
        return TOOL_USAGE;
    }
    rd_kafka_t *client = tool_client(options, RD_KAFKA_PRODUCER, NULL, NULL);
    int status = TOOL_FAILED;
    if (client != NULL) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_AdminOptions_t *admin =
            tool_admin_options(client, RD_KAFKA_ADMIN_OP_CREATETOPICS, options);
        rd_kafka_CreateTopics(client, &topic, 1, admin, queue);
        status = finish_topic_operation(queue, options, true, "created");
        rd_kafka_AdminOptions_destroy(admin);
        rd_kafka_queue_destroy(queue);
        rd_kafka_destroy(client);
    }
    rd_kafka_NewTopic_destroy(topic);
    return status;
}

int command_topic_delete(const struct tool_options *options)
{
    if (!tool_check_options(options, "", "", 1)) {
        return TOOL_USAGE;
    }
    const char *name = tool_positional(options, 0, "");
    if (name == NULL) {
        return tool_usage("topic delete needs a name");
    }
    rd_kafka_t *client = tool_client(options, RD_KAFKA_PRODUCER, NULL, NULL);
    if (client == NULL) {
        return TOOL_FAILED;
    }
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *admin =
        tool_admin_options(client, RD_KAFKA_ADMIN_OP_DELETETOPICS, options);
    rd_kafka_DeleteTopics(client, &topic, 1, admin, queue);
    int status = finish_topic_operation(queue, options, false, "deleted");
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_destroy(client);
    return status;
}

static int print_topic_list(const struct tool_options *options, const rd_kafka_metadata_t *metadata)
{
    if (options->json) {
        json_t *topics = json_array();
        for (int i = 0; i < metadata->topic_cnt; i++) {
            json_array_append_new(topics,
                                  json_pack("{ss si}", "name", metadata->topics[i].topic,
                                            "partitions", metadata->topics[i].partition_cnt));
        }
        tool_print_json(json_pack("{so}", "topics", topics));
        return TOOL_DONE;
    }
    for (int i = 0; i < metadata->topic_cnt; i++) {
        printf("%s  (%d partition%s)\n", metadata->topics[i].topic,
               metadata->topics[i].partition_cnt,
               metadata->topics[i].partition_cnt == 1 ? "" : "s");
    }
    return TOOL_DONE;
}

int command_topic_list(const struct tool_options *options)
{
    if (!tool_check_options(options, "", "", 0)) {
        return TOOL_USAGE;
    }
    rd_kafka_t *client = tool_client(options, RD_KAFKA_PRODUCER, NULL, NULL);
    if (client == NULL) {
        return TOOL_FAILED;
    }
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, NULL, &metadata, options->timeout_ms);
    int status;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = print_topic_list(options, metadata);
        rd_kafka_metadata_destroy(metadata);
    } else {
        status = tool_fail("no metadata from %s: %s", options->brokers, rd_kafka_err2str(error));
    }
    rd_kafka_destroy(client);
    return status;
}

static json_t *broker_ids(const int32_t *ids, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++) {
        json_array_append_new(array, json_integer(ids[i]));
    }
    return array;
}

/* One partition with its first and next offset (null when its leader does not answer). */
static json_t *describe_partition(rd_kafka_t *client, const struct tool_options *options,
                                  const char *topic, const rd_kafka_metadata_partition_t *partition)
{
    int64_t start = -1;
    int64_t end = -1;
    json_t *row =
        json_pack("{si si so so}", "partition", partition->id, "leader", partition->leader,
                  "replicas", broker_ids(partition->replicas, partition->replica_cnt), "in_sync",
                  broker_ids(partition->isrs, partition->isr_cnt));
    if (partition->leader >= 0 &&
        rd_kafka_query_watermark_offsets(client, topic, partition->id, &start, &end,
                                         options->timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        json_object_set_new(row, "start_offset", json_integer(start));
        json_object_set_new(row, "end_offset", json_integer(end));
    } else {
        json_object_set_new(row, "start_offset", json_null());
        json_object_set_new(row, "end_offset", json_null());
    }
    return row;
}

static void print_ids(const json_t *ids)
{
    size_t position;
    json_t *id;
    json_array_foreach(ids, position, id)
    {
        printf("%s%lld", position == 0 ? "" : ",", (long long)json_integer_value(id));
    }
}

static void print_partition(const json_t *row)
{
    printf("  partition %lld  leader %lld  replicas ",
           (long long)json_integer_value(json_object_get(row, "partition")),
           (long long)json_integer_value(json_object_get(row, "leader")));
    print_ids(json_object_get(row, "replicas"));
    printf("  in sync ");
    print_ids(json_object_get(row, "in_sync"));
    if (json_is_null(json_object_get(row, "end_offset"))) {
        printf("  offsets unknown\n");
    } else {
        printf("  offsets %lld..%lld\n",
               (long long)json_integer_value(json_object_get(row, "start_offset")),
               (long long)json_integer_value(json_object_get(row, "end_offset")));
    }
}

/* Who set a value, by the protocol's number. */
static const char *source_text(rd_kafka_ConfigSource_t source)
{
    switch (source) {
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG:
        return "topic";
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG:
        return "broker";
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG:
        return "all brokers";
    case RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG:
        return "config file";
    case RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG:
        return "default";
    case RD_KAFKA_CONFIG_SOURCE_UNKNOWN_CONFIG:
    case RD_KAFKA_CONFIG_SOURCE__CNT:
        break;
    }
    return "unknown";
}

/* {name: {value, source}} of the one resource in the answer; NULL after a message. */
static json_t *read_configs(const rd_kafka_event_t *event, const char *name)
{
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result((rd_kafka_event_t *)event), &count);
    rd_kafka_resp_err_t error = count == 1 ? rd_kafka_ConfigResource_error(resources[0])
                                           : rd_kafka_event_error((rd_kafka_event_t *)event);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR || count != 1) {
        tool_fail("%s: its configs are not told: %s", name, rd_kafka_err2str(error));
        return NULL;
    }
    json_t *configs = json_object();
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0], &count);
    for (size_t i = 0; i < count; i++) {
        json_object_set_new(configs, rd_kafka_ConfigEntry_name(entries[i]),
                            json_pack("{ss? ss}", "value", rd_kafka_ConfigEntry_value(entries[i]),
                                      "source",
                                      source_text(rd_kafka_ConfigEntry_source(entries[i]))));
    }
    return configs;
}

static json_t *describe_configs(rd_kafka_t *client, const struct tool_options *options,
                                const char *name)
{
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *admin =
        tool_admin_options(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, options);
    rd_kafka_DescribeConfigs(client, &resource, 1, admin, queue);
    rd_kafka_event_t *event = tool_wait_for_result(queue, options);
    json_t *configs = NULL;
    if (event == NULL) {
        tool_fail("no answer from the cluster (%s)", options->brokers);
    } else {
        configs = read_configs(event, name);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(resource);
    return configs;
}

/* Those that somebody set. */
static void print_configs(json_t *configs)
{
    const char *name;
    json_t *config;
    json_object_foreach(configs, name, config)
    {
        const char *source = json_string_value(json_object_get(config, "source"));
        const char *value = json_string_value(json_object_get(config, "value"));
        if (strcmp(source, "default") != 0) {
            printf("  %s=%s  (%s)\n", name, value != NULL ? value : "", source);
        }
    }
}

static int describe_topic(rd_kafka_t *client, const struct tool_options *options,
                          const rd_kafka_metadata_topic_t *topic)
{
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tool_fail("%s: %s", topic->topic, rd_kafka_err2str(topic->err));
    }
    json_t *configs = describe_configs(client, options, topic->topic);
    if (configs == NULL) {
        return TOOL_FAILED;
    }
    json_t *partitions = json_array();
    for (int i = 0; i < topic->partition_cnt; i++) {
        json_array_append_new(
            partitions, describe_partition(client, options, topic->topic, &topic->partitions[i]));
    }
    if (options->json) {
        tool_print_json(json_pack("{ss so so}", "topic", topic->topic, "partitions", partitions,
                                  "configs", configs));
        return TOOL_DONE;
    }
    printf("%s: %d partition%s\n", topic->topic, topic->partition_cnt,
           topic->partition_cnt == 1 ? "" : "s");
    size_t position;
    json_t *row;
    json_array_foreach(partitions, position, row)
    {
        print_partition(row);
    }
    print_configs(configs);
    json_decref(configs);
    json_decref(partitions);
    return TOOL_DONE;
}

int command_topic_describe(const struct tool_options *options)
{
    if (!tool_check_options(options, "", "", 1)) {
        return TOOL_USAGE;
    }
    const char *name = tool_positional(options, 0, "");
    if (name == NULL) {
        return tool_usage("topic describe needs a name");
    }
    static const char *const set[] = {"allow.auto.create.topics", "false", NULL};
    rd_kafka_t *client = tool_client(options, RD_KAFKA_CONSUMER, set, NULL);
    if (client == NULL) {
        return TOOL_FAILED;
    }
    int status = TOOL_FAILED;
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, NULL, &metadata, options->timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tool_fail("no metadata from %s: %s", options->brokers, rd_kafka_err2str(error));
    } else {
        const rd_kafka_metadata_topic_t *topic = NULL;
        for (int i = 0; i < metadata->topic_cnt; i++) {
            topic = strcmp(metadata->topics[i].topic, name) == 0 ? &metadata->topics[i] : topic;
        }
        status = topic == NULL ? tool_fail("%s: there is no such topic", name)
                               : describe_topic(client, options, topic);
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_destroy(client);
    return status;
}
