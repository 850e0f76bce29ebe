/* SPDX-License-Identifier: Apache-2.0
 *
 * delete.c -- what is kept of groups goes: by DeleteGroups, by OffsetDelete, and by age.
 *
 * Everything goes by tombstones in the log; the table forgets when they are applied.
 *
 * By age (KIP-211): what a group without members committed, counted from when it lost its last
 * member or from the commit, whichever is later; what a group of consumers committed for a topic
 * that none of them reads any more.
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "group/group_state.h"
#include "wire/batch.h"

static bool is_of_consumers(const struct group *group)
{
    return group_text_equal(&group->protocol_type, "consumer", 8);
}

/* ---- Requests ---- */

static void answer(struct group_delete *deletion, enum wire_error error)
{
    deletion->error = error;
    deletion->done(deletion);
}

static void offsets_gone(struct group_write *write, enum wire_error error)
{
    answer(container_of(write, struct group_delete, write), error);
}

static void append(struct group_table *table, struct wire_batch_writer *batch,
                   struct group_write *write)
{
    table->host.append(table->host.owner, wire_batch_writer_finish(batch), write);
}

static void delete_offsets(struct group *group, struct group_delete *deletion)
{
    bool is_free = group->member_count == 0 && group->promised_count == 0;
    if (!is_free && !is_of_consumers(group)) {
        answer(deletion, WIRE_ERROR_NON_EMPTY_GROUP);
        return;
    }
    struct wire_batch_writer batch;
    wire_batch_writer_begin(&batch, group->table->wall_ms);
    for (int32_t i = 0; i < deletion->offset_count; i++) {
        struct group_offset *offset = &deletion->offsets[i];
        const struct kept_offset *kept = group_offset_find(group, offset->topic, offset->partition);
        offset->error = WIRE_ERROR_NONE;
        if (kept == NULL) {
            offset->error = WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        } else if (!is_free && group_subscribes(group, offset->topic)) {
            offset->error = WIRE_ERROR_GROUP_SUBSCRIBED_TO_TOPIC;
        } else {
            group_write_offset_tombstone(group, kept, &batch);
        }
    }
    if (batch.record_count == 0) {
        wire_batch_writer_drop(&batch);
        answer(deletion, WIRE_ERROR_NONE);
        return;
    }
    deletion->write.done = offsets_gone;
    append(group->table, &batch, &deletion->write);
}

struct group_deletion {
    struct group_write write;
    struct group_table *table;
    struct group_delete *asked;
};

static void group_gone(struct group_write *write, enum wire_error error)
{
    struct group_deletion *deletion = container_of(write, struct group_deletion, write);
    struct group_delete *asked = deletion->asked;
    struct group *group = group_find(deletion->table, asked->group_id);
    memory_free(deletion);
    if (group != NULL && group->life == GROUP_DEAD) {
        /* It failed, or a commit that was on its way before outlived it. */
        group_enter(group, GROUP_EMPTY);
        (void)group_drop_if_idle(group);
    }
    answer(asked, error);
}

/* Everything kept of the group, as tombstones. */
static void write_tombstones(const struct group *group, struct wire_batch_writer *batch)
{
    size_t position = 0;
    const struct kept_offset *kept;
    while ((kept = map_next(&group->offsets, &position)) != NULL) {
        group_write_offset_tombstone(group, kept, batch);
    }
    group_write_metadata_tombstone(group, batch);
}

static void delete_group(struct group *group, struct group_delete *asked)
{
    if (group->life != GROUP_EMPTY || group->promised_count > 0) {
        answer(asked, WIRE_ERROR_NON_EMPTY_GROUP);
        return;
    }
    struct wire_batch_writer batch;
    struct group_deletion *deletion = memory_allocate_zeroed(sizeof *deletion);
    deletion->write.done = group_gone;
    deletion->table = group->table;
    deletion->asked = asked;
    group_enter(group, GROUP_DEAD);
    wire_batch_writer_begin(&batch, group->table->wall_ms);
    write_tombstones(group, &batch);
    append(group->table, &batch, &deletion->write);
}

void group_delete(struct group_table *table, struct group_delete *deletion)
{
    enum wire_error error = group_check(table, deletion->group_id);
    struct group *group = error == WIRE_ERROR_NONE ? group_find(table, deletion->group_id) : NULL;
    if (error == WIRE_ERROR_NONE && (group == NULL || group->life == GROUP_DEAD)) {
        error = WIRE_ERROR_GROUP_ID_NOT_FOUND;
    }
    if (error != WIRE_ERROR_NONE) {
        answer(deletion, error);
    } else if (deletion->offsets != NULL) {
        delete_offsets(group, deletion);
    } else {
        delete_group(group, deletion);
    }
}

/* ---- Age ---- */

static bool has_expired(const struct group *group, const struct kept_offset *kept)
{
    const struct group_table *table = group->table;
    struct wire_string topic = kept_offset_topic(kept);
    if (!table->host.partition_exists(table->host.owner, topic, kept->partition)) {
        return true;
    }
    int64_t since_ms = kept->commit_ms;
    bool is_in_use = group->life != GROUP_EMPTY;
    if (is_in_use && (group->life != GROUP_STABLE || !is_of_consumers(group) ||
                      group_subscribes(group, topic))) {
        return false;
    }
    if (kept->expire_ms >= 0) {
        return !is_in_use && kept->expire_ms <= table->wall_ms;
    }
    if (!is_in_use && group->protocol_type.length > 0 && group->state_since_ms > since_ms) {
        since_ms = group->state_since_ms;
    }
    return table->wall_ms - since_ms >= table->limits.offsets_retention_ms;
}

static void expired(struct group_write *write, enum wire_error error)
{
    (void)error; /* what is still there is looked at again next time */
    memory_free(write);
}

static void expire(struct group *group)
{
    struct wire_batch_writer batch;
    size_t position = 0;
    size_t left = 0;
    const struct kept_offset *kept;
    wire_batch_writer_begin(&batch, group->table->wall_ms);
    while ((kept = map_next(&group->offsets, &position)) != NULL) {
        if (has_expired(group, kept)) {
            group_write_offset_tombstone(group, kept, &batch);
        } else {
            left++;
        }
    }
    if (left == 0 && group->life == GROUP_EMPTY && group->promised_count == 0 &&
        group->kept_value.length >= 0) {
        group_write_metadata_tombstone(group, &batch);
    }
    if (batch.record_count == 0) {
        wire_batch_writer_drop(&batch);
        return;
    }
    struct group_write *write = memory_allocate_zeroed(sizeof *write);
    write->done = expired;
    append(group->table, &batch, write);
}

void group_table_expire(struct group_table *table)
{
    size_t position = 0;
    struct group *group;
    while (table->leads && (group = map_next(&table->groups, &position)) != NULL) {
        if (group->life != GROUP_DEAD) {
            expire(group); /* changes nothing in the table before it is applied */
        }
    }
}
