/* SPDX-License-Identifier: Apache-2.0
 *
 * job_thread.h -- a thread beside a loop: jobs go to it in order and come back to the loop when
 * they have run.  What a job is, its user knows (flusher.c, worker.c).  Not for other rooms.
 *
 * Locality: the loop's own thread; run alone is called on the thread beside it.
 */
#ifndef IO_JOB_THREAD_H
#define IO_JOB_THREAD_H

#include "base/list.h"
#include "io/loop.h"

#include <stddef.h>

struct io_job_thread;

struct io_job_thread_kind {
    size_t stack_bytes;
    /* Executes a job; the job's memory is the thread's from submit to done. */
    void (*run)(void *owner, struct list_node *job);
    /* On the loop's thread again; may free the job and submit others. */
    void (*done)(struct list_node *job);
};

/* How the thread ends: by running everything that was submitted, without calling done, because
 * those who submitted may be gone; or by starting nothing more and calling done for all, because
 * they wait for it. */
enum io_job_thread_end { IO_JOB_THREAD_RUNS_ALL, IO_JOB_THREAD_ENDS_ALL };

/* The thread starts with the first job.  kind and name (at most 15 characters) outlive it. */
struct io_job_thread *io_job_thread_new(struct io_loop *loop, const char *name,
                                        const struct io_job_thread_kind *kind, void *owner);
void io_job_thread_free(struct io_job_thread *jobs, enum io_job_thread_end end);
void io_job_thread_submit(struct io_job_thread *jobs, struct list_node *job);

#endif
