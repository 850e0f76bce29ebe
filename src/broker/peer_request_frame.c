/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_request_frame.c -- see peer_request_frame.h.
 */
#include "broker/peer_request_frame.h"

#include "base/assert.h"

#define FRAME_BYTES_TYPICAL 256

void peer_request_frame_begin(struct wire_writer *writer, int16_t type, int32_t correlation_id)
{
    wire_writer_init(writer, FRAME_BYTES_TYPICAL);
    wire_write_int32(writer, 0); /* the size, known at the end */
    wire_write_int16(writer, type);
    wire_write_int16(writer, 0); /* version */
    wire_write_int32(writer, correlation_id);
    wire_write_int16(writer, -1); /* client id: null */
}

struct buf *peer_request_frame_take(struct wire_writer *writer)
{
    size_t length = wire_writer_length(writer);
    require(length >= 14 && length - 4 <= INT32_MAX);
    wire_patch_int32(writer, 0, (int32_t)(length - 4));
    return wire_writer_take(writer);
}

void peer_request_frame_send(struct wire_writer *writer, struct io_stream *stream)
{
    struct buf *frame = peer_request_frame_take(writer);
    io_stream_send(stream, (struct buf_slice){frame, frame->data, frame->length_bytes});
    buf_release(frame);
}
