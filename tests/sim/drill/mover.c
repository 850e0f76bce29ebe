/* SPDX-License-Identifier: Apache-2.0
 *
 * mover.c -- one request at a time, to any broker, for one partition of a topic that lives.
 *
 * Targets have as many replicas as the topic was made with, sometimes one more, and never fewer:
 * what the atlas injures rests on it.  Often the target is the promised one in another order, which
 * moves nothing but the preferred leader.
 *
 * A wish whose answer did not come may be carried out later, behind one that was acknowledged, so
 * its partition is promised nothing from then on.  The same of a topic that may be deleted: a wish
 * names it by its name.
 *
 *   protocol    an answer makes no sense, or has a code that does not belong to it
 */
#include "drill/mover.h"

#include "base/assert.h"
#include "base/memory.h"
#include "drill/history.h"
#include "wire/alter_partition_reassignments.h"
#include "wire/elect_leaders.h"
#include "wire/error.h"

#include <string.h>

#define PAUSE_NS 400000000ull
#define REQUEST_MS 8000

/* What is known of the end of a partition's moves. */
struct promise {
    bool is_open;   /* some wish may come to be that was not acknowledged */
    uint32_t count; /* 0: nothing is promised */
    uint32_t replicas[MOVER_REPLICAS_MAX];
};

struct drill_mover {
    struct client *client;
    uint32_t broker_count;
    struct io_timer timer;
    bool moves;
    bool is_waiting; /* for an answer */
    /* What is asked for now. */
    uint32_t topic;
    uint32_t partition;
    uint32_t target_count; /* 0: to cancel */
    uint32_t target[MOVER_REPLICAS_MAX];
    struct promise promises[HISTORY_TOPICS_MAX][HISTORY_PARTITIONS_MAX];
};

static uint32_t draw(struct drill_mover *mover, uint32_t bound)
{
    return (uint32_t)prng_below(client_prng(mover->client), bound);
}

static void rest(struct drill_mover *mover)
{
    struct io_loop *loop = client_loop(mover->client);
    mover->is_waiting = false;
    io_timer_start(loop, &mover->timer, io_now_ns(loop) + PAUSE_NS);
}

static struct promise *promise_of(struct drill_mover *mover)
{
    return &mover->promises[mover->topic][mover->partition];
}

static void nonsense(struct drill_mover *mover, const char *api, int code)
{
    sim_world_fail(client_world(mover->client),
                   "protocol: an answer to %s makes no sense (code %d)", api, code);
}

/* ---- Replicas ---- */

/* Refused before anything was written. */
static bool is_refused(int16_t code)
{
    return code == WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT ||
           code == WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION ||
           code == WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS ||
           code == WIRE_ERROR_REASSIGNMENT_IN_PROGRESS; /* another wish came first */
}

static bool is_temporary(int16_t code)
{
    return code == WIRE_ERROR_NOT_CONTROLLER || code == WIRE_ERROR_REQUEST_TIMED_OUT ||
           code == WIRE_ERROR_COORDINATOR_NOT_AVAILABLE ||
           code == WIRE_ERROR_NOT_LEADER_OR_FOLLOWER;
}

static void told(struct drill_mover *mover, int16_t code)
{
    struct promise *promise = promise_of(mover);
    if (code == WIRE_ERROR_NONE) {
        promise->count = promise->is_open ? 0 : mover->target_count;
        memcpy(promise->replicas, mover->target, sizeof promise->replicas);
        return;
    }
    if (is_temporary(code)) {
        promise->is_open = true;
        promise->count = 0;
    } else if (!is_refused(code)) {
        nonsense(mover, "AlterPartitionReassignments", code);
    }
}

static void moved(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_mover *mover = context;
    struct alter_partition_reassignments_response response;
    int16_t version = client_version(mover->client, CLIENT_ALTER_REASSIGNMENTS);
    rest(mover);
    if (result != CLIENT_ANSWERED) {
        told(mover, WIRE_ERROR_REQUEST_TIMED_OUT);
        return;
    }
    if (!alter_partition_reassignments_response_decode(&response, version, body)) {
        nonsense(mover, "AlterPartitionReassignments", 0);
        return;
    }
    if (response.error_code != 0) {
        told(mover, response.error_code);
        return;
    }
    if (response.responses_count != 1 || response.responses[0].partitions_count != 1) {
        nonsense(mover, "AlterPartitionReassignments", 0);
        return;
    }
    told(mover, response.responses[0].partitions[0].error_code);
}

static void ask_for_replicas(struct drill_mover *mover)
{
    struct alter_partition_reassignments_request_reassignable_partition partition;
    struct alter_partition_reassignments_request_reassignable_topic topic;
    struct alter_partition_reassignments_request body;
    struct wire_writer writer;
    int32_t replicas[MOVER_REPLICAS_MAX];
    for (uint32_t i = 0; i < mover->target_count; i++) {
        replicas[i] = (int32_t)mover->target[i];
    }
    alter_partition_reassignments_request_init(&body);
    alter_partition_reassignments_request_reassignable_topic_init(&topic);
    alter_partition_reassignments_request_reassignable_partition_init(&partition);
    partition.partition_index = (int32_t)mover->partition;
    partition.replicas = mover->target_count > 0 ? replicas : NULL;
    partition.replicas_count = mover->target_count > 0 ? (int32_t)mover->target_count : -1;
    topic.name = wire_string_from(client_history(mover->client)->topics[mover->topic].name);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    body.topics = &topic;
    body.topics_count = 1;
    body.timeout_ms = REQUEST_MS / 2;
    client_begin(mover->client, CLIENT_ALTER_REASSIGNMENTS, &writer);
    alter_partition_reassignments_request_encode(
        &body, client_version(mover->client, CLIENT_ALTER_REASSIGNMENTS), &writer);
    client_send(mover->client, client_any_broker(mover->client), CLIENT_ALTER_REASSIGNMENTS,
                &writer, REQUEST_MS, moved, mover);
}

/* So many brokers of all, in any order. */
static void draw_target(struct drill_mover *mover, uint32_t count)
{
    uint32_t brokers[MOVER_REPLICAS_MAX];
    require(count <= mover->broker_count && mover->broker_count <= MOVER_REPLICAS_MAX);
    for (uint32_t i = 0; i < mover->broker_count; i++) {
        uint32_t place = draw(mover, i + 1);
        brokers[i] = brokers[place];
        brokers[place] = i + 1;
    }
    memcpy(mover->target, brokers, count * sizeof brokers[0]);
    mover->target_count = count;
}

static void move(struct drill_mover *mover)
{
    const struct history_topic *topic = &client_history(mover->client)->topics[mover->topic];
    const struct promise *promise = promise_of(mover);
    uint32_t kind = draw(mover, 10);
    if (kind == 0) {
        mover->target_count = 0;
    } else if (kind <= 3 && promise->count > 0) {
        memcpy(mover->target, promise->replicas, sizeof mover->target);
        mover->target_count = promise->count;
        uint32_t place = draw(mover, promise->count);
        mover->target[0] = promise->replicas[place];
        mover->target[place] = promise->replicas[0];
    } else {
        bool has_more = draw(mover, 5) == 0 && topic->replicas < mover->broker_count;
        draw_target(mover, topic->replicas + (has_more ? 1 : 0));
    }
    promise_of(mover)->count = 0;
    promise_of(mover)->is_open = promise_of(mover)->is_open || topic->churns;
    ask_for_replicas(mover);
}

/* ---- Leaders ---- */

static bool is_answer_to_election(int16_t code)
{
    return code == WIRE_ERROR_NONE || code == WIRE_ERROR_ELECTION_NOT_NEEDED ||
           code == WIRE_ERROR_PREFERRED_LEADER_NOT_AVAILABLE ||
           code == WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION || is_temporary(code);
}

static void elected(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_mover *mover = context;
    struct elect_leaders_response response;
    rest(mover);
    if (result != CLIENT_ANSWERED) {
        return;
    }
    if (!elect_leaders_response_decode(&response,
                                       client_version(mover->client, CLIENT_ELECT_LEADERS), body)) {
        nonsense(mover, "ElectLeaders", 0);
        return;
    }
    int16_t code = response.error_code;
    if (code == WIRE_ERROR_NONE) {
        bool is_one = response.replica_election_results_count == 1 &&
                      response.replica_election_results[0].partition_result_count == 1;
        code = is_one ? response.replica_election_results[0].partition_result[0].error_code
                      : WIRE_ERROR_UNKNOWN_SERVER_ERROR;
    }
    if (!is_answer_to_election(code)) {
        nonsense(mover, "ElectLeaders", code);
    }
}

static void elect(struct drill_mover *mover)
{
    struct elect_leaders_request_topic_partitions topic;
    struct elect_leaders_request body;
    struct wire_writer writer;
    int32_t partition = (int32_t)mover->partition;
    elect_leaders_request_init(&body);
    elect_leaders_request_topic_partitions_init(&topic);
    topic.topic = wire_string_from(client_history(mover->client)->topics[mover->topic].name);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    body.topic_partitions = &topic;
    body.topic_partitions_count = 1;
    body.timeout_ms = REQUEST_MS / 2;
    client_begin(mover->client, CLIENT_ELECT_LEADERS, &writer);
    elect_leaders_request_encode(&body, client_version(mover->client, CLIENT_ELECT_LEADERS),
                                 &writer);
    client_send(mover->client, client_any_broker(mover->client), CLIENT_ELECT_LEADERS, &writer,
                REQUEST_MS, elected, mover);
}

/* ---- What next ---- */

static bool choose_partition(struct drill_mover *mover)
{
    const struct history *history = client_history(mover->client);
    uint32_t live = 0;
    for (uint32_t i = 0; i < history->topic_count; i++) {
        if (history->topics[i].state == HISTORY_TOPIC_LIVE && draw(mover, ++live) == 0) {
            mover->topic = i;
        }
    }
    if (live > 0) {
        mover->partition = draw(mover, history->topics[mover->topic].partition_count);
    }
    return live > 0;
}

static void due(struct io_timer *timer)
{
    struct drill_mover *mover = container_of(timer, struct drill_mover, timer);
    require(!mover->is_waiting);
    if (!mover->moves || !choose_partition(mover)) {
        rest(mover);
        return;
    }
    mover->is_waiting = true;
    if (draw(mover, 4) == 0) {
        elect(mover);
    } else {
        move(mover);
    }
}

struct drill_mover *drill_mover_new(struct client *client, uint32_t broker_count)
{
    struct drill_mover *mover = memory_allocate_zeroed(sizeof *mover);
    require(broker_count <= MOVER_REPLICAS_MAX);
    mover->client = client;
    mover->broker_count = broker_count;
    io_timer_init(&mover->timer, due);
    rest(mover);
    return mover;
}

void drill_mover_free(struct drill_mover *mover)
{
    io_timer_stop(client_loop(mover->client), &mover->timer);
    memory_free(mover);
}

void drill_mover_move(struct drill_mover *mover, bool on)
{
    mover->moves = on;
}

bool drill_mover_is_idle(const struct drill_mover *mover)
{
    return !mover->is_waiting;
}

uint32_t drill_mover_promised(const struct drill_mover *mover, uint32_t topic, uint32_t partition,
                              uint32_t replicas[MOVER_REPLICAS_MAX])
{
    require(topic < HISTORY_TOPICS_MAX && partition < HISTORY_PARTITIONS_MAX);
    const struct promise *promise = &mover->promises[topic][partition];
    memcpy(replicas, promise->replicas, sizeof promise->replicas);
    return promise->count;
}
