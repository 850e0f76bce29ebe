/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_repair.h -- brings back a replica of the controller group whose data is damaged, as
 * repair.h does for partitions: the group goes on without it, its data is moved aside, and an empty
 * one joins in its place, follows as a learner, and gets its vote when there is one for it
 * (controller_members.h).
 *
 *     damaged --(WithdrawReplica)--> leader removes it from the members, and does not add it again
 *             <--(WithdrawReplica, IsOut)-- once that is committed
 *     quarantine (replica/quarantine.h), start, ReadmitReplica as after the loss of a disk
 *
 * One that runs hands its leadership over at once.  One that could not be opened has no metadata:
 * it asks every broker it is connected to.  Where the others have no majority that is heard,
 * nothing is moved or deleted.
 *
 * Locality: shard 0, part of the controller's upkeep.
 */
#ifndef BROKER_CONTROLLER_REPAIR_H
#define BROKER_CONTROLLER_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct repair_message;

struct controller_repair {
    struct broker_shard *shard;
    /* The damaged replica. */
    int64_t ask; /* names the present spell of damage; 0: none */
    uint64_t ask_again_ns;
    bool is_moving; /* to quarantine */
    bool has_said_why_not;
    /* Its leader. */
    uint32_t withdrawn;          /* broker id; 0: none */
    uint64_t withdrawn_until_ns; /* if it is not heard of again */
};

/* Some times a second. */
void controller_repair_pass(struct controller_repair *repair);
/* WithdrawReplica came for the controller group. */
void controller_repair_take(struct controller_repair *repair, const struct repair_message *message);
/* The leader: a broker that is to be no member for now; 0: none. */
uint32_t controller_repair_withdrawn(struct controller_repair *repair);
/* The leader: the broker has an empty replica now. */
void controller_repair_rejoins(struct controller_repair *repair, uint32_t broker_id);
/* Nothing is being moved aside. */
bool controller_repair_is_idle(const struct controller_repair *repair);

#endif
