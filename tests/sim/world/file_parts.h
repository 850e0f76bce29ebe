/* SPDX-License-Identifier: Apache-2.0
 *
 * file_parts.h -- file operations without the time they take, for the flusher (jobs.c).  Not for
 * tests.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_FILE_PARTS_H
#define TESTS_SIM_WORLD_FILE_PARTS_H

#include "base/buf.h"
#include "internal.h"
#include "io/file.h"

/* How long an operation takes on this host, drawn anew each time. */
uint64_t file_operation_ns(const struct sim_host *host, bool is_sync);
/* The running process is about to touch its disk: it crashes here when that was asked for. */
void file_count_operation(void);

int file_write_slices(struct io_file *file, uint64_t position, const struct buf_slice *slices,
                      uint32_t slice_count);
int file_truncate(struct io_file *file, uint64_t size);
int file_sync(struct io_file *file);
int file_sync_directory(struct sim_host *host, const char *path);
/* The process is gone while the step was under way: some of a write may have been done. */
void file_abandon_step(const struct io_flush_step *step);

#endif
