/* SPDX-License-Identifier: Apache-2.0
 *
 * broker_fixture.h -- one shard with metadata and led partitions, requests given to handlers as if
 * they came by a connection, and record batches to send.
 */
#ifndef TESTS_BROKER_FIXTURE_H
#define TESTS_BROKER_FIXTURE_H

#include "broker/broker.h"
#include "broker/partition.h"
#include "exchange.h"

#include <stdint.h>

#define FIXTURE_TERM 7
#define FIXTURE_FETCH_SESSIONS 2

struct fixture {
    struct broker_config config;
    struct broker_shard shard;
    struct shards *shards;
};

/* A shard of broker 1 with the brokers 1 to 3 in its metadata. */
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
void fixture_set_rack(struct fixture *fixture, uint32_t broker_id, const char *rack);
/* Adds a topic whose partitions are hosted here and led in FIXTURE_TERM.  config: name, value, ...,
 * NULL; may be NULL. */
const struct cluster_topic *fixture_add_topic(struct fixture *fixture, const char *name,
                                              int32_t partitions, const char *const *config);
/* Starts the partition here and leads it. */
void fixture_host(struct fixture *fixture, const struct partition_spec *spec);
struct replica_group *fixture_group(struct fixture *fixture, const char *topic, uint32_t partition);

#endif
