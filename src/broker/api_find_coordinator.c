/* SPDX-License-Identifier: Apache-2.0
 *
 * api_find_coordinator.c -- FindCoordinator: this broker coordinates neither groups nor
 * transactions, and says so in the way clients understand, which is to ask again later.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/topic_place.h"
#include "wire/error.h"
#include "wire/find_coordinator.h"

/* From here on several keys are asked for at once, in another form. */
#define BATCH_LEAST_VERSION 4

static const char no_coordinator[] = "No coordinator is available.";

static bool describe_keys(struct request *request, const struct find_coordinator_request *body,
                          struct find_coordinator_response *response)
{
    request->arena.limit_bytes +=
        (size_t)body->coordinator_keys_count * sizeof(*response->coordinators);
    response->coordinators = arena_allocate_array(
        &request->arena, (size_t)body->coordinator_keys_count, sizeof(*response->coordinators));
    if (response->coordinators == NULL) {
        return false;
    }
    response->coordinators_count = body->coordinator_keys_count;
    for (int32_t i = 0; i < body->coordinator_keys_count; i++) {
        struct find_coordinator_response_coordinator *answer = &response->coordinators[i];
        find_coordinator_response_coordinator_init(answer);
        answer->key = body->coordinator_keys[i];
        answer->node_id = -1;
        answer->host = topic_place_string("");
        answer->port = -1;
        answer->error_code = WIRE_ERROR_COORDINATOR_NOT_AVAILABLE;
        answer->error_message = topic_place_string(no_coordinator);
    }
    return true;
}

void api_find_coordinator(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct find_coordinator_request body;
    struct find_coordinator_response response;
    if (!find_coordinator_request_decode(&body, request->version, &cursor) ||
        !wire_expect_end(&cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    find_coordinator_response_init(&response);
    if (request->version < BATCH_LEAST_VERSION) {
        response.error_code = WIRE_ERROR_COORDINATOR_NOT_AVAILABLE;
        response.error_message = topic_place_string(no_coordinator);
        response.node_id = -1;
        response.host = topic_place_string("");
        response.port = -1;
    } else if (!describe_keys(request, &body, &response)) {
        request_drop(request, "more keys than a request may name");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 128);
    find_coordinator_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}
