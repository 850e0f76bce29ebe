/* SPDX-License-Identifier: Apache-2.0
 *
 * listener.c -- listening ports of a host, and the connections that wait behind them.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "io/stream.h"
#include "kernel.h"
#include "loop_parts.h"
#include "network.h"

#include <stdio.h>

#define ACCEPTS_PER_TURN 64
#define BACKLOG_MAX 1024
#define PORT_LENT_FIRST 20000

struct io_listener {
    struct list_node host_node;
    struct list_node ready_node; /* loop->ready_listeners */
    struct io_loop *loop;
    struct io_listener_options options;
    struct list waiting; /* struct net_end.listener_node */
    uint32_t waiting_count;
    bool is_accepting; /* a handler of ours is running */
    bool is_closed;    /* to be freed when it returns */
};

static bool port_is_taken(const struct sim_host *host, const struct io_listener_options *options)
{
    list_for_each(&host->listeners, node)
    {
        const struct io_listener *listener = container_of(node, struct io_listener, host_node);
        if (listener->options.address.port == options->address.port &&
            !(listener->options.share_port && options->share_port)) {
            return true;
        }
    }
    return false;
}

struct io_listener *io_listener_open(struct io_loop *loop,
                                     const struct io_listener_options *options, char *error,
                                     size_t error_size)
{
    require(options->on_accept != NULL && options->tls == NULL);
    struct sim_host *host = loop->host;
    struct io_listener *listener = memory_allocate_zeroed(sizeof *listener);
    listener->loop = loop;
    listener->options = *options;
    list_init(&listener->waiting);
    list_node_init(&listener->ready_node);
    list_node_init(&listener->host_node);
    if (options->address.port == 0) {
        listener->options.address.port = PORT_LENT_FIRST;
        while (port_is_taken(host, &listener->options)) {
            listener->options.address.port++;
        }
    }
    if (port_is_taken(host, &listener->options)) {
        char address[IO_ADDRESS_TEXT_SIZE];
        snprintf(error, error_size, "cannot listen on %s: address already in use",
                 io_address_format(&options->address, address));
        memory_free(listener);
        return NULL;
    }
    list_append(&host->listeners, &listener->host_node);
    return listener;
}

static void reset_waiting(struct io_listener *listener, bool in_silence)
{
    struct list_node *node = NULL;
    while ((node = list_first(&listener->waiting)) != NULL) {
        struct net_end *end = container_of(node, struct net_end, listener_node);
        if (in_silence) {
            end_vanish(end);
        } else {
            end_send_kind(end, PACKET_RESET);
            end->has_finished = true;
            end_close(end);
        }
    }
}

void io_listener_close(struct io_listener *listener)
{
    require(!listener->is_closed);
    reset_waiting(listener, false);
    list_remove(&listener->host_node);
    list_remove(&listener->ready_node);
    listener->is_closed = true;
    if (!listener->is_accepting) {
        memory_free(listener);
    }
}

void kernel_close_listeners(struct sim_host *host, bool in_silence)
{
    struct list_node *node = NULL;
    while ((node = list_take_first(&host->listeners)) != NULL) {
        reset_waiting(container_of(node, struct io_listener, host_node), in_silence);
    }
}

bool io_listener_is_scarce(const struct io_listener *listener)
{
    (void)listener; /* the world does not run out of descriptors */
    return false;
}

void *io_listener_owner(const struct io_listener *listener)
{
    return listener->options.owner;
}

struct io_address io_listener_address(const struct io_listener *listener)
{
    return listener->options.address;
}

/* Of those that share the port, one by chance, as the kernel's hash does. */
struct io_listener *listener_find(struct sim_host *host, uint16_t port, struct prng *prng)
{
    struct io_listener *found = NULL;
    uint32_t count = 0;
    list_for_each(&host->listeners, node)
    {
        struct io_listener *listener = container_of(node, struct io_listener, host_node);
        if (listener->options.address.port == port) {
            count++;
            if (prng_below(prng, count) == 0) {
                found = listener;
            }
        }
    }
    return found != NULL && found->waiting_count < BACKLOG_MAX ? found : NULL;
}

static void listener_ready(struct io_listener *listener)
{
    if (!list_is_linked(&listener->ready_node)) {
        list_append(&listener->loop->ready_listeners, &listener->ready_node);
    }
    loop_wake(listener->loop);
}

void listener_queue(struct io_listener *listener, struct net_end *end)
{
    end->listener = listener;
    list_append(&listener->waiting, &end->listener_node);
    listener->waiting_count++;
    listener_ready(listener);
}

void listener_forget(struct net_end *end)
{
    list_remove(&end->listener_node);
    end->listener->waiting_count--;
    end->listener = NULL;
}

static void listener_take(struct io_listener *listener, struct net_end *end)
{
    const struct io_listener_options *options = &listener->options;
    listener_forget(end);
    bool is_admitted = options->admit == NULL || options->admit(listener, &end_other(end)->address);
    if (!is_admitted || listener->is_closed) {
        end_close(end);
        return;
    }
    stream_accept(listener, listener->loop, end);
}

static void listener_accept(struct io_listener *listener)
{
    listener->is_accepting = true;
    for (uint32_t i = 0; i < ACCEPTS_PER_TURN && !listener->is_closed; i++) {
        struct list_node *node = list_first(&listener->waiting);
        if (node == NULL) {
            break;
        }
        listener_take(listener, container_of(node, struct net_end, listener_node));
    }
    listener->is_accepting = false;
    if (listener->is_closed) {
        memory_free(listener);
    } else if (!list_is_empty(&listener->waiting)) {
        listener_ready(listener);
        io_loop_again(listener->loop);
    }
}

void listeners_accept(struct io_loop *loop)
{
    struct list ready;
    struct list_node *node = NULL;
    list_init(&ready);
    while ((node = list_take_first(&loop->ready_listeners)) != NULL) {
        list_append(&ready, node);
    }
    while ((node = list_take_first(&ready)) != NULL) {
        listener_accept(container_of(node, struct io_listener, ready_node));
    }
}

void listener_offer(struct io_listener *listener, struct io_stream *stream)
{
    listener->options.on_accept(listener, stream);
}
