/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_leave.c -- a broker leaves the cluster: the record that says so, the moves that take its
 * replicas elsewhere, the record that ends its membership.
 *
 * What remains to be done is read from the metadata each time, so whoever leads the controllers
 * goes on where another one stopped.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/metadata.h"
#include "cluster/plan.h"
#include "cluster/record.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/broker_unregistered.h"

#include <string.h>

static const struct cluster_broker *find_broker(const struct cluster_metadata *metadata,
                                                uint32_t broker_id, struct cluster_problem *problem)
{
    const struct cluster_broker *broker = cluster_broker_find(metadata, broker_id);
    if (broker == NULL) {
        plan_refuse(problem, WIRE_ERROR_BROKER_ID_NOT_REGISTERED,
                    "broker %u is not part of the cluster", broker_id);
    }
    return broker;
}

/* ---- To leave, or to stay after all ---- */

/* Whether every topic finds brokers enough among those that stay. */
static bool check_room(const struct cluster_metadata *metadata, uint32_t leaver,
                       struct cluster_problem *problem)
{
    struct metadata_want want;
    if (metadata_may_leave(metadata, leaver, &want)) {
        return true;
    }
    if (want.staying == 0) {
        plan_refuse(problem, WIRE_ERROR_POLICY_VIOLATION,
                    "broker %u is the last one that does not leave", leaver);
        return false;
    }
    plan_refuse(problem, WIRE_ERROR_POLICY_VIOLATION,
                "topic %.*s has %u replicas, and without broker %u there are %u brokers to hold "
                "them: add brokers first, or give it fewer replicas",
                (int)want.topic->name_length, want.topic->name, want.replicas, leaver,
                want.staying);
    return false;
}

void cluster_plan_decommission_broker(const struct cluster_metadata *metadata, uint32_t broker_id,
                                      struct wire_writer *record, struct cluster_problem *problem)
{
    if (find_broker(metadata, broker_id, problem) == NULL ||
        !check_room(metadata, broker_id, problem)) {
        return;
    }
    cluster_record_write_leaving(record, broker_id, true);
    plan_accept(problem);
}

void cluster_plan_recommission_broker(const struct cluster_metadata *metadata, uint32_t broker_id,
                                      struct wire_writer *record, struct cluster_problem *problem)
{
    if (find_broker(metadata, broker_id, problem) == NULL) {
        return;
    }
    cluster_record_write_leaving(record, broker_id, false);
    plan_accept(problem);
}

void cluster_plan_unregister_broker(const struct cluster_metadata *metadata, uint32_t broker_id,
                                    struct wire_writer *record, struct cluster_problem *problem)
{
    const struct cluster_broker *broker = find_broker(metadata, broker_id, problem);
    if (broker == NULL) {
        return;
    }
    uint64_t replicas = cluster_broker_replica_count(metadata, broker_id);
    if (!broker->is_leaving || replicas > 0) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST,
                    "broker %u holds %llu replicas: decommission it, which moves them away",
                    broker_id, (unsigned long long)replicas);
        return;
    }
    struct broker_unregistered_record unregistered = {.broker_id = broker_id};
    cluster_record_begin(record, CLUSTER_RECORD_BROKER_UNREGISTERED);
    broker_unregistered_record_encode(&unregistered, CLUSTER_RECORD_VERSION, record);
    plan_accept(problem);
}

/* ---- Moving away ---- */

/* A broker that can take replicas. */
struct taker {
    const struct cluster_broker *broker;
    uint64_t replicas; /* with those that this plan gives it */
};

struct evacuation {
    const struct cluster_metadata *metadata;
    struct taker *takers;
    size_t taker_count;
    size_t under_way; /* partitions that are being moved off a leaving broker */
};

static bool leaves(const struct cluster_metadata *metadata, uint32_t broker_id)
{
    const struct cluster_broker *broker = cluster_broker_find(metadata, broker_id);
    return broker != NULL && broker->is_leaving;
}

static void count_partition(struct evacuation *evacuation,
                            const struct cluster_partition *partition)
{
    bool is_under_way = false;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        for (size_t j = 0; j < evacuation->taker_count; j++) {
            struct taker *taker = &evacuation->takers[j];
            taker->replicas += taker->broker->id == partition->replicas[i] ? 1 : 0;
        }
        is_under_way = is_under_way || (!cluster_partition_wants(partition, i) &&
                                        leaves(evacuation->metadata, partition->replicas[i]));
    }
    evacuation->under_way += is_under_way ? 1 : 0;
}

static void evacuation_init(struct evacuation *evacuation, const struct cluster_metadata *metadata,
                            const uint32_t *live_brokers, size_t live_broker_count)
{
    evacuation->metadata = metadata;
    evacuation->under_way = 0;
    evacuation->taker_count = 0;
    evacuation->takers =
        memory_allocate_zeroed((live_broker_count + 1) * sizeof evacuation->takers[0]);
    for (size_t i = 0; i < live_broker_count; i++) {
        const struct cluster_broker *broker = cluster_broker_find(metadata, live_brokers[i]);
        if (broker != NULL && !broker->is_leaving) {
            evacuation->takers[evacuation->taker_count++].broker = broker;
        }
    }
    for (size_t i = 0; i < metadata->topic_count; i++) {
        const struct cluster_topic *topic = &metadata->topics[i]->topic;
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            count_partition(evacuation, &topic->partitions[j]);
        }
    }
}

static bool is_among(const struct cluster_assignment *target, uint32_t broker_id)
{
    for (uint32_t i = 0; i < target->replica_count; i++) {
        if (target->replicas[i] == broker_id) {
            return true;
        }
    }
    return false;
}

/* How many of the target's other replicas stand in the rack. */
static uint32_t count_in_rack(const struct evacuation *evacuation,
                              const struct cluster_assignment *target, uint32_t leaver,
                              const char *rack)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < target->replica_count; i++) {
        const struct cluster_broker *broker =
            cluster_broker_find(evacuation->metadata, target->replicas[i]);
        bool counts = broker != NULL && broker->id != leaver && strcmp(broker->rack, rack) == 0;
        count += counts ? 1 : 0;
    }
    return count;
}

/* The best broker to stand in for a leaver; NULL: there is none. */
static struct taker *choose_taker(struct evacuation *evacuation,
                                  const struct cluster_assignment *target, uint32_t leaver)
{
    struct taker *best = NULL;
    uint32_t best_in_rack = 0;
    for (size_t i = 0; i < evacuation->taker_count; i++) {
        struct taker *taker = &evacuation->takers[i];
        if (is_among(target, taker->broker->id)) {
            continue;
        }
        uint32_t in_rack = count_in_rack(evacuation, target, leaver, taker->broker->rack);
        if (best == NULL || in_rack < best_in_rack ||
            (in_rack == best_in_rack && taker->replicas < best->replicas)) {
            best = taker;
            best_in_rack = in_rack;
        }
    }
    return best;
}

/* True when a leaver is wanted and others can stand in for all leavers. */
static bool move_off(struct evacuation *evacuation, const struct cluster_partition *partition,
                     struct cluster_assignment *target)
{
    bool is_change = false;
    target->replica_count = 0;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (cluster_partition_wants(partition, i)) {
            target->replicas[target->replica_count++] = partition->replicas[i];
        }
    }
    for (uint32_t i = 0; i < target->replica_count; i++) {
        if (!leaves(evacuation->metadata, target->replicas[i])) {
            continue;
        }
        struct taker *taker = choose_taker(evacuation, target, target->replicas[i]);
        if (taker == NULL) {
            return false;
        }
        target->replicas[i] = taker->broker->id;
        taker->replicas++;
        is_change = true;
    }
    return is_change;
}

size_t cluster_plan_evacuation(const struct cluster_metadata *metadata,
                               const uint32_t *live_brokers, size_t live_broker_count,
                               struct cluster_move *moves, size_t moves_max)
{
    struct evacuation evacuation;
    size_t count = 0;
    evacuation_init(&evacuation, metadata, live_brokers, live_broker_count);
    size_t room = moves_max > evacuation.under_way ? moves_max - evacuation.under_way : 0;
    for (size_t i = 0; i < metadata->topic_count && count < room; i++) {
        const struct cluster_topic *topic = &metadata->topics[i]->topic;
        for (uint32_t j = 0; j < topic->partition_count && count < room; j++) {
            struct cluster_move *move = &moves[count];
            if (move_off(&evacuation, &topic->partitions[j], &move->target)) {
                move->topic_id = topic->id;
                move->target.partition = j;
                count++;
            }
        }
    }
    memory_free(evacuation.takers);
    ensure(count <= room);
    return count;
}
