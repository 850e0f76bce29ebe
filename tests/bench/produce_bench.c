/* SPDX-License-Identifier: Apache-2.0
 *
 * produce_bench.c -- a producer on librdkafka that measures: messages a second, and the longest
 * time between two acknowledgements.
 *
 *     produce_bench SERVERS TOPIC PARTITIONS COUNT BYTES [MESSAGES_A_SECOND [plain]]
 *
 * Prints one line of key=value.  With a rate it sends evenly and reports latencies; a count of 0
 * means: until standard input is closed.  The producer is idempotent, and librdkafka 2.0 then has
 * one request of a full queue in flight; a plain one has as many as it likes.
 *
 * The client keeps a connection to every broker.  One that has only the leader's, and no request on
 * its way when the leader dies, asks nobody for the new leader until librdkafka's scan of once a
 * second; the longest gap would tell of that scan.
 */
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LATENCIES_MAX 4000000

struct measure {
    uint64_t acknowledged;
    uint64_t failed;
    uint64_t last_ack_us;
    uint64_t longest_gap_us;
    uint32_t *latencies_us;
    size_t latency_count;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    struct measure *measure = context;
    uint64_t now = now_us();
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (measure->failed++ == 0) {
            fprintf(stderr, "first failure: %s\n", rd_kafka_message_errstr(message));
            char reason[256];
            if (rd_kafka_fatal_error(client, reason, sizeof reason) != RD_KAFKA_RESP_ERR_NO_ERROR) {
                fprintf(stderr, "fatal: %s\n", reason);
            }
        }
        return;
    }
    if (measure->acknowledged++ > 0 && now - measure->last_ack_us > measure->longest_gap_us) {
        measure->longest_gap_us = now - measure->last_ack_us;
    }
    measure->last_ack_us = now;
    if (measure->latency_count < LATENCIES_MAX) {
        measure->latencies_us[measure->latency_count++] =
            (uint32_t)rd_kafka_message_latency(message);
    }
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static uint32_t percentile(struct measure *measure, double part)
{
    if (measure->latency_count == 0) {
        return 0;
    }
    return measure->latencies_us[(size_t)((double)(measure->latency_count - 1) * part)];
}

static rd_kafka_t *make_client(const char *servers, int rate, int is_plain, struct measure *measure)
{
    const char *const set[] = {"bootstrap.servers",
                               servers,
                               "acks",
                               "all",
                               "enable.idempotence",
                               is_plain ? "false" : "true",
                               "linger.ms",
                               rate > 0 ? "0" : "5",
                               "queue.buffering.max.messages",
                               "200000",
                               "batch.size",
                               "1000000",
                               "retry.backoff.ms",
                               "10",
                               "reconnect.backoff.ms",
                               "10",
                               "reconnect.backoff.max.ms",
                               "100",
                               "topic.metadata.refresh.fast.interval.ms",
                               "10",
                               "enable.sparse.connections",
                               "false",
                               "log_level",
                               "0",
                               NULL};
    char error[256];
    rd_kafka_conf_t *config = rd_kafka_conf_new();
    for (size_t i = 0; set[i] != NULL; i += 2) {
        if (rd_kafka_conf_set(config, set[i], set[i + 1], error, sizeof error) !=
            RD_KAFKA_CONF_OK) {
            fprintf(stderr, "%s\n", error);
            exit(2);
        }
    }
    rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
    rd_kafka_conf_set_opaque(config, measure);
    return rd_kafka_new(RD_KAFKA_PRODUCER, config, error, sizeof error);
}

static int input_is_closed(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return poll(&input, 1, 0) == 1;
}

/* Sends until the count or the end of standard input; returns how many. */
static uint64_t send_all(rd_kafka_t *client, rd_kafka_topic_t *topic, int partitions,
                         uint64_t count, size_t bytes, int rate)
{
    char *payload = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) {
        payload[i] = (char)('a' + (i * 7 + i / 13) % 26);
    }
    uint64_t begin = now_us();
    uint64_t sent = 0;
    while (count == 0 ? !input_is_closed() : sent < count) {
        if (rate > 0 && now_us() < begin + sent * 1000000 / (uint64_t)rate) {
            rd_kafka_poll(client, 1);
            continue;
        }
        if (rd_kafka_produce(topic, (int32_t)(sent % (uint64_t)partitions), RD_KAFKA_MSG_F_COPY,
                             payload, bytes, NULL, 0, NULL) == 0) {
            sent++;
        } else {
            rd_kafka_poll(client, 10);
        }
        if (sent % 64 == 0) {
            rd_kafka_poll(client, 0);
        }
    }
    free(payload);
    return sent;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 6) {
        fprintf(stderr, "produce_bench SERVERS TOPIC PARTITIONS COUNT BYTES "
                        "[MESSAGES_A_SECOND [plain]]\n");
        return 2;
    }
    int partitions = (int)strtol(arguments[3], NULL, 10);
    uint64_t count = strtoull(arguments[4], NULL, 10);
    size_t bytes = strtoul(arguments[5], NULL, 10);
    int rate = argument_count > 6 ? (int)strtol(arguments[6], NULL, 10) : 0;
    int is_plain = argument_count > 7 && strcmp(arguments[7], "plain") == 0;
    struct measure measure = {.latencies_us = malloc(LATENCIES_MAX * sizeof(uint32_t))};
    rd_kafka_t *client = make_client(arguments[1], rate, is_plain, &measure);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, arguments[2], NULL);
    /* Connections and producer id first, so that they are not measured. */
    char warm[] = "warm";
    rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, warm, 4, NULL, 0, NULL);
    rd_kafka_flush(client, 30000);
    measure.acknowledged = 0;
    measure.longest_gap_us = 0;
    measure.latency_count = 0;
    uint64_t begin = now_us();
    uint64_t sent = send_all(client, topic, partitions, count, bytes, rate);
    rd_kafka_flush(client, 120000);
    double seconds = (double)(now_us() - begin) / 1e6;
    qsort(measure.latencies_us, measure.latency_count, sizeof(uint32_t), compare);
    printf("sent=%llu acknowledged=%llu failed=%llu seconds=%.3f messages_s=%.0f megabytes_s=%.1f "
           "longest_gap_ms=%.1f p50_ms=%.2f p99_ms=%.2f\n",
           (unsigned long long)sent, (unsigned long long)measure.acknowledged,
           (unsigned long long)measure.failed, seconds, (double)measure.acknowledged / seconds,
           (double)measure.acknowledged * (double)bytes / seconds / 1e6,
           (double)measure.longest_gap_us / 1000, percentile(&measure, 0.5) / 1000.0,
           percentile(&measure, 0.99) / 1000.0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    free(measure.latencies_us);
    return measure.acknowledged == sent ? 0 : 1;
}
