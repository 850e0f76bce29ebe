/* SPDX-License-Identifier: Apache-2.0
 *
 * command_consume.c -- flotilla consume: prints the messages of a topic's partitions; as a member
 * of a group, see consume_group.c.
 */
#include "cli/consume.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct consumption {
    const struct tool_options *options;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    int32_t *partitions;
    int partition_count;
    int ended_count;    /* partitions whose end was reached, with --exit */
    int64_t count_left; /* -1: no limit */
    bool exits;
};

static volatile sig_atomic_t was_interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    was_interrupted = 1;
}

void consume_catch_interrupts(void)
{
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
}

bool consume_is_interrupted(void)
{
    return was_interrupted != 0;
}

static json_t *text_or_null(const void *data, size_t length)
{
    if (data == NULL) {
        return json_null();
    }
    json_t *text = json_stringn(data, length);
    return text != NULL ? text : json_string("(not UTF-8)");
}

void consume_print(const struct tool_options *options, const rd_kafka_message_t *message)
{
    if (options->json) {
        json_t *row = json_pack("{si sI so so}", "partition", message->partition, "offset",
                                (json_int_t)message->offset, "key",
                                text_or_null(message->key, message->key_len), "value",
                                text_or_null(message->payload, message->len));
        json_dumpf(row, stdout, JSON_COMPACT);
        json_decref(row);
    } else {
        fwrite(message->payload, 1, message->len, stdout);
    }
    putchar('\n');
}

static bool find_partitions(struct consumption *consumption, const char *name)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(consumption->client, 0, consumption->topic,
                                                  &metadata, consumption->options->timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tool_fail("no metadata from %s: %s", consumption->options->brokers,
                  rd_kafka_err2str(error));
        return false;
    }
    const rd_kafka_metadata_topic_t *topic = metadata->topic_cnt > 0 ? &metadata->topics[0] : NULL;
    bool found =
        topic != NULL && topic->err == RD_KAFKA_RESP_ERR_NO_ERROR && topic->partition_cnt > 0;
    if (found) {
        consumption->partition_count = topic->partition_cnt;
        consumption->partitions = calloc((size_t)topic->partition_cnt, sizeof(int32_t));
        for (int i = 0; i < topic->partition_cnt; i++) {
            consumption->partitions[i] = topic->partitions[i].id;
        }
    } else {
        tool_fail("%s: %s", name,
                  topic != NULL && topic->err != RD_KAFKA_RESP_ERR_NO_ERROR
                      ? rd_kafka_err2str(topic->err)
                      : "there is no such topic");
    }
    rd_kafka_metadata_destroy(metadata);
    return found;
}

static bool start(struct consumption *consumption, int64_t only_partition, int64_t offset)
{
    if (only_partition >= 0) {
        if (only_partition >= consumption->partition_count) {
            tool_fail("there is no partition %lld; the topic has %d", (long long)only_partition,
                      consumption->partition_count);
            return false;
        }
        consumption->partitions[0] = (int32_t)only_partition;
        consumption->partition_count = 1;
    }
    for (int i = 0; i < consumption->partition_count; i++) {
        if (rd_kafka_consume_start_queue(consumption->topic, consumption->partitions[i], offset,
                                         consumption->queue) != 0) {
            tool_fail("partition %d: %s", consumption->partitions[i],
                      rd_kafka_err2str(rd_kafka_last_error()));
            return false;
        }
    }
    return true;
}

/* Takes messages until the end, the count, or an interrupt. */
static int take_messages(struct consumption *consumption)
{
    while (!consume_is_interrupted() && consumption->count_left != 0) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(consumption->queue, 200);
        if (message == NULL) {
            fflush(stdout);
            continue;
        }
        int status = TOOL_DONE;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            consume_print(consumption->options, message);
            consumption->count_left -= consumption->count_left > 0;
        } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            consumption->ended_count++;
        } else {
            status =
                tool_fail("partition %d: %s", message->partition, rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
        if (status != TOOL_DONE) {
            return status;
        }
        if (consumption->exits && consumption->ended_count >= consumption->partition_count) {
            break;
        }
    }
    return TOOL_DONE;
}

static bool parse_offset(const char *text, int64_t *offset)
{
    *offset = RD_KAFKA_OFFSET_BEGINNING;
    if (text == NULL || strcmp(text, "beginning") == 0) {
        return true;
    }
    if (strcmp(text, "end") == 0) {
        *offset = RD_KAFKA_OFFSET_END;
        return true;
    }
    return tool_parse_number("--offset", text, 0, INT64_MAX, offset);
}

static int consume_in_group(const struct tool_options *options, const char *topic,
                            const struct consumption *consumption)
{
    const char *offset = tool_take_option(options, "--offset");
    bool is_end = offset != NULL && strcmp(offset, "end") == 0;
    if (tool_take_option(options, "--partition") != NULL) {
        return tool_usage("--partition: the partitions of a group are divided among its members");
    }
    if (offset != NULL && !is_end && strcmp(offset, "beginning") != 0) {
        return tool_usage("--offset: with --group it takes beginning or end, which says where to "
                          "begin when nothing was committed");
    }
    const struct consume_group_wish wish = {.topic = topic,
                                            .group = tool_take_option(options, "--group"),
                                            .offset = is_end ? "latest" : "earliest",
                                            .message_count = consumption->count_left,
                                            .exits = consumption->exits};
    return *wish.group != 0 ? consume_as_member(options, &wish)
                            : tool_usage("--group: a group has a name");
}

int command_consume(const struct tool_options *options)
{
    if (!tool_check_options(options, "--partition --offset --count --group", "--exit", 1)) {
        return TOOL_USAGE;
    }
    const char *name = tool_positional(options, 0, "--exit");
    const char *partition_text = tool_take_option(options, "--partition");
    const char *count_text = tool_take_option(options, "--count");
    int64_t partition = -1;
    int64_t offset;
    struct consumption consumption = {
        .options = options, .count_left = -1, .exits = tool_has_flag(options, "--exit")};
    if (name == NULL) {
        return tool_usage("consume needs a topic");
    }
    if ((partition_text != NULL &&
         !tool_parse_number("--partition", partition_text, 0, INT32_MAX, &partition)) ||
        (count_text != NULL &&
         !tool_parse_number("--count", count_text, 1, INT64_MAX, &consumption.count_left)) ||
        !parse_offset(tool_take_option(options, "--offset"), &offset)) {
        return TOOL_USAGE;
    }
    if (tool_take_option(options, "--group") != NULL) {
        return consume_in_group(options, name, &consumption);
    }
    static const char *const set[] = {"enable.partition.eof", "true", "allow.auto.create.topics",
                                      "false", NULL};
    consumption.client = tool_client(options, RD_KAFKA_CONSUMER, set, NULL);
    if (consumption.client == NULL) {
        return TOOL_FAILED;
    }
    consume_catch_interrupts();
    consumption.topic = rd_kafka_topic_new(consumption.client, name, NULL);
    consumption.queue = rd_kafka_queue_new(consumption.client);
    int status = TOOL_FAILED;
    if (find_partitions(&consumption, name) && start(&consumption, partition, offset)) {
        status = take_messages(&consumption);
        for (int i = 0; i < consumption.partition_count; i++) {
            rd_kafka_consume_stop(consumption.topic, consumption.partitions[i]);
        }
    }
    free(consumption.partitions);
    rd_kafka_queue_destroy(consumption.queue);
    rd_kafka_topic_destroy(consumption.topic);
    rd_kafka_destroy(consumption.client);
    return status;
}
