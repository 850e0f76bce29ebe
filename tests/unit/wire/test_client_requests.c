/* SPDX-License-Identifier: Apache-2.0
 *
 * test_client_requests.c -- whole requests recorded from real clients (tools/capture_requests):
 * header and body are read to the last byte and written again the same.
 *
 * A file is golden/clients/<message>_request.v<version>.<client>.hex: a comment that names the
 * client, then hexadecimal digits.  Meson passes all of them as arguments.
 */
#include "base/memory.h"
#include "unit/wire/samples.h"
#include "wire/api_versions.h"
#include "wire/create_partitions.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/describe_configs.h"
#include "wire/fetch.h"
#include "wire/find_coordinator.h"
#include "wire/init_producer_id.h"
#include "wire/list_offsets.h"
#include "wire/metadata.h"
#include "wire/produce.h"
#include "wire/request_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME_BYTES_MAX 100
#define LINE_BYTES_MAX 4096
#define ARENA_BYTES 65536

/* From which version on a request has the header with tagged fields. */
static const struct {
    const char *message;
    int16_t flexible_min;
} flexible[] = {
    {"api_versions_request", API_VERSIONS_FLEXIBLE_MIN},
    {"create_partitions_request", CREATE_PARTITIONS_FLEXIBLE_MIN},
    {"create_topics_request", CREATE_TOPICS_FLEXIBLE_MIN},
    {"delete_topics_request", DELETE_TOPICS_FLEXIBLE_MIN},
    {"describe_configs_request", DESCRIBE_CONFIGS_FLEXIBLE_MIN},
    {"fetch_request", FETCH_FLEXIBLE_MIN},
    {"find_coordinator_request", FIND_COORDINATOR_FLEXIBLE_MIN},
    {"init_producer_id_request", INIT_PRODUCER_ID_FLEXIBLE_MIN},
    {"list_offsets_request", LIST_OFFSETS_FLEXIBLE_MIN},
    {"metadata_request", METADATA_FLEXIBLE_MIN},
    {"produce_request", PRODUCE_FLEXIBLE_MIN},
};

static const char *const *files;
static size_t file_count;

static int16_t header_version_of(const char *message, int16_t version)
{
    for (size_t i = 0; i < sizeof flexible / sizeof flexible[0]; i++) {
        if (strcmp(flexible[i].message, message) == 0) {
            return version >= flexible[i].flexible_min ? 2 : 1;
        }
    }
    fail_msg("%s is not in the table of flexible versions", message);
    return 0;
}

static void read_file(const char *path, struct wire_writer *bytes)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[LINE_BYTES_MAX];
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#') {
            continue;
        }
        size_t digits = strspn(line, "0123456789abcdef");
        assert_true(digits % 2 == 0 && line[digits] == '\n');
        for (size_t i = 0; i < digits; i += 2) {
            const char pair[3] = {line[i], line[i + 1], 0};
            wire_write_int8(bytes, (int8_t)strtoul(pair, NULL, 16));
        }
    }
    fclose(file);
}

/* "produce_request" and 7 out of ".../produce_request.v7.kcat.hex". */
static int16_t split_name(const char *path, char message[NAME_BYTES_MAX])
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strstr(name, ".v");
    assert_non_null(dot);
    snprintf(message, NAME_BYTES_MAX, "%.*s", (int)(dot - name), name);
    return (int16_t)strtol(dot + 2, NULL, 10);
}

static void check_again(const char *path, const struct buf *bytes, const struct wire_writer *again)
{
    const struct buf *written = again->buf;
    size_t same = 0;
    while (same < bytes->length_bytes && same < written->length_bytes &&
           bytes->data[same] == written->data[same]) {
        same++;
    }
    if (same < bytes->length_bytes || same < written->length_bytes) {
        fail_msg("%s is written differently from byte %zu on", path, same);
    }
}

static void check_file(const char *path)
{
    char message[NAME_BYTES_MAX];
    int16_t version = split_name(path, message);
    int16_t header_version = header_version_of(message, version);
    const struct sample *sample = sample_find(message);
    assert_non_null(sample);

    struct wire_writer bytes;
    wire_writer_init(&bytes, 0);
    read_file(path, &bytes);
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, bytes.buf->data, bytes.buf->length_bytes, &arena);
    struct request_header header;
    void *body = memory_allocate(sample->bytes);
    bool whole = request_header_decode(&header, header_version, &cursor) &&
                 sample->decode(body, version, &cursor) && wire_expect_end(&cursor);
    if (!whole) {
        fail_msg("%s: %s", path, cursor.error);
    }
    assert_int_equal(header.request_api_key, sample->type);
    assert_int_equal(header.request_api_version, version);
    assert_true(header.client_id.length > 0);

    struct wire_writer again;
    wire_writer_init(&again, 0);
    request_header_encode(&header, header_version, &again);
    sample->encode(body, version, &again);
    check_again(path, bytes.buf, &again);
    wire_writer_free(&again);
    memory_free(body);
    arena_free(&arena);
    wire_writer_free(&bytes);
}

static void recorded_requests_are_read_and_written_the_same(void **state)
{
    (void)state;
    assert_true(file_count > 0);
    for (size_t i = 0; i < file_count; i++) {
        check_file(files[i]);
    }
}

int main(int argument_count, char **arguments)
{
    files = (const char *const *)arguments + 1;
    file_count = (size_t)argument_count - 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_requests_are_read_and_written_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
