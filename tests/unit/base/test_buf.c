/* SPDX-License-Identifier: Apache-2.0
 *
 * test_buf.c -- references of a buf, also from several threads at once.
 */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

static void test_a_buf_is_born_empty_with_one_reference(void **state)
{
    (void)state;
    struct buf *buf = buf_new(100);
    assert_int_equal(buf->length_bytes, 0);
    assert_int_equal(buf->capacity_bytes, 100);
    memset(buf->data, 1, 100);
    assert_ptr_equal(buf_reference(buf), buf);
    buf_release(buf);
    buf->data[0] = 2;
    buf_release(buf);
    assert_null(buf_reference(NULL));
    buf_release(NULL);
    buf_release(buf_new(0));
}

static void *take_and_drop(void *argument)
{
    struct buf *buf = argument;
    for (int i = 0; i < 20000; i++) {
        buf_reference(buf);
        buf_release(buf);
    }
    buf_release(buf);
    return NULL;
}

static void test_the_last_of_many_threads_frees(void **state)
{
    (void)state;
    struct buf *buf = buf_new(8);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_drop, buf_reference(buf)), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&buf->references), 1);
    buf_release(buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_buf_is_born_empty_with_one_reference),
        cmocka_unit_test(test_the_last_of_many_threads_frees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
