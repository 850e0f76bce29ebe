/* SPDX-License-Identifier: Apache-2.0
 *
 * flush.c -- building the ordered steps of one group commit.
 */
#include "log/flush.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"

#include <string.h>

#define STEP_SLICES_MAX 512 /* slices gathered into one write */

void *log_vector_reserve(void *elements, size_t count, size_t *capacity, size_t element_size)
{
    if (count < *capacity) {
        return elements;
    }
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    return memory_reallocate(elements, *capacity * element_size);
}

static void add_step(struct log_flush *flush, const struct io_flush_step *step,
                     struct log_segment *segment)
{
    size_t capacity = flush->step_capacity;
    flush->steps =
        log_vector_reserve(flush->steps, flush->step_count, &capacity, sizeof(flush->steps[0]));
    if (capacity != flush->step_capacity) {
        flush->step_segments =
            memory_reallocate(flush->step_segments, capacity * sizeof(flush->step_segments[0]));
        flush->step_slices =
            memory_reallocate(flush->step_slices, capacity * sizeof(flush->step_slices[0]));
        flush->step_capacity = capacity;
    }
    flush->steps[flush->step_count] = *step;
    flush->step_segments[flush->step_count] = segment;
    flush->step_slices[flush->step_count] = flush->slice_count;
    flush->step_count++;
}

static void add_slice(struct log_flush *flush, const struct buf_slice *slice)
{
    flush->slices = log_vector_reserve(flush->slices, flush->slice_count, &flush->slice_capacity,
                                       sizeof(flush->slices[0]));
    buf_reference(slice->buf);
    flush->slices[flush->slice_count++] = *slice;
    flush->bytes += slice->length_bytes;
}

static uint64_t step_end(const struct log_flush *flush, size_t place)
{
    uint64_t end = flush->steps[place].position;
    for (uint32_t i = 0; i < flush->steps[place].slice_count; i++) {
        end += flush->slices[flush->step_slices[place] + i].length_bytes;
    }
    return end;
}

void log_flush_write(struct log_flush *flush, struct log_segment *segment, struct io_file *file,
                     uint64_t position, const struct buf_slice *slice)
{
    require((segment == NULL) != (file == NULL));
    size_t last = flush->step_count - 1;
    bool joins = flush->step_count > 0 && segment != NULL &&
                 flush->step_segments[last] == segment &&
                 flush->steps[last].kind == IO_FLUSH_WRITE &&
                 flush->steps[last].slice_count < STEP_SLICES_MAX;
    if (joins) {
        ensure(flush->slice_count == flush->step_slices[last] + flush->steps[last].slice_count);
        joins = step_end(flush, last) == position;
    }
    if (!joins) {
        add_step(
            flush,
            &(struct io_flush_step){.kind = IO_FLUSH_WRITE, .file = file, .position = position},
            segment);
        last = flush->step_count - 1;
    }
    add_slice(flush, slice);
    flush->steps[last].slice_count++;
}

void log_flush_truncate(struct log_flush *flush, struct log_segment *segment, uint64_t size_bytes)
{
    add_step(flush, &(struct io_flush_step){.kind = IO_FLUSH_TRUNCATE, .position = size_bytes},
             segment);
}

void log_flush_barrier(struct log_flush *flush, struct log_segment *segment, struct io_file *file)
{
    require((segment == NULL) != (file == NULL));
    add_step(flush, &(struct io_flush_step){.kind = IO_FLUSH_SYNC, .file = file}, segment);
}

void log_flush_sync_segment(struct log_flush *flush, struct log_segment *segment)
{
    flush->segments = log_vector_reserve(flush->segments, flush->segment_count,
                                         &flush->segment_capacity, sizeof(flush->segments[0]));
    flush->segments[flush->segment_count++] = log_segment_reference(segment);
}

void log_flush_sync_file(struct log_flush *flush, struct io_file *file)
{
    flush->files = log_vector_reserve(flush->files, flush->file_count, &flush->file_capacity,
                                      sizeof(flush->files[0]));
    flush->files[flush->file_count++] = io_file_reference(file);
}

void log_flush_create(struct log_flush *flush, struct log_segment *segment, const char *directory)
{
    flush->creations = log_vector_reserve(flush->creations, flush->creation_count,
                                          &flush->creation_capacity, sizeof(flush->creations[0]));
    flush->creations[flush->creation_count++] = (struct log_creation){
        .segment = log_segment_reference(segment),
        .path = log_segment_path(directory, segment->base_offset, LOG_SEGMENT_SUFFIX),
    };
    flush->directories =
        log_vector_reserve(flush->directories, flush->directory_count, &flush->directory_capacity,
                           sizeof(flush->directories[0]));
    flush->directories[flush->directory_count++] = directory;
}

/* A file of that name may be left of a segment that was truncated away: it is empty, or a cut in
 * this very flush empties it, in its turn. */
int log_flush_make_files(struct log_flush *flush)
{
    for (size_t i = 0; i < flush->creation_count; i++) {
        struct log_creation *creation = &flush->creations[i];
        int result = io_file_open(&creation->file, creation->path, IO_OPEN_CREATE);
        if (result != 0) {
            trace_error("making %s failed: %s", creation->path, strerror(-result));
            return result;
        }
    }
    /* Names before bytes: otherwise a segment could survive whose predecessor has no name. */
    int result = 0;
    for (size_t i = 0; i < flush->directory_count && result == 0; i++) {
        result = io_directory_sync(flush->directories[i]);
        if (result != 0) {
            trace_error("syncing %s failed: %s", flush->directories[i], strerror(-result));
        }
    }
    return result;
}

void log_flush_seal(struct log_flush *flush)
{
    for (size_t i = 0; i < flush->creation_count; i++) {
        struct log_creation *creation = &flush->creations[i];
        io_file_release(creation->segment->file);
        creation->segment->file = creation->file;
        creation->file = NULL;
    }
    for (size_t i = 0; i < flush->segment_count; i++) {
        log_flush_barrier(flush, flush->segments[i], NULL);
    }
    for (size_t i = 0; i < flush->file_count; i++) {
        log_flush_barrier(flush, NULL, flush->files[i]);
    }
    for (size_t i = 0; i < flush->step_count; i++) {
        struct io_flush_step *step = &flush->steps[i];
        if (flush->step_segments[i] != NULL) {
            step->file = flush->step_segments[i]->file;
        }
        if (step->kind == IO_FLUSH_WRITE) {
            step->slices = &flush->slices[flush->step_slices[i]];
        }
        ensure(step->file != NULL);
    }
}

static int run_write(const struct io_flush_step *step)
{
    uint64_t position = step->position;
    int result = 0;
    for (uint32_t i = 0; i < step->slice_count && result == 0; i++) {
        const struct buf_slice *slice = &step->slices[i];
        result = io_file_write(step->file, position, slice->data, slice->length_bytes);
        position += slice->length_bytes;
    }
    return result;
}

int log_flush_run(struct log_flush *flush)
{
    int result = 0;
    for (size_t i = 0; i < flush->step_count && result == 0; i++) {
        const struct io_flush_step *step = &flush->steps[i];
        switch (step->kind) {
        case IO_FLUSH_WRITE:
            result = run_write(step);
            break;
        case IO_FLUSH_TRUNCATE:
            result = io_file_truncate(step->file, step->position);
            break;
        case IO_FLUSH_SYNC:
            result = io_file_sync(step->file);
            break;
        case IO_FLUSH_SYNC_DIRECTORY:
            result = io_directory_sync(step->path);
            break;
        }
    }
    return result;
}

void log_flush_clear(struct log_flush *flush)
{
    for (size_t i = 0; i < flush->slice_count; i++) {
        buf_release(flush->slices[i].buf);
    }
    for (size_t i = 0; i < flush->segment_count; i++) {
        log_segment_release(flush->segments[i]);
    }
    for (size_t i = 0; i < flush->file_count; i++) {
        io_file_release(flush->files[i]);
    }
    for (size_t i = 0; i < flush->creation_count; i++) {
        memory_free(flush->creations[i].path);
        io_file_release(flush->creations[i].file);
        log_segment_release(flush->creations[i].segment);
    }
    flush->step_count = 0;
    flush->slice_count = 0;
    flush->segment_count = 0;
    flush->file_count = 0;
    flush->directory_count = 0;
    flush->creation_count = 0;
    flush->bytes = 0;
}

void log_flush_free(struct log_flush *flush)
{
    log_flush_clear(flush);
    memory_free(flush->steps);
    memory_free(flush->step_segments);
    memory_free(flush->step_slices);
    memory_free(flush->slices);
    memory_free(flush->segments);
    memory_free(flush->files);
    memory_free((void *)flush->directories);
    memory_free(flush->creations);
}
