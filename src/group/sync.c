/* SPDX-License-Identifier: Apache-2.0
 *
 * sync.c -- SyncGroup: the leader of a generation says who gets what; it is kept before anybody is
 * told, so that the next coordinator knows it, too.
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "group/group_state.h"
#include "wire/batch.h"

struct metadata_write {
    struct group_write write;
    struct group *group; /* NULL: nobody waits */
    int32_t generation;
};

/* ---- Answers ---- */

void group_refuse_sync(struct group_sync *sync, enum wire_error error)
{
    require(error != WIRE_ERROR_NONE);
    sync->error = error;
    sync->done(sync);
}

static void tell_assignment(struct group *group, struct group_member *member,
                            struct group_sync *sync)
{
    group_member_touch(group, member);
    sync->error = WIRE_ERROR_NONE;
    sync->answer_protocol_type = group_text_answer(sync->arena, &group->protocol_type);
    sync->answer_protocol = group_text_answer(sync->arena, &group->protocol);
    sync->assignment = group_text_answer_bytes(sync->arena, &member->assignment);
    if (sync->assignment.length < 0) {
        group_refuse_sync(sync, WIRE_ERROR_UNKNOWN_SERVER_ERROR);
        return;
    }
    sync->done(sync);
}

void group_answer_syncs(struct group *group, enum wire_error error)
{
    list_for_each(&group->members, node)
    {
        struct group_member *member = container_of(node, struct group_member, node);
        struct group_sync *sync = member->sync;
        member->sync = NULL;
        if (sync == NULL) {
            continue;
        }
        if (error != WIRE_ERROR_NONE) {
            group_refuse_sync(sync, error);
        } else {
            tell_assignment(group, member, sync);
        }
    }
}

/* ---- Keeping ---- */

static void kept_unseen(struct group_write *write, enum wire_error error)
{
    (void)error; /* what is in the log is older than it could be: the next coordinator finds out */
    memory_free(container_of(write, struct metadata_write, write));
}

void group_keep_metadata(struct group *group)
{
    struct wire_batch_writer batch;
    struct metadata_write *metadata = memory_allocate_zeroed(sizeof *metadata);
    metadata->write.done = kept_unseen;
    wire_batch_writer_begin(&batch, group->table->wall_ms);
    group_write_metadata(group, &batch);
    group->table->host.append(group->table->host.owner, wire_batch_writer_finish(&batch),
                              &metadata->write);
}

static void kept(struct group_write *write, enum wire_error error)
{
    struct metadata_write *metadata = container_of(write, struct metadata_write, write);
    struct group *group = metadata->group;
    ensure(group->writing == metadata);
    group->writing = NULL;
    bool is_of_now =
        group->life == GROUP_COMPLETING_REBALANCE && group->generation == metadata->generation;
    memory_free(metadata);
    if (!is_of_now) {
        (void)group_drop_if_idle(group);
    } else if (error != WIRE_ERROR_NONE) {
        group_answer_syncs(group, error);
        group_rebalance(group);
    } else {
        group_enter(group, GROUP_STABLE);
        group_answer_syncs(group, WIRE_ERROR_NONE);
    }
}

static void set_assignments(struct group *group, const struct group_sync *sync)
{
    list_for_each(&group->members, node)
    {
        group_text_set(&container_of(node, struct group_member, node)->assignment, NULL, 0);
    }
    for (int32_t i = 0; i < sync->assignment_count; i++) {
        const struct group_assignment *each = &sync->assignments[i];
        struct group_member *member = group_member_find(group, each->member_id);
        if (member != NULL && each->assignment.length > 0) {
            group_text_set(&member->assignment, each->assignment.data, each->assignment.length);
        }
    }
}

static void keep_assignments(struct group *group, const struct group_sync *sync)
{
    struct group_table *table = group->table;
    struct wire_batch_writer batch;
    set_assignments(group, sync);
    wire_batch_writer_begin(&batch, table->wall_ms);
    group_write_metadata(group, &batch);
    struct buf *buf = wire_batch_writer_finish(&batch);
    if (buf->length_bytes > table->limits.record_bytes_max) {
        buf_release(buf);
        group_answer_syncs(group, WIRE_ERROR_UNKNOWN_SERVER_ERROR);
        group_rebalance(group);
        return;
    }
    struct metadata_write *metadata = memory_allocate_zeroed(sizeof *metadata);
    metadata->write.done = kept;
    metadata->group = group;
    metadata->generation = group->generation;
    group->writing = metadata;
    table->host.append(table->host.owner, buf, &metadata->write);
}

/* ---- The request ---- */

static bool differs(struct wire_string told, const struct group_text *known)
{
    return told.length >= 0 && !group_text_equal(known, told.data, told.length);
}

static enum wire_error check(const struct group *group, const struct group_sync *sync,
                             struct group_member **member)
{
    if (group == NULL) {
        return WIRE_ERROR_UNKNOWN_MEMBER_ID;
    }
    if (group->life == GROUP_DEAD) {
        return WIRE_ERROR_COORDINATOR_NOT_AVAILABLE;
    }
    enum wire_error error = group_member_check(group, sync->member_id, sync->instance_id, member);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    if (sync->generation != group->generation) {
        return WIRE_ERROR_ILLEGAL_GENERATION;
    }
    if (differs(sync->protocol_type, &group->protocol_type) ||
        differs(sync->protocol, &group->protocol)) {
        return WIRE_ERROR_INCONSISTENT_GROUP_PROTOCOL;
    }
    return group->life == GROUP_PREPARING_REBALANCE ? WIRE_ERROR_REBALANCE_IN_PROGRESS
                                                    : WIRE_ERROR_NONE;
}

void group_sync(struct group_table *table, struct group_sync *sync)
{
    sync->assignment = (struct wire_bytes){NULL, 0};
    sync->answer_protocol = (struct wire_string){NULL, -1};
    sync->answer_protocol_type = (struct wire_string){NULL, -1};

    enum wire_error error = group_check(table, sync->group_id);
    struct group *group = error == WIRE_ERROR_NONE ? group_find(table, sync->group_id) : NULL;
    struct group_member *member = NULL;
    error = error == WIRE_ERROR_NONE ? check(group, sync, &member) : error;
    if (error != WIRE_ERROR_NONE) {
        group_refuse_sync(sync, error);
        return;
    }
    member->has_synced = true;
    if (group->life == GROUP_STABLE) {
        tell_assignment(group, member, sync);
        return;
    }
    ensure(group->life == GROUP_COMPLETING_REBALANCE);
    if (member->sync != NULL) { /* it asked again */
        group_refuse_sync(member->sync, WIRE_ERROR_REBALANCE_IN_PROGRESS);
    }
    member->sync = sync;
    if (member == group->leader && group->writing == NULL) {
        keep_assignments(group, sync);
    }
}
