/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_addresses.h -- where other brokers can be found after a start, before this broker
 * hears of anybody.
 *
 * A replica of the controller group that starts knows what its snapshot says; of what stands in its
 * log behind that it learns from the next leader what is committed.  But to elect one, the voters
 * must find each other, and those that are not in `controllers` registered in that log.  So what
 * it says of addresses is taken as a hint, committed or not: who answers there still has to say who
 * he is (peer_dial.c), and nothing else is concluded from it.
 *
 * Locality: shard 0.
 */
#ifndef BROKER_CONTROLLER_ADDRESSES_H
#define BROKER_CONTROLLER_ADDRESSES_H

#include "replica/replica.h"

#include <stdbool.h>

struct broker_shard;

/* Embedded in the controller, zeroed. */
struct controller_addresses {
    struct broker_shard *shard;
    struct log_read read;
    uint64_t last_index; /* of what is looked through */
    bool is_reading;
};

/* Looks through the log of the controller group, which has just started on this broker, and
 * introduces whom it names to the links (peer_link.h).  Ends by itself: at the log's end, with the
 * group, or when the metadata is loaded, which says more.  What cannot be read is for the rest of
 * the replica to complain about. */
void controller_addresses_look_up(struct controller_addresses *addresses,
                                  struct broker_shard *shard, struct replica_group *group);

#endif
