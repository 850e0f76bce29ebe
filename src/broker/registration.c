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

struct registration {
    struct broker_shard *shard;
    struct io_timer timer;
    bool is_asking;
    bool is_stopping;
};

bool registration_is_done(const struct broker_shard *shard)
{
    const struct cluster_broker *self = cluster_broker_find(shard->metadata, shard->broker_id);
    return self != NULL && uuid_equal(&self->incarnation, &shard->broker->incarnation);
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
            if (answer.error_code == WIRE_ERROR_BROKER_ID_NOT_REGISTERED) {
                broker_abandon("this broker is no longer part of the cluster");
            }
        }
    }
    if (!registration->is_stopping) {
        io_timer_start(registration->shard->loop, &registration->timer,
                       io_now_ns(registration->shard->loop) + RETRY_NS);
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
        atomic_load(&shard->broker->first_founded_group_id) != DATA_DIRECTORY_NO_LIMIT;
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
    if (!registration->is_asking && !registration->is_stopping &&
        !registration_is_done(registration->shard)) {
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
