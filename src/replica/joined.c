/* SPDX-License-Identifier: Apache-2.0
 *
 * joined.c -- a replica that came empty and became a full member.
 *
 * A replica started with join = true may be one whose disk was lost, so it may have voted before
 * and not know it: it neither votes nor campaigns until the leader of a membership of which it is
 * no voter has proven that no forgotten vote matters any more (raft/vote_return.c).  A reassignment
 * therefore adds a replica as learner first.
 *
 * The proof is written into the group's record, as later memberships push it out of the log.  Until
 * that is durable the replica has no vote and its leader knows, so it is made no voter: after a
 * crash it would ask for the proof again, and in a group that elects nobody without it there would
 * be no leader to give one.
 *
 * A disk that fails meanwhile ends the process like any write that fails.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "replica/manager.h"
#include "replica/membership_codec.h"
#include "replica/quarantine.h"

#include <errno.h>
#include <string.h>

struct joined_work {
    struct io_work work;
    struct replica_group *group;
    const char *data_directory;
    uint64_t group_id;
    struct raft_membership membership;
    bool is_record_read;
    int result;
};

static void run(struct io_work *work)
{
    struct joined_work *joined = container_of(work, struct joined_work, work);
    struct replica_group_record record;
    enum replica_record_state state =
        replica_record_read(joined->data_directory, joined->group_id, &record, &joined->result);
    if (state != RECORD_WHOLE) {
        joined->result = state == RECORD_UNREADABLE ? joined->result : -EBADMSG;
        return;
    }
    joined->is_record_read = true;
    record.join = false;
    record.members = joined->membership;
    joined->result = replica_record_replace(joined->data_directory, &record);
}

static void take_vote(struct replica_group *group)
{
    group->is_joining = false;
    counter_add(&group->manager->stats.replicas_rejoined, 1);
    raft_return_vote(group->raft, replica_now_ticks(group->manager));
    replica_group_touched(group);
}

static void done(struct io_work *work)
{
    struct joined_work *joined = container_of(work, struct joined_work, work);
    struct replica_group *group = joined->group;
    group->manager->works--;
    if (joined->result < 0) {
        trace_warn("group %llu: its record could not be %s: %s", (unsigned long long)group->id,
                   joined->is_record_read ? "written" : "read", strerror(-joined->result));
    }
    if (joined->result < 0 && joined->is_record_read) {
        replica_manager_disk_failed(group->manager, joined->result);
    } else if (replica_read_met_damage(joined->result)) {
        replica_group_report_damage(group, "its record makes no sense");
    } else if (joined->result < 0) {
        group->is_proof_taken = false; /* read again when something happens in the group */
    } else if (group->state == GROUP_RUNNING) {
        take_vote(group);
    }
    memory_free(joined);
    replica_group_unhold(group);
}

static void remember(struct replica_group *group, const struct raft_membership *membership)
{
    struct joined_work *joined = memory_allocate_zeroed(sizeof *joined);
    joined->group = group;
    joined->data_directory = group->manager->options.data_directory;
    joined->group_id = group->id;
    joined->membership = *membership;
    joined->work.run = run;
    joined->work.done = done;
    list_node_init(&joined->work.node);
    replica_group_hold(group);
    group->manager->works++;
    io_work_submit(group->manager->loop, &joined->work);
}

void replica_group_check_joined(struct replica_group *group)
{
    if (!group->is_joining || group->is_proof_taken || !raft_is_vote_proven(group->raft) ||
        replica_membership_is_empty(&group->membership)) {
        return;
    }
    group->is_proof_taken = true;
    remember(group, &group->membership);
}

bool replica_group_is_joining(const struct replica_group *group)
{
    return group->is_joining;
}
