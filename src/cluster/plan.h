/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h -- what the plans have in common: refusing with words, and checks more than one of them
 * makes.
 *
 * A plan is refused by plan_refuse(), whose message goes to the client; text from outside passes
 * through plan_quote() on its way there.
 *
 * Locality: any.
 */
#ifndef CLUSTER_PLAN_H
#define CLUSTER_PLAN_H

#include "cluster/cluster.h"
#include "cluster/placement.h"

#define PLAN_QUOTE_BYTES 72

void plan_accept(struct cluster_problem *problem);
void plan_refuse(struct cluster_problem *problem, enum wire_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Text from outside made harmless for a message: in quotes, anything but printable ASCII as '?',
 * cut when it is long.  Returns quoted. */
const char *plan_quote(char quoted[PLAN_QUOTE_BYTES], const char *text, size_t length);

/* Checks one replica assignment: known brokers without doubles, of which a majority is live (else
 * no leader could be elected).  False when refused. */
bool plan_check_assignment(const struct cluster_metadata *metadata,
                           const struct cluster_assignment *assignment, uint32_t partition,
                           const uint32_t *live_brokers, size_t live_broker_count,
                           struct cluster_problem *problem);

/* Checks that so many partitions more are within the cluster's limits, of which old_count the topic
 * has already.  False when refused. */
bool plan_check_partition_limits(const struct cluster_metadata *metadata, uint32_t old_count,
                                 int32_t new_count, struct cluster_problem *problem);

/* Checks that so many replicas can be placed.  False when refused. */
bool plan_check_replica_count(const struct placement *placement, int32_t replica_count,
                              struct cluster_problem *problem);

/* The row of a config, when there is one and the value is good for it; else refused, and NULL. */
const struct topic_config_row *plan_check_config(const struct topic_config_entry *entry,
                                                 struct cluster_problem *problem);

/* The entry's value is good for the row its name stands for; else refused, and false. */
bool plan_check_value(const struct topic_config_row *row, const struct topic_config_entry *entry,
                      struct cluster_problem *problem);

/* The row of a config by name alone. */
const struct topic_config_row *plan_find_config(const struct topic_config_entry *entry,
                                                struct cluster_problem *problem);

#endif
