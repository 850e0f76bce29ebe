/* SPDX-License-Identifier: Apache-2.0
 *
 * nested_request.h -- a request that did not come by a connection of its own: unpacked from a
 * Forward, or addressed by this broker to itself.  The handler runs as for any other.
 *
 * Locality: shard 0.
 */
#ifndef BROKER_NESTED_REQUEST_H
#define BROKER_NESTED_REQUEST_H

#include "broker/request.h"

struct nested_request {
    const struct request_configuration *configuration;
    int16_t version;
    struct wire_string client_id; /* points into frame, or null */
    struct buf *frame;            /* a reference is taken */
    const uint8_t *body;          /* stands in frame */
    size_t body_length;
    uint32_t peer_broker_id; /* 0: on behalf of a client */
    /* Called once, perhaps before nested_request_run() returns.  body NULL: there is no answer,
     * reason says why; else borrowed for the call. */
    void (*done)(void *context, struct wire_writer *body, const char *reason);
    void *context;
};

void nested_request_run(struct broker_shard *shard, const struct nested_request *nested);

#endif
