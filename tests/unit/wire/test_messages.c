/* SPDX-License-Identifier: Apache-2.0
 *
 * test_messages.c -- every message in every version: what is written is read back the same; every
 * shortened or damaged form is refused or read without leaving its bytes, in bounded memory.
 */
#include "unit/wire/samples.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 24
#define DAMAGED_FORMS 40
#define SOURCE_BYTES_MAX (1u << 20)

/* What a decoder may take for a frame of so many bytes. */
static size_t arena_limit(size_t frame_bytes)
{
    return 8 * frame_bytes + 65536;
}

/* A copy of exactly this length, so that the sanitizer sees a read beyond it. */
static uint8_t *exact_copy(const uint8_t *data, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, data, length);
    return copy;
}

/* Decodes exactly these bytes; true when they are a whole message. */
static bool decode(const struct sample *sample, int16_t version, void *message, const uint8_t *data,
                   size_t length, struct arena *arena)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, length, arena);
    bool whole = sample->decode(message, version, &cursor) && wire_expect_end(&cursor);
    assert_true(whole == (cursor.error == NULL));
    return whole;
}

static void check_round_trip(const struct sample *sample, int16_t version, const void *message,
                             const struct wire_writer *writer)
{
    void *copy = memory_allocate(sample->bytes);
    struct arena arena;
    arena_init(&arena, arena_limit(writer->buf->length_bytes));
    bool whole =
        decode(sample, version, copy, writer->buf->data, writer->buf->length_bytes, &arena);
    if (!whole || !sample->equal(message, copy)) {
        fail_msg("%s version %d does not survive", sample->name, version);
    }
    struct wire_writer again;
    wire_writer_init(&again, 0);
    sample->encode(copy, version, &again);
    assert_int_equal(again.buf->length_bytes, writer->buf->length_bytes);
    assert_memory_equal(again.buf->data, writer->buf->data, again.buf->length_bytes);
    wire_writer_free(&again);
    arena_free(&arena);
    memory_free(copy);
}

static void check_truncations(const struct sample *sample, int16_t version,
                              const struct wire_writer *writer)
{
    void *copy = memory_allocate(sample->bytes);
    for (size_t length = 0; length < writer->buf->length_bytes; length++) {
        uint8_t *part = exact_copy(writer->buf->data, length);
        struct arena arena;
        arena_init(&arena, arena_limit(length));
        if (decode(sample, version, copy, part, length, &arena)) {
            fail_msg("%s version %d: %zu of %zu bytes pass for the whole", sample->name, version,
                     length, writer->buf->length_bytes);
        }
        arena_free(&arena);
        free(part);
    }
    memory_free(copy);
}

static void check_damage(const struct sample *sample, int16_t version,
                         const struct wire_writer *writer, struct sample_source *source)
{
    const size_t length = writer->buf->length_bytes;
    void *copy = memory_allocate(sample->bytes);
    for (int form = 0; form < DAMAGED_FORMS && length > 0; form++) {
        uint8_t *damaged = exact_copy(writer->buf->data, length);
        for (uint64_t i = prng_below(&source->prng, 4); i < 4; i++) {
            damaged[prng_below(&source->prng, length)] = (uint8_t)sample_int16(source);
        }
        struct arena arena;
        arena_init(&arena, arena_limit(length));
        decode(sample, version, copy, damaged, length, &arena);
        assert_true(arena.used_bytes <= arena_limit(length));
        arena_free(&arena);
        free(damaged);
    }
    memory_free(copy);
}

static void check_version(const struct sample *sample, int16_t version, uint64_t seed)
{
    struct sample_source source;
    prng_init(&source.prng, seed);
    arena_init(&source.arena, SOURCE_BYTES_MAX);
    void *message = memory_allocate(sample->bytes);
    sample->fill(message, version, &source);
    struct wire_writer writer;
    wire_writer_init(&writer, 0);
    sample->encode(message, version, &writer);
    check_round_trip(sample, version, message, &writer);
    if (seed % 4 == 0) {
        check_truncations(sample, version, &writer);
    }
    check_damage(sample, version, &writer, &source);
    wire_writer_free(&writer);
    memory_free(message);
    arena_free(&source.arena);
}

static void every_message_in_every_version(void **state)
{
    (void)state;
    assert_true(sample_count >= 28);
    for (size_t i = 0; i < sample_count; i++) {
        for (int16_t version = samples[i].version_min; version <= samples[i].version_max;
             version++) {
            for (uint64_t seed = 0; seed < ROUNDS; seed++) {
                check_version(&samples[i], version, seed);
            }
        }
    }
}

static void versions_outside_the_range_are_refused(void **state)
{
    (void)state;
    const uint8_t zeros[256] = {0};
    for (size_t i = 0; i < sample_count; i++) {
        void *message = memory_allocate(samples[i].bytes);
        struct arena arena;
        arena_init(&arena, arena_limit(sizeof(zeros)));
        assert_false(decode(&samples[i], (int16_t)(samples[i].version_max + 1), message, zeros,
                            sizeof(zeros), &arena));
        assert_false(decode(&samples[i], (int16_t)(samples[i].version_min - 1), message, zeros,
                            sizeof(zeros), &arena));
        arena_free(&arena);
        memory_free(message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_in_every_version),
        cmocka_unit_test(versions_outside_the_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
