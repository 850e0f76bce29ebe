/* SPDX-License-Identifier: Apache-2.0
 *
 * membership_step.h -- the next membership of a Raft group: the present one with one broker
 * standing differently.
 *
 * Locality: any; pure.
 */
#ifndef BROKER_MEMBERSHIP_STEP_H
#define BROKER_MEMBERSHIP_STEP_H

#include "replica/replica.h"

#include <stdbool.h>
#include <stdint.h>

enum member_standing { MEMBER_NONE, MEMBER_LEARNER, MEMBER_VOTER };

/* How the broker stands in the group; *member (may be NULL) is what is known of it, or NULL. */
enum member_standing member_standing_of(const struct replica_group_view *view, uint32_t broker_id,
                                        const struct replica_member_view **member);

/* A learner this far is no hindrance as a voter: it has all but the last moments of the log, or of
 * what a majority has. */
bool member_is_caught_up(const struct replica_group_view *view,
                         const struct replica_member_view *member);

/* The members of the view with the broker standing as given, following the decision of that epoch.
 * False when that cannot be: no voter would be left, or there would be too many members. */
bool membership_step(const struct replica_group_view *view, uint32_t broker_id,
                     enum member_standing standing, uint32_t epoch,
                     struct raft_membership *members);

#endif
