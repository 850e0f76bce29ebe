/* SPDX-License-Identifier: Apache-2.0
 *
 * check_groups.c -- what the coordinator's answers promise to the members of a consumer group.
 *
 *   commit-back       an offset asked for after a commit was acknowledged is not below it.  Members
 *                     commit ever higher offsets, and each only as long as nobody else can have the
 *                     partition; so a lower one is an old commit that took effect late, or an
 * answer of a coordinator that is none any more commit-phantom    what is told as committed is what
 * a member committed, to the byte fenced-commit     a commit that was refused, for sure, never
 * takes effect generation-back   a member that joins is not told an earlier generation than one
 * whose assignment somebody had been told before two-owners        in a generation a partition is
 * assigned to one member group-lag         after the faults the group catches up with everything
 * (drill.c asks)
 */
#include "drill/check.h"
#include "drill/history.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/memory.h"
#include "drill/swarm.h"

struct commit {
    uint32_t topic;
    uint32_t partition;
    int64_t offset;
    enum history_fate fate;
};

struct check_groups {
    struct history *history;
    struct commit *commits;
    uint32_t commit_count;
    uint32_t commit_capacity;
    uint64_t commits_acked;
    int64_t acked[SWARM_TOPICS_MAX][HISTORY_PARTITIONS_MAX]; /* the largest; -1: none */
    int32_t generation;                                      /* the latest synced */
    uint32_t incarnations;
    struct map owners; /* generation, topic and partition -> incarnation */
};

struct check_groups *check_groups_new(struct history *history)
{
    struct check_groups *groups = memory_allocate_zeroed(sizeof *groups);
    groups->history = history;
    groups->generation = -1;
    map_init(&groups->owners);
    for (uint32_t i = 0; i < SWARM_TOPICS_MAX; i++) {
        for (uint32_t j = 0; j < HISTORY_PARTITIONS_MAX; j++) {
            groups->acked[i][j] = -1;
        }
    }
    return groups;
}

void check_groups_free(struct check_groups *groups)
{
    map_free(&groups->owners);
    memory_free(groups->commits);
    memory_free(groups);
}

uint32_t check_incarnation(struct check_groups *groups)
{
    return ++groups->incarnations;
}

/* ---- Commits ---- */

uint32_t check_commit_begin(struct check_groups *groups, uint32_t topic, uint32_t partition,
                            int64_t offset)
{
    require(topic < SWARM_TOPICS_MAX && partition < HISTORY_PARTITIONS_MAX && offset >= 0);
    if (groups->commit_count == groups->commit_capacity) {
        groups->commit_capacity = groups->commit_capacity * 2 + 256;
        groups->commits =
            memory_reallocate(groups->commits, groups->commit_capacity * sizeof *groups->commits);
    }
    groups->commits[groups->commit_count] = (struct commit){topic, partition, offset, HISTORY_OPEN};
    return groups->commit_count++;
}

void check_commit_end(struct check_groups *groups, uint32_t number, enum history_fate fate)
{
    require(number < groups->commit_count);
    struct commit *commit = &groups->commits[number];
    require(commit->fate == HISTORY_OPEN);
    commit->fate = fate;
    int64_t *acked = &groups->acked[commit->topic][commit->partition];
    groups->commits_acked += fate == HISTORY_ACKED;
    if (fate == HISTORY_ACKED && commit->offset > *acked) {
        *acked = commit->offset;
    }
}

uint64_t check_commits_acked(const struct check_groups *groups)
{
    return groups->commits_acked;
}

int64_t check_committed(const struct check_groups *groups, uint32_t topic, uint32_t partition)
{
    require(topic < SWARM_TOPICS_MAX && partition < HISTORY_PARTITIONS_MAX);
    return groups->acked[topic][partition];
}

void check_committed_told(struct check_groups *groups, uint32_t topic, uint32_t partition,
                          int64_t before, int64_t offset, uint32_t number)
{
    struct sim_world *world = groups->history->world;
    const char *name = groups->history->topics[topic].name;
    if (offset < before) {
        sim_world_fail(world, "commit-back: %s-%u: %ld is told, but %ld was committed before that",
                       name, partition, (long)offset, (long)before);
        return;
    }
    if (offset < 0) {
        return;
    }
    const struct commit *commit = number < groups->commit_count ? &groups->commits[number] : NULL;
    if (commit == NULL || commit->topic != topic || commit->partition != partition ||
        commit->offset != offset) {
        sim_world_fail(world, "commit-phantom: %s-%u: %ld (commit %u) is told, which nobody made",
                       name, partition, (long)offset, number);
        return;
    }
    if (commit->fate == HISTORY_FAILED) {
        sim_world_fail(world, "fenced-commit: %s-%u: commit %u of %ld was refused, but is told",
                       name, partition, number, (long)offset);
    }
}

/* ---- Generations ---- */

int32_t check_generation(const struct check_groups *groups)
{
    return groups->generation;
}

void check_generation_joined(struct check_groups *groups, int32_t before, int32_t generation)
{
    if (generation < before) {
        sim_world_fail(groups->history->world,
                       "generation-back: a member joins generation %d after %d had begun",
                       generation, before);
    }
}

void check_generation_synced(struct check_groups *groups, int32_t generation)
{
    groups->generation = generation > groups->generation ? generation : groups->generation;
}

void check_assigned(struct check_groups *groups, int32_t generation, uint32_t topic,
                    uint32_t partition, uint32_t incarnation)
{
    require(generation >= 0 && incarnation > 0);
    uint64_t key = ((uint64_t)(uint32_t)generation << 32) | ((uint64_t)topic << 16) | partition;
    uintptr_t known = (uintptr_t)map_put(&groups->owners, key, (void *)(uintptr_t)incarnation);
    if (known != 0 && known != incarnation) {
        sim_world_fail(
            groups->history->world,
            "two-owners: %s-%u in generation %d: member %lu was told that it has it, now "
            "member %u",
            groups->history->topics[topic].name, partition, generation, (unsigned long)known,
            incarnation);
    }
}

bool check_group_has_caught_up(const struct check_groups *groups)
{
    const struct history *history = groups->history;
    for (uint32_t i = 0; i < history->topic_count; i++) {
        const struct history_topic *topic = &history->topics[i];
        bool is_read = topic->state == HISTORY_TOPIC_LIVE && !topic->churns;
        for (uint32_t j = 0; is_read && j < topic->partition_count; j++) {
            if (groups->acked[i][j] <= topic->partitions[j].acked_most) {
                return false;
            }
        }
    }
    return true;
}
