/* SPDX-License-Identifier: Apache-2.0
 *
 * api_allocate_producer_ids.c -- AllocateProducerIds (1007), on the controller leader: a block of
 * producer ids for a broker, committed before it is given, so that no id is given twice.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/controller.h"
#include "wire/allocate_producer_ids.h"

static void answer(struct request *request, enum wire_error error,
                   const struct cluster_change *change)
{
    struct allocate_producer_ids_response response;
    allocate_producer_ids_response_init(&response);
    response.error_code = (int16_t)error;
    if (error == WIRE_ERROR_NONE) {
        response.first_id = change->producer_id_first;
        response.count = change->producer_id_count;
    }
    struct wire_writer body;
    wire_writer_init(&body, 32);
    allocate_producer_ids_response_encode(&response, request->version, &body);
    request_respond(request, &body);
}

static void allocated(void *context, enum wire_error error, const struct cluster_change *change)
{
    answer(context, error, change);
}

void api_allocate_producer_ids(struct request *request)
{
    struct allocate_producer_ids_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!allocate_producer_ids_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (message.broker_id != request->peer_broker_id) {
        answer(request, WIRE_ERROR_INVALID_REQUEST, NULL);
        return;
    }
    if (!controller_is_leader(request->shard)) {
        answer(request, WIRE_ERROR_NOT_CONTROLLER, NULL);
        return;
    }
    struct wire_writer record;
    struct cluster_problem problem;
    wire_writer_init(&record, 64);
    cluster_plan_allocate_producer_ids(request->shard->metadata, message.broker_id, message.count,
                                       &record, &problem);
    if (problem.error != WIRE_ERROR_NONE) {
        wire_writer_free(&record);
        answer(request, problem.error, NULL);
        return;
    }
    controller_propose(request->shard, &record, allocated, request);
}
