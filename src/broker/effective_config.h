/* SPDX-License-Identifier: Apache-2.0
 *
 * effective_config.h -- which value of a config is in force on this broker, and who set it.
 *
 * What is set wins in this order: for the topic; for this broker while it runs; for all brokers
 * while they run; in the config file; nowhere, which leaves the table's default.
 *
 * Locality: the owner of the shard, whose copy of the metadata is read.
 */
#ifndef BROKER_EFFECTIVE_CONFIG_H
#define BROKER_EFFECTIVE_CONFIG_H

#include "cluster/topic_config.h"

#include <stddef.h>

struct broker_shard;

/* The protocol's numbers. */
enum config_source {
    CONFIG_SOURCE_TOPIC = 1,
    CONFIG_SOURCE_DYNAMIC_BROKER = 2,
    CONFIG_SOURCE_DYNAMIC_DEFAULT = 3,
    CONFIG_SOURCE_STATIC_BROKER = 4,
    CONFIG_SOURCE_DEFAULT = 5,
};

struct config_value {
    const char *text; /* borrowed until the next change of the metadata */
    enum config_source source;
};

#define CONFIG_VALUES_MAX 5 /* one of each source */

/* All that is set for a config, the value in force first, the default last; returns how many, which
 * is at least 1.  topic: the topic's overrides; NULL: what topics without any have. */
size_t effective_config_values(const struct broker_shard *shard, const struct topic_config *topic,
                               const struct topic_config_row *row,
                               struct config_value values[CONFIG_VALUES_MAX]);
/* The first of them, by a name of the topic table. */
const char *effective_config_text(const struct broker_shard *shard,
                                  const struct topic_config *topic, const char *name);
/* Everything that is set, as if all of it were set for the topic; the caller clears merged. */
void effective_config_merge(const struct broker_shard *shard, const struct topic_config *topic,
                            struct topic_config *merged);

/* What of this broker's own limits can be changed while it runs (dynamic_config.h), worked out
 * anew after a change. */
struct broker_limits {
    uint32_t connections_max;
    uint32_t connections_per_address_max;
    uint64_t catch_up_bytes_per_second;
};
struct broker_limits effective_broker_limits(const struct broker_shard *shard);

#endif
