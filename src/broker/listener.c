/* SPDX-License-Identifier: Apache-2.0
 *
 * listener.c -- see listener.h.
 */
#include "broker/listener.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/peer_presence.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HANDSHAKE_MS 5000
#define PEER_CONNECTIONS_MAX 4096 /* strangers are refused before they count */

void listener_release_slot(struct broker_shard *shard, uint32_t slot)
{
    admission_leave(&shard->broker->admission, slot);
}

void listener_peer_gone(struct broker_shard *shard, const struct connection_peer *peer)
{
    peer_presence_left(shard->presence, peer);
}

/* ---- The client door ---- */

/* The last quarter of the descriptors is for segments and brokers: a log that cannot begin its next
 * file ends the broker. */
static bool admit_client(struct io_listener *listener, const struct io_address *peer)
{
    struct broker_shard *shard = io_listener_owner(listener);
    if (io_listener_is_scarce(listener) ||
        !admission_enter(&shard->broker->admission, admission_slot(peer),
                         shard->limits.connections_max,
                         shard->limits.connections_per_address_max)) {
        counter_add(&shard->stats.connections_refused, 1);
        return false;
    }
    return true;
}

static void accept_client(struct io_listener *listener, struct io_stream *stream)
{
    connection_accept(io_listener_owner(listener), stream, false,
                      admission_slot(io_stream_peer_address(stream)));
}

static void client_refused(struct io_listener *listener, const struct io_address *peer,
                           const char *reason)
{
    (void)reason;
    struct broker_shard *shard = io_listener_owner(listener);
    listener_release_slot(shard, admission_slot(peer));
}

/* ---- The brokers' door ---- */

void listener_report_unauthorized(struct broker_shard *shard, const struct io_address *peer,
                                  const char *check, const char *detail)
{
    uint64_t missed = 0;
    counter_add(&shard->stats.inter_broker_unauthorized, 1);
    if (!line_limit_allows(&shard->unauthorized_lines, io_now_ns(shard->loop), &missed)) {
        return;
    }
    if (missed > 0) {
        trace_warn("%" PRIu64 " more unauthorized inter-broker requests", missed);
    }
    char address[IO_ADDRESS_TEXT_SIZE];
    io_address_format(peer, address);
    trace_warn("unauthorized inter-broker request from %s: %s%s%s", address, check,
               detail[0] != '\0' ? ": " : "", detail);
}

static bool admit_peer(struct io_listener *listener, const struct io_address *peer)
{
    struct broker_shard *shard = io_listener_owner(listener);
    if (!peer_guard_admits_address(&shard->broker->guard, peer)) {
        listener_report_unauthorized(shard, peer, peer_guard_text(PEER_GUARD_ADDRESS), "");
        return false;
    }
    /* Not counted against the clients' limits: clients must not be able to shut brokers out. */
    if (!admission_enter(&shard->broker->admission, admission_slot(peer),
                         shard->limits.connections_max + PEER_CONNECTIONS_MAX,
                         shard->limits.connections_per_address_max + PEER_CONNECTIONS_MAX)) {
        counter_add(&shard->stats.connections_refused, 1);
        return false;
    }
    return true;
}

static void accept_peer(struct io_listener *listener, struct io_stream *stream)
{
    connection_accept(io_listener_owner(listener), stream, true,
                      admission_slot(io_stream_peer_address(stream)));
}

static void peer_refused(struct io_listener *listener, const struct io_address *peer,
                         const char *reason)
{
    struct broker_shard *shard = io_listener_owner(listener);
    listener_report_unauthorized(shard, peer, "certificate", reason);
    listener_release_slot(shard, admission_slot(peer));
}

/* ---- Opening and closing ---- */

static bool listen_address(struct io_address *address, const char *host, uint16_t port,
                           const char *key, char *error, size_t error_size)
{
    const char *literal = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (!io_address_parse(address, literal, port)) {
        snprintf(error, error_size, "%s: '%.100s' is not an IP address to listen on", key, host);
        return false;
    }
    return true;
}

static bool open_client_door(struct broker_shard *shard, char *error, size_t error_size)
{
    struct broker *broker = shard->broker;
    struct io_listener_options options = {
        .share_port = broker->shard_count > 1,
        .handshake_ms = HANDSHAKE_MS,
        .admit = admit_client,
        .on_accept = accept_client,
        .on_refused = client_refused,
        .owner = shard,
    };
    if (!listen_address(&options.address, shard->config->kafka_host, broker->kafka_port,
                        "kafka_listener", error, error_size)) {
        return false;
    }
    if (options.share_port && options.address.port != 0 && broker_shard_id(shard) == 0) {
        /* A shared port would let another process listen beside us: ask once for it alone. */
        struct io_listener_options alone = options;
        alone.share_port = false;
        struct io_listener *probe = io_listener_open(shard->loop, &alone, error, error_size);
        if (probe == NULL) {
            return false;
        }
        io_listener_close(probe);
    }
    shard->client_listener = io_listener_open(shard->loop, &options, error, error_size);
    if (shard->client_listener == NULL) {
        return false;
    }
    broker->kafka_port = io_listener_address(shard->client_listener).port;
    return true;
}

static bool open_peer_door(struct broker_shard *shard, char *error, size_t error_size)
{
    struct broker *broker = shard->broker;
    struct io_listener_options options = {
        .tls = broker->peer_tls,
        .handshake_ms = HANDSHAKE_MS,
        .admit = admit_peer,
        .on_accept = accept_peer,
        .on_refused = peer_refused,
        .owner = shard,
    };
    if (!listen_address(&options.address, shard->config->peer_host, broker->peer_port,
                        "peer_listener", error, error_size)) {
        return false;
    }
    if (broker->peer_tls == NULL && !io_address_is_loopback(&options.address) &&
        !shard->config->allow_insecure) {
        snprintf(error, error_size,
                 "peer_listener %s is not a loopback address and no TLS is configured between "
                 "brokers",
                 shard->config->peer_host);
        return false;
    }
    shard->peer_listener = io_listener_open(shard->loop, &options, error, error_size);
    if (shard->peer_listener == NULL) {
        return false;
    }
    broker->peer_port = io_listener_address(shard->peer_listener).port;
    return true;
}

bool listener_open_all(struct broker_shard *shard, char *error, size_t error_size)
{
    return open_client_door(shard, error, error_size) &&
           (broker_shard_id(shard) != 0 || open_peer_door(shard, error, error_size));
}

void listener_close_all(struct broker_shard *shard)
{
    if (shard->client_listener != NULL) {
        io_listener_close(shard->client_listener);
        shard->client_listener = NULL;
    }
    if (shard->peer_listener != NULL) {
        io_listener_close(shard->peer_listener);
        shard->peer_listener = NULL;
    }
}
