/* SPDX-License-Identifier: Apache-2.0
 *
 * flush.h -- one group commit in the making: ordered steps, and references on all they touch.
 *
 * Filled by log/submit.c on the shard, sealed, carried out by the io room's flusher (or at once,
 * when a log is closed), then cleared and used again.
 *
 * Locality: the shard; the flusher's thread reads it between submit and done.
 */
#ifndef LOG_FLUSH_H
#define LOG_FLUSH_H

#include "io/file.h"
#include "log/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A segment file to be made before the steps run. */
struct log_creation {
    struct log_segment *segment; /* a reference */
    char *path;                  /* owned */
    struct io_file *file;        /* what was made */
};

/* Vectors grow and stay for the next use. */
struct log_flush {
    struct io_flush_step *steps;
    struct log_segment *
        *step_segments;  /* whose file a step means; NULL: step.file is set already */
    size_t *step_slices; /* where a step's slices begin in slices */
    size_t step_count;
    size_t step_capacity;
    struct buf_slice *slices; /* each with a reference on its buf */
    size_t slice_count;
    size_t slice_capacity;
    struct log_segment **segments; /* to be synced at the end; references */
    size_t segment_count;
    size_t segment_capacity;
    struct io_file **files; /* likewise: epochs files */
    size_t file_count;
    size_t file_capacity;
    const char *
        *directories; /* where files are made; borrowed from logs, which outlive the flush */
    size_t directory_count;
    size_t directory_capacity;
    struct log_creation *creations;
    size_t creation_count;
    size_t creation_capacity;
    uint64_t number; /* which one it is */
    uint64_t bytes;
};

/* Grows a vector for one more element. */
void *log_vector_reserve(void *elements, size_t count, size_t *capacity, size_t element_size);

void log_flush_write(struct log_flush *flush, struct log_segment *segment, struct io_file *file,
                     uint64_t position, const struct buf_slice *slice);
void log_flush_truncate(struct log_flush *flush, struct log_segment *segment, uint64_t size_bytes);
/* A sync in the middle: what follows must not reach the disk before what precedes. */
void log_flush_barrier(struct log_flush *flush, struct log_segment *segment, struct io_file *file);
/* To be synced at the end; the caller sees to it that a file is named once. */
void log_flush_sync_segment(struct log_flush *flush, struct log_segment *segment);
void log_flush_sync_file(struct log_flush *flush, struct io_file *file);
void log_flush_create(struct log_flush *flush, struct log_segment *segment, const char *directory);

/* Makes the files that are missing, and their names durable.  May block. */
int log_flush_make_files(struct log_flush *flush);
/* Hands made files to their segments, adds the final syncs, and fixes the steps' pointers. */
void log_flush_seal(struct log_flush *flush);
/* Carries out a sealed flush here and now.  May block. */
int log_flush_run(struct log_flush *flush);
/* Drops all references; keeps the vectors. */
void log_flush_clear(struct log_flush *flush);
void log_flush_free(struct log_flush *flush);

#endif
