/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_upkeep.h -- what the controller leader does by itself, some times a second, from the
 * committed metadata alone: it keeps the controller group's members in step with the brokers, moves
 * replicas off leaving brokers, and unregisters those that hold none any more.
 *
 * Nothing is remembered, so the next leader goes on where this one stopped.
 *
 * On every broker it asks for the vote of a controller whose disk was lost, and sees to one whose
 * data is damaged (controller_repair.h).
 *
 * Locality: shard 0.
 */
#ifndef BROKER_CONTROLLER_UPKEEP_H
#define BROKER_CONTROLLER_UPKEEP_H

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct controller_upkeep;
struct repair_message;

struct controller_upkeep *controller_upkeep_new(struct broker_shard *shard);
void controller_upkeep_start(struct controller_upkeep *upkeep);
void controller_upkeep_stop(struct controller_upkeep *upkeep);
/* No record it proposed is under way. */
bool controller_upkeep_is_idle(const struct controller_upkeep *upkeep);
void controller_upkeep_free(struct controller_upkeep *upkeep);

/* A voter of the controller group says that it has lost its disk. */
void controller_upkeep_note_lost(struct controller_upkeep *upkeep, uint32_t broker_id);
/* WithdrawReplica came for the controller group (controller_repair.h). */
void controller_upkeep_withdraw(struct controller_upkeep *upkeep,
                                const struct repair_message *message);

#endif
