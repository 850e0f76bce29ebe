/* SPDX-License-Identifier: Apache-2.0
 *
 * atlas.h -- the faults, and how much of each a cluster promises to survive.
 *
 * The promise: nothing acknowledged is lost, and nothing wrong is told, whatever happens to
 * processes, network and clocks, and as long as what the disks said to have synced is there. Beyond
 * that, one broker at a time may lose its disk (wipe) or some of it (a read that fails damages the
 * replica, which leaves its group and is filled anew) if every group has three voters or more; the
 * next one may when the first is whole again: every group it holds has caught up and votes.  Until
 * then a broker that stays down may cost a group its majority, too.
 *
 * So power may fail everywhere at once, and any number of brokers may be paused, cut off or killed;
 * only injuries to durable state are counted.
 */
#ifndef TESTS_SIM_DRILL_ATLAS_H
#define TESTS_SIM_DRILL_ATLAS_H

#include <stdbool.h>
#include <stdint.h>

struct atlas;
struct drill;

/* Faults begin at once and come until atlas_calm().  drill outlives it. */
struct atlas *atlas_new(struct drill *drill);
void atlas_free(struct atlas *atlas);
void atlas_begin(struct atlas *atlas);
/* No new faults; takes back what lasts: cuts, pauses, slow and full disks, the network's own. */
void atlas_calm(struct atlas *atlas);
/* A fault of the disk explains that the host's process ended by itself or did not start. */
bool atlas_excuses(const struct atlas *atlas, uint32_t host);
/* Some host's durable state is not whole again. */
bool atlas_has_injured(const struct atlas *atlas);
/* That host lost all, also what it had acknowledged. */
bool atlas_has_wiped(const struct atlas *atlas);
/* Looks whether the injured host is whole again. */
void atlas_watch(struct atlas *atlas);
uint64_t atlas_faults(const struct atlas *atlas);

#endif
