/* SPDX-License-Identifier: Apache-2.0
 *
 * scrub.c -- see scrub.h.
 *
 * A step is one work.  It gets what it needs as numbers and paths, opens the file for itself, and
 * is judged when it is back on the shard: if the log was truncated or the segment has left the
 * table since, what it found is void.
 *
 * A bad place is read twice before it counts: bytes that are right the second time are not wrong on
 * the medium.
 */
#include "log/scrub.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "log/epochs.h"
#include "log/state.h"
#include "log/stream.h"
#include "log/term_spans.h"
#include "log/verify.h"
#include "log/window.h"
#include "log/works.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define EPOCHS_NAME "epochs"

struct step {
    struct log_scrub *scrub;
    enum log_scrub_stage stage;
    char *path;
    uint64_t truncations; /* of the log when the step began */
    uint64_t epochs_length;
    uint64_t bytes_max;
    uint64_t position; /* SEGMENTS: from here; moves on with what is good */
    uint64_t offset;
    uint64_t end; /* what is durable ends here */
    struct log_term_spans terms;
    uint64_t bytes_read;
    const char *problem;
    int result;
};

/* ---- On the worker ---- */

/* 0: a good batch stands at the step's position, else -EBADMSG or another errno. */
static int check_batch(struct step *step, struct log_window *window, struct wire_batch *head)
{
    int is_whole = log_window_batch(window, step->position, head);
    if (is_whole < 0) {
        step->problem = strerror(-is_whole);
        return is_whole;
    }
    step->problem = log_verify_batch(is_whole, head, step->offset,
                                     log_term_spans_at(&step->terms, step->offset));
    return step->problem == NULL ? 0 : -EBADMSG;
}

static void read_segment(struct step *step, const struct io_file *file)
{
    struct log_window window;
    log_window_init(&window, file, step->end);
    uint64_t begin = step->position;
    while (step->position < step->end && step->position - begin < step->bytes_max) {
        struct wire_batch head;
        step->result = check_batch(step, &window, &head);
        if (step->result != 0) {
            log_window_forget(&window);
            step->result = check_batch(step, &window, &head);
        }
        if (step->result != 0) {
            break;
        }
        step->position += head.total_bytes;
        step->offset = log_scan_end_offset(&head);
    }
    step->bytes_read = step->position - begin;
    log_window_free(&window);
}

static int check_epochs(struct step *step, struct log_window *window)
{
    const uint8_t *data;
    struct log_epochs_state state;
    log_window_forget(window);
    int result = log_window_show(window, 0, (size_t)step->epochs_length, &data);
    if (result != 0) {
        step->problem = strerror(-result);
        return result;
    }
    result = log_epochs_replay(data, (size_t)step->epochs_length, &state);
    step->problem = state.problem;
    step->position = state.problem_position;
    if (result == 0 && state.valid_length < step->epochs_length) {
        step->problem = "the last durable record is damaged";
        step->position = state.valid_length;
        result = -EBADMSG;
    }
    log_epochs_state_free(&state);
    return result;
}

static void read_epochs(struct step *step, const struct io_file *file)
{
    struct log_window window;
    log_window_init(&window, file, step->epochs_length);
    step->result = check_epochs(step, &window);
    if (step->result != 0) {
        step->result = check_epochs(step, &window);
    }
    step->bytes_read = step->epochs_length;
    log_window_free(&window);
}

static void step_run(struct io_work *work)
{
    struct log_scrub *scrub = container_of(work, struct log_scrub, work);
    struct step *step = scrub->private_state;
    if (step->stage == LOG_SCRUB_SNAPSHOT) {
        step->result = log_snapshot_verify(step->path, &step->bytes_read);
        return;
    }
    struct io_file *file;
    step->result = io_file_open(&file, step->path, IO_OPEN_READ_MEDIUM);
    if (step->result == -ENOENT) {
        step->problem = "the file is gone";
        step->result = -EBADMSG;
    }
    if (step->result != 0) {
        return;
    }
    if (step->stage == LOG_SCRUB_SEGMENTS) {
        read_segment(step, file);
    } else {
        read_epochs(step, file);
    }
    io_file_release(file);
}

/* ---- Back on the shard ---- */

static void let_go(struct log_scrub *scrub)
{
    if (scrub->segment != NULL) {
        scrub->next_base = scrub->segment->base_offset;
        log_segment_release(scrub->segment);
        scrub->segment = NULL;
    }
}

static bool is_damage(int result)
{
    return result == -EBADMSG || result == -EIO;
}

/* The log went on while the step was under way, so that what it found says nothing. */
static bool is_void(const struct step *step)
{
    const struct log_scrub *scrub = step->scrub;
    const struct log *log = scrub->log;
    if (step->stage == LOG_SCRUB_SEGMENTS) {
        return step->truncations != log->truncations ||
               log_find_segment(log, scrub->segment->base_offset) != scrub->segment;
    }
    return step->stage == LOG_SCRUB_EPOCHS && step->epochs_length != log->epochs.durable_length;
}

static void go_on(struct step *step)
{
    struct log_scrub *scrub = step->scrub;
    if (step->stage != LOG_SCRUB_SEGMENTS) {
        scrub->stage++;
        return;
    }
    scrub->position = step->position;
    scrub->offset = step->offset;
    bool is_closed = scrub->segment != log_active(scrub->log);
    if (is_closed && scrub->position == scrub->segment->size_bytes) {
        let_go(scrub);
        scrub->next_base++;
    } else if (!is_closed && scrub->position == step->end) {
        let_go(scrub);
        scrub->stage = LOG_SCRUB_EPOCHS;
    }
}

/* The result to be told. */
static int judge(struct step *step)
{
    struct log_scrub *scrub = step->scrub;
    if (is_void(step)) {
        let_go(scrub); /* the segment from its beginning, if it is still there */
        return 0;
    }
    if (step->stage == LOG_SCRUB_SNAPSHOT) {
        bool is_missing = step->result == -ENOENT && scrub->log->history.first_index > 1;
        scrub->snapshot_is_damaged = is_missing || is_damage(step->result);
        go_on(step);
        return 0;
    }
    if (step->result == 0) {
        go_on(step);
    } else if (is_damage(step->result)) {
        trace_error("%s: position %" PRIu64 ": scrubbing found damage: %s", step->path,
                    step->position, step->problem);
        scrub->stage = LOG_SCRUB_END;
    }
    return step->result;
}

static void step_done(struct io_work *work)
{
    struct log_scrub *scrub = container_of(work, struct log_scrub, work);
    struct step *step = scrub->private_state;
    int result = judge(step);
    scrub->bytes_read = step->bytes_read;
    scrub->private_state = NULL;
    scrub->log->works--;
    scrub->log = NULL;
    log_term_spans_free(&step->terms);
    memory_free(step->path);
    memory_free(step);
    scrub->done(scrub, result);
}

/* ---- Beginning a step ---- */

/* The segment the pass goes on in: the one it was in, or the first one at or behind next_base. */
static struct log_segment *find_segment(const struct log *log, struct log_scrub *scrub)
{
    if (scrub->segment != NULL &&
        log_find_segment(log, scrub->segment->base_offset) == scrub->segment &&
        scrub->position <= log_segment_saved_bytes(log, scrub->segment)) {
        return scrub->segment;
    }
    let_go(scrub);
    size_t place = 0;
    while (place + 1 < log->segment_count && log->segments[place]->base_offset < scrub->next_base) {
        place++;
    }
    scrub->segment = log_segment_reference(log->segments[place]);
    scrub->position = 0;
    scrub->offset = scrub->segment->base_offset;
    return scrub->segment;
}

static void aim_at_segment(struct log *log, struct log_scrub *scrub, struct step *step)
{
    struct log_segment *segment = find_segment(log, scrub);
    step->path = log_segment_path(log->directory, segment->base_offset, LOG_SEGMENT_SUFFIX);
    step->position = scrub->position;
    step->offset = scrub->offset;
    step->end = log_segment_saved_bytes(log, segment);
    log_term_spans_copy(&step->terms, &log->history, step->offset);
    if (step->position == step->end) {
        /* Nothing durable is in it yet, perhaps not even its file: the rest is to be read. */
        let_go(scrub);
        step->stage = LOG_SCRUB_EPOCHS;
        scrub->stage = LOG_SCRUB_EPOCHS;
        memory_free(step->path);
        step->path = NULL;
    }
}

void log_scrub_step(struct log *log, struct log_scrub *scrub, uint64_t bytes_max)
{
    require(scrub->private_state == NULL && scrub->stage < LOG_SCRUB_END && scrub->done != NULL);
    struct step *step = memory_allocate_zeroed(sizeof *step);
    step->scrub = scrub;
    step->stage = scrub->stage;
    step->truncations = log->truncations;
    step->bytes_max = bytes_max;
    step->epochs_length = log->epochs.durable_length;
    if (step->stage == LOG_SCRUB_SEGMENTS) {
        aim_at_segment(log, scrub, step);
    }
    if (step->path == NULL) {
        step->path = step->stage == LOG_SCRUB_EPOCHS ? log_path(log->directory, EPOCHS_NAME)
                                                     : memory_duplicate_string(log->directory);
    }
    scrub->log = log;
    scrub->private_state = step;
    log->works++;
    scrub->work = (struct io_work){.run = step_run, .done = step_done};
    list_node_init(&scrub->work.node);
    io_work_submit(log->stream->loop, &scrub->work);
}

void log_scrub_end(struct log_scrub *scrub)
{
    require(scrub->private_state == NULL);
    let_go(scrub);
}
