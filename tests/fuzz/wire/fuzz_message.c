/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_message.c -- every decoder: whatever comes in, it stays in its bytes and its memory; and
 * what it accepts is written and read again the same.
 *
 * Input: request type and version (two bytes each, as at the start of a request header), then the
 * body, which is read as request and as response.  Records and headers stand under the types from
 * FUZZ_OTHER_TYPES on, by their place in the table.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "fuzz/fuzz.h"
#include "fuzz/wire/input.h"
#include "unit/wire/samples.h"

#include <string.h>

static bool decode(const struct sample *sample, int16_t version, void *message,
                   const struct buf *bytes, struct arena *arena)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, bytes->data, bytes->length_bytes, arena);
    return sample->decode(message, version, &cursor) && wire_expect_end(&cursor);
}

static struct buf *encode(const struct sample *sample, int16_t version, const void *message)
{
    struct wire_writer writer;
    wire_writer_init(&writer, 0);
    sample->encode(message, version, &writer);
    return wire_writer_take(&writer);
}

/* An accepted message must come through writing and reading unchanged. */
static void check_stability(const struct sample *sample, int16_t version, const void *message,
                            size_t arena_limit)
{
    void *copy = memory_allocate(sample->bytes);
    struct arena arena;
    arena_init(&arena, arena_limit);
    struct buf *once = encode(sample, version, message);
    ensure(decode(sample, version, copy, once, &arena));
    ensure(sample->equal(message, copy));
    struct buf *twice = encode(sample, version, copy);
    ensure(once->length_bytes == twice->length_bytes);
    ensure(memcmp(once->data, twice->data, once->length_bytes) == 0);
    buf_release(twice);
    buf_release(once);
    arena_free(&arena);
    memory_free(copy);
}

static void try_sample(const struct sample *sample, int16_t version, const uint8_t *data,
                       size_t length)
{
    const size_t arena_limit = FUZZ_ARENA_BYTES(length);
    void *message = memory_allocate(sample->bytes);
    struct arena arena;
    arena_init(&arena, arena_limit);
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, length, &arena);
    bool accepted = sample->decode(message, version, &cursor);
    ensure(arena.used_bytes <= arena_limit);
    ensure(accepted == (cursor.error == NULL));
    if (accepted) {
        check_stability(sample, version, message, arena_limit);
    }
    arena_free(&arena);
    memory_free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, length, NULL);
    const int16_t type = wire_read_int16(&cursor);
    const int16_t version = wire_read_int16(&cursor);
    if (cursor.error != NULL) {
        return 0;
    }
    for (size_t i = 0; i < sample_count; i++) {
        if (type == fuzz_type_of(i) && version >= samples[i].version_min &&
            version <= samples[i].version_max) {
            try_sample(&samples[i], version, cursor.position, wire_remaining(&cursor));
        }
    }
    return 0;
}
