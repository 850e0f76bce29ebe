/* SPDX-License-Identifier: Apache-2.0
 *
 * group_stop.c -- from a request to stop, delete or quarantine to an absent group.
 *
 *     out of RUNNING at once; at the end of the turn out of service; [tombstone durable;] nothing
 * under way holds it any more; snapshot written, log closed [, directory removed] on the worker;
 * gone.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "log/compaction.h"
#include "replica/manager.h"
#include "replica/quarantine.h"

#include <stdio.h>
#include <string.h>

/* ---- The request ---- */

static void add_waiter(struct replica_group *group,
                       void (*done)(void *context, enum replica_result result), void *context)
{
    struct replica_stop_waiter *waiter = memory_allocate_zeroed(sizeof *waiter);
    waiter->done = done;
    waiter->context = context;
    list_node_init(&waiter->node);
    list_append(&group->stop_waiters, &waiter->node);
}

/* Why the group cannot be stopped with this floor, or OK. */
static enum replica_result check_stop(const struct replica_group *group, uint32_t floor)
{
    if (group->state == GROUP_DELETING) {
        return floor > group->floor ? REPLICA_BUSY : REPLICA_OK;
    }
    return floor > 0 && group->incarnation >= floor ? REPLICA_SUPERSEDED : REPLICA_OK;
}

/* floor: 0 to keep the data, else of the tombstone. */
static void stop(struct replica_manager *manager, uint64_t group_id, uint32_t floor,
                 void (*done)(void *context, enum replica_result result), void *context)
{
    require(done != NULL);
    struct replica_group *group = map_get(&manager->groups, group_id);
    uint32_t old_floor = replica_tombstones_floor(&manager->tombstones, group_id);
    enum replica_result result = group != NULL ? check_stop(group, floor) : REPLICA_OK;
    if (group_id == 0) {
        replica_answer_stop(manager, done, context, REPLICA_INVALID_GROUP_ID);
    } else if (result != REPLICA_OK) {
        replica_answer_stop(manager, done, context, result);
    } else if (group != NULL) {
        add_waiter(group, done, context);
        replica_group_begin_stop(group, floor);
    } else if (floor == 0) {
        replica_answer_stop(manager, done, context,
                            old_floor > 0 ? REPLICA_DELETED : REPLICA_NOT_RUNNING);
    } else if (floor <= old_floor) {
        replica_answer_stop(manager, done, context, REPLICA_OK); /* as it was the first time */
    } else {
        group = replica_group_new(manager, group_id, NULL);
        add_waiter(group, done, context);
        replica_group_begin_stop(group, floor);
    }
}

void replica_group_stop(struct replica_manager *manager, uint64_t group_id, bool delete_data,
                        void (*done)(void *context, enum replica_result result), void *context)
{
    stop(manager, group_id, delete_data ? REPLICA_INCARNATION_NONE : 0, done, context);
}

void replica_group_remove(struct replica_manager *manager, uint64_t group_id, uint32_t incarnation,
                          void (*done)(void *context, enum replica_result result), void *context)
{
    require(incarnation < REPLICA_INCARNATION_NONE);
    stop(manager, group_id, incarnation + 1, done, context);
}

static void begin_tombstone(struct replica_group *group)
{
    struct replica_manager *manager = group->manager;
    list_remove(&group->close_node); /* a close that waited goes by the tombstone first */
    if (!group->is_closing_on_worker) {
        group->is_closing = false;
    }
    group->is_tombstone_due = true;
    replica_tombstones_add(&manager->tombstones, group->id, group->floor);
    list_append(&manager->tombstones_waiting, &group->close_node);
    replica_manager_wake(manager);
}

void replica_group_begin_stop(struct replica_group *group, uint32_t floor)
{
    enum replica_group_state from = group->state;
    bool delete_data = floor > 0;
    if (from == GROUP_DELETING || (from == GROUP_STOPPING && !delete_data)) {
        return; /* on its way already */
    }
    replica_group_move(group, delete_data ? GROUP_DELETING : GROUP_STOPPING);
    if (delete_data) {
        group->floor = floor;
        begin_tombstone(group);
    }
    if (from == GROUP_RUNNING) {
        replica_group_begin_retire(group);
    } else if (group->holds == 0) {
        replica_group_released(group);
    }
}

/* ---- Out of service ---- */

void replica_group_begin_retire(struct replica_group *group)
{
    require(group->state != GROUP_RUNNING);
    if (group->log != NULL) {
        log_compaction_cancel(group->log);
    }
    list_remove(&group->dirty_node);
    list_remove(&group->due_node);
    list_remove(&group->apply_node);
    list_append(&group->manager->retiring, &group->apply_node);
    replica_group_hold(group);
    replica_manager_wake(group->manager);
}

void replica_group_retire(struct replica_group *group)
{
    require(group->state != GROUP_RUNNING && !list_is_linked(&group->apply_node));
    replica_sends_forget(group);
    replica_transfers_end(group);
    replica_install_drop(group);
    replica_barriers_fail(group);
    replica_apply_farewell(group);
    replica_group_unhold(group);
}

/* ---- Tombstones ---- */

void replica_stop_tombstones_saved(struct replica_manager *manager, int result)
{
    struct list_node *node;
    while ((node = list_take_first(&manager->tombstones_writing)) != NULL) {
        struct replica_group *group = container_of(node, struct replica_group, close_node);
        ensure(group->state == GROUP_DELETING && group->is_tombstone_due);
        group->is_tombstone_due = false;
        if (result < 0) {
            group->tombstone_has_failed = true;
        }
        if (group->holds == 0) {
            replica_group_released(group);
        }
    }
    replica_manager_wake(manager);
}

/* ---- Closing ---- */

void replica_group_released(struct replica_group *group)
{
    require(group->state == GROUP_STOPPING || group->state == GROUP_DELETING);
    require(group->holds == 0);
    if (group->is_tombstone_due || group->is_closing) {
        return;
    }
    group->is_closing = true;
    list_append(&group->manager->closes_waiting, &group->close_node);
    replica_manager_wake(group->manager);
}

struct replica_close *replica_close_new(struct replica_group *group)
{
    require(group->holds == 0 && group->is_closing && !group->is_tombstone_due);
    struct replica_close *close = memory_allocate_zeroed(sizeof *close);
    close->manager = group->manager;
    close->group = group;
    close->is_delete = group->state == GROUP_DELETING && !group->tombstone_has_failed;
    close->result = group->tombstone_has_failed ? REPLICA_DISK_FAILED : REPLICA_OK;
    list_node_init(&close->node);
    group->is_closing_on_worker = true;
    close->successor = group->state == GROUP_STOPPING ? group->successor : NULL;
    if (group->state == GROUP_STOPPING && group->failure == REPLICA_OK && !group->is_damaged &&
        replica_snapshot_is_useful(group)) {
        replica_snapshot_take(group, &close->snapshot);
    }
    raft_free(group->raft);
    group->raft = NULL;
    close->log = group->log;
    group->log = NULL;
    close->record_file = group->record_file;
    group->record_file = NULL;
    list_remove(&group->created_node);
    if (close->log != NULL) {
        log_detach(close->log);
    }
    return close;
}

static void remove_directory(struct replica_close *close)
{
    const struct replica_manager_options *options = &close->manager->options;
    uint64_t group_id = close->group->id;
    struct replica_group_record record;
    enum replica_record_state state =
        replica_record_read(options->data_directory, group_id, &record, &close->error);
    if (state == RECORD_WHOLE &&
        !replica_record_is_ours(&record, &options->cluster_id, options->broker_id, group_id)) {
        close->result = REPLICA_FOREIGN;
        return;
    }
    if (state == RECORD_WHOLE && record.incarnation >= close->group->floor) {
        close->result = REPLICA_SUPERSEDED;
        return;
    }
    close->error = replica_directory_delete(options->data_directory, group_id);
    close->result = close->error < 0 ? REPLICA_DISK_FAILED : REPLICA_OK;
}

static void sync_creation(struct replica_close *close)
{
    char path[REPLICA_PATH_SIZE];
    snprintf(path, sizeof path, "%s/groups", close->manager->options.data_directory);
    int result = io_file_sync(close->record_file);
    result = result < 0 ? result : io_directory_sync(path);
    close->error = result < 0 ? result : close->error;
}

void replica_close_run(struct replica_close *close)
{
    if (close->snapshot.envelope != NULL) {
        char path[REPLICA_PATH_SIZE];
        const struct replica_snapshot_place *place = &close->snapshot.place;
        replica_group_path(close->manager->options.data_directory, close->group->id, "", path);
        close->error = log_snapshot_write(path, place->index, place->term, place->next_offset,
                                          close->snapshot.envelope->data,
                                          close->snapshot.envelope->length_bytes);
    }
    if (close->record_file != NULL && !close->is_delete) {
        sync_creation(close); /* closing the log makes it durable, so its directory is first */
    }
    if (close->log != NULL) {
        log_close(close->log);
    }
    if (close->is_delete) {
        remove_directory(close);
    } else if (close->successor != NULL) {
        close->result = replica_directory_quarantine(close->manager->options.data_directory,
                                                     close->successor, &close->quarantine_error);
    }
}

static void answer_waiters(struct replica_group *group, enum replica_result result)
{
    struct list_node *node;
    while ((node = list_take_first(&group->stop_waiters)) != NULL) {
        struct replica_stop_waiter *waiter = container_of(node, struct replica_stop_waiter, node);
        replica_answer_stop(group->manager, waiter->done, waiter->context, result);
        memory_free(waiter);
    }
}

void replica_close_done(struct replica_close *close)
{
    struct replica_group *group = close->group;
    bool was_quarantine = close->successor != NULL;
    bool was_delete = close->is_delete || (!was_quarantine && close->result == REPLICA_DISK_FAILED);
    enum replica_result result = close->result;
    int quarantine_error = close->quarantine_error;
    if (close->error < 0) {
        trace_error("group %llu: closing: %s", (unsigned long long)group->id,
                    strerror(-close->error));
    }
    replica_snapshot_release(&close->snapshot);
    io_file_release(close->record_file);
    memory_free(close);
    group->is_closing = false;
    group->is_closing_on_worker = false;
    if (was_quarantine) {
        replica_quarantine_ended(group, result, quarantine_error);
    }
    if (group->state == GROUP_DELETING && !was_delete) {
        replica_group_released(group); /* asked to be deleted while it was being closed */
        return;
    }
    replica_group_move(group, GROUP_GONE);
    answer_waiters(group, result);
    replica_group_free(group);
}
