/* SPDX-License-Identifier: Apache-2.0
 *
 * client.h -- a Kafka client on a host of the world: connections, requests in flight, and what it
 * believes about who leads.
 *
 * It behaves as real clients do: one connection to each broker, begun when needed and opened with
 * ApiVersions; requests on it are answered in order; a request that is not answered in its time
 * ends the connection, and with it every request on it.  Each client speaks versions of its own,
 * drawn from those that the brokers serve.
 *
 * What is known of a failed request: CLIENT_UNSENT means that not one byte left the host, so
 * nothing happened; CLIENT_LOST leaves its fate open.
 *
 * Not here: what is asked for, retries (their owners': producer.h, consumer.h, ...).
 *
 * Locality: called from the client's loop and from scheduled acts.
 */
#ifndef TESTS_SIM_DRILL_CLIENT_H
#define TESTS_SIM_DRILL_CLIENT_H

#include "drill/history.h"
#include "io/loop.h"
#include "wire/cursor.h"
#include "wire/writer.h"
#include "world/world.h"

#include <stdbool.h>
#include <stdint.h>

#define CLIENT_BROKERS_MAX 8

enum client_result { CLIENT_ANSWERED, CLIENT_UNSENT, CLIENT_LOST };

/* The requests a client of the drill makes. */
#define CLIENT_APIS(X)                                                                             \
    X(CLIENT_PRODUCE, PRODUCE, 3)                                                                  \
    X(CLIENT_FETCH, FETCH, 4)                                                                      \
    X(CLIENT_LIST_OFFSETS, LIST_OFFSETS, 1)                                                        \
    X(CLIENT_METADATA, METADATA, 7)                                                                \
    X(CLIENT_API_VERSIONS, API_VERSIONS, 0)                                                        \
    X(CLIENT_INIT_PRODUCER_ID, INIT_PRODUCER_ID, 0)                                                \
    X(CLIENT_CREATE_TOPICS, CREATE_TOPICS, 7)                                                      \
    X(CLIENT_DELETE_TOPICS, DELETE_TOPICS, 1)                                                      \
    X(CLIENT_FIND_COORDINATOR, FIND_COORDINATOR, 0)                                                \
    X(CLIENT_JOIN_GROUP, JOIN_GROUP, 0)                                                            \
    X(CLIENT_SYNC_GROUP, SYNC_GROUP, 0)                                                            \
    X(CLIENT_HEARTBEAT, HEARTBEAT, 0)                                                              \
    X(CLIENT_LEAVE_GROUP, LEAVE_GROUP, 0)                                                          \
    X(CLIENT_OFFSET_COMMIT, OFFSET_COMMIT, 2)                                                      \
    X(CLIENT_OFFSET_FETCH, OFFSET_FETCH, 1)
/* And those of operators, who speak the newest version. */
#define CLIENT_OPERATOR_APIS(X)                                                                    \
    X(CLIENT_ALTER_REASSIGNMENTS, ALTER_PARTITION_REASSIGNMENTS, 1)                                \
    X(CLIENT_ELECT_LEADERS, ELECT_LEADERS, 1)                                                      \
    X(CLIENT_ALTER_CONFIGS, INCREMENTAL_ALTER_CONFIGS, 1)                                          \
    X(CLIENT_DELETE_RECORDS, DELETE_RECORDS, 2)                                                    \
    X(CLIENT_UNREGISTER_BROKER, UNREGISTER_BROKER, 0)

enum client_api {
#define CLIENT_API_MEMBER(name, prefix, least) name,
    CLIENT_APIS(CLIENT_API_MEMBER) CLIENT_OPERATOR_APIS(CLIENT_API_MEMBER)
#undef CLIENT_API_MEMBER
        CLIENT_API_COUNT
};

struct client;

/* body: positioned behind the response's header, with an arena; NULL unless CLIENT_ANSWERED.
 * Everything decoded is borrowed for the call. */
typedef void (*client_done)(void *context, enum client_result result, struct wire_cursor *body);

/* A client on a new host of that number.  history and leaders (may be NULL) outlive it. */
struct check_leaders;
struct client *client_new(struct sim_world *world, uint32_t host_number, uint32_t broker_count,
                          struct history *history, struct check_leaders *leaders);
/* Requests in flight are forgotten: their done is not called. */
void client_free(struct client *client);

struct io_loop *client_loop(struct client *client);
struct prng *client_prng(struct client *client);
struct history *client_history(struct client *client);
struct sim_world *client_world(struct client *client);

/* The version of an API that this client speaks. */
int16_t client_version(const struct client *client, enum client_api api);
/* Chooses it, before anything is sent. */
void client_speak(struct client *client, enum client_api api, int16_t version);

/* Begins a request; the caller encodes its body into writer, which client_send() takes over. */
void client_begin(struct client *client, enum client_api api, struct wire_writer *writer);
/* done comes exactly once, later. */
void client_send(struct client *client, uint32_t broker, enum client_api api,
                 struct wire_writer *writer, uint32_t timeout_ms, client_done done, void *context);

/* A broker to ask what any broker can answer; drawn anew each time. */
uint32_t client_any_broker(struct client *client);
/* From now on never the one whose connection ended last, as real clients do: it may be dead, and
 * who has to be done in time must not ask it again and again. */
void client_be_wary(struct client *client);
/* Who leads, as far as this client knows; 0: unknown. */
uint32_t client_leader(const struct client *client, uint32_t topic, uint32_t partition);
/* What this client knew turned out wrong: asks for metadata unless it does so already.  knowing:
 * the leader that was wrong is forgotten. */
void client_forget_leader(struct client *client, uint32_t topic, uint32_t partition);
/* Asks for the metadata of all topics that live, unless an answer is under way or came just now. */
void client_refresh(struct client *client);

#endif
