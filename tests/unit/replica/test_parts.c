/* SPDX-License-Identifier: Apache-2.0
 *
 * test_parts.c -- the parts that stand alone: the wheel of due groups, tombstone files, memberships
 * as bytes.
 */
#include "base/assert.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "io/file.h"
#include "replica/due.h"
#include "replica/membership_codec.h"
#include "replica/replica.h"
#include "replica/tombstones.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- The wheel ---- */

static uint32_t count(struct list *list)
{
    uint32_t number = 0;
    while (list_take_first(list) != NULL) {
        number++;
    }
    return number;
}

static void wheel_comes_up_in_time(void **state)
{
    (void)state;
    struct replica_due due;
    struct list_node nodes[3];
    uint64_t ticks[3] = {0};
    struct list ready;
    list_init(&ready);
    replica_due_init(&due, 1000);
    for (int i = 0; i < 3; i++) {
        list_node_init(&nodes[i]);
    }
    assert_true(replica_due_next(&due) == REPLICA_DUE_NEVER);
    replica_due_set(&due, &nodes[0], &ticks[0], 1010);
    replica_due_set(&due, &nodes[1], &ticks[1], 5000); /* beyond the wheel: looked at in between */
    replica_due_set(&due, &nodes[2], &ticks[2], 900);  /* in the past: at the next tick */
    assert_int_equal(replica_due_next(&due), 1001);
    replica_due_advance(&due, 1001, &ready);
    assert_ptr_equal(list_first(&ready), &nodes[2]);
    assert_int_equal(count(&ready), 1);
    replica_due_set(&due, &nodes[0], &ticks[0], 1100); /* later: stays where it is */
    assert_int_equal(ticks[0], 1010);
    replica_due_set(&due, &nodes[0], &ticks[0], 1005); /* earlier: moves */
    assert_int_equal(replica_due_next(&due), 1005);
    replica_due_advance(&due, 1004, &ready);
    assert_int_equal(count(&ready), 0);
    replica_due_advance(&due, 1005, &ready);
    assert_int_equal(count(&ready), 1);
    replica_due_advance(&due, 99999, &ready); /* a long stall: everything once */
    assert_int_equal(count(&ready), 1);
    replica_due_set(&due, &nodes[1], &ticks[1], 100010);
    replica_due_set(&due, &nodes[1], &ticks[1], REPLICA_DUE_NEVER);
    assert_false(list_is_linked(&nodes[1]));
}

/* The next slot is the first of all, wherever the wheel stands and whichever slots are taken. */
static void wheel_finds_the_next_one(void **state)
{
    (void)state;
    struct replica_due due;
    for (uint64_t now = 5000; now < 5000 + REPLICA_DUE_SLOTS; now += 7) {
        for (uint64_t near = 1; near < REPLICA_DUE_SLOTS; near += 31) {
            struct list_node nodes[2];
            uint64_t ticks[2] = {0};
            uint64_t far = REPLICA_DUE_SLOTS - 1;
            replica_due_init(&due, now);
            list_node_init(&nodes[0]);
            list_node_init(&nodes[1]);
            replica_due_set(&due, &nodes[0], &ticks[0], now + far);
            assert_true(replica_due_next(&due) == now + far);
            replica_due_set(&due, &nodes[1], &ticks[1], now + near);
            assert_true(replica_due_next(&due) == now + near);
        }
    }
}

/* ---- Tombstones ---- */

static char directory[64];
static char path[128];
static struct io_loop *loop;
static int saved_result;

static void saved(void *owner, int result)
{
    (void)owner;
    saved_result = result;
    io_loop_stop(loop);
}

static int begin(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/flotilla-tombstones-XXXXXX");
    require(mkdtemp(directory) != NULL);
    loop = io_loop_new(1);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    io_loop_free(loop);
    return io_directory_remove_tree(directory);
}

static bool open_shard(struct replica_tombstones *tombstones, uint32_t shard, uint32_t broker_id)
{
    struct replica_tombstones_options options = {.loop = loop,
                                                 .directory = directory,
                                                 .shard = shard,
                                                 .broker_id = broker_id,
                                                 .cluster_id = uuid_from_random(5, 6),
                                                 .saved = saved};
    char error[256] = "";
    bool is_open = replica_tombstones_open(tombstones, &options, error, sizeof error);
    assert_true(is_open == (error[0] == '\0'));
    snprintf(path, sizeof path, "%s/%u", directory, shard);
    return is_open;
}

static void add(struct replica_tombstones *tombstones, uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++) {
        replica_tombstones_add(tombstones, id, REPLICA_INCARNATION_NONE);
    }
    assert_true(replica_tombstones_submit(tombstones));
    saved_result = 1;
    io_loop_run(loop);
    assert_int_equal(saved_result, 0);
    assert_false(replica_tombstones_are_busy(tombstones));
}

static void tombstones_outlive_a_changed_shard_count(void **state)
{
    (void)state;
    struct replica_tombstones tombstones;
    for (uint32_t shard = 0; shard < 3; shard++) {
        assert_true(open_shard(&tombstones, shard, 1));
        add(&tombstones, 100 * shard + 1, 100 * shard + 99);
        replica_tombstones_close(&tombstones);
    }
    assert_true(open_shard(&tombstones, 0, 1));
    assert_int_equal(replica_tombstones_floor(&tombstones, 299), REPLICA_INCARNATION_NONE);
    assert_int_equal(replica_tombstones_floor(&tombstones, 1), REPLICA_INCARNATION_NONE);
    assert_int_equal(replica_tombstones_floor(&tombstones, 100), 0);
    replica_tombstones_close(&tombstones);
    assert_false(open_shard(&tombstones, 0, 2)); /* another broker's */
}

/* Cut at every byte, or with a record's bytes not written: the whole records before stay. */
static void torn_tombstones_are_cut(void **state)
{
    (void)state;
    struct replica_tombstones tombstones;
    assert_true(open_shard(&tombstones, 0, 1));
    add(&tombstones, 1, 5);
    replica_tombstones_close(&tombstones);
    uint64_t size;
    struct io_file *file;
    assert_int_equal(io_file_open(&file, path, IO_OPEN_WRITE), 0);
    assert_int_equal(io_file_size(file, &size), 0);
    for (uint64_t cut = 1; cut <= 16; cut++) {
        assert_int_equal(io_file_truncate(file, size - cut), 0);
        assert_true(open_shard(&tombstones, 0, 1));
        assert_int_not_equal(replica_tombstones_floor(&tombstones, 4), 0);
        assert_int_equal(replica_tombstones_floor(&tombstones, 5), 0);
        add(&tombstones, 5, 5);
        replica_tombstones_close(&tombstones);
    }
    assert_true(open_shard(&tombstones, 0, 1));
    assert_int_not_equal(replica_tombstones_floor(&tombstones, 5), 0);
    replica_tombstones_close(&tombstones);
    io_file_release(file);
}

static void the_highest_floor_counts(void **state)
{
    (void)state;
    struct replica_tombstones tombstones;
    assert_true(open_shard(&tombstones, 0, 1));
    replica_tombstones_add(&tombstones, 7, 1);
    replica_tombstones_add(&tombstones, 7, 4);
    replica_tombstones_add(&tombstones, 8, 2);
    add(&tombstones, 9, 9);
    assert_int_equal(replica_tombstones_floor(&tombstones, 7), 4);
    replica_tombstones_close(&tombstones);
    assert_true(open_shard(&tombstones, 1, 1)); /* another shard reads it all the same */
    assert_int_equal(replica_tombstones_floor(&tombstones, 7), 4);
    assert_int_equal(replica_tombstones_floor(&tombstones, 8), 2);
    assert_int_equal(replica_tombstones_floor(&tombstones, 9), REPLICA_INCARNATION_NONE);
    replica_tombstones_close(&tombstones);
}

/* The first format: records of an id and its checksum behind a head of another magic. */
static void the_first_format_is_read_and_written_anew(void **state)
{
    (void)state;
    struct replica_tombstones tombstones;
    struct buf *content = NULL;
    assert_true(open_shard(&tombstones, 0, 1));
    replica_tombstones_close(&tombstones);
    assert_int_equal(io_path_read(path, 100, &content), 0);
    uint8_t bytes[28 + 12] = {0};
    memcpy(bytes, content->data, 28);
    buf_release(content);
    uint32_t crc;
    bytes[3] = '1';
    crc = crc32c(0, bytes, 24);
    for (int i = 0; i < 4; i++) {
        bytes[24 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    bytes[28 + 7] = 77;
    crc = crc32c(0, bytes + 28, 8);
    for (int i = 0; i < 4; i++) {
        bytes[36 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    assert_int_equal(io_path_replace(path, bytes, sizeof bytes), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(open_shard(&tombstones, 0, 1));
        assert_int_equal(replica_tombstones_floor(&tombstones, 77), REPLICA_INCARNATION_NONE);
        if (i == 0) {
            add(&tombstones, 5, 5);
        }
        assert_int_equal(replica_tombstones_floor(&tombstones, 5), REPLICA_INCARNATION_NONE);
        replica_tombstones_close(&tombstones);
    }
}

static void membership_epochs_are_kept(void **state)
{
    (void)state;
    uint8_t bytes[REPLICA_MEMBERSHIP_BYTES_MAX];
    struct raft_membership decoded;
    struct raft_membership members = {.voter_count = 2, .voters = {1, 2}};
    size_t without = replica_membership_encode(&members, bytes);
    assert_true(replica_membership_decode(&decoded, bytes, without));
    assert_int_equal(decoded.epoch, 0);
    members.epoch = 0x01020304;
    size_t with = replica_membership_encode(&members, bytes);
    assert_int_equal(with, without + 4);
    assert_true(replica_membership_decode(&decoded, bytes, with));
    assert_int_equal(decoded.epoch, 0x01020304);
    assert_false(replica_membership_decode(&decoded, bytes, with - 1));
}

static void damaged_tombstones_are_refused(void **state)
{
    (void)state;
    struct replica_tombstones tombstones;
    assert_true(open_shard(&tombstones, 0, 1));
    add(&tombstones, 1, 5);
    replica_tombstones_close(&tombstones);
    struct io_file *file;
    assert_int_equal(io_file_open(&file, path, IO_OPEN_WRITE), 0);
    uint64_t size;
    assert_int_equal(io_file_size(file, &size), 0);
    for (uint64_t at = 0; at < size - 16; at++) {
        uint8_t byte;
        size_t done;
        assert_int_equal(io_file_read(file, at, &byte, 1, &done), 0);
        uint8_t flipped = byte ^ 0x10;
        assert_int_equal(io_file_write(file, at, &flipped, 1), 0);
        assert_false(open_shard(&tombstones, 0, 1));
        assert_int_equal(io_file_write(file, at, &byte, 1), 0);
    }
    assert_true(open_shard(&tombstones, 0, 1));
    replica_tombstones_close(&tombstones);
    io_file_release(file);
}

/* ---- Memberships ---- */

static void memberships_as_bytes(void **state)
{
    (void)state;
    struct raft_membership members = {
        .voter_count = 3, .learner_count = 1, .voters = {1, 2, 900000}, .learners = {4}};
    uint8_t bytes[REPLICA_MEMBERSHIP_BYTES_MAX];
    size_t length = replica_membership_encode(&members, bytes);
    struct raft_membership read;
    assert_true(replica_membership_decode(&read, bytes, length));
    assert_true(raft_membership_equal(&members, &read));
    for (size_t shorter = 0; shorter < length; shorter++) {
        assert_false(replica_membership_decode(&read, bytes, shorter));
    }
    bytes[1] = 200;
    assert_false(replica_membership_decode(&read, bytes, length));
    members.voters[1] = 1; /* twice */
    length = replica_membership_encode(&members, bytes);
    assert_false(replica_membership_decode(&read, bytes, length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wheel_comes_up_in_time),
        cmocka_unit_test(wheel_finds_the_next_one),
        cmocka_unit_test_setup_teardown(tombstones_outlive_a_changed_shard_count, begin, finish),
        cmocka_unit_test_setup_teardown(torn_tombstones_are_cut, begin, finish),
        cmocka_unit_test_setup_teardown(damaged_tombstones_are_refused, begin, finish),
        cmocka_unit_test_setup_teardown(the_highest_floor_counts, begin, finish),
        cmocka_unit_test_setup_teardown(the_first_format_is_read_and_written_anew, begin, finish),
        cmocka_unit_test(membership_epochs_are_kept),
        cmocka_unit_test(memberships_as_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
