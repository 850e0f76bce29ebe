/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_request.h -- asking another broker something: requests go out over a connection of their
 * own, as many as there are without waiting for answers, and each gets its answer or an error.
 *
 * Every connection has a deadline by which everything asked over it is answered or failed.
 *
 * Locality: shard 0.
 */
#ifndef BROKER_PEER_REQUEST_H
#define BROKER_PEER_REQUEST_H

#include "wire/cursor.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct peer_client;

/* cursor stands on the answer's body, without arena; NULL: it failed, and reason says why
 * (borrowed). was_sent: the broker may have seen the request. */
typedef void (*peer_answer)(void *context, struct wire_cursor *cursor, bool was_sent,
                            const char *reason);

struct peer_client_options {
    uint32_t broker_id;
    const char *host; /* borrowed for the call */
    uint16_t port;
    uint64_t deadline_ns; /* everything fails then; 0: every request has ask_ms */
    uint32_t ask_ms;
    void (*on_connected)(void *context); /* may be NULL */
    void (*on_closed)(
        void *context); /* the last call, after every request's answer; the client is gone then */
    void *context;
};

/* Never fails at once. */
struct peer_client *peer_client_open(struct broker_shard *shard,
                                     const struct peer_client_options *options);
/* Takes over the writer, begun by peer_client_begin(). */
void peer_client_begin(struct wire_writer *writer, int16_t type);
void peer_client_ask(struct peer_client *client, struct wire_writer *request, peer_answer answer,
                     void *context);
/* Fails what is unanswered; on_closed follows. */
void peer_client_close(struct peer_client *client);
/* Closes once everything asked so far is answered. */
void peer_client_close_when_idle(struct peer_client *client);
/* Closes when it has not come to be connected: what was asked comes back as not sent.  False: it is
 * connected. */
bool peer_client_close_unconnected(struct peer_client *client);
/* What is unanswered then fails, and the connection closes. */
void peer_client_close_by(struct peer_client *client, uint64_t deadline_ns);
/* Unanswered requests. */
uint32_t peer_client_pending(const struct peer_client *client);

#endif
