/* SPDX-License-Identifier: Apache-2.0
 *
 * flusher.c -- executes flushes one after another; neighbouring syncs of a flush side by side.
 *
 * Side by side, because the file system joins device flushes that wait at the same time: four syncs
 * then cost little more than one.  The first failure poisons the flusher for good: what the kernel
 * holds after a failed write or sync is unknown, so nothing later may be called durable.
 *
 * Locality: the poison by the flusher's thread, a flush's memory by the flusher's threads between
 * submit and done.
 */
#include "io/flusher.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/file_internal.h"
#include "io/job_thread.h"
#include "io/loop_internal.h"
#include "io/sync_pool.h"

#define FLUSHER_STACK_BYTES (256 * 1024)

struct io_flusher {
    struct io_loop *loop;
    struct io_job_thread *jobs;
    struct io_sync_pool *pool; /* the flusher thread's; made when first needed */
    int poison;                /* the flusher thread's: the errno (negative) of the first failure */
};

static uint32_t flusher_count_syncs(const struct io_flush_step *steps, uint32_t step_count)
{
    uint32_t count = 0;
    while (count < step_count && steps[count].kind == IO_FLUSH_SYNC) {
        count++;
    }
    return count;
}

static int flusher_sync(struct io_flusher *flusher, const struct io_flush_step *steps,
                        uint32_t count)
{
    if (count == 1) {
        return io_file_sync(steps[0].file);
    }
    if (flusher->pool == NULL) {
        flusher->pool = io_sync_pool_new();
    }
    return io_sync_pool_run(flusher->pool, steps, count);
}

/* Executes one step, or a run of neighbouring syncs; taken says how many steps that was. */
static int flusher_execute_step(struct io_flusher *flusher, const struct io_flush_step *step,
                                uint32_t step_count, uint32_t *taken)
{
    *taken = 1;
    switch (step->kind) {
    case IO_FLUSH_WRITE:
        return io_file_write_slices(step->file, step->position, step->slices, step->slice_count);
    case IO_FLUSH_TRUNCATE:
        return io_file_truncate(step->file, step->position);
    case IO_FLUSH_SYNC:
        *taken = flusher_count_syncs(step, step_count);
        return flusher_sync(flusher, step, *taken);
    case IO_FLUSH_SYNC_DIRECTORY:
        return io_directory_sync(step->path);
    }
    unreachable_code();
}

static int flusher_execute(struct io_flusher *flusher, const struct io_flush *flush)
{
    uint32_t at = 0;
    while (flusher->poison == 0 && at < flush->step_count) {
        uint32_t taken = 0;
        flusher->poison =
            flusher_execute_step(flusher, &flush->steps[at], flush->step_count - at, &taken);
        at += taken;
    }
    ensure(flusher->poison <= 0);
    return flusher->poison;
}

static void flusher_run(void *owner, struct list_node *job)
{
    struct io_flusher *flusher = owner;
    struct io_flush *flush = container_of(job, struct io_flush, node);
    uint64_t begin_ns = io_clock_ns(flusher->loop);
    flush->result = flusher_execute(flusher, flush);
    flush->duration_ns = io_clock_ns(flusher->loop) - begin_ns;
}

static void flusher_done(struct list_node *job)
{
    struct io_flush *flush = container_of(job, struct io_flush, node);
    flush->done(flush);
}

static const struct io_job_thread_kind flusher_kind = {
    .stack_bytes = FLUSHER_STACK_BYTES,
    .run = flusher_run,
    .done = flusher_done,
};

struct io_flusher *io_flusher_new(struct io_loop *loop)
{
    struct io_flusher *flusher = memory_allocate_zeroed(sizeof *flusher);
    flusher->loop = loop;
    flusher->jobs = io_job_thread_new(loop, "flusher", &flusher_kind, flusher);
    return flusher;
}

void io_flusher_free(struct io_flusher *flusher)
{
    io_job_thread_free(flusher->jobs, IO_JOB_THREAD_RUNS_ALL);
    if (flusher->pool != NULL) {
        io_sync_pool_free(flusher->pool);
    }
    memory_free(flusher);
}

void io_flush_submit(struct io_loop *loop, struct io_flush *flush)
{
    require(flush->done != NULL);
    require(flush->steps != NULL || flush->step_count == 0);
    io_job_thread_submit(loop->flusher->jobs, &flush->node);
}
