/* SPDX-License-Identifier: Apache-2.0
 *
 * member.h -- a member of the world's one consumer group: finds the coordinator, joins, shares the
 * lasting topics with the others, resumes where the group was, commits, leaves, falls silent and
 * comes back.
 *
 * It does not fetch: what was acknowledged in a partition counts as read by whom it is assigned to
 * (consumer.c reads).  So what the members commit never falls, however they follow each other, and
 * neither may what is committed.
 */
#ifndef TESTS_SIM_DRILL_MEMBER_H
#define TESTS_SIM_DRILL_MEMBER_H

#include "drill/client.h"

struct check_groups;

struct member_options {
    uint32_t session_ms;   /* how long it may be silent */
    uint32_t rebalance_ms; /* how long the others wait for it to join again */
    uint32_t whim_mean_ms; /* between leaving, or falling silent, of its own will */
};

struct drill_member;

/* client and groups outlive it. */
struct drill_member *drill_member_new(struct client *client, struct check_groups *groups,
                                      const struct member_options *options);
void drill_member_free(struct drill_member *member);
/* From now on it stays. */
void drill_member_quiet(struct drill_member *member);

#endif
