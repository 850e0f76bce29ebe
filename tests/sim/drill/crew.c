/* SPDX-License-Identifier: Apache-2.0
 *
 * crew.c -- adds a broker, or asks one to leave and waits until it has.
 *
 * That a broker has left is seen in the metadata, once its process has ended, which it does by
 * itself when it hears of it.  Started again with its old data it would be refused.
 */
#include "drill/crew.h"

#include "base/assert.h"
#include "base/memory.h"
#include "cluster/cluster.h"
#include "drill/drill.h"
#include "drill/rest.h"
#include "wire/error.h"
#include "wire/unregister_broker.h"

#define PAUSE_NS 500000000ull
#define REQUEST_MS 8000
#define BROKERS_LEAST 3
#define UNKNOWN_NS 3000000000ull
#define OPEN_NS 30000000000ull /* an ask may wait that long for a leader, and be done then */

struct drill_crew {
    struct client *client;
    struct drill *drill;
    struct io_timer timer;
    bool works;
    bool is_waiting;        /* for an answer */
    uint32_t leaving;       /* who is to leave and has not yet; 0: nobody */
    bool is_acked;          /* its leave */
    uint64_t open_until_ns; /* when what it was asked without an answer cannot be done any more */
    bool was_registered;
    uint64_t unknown_since_ns; /* it ended, and no leader can say whether it has left; 0: not so */
    uint64_t joined;
    uint64_t left;
};

static void rest(struct drill_crew *crew)
{
    struct io_loop *loop = client_loop(crew->client);
    crew->is_waiting = false;
    io_timer_start(loop, &crew->timer, io_now_ns(loop) + PAUSE_NS);
}

/* ---- To leave ---- */

static bool is_temporary(int16_t code)
{
    return code == WIRE_ERROR_NOT_CONTROLLER || code == WIRE_ERROR_REQUEST_TIMED_OUT ||
           code == WIRE_ERROR_COORDINATOR_NOT_AVAILABLE;
}

static void leave_open(struct drill_crew *crew)
{
    crew->open_until_ns = sim_world_now_ns(crew->drill->world) + OPEN_NS;
}

/* The others are too few to hold all replicas, so it stays; unless it is asked still. */
static void refused(struct drill_crew *crew)
{
    if (sim_world_now_ns(crew->drill->world) >= crew->open_until_ns) {
        sim_world_trace(crew->drill->world, "broker %u is to stay", crew->leaving);
        crew->leaving = 0;
    }
}

/* BROKER_ID_NOT_REGISTERED: it has left already, or has not joined yet, and is asked again. */
static void told(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_crew *crew = context;
    struct unregister_broker_response response;
    rest(crew);
    if (result == CLIENT_LOST) {
        leave_open(crew);
    }
    if (result != CLIENT_ANSWERED) {
        return;
    }
    if (!unregister_broker_response_decode(
            &response, client_version(crew->client, CLIENT_UNREGISTER_BROKER), body)) {
        sim_world_fail(client_world(crew->client),
                       "protocol: an UnregisterBroker answer makes no sense");
        return;
    }
    int16_t code = response.error_code;
    if (code == WIRE_ERROR_NONE) {
        crew->is_acked = true;
    } else if (is_temporary(code)) {
        leave_open(crew);
    } else if (code == WIRE_ERROR_POLICY_VIOLATION) {
        refused(crew);
    } else if (code != WIRE_ERROR_BROKER_ID_NOT_REGISTERED) {
        sim_world_fail(client_world(crew->client), "protocol: UnregisterBroker is answered with %s",
                       wire_error_name((enum wire_error)code));
    }
}

static void ask_to_leave(struct drill_crew *crew)
{
    struct unregister_broker_request body;
    struct wire_writer writer;
    unregister_broker_request_init(&body);
    body.broker_id = (int32_t)crew->leaving;
    crew->is_waiting = true;
    client_begin(crew->client, CLIENT_UNREGISTER_BROKER, &writer);
    unregister_broker_request_encode(&body, client_version(crew->client, CLIENT_UNREGISTER_BROKER),
                                     &writer);
    client_send(crew->client, client_any_broker(crew->client), CLIENT_UNREGISTER_BROKER, &writer,
                REQUEST_MS, told, crew);
}

bool drill_crew_excuses(const struct drill_crew *crew, uint32_t host)
{
    return crew->leaving == host;
}

/* Not for long: there may be no leader without it.  Started again, it ends if it has left. */
static bool waits_to_know(struct drill_crew *crew)
{
    uint64_t now_ns = sim_world_now_ns(crew->drill->world);
    crew->unknown_since_ns = crew->unknown_since_ns == 0 ? now_ns : crew->unknown_since_ns;
    return now_ns - crew->unknown_since_ns < UNKNOWN_NS;
}

bool drill_crew_keeps_down(struct drill_crew *crew, uint32_t host)
{
    enum sim_end end = sim_host_end(crew->drill->hosts[host]);
    if (crew->leaving != host || !crew->was_registered ||
        (end != SIM_END_CLEAN && end != SIM_END_ABANDONED)) {
        return false; /* what was killed is started again, and refused if it has left */
    }
    const struct cluster_metadata *metadata = rest_metadata(crew->drill);
    bool has_left = metadata != NULL && cluster_broker_find(metadata, host) == NULL;
    if (has_left) {
        sim_world_trace(crew->drill->world, "broker %u has left", host);
        crew->drill->is_out[host] = true;
        crew->leaving = 0;
        crew->left++;
    }
    return has_left || (metadata == NULL && end == SIM_END_CLEAN && waits_to_know(crew));
}

/* ---- What next ---- */

static uint32_t count_in(const struct drill *drill)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        count += drill->is_out[i] ? 0 : 1;
    }
    return count;
}

/* Founders by whom one that joins can find the cluster.  One that is on its way back itself is
 * none: it would ask those that left before it. */
static uint32_t count_founders(struct drill *drill)
{
    const struct cluster_metadata *metadata = rest_metadata(drill);
    uint32_t count = 0;
    for (uint32_t i = 1; metadata != NULL && i <= drill->swarm.controllers; i++) {
        count += !drill->is_out[i] && cluster_broker_find(metadata, i) != NULL ? 1 : 0;
    }
    return count;
}

/* One of those that are out, or of those that may leave; 0: there is none. */
static uint32_t choose(struct drill_crew *crew, bool is_out)
{
    struct drill *drill = crew->drill;
    bool is_last_founder = count_founders(drill) <= 1;
    uint32_t chosen = 0;
    uint32_t seen = 0;
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        bool may_change = is_out || !is_last_founder || i > drill->swarm.controllers;
        if (drill->is_out[i] == is_out && may_change &&
            prng_below(client_prng(crew->client), ++seen) == 0) {
            chosen = i;
        }
    }
    return chosen;
}

/* The drill starts it. */
static void join(struct drill_crew *crew, uint32_t host)
{
    struct drill *drill = crew->drill;
    sim_world_trace(drill->world, "broker %u joins", host);
    if (sim_host_starts(drill->hosts[host]) > 0) {
        sim_host_wipe(drill->hosts[host]);
        check_raft_injured(drill->raft, host);
    }
    drill->is_out[host] = false;
    crew->joined++;
}

static void change(struct drill_crew *crew)
{
    bool adds =
        count_in(crew->drill) == BROKERS_LEAST || prng_below(client_prng(crew->client), 2) == 0;
    uint32_t host = choose(crew, adds);
    if (host != 0 && adds) {
        join(crew, host);
    } else if (host != 0 && !atlas_has_injured(crew->drill->atlas)) {
        sim_world_trace(crew->drill->world, "broker %u is to leave", host);
        crew->leaving = host;
        crew->is_acked = false;
        crew->open_until_ns = 0;
        crew->unknown_since_ns = 0;
        crew->was_registered = false;
    }
}

static void due(struct io_timer *timer)
{
    struct drill_crew *crew = container_of(timer, struct drill_crew, timer);
    require(!crew->is_waiting);
    if (crew->leaving == 0 && crew->works) {
        change(crew);
    }
    if (crew->leaving != 0 && !crew->was_registered) {
        const struct cluster_metadata *metadata = rest_metadata(crew->drill);
        crew->was_registered =
            metadata != NULL && cluster_broker_find(metadata, crew->leaving) != NULL;
    }
    if (crew->leaving != 0 && crew->was_registered && !crew->is_acked) {
        ask_to_leave(crew);
    } else {
        rest(crew);
    }
}

struct drill_crew *drill_crew_new(struct client *client, struct drill *drill)
{
    struct drill_crew *crew = memory_allocate_zeroed(sizeof *crew);
    crew->client = client;
    crew->drill = drill;
    io_timer_init(&crew->timer, due);
    rest(crew);
    return crew;
}

void drill_crew_free(struct drill_crew *crew)
{
    io_timer_stop(client_loop(crew->client), &crew->timer);
    memory_free(crew);
}

void drill_crew_work(struct drill_crew *crew, bool on)
{
    crew->works = on;
}

bool drill_crew_is_idle(const struct drill_crew *crew)
{
    return crew->leaving == 0 && !crew->is_waiting;
}

uint64_t drill_crew_joined(const struct drill_crew *crew)
{
    return crew->joined;
}

uint64_t drill_crew_left(const struct drill_crew *crew)
{
    return crew->left;
}
