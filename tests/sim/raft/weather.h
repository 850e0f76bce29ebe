/* SPDX-License-Identifier: Apache-2.0
 *
 * weather.h -- what the world does to a group: its network, its disks, its processes.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_RAFT_WEATHER_H
#define TESTS_SIM_RAFT_WEATHER_H

#include "world.h"

/* One tick passes for all nodes: time, messages, disks. */
void weather_pass_tick(struct world *world, bool is_stormy);
/* One tick's misfortunes. */
void weather_strike(struct world *world);
/* Every link mended, every process up and awake. */
void weather_clear(struct world *world);
void weather_isolate(struct world *world, uint32_t id);
void weather_part(struct world *world, uint32_t left, uint32_t right);
void weather_mend(struct world *world);

#endif
