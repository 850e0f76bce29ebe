/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_balance.h -- leaders in balance: a broker that leads a partition which another one is
 * preferred to lead hands it over when that one has been back for a while.
 *
 * Placement spreads the preferred leaders evenly, so after a restart the leaders end up as even as
 * they were.  Preferred is the first replica that is to stay.  It gets the lead when it votes, has
 * what is committed, does not leave the cluster, and its connection has held for
 * leader_balance_delay_ms; a few partitions a second, and each at most once in that time.
 *
 * Locality: one a shard, for the groups it hosts.
 */
#ifndef BROKER_LEADER_BALANCE_H
#define BROKER_LEADER_BALANCE_H

struct broker_shard;
struct leader_balance;

struct leader_balance *leader_balance_new(struct broker_shard *shard);
/* Does nothing when the config says so. */
void leader_balance_start(struct leader_balance *balance);
void leader_balance_stop(struct leader_balance *balance);
void leader_balance_free(struct leader_balance *balance);

#endif
