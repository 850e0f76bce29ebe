/* SPDX-License-Identifier: Apache-2.0
 *
 * barriers.c -- reads that wait until this broker is known to lead still, and until what was
 * committed when they came is applied.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "replica/manager.h"

void replica_read_barrier(struct replica_group *group, void (*done)(void *context, bool confirmed),
                          void *context)
{
    require(done != NULL);
    struct replica_manager *manager = group->manager;
    struct replica_barrier *barrier = memory_allocate_zeroed(sizeof *barrier);
    barrier->done = done;
    barrier->context = context;
    list_node_init(&barrier->node);
    bool is_asked = group->state == GROUP_RUNNING && group->standing.is_leader &&
                    raft_read_barrier(group->raft, &barrier->round) == RAFT_OK;
    if (is_asked) {
        barrier->read_index = raft_commit_index(group->raft);
        list_append(&group->barriers, &barrier->node);
        replica_group_touched(group);
    } else {
        list_append(&manager->decided_barriers, &barrier->node);
        replica_manager_wake(manager);
    }
}

static bool is_among(uint64_t round, const uint64_t *rounds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (rounds[i] == round) {
            return true;
        }
    }
    return false;
}

void replica_barriers_decided(struct replica_group *group, const uint64_t *rounds, uint32_t count,
                              bool confirmed)
{
    list_for_each(&group->barriers, node)
    {
        struct replica_barrier *barrier = container_of(node, struct replica_barrier, node);
        if (barrier->has_passed || !is_among(barrier->round, rounds, count)) {
            continue;
        }
        barrier->has_passed = confirmed;
        if (!confirmed) {
            list_remove(&barrier->node);
            list_append(&group->manager->decided_barriers, &barrier->node);
        }
    }
    if (count > 0) {
        replica_apply_mark(group);
    }
}

void replica_barriers_serve(struct replica_group *group)
{
    list_for_each(&group->barriers, node)
    {
        struct replica_barrier *barrier = container_of(node, struct replica_barrier, node);
        if (barrier->has_passed && barrier->read_index <= group->applied_index) {
            list_remove(&barrier->node);
            list_append(&group->manager->decided_barriers, &barrier->node);
            replica_manager_wake(group->manager);
        }
    }
}

void replica_barriers_fail(struct replica_group *group)
{
    struct list_node *node;
    while ((node = list_take_first(&group->barriers)) != NULL) {
        container_of(node, struct replica_barrier, node)->has_passed = false;
        list_append(&group->manager->decided_barriers, node);
        replica_manager_wake(group->manager);
    }
}

void replica_barriers_answer(struct replica_manager *manager)
{
    struct list_node *node;
    while ((node = list_take_first(&manager->decided_barriers)) != NULL) {
        struct replica_barrier *barrier = container_of(node, struct replica_barrier, node);
        barrier->done(barrier->context, barrier->has_passed);
        memory_free(barrier);
    }
}
