/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_growth.h -- new topics, and new partitions of topics, as the controller leader makes them.
 *
 * Each topic of the request is committed to the controller log in its turn, the Raft groups it got
 * are started on all brokers side by side, and the answer leaves when every new partition has a
 * leader and every live broker knows them, or the client's time is over.  Not here: what is asked
 * for and how it is answered (api_create_topics.c, api_create_partitions.c).
 *
 * Locality: shard 0.
 */
#ifndef BROKER_TOPIC_GROWTH_H
#define BROKER_TOPIC_GROWTH_H

#include "base/arena.h"
#include "base/uuid.h"
#include "broker/metadata_wait.h"
#include "broker/proposal_line.h"
#include "cluster/cluster.h"
#include "wire/cursor.h"

#include <stdbool.h>
#include <stdint.h>

struct request;
struct topic_growth;

struct topic_growth_item {
    struct topic_growth *growth;
    struct wire_string name;
    struct cluster_problem problem; /* error and message of the answer */
    struct uuid topic_id;           /* of the topic that was changed; zero: none was */
};

/* What differs between the two requests. */
struct topic_growth_kind {
    /* Writes the record of a topic, or sets its problem.  arena: for this plan only. */
    void (*plan)(struct topic_growth *growth, uint32_t position, struct arena *arena,
                 struct wire_writer *record);
    /* Answers the request, which ends the growth. */
    void (*respond)(struct topic_growth *growth);
    const char *refused_message; /* when nothing was committed */
    const char *late_message;    /* when it was, but leaders are missing at the end of the time */
};

/* Embedded in its owner, which lives in the request's arena. */
struct topic_growth {
    struct proposal_line line; /* line.count items */
    const struct topic_growth_kind *kind;
    struct request *request;
    struct topic_growth_item *items;
    bool is_waited_for; /* the client gave a time */
    bool is_committed;  /* not only planned, to see what would come of it */
    bool is_changed;    /* something was committed */
    uint64_t deadline_ns;
    struct metadata_wait wait;
};

/* Makes the items, whose names the caller then fills in.  False: the request has been dropped. */
bool topic_growth_init(struct topic_growth *growth, const struct topic_growth_kind *kind,
                       struct request *request, uint32_t count, int32_t timeout_ms,
                       bool validate_only);
void topic_growth_run(struct topic_growth *growth);

void topic_growth_refuse(struct topic_growth_item *item, enum wire_error error,
                         const char *message);

/* The brokers a client wants the replicas of a partition on; false: too many, or a number that no
 * broker has. */
bool topic_growth_read_replicas(struct cluster_assignment *assignment, const int32_t *broker_ids,
                                int32_t count);

#endif
