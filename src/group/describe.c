/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.c -- DescribeGroups and ListGroups: groups as they look from outside.
 *
 * Locality: the shard of the partition.
 */
#include "group/group_state.h"

static bool describe_member(const struct group *group, const struct group_member *member,
                            struct arena *arena, struct group_member_view *view)
{
    view->id = group_text_answer(arena, &member->id);
    view->instance_id = group_text_answer(arena, &member->instance_id);
    view->client_id = group_text_answer(arena, &member->client_id);
    view->client_host = group_text_answer(arena, &member->client_host);
    /* Until a protocol is chosen there is nothing that everybody would understand. */
    static const struct group_text nothing = {NULL, 0};
    bool is_settled = group->life == GROUP_STABLE || group->life == GROUP_COMPLETING_REBALANCE;
    view->metadata = group_text_answer_bytes(
        arena, is_settled ? group_member_metadata(member, &group->protocol) : &nothing);
    view->assignment = group_text_answer_bytes(
        arena, group->life == GROUP_STABLE ? &member->assignment : &nothing);
    return view->id.length >= 0 && view->metadata.length >= 0 && view->assignment.length >= 0;
}

static void describe_head(const struct group *group, struct group_view *view)
{
    view->state = group_life_name(group->life);
    view->protocol_type = group_text_view(&group->protocol_type);
    view->protocol = group->life == GROUP_STABLE ? group_text_view(&group->protocol)
                                                 : (struct wire_string){"", 0};
}

bool group_describe(const struct group_table *table, struct wire_string group_id,
                    struct arena *arena, struct group_view *view)
{
    *view = (struct group_view){.id = group_id, .state = group_life_name(GROUP_DEAD)};
    const struct group *group = group_find(table, group_id);
    if (group == NULL) {
        return true;
    }
    describe_head(group, view);
    view->protocol_type = group_text_answer(arena, &group->protocol_type);
    if (group->life == GROUP_STABLE) {
        view->protocol = group_text_answer(arena, &group->protocol);
    }
    view->members =
        arena_allocate_array(arena, (size_t)group->member_count, sizeof(view->members[0]));
    if (view->members == NULL) {
        return false;
    }
    list_for_each(&group->members, node)
    {
        if (!describe_member(group, container_of(node, struct group_member, node), arena,
                             &view->members[view->member_count++])) {
            return false;
        }
    }
    return true;
}

bool group_next(const struct group_table *table, size_t *position, struct group_view *view)
{
    const struct group *group = map_next(&table->groups, position);
    if (group == NULL) {
        return false;
    }
    *view = (struct group_view){.id = group_text_view(&group->id)};
    describe_head(group, view);
    view->member_count = group->member_count;
    return true;
}
