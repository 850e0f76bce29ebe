/* SPDX-License-Identifier: Apache-2.0
 *
 * connection_internal.h -- what the files of a connection share.  Not for others, which use
 * connection.h.
 *
 * connection.c holds its life and its deadlines, connection_read.c cuts the requests out of what
 * comes in, connection_answer.c sends the answers in the order of the requests.
 *
 * Locality: the shard that accepted it.
 */
#ifndef BROKER_CONNECTION_INTERNAL_H
#define BROKER_CONNECTION_INTERNAL_H

#include "broker/connection.h"
#include "broker/line_limit.h"
#include "broker/request.h"
#include "io/loop.h"
#include "io/stream.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stdint.h>

#define CONNECTION_HELLO_NS 5000000000ull
#define CONNECTION_RECHECK_NS 1000000000ull

struct connection_table {
    struct broker_shard *shard;
    struct list connections;
    struct list resuming; /* blocked ones that may go on, at the end of this turn */
    struct list spare;    /* struct exchange, for the next requests */
    uint32_t spare_count;
    struct io_turn_hook hook;
    struct line_limit bad_input_lines;
};

struct connection {
    struct list_node node;
    struct list_node resuming;
    struct broker_shard *shard;
    struct io_stream *stream;
    struct list exchanges; /* unanswered or unsent, in the order of the requests */
    uint32_t exchange_count;
    size_t unanswered_bytes; /* of the requests among them */
    uint32_t slot;
    bool is_peer;
    bool is_closing;
    bool is_blocked; /* not reading: too much unanswered or unsent */
    bool is_reading; /* inside connection_read_frames() */
    struct connection_peer peer;
    struct io_timer timer;
    uint64_t opened_ns;
    uint64_t active_ns;    /* last time a request came or an answer left */
    uint64_t partial_ns;   /* since when a frame is incomplete; 0: none is */
    uint64_t queued_total; /* bytes ever queued for sending */
    uint64_t sent_seen;    /* of them sent, when last looked */
    uint64_t sent_seen_ns;
    struct buf *heads; /* where answer heads are written, one after another */
};

/* A request and its answer.  connection NULL: it is gone, nobody waits. */
struct exchange {
    struct request request;
    struct connection *connection;
    size_t frame_bytes;
    bool is_answered;
    bool has_answer;
    bool closes;
    struct wire_writer answer;
};

/* ---- connection.c ---- */

/* Looks at the deadlines no later than then. */
void connection_watch(struct connection *connection, uint64_t deadline_ns);
void connection_close_now(struct connection *connection);
/* Ends it for what does not fit the protocol, or for what the guard of the broker listener says. */
void connection_refuse(struct connection *connection, const char *what);
void connection_refuse_unauthorized(struct connection *connection, const char *what);
/* Counts it, and says so in the log. */
void connection_report_bad_input(struct connection *connection, const char *what);

/* ---- connection_read.c ---- */

void connection_read_frames(struct connection *connection);
/* Something left: a connection that stopped reading may go on, at the end of this turn.  Not at
 * once: who finished a request must not find itself inside the handler of the next one. */
void connection_unblock_later(struct connection *connection);
void connection_resume_all(struct io_turn_hook *hook);

/* ---- connection_answer.c ---- */

struct exchange *exchange_new(struct connection_table *table);
void exchange_free(struct connection_table *table, struct exchange *exchange);
/* The finish of every request that came by a connection (request.h). */
void exchange_finish(struct request *request, struct wire_writer *body, bool close_connection);

#endif
