/* SPDX-License-Identifier: Apache-2.0
 *
 * member.c -- one member of a group: its protocols, its session, its places in the group's tables.
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "group/group_state.h"

#include <string.h>

/* ---- Finding ---- */

struct group_member *group_member_find(const struct group *group, struct wire_string id)
{
    return id.length > 0 ? map_get_bytes(&group->by_id, id.data, (size_t)id.length) : NULL;
}

struct group_member *group_member_static(const struct group *group, struct wire_string instance_id)
{
    return instance_id.length >= 0
               ? map_get_bytes(&group->by_instance, instance_id.data, (size_t)instance_id.length)
               : NULL;
}

enum wire_error group_member_check(const struct group *group, struct wire_string id,
                                   struct wire_string instance_id, struct group_member **member)
{
    if (instance_id.length >= 0) {
        struct group_member *holder = group_member_static(group, instance_id);
        if (holder == NULL) {
            return WIRE_ERROR_UNKNOWN_MEMBER_ID;
        }
        if (!group_text_equal(&holder->id, id.data, id.length)) {
            return WIRE_ERROR_FENCED_INSTANCE_ID;
        }
    }
    *member = group_member_find(group, id);
    return *member != NULL ? WIRE_ERROR_NONE : WIRE_ERROR_UNKNOWN_MEMBER_ID;
}

/* ---- Protocols ---- */

static void free_protocols(struct group_member *member)
{
    for (int32_t i = 0; i < member->protocol_count; i++) {
        group_text_free(&member->protocols[i].name);
        group_text_free(&member->protocols[i].metadata);
    }
    memory_free(member->protocols);
    member->protocols = NULL;
    member->protocol_count = 0;
}

void group_member_update(struct group_member *member, const struct group_join *join)
{
    free_protocols(member);
    member->protocols =
        memory_allocate((size_t)join->protocol_count * sizeof(member->protocols[0]));
    member->protocol_count = join->protocol_count;
    for (int32_t i = 0; i < join->protocol_count; i++) {
        const struct group_protocol *from = &join->protocols[i];
        int32_t length = from->metadata.length > 0 ? from->metadata.length : 0;
        member->protocols[i].name = group_text_of(from->name);
        member->protocols[i].metadata = group_text_copy(from->metadata.data, length);
    }
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    group_text_set(&member->client_id, join->client_id.data, join->client_id.length);
    group_text_set(&member->client_host, join->client_host.data, join->client_host.length);
}

bool group_member_has_protocols(const struct group_member *member, const struct group_join *join)
{
    if (member->protocol_count != join->protocol_count) {
        return false;
    }
    for (int32_t i = 0; i < join->protocol_count; i++) {
        const struct group_protocol *other = &join->protocols[i];
        int32_t length = other->metadata.length > 0 ? other->metadata.length : 0;
        if (!group_text_equal(&member->protocols[i].name, other->name.data, other->name.length) ||
            !group_text_equal(&member->protocols[i].metadata, other->metadata.data, length)) {
            return false;
        }
    }
    return true;
}

const struct group_text *group_member_metadata(const struct group_member *member,
                                               const struct group_text *protocol)
{
    static const struct group_text nothing = {NULL, 0};
    for (int32_t i = 0; i < member->protocol_count; i++) {
        const struct member_protocol *each = &member->protocols[i];
        if (group_text_equal(&each->name, protocol->data, protocol->length)) {
            return &each->metadata;
        }
    }
    return &nothing;
}

/* ---- Life ---- */

struct group_member *group_member_new(struct group *group, const struct group_join *join,
                                      struct wire_string id)
{
    require(id.length > 0 && group_member_find(group, id) == NULL);
    struct group_member *member = memory_allocate_zeroed(sizeof *member);
    member->id = group_text_of(id);
    member->instance_id = group_text_of(join->instance_id);
    member->client_id.length = -1;
    member->client_host.length = -1;
    member->assignment = (struct group_text){NULL, 0};
    member->is_new = true;
    group_member_update(member, join);

    list_append(&group->members, &member->node);
    group->member_count++;
    map_put_bytes(&group->by_id, member->id.data, (size_t)member->id.length, member);
    if (member->instance_id.length >= 0) {
        void *other = map_put_bytes(&group->by_instance, member->instance_id.data,
                                    (size_t)member->instance_id.length, member);
        ensure(other == NULL);
    }
    group_member_touch(group, member);
    return member;
}

void group_member_remove(struct group *group, struct group_member *member)
{
    require(member->join == NULL && member->sync == NULL);
    list_remove(&member->node);
    group->member_count--;
    map_take_bytes(&group->by_id, member->id.data, (size_t)member->id.length);
    if (member->instance_id.length >= 0) {
        map_take_bytes(&group->by_instance, member->instance_id.data,
                       (size_t)member->instance_id.length);
    }
    if (group->leader == member) {
        group->leader = NULL;
    }
    free_protocols(member);
    group_text_free(&member->id);
    group_text_free(&member->instance_id);
    group_text_free(&member->client_id);
    group_text_free(&member->client_host);
    group_text_free(&member->assignment);
    memory_free(member);
}

void group_member_rename(struct group *group, struct group_member *member, struct wire_string id)
{
    require(group_member_find(group, id) == NULL);
    map_take_bytes(&group->by_id, member->id.data, (size_t)member->id.length);
    group_text_set(&member->id, id.data, id.length);
    map_put_bytes(&group->by_id, member->id.data, (size_t)member->id.length, member);
}

void group_member_touch(struct group *group, struct group_member *member)
{
    member->session_deadline_ms = group->table->now_ms + member->session_timeout_ms;
    group_wake_at(group, member->session_deadline_ms);
}

/* ---- Promised ids ---- */

struct promised_member *group_promised_find(const struct group *group, struct wire_string id)
{
    list_for_each(&group->promised, node)
    {
        struct promised_member *promised = container_of(node, struct promised_member, node);
        if (group_text_equal(&promised->id, id.data, id.length)) {
            return promised;
        }
    }
    return NULL;
}

void group_promise(struct group *group, struct wire_string id, int32_t session_timeout_ms)
{
    struct promised_member *promised = memory_allocate_zeroed(sizeof *promised);
    promised->id = group_text_of(id);
    promised->deadline_ms = group->table->now_ms + session_timeout_ms;
    list_append(&group->promised, &promised->node);
    group->promised_count++;
    group_wake_at(group, promised->deadline_ms);
}

void group_promised_remove(struct group *group, struct promised_member *promised)
{
    list_remove(&promised->node);
    group->promised_count--;
    group_text_free(&promised->id);
    memory_free(promised);
}
