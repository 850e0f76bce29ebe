/* SPDX-License-Identifier: Apache-2.0
 *
 * promise.h -- what a node says must rest on what its disk holds.
 *
 * The oracle sees a broken promise when it does harm; these rules see it when it is made, however
 * seldom a crash would come at the right moment.
 *
 *   saved       what a core takes for durable is on its disk
 *   votes       asked for and granted with term and vote on the disk, one a term, even by a node
 *               that has lost its disk meanwhile
 *   acks        name what is on the disk
 *   appends     a leader's term is on its disk
 *   commits     when an entry is first committed, the disks of a majority of voters have it, not
 *               counting those that may not vote
 *   barriers    pass when a majority of voters has answered a heartbeat that left after the
 * question membership  in force is the newest one of the log
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_RAFT_PROMISE_H
#define TESTS_SIM_RAFT_PROMISE_H

#include "cluster.h"

/* At the end of a node's turn; covers "saved" and "membership". */
void promise_check_node(const struct cluster_node *node);
/* A message leaves the node. */
void promise_check_message(struct cluster_node *node, const struct raft_message *message);
/* A barrier passes. */
void promise_check_barrier(const struct cluster_node *node, const struct cluster_barrier *barrier);
/* node is the first of all to commit this entry. */
void promise_check_commit(struct cluster *cluster, const struct cluster_node *node,
                          const struct cluster_record *record);

#endif
