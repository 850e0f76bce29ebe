/* SPDX-License-Identifier: Apache-2.0
 *
 * api_register_broker.c -- RegisterBroker (1006), on the controller leader: a broker has started
 * and says where it can be reached.
 *
 * A broker asks again until it sees itself in the metadata, as a member of the controller group
 * that its registration makes it (controller_upkeep.h).
 *
 * One that was unregistered does not come back by being left running or started again: what stands
 * in its data directory is no part of the cluster any more.  Neither does one on an older copy of
 * its data directory (cluster_directory_judge()).
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/controller.h"
#include "wire/register_broker.h"

#include <string.h>

static void answer(struct request *request, enum wire_error error, const char *message)
{
    struct register_broker_response response;
    register_broker_response_init(&response);
    response.error_code = (int16_t)error;
    response.message = wire_string_from(message);
    struct wire_writer body;
    wire_writer_init(&body, 64);
    register_broker_response_encode(&response, request->version, &body);
    request_respond(request, &body);
}

static void registered(void *context, enum wire_error error, const struct cluster_change *change)
{
    (void)change;
    answer(context, error, error == WIRE_ERROR_NONE ? "" : wire_error_text(error));
}

/* False when it does not fit. */
static bool copy_text(char text[CLUSTER_HOST_BYTES_MAX + 1], struct wire_string string)
{
    if (string.length < 0 || string.length > CLUSTER_HOST_BYTES_MAX ||
        memchr(string.data, 0, (size_t)string.length) != NULL) {
        return false;
    }
    memcpy(text, string.data, (size_t)string.length);
    text[string.length] = '\0';
    return true;
}

static bool read_broker(const struct register_broker_request *message,
                        struct cluster_broker *broker)
{
    memset(broker, 0, sizeof *broker);
    broker->id = message->broker_id;
    broker->incarnation = message->incarnation;
    broker->kafka_port = message->kafka_port;
    broker->peer_port = message->peer_port;
    return copy_text(broker->kafka_host, message->kafka_host) &&
           copy_text(broker->peer_host, message->peer_host) &&
           copy_text(broker->rack, message->rack) &&
           cluster_directory_take(&broker->directory, &message->directory_id, message->first_start,
                                  message->directory_starts, message->directory_starts_count);
}

static bool is_registered(const struct broker_shard *shard, const struct cluster_broker *broker)
{
    const struct cluster_broker *known = cluster_broker_find(shard->metadata, broker->id);
    return known != NULL && uuid_equal(&known->incarnation, &broker->incarnation);
}

void api_register_broker(struct request *request)
{
    struct register_broker_request message;
    struct wire_cursor cursor = request_cursor(request);
    struct cluster_broker broker;
    if (!register_broker_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (message.broker_id != request->peer_broker_id || !read_broker(&message, &broker)) {
        answer(request, WIRE_ERROR_INVALID_REQUEST, "a broker registers itself, with addresses");
        return;
    }
    if (!controller_is_leader(request->shard)) {
        answer(request, WIRE_ERROR_NOT_CONTROLLER, "this broker does not lead the controllers");
        return;
    }
    if (is_registered(request->shard, &broker)) {
        answer(request, WIRE_ERROR_NONE, "");
        return;
    }
    if (message.is_returning && cluster_broker_find(request->shard->metadata, broker.id) == NULL) {
        answer(request, WIRE_ERROR_BROKER_ID_NOT_REGISTERED,
               "this broker was removed from the cluster; to add it again, start it with an empty "
               "data directory");
        return;
    }
    struct wire_writer record;
    struct cluster_problem problem;
    wire_writer_init(&record, 256);
    cluster_plan_register_broker(request->shard->metadata, &broker, &record, &problem);
    if (problem.error != WIRE_ERROR_NONE) {
        wire_writer_free(&record);
        answer(request, problem.error, problem.message);
        return;
    }
    controller_propose(request->shard, &record, registered, request);
}
