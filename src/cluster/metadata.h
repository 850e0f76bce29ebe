/* SPDX-License-Identifier: Apache-2.0
 *
 * metadata.h -- the state behind cluster.h, for the files of this room.
 *
 * Only apply.c and snapshot.c change it, through the functions below, which keep every index in
 * step.
 *
 * Invariants: brokers ascend by id; topics ascend by name; no two topics have an equal likeness
 * (topic_name.h); inside a topic the group ids ascend with the partition number, and all are below
 * next_group_id; groups maps exactly the group ids of all partitions; directories were given up in
 * the order in which they stand, each once.
 *
 * Locality: the shard that owns the copy.
 */
#ifndef CLUSTER_METADATA_H
#define CLUSTER_METADATA_H

#include "cluster/cluster.h"
#include "cluster/topic_entry.h"

struct broker_config_entry {
    uint32_t broker_id; /* 0: of all brokers */
    struct topic_config config;
};

#define METADATA_GIVEN_UP_MAX CLUSTER_BROKERS_MAX

/* A data directory that its broker does not come back with (directory.c). */
struct given_up_directory {
    uint32_t broker_id;
    struct uuid directory_id;
};

struct cluster_metadata {
    struct cluster_broker *brokers;
    size_t broker_count;
    struct broker_config_entry *broker_configs; /* ascending by broker */
    size_t broker_config_count;
    struct given_up_directory *given_up; /* oldest first; NULL: never any */
    size_t given_up_count;
    struct topic_entry **topics;
    size_t topic_count;
    size_t topic_capacity;
    struct map topics_by_id;
    struct map topics_by_likeness;
    struct map groups;        /* group id -> topic_entry; the partition is found by halving */
    uint64_t partition_count; /* of all topics */
    uint64_t next_group_id;
    int64_t next_producer_id;
    struct topic_entry *departed; /* deleted by the last record, kept for who follows the change */
};

/* The topic that has this name or one that collides with it, or NULL. */
struct topic_entry *metadata_find_alike(const struct cluster_metadata *metadata, const char *name,
                                        size_t name_length);
struct topic_entry *metadata_find_id(const struct cluster_metadata *metadata,
                                     const struct uuid *id);

/* Adds the broker or replaces the one with its id. */
void metadata_put_broker(struct cluster_metadata *metadata, const struct cluster_broker *broker);
/* Takes out the broker of this id, which is there. */
void metadata_remove_broker(struct cluster_metadata *metadata, uint32_t id);

/* Why a broker may not leave. */
struct metadata_want {
    uint32_t staying;                  /* brokers that would; 0: it is the last one */
    const struct cluster_topic *topic; /* the first that has more replicas; NULL: none */
    uint32_t replicas;                 /* of a partition of it */
};

/* Whether every partition finds brokers enough among those that stay when this one leaves, too. */
bool metadata_may_leave(const struct cluster_metadata *metadata, uint32_t broker_id,
                        struct metadata_want *want);
/* Whether a partition may have these replicas: a leaving broker among them must not stay for want
 * of others. */
bool metadata_may_hold(const struct cluster_metadata *metadata,
                       const struct cluster_partition *target);

/* Remembers that the broker gave the directory up; the oldest is forgotten when there are too many.
 * Nothing when the id is zero. */
void metadata_give_up_directory(struct cluster_metadata *metadata, uint32_t broker_id,
                                const struct uuid *directory_id);

/* The configs of a broker, or with id 0 of all, to be changed. */
struct topic_config *metadata_broker_config(struct cluster_metadata *metadata, uint32_t broker_id);

/* Why the topic cannot be added to the metadata as it is now, or NONE: its name or a colliding one
 * is taken, its id is, or there are too many partitions. */
enum wire_error metadata_addition_error(const struct cluster_metadata *metadata,
                                        const struct topic_entry *entry);
/* Takes the entry over.  Its name, id and groups are new to the metadata. */
void metadata_add_topic(struct cluster_metadata *metadata, struct topic_entry *entry);
/* Enters the groups of partitions [first, partition_count), which topic_entry_extend() added. */
void metadata_add_groups(struct cluster_metadata *metadata, struct topic_entry *entry,
                         uint32_t first);
/* Takes the entry out of all indexes; it becomes metadata->departed. */
void metadata_remove_topic(struct cluster_metadata *metadata, struct topic_entry *entry);

#endif
