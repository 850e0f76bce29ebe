/* SPDX-License-Identifier: Apache-2.0
 *
 * reassignment.h -- Kafka's two requests about replicas that move (KIP-455): what is being moved,
 * and what is to be.
 *
 * Locality: main thread; blocks until the answer, at most the options' timeout.
 */
#ifndef CLI_REASSIGNMENT_H
#define CLI_REASSIGNMENT_H

#include "cli/tool.h"
#include "wire/alter_partition_reassignments.h"

/* partition_index, replicas in the order of preference, replicas_count; -1 takes a move back. */
#define reassignment_partition alter_partition_reassignments_request_reassignable_partition

/* Looks at every partition's error code and message; returns the command's status, after a message
 * when it is not TOOL_DONE.  The response is gone afterwards. */
typedef int (*reassignment_judge)(const struct alter_partition_reassignments_response *response,
                                  void *context);

/* [{topic, partition, replicas, adding, removing}] of the topic, or of all when it is NULL; NULL
 * after a message.  The caller releases it. */
json_t *reassignment_list(const struct tool_options *options, const char *topic);

/* Asks for the count partitions of the topic to be moved; they stay the caller's.  TOOL_FAILED
 * after a message when the cluster was not reached, else what judge says. */
int reassignment_ask(const struct tool_options *options, const char *topic,
                     struct reassignment_partition *partitions, int32_t count,
                     reassignment_judge judge, void *context);

/* Says what was refused: place, and the cluster's words, or the code's when it gave none.  Returns
 * TOOL_FAILED. */
int reassignment_refused(const char *place, int16_t code, struct wire_string message);

#endif
