/* SPDX-License-Identifier: Apache-2.0
 *
 * status.h -- a broker's view of the cluster and of its Raft groups as JSON, for the command-line
 * tool.
 *
 * Locality: the admin thread; asks the shards.
 */
#ifndef ADMIN_STATUS_H
#define ADMIN_STATUS_H

#include "broker/broker.h"

#include <stdbool.h>

/* Each returns text of the C heap that the caller frees, or NULL when a shard did not answer in
 * time. */
char *status_cluster(struct broker *broker);
char *status_raft(struct broker *broker);
/* The metadata is loaded, a controller leader is known and every shard answers. */
bool status_is_ready(struct broker *broker);
/* Every shard answers. */
bool status_is_healthy(struct broker *broker);

#endif
