/* SPDX-License-Identifier: Apache-2.0
 *
 * reconciler.h -- making what this shard runs equal to what the metadata assigns to it: what is
 * missing is started, what is provably deleted or moved away is stopped and removed, on doubt
 * nothing is done.
 *
 * The controller leader's requests (raft_group_flow.h) are faster; they get a head start of a
 * second.
 *
 * Locality: one a shard, each for its own groups and by its own copy of the metadata.
 */
#ifndef BROKER_RECONCILER_H
#define BROKER_RECONCILER_H

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct cluster_topic;
struct partition_spec;
struct reconciler;

struct reconciler *reconciler_new(struct broker_shard *shard);
/* The metadata changed, or became known. */
void reconciler_wake(struct reconciler *reconciler);
/* Likewise, of a kind that nobody else acts on: no head start. */
void reconciler_hurry(struct reconciler *reconciler);
void reconciler_stop(struct reconciler *reconciler);
/* Nothing it began is under way. */
bool reconciler_is_idle(const struct reconciler *reconciler);
void reconciler_free(struct reconciler *reconciler);

/* Whether it is known which groups existed before the data directory: from the first time on that
 * this broker finds itself in the metadata. */
bool reconciler_knows_founding(const struct broker_shard *shard);
/* A broker whose data directory is younger than the group has lost what it once promised: whatever
 * was asked for, it may only join (see data_directory.h).  True while that is not known. */
bool reconciler_must_join(const struct broker_shard *shard, uint64_t group_id);

/* The specification of a partition's replica on this broker, which it is assigned to. */
void reconciler_spec_of(const struct broker_shard *shard, const struct cluster_topic *topic,
                        uint32_t partition, struct partition_spec *spec);

#endif
