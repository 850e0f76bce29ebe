/* SPDX-License-Identifier: Apache-2.0
 *
 * stream_internal.h -- what the files of this room share about a stream.  Not for other rooms.
 *
 * stream.c holds the life of a stream, stream_receive.c and stream_send.c its two directions,
 * connect.c and listener.c its two beginnings.
 */
#ifndef IO_STREAM_INTERNAL_H
#define IO_STREAM_INTERNAL_H

#include "io/loop_internal.h"
#include "io/stream.h"
#include "io/tls_session.h"

#define IO_RECEIVE_MIN_BYTES 16384
#define IO_RECEIVE_MAX_BYTES 262144
#define IO_REASON_SIZE 160

enum io_stream_state {
    IO_STREAM_RESOLVING,
    IO_STREAM_CONNECTING,
    IO_STREAM_HANDSHAKING,
    IO_STREAM_OPEN,
    IO_STREAM_LINGERING, /* everything is sent; what the peer still sends is thrown away */
    IO_STREAM_CLOSED,
};

/* One thing to send: bytes, or a range of a file. */
struct io_send_item {
    struct io_file *file; /* NULL: bytes */
    struct buf *buf;      /* may be NULL for bytes of static life */
    const uint8_t *data;
    uint64_t position; /* in the file */
    size_t length_bytes;
};

struct io_send_queue {
    struct io_send_item *items; /* a ring; capacity 0 or a power of two */
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
    size_t bytes; /* Invariant: the sum of the items' lengths */
};

struct io_dial;

struct io_stream {
    struct io_loop *loop;
    struct list_node node;      /* loop->streams */
    struct list_node due_node;  /* loop->streams_due */
    struct list_node send_node; /* loop->streams_to_send */
    struct io_watch watch;
    struct io_timer deadline; /* of connecting, of the handshake, of lingering */

    const struct io_stream_handler *handler; /* NULL before an accepted stream is adopted */
    void *owner;
    struct io_listener *listener; /* of an accepted stream before it is OPEN */
    struct io_dial *dial;         /* of a dialled stream before it is connected */
    struct io_tls *tls;
    struct io_tls_session *session; /* NULL: plain */
    struct io_address peer;
    enum io_stream_state state;

    bool is_closing;               /* no handler but on_close any more */
    bool is_closing_after_sending; /* nothing more is queued */
    bool is_paused;
    bool is_input_due;    /* on_data is to be called, or TLS to be asked, without an event */
    bool is_send_blocked; /* the socket is full: wait until it is writable */
    bool is_above_high_water;
    bool is_drained_due;

    struct buf *receive;   /* NULL while nothing stands there */
    size_t receive_begin;  /* first unconsumed byte */
    size_t receive_size;   /* of the next receive buffer */
    size_t expected_bytes; /* on_data is of no use before so many bytes stand there; 0: any */

    struct io_send_queue queue;
    char reason[IO_REASON_SIZE];
};

/* A stream in the given state, in the loop's list, without socket and handler. */
struct io_stream *io_stream_new(struct io_loop *loop, enum io_stream_state state);
/* Checks the move against the table of states. */
void io_stream_move(struct io_stream *stream, enum io_stream_state state);
/* Takes the connected socket over: watch, TLS handshake or OPEN. */
void io_stream_connected(struct io_stream *stream, int fd);
/* Ends the stream at the end of the turn; the first reason stays. */
void io_stream_fail(struct io_stream *stream, const char *reason);
void io_stream_fail_errno(struct io_stream *stream, int error);
/* Waits for what the state wants: readable, writable. */
void io_stream_update_watch(struct io_stream *stream);
void io_stream_set_due(struct io_stream *stream);
void io_stream_set_to_send(struct io_stream *stream);
void io_socket_set_options(int fd);
const char *io_error_text(int error, char *text, size_t size);

/* stream_receive.c */
void io_stream_receive(struct io_stream *stream);
void io_stream_deliver_input(struct io_stream *stream);
void io_stream_discard_input(struct io_stream *stream);
void io_stream_release_input(struct io_stream *stream);

/* stream_send.c */
void io_stream_send_queued(struct io_stream *stream);
void io_send_queue_clear(struct io_send_queue *queue);

/* connect.c: the socket became writable, or failed. */
void io_dial_ready(struct io_stream *stream);
/* The stream ends before it is connected. */
void io_dial_abandon(struct io_stream *stream);
const char *io_dial_host(const struct io_dial *dial);

/* listener.c */
void io_listener_offer(struct io_listener *listener, struct io_stream *stream);
void io_listener_report_refused(struct io_listener *listener, const struct io_address *peer,
                                const char *reason);

#endif
