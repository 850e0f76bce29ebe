/* SPDX-License-Identifier: Apache-2.0
 *
 * sync_pool.h -- syncs several files at the same time.  Not for other rooms.
 *
 * Locality: one calling thread.
 */
#ifndef IO_SYNC_POOL_H
#define IO_SYNC_POOL_H

#include "io/file.h"

struct io_sync_pool;

struct io_sync_pool *io_sync_pool_new(void);
void io_sync_pool_free(struct io_sync_pool *pool);

/* Syncs the files of all steps and returns when all are done: 0, or the negative errno of one that
 * failed. */
int io_sync_pool_run(struct io_sync_pool *pool, const struct io_flush_step *steps, uint32_t count);

#endif
