/* SPDX-License-Identifier: Apache-2.0
 *
 * kafka_request.h -- one Kafka request and its answer, for requests that librdkafka has no call
 * for.
 *
 * Locality: main thread; blocks.
 */
#ifndef CLI_KAFKA_REQUEST_H
#define CLI_KAFKA_REQUEST_H

#include "base/arena.h"
#include "base/buf.h"
#include "cli/tool.h"
#include "wire/cursor.h"
#include "wire/writer.h"

struct kafka_answer {
    struct buf *frame;
    struct arena arena;        /* what is decoded stands in it */
    struct wire_cursor cursor; /* at the body */
};

/* Sends the request, whose version must be a flexible one, to the first broker of the options that
 * takes it, and waits for the answer.  Takes over the body's contents.  False after a message in
 * error; else the caller frees the answer. */
bool kafka_request_ask(const struct tool_options *options, int16_t type, int16_t version,
                       struct wire_writer *body, struct kafka_answer *answer, char *error,
                       size_t error_size);
void kafka_answer_free(struct kafka_answer *answer);

#endif
