/* SPDX-License-Identifier: Apache-2.0
 *
 * read.c -- reading entries for replication and for applying.
 *
 * What is in memory comes at once; the rest by a work that finds the first batch from the index,
 * reads whole batches, and checks every one: its bytes by their checksum, its place and term, which
 * that does not cover, by what the log knows.  A truncation under way makes it start again.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "log/cache.h"
#include "log/load.h"
#include "log/stream.h"
#include "log/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Where the batches of one answer come from. */
struct source {
    const struct log *log;
    struct buf *content; /* NULL: the tail */
    uint64_t position;   /* in content */
    size_t place;        /* in the tail */
    const char *problem; /* NULL, or what is wrong with the next batch of content */
};

struct job {
    struct log_read *read;
    struct log_wait wait;
    struct log_segment *segment; /* a reference; the work touches only what stays as it is */
    struct io_file *file;
    uint64_t position; /* look from here */
    uint64_t end;
    uint64_t offset;       /* of the first record wanted */
    uint64_t offset_limit; /* no batch at or behind it is needed */
    uint64_t bytes_max;
    uint64_t truncations;
    struct buf *content;
    int result;
};

struct answer {
    size_t count;
    uint64_t bytes;
    struct log_entry entries[LOG_READ_ENTRIES_MAX];
    bool is_made[LOG_READ_ENTRIES_MAX]; /* for this answer: a copied membership, part of a filler */
};

/* Not zeroed: its entries take fourteen kilobytes, each is written before it counts, and every
 * message to a follower begins with a read. */
#define ANSWER_ON_STACK __attribute__((uninitialized))

static void answer_begin(struct answer *answer)
{
    answer->count = 0;
    answer->bytes = 0;
}

static bool next_of_tail(struct source *source, uint64_t offset, struct log_entry *entry)
{
    size_t place;
    if (!log_tail_find(&source->log->tail, offset, &place)) {
        return false;
    }
    *entry = log_entry_of_tail(source->log, log_tail_at(&source->log->tail, place));
    return true;
}

/* NULL, or what is wrong with where a batch stands and with its term, which its checksum does not
 * cover.  Batches follow each other without a gap; only the first may have begun before what is
 * looked for, and then the next one says whether it ends where it says. */
static const char *misplaced(const struct source *source, const struct wire_batch *head,
                             uint64_t offset)
{
    const struct log_history *history = &source->log->history;
    uint64_t base_offset = (uint64_t)head->base_offset;
    bool begins_before = base_offset < offset;
    const char *problem = log_verify_batch(1, head, begins_before ? base_offset : offset,
                                           log_history_term_at_offset(history, base_offset));
    struct wire_batch next;
    size_t left = source->content->length_bytes - (size_t)source->position;
    bool has_next =
        left > 0 && wire_batch_read(&next, source->content->data + source->position, left);
    if (problem == NULL && begins_before && has_next &&
        (uint64_t)next.base_offset != log_scan_end_offset(head)) {
        problem = "a batch that does not end where the next one begins";
    }
    return problem;
}

static bool next_of_content(struct source *source, uint64_t offset, struct log_entry *entry)
{
    struct wire_batch head;
    struct buf *content = source->content;
    while (source->position < content->length_bytes) {
        const uint8_t *data = content->data + source->position;
        size_t left = content->length_bytes - (size_t)source->position;
        if (!wire_batch_read(&head, data, left)) {
            return false;
        }
        source->position += head.total_bytes;
        if (log_scan_end_offset(&head) <= offset) {
            continue;
        }
        source->problem = misplaced(source, &head, offset);
        if (source->problem != NULL) {
            return false;
        }
        uint64_t base_offset = (uint64_t)head.base_offset;
        uint64_t first_index = log_history_index_of_offset(&source->log->history, base_offset);
        *entry = (struct log_entry){
            .first_index = first_index,
            .last_index = first_index + (uint64_t)head.last_offset_delta,
            .term = (uint64_t)(uint32_t)head.leader_epoch,
            .kind = LOG_ENTRY_BATCH,
            .payload = {content, data, head.total_bytes},
        };
        return true;
    }
    return false;
}

static struct log_entry entry_of_control(const struct log_control *control)
{
    struct log_entry entry = {
        .first_index = control->index,
        .last_index = control->index,
        .term = control->term,
        .kind = control->kind,
    };
    if (control->payload_length > 0) {
        struct buf *copy = buf_new(control->payload_length);
        memcpy(copy->data, control->payload, control->payload_length);
        copy->length_bytes = control->payload_length;
        entry.payload = (struct buf_slice){copy, copy->data, copy->length_bytes};
    }
    return entry;
}

/* A filler may cover more than was asked for: who asks has a log of which it fills a part.  The
 * part is made anew.  False when the entry is no filler. */
static bool take_part(const struct log_read *read, uint64_t first_index, struct log_entry *entry)
{
    struct wire_batch head;
    bool is_batch = wire_batch_read(&head, entry->payload.data, entry->payload.length_bytes);
    ensure(is_batch && first_index >= entry->first_index);
    if (!wire_batch_is_filler(&head)) {
        return false;
    }
    uint64_t last_index =
        entry->last_index < read->last_index ? entry->last_index : read->last_index;
    ensure(last_index >= first_index);
    struct buf *part =
        wire_batch_filler(head.base_offset + (int64_t)(first_index - entry->first_index),
                          (int32_t)(last_index - first_index), head.leader_epoch);
    entry->first_index = first_index;
    entry->last_index = last_index;
    entry->payload = (struct buf_slice){part, part->data, part->length_bytes};
    return true;
}

/* Puts batches and control entries together, in order, from after_index on. */
static void gather(const struct log *log, const struct log_read *read, struct source *source,
                   struct answer *answer)
{
    uint64_t index = read->after_index + 1;
    while (index <= read->last_index && answer->count < LOG_READ_ENTRIES_MAX) {
        struct log_entry *entry = &answer->entries[answer->count];
        const struct log_control *control = log_history_at_or_after(&log->history, index);
        answer->is_made[answer->count] = false;
        if (control != NULL && control->index == index) {
            *entry = entry_of_control(control);
            answer->is_made[answer->count] = entry->payload.buf != NULL;
        } else {
            uint64_t offset = log_history_offset_after(&log->history, index) - 1;
            bool found = source->content != NULL ? next_of_content(source, offset, entry)
                                                 : next_of_tail(source, offset, entry);
            bool fits = found && (answer->count == 0 ||
                                  answer->bytes + entry->payload.length_bytes <= read->bytes_max);
            if (!fits) {
                return;
            }
            if (entry->first_index < index || entry->last_index > read->last_index) {
                answer->is_made[answer->count] = take_part(read, index, entry);
            }
            if (entry->last_index > read->last_index) {
                return;
            }
        }
        answer->bytes += entry->payload.length_bytes;
        answer->count++;
        index = entry->last_index + 1;
    }
}

static void deliver(struct log_read *read, struct answer *answer)
{
    read->done(read, 0, answer->entries, answer->count);
    for (size_t i = 0; i < answer->count; i++) {
        if (answer->is_made[i]) {
            buf_release(answer->entries[i].payload.buf);
        }
    }
}

/* ---- From file ---- */

/* Keeps the whole, right batches of what was read; a wrong first one is an error. */
static int check_content(struct job *job)
{
    size_t good = 0;
    struct buf *content = job->content;
    while (good < content->length_bytes) {
        struct wire_batch head;
        const uint8_t *data = content->data + good;
        size_t left = content->length_bytes - good;
        if (left < WIRE_BATCH_HEAD_BYTES || !wire_batch_read(&head, data, left) ||
            head.total_bytes > left) {
            break;
        }
        if (!log_scan_is_plausible(&head, left) ||
            !wire_batch_read(&head, data, head.total_bytes) || !wire_batch_crc_matches(&head)) {
            if (good == 0) {
                return -EBADMSG;
            }
            break;
        }
        good += head.total_bytes;
    }
    content->length_bytes = good;
    return good > 0 ? 0 : -EBADMSG;
}

static void job_run(struct io_work *work)
{
    struct log_read *read = container_of(work, struct log_read, work);
    struct job *job = read->private_state;
    struct log_scan scan;
    struct wire_batch head;
    log_scan_init(&scan, job->file, job->position, job->end, false);
    int result = log_scan_head(&scan, &head);
    while (result == 0 && log_scan_end_offset(&head) <= job->offset) {
        log_scan_skip(&scan, &head);
        result = log_scan_head(&scan, &head);
    }
    if (result == 0) {
        uint64_t length = job->end - scan.position;
        length = length < job->bytes_max ? length : job->bytes_max;
        length = length > head.total_bytes ? length : head.total_bytes;
        job->content = buf_new((size_t)length);
        size_t done = 0;
        result = io_file_read(job->file, scan.position, job->content->data, (size_t)length, &done);
        job->content->length_bytes = done;
        if (result == 0) {
            result = check_content(job);
        }
    }
    job->result = result == -ENODATA ? -EBADMSG : result;
    if (job->result != 0) {
        trace_error("%s/%020" PRIu64 LOG_SEGMENT_SUFFIX ": position %" PRIu64 ": %s",
                    read->log->directory, job->segment->base_offset, scan.position,
                    job->result == -EBADMSG ? "no good batch stands there"
                                            : strerror(-job->result));
    }
}

static void job_free(struct job *job)
{
    struct log *log = job->read->log;
    job->read->private_state = NULL;
    buf_release(job->content);
    io_file_release(job->file);
    if (job->segment != NULL) {
        log_segment_release(job->segment);
    }
    log->works--;
    memory_free(job);
}

static void job_end(struct io_work *work)
{
    struct log_read *read = container_of(work, struct log_read, work);
    struct job *job = read->private_state;
    struct log *log = read->log;
    bool is_void = job->truncations != log->truncations || job->offset < log->history.first_offset;
    if (is_void) {
        job_free(job);
        log_read(log, read);
        return;
    }
    int result = job->result;
    struct buf *content = buf_reference(job->content);
    job_free(job);
    if (result != 0) {
        read->done(read, result, NULL, 0);
    } else {
        ANSWER_ON_STACK struct answer answer;
        struct source source = {.log = log, .content = content};
        answer_begin(&answer);
        gather(log, read, &source, &answer);
        if (answer.count == 0 && source.problem != NULL) {
            trace_error("%s: index %" PRIu64 ": %s", log->directory, read->after_index + 1,
                        source.problem);
            read->done(read, -EBADMSG, NULL, 0);
        } else {
            deliver(read, &answer);
        }
    }
    buf_release(content);
}

static void job_resume(struct log_wait *wait)
{
    struct job *job = container_of(wait, struct job, wait);
    struct log_read *read = job->read;
    int result = wait->result;
    job_free(job);
    if (result != 0) {
        read->done(read, result, NULL, 0);
    } else {
        log_read(read->log, read);
    }
}

static void read_file(struct log *log, struct log_read *read, uint64_t offset)
{
    struct log_segment *segment = log_segment_of_offset(log, offset);
    struct job *job = memory_allocate_zeroed(sizeof(*job));
    job->read = read;
    job->wait.resume = job_resume;
    job->truncations = log->truncations;
    job->offset = offset;
    job->bytes_max = read->bytes_max < LOG_BATCH_BYTES_MAX ? read->bytes_max : LOG_BATCH_BYTES_MAX;
    job->end = log_segment_saved_bytes(log, segment);
    read->private_state = job;
    log->works++;
    const struct log_index_entry *floor = log_index_floor(&segment->index, offset);
    if (segment->file == NULL || floor == NULL) {
        log_segment_load(log, segment, &job->wait);
        return;
    }
    log_cache_touch(log);
    job->segment = log_segment_reference(segment);
    job->file = io_file_reference(segment->file);
    job->position = floor->position < job->end ? floor->position : job->end;
    read->work = (struct io_work){.run = job_run, .done = job_end};
    list_node_init(&read->work.node);
    io_work_submit(log->stream->loop, &read->work);
}

void log_read(struct log *log, struct log_read *read)
{
    read->log = log;
    if (read->after_index + 1 < log->history.first_index) {
        read->done(read, -ENODATA, NULL, 0);
        return;
    }
    if (read->last_index > log->last_index) {
        read->last_index = log->last_index;
    }
    ANSWER_ON_STACK struct answer answer;
    struct source source = {.log = log};
    answer_begin(&answer);
    gather(log, read, &source, &answer);
    if (answer.count > 0 || read->after_index >= read->last_index) {
        deliver(read, &answer);
        return;
    }
    uint64_t offset = log_history_offset_after(&log->history, read->after_index + 1) - 1;
    size_t place;
    if (log_tail_find(&log->tail, offset, &place)) {
        deliver(read, &answer); /* a batch in memory that reaches beyond last_index */
        return;
    }
    read_file(log, read, offset);
}
