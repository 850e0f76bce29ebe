/* SPDX-License-Identifier: Apache-2.0
 *
 * repair.h -- brings damaged replicas back: their group goes on without their vote, their data is
 * moved aside, and an empty replica joins in their place and is filled by the others.
 *
 *     damaged --(WithdrawReplica)--> leader removes it from the members
 *             <--(WithdrawReplica, IsOut)-- once that is committed
 *     quarantine (replica/quarantine.c), start, readmission as after the loss of a disk
 *
 * The leader agrees only while all the other replicas are voters, there and caught up, and are a
 * majority of the assigned ones: so one replica at a time, and never the only one.  Otherwise
 * nothing is moved, the damaged replica stays as it is, and the ask is repeated.
 *
 * Locality: the shard of the group.
 */
#ifndef BROKER_REPAIR_H
#define BROKER_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct cluster_topic;
struct repairs;

struct repairs *repairs_new(struct broker_shard *shard);
void repairs_free(struct repairs *repairs);
/* Nothing is being moved aside: repairs_free() may come. */
bool repairs_are_idle(const struct repairs *repairs);

/* True when the partition's replica here is damaged: then it was taken care of, as far as that can
 * be done now, and is not to be started. */
bool repairs_attend(struct repairs *repairs, const struct cluster_topic *topic, uint32_t partition);

/* Since the last call some damaged replica led its group: it is to be attended again soon, before
 * the lead comes back to it. */
bool repairs_gave_lead_away(struct repairs *repairs);

/* WithdrawReplica came from a broker. */
struct repair_message {
    uint64_t group_id;
    int64_t ask;
    uint32_t from;
    bool is_out;
};
void repairs_take(struct repairs *repairs, const struct repair_message *message);

#endif
