/* SPDX-License-Identifier: Apache-2.0
 *
 * kafka_config_table.h -- broker configs of Kafka that nothing here follows from: their names and
 * Kafka's defaults, for tools that look for them, and why they say nothing.
 *
 * Not here: configs that Flotilla honours (config_table.h, cluster/topic_config.h).
 *
 * Locality: plain data.
 */
#ifndef BROKER_KAFKA_CONFIG_TABLE_H
#define BROKER_KAFKA_CONFIG_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* The protocol's numbers. */
enum kafka_config_type {
    KAFKA_CONFIG_BOOLEAN = 1,
    KAFKA_CONFIG_STRING = 2,
    KAFKA_CONFIG_INT = 3,
    KAFKA_CONFIG_SHORT = 4,
    KAFKA_CONFIG_LONG = 5,
    KAFKA_CONFIG_DOUBLE = 6,
    KAFKA_CONFIG_LIST = 7,
    KAFKA_CONFIG_CLASS = 8,
    KAFKA_CONFIG_PASSWORD = 9,
};

/* Why nothing follows from a config. */
enum kafka_config_reason {
    KAFKA_CONFIG_THREADS,
    KAFKA_CONFIG_REPLICATION,
    KAFKA_CONFIG_CONTROLLER,
    KAFKA_CONFIG_FLUSH,
    KAFKA_CONFIG_SOCKETS,
    KAFKA_CONFIG_CLEANER,
    KAFKA_CONFIG_GROUPS,
    KAFKA_CONFIG_TRANSACTIONS,
    KAFKA_CONFIG_QUOTAS,
    KAFKA_CONFIG_METRICS,
    KAFKA_CONFIG_SECURITY,
    KAFKA_CONFIG_PLUGINS,
    KAFKA_CONFIG_TIERED,
    KAFKA_CONFIG_UNITS,
    KAFKA_CONFIG_FIXED,
    KAFKA_CONFIG_ALIAS,
};

struct kafka_config_row {
    const char *name;
    enum kafka_config_type type;
    const char *default_text; /* NULL: null */
    enum kafka_config_reason reason;
    const char *key; /* ALIAS: the key of config_table.h whose value it has; else "" */
};

size_t kafka_config_row_count(void);
/* Ascending by name; NULL beyond the end. */
const struct kafka_config_row *kafka_config_row(size_t position);
/* NULL: no such row. */
const struct kafka_config_row *kafka_config_find(const char *name, size_t length);
/* The sentence that says why. */
const char *kafka_config_text(const struct kafka_config_row *row);

#endif
