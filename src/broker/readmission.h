/* SPDX-License-Identifier: Apache-2.0
 *
 * readmission.h -- a replica that is to vote and does not asks its group's leader for its vote,
 * with ReadmitReplica (1008).
 *
 * That is one that was just added by a reassignment, one whose disk was lost, or one that was
 * removed and is wanted again.
 *
 * Locality: the shard of the group.
 */
#ifndef BROKER_READMISSION_H
#define BROKER_READMISSION_H

#include <stdbool.h>

struct broker_shard;

/* Asks for every replica of this shard that needs it.  True when there is one, so that another pass
 * is due soon. */
bool readmission_pass(struct broker_shard *shard);

#endif
