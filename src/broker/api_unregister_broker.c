/* SPDX-License-Identifier: Apache-2.0
 *
 * api_unregister_broker.c -- UnregisterBroker (64) and RecommissionBroker (1011): a broker is to
 * leave the cluster, or to stay after all.
 *
 * Answered when that is committed.  Leaving takes its time: the broker is unregistered when its
 * replicas are elsewhere (controller_upkeep.h).
 *
 * Locality: shard 0 of the controller leader; elsewhere the answer is NOT_CONTROLLER.
 */
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/controller.h"
#include "wire/recommission_broker.h"
#include "wire/unregister_broker.h"

#include <string.h>

static struct wire_string text_of(const char *message)
{
    return message != NULL ? wire_string_from(message) : (struct wire_string){NULL, -1};
}

static void answer(struct request *request, enum wire_error error, const char *message)
{
    struct wire_writer body;
    wire_writer_init(&body, 64);
    if (request->configuration->type == REQUEST_UNREGISTER_BROKER) {
        struct unregister_broker_response response;
        unregister_broker_response_init(&response);
        response.error_code = (int16_t)error;
        response.error_message = text_of(message);
        unregister_broker_response_encode(&response, request->version, &body);
    } else {
        struct recommission_broker_response response;
        recommission_broker_response_init(&response);
        response.error_code = (int16_t)error;
        response.error_message = text_of(message);
        recommission_broker_response_encode(&response, request->version, &body);
    }
    request_respond(request, &body);
}

static void recorded(void *context, enum wire_error error, const struct cluster_change *change)
{
    (void)change;
    answer(context, error, error == WIRE_ERROR_NONE ? NULL : wire_error_text(error));
}

static void record(struct request *request, int32_t broker_id,
                   void (*plan)(const struct cluster_metadata *metadata, uint32_t broker_id,
                                struct wire_writer *record, struct cluster_problem *problem))
{
    struct wire_writer writer;
    struct cluster_problem problem;
    if (!controller_is_leader(request->shard)) {
        answer(request, WIRE_ERROR_NOT_CONTROLLER, "no controller leader could be reached");
        return;
    }
    wire_writer_init(&writer, 64);
    plan(request->shard->metadata, broker_id > 0 ? (uint32_t)broker_id : 0, &writer, &problem);
    if (problem.error != WIRE_ERROR_NONE) {
        wire_writer_free(&writer);
        answer(request, problem.error, problem.message);
        return;
    }
    controller_propose(request->shard, &writer, recorded, request);
}

void api_unregister_broker(struct request *request)
{
    struct unregister_broker_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!unregister_broker_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    record(request, message.broker_id, cluster_plan_decommission_broker);
}

void api_recommission_broker(struct request *request)
{
    struct recommission_broker_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!recommission_broker_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    record(request, message.broker_id, cluster_plan_recommission_broker);
}
