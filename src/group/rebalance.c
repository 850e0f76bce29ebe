/* SPDX-License-Identifier: Apache-2.0
 *
 * rebalance.c -- from one generation to the next: who is waited for, when the waiting ends, which
 * protocol is chosen.
 *
 * A group that was empty waits a little for more members to come, and again while they come, up to
 * the rebalance timeout (KIP-134); any other waits until all its members have joined again or the
 * longest of their rebalance timeouts is over.
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "group/group_state.h"

static int32_t longest_rebalance_timeout(const struct group *group)
{
    int32_t longest = 0;
    list_for_each(&group->members, node)
    {
        const struct group_member *member = container_of(node, struct group_member, node);
        longest = member->rebalance_timeout_ms > longest ? member->rebalance_timeout_ms : longest;
    }
    return longest;
}

/* ---- The join phase ---- */

static void set_join_deadline(struct group *group, int64_t wait_ms)
{
    group->join_deadline_ms = group->table->now_ms + wait_ms;
    group_wake_at(group, group->join_deadline_ms);
}

void group_rebalance(struct group *group)
{
    if (group->life == GROUP_PREPARING_REBALANCE) {
        return;
    }
    if (group->life == GROUP_COMPLETING_REBALANCE) {
        group_answer_syncs(group, WIRE_ERROR_REBALANCE_IN_PROGRESS);
    }
    int64_t timeout_ms = longest_rebalance_timeout(group);
    int64_t delay_ms = group->table->limits.initial_rebalance_delay_ms;
    group->is_first_delay = group->life == GROUP_EMPTY && delay_ms > 0;
    if (group->is_first_delay) {
        delay_ms = delay_ms < timeout_ms ? delay_ms : timeout_ms;
        group->delay_left_ms = timeout_ms - delay_ms;
        group->got_members_in_delay = false;
        set_join_deadline(group, delay_ms);
    } else {
        set_join_deadline(group, timeout_ms);
    }
    group_enter(group, GROUP_PREPARING_REBALANCE);
}

/* ---- The protocol ---- */

static bool speaks(const struct group_member *member, struct wire_string protocol)
{
    for (int32_t i = 0; i < member->protocol_count; i++) {
        if (group_text_equal(&member->protocols[i].name, protocol.data, protocol.length)) {
            return true;
        }
    }
    return false;
}

bool group_all_speak(const struct group *group, struct wire_string protocol)
{
    list_for_each(&group->members, node)
    {
        if (!speaks(container_of(node, struct group_member, node), protocol)) {
            return false;
        }
    }
    return true;
}

/* What the member likes best of what all speak. */
static const struct group_text *vote_of(const struct group *group,
                                        const struct group_member *member)
{
    for (int32_t i = 0; i < member->protocol_count; i++) {
        if (group_all_speak(group, group_text_view(&member->protocols[i].name))) {
            return &member->protocols[i].name;
        }
    }
    return NULL;
}

static int32_t count_votes(const struct group *group, const struct group_text *protocol)
{
    int32_t votes = 0;
    list_for_each(&group->members, node)
    {
        const struct group_text *vote =
            vote_of(group, container_of(node, struct group_member, node));
        votes += vote != NULL && group_text_equal(vote, protocol->data, protocol->length);
    }
    return votes;
}

static void choose_protocol(struct group *group)
{
    /* Every candidate is somebody's vote; the first member's candidates are all there are. */
    struct group_member *first =
        container_of(list_first(&group->members), struct group_member, node);
    const struct group_text *chosen = NULL;
    int32_t most = -1;
    for (int32_t i = 0; i < first->protocol_count; i++) {
        const struct group_text *candidate = &first->protocols[i].name;
        int32_t votes =
            group_all_speak(group, group_text_view(candidate)) ? count_votes(group, candidate) : -1;
        if (votes > most) {
            most = votes;
            chosen = candidate;
        }
    }
    ensure(chosen != NULL); /* join refuses who shares none with the others */
    group_text_set(&group->protocol, chosen->data, chosen->length);
}

/* ---- The end of the join phase ---- */

static void drop_absent(struct group *group)
{
    list_for_each(&group->members, node)
    {
        struct group_member *member = container_of(node, struct group_member, node);
        /* A static one may be starting anew: its session says when it is gone. */
        if (member->join == NULL && member->instance_id.length < 0) {
            group_member_remove(group, member);
        }
    }
}

/* False: nobody is there to lead. */
static bool choose_leader(struct group *group)
{
    if (group->leader != NULL && group->leader->join != NULL) {
        return true;
    }
    list_for_each(&group->members, node)
    {
        struct group_member *member = container_of(node, struct group_member, node);
        if (member->join != NULL) {
            group->leader = member;
            return true;
        }
    }
    return false;
}

static void become_empty(struct group *group)
{
    group_enter(group, GROUP_EMPTY);
    group_text_set(&group->protocol, NULL, -1);
    group_keep_metadata(group);
}

static void begin_generation(struct group *group)
{
    choose_protocol(group);
    group_enter(group, GROUP_COMPLETING_REBALANCE);
    group->sync_deadline_ms = group->table->now_ms + longest_rebalance_timeout(group);
    group_wake_at(group, group->sync_deadline_ms);
    list_for_each(&group->members, node)
    {
        container_of(node, struct group_member, node)->has_synced = false;
    }
    list_for_each(&group->members, each)
    {
        struct group_member *member = container_of(each, struct group_member, node);
        if (member->join != NULL) {
            group_tell_joined(group, member);
        }
    }
}

static void complete(struct group *group)
{
    require(group->life == GROUP_PREPARING_REBALANCE);
    group->is_first_delay = false;
    drop_absent(group);
    if (group->member_count > 0 && !choose_leader(group)) {
        set_join_deadline(group, longest_rebalance_timeout(group));
        return;
    }
    group->generation = group->generation < INT32_MAX ? group->generation + 1 : 1;
    group->table->rebalances++;
    if (group->member_count == 0) {
        become_empty(group);
    } else {
        begin_generation(group);
    }
}

void group_complete_if_joined(struct group *group)
{
    if (group->life != GROUP_PREPARING_REBALANCE || group->is_first_delay ||
        group->promised_count > 0) {
        return;
    }
    list_for_each(&group->members, node)
    {
        if (container_of(node, struct group_member, node)->join == NULL) {
            return;
        }
    }
    complete(group);
}

void group_join_phase_is_over(struct group *group)
{
    if (group->is_first_delay && group->got_members_in_delay && group->delay_left_ms > 0) {
        int64_t delay_ms = group->table->limits.initial_rebalance_delay_ms;
        delay_ms = delay_ms < group->delay_left_ms ? delay_ms : group->delay_left_ms;
        group->delay_left_ms -= delay_ms;
        group->got_members_in_delay = false;
        set_join_deadline(group, delay_ms);
        return;
    }
    complete(group);
}

void group_expel(struct group *group, struct group_member *member)
{
    group_member_remove(group, member);
    if (group->life == GROUP_STABLE || group->life == GROUP_COMPLETING_REBALANCE) {
        group_rebalance(group);
    }
    group_complete_if_joined(group);
}
