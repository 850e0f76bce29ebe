/* SPDX-License-Identifier: Apache-2.0
 *
 * sample_values.c -- made-up field values: mostly anything, often a value at the edge of its type.
 */
#include "unit/wire/samples.h"

#include "base/assert.h"

#include <string.h>

#define ARRAY_COUNT_MAX 3
#define SHORT_BYTES_MAX 20
#define LONG_BYTES_MAX 300 /* more than one byte of a varint can say */

const struct sample *sample_find(const char *name)
{
    for (size_t i = 0; i < sample_count; i++) {
        if (strcmp(samples[i].name, name) == 0) {
            return &samples[i];
        }
    }
    return NULL;
}

static uint64_t any_number(struct sample_source *source)
{
    static const uint64_t edges[] = {0,         1,         UINT64_MAX, INT8_MAX,
                                     INT16_MAX, INT32_MAX, INT64_MAX,  (uint64_t)INT64_MIN};
    if (prng_below(&source->prng, 2) == 0) {
        return edges[prng_below(&source->prng, sizeof(edges) / sizeof(edges[0]))];
    }
    return prng_next(&source->prng);
}

bool sample_bool(struct sample_source *source)
{
    return prng_below(&source->prng, 2) == 1;
}

int8_t sample_int8(struct sample_source *source)
{
    return (int8_t)any_number(source);
}

int16_t sample_int16(struct sample_source *source)
{
    return (int16_t)any_number(source);
}

uint16_t sample_uint16(struct sample_source *source)
{
    return (uint16_t)any_number(source);
}

int32_t sample_int32(struct sample_source *source)
{
    return (int32_t)any_number(source);
}

uint32_t sample_uint32(struct sample_source *source)
{
    return (uint32_t)any_number(source);
}

int64_t sample_int64(struct sample_source *source)
{
    return (int64_t)any_number(source);
}

double sample_float64(struct sample_source *source)
{
    uint64_t bits = any_number(source);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

struct uuid sample_uuid(struct sample_source *source)
{
    struct uuid uuid = {{0}};
    if (sample_bool(source)) {
        uuid = uuid_from_random(prng_next(&source->prng), prng_next(&source->prng));
    }
    return uuid;
}

struct wire_bytes sample_bytes(struct sample_source *source, bool nullable)
{
    if (nullable && prng_below(&source->prng, 4) == 0) {
        return (struct wire_bytes){.length = -1};
    }
    const uint64_t bound = prng_below(&source->prng, 16) == 0 ? LONG_BYTES_MAX : SHORT_BYTES_MAX;
    const int32_t length = (int32_t)prng_below(&source->prng, bound);
    uint8_t *data = arena_allocate(&source->arena, (size_t)length);
    ensure(data != NULL);
    for (int32_t i = 0; i < length; i++) {
        data[i] = (uint8_t)prng_next(&source->prng);
    }
    return (struct wire_bytes){.data = data, .length = length};
}

struct wire_string sample_string(struct sample_source *source, bool nullable)
{
    struct wire_bytes bytes = sample_bytes(source, nullable);
    return (struct wire_string){.data = (const char *)bytes.data, .length = bytes.length};
}

struct wire_records sample_records(struct sample_source *source, bool nullable)
{
    struct wire_bytes bytes = sample_bytes(source, nullable);
    return (struct wire_records){.data = bytes.data, .length = bytes.length};
}

void *sample_array(struct sample_source *source, bool nullable, size_t element_bytes,
                   int32_t *count)
{
    if (nullable && prng_below(&source->prng, 4) == 0) {
        *count = -1;
        return NULL;
    }
    *count = (int32_t)prng_below(&source->prng, ARRAY_COUNT_MAX + 1);
    void *elements = arena_allocate_array(&source->arena, (size_t)*count, element_bytes);
    ensure(elements != NULL);
    return elements;
}

bool sample_float64_equal(double left, double right)
{
    return memcmp(&left, &right, sizeof(left)) == 0;
}

bool sample_bytes_equal(const void *left, int32_t left_length, const void *right,
                        int32_t right_length)
{
    return left_length == right_length &&
           (left_length <= 0 || memcmp(left, right, (size_t)left_length) == 0);
}
