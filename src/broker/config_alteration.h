/* SPDX-License-Identifier: Apache-2.0
 *
 * config_alteration.h -- altering configs as the controller leader does it: each resource of the
 * request is planned and committed in its turn, and answered by itself.
 *
 * Not here: what is asked for and how it is answered (api_alter_configs.c,
 * api_incremental_alter_configs.c).
 *
 * Locality: shard 0.
 */
#ifndef BROKER_CONFIG_ALTERATION_H
#define BROKER_CONFIG_ALTERATION_H

#include "broker/metadata_wait.h"
#include "broker/proposal_line.h"
#include "cluster/cluster.h"
#include "wire/cursor.h"

#include <stdbool.h>
#include <stdint.h>

struct request;

/* The protocol's numbers of what has configs. */
enum config_resource_type {
    CONFIG_RESOURCE_TOPIC = 2,
    CONFIG_RESOURCE_BROKER = 4,
    CONFIG_RESOURCE_BROKER_LOGGER = 8, /* this and what follows has none here */
    CONFIG_RESOURCE_CLIENT_METRICS = 16,
    CONFIG_RESOURCE_GROUP = 32,
};

/* One resource; its owner fills in the first part. */
struct config_alteration_item {
    int8_t resource_type;
    struct wire_string resource_name;
    struct cluster_config_alteration *alterations;
    uint32_t alteration_count;
    struct cluster_problem problem; /* error and message of the answer */
};

/* Embedded in its owner, which lives in the request's arena. */
struct config_alteration {
    struct proposal_line line; /* line.count items */
    struct request *request;
    struct config_alteration_item *items;
    bool replaces;     /* configs that are not named go back to their defaults */
    bool is_committed; /* not only planned, to see what would come of it */
    void (*respond)(struct config_alteration *alteration); /* answers the request; the last call */

    bool is_changed; /* its own, as below: something was committed */
    struct metadata_wait wait;
};

/* Makes count empty items in the request's arena.  False: the request has been dropped. */
bool config_alteration_init(struct config_alteration *alteration, struct request *request,
                            int32_t count);
/* Makes room for an item's alterations, which the caller fills in.  False: as above. */
bool config_alteration_reserve(struct config_alteration *alteration,
                               struct config_alteration_item *item, int32_t count);
void config_alteration_run(struct config_alteration *alteration);

#endif
