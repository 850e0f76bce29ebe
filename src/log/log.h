/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h -- one group's log on disk and its newest part in memory: the Raft log that is also the
 * Kafka log.
 *
 * Data entries are Kafka record batches (format v2), stored byte for byte in segment files; a batch
 * covers as many Raft indexes as it has offsets, and its partitionLeaderEpoch is its term.  What is
 * not data (term starts, memberships, votes) stands in the epoch log beside them and takes no Kafka
 * offset:
 *
 *     raft index = kafka offset + number of non-data entries before it + 1
 *
 * so every position is explicit in what is on disk.  The epoch log is at once Kafka's leader-epoch
 * cache.
 *
 * Directory:  <base>.log   segments, base = first Kafka offset, 20 digits
 *             <base>.index sparse offset and time index, a cache: rebuilt when missing or damaged
 *             epochs       the epoch log: CRC'd records (hard state, term start, membership, log
 * start) snapshot     the applier's newest snapshot (see log_snapshot_*)
 *
 * Appending is immediate in memory and durable later: log_stream_submit() takes the unsaved parts
 * of all dirty logs of a shard and completes them together.  Reading serves from memory or file
 * alike. What a log keeps in memory beyond its unsaved entries is a cache with a budget per stream.
 *
 * Not here: who leads, what commits, what a record means.
 *
 * Invariants: offsets dense upward from the log start (what compaction took is covered by fillers,
 * log/compaction.h); terms never
 * fall; a batch whose term has no term start in the epoch log is an unacknowledged tail and is cut
 * at open; nothing below the commit the host told is ever truncated.
 *
 * Errors: 0 or a negative errno (-EBADMSG: damage that is not a torn tail, the log must not be
 * served). Locality: the shard of the group, unless a function says "may block", which runs where
 * that is allowed.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "base/buf.h"
#include "base/counter.h"
#include "base/list.h"
#include "io/file.h"
#include "io/loop.h"
#include "log/entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log;
struct log_stream;

struct log_options {
    uint64_t segment_bytes;        /* a new segment is begun when the active one would pass it */
    uint64_t segment_ms;           /* or when its first record is older */
    uint64_t index_interval_bytes; /* one index entry at least every so many bytes */
};

/* What was found at open; spans and memberships serve raft_new(). */
struct log_found {
    uint64_t term; /* newest hard state */
    uint32_t vote;
    uint64_t first_index;  /* of the log; 1 and offset 0 for a new one */
    uint64_t last_index;   /* first_index - 1 when empty */
    uint64_t prefix_term;  /* term of the entry at first_index - 1 */
    uint64_t start_offset; /* Kafka offset at first_index */
    uint64_t end_offset;   /* next Kafka offset */
    const struct log_term_start
        *term_starts; /* ascending; borrowed while the log is not appended to */
    size_t term_start_count;
    /* The newest two membership entries (the second one to fall back to), encoded as appended;
     * count 0..2, newest first; borrowed likewise. */
    struct log_membership_entry memberships[2];
    size_t membership_count;
    bool tail_was_cut; /* a torn or unacknowledged tail was dropped (normal after kill -9) */
};

/* Opens or creates the log in directory (made when missing), to be written through stream, which
 * outlives it and is not touched here.  May block.  On -EBADMSG error says which file and position;
 * nothing is changed on disk then. */
int log_open(struct log **log, struct log_stream *stream, const char *directory,
             const struct log_options *options, struct log_found *found, char *error,
             size_t error_size);
/* Nothing of the log is under way: it may be detached. */
bool log_is_idle(const struct log *log);
/* Takes the log out of its stream's caches: the last call on the shard before log_close() or
 * log_reset(), which may run on another thread.  The log has no unfinished submission, read, search
 * or wait then. */
void log_detach(struct log *log);
/* The log is detached.  Makes the rest durable, unless its
 * stream has failed.  May block. */
void log_close(struct log *log);
/* The directory of a log that held nothing, and is closed, is that of no log again: whatever a
 * crash leaves of its removal is a new log.  May block.  0 or a negative errno. */
int log_unmake(const char *directory);
void log_set_options(struct log *log, const struct log_options *options);

/* ---- Appending: in memory at once, durable after the next submit ---- */

/* One DATA entry.  batch: a whole record batch whose base offset and leader epoch are stamped
 * already (log_next_offset() and the term); a reference on its buf is taken. */
void log_append_batch(struct log *log, const struct log_entry *entry);
/* A term start (NOOP entry), a membership or a moved start: one index, no offset. */
void log_append_control(struct log *log, const struct log_entry *entry);
/* Drops every entry with last_index >= from_index, in memory at once and on disk with the next
 * submit. from_index > the index told by log_set_commit(). */
void log_truncate(struct log *log, uint64_t from_index);
/* Replaces the whole log by nothing that begins behind (index, term) with Kafka offset
 * start_offset: the state after a snapshot was installed.  The log is detached.  May block; durable
 * on return. */
int log_reset(struct log *log, uint64_t index, uint64_t term, uint64_t start_offset,
              const struct log_entry *membership);

/* ---- Group commit ---- */

/* One per shard.  stats below. */
struct log_stream *log_stream_new(struct io_loop *loop);
void log_stream_free(struct log_stream *stream);

/* One log's share of a submit: everything appended or truncated since its last submit, and
 * optionally the hard state, as a unit. */
struct log_write {
    struct log *log;
    uint64_t write_id; /* the host's; comes back in done */
    bool hard_state_changed;
    uint64_t term;
    uint32_t vote;
    void *owner; /* the host's; comes back in done */
};

/* Whether something waits for a submit: entries, a truncation, a moved start, a checkpoint whose
 * entries were committed meanwhile (compaction needs it, also of a log that nobody writes to). */
bool log_is_dirty(const struct log *log);

/* Takes the writes of all dirty logs of a turn; they may queue behind a running flush and are then
 * flushed together.  For each write, in order, done(owner, write_id, result) is called from the
 * loop when it and all before it are durable.  result < 0: the disk failed; it is final for this
 * stream. */
void log_stream_submit(struct log_stream *stream, const struct log_write *writes, size_t count,
                       void (*done)(void *owner, uint64_t write_id, int result));

struct log_stream_stats {
    struct counter flushes;
    struct counter bytes_written;
    struct histogram flush_us;
};
const struct log_stream_stats *log_stream_stats(const struct log_stream *stream);
/* How long the flush that is under way has been so; 0: none is. */
uint64_t log_stream_waits_ns(const struct log_stream *stream);

/* ---- Positions ---- */

uint64_t log_first_index(const struct log *log);
uint64_t log_last_index(const struct log *log);
uint64_t log_start_offset(const struct log *log);
uint64_t log_next_offset(const struct log *log);
/* Tells the commit index, a bound for truncation and retention; what it makes committed may move
 * the start offset. */
void log_set_commit(struct log *log, uint64_t commit_index);
/* Tells how far the applier's snapshot on disk reaches: retention drops nothing behind it.
 * log_open() finds out itself. */
void log_set_snapshot(struct log *log, uint64_t snapshot_index);
/* Kafka offset of the first record behind a Raft index: the high watermark for commit index c is
 * log_offset_after(log, c). */
uint64_t log_offset_after(const struct log *log, uint64_t index);
/* Raft index of the last record before a Kafka offset, i.e. what must be committed for the high
 * watermark to reach that offset. */
uint64_t log_index_before(const struct log *log, uint64_t offset);
/* KIP-101/KIP-320: the end offset of the largest term <= term that the log knows; false when none.
 */
bool log_term_end_offset(const struct log *log, uint64_t term, uint64_t *term_found,
                         uint64_t *end_offset);
uint64_t log_size_bytes(const struct log *log);

/* ---- Reading ---- */

/* Entries (after_index, last_index] up to bytes_max of payload, but at least one if any lies there.
 * Entries in memory come at once; others are read from file off the loop.  Calls done exactly once,
 * possibly before returning.  entries and their slices are borrowed for the call: take references
 * on the bufs to keep them.  result -ENODATA: after_index + 1 is before the log's first index. */
struct log_read {
    uint64_t after_index;
    uint64_t last_index;
    uint64_t bytes_max;
    void (*done)(struct log_read *read, int result, const struct log_entry *entries, size_t count);
    struct io_work work; /* the log's own */
    struct log *log;     /* the log's own; it stays open until done */
    void *private_state; /* the log's own */
};
void log_read(struct log *log, struct log_read *read);

/* Embedded in whoever calls log_fetch(), zeroed but for resume before the first call, and left
 * alone until resume when the call said -EAGAIN. */
struct log_wait {
    void (*resume)(
        struct log_wait *wait); /* from the loop, once for each -EAGAIN: call log_fetch again */
    struct list_node node;      /* the log's own, as all below */
    int result;
    uint32_t attempts;
    uint64_t passed_from; /* log_fetch_records() for this offset */
    uint64_t passed_to;   /* goes on here; 0: at its beginning */
    struct {
        uint64_t segment; /* its check_number; 0: none */
        uint64_t from;
        uint64_t to;     /* what is to be read was checked up to here, in the segment's file */
        uint64_t offset; /* and there the batch with this offset begins */
    } checked;
};

/* Whole batches from the one that holds offset, ending at or before limit_offset, up to bytes_max,
 * but at least one (KIP-74): a file range whose pages are in memory and whose batches were lately
 * checked (log/checked.h), or slices of what is in memory anyway.  Hardly ever waits for the disk.
 */
struct log_fetched {
    struct io_file *file; /* a reference the caller releases; NULL: slices */
    uint64_t position;
    uint64_t length_bytes; /* 0: nothing below limit_offset */
    uint32_t slice_count;
    struct buf_slice slices[64]; /* each buf with a reference the caller releases; last, so that
                                  * whoever keeps the struct may keep the used ones alone */
};
/* 0; -ERANGE when offset < start offset or > limit_offset; -EAGAIN when something must come from
 * disk first (wait->resume says when to call again; the log stays open until then); -EBADMSG when
 * it is damaged; another errno when reading failed. */
int log_fetch(struct log *log, uint64_t offset, uint64_t limit_offset, uint64_t bytes_max,
              struct log_fetched *fetched, struct log_wait *wait);
/* The same, but passes over parts of a compacted log that hold no record, unless nothing follows:
 * what is fetched may begin behind offset. */
int log_fetch_records(struct log *log, uint64_t offset, uint64_t limit_offset, uint64_t bytes_max,
                      struct log_fetched *fetched, struct log_wait *wait);
void log_fetched_release(struct log_fetched *fetched);

/* The batch that holds the first record with timestamp >= timestamp_ms below limit_offset: its
 * bytes, for the caller to look inside (it may be compressed).  Calls done once; batch.length_bytes
 * 0: none. */
struct log_find_time {
    int64_t timestamp_ms;
    uint64_t limit_offset;
    void (*done)(struct log_find_time *find, int result, struct buf_slice batch);
    struct io_work work; /* the log's own */
    struct log *log;
    void *private_state;
};
void log_find_time(struct log *log, struct log_find_time *find);
/* Offset and timestamp of the batch with the largest timestamp below limit_offset; false when
 * empty. */
bool log_max_timestamp(const struct log *log, uint64_t limit_offset, int64_t *timestamp_ms,
                       uint64_t *batch_base_offset);

/* ---- Retention and deletion ---- */

struct log_retention {
    int64_t retention_ms;    /* -1: no limit */
    int64_t retention_bytes; /* -1: no limit */
};
/* Drops whole closed segments that are too old, too much or below the start offset, never beyond
 * the commit index nor the newest applier snapshot.  Returns true when the first index moved:
 * durable with the next submit, which the caller makes, and after it the files go, off the loop. */
bool log_apply_retention(struct log *log, const struct log_retention *retention, int64_t now_ms);
/* The first segment lies below the start offset and stays only because it is not behind a snapshot.
 */
bool log_awaits_snapshot(const struct log *log);
/* Moves the start of this replica's log alone (durable with the next submit). */
void log_set_start_offset(struct log *log, uint64_t offset);

/* ---- The applier's snapshot, kept beside the log ---- */

/* May block.  Written beside, synced, renamed; CRC'd, with the position it stands for. */
int log_snapshot_write(const char *directory, uint64_t index, uint64_t term, uint64_t next_offset,
                       const void *content, size_t length);
/* -ENOENT: none; -EBADMSG: damaged.  A new buf the caller releases. */
int log_snapshot_read(const char *directory, uint64_t *index, uint64_t *term, uint64_t *next_offset,
                      struct buf **content);

#endif
