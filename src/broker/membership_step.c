/* SPDX-License-Identifier: Apache-2.0
 *
 * membership_step.c -- see membership_step.h.
 */
#include "broker/membership_step.h"

#include <string.h>

#define CAUGHT_UP_INDEXES 1000

enum member_standing member_standing_of(const struct replica_group_view *view, uint32_t broker_id,
                                        const struct replica_member_view **member)
{
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (view->members[i].node_id == broker_id) {
            if (member != NULL) {
                *member = &view->members[i];
            }
            return view->members[i].is_voter ? MEMBER_VOTER : MEMBER_LEARNER;
        }
    }
    if (member != NULL) {
        *member = NULL;
    }
    return MEMBER_NONE;
}

bool member_is_caught_up(const struct replica_group_view *view,
                         const struct replica_member_view *member)
{
    return member->is_active && (member->lag_indexes <= CAUGHT_UP_INDEXES ||
                                 member->match_index + CAUGHT_UP_INDEXES >= view->commit_index);
}

static void insert(uint32_t *ids, uint32_t *count, uint32_t id)
{
    uint32_t at = (*count)++;
    while (at > 0 && ids[at - 1] > id) {
        ids[at] = ids[at - 1];
        at--;
    }
    ids[at] = id;
}

static void insert_as(struct raft_membership *members, uint32_t broker_id,
                      enum member_standing standing)
{
    if (standing == MEMBER_VOTER) {
        insert(members->voters, &members->voter_count, broker_id);
    } else if (standing == MEMBER_LEARNER) {
        insert(members->learners, &members->learner_count, broker_id);
    }
}

bool membership_step(const struct replica_group_view *view, uint32_t broker_id,
                     enum member_standing standing, uint32_t epoch, struct raft_membership *members)
{
    bool is_new = member_standing_of(view, broker_id, NULL) == MEMBER_NONE;
    memset(members, 0, sizeof *members);
    if (is_new && standing != MEMBER_NONE && view->member_count == RAFT_MEMBERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        if (member->node_id != broker_id) {
            insert_as(members, member->node_id, member->is_voter ? MEMBER_VOTER : MEMBER_LEARNER);
        }
    }
    insert_as(members, broker_id, standing);
    members->epoch = epoch;
    return members->voter_count > 0;
}
