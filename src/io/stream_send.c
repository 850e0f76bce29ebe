/* SPDX-License-Identifier: Apache-2.0
 *
 * stream_send.c -- what is queued, sent in as few calls as possible.
 *
 * Plain: neighbouring bytes leave gathered in one call, file ranges by sendfile.  TLS: large slices
 * are encrypted where they stand, small ones and file ranges collected in the loop's scratch first,
 * so that many small slices make few records; the records leave together.
 *
 * Locality: the loop's own thread.
 */
#define _GNU_SOURCE
#include "base/assert.h"
#include "base/memory.h"
#include "io/file_internal.h"
#include "io/stream_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#define SEND_TURN_BYTES (1024 * 1024) /* what one stream may take out in a turn */
#define SEND_HIGH_WATER_BYTES 262144
#define SEND_LOW_WATER_BYTES 65536
#define ENCRYPT_BYTES 262144 /* encrypted before the socket is asked to take it */
#define LARGE_BYTES 8192     /* a slice from which copying costs more than a record of its own */
#define SEND_QUEUE_CAPACITY_MIN 8
#define SEND_QUEUE_CAPACITY_IDLE_MAX 64 /* a longer ring is given back when it is empty */

enum send_result { SEND_SOME, SEND_BLOCKED, SEND_STOPPED };

static struct io_send_item *queue_at(const struct io_send_queue *queue, uint32_t position)
{
    return &queue->items[(queue->first + position) & (queue->capacity - 1)];
}

static void queue_grow(struct io_send_queue *queue)
{
    uint32_t capacity = queue->capacity > 0 ? queue->capacity * 2 : SEND_QUEUE_CAPACITY_MIN;
    struct io_send_item *items = memory_allocate(capacity * sizeof *items);
    for (uint32_t i = 0; i < queue->count; i++) {
        items[i] = *queue_at(queue, i);
    }
    memory_free(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->first = 0;
}

static void queue_append(struct io_send_queue *queue, const struct io_send_item *item)
{
    if (queue->count == queue->capacity) {
        queue_grow(queue);
    }
    queue->count++;
    *queue_at(queue, queue->count - 1) = *item;
    queue->bytes += item->length_bytes;
}

/* Worth encrypting where it stands. */
static bool item_is_large(const struct io_send_item *item)
{
    return item->file == NULL && item->length_bytes >= LARGE_BYTES;
}

static void item_release(const struct io_send_item *item)
{
    io_file_release(item->file);
    buf_release(item->buf);
}

void io_send_queue_clear(struct io_send_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++) {
        item_release(queue_at(queue, i));
    }
    memory_free(queue->items);
    *queue = (struct io_send_queue){0};
}

/* Takes bytes off the front that the kernel has accepted, or that are encrypted. */
static void queue_advance(struct io_send_queue *queue, size_t bytes)
{
    ensure(bytes <= queue->bytes);
    queue->bytes -= bytes;
    while (bytes > 0) {
        struct io_send_item *item = queue_at(queue, 0);
        if (bytes < item->length_bytes) {
            item->length_bytes -= bytes;
            item->position += bytes;
            item->data = item->file == NULL ? item->data + bytes : NULL;
            return;
        }
        bytes -= item->length_bytes;
        item_release(item);
        queue->first = (queue->first + 1) & (queue->capacity - 1);
        queue->count--;
    }
    if (queue->count == 0 && queue->capacity > SEND_QUEUE_CAPACITY_IDLE_MAX) {
        io_send_queue_clear(queue);
    }
}

/* Gathers the bytes in front of the first file range; follows says whether a file range follows. */
static size_t queue_gather(const struct io_send_queue *queue, struct iovec *gather, bool *follows)
{
    size_t count = 0;
    *follows = false;
    while (count < queue->count && count < IO_GATHER_MAX) {
        const struct io_send_item *item = queue_at(queue, (uint32_t)count);
        if (item->file != NULL) {
            *follows = true;
            break;
        }
        gather[count].iov_base = (void *)item->data;
        gather[count].iov_len = item->length_bytes;
        count++;
    }
    return count;
}

static enum send_result send_failed(struct io_stream *stream, int error)
{
    if (error == EAGAIN || error == EINTR) {
        return SEND_BLOCKED;
    }
    io_stream_fail_errno(stream, error);
    return SEND_STOPPED;
}

static enum send_result send_bytes(struct io_stream *stream, size_t *sent_bytes)
{
    struct io_loop *loop = stream->loop;
    if (loop->gather == NULL) {
        loop->gather = memory_allocate(IO_GATHER_MAX * sizeof *loop->gather);
    }
    bool file_follows = false;
    size_t count = queue_gather(&stream->queue, loop->gather, &file_follows);
    struct msghdr message = {.msg_iov = loop->gather, .msg_iovlen = count};
    int flags = MSG_NOSIGNAL | (file_follows ? MSG_MORE : 0);
    ssize_t sent = sendmsg(stream->watch.fd, &message, flags);
    if (sent < 0) {
        return send_failed(stream, errno);
    }
    *sent_bytes = (size_t)sent;
    return SEND_SOME;
}

static enum send_result send_file_range(struct io_stream *stream, size_t *sent_bytes)
{
    const struct io_send_item *item = queue_at(&stream->queue, 0);
    off_t position = (off_t)item->position;
    ssize_t sent =
        sendfile(stream->watch.fd, io_file_descriptor(item->file), &position, item->length_bytes);
    if (sent < 0) {
        return send_failed(stream, errno);
    }
    if (sent == 0) {
        io_stream_fail(stream, "a file ended before the range that was to be sent");
        return SEND_STOPPED;
    }
    *sent_bytes = (size_t)sent;
    return SEND_SOME;
}

static enum send_result send_plain(struct io_stream *stream, size_t *sent_bytes)
{
    enum send_result result = queue_at(&stream->queue, 0)->file != NULL
                                  ? send_file_range(stream, sent_bytes)
                                  : send_bytes(stream, sent_bytes);
    queue_advance(&stream->queue, *sent_bytes);
    return result;
}

/* Copies items from the front of the queue into the scratch, as long as they are small or of files.
 * False when a file could not be read. */
static bool queue_collect(struct io_stream *stream, size_t *collected_bytes)
{
    const struct io_send_queue *queue = &stream->queue;
    uint8_t *scratch = stream->loop->scratch;
    size_t at = 0;
    for (uint32_t i = 0; i < queue->count && at < IO_SCRATCH_BYTES; i++) {
        const struct io_send_item *item = queue_at(queue, i);
        size_t length_bytes = item->length_bytes;
        if (item_is_large(item)) {
            break;
        }
        if (length_bytes > IO_SCRATCH_BYTES - at) {
            length_bytes = IO_SCRATCH_BYTES - at;
        }
        if (item->file == NULL) {
            memcpy(scratch + at, item->data, length_bytes);
        } else {
            size_t done_bytes = 0;
            int result =
                io_file_read(item->file, item->position, scratch + at, length_bytes, &done_bytes);
            if (result != 0 || done_bytes < length_bytes) {
                io_stream_fail(stream, "a file range that was to be sent could not be read");
                return false;
            }
        }
        at += length_bytes;
    }
    *collected_bytes = at;
    return true;
}

/* Encrypts something from the front of the queue. */
static enum send_result encrypt(struct io_stream *stream)
{
    struct io_loop *loop = stream->loop;
    const struct io_send_item *first = queue_at(&stream->queue, 0);
    const uint8_t *data = first->data;
    size_t length_bytes = 0;
    if (item_is_large(first)) {
        length_bytes = first->length_bytes < ENCRYPT_BYTES ? first->length_bytes : ENCRYPT_BYTES;
    } else {
        if (loop->scratch == NULL) {
            loop->scratch = memory_allocate(IO_SCRATCH_BYTES);
        }
        data = loop->scratch;
        if (!queue_collect(stream, &length_bytes)) {
            return SEND_STOPPED;
        }
    }
    if (io_tls_session_write(stream->session, data, length_bytes) != IO_TLS_DONE) {
        io_stream_fail(stream, io_tls_session_reason(stream->session));
        return SEND_STOPPED;
    }
    queue_advance(&stream->queue, length_bytes);
    return SEND_SOME;
}

/* What was encrypted before goes first; nothing more is encrypted while some of it is left. */
static enum send_result send_tls(struct io_stream *stream, size_t *sent_bytes)
{
    size_t before_bytes = stream->queue.bytes;
    enum send_result result = SEND_SOME;
    while (result == SEND_SOME && stream->queue.count > 0 &&
           io_tls_session_unsent_bytes(stream->session) < ENCRYPT_BYTES) {
        result = encrypt(stream);
    }
    *sent_bytes = before_bytes - stream->queue.bytes;
    if (result != SEND_SOME) {
        return result;
    }
    switch (io_tls_session_send(stream->session)) {
    case IO_TLS_DONE:
        return SEND_SOME;
    case IO_TLS_WANT_READ:
    case IO_TLS_WANT_WRITE:
        return SEND_BLOCKED;
    case IO_TLS_ENDED:
    case IO_TLS_FAILED:
        io_stream_fail(stream, io_tls_session_reason(stream->session));
        return SEND_STOPPED;
    }
    unreachable_code();
}

static void send_check_drained(struct io_stream *stream)
{
    if (stream->is_above_high_water && io_stream_queued_bytes(stream) <= SEND_LOW_WATER_BYTES) {
        stream->is_above_high_water = false;
        stream->is_drained_due = true;
        io_stream_set_due(stream);
    }
}

void io_stream_send_queued(struct io_stream *stream)
{
    size_t left_bytes = SEND_TURN_BYTES;
    enum send_result result = SEND_SOME;
    if (stream->is_send_blocked) {
        return;
    }
    while (io_stream_queued_bytes(stream) > 0 && left_bytes > 0 && result == SEND_SOME) {
        size_t sent_bytes = 0;
        result = stream->session == NULL ? send_plain(stream, &sent_bytes)
                                         : send_tls(stream, &sent_bytes);
        left_bytes -= sent_bytes < left_bytes ? sent_bytes : left_bytes;
    }
    stream->is_send_blocked = io_stream_queued_bytes(stream) > 0;
    io_stream_update_watch(stream);
    send_check_drained(stream);
}

static bool stream_takes_more(const struct io_stream *stream)
{
    return !stream->is_closing && !stream->is_closing_after_sending &&
           stream->state <= IO_STREAM_OPEN;
}

static void stream_queue_item(struct io_stream *stream, const struct io_send_item *item)
{
    queue_append(&stream->queue, item);
    if (stream->queue.bytes > SEND_HIGH_WATER_BYTES) {
        stream->is_above_high_water = true;
    }
    io_stream_set_to_send(stream);
}

void io_stream_send(struct io_stream *stream, struct buf_slice slice)
{
    if (slice.length_bytes == 0 || !stream_takes_more(stream)) {
        return;
    }
    struct io_send_item item = {
        .buf = buf_reference(slice.buf), .data = slice.data, .length_bytes = slice.length_bytes};
    stream_queue_item(stream, &item);
}

void io_stream_send_file(struct io_stream *stream, struct io_file *file, uint64_t position,
                         size_t length)
{
    if (length == 0 || !stream_takes_more(stream)) {
        return;
    }
    struct io_send_item item = {
        .file = io_file_reference(file), .position = position, .length_bytes = length};
    stream_queue_item(stream, &item);
}

size_t io_stream_queued_bytes(const struct io_stream *stream)
{
    return stream->queue.bytes +
           (stream->session != NULL ? io_tls_session_unsent_bytes(stream->session) : 0);
}
