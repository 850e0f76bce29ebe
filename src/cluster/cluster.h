/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.h -- the cluster's metadata as a state machine: brokers, topics, partitions and their
 * Raft groups, configs, producer id blocks.
 *
 * Records of the controller log go in, in order; queries come out.  The same records give the same
 * state on every broker and every shard (each shard keeps its own copy, so nothing is shared).  A
 * change is made in two steps: a plan function checks a request against the state and writes the
 * record that would do it; the record is committed by the controller's Raft group; applying it
 * changes the state.
 *
 * Group ids: 1 is the controller, partitions count from 1001 upward and are never used twice, so
 * "below next_group_id and not in the metadata" proves that a group was deleted.
 *
 * Does no I/O and knows no time.  Locality: the shard that owns the copy.
 */
#ifndef CLUSTER_CLUSTER_H
#define CLUSTER_CLUSTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/uuid.h"
#include "cluster/topic_config.h"
#include "wire/error.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTER_CONTROLLER_GROUP_ID 1
#define CLUSTER_FIRST_PARTITION_GROUP_ID 1001
#define CLUSTER_TOPIC_NAME_BYTES_MAX 249
#define CLUSTER_REPLICAS_MAX 15
#define CLUSTER_HOST_BYTES_MAX 255
#define CLUSTER_PARTITIONS_PER_TOPIC_MAX 100000
#define CLUSTER_PARTITIONS_PER_REQUEST_MAX 10000 /* new ones at once, which bounds the record */
#define CLUSTER_PARTITIONS_MAX 1000000           /* of all topics */
#define CLUSTER_BROKERS_MAX 1000
#define CLUSTER_DIRECTORY_STARTS_MAX 16
#define CLUSTER_PRODUCER_IDS_PER_BLOCK_MAX 1000000

/* A broker's data directory as it tells of itself. */
struct cluster_directory {
    struct uuid id; /* zero: not said, by an earlier version */
    /* Each start of a broker on it has a number, one above the one before, and an id, which stand
     * in it before they are told.  Here are the last start whose registration it knows of, those
     * since, and this one.  A later one than the first of them that is not among them was made on
     * another copy, and what was promised with it this one does not know. */
    uint64_t first_start; /* the number of starts[0] */
    uint32_t start_count;
    struct uuid starts[CLUSTER_DIRECTORY_STARTS_MAX];
};

struct cluster_broker {
    uint32_t id;
    struct uuid incarnation; /* new at every start of the process */
    char kafka_host[CLUSTER_HOST_BYTES_MAX + 1];
    uint16_t kafka_port;
    char peer_host[CLUSTER_HOST_BYTES_MAX + 1];
    uint16_t peer_port;
    char rack[CLUSTER_HOST_BYTES_MAX + 1]; /* "": none */
    bool is_leaving; /* gets no new replicas; those it has move away, and then it is unregistered */
    struct cluster_directory directory; /* of its data */
    /* Groups with a lower id existed before the broker first registered with this directory; above
     * 0 of a registered broker.  0 in a registration that is proposed. */
    uint64_t first_founded_group_id;
};

/* How a replica stands in a reassignment: was it one before, and is it to be one after? */
enum cluster_replica_standing {
    CLUSTER_REPLICA_SETTLED,   /* before and after */
    CLUSTER_REPLICA_ADDING,    /* only after */
    CLUSTER_REPLICA_REMOVING,  /* only before */
    CLUSTER_REPLICA_WITHDRAWN, /* neither: an earlier target wanted it, and it may have begun */
};

/* While a reassignment is under way the replicas are all those that may still hold the log: the
 * wanted ones in their new order, then the others.
 *
 * An incarnation is one life of a replica's data on a broker: 0 of a founding replica, else the
 * epoch of the reassignment that added it.  Once it has left the list it never comes back, so "its
 * incarnation is not above the epoch known here, and not listed" proves that the data may go. */
struct cluster_partition {
    uint64_t group_id;
    uint32_t epoch; /* how many reassignments were begun */
    uint32_t replica_count;
    uint32_t replicas[CLUSTER_REPLICAS_MAX];     /* broker ids; the first is the preferred leader */
    uint32_t incarnations[CLUSTER_REPLICAS_MAX]; /* of replicas; Invariant: <= epoch */
    uint8_t standings[CLUSTER_REPLICAS_MAX];     /* of replicas: enum cluster_replica_standing */
    bool has_lost_founder; /* a founding replica has left the list: the group was led once */
};

struct cluster_topic {
    char name[CLUSTER_TOPIC_NAME_BYTES_MAX + 1];
    uint32_t name_length;
    struct uuid id;
    bool is_internal;
    uint32_t partition_count;
    struct cluster_partition *partitions; /* position = partition number */
    struct topic_config config;           /* overrides of the defaults */
};

struct cluster_metadata;

struct cluster_metadata *cluster_metadata_new(void);
void cluster_metadata_free(struct cluster_metadata *metadata);

/* What a record did, for whoever has to follow (reconciler, partitions, waiting requests). */
enum cluster_change_kind {
    CLUSTER_CHANGE_NONE,
    CLUSTER_CHANGE_BROKER,
    CLUSTER_CHANGE_TOPIC_CREATED,
    CLUSTER_CHANGE_TOPIC_DELETED,
    CLUSTER_CHANGE_PARTITIONS_ADDED,
    CLUSTER_CHANGE_TOPIC_CONFIG,
    CLUSTER_CHANGE_PRODUCER_IDS,
    CLUSTER_CHANGE_REASSIGNMENT, /* begun, altered, cancelled or complete */
    CLUSTER_CHANGE_BROKER_REMOVED,
    CLUSTER_CHANGE_BROKER_CONFIG, /* of one, or with broker_id 0 of all */
};

struct cluster_change {
    enum cluster_change_kind kind;
    enum wire_error error; /* a record whose premise was gone when it was applied (two creations of
                            * one name in flight): nothing changed, and its proposer is told this */
    uint32_t broker_id;    /* BROKER* */
    struct uuid topic_id;  /* TOPIC_*, PARTITIONS_ADDED, REASSIGNMENT */
    const struct cluster_topic *topic; /* created, extended or configured; for DELETED the topic as
                                        * it was; borrowed until the next apply */
    uint32_t first_new_partition;      /* PARTITIONS_ADDED; 0 of a topic just created */
    uint32_t partition;                /* REASSIGNMENT */
    int64_t
        producer_id_first; /* PRODUCER_IDS: the block [first, first + count) is the proposer's */
    int32_t producer_id_count;
};

/* Applies one record (the value of one controller-log record).  Deterministic; false when the bytes
 * make no sense, and then nothing changed. */
bool cluster_apply(struct cluster_metadata *metadata, const uint8_t *record, size_t length,
                   struct cluster_change *change);
/* Whether a record registers a broker, and which, as it is in the record.  Of a record that may not
 * be committed this is hearsay: of use to know where to ask, and for nothing else. */
bool cluster_record_names_broker(const uint8_t *record, size_t length,
                                 struct cluster_broker *broker);

void cluster_snapshot_write(const struct cluster_metadata *metadata, struct buf **content);
/* False (state empty) when the bytes make no sense. */
bool cluster_snapshot_restore(struct cluster_metadata *metadata, const uint8_t *content,
                              size_t length);
void cluster_reset(struct cluster_metadata *metadata);

/* ---- Queries; results are borrowed until the next apply ---- */

const struct cluster_broker *cluster_broker_find(const struct cluster_metadata *metadata,
                                                 uint32_t id);
const struct cluster_broker *cluster_broker_next(const struct cluster_metadata *metadata,
                                                 size_t *position); /* ascending ids */
size_t cluster_broker_count(const struct cluster_metadata *metadata);
/* What was set while they ran (dynamic_config.h) of one broker, or with id 0 of all of them. */
const struct topic_config *cluster_broker_config(const struct cluster_metadata *metadata,
                                                 uint32_t broker_id);
const struct cluster_topic *cluster_topic_find(const struct cluster_metadata *metadata,
                                               const char *name, size_t name_length);
const struct cluster_topic *cluster_topic_find_id(const struct cluster_metadata *metadata,
                                                  const struct uuid *id);
const struct cluster_topic *cluster_topic_next(const struct cluster_metadata *metadata,
                                               size_t *position); /* by name, ascending */
size_t cluster_topic_count(const struct cluster_metadata *metadata);
/* The partition a group serves; false when there is none. */
bool cluster_group_find(const struct cluster_metadata *metadata, uint64_t group_id,
                        const struct cluster_topic **topic, uint32_t *partition);
uint64_t cluster_next_group_id(const struct cluster_metadata *metadata);

/* Replicas the metadata has on a broker, those that come and go included. */
uint64_t cluster_broker_replica_count(const struct cluster_metadata *metadata, uint32_t id);

/* What is known of the data directory that a broker comes with (directory.c). */
enum cluster_directory_verdict {
    CLUSTER_DIRECTORY_CURRENT,  /* nothing newer is known */
    CLUSTER_DIRECTORY_LEFT,     /* the broker left the cluster with it, and is not registered */
    CLUSTER_DIRECTORY_REPLACED, /* the broker is registered with another one since */
    CLUSTER_DIRECTORY_OLD_COPY, /* the broker was started on it since, which this copy does not have
                                 */
};

/* Fills in the directory with what a message or a record says of it.  Everything is copied: id and
 * starts (may be NULL when there are none) are borrowed for the call.  False when it makes no sense
 * (a number below 0, more starts than are told), and then the directory is as it was. */
bool cluster_directory_take(struct cluster_directory *directory, const struct uuid *id,
                            int64_t first_start, const struct uuid *starts, int32_t start_count);
/* All verdicts but CURRENT are for good, whatever else is committed meanwhile. */
enum cluster_directory_verdict cluster_directory_judge(const struct cluster_metadata *metadata,
                                                       uint32_t broker_id,
                                                       const struct cluster_directory *directory);
/* How a registration is refused for it: NONE for CURRENT, BROKER_ID_NOT_REGISTERED for LEFT, else
 * STALE_BROKER_EPOCH. */
enum wire_error cluster_directory_error(enum cluster_directory_verdict verdict);
/* What is wrong and what to do, for whoever started the broker. */
const char *cluster_directory_text(enum cluster_directory_verdict verdict);

/* Where a broker stands among the replicas; false when it is none. */
bool cluster_partition_find_replica(const struct cluster_partition *partition, uint32_t broker_id,
                                    uint32_t *position);
/* A reassignment is under way: some replica is not SETTLED. */
bool cluster_partition_is_moving(const struct cluster_partition *partition);
/* The replica is to stay: SETTLED or ADDING. */
bool cluster_partition_wants(const struct cluster_partition *partition, uint32_t position);
/* The broker that is preferred to lead: the first replica that is to stay.  0: none is. */
uint32_t cluster_partition_preferred_leader(const struct cluster_partition *partition);
/* The replicas that found the group, as long as all of them are listed: one of them that was not
 * started before starts it with these members, and with no others, whatever was begun since.  0:
 * one has left, so the group has been led by others, and who starts only now has to join.
 * founders: room for CLUSTER_REPLICAS_MAX. */
uint32_t cluster_partition_founders(const struct cluster_partition *partition, uint32_t *founders);
/* How many replicas the partition has when nothing is under way: its replication factor. */
uint32_t cluster_partition_replication_factor(const struct cluster_partition *partition);

/* "[a-zA-Z0-9._-]{1,249}, neither . nor ..": NULL when good, else what is wrong. */
const char *cluster_topic_name_error(const char *name, size_t length);

/* ---- Plans: check, place, write the record ---- */

struct cluster_problem {
    enum wire_error error; /* WIRE_ERROR_NONE: the record stands in the writer */
    char message[256];
};

struct cluster_assignment {
    uint32_t partition;
    uint32_t replica_count;
    uint32_t replicas[CLUSTER_REPLICAS_MAX];
};

struct cluster_topic_request {
    const char *name;
    size_t name_length;
    struct uuid id;             /* chosen by the caller (random) */
    int32_t partition_count;    /* -1: default_partition_count, or given by the assignments */
    int32_t replication_factor; /* -1: default_replication_factor, or given by the assignments */
    const struct cluster_assignment *assignments;
    size_t assignment_count;
    const struct topic_config_entry *config;
    size_t config_count;
    int32_t default_partition_count;
    int32_t default_replication_factor;
    const uint32_t *live_brokers; /* where replicas may be placed, ascending */
    size_t live_broker_count;
};

/* Placement: replicas of a partition on different brokers (and racks, as far as there are enough),
 * leaders and replicas spread evenly, counting what is placed already. */
void cluster_plan_create_topic(const struct cluster_metadata *metadata,
                               const struct cluster_topic_request *request,
                               struct wire_writer *record, struct cluster_problem *problem);
void cluster_plan_delete_topic(const struct cluster_metadata *metadata, const struct uuid *id,
                               struct wire_writer *record, struct cluster_problem *problem);
/* partition_count: the new total.  assignments: none, or one for each new partition in order (their
 * partition fields are not looked at). */
void cluster_plan_create_partitions(const struct cluster_metadata *metadata, const char *name,
                                    size_t name_length, int32_t partition_count,
                                    const struct cluster_assignment *assignments,
                                    size_t assignment_count, const uint32_t *live_brokers,
                                    size_t live_broker_count, struct wire_writer *record,
                                    struct cluster_problem *problem);

/* Begins a reassignment of a partition's replicas, or gives one that is under way another target
 * (KIP-455).  replicas: who shall hold it, the preferred leader first; its partition field is not
 * looked at.  The replicas before are kept until the group's leader has made the wanted ones voters
 * and removed the others.  A target that differs in its order only is reached at once. */
void cluster_plan_reassign_partition(const struct cluster_metadata *metadata,
                                     const struct uuid *topic_id, uint32_t partition,
                                     const struct cluster_assignment *replicas,
                                     const uint32_t *live_brokers, size_t live_broker_count,
                                     struct wire_writer *record, struct cluster_problem *problem);
/* Gives a reassignment the replicas before it as its target.  NO_REASSIGNMENT_IN_PROGRESS when none
 * is under way, or it has been cancelled. */
void cluster_plan_cancel_reassignment(const struct cluster_metadata *metadata,
                                      const struct uuid *topic_id, uint32_t partition,
                                      struct wire_writer *record, struct cluster_problem *problem);
/* The group's leader has seen a membership committed that is what the epoch wants: the other
 * replicas leave the list. */
void cluster_plan_complete_reassignment(const struct cluster_metadata *metadata, uint64_t group_id,
                                        uint32_t epoch, struct wire_writer *record,
                                        struct cluster_problem *problem);

/* What a config is to become. */
enum cluster_config_operation {
    CLUSTER_CONFIG_SET,
    CLUSTER_CONFIG_DELETE,   /* back to the default */
    CLUSTER_CONFIG_APPEND,   /* LIST configs: adds elements that are not there */
    CLUSTER_CONFIG_SUBTRACT, /* LIST configs: takes elements away */
};

struct cluster_config_alteration {
    struct topic_config_entry entry; /* value: not looked at for DELETE */
    enum cluster_config_operation operation;
};

/* replace: configs that no alteration names go back to their defaults (AlterConfigs); else they
 * stay (IncrementalAlterConfigs). */
void cluster_plan_alter_topic_config(const struct cluster_metadata *metadata, const struct uuid *id,
                                     const struct cluster_config_alteration *alterations,
                                     size_t alteration_count, bool replace,
                                     struct wire_writer *record, struct cluster_problem *problem);
/* The same of the configs of a broker, or with id 0 of all of them, under the names of
 * dynamic_config.h. */
void cluster_plan_alter_broker_config(const struct cluster_metadata *metadata, uint32_t broker_id,
                                      const struct cluster_config_alteration *alterations,
                                      size_t alteration_count, bool replace,
                                      struct wire_writer *record, struct cluster_problem *problem);
void cluster_plan_register_broker(const struct cluster_metadata *metadata,
                                  const struct cluster_broker *broker, struct wire_writer *record,
                                  struct cluster_problem *problem);
/* A broker is to leave.  Refused when the brokers that stay are too few for the replicas of some
 * topic; again for one that leaves already, nothing is changed. */
void cluster_plan_decommission_broker(const struct cluster_metadata *metadata, uint32_t broker_id,
                                      struct wire_writer *record, struct cluster_problem *problem);
/* It is to stay after all.  What was moved away stays where it is. */
void cluster_plan_recommission_broker(const struct cluster_metadata *metadata, uint32_t broker_id,
                                      struct wire_writer *record, struct cluster_problem *problem);
/* The last step of leaving: refused while it is not leaving or holds a replica. */
void cluster_plan_unregister_broker(const struct cluster_metadata *metadata, uint32_t broker_id,
                                    struct wire_writer *record, struct cluster_problem *problem);

struct cluster_move {
    struct uuid topic_id;
    struct cluster_assignment target;
};

/* The next replicas that are to move off leaving brokers, each to the offered broker that has the
 * fewest, in a rack of its own where there is one: what to ask cluster_plan_reassign_partition()
 * for.  Fills in at most moves_max less those that are under way, and says how many. */
size_t cluster_plan_evacuation(const struct cluster_metadata *metadata,
                               const uint32_t *live_brokers, size_t live_broker_count,
                               struct cluster_move *moves, size_t moves_max);
void cluster_plan_allocate_producer_ids(const struct cluster_metadata *metadata, uint32_t broker_id,
                                        int32_t count, struct wire_writer *record,
                                        struct cluster_problem *problem);

#endif
