/* SPDX-License-Identifier: Apache-2.0
 *
 * api_forward.c -- Forward (1002): a request that another broker received and this one, as the
 * controller leader, has to serve.  The answer is the inner request's, wrapped.
 *
 * Locality: shard 0.
 */
#include "base/memory.h"
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/controller.h"
#include "broker/nested_request.h"
#include "broker/peer_dial.h"
#include "wire/error.h"
#include "wire/forward.h"

#include <string.h>

static void answer(struct request *request, enum wire_error error, const struct wire_writer *inner)
{
    struct forward_response response;
    forward_response_init(&response);
    response.error_code = (int16_t)error;
    char host[CLUSTER_HOST_BYTES_MAX + 1] = "";
    response.leader_id = controller_leader(request->shard);
    (void)peer_address_find(request->shard, response.leader_id, host, &response.leader_port);
    response.leader_host = wire_string_from(host);
    if (inner != NULL) {
        response.body.data = inner->buf->data;
        response.body.length = (int32_t)wire_writer_length(inner);
    }
    struct wire_writer body;
    wire_writer_init(&body, (size_t)response.body.length + 32 + strlen(host));
    forward_response_encode(&response, request->version, &body);
    request_respond(request, &body);
}

static void inner_done(void *context, struct wire_writer *inner, const char *reason)
{
    (void)reason;
    struct request *request = context;
    bool is_answered = inner != NULL && inner->splice_count == 0;
    answer(request, is_answered ? WIRE_ERROR_NONE : WIRE_ERROR_INVALID_REQUEST,
           is_answered ? inner : NULL);
}

static bool may_be_forwarded(const struct request_configuration *configuration, int16_t version)
{
    return configuration != NULL &&
           (configuration->class == REQUEST_METADATA_WRITE ||
            configuration->class == REQUEST_CONTROLLER) &&
           version >= configuration->version_least && version <= configuration->version_most;
}

void api_forward(struct request *request)
{
    struct forward_request forward;
    struct wire_cursor cursor = request_cursor(request);
    if (!forward_request_decode(&forward, request->version, &cursor) ||
        !request_body_ends(request, &cursor) || forward.body.length < 0) {
        request_malformed(request, &cursor);
        return;
    }
    const struct request_configuration *configuration =
        request_configuration_find(forward.request_type);
    if (!may_be_forwarded(configuration, forward.request_version)) {
        answer(request, WIRE_ERROR_UNSUPPORTED_VERSION, NULL);
        return;
    }
    if (!controller_is_leader(request->shard)) {
        answer(request, WIRE_ERROR_NOT_CONTROLLER, NULL);
        return;
    }
    struct nested_request nested = {
        .configuration = configuration,
        .version = forward.request_version,
        .client_id = forward.client_id,
        .frame = request->frame,
        .body = forward.body.data,
        .body_length = (size_t)forward.body.length,
        .peer_broker_id = configuration->class == REQUEST_CONTROLLER ? request->peer_broker_id : 0,
        .done = inner_done,
        .context = request,
    };
    nested_request_run(request->shard, &nested);
}
