/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes.h -- a few replica managers in one thread, each with a directory of its own, connected over
 * loopback TCP; and an applier that counts what it is given.
 *
 * Nothing here sleeps: nodes_run_until() turns the loop until a condition holds, and fails the test
 * after a generous deadline.
 */
#ifndef TEST_NODES_H
#define TEST_NODES_H

#include "io/shard.h"
#include "replica/replica.h"

#include <stdbool.h>
#include <stdint.h>

#define NODES_MAX 4
#define NODES_LEARNER_BYTES_PER_SECOND 100000
#define NODE_GROUPS_MAX 64

struct nodes;

/* A state machine: how many batches, and a checksum over all of them in order. */
struct counting_applier {
    struct applier applier;
    uint64_t batches;
    uint32_t checksum;
    uint64_t next_offset; /* the next batch must stand here */
    uint64_t high_watermark;
    uint64_t saved_offset;
    uint32_t standings;   /* how often it was told */
    uint32_t proposables; /* likewise */
    uint32_t resets;
    uint32_t restores;
    bool refuses_restore;
    struct applier_standing standing;
};

struct node_link {
    struct nodes *nodes;
    uint32_t node; /* index of the node whose stream this is */
    uint32_t peer; /* broker id at the other end; 0 not known yet */
    struct io_stream *stream;
    bool is_attached;
    bool is_used;
};

struct node {
    struct nodes *nodes;
    uint32_t broker_id;
    char directory[64];
    struct replica_manager *manager; /* NULL: stopped */
    struct io_listener *listener;
    uint16_t port;
    struct counting_applier appliers[NODE_GROUPS_MAX]; /* by group id % NODE_GROUPS_MAX */
    struct replica_group *groups[NODE_GROUPS_MAX];
    enum replica_result start_result;
    enum replica_result stop_result;
    uint32_t starts_answered;
    uint32_t stops_answered;
    bool is_stopped;
    uint32_t disk_failures;
    bool is_cut_off; /* its links stay down */
};

struct nodes {
    struct shards *shards;
    struct io_loop *loop;
    uint32_t count;
    struct node node[NODES_MAX];
    struct node_link links[64];
    struct uuid cluster_id;

    bool (*condition)(struct nodes *nodes);
    struct io_turn_hook hook;
    struct io_timer deadline;
    bool timed_out;

    /* For conditions. */
    uint64_t group_id;
    uint64_t wanted;
};

/* Runs a shell command, which must succeed (copying and moving directory trees). */
void nodes_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

void nodes_begin(struct nodes *nodes, uint32_t count);
void nodes_end(struct nodes *nodes);

void nodes_start_manager(struct nodes *nodes, uint32_t index);
/* Orderly, to the end. */
void nodes_stop_manager(struct nodes *nodes, uint32_t index);
/* Links to and from a node go down, as when its process died; or come back. */
void nodes_cut_off(struct nodes *nodes, uint32_t index);
void nodes_connect(struct nodes *nodes);

/* A spec whose members are the first `voters` nodes. */
struct replica_group_spec nodes_spec(struct nodes *nodes, uint32_t index, uint64_t group_id,
                                     uint32_t voters);
/* Starts and waits for the answer. */
enum replica_result nodes_start_group(struct nodes *nodes, uint32_t index,
                                      const struct replica_group_spec *spec);
enum replica_result nodes_stop_group(struct nodes *nodes, uint32_t index, uint64_t group_id,
                                     bool delete_data);

void nodes_run_until(struct nodes *nodes, bool (*condition)(struct nodes *nodes));
/* Index of the ready leader of nodes->group_id, or NODES_MAX. */
uint32_t nodes_leader(struct nodes *nodes);
bool nodes_have_leader(struct nodes *nodes);
/* Every running replica of nodes->group_id has applied nodes->wanted batches. */
bool nodes_have_applied(struct nodes *nodes);
/* Proposes batches of one record of size bytes at the leader, as fast as it takes them, until
 * nodes->wanted are applied everywhere. */
void nodes_write(struct nodes *nodes, uint64_t group_id, uint64_t batches, int32_t size);
/* Proposes one batch at a node that leads; whether it was taken. */
bool nodes_propose(struct nodes *nodes, uint32_t index, uint64_t group_id, int32_t size);
struct counting_applier *nodes_applier(struct nodes *nodes, uint32_t index, uint64_t group_id);
struct replica_group *nodes_group(struct nodes *nodes, uint32_t index, uint64_t group_id);
/* All running replicas of the group hold the same state. */
void nodes_assert_equal(struct nodes *nodes, uint64_t group_id);

#endif
