/* SPDX-License-Identifier: Apache-2.0
 *
 * dynamic_config.h -- which broker configs can be changed while brokers run: what topics that do
 * not set a config have, as far as Flotilla honours it, and a few of brokers alone.
 *
 * The values are kept by struct topic_config, as those of topics are: one set for all brokers and
 * one for each.
 *
 * Locality: plain data.
 */
#ifndef CLUSTER_DYNAMIC_CONFIG_H
#define CLUSTER_DYNAMIC_CONFIG_H

#include "cluster/topic_config.h"

/* Those of brokers alone; their name and broker_name are the same. */
size_t dynamic_config_broker_row_count(void);
const struct topic_config_row *dynamic_config_broker_row(size_t position);

/* The row that brokers know under this name ("log.retention.ms", "max.connections"); NULL when
 * there is none or it cannot be changed while brokers run. */
const struct topic_config_row *dynamic_config_find(const char *name, size_t length);

#endif
