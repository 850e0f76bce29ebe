/* SPDX-License-Identifier: Apache-2.0
 *
 * curator.h -- the operator who changes the configs of topics and deletes their records while the
 * cluster is under load.
 *
 * It knows what it was promised: what a config is to be in the end, when its last wish for it was
 * acknowledged and no other one could still overtake that; what was deleted stands in the history.
 *
 * Not here: whether it came so (check_configs.c, check_reads.c, check_replicas.c).
 */
#ifndef TESTS_SIM_DRILL_CURATOR_H
#define TESTS_SIM_DRILL_CURATOR_H

#include "drill/client.h"

struct drill_curator;

/* client outlives it. */
struct drill_curator *drill_curator_new(struct client *client);
void drill_curator_free(struct drill_curator *curator);
/* Begins to change configs, or to delete records; or ends it. */
void drill_curator_alter(struct drill_curator *curator, bool on);
void drill_curator_trim(struct drill_curator *curator, bool on);
/* Nothing is under way between it and the cluster. */
bool drill_curator_is_idle(const struct drill_curator *curator);
uint64_t drill_curator_altered(const struct drill_curator *curator);
uint64_t drill_curator_trimmed(const struct drill_curator *curator);

/* The configs of a topic that are promised: calls told for each; value NULL: its default. */
void drill_curator_promises(const struct drill_curator *curator, uint32_t topic,
                            void (*told)(void *context, const char *name, const char *value),
                            void *context);

#endif
