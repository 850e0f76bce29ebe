/* SPDX-License-Identifier: Apache-2.0
 *
 * tombstone_floor.h -- the rule by which a partition's leader proves up to where its tombstones
 * have done their work on every copy of the log: the tombstone floor.
 *
 * A copy that was compacted beyond a tombstone has no older record of its key.  The floor is an
 * offset beyond which every copy had been compacted at one and the same moment.  From then on no
 * copy has such a record below it, nor gets one: what it is sent comes from a copy without, and a
 * copy that is made later begins empty.  So the floor of a partition never falls, whoever leads.
 *
 * That moment is what has to be proven, since a copy may be lost and filled again.  A round asks
 * all holders how far they are and which copy they speak of.  What held in the copies of a round
 * that was answered by all, and in the same copies in a later one, held when that later one began.
 * Whoever does not answer, or has a copy of another life, or sees another term or another epoch of
 * the partition's replicas than the leader, proves nothing (docs/design/compaction.md).
 *
 * Not here: who may hold a copy, and how they are asked (tombstone_rounds.h).
 *
 * Locality: any; plain data.
 */
#ifndef BROKER_TOMBSTONE_FLOOR_H
#define BROKER_TOMBSTONE_FLOOR_H

#include "cluster/cluster.h"
#include "raft/membership.h"

#include <stdbool.h>
#include <stdint.h>

/* Members of the Raft group, and brokers that the metadata lists for the partition. */
#define TOMBSTONE_HOLDERS_MAX (RAFT_MEMBERS_MAX + CLUSTER_REPLICAS_MAX)

/* Among whom, and under whom, a proof holds. */
struct tombstone_holders {
    uint64_t term;  /* in which this broker leads */
    uint32_t epoch; /* of the partition's replicas in the metadata */
    uint32_t count;
    uint32_t brokers[TOMBSTONE_HOLDERS_MAX]; /* ascending, each once */
};

/* What one holder says of its copy. */
struct tombstone_answer {
    uint64_t term;
    uint32_t epoch;
    uint64_t copy_id; /* of this life of the copy; > 0 */
    uint64_t offset;  /* compacted up to here */
};

struct tombstone_round {
    uint32_t answered;
    struct tombstone_answer answers[TOMBSTONE_HOLDERS_MAX]; /* of the holders; copy_id 0: none */
};

/* The proof of one partition as far as it has come, at its leader.  Zeroed: nothing is known. */
struct tombstone_proof {
    struct tombstone_holders holders;
    uint64_t number; /* of the round that is under way; 0: none */
    bool has_earlier;
    struct tombstone_round earlier; /* answered by all, before the one that is under way began */
    struct tombstone_round latest;  /* that one */
};

/* Adds a broker to the holders, if it is not among them.  False: there is no room. */
bool tombstone_holders_add(struct tombstone_holders *holders, uint32_t broker_id);

/* Begins a round of that number (> 0, never used before), now; other holders than before begin
 * anew. */
void tombstone_proof_begin(struct tombstone_proof *proof, uint64_t number,
                           const struct tombstone_holders *holders);
/* A holder's answer to that round came; one to another, from anybody else, or that does not fit
 * counts for nothing.  What is proven now, or 0. */
uint64_t tombstone_proof_take(struct tombstone_proof *proof, uint64_t number, uint32_t broker_id,
                              const struct tombstone_answer *answer);

#endif
