/* SPDX-License-Identifier: Apache-2.0
 *
 * jobs.c -- what runs beside a loop: its flusher, step by step, and its worker, on a fiber whose
 * blocking calls take time while the loop turns on.
 */
#include "base/assert.h"
#include "fiber.h"
#include "file_parts.h"
#include "io/file.h"
#include "loop_parts.h"

static void flusher_step_ended(struct sim_event *event);

void jobs_init(struct io_loop *loop)
{
    list_init(&loop->flusher.queue);
    list_init(&loop->flusher.done);
    list_init(&loop->worker.queue);
    list_init(&loop->worker.done);
    loop->flusher.step_end = (struct sim_event){
        .kind = SIM_EVENT_FLUSH, .process = loop->process, .run = flusher_step_ended};
}

/* ---- Flushes ---- */

static struct io_flush *flusher_first(const struct sim_flusher *flusher)
{
    struct list_node *node = list_first(&flusher->queue);
    return node != NULL ? container_of(node, struct io_flush, node) : NULL;
}

/* How long the step under way will take; neighbouring syncs run side by side, so all but the
 * first of them cost little. */
static uint64_t flusher_step_ns(const struct io_loop *loop, const struct io_flush *flush,
                                uint32_t step)
{
    bool is_sync = flush->steps[step].kind == IO_FLUSH_SYNC ||
                   flush->steps[step].kind == IO_FLUSH_SYNC_DIRECTORY;
    uint64_t duration_ns = file_operation_ns(loop->host, is_sync);
    if (step > 0 && flush->steps[step].kind == IO_FLUSH_SYNC &&
        flush->steps[step - 1].kind == IO_FLUSH_SYNC) {
        duration_ns /= 8;
    }
    return duration_ns;
}

static void flusher_begin_step(struct io_loop *loop)
{
    struct sim_flusher *flusher = &loop->flusher;
    const struct io_flush *flush = flusher_first(flusher);
    uint64_t duration_ns = flusher->poison == 0 && flusher->step < flush->step_count
                               ? flusher_step_ns(loop, flush, flusher->step)
                               : 1;
    sim_event_schedule(&the_world->events, &flusher->step_end, the_world->now_ns + duration_ns);
}

static void flusher_begin(struct io_loop *loop)
{
    loop->flusher.step = 0;
    loop->flusher.began_ns = host_clock_ns(loop->host);
    flusher_begin_step(loop);
}

static int flusher_execute(const struct io_flush_step *step)
{
    switch (step->kind) {
    case IO_FLUSH_WRITE:
        return file_write_slices(step->file, step->position, step->slices, step->slice_count);
    case IO_FLUSH_TRUNCATE:
        return file_truncate(step->file, step->position);
    case IO_FLUSH_SYNC:
        return file_sync(step->file);
    case IO_FLUSH_SYNC_DIRECTORY:
        return file_sync_directory(the_world->host, step->path);
    }
    unreachable_code();
}

static void flusher_finish(struct io_loop *loop)
{
    struct sim_flusher *flusher = &loop->flusher;
    struct io_flush *flush = flusher_first(flusher);
    flush->result = flusher->poison;
    flush->duration_ns = host_clock_ns(loop->host) - flusher->began_ns;
    list_remove(&flush->node);
    list_append(&flusher->done, &flush->node);
    loop_wake(loop);
    if (!list_is_empty(&flusher->queue)) {
        flusher_begin(loop);
    } else if (loop->worker.awaited_by != NULL) {
        fiber_unpark(loop->worker.awaited_by);
    }
}

static void flusher_take_step(struct io_loop *loop)
{
    struct sim_flusher *flusher = &loop->flusher;
    const struct io_flush *flush = flusher_first(flusher);
    if (flusher->poison == 0 && flusher->step < flush->step_count) {
        file_count_operation();
        flusher->poison = flusher_execute(&flush->steps[flusher->step]);
        flusher->step++;
        ensure(flusher->poison <= 0);
    }
    if (flusher->poison == 0 && flusher->step < flush->step_count) {
        flusher_begin_step(loop);
    } else {
        flusher_finish(loop);
    }
}

/* The process may crash in the step, as a turn may. */
static void flusher_step_ended(struct sim_event *event)
{
    struct sim_flusher *flusher = container_of(event, struct sim_flusher, step_end);
    struct io_loop *loop = container_of(flusher, struct io_loop, flusher);
    struct sim_world *world = the_world;
    struct sim_process *process = loop->process;
    world->host = loop->host;
    world->process = process;
    trace_set_shard(-1);
    if (_setjmp(world->turn_exit) == 0) {
        flusher_take_step(loop);
    }
    world->host = NULL;
    world->process = NULL;
    if (process != NULL && process->is_ending) {
        process_destroy(process);
    }
}

void io_flush_submit(struct io_loop *loop, struct io_flush *flush)
{
    require(flush->done != NULL);
    require(flush->steps != NULL || flush->step_count == 0);
    bool is_first = list_is_empty(&loop->flusher.queue);
    list_append(&loop->flusher.queue, &flush->node);
    if (is_first) {
        flusher_begin(loop);
    }
}

/* ---- Works ---- */

static void worker_main(void *context)
{
    struct io_loop *loop = context;
    struct sim_worker *worker = &loop->worker;
    for (;;) {
        struct list_node *node = list_take_first(&worker->queue);
        if (node == NULL) {
            worker->is_busy = false;
            if (worker->awaited_by != NULL) {
                fiber_unpark(worker->awaited_by);
            }
            fiber_park();
            continue;
        }
        worker->is_busy = true;
        struct io_work *work = container_of(node, struct io_work, node);
        work->run(work);
        list_append(&worker->done, &work->node);
        loop_wake(loop);
    }
}

void io_work_submit(struct io_loop *loop, struct io_work *work)
{
    require(work->run != NULL && work->done != NULL);
    struct sim_worker *worker = &loop->worker;
    list_append(&worker->queue, &work->node);
    worker->is_busy = true;
    if (worker->fiber == NULL) {
        worker->fiber = fiber_new(loop->process, worker_main, loop);
    } else {
        fiber_unpark(worker->fiber);
    }
}

/* ---- Both ---- */

void jobs_deliver(struct io_loop *loop)
{
    struct list done;
    struct list_node *node = NULL;
    list_init(&done);
    while ((node = list_take_first(&loop->flusher.done)) != NULL) {
        list_append(&done, node);
    }
    while ((node = list_take_first(&done)) != NULL) {
        struct io_flush *flush = container_of(node, struct io_flush, node);
        flush->done(flush);
    }
    while ((node = list_take_first(&loop->worker.done)) != NULL) {
        list_append(&done, node);
    }
    while ((node = list_take_first(&done)) != NULL) {
        struct io_work *work = container_of(node, struct io_work, node);
        work->done(work);
    }
}

void jobs_finish(struct io_loop *loop)
{
    loop->worker.awaited_by = the_world->fiber;
    while (loop->worker.is_busy || !list_is_empty(&loop->flusher.queue)) {
        fiber_park();
    }
    loop->worker.awaited_by = NULL;
}

void jobs_abandon(struct io_loop *loop)
{
    struct sim_flusher *flusher = &loop->flusher;
    const struct io_flush *flush = flusher_first(flusher);
    if (sim_event_is_scheduled(&flusher->step_end) && flusher->poison == 0 &&
        flusher->step < flush->step_count) {
        file_abandon_step(&flush->steps[flusher->step]);
    }
    sim_event_cancel(&the_world->events, &flusher->step_end);
}

void jobs_resume(struct io_loop *loop)
{
    struct sim_event *event = &loop->flusher.step_end;
    if (sim_event_is_scheduled(event) && event->at_ns >= SIM_NEVER_NS) {
        sim_event_schedule(&the_world->events, event, the_world->now_ns);
    }
}
