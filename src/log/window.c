/* SPDX-License-Identifier: Apache-2.0
 *
 * window.c -- see window.h.
 */
#include "log/window.h"

#include "base/assert.h"
#include "base/memory.h"
#include "log/scan.h"

#include <errno.h>

#define WINDOW_BYTES ((size_t)256 << 10)

static uint64_t round_down(uint64_t value)
{
    return value / IO_MEDIUM_ALIGNMENT * IO_MEDIUM_ALIGNMENT;
}

static size_t round_up(uint64_t value)
{
    return (size_t)round_down(value + IO_MEDIUM_ALIGNMENT - 1);
}

void log_window_init(struct log_window *window, const struct io_file *file, uint64_t file_size)
{
    *window = (struct log_window){.file = file, .file_size = file_size};
}

void log_window_free(struct log_window *window)
{
    memory_free(window->memory);
    window->memory = NULL;
}

void log_window_forget(struct log_window *window)
{
    window->length = 0;
}

static void make_room(struct log_window *window, size_t wanted)
{
    if (wanted <= window->capacity) {
        return;
    }
    memory_free(window->memory);
    window->memory = memory_allocate(wanted + IO_MEDIUM_ALIGNMENT);
    window->data = (uint8_t *)(uintptr_t)round_up((uintptr_t)window->memory);
    window->capacity = wanted;
}

/* Reads so that [position, position + length) is shown, and more if there is room. */
static int fill(struct log_window *window, uint64_t position, size_t length)
{
    uint64_t from = round_down(position);
    size_t wanted = round_up(position + length - from);
    make_room(window, wanted > WINDOW_BYTES ? wanted : WINDOW_BYTES);
    size_t left = round_up(window->file_size - from);
    size_t count = left < window->capacity ? left : window->capacity;
    size_t done = 0;
    window->length = 0;
    int result = io_file_read(window->file, from, window->data, count, &done);
    if (result != 0) {
        return result;
    }
    window->position = from;
    window->length = done < window->file_size - from ? done : (size_t)(window->file_size - from);
    return from + window->length < position + length ? -EIO : 0;
}

int log_window_show(struct log_window *window, uint64_t position, size_t length,
                    const uint8_t **data)
{
    require(position + length <= window->file_size);
    bool shows =
        position >= window->position && position + length <= window->position + window->length;
    int result = shows ? 0 : fill(window, position, length);
    if (result == 0) {
        *data = window->data + (position - window->position);
    }
    return result;
}

int log_window_batch(struct log_window *window, uint64_t position, struct wire_batch *head)
{
    uint64_t left = window->file_size - position;
    const uint8_t *data;
    if (left < WIRE_BATCH_HEAD_BYTES) {
        return 0;
    }
    int result = log_window_show(window, position, WIRE_BATCH_HEAD_BYTES, &data);
    if (result != 0) {
        return result;
    }
    if (!wire_batch_read(head, data, WIRE_BATCH_HEAD_BYTES) || !log_scan_is_plausible(head, left)) {
        return 0;
    }
    result = log_window_show(window, position, head->total_bytes, &data);
    if (result != 0) {
        return result;
    }
    return wire_batch_read(head, data, head->total_bytes) && wire_batch_crc_matches(head) ? 1 : 0;
}
