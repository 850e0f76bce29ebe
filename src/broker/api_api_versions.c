/* SPDX-License-Identifier: Apache-2.0
 *
 * api_api_versions.c -- ApiVersions: what this broker serves to clients, read off the request
 * table.
 *
 * No features are listed: transactions of the second version, for one, are switched on by a
 * feature, not by a version, so clients keep to what is served.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "wire/api_versions.h"
#include "wire/error.h"

#include <string.h>

/* The version a client's wrong guess is answered in. */
#define FALLBACK_VERSION 0
#define SOFTWARE_LEAST_VERSION 3

static bool is_for_clients(const struct request_configuration *configuration)
{
    if (configuration->type >= REQUEST_FIRST_PEER_TYPE) {
        return false; /* what operators may send is no part of Kafka's protocol */
    }
    switch (configuration->class) {
    case REQUEST_METADATA_READ:
    case REQUEST_METADATA_WRITE:
    case REQUEST_DATA:
        return true;
    case REQUEST_CONTROLLER:
    case REQUEST_INTER_BROKER:
        return false;
    }
    return false;
}

/* only: the one type to list, or -1 for all. */
static void respond(struct request *request, int16_t version, enum wire_error error, int16_t only)
{
    struct api_versions_response response;
    api_versions_response_init(&response);
    response.error_code = (int16_t)error;
    response.api_keys = arena_allocate_array(&request->arena, request_configuration_count(),
                                             sizeof(*response.api_keys));
    if (response.api_keys == NULL) {
        request_drop(request, "no memory for the answer");
        return;
    }
    for (size_t i = 0; i < request_configuration_count(); i++) {
        const struct request_configuration *configuration = request_configuration_at(i);
        if (is_for_clients(configuration) && (only < 0 || only == configuration->type)) {
            response.api_keys[response.api_keys_count++] =
                (struct api_versions_response_api_version){
                    .api_key = configuration->type,
                    .min_version = configuration->version_advertised_least,
                    .max_version = configuration->version_most,
                };
        }
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 512);
    api_versions_response_encode(&response, version, &writer);
    request_respond(request, &writer);
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters and digits, with dots and dashes in between: it ends up in logs. */
static bool software_text_is_good(struct wire_string text)
{
    if (text.length < 1 || !is_alphanumeric(text.data[0]) ||
        !is_alphanumeric(text.data[text.length - 1])) {
        return false;
    }
    for (int32_t i = 0; i < text.length; i++) {
        if (!is_alphanumeric(text.data[i]) && text.data[i] != '.' && text.data[i] != '-') {
            return false;
        }
    }
    return true;
}

void api_api_versions(struct request *request)
{
    if (request->version < 0) {
        respond(request, FALLBACK_VERSION, WIRE_ERROR_UNSUPPORTED_VERSION, API_VERSIONS_TYPE);
        return;
    }
    struct wire_cursor cursor = request_cursor(request);
    struct api_versions_request body;
    if (!api_versions_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    bool is_good = request->version < SOFTWARE_LEAST_VERSION ||
                   (software_text_is_good(body.client_software_name) &&
                    software_text_is_good(body.client_software_version));
    respond(request, request->version, is_good ? WIRE_ERROR_NONE : WIRE_ERROR_INVALID_REQUEST, -1);
}
