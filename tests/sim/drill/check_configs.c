/* SPDX-License-Identifier: Apache-2.0
 *
 * check_configs.c -- at rest topics have the configs that were promised.
 *
 *   promised-config    some broker's copy of the metadata has another value than the last change
 *                      that was acknowledged, though nothing could overtake that
 */
#include "drill/check.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "cluster/cluster.h"
#include "drill/drill.h"

#include <string.h>

struct copy {
    struct drill *drill;
    uint32_t host;
    const struct cluster_topic *topic;
};

static void told(void *context, const char *name, const char *value)
{
    const struct copy *copy = context;
    const char *held = topic_config_override(&copy->topic->config, name);
    bool is_kept = value == NULL ? held == NULL : held != NULL && strcmp(held, value) == 0;
    if (!is_kept) {
        sim_world_fail(copy->drill->world,
                       "promised-config: broker %u: %s of %s is %s, and was promised to be %s",
                       copy->host, name, copy->topic->name, held == NULL ? "unset" : held,
                       value == NULL ? "unset" : value);
    }
}

static void check_copy(struct drill *drill, uint32_t host, const struct cluster_metadata *metadata)
{
    for (uint32_t i = 0; i < drill->history.topic_count; i++) {
        const struct history_topic *known = &drill->history.topics[i];
        struct copy copy = {drill, host, NULL};
        if (known->state == HISTORY_TOPIC_LIVE) {
            copy.topic = cluster_topic_find_id(metadata, &known->id);
        }
        if (copy.topic != NULL) {
            drill_curator_promises(drill->curator, i, told, &copy);
        }
    }
}

void check_configs_at_rest(struct drill *drill)
{
    for (uint32_t host = 1; drill->curator != NULL && host <= drill->swarm.brokers; host++) {
        struct broker *broker = sim_host_broker(drill->hosts[host]);
        for (uint32_t i = 0; broker != NULL && i < broker_shard_count(broker); i++) {
            check_copy(drill, host, broker_shard_at(broker, i)->metadata);
        }
    }
}
