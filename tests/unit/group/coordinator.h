/* SPDX-License-Identifier: Apache-2.0
 *
 * coordinator.h -- a coordinator and a follower of one partition of __consumer_offsets, without a
 * broker: what the leader appends waits in a list until the test commits it to both.
 */
#ifndef TESTS_UNIT_GROUP_COORDINATOR_H
#define TESTS_UNIT_GROUP_COORDINATOR_H

#include "group/group.h"

#define APPENDS_MAX 256

struct pending_append {
    struct buf *batch;
    struct group_write *write;
};

struct coordinator {
    struct group_table *leader;
    struct group_table *follower;
    struct pending_append appends[APPENDS_MAX];
    int append_count;
    int next_unique_id;
    int64_t now_ms;
    bool is_topic_gone;
};

/* initial_delay_ms: of the first rebalance. */
void coordinator_init(struct coordinator *coordinator, int32_t initial_delay_ms);
void coordinator_free(struct coordinator *coordinator);
/* Everything appended is committed, applied by both and answered. */
void coordinator_commit(struct coordinator *coordinator);
/* Everything appended is lost. */
void coordinator_fail(struct coordinator *coordinator, enum wire_error error);
/* Time goes by, in steps of a tick. */
void coordinator_pass(struct coordinator *coordinator, int64_t ms);
/* The follower takes over; the leader follows. */
void coordinator_fail_over(struct coordinator *coordinator);

/* A client's side of a membership: its requests and their answers. */
struct client {
    char name[32];
    char member_id[256];      /* "": none yet */
    const char *instance_id;  /* NULL: dynamic */
    const char *protocols[4]; /* ends with NULL; the metadata is the client's topics */
    const char *topic;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    bool requires_member_id;
    bool can_skip_assignment;
    int32_t generation;

    struct arena arena;
    struct group_join join;
    struct group_sync sync;
    struct group_protocol offered[4];
    struct group_assignment given[16];
    uint8_t metadata[64];
    int joins_open; /* asked and not answered */
    int syncs_open;
};

void client_init(struct client *client, const char *name);
void client_free(struct client *client);
void client_join(struct coordinator *coordinator, struct client *client);
/* As follower. */
void client_sync(struct coordinator *coordinator, struct client *client);
/* As leader: gives every listed member "<topic> for <member name>". */
void client_assign(struct coordinator *coordinator, struct client *client,
                   struct client *const *members, int32_t count);
enum wire_error client_heartbeat(struct coordinator *coordinator, const struct client *client);
enum wire_error client_leave(struct coordinator *coordinator, const struct client *client);
/* The error of the one offset it commits, or -1000 while it is not answered. */
struct client_commit {
    struct group_commit commit;
    struct group_offset offset;
    int error;
};
void client_commit(struct coordinator *coordinator, const struct client *client,
                   struct client_commit *commit, int64_t offset);
int64_t committed(struct group_table *table, const char *topic, int32_t partition);
/* The state of the group that all tests use. */
const char *group_state_text(const struct group_table *table);

#endif
