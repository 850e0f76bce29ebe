/* SPDX-License-Identifier: Apache-2.0
 *
 * api_create_topics.c -- CreateTopics, on the controller leader: what a topic is to be, and what
 * came of it.  The way from one to the other is topic_growth.h.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/topic_growth.h"
#include "broker/topic_place.h"
#include "wire/create_topics.h"

#define ANSWER_BYTES_MAX (256u * 1024 * 1024)

/* What a topic would be that is only tried (validate_only). */
struct trial {
    int32_t partition_count; /* 0: it was refused, or is no trial */
    int32_t replication_factor;
    struct topic_config config; /* the overrides; freed when the answer is written */
};

struct creation_work {
    struct topic_growth growth;
    struct create_topics_request body;
    struct trial *trials; /* one for each topic */
};

/* ---- The answer ---- */

static void describe_configs(const struct broker_shard *shard, const struct topic_config *overrides,
                             struct arena *arena,
                             struct create_topics_response_creatable_topic_result *answer)
{
    size_t count = topic_config_row_count();
    answer->configs = arena_allocate_array(arena, count, sizeof(*answer->configs));
    if (answer->configs == NULL) {
        answer->configs_count = -1;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct topic_config_row *row = topic_config_row(i);
        struct create_topics_response_creatable_topic_configs *config = &answer->configs[i];
        struct config_value values[CONFIG_VALUES_MAX];
        (void)effective_config_values(shard, overrides, row, values);
        create_topics_response_creatable_topic_configs_init(config);
        config->name = topic_place_string(row->name);
        config->value = topic_place_string(values[0].text);
        config->config_source = (int8_t)values[0].source;
    }
    answer->configs_count = (int32_t)count;
}

static void describe_item(const struct topic_growth_item *item, const struct trial *trial,
                          struct arena *arena,
                          struct create_topics_response_creatable_topic_result *answer)
{
    create_topics_response_creatable_topic_result_init(answer);
    answer->name = item->name;
    answer->error_code = (int16_t)item->problem.error;
    answer->error_message = topic_place_message(&item->problem);
    const struct broker_shard *shard = item->growth->request->shard;
    const struct cluster_topic *topic =
        uuid_is_zero(&item->topic_id) ? NULL
                                      : cluster_topic_find_id(shard->metadata, &item->topic_id);
    if (topic != NULL) {
        answer->topic_id = topic->id;
        answer->num_partitions = (int32_t)topic->partition_count;
        answer->replication_factor = (int16_t)topic->partitions[0].replica_count;
        describe_configs(shard, &topic->config, arena, answer);
    } else if (trial->partition_count > 0) {
        answer->num_partitions = trial->partition_count;
        answer->replication_factor = (int16_t)trial->replication_factor;
        describe_configs(shard, &trial->config, arena, answer);
    }
}

static void clear_trials(struct creation_work *work)
{
    for (uint32_t i = 0; i < work->growth.line.count; i++) {
        topic_config_clear(&work->trials[i].config);
    }
}

static void respond(struct topic_growth *growth)
{
    struct creation_work *work = container_of(growth, struct creation_work, growth);
    struct request *request = growth->request;
    uint32_t count = growth->line.count;
    struct create_topics_response response;
    struct arena arena;
    create_topics_response_init(&response);
    arena_init(&arena, ANSWER_BYTES_MAX);
    response.topics = arena_allocate_array(&arena, count, sizeof(*response.topics));
    if (response.topics == NULL) {
        arena_free(&arena);
        clear_trials(work);
        request_drop(request, "the answer needs more memory than an answer may have");
        return;
    }
    response.topics_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        describe_item(&growth->items[i], &work->trials[i], &arena, &response.topics[i]);
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 512);
    create_topics_response_encode(&response, request->version, &writer);
    arena_free(&arena);
    clear_trials(work);
    request_respond(request, &writer);
}

/* ---- Plans ---- */

static bool read_assignments(const struct create_topics_request_creatable_topic *asked,
                             struct arena *arena, struct cluster_assignment **assignments)
{
    *assignments = arena_allocate_array(arena, (size_t)asked->assignments_count,
                                        sizeof(struct cluster_assignment));
    for (int32_t i = 0; *assignments != NULL && i < asked->assignments_count; i++) {
        const struct create_topics_request_creatable_replica_assignment *given =
            &asked->assignments[i];
        if (given->partition_index < 0 ||
            !topic_growth_read_replicas(&(*assignments)[i], given->broker_ids,
                                        given->broker_ids_count)) {
            return false;
        }
        (*assignments)[i].partition = (uint32_t)given->partition_index;
    }
    return *assignments != NULL;
}

static struct topic_config_entry *
read_configs(const struct create_topics_request_creatable_topic *asked, struct arena *arena)
{
    struct topic_config_entry *entries =
        arena_allocate_array(arena, (size_t)asked->configs_count, sizeof(*entries));
    for (int32_t i = 0; entries != NULL && i < asked->configs_count; i++) {
        entries[i] = (struct topic_config_entry){
            asked->configs[i].name.data, asked->configs[i].name.length,
            asked->configs[i].value.data, asked->configs[i].value.length};
    }
    return entries;
}

static struct uuid new_topic_id(struct broker_shard *shard)
{
    uint64_t random[2];
    io_random_secure(shard->loop, random, sizeof(random));
    return uuid_from_random(random[0], random[1]);
}

/* All of the request has been found good. */
static void note_trial(const struct cluster_topic_request *request, struct trial *trial)
{
    bool is_assigned = request->assignment_count > 0;
    trial->partition_count = is_assigned                      ? (int32_t)request->assignment_count
                             : request->partition_count == -1 ? request->default_partition_count
                                                              : request->partition_count;
    trial->replication_factor = is_assigned ? (int32_t)request->assignments[0].replica_count
                                : request->replication_factor == -1
                                    ? request->default_replication_factor
                                    : request->replication_factor;
    for (size_t i = 0; i < request->config_count; i++) {
        const struct topic_config_entry *entry = &request->config[i];
        topic_config_set(&trial->config, topic_config_find(entry->name, (size_t)entry->name_length),
                         entry->value, (size_t)entry->value_length);
    }
}

static void plan(struct topic_growth *growth, uint32_t position, struct arena *arena,
                 struct wire_writer *record)
{
    const struct creation_work *work = container_of(growth, struct creation_work, growth);
    const struct create_topics_request_creatable_topic *asked = &work->body.topics[position];
    struct topic_growth_item *item = &growth->items[position];
    struct broker_shard *shard = growth->request->shard;
    struct cluster_assignment *assignments = NULL;
    uint32_t live[CLUSTER_BROKERS_MAX];
    if (shard->is_short_of_room) {
        topic_growth_refuse(item, WIRE_ERROR_KAFKA_STORAGE_ERROR,
                            "The controller's disk is nearly full.");
        return;
    }
    struct topic_config_entry *configs = read_configs(asked, arena);
    if (!read_assignments(asked, arena, &assignments) || configs == NULL) {
        topic_growth_refuse(item, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                            "A partition has too many replicas, or a number is negative.");
        return;
    }
    struct cluster_topic_request request = {
        .name = asked->name.data,
        .name_length = (size_t)asked->name.length,
        .id = new_topic_id(shard),
        .partition_count = asked->num_partitions,
        .replication_factor = asked->replication_factor,
        .assignments = assignments,
        .assignment_count = (size_t)asked->assignments_count,
        .config = configs,
        .config_count = (size_t)asked->configs_count,
        .default_partition_count = shard->config->default_partitions,
        .default_replication_factor = shard->config->default_replication_factor,
        .live_brokers = live,
        .live_broker_count = controller_live_brokers(shard, live, CLUSTER_BROKERS_MAX),
    };
    cluster_plan_create_topic(shard->metadata, &request, record, &item->problem);
    if (item->problem.error == WIRE_ERROR_NONE && !growth->is_committed) {
        note_trial(&request, &work->trials[position]);
    }
}

/* ---- The request ---- */

static const struct topic_growth_kind creation_kind = {
    .plan = plan,
    .respond = respond,
    .refused_message = "The topic was not created.",
    .late_message = "The topic exists, but not all of its partitions have a leader yet.",
};

void api_create_topics(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct creation_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !create_topics_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    uint32_t count = (uint32_t)work->body.topics_count;
    request->arena.limit_bytes += count * sizeof(*work->trials); /* beyond decoding */
    work->trials = arena_allocate_array(&request->arena, count, sizeof(*work->trials));
    if (work->trials == NULL) {
        request_drop(request, "more topics than a request may name");
        return;
    }
    if (!topic_growth_init(&work->growth, &creation_kind, request, count, work->body.timeout_ms,
                           work->body.validate_only)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        work->growth.items[i].name = work->body.topics[i].name;
    }
    topic_growth_run(&work->growth);
}
