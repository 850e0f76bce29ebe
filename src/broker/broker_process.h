/* SPDX-License-Identifier: Apache-2.0
 *
 * broker_process.h -- what the shards of a broker share, for the infrastructure files of this room
 * only.
 *
 * Locality: written by the main thread before the shards run and read-only from then on, except
 * what is atomic and what says which shard writes it.
 */
#ifndef BROKER_BROKER_PROCESS_H
#define BROKER_BROKER_PROCESS_H

#include "broker/admission.h"
#include "broker/broker.h"
#include "broker/data_directory.h"
#include "broker/listener.h"
#include "broker/peer_guard.h"
#include "io/tls.h"
#include "wire/field.h"

#include <stdatomic.h>

struct broker {
    const struct broker_config *config;
    struct data_directory directory;
    struct cluster_directory own_directory; /* what is told of it */
    struct uuid incarnation;                /* of this process */
    struct peer_guard_policy guard;
    struct io_tls *peer_tls; /* NULL: none between brokers */
    struct admission admission;
    uint16_t kafka_port;
    uint16_t peer_port;
    struct shards *shards;
    uint32_t shard_count;
    struct broker_shard *shard_states; /* one for each shard */
    /* Groups with a lower id are joined, not founded (data_directory.h); written by shard 0. */
    _Atomic uint64_t first_founded_group_id;
    _Atomic uint32_t shards_with_hung_disk; /* disk_pulse.h */

    struct shard_message stop; /* from broker_request_stop() to shard 0 */
    bool has_joined;           /* shard 0's: this start stands in the metadata, or did once */
    /* Shard 0's: how the end is getting on. */
    bool is_stopping;
    uint32_t shards_awaited; /* that have not done the present step yet */
};

/* broker.c */
/* Ends the process as broker_abandon() does, from any shard: another broker says that the data
 * directory is an older copy of itself, or was given up for another one (STALE_BROKER_EPOCH).  What
 * was promised on the newer one this process does not know, so it must not take part.  message: the
 * other broker's words for the log, of which the first 511 bytes are written. */
_Noreturn void broker_abandon_outdated(struct wire_string message);

/* broker_shard.c */
bool broker_shard_prepare(struct broker_shard *state, char *error, size_t error_size);
void broker_shard_run(struct shard *shard);
void broker_shard_free(struct broker_shard *state);
/* What the limits are worked out from changed (effective_config.h). */
void broker_shard_limits_changed(struct broker_shard *state);
/* On shard 0: this broker has become the controller leader, ready. */
void broker_shard_leads_controller(struct broker_shard *state);

/* broker_shard_metadata.c */
/* This shard's metadata changed, by record (change) or as a whole (NULL, after a snapshot). */
void broker_shard_metadata_changed(struct broker_shard *state, const struct cluster_change *change);

/* broker_shard_end.c */
struct shard_life *shard_life_new(struct broker_shard *state);
void shard_life_free(struct shard_life *life);
/* Everything was gone when the loop stopped. */
bool shard_life_ended_clean(const struct shard_life *life);
/* On shard 0: begins the end of all shards. */
void broker_shard_stop_all(struct broker_shard *state);

static inline uint32_t broker_shard_id(const struct broker_shard *state)
{
    return shard_id(state->shard);
}

#endif
