/* SPDX-License-Identifier: Apache-2.0
 *
 * placement.c -- the algorithm behind placement.h.
 *
 * Three steps.  First every partition gets its leader: the broker with the fewest leaders.  Then
 * follower after follower, each for all partitions: a rack the partition has least of, there the
 * broker with the fewest replicas.  Ties go to the next broker in a circle, whose start moves on
 * with every partition and once more with every round, so that an empty cluster is filled in an
 * exactly even pattern and no two brokers share all their partitions.  Last, followers move from
 * fuller to emptier brokers while that helps, which mends what the order of the steps left uneven.
 *
 * In the circle racks alternate, so that neighbours differ in rack.
 *
 * Locality: its owner.
 */
#include "cluster/placement.h"

#include "base/assert.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Followers settle after one or two rounds; the limit is for what nobody thought of. */
#define MENDING_ROUNDS_MAX 8

#define NOBODY UINT32_MAX

struct candidate {
    uint32_t id;
    uint32_t rack;         /* number of its rack */
    uint32_t rank_in_rack; /* how many of its rack come before it */
    uint32_t leaders;
    uint32_t replicas; /* leaders included */
};

struct placement {
    struct candidate *candidates; /* the circle, and behind it the brokers that are away */
    uint32_t count;               /* of the circle */
    uint32_t away_count;
    uint32_t rack_count;
    uint32_t *rack_use; /* by rack: replicas of the partition being looked at; zero in between */
};

/* ---- Candidates ---- */

static int compare_in_circle(const void *left, const void *right)
{
    const struct candidate *a = left;
    const struct candidate *b = right;
    if (a->rank_in_rack != b->rank_in_rack) {
        return a->rank_in_rack < b->rank_in_rack ? -1 : 1;
    }
    return a->rack < b->rack ? -1 : a->rack > b->rack ? 1 : 0;
}

/* Numbers the broker's rack by the first broker in it; those without a rack share one. */
static void join_rack(struct placement *placement, const struct cluster_broker **brokers,
                      uint32_t position)
{
    struct candidate *candidate = &placement->candidates[position];
    for (uint32_t i = position; i > 0; i--) {
        if (strcmp(brokers[i - 1]->rack, brokers[position]->rack) == 0) {
            candidate->rack = placement->candidates[i - 1].rack;
            candidate->rank_in_rack = placement->candidates[i - 1].rank_in_rack + 1;
            return;
        }
    }
    candidate->rack = placement->rack_count++;
}

static void count_load(const struct cluster_metadata *metadata, struct placement *placement)
{
    struct map by_id;
    map_init(&by_id);
    for (uint32_t i = 0; i < placement->count + placement->away_count; i++) {
        map_put(&by_id, placement->candidates[i].id, &placement->candidates[i]);
    }
    size_t position = 0;
    const struct cluster_topic *topic;
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            const struct cluster_partition *partition = &topic->partitions[i];
            for (uint32_t j = 0; j < partition->replica_count; j++) {
                struct candidate *candidate = map_get(&by_id, partition->replicas[j]);
                if (candidate != NULL) {
                    candidate->leaders += j == 0 ? 1 : 0;
                    candidate->replicas++;
                }
            }
        }
    }
    map_free(&by_id);
}

/* Puts the brokers of the cluster that are not offered behind the circle. */
static void add_away(const struct cluster_metadata *metadata, struct placement *placement,
                     const uint32_t *broker_ids, size_t broker_id_count)
{
    size_t position = 0;
    size_t offered = 0;
    const struct cluster_broker *broker;
    while ((broker = cluster_broker_next(metadata, &position)) != NULL) {
        while (offered < broker_id_count && broker_ids[offered] < broker->id) {
            offered++;
        }
        bool is_offered = offered < broker_id_count && broker_ids[offered] == broker->id;
        if (!is_offered && !broker->is_leaving) {
            placement->candidates[placement->count + placement->away_count++].id = broker->id;
        }
    }
}

struct placement *placement_new(const struct cluster_metadata *metadata, const uint32_t *broker_ids,
                                size_t broker_id_count)
{
    require(broker_id_count <= CLUSTER_BROKERS_MAX);
    struct placement *placement = memory_allocate_zeroed(sizeof *placement);
    const struct cluster_broker **brokers =
        memory_allocate_zeroed(broker_id_count * sizeof brokers[0]);
    placement->candidates = memory_allocate_zeroed(
        (broker_id_count + cluster_broker_count(metadata)) * sizeof placement->candidates[0]);
    for (size_t i = 0; i < broker_id_count; i++) {
        require(i == 0 || broker_ids[i] > broker_ids[i - 1]);
        const struct cluster_broker *broker = cluster_broker_find(metadata, broker_ids[i]);
        if (broker != NULL && !broker->is_leaving) {
            brokers[placement->count] = broker;
            placement->candidates[placement->count].id = broker->id;
            join_rack(placement, brokers, placement->count);
            placement->count++;
        }
    }
    memory_free(brokers);
    placement->rack_use =
        memory_allocate_zeroed(placement->rack_count * sizeof placement->rack_use[0]);
    qsort(placement->candidates, placement->count, sizeof placement->candidates[0],
          compare_in_circle);
    add_away(metadata, placement, broker_ids, broker_id_count);
    count_load(metadata, placement);
    return placement;
}

void placement_free(struct placement *placement)
{
    if (placement == NULL) {
        return;
    }
    memory_free(placement->candidates);
    memory_free(placement->rack_use);
    memory_free(placement);
}

uint32_t placement_broker_count(const struct placement *placement)
{
    return placement->count;
}

uint32_t placement_replica_count_max(const struct placement *placement)
{
    uint32_t all = placement->count + placement->away_count;
    /* The largest number of which the circle is still more than half. */
    uint32_t most = placement->count == 0 ? 0 : 2 * placement->count - 1;
    return all < most ? all : most;
}

/* ---- Choosing.  Until the end a partition's replicas are positions in the circle. ---- */

static bool holds(const struct cluster_assignment *partition, uint32_t position)
{
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (partition->replicas[i] == position) {
            return true;
        }
    }
    return false;
}

static void take(struct placement *placement, struct cluster_assignment *partition,
                 uint32_t position)
{
    ensure(partition->replica_count < CLUSTER_REPLICAS_MAX && !holds(partition, position));
    if (partition->replica_count == 0) {
        placement->candidates[position].leaders++;
    }
    placement->candidates[position].replicas++;
    partition->replicas[partition->replica_count++] = position;
}

static uint32_t choose_leader(const struct placement *placement, uint32_t start)
{
    uint32_t best = NOBODY;
    for (uint32_t i = 0; i < placement->count; i++) {
        uint32_t position = (start + i) % placement->count;
        const struct candidate *candidate = &placement->candidates[position];
        const struct candidate *best_so_far = best == NOBODY ? NULL : &placement->candidates[best];
        if (best_so_far == NULL || candidate->leaders < best_so_far->leaders ||
            (candidate->leaders == best_so_far->leaders &&
             candidate->replicas < best_so_far->replicas)) {
            best = position;
        }
    }
    return best;
}

/* Counts the partition's replicas by rack, or takes the counts back. */
static void mark_racks(struct placement *placement, const struct cluster_assignment *partition,
                       bool mark)
{
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        uint32_t rack = placement->candidates[partition->replicas[i]].rack;
        placement->rack_use[rack] = mark ? placement->rack_use[rack] + 1 : 0;
    }
}

/* The best broker that does not hold the partition yet: least used rack, then fewest replicas, then
 * nearest after start. */
static uint32_t choose_follower(struct placement *placement,
                                const struct cluster_assignment *partition, uint32_t start)
{
    uint32_t best = NOBODY;
    uint32_t best_rack_use = 0;
    mark_racks(placement, partition, true);
    for (uint32_t i = 0; i < placement->count; i++) {
        uint32_t position = (start + i) % placement->count;
        const struct candidate *candidate = &placement->candidates[position];
        uint32_t rack_use = placement->rack_use[candidate->rack];
        if (holds(partition, position)) {
            continue;
        }
        if (best == NOBODY || rack_use < best_rack_use ||
            (rack_use == best_rack_use &&
             candidate->replicas < placement->candidates[best].replicas)) {
            best = position;
            best_rack_use = rack_use;
        }
    }
    mark_racks(placement, partition, false);
    ensure(best != NOBODY);
    return best;
}

static void add_followers(struct placement *placement, struct cluster_assignment *partitions,
                          uint32_t count, uint32_t slot)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t round = i / placement->count;
        uint32_t distance = 1 + (round + slot - 1) % (placement->count - 1);
        uint32_t start = (partitions[i].replicas[0] + distance) % placement->count;
        take(placement, &partitions[i], choose_follower(placement, &partitions[i], start));
    }
}

/* Moves the follower in this slot to a broker with at least two replicas fewer, if there is one
 * whose rack is no worse.  Each move makes the sum of squares of the load smaller, so moving ends.
 */
static bool mend_slot(struct placement *placement, struct cluster_assignment *partition,
                      uint32_t slot)
{
    uint32_t present = partition->replicas[slot];
    uint32_t last = partition->replicas[partition->replica_count - 1];
    partition->replicas[slot] = last;
    partition->replica_count--;
    uint32_t better = choose_follower(placement, partition, present);
    partition->replicas[slot] = present;
    partition->replicas[partition->replica_count++] = last;
    if (placement->candidates[better].replicas + 2 > placement->candidates[present].replicas) {
        return false;
    }
    placement->candidates[present].replicas--;
    placement->candidates[better].replicas++;
    partition->replicas[slot] = better;
    return true;
}

static bool mend(struct placement *placement, struct cluster_assignment *partitions, uint32_t count)
{
    bool moved = false;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t slot = 1; slot < partitions[i].replica_count; slot++) {
            moved |= mend_slot(placement, &partitions[i], slot);
        }
    }
    return moved;
}

static void positions_to_ids(const struct placement *placement,
                             struct cluster_assignment *partitions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < partitions[i].replica_count; j++) {
            partitions[i].replicas[j] = placement->candidates[partitions[i].replicas[j]].id;
        }
    }
}

/* Gives the partition a replica on the broker that is away and has the fewest. */
static void take_away(struct placement *placement, struct cluster_assignment *partition)
{
    uint32_t best = NOBODY;
    for (uint32_t i = 0; i < placement->away_count; i++) {
        uint32_t position = placement->count + i;
        if (!holds(partition, position) &&
            (best == NOBODY ||
             placement->candidates[position].replicas < placement->candidates[best].replicas)) {
            best = position;
        }
    }
    ensure(best != NOBODY);
    take(placement, partition, best);
}

void placement_choose(struct placement *placement, uint32_t replica_count,
                      struct cluster_assignment *partitions, uint32_t count)
{
    require(replica_count >= 1 && replica_count <= CLUSTER_REPLICAS_MAX);
    require(replica_count <= placement_replica_count_max(placement));
    uint32_t present_count = replica_count < placement->count ? replica_count : placement->count;
    for (uint32_t i = 0; i < count; i++) {
        partitions[i].replica_count = 0;
        take(placement, &partitions[i], choose_leader(placement, i % placement->count));
    }
    for (uint32_t slot = 1; slot < present_count; slot++) {
        add_followers(placement, partitions, count, slot);
    }
    uint32_t rounds = 0;
    while (rounds < MENDING_ROUNDS_MAX && mend(placement, partitions, count)) {
        rounds++;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t slot = present_count; slot < replica_count; slot++) {
            take_away(placement, &partitions[i]);
        }
    }
    positions_to_ids(placement, partitions, count);
}
