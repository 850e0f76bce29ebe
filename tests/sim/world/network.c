/* SPDX-License-Identifier: Apache-2.0
 *
 * network.c -- see network.h.
 */
#include "network.h"

#include "base/assert.h"
#include "kernel.h"
#include "own_memory.h"

#include <string.h>

#define KEEPALIVE_NS                                                                               \
    120000000000ull /* as src/io asks of TCP: 60 s idle, then 4 probes 15 s apart */
#define PORT_FIRST 32768
#define SPARE_PACKET_BYTES 448u

static void packet_arrives(struct sim_event *event);

struct net_end *end_other(struct net_end *end)
{
    struct sim_connection *connection = end->connection;
    return end == &connection->ends[0] ? &connection->ends[1] : &connection->ends[0];
}

/* Short packets that nobody has, for the next ones, of this world or a later one.  Not under the
 * address sanitizer, which must see them go. */
static struct list_node *spare_packets;

static bool packet_is_kept(size_t length)
{
#if defined(__SANITIZE_ADDRESS__)
    (void)length;
    return false;
#else
    return length <= SPARE_PACKET_BYTES;
#endif
}

static struct sim_packet *packet_allocate(size_t length)
{
    if (!packet_is_kept(length)) {
        return own_allocate_raw(sizeof(struct sim_packet) + length);
    }
    struct list_node *node = spare_packets;
    if (node == NULL) {
        return own_allocate_raw(sizeof(struct sim_packet) + SPARE_PACKET_BYTES);
    }
    spare_packets = node->next;
    return container_of(node, struct sim_packet, node);
}

struct sim_packet *packet_new(enum packet_kind kind, size_t length)
{
    struct sim_packet *packet = packet_allocate(length);
    *packet = (struct sim_packet){.kind = kind, .length = length};
    return packet;
}

void packet_free(struct sim_packet *packet)
{
    if (packet_is_kept(packet->length)) {
        packet->node.next = spare_packets;
        spare_packets = &packet->node;
    } else {
        own_free(packet);
    }
}

static void packets_free(struct list *packets)
{
    struct list_node *node = NULL;
    while ((node = list_take_first(packets)) != NULL) {
        packet_free(container_of(node, struct sim_packet, node));
    }
}

static void way_clear(struct net_end *end)
{
    sim_event_cancel(&the_world->events, &end->arrival);
    packets_free(&end->way);
}

static void connection_free(struct sim_connection *connection)
{
    for (int i = 0; i < 2; i++) {
        struct net_end *end = &connection->ends[i];
        way_clear(end);
        packets_free(&end->received);
        if (end->filling != NULL) {
            packet_free(end->filling);
        }
        mangler_free(end->mangler);
        list_remove(&end->node);
    }
    list_remove(&connection->node);
    own_free(connection);
}

/* When nobody has it and nothing is on its way, it goes.  True when it went. */
static bool connection_settle(struct sim_connection *connection)
{
    struct net_end *ends = connection->ends;
    bool is_over = ends[0].is_gone && ends[1].is_gone && list_is_empty(&ends[0].way) &&
                   list_is_empty(&ends[1].way);
    if (is_over) {
        connection_free(connection);
    }
    return is_over;
}

/* ---- Sending ---- */

static struct sim_link *link_between(const struct net_end *from, const struct net_end *to)
{
    return &the_world->links[from->host->number][to->host->number];
}

static void way_schedule(struct net_end *end)
{
    struct list_node *node = list_first(&end->way);
    if (node != NULL && !sim_event_is_scheduled(&end->arrival)) {
        const struct sim_packet *packet = container_of(node, struct sim_packet, node);
        uint64_t at_ns = packet->at_ns > the_world->now_ns ? packet->at_ns : the_world->now_ns;
        sim_event_schedule(&the_world->events, &end->arrival, at_ns);
    }
}

void end_transmit(struct net_end *end, struct sim_packet *packet)
{
    struct sim_world *world = the_world;
    const struct sim_network_options *options = &world->options.network;
    struct prng *prng = &world->network_prng;
    packet->at_ns =
        world->now_ns + sim_between(prng, options->delay_least_ns, options->delay_most_ns);
    if (sim_happens(prng, options->slow_ppm)) {
        packet->at_ns += sim_between(prng, 0, options->slow_most_ns);
    }
    if (packet->at_ns <= end->last_arrival_ns) {
        packet->at_ns = end->last_arrival_ns + 1;
    }
    end->last_arrival_ns = packet->at_ns;
    end->outstanding_bytes += packet->length;
    world->stats.packets++;
    world->stats.bytes += packet->length;
    list_append(&end->way, &packet->node);
    way_schedule(end);
}

void end_send(struct net_end *end, struct sim_packet *packet)
{
    if (end->mangler != NULL && packet->kind == PACKET_DATA) {
        mangler_send(end->mangler, end, packet);
    } else {
        end_transmit(end, packet);
    }
}

void end_send_kind(struct net_end *end, enum packet_kind kind)
{
    end_transmit(end, packet_new(kind, 0));
}

size_t end_room(const struct net_end *end)
{
    size_t window = end->connection->window_bytes;
    return end->outstanding_bytes < window ? window - end->outstanding_bytes : 0;
}

void end_has_read(struct net_end *end, size_t bytes)
{
    struct net_end *sender = end_other(end);
    ensure(sender->outstanding_bytes >= bytes);
    sender->outstanding_bytes -= bytes;
    if (sender->wants_window && end_room(sender) >= end->connection->window_bytes / 2) {
        sender->wants_window = false;
        end_send_kind(end, PACKET_WINDOW);
    }
}

/* ---- Beginning ---- */

static void end_init(struct net_end *end, struct sim_connection *connection, struct sim_host *host)
{
    end->connection = connection;
    end->host = host;
    end->heard_ns = the_world->now_ns;
    end->arrival = (struct sim_event){.kind = SIM_EVENT_ARRIVAL, .run = packet_arrives};
    list_init(&end->received);
    list_init(&end->way);
    list_node_init(&end->listener_node);
    list_append(&host->ends, &end->node);
}

/* 127.0.0.<number>; any other address is nowhere. */
static struct sim_host *host_of_address(const struct io_address *address)
{
    static const uint8_t network[3] = {127, 0, 0};
    if (address->family != 4 || memcmp(address->bytes, network, sizeof network) != 0) {
        return NULL;
    }
    return sim_host_at(the_world, address->bytes[3]);
}

struct net_end *network_dial(struct sim_host *host, struct io_stream *stream,
                             const struct io_address *address)
{
    struct sim_world *world = the_world;
    const struct sim_network_options *options = &world->options.network;
    struct sim_host *to = host_of_address(address);
    if (to == NULL) {
        return NULL;
    }
    struct sim_connection *connection = own_allocate(sizeof *connection);
    connection->window_bytes = (size_t)sim_between(
        &world->network_prng, options->window_least_bytes, options->window_most_bytes);
    list_append(&world->connections, &connection->node);
    end_init(&connection->ends[0], connection, host);
    end_init(&connection->ends[1], connection, to);
    struct net_end *end = &connection->ends[0];
    end->stream = stream;
    if (host->next_port < PORT_FIRST) {
        host->next_port = PORT_FIRST;
    }
    bool parsed = io_address_parse(&end->address, host->address, host->next_port++);
    ensure(parsed);
    connection->ends[1].address = *address;
    connection->ends[1].is_gone = true; /* nobody's before it is accepted */
    world->stats.connections++;
    end_send_kind(end, PACKET_CONNECT);
    return end;
}

/* RaftFrame requests travel from the dialling broker to the peer port of the dialled one. */
static void consider_mangler(struct sim_connection *connection)
{
    const struct net_end *dialled = &connection->ends[1];
    const struct sim_process *process = dialled->host->process;
    if (connection->ends[0].host->process != NULL && process != NULL && process->config != NULL &&
        process->config->peer_port == dialled->address.port) {
        connection->ends[0].mangler = mangler_new();
    }
}

/* ---- Arriving ---- */

static void end_tell(struct net_end *end)
{
    if (end->stream != NULL) {
        stream_network_news(end->stream);
    }
}

void end_break(struct net_end *end, const char *reason)
{
    if (end->broken == NULL && !end->is_gone) {
        end->broken = reason;
        if (end->listener != NULL) {
            listener_forget(end);
            end->is_gone = true;
        }
        end_tell(end);
    }
}

static void arrive_connect(struct net_end *to)
{
    struct net_end *from = end_other(to);
    struct io_listener *listener =
        from->is_gone ? NULL : listener_find(to->host, to->address.port, &the_world->network_prng);
    if (listener == NULL) {
        end_send_kind(to, PACKET_REFUSED);
        return;
    }
    to->is_gone = false;
    to->is_open = true;
    consider_mangler(to->connection);
    listener_queue(listener, to);
    end_send_kind(to, PACKET_ACCEPTED);
}

static void arrive(struct net_end *to, struct sim_packet *packet)
{
    switch (packet->kind) {
    case PACKET_CONNECT:
        arrive_connect(to);
        break;
    case PACKET_ACCEPTED:
        to->is_open = true;
        end_tell(to);
        break;
    case PACKET_REFUSED:
        end_break(to, "connection refused");
        break;
    case PACKET_DATA:
        if (to->broken != NULL) {
            break; /* what was sent behind a reset is not received, or there would be a gap */
        }
        list_append(&to->received, &packet->node);
        end_tell(to);
        return;
    case PACKET_WINDOW:
        end_tell(to);
        break;
    case PACKET_FINISH:
        to->peer_finished = true;
        end_tell(to);
        break;
    case PACKET_RESET:
        end_break(to, "connection reset");
        break;
    }
    packet_free(packet);
}

/* Nobody is there to take it: what asks for an answer gets a reset. */
static void arrive_nowhere(struct net_end *to, struct sim_packet *packet)
{
    bool asks = packet->kind == PACKET_DATA || packet->kind == PACKET_FINISH ||
                packet->kind == PACKET_ACCEPTED;
    bool is_known = packet->kind == PACKET_FINISH && to->has_finished;
    packet_free(packet);
    if (asks && !is_known) {
        end_send_kind(to, PACKET_RESET);
    }
}

static void way_take(struct net_end *from, struct net_end *to)
{
    struct sim_world *world = the_world;
    struct list_node *node = list_take_first(&from->way);
    ensure(node != NULL);
    struct sim_packet *packet = container_of(node, struct sim_packet, node);
    world_digest(world, (uint64_t)packet->kind << 48 ^ (uint64_t)packet->length << 16 ^
                            from->host->number << 8 ^ to->host->number);
    to->heard_ns = world->now_ns;
    if (packet->kind == PACKET_DATA &&
        sim_happens(&world->network_prng, world->options.network.reset_ppm)) {
        world->stats.resets++;
        packet_free(packet);
        end_break(from, "connection reset");
        end_break(to, "connection reset");
    } else if (to->is_gone && packet->kind != PACKET_CONNECT) {
        arrive_nowhere(to, packet);
    } else {
        arrive(to, packet);
    }
    way_schedule(from);
}

/* Behind a cut, or before a host without power, packets wait as TCP repeats them; those of a sender
 * that is gone itself are lost. */
static void packet_arrives(struct sim_event *event)
{
    struct net_end *from = container_of(event, struct net_end, arrival);
    struct net_end *to = end_other(from);
    struct sim_connection *connection = from->connection;
    const struct sim_link *link = link_between(from, to);
    if (link->is_cut || !host_has_power(to->host)) {
        if (from->is_gone && (from->is_silent || to->is_gone)) {
            way_clear(from);
            connection_settle(connection);
        }
        return;
    }
    if (link->clogged_until_ns > the_world->now_ns) {
        sim_event_schedule(&the_world->events, event, link->clogged_until_ns);
        return;
    }
    way_take(from, to);
    connection_settle(connection);
}

void network_restart_ways(struct sim_world *world)
{
    list_for_each(&world->connections, node)
    {
        struct sim_connection *connection = container_of(node, struct sim_connection, node);
        for (int i = 0; i < 2; i++) {
            struct net_end *end = &connection->ends[i];
            struct list_node *first = list_first(&end->way);
            if (first != NULL && !sim_event_is_scheduled(&end->arrival)) {
                struct sim_packet *packet = container_of(first, struct sim_packet, node);
                packet->at_ns = world->now_ns + sim_between(&world->network_prng,
                                                            world->options.network.delay_least_ns,
                                                            world->options.network.delay_most_ns);
                way_schedule(end);
            }
        }
    }
}

/* ---- Ending ---- */

static void end_leave(struct net_end *end)
{
    end->is_gone = true;
    end->stream = NULL;
    if (end->listener != NULL) {
        listener_forget(end);
    }
    packets_free(&end->received);
}

void end_close(struct net_end *end)
{
    bool has_unread = !list_is_empty(&end->received);
    end_leave(end);
    if (end->is_open && end->broken == NULL) {
        if (has_unread) {
            end_send_kind(end, PACKET_RESET);
        } else if (!end->has_finished) {
            end->has_finished = true;
            end_send_kind(end, PACKET_FINISH);
        }
    } else if (!end->is_open) {
        way_clear(end); /* the kernel asks no more */
    }
    connection_settle(end->connection);
}

void end_vanish(struct net_end *end)
{
    end_leave(end);
    end->is_silent = true;
    connection_settle(end->connection);
}

void kernel_close_ends(struct sim_host *host, bool in_silence)
{
    list_for_each(&host->ends, node)
    {
        struct net_end *end = container_of(node, struct net_end, node);
        if (end->is_gone) {
            continue;
        }
        /* Closing may free the other end too, which is in the list of another host, or of this
         * one when a process talks to itself. */
        if (node_next != &host->ends.head &&
            container_of(node_next, struct net_end, node)->connection == end->connection) {
            node_next = node_next->next;
        }
        if (in_silence) {
            end_vanish(end);
        } else {
            end_close(end);
        }
    }
}

/* ---- Silence ---- */

static bool connection_is_silent(struct sim_connection *connection)
{
    struct net_end *ends = connection->ends;
    return link_between(&ends[0], &ends[1])->is_cut || link_between(&ends[1], &ends[0])->is_cut ||
           !host_has_power(ends[0].host) || !host_has_power(ends[1].host);
}

static void give_up_the_silent(void *context)
{
    struct sim_world *world = context;
    list_for_each(&world->connections, node)
    {
        struct sim_connection *connection = container_of(node, struct sim_connection, node);
        for (int i = 0; i < 2 && connection_is_silent(connection); i++) {
            struct net_end *end = &connection->ends[i];
            if (!end->is_gone && end->heard_ns + KEEPALIVE_NS <= world->now_ns) {
                end_break(end, "timed out");
            }
        }
    }
}

void network_watch_silence(struct sim_world *world)
{
    sim_world_schedule(world, world->now_ns + KEEPALIVE_NS, give_up_the_silent, world);
}

void network_free(struct sim_world *world)
{
    list_for_each(&world->connections, node)
    {
        connection_free(container_of(node, struct sim_connection, node));
    }
}

/* ---- The tests' hand ---- */

static struct sim_link *link_of(struct sim_world *world, uint32_t from, uint32_t to)
{
    require(from <= SIM_HOSTS_MAX && to <= SIM_HOSTS_MAX && from != to);
    return &world->links[from][to];
}

void sim_network_cut(struct sim_world *world, uint32_t from, uint32_t to)
{
    link_of(world, from, to)->is_cut = true;
    network_watch_silence(world);
}

void sim_network_heal(struct sim_world *world, uint32_t from, uint32_t to)
{
    link_of(world, from, to)->is_cut = false;
    network_restart_ways(world);
}

void sim_network_heal_all(struct sim_world *world)
{
    memset(world->links, 0, sizeof world->links);
    network_restart_ways(world);
}

bool sim_network_is_cut(const struct sim_world *world, uint32_t from, uint32_t to)
{
    require(from <= SIM_HOSTS_MAX && to <= SIM_HOSTS_MAX);
    return world->links[from][to].is_cut;
}

void sim_network_clog(struct sim_world *world, uint32_t from, uint32_t to, uint64_t until_ns)
{
    link_of(world, from, to)->clogged_until_ns = until_ns;
}

uint32_t sim_network_reset(struct sim_world *world, uint32_t one, uint32_t other)
{
    uint32_t count = 0;
    list_for_each(&world->connections, node)
    {
        struct sim_connection *connection = container_of(node, struct sim_connection, node);
        uint32_t from = connection->ends[0].host->number;
        uint32_t to = connection->ends[1].host->number;
        if ((from == one && to == other) || (from == other && to == one)) {
            end_break(&connection->ends[0], "connection reset");
            end_break(&connection->ends[1], "connection reset");
            count++;
        }
    }
    world->stats.resets += count;
    return count;
}

void sim_network_set_options(struct sim_world *world, const struct sim_network_options *options)
{
    world->options.network = *options;
}

void sim_network_stats(const struct sim_world *world, struct sim_network_stats *stats)
{
    *stats = world->stats;
}
