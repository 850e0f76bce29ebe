/* SPDX-License-Identifier: Apache-2.0
 *
 * works.c -- writing index files and unlinking, off the loop.
 */
#include "log/works.h"

#include "base/memory.h"
#include "log/stream.h"

struct chore {
    struct io_work work;
    char *index_path;
    char *data_path;     /* removing: NULL when the segment stays */
    struct buf *content; /* writing: the index file's; NULL when removing */
};

struct log_segment *log_find_segment(const struct log *log, uint64_t base_offset)
{
    if (base_offset < log->segments[0]->base_offset) {
        return NULL;
    }
    struct log_segment *segment = log_segment_of_offset(log, base_offset);
    return segment->base_offset == base_offset ? segment : NULL;
}

/* Not synced: a torn index file fails its checksum and is made anew. */
static int write_file(const char *path, const struct buf *content)
{
    struct io_file *file;
    int result = io_file_open(&file, path, IO_OPEN_CREATE);
    if (result != 0) {
        return result;
    }
    result = io_file_truncate(file, 0);
    if (result == 0) {
        result = io_file_write(file, 0, content->data, content->length_bytes);
    }
    io_file_release(file);
    return result;
}

static struct buf *encode(const struct log_segment *segment)
{
    struct log_summary summary = log_segment_summary(segment);
    return log_index_encode(&segment->index, &summary);
}

int log_write_index(const char *directory, const struct log_segment *segment)
{
    char *path = log_segment_path(directory, segment->base_offset, LOG_INDEX_SUFFIX);
    struct buf *content = encode(segment);
    int result = write_file(path, content);
    buf_release(content);
    memory_free(path);
    return result;
}

int log_remove_files(const char *directory, uint64_t base_offset, bool with_data)
{
    char *path = log_segment_path(directory, base_offset, LOG_INDEX_SUFFIX);
    int result = io_path_remove(path);
    memory_free(path);
    if (result == 0 && with_data) {
        path = log_segment_path(directory, base_offset, LOG_SEGMENT_SUFFIX);
        result = io_path_remove(path);
        memory_free(path);
    }
    return result;
}

static void chore_run(struct io_work *work)
{
    struct chore *chore = container_of(work, struct chore, work);
    if (chore->content != NULL) {
        (void)write_file(chore->index_path, chore->content);
        return;
    }
    (void)io_path_remove(chore->index_path);
    if (chore->data_path != NULL) {
        (void)io_path_remove(chore->data_path);
    }
}

static void chore_done(struct io_work *work)
{
    struct chore *chore = container_of(work, struct chore, work);
    buf_release(chore->content);
    memory_free(chore->index_path);
    memory_free(chore->data_path);
    memory_free(chore);
}

static struct chore *chore_new(const struct log *log, uint64_t base_offset)
{
    struct chore *chore = memory_allocate_zeroed(sizeof(*chore));
    chore->index_path = log_segment_path(log->directory, base_offset, LOG_INDEX_SUFFIX);
    chore->work = (struct io_work){.run = chore_run, .done = chore_done};
    list_node_init(&chore->work.node);
    return chore;
}

void log_work_write_index(struct log *log, const struct log_segment *segment)
{
    struct chore *chore = chore_new(log, segment->base_offset);
    chore->content = encode(segment);
    io_work_submit(log->stream->loop, &chore->work);
}

void log_work_remove_files(struct log *log, uint64_t base_offset, bool with_data)
{
    struct chore *chore = chore_new(log, base_offset);
    if (with_data) {
        chore->data_path = log_segment_path(log->directory, base_offset, LOG_SEGMENT_SUFFIX);
    }
    io_work_submit(log->stream->loop, &chore->work);
}
