/* SPDX-License-Identifier: Apache-2.0
 *
 * fair_share.c -- see fair_share.h.
 *
 * One replica after the other: from the broker that holds the most, of the topic of which the
 * newcomer holds the fewest.  Costs partitions for each replica that moves, which is little beside
 * moving it.
 */
#include "cli/fair_share.h"

#include "base/assert.h"
#include "base/memory.h"

#include <string.h>

struct plan {
    struct fair_share_partition *partitions;
    size_t partition_count;
    struct fair_share_broker *brokers;
    size_t broker_count;
    size_t active_count; /* of those that take part */
    struct fair_share_broker *newcomer;
    uint32_t fair_count;
    uint32_t *topic_counts; /* of the newcomer's replicas, by topic */
    size_t first_count;     /* partitions that prefer the newcomer as leader */
};

static struct fair_share_broker *find(const struct plan *plan, int32_t id)
{
    for (size_t i = 0; i < plan->broker_count; i++) {
        if (plan->brokers[i].id == id) {
            return &plan->brokers[i];
        }
    }
    return NULL;
}

static int32_t position_of(const struct fair_share_partition *partition, int32_t broker_id)
{
    for (int32_t i = 0; i < partition->replica_count; i++) {
        if (partition->replicas[i] == broker_id) {
            return i;
        }
    }
    return -1;
}

static void count_replicas(struct plan *plan)
{
    size_t total = 0;
    for (size_t i = 0; i < plan->partition_count; i++) {
        const struct fair_share_partition *partition = &plan->partitions[i];
        int32_t position = position_of(partition, plan->newcomer->id);
        plan->topic_counts[partition->topic] += position >= 0;
        plan->first_count += position == 0;
        require(partition->replica_count <= FAIR_SHARE_REPLICAS_MAX);
        for (int32_t j = 0; j < partition->replica_count; j++) {
            struct fair_share_broker *broker = find(plan, partition->replicas[j]);
            if (broker != NULL && broker->takes_part) {
                broker->replica_count++;
                total++;
            }
        }
    }
    for (size_t i = 0; i < plan->broker_count; i++) {
        plan->active_count += plan->brokers[i].takes_part;
    }
    plan->fair_count = (uint32_t)(total / plan->active_count);
}

/* Whether some other replica of the partition than the one at position is in the rack. */
static bool has_rack(const struct plan *plan, const struct fair_share_partition *partition,
                     int32_t position, const char *rack)
{
    for (int32_t i = 0; i < partition->replica_count; i++) {
        const struct fair_share_broker *broker = find(plan, partition->replicas[i]);
        if (i != position && broker != NULL && strcmp(broker->rack, rack) == 0) {
            return true;
        }
    }
    return false;
}

static bool may_take(const struct plan *plan, const struct fair_share_partition *partition,
                     int32_t position, const struct fair_share_broker *donor)
{
    if (position < 0 || partition->is_moving || partition->is_planned ||
        position_of(partition, plan->newcomer->id) >= 0) {
        return false;
    }
    /* The donor's rack must be spanned without it, or the newcomer's be a new one in its place. */
    return has_rack(plan, partition, position, donor->rack) ||
           !has_rack(plan, partition, position, plan->newcomer->rack);
}

/* The best partition to take over from the donor; NULL when there is none. */
static struct fair_share_partition *choose(const struct plan *plan,
                                           const struct fair_share_broker *donor)
{
    struct fair_share_partition *best = NULL;
    uint32_t best_cost = UINT32_MAX;
    bool is_first_wanted = plan->first_count < plan->partition_count / plan->active_count;
    for (size_t i = 0; i < plan->partition_count; i++) {
        struct fair_share_partition *partition = &plan->partitions[i];
        int32_t position = position_of(partition, donor->id);
        if (!may_take(plan, partition, position, donor)) {
            continue;
        }
        uint32_t cost =
            2 * plan->topic_counts[partition->topic] + ((position == 0) != is_first_wanted);
        if (cost < best_cost) {
            best = partition;
            best_cost = cost;
        }
    }
    return best;
}

static void take(struct plan *plan, struct fair_share_partition *partition,
                 struct fair_share_broker *donor)
{
    int32_t position = position_of(partition, donor->id);
    require(position >= 0 && donor->replica_count > plan->fair_count);
    partition->replicas[position] = plan->newcomer->id;
    partition->is_planned = true;
    donor->replica_count--;
    plan->newcomer->replica_count++;
    plan->topic_counts[partition->topic]++;
    plan->first_count += position == 0;
}

/* Takes one replica over from the broker with the most of which one can be taken. */
static bool take_one(struct plan *plan)
{
    uint32_t bound = UINT32_MAX; /* those with as many and more had nothing to take */
    for (;;) {
        struct fair_share_broker *donor = NULL;
        struct fair_share_partition *partition = NULL;
        for (size_t i = 0; i < plan->broker_count; i++) {
            struct fair_share_broker *broker = &plan->brokers[i];
            if (broker->replica_count < bound && broker->replica_count > plan->fair_count &&
                (donor == NULL || broker->replica_count > donor->replica_count)) {
                donor = broker;
            }
        }
        if (donor == NULL) {
            return false;
        }
        bound = donor->replica_count;
        for (size_t i = 0; i < plan->broker_count && partition == NULL; i++) {
            if (plan->brokers[i].replica_count == bound) {
                donor = &plan->brokers[i];
                partition = choose(plan, donor);
            }
        }
        if (partition != NULL) {
            take(plan, partition, donor);
            return true;
        }
    }
}

size_t fair_share_plan(struct fair_share_partition *partitions, size_t partition_count,
                       struct fair_share_broker *brokers, size_t broker_count, int32_t newcomer)
{
    struct plan plan = {.partitions = partitions,
                        .partition_count = partition_count,
                        .brokers = brokers,
                        .broker_count = broker_count};
    size_t planned = 0;
    for (size_t i = 0; i < broker_count; i++) {
        brokers[i].replica_count = 0;
    }
    uint32_t topic_count = 0;
    for (size_t i = 0; i < partition_count; i++) {
        topic_count = partitions[i].topic >= topic_count ? partitions[i].topic + 1 : topic_count;
    }
    plan.topic_counts = memory_allocate_zeroed(topic_count * sizeof *plan.topic_counts);
    plan.newcomer = find(&plan, newcomer);
    require(plan.newcomer != NULL && plan.newcomer->takes_part);
    count_replicas(&plan);
    while (plan.newcomer->replica_count < plan.fair_count && take_one(&plan)) {
        planned++;
    }
    memory_free(plan.topic_counts);
    ensure(planned <= partition_count);
    return planned;
}
