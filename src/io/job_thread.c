/* SPDX-License-Identifier: Apache-2.0
 *
 * job_thread.c -- one thread, one queue in, one queue back.
 *
 * Jobs are few (a flush a turn, opening files, cold reads, name lookups), so the queues are guarded
 * by a mutex; the loop takes it only when has_finished says that something waits.
 *
 * Locality: queues by either thread under the mutex.
 */
#include "io/job_thread.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/loop_internal.h"
#include "io/thread.h"

#include <pthread.h>
#include <stdatomic.h>

struct io_job_thread {
    struct io_source source;
    struct io_loop *loop;
    const char *name;
    const struct io_job_thread_kind *kind;
    void *owner;
    bool is_started;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t submitted;
    bool is_ending;       /* guarded */
    struct list waiting;  /* guarded */
    struct list finished; /* guarded */
    _Atomic bool has_finished;
};

static bool job_thread_is_pending(struct io_source *source)
{
    struct io_job_thread *jobs = container_of(source, struct io_job_thread, source);
    return atomic_load(&jobs->has_finished);
}

static struct list_node *job_thread_take_finished(struct io_job_thread *jobs)
{
    pthread_mutex_lock(&jobs->mutex);
    struct list_node *job = list_take_first(&jobs->finished);
    if (job == NULL) {
        atomic_store(&jobs->has_finished, false);
    }
    pthread_mutex_unlock(&jobs->mutex);
    return job;
}

static void job_thread_deliver(struct io_source *source)
{
    struct io_job_thread *jobs = container_of(source, struct io_job_thread, source);
    struct list_node *job = job_thread_take_finished(jobs);
    while (job != NULL) {
        jobs->kind->done(job);
        job = job_thread_take_finished(jobs);
    }
}

static void *job_thread_main(void *argument)
{
    struct io_job_thread *jobs = argument;
    pthread_mutex_lock(&jobs->mutex);
    for (;;) {
        struct list_node *job = list_take_first(&jobs->waiting);
        if (job == NULL) {
            if (jobs->is_ending) {
                break;
            }
            pthread_cond_wait(&jobs->submitted, &jobs->mutex);
            continue;
        }
        pthread_mutex_unlock(&jobs->mutex);
        jobs->kind->run(jobs->owner, job);
        pthread_mutex_lock(&jobs->mutex);
        list_append(&jobs->finished, job);
        atomic_store(&jobs->has_finished, true);
        pthread_mutex_unlock(&jobs->mutex);
        io_loop_wake(jobs->loop);
        pthread_mutex_lock(&jobs->mutex);
    }
    pthread_mutex_unlock(&jobs->mutex);
    return NULL;
}

struct io_job_thread *io_job_thread_new(struct io_loop *loop, const char *name,
                                        const struct io_job_thread_kind *kind, void *owner)
{
    require(kind->run != NULL && kind->done != NULL);
    struct io_job_thread *jobs = memory_allocate_zeroed(sizeof *jobs);
    jobs->loop = loop;
    jobs->name = name;
    jobs->kind = kind;
    jobs->owner = owner;
    jobs->source.is_pending = job_thread_is_pending;
    jobs->source.deliver = job_thread_deliver;
    pthread_mutex_init(&jobs->mutex, NULL);
    pthread_cond_init(&jobs->submitted, NULL);
    list_init(&jobs->waiting);
    list_init(&jobs->finished);
    io_source_add(loop, &jobs->source);
    return jobs;
}

void io_job_thread_free(struct io_job_thread *jobs, enum io_job_thread_end end)
{
    if (jobs->is_started) {
        pthread_mutex_lock(&jobs->mutex);
        jobs->is_ending = true;
        while (end == IO_JOB_THREAD_ENDS_ALL && !list_is_empty(&jobs->waiting)) {
            list_append(&jobs->finished, list_take_first(&jobs->waiting));
        }
        pthread_cond_signal(&jobs->submitted);
        pthread_mutex_unlock(&jobs->mutex);
        pthread_join(jobs->thread, NULL);
        if (end == IO_JOB_THREAD_ENDS_ALL) {
            job_thread_deliver(&jobs->source);
        }
    }
    ensure(list_is_empty(&jobs->waiting));
    io_source_remove(&jobs->source);
    pthread_cond_destroy(&jobs->submitted);
    pthread_mutex_destroy(&jobs->mutex);
    memory_free(jobs);
}

void io_job_thread_submit(struct io_job_thread *jobs, struct list_node *job)
{
    list_node_init(job);
    pthread_mutex_lock(&jobs->mutex);
    list_append(&jobs->waiting, job);
    pthread_mutex_unlock(&jobs->mutex);
    pthread_cond_signal(&jobs->submitted);
    if (!jobs->is_started) {
        jobs->is_started = true;
        io_thread_start(&jobs->thread, jobs->name, jobs->kind->stack_bytes, job_thread_main, jobs);
    }
}
