/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_request_frame.h -- a request between brokers as it goes out: size, classic request header
 * (version 0 of every type, no client id), body.
 *
 * Locality: any.
 */
#ifndef BROKER_PEER_REQUEST_FRAME_H
#define BROKER_PEER_REQUEST_FRAME_H

#include "io/stream.h"
#include "wire/writer.h"

#include <stdint.h>

/* Starts a writer with the header; the body is written behind it. */
void peer_request_frame_begin(struct wire_writer *writer, int16_t type, int32_t correlation_id);
/* Completes the size; the whole frame, its reference the caller's. */
struct buf *peer_request_frame_take(struct wire_writer *writer);
/* Both, and queues the frame. */
void peer_request_frame_send(struct wire_writer *writer, struct io_stream *stream);

#endif
