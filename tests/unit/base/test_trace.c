/* SPDX-License-Identifier: Apache-2.0
 *
 * test_trace.c -- form of the lines, levels, and that no input forges a line.
 */
#include "base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static char last_line[4096];
static int line_count;

static void remember(enum trace_level level, const char *line, void *context)
{
    (void)level;
    assert_ptr_equal(context, last_line);
    assert_true(strlen(line) < sizeof last_line);
    memcpy(last_line, line, strlen(line) + 1);
    line_count++;
}

static int install(void **state)
{
    (void)state;
    trace_install(remember, last_line, TRACE_INFO);
    return 0;
}

static void test_a_line_has_level_shard_message_and_fields(void **state)
{
    (void)state;
    trace_info("Started %s", "it");
    assert_string_equal(last_line, "level=info msg=\"Started it\"");
    trace_set_shard(3);
    trace_write_fields(TRACE_WARN, "slow disk", "group=%d ms=%d", 1001, 7);
    assert_string_equal(last_line, "level=warn shard=3 msg=\"slow disk\" group=1001 ms=7");
    trace_set_shard(-1);
}

static void test_lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    int before = line_count;
    trace_debug("not seen");
    trace_write_fields(TRACE_DEBUG, "not seen", "x=%d", 1);
    assert_int_equal(line_count, before);
}

static void test_input_cannot_forge_a_line(void **state)
{
    (void)state;
    trace_error("name=%s", "a\"\nlevel=error\x1b[2J\\");
    assert_string_equal(last_line, "level=error msg=\"name=a\\\"\\nlevel=error\\x1b[2J\\\\\"");
    trace_write_fields(TRACE_INFO, "m", "topic=%s", "a\nb");
    assert_string_equal(last_line, "level=info msg=\"m\" topic=a?b");
}

static void test_quote_cuts_between_characters(void **state)
{
    (void)state;
    char text[8];
    assert_string_equal(trace_quote(text, sizeof text, "ab\ncd", 5), "\"ab\\nc\"");
    assert_string_equal(trace_quote(text, 6, "ab\x01", 3), "\"ab\"");
    assert_string_equal(trace_quote(text, 3, "abc", 3), "\"\"");
}

static void test_a_long_message_is_cut(void **state)
{
    (void)state;
    char message[5000];
    memset(message, '"', sizeof message - 1);
    message[sizeof message - 1] = 0;
    trace_info("%s", message);
    assert_true(strlen(last_line) < 3200);
    assert_int_equal(last_line[strlen(last_line) - 1], '"');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_has_level_shard_message_and_fields),
        cmocka_unit_test(test_lines_below_the_level_are_dropped),
        cmocka_unit_test(test_input_cannot_forge_a_line),
        cmocka_unit_test(test_quote_cuts_between_characters),
        cmocka_unit_test(test_a_long_message_is_cut),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
