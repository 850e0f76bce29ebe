/* SPDX-License-Identifier: Apache-2.0
 *
 * data_directory.h -- whose data directory it is: the file `meta`, and the lock that keeps a second
 * process out.
 *
 * A directory has an id of its own, made up when it is.  A broker whose directory was lost comes
 * back with another one, and is known by that not to remember what it promised (founding.h).
 *
 * Every start on it is written down in it before anything else is done: the last one that the
 * cluster is known to have heard of, and those since.  The cluster remembers the last start it was
 * told of, and knows an older copy of the directory by that being missing (cluster/directory.c).
 *
 * Locality: the main thread before the shards run; the setters block and run where that is allowed,
 * one at a time.
 */
#ifndef BROKER_DATA_DIRECTORY_H
#define BROKER_DATA_DIRECTORY_H

#include "base/uuid.h"
#include "broker/config.h"
#include "cluster/cluster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATA_DIRECTORY_NO_LIMIT UINT64_MAX
#define DATA_DIRECTORY_FOUNDERS_MAX 7

/* One of the brokers that founded the controller group, and the directory it did so with. */
struct data_directory_founder {
    uint32_t broker_id;
    struct uuid directory_id;
};

struct data_directory {
    const char *path;
    struct uuid cluster_id;
    uint32_t broker_id;
    struct uuid id;
    /* Their numbers ascend from first_start on; this one last (cluster.h).  When there is no room
     * for another, a start goes by the id of the one before: so many of them in a row were never
     * heard of. */
    uint64_t first_start;
    struct uuid starts[CLUSTER_DIRECTORY_STARTS_MAX];
    uint32_t start_count;
    /* Ascending by broker id; none until they are known. */
    struct data_directory_founder founders[DATA_DIRECTORY_FOUNDERS_MAX];
    uint32_t founder_count;
    /* Groups with a lower id existed before this directory was first registered: if one of them is
     * assigned to this broker, an earlier directory was lost, and a replica here has promised
     * nothing it remembers. It must not found the group anew but wait for the others to bring it up
     * to date. DATA_DIRECTORY_NO_LIMIT until the metadata is known for the first time. */
    uint64_t first_founded_group_id;
};

/* The cluster's id: every broker derives the same from the cluster's name, without asking anybody.
 */
struct uuid data_directory_cluster_id(const char *cluster_name);

/* Makes or opens the directory, locks it, makes or checks `meta`, and writes the start down;
 * fresh_id is the id of a directory that is made now, start_id this start's.  False with a message;
 * another broker's or cluster's directory is refused with both ids named. */
bool data_directory_open(struct data_directory *directory, const struct broker_config *config,
                         const struct uuid *fresh_id, const struct uuid *start_id, char *error,
                         size_t error_size);

/* Durable on return; 0 or a negative errno. */
int data_directory_set_founders(struct data_directory *directory,
                                const struct data_directory_founder *founders,
                                uint32_t founder_count);
/* The cluster has heard of this start, so that the ones before need not be told any more (they stay
 * in starts, which others read), and the groups below group_id existed before the directory was
 * registered. */
int data_directory_set_joined(struct data_directory *directory, uint64_t group_id);

#endif
