/* SPDX-License-Identifier: Apache-2.0
 *
 * make_corpus.c -- writes the first inputs of the wire fuzz targets into a folder: every message in
 * every version, a batch of every compression, headers.  The same files in every run.
 *
 *     make_corpus FOLDER
 */
#include "base/memory.h"
#include "fuzz/wire/input.h"
#include "unit/wire/batches.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES_MAX 4096
#define SOURCE_BYTES_MAX (1u << 20)

static void save(const char *folder, const char *name, const struct buf *buf)
{
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(buf->data, 1, buf->length_bytes, file) != buf->length_bytes ||
        fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void save_message(const char *folder, size_t place, int16_t version)
{
    const struct sample *sample = &samples[place];
    struct sample_source source;
    prng_init(&source.prng, (uint64_t)version + 1);
    arena_init(&source.arena, SOURCE_BYTES_MAX);
    void *message = memory_allocate(sample->bytes);
    sample->fill(message, version, &source);
    struct wire_writer writer;
    wire_writer_init(&writer, 0);
    wire_write_int16(&writer, fuzz_type_of(place));
    wire_write_int16(&writer, version);
    sample->encode(message, version, &writer);
    char name[200];
    snprintf(name, sizeof(name), "message-%s-%d", sample->name, version);
    save(folder, name, writer.buf);
    wire_writer_free(&writer);
    memory_free(message);
    arena_free(&source.arena);
}

static void save_batches(const char *folder)
{
    static const int compressions[] = {WIRE_COMPRESSION_NONE,   WIRE_COMPRESSION_GZIP,
                                       WIRE_COMPRESSION_SNAPPY, BATCH_SNAPPY_FRAMED,
                                       WIRE_COMPRESSION_LZ4,    WIRE_COMPRESSION_ZSTD};
    for (size_t i = 0; i < sizeof(compressions) / sizeof(compressions[0]); i++) {
        for (int32_t records = 1; records <= 16; records *= 4) {
            struct buf *buf = batch_new(records, compressions[i]);
            char name[100];
            snprintf(name, sizeof(name), "batch-%d-%d", compressions[i], records);
            save(folder, name, buf);
            buf_release(buf);
        }
    }
}

static void save_headers(const char *folder)
{
    static const char *const clients[] = {"", "rdkafka", "a client with a longer name"};
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        struct wire_writer writer;
        wire_writer_init(&writer, 0);
        wire_write_int16(&writer, (int16_t)i);
        wire_write_int16(&writer, 3);
        wire_write_int32(&writer, 1);
        wire_write_string(&writer, false, true, wire_string_from(clients[i]));
        wire_write_unsigned_varint(&writer, 0);
        char name[100];
        snprintf(name, sizeof(name), "header-%zu", i);
        save(folder, name, writer.buf);
        wire_writer_free(&writer);
    }
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) {
        fprintf(stderr, "usage: make_corpus FOLDER\n");
        return 2;
    }
    const char *folder = arguments[1];
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        perror(folder);
        return 1;
    }
    for (size_t i = 0; i < sample_count; i++) {
        for (int16_t version = samples[i].version_min; version <= samples[i].version_max;
             version++) {
            save_message(folder, i, version);
        }
    }
    save_batches(folder);
    save_headers(folder);
    return 0;
}
