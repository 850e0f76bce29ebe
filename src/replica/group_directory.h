/* SPDX-License-Identifier: Apache-2.0
 *
 * group_directory.h -- the directory of a group: groups/<id>/, whose file `group` says whose it is.
 *
 * Creating: the directory and its file `group` are written, not synced; one flush ahead of the
 * group's first durable save syncs them, for all groups created meanwhile.  Until then the group
 * has promised nothing, so a power cut may leave any part of it: a directory whose `group` is
 * missing, empty or zero, and whose log holds neither entry, term nor vote, was half created and is
 * removed.  With anything in its log it is damaged, and kept.
 *
 * Deleting: the tombstone is durable -> the directory is renamed to <id>.deleted -> its tree is
 * removed. What a crash left of that is finished at the next scan.  Only a directory stamped with
 * our cluster and broker is ever removed.
 *
 * Everything here may block: it runs before the loop or inside a work.
 */
#ifndef REPLICA_GROUP_DIRECTORY_H
#define REPLICA_GROUP_DIRECTORY_H

#include "base/uuid.h"
#include "io/file.h"
#include "log/log.h"
#include "raft/membership.h"
#include "replica/replica.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLICA_PATH_SIZE 4096
#define REPLICA_APPLIER_NAME_SIZE 32

/* The content of the file `group`. */
struct replica_group_record {
    struct uuid cluster_id;
    uint32_t broker_id;
    uint64_t group_id;
    uint32_t incarnation; /* see replica.h */
    bool join;            /* came empty and may have voted before: see may_vote in raft.h */
    struct raft_membership members; /* the founding ones; empty when join */
    char applier_name[REPLICA_APPLIER_NAME_SIZE];
    size_t description_length;
    uint8_t description[REPLICA_DESCRIPTION_BYTES_MAX];
};

/* "<data>/groups/<id><suffix>" into path (REPLICA_PATH_SIZE); returns path. */
char *replica_group_path(const char *data_directory, uint64_t group_id, const char *suffix,
                         char *path);

enum replica_record_state {
    RECORD_WHOLE,
    RECORD_ABSENT, /* no directory */
    RECORD_UNBORN, /* a directory whose record is missing, empty or zero */
    RECORD_DAMAGED,
    RECORD_UNREADABLE, /* *result says why */
};

/* Reads groups/<id>/group. */
enum replica_record_state replica_record_read(const char *data_directory, uint64_t group_id,
                                              struct replica_group_record *record, int *result);

/* Reads the record of a group that runs once more, from the medium: 0, -EBADMSG when it makes no
 * sense or is gone, or another errno. */
int replica_record_verify(const char *data_directory, uint64_t group_id);

/* Makes the directory and its record, unsynced; *file stays open so that it can be synced. */
int replica_record_create(const char *data_directory, const struct replica_group_record *record,
                          struct io_file **file);
/* Likewise as groups/<id><suffix>. */
int replica_record_create_beside(const char *data_directory,
                                 const struct replica_group_record *record, const char *suffix,
                                 struct io_file **file);
/* Replaces the record durably. */
int replica_record_replace(const char *data_directory, const struct replica_group_record *record);

/* True when record belongs to this cluster and broker and to this group. */
bool replica_record_is_ours(const struct replica_group_record *record,
                            const struct uuid *cluster_id, uint32_t broker_id, uint64_t group_id);

/* Removes an UNBORN directory if its log proves that it never promised anything; REPLICA_DAMAGED
 * (and nothing touched) if not. */
enum replica_result replica_directory_remove_unborn(const char *data_directory, uint64_t group_id,
                                                    struct log_stream *stream,
                                                    const struct log_options *options);
/* Second and third step of a deletion. 0 also when there is nothing. */
int replica_directory_delete(const char *data_directory, uint64_t group_id);

#endif
