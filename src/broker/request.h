/* SPDX-License-Identifier: Apache-2.0
 *
 * request.h -- one request from the moment its frame is whole until its answer is queued, and the
 * table of request configurations that says for every request type who serves it and who may send
 * it.
 *
 * A handler decodes the body, does or starts its work and, at once or in a later turn, calls
 * request_respond() exactly once (or request_drop()).  The request and its arena live until then.
 * It may come from a client connection, from a peer connection, or out of a forwarded request;
 * handlers do not see the difference.
 *
 * Locality: the shard whose connection it came by.
 */
#ifndef BROKER_REQUEST_H
#define BROKER_REQUEST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "wire/cursor.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard; /* broker/broker.h */
struct io_address;   /* io/stream.h */
struct request;

/* Kafka's types in the table, and from 1000 upward ours. */
enum request_type {
    REQUEST_PRODUCE = 0,
    REQUEST_FETCH = 1,
    REQUEST_LIST_OFFSETS = 2,
    REQUEST_METADATA = 3,
    REQUEST_OFFSET_COMMIT = 8,
    REQUEST_OFFSET_FETCH = 9,
    REQUEST_FIND_COORDINATOR = 10,
    REQUEST_JOIN_GROUP = 11,
    REQUEST_HEARTBEAT = 12,
    REQUEST_LEAVE_GROUP = 13,
    REQUEST_SYNC_GROUP = 14,
    REQUEST_DESCRIBE_GROUPS = 15,
    REQUEST_LIST_GROUPS = 16,
    REQUEST_API_VERSIONS = 18,
    REQUEST_CREATE_TOPICS = 19,
    REQUEST_DELETE_TOPICS = 20,
    REQUEST_DELETE_RECORDS = 21,
    REQUEST_INIT_PRODUCER_ID = 22,
    REQUEST_OFFSET_FOR_LEADER_EPOCH = 23,
    REQUEST_DESCRIBE_CONFIGS = 32,
    REQUEST_ALTER_CONFIGS = 33,
    REQUEST_ALTER_REPLICA_LOG_DIRS = 34,
    REQUEST_DESCRIBE_LOG_DIRS = 35,
    REQUEST_CREATE_PARTITIONS = 37,
    REQUEST_DELETE_GROUPS = 42,
    REQUEST_ELECT_LEADERS = 43,
    REQUEST_INCREMENTAL_ALTER_CONFIGS = 44,
    REQUEST_ALTER_PARTITION_REASSIGNMENTS = 45,
    REQUEST_LIST_PARTITION_REASSIGNMENTS = 46,
    REQUEST_OFFSET_DELETE = 47,
    REQUEST_DESCRIBE_QUORUM = 55,
    REQUEST_DESCRIBE_CLUSTER = 60,
    REQUEST_DESCRIBE_PRODUCERS = 61,
    REQUEST_UNREGISTER_BROKER = 64,
    REQUEST_DESCRIBE_TRANSACTIONS = 65,
    REQUEST_LIST_TRANSACTIONS = 66,
    REQUEST_LIST_CONFIG_RESOURCES = 74,
    REQUEST_DESCRIBE_TOPIC_PARTITIONS = 75,
    REQUEST_PEER_HELLO = 1000,
    REQUEST_RAFT_FRAME = 1001,
    REQUEST_FORWARD = 1002,
    REQUEST_START_PARTITION_RAFT_GROUP = 1003,
    REQUEST_STOP_PARTITION_RAFT_GROUP = 1004,
    REQUEST_ANNOUNCE_LEADERS = 1005,
    REQUEST_REGISTER_BROKER = 1006,
    REQUEST_ALLOCATE_PRODUCER_IDS = 1007,
    REQUEST_READMIT_REPLICA = 1008,
    REQUEST_FIND_FOUNDERS = 1009,
    REQUEST_RECOMMISSION_BROKER = 1011,
    REQUEST_WITHDRAW_REPLICA = 1012,
    REQUEST_COMPLETE_REASSIGNMENT = 1013,
    REQUEST_PASS_LEAD = 1014,
    REQUEST_PEER_PING = 1015,
    REQUEST_TELL_COMPACTED = 1016,
    REQUEST_AWAIT_METADATA = 1017,
};

#define REQUEST_FIRST_PEER_TYPE 1000

enum request_class {
    REQUEST_METADATA_READ,  /* answered from this broker's copy of the metadata */
    REQUEST_METADATA_WRITE, /* runs on the controller leader; forwarded to it from elsewhere */
    REQUEST_DATA,           /* answered by the leaders of its partitions */
    REQUEST_CONTROLLER,     /* between brokers, served by the controller leader */
    REQUEST_INTER_BROKER,   /* between brokers; refused on a client listener */
};

typedef void (*request_handler)(struct request *request);

/* One row of the table (request_table.c). */
struct request_configuration {
    int16_t type; /* Kafka's API key; from 1000 upward ours */
    const char *name;
    enum request_class class;
    int16_t version_least; /* what is served */
    int16_t version_most;
    int16_t version_advertised_least; /* what ApiVersions says (Produce: 0 although 3 is served) */
    int16_t version_flexible;         /* first flexible version; INT16_MAX: none */
    request_handler handler;
};

/* NULL: unknown type. */
const struct request_configuration *request_configuration_find(int16_t type);
size_t request_configuration_count(void);
const struct request_configuration *request_configuration_at(size_t position);

struct request {
    struct list_node node; /* its connection's queue of unanswered requests, in order */
    struct broker_shard *shard;
    const struct request_configuration *configuration;
    int16_t version;
    int32_t correlation_id;
    struct wire_string client_id;            /* bytes as sent; points into frame */
    const struct io_address *client_address; /* its connection's; NULL: it came by none */
    struct buf *frame;                       /* holds the body; a reference */
    uint8_t *body;                           /* writable: produced batches are stamped in place */
    size_t body_length;
    struct arena arena;      /* for decoding and whatever lives as long as the request */
    uint32_t peer_broker_id; /* the authenticated broker it came from; 0: a client */
    uint64_t received_ns;
    bool wants_no_response;  /* Produce with acks=0: request_respond() then only ends it */
    bool connection_is_gone; /* nobody waits any more; waiting handlers may give up early */
    void *state;             /* the handler's own, freed by it before it responds */
    /* Set by a handler that waits long: the connection is gone, so it may end now.  It still
     * responds. */
    void (*abandoned)(struct request *request);
    const char *drop_reason; /* why request_drop() or request_malformed() ended it */
    bool is_malformed;       /* the sender's fault */

    /* Set by whoever made the request (connection, nested request): takes over the answer and frees
     * the request.  body NULL: no answer; with close_connection because there cannot be one. */
    void (*finish)(struct request *request, struct wire_writer *body, bool close_connection);
    void *finish_owner;
};

/* Runs the request where it belongs: its handler, or for a metadata write the handler on the
 * controller leader, whose answer then is this request's. */
void request_dispatch(struct request *request);

/* A cursor over the body with the request's arena. */
struct wire_cursor request_cursor(struct request *request);
/* Nothing was wrong, and nothing is left over.  Of a client's request the rest is let pass, as
 * Kafka does: librdkafka (seen in 2.0) ends several flexible requests with a tag section too many.
 */
bool request_body_ends(const struct request *request, struct wire_cursor *cursor);
/* Decoding failed: logs what and where, counts it and closes the connection. */
void request_malformed(struct request *request, const struct wire_cursor *cursor);
/* Answers with the encoded body (header not included); takes over the writer's contents.  Payloads
 * of splices are struct log_fetched of which the request's arena holds the memory and the answer
 * the references. */
void request_respond(struct request *request, struct wire_writer *body);
/* Served, and nothing to answer (requests between brokers that only tell). */
void request_end(struct request *request);
/* No answer at all: the connection is closed (acks=0 that failed, undecodable input). */
void request_drop(struct request *request, const char *reason);

#endif
