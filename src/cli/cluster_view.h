/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster_view.h -- the cluster as its controller leader sees it; every other broker may be behind.
 *
 * Locality: main thread; blocks.
 */
#ifndef CLI_CLUSTER_VIEW_H
#define CLI_CLUSTER_VIEW_H

#include "cli/tool.h"

/* /v1/cluster of the controller leader, whose admin address must be among the options'; NULL when
 * none of them leads.  The caller releases it. */
json_t *cluster_view(const struct tool_options *options);

/* The broker's row {id, live, leaving, rack, replicas, ...}; NULL when the view (or NULL) has none.
 * It belongs to the view. */
json_t *cluster_view_broker(const json_t *view, long long broker_id);

#endif
