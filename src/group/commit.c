/* SPDX-License-Identifier: Apache-2.0
 *
 * commit.c -- OffsetCommit: who may say how far a group has read, and keeping it.
 *
 * A member of the present generation may, and, while the group has no members, anybody (that is
 * how tools reset a group, and how consumers that assign their partitions themselves commit).
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "group/group_state.h"
#include "wire/batch.h"

static void answer_all(struct group_commit *commit, enum wire_error error)
{
    for (int32_t i = 0; i < commit->offset_count; i++) {
        if (commit->offsets[i].error == WIRE_ERROR_NONE) {
            commit->offsets[i].error = error;
        }
    }
    commit->done(commit);
}

static void kept(struct group_write *write, enum wire_error error)
{
    answer_all(container_of(write, struct group_commit, write), error);
}

/* Checks the member; NULL group: the first commit of a group without members. */
static enum wire_error check(struct group *group, const struct group_commit *commit)
{
    bool is_member =
        commit->generation >= 0 || commit->member_id.length > 0 || commit->instance_id.length >= 0;
    if (group == NULL) {
        return is_member ? WIRE_ERROR_ILLEGAL_GENERATION : WIRE_ERROR_NONE;
    }
    if (group->life == GROUP_DEAD) {
        return WIRE_ERROR_COORDINATOR_NOT_AVAILABLE;
    }
    if (commit->generation < 0 && group->life == GROUP_EMPTY) {
        return WIRE_ERROR_NONE;
    }
    if (!is_member) {
        return WIRE_ERROR_UNKNOWN_MEMBER_ID; /* the group has members, and this is none */
    }
    struct group_member *member = NULL;
    enum wire_error error =
        group_member_check(group, commit->member_id, commit->instance_id, &member);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    if (commit->generation != group->generation) {
        return WIRE_ERROR_ILLEGAL_GENERATION;
    }
    if (group->life == GROUP_COMPLETING_REBALANCE) {
        return WIRE_ERROR_REBALANCE_IN_PROGRESS; /* its partitions may be another's by now */
    }
    group_member_touch(group, member);
    return WIRE_ERROR_NONE;
}

static enum wire_error check_offset(const struct group_table *table,
                                    const struct group_offset *offset)
{
    if (offset->metadata.length > table->limits.offset_metadata_bytes_max) {
        return WIRE_ERROR_OFFSET_METADATA_TOO_LARGE;
    }
    /* Any number is taken, as by Kafka: clients commit -2 to say "from the earliest on". */
    return table->host.partition_exists(table->host.owner, offset->topic, offset->partition)
               ? WIRE_ERROR_NONE
               : WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

static void keep(struct group *group, struct group_commit *commit)
{
    struct group_table *table = group->table;
    struct wire_batch_writer batch;
    int32_t good = 0;
    wire_batch_writer_begin(&batch, table->wall_ms);
    for (int32_t i = 0; i < commit->offset_count; i++) {
        struct group_offset *offset = &commit->offsets[i];
        offset->error = check_offset(table, offset);
        if (offset->error == WIRE_ERROR_NONE) {
            group_write_offset(group, offset, table->wall_ms, &batch);
            good++;
        }
    }
    if (good == 0) {
        wire_batch_writer_drop(&batch);
        (void)group_drop_if_idle(group);
        commit->done(commit);
        return;
    }
    struct buf *buf = wire_batch_writer_finish(&batch);
    if (buf->length_bytes > table->limits.record_bytes_max) {
        buf_release(buf);
        (void)group_drop_if_idle(group);
        answer_all(commit, WIRE_ERROR_INVALID_COMMIT_OFFSET_SIZE);
        return;
    }
    commit->write.done = kept;
    table->host.append(table->host.owner, buf, &commit->write);
}

void group_commit(struct group_table *table, struct group_commit *commit)
{
    for (int32_t i = 0; i < commit->offset_count; i++) {
        commit->offsets[i].error = WIRE_ERROR_NONE;
    }
    if (commit->instance_id.length == 0) {
        commit->instance_id.length = -1;
    }
    enum wire_error error = group_check(table, commit->group_id);
    struct group *group = error == WIRE_ERROR_NONE ? group_find(table, commit->group_id) : NULL;
    error = error == WIRE_ERROR_NONE ? check(group, commit) : error;
    if (error != WIRE_ERROR_NONE) {
        answer_all(commit, error);
        return;
    }
    keep(group != NULL ? group : group_make(table, commit->group_id), commit);
}
