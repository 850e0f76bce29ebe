/* SPDX-License-Identifier: Apache-2.0
 *
 * compact_pass.c -- reading keys, and writing segments without what is void.
 *
 * A record stays unless a later one has its key; it has none; or it is a tombstone that has been
 * seen long enough.  Every batch is checked before it is believed: what is damaged is not copied.
 */
#include "log/compact_pass.h"

#include "base/assert.h"
#include "base/memory.h"
#include "log/verify.h"

#include <errno.h>
#include <string.h>

#define PIECE_BYTES ((uint64_t)256 << 10) /* read in one piece of work, and one batch more */
#define UNWRITTEN_BYTES ((size_t)256 << 10)

char *compact_path(const char *directory, uint64_t base_offset)
{
    return log_segment_path(directory, base_offset, COMPACT_SUFFIX);
}

/* ---- Reading ---- */

static int open_source(struct compact_pass *pass, struct compact_source *source)
{
    if (source->file != NULL) {
        return 0;
    }
    char *path = log_segment_path(pass->directory, source->base_offset, LOG_SEGMENT_SUFFIX);
    int result = io_file_open(&source->file, path, IO_OPEN_WRITE);
    memory_free(path);
    return result == -ENOENT ? -ECANCELED : result; /* retention has taken it */
}

/* The whole, good batch at the position, until the next call; -ENODATA at the end of the source. */
static int read_batch(struct compact_pass *pass, struct wire_batch *batch)
{
    struct compact_source *source = &pass->sources[pass->source];
    int result = open_source(pass, source);
    if (result != 0) {
        return result;
    }
    if (pass->window.file != source->file) {
        log_window_free(&pass->window);
        log_window_init(&pass->window, source->file, source->size_bytes);
    }
    if (pass->position == source->size_bytes) {
        return pass->offset == source->end_offset ? -ENODATA : -EBADMSG;
    }
    int is_whole = log_window_batch(&pass->window, pass->position, batch);
    if (is_whole < 0) {
        return is_whole;
    }
    const char *problem = log_verify_batch(is_whole, batch, pass->offset,
                                           log_term_spans_at(&pass->terms, pass->offset));
    return problem == NULL ? 0 : -EBADMSG;
}

static void skip_batch(struct compact_pass *pass, const struct wire_batch *batch)
{
    pass->position += batch->total_bytes;
    pass->offset = log_scan_end_offset(batch);
    pass->bytes_read += batch->total_bytes;
    pass->piece_bytes += batch->total_bytes;
}

static void seek_source(struct compact_pass *pass, size_t source)
{
    pass->source = source;
    pass->position = 0;
    if (source < pass->source_count) {
        pass->offset = pass->sources[source].base_offset;
    }
}

static void close_source(struct compact_pass *pass, struct compact_source *source)
{
    if (source->file != NULL && pass->window.file == source->file) {
        log_window_free(&pass->window);
        log_window_init(&pass->window, NULL, 0);
    }
    io_file_release(source->file);
    source->file = NULL;
}

/* ---- The keys ---- */

static bool map_records(struct compact_pass *pass, const struct wire_batch *batch)
{
    bool fits = true;
    struct wire_record record;
    struct wire_record_reader *reader = wire_record_reader_open(batch, SIZE_MAX);
    while (fits && wire_record_reader_next(reader, &record)) {
        uint64_t offset = (uint64_t)batch->base_offset + (uint64_t)record.offset_delta;
        if (offset < pass->dirty_offset || offset >= pass->end_offset || record.key.length < 0) {
            continue;
        }
        fits = key_table_put(&pass->keys, record.key.data, (size_t)record.key.length, offset);
        if (!fits) {
            ensure(offset > pass->dirty_offset);
            pass->end_offset = offset;
        }
    }
    /* What cannot be read to its end stays whole, and so does what was read of it. */
    wire_record_reader_close(reader);
    return fits;
}

static void begin_writing(struct compact_pass *pass)
{
    size_t count = 0;
    while (count < pass->source_count && pass->sources[count].base_offset < pass->end_offset) {
        count++;
    }
    for (size_t i = count; i < pass->source_count; i++) {
        close_source(pass, &pass->sources[i]);
    }
    pass->source_count = count;
    pass->state = COMPACT_WRITING;
    pass->group_end = 0;
    seek_source(pass, 0);
}

static int work_map(struct compact_pass *pass)
{
    while (pass->piece_bytes < PIECE_BYTES) {
        if (pass->source == pass->source_count) {
            begin_writing(pass);
            return 0;
        }
        if (pass->sources[pass->source].end_offset <= pass->dirty_offset) {
            seek_source(pass, pass->source + 1);
            continue;
        }
        struct wire_batch batch;
        int result = read_batch(pass, &batch);
        if (result == -ENODATA) {
            close_source(pass, &pass->sources[pass->source]);
            seek_source(pass, pass->source + 1);
            continue;
        }
        if (result != 0) {
            return result;
        }
        skip_batch(pass, &batch);
        if (!wire_batch_is_control(&batch) && !map_records(pass, &batch)) {
            begin_writing(pass);
            return 0;
        }
    }
    return 0;
}

/* ---- Writing ---- */

static int write_out(struct compact_pass *pass)
{
    if (pass->unwritten_length == 0) {
        return 0;
    }
    uint64_t position = pass->made->size_bytes - pass->unwritten_length;
    int result = io_file_write(pass->made->file, position, pass->unwritten, pass->unwritten_length);
    pass->unwritten_length = 0;
    return result;
}

static int put_batch(struct compact_pass *pass, const uint8_t *data, size_t length)
{
    struct wire_batch head;
    bool is_batch = wire_batch_read(&head, data, length);
    ensure(is_batch && head.total_bytes == length);
    if (pass->made->size_bytes + length > UINT32_MAX) {
        return -EFBIG;
    }
    if (pass->unwritten_length + length > pass->unwritten_capacity) {
        int result = write_out(pass);
        if (result != 0) {
            return result;
        }
        if (length > pass->unwritten_capacity) {
            pass->unwritten_capacity = length > UNWRITTEN_BYTES ? length : UNWRITTEN_BYTES;
            pass->unwritten = memory_reallocate(pass->unwritten, pass->unwritten_capacity);
        }
    }
    memcpy(pass->unwritten + pass->unwritten_length, data, length);
    pass->unwritten_length += length;
    log_segment_note(pass->made, &head);
    return 0;
}

static int put_buf(struct compact_pass *pass, struct buf *buf)
{
    int result = put_batch(pass, buf->data, buf->length_bytes);
    buf_release(buf);
    return result;
}

static int put_run(struct compact_pass *pass)
{
    struct compact_run run = pass->run;
    pass->run = (struct compact_run){0};
    if (run.base_offset == run.end_offset) {
        return 0;
    }
    return put_buf(pass, wire_batch_filler((int64_t)run.base_offset,
                                           (int32_t)(run.end_offset - run.base_offset - 1),
                                           run.leader_epoch));
}

/* Whether a sorted list has a value from low up to high, both included. */
static bool has_within(const uint64_t *values, size_t count, uint64_t low, uint64_t high)
{
    size_t from = 0;
    size_t to = count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (values[middle] < low) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < count && values[from] <= high;
}

/* Nothing is left of a batch: it joins those before it, or begins a run. */
static int put_nothing(struct compact_pass *pass, const struct wire_batch *batch)
{
    struct compact_run *run = &pass->run;
    uint64_t base_offset = (uint64_t)batch->base_offset;
    uint64_t end_offset = log_scan_end_offset(batch);
    bool joins =
        run->base_offset < run->end_offset && run->leader_epoch == batch->leader_epoch &&
        end_offset - run->base_offset <= (uint64_t)INT32_MAX + 1 &&
        !has_within(pass->controls, pass->control_count, run->base_offset + 1, base_offset);
    if (joins) {
        ensure(run->end_offset == base_offset);
        run->end_offset = end_offset;
        pass->is_changed = true;
        return 0;
    }
    int result = put_run(pass);
    *run = (struct compact_run){base_offset, end_offset, batch->leader_epoch};
    pass->is_changed = pass->is_changed || !wire_batch_is_filler(batch);
    return result;
}

struct judging {
    struct compact_pass *pass;
    uint64_t base_offset;
    uint64_t removed;
    uint64_t tombstones;
};

static bool stays(const struct wire_record *record, void *context)
{
    struct judging *judging = context;
    const struct compact_pass *pass = judging->pass;
    uint64_t offset = judging->base_offset + (uint64_t)record->offset_delta;
    if (offset >= pass->end_offset) {
        return true;
    }
    uint64_t newest;
    bool is_void = record->key.length < 0 || (key_table_find(&pass->keys, record->key.data,
                                                             (size_t)record->key.length, &newest) &&
                                              newest > offset);
    bool is_spent = !is_void && record->value.length < 0 && offset < pass->tombstone_offset;
    judging->removed += is_void || is_spent;
    judging->tombstones += is_spent;
    return !is_void && !is_spent;
}

/* What is left of a batch goes to the new segment. */
static int put_rest(struct compact_pass *pass, const struct wire_batch *batch)
{
    struct judging judging = {.pass = pass, .base_offset = (uint64_t)batch->base_offset};
    struct buf *rest = NULL;
    enum wire_batch_rest kind = wire_batch_is_control(batch)
                                    ? WIRE_BATCH_REST_ALL
                                    : wire_batch_filter(batch, stays, &judging, &rest);
    bool needs_head =
        has_within(pass->heads, pass->head_count, judging.base_offset, judging.base_offset);
    bool is_gone = kind == WIRE_BATCH_REST_NOTHING && !needs_head;
    bool was_empty = batch->record_count == 0;
    if (kind != WIRE_BATCH_REST_UNKNOWN) {
        pass->records_removed += judging.removed;
        pass->tombstones_removed += judging.tombstones;
    }
    if (is_gone) {
        return put_nothing(pass, batch);
    }
    int result = put_run(pass);
    if (result != 0) {
        buf_release(rest);
        return result;
    }
    if (kind == WIRE_BATCH_REST_SOME) {
        pass->is_changed = true;
        return put_buf(pass, rest);
    }
    if (kind == WIRE_BATCH_REST_NOTHING && !was_empty) {
        pass->is_changed = true;
        return put_buf(pass, wire_batch_empty(batch));
    }
    return put_batch(pass, batch->data, batch->total_bytes);
}

/* The next segments that fit into one. */
static int begin_group(struct compact_pass *pass)
{
    size_t first = pass->group_end;
    size_t end = first + 1;
    uint64_t size_bytes = pass->sources[first].size_bytes;
    while (end < pass->source_count && end - first < COMPACT_GROUP_SEGMENTS_MAX &&
           size_bytes + pass->sources[end].size_bytes <= pass->segment_bytes &&
           pass->sources[end].end_offset - pass->sources[first].base_offset <= UINT32_MAX) {
        size_bytes += pass->sources[end].size_bytes;
        end++;
    }
    pass->group_first = first;
    pass->group_end = end;
    pass->is_changed = end - first > 1;
    pass->run = (struct compact_run){0};
    seek_source(pass, first);
    pass->made = log_segment_new(pass->sources[first].base_offset, pass->index_interval_bytes);
    char *path = compact_path(pass->directory, pass->made->base_offset);
    int result = io_file_open(&pass->made->file, path, IO_OPEN_CREATE);
    memory_free(path);
    return result == 0 ? io_file_truncate(pass->made->file, 0) : result;
}

static int drop_made(struct compact_pass *pass)
{
    if (pass->made == NULL) {
        return 0;
    }
    char *path = compact_path(pass->directory, pass->made->base_offset);
    log_segment_release(pass->made);
    pass->made = NULL;
    pass->unwritten_length = 0;
    int result = io_path_remove(path);
    memory_free(path);
    return result;
}

static int end_group(struct compact_pass *pass)
{
    int result = put_run(pass);
    if (result != 0) {
        return result;
    }
    ensure(pass->made->end_offset == pass->sources[pass->group_end - 1].end_offset);
    if (!pass->is_changed) {
        pass->state = COMPACT_UNCHANGED;
        return drop_made(pass);
    }
    result = write_out(pass);
    if (result == 0) {
        result = io_file_sync(pass->made->file);
    }
    pass->state = COMPACT_READY;
    return result;
}

static int work_write(struct compact_pass *pass)
{
    if (pass->made == NULL) {
        int result = begin_group(pass);
        if (result != 0) {
            return result;
        }
    }
    while (pass->piece_bytes < PIECE_BYTES) {
        struct wire_batch batch;
        int result = read_batch(pass, &batch);
        if (result == -ENODATA && pass->source + 1 == pass->group_end) {
            return end_group(pass);
        }
        if (result == -ENODATA) {
            seek_source(pass, pass->source + 1);
            continue;
        }
        if (result == 0) {
            result = put_rest(pass, &batch);
        }
        if (result != 0) {
            return result;
        }
        skip_batch(pass, &batch);
    }
    return 0;
}

int compact_pass_work(struct compact_pass *pass)
{
    require(pass->state == COMPACT_MAPPING || pass->state == COMPACT_WRITING);
    pass->piece_bytes = 0;
    return pass->state == COMPACT_MAPPING ? work_map(pass) : work_write(pass);
}

void compact_pass_next_group(struct compact_pass *pass)
{
    require(pass->state == COMPACT_READY || pass->state == COMPACT_UNCHANGED);
    ensure(pass->unwritten_length == 0);
    for (size_t i = pass->group_first; i < pass->group_end; i++) {
        close_source(pass, &pass->sources[i]);
    }
    pass->state = pass->group_end < pass->source_count ? COMPACT_WRITING : COMPACT_FINISHED;
}

void compact_pass_free(struct compact_pass *pass)
{
    (void)drop_made(pass); /* or the next open does */
    for (size_t i = 0; i < pass->source_count; i++) {
        close_source(pass, &pass->sources[i]);
    }
    key_table_free(&pass->keys);
    log_window_free(&pass->window);
    memory_free(pass->unwritten);
    memory_free(pass->sources);
    memory_free(pass->heads);
    memory_free(pass->controls);
    log_term_spans_free(&pass->terms);
    memory_free(pass->directory);
}
