/* SPDX-License-Identifier: Apache-2.0
 *
 * kafka_request.c -- see kafka_request.h.
 *
 * A connection for each request; the tool sends few.  A broker that cannot be reached is passed
 * over; once a request is sent its outcome is that broker's to tell, and it is not sent again.
 */
#include "cli/kafka_request.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define CORRELATION_ID 1
#define ANSWER_BYTES_MAX (64u << 20)
#define DECODED_BYTES_MAX (256u << 20)

/* ---- The connection ---- */

static void limit_waiting(int connection, int timeout_ms)
{
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    (void)setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    (void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

/* -1 after a message. */
static int connect_to(const char *host, const char *port, int timeout_ms, char *error,
                      size_t error_size)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int connection = -1;
    int result = getaddrinfo(host, port, &hints, &found);
    if (result != 0) {
        snprintf(error, error_size, "%s:%s: %s", host, port, gai_strerror(result));
        return -1;
    }
    for (const struct addrinfo *at = found; at != NULL && connection < 0; at = at->ai_next) {
        connection = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (connection < 0) {
            snprintf(error, error_size, "%s:%s: %s", host, port, strerror(errno));
            continue;
        }
        limit_waiting(connection, timeout_ms);
        if (connect(connection, at->ai_addr, at->ai_addrlen) != 0) {
            snprintf(error, error_size, "%s:%s: %s", host, port, strerror(errno));
            close(connection);
            connection = -1;
        }
    }
    freeaddrinfo(found);
    return connection;
}

/* To the first broker that can be reached; -1 after a message. */
static int connect_to_any(const struct tool_options *options, char *error, size_t error_size)
{
    char *copy = strdup(options->brokers);
    char *rest = copy;
    int connection = -1;
    snprintf(error, error_size, "no broker is named");
    for (char *address = strtok_r(copy, ",", &rest); address != NULL && connection < 0;
         address = strtok_r(NULL, ",", &rest)) {
        char *colon = strrchr(address, ':');
        if (colon == NULL) {
            snprintf(error, error_size, "%s has no port", address);
            continue;
        }
        *colon = '\0';
        if (address[0] == '[' && colon[-1] == ']') { /* an IPv6 address */
            colon[-1] = '\0';
            address++;
        }
        connection = connect_to(address, colon + 1, options->reach_ms, error, error_size);
    }
    free(copy);
    return connection;
}

static bool send_all(int connection, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(connection, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        data += sent;
        length -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int connection, uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t received = recv(connection, data, length, 0);
        if (received < 0 && errno == EINTR) {
            continue;
        }
        if (received <= 0) {
            errno = received == 0 ? ECONNRESET : errno;
            return false;
        }
        data += received;
        length -= (size_t)received;
    }
    return true;
}

/* ---- The request ---- */

static struct buf *frame_of(int16_t type, int16_t version, struct wire_writer *body)
{
    static const char client_id[] = "flotilla";
    struct wire_writer writer;
    wire_writer_init(&writer, 64 + wire_writer_length(body));
    wire_write_int32(&writer, 0); /* the size, known at the end */
    wire_write_int16(&writer, type);
    wire_write_int16(&writer, version);
    wire_write_int32(&writer, CORRELATION_ID);
    wire_write_int16(&writer, sizeof client_id - 1);
    wire_write_raw(&writer, client_id, sizeof client_id - 1);
    wire_write_int8(&writer, 0); /* no tagged fields */
    wire_write_raw(&writer, body->buf->data, wire_writer_length(body));
    wire_patch_int32(&writer, 0, (int32_t)(wire_writer_length(&writer) - 4));
    wire_writer_free(body);
    return wire_writer_take(&writer);
}

/* NULL with errno when there is none. */
static struct buf *receive_frame(int connection)
{
    uint8_t size[4];
    if (!receive_all(connection, size, sizeof size)) {
        return NULL;
    }
    uint32_t length =
        (uint32_t)size[0] << 24 | (uint32_t)size[1] << 16 | (uint32_t)size[2] << 8 | size[3];
    if (length > ANSWER_BYTES_MAX) {
        errno = EMSGSIZE;
        return NULL;
    }
    struct buf *frame = buf_new(length);
    frame->length_bytes = length;
    if (!receive_all(connection, frame->data, length)) {
        buf_release(frame);
        return NULL;
    }
    return frame;
}

static bool read_head(struct kafka_answer *answer)
{
    arena_init(&answer->arena, DECODED_BYTES_MAX);
    wire_cursor_init(&answer->cursor, answer->frame->data, answer->frame->length_bytes,
                     &answer->arena);
    int32_t correlation_id = wire_read_int32(&answer->cursor);
    uint32_t tagged_fields = wire_read_unsigned_varint(&answer->cursor);
    return answer->cursor.error == NULL && correlation_id == CORRELATION_ID && tagged_fields == 0;
}

bool kafka_request_ask(const struct tool_options *options, int16_t type, int16_t version,
                       struct wire_writer *body, struct kafka_answer *answer, char *error,
                       size_t error_size)
{
    struct buf *request = frame_of(type, version, body);
    int connection = connect_to_any(options, error, error_size);
    bool good = connection >= 0;
    if (good) {
        limit_waiting(connection, options->timeout_ms);
        good = send_all(connection, request->data, request->length_bytes) &&
               (answer->frame = receive_frame(connection)) != NULL;
        if (!good) {
            snprintf(error, error_size, "no answer from the cluster: %s",
                     errno == EAGAIN ? "it took too long" : strerror(errno));
        }
        close(connection);
    }
    buf_release(request);
    if (good && !read_head(answer)) {
        snprintf(error, error_size, "an answer that makes no sense");
        kafka_answer_free(answer);
        return false;
    }
    return good;
}

void kafka_answer_free(struct kafka_answer *answer)
{
    arena_free(&answer->arena);
    buf_release(answer->frame);
}
