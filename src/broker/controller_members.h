/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_members.h -- who belongs to the controller group, and who of them votes: follows from
 * the registered brokers, one change at a time.
 *
 *  - Every registered broker is a member, since it needs the metadata; nobody else is, but founders
 *    that have not registered yet, which keep their votes.
 *  - Votes: all of up to three brokers, three of four, five of more.  Leaving brokers do not count.
 *    Learners that have the whole log are made voters when that leads to an odd number.
 *  - A voter whose disk was lost is removed; it comes back as a learner like any other.
 *  - Nobody is made a voter or removed when the voters that then remain would have no majority that
 *    is heard.
 *
 * Decides only.  Locality: any; pure.
 */
#ifndef BROKER_CONTROLLER_MEMBERS_H
#define BROKER_CONTROLLER_MEMBERS_H

#include "broker/membership_step.h"
#include "cluster/cluster.h"

struct controller_members_step {
    uint32_t broker_id;
    enum member_standing standing; /* what it is to be */
    bool hands_over;               /* broker_id is to lead first, as this leader has to go */
};

/* The next step, by the leader's view of the group.  lost: a voter that says it has lost its disk;
 * withdrawn: a broker whose replica is damaged and is to be no member for now; 0: none.  False:
 * everybody stands as they should, or has to be waited for. */
bool controller_members_next(const struct cluster_metadata *metadata,
                             const struct replica_group_view *view, uint32_t lost,
                             uint32_t withdrawn, struct controller_members_step *step);

/* How many voters so many brokers are to have. */
uint32_t controller_members_voters_wanted(uint32_t broker_count);

#endif
