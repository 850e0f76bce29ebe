/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_management.c -- the life of three topics, seen from a client: creates them with 2, 4 and 1
 * partitions, sends five messages to each, lists and describes them, reads the messages back,
 * deletes the topics and checks that they are gone.
 *
 *     build/examples/topic_management [bootstrap servers]
 *
 * Exit status 0 when everything was as it should be.
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOPIC_COUNT 3
#define MESSAGES_EACH 5
#define TIMEOUT_MS 15000

struct topic {
    char name[64];
    int partition_count;
};

static struct topic topics[TOPIC_COUNT] = {{"", 2}, {"", 4}, {"", 1}};
static const char *const labels[TOPIC_COUNT] = {"orders", "events", "audit"};

static bool fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return false;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    (void)client;
    int *acknowledged = context;
    *acknowledged += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_t *make_client(const char *servers, int *acknowledged)
{
    char error[256];
    rd_kafka_conf_t *config = rd_kafka_conf_new();
    rd_kafka_conf_set(config, "bootstrap.servers", servers, error, sizeof error);
    rd_kafka_conf_set(config, "acks", "all", error, sizeof error);
    rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
    rd_kafka_conf_set_opaque(config, acknowledged);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, config, error, sizeof error);
    if (client == NULL) {
        rd_kafka_conf_destroy(config);
        fail("client", error);
    }
    return client;
}

static bool check_results(const rd_kafka_topic_result_t **results, size_t count)
{
    bool good = count == TOPIC_COUNT;
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_topic_result_name(results[i]);
        rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
        printf("  %s: %s\n", name,
               error == RD_KAFKA_RESP_ERR_NO_ERROR ? "done" : rd_kafka_err2str(error));
        good = good && error == RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return good;
}

static bool create_topics(rd_kafka_t *client)
{
    printf("creating %d topics\n", TOPIC_COUNT);
    char error[256];
    rd_kafka_NewTopic_t *requests[TOPIC_COUNT];
    for (int i = 0; i < TOPIC_COUNT; i++) {
        requests[i] = rd_kafka_NewTopic_new(topics[i].name, topics[i].partition_count, -1, error,
                                            sizeof error);
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_operation_timeout(options, TIMEOUT_MS, error, sizeof error);
    rd_kafka_CreateTopics(client, requests, TOPIC_COUNT, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    bool good = event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (good) {
        size_t count;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        good = check_results(results, count);
    } else {
        fail("create", event != NULL ? rd_kafka_event_error_string(event) : "no answer");
    }
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_NewTopic_destroy_array(requests, TOPIC_COUNT);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return good;
}

static bool produce(rd_kafka_t *client, const int *acknowledged)
{
    printf("sending %d messages to each\n", MESSAGES_EACH);
    for (int i = 0; i < TOPIC_COUNT; i++) {
        for (int j = 0; j < MESSAGES_EACH; j++) {
            char text[96];
            int length = snprintf(text, sizeof text, "message %d for %s", j, topics[i].name);
            rd_kafka_resp_err_t error =
                rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topics[i].name),
                                  RD_KAFKA_V_PARTITION(j % topics[i].partition_count),
                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                  RD_KAFKA_V_VALUE(text, (size_t)length), RD_KAFKA_V_END);
            if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
                return fail("produce", rd_kafka_err2str(error));
            }
        }
    }
    rd_kafka_flush(client, TIMEOUT_MS);
    printf("  %d acknowledged\n", *acknowledged);
    return *acknowledged == TOPIC_COUNT * MESSAGES_EACH ||
           fail("produce", "not every message was acknowledged");
}

static const rd_kafka_metadata_topic_t *find(const rd_kafka_metadata_t *metadata, const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (strcmp(metadata->topics[i].topic, name) == 0 &&
            metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return &metadata->topics[i];
        }
    }
    return NULL;
}

/* How many of our topics the cluster lists; describes each. */
static int list_topics(rd_kafka_t *client)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, NULL, &metadata, TIMEOUT_MS);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail("list", rd_kafka_err2str(error));
        return -1;
    }
    int found = 0;
    for (int i = 0; i < TOPIC_COUNT; i++) {
        const rd_kafka_metadata_topic_t *topic = find(metadata, topics[i].name);
        if (topic == NULL || topic->partition_cnt != topics[i].partition_count) {
            continue;
        }
        found++;
        printf("  %s: %d partition%s\n", topic->topic, topic->partition_cnt,
               topic->partition_cnt == 1 ? "" : "s");
        for (int j = 0; j < topic->partition_cnt; j++) {
            printf("    %d: leader %d, %d replicas\n", topic->partitions[j].id,
                   topic->partitions[j].leader, topic->partitions[j].replica_cnt);
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return found;
}

/* The metadata comes from any of the brokers, which learn of a change one after the other. */
static bool wait_for_topics(rd_kafka_t *client, int count)
{
    for (int waited_ms = 0; waited_ms < TIMEOUT_MS; waited_ms += 100) {
        int found = list_topics(client);
        if (found == count || found < 0) {
            return found == count;
        }
        rd_kafka_poll(client, 100);
    }
    return false;
}

/* The sum over a topic's partitions of next offset minus first. */
static bool verify_messages(rd_kafka_t *client)
{
    printf("verifying what is stored\n");
    for (int i = 0; i < TOPIC_COUNT; i++) {
        int64_t sum = 0;
        for (int j = 0; j < topics[i].partition_count; j++) {
            int64_t first;
            int64_t next;
            rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(client, topics[i].name, j,
                                                                         &first, &next, TIMEOUT_MS);
            if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
                return fail("offsets", rd_kafka_err2str(error));
            }
            sum += next - first;
        }
        printf("  %s: %lld messages\n", topics[i].name, (long long)sum);
        if (sum != MESSAGES_EACH) {
            return fail(topics[i].name, "not the number of messages that were sent");
        }
    }
    return true;
}

static bool delete_topics(rd_kafka_t *client)
{
    printf("deleting the topics\n");
    rd_kafka_DeleteTopic_t *requests[TOPIC_COUNT];
    for (int i = 0; i < TOPIC_COUNT; i++) {
        requests[i] = rd_kafka_DeleteTopic_new(topics[i].name);
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteTopics(client, requests, TOPIC_COUNT, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    bool good = event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (good) {
        size_t count;
        const rd_kafka_topic_result_t **results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        good = check_results(results, count);
    } else {
        fail("delete", event != NULL ? rd_kafka_event_error_string(event) : "no answer");
    }
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteTopic_destroy_array(requests, TOPIC_COUNT);
    rd_kafka_queue_destroy(queue);
    return good;
}

static bool run(rd_kafka_t *client, const int *acknowledged)
{
    if (!create_topics(client) || !produce(client, acknowledged)) {
        return false;
    }
    printf("listing and describing\n");
    if (!wait_for_topics(client, TOPIC_COUNT)) {
        return fail("list", "a created topic is missing");
    }
    if (!verify_messages(client) || !delete_topics(client)) {
        return false;
    }
    printf("verifying that they are gone\n");
    return wait_for_topics(client, 0) || fail("list", "a deleted topic is still there");
}

int main(int count, char **arguments)
{
    const char *servers = count > 1 ? arguments[1] : "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094";
    int acknowledged = 0;
    rd_kafka_t *client = make_client(servers, &acknowledged);
    if (client == NULL) {
        return 1;
    }
    /* Names of this run, so that two runs do not meet. */
    for (int i = 0; i < TOPIC_COUNT; i++) {
        snprintf(topics[i].name, sizeof topics[i].name, "example-%s-%ld", labels[i],
                 (long)getpid());
    }
    bool good = run(client, &acknowledged);
    rd_kafka_destroy(client);
    printf("%s\n", good ? "all as it should be" : "FAILED");
    return good ? 0 : 1;
}
