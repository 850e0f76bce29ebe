/* SPDX-License-Identifier: Apache-2.0
 *
 * compaction.h -- removing records that a later record with the same key has made void.
 *
 * What a compaction leaves of a log has the same offsets, indexes and terms as before, without a
 * gap: batches that keep all their records stay byte for byte; one that keeps some keeps its place;
 * where whole batches went stands a filler, an empty batch that covers their offsets within one
 * term and between two control entries.  So a gap is a statement with a checksum, and what is
 * missing without one is damage as ever.
 *
 * Only closed segments are touched, that are committed, durable, applied, and lie below a durable
 * checkpoint.  They are rewritten beside the log, synced, and put in place by a rename; who reads
 * the old ones goes on reading them.  A compaction works off the loop in small pieces and holds
 * nothing that the shard changes.
 *
 * Replicas compact for themselves.  Equal on all of them is what a reader of the whole log ends up
 * with: for each key the newest record.  A tombstone therefore may go only below an offset of which
 * the host knows that every replica has been compacted beyond it; or one that still holds the value
 * it deletes would keep that for ever.
 *
 * Not here: when to look (the host), which producers' heads are still needed (the host knows).
 *
 * Locality: the shard of the log.
 */
#ifndef LOG_COMPACTION_H
#define LOG_COMPACTION_H

#include "log/log.h"

struct log_compaction_rules {
    int64_t min_lag_ms; /* a segment with a younger record is not touched, nor what follows it */
    int64_t max_lag_ms; /* when the oldest record not compacted is older, it is time; > 0 */
    int64_t delete_retention_ms; /* a tombstone stays so long after it was first compacted */
    double dirty_ratio_least;    /* it is time when the dirty part is larger than this share */
};

/* How much of a log may be compacted now. */
struct log_compaction_extent {
    uint64_t clean_bytes;  /* of segments that were compacted */
    uint64_t dirty_bytes;  /* of closed segments that were not, and may be */
    uint64_t dirty_offset; /* the first one that was not compacted */
    uint64_t end_offset;   /* the first one that may not be compacted yet */
    bool is_due;
};

void log_compaction_measure(const struct log *log, const struct log_compaction_rules *rules,
                            uint64_t applied_index, int64_t now_ms,
                            struct log_compaction_extent *extent);

/* One compaction of one log. */
struct log_compaction {
    struct log_compaction_rules rules;
    uint64_t applied_index;    /* nothing above it is touched */
    int64_t now_ms;            /* since 1970 */
    uint64_t tombstone_offset; /* every replica has been compacted up to here */
    const uint64_t *heads;     /* base offsets of batches whose heads stay, ascending; copied */
    size_t head_count;
    size_t memory_bytes;       /* for keys; with more of them only a part is compacted */
    uint64_t bytes_per_second; /* read; 0: no limit */
    /* Exactly once, from the loop, never from inside log_compact() or log_compaction_cancel().
     * -ECANCELED: cancelled, or the log's beginning moved meanwhile; -EBADMSG: damage was met.
     * Whatever the result, the log is whole. */
    void (*done)(struct log_compaction *compaction, int result);
    void *owner; /* the host's */

    /* What came of it. */
    uint64_t end_offset;  /* compacted up to here */
    uint64_t bytes_read;  /* of segments */
    uint64_t bytes_saved; /* that the log is smaller now */
    uint64_t records_removed;
    uint64_t tombstones_removed;
};

/* Begins; there is something to compact (dirty_offset < end_offset), and no other compaction of
 * this log under way.  compaction stays where it is until done.  Until then the log is not idle. */
void log_compact(struct log *log, struct log_compaction *compaction);
bool log_is_compacting(const struct log *log);
/* Ends it soon; harmless when there is none. */
void log_compaction_cancel(struct log *log);

/* Every record below it is the newest of its key below it, and every tombstone has done its work
 * here. */
uint64_t log_compacted_offset(const struct log *log);

#endif
