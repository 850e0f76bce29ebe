/* SPDX-License-Identifier: Apache-2.0
 *
 * recovery.c -- opening: from a directory to a log that is proven whole, or a refusal.
 *
 * First everything is read and judged, then the disk is changed: on -EBADMSG nothing was.
 *
 * What is read may stand in the page cache only: written by a process that was killed before it
 * synced, or by one whose sync failed.  After the latter the kernel calls the pages clean, so that
 * another sync succeeds and does nothing.  What no checkpoint vouches for is therefore written
 * again, with the bytes that were found, and synced before it is judged; from there on it counts as
 * saved.
 *
 * What may be wrong after a crash, and is mended: a torn end of the epochs file; a torn end of the
 * last segment; control entries behind that end; an empty segment file whose first write never
 * came; files below the log's start that were to be unlinked; a reset that was interrupted.
 * Everything else is damage.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "log/compact_pass.h"
#include "log/state.h"
#include "log/verify.h"
#include "log/works.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCHS_NAME "epochs"
#define DIGITS 20
#define EPOCHS_GARBAGE_BYTES_MAX (64u << 10) /* rewritten when it is larger and mostly garbage */
#define SAVE_BYTES (256u << 10)              /* read and written again at once */

/* What a recovery works with. */
struct recovery {
    struct log *log;
    struct log_epochs_state state;
    uint64_t epochs_size;
    uint64_t *bases; /* of the segment files found, ascending */
    size_t base_count;
    size_t base_capacity;
    bool found_epochs;
    bool controls_were_cut;
    bool ends_stale; /* a truncation on record did not reach the segments: what follows is void */
    uint64_t active_file_size;
    uint64_t *useless; /* bases of files that belong to nothing */
    size_t useless_count;
    uint64_t *half_made; /* bases of segments that a compaction did not finish */
    size_t half_made_count;
    char *error;
    size_t error_size;
};

static int damaged(struct recovery *recovery, const char *name, uint64_t position,
                   const char *problem)
{
    snprintf(recovery->error, recovery->error_size, "%s/%s: position %" PRIu64 ": %s",
             recovery->log->directory, name, position, problem);
    return -EBADMSG;
}

static int damaged_segment(struct recovery *recovery, uint64_t base, uint64_t position,
                           const char *problem)
{
    char name[64];
    snprintf(name, sizeof(name), "%020" PRIu64 LOG_SEGMENT_SUFFIX, base);
    return damaged(recovery, name, position, problem);
}

static int failed(struct recovery *recovery, const char *what, int result)
{
    snprintf(recovery->error, recovery->error_size, "%s: %s: %s", recovery->log->directory, what,
             strerror(-result));
    return result;
}

/* ---- What is there ---- */

static bool parse_name(const char *name, const char *suffix, uint64_t *base)
{
    if (strlen(name) != DIGITS + strlen(suffix) || strcmp(name + DIGITS, suffix) != 0) {
        return false;
    }
    *base = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || *base > (UINT64_MAX / 2 - 9) / 10) {
            return false;
        }
        *base = *base * 10 + (uint64_t)(name[i] - '0');
    }
    return true;
}

static bool visit_name(const char *name, void *context)
{
    struct recovery *recovery = context;
    uint64_t base;
    if (strcmp(name, EPOCHS_NAME) == 0) {
        recovery->found_epochs = true;
    } else if (parse_name(name, COMPACT_SUFFIX, &base)) {
        recovery->half_made = memory_reallocate(recovery->half_made,
                                                (recovery->half_made_count + 1) * sizeof(uint64_t));
        recovery->half_made[recovery->half_made_count++] = base;
    } else if (parse_name(name, LOG_SEGMENT_SUFFIX, &base)) {
        if (recovery->base_count == recovery->base_capacity) {
            recovery->base_capacity =
                recovery->base_capacity == 0 ? 4 : recovery->base_capacity * 2;
            recovery->bases =
                memory_reallocate(recovery->bases, recovery->base_capacity * sizeof(uint64_t));
        }
        recovery->bases[recovery->base_count++] = base;
    }
    return true;
}

static int compare_bases(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* ---- What is found is made durable ---- */

static int open_epochs(struct log *log, uint64_t size)
{
    char *path = log_path(log->directory, EPOCHS_NAME);
    int result = io_file_open(&log->epochs.file, path, IO_OPEN_WRITE);
    memory_free(path);
    log->epochs.end_position = size;
    log->epochs.durable_length = size;
    return result;
}

/* The epoch log and the names, before anything is done because of what they say. */
static int save_epochs(struct recovery *recovery, const struct buf *content)
{
    struct log *log = recovery->log;
    const struct log_checkpoint *checkpoint = &recovery->state.checkpoint;
    uint64_t from = checkpoint->sequence > 0 ? checkpoint->epochs_length : 0;
    ensure(from <= content->length_bytes);
    int result = open_epochs(log, content->length_bytes);
    if (result == 0 && from < content->length_bytes) {
        result = io_file_write(log->epochs.file, from, content->data + from,
                               content->length_bytes - (size_t)from);
    }
    if (result == 0) {
        result = io_file_sync(log->epochs.file);
    }
    if (result == 0) {
        result = io_directory_sync(log->directory);
    }
    return result == 0 ? 0 : failed(recovery, "cannot save the epoch log", result);
}

/* Writes what is seen of a file from a position on to where it was seen. */
static int write_again(struct io_file *file, uint64_t position, uint64_t end)
{
    uint8_t *bytes = memory_allocate(SAVE_BYTES);
    int result = 0;
    while (result == 0 && position < end) {
        size_t length = end - position < SAVE_BYTES ? (size_t)(end - position) : SAVE_BYTES;
        size_t done = 0;
        result = io_file_read(file, position, bytes, length, &done);
        if (result == 0) {
            result = done == length ? io_file_write(file, position, bytes, length) : -EIO;
        }
        position += length;
    }
    memory_free(bytes);
    return result;
}

/* A segment, from where the checkpoint vouches for it. */
static int save_segment(struct recovery *recovery, const struct log_segment *segment,
                        uint64_t file_size)
{
    const struct log_checkpoint *checkpoint = &recovery->state.checkpoint;
    require(segment->file != NULL);
    uint64_t from = 0;
    if (checkpoint->sequence > 0 && segment->base_offset < checkpoint->segment_base) {
        return 0;
    }
    if (checkpoint->sequence > 0 && segment->base_offset == checkpoint->segment_base) {
        from = checkpoint->position;
    }
    int result = from < file_size ? write_again(segment->file, from, file_size) : 0;
    if (result == 0) {
        result = io_file_sync(segment->file);
    }
    return result == 0 ? 0 : failed(recovery, "cannot save a segment", result);
}

static int read_epochs(struct recovery *recovery)
{
    char *path = log_path(recovery->log->directory, EPOCHS_NAME);
    struct buf *content;
    int result = io_path_read(path, LOG_EPOCHS_BYTES_MAX, &content);
    memory_free(path);
    if (result != 0) {
        return failed(recovery, "cannot read the epoch log", result);
    }
    recovery->epochs_size = content->length_bytes;
    result = log_epochs_replay(content->data, content->length_bytes, &recovery->state);
    if (result != 0) {
        result = damaged(recovery, EPOCHS_NAME, recovery->state.problem_position,
                         recovery->state.problem);
    } else {
        result = save_epochs(recovery, content);
    }
    buf_release(content);
    return result;
}

/* ---- Segments ---- */

static int open_segment(struct recovery *recovery, uint64_t base, struct log_segment **segment,
                        uint64_t *file_size)
{
    struct log *log = recovery->log;
    *segment = log_segment_new(base, log->options.index_interval_bytes);
    char *path = log_segment_path(log->directory, base, LOG_SEGMENT_SUFFIX);
    int result = io_file_open(&(*segment)->file, path, IO_OPEN_WRITE);
    memory_free(path);
    if (result == 0) {
        result = io_file_size((*segment)->file, file_size);
    }
    if (result != 0) {
        log_segment_release(*segment);
        *segment = NULL;
        return failed(recovery, "cannot open a segment", result);
    }
    (*segment)->exists = true;
    return 0;
}

static bool take_summary(struct recovery *recovery, struct log_segment *segment, uint64_t file_size)
{
    char *path = log_segment_path(recovery->log->directory, segment->base_offset, LOG_INDEX_SUFFIX);
    struct io_file *file;
    uint8_t head[LOG_INDEX_HEAD_BYTES];
    size_t done = 0;
    struct log_summary summary;
    bool valid = false;
    if (io_file_open(&file, path, IO_OPEN_READ) == 0) {
        valid = io_file_read(file, 0, head, sizeof(head), &done) == 0 &&
                log_index_decode_summary(head, done, &summary) &&
                summary.base_offset == segment->base_offset && summary.size_bytes == file_size;
        io_file_release(file);
    }
    memory_free(path);
    if (valid) {
        segment->end_offset = summary.end_offset;
        segment->size_bytes = file_size;
        segment->max_timestamp = summary.max_timestamp;
        segment->max_timestamp_offset = summary.max_timestamp_offset;
        segment->index.covered_from = file_size;
    }
    return valid;
}

/* A segment with another one behind it: whole by its index file's word, or else by reading all of
 * it.  It may end behind the next one's beginning: then a compaction put it in their place. */
static int recover_closed(struct recovery *recovery, struct log_segment *segment,
                          uint64_t file_size, uint64_t next_base)
{
    bool may_be_stale = recovery->state.was_truncated && next_base > recovery->state.truncated_to;
    bool is_summed = !may_be_stale && take_summary(recovery, segment, file_size);
    if (!is_summed || segment->end_offset != next_base) {
        uint64_t interval_bytes = recovery->log->options.index_interval_bytes;
        log_index_init(&segment->index, interval_bytes, 0);
        segment->size_bytes = 0;
        segment->end_offset = segment->base_offset;
        segment->max_timestamp = INT64_MIN;
        struct log_verified verified;
        int result = log_verify_segment(segment, &recovery->state.history, file_size, &verified);
        if (result != 0) {
            return failed(recovery, "cannot read a segment", result);
        }
        if (verified.end == LOG_END_TORN && may_be_stale) {
            recovery->ends_stale = true;
            recovery->active_file_size = file_size;
            segment->submitted_bytes = segment->size_bytes;
            return 0;
        }
        if (verified.end != LOG_END_EXACT) {
            return damaged_segment(recovery, segment->base_offset, segment->size_bytes,
                                   verified.problem);
        }
        segment->index_is_unsaved = true;
    }
    if (segment->end_offset < next_base) {
        return damaged_segment(recovery, segment->base_offset, segment->size_bytes,
                               "the segment after this one is missing");
    }
    segment->submitted_bytes = segment->size_bytes;
    if (!segment->index_is_unsaved) {
        io_file_release(segment->file);
        segment->file = NULL;
    }
    return 0;
}

static int recover_last(struct recovery *recovery, struct log_segment *segment, uint64_t file_size)
{
    const struct log_checkpoint *checkpoint = &recovery->state.checkpoint;
    bool has_checkpoint =
        checkpoint->sequence > 0 && checkpoint->segment_base == segment->base_offset;
    if (has_checkpoint) {
        if (checkpoint->position > file_size) {
            return damaged_segment(recovery, segment->base_offset, file_size,
                                   "bytes that had been made durable are missing");
        }
        segment->size_bytes = checkpoint->position;
        segment->end_offset = checkpoint->offset;
        segment->max_timestamp = checkpoint->max_timestamp;
        segment->max_timestamp_offset = checkpoint->max_timestamp_offset;
        segment->index.covered_from = checkpoint->position;
    }
    struct log_verified verified;
    int result = log_verify_segment(segment, &recovery->state.history, file_size, &verified);
    if (result != 0) {
        return failed(recovery, "cannot read a segment", result);
    }
    if (verified.end == LOG_END_DAMAGED) {
        return damaged_segment(recovery, segment->base_offset, segment->size_bytes,
                               verified.problem);
    }
    recovery->active_file_size = file_size;
    segment->submitted_bytes = segment->size_bytes;
    return 0;
}

static void note_useless(struct recovery *recovery, uint64_t base)
{
    recovery->useless =
        memory_reallocate(recovery->useless, (recovery->useless_count + 1) * sizeof(uint64_t));
    recovery->useless[recovery->useless_count++] = base;
}

/* Base offsets of the files that make up the log: none below its start, no empty one but possibly
 * the last. */
static int choose_segments(struct recovery *recovery, struct log_segment **empty_last)
{
    size_t kept = 0;
    *empty_last = NULL;
    for (size_t i = 0; i < recovery->base_count; i++) {
        uint64_t base = recovery->bases[i];
        struct log_segment *segment = NULL;
        uint64_t file_size = 0;
        if (base < recovery->state.history.first_offset) {
            note_useless(recovery, base);
            continue;
        }
        int result = open_segment(recovery, base, &segment, &file_size);
        if (result != 0) {
            return result;
        }
        bool is_first = base == recovery->state.history.first_offset;
        if (*empty_last != NULL) {
            note_useless(recovery, (*empty_last)->base_offset);
            log_segment_release(*empty_last);
            *empty_last = NULL;
        }
        if (file_size == 0 && !is_first) {
            *empty_last = segment;
            continue;
        }
        log_segment_release(segment);
        recovery->bases[kept++] = base;
    }
    recovery->base_count = kept;
    if (kept == 0 || recovery->bases[0] != recovery->state.history.first_offset) {
        return damaged_segment(recovery, recovery->state.history.first_offset, 0,
                               "the first segment is missing");
    }
    return 0;
}

/* A segment behind the place where a truncation ended the log: none of its batches may fit there.
 */
static int discard_stale(struct recovery *recovery, uint64_t base)
{
    struct log_segment *segment;
    uint64_t file_size;
    int result = open_segment(recovery, base, &segment, &file_size);
    if (result != 0) {
        return result;
    }
    struct log_verified verified;
    result = log_verify_segment(segment, &recovery->state.history, file_size, &verified);
    if (result == 0 && (segment->size_bytes > 0 || verified.end == LOG_END_DAMAGED)) {
        result = damaged_segment(recovery, base, 0, "good batches follow a damaged segment");
    }
    log_segment_release(segment);
    note_useless(recovery, base);
    return result;
}

/* Segments that lie wholly in the one recovered last, which a compaction made out of them and all
 * of whose batches are good: it did not come to unlinking them.  The next one begins where it ends.
 */
static int skip_compacted(struct recovery *recovery, const struct log_segment *segment,
                          size_t *next)
{
    while (*next < recovery->base_count && recovery->bases[*next] < segment->end_offset) {
        note_useless(recovery, recovery->bases[(*next)++]);
    }
    if (*next == recovery->base_count || recovery->bases[*next] != segment->end_offset) {
        return damaged_segment(recovery, segment->base_offset, segment->size_bytes,
                               "the segment after this one is missing");
    }
    return 0;
}

static int recover_segments(struct recovery *recovery)
{
    struct log_segment *empty_last;
    int result = choose_segments(recovery, &empty_last);
    const struct log_checkpoint *checkpoint = &recovery->state.checkpoint;
    if (result == 0 && checkpoint->sequence > 0 &&
        checkpoint->segment_base > recovery->bases[recovery->base_count - 1] &&
        (empty_last == NULL || checkpoint->segment_base > empty_last->base_offset ||
         checkpoint->position > 0)) {
        result = damaged_segment(recovery, checkpoint->segment_base, 0,
                                 "a segment that had been made durable is missing");
    }
    for (size_t i = 0; result == 0 && i < recovery->base_count;) {
        struct log_segment *segment = NULL;
        uint64_t file_size = 0;
        uint64_t base = recovery->bases[i++];
        if (recovery->ends_stale) {
            result = discard_stale(recovery, base);
            continue;
        }
        result = open_segment(recovery, base, &segment, &file_size);
        if (result == 0) {
            log_segments_push(recovery->log, segment);
            result = save_segment(recovery, segment, file_size);
        }
        if (result == 0 && i == recovery->base_count) {
            result = recover_last(recovery, segment, file_size);
        } else if (result == 0) {
            result = recover_closed(recovery, segment, file_size, recovery->bases[i]);
            if (result == 0 && !recovery->ends_stale) {
                result = skip_compacted(recovery, segment, &i);
            }
        }
    }
    if (empty_last == NULL) {
        return result;
    }
    bool follows = result == 0 &&
                   empty_last->base_offset == log_active(recovery->log)->end_offset &&
                   recovery->active_file_size == log_active(recovery->log)->size_bytes;
    if (follows) {
        log_active(recovery->log)->index_is_unsaved = true;
        log_segments_push(recovery->log, empty_last);
        recovery->active_file_size = 0;
        result = save_segment(recovery, empty_last, 0);
    } else {
        note_useless(recovery, empty_last->base_offset);
        log_segment_release(empty_last);
    }
    return result;
}

/* Control entries behind the end of the data go with it: they and the data before them were written
 * together and are unacknowledged. */
static int cut_controls(struct recovery *recovery)
{
    struct log_history *history = &recovery->state.history;
    uint64_t end_offset = log_active(recovery->log)->end_offset;
    if (recovery->state.checkpoint.sequence > 0 && recovery->state.checkpoint.offset > end_offset) {
        return damaged_segment(recovery, log_active(recovery->log)->base_offset,
                               log_active(recovery->log)->size_bytes,
                               "entries that had been made durable are missing");
    }
    while (history->control_count > 0 &&
           history->controls[history->control_count - 1].offset > end_offset) {
        log_history_truncate(history, history->controls[history->control_count - 1].index);
        recovery->controls_were_cut = true;
    }
    return 0;
}

/* ---- Mending ---- */

static int replace_epochs(struct log *log, struct log_epochs_state *state)
{
    struct buf *content = log_epochs_encode(state);
    char *path = log_path(log->directory, EPOCHS_NAME);
    int result = io_path_replace(path, content->data, content->length_bytes);
    memory_free(path);
    io_file_release(log->epochs.file);
    log->epochs.file = NULL;
    if (result == 0) {
        result = open_epochs(log, content->length_bytes);
    }
    buf_release(content);
    return result;
}

/* Rewriting the file is how its torn end goes, its cut control entries, and its garbage. */
static int mend_epochs(struct recovery *recovery, bool *mended)
{
    struct log *log = recovery->log;
    struct buf *content = log_epochs_encode(&recovery->state);
    size_t needed_bytes = content->length_bytes;
    buf_release(content);
    bool is_garbage = recovery->epochs_size > EPOCHS_GARBAGE_BYTES_MAX &&
                      recovery->epochs_size > 4 * needed_bytes;
    bool is_torn = recovery->state.valid_length < recovery->epochs_size;
    *mended = is_torn || recovery->controls_were_cut;
    if (is_torn || recovery->controls_were_cut || is_garbage || recovery->state.was_truncated) {
        return replace_epochs(log, &recovery->state);
    }
    return 0;
}

static int mend(struct recovery *recovery, bool *tail_was_cut)
{
    struct log *log = recovery->log;
    struct log_segment *active = log_active(log);
    int result = 0;
    bool data_was_cut = recovery->active_file_size > active->size_bytes;
    if (data_was_cut) {
        result = io_file_truncate(active->file, active->size_bytes);
        if (result == 0) {
            result = io_file_sync(active->file);
        }
    }
    for (size_t i = 0; result == 0 && i < recovery->useless_count; i++) {
        result = log_remove_files(log->directory, recovery->useless[i], true);
    }
    for (size_t i = 0; result == 0 && i < recovery->half_made_count; i++) {
        char *path = compact_path(log->directory, recovery->half_made[i]);
        result = io_path_remove(path);
        memory_free(path);
    }
    if (result == 0 && recovery->useless_count > 0) {
        result = io_directory_sync(log->directory);
    }
    /* Only now: the epoch log may be what says that the rest is void. */
    if (result == 0) {
        result = mend_epochs(recovery, tail_was_cut);
        *tail_was_cut = *tail_was_cut || data_was_cut;
    }
    for (size_t i = 0; result == 0 && i + 1 < log->segment_count; i++) {
        struct log_segment *segment = log->segments[i];
        if (segment->index_is_unsaved && segment->index.covered_from == 0) {
            segment->index_is_unsaved = false;
            (void)log_write_index(log->directory, segment);
            io_file_release(segment->file);
            segment->file = NULL;
        }
    }
    return result == 0 ? 0 : failed(recovery, "cannot mend", result);
}

/* ---- Making ---- */

int log_replace_epochs(struct log *log, bool reset_unfinished)
{
    struct log_epochs_state state = {
        .term = log->term,
        .vote = log->vote,
        .reset_unfinished = reset_unfinished,
        .history = log->history,
    };
    return replace_epochs(log, &state);
}

int log_create_files(struct log *log)
{
    struct log_segment *segment =
        log_segment_new(log->history.first_offset, log->options.index_interval_bytes);
    log_segments_push(log, segment);
    char *path = log_segment_path(log->directory, segment->base_offset, LOG_SEGMENT_SUFFIX);
    int result = io_file_open(&segment->file, path, IO_OPEN_CREATE);
    memory_free(path);
    if (result == 0) {
        result = io_file_truncate(segment->file, 0);
    }
    /* What was compacted of an earlier log says nothing of this one. */
    if (result == 0) {
        result = compact_points_remove(log->directory);
    }
    if (result == 0) {
        result = io_directory_sync(log->directory);
    }
    segment->exists = true;
    return result == 0 ? log_replace_epochs(log, false) : result;
}

int log_unmake(const char *directory)
{
    char *path = log_path(directory, EPOCHS_NAME);
    int result = io_path_remove(path);
    memory_free(path);
    return result == 0 ? io_directory_sync(directory) : result;
}

/* Removes all segments, which a reset that is on record made meaningless, and makes the new first
 * one. */
static int finish_reset(struct recovery *recovery)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < recovery->base_count; i++) {
        result = log_remove_files(recovery->log->directory, recovery->bases[i], true);
    }
    if (result == 0) {
        result = log_create_files(recovery->log);
    }
    return result == 0 ? 0 : failed(recovery, "cannot finish a reset", result);
}

/* A directory without an epochs file is new if it holds nothing, or only the empty first segment
 * that a crash while it was made left behind. */
static int recover_new(struct recovery *recovery)
{
    for (size_t i = 0; i < recovery->base_count; i++) {
        struct log_segment *segment;
        uint64_t file_size;
        int result = open_segment(recovery, recovery->bases[i], &segment, &file_size);
        if (result != 0) {
            return result;
        }
        log_segment_release(segment);
        if (file_size > 0) {
            return damaged(recovery, EPOCHS_NAME, 0, "the file is missing beside segments");
        }
    }
    int result = log_create_files(recovery->log);
    return result == 0 ? 0 : failed(recovery, "cannot create the log", result);
}

static int recover_existing(struct recovery *recovery, bool *tail_was_cut)
{
    struct log *log = recovery->log;
    int result = read_epochs(recovery);
    if (result != 0) {
        return result;
    }
    struct log_epochs_state *state = &recovery->state;
    log->term = state->term;
    log->vote = state->vote;
    if (state->reset_unfinished) {
        log->history = state->history;
        log_history_init(&state->history);
        return finish_reset(recovery);
    }
    result = recover_segments(recovery);
    if (result == 0) {
        result = cut_controls(recovery);
    }
    if (result == 0) {
        result = mend(recovery, tail_was_cut);
    }
    log->history = state->history;
    log_history_init(&state->history);
    log->checkpoint = state->checkpoint;
    log->epochs.checkpoint_sequence = state->checkpoint.sequence + 2;
    return result;
}

static void settle(struct log *log)
{
    const struct log_history *history = &log->history;
    log->next_offset = log_active(log)->end_offset;
    log->last_index =
        log->next_offset + log_history_controls_before_offset(history, log->next_offset);
    /* Entries prove a term that a torn hard state did not keep; nobody was voted for in it. */
    uint64_t last_term = log_history_last_term(history);
    if (log->term < last_term) {
        log->term = last_term;
        log->vote = 0;
    }
    log->commit_index = history->first_index - 1;
    log->checkpointed_base = log->checkpoint.sequence > 0 ? log->checkpoint.segment_base : 0;
    compact_points_read(log->directory, log->next_offset, &log->compacted);
    uint64_t index;
    if (log_snapshot_position(log->directory, &index) == 0) {
        log->snapshot_index = index;
    }
    log->epochs_flush_number = 0;
}

int log_recover(struct log *log, bool *tail_was_cut, char *error, size_t error_size)
{
    struct recovery recovery = {.log = log, .error = error, .error_size = error_size};
    log_history_init(&recovery.state.history);
    int result = io_directory_make(log->directory);
    if (result == 0) {
        result = io_directory_list(log->directory, visit_name, &recovery);
    }
    if (result != 0) {
        failed(&recovery, "cannot open the directory", result);
    } else {
        if (recovery.base_count > 1) {
            qsort(recovery.bases, recovery.base_count, sizeof(uint64_t), compare_bases);
        }
        result = recovery.found_epochs ? recover_existing(&recovery, tail_was_cut)
                                       : recover_new(&recovery);
    }
    if (result == 0) {
        settle(log);
    }
    log_epochs_state_free(&recovery.state);
    memory_free(recovery.bases);
    memory_free(recovery.useless);
    memory_free(recovery.half_made);
    return result;
}
