/* SPDX-License-Identifier: Apache-2.0
 *
 * own_memory.h -- the world's own memory, apart from that of the simulated processes, which
 * base/memory.h gives out here (memory.c) and which goes with them.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_OWN_MEMORY_H
#define TESTS_SIM_WORLD_OWN_MEMORY_H

#include <stddef.h>

/* Zeroed; no memory, no world. */
void *own_allocate(size_t size);
void *own_allocate_raw(size_t size); /* with anything in it */
void *own_reallocate(void *memory, size_t size);
char *own_duplicate(const char *text);
void own_free(void *memory); /* accepts NULL */

#endif
