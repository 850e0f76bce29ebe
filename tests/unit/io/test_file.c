/* SPDX-License-Identifier: Apache-2.0
 *
 * test_file.c -- files, directories, replacing, locking, removing.
 */
#include "io/file.h"

#include "directory.h"
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_write_read_truncate(void **state)
{
    (void)state;
    struct directory directory;
    struct io_file *file = NULL;
    struct stat status;
    uint64_t size = 0;
    size_t done = 0;
    char bytes[32];
    directory_begin(&directory);
    const char *path = directory_join(&directory, "f");
    assert_int_equal(io_file_open(&file, path, IO_OPEN_READ), -ENOENT);
    assert_int_equal(io_file_open(&file, path, IO_OPEN_WRITE), -ENOENT);
    assert_int_equal(io_file_open(&file, path, IO_OPEN_CREATE_NEW), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(io_file_write(file, 5, "hello", 5), 0);
    assert_int_equal(io_file_size(file, &size), 0);
    assert_int_equal(size, 10);
    assert_int_equal(io_file_sync(file), 0);
    assert_int_equal(io_file_read(file, 5, bytes, sizeof bytes, &done), 0);
    assert_int_equal(done, 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(io_file_read_cached(file, 5, bytes, sizeof bytes, &done), 0);
    assert_true(done <= 5);
    assert_int_equal(io_file_truncate(file, 7), 0);
    assert_int_equal(io_file_read(file, 0, bytes, sizeof bytes, &done), 0);
    assert_int_equal(done, 7);
    io_file_release(io_file_reference(file));
    io_file_release(file);
    assert_int_equal(io_file_open(&file, path, IO_OPEN_CREATE_NEW), -EEXIST);
    assert_int_equal(io_file_open(&file, path, IO_OPEN_READ), 0);
    assert_int_equal(io_file_write(file, 0, "x", 1), -EBADF);
    io_file_release(file);
    directory_end(&directory);
}

/* Aligned reads of any place, up to an end that is not aligned. */
static void test_reading_from_the_medium(void **state)
{
    (void)state;
    enum { SIZE = 3 * IO_MEDIUM_ALIGNMENT + 100 };
    struct directory directory;
    struct io_file *file = NULL;
    static _Alignas(IO_MEDIUM_ALIGNMENT) uint8_t bytes[4 * IO_MEDIUM_ALIGNMENT];
    static uint8_t content[SIZE];
    size_t done = 0;
    for (size_t i = 0; i < SIZE; i++) {
        content[i] = (uint8_t)(i * 7 + i / 256);
    }
    directory_begin(&directory);
    const char *path = directory_join(&directory, "f");
    assert_int_equal(io_file_open(&file, path, IO_OPEN_READ_MEDIUM), -ENOENT);
    assert_int_equal(io_path_replace(path, content, SIZE), 0);
    assert_int_equal(io_file_open(&file, path, IO_OPEN_READ_MEDIUM), 0);
    for (size_t from = 0; from < SIZE; from += IO_MEDIUM_ALIGNMENT) {
        assert_int_equal(io_file_read(file, from, bytes, sizeof bytes, &done), 0);
        assert_int_equal(done, SIZE - from);
        assert_memory_equal(bytes, content + from, done);
    }
    assert_int_equal(io_file_read(file, sizeof bytes, bytes, sizeof bytes, &done), 0);
    assert_int_equal(done, 0);
    assert_int_equal(io_file_write(file, 0, "x", 1), -EBADF);
    io_file_release(file);
    directory_end(&directory);
}

static void test_links_are_not_followed(void **state)
{
    (void)state;
    struct directory directory;
    struct io_file *file = NULL;
    directory_begin(&directory);
    const char *target = directory_join(&directory, "target");
    const char *tree = directory_join(&directory, "tree");
    const char *link = directory_join(&directory, "tree/link");
    assert_int_equal(io_directory_make(target), 0);
    assert_int_equal(io_directory_make(tree), 0);
    assert_int_equal(io_path_replace(directory_join(&directory, "target/kept"), "x", 1), 0);
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(io_file_open(&file, link, IO_OPEN_READ), -ELOOP);
    assert_int_equal(io_directory_make(link), -ENOTDIR);
    assert_int_equal(io_directory_remove_tree(tree), 0);
    assert_false(io_path_exists(tree));
    assert_true(io_path_exists(directory_join(&directory, "target/kept")));
    directory_end(&directory);
}

static void test_replacing_a_file_and_reading_it(void **state)
{
    (void)state;
    struct directory directory;
    struct buf *content = NULL;
    directory_begin(&directory);
    const char *path = directory_join(&directory, "small");
    assert_int_equal(io_path_read(path, 100, &content), -ENOENT);
    assert_int_equal(io_path_replace(path, "one", 3), 0);
    assert_int_equal(io_path_replace(directory_join(&directory, "small.new"), "left over", 9), 0);
    assert_int_equal(io_path_replace(path, "second", 6), 0);
    assert_int_equal(io_path_read(path, 5, &content), -EFBIG);
    assert_int_equal(io_path_read(path, 6, &content), 0);
    assert_int_equal(content->length_bytes, 6);
    assert_memory_equal(content->data, "second", 6);
    buf_release(content);
    assert_false(io_path_exists(directory_join(&directory, "small.new")));
    assert_int_equal(io_path_replace(directory_join(&directory, "no/such"), "x", 1), -ENOENT);
    directory_end(&directory);
}

static bool count_entry(const char *name, void *context)
{
    int *count = context;
    assert_int_equal(name[0], 'e');
    (*count)++;
    return *count < 100;
}

static void test_directories(void **state)
{
    (void)state;
    struct directory directory;
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    int count = 0;
    directory_begin(&directory);
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "e%d", i);
        assert_int_equal(io_directory_make(directory_join(&directory, name)), 0);
        assert_int_equal(io_directory_make(directory_join(&directory, name)), 0);
    }
    assert_int_equal(io_directory_list(directory.path, count_entry, &count), 0);
    assert_int_equal(count, 5);
    count = 98;
    assert_int_equal(io_directory_list(directory.path, count_entry, &count), 0);
    assert_int_equal(count, 100);
    assert_int_equal(io_directory_list("/no/such", count_entry, &count), -ENOENT);
    assert_int_equal(
        io_path_rename(directory_join(&directory, "e0"), directory_join(&directory, "e9")), 0);
    assert_false(io_path_exists(directory_join(&directory, "e0")));
    assert_true(io_path_exists(directory_join(&directory, "e9")));
    assert_int_equal(io_directory_sync(directory.path), 0);
    assert_int_equal(io_directory_remove_tree(directory_join(&directory, "e0")), 0);
    assert_int_equal(io_path_remove(directory_join(&directory, "e0")), 0);
    assert_int_equal(io_path_space(directory.path, &free_bytes, &total_bytes), 0);
    assert_true(free_bytes <= total_bytes && total_bytes > 0);
    directory_end(&directory);
}

static void test_a_lock_keeps_others_out_until_the_process_ends(void **state)
{
    (void)state;
    struct directory directory;
    directory_begin(&directory);
    const char *path = directory_join(&directory, "lock");
    pid_t child = fork();
    if (child == 0) {
        _exit(io_path_lock(path) == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(io_path_lock(path), 0);
    assert_int_equal(io_path_lock(path), -EWOULDBLOCK);
    directory_end(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_read_truncate),
        cmocka_unit_test(test_reading_from_the_medium),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_replacing_a_file_and_reading_it),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_a_lock_keeps_others_out_until_the_process_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
