/* SPDX-License-Identifier: Apache-2.0
 *
 * registration.c -- see registration.h.
 */
#include "broker/registration.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/forward.h"
#include "broker/request.h"
#include "wire/register_broker.h"

#include <inttypes.h>

#define RETRY_NS 200000000ull
#define TIMEOUT_MS 10000
#define FORLORN_NS 10000000000ull

struct registration {
    struct broker_shard *shard;
    struct io_timer timer;
    uint64_t leaderless_ns; /* since when no controller leads this broker; 0: one does */
    bool is_asking;
    bool is_stopping;
};

bool registration_is_done(const struct broker_shard *shard)
{
    const struct cluster_broker *self = cluster_broker_find(shard->metadata, shard->broker_id);
    return self != NULL && uuid_equal(&self->incarnation, &shard->broker->incarnation);
}

/* It has left, which it has not heard of before: while it ran, or was down. */
static void refused(struct broker_shard *shard)
{
    if (!registration_is_done(shard)) {
        broker_abandon("this broker is no longer part of the cluster");
    }
    trace_info("This broker has left the cluster and ends; its data directory may be deleted");
    broker_request_stop(shard->broker);
}

/* Nobody leads this broker for long.  If it was taken out of the controller group before it heard
 * that it had left, nobody will tell it: it asks. */
static bool is_forlorn(struct registration *registration)
{
    const struct broker_shard *shard = registration->shard;
    uint64_t now_ns = io_now_ns(shard->loop);
    bool runs = replica_group_is_running(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID);
    const struct replica_group *group =
        runs ? replica_group_find(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID) : NULL;
    if (group == NULL || replica_standing(group).leader != 0) {
        registration->leaderless_ns = 0;
    } else if (registration->leaderless_ns == 0) {
        registration->leaderless_ns = now_ns;
    }
    return registration->leaderless_ns != 0 && now_ns - registration->leaderless_ns >= FORLORN_NS;
}

static void answered(void *context, enum wire_error error, struct buf *response,
                     const uint8_t *data, size_t length)
{
    struct registration *registration = context;
    (void)response;
    registration->is_asking = false;
    if (error == WIRE_ERROR_NONE) {
        struct wire_cursor cursor;
        struct register_broker_response answer;
        wire_cursor_init(&cursor, data, length, NULL);
        bool is_answer = register_broker_response_decode(&answer, 0, &cursor);
        if (is_answer && answer.error_code != WIRE_ERROR_NONE) {
            trace_warn("registration was refused: %.*s", (int)answer.message.length,
                       answer.message.data);
            if (answer.error_code == WIRE_ERROR_STALE_BROKER_EPOCH) {
                broker_abandon_outdated(answer.message);
            }
            if (answer.error_code == WIRE_ERROR_BROKER_ID_NOT_REGISTERED &&
                !registration->is_stopping) {
                refused(registration->shard);
            }
        }
    }
}

static void ask(struct registration *registration)
{
    struct broker_shard *shard = registration->shard;
    const struct broker_config *config = shard->config;
    struct register_broker_request request;
    register_broker_request_init(&request);
    request.broker_id = shard->broker_id;
    request.incarnation = shard->broker->incarnation;
    request.kafka_host = wire_string_from(config->advertised_host);
    request.kafka_port =
        config->advertised_port != 0 ? config->advertised_port : shard->broker->kafka_port;
    request.peer_host = wire_string_from(config->peer_advertised_host);
    request.peer_port = shard->broker->peer_port;
    request.is_returning =
        registration_is_done(shard) ||
        atomic_load(&shard->broker->first_founded_group_id) != DATA_DIRECTORY_NO_LIMIT;
    struct cluster_directory directory = shard->broker->own_directory;
    request.directory_id = directory.id;
    request.first_start = (int64_t)directory.first_start;
    request.directory_starts = directory.starts;
    request.directory_starts_count = (int32_t)directory.start_count;
    request.rack = wire_string_from(config->rack != NULL ? config->rack : "");

    struct wire_writer body;
    wire_writer_init(&body, 256);
    register_broker_request_encode(&request, 0, &body);
    registration->is_asking = true;
    forward_to_controller(shard, REQUEST_REGISTER_BROKER, 0, &body, TIMEOUT_MS, answered,
                          registration);
}

static void due(struct io_timer *timer)
{
    struct registration *registration = container_of(timer, struct registration, timer);
    struct broker_shard *shard = registration->shard;
    if (registration->is_stopping) {
        return;
    }
    io_timer_start(shard->loop, timer, io_now_ns(shard->loop) + RETRY_NS);
    bool is_done = registration_is_done(shard);
    bool is_forlorn_now = is_forlorn(registration);
    if (!registration->is_asking && (!is_done || is_forlorn_now)) {
        registration->leaderless_ns = 0;
        ask(registration);
    }
}

struct registration *registration_new(struct broker_shard *shard)
{
    struct registration *registration = memory_allocate_zeroed(sizeof *registration);
    registration->shard = shard;
    io_timer_init(&registration->timer, due);
    return registration;
}

void registration_wake(struct registration *registration)
{
    if (registration != NULL && !registration->is_stopping) {
        io_timer_start(registration->shard->loop, &registration->timer,
                       io_now_ns(registration->shard->loop));
    }
}

void registration_stop(struct registration *registration)
{
    registration->is_stopping = true;
    io_timer_stop(registration->shard->loop, &registration->timer);
}

bool registration_is_idle(const struct registration *registration)
{
    return !registration->is_asking;
}

void registration_free(struct registration *registration)
{
    require(registration_is_idle(registration));
    memory_free(registration);
}
