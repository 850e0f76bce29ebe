/* SPDX-License-Identifier: Apache-2.0
 *
 * effective_config.c -- see effective_config.h.
 *
 * Locality: the owner of the shard.
 */
#include "broker/effective_config.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "cluster/dynamic_config.h"

#include <stdlib.h>
#include <string.h>

/* One of the places where values are set. */
struct layer {
    const struct topic_config *config; /* NULL: nothing is set there */
    enum config_source source;
};

#define LAYERS (CONFIG_VALUES_MAX - 1)

static void find_layers(const struct broker_shard *shard, const struct topic_config *topic,
                        struct layer layers[LAYERS])
{
    layers[0] = (struct layer){topic, CONFIG_SOURCE_TOPIC};
    layers[1] = (struct layer){cluster_broker_config(shard->metadata, shard->broker_id),
                               CONFIG_SOURCE_DYNAMIC_BROKER};
    layers[2] =
        (struct layer){cluster_broker_config(shard->metadata, 0), CONFIG_SOURCE_DYNAMIC_DEFAULT};
    layers[3] = (struct layer){&shard->config->topic_defaults, CONFIG_SOURCE_STATIC_BROKER};
}

size_t effective_config_values(const struct broker_shard *shard, const struct topic_config *topic,
                               const struct topic_config_row *row,
                               struct config_value values[CONFIG_VALUES_MAX])
{
    struct layer layers[LAYERS];
    size_t count = 0;
    find_layers(shard, topic, layers);
    for (size_t i = 0; i < LAYERS; i++) {
        const char *text =
            layers[i].config != NULL ? topic_config_override_of(layers[i].config, row) : NULL;
        if (text != NULL) {
            values[count++] = (struct config_value){text, layers[i].source};
        }
    }
    values[count++] = (struct config_value){row->default_text, CONFIG_SOURCE_DEFAULT};
    return count;
}

const char *effective_config_text(const struct broker_shard *shard,
                                  const struct topic_config *topic, const char *name)
{
    struct config_value values[CONFIG_VALUES_MAX];
    const struct topic_config_row *row = topic_config_find(name, strlen(name));
    require(row != NULL);
    (void)effective_config_values(shard, topic, row, values);
    return values[0].text;
}

void effective_config_merge(const struct broker_shard *shard, const struct topic_config *topic,
                            struct topic_config *merged)
{
    struct layer layers[LAYERS];
    find_layers(shard, topic, layers);
    *merged = (struct topic_config){0};
    for (size_t i = LAYERS; i-- > 0;) {
        if (layers[i].config != NULL) {
            topic_config_add(merged, layers[i].config);
        }
    }
}

/* ---- Limits ---- */

/* What was set while the broker runs, or what it was started with. */
static uint64_t limit(const struct broker_shard *shard, const char *name, uint64_t started_with)
{
    struct config_value values[CONFIG_VALUES_MAX];
    const struct topic_config_row *row = dynamic_config_find(name, strlen(name));
    require(row != NULL);
    size_t count = effective_config_values(shard, NULL, row, values);
    return count > 1 ? strtoull(values[0].text, NULL, 10) : started_with;
}

struct broker_limits effective_broker_limits(const struct broker_shard *shard)
{
    const struct broker_config *config = shard->config;
    return (struct broker_limits){
        .connections_max = (uint32_t)limit(shard, "max.connections", config->connections_max),
        .connections_per_address_max =
            (uint32_t)limit(shard, "max.connections.per.ip", config->connections_per_address_max),
        .catch_up_bytes_per_second =
            limit(shard, "leader.replication.throttled.rate", config->catch_up_bytes_per_second),
    };
}
