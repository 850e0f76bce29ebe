/* SPDX-License-Identifier: Apache-2.0
 *
 * exchange.h -- requests given to handlers as if they came by a connection, their answers, and
 * record batches to send.
 */
#ifndef TESTS_EXCHANGE_H
#define TESTS_EXCHANGE_H

#include "broker/broker.h"
#include "broker/request.h"
#include "wire/batch.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;

/* One turn of the shard's loop. */
void shard_turn(struct broker_shard *shard);
/* Turns until the exchange is answered; the test fails when that takes seconds. */
void shard_turn_until_answered(struct broker_shard *shard, struct exchange *exchange);

/* A request and its answer. */
struct exchange {
    struct request request;
    struct request_configuration configuration;
    struct wire_writer answer;
    bool is_answered; /* answered or dropped */
    bool is_dropped;
    struct arena arena; /* for decoding the answer */
};

/* Takes over the body's contents and runs the handler. */
void exchange_run(struct exchange *exchange, struct broker_shard *shard, request_handler handler,
                  int16_t version, struct wire_writer *body);
/* A cursor over the answer, whose spliced payload stands in place. */
struct wire_cursor exchange_answer(struct exchange *exchange);
void exchange_free(struct exchange *exchange);

/* What to build a batch from. */
struct batch_spec {
    int32_t record_count; /* default 1 */
    int64_t timestamp_ms; /* of the first record; each later one is step_ms later */
    int64_t step_ms;
    bool is_compressed;  /* gzip */
    int64_t producer_id; /* 0: none */
    int16_t producer_epoch;
    int32_t base_sequence;
    uint32_t value_bytes; /* default 10 */
    bool has_null_key;
    int32_t null_key_every; /* records 0, n, 2n ... have none; 0: as has_null_key says */
};
struct buf *batch_make(const struct batch_spec *spec);
/* Has one batch appended to partition 0 of the topic, which is led here (acks=0). */
void exchange_produce(struct broker_shard *shard, const char *topic_name,
                      const struct batch_spec *spec);

#endif
