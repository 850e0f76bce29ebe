/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_table.h -- who leads which Raft group, as far as this broker knows: from its own replicas
 * at once, of other groups by what the leaders announce.  The highest term wins.
 *
 * Each shard keeps a copy; changes reach all shards by message.
 *
 * Locality: the shard that owns the copy.
 */
#ifndef BROKER_LEADER_TABLE_H
#define BROKER_LEADER_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct leader_table;

struct leader_table *leader_table_new(void);
void leader_table_free(struct leader_table *table);

/* leader 0: unknown (no leader, or none heard of); term is then the newest known. False: never
 * heard of. */
bool leader_table_get(const struct leader_table *table, uint64_t group_id, uint32_t *leader,
                      uint64_t *term);
/* The last leader known in the newest term, though a replica here may have lost it from sight
 * since; 0: none was known. */
uint32_t leader_table_last(const struct leader_table *table, uint64_t group_id, uint64_t *term);
/* Takes news; older terms are ignored.  True when something changed. */
bool leader_table_put(struct leader_table *table, uint64_t group_id, uint32_t leader,
                      uint64_t term);
void leader_table_remove(struct leader_table *table, uint64_t group_id);

/* A replica of this shard learned of a change of leader: updates this copy, those of the other
 * shards and, when this broker is the new leader, tells the other brokers. */
void leader_table_publish(struct broker_shard *shard, uint64_t group_id, uint32_t leader,
                          uint64_t term);
/* A replica of this shard is no more, or does not run: that it had lost its leader from sight says
 * nothing about the group from here on, and who was known to lead it counts again. */
void leader_table_withdraw(struct broker_shard *shard, uint64_t group_id);

#endif
