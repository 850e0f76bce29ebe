/* SPDX-License-Identifier: Apache-2.0
 *
 * sessions.c -- Heartbeat, LeaveGroup, and what happens to members that are not heard from.
 *
 * A member that waits for an answer of ours cannot heartbeat, so its session does not end; but one
 * that never got an answer yet is given up after five minutes.
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "group/group_state.h"

enum wire_error group_check(const struct group_table *table, struct wire_string group_id)
{
    if (!table->leads) {
        return WIRE_ERROR_NOT_COORDINATOR;
    }
    return group_id.length > 0 ? WIRE_ERROR_NONE : WIRE_ERROR_INVALID_GROUP_ID;
}

/* ---- Heartbeat ---- */

enum wire_error group_heartbeat(struct group_table *table, struct wire_string group_id,
                                struct wire_string member_id, struct wire_string instance_id,
                                int32_t generation)
{
    enum wire_error error = group_check(table, group_id);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    struct group *group = group_find(table, group_id);
    if (group == NULL) {
        return WIRE_ERROR_UNKNOWN_MEMBER_ID;
    }
    if (group->life == GROUP_DEAD) {
        return WIRE_ERROR_COORDINATOR_NOT_AVAILABLE;
    }
    struct group_member *member = NULL;
    error = group_member_check(group, member_id, instance_id, &member);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    if (generation != group->generation) {
        return WIRE_ERROR_ILLEGAL_GENERATION;
    }
    group_member_touch(group, member);
    return group->life == GROUP_PREPARING_REBALANCE ? WIRE_ERROR_REBALANCE_IN_PROGRESS
                                                    : WIRE_ERROR_NONE;
}

/* ---- Leaving ---- */

static void give_up_waiting(struct group_member *member)
{
    if (member->join != NULL) {
        group_answer_join(member, WIRE_ERROR_UNKNOWN_MEMBER_ID);
    }
    if (member->sync != NULL) {
        struct group_sync *sync = member->sync;
        member->sync = NULL;
        group_refuse_sync(sync, WIRE_ERROR_UNKNOWN_MEMBER_ID);
    }
}

enum wire_error group_leave(struct group_table *table, struct wire_string group_id,
                            struct wire_string member_id, struct wire_string instance_id)
{
    enum wire_error error = group_check(table, group_id);
    struct group *group = error == WIRE_ERROR_NONE ? group_find(table, group_id) : NULL;
    if (error != WIRE_ERROR_NONE || group == NULL) {
        return error != WIRE_ERROR_NONE ? error : WIRE_ERROR_UNKNOWN_MEMBER_ID;
    }
    struct promised_member *promised = group_promised_find(group, member_id);
    if (promised != NULL) {
        group_promised_remove(group, promised);
        group_complete_if_joined(group);
        (void)group_drop_if_idle(group);
        return WIRE_ERROR_NONE;
    }
    struct group_member *member = NULL;
    if (member_id.length <= 0 && instance_id.length > 0) {
        member = group_member_static(group, instance_id); /* an administrator's request */
        error = member != NULL ? WIRE_ERROR_NONE : WIRE_ERROR_UNKNOWN_MEMBER_ID;
    } else {
        error = group_member_check(group, member_id, instance_id, &member);
    }
    if (error == WIRE_ERROR_NONE) {
        give_up_waiting(member);
        group_expel(group, member);
    }
    return error;
}

/* ---- Deadlines ---- */

static bool is_silent(const struct group *group, const struct group_member *member)
{
    bool is_waiting = (member->join != NULL && !member->is_new) || member->sync != NULL;
    return !is_waiting && member->session_deadline_ms <= group->table->now_ms;
}

static void end_silent_sessions(struct group *group)
{
    list_for_each(&group->members, node)
    {
        struct group_member *member = container_of(node, struct group_member, node);
        if (is_silent(group, member)) {
            give_up_waiting(member);
            group_expel(group, member);
        }
    }
}

/* Those that joined the generation but never asked what they were given. */
static void end_unsynced(struct group *group)
{
    list_for_each(&group->members, node)
    {
        struct group_member *member = container_of(node, struct group_member, node);
        if (!member->has_synced) {
            group_expel(group, member);
        }
    }
}

static void break_promises(struct group *group)
{
    list_for_each(&group->promised, node)
    {
        struct promised_member *promised = container_of(node, struct promised_member, node);
        if (promised->deadline_ms <= group->table->now_ms) {
            group_promised_remove(group, promised);
        }
    }
    group_complete_if_joined(group);
}

static void find_next_deadline(struct group *group)
{
    group->due_ms = GROUP_NEVER_MS;
    if (group->life == GROUP_PREPARING_REBALANCE) {
        group_wake_at(group, group->join_deadline_ms);
    }
    if (group->life == GROUP_COMPLETING_REBALANCE) {
        group_wake_at(group, group->sync_deadline_ms);
    }
    list_for_each(&group->members, node)
    {
        const struct group_member *member = container_of(node, struct group_member, node);
        bool is_waiting = (member->join != NULL && !member->is_new) || member->sync != NULL;
        if (!is_waiting) {
            group_wake_at(group, member->session_deadline_ms);
        }
    }
    list_for_each(&group->promised, each)
    {
        group_wake_at(group, container_of(each, struct promised_member, node)->deadline_ms);
    }
}

void group_look_at_deadlines(struct group *group)
{
    int64_t now_ms = group->table->now_ms;
    end_silent_sessions(group);
    break_promises(group);
    if (group->life == GROUP_PREPARING_REBALANCE && group->join_deadline_ms <= now_ms) {
        group_join_phase_is_over(group);
    } else if (group->life == GROUP_COMPLETING_REBALANCE && group->sync_deadline_ms <= now_ms &&
               group->writing == NULL) {
        end_unsynced(group);
    }
    find_next_deadline(group);
    (void)group_drop_if_idle(group);
}
