/* SPDX-License-Identifier: Apache-2.0
 *
 * api_describe_log_dirs.c -- DescribeLogDirs (KIP-113, KIP-827): the one directory in which this
 * broker keeps its data, and what its replicas take there.
 *
 * Replicas that do not run here (any more, or yet) are left out.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/ask_fan.h"
#include "broker/broker.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "wire/describe_log_dirs.h"

#include <string.h>

typedef struct describe_log_dirs_response_describe_log_dirs_topic described_topic;
typedef struct describe_log_dirs_response_describe_log_dirs_partition described_partition;

struct log_dirs_work {
    struct ask_fan fan; /* of struct size_item, with room for every partition that was asked for */
    struct describe_log_dirs_request body;
    described_topic *topics; /* their partitions are counted first, and filled in at the end */
    int32_t topic_count;
    uint32_t used; /* items */
};

/* ---- The answer ---- */

/* Takes the topic's items off *item.  False when the arena is exhausted. */
static bool describe_topic(struct log_dirs_work *work, described_topic *topic,
                           const struct size_item **item)
{
    int32_t count = topic->partitions_count;
    topic->partitions_count = 0;
    topic->partitions =
        arena_allocate_array(&work->fan.request->arena, (size_t)count, sizeof(*topic->partitions));
    if (topic->partitions == NULL) {
        return false;
    }
    for (int32_t i = 0; i < count; i++, (*item)++) {
        if (!(*item)->is_here) {
            continue;
        }
        described_partition *partition = &topic->partitions[topic->partitions_count++];
        describe_log_dirs_response_describe_log_dirs_partition_init(partition);
        partition->partition_index = (*item)->partition;
        partition->partition_size = (int64_t)(*item)->size_bytes;
        /* offset_lag is how far a log lies behind what is committed *here*: never. */
    }
    return true;
}

static void respond(struct ask_fan *fan)
{
    struct log_dirs_work *work = container_of(fan, struct log_dirs_work, fan);
    const char *directory = fan->request->shard->config->data_directory;
    struct describe_log_dirs_response response;
    struct describe_log_dirs_response_describe_log_dirs_result result;
    const struct size_item *item = fan->items;
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    describe_log_dirs_response_init(&response);
    describe_log_dirs_response_describe_log_dirs_result_init(&result);
    result.log_dir = topic_place_string(directory);
    result.topics = work->topics;
    for (int32_t i = 0; i < work->topic_count; i++) {
        if (!describe_topic(work, &work->topics[i], &item)) {
            request_drop(fan->request, "the answer needs more memory than a request may have");
            return;
        }
        if (work->topics[i].partitions_count > 0) {
            result.topics[result.topics_count++] = work->topics[i];
        }
    }
    if (io_path_space(directory, &free_bytes, &total_bytes) == 0) {
        result.total_bytes = (int64_t)total_bytes;
        result.usable_bytes = (int64_t)free_bytes;
    }
    response.results = &result;
    response.results_count = 1;
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    describe_log_dirs_response_encode(&response, fan->request->version, &writer);
    request_respond(fan->request, &writer);
}

/* ---- The request ---- */

static void add_partition(struct log_dirs_work *work, const struct cluster_topic *topic,
                          int32_t number)
{
    uint32_t position = 0;
    if (topic_place_group(topic, number) == 0 ||
        !cluster_partition_find_replica(&topic->partitions[number],
                                        work->fan.request->shard->broker_id, &position)) {
        return;
    }
    struct size_item *item = (struct size_item *)work->fan.items + work->used++;
    item->partition = number;
    ask_fan_place(&item->head, topic, WIRE_ERROR_NONE, number);
    work->topics[work->topic_count].partitions_count++;
}

/* The name is copied: the metadata may change before the answer.  False: no memory. */
static bool begin_topic(struct log_dirs_work *work, const struct cluster_topic *topic)
{
    described_topic *described = &work->topics[work->topic_count];
    char *name = arena_allocate(&work->fan.request->arena, topic->name_length);
    describe_log_dirs_response_describe_log_dirs_topic_init(described);
    if (name != NULL) {
        memcpy(name, topic->name, topic->name_length);
        described->name = (struct wire_string){name, (int32_t)topic->name_length};
    }
    return name != NULL;
}

static bool add_all(struct log_dirs_work *work)
{
    const struct cluster_topic *topic = NULL;
    size_t position = 0;
    while ((topic = cluster_topic_next(work->fan.request->shard->metadata, &position)) != NULL) {
        if (!begin_topic(work, topic)) {
            return false;
        }
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            add_partition(work, topic, (int32_t)i);
        }
        work->topic_count++;
    }
    return true;
}

static bool add_asked(struct log_dirs_work *work)
{
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(work->fan.request->shard, work->body.topics[i].topic, &error);
        if (topic == NULL) {
            continue;
        }
        if (!begin_topic(work, topic)) {
            return false;
        }
        for (int32_t j = 0; j < work->body.topics[i].partitions_count; j++) {
            add_partition(work, topic, work->body.topics[i].partitions[j]);
        }
        work->topic_count++;
    }
    return true;
}

/* How many topics and partitions may have to be told of. */
static void count_asked(const struct request *request, const struct log_dirs_work *work,
                        size_t *topics, uint64_t *partitions)
{
    const struct cluster_topic *topic = NULL;
    size_t position = 0;
    *topics = work->body.topics_count < 0 ? cluster_topic_count(request->shard->metadata)
                                          : (size_t)work->body.topics_count;
    *partitions = 0;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        *partitions += (uint64_t)work->body.topics[i].partitions_count;
    }
    while (work->body.topics_count < 0 &&
           (topic = cluster_topic_next(request->shard->metadata, &position)) != NULL) {
        *partitions += topic->partition_count;
    }
}

void api_describe_log_dirs(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct log_dirs_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !describe_log_dirs_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    size_t topics = 0;
    uint64_t partitions = 0;
    count_asked(request, work, &topics, &partitions);
    if (!ask_fan_make(&work->fan, request, partitions, sizeof(struct size_item),
                      sizeof(described_partition))) {
        return;
    }
    request->arena.limit_bytes +=
        topics * (sizeof(*work->topics) + CLUSTER_TOPIC_NAME_BYTES_MAX + 64) + 64;
    work->topics = arena_allocate_array(&request->arena, topics, sizeof(*work->topics));
    if (work->topics == NULL || !(work->body.topics_count < 0 ? add_all(work) : add_asked(work))) {
        request_drop(request, "more topics than a request may name");
        return;
    }
    ask_fan_shorten(&work->fan, work->used);
    work->fan.ask_bytes = sizeof(struct ask);
    work->fan.perform = sizes_perform;
    work->fan.respond = respond;
    ask_fan_send(&work->fan);
}
