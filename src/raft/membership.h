/* SPDX-License-Identifier: Apache-2.0
 *
 * membership.h -- who belongs to a Raft group: voters, who decide, and learners, who only receive.
 * A value; changed one server at a time (Raft thesis, section 4.1).
 *
 * Locality: any; plain data.
 */
#ifndef RAFT_MEMBERSHIP_H
#define RAFT_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#define RAFT_MEMBERS_MAX 16

struct raft_membership {
    uint32_t voter_count;
    uint32_t learner_count;
    uint32_t voters[RAFT_MEMBERS_MAX]; /* node ids, ascending; Invariant: disjoint from learners */
    uint32_t learners[RAFT_MEMBERS_MAX]; /* node ids, ascending */
    uint32_t epoch; /* the host's: of the decision this membership follows; never falls in a log */
};

bool raft_membership_has_voter(const struct raft_membership *membership, uint32_t node_id);
bool raft_membership_has_learner(const struct raft_membership *membership, uint32_t node_id);
/* Votes needed: more than half of the voters. */
uint32_t raft_membership_quorum(const struct raft_membership *membership);
/* The same members, whatever the epochs. */
bool raft_membership_equal(const struct raft_membership *left, const struct raft_membership *right);
/* Ascending, no duplicates, disjoint, at least one voter, nobody is node 0. */
bool raft_membership_is_valid(const struct raft_membership *membership);

#endif
