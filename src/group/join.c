/* SPDX-License-Identifier: Apache-2.0
 *
 * join.c -- JoinGroup: who may become or stay a member, and what it is told.
 *
 * A new dynamic member is first given an id and has to come back with it (KIP-394), so that clients
 * that time out and try again do not leave members behind.  A static member (KIP-345) that comes
 * back takes the place of its predecessor at once; the predecessor is fenced.
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "group/group_state.h"

#include <stdio.h>
#include <string.h>

#define MEMBER_ID_PREFIX_BYTES_MAX 200
#define MEMBER_ID_BYTES_MAX (MEMBER_ID_PREFIX_BYTES_MAX + 38)

/* ---- Answers ---- */

void group_refuse_join(struct group_join *join, enum wire_error error)
{
    require(error != WIRE_ERROR_NONE);
    join->error = error;
    join->generation = -1;
    join->done(join);
}

static bool list_members(const struct group *group, struct group_join *join)
{
    join->members =
        arena_allocate_array(join->arena, (size_t)group->member_count, sizeof(join->members[0]));
    if (join->members == NULL) {
        return false;
    }
    list_for_each(&group->members, node)
    {
        const struct group_member *member = container_of(node, struct group_member, node);
        struct group_joined_member *listed = &join->members[join->member_count++];
        listed->id = group_text_answer(join->arena, &member->id);
        listed->instance_id = group_text_answer(join->arena, &member->instance_id);
        listed->metadata =
            group_text_answer_bytes(join->arena, group_member_metadata(member, &group->protocol));
        if (listed->id.length < 0 || listed->metadata.length < 0) {
            return false;
        }
    }
    return true;
}

/* The present generation, to one of its members. */
static void tell_generation(struct group *group, const struct group_member *member,
                            struct group_join *join, const struct group_text *leader)
{
    join->error = WIRE_ERROR_NONE;
    join->generation = group->generation;
    join->answer_protocol_type = group_text_answer(join->arena, &group->protocol_type);
    join->answer_protocol = group_text_answer(join->arena, &group->protocol);
    join->leader = group_text_answer(join->arena, leader);
    join->answer_member_id = group_text_answer(join->arena, &member->id);
    bool is_leader = group_text_equal(leader, member->id.data, member->id.length);
    if (is_leader && !list_members(group, join)) {
        join->member_count = 0;
        join->skip_assignment = false;
        group_refuse_join(join, WIRE_ERROR_UNKNOWN_SERVER_ERROR);
        return;
    }
    join->done(join);
}

void group_answer_join(struct group_member *member, enum wire_error error)
{
    struct group_join *join = member->join;
    require(join != NULL && error != WIRE_ERROR_NONE);
    member->join = NULL;
    group_refuse_join(join, error);
}

static void answer_at_once(struct group *group, struct group_member *member,
                           struct group_join *join)
{
    ensure(group->leader != NULL && member->join == NULL);
    group_member_touch(group, member);
    tell_generation(group, member, join, &group->leader->id);
}

void group_tell_joined(struct group *group, struct group_member *member)
{
    struct group_join *join = member->join;
    require(join != NULL && group->leader != NULL);
    member->join = NULL;
    member->is_new = false;
    group_member_touch(group, member);
    tell_generation(group, member, join, &group->leader->id);
}

/* ---- Waiting ---- */

static void wait(struct group *group, struct group_member *member, struct group_join *join)
{
    ensure(group->life == GROUP_PREPARING_REBALANCE);
    if (member->join != NULL) {
        /* It asked again; whatever connection the first one came by is not listened to. */
        group_answer_join(member, WIRE_ERROR_REBALANCE_IN_PROGRESS);
    }
    member->join = join;
    if (member->is_new) {
        member->session_deadline_ms = group->table->now_ms + GROUP_NEW_MEMBER_TIMEOUT_MS;
        group_wake_at(group, member->session_deadline_ms);
    }
    group_complete_if_joined(group);
}

static void rebalance_and_wait(struct group *group, struct group_member *member,
                               struct group_join *join)
{
    group_rebalance(group);
    wait(group, member, join);
}

/* ---- New members ---- */

static struct wire_string new_id(struct group *group, const struct group_join *join,
                                 char text[MEMBER_ID_BYTES_MAX])
{
    char unique[37];
    group->table->host.unique_id(group->table->host.owner, unique);
    struct wire_string prefix = join->instance_id.length >= 0 ? join->instance_id : join->client_id;
    int32_t length = prefix.length > 0 ? prefix.length : 0;
    length = length < MEMBER_ID_PREFIX_BYTES_MAX ? length : MEMBER_ID_PREFIX_BYTES_MAX;
    int written = snprintf(text, MEMBER_ID_BYTES_MAX, "%.*s-%s", (int)length,
                           length > 0 ? prefix.data : "", unique);
    ensure(written > 0 && written < MEMBER_ID_BYTES_MAX);
    return (struct wire_string){text, written};
}

static void add(struct group *group, struct group_join *join, struct wire_string id)
{
    struct group_member *member = group_member_new(group, join, id);
    if (group->protocol_type.length <= 0) {
        group_text_set(&group->protocol_type, join->protocol_type.data, join->protocol_type.length);
    }
    group->got_members_in_delay = true;
    rebalance_and_wait(group, member, join);
}

/* The same instance, started anew: nobody else has to notice if it wants what it wanted. */
static void replace_static(struct group *group, struct group_member *member,
                           struct group_join *join, struct wire_string id)
{
    if (member->join != NULL) {
        group_answer_join(member, WIRE_ERROR_FENCED_INSTANCE_ID);
    }
    if (member->sync != NULL) {
        struct group_sync *sync = member->sync;
        member->sync = NULL;
        group_refuse_sync(sync, WIRE_ERROR_FENCED_INSTANCE_ID);
    }
    bool is_unchanged = group_member_has_protocols(member, join);
    struct group_text old_id = group_text_copy(member->id.data, member->id.length);
    group_member_rename(group, member, id);
    group_member_update(member, join);
    group_member_touch(group, member);
    if (group->life == GROUP_STABLE && is_unchanged) {
        group_keep_metadata(group);
        bool is_leader = member == group->leader;
        join->skip_assignment = is_leader && join->can_skip_assignment;
        /* A client that cannot skip the assignment must not believe that it leads: it would assign
         * anew, and no one would listen. */
        tell_generation(group, member, join,
                        is_leader && !join->skip_assignment ? &old_id : &group->leader->id);
    } else {
        rebalance_and_wait(group, member, join);
    }
    group_text_free(&old_id);
}

static void join_as_new(struct group *group, struct group_join *join)
{
    char text[MEMBER_ID_BYTES_MAX];
    struct wire_string id = new_id(group, join, text);
    struct group_member *holder = group_member_static(group, join->instance_id);
    if (holder != NULL) {
        replace_static(group, holder, join, id);
    } else if (join->instance_id.length < 0 && join->requires_member_id) {
        group_promise(group, id, join->session_timeout_ms);
        struct group_text own = {text, id.length};
        join->answer_member_id = group_text_answer(join->arena, &own);
        group_refuse_join(join, WIRE_ERROR_MEMBER_ID_REQUIRED);
    } else {
        add(group, join, id);
    }
}

/* ---- Known members ---- */

static void join_again(struct group *group, struct group_member *member, struct group_join *join)
{
    bool is_unchanged = group_member_has_protocols(member, join);
    switch (group->life) {
    case GROUP_PREPARING_REBALANCE:
        group_member_update(member, join);
        wait(group, member, join);
        return;
    case GROUP_COMPLETING_REBALANCE:
        if (is_unchanged) { /* the answer was lost on the way */
            answer_at_once(group, member, join);
            return;
        }
        break;
    case GROUP_STABLE:
        if (is_unchanged && member != group->leader) {
            answer_at_once(group, member, join);
            return;
        }
        break;
    case GROUP_EMPTY:
    case GROUP_DEAD:
    case GROUP_LIVES:
        unreachable_code(); /* it has a member */
    }
    group_member_update(member, join);
    rebalance_and_wait(group, member, join);
}

static void join_with_id(struct group *group, struct group_join *join)
{
    struct promised_member *promised = group_promised_find(group, join->member_id);
    if (promised != NULL && join->instance_id.length < 0) {
        struct group_text id = promised->id;
        promised->id = (struct group_text){NULL, -1};
        group_promised_remove(group, promised);
        add(group, join, group_text_view(&id));
        group_text_free(&id);
        return;
    }
    struct group_member *member = NULL;
    enum wire_error error = group_member_check(group, join->member_id, join->instance_id, &member);
    if (error != WIRE_ERROR_NONE) {
        group_refuse_join(join, error);
    } else {
        join_again(group, member, join);
    }
}

/* ---- The request ---- */

static enum wire_error check(const struct group_table *table, const struct group_join *join)
{
    enum wire_error error = group_check(table, join->group_id);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    if (join->session_timeout_ms < table->limits.session_timeout_min_ms ||
        join->session_timeout_ms > table->limits.session_timeout_max_ms) {
        return WIRE_ERROR_INVALID_SESSION_TIMEOUT;
    }
    if (join->protocol_type.length <= 0 || join->protocol_count <= 0) {
        return WIRE_ERROR_INCONSISTENT_GROUP_PROTOCOL;
    }
    return WIRE_ERROR_NONE;
}

/* Whether the group could still agree on a protocol with it. */
static bool fits(const struct group *group, const struct group_join *join)
{
    if (group->member_count == 0) {
        return true;
    }
    if (!group_text_equal(&group->protocol_type, join->protocol_type.data,
                          join->protocol_type.length)) {
        return false;
    }
    for (int32_t i = 0; i < join->protocol_count; i++) {
        if (group_all_speak(group, join->protocols[i].name)) {
            return true;
        }
    }
    return false;
}

static enum wire_error check_group(const struct group *group, const struct group_join *join)
{
    if (group->life == GROUP_DEAD) {
        return WIRE_ERROR_COORDINATOR_NOT_AVAILABLE; /* it is being deleted */
    }
    if (!fits(group, join)) {
        return WIRE_ERROR_INCONSISTENT_GROUP_PROTOCOL;
    }
    bool is_member = group_member_find(group, join->member_id) != NULL ||
                     group_member_static(group, join->instance_id) != NULL;
    if (!is_member && group->member_count >= group->table->limits.members_max) {
        return WIRE_ERROR_GROUP_MAX_SIZE_REACHED;
    }
    return WIRE_ERROR_NONE;
}

void group_join(struct group_table *table, struct group_join *join)
{
    join->members = NULL;
    join->member_count = 0;
    join->skip_assignment = false;
    join->leader = wire_string_from("");
    join->answer_member_id = join->member_id;
    join->answer_protocol = (struct wire_string){NULL, -1};
    join->answer_protocol_type = (struct wire_string){NULL, -1};
    if (join->instance_id.length == 0) {
        join->instance_id.length = -1; /* Kafka's clients forbid an empty one */
    }

    enum wire_error error = check(table, join);
    struct group *group = error == WIRE_ERROR_NONE ? group_find(table, join->group_id) : NULL;
    if (error == WIRE_ERROR_NONE && group == NULL) {
        if (join->member_id.length > 0) {
            error = WIRE_ERROR_UNKNOWN_MEMBER_ID;
        } else {
            group = group_make(table, join->group_id);
        }
    }
    if (error == WIRE_ERROR_NONE) {
        error = check_group(group, join);
    }
    if (error != WIRE_ERROR_NONE) {
        group_refuse_join(join, error);
    } else if (join->member_id.length > 0) {
        join_with_id(group, join);
    } else {
        join_as_new(group, join);
    }
}
