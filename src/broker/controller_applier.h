/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_applier.h -- the controller group on this broker: what controller.c and
 * controller_applier.c share.
 *
 * Locality: shard 0.
 */
#ifndef BROKER_CONTROLLER_APPLIER_H
#define BROKER_CONTROLLER_APPLIER_H

#include "base/list.h"
#include "broker/controller.h"
#include "broker/controller_addresses.h"
#include "replica/replica.h"

/* A record on its way through the controller log. */
struct controller_proposal {
    struct list_node node; /* in one of the controller's lists */
    struct buf *value;     /* the record, until it is proposed */
    uint64_t base_offset;
    enum wire_error error; /* in ->refused */
    void (*done)(void *context, enum wire_error error, const struct cluster_change *change);
    void *context;
};

struct controller {
    struct applier applier;
    struct broker_shard *shard;
    struct replica_group *group; /* NULL: not started yet, or failed */
    struct applier_standing standing;
    bool is_applying; /* inside controller_apply(): what is proposed now waits for the turn's end */
    struct list deferred;  /* not proposed yet */
    struct list proposals; /* proposed, ascending by base_offset */
    struct list refused;   /* told so at the end of the turn */
    struct io_turn_hook hook;
    struct controller_addresses addresses;
};

extern const struct applier_type controller_applier_type;

/* The proposals in the list end with the error. */
void controller_fail_proposals(struct list *proposals, enum wire_error error);

/* When the replica manager is there, whose turn hook must run before ours. */
struct controller *controller_new(struct broker_shard *shard);
/* Starts group 1 on this broker when its founders are known: as one of them, or as a replica that
 * waits to be added. */
void controller_start(struct broker_shard *shard);
/* Stops this broker's damaged replica and has an empty one put in its place, which
 * controller_start_again() starts; as replica_group_quarantine(). */
void controller_quarantine(struct broker_shard *shard,
                           void (*done)(void *context, enum replica_result result), void *context);
void controller_start_again(struct broker_shard *shard);
void controller_free(struct controller *controller);

#endif
