/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_group.h -- a Raft group that the test leads and commits by hand, with its log in memory, in
 * place of the rooms replica and log.
 *
 * It keeps their contracts as far as partitions use them: calls into the applier come from the test
 * only, never from inside a proposal.
 */
#ifndef TESTS_FAKE_GROUP_H
#define TESTS_FAKE_GROUP_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define FAKE_BATCHES_MAX 256

/* The group of the id, which must have been started. */
struct replica_group *fake_group(uint64_t group_id);
/* Runs the done callbacks of starts and stops. */
void fake_groups_turn(void);
void fake_group_lead(struct replica_group *group, uint64_t term);
/* Elected, and not ready to lead yet: fake_group_lead() comes next. */
void fake_group_elect(struct replica_group *group, uint64_t term);
/* Somebody else leads now; what is not committed is cut. */
void fake_group_follow(struct replica_group *group, uint32_t leader, uint64_t term);
/* Another one that leads sends this replica a batch of one record; keeps a reference. */
void fake_group_receive(struct replica_group *group, struct buf *batch);
/* Commits everything below the offset. */
void fake_group_commit(struct replica_group *group, uint64_t offset);
void fake_group_commit_all(struct replica_group *group);
/* Everything appended is flushed here. */
void fake_group_save(struct replica_group *group);
/* Proposals find the log full. */
void fake_group_set_full(struct replica_group *group, bool is_full);
/* Another one leads, and this replica has not heard of it: read barriers fail. */
void fake_group_depose_unknowingly(struct replica_group *group);
/* Members in touch, of three voters. */
void fake_group_set_active(struct replica_group *group, uint32_t count);
/* Whether the other members have everything. */
void fake_group_set_matched(struct replica_group *group, bool is_matched);
void fake_group_set_joining(struct replica_group *group, bool is_joining);
/* The next so many reads have to load something first; fake_group_load() ends that. */
void fake_group_unload(struct replica_group *group, uint32_t reads);
void fake_group_load(struct replica_group *group);
void fake_group_drop_before(struct replica_group *group, uint64_t offset);
/* How often the log's start was to be moved. */
uint32_t fake_group_starts_proposed(const struct replica_group *group);
uint64_t fake_group_end(const struct replica_group *group);
/* References given out by reads and not released. */
int fake_group_references(void);

#endif
