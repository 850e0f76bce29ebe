/* SPDX-License-Identifier: Apache-2.0
 *
 * broker.h -- the broker process: its shards, and what each shard holds.
 *
 * Shard 0 also hosts the controller group, the connections to and from other brokers and the
 * reconciler; every shard has its client listener (same port), its connections, its Raft groups,
 * and its own copy of the metadata, fed with the same records in the same order.
 *
 * Locality: broker_start()/broker_wait() on the main thread; a broker_shard only on its own.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "base/counter.h"
#include "base/map.h"
#include "base/uuid.h"
#include "broker/config.h"
#include "broker/effective_config.h"
#include "broker/line_limit.h"
#include "cluster/cluster.h"
#include "io/shard.h"
#include "io/stream.h"
#include "replica/replica.h"

#include <stdbool.h>
#include <stdint.h>

struct broker;
struct connection_table;
struct controller;
struct controller_upkeep;
struct disk_pulse;
struct fetch_session_table;
struct forwarder;
struct founding;
struct leader_balance;
struct leader_feed;
struct leader_table;
struct metadata_waits;
struct peer_links;
struct peer_presence;
struct raft_group_flows;
struct reconciler;
struct repairs;
struct registration;
struct shard_life;
struct tombstone_rounds;
struct upkeep;

/* Request types between brokers, counted at the broker that asks: 1000 + position. */
#define BROKER_PEER_REQUEST_TYPES 10

struct broker_peer_request_stats {
    struct counter succeeded;
    struct counter failed;
    struct histogram duration_us; /* from sending to the answer, or the failure */
};

/* What a shard counts; read by src/admin from any thread. */
struct broker_stats {
    struct counter connections_open;
    struct counter connections_accepted;
    struct counter connections_refused;
    struct counter connections_closed_bad_input;
    struct counter produce_requests;
    struct counter produce_records;
    struct counter produce_bytes;
    struct counter produce_errors;
    struct counter fetch_requests;
    struct counter fetch_bytes;
    struct counter fetch_errors;
    struct counter fetch_sessions; /* held now */
    struct counter fetch_session_partitions;
    struct counter fetch_sessions_evicted;
    struct counter fetch_sessions_refused;
    struct counter leaders_handed_over; /* to the replicas that are preferred to lead */
    struct counter inter_broker_unauthorized;
    struct counter inter_broker_handled;
    struct counter shards_short_of_room;
    struct counter shards_with_hung_disk;
    struct counter compactions;
    struct counter compactions_failed;
    struct counter compaction_read_bytes;
    struct counter compaction_saved_bytes;
    struct counter compaction_records_removed;
    struct counter compaction_tombstones_removed; /* among them */
    struct counter compaction_clean_bytes;        /* of compacted topics, as last looked at */
    struct counter compaction_dirty_bytes;
    struct broker_peer_request_stats inter_broker_requests[BROKER_PEER_REQUEST_TYPES];
};

struct broker_shard {
    struct broker *broker;
    const struct broker_config *config;
    struct broker_limits limits; /* what of it can be changed while the broker runs */
    struct shard *shard;
    struct io_loop *loop;
    struct replica_manager *replicas;
    struct cluster_metadata *metadata; /* this shard's copy, as far as it has been applied */
    bool is_short_of_room;       /* less disk space is free than is held in reserve (disk_room.h) */
    bool metadata_is_loaded;     /* caught up with the controller's commit index once since start */
    uint64_t metadata_loaded_ns; /* when that was */
    struct leader_table *leaders;    /* who leads which group, as far as this broker knows */
    struct map partitions;           /* group id -> struct partition, those hosted on this shard */
    struct controller *controller;   /* shard 0 only, else NULL */
    struct upkeep *upkeep;           /* waiting requests and periodic work (broker/upkeep.h) */
    struct leader_feed *leader_feed; /* news of leaders on their way out (broker/leader_feed.h) */
    struct connection_table *connections;
    struct fetch_session_table *fetch_sessions; /* of its connections (broker/fetch_session.h) */
    struct io_listener *client_listener;
    struct io_listener *peer_listener; /* shard 0 only */
    struct peer_links *links;          /* to the other brokers */
    struct reconciler *reconciler;
    struct leader_balance *leader_balance;
    struct repairs *repairs;
    struct tombstone_rounds *tombstone_rounds;
    struct disk_pulse *disk_pulse;
    struct forwarder *forwarder; /* shard 0 only, as are the next six */
    struct metadata_waits *metadata_waits;
    struct founding *founding;
    struct controller_upkeep *controller_upkeep;
    struct peer_presence *presence; /* brokers connected to us */
    struct raft_group_flows *flows;
    struct registration *registration;
    struct line_limit unauthorized_lines;
    struct shard_life *life; /* broker_shard_end.c's own */
    struct uuid cluster_id;
    uint32_t broker_id;
    struct broker_stats stats;
};

/* Starts everything and returns; NULL with a message in error when something refuses to start. */
struct broker *broker_start(const struct broker_config *config, char *error, size_t error_size);
/* Asks for a clean end (leadership handed over, groups stopped); from any thread or signal handler.
 */
void broker_request_stop(struct broker *broker);
/* Waits until the broker has ended.  0, or the exit status of a broker that gave up (failed disk).
 */
int broker_wait(struct broker *broker);
void broker_free(struct broker *broker);

/* The ports really bound (a configured 0 resolved). */
uint16_t broker_kafka_port(const struct broker *broker);
uint16_t broker_peer_port(const struct broker *broker);

uint32_t broker_shard_count(const struct broker *broker);
struct broker_shard *broker_shard_at(struct broker *broker, uint32_t position);
/* The disk failed or state is in doubt: stop acknowledging now, say why, end the process with
 * status 1. */
_Noreturn void broker_abandon(const char *reason);

/* Registered and, as far as this broker can tell (itself, or one that answers; peer_link.h),
 * running.
 */
bool broker_is_live(const struct broker_shard *shard, uint32_t broker_id);

#endif
