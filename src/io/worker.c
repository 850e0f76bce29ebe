/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.c -- a job thread whose jobs say themselves what is to be done.
 *
 * Locality: a work's memory by the worker thread between submit and done.
 */
#include "io/worker.h"

#include "base/assert.h"
#include "io/loop_internal.h"

#define WORKER_STACK_BYTES (512 * 1024)

static void worker_run(void *owner, struct list_node *job)
{
    struct io_work *work = container_of(job, struct io_work, node);
    (void)owner;
    work->run(work);
}

static void worker_done(struct list_node *job)
{
    struct io_work *work = container_of(job, struct io_work, node);
    work->done(work);
}

static const struct io_job_thread_kind worker_kind = {
    .stack_bytes = WORKER_STACK_BYTES,
    .run = worker_run,
    .done = worker_done,
};

struct io_job_thread *io_worker_new(struct io_loop *loop, const char *name)
{
    return io_job_thread_new(loop, name, &worker_kind, NULL);
}

void io_worker_submit(struct io_job_thread *worker, struct io_work *work)
{
    require(work->run != NULL && work->done != NULL);
    io_job_thread_submit(worker, &work->node);
}

void io_work_submit(struct io_loop *loop, struct io_work *work)
{
    io_worker_submit(loop->worker, work);
}
