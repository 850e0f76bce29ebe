/* SPDX-License-Identifier: Apache-2.0
 *
 * quarantine.h -- damaged replicas, inside this room: noting damage, and moving a damaged directory
 * aside for an empty replica that joins (see quarantine.c).
 */
#ifndef REPLICA_QUARANTINE_H
#define REPLICA_QUARANTINE_H

#include "replica/group_directory.h"
#include "replica/replica.h"

#include <stdbool.h>
#include <stdint.h>

#define REPLICA_DAMAGED_SUFFIX ".damaged-"
#define REPLICA_DAMAGED_KEPT_MAX 4
#define REPLICA_JOINING_SUFFIX ".joining"

/* ---- On the shard ---- */

/* A read of a RUNNING group met damage. */
void replica_group_damaged(struct replica_group *group, const char *reason);
/* The close of a group that has a successor is done.  disk_error: below 0 with REPLICA_DISK_FAILED,
 * else 0. */
void replica_quarantine_ended(struct replica_group *group, enum replica_result result,
                              int disk_error);

/* ---- May block ---- */

/* The group is closed.  record: of the empty replica that takes its place.  disk_error: why the
 * disk failed, 0 when it did not. */
enum replica_result replica_directory_quarantine(const char *data_directory,
                                                 const struct replica_group_record *record,
                                                 int *disk_error);
/* What a crash between the two renames left.  Before a group's directory is looked at. */
int replica_directory_finish_quarantine(const char *data_directory, uint64_t group_id);

#endif
