/* SPDX-License-Identifier: Apache-2.0
 *
 * turn.h -- the manager's share of the loop's turn.
 *
 * Locality: the shard of its manager.
 */
#ifndef REPLICA_TURN_H
#define REPLICA_TURN_H

struct replica_manager;

/* Installs hook and wheel; removes them. */
void replica_turn_begin(struct replica_manager *manager);
void replica_turn_end(struct replica_manager *manager);

#endif
