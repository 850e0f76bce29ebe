/* SPDX-License-Identifier: Apache-2.0
 *
 * answers.c -- answers that wait for the end of the turn, so that no callback runs inside the call
 * that it answers; and the sentences for results.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "replica/manager.h"

static const char *const result_texts[] = {
    [REPLICA_OK] = "ok",
    [REPLICA_INVALID_GROUP_ID] = "invalid raft group ID",
    [REPLICA_ALREADY_RUNNING] = "Raft group already running",
    [REPLICA_NOT_RUNNING] = "Raft group not running",
    [REPLICA_DELETED] = "Raft group was deleted",
    [REPLICA_SUPERSEDED] = "a later replica of the Raft group runs here",
    [REPLICA_FOREIGN] = "Raft group directory belongs to another cluster or broker",
    [REPLICA_DAMAGED] = "Raft group data is damaged",
    [REPLICA_DISK_FAILED] = "disk failed",
    [REPLICA_NOT_LEADER] = "not the leader of the Raft group",
    [REPLICA_NOT_READY] = "leader of the Raft group is not ready",
    [REPLICA_FULL] = "too much is uncommitted in the Raft group",
    [REPLICA_BUSY] = "Raft group is busy with another change",
    [REPLICA_BAD_REQUEST] = "request makes no sense for the Raft group",
};

const char *replica_result_text(enum replica_result result)
{
    require((size_t)result < sizeof result_texts / sizeof result_texts[0]);
    return result_texts[result];
}

static struct replica_answer *new_answer(struct replica_manager *manager, void *context,
                                         enum replica_result result)
{
    struct replica_answer *answer = memory_allocate_zeroed(sizeof *answer);
    answer->context = context;
    answer->result = result;
    list_node_init(&answer->node);
    list_append(&manager->answers, &answer->node);
    replica_manager_wake(manager);
    return answer;
}

void replica_answer_start(struct replica_manager *manager,
                          void (*done)(void *context, enum replica_result result,
                                       struct replica_group *group),
                          void *context, enum replica_result result, struct replica_group *group)
{
    require(done != NULL);
    struct replica_answer *answer = new_answer(manager, context, result);
    answer->start_done = done;
    answer->group = group;
}

void replica_answer_stop(struct replica_manager *manager,
                         void (*done)(void *context, enum replica_result result), void *context,
                         enum replica_result result)
{
    require(done != NULL);
    new_answer(manager, context, result)->stop_done = done;
}

void replica_answers_give(struct replica_manager *manager)
{
    struct list_node *node;
    while ((node = list_take_first(&manager->answers)) != NULL) {
        struct replica_answer *answer = container_of(node, struct replica_answer, node);
        if (answer->start_done != NULL) {
            answer->start_done(answer->context, answer->result, answer->group);
        } else {
            answer->stop_done(answer->context, answer->result);
        }
        memory_free(answer);
    }
}
