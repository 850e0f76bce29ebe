/* SPDX-License-Identifier: Apache-2.0
 *
 * api_elect_leaders.c -- ElectLeaders (KIP-183, KIP-460), on the controller leader: gives the lead
 * of partitions to the replicas that are preferred to have it.
 *
 * An election is a handover by the present leader to one that has everything that is committed, so
 * nothing is lost by it.  The leaders are asked again until the preferred ones lead or the time is
 * over.  There are no unclean elections: where nobody can be elected by a majority nobody leads.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/leader_handover.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "broker/upkeep.h"
#include "wire/elect_leaders.h"

#include <string.h>

#define ELECTION_PREFERRED 0
#define ELECTION_UNCLEAN 1

#define ASK_AGAIN_NS 250000000ull
#define WAIT_MS_MAX 60000

typedef struct elect_leaders_response_replica_election_result elected_topic;
typedef struct elect_leaders_response_partition_result elected_partition;

/* One partition that waits for its preferred leader. */
struct election {
    uint64_t group_id;
    uint32_t preferred;
    elected_partition *result;
};

struct election_work {
    struct request *request;
    struct elect_leaders_request body;
    struct elect_leaders_response response;
    struct election *waiting;
    uint32_t waiting_count;
    struct upkeep_condition condition;
    struct io_timer ask_again;
};

static void decide(elected_partition *result, enum wire_error error, const char *message)
{
    result->error_code = (int16_t)error;
    result->error_message = topic_place_string(message);
}

/* ---- The answer ---- */

static void respond(struct election_work *work)
{
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    elect_leaders_response_encode(&work->response, work->request->version, &writer);
    request_respond(work->request, &writer);
}

static void waited(struct upkeep_condition *condition, bool in_time)
{
    struct election_work *work = container_of(condition, struct election_work, condition);
    (void)in_time;
    io_timer_stop(work->request->shard->loop, &work->ask_again);
    for (uint32_t i = 0; i < work->waiting_count; i++) {
        if (!controller_is_leader(work->request->shard)) {
            decide(work->waiting[i].result, WIRE_ERROR_NOT_CONTROLLER,
                   "The controller moved while the election was under way.");
        } else {
            decide(work->waiting[i].result, WIRE_ERROR_REQUEST_TIMED_OUT,
                   "The leader has not passed the lead to the preferred one in time.");
        }
    }
    respond(work);
}

/* ---- Waiting ---- */

/* Takes out what is decided. */
static bool is_over(struct upkeep_condition *condition)
{
    struct election_work *work = container_of(condition, struct election_work, condition);
    uint32_t count = 0;
    for (uint32_t i = 0; i < work->waiting_count; i++) {
        struct election *election = &work->waiting[i];
        struct topic_place_leader leader =
            topic_place_leader(work->request->shard, election->group_id);
        if (leader.id == (int32_t)election->preferred) {
            decide(election->result, WIRE_ERROR_NONE, NULL);
        } else {
            work->waiting[count++] = *election;
        }
    }
    work->waiting_count = count;
    return count == 0 || !controller_is_leader(work->request->shard);
}

/* False, with the partition decided, when nobody needs to be asked any more. */
static bool ask(struct broker_shard *shard, const struct election *election)
{
    const struct cluster_topic *topic = NULL;
    uint32_t number = 0;
    if (!cluster_group_find(shard->metadata, election->group_id, &topic, &number)) {
        decide(election->result, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
               "The topic was deleted meanwhile.");
        return false;
    }
    if (!broker_is_live(shard, election->preferred)) {
        decide(election->result, WIRE_ERROR_PREFERRED_LEADER_NOT_AVAILABLE,
               "The preferred leader's broker is not there.");
        return false;
    }
    struct topic_place_leader leader = topic_place_leader(shard, election->group_id);
    if (leader.id > 0 && leader.id != (int32_t)election->preferred) {
        leader_handover_ask(shard, election->group_id, (uint32_t)leader.id, election->preferred);
    }
    return true;
}

static void ask_all(struct election_work *work)
{
    struct broker_shard *shard = work->request->shard;
    uint32_t count = 0;
    for (uint32_t i = 0; i < work->waiting_count; i++) {
        if (ask(shard, &work->waiting[i])) {
            work->waiting[count++] = work->waiting[i];
        }
    }
    work->waiting_count = count;
    io_timer_start(shard->loop, &work->ask_again, io_now_ns(shard->loop) + ASK_AGAIN_NS);
}

static void ask_again_due(struct io_timer *timer)
{
    ask_all(container_of(timer, struct election_work, ask_again));
}

static void wait_for_leaders(struct election_work *work)
{
    struct broker_shard *shard = work->request->shard;
    int32_t wait_ms = work->body.timeout_ms < WAIT_MS_MAX ? work->body.timeout_ms : WAIT_MS_MAX;
    uint64_t wait_ns = wait_ms > 0 ? (uint64_t)wait_ms * 1000000u : 0;
    io_timer_init(&work->ask_again, ask_again_due);
    ask_all(work);
    work->condition.holds = is_over;
    work->condition.done = waited;
    upkeep_wait(shard->upkeep, &work->condition, io_now_ns(shard->loop) + wait_ns);
}

/* ---- The request ---- */

/* Decides a partition at once, or makes it wait. */
static void begin(struct election_work *work, const struct cluster_topic *topic, int32_t number,
                  elected_partition *result)
{
    const struct broker_shard *shard = work->request->shard;
    uint64_t group_id = topic_place_group(topic, number);
    elect_leaders_response_partition_result_init(result);
    result->partition_id = number;
    decide(result, WIRE_ERROR_NONE, NULL);
    if (group_id == 0) {
        decide(result, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION, "There is no such partition.");
        return;
    }
    int32_t leader = topic_place_leader(shard, group_id).id;
    uint32_t preferred = cluster_partition_preferred_leader(&topic->partitions[number]);
    const struct cluster_broker *broker = cluster_broker_find(shard->metadata, preferred);
    if (work->body.election_type == ELECTION_UNCLEAN) {
        enum wire_error error = leader >= 0 ? WIRE_ERROR_ELECTION_NOT_NEEDED
                                            : WIRE_ERROR_ELIGIBLE_LEADERS_NOT_AVAILABLE;
        decide(result, error,
               leader >= 0 ? "The partition has a leader."
                           : "Only a replica that a majority elects may lead: there are no unclean "
                             "elections.");
    } else if (leader == (int32_t)preferred) {
        decide(result, WIRE_ERROR_ELECTION_NOT_NEEDED, "The preferred leader leads already.");
    } else if (broker == NULL || broker->is_leaving || !broker_is_live(shard, preferred)) {
        decide(result, WIRE_ERROR_PREFERRED_LEADER_NOT_AVAILABLE,
               "The preferred leader's broker is not there, or leaves the cluster.");
    } else {
        work->waiting[work->waiting_count++] =
            (struct election){.group_id = group_id, .preferred = preferred, .result = result};
    }
}

/* Memory for that many topics and partitions; false: too many. */
static bool make_room(struct election_work *work, size_t topics, size_t partitions)
{
    struct arena *arena = &work->request->arena;
    if (partitions > ASK_ITEMS_MAX) {
        return false;
    }
    arena->limit_bytes += topics * (sizeof(elected_topic) + 64 + CLUSTER_TOPIC_NAME_BYTES_MAX) +
                          partitions * (sizeof(elected_partition) + sizeof(struct election)) + 128;
    work->response.replica_election_results =
        arena_allocate_array(arena, topics, sizeof(elected_topic));
    work->waiting = arena_allocate_array(arena, partitions, sizeof(*work->waiting));
    return work->response.replica_election_results != NULL && work->waiting != NULL;
}

static elected_topic *add_topic(struct election_work *work, struct wire_string name, size_t count)
{
    elected_topic *result =
        &work->response.replica_election_results[work->response.replica_election_results_count];
    elect_leaders_response_replica_election_result_init(result);
    result->topic = name;
    result->partition_result =
        arena_allocate_array(&work->request->arena, count, sizeof(elected_partition));
    if (result->partition_result == NULL) {
        return NULL;
    }
    work->response.replica_election_results_count++;
    return result;
}

static bool begin_asked(struct election_work *work)
{
    size_t partitions = 0;
    for (int32_t i = 0; i < work->body.topic_partitions_count; i++) {
        partitions += (size_t)work->body.topic_partitions[i].partitions_count;
    }
    if (!make_room(work, (size_t)work->body.topic_partitions_count, partitions)) {
        return false;
    }
    for (int32_t i = 0; i < work->body.topic_partitions_count; i++) {
        const struct elect_leaders_request_topic_partitions *asked =
            &work->body.topic_partitions[i];
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(work->request->shard, asked->topic, &error);
        elected_topic *result = add_topic(work, asked->topic, (size_t)asked->partitions_count);
        if (result == NULL) {
            return false;
        }
        result->partition_result_count = asked->partitions_count;
        for (int32_t j = 0; j < asked->partitions_count; j++) {
            elected_partition *partition = &result->partition_result[j];
            if (topic != NULL) {
                begin(work, topic, asked->partitions[j], partition);
                continue;
            }
            elect_leaders_response_partition_result_init(partition);
            partition->partition_id = asked->partitions[j];
            decide(partition, error, wire_error_text(error));
        }
    }
    return true;
}

/* Of all partitions those are told of that did not have the leader they should have. */
static bool begin_all(struct election_work *work)
{
    const struct cluster_metadata *metadata = work->request->shard->metadata;
    const struct cluster_topic *topic = NULL;
    size_t position = 0;
    size_t partitions = 0;
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        partitions += topic->partition_count;
    }
    if (!make_room(work, cluster_topic_count(metadata), partitions)) {
        return false;
    }
    position = 0;
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        char *name = arena_allocate(&work->request->arena, topic->name_length);
        elected_topic *result =
            name == NULL ? NULL
                         : add_topic(work, (struct wire_string){name, (int32_t)topic->name_length},
                                     topic->partition_count);
        if (result == NULL) {
            return false;
        }
        memcpy(name, topic->name, topic->name_length);
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            elected_partition *partition =
                &result->partition_result[result->partition_result_count];
            begin(work, topic, (int32_t)i, partition);
            if (partition->error_code != WIRE_ERROR_ELECTION_NOT_NEEDED) {
                result->partition_result_count++;
            }
        }
        if (result->partition_result_count == 0) {
            work->response.replica_election_results_count--;
        }
    }
    return true;
}

/* Version 0 has no place for an error of the whole request: its partitions have it. */
static void refuse(struct election_work *work, enum wire_error error)
{
    work->response.error_code = (int16_t)error;
    work->response.replica_election_results_count = 0;
    bool good = true;
    if (work->request->version == 0 && work->body.topic_partitions_count > 0) {
        good = begin_asked(work);
        for (int32_t i = 0; i < work->response.replica_election_results_count; i++) {
            const elected_topic *topic = &work->response.replica_election_results[i];
            for (int32_t j = 0; j < topic->partition_result_count; j++) {
                decide(&topic->partition_result[j], error, wire_error_text(error));
            }
        }
    }
    if (good) {
        respond(work);
    } else {
        request_drop(work->request, "more partitions than a request may name");
    }
}

void api_elect_leaders(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct election_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !elect_leaders_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    work->request = request;
    elect_leaders_response_init(&work->response);
    if (request->shard->controller == NULL || !controller_is_leader(request->shard)) {
        refuse(work, WIRE_ERROR_NOT_CONTROLLER);
    } else if (work->body.election_type != ELECTION_PREFERRED &&
               work->body.election_type != ELECTION_UNCLEAN) {
        refuse(work, WIRE_ERROR_INVALID_REQUEST);
    } else if (work->body.topic_partitions_count < 0 ? !begin_all(work) : !begin_asked(work)) {
        request_drop(request, "more partitions than a request may name");
    } else if (work->waiting_count == 0) {
        respond(work);
    } else {
        wait_for_leaders(work);
    }
}
