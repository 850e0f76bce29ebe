/* SPDX-License-Identifier: Apache-2.0
 *
 * command_produce.c -- flotilla produce: every line of standard input becomes a message.
 *
 * Ends with success only when every message was acknowledged; says how many were not.
 */
#include "cli/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct delivery {
    uint64_t sent;
    uint64_t acknowledged;
    uint64_t failed;
    char first_error[256];
    bool shows_progress;
};

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    (void)client;
    (void)context;
    struct delivery *delivery = message->_private;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        delivery->acknowledged++;
    } else {
        if (delivery->failed++ == 0) {
            snprintf(delivery->first_error, sizeof delivery->first_error, "%s",
                     rd_kafka_err2str(message->err));
        }
    }
    if (delivery->shows_progress && (delivery->acknowledged + delivery->failed) % 10000 == 0) {
        fprintf(stderr, "\r%llu acknowledged, %llu failed",
                (unsigned long long)delivery->acknowledged, (unsigned long long)delivery->failed);
    }
}

static bool is_one_of(const char *option, const char *value, const char *const *allowed)
{
    for (size_t i = 0; allowed[i] != NULL; i++) {
        if (strcmp(value, allowed[i]) == 0) {
            return true;
        }
    }
    tool_usage("%s does not take '%s'", option, value);
    return false;
}

/* False after a message. */
static bool read_levels(const struct tool_options *options, const char **acks, const char **codec)
{
    static const char *const levels[] = {"all", "1", "0", NULL};
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};
    *acks = tool_take_option(options, "--acks");
    *codec = tool_take_option(options, "--compression");
    *acks = *acks != NULL ? *acks : "all";
    *codec = *codec != NULL ? *codec : "none";
    return is_one_of("--acks", *acks, levels) && is_one_of("--compression", *codec, codecs);
}

static rd_kafka_t *make_producer(const struct tool_options *options, const char *acks,
                                 const char *codec)
{
    char timeout[16];
    snprintf(timeout, sizeof timeout, "%d", options->timeout_ms);
    const char *const set[] = {"acks",
                               acks,
                               "compression.type",
                               codec,
                               "enable.idempotence",
                               strcmp(acks, "all") == 0 ? "true" : "false",
                               "message.timeout.ms",
                               timeout,
                               NULL};
    return tool_client(options, RD_KAFKA_PRODUCER, set, on_delivery);
}

/* Queues one message, waiting while the client's queue is full. */
static void send_line(rd_kafka_t *client, rd_kafka_topic_t *topic, int32_t partition, char *line,
                      size_t length, const char *separator, struct delivery *delivery)
{
    char *value = line;
    size_t value_length = length;
    size_t key_length = 0;
    char *key = NULL;
    if (separator != NULL) {
        char *at = memmem(line, length, separator, strlen(separator));
        if (at != NULL) {
            key = line;
            key_length = (size_t)(at - line);
            value = at + strlen(separator);
            value_length = length - key_length - strlen(separator);
        }
    }
    delivery->sent++;
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, value_length, key,
                            key_length, delivery) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            if (delivery->failed++ == 0) {
                snprintf(delivery->first_error, sizeof delivery->first_error, "%s",
                         rd_kafka_err2str(rd_kafka_last_error()));
            }
            return;
        }
        rd_kafka_poll(client, 100);
    }
    rd_kafka_poll(client, 0);
}

static int report(const struct tool_options *options, const char *topic,
                  const struct delivery *delivery)
{
    if (delivery->shows_progress) {
        fprintf(stderr, "\r\033[K");
    }
    uint64_t lost = delivery->sent - delivery->acknowledged;
    if (options->json) {
        tool_print_json(json_pack("{ss sI sI}", "topic", topic, "acknowledged",
                                  (json_int_t)delivery->acknowledged, "failed", (json_int_t)lost));
    } else if (lost == 0) {
        fprintf(stderr, "%llu message%s acknowledged\n", (unsigned long long)delivery->acknowledged,
                delivery->acknowledged == 1 ? "" : "s");
    }
    if (lost != 0) {
        return tool_fail("%llu of %llu messages were not acknowledged: %s",
                         (unsigned long long)lost, (unsigned long long)delivery->sent,
                         *delivery->first_error != 0 ? delivery->first_error : "no answer in time");
    }
    return TOOL_DONE;
}

int command_produce(const struct tool_options *options)
{
    if (!tool_check_options(options, "--partition --key-separator --acks --compression", "", 1)) {
        return TOOL_USAGE;
    }
    const char *name = tool_positional(options, 0, "");
    const char *partition_text = tool_take_option(options, "--partition");
    int64_t partition = RD_KAFKA_PARTITION_UA;
    if (name == NULL) {
        return tool_usage("produce needs a topic");
    }
    if (partition_text != NULL &&
        !tool_parse_number("--partition", partition_text, 0, INT32_MAX, &partition)) {
        return TOOL_USAGE;
    }
    const char *acks;
    const char *codec;
    if (!read_levels(options, &acks, &codec)) {
        return TOOL_USAGE;
    }
    struct delivery delivery = {.shows_progress = tool_shows_progress(options)};
    rd_kafka_t *client = make_producer(options, acks, codec);
    if (client == NULL) {
        return TOOL_FAILED;
    }
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    const char *separator = tool_take_option(options, "--key-separator");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) >= 0) {
        length -= length > 0 && line[length - 1] == '\n';
        send_line(client, topic, (int32_t)partition, line, (size_t)length, separator, &delivery);
    }
    free(line);
    rd_kafka_flush(client, options->timeout_ms);
    int status = report(options, name, &delivery);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return status;
}
