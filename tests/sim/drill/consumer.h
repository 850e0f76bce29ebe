/* SPDX-License-Identifier: Apache-2.0
 *
 * consumer.h -- a consuming client: reads partitions from their beginning, then follows them with
 * long polls, and now and then asks where they end.
 */
#ifndef TESTS_SIM_DRILL_CONSUMER_H
#define TESTS_SIM_DRILL_CONSUMER_H

#include "drill/client.h"

struct consumer_options {
    uint32_t
        restart_mean_ms;  /* now and then a partition is read again from its beginning; 0: never */
    uint32_t ask_mean_ms; /* between questions for a partition's end; 0: none */
    bool is_last;         /* the history is told where its readings begin */
};

struct drill_consumer;

/* client outlives it. */
struct drill_consumer *drill_consumer_new(struct client *client,
                                          const struct consumer_options *options);
void drill_consumer_free(struct drill_consumer *consumer);
/* The offset up to which a partition was read since the last beginning; -1: not begun. */
int64_t drill_consumer_position(const struct drill_consumer *consumer, uint32_t topic,
                                uint32_t partition);

#endif
