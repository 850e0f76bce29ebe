/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h -- the rules of the drill, each family in a file of its own (check_*.c).  A broken rule
 * fails the world with the rule's name and what was seen; the first one stays.
 *
 * Two kinds: rules over what clients were told (check_sends.c, check_reads.c, check_topics.c,
 * check_groups.c), which know nothing of the inside, and rules over the replicas (check_raft.c,
 * check_replicas.c, check_state.c), which look between two events at the views every room shows.
 */
#ifndef TESTS_SIM_DRILL_CHECK_H
#define TESTS_SIM_DRILL_CHECK_H

#include "drill/history.h"

#include <stdbool.h>
#include <stdint.h>

struct atlas;
struct drill;

/* ---- check_sends.c: at every answer to a producer ---- */

void check_acked(struct history *history, uint32_t value, int64_t offset);
void check_failed(struct history *history, uint32_t value);
/* A value is found at offset, by an acknowledgement or by reading: unique, and in order. */
void check_place(struct history *history, uint32_t value, int64_t offset, const char *how);

/* ---- check_reads.c: at every record and position told to a consumer ---- */

/* value: HISTORY_NO_VALUE when the bytes are those of no value. */
void check_record_read(struct history *history, uint32_t topic, uint32_t partition, int64_t offset,
                       uint32_t value);
/* The end told by an answer to a question asked when acked_before was the largest acked offset. */
void check_latest(struct history *history, uint32_t topic, uint32_t partition, int64_t acked_before,
                  int64_t end_offset);
/* The log's start told by any answer. */
void check_start(struct history *history, uint32_t topic, uint32_t partition, int64_t start_offset);
/* The beginning told by an answer to a question asked when trimmed_before had been deleted. */
void check_trimmed(struct history *history, uint32_t topic, uint32_t partition,
                   int64_t trimmed_before, int64_t start_offset);
/* Everything was read from the beginning, after the last acknowledgement. */
void check_nothing_lost(struct history *history);

/* ---- check_topics.c ---- */

/* A metadata answer names a leader of a partition in an epoch. */
struct check_leaders;
struct check_leaders *check_leaders_new(struct history *history);
void check_leaders_free(struct check_leaders *leaders);
void check_leader_told(struct check_leaders *leaders, uint32_t topic, uint32_t partition,
                       int32_t epoch, int32_t leader);
/* At rest: every copy of the metadata holds the topics that were created and not deleted, and none
 * that was deleted. */
void check_topics_at_rest(struct drill *drill);

/* ---- check_configs.c ---- */

/* At rest: every copy of the metadata holds the configs that the curator was promised. */
void check_configs_at_rest(struct drill *drill);

/* ---- check_groups.c: what members of the consumer group are told ---- */

struct check_groups;
struct check_groups *check_groups_new(struct history *history);
void check_groups_free(struct check_groups *groups);
/* A number for a member id that was not used before. */
uint32_t check_incarnation(struct check_groups *groups);
/* A commit is about to be sent; its number, which its metadata tells. */
uint32_t check_commit_begin(struct check_groups *groups, uint32_t topic, uint32_t partition,
                            int64_t offset);
void check_commit_end(struct check_groups *groups, uint32_t number, enum history_fate fate);
uint64_t check_commits_acked(const struct check_groups *groups);
/* The largest offset whose commit was acknowledged; -1: none. */
int64_t check_committed(const struct check_groups *groups, uint32_t topic, uint32_t partition);
/* An answer tells offset (-1: nothing committed) and a commit's number; before: what was committed
 * when that was asked. */
void check_committed_told(struct check_groups *groups, uint32_t topic, uint32_t partition,
                          int64_t before, int64_t offset, uint32_t number);
/* The latest generation whose assignment somebody was told; -1: none. */
int32_t check_generation(const struct check_groups *groups);
void check_generation_joined(struct check_groups *groups, int32_t before, int32_t generation);
void check_generation_synced(struct check_groups *groups, int32_t generation);
void check_assigned(struct check_groups *groups, int32_t generation, uint32_t topic,
                    uint32_t partition, uint32_t incarnation);
/* Everything acknowledged in the lasting topics is committed as read. */
bool check_group_has_caught_up(const struct check_groups *groups);

/* ---- check_places.c ---- */

/* At rest: replicas are where the metadata says, and it says what the mover was promised. */
void check_places_at_rest(struct drill *drill);

/* ---- check_raft.c: between events ---- */

struct check_raft;
struct check_raft *check_raft_new(struct drill *drill);
void check_raft_free(struct check_raft *check);
/* After every event. */
void check_raft_run(struct check_raft *check);
/* Carries out a fault, and looks right before and behind it: what a dying broker held is known. */
void check_raft_fault(struct check_raft *check, void (*act)(struct atlas *atlas),
                      struct atlas *atlas);
/* The host's disk lost something on purpose: what was durable there counts no more. */
void check_raft_injured(struct check_raft *check, uint32_t host);
uint64_t check_raft_commits(const struct check_raft *check);

/* ---- check_replicas.c ---- */

/* The cluster is at rest: the bytes of every partition's replicas are the same below its end; those
 * of topics with keys are as check_compacted.c says. */
void check_replicas_equal(struct drill *drill);

/* ---- check_compacted.c ---- */

/* The replicas of a partition that may be compacted hold the same, but for what a later record of
 * the same key has made void. */
void check_compacted_equal(struct drill *drill, uint64_t group_id, bool keeps_tombstones);

/* ---- check_state.c ---- */

/* The cluster is at rest: what the replicas have made of their logs is the same. */
void check_states_equal(struct drill *drill);

#endif
