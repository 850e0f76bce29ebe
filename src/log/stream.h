/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.h -- the group commit of a shard, inside: one flush in flight, one that fills meanwhile.
 *
 * Locality: the shard.
 */
#ifndef LOG_STREAM_H
#define LOG_STREAM_H

#include "io/loop.h"
#include "log/flush.h"
#include "log/log.h"
#include "log/state.h"

#include <stdatomic.h>

/* One log's share of a flush. */
struct log_unit {
    struct log *log;
    uint64_t write_id;
    void *owner;
    void (*done)(void *owner, uint64_t write_id, int result);
    uint64_t sequence;             /* of the newest append in it */
    uint64_t epochs_length;        /* of the epochs file with it */
    uint64_t truncations;          /* of the log when it was captured */
    uint64_t checkpointed_base;    /* of the log's newest checkpoint, which is in it or before it */
    struct log_checkpoint reached; /* where the log's end stood then */
    uint64_t reached_index;
    struct log_doomed doomed;
};

struct log_batch_of_units {
    struct log_flush flush;
    struct log_unit *units;
    size_t unit_count;
    size_t unit_capacity;
};

struct log_stream {
    struct io_loop *loop;
    struct log_batch_of_units *filling;
    struct log_batch_of_units *flying;
    bool is_flying;
    uint64_t flying_since_ns;
    bool is_ending; /* done callbacks of a flush are being called */
    uint64_t flush_count;
    uint64_t check_numbers; /* given to segments */
    int creation_result;
    _Atomic int failed; /* 0, or the errno (negative) that ended this stream */
    struct io_work creation;
    struct io_flush flush;
    struct list cached; /* of logs with something in memory that need not be, oldest use first */
    uint64_t cached_bytes;
    struct io_timer idle_timer;
    struct log_stream_stats stats;
};

int64_t log_stream_wall_ms(const struct log_stream *stream);
/* Something that cannot be mended happened outside a flush: all further ones fail. */
void log_stream_fail(struct log_stream *stream, int error);

/* submit.c: puts a log's unsaved part into a flush, in an order that every crash leaves
 * recoverable. */
void log_submit_capture(struct log *log, struct log_flush *flush, struct log_unit *unit);
/* Makes everything unsaved durable here and now; for closing.  May block. */
int log_submit_blocking(struct log *log);
/* The unit is durable: moves what the log knows to be, and starts what had to wait for it. */
void log_submit_completed(struct log_unit *unit);

#endif
