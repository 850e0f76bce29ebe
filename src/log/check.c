/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c -- see check.h.
 */
#include "log/check.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "log/stream.h"
#include "log/term_spans.h"
#include "log/verify.h"
#include "log/window.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A work checks at least one batch and not much more than this: others wait behind it. */
#define CHECK_BYTES_MAX (1u << 20)

struct check {
    struct io_work work;
    struct log *log;
    struct log_segment *segment; /* a reference; the work touches only what stays as it is */
    struct io_file *file;        /* a reference */
    struct log_part part;        /* its position moves on with what is good */
    uint64_t begin;
    uint64_t truncations;
    struct log_term_spans terms;
    const char *problem;
    struct log_wait *wait;
    int result;
};

static void check_run(struct io_work *work)
{
    struct check *check = container_of(work, struct check, work);
    struct log_part *part = &check->part;
    struct log_window window;
    log_window_init(&window, check->file, part->end);
    while (part->position < part->end && part->position - check->begin < CHECK_BYTES_MAX) {
        struct wire_batch head;
        int is_whole = log_window_batch(&window, part->position, &head);
        check->result = is_whole < 0 ? is_whole : 0;
        if (is_whole < 0) {
            check->problem = strerror(-is_whole);
            break;
        }
        check->problem = log_verify_batch(is_whole, &head, part->offset,
                                          log_term_spans_at(&check->terms, part->offset));
        if (check->problem != NULL) {
            check->result = -EBADMSG;
            break;
        }
        part->position += head.total_bytes;
        part->offset = log_scan_end_offset(&head);
    }
    log_window_free(&window);
}

/* What was good is known; a truncation meanwhile makes all of it void. */
static int judge(const struct check *check)
{
    struct log *log = check->log;
    struct log_wait *wait = check->wait;
    const struct log_part *part = &check->part;
    if (check->truncations != log->truncations) {
        wait->checked.segment = 0;
        return 0;
    }
    wait->checked.to = part->position;
    wait->checked.offset = part->offset;
    if (part->position > check->begin) {
        log_checked_add(&check->segment->checked, check->begin, part->position,
                        io_now_ns(log->stream->loop));
    }
    if (check->result != 0) {
        trace_error("%s/%020" PRIu64 LOG_SEGMENT_SUFFIX ": position %" PRIu64 ": %s",
                    log->directory, check->segment->base_offset, part->position, check->problem);
    }
    return check->result;
}

static void check_done(struct io_work *work)
{
    struct check *check = container_of(work, struct check, work);
    struct log_wait *wait = check->wait;
    wait->result = judge(check);
    check->log->works--;
    log_segment_release(check->segment);
    io_file_release(check->file);
    log_term_spans_free(&check->terms);
    memory_free(check);
    wait->resume(wait);
}

void log_check(struct log *log, struct log_segment *segment, const struct log_part *part,
               struct log_wait *wait)
{
    require(segment->file != NULL && part->position < part->end);
    struct check *check = memory_allocate_zeroed(sizeof *check);
    check->log = log;
    check->segment = log_segment_reference(segment);
    check->file = io_file_reference(segment->file);
    check->part = *part;
    check->begin = part->position;
    check->truncations = log->truncations;
    check->wait = wait;
    log_term_spans_copy(&check->terms, &log->history, part->offset);
    list_node_init(&wait->node);
    wait->result = 0;
    log->works++;
    check->work = (struct io_work){.run = check_run, .done = check_done};
    list_node_init(&check->work.node);
    io_work_submit(log->stream->loop, &check->work);
}
