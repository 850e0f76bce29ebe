/* SPDX-License-Identifier: Apache-2.0
 *
 * api_find_founders.c -- FindFounders (1009): what this broker knows of who founded the controller
 * group (founding.h).
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/founding.h"
#include "wire/find_founders.h"

void api_find_founders(struct request *request)
{
    struct find_founders_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!find_founders_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    const struct broker_shard *shard = request->shard;
    const struct broker_config *config = shard->config;
    const struct data_directory_founder *founders = NULL;
    uint32_t founder_count = founding_founders(shard->founding, &founders);
    uint32_t controllers[DATA_DIRECTORY_FOUNDERS_MAX];
    struct find_founders_response_founder described[DATA_DIRECTORY_FOUNDERS_MAX];
    for (size_t i = 0; i < config->controller_count; i++) {
        controllers[i] = config->controllers[i].id;
    }
    for (uint32_t i = 0; i < founder_count; i++) {
        described[i] = (struct find_founders_response_founder){
            .broker_id = founders[i].broker_id,
            .directory_id = founders[i].directory_id,
        };
    }

    struct find_founders_response response;
    find_founders_response_init(&response);
    response.directory_id = shard->broker->directory.id;
    response.controllers = controllers;
    response.controllers_count = (int32_t)config->controller_count;
    response.founders = described;
    response.founders_count = (int32_t)founder_count;
    struct wire_writer body;
    wire_writer_init(&body, 256);
    find_founders_response_encode(&response, request->version, &body);
    request_respond(request, &body);
}
