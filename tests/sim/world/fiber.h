/* SPDX-License-Identifier: Apache-2.0
 *
 * fiber.h -- code that may block, on a stack of its own: a process's main thread, and the worker
 * beside each loop.  Turns of loops never block and need none.
 *
 * A fiber runs until it sleeps, parks or ends; meanwhile nothing else runs.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_FIBER_H
#define TESTS_SIM_WORLD_FIBER_H

#include "internal.h"

/* Starts soon.  The fiber belongs to the process and goes with it. */
struct sim_fiber *fiber_new(struct sim_process *process, void (*run)(void *context), void *context);
/* The running fiber only: gives way for so long. */
void fiber_sleep(uint64_t duration_ns);
/* The running fiber only: gives way until fiber_unpark(). */
void fiber_park(void);
/* Harmless when it is not parked. */
void fiber_unpark(struct sim_fiber *fiber);
/* The running fiber gives way and never comes back. */
_Noreturn void fiber_leave(void);
/* Whether run has returned. */
bool fiber_is_over(const struct sim_fiber *fiber);
/* Those of a process that has ended: what stands on their stacks is forgotten. */
void fiber_release_all(struct sim_process *process);
/* After a pause. */
void fiber_resume_all(struct sim_process *process);

#endif
