/* SPDX-License-Identifier: Apache-2.0
 *
 * api_describe_cluster.c -- DescribeCluster: the brokers that run, and the controller leader.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/controller_told.h"
#include "broker/topic_place.h"
#include "wire/describe_cluster.h"

#define ENDPOINTS_OF_BROKERS 1
#define ENDPOINTS_OF_CONTROLLERS 2

static enum wire_error check(const struct describe_cluster_request *body, const char **message)
{
    if (body->endpoint_type == ENDPOINTS_OF_BROKERS) {
        return WIRE_ERROR_NONE;
    }
    if (body->endpoint_type == ENDPOINTS_OF_CONTROLLERS) {
        *message = "This is a broker's listener, not a controller's.";
        return WIRE_ERROR_MISMATCHED_ENDPOINT_TYPE;
    }
    *message = "There is no such type of endpoint.";
    return WIRE_ERROR_UNSUPPORTED_ENDPOINT_TYPE;
}

/* Brokers that do not run are listed to who asks for them, as fenced.  False: no memory. */
static bool describe_brokers(struct request *request, bool include_fenced,
                             struct describe_cluster_response *response)
{
    const struct broker_shard *shard = request->shard;
    size_t count = cluster_broker_count(shard->metadata);
    response->brokers = arena_allocate_array(&request->arena, count, sizeof(*response->brokers));
    if (response->brokers == NULL) {
        return false;
    }
    size_t position = 0;
    const struct cluster_broker *broker;
    while ((broker = cluster_broker_next(shard->metadata, &position)) != NULL) {
        bool is_live = broker_is_live(shard, broker->id);
        if (!is_live && !include_fenced) {
            continue;
        }
        struct describe_cluster_response_describe_cluster_broker *node =
            &response->brokers[response->brokers_count++];
        describe_cluster_response_describe_cluster_broker_init(node);
        node->broker_id = (int32_t)broker->id;
        node->host = topic_place_string(broker->kafka_host);
        node->port = broker->kafka_port;
        node->rack = topic_place_string(broker->rack[0] == '\0' ? NULL : broker->rack);
        node->is_fenced = !is_live;
    }
    return true;
}

void api_describe_cluster(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct describe_cluster_request body;
    if (!describe_cluster_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    const char *message = NULL;
    char cluster_id[UUID_TEXT_LENGTH + 1];
    struct describe_cluster_response response;
    describe_cluster_response_init(&response);
    response.error_code = (int16_t)check(&body, &message);
    response.error_message = topic_place_string(message);
    response.endpoint_type = body.endpoint_type;
    response.cluster_id = topic_place_string(uuid_format(&request->shard->cluster_id, cluster_id));
    response.controller_id = controller_told(request->shard);
    if (response.error_code == WIRE_ERROR_NONE &&
        !describe_brokers(request, body.include_fenced_brokers, &response)) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 512);
    describe_cluster_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}
