/* SPDX-License-Identifier: Apache-2.0
 *
 * stream_test.c -- a simulated connection delivers the bytes that were sent, in order and without a
 * gap, up to where it breaks.
 *
 * Both ends send the same endless pattern in small pieces, so that many packets are on their way
 * when one of them meets a reset, and each compares what it gets with the pattern.
 */
#include "base/assert.h"
#include "io/stream.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SEEDS 200
#define PORT 9000
#define PIECE_BYTES 60
#define PIECE_PAUSE_NS 200000ull
#define RUN_NS 500000000ull
#define CONNECT_MS 1000
#define RESET_PPM 10000

struct side {
    struct io_loop *loop;
    struct io_stream *stream; /* NULL: none, or it is closed */
    struct io_timer timer;
    uint32_t sent;
    uint32_t received;
    uint32_t wrong; /* bytes that were not the next of the pattern */
    bool is_over;   /* it had a stream, which closed */
};

static uint8_t pattern(uint32_t position)
{
    return (uint8_t)(position * 167 + (position >> 8));
}

static void send_piece(struct io_timer *timer)
{
    struct side *side = container_of(timer, struct side, timer);
    if (side->stream == NULL) {
        return;
    }
    struct buf *buf = buf_new(PIECE_BYTES);
    for (; buf->length_bytes < PIECE_BYTES; side->sent++) {
        buf->data[buf->length_bytes++] = pattern(side->sent);
    }
    io_stream_send(side->stream, (struct buf_slice){buf, buf->data, buf->length_bytes});
    buf_release(buf);
    io_timer_start(side->loop, &side->timer, io_now_ns(side->loop) + PIECE_PAUSE_NS);
}

static void on_open(struct io_stream *stream)
{
    struct side *side = io_stream_owner(stream);
    send_piece(&side->timer);
}

static void on_data(struct io_stream *stream)
{
    struct side *side = io_stream_owner(stream);
    size_t length = 0;
    const uint8_t *data = io_stream_input(stream, &length, NULL);
    for (size_t i = 0; i < length; i++, side->received++) {
        side->wrong += data[i] != pattern(side->received);
    }
    io_stream_consume(stream, length);
}

static void on_close(struct io_stream *stream, const char *reason)
{
    struct side *side = io_stream_owner(stream);
    (void)reason;
    side->stream = NULL;
    side->is_over = true;
}

static const struct io_stream_handler handler = {
    .on_open = on_open,
    .on_data = on_data,
    .on_close = on_close,
};

static void on_accept(struct io_listener *listener, struct io_stream *stream)
{
    struct side *side = io_listener_owner(listener);
    side->stream = stream;
    io_stream_adopt(stream, &handler, side);
    send_piece(&side->timer);
}

static struct io_listener *listen_at(struct side *side)
{
    char error[128];
    struct io_listener_options options = {.on_accept = on_accept, .owner = side};
    options.address = (struct io_address){.family = 4, .port = PORT};
    struct io_listener *listener = io_listener_open(side->loop, &options, error, sizeof error);
    assert_non_null(listener);
    return listener;
}

static void connect_to(struct side *side, const struct sim_host *host)
{
    struct io_connect_options options = {
        .host = sim_host_address(host),
        .port = PORT,
        .connect_ms = CONNECT_MS,
    };
    side->stream = io_stream_connect(side->loop, &options, &handler, side);
}

static void side_init(struct side *side, struct sim_host *host)
{
    *side = (struct side){.loop = sim_host_loop(host)};
    io_timer_init(&side->timer, send_piece);
}

static void side_end(struct side *side)
{
    io_timer_stop(side->loop, &side->timer);
    if (side->stream != NULL) {
        io_stream_close(side->stream);
    }
}

static void nothing_is_missing_in_front_of_a_reset(void **state)
{
    (void)state;
    uint32_t resets = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_world_options options = sim_world_options_calm(seed);
        options.network.reset_ppm = RESET_PPM;
        options.network.delay_least_ns = PIECE_PAUSE_NS;
        options.network.delay_most_ns = 5 * PIECE_PAUSE_NS;
        struct sim_world *world = sim_world_new(&options);
        struct side sides[2];
        side_init(&sides[0], sim_host_new(world, 1));
        side_init(&sides[1], sim_host_new(world, 2));
        struct io_listener *listener = listen_at(&sides[1]);
        connect_to(&sides[0], sim_host_at(world, 2));
        assert_true(sim_world_run_until(world, RUN_NS) || sides[0].is_over);
        for (int i = 0; i < 2; i++) {
            resets += sides[i].is_over;
            assert_true(sides[i].received <= sides[1 - i].sent);
            assert_int_equal(sides[i].wrong, 0);
            side_end(&sides[i]);
        }
        io_listener_close(listener);
        (void)sim_world_run_until(world, 2 * RUN_NS);
        assert_null(sim_world_failure(world));
        sim_world_free(world);
    }
    assert_true(resets > SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_missing_in_front_of_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
