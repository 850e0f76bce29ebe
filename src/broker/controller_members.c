/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_members.c -- see controller_members.h.
 */
#include "broker/controller_members.h"

#include "base/assert.h"

static bool stays(const struct cluster_metadata *metadata, uint32_t broker_id)
{
    const struct cluster_broker *broker = cluster_broker_find(metadata, broker_id);
    return broker != NULL && !broker->is_leaving;
}

/* A broker is unregistered only without a vote, so a voter that is not registered is a founder that
 * is on its way: removed, it would wait for a group that waits for it. */
static bool is_founder_to_come(const struct cluster_metadata *metadata,
                               const struct replica_member_view *member)
{
    return member->is_voter && cluster_broker_find(metadata, member->node_id) == NULL;
}

uint32_t controller_members_voters_wanted(uint32_t broker_count)
{
    if (broker_count >= 5) {
        return 5;
    }
    return broker_count >= 3 ? 3 : broker_count;
}

/* The voters without one broker, or with one more, have a majority that is heard. */
static bool has_majority(const struct replica_group_view *view, uint32_t without, bool with_another)
{
    uint32_t voters = with_another ? 1 : 0;
    uint32_t heard = voters;
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        if (member->is_voter && member->node_id != without) {
            voters++;
            heard += member->is_active ? 1 : 0;
        }
    }
    return voters > 0 && heard > voters / 2;
}

static bool step_to(struct controller_members_step *step, uint32_t broker_id,
                    enum member_standing standing)
{
    *step = (struct controller_members_step){.broker_id = broker_id, .standing = standing};
    return true;
}

/* A learner that has all that is committed. */
static bool is_promotable(const struct cluster_metadata *metadata,
                          const struct replica_group_view *view,
                          const struct replica_member_view *member)
{
    return !member->is_voter && member->is_active && member->match_index >= view->commit_index &&
           stays(metadata, member->node_id);
}

/* Takes the vote of a broker; a leader that has to go hands over first. */
static bool remove_voter(const struct replica_group_view *view, uint32_t broker_id,
                         const struct cluster_metadata *metadata,
                         struct controller_members_step *step)
{
    if (!has_majority(view, broker_id, false)) {
        return false;
    }
    if (broker_id != view->leader) {
        return step_to(step, broker_id, MEMBER_NONE);
    }
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        if (member->is_voter && member->is_active && member->node_id != broker_id &&
            stays(metadata, member->node_id)) {
            step_to(step, member->node_id, MEMBER_VOTER);
            step->hands_over = true;
            return true;
        }
    }
    return false;
}

/* Who is of the cluster is a member, and nobody else but founders on their way. */
static bool follow_brokers(const struct cluster_metadata *metadata,
                           const struct replica_group_view *view, uint32_t withdrawn,
                           struct controller_members_step *step)
{
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        /* It may still hear that it was unregistered, when it runs. */
        bool has_heard = !member->is_active || member->match_index >= view->commit_index;
        if (!member->is_voter && cluster_broker_find(metadata, member->node_id) == NULL &&
            has_heard) {
            return step_to(step, member->node_id, MEMBER_NONE);
        }
    }
    size_t position = 0;
    const struct cluster_broker *broker = NULL;
    while ((broker = cluster_broker_next(metadata, &position)) != NULL) {
        if (broker->id != withdrawn && member_standing_of(view, broker->id, NULL) == MEMBER_NONE &&
            view->member_count < RAFT_MEMBERS_MAX) {
            return step_to(step, broker->id, MEMBER_LEARNER);
        }
    }
    return false;
}

struct census {
    uint32_t wanted;     /* voters there should be */
    uint32_t voters;     /* that stay */
    uint32_t promotable; /* learners */
    uint32_t first_promotable;
    uint32_t leaving_voter; /* 0: none */
    uint32_t spare_voter;   /* the one to do without: rather one not heard, never the leader */
};

static struct census take_census(const struct cluster_metadata *metadata,
                                 const struct replica_group_view *view)
{
    struct census census = {0};
    uint32_t staying = 0;
    bool spare_is_active = true;
    size_t position = 0;
    const struct cluster_broker *broker = NULL;
    while ((broker = cluster_broker_next(metadata, &position)) != NULL) {
        staying += broker->is_leaving ? 0 : 1;
    }
    for (uint32_t i = 0; i < view->member_count; i++) {
        staying += is_founder_to_come(metadata, &view->members[i]) ? 1 : 0;
    }
    census.wanted = controller_members_voters_wanted(staying);
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        if (is_promotable(metadata, view, member)) {
            census.first_promotable =
                census.promotable++ == 0 ? member->node_id : census.first_promotable;
        }
        if (!member->is_voter) {
            continue;
        }
        bool is_to_come = is_founder_to_come(metadata, member);
        if (!is_to_come && !stays(metadata, member->node_id)) {
            census.leaving_voter = member->node_id;
            continue;
        }
        census.voters++;
        if (is_to_come) {
            continue;
        }
        if (member->node_id != view->leader && (spare_is_active || !member->is_active)) {
            census.spare_voter = member->node_id;
            spare_is_active = member->is_active;
        }
    }
    return census;
}

static bool follow_votes(const struct cluster_metadata *metadata,
                         const struct replica_group_view *view,
                         struct controller_members_step *step)
{
    struct census census = take_census(metadata, view);
    if (census.voters < census.wanted && census.promotable > 0) {
        /* Not to an even number that could last, for want of another one to promote. */
        bool gets_there = census.voters + census.promotable >= census.wanted;
        bool is_odd = (census.voters + 1) % 2 == 1;
        if ((gets_there || is_odd) && has_majority(view, 0, true)) {
            return step_to(step, census.first_promotable, MEMBER_VOTER);
        }
    }
    if (census.leaving_voter != 0) {
        return remove_voter(view, census.leaving_voter, metadata, step);
    }
    if (census.voters > census.wanted && census.spare_voter != 0) {
        return remove_voter(view, census.spare_voter, metadata, step);
    }
    return false;
}

bool controller_members_next(const struct cluster_metadata *metadata,
                             const struct replica_group_view *view, uint32_t lost,
                             uint32_t withdrawn, struct controller_members_step *step)
{
    require(view->leader != 0);
    enum member_standing standing = withdrawn != 0 && withdrawn != view->leader
                                        ? member_standing_of(view, withdrawn, NULL)
                                        : MEMBER_NONE;
    if (standing == MEMBER_VOTER) {
        return remove_voter(view, withdrawn, metadata, step);
    }
    if (standing == MEMBER_LEARNER) {
        return step_to(step, withdrawn, MEMBER_NONE);
    }
    if (lost != 0 && lost != view->leader && member_standing_of(view, lost, NULL) == MEMBER_VOTER) {
        return remove_voter(view, lost, metadata, step);
    }
    return follow_brokers(metadata, view, withdrawn, step) || follow_votes(metadata, view, step);
}
