/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.h -- connected byte streams: TCP, plain or under TLS, and the listeners that accept them.
 *
 * Receiving copies nothing: bytes land in a buf, the owner looks at them in place, takes a
 * reference on the buf for what it keeps, and consumes them.  Sending takes slices by reference,
 * and ranges of files (sendfile on plain streams); all that was queued in a turn leaves at its end
 * in as few calls as possible.
 *
 * Life of a stream: CONNECTING -> (HANDSHAKING ->) OPEN -> CLOSED.  on_open comes once, on_close
 * comes exactly once for every stream and is the last call; after it the stream is gone.  No
 * handler runs inside io_stream_connect(), io_stream_send() or io_stream_close(): they come from
 * the loop.
 *
 * Locality: the loop's own thread.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "base/buf.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io_file;
struct io_tls; /* io/tls.h */
struct io_stream;
struct io_listener;

/* An IPv4 or IPv6 address with port.  IPv4-mapped IPv6 is stored as IPv4. */
struct io_address {
    uint8_t family; /* 4 or 6 */
    uint16_t port;
    uint8_t bytes[16]; /* IPv4 uses the first four */
};

#define IO_ADDRESS_TEXT_SIZE 64

/* "127.0.0.1:9092", "[::1]:9092".  text: IO_ADDRESS_TEXT_SIZE bytes; returns text. */
char *io_address_format(const struct io_address *address, char *text);
/* A literal address without port; false otherwise. */
bool io_address_parse(struct io_address *address, const char *host, uint16_t port);
bool io_address_is_loopback(const struct io_address *address);

struct io_stream_handler {
    void (*on_open)(struct io_stream *stream);
    /* New bytes stand in io_stream_input(). */
    void (*on_data)(struct io_stream *stream);
    /* The send queue fell below its low-water mark after having been above the high one; may be
     * NULL. */
    void (*on_drained)(struct io_stream *stream);
    /* reason: "" for an orderly end by the peer or by us, else what went wrong; borrowed. */
    void (*on_close)(struct io_stream *stream, const char *reason);
};

struct io_listener_options {
    struct io_address address;
    struct io_tls *tls;    /* NULL: plain; outlives the listener */
    bool share_port;       /* SO_REUSEPORT: one listener per shard on the same port */
    uint32_t handshake_ms; /* a TLS handshake takes no longer */
    /* Says at accept, before one byte is read or any TLS work is done, whether the peer may come
     * in; a refused one is closed at once.  NULL admits everyone. */
    bool (*admit)(struct io_listener *listener, const struct io_address *peer);
    /* A stream that is OPEN; sets its owner and handler by io_stream_adopt() or closes it. */
    void (*on_accept)(struct io_listener *listener, struct io_stream *stream);
    /* A stream that failed between accept and OPEN (the TLS handshake); may be NULL. */
    void (*on_refused)(struct io_listener *listener, const struct io_address *peer,
                       const char *reason);
    void *owner;
};

/* NULL on failure, with a message that names address and cause in error. */
struct io_listener *io_listener_open(struct io_loop *loop,
                                     const struct io_listener_options *options, char *error,
                                     size_t error_size);
void io_listener_close(struct io_listener *listener);
void *io_listener_owner(const struct io_listener *listener);
/* From inside admit: with the connection that asks, the process has a quarter of the descriptors it
 * may open left, or less.  Those are for files and for whom else the caller lets in. */
bool io_listener_is_scarce(const struct io_listener *listener);
/* The address really bound (port 0 resolved). */
struct io_address io_listener_address(const struct io_listener *listener);

struct io_connect_options {
    const char *host; /* name or literal; resolved off the loop; borrowed for the call */
    uint16_t port;
    struct io_tls *tls;  /* NULL: plain */
    uint32_t connect_ms; /* connection and handshake together take no longer */
};

/* Never fails at once: failure comes as on_close. */
struct io_stream *io_stream_connect(struct io_loop *loop, const struct io_connect_options *options,
                                    const struct io_stream_handler *handler, void *owner);

void io_stream_adopt(struct io_stream *stream, const struct io_stream_handler *handler,
                     void *owner);
void *io_stream_owner(const struct io_stream *stream);
struct io_loop *io_stream_loop(const struct io_stream *stream);
const struct io_address *io_stream_peer_address(const struct io_stream *stream);

/* The peer certificate's URI subject alternative names, verified against our CA; count 0 on a plain
 * stream.  Borrowed until the stream closes. */
size_t io_stream_peer_uri_count(const struct io_stream *stream);
const char *io_stream_peer_uri(const struct io_stream *stream, size_t position);

/* The unconsumed bytes; they stay where they are until consumed.  buf (may be NULL) receives the
 * buf they stand in, borrowed: keep it with buf_reference(). */
const uint8_t *io_stream_input(struct io_stream *stream, size_t *length, struct buf **buf);
void io_stream_consume(struct io_stream *stream, size_t length);
/* More than what stands there is needed before on_data is of use: length is the whole, counted from
 * the first unconsumed byte.  The next buf is sized for it.  The caller has bounded length. */
void io_stream_expect(struct io_stream *stream, size_t length);
/* Back-pressure: no reading, so TCP slows the peer down. */
void io_stream_pause(struct io_stream *stream);
void io_stream_resume(struct io_stream *stream);

/* Queues bytes; takes its own reference on slice.buf.  A slice without buf must outlive the stream.
 */
void io_stream_send(struct io_stream *stream, struct buf_slice slice);
/* Queues a file range; takes its own reference on the file. */
void io_stream_send_file(struct io_stream *stream, struct io_file *file, uint64_t position,
                         size_t length);
/* Bytes queued and not yet taken by the kernel. */
size_t io_stream_queued_bytes(const struct io_stream *stream);

/* Closes at the end of the turn; what is queued is dropped.  on_close follows. */
void io_stream_close(struct io_stream *stream);
/* Closes when everything queued has been sent; what the peer still sends then is thrown away for at
 * most a second, so that it can read our last bytes. */
void io_stream_close_after_sending(struct io_stream *stream);

#endif
