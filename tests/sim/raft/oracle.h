/* SPDX-License-Identifier: Apache-2.0
 *
 * oracle.h -- knows every entry ever made, every commit and every leader, and judges.
 *
 *   election safety      one leader a term
 *   log matching         an entry is the same wherever it stands, and so is the one before it
 *   state-machine safety what one node committed at a place, every node commits there
 *   leader completeness  a new leader has everything that was committed
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_RAFT_ORACLE_H
#define TESTS_SIM_RAFT_ORACLE_H

#include "cluster.h"

struct oracle;

struct oracle *oracle_new(void);
void oracle_free(struct oracle *oracle);

/* A node has this entry now, behind one of that term. */
void oracle_saw_entry(struct oracle *oracle, const struct cluster_record *record,
                      uint64_t previous_term);
/* A node committed this entry in this term.  Whether it is the first to. */
bool oracle_saw_commit(struct oracle *oracle, const struct cluster_record *record, uint64_t term);
void oracle_saw_leader(struct oracle *oracle, uint32_t node_id, const struct raft *raft);
/* Last index committed anywhere, and its term. */
uint64_t oracle_ledger_end(const struct oracle *oracle);
uint64_t oracle_ledger_term(const struct oracle *oracle);

#endif
