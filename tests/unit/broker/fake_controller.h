/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_controller.h -- the controller as the Kafka APIs see it: proposals are applied to the
 * shard's own metadata, groups start when the test says so.
 */
#ifndef TESTS_FAKE_CONTROLLER_H
#define TESTS_FAKE_CONTROLLER_H

#include "replica/replica.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether this broker is the controller leader; it is at first. */
void fake_controller_lead(bool is_leader);
/* It was replaced and has not heard of it: no majority confirms its lead. */
void fake_controller_replace_unheard(bool is_replaced);
/* What controller_view() shows while it leads. */
void fake_controller_set_view(const struct replica_group_view *view);
/* Flows of groups to start or stop end at once and well (the default), or wait for
 * fake_controller_finish(). */
void fake_controller_hold_groups(bool hold);
/* Ends what was held: in time, or not. */
void fake_controller_finish(bool in_time);
/* Since the last call. */
uint32_t fake_controller_groups_started(void);
uint32_t fake_controller_groups_stopped(void);
/* Other brokers have applied what is committed at once (the default), or when this says so. */
void fake_controller_hold_metadata(bool hold);
/* Which brokers of 1 to 3 run; all at first. */
void fake_broker_set_live(uint32_t broker_id, bool is_live);
/* Wishes that a leader hand over, since the last call; and the last of them. */
uint32_t fake_controller_handovers(uint64_t *group_id, uint32_t *leader, uint32_t *to_broker_id);
/* Requests forwarded to the controller run the handler of their type here. */
uint32_t fake_controller_forwarded(void);

#endif
