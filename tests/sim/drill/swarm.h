/* SPDX-License-Identifier: Apache-2.0
 *
 * swarm.h -- what one seed's world is like: its size, its load, its config, and which faults exist
 * in it at all.
 *
 * Every seed turns some faults off altogether and others up, so that rare meetings of two of them
 * are not always disturbed by a third.  Drawn once, then constant; all of it follows from the seed.
 *
 * Invariant: the faults that take durable state away (wipes, damage) exist only where every topic
 * has three replicas or more, for fewer promise to survive none.
 */
#ifndef TESTS_SIM_DRILL_SWARM_H
#define TESTS_SIM_DRILL_SWARM_H

#include "world/world.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SWARM_BROKERS_MAX 7
#define SWARM_SHARDS_MAX 3
#define SWARM_TOPICS_MAX 4
#define SWARM_KEYS_MAX 16

/* Name, as printed, and how many worlds in a hundred have it. */
#define SWARM_FAULTS(X)                                                                            \
    X(SWARM_KILL, "kill", 60)            /* kill -9 of one broker */                               \
    X(SWARM_POWER, "power", 45)          /* power cut of one */                                    \
    X(SWARM_BLACKOUT, "blackout", 25)    /* power cut of several or all at once */                 \
    X(SWARM_CRASH_POINT, "point", 45)    /* a crash in the middle of file operations */            \
    X(SWARM_PAUSE, "pause", 40)          /* SIGSTOP for a while */                                 \
    X(SWARM_PARTITION, "partition", 50)  /* both ways, one broker or a half */                     \
    X(SWARM_ONE_WAY, "oneway", 35)       /* one direction between two brokers */                   \
    X(SWARM_CLIENT_CUT, "clientcut", 25) /* a client loses a broker */                             \
    X(SWARM_RESET, "reset", 35)          /* connections between two hosts */                       \
    X(SWARM_CLOG, "clog", 30)            /* a way stands still, then everything comes */           \
    X(SWARM_SLOW_DISK, "slowdisk", 30)   /* one disk is slow for a while */                        \
    X(SWARM_FULL_DISK, "fulldisk", 15)   /* ENOSPC for a while */                                  \
    X(SWARM_DISK_ERROR, "eio", 20)       /* a write or a read fails once */                        \
    X(SWARM_WALL_JUMP, "jump", 25)       /* a wall clock jumps */                                  \
    X(SWARM_RESTART, "restart", 35)      /* SIGTERM and start again */                             \
    X(SWARM_WIPE, "wipe", 15)            /* a disk is lost */                                      \
    X(SWARM_TOPIC_CHURN, "churn", 40)    /* topics come and go, some under the same name */        \
    X(SWARM_SYNC_ERROR, "syncfails", 25) /* a sync fails once, and its pages count as clean */     \
    X(SWARM_MOVE, "move", 50)            /* replicas and leaders are moved */                      \
    X(SWARM_ROT, "rot", 30)              /* a bit of a closed segment flips */                     \
    X(SWARM_SWAP, "swap", 20)            /* two brokers have each other's data directory */        \
    X(SWARM_COMPACT, "compact", 60)      /* topics are compacted */                                \
    X(SWARM_CONFIGS, "configs", 40)      /* configs of topics change */                            \
    X(SWARM_TRIM, "trim", 40)            /* records are deleted */                                 \
    X(SWARM_JOIN, "join", 30)            /* brokers join the cluster and leave it */               \
    X(SWARM_LOST_WRITE, "lost", 30)      /* a write that was synced never came to the medium */    \
    X(SWARM_STRAY_WRITE, "stray", 30)    /* one went to another place of its file */               \
    X(SWARM_OLD_COPY, "oldcopy", 30)     /* a broker gets a backup of its data directory */        \
    X(SWARM_HASTE, "haste", 5)           /* timers far shorter than those that brokers are         \
                                            shipped with, and clients that never rest */
/* Kinds from these on came later; a half of all seeds has none of the first, and another half none
 * of the second, and is the world it was.  What came last is drawn apart: a seed from before it is
 * the world it was when it is in haste. */
#define SWARM_LATER_FAULTS SWARM_SYNC_ERROR
#define SWARM_LATEST_FAULTS SWARM_COMPACT
#define SWARM_LAST_FAULTS SWARM_HASTE

enum swarm_fault {
#define SWARM_NAME(name, text, percent) name,
    SWARM_FAULTS(SWARM_NAME)
#undef SWARM_NAME
        SWARM_FAULT_KINDS
};

struct swarm_topic {
    uint32_t partitions;
    uint32_t replicas;
    uint32_t segment_bytes;
    int64_t retention_bytes; /* -1: keeps everything */
    /* Where the world compacts topics: */
    uint32_t key_count; /* 0: not this one */
    uint32_t key_bytes;
    uint32_t compacted_segment_bytes;
    uint32_t dirty_percent; /* min.cleanable.dirty.ratio */
    uint32_t min_lag_ms;
    bool deletes_too;      /* cleanup.policy=compact,delete */
    bool keeps_tombstones; /* for longer than the world lasts */
    uint32_t tombstone_ms; /* else: for so long */
};

struct swarm {
    uint64_t seed;
    uint32_t brokers;     /* where brokers come and go: at most */
    uint32_t controllers; /* brokers 1 to this one found the cluster and, unless brokers come and
                             go, vote in the controller group */
    uint32_t shards;
    uint32_t heartbeat_ms;
    uint32_t election_ms;
    uint32_t retention_check_ms;
    uint32_t scrub_ms;
    uint32_t burst_ms; /* of load, before a lull; */
    uint32_t lull_ms;  /* 0: the load goes on and on */
    uint32_t compaction_check_ms;

    uint32_t topic_count;
    struct swarm_topic topics[SWARM_TOPICS_MAX];

    uint32_t producers;
    uint32_t consumers;
    uint32_t members;         /* of the consumer group; 0: there is none */
    uint32_t group_delay_ms;  /* how long its first generation waits for more of them */
    uint32_t produce_mean_ms; /* between batches of one producer */
    uint32_t records_most;    /* of a batch */
    uint32_t record_bytes_most;
    uint32_t window; /* batches of a producer in flight to one partition */

    uint32_t safety_ms;     /* how long faults rage */
    uint32_t fault_mean_ms; /* between two of them */
    bool has[SWARM_FAULT_KINDS];
    struct sim_world_options world;
};

/* Names of faults with commas between, or "". */
bool swarm_names_are_known(const char *names);
/* The seed's world, which has these faults too, where it bears them. */
void swarm_draw(struct swarm *swarm, uint64_t seed, const char *names);
/* Every partition has replicas enough to go on without one of them. */
bool swarm_bears_a_loss(const struct swarm *swarm);
/* Topics made after the number-th of the swarm's are compacted, and have so many keys; 0: are not.
 */
uint32_t swarm_key_count(const struct swarm *swarm, uint32_t number);
uint32_t swarm_key_bytes(const struct swarm *swarm, uint32_t number); /* 0: it has no keys */
const char *swarm_fault_name(enum swarm_fault fault);
/* In one line, with its newline. */
void swarm_print(const struct swarm *swarm, FILE *file);

#endif
