/* SPDX-License-Identifier: Apache-2.0
 *
 * host_parts.h -- what the files of the simulated processes share.  Not for others.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_LIFE_HOST_PARTS_H
#define TESTS_SIM_LIFE_HOST_PARTS_H

#include "base/list.h"
#include "host.h"
#include "io/file.h"

struct sim_disk;

struct host_memory {
    struct list blocks;
    uint64_t count;
};

/* Of the process that runs; NULL: none does. */
struct host_memory *host_memory_in_use(void);
void host_memory_release(struct host_memory *memory);

/* Of the process that runs. */
struct sim_disk *host_disk_in_use(void);
/* It is about to touch its disk: here it may die, and then this does not return. */
void host_operation(void);
struct list *host_open_files(void);
/* The files of a process that is gone. */
void host_files_close(struct list *files);
int host_flush_step(const struct io_flush_step *step);

#endif
