/* SPDX-License-Identifier: Apache-2.0
 *
 * course.h -- the course of one simulated world, from a seed to its end.
 *
 * A seed draws a world (nodes, limits, which misfortunes and how often) and then what happens in
 * it. It returns when the group came through; a broken promise aborts.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_RAFT_COURSE_H
#define TESTS_SIM_RAFT_COURSE_H

#include <stdint.h>
#include <stdio.h>

/* The core's own measure of time (see raft.h). */
#define COURSE_TICK_MS 10

/* Adds up over seeds. */
struct course_totals {
    uint64_t seeds;
    uint64_t steps; /* see cluster_steps() */
    uint64_t ticks;
};

/* trace: NULL for none. */
void course_run(uint64_t seed, FILE *trace, struct course_totals *totals);

#endif
