/* SPDX-License-Identifier: Apache-2.0
 *
 * test_golden.c -- bytes that were written down by hand or taken from real clients: they are read
 * whole, mean what they should, and are written again byte for byte.
 *
 * A file is golden/<message>.v<version>[.<remark>].hex: hexadecimal digits, 'text', # comments. Its
 * name says which decoder it is for; meson passes all of them as arguments.
 */
#include "base/memory.h"
#include "unit/wire/samples.h"
#include "wire/api_versions.h"
#include "wire/fetch.h"
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

struct golden {
    char message[NAME_BYTES_MAX]; /* "produce_request" */
    char version[NAME_BYTES_MAX]; /* "v9", with the remark if there is one */
    struct wire_writer bytes;
    struct arena arena;
    void *decoded;
    const struct sample *sample;
    int16_t number;
};

static const char *const *golden_files;
static size_t golden_file_count;

static void read_line(const char *line, struct wire_writer *bytes)
{
    unsigned digits = 0;
    unsigned value = 0;
    bool in_text = false;
    for (const char *c = line; *c != 0 && (in_text || *c != '#'); c++) {
        if (*c == '\'') {
            in_text = !in_text;
        } else if (in_text) {
            wire_write_int8(bytes, (int8_t)*c);
        } else if (strchr("0123456789abcdef", *c) != NULL) {
            value = value << 4 | (unsigned)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
            digits++;
            if (digits % 2 == 0) {
                wire_write_int8(bytes, (int8_t)value);
                value = 0;
            }
        } else {
            assert_true(*c == ' ' || *c == '\n');
        }
    }
    assert_int_equal(digits % 2, 0);
    assert_false(in_text);
}

static void golden_load(struct golden *golden, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strchr(name, '.');
    const char *end = strstr(name, ".hex");
    assert_true(dot != NULL && end > dot && strlen(name) < NAME_BYTES_MAX);
    snprintf(golden->message, sizeof(golden->message), "%.*s", (int)(dot - name), name);
    snprintf(golden->version, sizeof(golden->version), "%.*s", (int)(end - dot - 1), dot + 1);
    golden->number = (int16_t)strtol(golden->version + 1, NULL, 10);
    golden->sample = sample_find(golden->message);
    assert_non_null(golden->sample);
    wire_writer_init(&golden->bytes, 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[LINE_BYTES_MAX];
    while (fgets(line, sizeof(line), file) != NULL) {
        read_line(line, &golden->bytes);
    }
    fclose(file);

    const struct buf *buf = golden->bytes.buf;
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, buf->data, buf->length_bytes, &golden->arena);
    arena_init(&golden->arena, 8 * buf->length_bytes + 65536);
    golden->decoded = memory_allocate(golden->sample->bytes);
    bool whole = golden->sample->decode(golden->decoded, golden->number, &cursor) &&
                 wire_expect_end(&cursor);
    if (!whole) {
        fail_msg("%s: %s", path, cursor.error);
    }
}

static void golden_unload(struct golden *golden)
{
    memory_free(golden->decoded);
    arena_free(&golden->arena);
    wire_writer_free(&golden->bytes);
}

static void all_are_written_again_byte_for_byte(void **state)
{
    (void)state;
    assert_true(golden_file_count > 0);
    for (size_t i = 0; i < golden_file_count; i++) {
        struct golden golden;
        golden_load(&golden, golden_files[i]);
        struct wire_writer again;
        wire_writer_init(&again, 0);
        golden.sample->encode(golden.decoded, golden.number, &again);
        if (again.buf->length_bytes != golden.bytes.buf->length_bytes ||
            memcmp(again.buf->data, golden.bytes.buf->data, again.buf->length_bytes) != 0) {
            fail_msg("%s is written differently", golden_files[i]);
        }
        wire_writer_free(&again);
        golden_unload(&golden);
    }
}

/* Loads the file of that message and version out of those that were passed. */
static void golden_find(struct golden *golden, const char *message, const char *version)
{
    for (size_t i = 0; i < golden_file_count; i++) {
        golden_load(golden, golden_files[i]);
        if (strcmp(golden->message, message) == 0 && strcmp(golden->version, version) == 0) {
            return;
        }
        golden_unload(golden);
    }
    fail_msg("no golden bytes of %s %s", message, version);
}

static void api_versions_mean_what_they_say(void **state)
{
    (void)state;
    struct golden golden;
    golden_find(&golden, "api_versions_request", "v3");
    const struct api_versions_request *request = golden.decoded;
    assert_true(wire_string_equal(request->client_software_name, "librdkafka"));
    assert_true(wire_string_equal(request->client_software_version, "2.0.2"));
    golden_unload(&golden);
    golden_find(&golden, "api_versions_response", "v3");
    const struct api_versions_response *response = golden.decoded;
    assert_int_equal(response->api_keys_count, 2);
    assert_int_equal(response->api_keys[0].min_version, 3);
    assert_int_equal(response->api_keys[0].max_version, 12);
    assert_int_equal(response->supported_features_count, 1);
    assert_true(wire_string_equal(response->supported_features[0].name, "kraft.version"));
    assert_int_equal(response->supported_features[0].max_version, 1);
    assert_int_equal(response->finalized_features_epoch, 7);
    assert_false(response->zk_migration_ready);
    golden_unload(&golden);
}

static void metadata_means_what_it_says(void **state)
{
    (void)state;
    struct golden golden;
    golden_find(&golden, "metadata_request", "v1.all_topics");
    const struct metadata_request *request = golden.decoded;
    assert_int_equal(request->topics_count, -1);
    assert_true(request->allow_auto_topic_creation); /* the default where the version is silent */
    golden_unload(&golden);
    golden_find(&golden, "metadata_response", "v1");
    const struct metadata_response *response = golden.decoded;
    assert_int_equal(response->brokers_count, 2);
    assert_int_equal(response->brokers[0].port, 9092);
    assert_int_equal(response->brokers[0].rack.length, -1);
    assert_true(wire_string_equal(response->brokers[1].rack, "r2"));
    assert_int_equal(response->cluster_id.length, -1);
    assert_int_equal(response->topics[0].partitions[0].leader_id, 2);
    assert_int_equal(response->topics[0].partitions[0].leader_epoch, -1);
    assert_int_equal(response->topics[0].partitions[0].replica_nodes_count, 2);
    assert_int_equal(response->topics[0].partitions[0].isr_nodes[0], 2);
    golden_unload(&golden);
}

static void check_produce_request(const char *version)
{
    struct golden golden;
    golden_find(&golden, "produce_request", version);
    const struct produce_request *request = golden.decoded;
    assert_int_equal(request->transactional_id.length, -1);
    assert_int_equal(request->acks, -1);
    assert_int_equal(request->timeout_ms, 30000);
    assert_true(wire_string_equal(request->topic_data[0].name, "orders"));
    assert_int_equal(request->topic_data[0].partition_data[0].index, 4);
    assert_int_equal(request->topic_data[0].partition_data[0].records.length, 5);
    assert_memory_equal(request->topic_data[0].partition_data[0].records.data, "batch", 5);
    golden_unload(&golden);
}

static void produce_means_what_it_says(void **state)
{
    (void)state;
    check_produce_request("v3");
    check_produce_request("v9");
    struct golden golden;
    golden_find(&golden, "produce_response", "v9");
    const struct produce_response *response = golden.decoded;
    const struct produce_response_partition_produce_response *partition =
        &response->responses[0].partition_responses[0];
    assert_int_equal(partition->error_code, 87);
    assert_int_equal(partition->log_start_offset, 3);
    assert_int_equal(partition->record_errors[0].batch_index, 2);
    assert_true(wire_string_equal(partition->error_message, "nope"));
    assert_int_equal(partition->current_leader.leader_id, -1);
    golden_unload(&golden);
}

static void fetch_means_what_it_says(void **state)
{
    (void)state;
    struct golden golden;
    golden_find(&golden, "fetch_request", "v12");
    const struct fetch_request *request = golden.decoded;
    assert_int_equal(request->max_wait_ms, 500);
    assert_int_equal(request->max_bytes, 50 << 20);
    assert_int_equal(request->session_epoch, -1);
    assert_true(wire_string_equal(request->rack_id, "r1"));
    const struct fetch_request_fetch_partition *asked = &request->topics[0].partitions[0];
    assert_int_equal(asked->partition, 4);
    assert_int_equal(asked->current_leader_epoch, 9);
    assert_int_equal(asked->fetch_offset, 100);
    assert_int_equal(asked->partition_max_bytes, 1 << 20);
    golden_unload(&golden);
    golden_find(&golden, "fetch_response", "v4");
    const struct fetch_response *response = golden.decoded;
    const struct fetch_response_partition_data *answer = &response->responses[0].partitions[0];
    assert_int_equal(answer->high_watermark, 101);
    assert_int_equal(answer->last_stable_offset, 100);
    assert_int_equal(answer->aborted_transactions[0].producer_id, 5000);
    assert_int_equal(answer->records.length, 5);
    golden_unload(&golden);
    golden_find(&golden, "fetch_response", "v12");
    response = golden.decoded;
    answer = &response->responses[0].partitions[0];
    assert_int_equal(answer->aborted_transactions_count, -1);
    assert_int_equal(answer->records.length, 0);
    assert_int_equal(answer->current_leader.leader_id, 2);
    assert_int_equal(answer->current_leader.leader_epoch, 9);
    golden_unload(&golden);
}

static void the_client_id_keeps_its_classic_form(void **state)
{
    (void)state;
    struct golden golden;
    golden_find(&golden, "request_header", "v2");
    const struct request_header *header = golden.decoded;
    assert_int_equal(header->request_api_key, 18);
    assert_int_equal(header->correlation_id, 1);
    assert_int_equal(header->client_id.length, -1);
    golden_unload(&golden);
}

int main(int argument_count, char **arguments)
{
    golden_files = (const char *const *)arguments + 1;
    golden_file_count = (size_t)argument_count - 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_written_again_byte_for_byte),
        cmocka_unit_test(api_versions_mean_what_they_say),
        cmocka_unit_test(metadata_means_what_it_says),
        cmocka_unit_test(produce_means_what_it_says),
        cmocka_unit_test(fetch_means_what_it_says),
        cmocka_unit_test(the_client_id_keeps_its_classic_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
