/* SPDX-License-Identifier: Apache-2.0
 *
 * client_internal.h -- a client's state, for client.c and client_metadata.c only.
 */
#ifndef TESTS_SIM_DRILL_CLIENT_INTERNAL_H
#define TESTS_SIM_DRILL_CLIENT_INTERNAL_H

#include "base/list.h"
#include "drill/client.h"
#include "io/stream.h"

struct client_request {
    struct list_node node;
    struct client_connection *connection;
    struct io_timer timer;
    enum client_api api;
    int16_t version;
    int32_t correlation;
    bool is_sent; /* handed to the stream: some of it may have left */
    struct buf *frame;
    client_done done;
    void *context;
};

struct client_connection {
    struct client *client;
    uint32_t broker;
    struct io_stream *stream; /* NULL: none */
    bool is_open;
    struct list waiting;   /* for the connection to open */
    struct list in_flight; /* oldest first */
};

struct client {
    struct sim_world *world;
    struct io_loop *loop;
    struct prng prng;
    struct history *history;
    struct check_leaders *leaders;
    uint32_t broker_count;
    bool is_wary;
    uint32_t silent_broker; /* the last one that a connection to ended or failed; 0: none */
    int32_t correlation;
    int16_t versions[CLIENT_API_COUNT];
    struct client_connection connections[CLIENT_BROKERS_MAX]; /* by broker id; 0 is nobody */

    /* client_metadata.c */
    struct io_timer refresh_timer;
    bool is_refreshing;
    bool is_refresh_wanted;
    uint32_t leader_of[HISTORY_TOPICS_MAX][HISTORY_PARTITIONS_MAX];
};

void client_metadata_init(struct client *client);
void client_metadata_end(struct client *client);

#endif
