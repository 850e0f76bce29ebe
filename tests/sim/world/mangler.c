/* SPDX-License-Identifier: Apache-2.0
 *
 * mangler.c -- drops, repeats and delays whole RaftFrame requests on a way between two brokers.
 *
 * It puts the stream back together into requests, so a request leaves it whole or not at all; every
 * other request passes in order.  A stream it cannot make sense of passes untouched from there on.
 */
#include "network.h"
#include "own_memory.h"

#include <string.h>

#define LENGTH_BYTES 4
#define HEAD_BYTES 6 /* length and API key */
#define RAFT_FRAME_KEY 1001
#define REQUEST_BYTES_MAX (256u * 1024 * 1024)

/* A frame that others overtake. */
struct late_frame {
    struct list_node node;
    uint32_t overtakers; /* still to come */
    struct sim_packet *packet;
};

struct mangler {
    uint8_t *begun; /* the beginning of a request */
    size_t begun_bytes;
    size_t begun_capacity;
    struct list late;
    bool is_blind;
};

struct mangler *mangler_new(void)
{
    struct mangler *mangler = own_allocate(sizeof *mangler);
    list_init(&mangler->late);
    return mangler;
}

static void late_free(struct late_frame *late)
{
    list_remove(&late->node);
    own_free(late);
}

void mangler_free(struct mangler *mangler)
{
    if (mangler == NULL) {
        return;
    }
    list_for_each(&mangler->late, node)
    {
        struct late_frame *late = container_of(node, struct late_frame, node);
        packet_free(late->packet);
        late_free(late);
    }
    own_free(mangler->begun);
    own_free(mangler);
}

static struct sim_packet *packet_of(const uint8_t *data, size_t length)
{
    struct sim_packet *packet = packet_new(PACKET_DATA, length);
    memcpy(packet->data, data, length);
    return packet;
}

/* A frame has gone out: those it has overtaken may follow. */
static void release_late(struct mangler *mangler, struct net_end *end)
{
    list_for_each(&mangler->late, node)
    {
        struct late_frame *late = container_of(node, struct late_frame, node);
        late->overtakers--;
        if (late->overtakers == 0) {
            end_transmit(end, late->packet);
            late_free(late);
        }
    }
}

static void hold_back(struct mangler *mangler, struct sim_packet *frame)
{
    struct sim_world *world = the_world;
    struct late_frame *late = own_allocate(sizeof *late);
    late->overtakers =
        (uint32_t)sim_between(&world->network_prng, 1, world->options.network.frame_late_most);
    late->packet = frame;
    list_append(&mangler->late, &late->node);
    world->stats.frames_late++;
}

static void mangle(struct mangler *mangler, struct net_end *end, struct sim_packet *frame)
{
    struct sim_world *world = the_world;
    const struct sim_network_options *options = &world->options.network;
    world->stats.frames++;
    if (sim_happens(&world->network_prng, options->frame_drop_ppm)) {
        world->stats.frames_dropped++;
        packet_free(frame);
        return;
    }
    if (options->frame_late_most > 0 &&
        sim_happens(&world->network_prng, options->frame_late_ppm)) {
        hold_back(mangler, frame);
        return;
    }
    end_transmit(end, frame);
    if (sim_happens(&world->network_prng, options->frame_repeat_ppm)) {
        world->stats.frames_repeated++;
        end_transmit(end, packet_of(frame->data, frame->length));
    }
    release_late(mangler, end);
}

/* The length of the request that begins here, its length field included; 0: not known yet. */
static size_t request_bytes(struct mangler *mangler, const uint8_t *data, size_t length)
{
    if (length < HEAD_BYTES) {
        return 0;
    }
    size_t bytes = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
    if (bytes < HEAD_BYTES - LENGTH_BYTES || bytes > REQUEST_BYTES_MAX) {
        mangler->is_blind = true;
        return 0;
    }
    return bytes + LENGTH_BYTES;
}

static void pass_request(struct mangler *mangler, struct net_end *end, struct sim_packet *request)
{
    if ((request->data[4] << 8 | request->data[5]) == RAFT_FRAME_KEY) {
        mangle(mangler, end, request);
    } else {
        end_transmit(end, request);
    }
}

static void begin_request(struct mangler *mangler, const uint8_t *data, size_t length)
{
    if (mangler->begun_bytes + length > mangler->begun_capacity) {
        mangler->begun_capacity = (mangler->begun_bytes + length) * 2;
        mangler->begun = own_reallocate(mangler->begun, mangler->begun_capacity);
    }
    memcpy(mangler->begun + mangler->begun_bytes, data, length);
    mangler->begun_bytes += length;
}

void mangler_send(struct mangler *mangler, struct net_end *end, struct sim_packet *packet)
{
    if (mangler->is_blind) {
        end_transmit(end, packet);
        return;
    }
    if (mangler->begun_bytes == 0 && packet->length > 0 &&
        request_bytes(mangler, packet->data, packet->length) == packet->length) {
        pass_request(mangler, end, packet); /* one whole request, as nearly always */
        return;
    }
    begin_request(mangler, packet->data, packet->length);
    packet_free(packet);
    size_t at = 0;
    for (;;) {
        const uint8_t *data = mangler->begun + at;
        size_t left = mangler->begun_bytes - at;
        size_t length = request_bytes(mangler, data, left);
        if (mangler->is_blind && left > 0) {
            end_transmit(end, packet_of(data, left));
            at += left;
        }
        if (length == 0 || length > left) {
            break;
        }
        pass_request(mangler, end, packet_of(data, length));
        at += length;
    }
    memmove(mangler->begun, mangler->begun + at, mangler->begun_bytes - at);
    mangler->begun_bytes -= at;
}
