/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch_answer.h -- what a Fetch is answered, from the partitions that were read.
 *
 * A full fetch is told of all its partitions, and its client gets a session if there is room; a
 * fetch of a session is told of those that have news.
 *
 * Locality: the shard of the request.
 */
#ifndef BROKER_FETCH_ANSWER_H
#define BROKER_FETCH_ANSWER_H

#include "base/uuid.h"
#include "broker/fetch_session.h"
#include "broker/partition_ask.h"
#include "broker/request.h"
#include "wire/cursor.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stdint.h>

/* One partition of a fetch. */
struct fetch_row {
    struct fetch_item item;
    struct wire_string topic; /* by name, or */
    struct uuid topic_id;     /* by id; both borrowed from the request or its session */
    uint32_t topic_number;    /* the same for neighbours of one topic */
    int32_t partition;
    struct fetch_session_partition *kept; /* of a session, only while that is at the same epoch */
    bool is_told;                         /* stands in the answer */
};

enum fetch_kind {
    FETCH_FULL,           /* knows no sessions, or ends one */
    FETCH_BEGINS_SESSION, /* full as well */
    FETCH_WITHIN_SESSION, /* only news */
};

struct fetch_answer {
    struct request *request;
    enum fetch_kind kind;
    int32_t session_id;    /* WITHIN_SESSION */
    int32_t session_epoch; /* that the request named */
    struct fetch_row *rows;
    uint32_t row_count;
    uint64_t bytes_max;
    bool is_read_committed;
};

/* Answers; what the rows hold of the log goes with the answer or is let go. */
void fetch_answer(struct fetch_answer *answer);
/* The whole request is refused. */
void fetch_answer_error(struct request *request, enum wire_error error);

#endif
