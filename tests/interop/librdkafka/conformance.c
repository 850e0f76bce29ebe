/* SPDX-License-Identifier: Apache-2.0
 *
 * conformance.c -- librdkafka against a cluster: conformance BOOTSTRAP PREFIX; one line for each
 * check.
 *
 * Written for the API of librdkafka 2.0, so that the oldest and the newest version run the same
 * program. A check that finds a fault leaves by fail().
 */
#include <librdkafka/rdkafka.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 60000
#define FIRST_TIME 1600000000000
#define RECORDS_MAX 1000

static const char *bootstrap;
static const char *prefix;
static rd_kafka_t *admin; /* a producer, which all calls that need no group go through */
static rd_kafka_queue_t *answers;
static jmp_buf check_end;
static char why[600];

static void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(why, sizeof why, format, values);
    va_end(values);
    longjmp(check_end, 1);
}

static void expect(bool condition, const char *what)
{
    if (!condition) {
        fail("%s", what);
    }
}

static void expect_number(int64_t found, int64_t wanted, const char *what)
{
    if (found != wanted) {
        fail("%s: %lld, not %lld", what, (long long)found, (long long)wanted);
    }
}

static void expect_error(rd_kafka_resp_err_t found, rd_kafka_resp_err_t wanted)
{
    if (found != wanted) {
        fail("error %s where %s was due", rd_kafka_err2name(found), rd_kafka_err2name(wanted));
    }
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One of a few names that are in use at the same time. */
static const char *name_of(const char *word)
{
    static char names[8][128];
    static unsigned next;
    char *name = names[next++ % 8];
    snprintf(name, sizeof names[0], "%s-%s", prefix, word);
    return name;
}

/* ---- Clients ---- */

/* settings: key, value, ..., NULL */
static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *const *settings)
{
    char error[512];
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, NULL, 0);
    for (; settings != NULL && settings[0] != NULL; settings += 2) {
        if (rd_kafka_conf_set(conf, settings[0], settings[1], error, sizeof error) !=
            RD_KAFKA_CONF_OK) {
            fail("%s", error);
        }
    }
    rd_kafka_t *handle = rd_kafka_new(type, conf, error, sizeof error);
    if (handle == NULL) {
        fail("%s", error);
    }
    return handle;
}

static rd_kafka_t *consumer(const char *group, const char *strategy, const char *reset)
{
    const char *const settings[] = {"group.id",
                                    group,
                                    "auto.offset.reset",
                                    reset,
                                    "enable.auto.commit",
                                    "false",
                                    "session.timeout.ms",
                                    "10000",
                                    "partition.assignment.strategy",
                                    strategy,
                                    NULL};
    rd_kafka_t *handle = client(RD_KAFKA_CONSUMER, rd_kafka_conf_new(), settings);
    rd_kafka_poll_set_consumer(handle);
    return handle;
}

static rd_kafka_resp_err_t delivery_error;
static int delivered_count;

static void delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    (void)handle;
    (void)opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        delivery_error = message->err;
    } else {
        delivered_count++;
    }
}

static rd_kafka_t *producer(const char *const *settings)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set(conf, "message.max.bytes", "2000000", NULL, 0);
    delivery_error = RD_KAFKA_RESP_ERR_NO_ERROR;
    delivered_count = 0;
    return client(RD_KAFKA_PRODUCER, conf, settings);
}

static rd_kafka_resp_err_t finish(rd_kafka_t *handle)
{
    rd_kafka_resp_err_t error = rd_kafka_flush(handle, PATIENCE_MS);
    rd_kafka_destroy(handle);
    return error != RD_KAFKA_RESP_ERR_NO_ERROR ? error : delivery_error;
}

/* Record i: key k<i>, value i, timestamp FIRST_TIME + i seconds. */
static void produce_numbers(const char *topic, int count, const char *const *settings)
{
    rd_kafka_t *handle = producer(settings);
    for (int i = 0; i < count; i++) {
        char key[16];
        char value[16];
        snprintf(key, sizeof key, "k%d", i);
        snprintf(value, sizeof value, "%d", i);
        rd_kafka_producev(handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_KEY(key, strlen(key)), RD_KAFKA_V_VALUE(value, strlen(value)),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_TIMESTAMP(FIRST_TIME + 1000 * (int64_t)i), RD_KAFKA_V_END);
        rd_kafka_poll(handle, 0);
    }
    expect_error(finish(handle), RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_number(delivered_count, count, "records delivered");
}

/* The next record; fails with what the consumer says, or when nothing comes. */
static rd_kafka_message_t *next(rd_kafka_t *handle)
{
    for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(handle, 500);
        if (message != NULL && message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fail("%s: %s", rd_kafka_err2name(message->err), rd_kafka_message_errstr(message));
        }
        if (message != NULL) {
            return message;
        }
    }
    fail("no record came");
    return NULL;
}

static rd_kafka_t *reader(const char *topic, int64_t offset)
{
    rd_kafka_t *handle = consumer(name_of("reader"), "range", "error");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = offset;
    expect_error(rd_kafka_assign(handle, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return handle;
}

static void stop(rd_kafka_t *handle)
{
    rd_kafka_consumer_close(handle);
    rd_kafka_destroy(handle);
}

static void expect_numbers(const char *topic, int first, int count)
{
    rd_kafka_t *handle = reader(topic, first);
    for (int i = first; i < first + count; i++) {
        rd_kafka_message_t *message = next(handle);
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        expect_number(message->offset, i, "offset");
        expect(message->len == strlen(value) && memcmp(message->payload, value, message->len) == 0,
               "another value");
        expect(message->key_len == strlen(value) + 1 && memcmp(message->key, "k", 1) == 0,
               "another key");
        rd_kafka_message_destroy(message);
    }
    stop(handle);
}

/* ---- Administration ---- */

static rd_kafka_event_t *answer(void)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(answers, PATIENCE_MS);
    if (event == NULL) {
        fail("no answer came");
    }
    return event;
}

static rd_kafka_resp_err_t topic_answer(void)
{
    rd_kafka_event_t *event = answer();
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    size_t count = 0;
    const rd_kafka_topic_result_t **results = NULL;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        switch (rd_kafka_event_type(event)) {
        case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
            results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
                                                          &count);
            break;
        case RD_KAFKA_EVENT_DELETETOPICS_RESULT:
            results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event),
                                                          &count);
            break;
        default:
            results = rd_kafka_CreatePartitions_result_topics(
                rd_kafka_event_CreatePartitions_result(event), &count);
        }
        error = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
    }
    rd_kafka_event_destroy(event);
    return error;
}

static rd_kafka_resp_err_t create(const char *topic, int partitions, int replicas,
                                  const char *config, const char *value)
{
    char error[512];
    rd_kafka_NewTopic_t *wanted =
        rd_kafka_NewTopic_new(topic, partitions, replicas, error, sizeof error);
    if (wanted == NULL) {
        fail("%s", error);
    }
    if (config != NULL) {
        rd_kafka_NewTopic_set_config(wanted, config, value);
    }
    rd_kafka_CreateTopics(admin, &wanted, 1, NULL, answers);
    rd_kafka_NewTopic_destroy(wanted);
    return topic_answer();
}

static const char *topic_with(const char *word, const char *config, const char *value)
{
    const char *topic = name_of(word);
    expect_error(create(topic, 1, 3, config, value), RD_KAFKA_RESP_ERR_NO_ERROR);
    return topic;
}

static const char *topic_of(const char *word)
{
    return topic_with(word, NULL, NULL);
}

static rd_kafka_resp_err_t delete_topic(const char *topic)
{
    rd_kafka_DeleteTopic_t *wanted = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(admin, &wanted, 1, NULL, answers);
    rd_kafka_DeleteTopic_destroy(wanted);
    return topic_answer();
}

static void expect_shape(const char *topic, int partitions, int replicas)
{
    const struct rd_kafka_metadata *found = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(admin, topic, NULL);
    expect_error(rd_kafka_metadata(admin, 0, handle, &found, PATIENCE_MS),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_destroy(handle);
    expect_number(found->topics[0].partition_cnt, partitions, "partitions");
    expect_number(found->topics[0].partitions[0].replica_cnt, replicas, "replicas");
    rd_kafka_metadata_destroy(found);
}

static rd_kafka_resp_err_t config_answer(const char *name, const char *wanted, bool is_default)
{
    rd_kafka_event_t *event = answer();
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    size_t count = 0;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_event_type(event) == RD_KAFKA_EVENT_ALTERCONFIGS_RESULT) {
        const rd_kafka_ConfigResource_t **altered = rd_kafka_AlterConfigs_result_resources(
            rd_kafka_event_AlterConfigs_result(event), &count);
        error = rd_kafka_ConfigResource_error(altered[0]);
    } else if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &count);
        const rd_kafka_ConfigEntry_t **entries =
            rd_kafka_ConfigResource_configs(resources[0], &count);
        error = rd_kafka_ConfigResource_error(resources[0]);
        for (size_t i = 0; i < count; i++) {
            if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0) {
                const char *value = rd_kafka_ConfigEntry_value(entries[i]);
                if (value == NULL || strcmp(value, wanted) != 0) {
                    fail("%s: %s, not %s", name, value, wanted);
                }
                expect_number(rd_kafka_ConfigEntry_is_default(entries[i]), is_default,
                              "whether it is the default");
                rd_kafka_event_destroy(event);
                return RD_KAFKA_RESP_ERR_NO_ERROR;
            }
        }
        error = RD_KAFKA_RESP_ERR__NOENT;
    }
    rd_kafka_event_destroy(event);
    return error;
}

static void expect_config(const char *topic, const char *name, const char *value, bool is_default)
{
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(admin, &resource, 1, NULL, answers);
    rd_kafka_ConfigResource_destroy(resource);
    expect_error(config_answer(name, value, is_default), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static rd_kafka_resp_err_t delete_group(const char *group)
{
    rd_kafka_DeleteGroup_t *wanted = rd_kafka_DeleteGroup_new(group);
    rd_kafka_DeleteGroups(admin, &wanted, 1, NULL, answers);
    rd_kafka_DeleteGroup_destroy(wanted);
    rd_kafka_event_t *event = answer();
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        size_t count = 0;
        const rd_kafka_group_result_t **results =
            rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
        const rd_kafka_error_t *inner = rd_kafka_group_result_error(results[0]);
        error = inner != NULL ? rd_kafka_error_code(inner) : RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    rd_kafka_event_destroy(event);
    return error;
}

/* The call leaves it to its caller to ask again when the leader has just moved. */
static void expect_watermarks(const char *topic, int64_t low, int64_t high)
{
    int64_t first = -1;
    int64_t end = -1;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    int64_t deadline = now_ms() + PATIENCE_MS;
    do {
        error = rd_kafka_query_watermark_offsets(admin, topic, 0, &first, &end, PATIENCE_MS);
    } while (error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION && now_ms() < deadline);
    expect_error(error, RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_number(first, low, "low watermark");
    expect_number(end, high, "high watermark");
}

/* ---- Checks: records ---- */

static void codec(const char *kind)
{
    char word[32];
    snprintf(word, sizeof word, "codec-%s", kind);
    const char *topic = topic_of(word);
    produce_numbers(topic, 200,
                    (const char *const[]){"compression.codec", kind, "linger.ms", "20", NULL});
    expect_numbers(topic, 0, 200);
}

static void codec_none(void)
{
    codec("none");
}

static void codec_gzip(void)
{
    codec("gzip");
}

static void codec_snappy(void)
{
    codec("snappy");
}

static void codec_lz4(void)
{
    codec("lz4");
}

static void codec_zstd(void)
{
    codec("zstd");
}

static void recompression(void)
{
    static const char *const kinds[] = {"gzip", "snappy", "lz4", "zstd"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char word[32];
        snprintf(word, sizeof word, "recompressed-%s", kinds[i]);
        const char *topic = topic_with(word, "compression.type", kinds[i]);
        produce_numbers(
            topic, 200,
            (const char *const[]){"compression.codec", "none", "linger.ms", "20", NULL});
        expect_numbers(topic, 0, 200);
    }
}

static void keys_and_tombstones(void)
{
    static const char *const records[][2] = {
        {NULL, "a"}, {"", "b"}, {"key", "c"}, {"key", NULL}, {"key", ""}};
    const size_t count = sizeof records / sizeof records[0];
    const char *topic = topic_of("keys");
    rd_kafka_t *handle = producer(NULL);
    for (size_t i = 0; i < count; i++) {
        const char *key = records[i][0];
        const char *value = records[i][1];
        size_t key_bytes = key != NULL ? strlen(key) : 0;
        size_t value_bytes = value != NULL ? strlen(value) : 0;
        rd_kafka_producev(handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_KEY(key, key_bytes),
                          RD_KAFKA_V_VALUE((void *)value, value_bytes), RD_KAFKA_V_END);
    }
    expect_error(finish(handle), RD_KAFKA_RESP_ERR_NO_ERROR);
    handle = reader(topic, 0);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_message_t *message = next(handle);
        expect((message->key == NULL) == (records[i][0] == NULL), "a key is null, or no longer");
        expect((message->payload == NULL) == (records[i][1] == NULL),
               "a value is null, or no longer");
        expect_number((int64_t)message->len,
                      records[i][1] != NULL ? (int64_t)strlen(records[i][1]) : 0, "length");
        rd_kafka_message_destroy(message);
    }
    stop(handle);
}

static void headers(void)
{
    static const char *const sent[][2] = {{"a", "1"}, {"b", ""}, {"a", "2"}, {"none", NULL}};
    const char *topic = topic_of("headers");
    rd_kafka_t *handle = producer(NULL);
    rd_kafka_headers_t *list = rd_kafka_headers_new(4);
    for (size_t i = 0; i < 4; i++) {
        rd_kafka_header_add(list, sent[i][0], -1, sent[i][1],
                            sent[i][1] != NULL ? (ssize_t)strlen(sent[i][1]) : 0);
    }
    expect_error(rd_kafka_producev(handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_VALUE("v", 1),
                                   RD_KAFKA_V_HEADERS(list), RD_KAFKA_V_END),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_error(finish(handle), RD_KAFKA_RESP_ERR_NO_ERROR);
    handle = reader(topic, 0);
    rd_kafka_message_t *message = next(handle);
    rd_kafka_headers_t *found = NULL;
    expect_error(rd_kafka_message_headers(message, &found), RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_number((int64_t)rd_kafka_header_cnt(found), 4, "headers");
    for (size_t i = 0; i < 4; i++) {
        const char *name = NULL;
        const void *value = NULL;
        size_t size = 0;
        expect_error(rd_kafka_header_get_all(found, i, &name, &value, &size),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
        expect(strcmp(name, sent[i][0]) == 0 && (value == NULL) == (sent[i][1] == NULL),
               "another header");
        expect(value == NULL ||
                   (size == strlen(sent[i][1]) && memcmp(value, sent[i][1], size) == 0),
               "another value");
    }
    rd_kafka_message_destroy(message);
    stop(handle);
}

static void check_time(const char *topic, rd_kafka_timestamp_type_t type, int64_t stamp,
                       int64_t slack)
{
    rd_kafka_t *handle = reader(topic, 0);
    rd_kafka_message_t *message = next(handle);
    rd_kafka_timestamp_type_t found_type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    int64_t found = rd_kafka_message_timestamp(message, &found_type);
    expect_number(found_type, type, "type of timestamp");
    expect(found >= stamp - slack && found <= stamp + slack, "another timestamp");
    rd_kafka_message_destroy(message);
    stop(handle);
}

static void timestamps(void)
{
    const char *topic = topic_of("timestamps");
    produce_numbers(topic, 1, NULL);
    check_time(topic, RD_KAFKA_TIMESTAMP_CREATE_TIME, FIRST_TIME, 0);
}

static void log_append_time(void)
{
    const char *topic = topic_with("append-time", "message.timestamp.type", "LogAppendTime");
    produce_numbers(topic, 1, NULL);
    check_time(topic, RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME, now_ms(), PATIENCE_MS);
}

static void order(void)
{
    const char *topic = topic_of("order");
    produce_numbers(topic, RECORDS_MAX, NULL);
    expect_numbers(topic, 0, RECORDS_MAX);
}

static void idempotence(void)
{
    const char *topic = topic_of("idempotence");
    produce_numbers(topic, RECORDS_MAX, (const char *const[]){"enable.idempotence", "true", NULL});
    expect_numbers(topic, 0, RECORDS_MAX);
    expect_watermarks(topic, 0, RECORDS_MAX);
}

static rd_kafka_resp_err_t produce_large(const char *topic, size_t size)
{
    static char value[900000];
    for (size_t i = 0; i < size; i++) {
        value[i] = (char)(i % 251);
    }
    rd_kafka_t *handle = producer(NULL);
    rd_kafka_producev(handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_VALUE(value, size), RD_KAFKA_V_END);
    rd_kafka_resp_err_t error = finish(handle);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        handle = reader(topic, 0);
        rd_kafka_message_t *message = next(handle);
        expect(message->len == size && memcmp(message->payload, value, size) == 0,
               "the record came back changed");
        rd_kafka_message_destroy(message);
        stop(handle);
    }
    return error;
}

static void large_record(void)
{
    expect_error(produce_large(topic_of("large"), 900000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void offsets_by_time(void)
{
    static const int64_t wanted[][2] = {
        {0, 0}, {41500, 42}, {99000, 99}, {99001, RD_KAFKA_OFFSET_END}};
    const char *topic = topic_of("times");
    produce_numbers(topic, 100,
                    (const char *const[]){"compression.codec", "gzip", "linger.ms", "50", NULL});
    for (size_t i = 0; i < 4; i++) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, topic, 0)->offset = FIRST_TIME + wanted[i][0];
        expect_error(rd_kafka_offsets_for_times(admin, list, PATIENCE_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
        expect_number(list->elems[0].offset, wanted[i][1], "offset by time");
        rd_kafka_topic_partition_list_destroy(list);
    }
}

static void watermarks(void)
{
    const char *topic = topic_of("watermarks");
    expect_watermarks(topic, 0, 0);
    produce_numbers(topic, 7, NULL);
    expect_watermarks(topic, 0, 7);
}

static void seek(void)
{
    const char *topic = topic_of("seek");
    produce_numbers(topic, 50, NULL);
    expect_numbers(topic, 37, 3);
}

/* ---- Checks: groups ---- */

static rd_kafka_t *join(const char *group, const char *topic, const char *strategy)
{
    rd_kafka_t *handle = consumer(group, strategy, "earliest");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
    expect_error(rd_kafka_subscribe(handle, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return handle;
}

static int share_of(rd_kafka_t *handle)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    rd_kafka_message_t *message = rd_kafka_consumer_poll(handle, 100);
    if (message != NULL) {
        rd_kafka_message_destroy(message);
    }
    expect_error(rd_kafka_assignment(handle, &list), RD_KAFKA_RESP_ERR_NO_ERROR);
    int count = list->cnt;
    rd_kafka_topic_partition_list_destroy(list);
    return count;
}

static void until_shares(rd_kafka_t *one, int wanted_of_one, rd_kafka_t *two, int wanted_of_two)
{
    for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end;) {
        int of_one = share_of(one);
        int of_two = two != NULL ? share_of(two) : 0;
        if (of_one == wanted_of_one && of_two == wanted_of_two) {
            return;
        }
    }
    fail("waited in vain for shares of %d and %d partitions", wanted_of_one, wanted_of_two);
}

static void rebalance(const char *word, const char *strategy)
{
    const char *topic = name_of(word);
    expect_error(create(topic, 4, 3, NULL, NULL), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_t *one = join(topic, topic, strategy);
    until_shares(one, 4, NULL, 0);
    rd_kafka_t *two = join(topic, topic, strategy);
    until_shares(one, 2, two, 2);
    stop(two);
    until_shares(one, 4, NULL, 0);
    stop(one);
}

static void group_rebalance(void)
{
    rebalance("rebalance", "range");
}

static void group_cooperative(void)
{
    rebalance("cooperative", "cooperative-sticky");
}

/* A group, named like its topic, that has read ten records and committed; its member is still
 * there. */
static rd_kafka_t *committed_group(const char *topic, int64_t offset)
{
    produce_numbers(topic, 10, NULL);
    rd_kafka_t *handle = join(topic, topic, "range");
    for (int i = 0; i < 10; i++) {
        rd_kafka_message_destroy(next(handle));
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = offset;
    expect_error(rd_kafka_commit(handle, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return handle;
}

static void expect_first(const char *topic, int64_t offset)
{
    rd_kafka_t *handle = join(topic, topic, "range");
    rd_kafka_message_t *message = next(handle);
    expect_number(message->offset, offset, "first offset");
    rd_kafka_message_destroy(message);
    stop(handle);
}

static void commit_and_resume(void)
{
    const char *topic = topic_of("resume");
    stop(committed_group(topic, 6));
    expect_first(topic, 6);
}

/* ---- Checks: administration ---- */

static void admin_create_topic(void)
{
    const char *topic = name_of("created");
    expect_error(create(topic, 3, 3, "retention.ms", "3600000"), RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_shape(topic, 3, 3);
    expect_config(topic, "retention.ms", "3600000", false);
}

static void admin_create_partitions(void)
{
    char error[512];
    const char *topic = name_of("grown");
    expect_error(create(topic, 2, 3, NULL, NULL), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_NewPartitions_t *wanted = rd_kafka_NewPartitions_new(topic, 5, error, sizeof error);
    rd_kafka_CreatePartitions(admin, &wanted, 1, NULL, answers);
    rd_kafka_NewPartitions_destroy(wanted);
    expect_error(topic_answer(), RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_shape(topic, 5, 3);
}

static void admin_delete_topic(void)
{
    const char *topic = topic_of("deleted");
    expect_error(delete_topic(topic), RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end;) {
        const struct rd_kafka_metadata *found = NULL;
        bool is_there = false;
        expect_error(rd_kafka_metadata(admin, 1, NULL, &found, PATIENCE_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
        for (int i = 0; i < found->topic_cnt; i++) {
            is_there = is_there || strcmp(found->topics[i].topic, topic) == 0;
        }
        rd_kafka_metadata_destroy(found);
        if (!is_there) {
            return;
        }
    }
    fail("the topic is still listed");
}

static void admin_describe_configs(void)
{
    const char *topic = topic_with("described", "retention.ms", "7200000");
    expect_config(topic, "retention.ms", "7200000", false);
    expect_config(topic, "cleanup.policy", "delete", true);
}

static void admin_alter_configs(void)
{
    const char *topic = topic_with("altered", "segment.ms", "8000000");
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_ConfigResource_set_config(resource, "retention.ms", "1800000");
    rd_kafka_AlterConfigs(admin, &resource, 1, NULL, answers);
    rd_kafka_ConfigResource_destroy(resource);
    expect_error(config_answer(NULL, NULL, false), RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_config(topic, "retention.ms", "1800000", false);
    expect_config(topic, "segment.ms", "604800000",
                  true); /* AlterConfigs resets what it does not name */
}

static void admin_describe_cluster(void)
{
    const struct rd_kafka_metadata *found = NULL;
    expect_error(rd_kafka_metadata(admin, 1, NULL, &found, PATIENCE_MS),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_number(found->broker_cnt, 3, "brokers");
    rd_kafka_metadata_destroy(found);
    char *id = rd_kafka_clusterid(admin, PATIENCE_MS);
    expect(id != NULL, "no cluster id");
    rd_kafka_mem_free(admin, id);
    expect(rd_kafka_controllerid(admin, PATIENCE_MS) > 0, "no controller");
}

static void admin_groups(void)
{
    const char *group = topic_of("grouped");
    rd_kafka_t *handle = committed_group(group, 5);
    const struct rd_kafka_group_list *found = NULL;
    expect_error(rd_kafka_list_groups(admin, group, &found, PATIENCE_MS),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_number(found->group_cnt, 1, "groups");
    expect(strcmp(found->groups[0].state, "Stable") == 0, "another state");
    expect_number(found->groups[0].member_cnt, 1, "members");
    rd_kafka_group_list_destroy(found);
    stop(handle);
}

static void admin_reset_offsets(void)
{
    const char *group = topic_of("reset");
    stop(committed_group(group, 5));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, group, 0)->offset = 2;
    rd_kafka_AlterConsumerGroupOffsets_t *wanted =
        rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    rd_kafka_AlterConsumerGroupOffsets(admin, &wanted, 1, NULL, answers);
    rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_event_t *event = answer();
    expect_error(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    expect_first(group, 2);
}

static void admin_delete_group(void)
{
    const char *group = topic_of("deleted-group");
    stop(committed_group(group, 5));
    expect_error(delete_group(group), RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_first(group, 0);
}

static void admin_delete_records(void)
{
    const char *topic = topic_of("records-deleted");
    produce_numbers(topic, 10, NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 6;
    rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_DeleteRecords(admin, &wanted, 1, NULL, answers);
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_event_t *event = answer();
    expect_error(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR);
    const rd_kafka_topic_partition_list_t *found =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    expect_error(found->elems[0].err, RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_number(found->elems[0].offset, 6, "low watermark");
    rd_kafka_event_destroy(event);
    expect_watermarks(topic, 6, 10);
}

/* ---- Checks: errors ---- */

static void error_topic_exists(void)
{
    const char *topic = topic_of("twice");
    expect_error(create(topic, 1, 3, NULL, NULL), RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS);
}

static void error_unknown_topic(void)
{
    expect_error(delete_topic(name_of("nowhere")), RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
}

static void error_invalid_topic(void)
{
    expect_error(create(name_of("bad/name"), 1, 3, NULL, NULL), RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION);
}

static void error_replication_factor(void)
{
    expect_error(create(name_of("four-replicas"), 1, 4, NULL, NULL),
                 RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR);
}

static void error_bad_config(void)
{
    expect_error(create(name_of("bad-config"), 1, 3, "retention.ms", "soon"),
                 RD_KAFKA_RESP_ERR_INVALID_CONFIG);
}

static void error_record_too_large(void)
{
    expect_error(produce_large(topic_with("small-records", "max.message.bytes", "10000"), 20000),
                 RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
}

static void error_offset_out_of_range(void)
{
    const char *topic = topic_of("out-of-range");
    produce_numbers(topic, 1, NULL);
    rd_kafka_t *handle = reader(topic, 100);
    rd_kafka_message_t *message = NULL;
    for (int64_t end = now_ms() + PATIENCE_MS; message == NULL && now_ms() < end;) {
        message = rd_kafka_consumer_poll(handle, 500);
    }
    expect(message != NULL, "neither a record nor an error came");
    expect_error(message->err, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET);
    expect(strstr(rd_kafka_message_errstr(message), "out of range") != NULL,
           "another cause of the reset");
    rd_kafka_message_destroy(message);
    stop(handle);
}

static void error_unknown_group(void)
{
    expect_error(delete_group(name_of("no-group")), RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND);
}

#define CHECK(name)                                                                                \
    {                                                                                              \
#name, name                                                                                \
    }

static const struct {
    const char *name;
    void (*run)(void);
} checks[] = {
    CHECK(codec_none),
    CHECK(codec_gzip),
    CHECK(codec_snappy),
    CHECK(codec_lz4),
    CHECK(codec_zstd),
    CHECK(recompression),
    CHECK(keys_and_tombstones),
    CHECK(headers),
    CHECK(timestamps),
    CHECK(log_append_time),
    CHECK(order),
    CHECK(idempotence),
    CHECK(large_record),
    CHECK(offsets_by_time),
    CHECK(watermarks),
    CHECK(seek),
    CHECK(group_rebalance),
    CHECK(group_cooperative),
    CHECK(commit_and_resume),
    CHECK(admin_create_topic),
    CHECK(admin_create_partitions),
    CHECK(admin_delete_topic),
    CHECK(admin_describe_configs),
    CHECK(admin_alter_configs),
    CHECK(admin_describe_cluster),
    CHECK(admin_groups),
    CHECK(admin_reset_offsets),
    CHECK(admin_delete_group),
    CHECK(admin_delete_records),
    CHECK(error_topic_exists),
    CHECK(error_unknown_topic),
    CHECK(error_invalid_topic),
    CHECK(error_replication_factor),
    CHECK(error_bad_config),
    CHECK(error_record_too_large),
    CHECK(error_offset_out_of_range),
    CHECK(error_unknown_group),
};

/* 1 when it failed. */
static int run_check(const char *name, void (*check)(void))
{
    bool is_ok = setjmp(check_end) == 0;
    if (is_ok) {
        check();
        printf("ok %s\n", name);
    } else {
        printf("not ok %s: %s\n", name, why);
    }
    fflush(stdout);
    return is_ok ? 0 : 1;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 3) {
        fprintf(stderr, "usage: %s BOOTSTRAP PREFIX, or --version\n", arguments[0]);
        printf("%s\n", rd_kafka_version_str());
        return argument_count == 2 ? 0 : 2;
    }
    bootstrap = arguments[1];
    prefix = arguments[2];
    if (setjmp(check_end) != 0) {
        fprintf(stderr, "%s\n", why);
        return 2;
    }
    admin = client(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), NULL);
    answers = rd_kafka_queue_new(admin);
    int failed = 0;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        failed += run_check(checks[i].name, checks[i].run);
    }
    rd_kafka_queue_destroy(answers);
    rd_kafka_destroy(admin);
    return failed == 0 ? 0 : 1;
}
