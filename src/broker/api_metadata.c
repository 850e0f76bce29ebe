/* SPDX-License-Identifier: Apache-2.0
 *
 * api_metadata.c -- Metadata: the brokers, the topics, and who leads what, from this broker's copy.
 *
 * A topic that does not exist is created on the way where the broker is configured so and the
 * client does not forbid it.  Nothing is made up: an unknown leader is -1 with
 * LEADER_NOT_AVAILABLE, a leader epoch is the Raft term or -1.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/controller_told.h"
#include "broker/topic_creation.h"
#include "broker/topic_picture.h"
#include "broker/topic_place.h"
#include "wire/metadata.h"

#include "base/assert.h"
#include "base/list.h"

#include <string.h>

/* How long an answer is held back while a partition asked for has no leader: an election is over
 * within that time, and a client that is told of no leader asks again much later. */
#define LEADER_WAIT_MS 300
/* And while one has never had a leader: its topic is new.  A busy broker may need longer to begin
 * with it, and clients that have just created a topic take no leader for a failure. */
#define FIRST_LEADER_WAIT_MS 2000
/* How long an answer that names another broker as a leader is held back.  Clients ask when their
 * connection to a leader has closed, and the kernel closes the connections of a process that died
 * one after the other: the client may know of the death some milliseconds before this broker does.
 * A client that is told of the dead leader again asks no more for a second. */
#define DEATH_NOTICE_MS 10
/* An answer about everything is larger than what a request's own arena is made for. */
#define ANSWER_BYTES_MAX (512u * 1024 * 1024)
/* Topics that one request may bring into being. */
#define CREATIONS_MAX 100
/* Up to here a request carries no flag about creating topics, and means yes. */
#define FLAGLESS_MOST_VERSION 3

struct metadata_work {
    struct request *request;
    struct metadata_request body;
    struct topic_creation creation;
    struct upkeep_condition notice;  /* see DEATH_NOTICE_MS */
    struct upkeep_condition leaders; /* see LEADER_WAIT_MS */
    struct arena answer;
    bool is_complete; /* false: the answer's arena is exhausted */
};

/* ---- The answer ---- */

static void *allocate(struct metadata_work *work, size_t count, size_t size)
{
    void *memory = arena_allocate_array(&work->answer, count, size);
    work->is_complete = work->is_complete && memory != NULL;
    return memory;
}

static void describe_brokers(struct metadata_work *work, struct metadata_response *response)
{
    const struct broker_shard *shard = work->request->shard;
    response->brokers =
        allocate(work, cluster_broker_count(shard->metadata), sizeof(*response->brokers));
    size_t position = 0;
    const struct cluster_broker *broker;
    while (work->is_complete &&
           (broker = cluster_broker_next(shard->metadata, &position)) != NULL) {
        if (!broker_is_live(shard, broker->id)) {
            continue;
        }
        struct metadata_response_metadata_response_broker *node =
            &response->brokers[response->brokers_count++];
        metadata_response_metadata_response_broker_init(node);
        node->node_id = (int32_t)broker->id;
        node->host = topic_place_string(broker->kafka_host);
        node->port = broker->kafka_port;
        node->rack = topic_place_string(broker->rack[0] == '\0' ? NULL : broker->rack);
    }
}

static void describe_partition(struct metadata_work *work,
                               const struct cluster_partition *partition,
                               struct metadata_response_metadata_response_partition *answer)
{
    struct partition_picture picture;
    if (!partition_picture_take(work->request->shard, partition, &work->answer, &picture)) {
        work->is_complete = false;
        return;
    }
    answer->error_code = (int16_t)picture.error;
    answer->leader_id = picture.leader;
    answer->leader_epoch = picture.leader_epoch;
    answer->replica_nodes = picture.replicas;
    answer->replica_nodes_count = picture.replica_count;
    answer->isr_nodes = picture.in_sync;
    answer->isr_nodes_count = picture.in_sync_count;
    answer->offline_replicas = picture.offline;
    answer->offline_replicas_count = picture.offline_count;
}

static void describe_topic(struct metadata_work *work, const struct cluster_topic *topic,
                           struct metadata_response_metadata_response_topic *answer)
{
    metadata_response_metadata_response_topic_init(answer);
    answer->name = (struct wire_string){topic->name, (int32_t)topic->name_length};
    answer->topic_id = topic->id;
    answer->is_internal = topic->is_internal;
    answer->partitions = allocate(work, topic->partition_count, sizeof(*answer->partitions));
    for (uint32_t i = 0; work->is_complete && i < topic->partition_count; i++) {
        metadata_response_metadata_response_partition_init(&answer->partitions[i]);
        answer->partitions[i].partition_index = (int32_t)i;
        describe_partition(work, &topic->partitions[i], &answer->partitions[i]);
    }
    answer->partitions_count = work->is_complete ? (int32_t)topic->partition_count : 0;
}

static void describe_all_topics(struct metadata_work *work, struct metadata_response *response)
{
    const struct cluster_metadata *metadata = work->request->shard->metadata;
    response->topics = allocate(work, cluster_topic_count(metadata), sizeof(*response->topics));
    size_t position = 0;
    const struct cluster_topic *topic;
    while (work->is_complete && (topic = cluster_topic_next(metadata, &position)) != NULL) {
        describe_topic(work, topic, &response->topics[response->topics_count++]);
    }
}

static bool is_asked_by_id(const struct metadata_request_metadata_request_topic *asked)
{
    return asked->name.length < 0 || !uuid_is_zero(&asked->topic_id);
}

/* The topic asked for at a position; NULL: not known. */
static const struct cluster_topic *find_asked(const struct metadata_work *work, int32_t position,
                                              enum wire_error *error)
{
    require(position >= 0 && position < work->body.topics_count);
    const struct broker_shard *shard = work->request->shard;
    const struct metadata_request_metadata_request_topic *asked = &work->body.topics[position];
    return is_asked_by_id(asked) ? topic_place_by_id(shard, &asked->topic_id, error)
                                 : topic_place_by_name(shard, asked->name, error);
}

/* The position of a name among those being created, or -1. */
static int32_t find_creation(const struct topic_creation *creation, struct wire_string name)
{
    for (int32_t i = 0; i < creation->count; i++) {
        if (creation->names[i].length == name.length &&
            memcmp(creation->names[i].data, name.data, (size_t)name.length) == 0) {
            return i;
        }
    }
    return -1;
}

/* What to say about a name that is not known: that it is bad, that it is coming, or that it is
 * unknown. */
static enum wire_error unknown_topic_error(const struct metadata_work *work,
                                           struct wire_string name, enum wire_error error)
{
    if (cluster_topic_name_error(name.data, (size_t)name.length) != NULL) {
        return WIRE_ERROR_INVALID_TOPIC_EXCEPTION;
    }
    int32_t position = find_creation(&work->creation, name);
    if (position < 0) {
        return error;
    }
    enum wire_error creation_error = work->creation.errors[position];
    return creation_error == WIRE_ERROR_NONE ? WIRE_ERROR_LEADER_NOT_AVAILABLE : creation_error;
}

static void describe_asked_topics(struct metadata_work *work, struct metadata_response *response)
{
    response->topics = allocate(work, (size_t)work->body.topics_count, sizeof(*response->topics));
    for (int32_t i = 0; work->is_complete && i < work->body.topics_count; i++) {
        const struct metadata_request_metadata_request_topic *asked = &work->body.topics[i];
        struct metadata_response_metadata_response_topic *answer =
            &response->topics[response->topics_count++];
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic = find_asked(work, i, &error);
        if (topic != NULL) {
            describe_topic(work, topic, answer);
            continue;
        }
        metadata_response_metadata_response_topic_init(answer);
        answer->name = asked->name;
        answer->topic_id = asked->topic_id;
        answer->error_code =
            (int16_t)(is_asked_by_id(asked) ? error
                                            : unknown_topic_error(work, asked->name, error));
    }
}

static bool asks_for_all(const struct metadata_work *work)
{
    return work->body.topics_count < 0 ||
           (work->request->version == 0 && work->body.topics_count == 0);
}

static void respond(struct metadata_work *work)
{
    struct request *request = work->request;
    const struct broker_shard *shard = request->shard;
    char cluster_id[UUID_TEXT_LENGTH + 1];
    struct metadata_response response;
    metadata_response_init(&response);
    arena_init(&work->answer, ANSWER_BYTES_MAX);
    work->is_complete = true;

    response.controller_id = controller_told(shard);
    response.cluster_id = topic_place_string(uuid_format(&shard->cluster_id, cluster_id));
    describe_brokers(work, &response);
    if (asks_for_all(work)) {
        describe_all_topics(work, &response);
    } else {
        describe_asked_topics(work, &response);
    }

    if (!work->is_complete) {
        arena_free(&work->answer);
        request_drop(request, "the answer needs more memory than an answer may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 1024);
    metadata_response_encode(&response, request->version, &writer);
    arena_free(&work->answer);
    request_respond(request, &writer);
}

/* ---- An election on the way ---- */

static bool have_leaders(struct upkeep_condition *condition)
{
    const struct metadata_work *work = container_of(condition, struct metadata_work, leaders);
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic = find_asked(work, i, &error);
        if (topic != NULL && !topic_place_has_leaders(work->request->shard, topic)) {
            return false;
        }
    }
    return true;
}

static bool has_been_led(const struct broker_shard *shard, const struct cluster_topic *topic)
{
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (topic_place_leader(shard, topic->partitions[i].group_id).epoch <= 0) {
            return false;
        }
    }
    return true;
}

static uint64_t leader_wait_ms(const struct metadata_work *work)
{
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic = find_asked(work, i, &error);
        if (topic != NULL && !has_been_led(work->request->shard, topic)) {
            return FIRST_LEADER_WAIT_MS;
        }
    }
    return LEADER_WAIT_MS;
}

static void waited_for_leaders(struct upkeep_condition *condition, bool in_time)
{
    (void)in_time;
    respond(container_of(condition, struct metadata_work, leaders));
}

static void wait_for_leaders(struct metadata_work *work)
{
    const struct broker_shard *shard = work->request->shard;
    if (have_leaders(&work->leaders)) {
        respond(work);
        return;
    }
    work->leaders.holds = have_leaders;
    work->leaders.done = waited_for_leaders;
    upkeep_wait(shard->upkeep, &work->leaders,
                io_now_ns(shard->loop) + leader_wait_ms(work) * 1000000ull);
}

/* ---- A death on the way ---- */

static bool names_another_leader(const struct metadata_work *work)
{
    const struct broker_shard *shard = work->request->shard;
    for (int32_t i = 0; i < work->body.topics_count; i++) {
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic = find_asked(work, i, &error);
        for (uint32_t j = 0; topic != NULL && j < topic->partition_count; j++) {
            int32_t leader = topic_place_leader(shard, topic->partitions[j].group_id).id;
            if (leader >= 0 && leader != (int32_t)shard->broker_id) {
                return true;
            }
        }
    }
    return false;
}

/* Nothing tells that a leader is alive; only the time that passes does. */
static bool only_time_tells(struct upkeep_condition *condition)
{
    (void)condition;
    return false;
}

static void waited_for_notice(struct upkeep_condition *condition, bool in_time)
{
    (void)in_time;
    wait_for_leaders(container_of(condition, struct metadata_work, notice));
}

static void respond_with_leaders(struct metadata_work *work)
{
    const struct broker_shard *shard = work->request->shard;
    if (asks_for_all(work)) {
        respond(work);
        return;
    }
    if (!names_another_leader(work)) {
        wait_for_leaders(work);
        return;
    }
    work->notice.holds = only_time_tells;
    work->notice.done = waited_for_notice;
    upkeep_wait(shard->upkeep, &work->notice,
                io_now_ns(shard->loop) + DEATH_NOTICE_MS * 1000000ull);
}

/* ---- Creation on the way ---- */

static void created(struct topic_creation *creation)
{
    respond(creation->context);
}

static bool may_create(const struct metadata_work *work)
{
    const struct broker_shard *shard = work->request->shard;
    bool client_allows =
        work->request->version <= FLAGLESS_MOST_VERSION || work->body.allow_auto_topic_creation;
    return client_allows && shard->config->auto_create_topics && shard->metadata_is_loaded &&
           !asks_for_all(work);
}

/* Lists the topics to create.  False when there are none. */
static bool plan_creation(struct metadata_work *work)
{
    const struct cluster_metadata *metadata = work->request->shard->metadata;
    struct arena *arena = &work->request->arena;
    struct topic_creation *creation = &work->creation;
    for (int32_t i = 0; i < work->body.topics_count && creation->count < CREATIONS_MAX; i++) {
        const struct metadata_request_metadata_request_topic *asked = &work->body.topics[i];
        if (is_asked_by_id(asked) ||
            cluster_topic_name_error(asked->name.data, (size_t)asked->name.length) != NULL ||
            cluster_topic_find(metadata, asked->name.data, (size_t)asked->name.length) != NULL ||
            find_creation(creation, asked->name) >= 0) {
            continue;
        }
        if (creation->names == NULL) {
            creation->names =
                arena_allocate_array(arena, CREATIONS_MAX, sizeof(struct wire_string));
            creation->errors = arena_allocate_array(arena, CREATIONS_MAX, sizeof(enum wire_error));
        }
        if (creation->names == NULL || creation->errors == NULL) {
            break;
        }
        creation->names[creation->count++] = asked->name;
    }
    return creation->count > 0;
}

void api_metadata(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct metadata_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !metadata_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    work->request = request;
    if (may_create(work) && plan_creation(work)) {
        work->creation.shard = request->shard;
        work->creation.arena = &request->arena;
        work->creation.done = created;
        work->creation.context = work;
        topic_creation_start(&work->creation);
        return;
    }
    respond_with_leaders(work);
}
