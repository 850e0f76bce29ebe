/* SPDX-License-Identifier: Apache-2.0
 *
 * quarantine.c -- what becomes of a replica whose data is damaged: known as such while it serves
 * what is whole, and, once the group goes on without its vote, moved aside for an empty one that
 * joins.
 *
 * A damaged replica that runs stays a member: what it promised, votes and acknowledgements, it
 * keeps, only some bytes are not to be had from it.  As a leader it hands over, so that whoever
 * needs those bytes can have them from another one.
 *
 * Nothing is deleted.  The directory is moved to groups/<id>.damaged-<n>, at most
 * REPLICA_DAMAGED_KEPT_MAX of them a group; then it is an operator's turn.  Its place is taken by
 * an empty replica that must join, since of the votes the old one gave nothing is known any more.
 * That one is made durable beside it first, as groups/<id>.joining:
 *
 *     the crash came                   | the restart finds          | and does
 *     before the old one was moved     | <id>, perhaps <id>.joining | goes on with <id>; the other
 *                                      |                            | is made anew the next time
 *     between the two renames          | <id>.joining alone         | the second rename
 *
 * so that an empty replica which believes that it may vote is never there.
 *
 * A disk that fails meanwhile ends the process like any write that fails: what was renamed may or
 * may not be so after a power cut, and nothing that is started on top would know.  The next start
 * finds what the table says and asks again.
 *
 * Locality: the shard; replica_directory_* where blocking is allowed.
 */
#include "replica/quarantine.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "replica/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- Damage ---- */

void replica_group_damaged(struct replica_group *group, const char *reason)
{
    require(group->state == GROUP_RUNNING);
    counter_add(&group->manager->stats.corrupt_reads, 1);
    if (!group->is_damaged) {
        group->is_damaged = true;
        trace_error("group %llu: its data on this broker is damaged: %s",
                    (unsigned long long)group->id, reason);
    }
    if (raft_role(group->raft) == RAFT_LEADER) {
        /* Refused when nobody else is there; asked again whenever the damage is met. */
        (void)replica_transfer_leadership(group, 0);
    }
}

void replica_group_report_damage(struct replica_group *group, const char *reason)
{
    if (group->state == GROUP_RUNNING) {
        replica_group_damaged(group, reason);
    }
}

bool replica_read_met_damage(int result)
{
    return result == -EBADMSG || result == -EIO; /* wrong bytes, or a medium that has lost them */
}

bool replica_group_is_damaged(struct replica_manager *manager, uint64_t group_id)
{
    const struct replica_group *group = map_get(&manager->groups, group_id);
    return group != NULL && ((group->state == GROUP_RUNNING && group->is_damaged) ||
                             (group->state == GROUP_FAILED && group->failure == REPLICA_DAMAGED));
}

bool replica_group_may_be_quarantined(struct replica_manager *manager, uint64_t group_id)
{
    return replica_group_is_damaged(manager, group_id) &&
           map_get(&manager->given_up, group_id) == NULL;
}

void replica_group_quarantine(struct replica_manager *manager, uint64_t group_id,
                              const void *description, size_t description_length,
                              void (*done)(void *context, enum replica_result result),
                              void *context)
{
    require(description_length <= REPLICA_DESCRIPTION_BYTES_MAX);
    if (!replica_group_may_be_quarantined(manager, group_id)) {
        replica_answer_stop(manager, done, context, REPLICA_NOT_RUNNING);
        return;
    }
    struct replica_group *group = map_get(&manager->groups, group_id);
    struct replica_group_record *record = memory_allocate_zeroed(sizeof *record);
    record->cluster_id = manager->options.cluster_id;
    record->broker_id = manager->options.broker_id;
    record->group_id = group_id;
    record->incarnation = group->incarnation;
    record->join = true;
    memcpy(record->applier_name, group->applier_type->name, strlen(group->applier_type->name));
    record->description_length = description_length;
    memcpy(record->description, description, description_length);
    group->successor = record;
    replica_group_stop(manager, group_id, false, done, context);
}

void replica_quarantine_ended(struct replica_group *group, enum replica_result result,
                              int disk_error)
{
    struct replica_manager *manager = group->manager;
    require((result == REPLICA_DISK_FAILED) == (disk_error < 0));
    if (result == REPLICA_OK) {
        counter_add(&manager->stats.replicas_quarantined, 1);
        return;
    }
    /* Asked again and again it would go wrong again and again. */
    map_put(&manager->given_up, group->id, manager);
    if (disk_error < 0) {
        replica_manager_disk_failed(manager, disk_error);
    }
}

/* ---- On disk ---- */

/* "groups/<id>.damaged-<n>" for the first free n; false when all are taken. */
static bool find_free_place(const char *data_directory, uint64_t group_id, char *path)
{
    for (uint32_t n = 1; n <= REPLICA_DAMAGED_KEPT_MAX; n++) {
        char suffix[32];
        snprintf(suffix, sizeof suffix, "%s%u", REPLICA_DAMAGED_SUFFIX, n);
        if (!io_path_exists(replica_group_path(data_directory, group_id, suffix, path))) {
            return true;
        }
    }
    return false;
}

static int sync_groups(const char *data_directory)
{
    char path[REPLICA_PATH_SIZE];
    snprintf(path, sizeof path, "%s/groups", data_directory);
    return io_directory_sync(path);
}

static int make_successor(const char *data_directory, const struct replica_group_record *record)
{
    char path[REPLICA_PATH_SIZE];
    replica_group_path(data_directory, record->group_id, REPLICA_JOINING_SUFFIX, path);
    int result = io_directory_remove_tree(path); /* of an attempt that was interrupted */
    struct io_file *file = NULL;
    if (result == 0) {
        result =
            replica_record_create_beside(data_directory, record, REPLICA_JOINING_SUFFIX, &file);
    }
    if (result == 0) {
        result = io_file_sync(file);
    }
    io_file_release(file);
    result = result < 0 ? result : io_directory_sync(path);
    return result < 0 ? result : sync_groups(data_directory);
}

/* Whose the directory is: only ours is moved. */
static bool is_foreign(const char *data_directory, const struct replica_group_record *record)
{
    struct replica_group_record found;
    int result;
    enum replica_record_state state =
        replica_record_read(data_directory, record->group_id, &found, &result);
    return state == RECORD_WHOLE && !replica_record_is_ours(&found, &record->cluster_id,
                                                            record->broker_id, record->group_id);
}

enum replica_result replica_directory_quarantine(const char *data_directory,
                                                 const struct replica_group_record *record,
                                                 int *disk_error)
{
    char path[REPLICA_PATH_SIZE];
    char aside[REPLICA_PATH_SIZE];
    char joining[REPLICA_PATH_SIZE];
    unsigned long long group_id = record->group_id;
    require(record->join);
    *disk_error = 0;
    if (is_foreign(data_directory, record)) {
        return REPLICA_FOREIGN;
    }
    if (!find_free_place(data_directory, record->group_id, aside)) {
        trace_error("group %llu: damaged again, and %d damaged directories of it are kept already: "
                    "it stays as it is until one of groups/%llu" REPLICA_DAMAGED_SUFFIX
                    "* is removed and the broker started again",
                    group_id, REPLICA_DAMAGED_KEPT_MAX, group_id);
        return REPLICA_DAMAGED;
    }
    replica_group_path(data_directory, record->group_id, "", path);
    replica_group_path(data_directory, record->group_id, REPLICA_JOINING_SUFFIX, joining);
    int result = make_successor(data_directory, record);
    result = result < 0 ? result : io_path_rename(path, aside);
    result = result < 0 ? result : io_path_rename(joining, path);
    result = result < 0 ? result : sync_groups(data_directory);
    if (result < 0) {
        trace_error("group %llu: its damaged directory could not be moved aside: %s", group_id,
                    strerror(-result));
        *disk_error = result;
        return REPLICA_DISK_FAILED;
    }
    trace_warn("group %llu: its damaged directory is now %s; an empty replica joins in its place",
               group_id, aside);
    return REPLICA_OK;
}

int replica_directory_finish_quarantine(const char *data_directory, uint64_t group_id)
{
    char path[REPLICA_PATH_SIZE];
    char joining[REPLICA_PATH_SIZE];
    replica_group_path(data_directory, group_id, "", path);
    replica_group_path(data_directory, group_id, REPLICA_JOINING_SUFFIX, joining);
    if (io_path_exists(path) || !io_path_exists(joining)) {
        return 0;
    }
    int result = io_path_rename(joining, path);
    return result < 0 ? result : sync_groups(data_directory);
}
