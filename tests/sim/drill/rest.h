/* SPDX-License-Identifier: Apache-2.0
 *
 * rest.h -- is the cluster, or one broker of it, where it wants to be?  Looked at between events,
 * through the views of every room.
 *
 * Not here: whether it ever was where it must not be (check_raft.c).
 */
#ifndef TESTS_SIM_DRILL_REST_H
#define TESTS_SIM_DRILL_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct cluster_metadata;
struct drill;
struct replica_group;
struct replica_group_view;

/* The group, if it runs on the broker, or NULL. */
struct replica_group *rest_find_group(struct broker *broker, uint64_t group_id);

/* The host that leads a group in the newest term, or 0; its view. */
uint32_t rest_find_leader(struct drill *drill, uint64_t group_id, struct replica_group_view *view);

/* The copy of the metadata on the controller's leader, or NULL while that has not applied all. */
const struct cluster_metadata *rest_metadata(struct drill *drill);

/* Every group that the metadata assigns to the host runs there, votes and has what its leader has
 * committed. */
bool rest_host_is_whole(struct drill *drill, uint32_t host);

/* The host runs and has heard of all that the controller group has committed. */
bool rest_host_knows_the_metadata(struct drill *drill, uint32_t host);

/* The controller group lacks a vote that this broker could have: it went with its damaged or lost
 * replica and has not come back, or was not given yet.  False where no leader tells. */
bool rest_vote_is_missing(struct drill *drill, uint32_t host);

/* A group that could not be opened, for its disk failed just then, or a controller group that met a
 * read that failed, waits for its broker to be started again: that is an operator's
 * (design/replica.md). */
bool rest_host_awaits_restart(struct drill *drill, uint32_t host);

/* The whole cluster, but for hosts that stay down, is at rest: all know the same metadata; every
 * group has one leader, of whom all brokers tell, all its replicas there have the same committed
 * end, nothing is being moved, and nothing runs that the metadata does not know.  When not, why
 * (may be NULL) says so. */
bool rest_cluster_is_at_rest(struct drill *drill, char *why, size_t why_size);

#endif
