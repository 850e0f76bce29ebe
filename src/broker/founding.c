/* SPDX-License-Identifier: Apache-2.0
 *
 * founding.c -- see founding.h: asking the other controllers, and keeping what they say.
 *
 * Locality: shard 0.
 */
#include "broker/founding.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/peer_dial.h"
#include "broker/peer_request.h"
#include "wire/find_founders.h"

#include <inttypes.h>
#include <string.h>

#define ROUND_NS 200000000ull /* from one round of asking to the next */
#define ASK_NS 3000000000ull
#define ANSWER_ARENA_BYTES 4096
#define ROUNDS_A_LINE 50 /* how often it is said that others are waited for */

/* One other controller. */
struct founding_peer {
    struct founding *founding;
    struct founding_answer answer;
    bool is_asking;
    struct peer_client *client; /* Invariant: NULL unless is_asking */
};

struct founding {
    struct broker_shard *shard;
    struct io_timer timer;
    struct founding_peer peers[DATA_DIRECTORY_FOUNDERS_MAX];
    uint32_t peer_count;
    bool is_candidate; /* this broker is one of its configured controllers */
    uint32_t rounds;
    bool is_writing;
    bool is_stopping;
    struct data_directory_founder founders[DATA_DIRECTORY_FOUNDERS_MAX]; /* durable */
    uint32_t founder_count;
    void (*done)(void *context);
    void *context;
};

/* ---- The rule ---- */

uint32_t founding_decide(uint32_t own_id, const struct uuid *own_directory_id,
                         const struct founding_answer *others, uint32_t other_count,
                         struct data_directory_founder *founders)
{
    uint32_t count = 0;
    require(other_count < DATA_DIRECTORY_FOUNDERS_MAX);
    founders[count++] = (struct data_directory_founder){own_id, *own_directory_id};
    for (uint32_t i = 0; i < other_count; i++) {
        const struct founding_answer *other = &others[i];
        if (other->broker_id < own_id || !other->has_answered || !other->is_agreed) {
            return 0;
        }
        uint32_t at = count++;
        while (founders[at - 1].broker_id > other->broker_id) { /* never before ours */
            founders[at] = founders[at - 1];
            at--;
        }
        founders[at] = (struct data_directory_founder){other->broker_id, other->directory_id};
    }
    return count;
}

/* ---- Keeping them ---- */

struct founders_work {
    struct io_work work;
    struct founding *founding;
    struct data_directory *directory;
    struct data_directory_founder founders[DATA_DIRECTORY_FOUNDERS_MAX];
    uint32_t founder_count;
    int result;
};

static void write_run(struct io_work *work)
{
    struct founders_work *writing = container_of(work, struct founders_work, work);
    writing->result =
        data_directory_set_founders(writing->directory, writing->founders, writing->founder_count);
}

static void tell(struct founding *founding)
{
    void (*done)(void *context) = founding->done;
    founding->done = NULL;
    if (done != NULL && !founding->is_stopping) {
        done(founding->context);
    }
}

static void write_done(struct io_work *work)
{
    struct founders_work *writing = container_of(work, struct founders_work, work);
    struct founding *founding = writing->founding;
    if (writing->result != 0) {
        broker_abandon("the data directory's meta file cannot be written");
    }
    founding->is_writing = false;
    memcpy(founding->founders, writing->founders, sizeof founding->founders);
    founding->founder_count = writing->founder_count;
    memory_free(writing);
    tell(founding);
}

static void keep(struct founding *founding, const struct data_directory_founder *founders,
                 uint32_t founder_count)
{
    if (founding->is_writing || founding->founder_count > 0) {
        return;
    }
    struct founders_work *writing = memory_allocate_zeroed(sizeof *writing);
    writing->founding = founding;
    writing->directory = &founding->shard->broker->directory;
    memcpy(writing->founders, founders, founder_count * sizeof founders[0]);
    writing->founder_count = founder_count;
    writing->work.run = write_run;
    writing->work.done = write_done;
    list_node_init(&writing->work.node);
    founding->is_writing = true;
    io_timer_stop(founding->shard->loop, &founding->timer);
    io_work_submit(founding->shard->loop, &writing->work);
}

static void found(struct founding *founding)
{
    struct founding_answer others[DATA_DIRECTORY_FOUNDERS_MAX];
    struct data_directory_founder founders[DATA_DIRECTORY_FOUNDERS_MAX];
    for (uint32_t i = 0; i < founding->peer_count; i++) {
        others[i] = founding->peers[i].answer;
    }
    const struct broker_shard *shard = founding->shard;
    uint32_t count = founding->is_candidate
                         ? founding_decide(shard->broker_id, &shard->broker->directory.id, others,
                                           founding->peer_count, founders)
                         : 0;
    if (count > 0) {
        trace_info("No configured controller belongs to a controller group: this broker founds "
                   "one of %" PRIu32,
                   count);
        keep(founding, founders, count);
    }
}

/* ---- Asking ---- */

static bool is_own_list(const struct broker_config *config, const uint32_t *ids, int32_t count)
{
    for (size_t i = 0; i < config->controller_count; i++) {
        bool is_there = false;
        for (int32_t j = 0; j < count; j++) {
            is_there = is_there || ids[j] == config->controllers[i].id;
        }
        if (!is_there) {
            return false;
        }
    }
    return (size_t)count == config->controller_count;
}

/* False when they make no sense. */
static bool take_founders(struct founding *founding, const struct find_founders_response *response)
{
    struct data_directory_founder founders[DATA_DIRECTORY_FOUNDERS_MAX];
    if (response->founders_count > DATA_DIRECTORY_FOUNDERS_MAX) {
        return false;
    }
    for (int32_t i = 0; i < response->founders_count; i++) {
        founders[i] = (struct data_directory_founder){response->founders[i].broker_id,
                                                      response->founders[i].directory_id};
        if (founders[i].broker_id == 0 ||
            (i > 0 && founders[i].broker_id <= founders[i - 1].broker_id)) {
            return false;
        }
    }
    keep(founding, founders, (uint32_t)response->founders_count);
    return true;
}

static void take_answer(struct founding_peer *peer, struct wire_cursor *cursor)
{
    struct founding *founding = peer->founding;
    struct founding_answer *answer = &peer->answer;
    struct find_founders_response response;
    if (!find_founders_response_decode(&response, 0, cursor) || !wire_expect_end(cursor)) {
        trace_warn("what broker %" PRIu32 " says of founders makes no sense", answer->broker_id);
        return;
    }
    if (response.founders_count > 0) {
        if (!take_founders(founding, &response)) {
            trace_warn("the founders of broker %" PRIu32 " make no sense", answer->broker_id);
        }
        return;
    }
    answer->has_answered = true;
    answer->directory_id = response.directory_id;
    answer->is_agreed =
        is_own_list(founding->shard->config, response.controllers, response.controllers_count);
    found(founding);
}

static void answered(void *context, struct wire_cursor *cursor, bool was_sent, const char *reason)
{
    struct founding_peer *peer = context;
    (void)was_sent;
    peer->answer.has_answered = false;
    if (cursor == NULL) {
        trace_debug("broker %" PRIu32 " cannot be asked who founded the controller group: %s",
                    peer->answer.broker_id, reason);
        return;
    }
    struct arena arena;
    arena_init(&arena, ANSWER_ARENA_BYTES);
    cursor->arena = &arena;
    take_answer(peer, cursor);
    arena_free(&arena);
}

static void client_closed(void *context)
{
    struct founding_peer *peer = context;
    peer->is_asking = false;
    peer->client = NULL;
}

static void ask(struct founding_peer *peer)
{
    struct broker_shard *shard = peer->founding->shard;
    char host[CLUSTER_HOST_BYTES_MAX + 1];
    uint16_t port = 0;
    if (!peer_address_find(shard, peer->answer.broker_id, host, &port)) {
        return;
    }
    struct peer_client_options options = {
        .broker_id = peer->answer.broker_id,
        .host = host,
        .port = port,
        .deadline_ns = io_now_ns(shard->loop) + ASK_NS,
        .on_closed = client_closed,
        .context = peer,
    };
    struct find_founders_request request;
    struct wire_writer writer;
    peer->is_asking = true;
    peer->client = peer_client_open(shard, &options);
    find_founders_request_init(&request);
    peer_client_begin(&writer, REQUEST_FIND_FOUNDERS);
    find_founders_request_encode(&request, 0, &writer);
    peer_client_ask(peer->client, &writer, answered, peer);
    peer_client_close_when_idle(peer->client);
}

static void report_waiting(const struct founding *founding)
{
    for (uint32_t i = 0; i < founding->peer_count; i++) {
        const struct founding_answer *answer = &founding->peers[i].answer;
        if (!answer->has_answered || !answer->is_agreed) {
            trace_warn("The controller group is not known yet: broker %" PRIu32 " %s",
                       answer->broker_id,
                       answer->has_answered ? "has other controllers in its config than this one"
                                            : "does not answer");
        }
    }
}

static void round_due(struct io_timer *timer)
{
    struct founding *founding = container_of(timer, struct founding, timer);
    if (founding->rounds++ % ROUNDS_A_LINE == ROUNDS_A_LINE - 1) {
        report_waiting(founding);
    }
    for (uint32_t i = 0; i < founding->peer_count; i++) {
        if (!founding->peers[i].is_asking) {
            ask(&founding->peers[i]);
        }
    }
    io_timer_start(founding->shard->loop, timer, io_now_ns(founding->shard->loop) + ROUND_NS);
}

/* ---- Life ---- */

struct founding *founding_new(struct broker_shard *shard)
{
    const struct broker_config *config = shard->config;
    const struct data_directory *directory = &shard->broker->directory;
    struct founding *founding = memory_allocate_zeroed(sizeof *founding);
    require(config->controller_count <= DATA_DIRECTORY_FOUNDERS_MAX);
    founding->shard = shard;
    io_timer_init(&founding->timer, round_due);
    for (size_t i = 0; i < config->controller_count; i++) {
        if (config->controllers[i].id == config->broker_id) {
            founding->is_candidate = true;
            continue;
        }
        struct founding_peer *peer = &founding->peers[founding->peer_count++];
        peer->founding = founding;
        peer->answer.broker_id = config->controllers[i].id;
    }
    memcpy(founding->founders, directory->founders, sizeof founding->founders);
    founding->founder_count = directory->founder_count;
    return founding;
}

void founding_start(struct founding *founding, void (*done)(void *context), void *context)
{
    founding->done = done;
    founding->context = context;
    if (founding->founder_count > 0) {
        tell(founding);
        return;
    }
    if (founding->peer_count == 0) {
        found(founding);
        return;
    }
    io_timer_start(founding->shard->loop, &founding->timer, io_now_ns(founding->shard->loop));
}

void founding_stop(struct founding *founding)
{
    founding->is_stopping = true;
    io_timer_stop(founding->shard->loop, &founding->timer);
    for (uint32_t i = 0; i < founding->peer_count; i++) {
        if (founding->peers[i].client != NULL) {
            peer_client_close(founding->peers[i].client);
        }
    }
}

bool founding_is_idle(const struct founding *founding)
{
    for (uint32_t i = 0; i < founding->peer_count; i++) {
        if (founding->peers[i].is_asking) {
            return false;
        }
    }
    return !founding->is_writing;
}

void founding_free(struct founding *founding)
{
    require(founding_is_idle(founding));
    memory_free(founding);
}

uint32_t founding_founders(const struct founding *founding,
                           const struct data_directory_founder **founders)
{
    *founders = founding->founders;
    return founding->founder_count;
}

bool founding_is_founder(const struct founding *founding)
{
    const struct broker_shard *shard = founding->shard;
    for (uint32_t i = 0; i < founding->founder_count; i++) {
        if (founding->founders[i].broker_id == shard->broker_id) {
            return uuid_equal(&founding->founders[i].directory_id, &shard->broker->directory.id);
        }
    }
    return false;
}
