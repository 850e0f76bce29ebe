/* SPDX-License-Identifier: Apache-2.0
 *
 * echo.h -- two ends of one connection on one loop, for the tests of streams.
 *
 * The serving end sends back what it receives.  The dialling end counts and checks what comes back
 * against what it sent, and stops the loop when the test's condition holds.
 */
#ifndef TEST_ECHO_H
#define TEST_ECHO_H

#include "io/loop.h"
#include "io/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct echo {
    struct io_loop *loop;
    struct io_listener *listener;
    struct io_stream *server; /* the accepted stream while it lives */
    struct io_stream *client; /* the dialled one while it lives */
    int accepted;
    int opened;
    int refused;
    int drained;
    int server_closed;
    int client_closed;
    char refused_reason[200];
    char server_reason[200];
    char client_reason[200];
    char server_uri[200]; /* the client's first name as the server sees it */
    size_t server_received;
    size_t client_received;
    size_t stop_after;      /* the client stops the loop when it has received so much */
    bool server_is_silent;  /* consumes without answering */
    bool server_ignores;    /* pauses at once and reads nothing */
    bool is_mismatched;     /* something came back that was not sent */
    bool stops_when_opened; /* the loop stops when the client is open */
    uint32_t patience_ms;   /* for connecting and shaking hands, at either end */
    size_t expect;          /* passed to io_stream_expect() by the client while less stands there */
    const struct io_stream_handler *server_handler;
};

/* The byte at a place of the endless test pattern. */
uint8_t echo_pattern(size_t position);

void echo_listen(struct echo *echo, struct io_tls *tls);
const struct io_stream_handler *echo_client_handler(void);
void echo_connect(struct echo *echo, struct io_tls *tls);
/* Runs the loop until stop, at most so long; false when the time was up. */
bool echo_run(struct echo *echo, uint32_t limit_ms);
/* Sends the pattern from position in slices. */
void echo_send_pattern(struct io_stream *stream, size_t position, size_t length);
void echo_begin(struct echo *echo);
void echo_end(struct echo *echo);

#endif
