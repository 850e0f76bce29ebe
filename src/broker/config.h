/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h -- the broker's configuration as a struct.  Filled from the config table
 * (cli/config_table.c), where names, units, defaults, ranges and texts stand; read-only afterwards.
 *
 * Locality: read by every shard.
 */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H

#include "cluster/topic_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker_config_member {
    uint32_t id;
    char *host; /* of its inter-broker listener */
    uint16_t port;
};

struct broker_config {
    uint32_t broker_id;
    char *cluster_name; /* the cluster id is derived by the first start and stored; this names it */
    char *rack;
    char *data_directory;
    uint32_t shards; /* 0: one a core */

    char *kafka_host; /* listen address */
    uint16_t kafka_port;
    char *advertised_host; /* what clients are told; default kafka_host */
    uint16_t advertised_port;
    char *peer_host;
    uint16_t peer_port;
    char *peer_advertised_host;
    char *admin_host;
    uint16_t admin_port; /* 0: off */

    struct broker_config_member *controllers; /* the controller group's voters */
    size_t controller_count;

    char *peer_tls_ca; /* "" : no TLS between brokers (loopback only) */
    char *peer_tls_certificate;
    char *peer_tls_key;
    char **peer_allow; /* CIDR blocks from which brokers may connect */
    size_t peer_allow_count;
    bool allow_insecure;

    bool auto_create_topics;
    int32_t default_partitions;
    int32_t default_replication_factor;
    char **topic_default_texts; /* "retention.ms=5", as they stand in the config file */
    size_t topic_default_text_count;
    struct topic_config topic_defaults; /* what they say */

    uint32_t offsets_topic_partitions;
    uint32_t offsets_topic_replication_factor;
    uint32_t offsets_retention_minutes;
    uint32_t offset_metadata_max_bytes;
    uint32_t group_initial_rebalance_delay_ms;
    uint32_t group_min_session_timeout_ms;
    uint32_t group_max_session_timeout_ms;
    uint32_t group_max_size;
    uint32_t producer_id_expiration_ms;

    uint32_t heartbeat_ms;
    uint32_t election_ms;
    bool leader_balance;
    uint32_t leader_balance_delay_ms;
    uint64_t request_bytes_max; /* a frame larger than this closes the connection */
    uint32_t connections_max;
    uint32_t connections_per_address_max;
    uint32_t connection_idle_ms;
    uint32_t request_partial_ms;     /* a request begun must be whole by then */
    uint32_t requests_in_flight_max; /* per connection */
    bool enable_follower_read;
    uint32_t fetch_sessions_max; /* of all shards; 0: none are kept */
    uint32_t retention_check_ms;
    uint32_t compaction_check_ms;
    uint64_t compaction_memory_bytes;     /* for keys, of each shard */
    uint64_t compaction_bytes_per_second; /* of each shard; 0: no bound */
    uint64_t disk_reserve_bytes;          /* 0: none */
    uint64_t catch_up_bytes_per_second;   /* to new replicas, by all shards; 0: no bound */
    uint64_t scrub_bytes_per_second;      /* read to look for damage, by all shards; 0: none */
    uint64_t scrub_interval_ms;           /* from one pass to the next, at least */
    char *log_level;
};

#endif
