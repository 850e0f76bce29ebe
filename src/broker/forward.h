/* SPDX-License-Identifier: Apache-2.0
 *
 * forward.h -- sending a request to the controller leader, wherever it is (here included), and
 * getting its answer.
 *
 * Used by the dispatcher for metadata writes that arrive elsewhere, and by handlers that need one
 * as part of their own work (topic auto-creation, blocks of producer ids).
 *
 * Locality: any shard; done comes on the same.
 */
#ifndef BROKER_FORWARD_H
#define BROKER_FORWARD_H

#include "base/buf.h"
#include "wire/error.h"
#include "wire/writer.h"

#include <stddef.h>
#include <stdint.h>

struct broker_shard;
struct request;

/* Shard 0's part: who waits for a leader, and the connection to it. */
struct forwarder;
struct forwarder *forwarder_new(struct broker_shard *shard);
/* Fails what is under way; the forwarder is freed by itself when its connection is closed. */
void forwarder_stop(struct forwarder *forwarder);
/* The controller leader may have changed. */
void forwarder_wake(struct forwarder *forwarder);

/* Takes over the body's contents.  Waits for a controller leader, and for its answer, until the
 * timeout. done comes once: NONE with the response body (standing in response, borrowed), or
 * NOT_CONTROLLER, REQUEST_TIMED_OUT, NETWORK_EXCEPTION with NULL; with the latter two the request
 * may have been run. */
void forward_to_controller(struct broker_shard *shard, int16_t type, int16_t version,
                           struct wire_writer *body, uint32_t timeout_ms,
                           void (*done)(void *context, enum wire_error error, struct buf *response,
                                        const uint8_t *data, size_t length),
                           void *context);

/* As above for a client's metadata write, with two differences: when no leader can be reached, the
 * request is run here, so that its own handler says so in the request's own form (NOT_CONTROLLER);
 * and the timeout is for reaching one only, as the request has its own for the rest. */
void forward_request(struct broker_shard *shard, const struct request *request,
                     struct wire_writer *body, uint32_t timeout_ms,
                     void (*done)(void *context, enum wire_error error, struct buf *response,
                                  const uint8_t *data, size_t length),
                     void *context);

#endif
