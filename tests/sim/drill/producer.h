/* SPDX-License-Identifier: Apache-2.0
 *
 * producer.h -- a producing client: batches of unique values at random moments to random partitions
 * of the topics that live.
 *
 * An idempotent one behaves as Kafka's own: a batch is sent until it is told yes or a final no;
 * after an error it waits until nothing is in flight to that partition and sends everything again
 * in order.  A plain one sends each batch once.  What it is told goes into the history.
 */
#ifndef TESTS_SIM_DRILL_PRODUCER_H
#define TESTS_SIM_DRILL_PRODUCER_H

#include "drill/client.h"

struct producer_options {
    bool is_idempotent;
    int8_t acks; /* idempotent: -1 */
    uint32_t mean_ms;
    uint32_t burst_ms; /* load for so long, then */
    uint32_t lull_ms;  /* none, all producers at once, so that groups come to rest; 0: no lulls */
    uint32_t records_most;
    uint32_t record_bytes_most;
    uint32_t window;     /* batches in flight to one partition */
    uint32_t timeout_ms; /* of a request, here and at the broker */
};

struct drill_producer;

/* client outlives it. */
struct drill_producer *drill_producer_new(struct client *client,
                                          const struct producer_options *options);
void drill_producer_free(struct drill_producer *producer);
/* No new values; an idempotent one still repeats what it owes. */
void drill_producer_quiet(struct drill_producer *producer);
/* It has what it needs to send: an idempotent one its id. */
bool drill_producer_is_ready(const struct drill_producer *producer);
/* One value to a partition at once, whatever the load. */
void drill_producer_send_one(struct drill_producer *producer, uint32_t topic, uint32_t partition);
/* Nothing is in flight or owed to topics that live. */
bool drill_producer_is_done(const struct drill_producer *producer);

#endif
