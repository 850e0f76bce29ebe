/* SPDX-License-Identifier: Apache-2.0
 *
 * network.h -- connections between hosts: packets in order, each on its way for a while, windows,
 * and the ends a connection can come to.  What a kernel knows of TCP; stream.c is the process's
 * side of it.  Not for tests.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_NETWORK_H
#define TESTS_SIM_WORLD_NETWORK_H

#include "internal.h"
#include "io/stream.h"

struct mangler;
struct sim_connection;

enum packet_kind {
    PACKET_CONNECT,
    PACKET_ACCEPTED,
    PACKET_REFUSED,
    PACKET_DATA,
    PACKET_WINDOW, /* there is room again */
    PACKET_FINISH, /* nothing more comes */
    PACKET_RESET,
};

struct sim_packet {
    struct list_node node;
    enum packet_kind kind;
    uint64_t at_ns; /* when it arrives */
    size_t length;
    size_t read; /* bytes the receiver has taken */
    uint8_t data[];
};

/* One end of a connection, and the way from it to the other end. */
struct net_end {
    struct list_node node; /* host->ends */
    struct sim_connection *connection;
    struct sim_host *host;
    struct io_address address;
    struct io_stream *stream;     /* NULL: waits to be accepted, or the process has closed it */
    struct io_listener *listener; /* whose queue it waits in, or NULL */
    struct list_node listener_node;
    bool is_open;      /* connected, as far as this end knows */
    bool is_gone;      /* no process has it (any more) */
    bool is_silent;    /* gone with the power: no packet of it will be repeated */
    bool has_finished; /* has sent PACKET_FINISH */
    bool peer_finished;
    const char *broken; /* why it failed; NULL: it did not */

    struct list received; /* struct sim_packet, not read yet */
    uint64_t heard_ns;    /* when the last packet came */

    struct sim_packet
        *filling;    /* being filled, perhaps from a file, where its process may end; or NULL */
    struct list way; /* struct sim_packet */
    struct sim_event arrival;
    uint64_t last_arrival_ns;
    size_t outstanding_bytes; /* sent and not yet read */
    bool wants_window;
    struct mangler *mangler; /* NULL: none on this way */
};

struct sim_connection {
    struct list_node node;  /* world->connections */
    struct net_end ends[2]; /* 0 dialled */
    size_t window_bytes;
    bool knows_mangler; /* whether one is needed was decided */
};

struct net_end *end_other(struct net_end *end);
/* Dials; the answer comes to the stream.  NULL when the address leads nowhere. */
struct net_end *network_dial(struct sim_host *host, struct io_stream *stream,
                             const struct io_address *address);
size_t end_room(const struct net_end *end);
struct sim_packet *packet_new(enum packet_kind kind, size_t length);
void packet_free(struct sim_packet *packet);
/* Takes the packet over.  length is at most end_room(). */
void end_send(struct net_end *end, struct sim_packet *packet);
void end_transmit(struct net_end *end, struct sim_packet *packet); /* past the mangler */
void end_send_kind(struct net_end *end, enum packet_kind kind);
/* The process has taken so many bytes of what was received. */
void end_has_read(struct net_end *end, size_t bytes);
/* The process closes: the peer is told in the way of TCP.  The end is not to be used any more. */
void end_close(struct net_end *end);
void end_vanish(struct net_end *end); /* the power went */
void end_break(struct net_end *end, const char *reason);
void network_restart_ways(struct sim_world *world); /* something was healed */
void network_free(struct sim_world *world);
/* After so long without a sign, a connection over a cut is given up. */
void network_watch_silence(struct sim_world *world);

/* ---- listener.c ---- */
struct io_listener *listener_find(struct sim_host *host, uint16_t port, struct prng *prng);
void listener_queue(struct io_listener *listener, struct net_end *end);
void listener_forget(struct net_end *end); /* it broke before it was accepted */
void listener_offer(struct io_listener *listener, struct io_stream *stream);

/* ---- stream.c ---- */
void stream_network_news(struct io_stream *stream); /* something arrived, or room came */
void stream_accept(struct io_listener *listener, struct io_loop *loop, struct net_end *end);

/* ---- mangler.c ---- */
struct mangler *mangler_new(void);
void mangler_free(struct mangler *mangler); /* accepts NULL */
/* Takes the packet over; sends what comes out of it by end_transmit(). */
void mangler_send(struct mangler *mangler, struct net_end *end, struct sim_packet *packet);

#endif
