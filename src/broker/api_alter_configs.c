/* SPDX-License-Identifier: Apache-2.0
 *
 * api_alter_configs.c -- AlterConfigs, on the controller leader: replaces the configs of resources
 * as a whole.  The way from what is asked to what came of it is config_alteration.h.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/config_alteration.h"
#include "broker/topic_place.h"
#include "wire/alter_configs.h"

struct replacement_work {
    struct config_alteration alteration;
    struct alter_configs_request body;
};

static void respond(struct config_alteration *alteration)
{
    struct request *request = alteration->request;
    uint32_t count = alteration->line.count;
    struct alter_configs_response response;
    alter_configs_response_init(&response);
    response.responses = arena_allocate_array(&request->arena, count, sizeof(*response.responses));
    if (response.responses == NULL) {
        request_drop(request, "more resources than a request may name");
        return;
    }
    response.responses_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        const struct config_alteration_item *item = &alteration->items[i];
        struct alter_configs_response_alter_configs_resource_response *answer =
            &response.responses[i];
        alter_configs_response_alter_configs_resource_response_init(answer);
        answer->error_code = (int16_t)item->problem.error;
        answer->error_message = topic_place_message(&item->problem);
        answer->resource_type = item->resource_type;
        answer->resource_name = item->resource_name;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    alter_configs_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

static bool read_resource(struct config_alteration *alteration, struct config_alteration_item *item,
                          const struct alter_configs_request_alter_configs_resource *asked)
{
    item->resource_type = asked->resource_type;
    item->resource_name = asked->resource_name;
    if (!config_alteration_reserve(alteration, item, asked->configs_count)) {
        return false;
    }
    for (int32_t i = 0; i < asked->configs_count; i++) {
        item->alterations[i] = (struct cluster_config_alteration){
            .entry = {asked->configs[i].name.data, asked->configs[i].name.length,
                      asked->configs[i].value.data, asked->configs[i].value.length},
            .operation = CLUSTER_CONFIG_SET,
        };
    }
    return true;
}

void api_alter_configs(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct replacement_work *work = arena_allocate(&request->arena, sizeof(*work));
    if (work == NULL || !alter_configs_request_decode(&work->body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    struct config_alteration *alteration = &work->alteration;
    if (!config_alteration_init(alteration, request, work->body.resources_count)) {
        return;
    }
    alteration->replaces = true;
    alteration->is_committed = !work->body.validate_only;
    alteration->respond = respond;
    for (int32_t i = 0; i < work->body.resources_count; i++) {
        if (!read_resource(alteration, &alteration->items[i], &work->body.resources[i])) {
            return;
        }
    }
    config_alteration_run(alteration);
}
