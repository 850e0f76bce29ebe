/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_entry.h -- a topic as the metadata holds it, and how one is built.
 *
 * Locality: its owner.
 */
#ifndef CLUSTER_TOPIC_ENTRY_H
#define CLUSTER_TOPIC_ENTRY_H

#include "cluster/cluster.h"
#include "wire/cursor.h"

struct topic_entry {
    struct cluster_topic topic;
    char likeness[CLUSTER_TOPIC_NAME_BYTES_MAX + 1];
};

/* A topic that is not in the metadata yet, without partitions and configs.  The name is good. */
struct topic_entry *topic_entry_new(const char *name, size_t name_length, const struct uuid *id);
void topic_entry_free(struct topic_entry *entry); /* accepts NULL */

/* Room for new_count partitions after those there; returns the first, zeroed.  The caller fills
 * them in before anybody looks. */
struct cluster_partition *topic_entry_extend(struct topic_entry *entry, uint32_t new_count);

/* The row of a config in a record; NULL when there is none of that name or the value is not good.
 */
const struct topic_config_row *topic_entry_config_row(struct wire_string name,
                                                      struct wire_string value);
/* Sets it; false where topic_entry_config_row() gives NULL. */
bool topic_entry_take_config(struct topic_entry *entry, struct wire_string name,
                             struct wire_string value);

#endif
