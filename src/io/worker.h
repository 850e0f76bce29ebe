/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.h -- a thread beside the loop for work that may block; freed with io_job_thread_free().
 * Not for other rooms, which use io_work_submit().
 *
 * Locality: the loop's own thread.
 */
#ifndef IO_WORKER_H
#define IO_WORKER_H

#include "io/file.h"
#include "io/job_thread.h"

struct io_job_thread *io_worker_new(struct io_loop *loop, const char *name);
void io_worker_submit(struct io_job_thread *worker, struct io_work *work);

#endif
