/* SPDX-License-Identifier: Apache-2.0
 *
 * group_open.c -- opening a group's directory, on the worker thread: whose it is, its log, its
 * snapshot, and that these agree.  On doubt nothing is changed on disk.
 */
#include "base/assert.h"
#include "base/trace.h"
#include "replica/manager.h"
#include "replica/quarantine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void fail(struct replica_open *open, enum replica_result result, const char *reason)
{
    open->result = result;
    snprintf(open->error, sizeof open->error, "%s", reason);
}

static void create(struct replica_open *open, const char *data_directory)
{
    int result = replica_record_create(data_directory, &open->record, &open->record_file);
    if (result < 0) {
        fail(open, REPLICA_DISK_FAILED, strerror(-result));
    }
}

static void check_record(struct replica_open *open, const struct replica_group_record *found)
{
    const struct replica_manager_options *options = &open->manager->options;
    if (!replica_record_is_ours(found, &options->cluster_id, options->broker_id,
                                open->record.group_id)) {
        fail(open, REPLICA_FOREIGN, "stamped with another cluster, broker or group id");
    } else if (strcmp(found->applier_name, open->record.applier_name) != 0) {
        fail(open, REPLICA_DAMAGED, "the directory is of another kind of group");
    } else if (found->incarnation < open->floor) {
        fail(open, REPLICA_DISK_FAILED, "the directory of a deleted replica is still there");
    } else {
        open->record = *found; /* what was founded wins over what is asked for now */
    }
}

/* The record may stand in the page cache only: a process that was killed had not synced it.  It is
 * synced ahead of the first save, like a new one. */
static void hold_record(struct replica_open *open)
{
    char path[REPLICA_PATH_SIZE];
    replica_group_path(open->manager->options.data_directory, open->record.group_id, "/group",
                       path);
    int result = io_file_open(&open->record_file, path, IO_OPEN_WRITE);
    if (result < 0) {
        fail(open, REPLICA_DISK_FAILED, strerror(-result));
    }
}

static void open_record(struct replica_open *open)
{
    const char *data_directory = open->manager->options.data_directory;
    struct replica_group_record found;
    int result = replica_directory_finish_quarantine(data_directory, open->record.group_id);
    if (result < 0) {
        fail(open, REPLICA_DISK_FAILED, strerror(-result));
        return;
    }
    switch (replica_record_read(data_directory, open->record.group_id, &found, &result)) {
    case RECORD_WHOLE:
        check_record(open, &found);
        if (open->result == REPLICA_OK) {
            hold_record(open);
        }
        break;
    case RECORD_UNBORN:
        open->result = replica_directory_remove_unborn(data_directory, open->record.group_id,
                                                       open->manager->stream, &open->log_options);
        if (open->result == REPLICA_OK) {
            create(open, data_directory);
        }
        break;
    case RECORD_ABSENT:
        create(open, data_directory);
        break;
    case RECORD_DAMAGED:
        fail(open, REPLICA_DAMAGED, "the record of its owner is damaged");
        break;
    case RECORD_UNREADABLE:
        fail(open, REPLICA_DISK_FAILED, strerror(-result));
        break;
    }
}

static void open_log(struct replica_open *open, const char *path)
{
    int result = log_open(&open->log, open->manager->stream, path, &open->log_options, &open->found,
                          open->error, sizeof open->error);
    if (result < 0) {
        open->log = NULL;
        open->result = result == -EBADMSG ? REPLICA_DAMAGED : REPLICA_DISK_FAILED;
    }
}

static void close_log(struct replica_open *open)
{
    if (open->log != NULL) {
        log_detach(open->log);
        log_close(open->log);
        open->log = NULL;
    }
}

/* The log holds the entry at index, or begins right behind it, with that term; or begins later. */
static bool log_reaches(const struct log_found *found, uint64_t index, uint64_t term)
{
    if (index + 1 < found->first_index) {
        return true;
    }
    if (index + 1 == found->first_index) {
        return found->prefix_term == term;
    }
    if (index > found->last_index) {
        return false;
    }
    uint64_t term_there = found->prefix_term;
    for (size_t i = 0; i < found->term_start_count; i++) {
        if (found->term_starts[i].first_index <= index) {
            term_there = found->term_starts[i].term;
        }
    }
    return term_there == term;
}

/* A snapshot from a leader became durable, but the log was not begun anew behind it before a crash.
 */
static void finish_install(struct replica_open *open, const char *path)
{
    int result = replica_snapshot_reset_log(open->log, &open->snapshot.place);
    close_log(open);
    if (result < 0) {
        fail(open, REPLICA_DISK_FAILED, strerror(-result));
        return;
    }
    open_log(open, path);
}

static void check_snapshot(struct replica_open *open, const char *path)
{
    const struct replica_snapshot_place *place = &open->snapshot.place;
    const struct log_found *found = &open->found;
    if (open->snapshot.is_installed) {
        if (!log_reaches(found, place->log_index, place->log_term)) {
            finish_install(open, path);
        }
    } else if (place->index > found->last_index || !log_reaches(found, place->index, place->term)) {
        fail(open, REPLICA_DAMAGED, "the log ends before the snapshot that was made from it");
    }
    if (open->result == REPLICA_OK && place->index + 1 < found->first_index) {
        fail(open, REPLICA_DAMAGED, "entries are missing between the snapshot and the log");
    }
}

static void open_snapshot(struct replica_open *open, const char *path)
{
    uint64_t index;
    uint64_t term;
    uint64_t next_offset;
    struct buf *envelope = NULL;
    int result = log_snapshot_read(path, &index, &term, &next_offset, &envelope);
    if (result == 0 && !replica_snapshot_unwrap(&open->snapshot, envelope)) {
        result = -EBADMSG;
    }
    buf_release(envelope);
    if (result == 0) {
        check_snapshot(open, path);
    } else if (result != -ENOENT && result != -EBADMSG) {
        fail(open, REPLICA_DISK_FAILED, strerror(-result));
    } else if (open->found.first_index > 1) {
        fail(open, REPLICA_DAMAGED,
             "the log's beginning is gone, and its snapshot missing or damaged");
    } else if (result == -EBADMSG) {
        trace_warn("group %llu: its snapshot is damaged; the whole log is applied again",
                   (unsigned long long)open->record.group_id);
    }
}

void replica_open_run(struct replica_open *open)
{
    char path[REPLICA_PATH_SIZE];
    replica_group_path(open->manager->options.data_directory, open->record.group_id, "", path);
    open_record(open);
    if (open->result == REPLICA_OK) {
        open_log(open, path);
    }
    if (open->result == REPLICA_OK) {
        open_snapshot(open, path);
    }
    if (open->result != REPLICA_OK) {
        close_log(open);
        replica_snapshot_release(&open->snapshot);
    }
}
