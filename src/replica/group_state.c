/* SPDX-License-Identifier: Apache-2.0
 *
 * group_state.c -- the life of a group as a table of states with their allowed successors, and the
 * one function that moves along it.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "replica/manager.h"

#include <string.h>

_Static_assert(sizeof(struct replica_group) <= 1024, "a thousand groups are a megabyte");

static const char *const state_names[GROUP_STATES] = {
#define STATE_TEXT(name, text) [name] = text,
    REPLICA_GROUP_STATES(STATE_TEXT)
#undef STATE_TEXT
};

#define TO(state) (1u << (state))

static const uint32_t successors[GROUP_STATES] = {
    [GROUP_STARTING] =
        TO(GROUP_RUNNING) | TO(GROUP_FAILED) | TO(GROUP_STOPPING) | TO(GROUP_DELETING),
    [GROUP_RUNNING] = TO(GROUP_FAILED) | TO(GROUP_STOPPING) | TO(GROUP_DELETING),
    [GROUP_FAILED] = TO(GROUP_STOPPING) | TO(GROUP_DELETING),
    [GROUP_STOPPING] = TO(GROUP_GONE) | TO(GROUP_DELETING),
    [GROUP_DELETING] = TO(GROUP_GONE),
    [GROUP_GONE] = 0,
};

const char *replica_group_state_name(enum replica_group_state state)
{
    require(state < GROUP_STATES);
    return state_names[state];
}

static void count(struct replica_group *group, enum replica_group_state from,
                  enum replica_group_state to)
{
    struct replica_stats *stats = &group->manager->stats;
    counter_add(&stats->groups_running,
                (uint64_t)(to == GROUP_RUNNING) - (uint64_t)(from == GROUP_RUNNING));
    counter_add(&stats->groups_failed,
                (uint64_t)(to == GROUP_FAILED) - (uint64_t)(from == GROUP_FAILED));
    bool is_leaderless = to == GROUP_RUNNING;
    counter_add(&stats->groups_leaderless,
                (uint64_t)is_leaderless - (uint64_t)group->is_leaderless);
    group->is_leaderless = is_leaderless;
}

void replica_group_move(struct replica_group *group, enum replica_group_state state)
{
    enum replica_group_state from = group->state;
    require(state < GROUP_STATES);
    require((successors[from] & TO(state)) != 0);
    trace_debug("group %llu: %s -> %s", (unsigned long long)group->id, state_names[from],
                state_names[state]);
    group->state = state;
    count(group, from, state);
}

struct replica_group *replica_group_new(struct replica_manager *manager, uint64_t group_id,
                                        struct applier *applier)
{
    require(group_id != 0 && map_get(&manager->groups, group_id) == NULL);
    struct replica_group *group = memory_allocate_zeroed(sizeof *group);
    group->id = group_id;
    group->manager = manager;
    group->applier = applier;
    group->applier_type = applier != NULL ? applier->type : NULL;
    group->state = GROUP_STARTING;
    list_init(&group->stop_waiters);
    list_init(&group->barriers);
    list_init(&group->transfers);
    list_node_init(&group->dirty_node);
    list_node_init(&group->apply_node);
    list_node_init(&group->due_node);
    list_node_init(&group->close_node);
    list_node_init(&group->created_node);
    map_put(&manager->groups, group_id, group);
    return group;
}

void replica_group_free(struct replica_group *group)
{
    require(group->state == GROUP_GONE && group->holds == 0);
    require(list_is_empty(&group->stop_waiters) && list_is_empty(&group->barriers));
    ensure(!list_is_linked(&group->dirty_node) && !list_is_linked(&group->due_node));
    ensure(group->raft == NULL && group->log == NULL && group->install == NULL);
    ensure(!list_is_linked(&group->apply_node));
    list_remove(&group->created_node);
    io_file_release(group->record_file);
    memory_free(group->successor);
    map_take(&group->manager->groups, group->id);
    memory_free(group);
}

void replica_group_hold(struct replica_group *group)
{
    ensure(group->holds < UINT32_MAX);
    group->holds++;
}

void replica_group_unhold(struct replica_group *group)
{
    require(group->holds > 0);
    group->holds--;
    if (group->holds > 0) {
        return;
    }
    if (group->state == GROUP_STOPPING || group->state == GROUP_DELETING) {
        replica_group_released(group);
    }
}

void replica_group_fail(struct replica_group *group, enum replica_result failure,
                        const char *reason)
{
    require(failure == REPLICA_DAMAGED || failure == REPLICA_DISK_FAILED ||
            failure == REPLICA_FOREIGN);
    if (group->state != GROUP_RUNNING && group->state != GROUP_STARTING) {
        return; /* it failed before, or is on its way out */
    }
    trace_error("group %llu: not served any more: %s (%s)", (unsigned long long)group->id,
                replica_result_text(failure), reason);
    bool was_running = group->state == GROUP_RUNNING;
    group->failure = failure;
    replica_group_move(group, GROUP_FAILED);
    if (was_running) {
        replica_group_begin_retire(group);
    }
}
