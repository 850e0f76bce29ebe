/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h -- the kinds of controller records.
 *
 * A record is its kind (uint16), the version of its schema (uint16) and its body, encoded by the
 * schema of that name in src/wire/schemas.  Records live in logs and snapshots for ever: kinds are
 * only added at the end and never change their number or meaning.
 *
 * Locality: any.
 */
#ifndef CLUSTER_RECORD_H
#define CLUSTER_RECORD_H

#include "cluster/cluster.h"
#include "wire/cursor.h"
#include "wire/writer.h"

/* kind, number, schema, where it may stand */
#define CLUSTER_RECORD_TABLE(X)                                                                    \
    X(BROKER_REGISTERED, 1, broker_registered, LOG_AND_SNAPSHOT)                                   \
    X(TOPIC_CREATED, 2, topic_created, LOG)                                                        \
    X(TOPIC_DELETED, 3, topic_deleted, LOG)                                                        \
    X(PARTITIONS_ADDED, 4, partitions_added, LOG)                                                  \
    X(TOPIC_CONFIG_CHANGED, 5, topic_config_changed, LOG)                                          \
    X(PRODUCER_IDS_ALLOCATED, 6, producer_ids_allocated, LOG)                                      \
    X(TOPIC_STATE, 7, topic_state, SNAPSHOT)                                                       \
    X(CLUSTER_COUNTERS, 8, cluster_counters, SNAPSHOT)                                             \
    X(PARTITION_REASSIGNED, 9, partition_reassigned, LOG)                                          \
    X(REASSIGNMENT_COMPLETED, 10, reassignment_completed, LOG)                                     \
    X(BROKER_LEAVING, 11, broker_leaving, LOG_AND_SNAPSHOT)                                        \
    X(BROKER_UNREGISTERED, 12, broker_unregistered, LOG)                                           \
    X(BROKER_CONFIG_CHANGED, 13, broker_config_changed, LOG_AND_SNAPSHOT)                          \
    X(DIRECTORY_GIVEN_UP, 14, directory_given_up, SNAPSHOT)

enum cluster_record_kind {
#define X(name, number, schema, place) CLUSTER_RECORD_##name = number,
    CLUSTER_RECORD_TABLE(X)
#undef X
};

/* Where a kind may stand. */
enum cluster_record_place {
    CLUSTER_RECORD_IN_LOG = 1,
    CLUSTER_RECORD_IN_SNAPSHOT = 2,
    CLUSTER_RECORD_IN_LOG_AND_SNAPSHOT = 3,
};

/* The version that is written, of every kind but those named below. */
#define CLUSTER_RECORD_VERSION 0
#define CLUSTER_RECORD_TOPIC_STATE_VERSION 2
#define CLUSTER_RECORD_BROKER_REGISTERED_VERSION 2

/* What the arrays of a record may take when it is decoded. */
#define CLUSTER_RECORD_DECODED_BYTES(length) (4096 + (size_t)(length)*32)

/* Writes what stands before the body of a record of CLUSTER_RECORD_VERSION, or another. */
void cluster_record_begin(struct wire_writer *writer, enum cluster_record_kind kind);
void cluster_record_begin_version(struct wire_writer *writer, enum cluster_record_kind kind,
                                  int16_t version);

/* The whole BROKER_REGISTERED record, which logs and snapshots share. */
void cluster_record_write_broker(struct wire_writer *writer, const struct cluster_broker *broker);

/* Likewise the BROKER_LEAVING record. */
void cluster_record_write_leaving(struct wire_writer *writer, uint32_t broker_id, bool is_leaving);

/* A text as schemas want it; NULL is null. */
struct wire_string cluster_record_string(const char *text);

#endif
