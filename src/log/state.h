/* SPDX-License-Identifier: Apache-2.0
 *
 * state.h -- what a log is inside; for the files of this room only.
 *
 * Who owns what: the log its history, epochs, segment table and tail; the stream its flushes; a
 * flush references on everything it writes (bufs, segments, the epochs file), so that truncation
 * and retention change the tables at once, whatever is under way.
 *
 * Locality: the shard of the log; log_open, log_close and log_reset where blocking is allowed,
 * while nobody else has the log.
 */
#ifndef LOG_STATE_H
#define LOG_STATE_H

#include "log/compact_points.h"
#include "log/epochs.h"
#include "log/history.h"
#include "log/log.h"
#include "log/segment.h"
#include "log/tail.h"

#define LOG_TAIL_BYTES_MAX (16u << 20)  /* durable batches a log keeps in memory */
#define LOG_CHECKPOINT_BYTES (4u << 20) /* a checkpoint after so many durable bytes */
#define LOG_OPEN_CLOSED_SEGMENTS_MAX 4  /* files and indexes of closed segments a log keeps */
#define LOG_READ_ENTRIES_MAX 256        /* entries handed out by one log_read */

/* A segment that is to be cut on disk with the next submit. */
struct log_cut {
    struct log_segment *segment; /* a reference */
    uint64_t size_bytes;
};

/* Base offsets of segments whose files are to be unlinked once the next submit is durable. */
struct log_doomed {
    uint64_t *bases;
    size_t count;
};

struct log {
    /* What every turn of a group looks at stands side by side: with thousands of groups each piece
     * of it that stands elsewhere is another line of memory to fetch. */
    uint64_t last_index;
    uint64_t commit_index;
    uint64_t sequence;           /* of the newest append */
    uint64_t submitted_sequence; /* appends up to this one were handed to the stream */
    uint64_t candidate_index;    /* of the checkpoint to be written once it is committed; 0: none */
    size_t cut_count;
    struct log_epochs epochs;
    struct log_history history;

    struct log_stream *stream;
    char *directory;
    struct log_options options;

    uint64_t term; /* the newest hard state given to the stream or found */
    uint32_t vote;
    uint64_t epochs_flush_number; /* of the newest flush that syncs the epochs file */
    struct log_segment *
        *segments; /* ascending; the last one is appended to.  Invariant: at least one */
    size_t segment_count;
    size_t segment_capacity;
    struct log_tail tail; /* Invariant: holds every batch that is not durable */

    uint64_t next_offset;
    uint64_t snapshot_index;

    uint64_t saved_sequence; /* appends up to this one are durable */
    uint64_t truncations;    /* how many there were: what was computed before one is void */
    struct log_cut *cuts;    /* cut_count of them */
    struct log_doomed doomed;

    struct log_checkpoint checkpoint; /* the newest one on disk */
    uint64_t checkpointed_base;       /* the segment that the newest durable one is in; 0: none */
    struct log_checkpoint candidate;  /* durable, written once candidate_index is committed */
    struct compact_points compacted;  /* as its file says */
    struct log_compaction_job *compaction; /* under way; NULL: none */
    bool is_swapping;     /* a segment made anew is taking the place of old ones: the table stays */
    uint32_t submissions; /* unfinished ones */
    uint32_t works;       /* unfinished reads, searches, loads */
    bool failed;          /* a submission of this log failed */

    struct list_node cached_node; /* in the stream's list of logs with caches, oldest use first */
    uint64_t touched_ns;
    struct log_term_start *found_starts; /* lent through log_found; until the first append */
};

static inline struct log_segment *log_active(const struct log *log)
{
    return log->segments[log->segment_count - 1];
}

/* log.c */
void log_segments_push(struct log *log, struct log_segment *segment); /* takes the reference */
void log_doom(struct log *log, uint64_t base_offset);
struct log_segment *log_segment_of_offset(const struct log *log, uint64_t offset);
/* Where in a segment's file the durable batches end. */
uint64_t log_segment_saved_bytes(const struct log *log, const struct log_segment *segment);
/* The first offset that is not durable. */
uint64_t log_saved_offset(const struct log *log);
void log_free(struct log *log);
/* A whole-file head of a payload the log was given; false when it is not what entry says. */
bool log_batch_head(struct wire_batch *head, const struct buf_slice *payload);
struct log_entry log_entry_of_tail(const struct log *log, const struct log_tail_entry *entry);

/* recovery.c: fills a zeroed log from its directory. */
int log_recover(struct log *log, bool *tail_was_cut, char *error, size_t error_size);
/* Makes an empty segment file and the epochs file for what history and hard state say. */
int log_create_files(struct log *log);
/* Writes the epochs file anew for what history and hard state say. */
int log_replace_epochs(struct log *log, bool reset_unfinished);

/* snapshot.c: the index a whole snapshot file stands for; its content is not looked at. */
int log_snapshot_position(const char *directory, uint64_t *index);
/* Reads the whole file from the medium: 0, -ENOENT, -EBADMSG when it is damaged, or another errno.
 */
int log_snapshot_verify(const char *directory, uint64_t *bytes_read);

#endif
