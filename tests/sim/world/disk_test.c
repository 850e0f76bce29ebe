/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_test.c -- the simulated disk keeps what a file system promises, and no more than that.
 */
#include "base/assert.h"
#include "disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 300
#define SECTOR DISK_SECTOR_BYTES

static struct sim_inode *file_at(struct sim_disk *disk, const char *path)
{
    struct sim_inode *inode = NULL;
    return disk_find(disk, path, &inode) == 0 ? inode : NULL;
}

static struct sim_inode *make_file(struct sim_disk *disk, const char *path)
{
    struct sim_inode *inode = NULL;
    bool is_new = false;
    assert_int_equal(disk_create(disk, path, &inode, &is_new), 0);
    assert_true(is_new);
    return inode;
}

static void fill(struct sim_inode *inode, uint64_t position, uint8_t byte, size_t length)
{
    uint8_t bytes[16 * SECTOR];
    assert_true(length <= sizeof bytes);
    memset(bytes, byte, length);
    assert_int_equal(inode_write(inode, position, bytes, length), 0);
}

static uint8_t byte_at(const struct sim_inode *inode, uint64_t position)
{
    uint8_t byte = 0;
    assert_int_equal(inode_read(inode, position, &byte, 1), 1);
    return byte;
}

/* A file "d/f" whose name and first four sectors of 'a' are durable. */
static struct sim_disk *durable_file(void)
{
    struct sim_disk *disk = disk_new();
    assert_int_equal(disk_make_directory(disk, "d"), 0);
    struct sim_inode *inode = make_file(disk, "d/f");
    fill(inode, 0, 'a', 4 * SECTOR);
    inode_sync(inode);
    assert_int_equal(disk_sync_directory(disk, "d"), 0);
    assert_int_equal(disk_sync_directory(disk, "d/.."), 0);
    return disk;
}

static void lose_power(struct sim_disk *disk, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    disk_lose_power(disk, &prng);
}

static void synced_bytes_and_names_survive(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *disk = durable_file();
        lose_power(disk, seed);
        struct sim_inode *inode = file_at(disk, "d/f");
        assert_non_null(inode);
        assert_int_equal(inode_size(inode), 4 * SECTOR);
        for (uint64_t at = 0; at < 4 * SECTOR; at += SECTOR / 2) {
            assert_int_equal(byte_at(inode, at), 'a');
        }
        disk_free(disk);
    }
}

/* Each sector is old or new as a whole; over many cuts both are seen, and mixtures. */
static void unsynced_sectors_are_old_or_new(void **state)
{
    uint32_t mixtures = 0;
    uint32_t all_old = 0;
    uint32_t all_new = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *disk = durable_file();
        fill(file_at(disk, "d/f"), 0, 'b', 4 * SECTOR);
        lose_power(disk, seed);
        struct sim_inode *inode = file_at(disk, "d/f");
        uint32_t old = 0;
        for (uint64_t sector = 0; sector < 4; sector++) {
            uint8_t first = byte_at(inode, sector * SECTOR);
            assert_true(first == 'a' || first == 'b');
            assert_int_equal(byte_at(inode, sector * SECTOR + SECTOR - 1), first);
            old += first == 'a' ? 1 : 0;
        }
        all_old += old == 4 ? 1 : 0;
        all_new += old == 0 ? 1 : 0;
        mixtures += old > 0 && old < 4 ? 1 : 0;
        disk_free(disk);
    }
    assert_true(all_old > 0 && all_new > 0 && mixtures > 0);
}

/* What is appended comes whole, in part, as zeros, or not at all; what was there stays. */
static void unsynced_append_may_be_torn(void **state)
{
    uint32_t lengths[3] = {0};
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *disk = durable_file();
        fill(file_at(disk, "d/f"), 4 * SECTOR, 'b', 3 * SECTOR);
        lose_power(disk, seed);
        struct sim_inode *inode = file_at(disk, "d/f");
        uint64_t size = inode_size(inode);
        assert_true(size >= 4 * SECTOR && size <= 7 * SECTOR);
        lengths[size == 4 * SECTOR ? 0 : (size == 7 * SECTOR ? 2 : 1)]++;
        for (uint64_t at = 0; at < size; at++) {
            uint8_t byte = byte_at(inode, at);
            assert_true(at < 4 * SECTOR ? byte == 'a' : byte == 'b' || byte == 0);
        }
        disk_free(disk);
    }
    assert_true(lengths[0] > 0 && lengths[1] > 0 && lengths[2] > 0);
}

static void unsynced_truncation_may_come_undone(void **state)
{
    uint32_t undone = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *disk = durable_file();
        assert_int_equal(inode_truncate(file_at(disk, "d/f"), SECTOR + 10), 0);
        lose_power(disk, seed);
        struct sim_inode *inode = file_at(disk, "d/f");
        assert_true(inode_size(inode) >= SECTOR + 10);
        assert_int_equal(byte_at(inode, SECTOR + 9), 'a');
        undone += inode_size(inode) == 4 * SECTOR && byte_at(inode, 4 * SECTOR - 1) == 'a' ? 1 : 0;
        disk_free(disk);
    }
    assert_true(undone > 0 && undone < SEEDS);
}

/* Whatever of the changes is durable, the name shows the old file or the new one, whole. */
static void rename_is_all_or_nothing(void **state)
{
    uint32_t replaced = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *disk = durable_file();
        struct sim_inode *inode = make_file(disk, "d/f.new");
        fill(inode, 0, 'n', SECTOR);
        inode_sync(inode);
        assert_int_equal(disk_rename(disk, "d/f.new", "d/f"), 0);
        lose_power(disk, seed);
        struct sim_inode *found = file_at(disk, "d/f");
        assert_non_null(found);
        bool is_new = byte_at(found, 0) == 'n';
        assert_int_equal(inode_size(found), is_new ? SECTOR : 4 * SECTOR);
        assert_true(!is_new || file_at(disk, "d/f.new") == NULL);
        replaced += is_new ? 1 : 0;
        disk_free(disk);
    }
    assert_true(replaced > 0 && replaced < SEEDS);
}

static void unsynced_names_are_kept_in_order(void **state)
{
    uint32_t counts[4] = {0};
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *disk = disk_new();
        make_file(disk, "one");
        make_file(disk, "two");
        make_file(disk, "three");
        lose_power(disk, seed);
        bool has_one = file_at(disk, "one") != NULL;
        bool has_two = file_at(disk, "two") != NULL;
        bool has_three = file_at(disk, "three") != NULL;
        assert_true((has_one || !has_two) && (has_two || !has_three));
        counts[has_one + has_two + has_three]++;
        disk_free(disk);
    }
    assert_true(counts[0] > 0 && counts[1] > 0 && counts[2] > 0 && counts[3] > 0);
}

static void removed_file_may_come_back(void **state)
{
    uint32_t back = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *disk = durable_file();
        assert_int_equal(disk_remove(disk, "d/f"), 0);
        assert_null(file_at(disk, "d/f"));
        lose_power(disk, seed);
        struct sim_inode *inode = file_at(disk, "d/f");
        assert_true(inode == NULL || byte_at(inode, 0) == 'a');
        back += inode != NULL ? 1 : 0;
        disk_free(disk);
    }
    assert_true(back > 0 && back < SEEDS);
}

/* The sync after a failed one succeeds and saves nothing of what the failed one lost. */
static void failed_sync_is_not_mended_by_the_next(void **state)
{
    uint32_t lost = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *disk = durable_file();
        struct sim_inode *inode = file_at(disk, "d/f");
        struct prng prng;
        prng_init(&prng, seed);
        fill(inode, 0, 'b', SECTOR);
        inode_fail_sync(inode, &prng);
        inode_sync(inode);
        assert_int_equal(byte_at(inode, 0), 'b');
        lose_power(disk, seed);
        lost += byte_at(file_at(disk, "d/f"), 0) == 'a' ? 1 : 0;
        disk_free(disk);
    }
    assert_true(lost > SEEDS / 4 && lost < SEEDS);
}

static void written_again_after_a_failed_sync_is_saved(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *disk = durable_file();
        struct sim_inode *inode = file_at(disk, "d/f");
        struct prng prng;
        prng_init(&prng, seed);
        fill(inode, 0, 'b', SECTOR);
        inode_fail_sync(inode, &prng);
        fill(inode, 0, 'c', SECTOR);
        inode_sync(inode);
        lose_power(disk, seed);
        assert_int_equal(byte_at(file_at(disk, "d/f"), 0), 'c');
        disk_free(disk);
    }
}

static void lost_and_misdirected_writes_show_after_the_power_went(void **state)
{
    (void)state;
    struct sim_disk *disk = durable_file();
    struct sim_inode *inode = file_at(disk, "d/f");
    uint8_t strange[SECTOR];
    memset(strange, 's', sizeof strange);
    fill(inode, 0, 'b', SECTOR);
    inode_lose_write(inode, 0, SECTOR);
    inode_misdirect(inode, 2 * SECTOR + 7, strange, sizeof strange);
    inode_sync(inode);
    assert_int_equal(byte_at(inode, 0), 'b');
    assert_int_equal(byte_at(inode, 2 * SECTOR), 'a');
    lose_power(disk, 1);
    inode = file_at(disk, "d/f");
    assert_int_equal(byte_at(inode, 0), 'a');
    assert_int_equal(byte_at(inode, SECTOR), 'a');
    assert_int_equal(byte_at(inode, 2 * SECTOR), 's');
    disk_free(disk);
}

static void full_disk_writes_what_fits(void **state)
{
    (void)state;
    struct sim_disk *disk = durable_file();
    struct sim_inode *inode = file_at(disk, "d/f");
    uint8_t bytes[2 * SECTOR] = {0};
    struct sim_inode *other = NULL;
    bool is_new = false;
    disk_set_capacity(disk, 5 * SECTOR);
    assert_int_equal(inode_write(inode, 4 * SECTOR, bytes, sizeof bytes), -ENOSPC);
    assert_int_equal(inode_size(inode), 5 * SECTOR);
    assert_int_equal(inode_write(inode, 0, bytes, sizeof bytes), 0);
    assert_int_equal(disk_create(disk, "d/g", &other, &is_new), -ENOSPC);
    disk_set_capacity(disk, 8 * SECTOR);
    assert_int_equal(inode_write(inode, 5 * SECTOR, bytes, sizeof bytes), 0);
    assert_int_equal(disk_used(disk), 7 * SECTOR);
    disk_free(disk);
}

static void copy_is_apart_and_durable(void **state)
{
    (void)state;
    struct sim_disk *disk = durable_file();
    fill(file_at(disk, "d/f"), 0, 'b', SECTOR);
    struct sim_disk *copy = disk_copy(disk);
    fill(file_at(disk, "d/f"), 0, 'c', SECTOR);
    lose_power(copy, 7);
    assert_int_equal(byte_at(file_at(copy, "d/f"), 0), 'b');
    assert_int_equal(byte_at(file_at(copy, "d/f"), SECTOR), 'a');
    disk_free(copy);
    disk_free(disk);
}

static void rot_changes_one_bit(void **state)
{
    (void)state;
    struct sim_disk *disk = durable_file();
    inode_rot(file_at(disk, "d/f"), SECTOR + 3, 2);
    assert_int_equal(byte_at(file_at(disk, "d/f"), SECTOR + 3), 'a' ^ 4);
    assert_int_equal(byte_at(file_at(disk, "d/f"), SECTOR + 4), 'a');
    disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_bytes_and_names_survive),
        cmocka_unit_test(unsynced_sectors_are_old_or_new),
        cmocka_unit_test(unsynced_append_may_be_torn),
        cmocka_unit_test(unsynced_truncation_may_come_undone),
        cmocka_unit_test(rename_is_all_or_nothing),
        cmocka_unit_test(unsynced_names_are_kept_in_order),
        cmocka_unit_test(removed_file_may_come_back),
        cmocka_unit_test(failed_sync_is_not_mended_by_the_next),
        cmocka_unit_test(written_again_after_a_failed_sync_is_saved),
        cmocka_unit_test(lost_and_misdirected_writes_show_after_the_power_went),
        cmocka_unit_test(full_disk_writes_what_fits),
        cmocka_unit_test(copy_is_apart_and_durable),
        cmocka_unit_test(rot_changes_one_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
