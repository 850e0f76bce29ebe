/* SPDX-License-Identifier: Apache-2.0
 *
 * epochs.h -- the epoch log: the file of everything a log must remember that is not a record batch.
 *
 * Two checkpoint slots of one sector each, overwritten in turn, then records, only ever appended:
 *
 *     record: crc32c, type, payload length, durable length, term, index, offset, payload, mark
 *
 * The checksum is seeded with the record's position, so a record is valid in its own place only.
 * "durable length" says how much of the file was known durable when the record was made: damage
 * below the durable length of any valid record, or of a checkpoint, is damage and not a torn write.
 * The mark is a last byte that is never zero: a write torn at any byte shows.
 *
 * A checkpoint says up to where the segments were proven durable.  It shortens the scan at open,
 * and what it vouches for must be there.
 *
 * Not here: what control entries mean for positions (log/history.h).
 *
 * Locality: plain data; whoever owns the log.
 */
#ifndef LOG_EPOCHS_H
#define LOG_EPOCHS_H

#include "base/buf.h"
#include "io/file.h"
#include "log/history.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_SECTOR_BYTES 512
#define LOG_EPOCHS_RECORDS_AT (2 * LOG_SECTOR_BYTES)
#define LOG_EPOCHS_BYTES_MAX (256u << 20)
#define LOG_EPOCHS_RECORD_HEAD_BYTES 40

/* Numbers are on disk: append only. */
enum log_record_type {
    LOG_RECORD_FORMAT = 1, /* first record; term: version of the format */
    LOG_RECORD_HARD_STATE, /* term; index: vote */
    LOG_RECORD_TERM_START, /* term, index, offset */
    LOG_RECORD_MEMBERSHIP, /* term, index, offset, payload */
    LOG_RECORD_LOG_START, /* term and index of the entry before the first, offset; payload: start */
    LOG_RECORD_TRUNCATE,  /* index: the first dropped; offset: the next one after it */
    LOG_RECORD_RESET,     /* as LOG_START, but all entries are gone; payload: 1 when unfinished */
    LOG_RECORD_PREFIX_MEMBERSHIP, /* a membership from before the log's start */
    LOG_RECORD_START_MOVE,        /* term, index, offset, payload: the new start */
    LOG_RECORD_TYPES_END,
};

struct log_checkpoint {
    uint64_t sequence; /* 0: none */
    uint64_t epochs_length;
    uint64_t segment_base;
    uint64_t
        position;    /* all bytes of that segment before it, and all segments before, are durable */
    uint64_t offset; /* next Kafka offset at that position */
    int64_t max_timestamp; /* of the segment up to the position */
    uint64_t max_timestamp_offset;
};

/* The file as it is written: what was encoded and waits for the next submit stands in pending. */
struct log_epochs {
    size_t pending_length; /* first, beside what else is asked of every log in every turn */
    uint8_t *pending;
    struct io_file *file;
    uint64_t end_position; /* pending included */
    uint64_t durable_length;
    uint64_t checkpoint_sequence;
    size_t pending_capacity;
    bool
        pending_goes_first; /* before the batches behind it: they would not tell that it was lost */
};

/* What a replay found. */
struct log_epochs_state {
    uint64_t term;
    uint32_t vote;
    bool reset_unfinished;
    struct log_history history;
    struct log_checkpoint checkpoint;
    bool was_truncated; /* the file has TRUNCATE records: the cuts may not have reached the segments
                         */
    uint64_t truncated_to; /* the lowest offset they name */
    uint64_t valid_length; /* what lies behind is a torn write */
    const char *problem;   /* when the replay failed: what is wrong, and where */
    uint64_t problem_position;
};

/* Replays the content of an epochs file into state, which the caller frees in any case.  0 or
 * -EBADMSG. */
int log_epochs_replay(const uint8_t *data, size_t length, struct log_epochs_state *state);
void log_epochs_state_free(struct log_epochs_state *state);

/* A whole file that replays to this state and nothing else; a new buf. */
struct buf *log_epochs_encode(const struct log_epochs_state *state);

/* Adds a record to pending. */
struct log_record {
    enum log_record_type type;
    uint64_t term;
    uint64_t index;
    uint64_t offset;
    const uint8_t *payload;
    uint32_t payload_length;
};
void log_epochs_append(struct log_epochs *epochs, const struct log_record *record);
void log_epochs_append_control(struct log_epochs *epochs, const struct log_control *control);
/* A LOG_START or RESET record from what the history says. */
void log_epochs_append_start(struct log_epochs *epochs, const struct log_history *history);
void log_epochs_append_reset(struct log_epochs *epochs, const struct log_history *history,
                             bool unfinished);
/* Takes pending as a new buf to be written at *position; NULL when there is nothing. */
struct buf *log_epochs_take(struct log_epochs *epochs, uint64_t *position);
/* A checkpoint as a new buf to be written at *position; gives it the next sequence number. */
struct buf *log_epochs_take_checkpoint(struct log_epochs *epochs,
                                       const struct log_checkpoint *checkpoint, uint64_t *position);
void log_epochs_free(struct log_epochs *epochs);

#endif
