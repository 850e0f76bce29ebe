/* SPDX-License-Identifier: Apache-2.0
 *
 * samples.h -- every message the generator knows, behind one table, with made-up values for tests.
 *
 * The table and the functions in it are generated; sample_values.c makes the values.
 */
#ifndef UNIT_WIRE_SAMPLES_H
#define UNIT_WIRE_SAMPLES_H

#include "base/arena.h"
#include "base/prng.h"
#include "wire/field.h"

struct sample_source {
    struct prng prng;
    struct arena arena; /* what the values point to */
};

struct sample {
    const char *name; /* "produce_request" */
    int type;         /* -1: a record or header */
    int16_t version_min;
    int16_t version_max;
    size_t bytes; /* of the struct */
    bool (*decode)(void *message, int16_t version, struct wire_cursor *cursor);
    void (*encode)(const void *message, int16_t version, struct wire_writer *writer);
    /* Sets the fields that the version carries, the others to their defaults. */
    void (*fill)(void *message, int16_t version, struct sample_source *source);
    bool (*equal)(const void *left, const void *right);
};

extern const struct sample samples[];
extern const size_t sample_count;

/* NULL when there is none of that name. */
const struct sample *sample_find(const char *name);

bool sample_bool(struct sample_source *source);
int8_t sample_int8(struct sample_source *source);
int16_t sample_int16(struct sample_source *source);
uint16_t sample_uint16(struct sample_source *source);
int32_t sample_int32(struct sample_source *source);
uint32_t sample_uint32(struct sample_source *source);
int64_t sample_int64(struct sample_source *source);
double sample_float64(struct sample_source *source);
struct uuid sample_uuid(struct sample_source *source);
struct wire_string sample_string(struct sample_source *source, bool nullable);
struct wire_bytes sample_bytes(struct sample_source *source, bool nullable);
struct wire_records sample_records(struct sample_source *source, bool nullable);
void *sample_array(struct sample_source *source, bool nullable, size_t element_bytes,
                   int32_t *count);
bool sample_float64_equal(double left, double right);
bool sample_bytes_equal(const void *left, int32_t left_length, const void *right,
                        int32_t right_length);

#endif
