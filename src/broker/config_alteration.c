/* SPDX-License-Identifier: Apache-2.0
 *
 * config_alteration.c -- see config_alteration.h.
 *
 * Brokers follow a changed config when they apply its record (broker_shard_metadata.c); the answer
 * leaves when it is committed.
 *
 * Locality: shard 0.
 */
#include "broker/config_alteration.h"

#include "base/assert.h"
#include "base/map.h"
#include "broker/broker.h"
#include "broker/request.h"
#include "broker/topic_place.h"

#include <stdio.h>
#include <string.h>

#define RESOURCES_MAX 10000 /* of one request, which bounds its answer */

static void refuse(struct config_alteration_item *item, enum wire_error error, const char *message)
{
    item->problem.error = error;
    snprintf(item->problem.message, sizeof(item->problem.message), "%s", message);
}

/* ---- The line ---- */

static void plan_topic(struct config_alteration *alteration, struct config_alteration_item *item,
                       struct wire_writer *record)
{
    enum wire_error error = WIRE_ERROR_NONE;
    struct wire_string name = item->resource_name;
    const struct cluster_topic *topic = topic_place_by_name(alteration->line.shard, name, &error);
    if (topic == NULL) {
        bool is_good = cluster_topic_name_error(name.data, (size_t)name.length) == NULL;
        refuse(item, is_good ? error : WIRE_ERROR_INVALID_TOPIC_EXCEPTION,
               is_good ? "There is no topic of this name." : "No topic can have this name.");
        return;
    }
    cluster_plan_alter_topic_config(alteration->line.shard->metadata, &topic->id, item->alterations,
                                    item->alteration_count, alteration->replaces, record,
                                    &item->problem);
}

static bool plan(struct proposal_line *line, uint32_t position, struct wire_writer *record)
{
    struct config_alteration *alteration = container_of(line, struct config_alteration, line);
    struct config_alteration_item *item = &alteration->items[position];
    if (item->problem.error != WIRE_ERROR_NONE) {
        return false;
    }
    if (item->resource_type == CONFIG_RESOURCE_TOPIC) {
        plan_topic(alteration, item, record);
    } else {
        refuse(item, WIRE_ERROR_INVALID_REQUEST, "Only the configs of topics (2) can be altered.");
    }
    return item->problem.error == WIRE_ERROR_NONE && alteration->is_committed;
}

static void committed(struct proposal_line *line, uint32_t position, enum wire_error error,
                      const struct cluster_change *change)
{
    struct config_alteration *alteration = container_of(line, struct config_alteration, line);
    (void)change; /* who is concerned follows the metadata */
    if (error == WIRE_ERROR_UNKNOWN_TOPIC_ID) {
        error = WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION; /* deleted a moment ago */
    }
    if (error != WIRE_ERROR_NONE) {
        refuse(&alteration->items[position], error, "The configs were not altered.");
    }
}

static void ended(struct proposal_line *line)
{
    struct config_alteration *alteration = container_of(line, struct config_alteration, line);
    alteration->respond(alteration);
}

/* ---- The request ---- */

bool config_alteration_init(struct config_alteration *alteration, struct request *request,
                            int32_t count)
{
    require(count >= 0);
    alteration->line = (struct proposal_line){.shard = request->shard,
                                              .count = (uint32_t)count,
                                              .plan = plan,
                                              .committed = committed,
                                              .ended = ended};
    alteration->request = request;
    if (count > RESOURCES_MAX) {
        request_drop(request, "more resources than a request may name");
        return false;
    }
    request->arena.limit_bytes += /* beyond decoding: items, and their answers */
        (uint32_t)count * (sizeof(struct config_alteration_item) + 64);
    alteration->items =
        arena_allocate_array(&request->arena, (uint32_t)count, sizeof(*alteration->items));
    if (alteration->items == NULL) {
        request_drop(request, "more resources than a request may name");
        return false;
    }
    return true;
}

bool config_alteration_reserve(struct config_alteration *alteration,
                               struct config_alteration_item *item, int32_t count)
{
    require(count >= 0 && item->alterations == NULL);
    struct request *request = alteration->request;
    request->arena.limit_bytes += (uint32_t)count * sizeof(*item->alterations);
    item->alterations =
        arena_allocate_array(&request->arena, (uint32_t)count, sizeof(*item->alterations));
    if (item->alterations == NULL) {
        request_drop(request, "more configs than a request may name");
        return false;
    }
    item->alteration_count = (uint32_t)count;
    return true;
}

/* One map for each type would be needless: the names of topics and of brokers are told apart by a
 * byte before them that no name has. */
static void refuse_doubles(struct config_alteration *alteration)
{
    static const char message[] = "Each resource may be named once.";
    struct map names;
    map_init(&names);
    for (uint32_t i = 0; i < alteration->line.count; i++) {
        struct config_alteration_item *item = &alteration->items[i];
        char key[1 + CLUSTER_TOPIC_NAME_BYTES_MAX] = {item->resource_type};
        size_t length = (size_t)item->resource_name.length;
        if (length > CLUSTER_TOPIC_NAME_BYTES_MAX) {
            continue; /* which names nothing */
        }
        if (length > 0) {
            memcpy(&key[1], item->resource_name.data, length);
        }
        struct config_alteration_item *twin = map_put_bytes(&names, key, 1 + length, item);
        if (twin != NULL) {
            refuse(item, WIRE_ERROR_INVALID_REQUEST, message);
            refuse(twin, WIRE_ERROR_INVALID_REQUEST, message);
        }
    }
    map_free(&names);
}

void config_alteration_run(struct config_alteration *alteration)
{
    if (!proposal_line_is_here(alteration->line.shard)) {
        for (uint32_t i = 0; i < alteration->line.count; i++) {
            refuse(&alteration->items[i], WIRE_ERROR_NOT_CONTROLLER,
                   "This broker is not the controller leader.");
        }
    } else {
        refuse_doubles(alteration);
    }
    proposal_line_run(&alteration->line);
}
