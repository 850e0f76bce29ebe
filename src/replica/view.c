/* SPDX-License-Identifier: Apache-2.0
 *
 * view.c -- what others may see of a group.
 */
#include "base/assert.h"
#include "replica/manager.h"

#include <string.h>

uint64_t replica_group_id(const struct replica_group *group)
{
    return group->id;
}

uint32_t replica_group_incarnation(const struct replica_group *group)
{
    return group->incarnation;
}

struct log *replica_group_log(struct replica_group *group)
{
    return group->log;
}

struct applier *replica_group_applier(struct replica_group *group)
{
    return group->applier;
}

uint64_t replica_high_watermark(const struct replica_group *group)
{
    return group->high_watermark;
}

struct applier_standing replica_standing(const struct replica_group *group)
{
    return group->standing;
}

static uint64_t ns_ago(const struct replica_group *group, uint64_t ticks)
{
    uint64_t now_ns = io_now_ns(group->manager->loop);
    uint64_t then_ns = ticks * REPLICA_TICK_NS;
    return ticks == 0 || then_ns > now_ns ? UINT64_MAX : now_ns - then_ns;
}

static void view_member(const struct replica_group *group, struct replica_group_view *view,
                        uint32_t node_id, bool is_voter)
{
    if (view->member_count == RAFT_MEMBERS_MAX) {
        return;
    }
    struct replica_member_view *member = &view->members[view->member_count++];
    *member = (struct replica_member_view){.node_id = node_id,
                                           .is_voter = is_voter,
                                           .heard_ns_ago = UINT64_MAX,
                                           .caught_up_ns_ago = UINT64_MAX};
    struct raft_progress_view progress;
    if (node_id == group->manager->options.broker_id) {
        member->is_active = true;
        if (view->leader == node_id) {
            member->match_index = view->saved_index;
            member->heard_ns_ago = 0;
            member->caught_up_ns_ago = 0;
        }
    } else if (raft_progress(group->raft, node_id, &progress)) {
        member->is_active = progress.is_active;
        member->match_index = progress.match_index;
        member->heard_ns_ago = ns_ago(group, progress.heard_ticks);
        member->caught_up_ns_ago = ns_ago(group, progress.caught_up_ticks);
        if (progress.is_at_rest) {
            const struct replica_peer *peer = replica_peer_find(group->manager, node_id);
            ensure(peer != NULL); /* it agreed */
            member->heard_ns_ago = ns_ago(group, peer->heard_ticks);
            member->caught_up_ns_ago = member->heard_ns_ago;
        }
    } else {
        member->is_active = node_id == view->leader;
        return;
    }
    if (view->leader == group->manager->options.broker_id) {
        member->lag_indexes = view->last_index - member->match_index;
    }
}

void replica_group_view(const struct replica_group *group, struct replica_group_view *view)
{
    const struct raft *raft = group->raft;
    memset(view, 0, sizeof *view);
    view->group_id = group->id;
    view->applier_name = group->applier_type->name;
    if (group->state == GROUP_FAILED) {
        view->role = "failed";
        return;
    }
    require(raft != NULL && group->log != NULL);
    view->role = raft_role_name(raft_role(raft));
    view->leader = raft_leader(raft);
    view->term = raft_term(raft);
    view->first_index = raft_first_index(raft);
    view->last_index = raft_last_index(raft);
    view->saved_index = raft_saved_index(raft);
    view->commit_index = raft_commit_index(raft);
    view->applied_index = group->applied_index;
    view->log_start_offset = log_start_offset(group->log);
    view->high_watermark = group->high_watermark;
    view->log_end_offset = log_next_offset(group->log);
    view->size_bytes = log_size_bytes(group->log);
    const struct raft_membership *membership = raft_membership(raft);
    view->membership_epoch = membership->epoch;
    view->is_membership_committed = raft_membership_equal(membership, &group->membership) &&
                                    membership->epoch == group->membership.epoch;
    for (uint32_t i = 0; i < membership->voter_count; i++) {
        view_member(group, view, membership->voters[i], true);
    }
    for (uint32_t i = 0; i < membership->learner_count; i++) {
        view_member(group, view, membership->learners[i], false);
    }
}
