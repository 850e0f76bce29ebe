/* SPDX-License-Identifier: Apache-2.0
 *
 * config_alteration.c -- see config_alteration.h.
 *
 * Brokers follow a changed config when they apply its record (broker_shard_metadata.c).  The answer
 * leaves when the live ones have, so that whichever is asked next tells the new value.
 *
 * Locality: shard 0.
 */
#include "broker/config_alteration.h"

#include "base/assert.h"
#include "base/map.h"
#include "broker/broker.h"
#include "broker/config_table.h"
#include "broker/kafka_config_table.h"
#include "broker/request.h"
#include "broker/topic_place.h"
#include "cluster/dynamic_config.h"

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

/* NULL, or why a broker config that exists cannot be altered. */
static const char *fixed_reason(const struct topic_config_entry *entry)
{
    struct wire_string name = {entry->name, entry->name_length};
    size_t length = (size_t)name.length;
    if (dynamic_config_find(name.data, length) != NULL) {
        return NULL;
    }
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        if (wire_string_equal(name, row->name) || wire_string_equal(name, row->kafka_name)) {
            return "is read when a broker starts: set it in the config file";
        }
    }
    for (size_t i = 0; i < topic_config_row_count(); i++) {
        if (wire_string_equal(name, topic_config_row(i)->broker_name)) {
            return "has no effect here";
        }
    }
    return kafka_config_find(name.data, length) != NULL ? "has no effect here" : NULL;
}

/* A broker's id, or "" for all of them, which is 0; false: neither. */
static bool read_broker_id(struct wire_string name, uint32_t *broker_id)
{
    *broker_id = 0;
    for (int32_t i = 0; i < name.length; i++) {
        if (name.data[i] < '0' || name.data[i] > '9' || i == 9) {
            return false;
        }
        *broker_id = *broker_id * 10 + (uint32_t)(name.data[i] - '0');
    }
    return name.length == 0 || *broker_id != 0;
}

static void plan_broker(struct config_alteration *alteration, struct config_alteration_item *item,
                        struct wire_writer *record)
{
    uint32_t broker_id = 0;
    if (!read_broker_id(item->resource_name, &broker_id)) {
        refuse(item, WIRE_ERROR_INVALID_REQUEST,
               "A broker is named by its id, all of them by \"\".");
        return;
    }
    for (uint32_t i = 0; i < item->alteration_count; i++) {
        const struct topic_config_entry *entry = &item->alterations[i].entry;
        const char *reason = fixed_reason(entry);
        if (reason != NULL) {
            item->problem.error = WIRE_ERROR_INVALID_REQUEST;
            snprintf(item->problem.message, sizeof(item->problem.message), "config %.*s %s",
                     entry->name_length, entry->name, reason);
            return;
        }
    }
    cluster_plan_alter_broker_config(alteration->line.shard->metadata, broker_id, item->alterations,
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
    } else if (item->resource_type == CONFIG_RESOURCE_BROKER) {
        plan_broker(alteration, item, record);
    } else {
        refuse(item, WIRE_ERROR_INVALID_REQUEST, "Topics (2) and brokers (4) have configs here.");
    }
    return item->problem.error == WIRE_ERROR_NONE && alteration->is_committed;
}

static void committed(struct proposal_line *line, uint32_t position, enum wire_error error,
                      const struct cluster_change *change)
{
    struct config_alteration *alteration = container_of(line, struct config_alteration, line);
    (void)change; /* who is concerned follows the metadata */
    alteration->is_changed = alteration->is_changed || error == WIRE_ERROR_NONE;
    if (error == WIRE_ERROR_UNKNOWN_TOPIC_ID) {
        error = WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION; /* deleted a moment ago */
    }
    if (error != WIRE_ERROR_NONE) {
        refuse(&alteration->items[position], error, "The configs were not altered.");
    }
}

static void known_everywhere(struct metadata_wait *wait)
{
    struct config_alteration *alteration = container_of(wait, struct config_alteration, wait);
    alteration->respond(alteration);
}

static void ended(struct proposal_line *line)
{
    struct config_alteration *alteration = container_of(line, struct config_alteration, line);
    if (!alteration->is_changed) {
        alteration->respond(alteration);
        return;
    }
    alteration->wait.done = known_everywhere;
    metadata_wait_begin(line->shard, &alteration->wait);
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
