/* SPDX-License-Identifier: Apache-2.0
 *
 * dynamic_config.c -- see dynamic_config.h.
 *
 * Locality: plain data.
 */
#include "cluster/dynamic_config.h"

#include <string.h>

static const struct topic_config_row rows[] = {
    {"leader.replication.throttled.rate", "leader.replication.throttled.rate", TOPIC_CONFIG_LONG,
     "104857600", 0, INT64_MAX, "", true,
     "What a broker sends at most to replicas that are being filled, in bytes a second; 0: no "
     "bound."},
    {"max.connections", "max.connections", TOPIC_CONFIG_INT, "10000", 10, 1000000, "", true,
     "Client connections a broker holds at once."},
    {"max.connections.per.ip", "max.connections.per.ip", TOPIC_CONFIG_INT, "1000", 1, 1000000, "",
     true, "And from one address."},
};

size_t dynamic_config_broker_row_count(void)
{
    return sizeof rows / sizeof rows[0];
}

const struct topic_config_row *dynamic_config_broker_row(size_t position)
{
    return position < dynamic_config_broker_row_count() ? &rows[position] : NULL;
}

static bool is_named(const struct topic_config_row *row, const char *name, size_t length)
{
    return strlen(row->broker_name) == length && memcmp(row->broker_name, name, length) == 0;
}

const struct topic_config_row *dynamic_config_find(const char *name, size_t length)
{
    if (length == 0) {
        return NULL; /* which some rows have for a broker_name */
    }
    for (size_t i = 0; i < dynamic_config_broker_row_count(); i++) {
        if (is_named(&rows[i], name, length)) {
            return &rows[i];
        }
    }
    for (size_t i = 0; i < topic_config_row_count(); i++) {
        const struct topic_config_row *row = topic_config_row(i);
        if (row->honoured && is_named(row, name, length)) {
            return row;
        }
    }
    return NULL;
}
