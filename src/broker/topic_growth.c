/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_growth.c -- see topic_growth.h.
 *
 * A topic whose leaders are late exists all the same; REQUEST_TIMED_OUT says so.
 *
 * Locality: shard 0.
 */
#include "broker/topic_growth.h"

#include "base/assert.h"
#include "base/map.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/request.h"

#include <stdio.h>

#define PLAN_BYTES_MAX (32u * 1024 * 1024) /* for what one topic's request is turned into */
/* How long groups are given to start when the client does not wait for them. */
#define START_MS 30000

void topic_growth_refuse(struct topic_growth_item *item, enum wire_error error, const char *message)
{
    item->problem.error = error;
    snprintf(item->problem.message, sizeof(item->problem.message), "%s", message);
}

bool topic_growth_read_replicas(struct cluster_assignment *assignment, const int32_t *broker_ids,
                                int32_t count)
{
    if (count > CLUSTER_REPLICAS_MAX) {
        return false;
    }
    assignment->replica_count = (uint32_t)count;
    for (int32_t i = 0; i < count; i++) {
        if (broker_ids[i] <= 0) {
            return false;
        }
        assignment->replicas[i] = (uint32_t)broker_ids[i];
    }
    return true;
}

/* ---- Groups ---- */

static void started(void *context, enum wire_error error)
{
    struct topic_growth_item *item = context;
    if (error != WIRE_ERROR_NONE) {
        topic_growth_refuse(item, error, item->growth->kind->late_message);
    }
    proposal_line_release(&item->growth->line);
}

static void started_unattended(void *context, enum wire_error error)
{
    (void)context;
    (void)error; /* the reconcilers of the brokers see to what failed */
}

static void start_groups(struct topic_growth_item *item, const struct cluster_change *change)
{
    struct topic_growth *growth = item->growth;
    struct broker_shard *shard = growth->line.shard;
    if (growth->is_waited_for) {
        proposal_line_hold(&growth->line);
        controller_start_groups(shard, change->topic, change->first_new_partition,
                                growth->deadline_ns, started, item);
    } else {
        controller_start_groups(shard, change->topic, change->first_new_partition,
                                io_now_ns(shard->loop) + START_MS * 1000000ull, started_unattended,
                                NULL);
    }
}

/* ---- The line ---- */

static bool plan(struct proposal_line *line, uint32_t position, struct wire_writer *record)
{
    struct topic_growth *growth = container_of(line, struct topic_growth, line);
    struct topic_growth_item *item = &growth->items[position];
    if (item->problem.error != WIRE_ERROR_NONE) {
        return false;
    }
    struct arena arena;
    arena_init(&arena, PLAN_BYTES_MAX);
    growth->kind->plan(growth, position, &arena, record);
    arena_free(&arena);
    return item->problem.error == WIRE_ERROR_NONE && growth->is_committed;
}

static void committed(struct proposal_line *line, uint32_t position, enum wire_error error,
                      const struct cluster_change *change)
{
    struct topic_growth *growth = container_of(line, struct topic_growth, line);
    struct topic_growth_item *item = &growth->items[position];
    if (error != WIRE_ERROR_NONE) {
        topic_growth_refuse(item, error, growth->kind->refused_message);
        return;
    }
    ensure(change != NULL && change->topic != NULL);
    item->topic_id = change->topic->id;
    growth->is_changed = true;
    start_groups(item, change);
}

static void known_everywhere(struct metadata_wait *wait)
{
    struct topic_growth *growth = container_of(wait, struct topic_growth, wait);
    growth->kind->respond(growth);
}

/* Brokers that got no replica learn of the change by the controller log alone. */
static void ended(struct proposal_line *line)
{
    struct topic_growth *growth = container_of(line, struct topic_growth, line);
    if (!growth->is_changed || !growth->is_waited_for) {
        growth->kind->respond(growth);
        return;
    }
    growth->wait.done = known_everywhere;
    growth->wait.deadline_ns = growth->deadline_ns;
    metadata_wait_begin(line->shard, &growth->wait);
}

/* ---- The request ---- */

bool topic_growth_init(struct topic_growth *growth, const struct topic_growth_kind *kind,
                       struct request *request, uint32_t count, int32_t timeout_ms,
                       bool validate_only)
{
    uint64_t wait_ms = timeout_ms > 0 ? (uint64_t)timeout_ms : 0;
    request->arena.limit_bytes += count * sizeof(*growth->items); /* beyond decoding */
    growth->items = arena_allocate_array(&request->arena, count, sizeof(*growth->items));
    if (growth->items == NULL) {
        request_drop(request, "more topics than a request may name");
        return false;
    }
    growth->line = (struct proposal_line){.shard = request->shard,
                                          .count = count,
                                          .plan = plan,
                                          .committed = committed,
                                          .ended = ended};
    growth->kind = kind;
    growth->request = request;
    growth->is_waited_for = wait_ms > 0;
    growth->is_committed = !validate_only;
    growth->deadline_ns = io_now_ns(request->shard->loop) + wait_ms * 1000000u;
    return true;
}

void topic_growth_run(struct topic_growth *growth)
{
    struct map names;
    map_init(&names);
    bool is_here = proposal_line_is_here(growth->line.shard);
    for (uint32_t i = 0; i < growth->line.count; i++) {
        struct topic_growth_item *item = &growth->items[i];
        item->growth = growth;
        if (!is_here) {
            topic_growth_refuse(item, WIRE_ERROR_NOT_CONTROLLER,
                                "This broker is not the controller leader.");
            continue;
        }
        struct topic_growth_item *twin =
            map_put_bytes(&names, item->name.data, (size_t)item->name.length, item);
        if (twin != NULL) {
            topic_growth_refuse(item, WIRE_ERROR_INVALID_REQUEST,
                                "The topic is named more than once.");
            topic_growth_refuse(twin, WIRE_ERROR_INVALID_REQUEST,
                                "The topic is named more than once.");
        }
    }
    map_free(&names);
    proposal_line_run(&growth->line);
}
