/* SPDX-License-Identifier: Apache-2.0
 *
 * membership.c -- questions about a membership as a value.
 *
 * Not here: how a group moves from one to the next (reconfigure.c).
 *
 * Locality: any; pure.
 */
#include "raft/membership.h"

#include "raft/raft_private.h"

#include <string.h>

static int position_of(const uint32_t *nodes, uint32_t count, uint32_t node_id)
{
    for (uint32_t i = 0; i < count; ++i)
        if (nodes[i] == node_id)
            return (int)i;
    return -1;
}

int raft_membership_voter_position(const struct raft_membership *membership, uint32_t node_id)
{
    return position_of(membership->voters, membership->voter_count, node_id);
}

bool raft_membership_has_voter(const struct raft_membership *membership, uint32_t node_id)
{
    return position_of(membership->voters, membership->voter_count, node_id) >= 0;
}

bool raft_membership_has_learner(const struct raft_membership *membership, uint32_t node_id)
{
    return position_of(membership->learners, membership->learner_count, node_id) >= 0;
}

uint32_t raft_membership_quorum(const struct raft_membership *membership)
{
    return membership->voter_count / 2 + 1;
}

static bool lists_are_equal(const uint32_t *left, uint32_t left_count, const uint32_t *right,
                            uint32_t right_count)
{
    return left_count == right_count && memcmp(left, right, left_count * sizeof(left[0])) == 0;
}

bool raft_membership_equal(const struct raft_membership *left, const struct raft_membership *right)
{
    return lists_are_equal(left->voters, left->voter_count, right->voters, right->voter_count) &&
           lists_are_equal(left->learners, left->learner_count, right->learners,
                           right->learner_count);
}

/* Ascending, so without duplicates, and nobody is node 0. */
static bool list_is_valid(const uint32_t *nodes, uint32_t count)
{
    uint32_t previous = 0;
    for (uint32_t i = 0; i < count; ++i) {
        if (nodes[i] <= previous)
            return false;
        previous = nodes[i];
    }
    return true;
}

bool raft_membership_is_valid(const struct raft_membership *membership)
{
    if (membership->voter_count == 0 || membership->voter_count > RAFT_MEMBERS_MAX ||
        membership->learner_count > RAFT_MEMBERS_MAX)
        return false;
    if (!list_is_valid(membership->voters, membership->voter_count) ||
        !list_is_valid(membership->learners, membership->learner_count))
        return false;
    for (uint32_t i = 0; i < membership->learner_count; ++i)
        if (raft_membership_has_voter(membership, membership->learners[i]))
            return false;
    return true;
}
