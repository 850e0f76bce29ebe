/* SPDX-License-Identifier: Apache-2.0
 *
 * expectations.c -- which incarnation of each node's replica a group listens to.
 *
 * A replica that was removed and comes back starts with an empty log.  What its earlier life
 * acknowledged in this leader's term may still be on its way, and would be counted as if the new
 * one had it.  The leader that adds a node is told the incarnation first; only answers in its own
 * term count, so what it is told need not outlive it.
 */
#include "base/assert.h"
#include "replica/manager.h"

static struct replica_expectation *place_for(struct replica_group *group, uint32_t node_id)
{
    const struct raft_membership *membership = raft_membership(group->raft);
    struct replica_expectation *free_place = NULL;
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        struct replica_expectation *place = &group->expectations[i];
        if (place->node_id == node_id) {
            return place;
        }
        if (!raft_membership_has_voter(membership, place->node_id) &&
            !raft_membership_has_learner(membership, place->node_id)) {
            free_place = place;
        }
    }
    return free_place;
}

void replica_group_expect(struct replica_group *group, uint32_t node_id, uint32_t incarnation)
{
    require(node_id != 0 && group->raft != NULL);
    struct replica_expectation *place = place_for(group, node_id);
    if (place == NULL) {
        return; /* every place is a member's: the node cannot become one now */
    }
    if (place->node_id != node_id) {
        *place = (struct replica_expectation){.node_id = node_id};
        group->has_expectations = true;
    }
    if (place->incarnation < incarnation) {
        place->incarnation = incarnation;
    }
}

bool replica_group_listens_to(const struct replica_group *group, uint32_t node_id,
                              uint32_t incarnation)
{
    if (!group->has_expectations) {
        return true;
    }
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (group->expectations[i].node_id == node_id) {
            return incarnation >= group->expectations[i].incarnation;
        }
    }
    return true;
}
