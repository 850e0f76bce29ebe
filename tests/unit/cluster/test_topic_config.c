/* SPDX-License-Identifier: Apache-2.0
 *
 * test_topic_config.c -- the config table is sound, values are judged rightly, overrides are kept.
 */
#include "cluster_fixture.h"

#include "cluster/topic_config.h"

static const struct topic_config_row *row_of(const char *name)
{
    const struct topic_config_row *row = topic_config_find(name, strlen(name));
    assert_non_null(row);
    return row;
}

static bool is_good(const char *name, const char *value)
{
    char message[128];
    return topic_config_check(row_of(name), value, strlen(value), message, sizeof message) == NULL;
}

static void test_table_is_sound(void **state)
{
    (void)state;
    char message[128];
    assert_true(topic_config_row_count() >= 30);
    for (size_t i = 0; i < topic_config_row_count(); i++) {
        const struct topic_config_row *row = topic_config_row(i);
        assert_true(i == 0 || strcmp(topic_config_row(i - 1)->name, row->name) < 0);
        assert_ptr_equal(topic_config_find(row->name, strlen(row->name)), row);
        assert_null(topic_config_check(row, row->default_text, strlen(row->default_text), message,
                                       sizeof message));
        size_t text_length = strlen(row->text);
        assert_true(text_length > 20 && row->text[text_length - 1] == '.');
        assert_true(row->least <= row->most);
        if (row->type == TOPIC_CONFIG_INT) {
            assert_true(row->least >= INT32_MIN && row->most <= INT32_MAX);
        }
    }
    assert_null(topic_config_row(topic_config_row_count()));
}

static void test_find_knows_whole_names_only(void **state)
{
    (void)state;
    assert_null(topic_config_find("retention", 9));
    assert_null(topic_config_find("retention.msx", 13));
    assert_null(topic_config_find("", 0));
    assert_null(topic_config_find("message.format.version", 22));
    assert_ptr_equal(topic_config_find("retention.ms.more", 12), row_of("retention.ms"));
}

static void test_numbers(void **state)
{
    (void)state;
    assert_true(is_good("retention.ms", "-1"));
    assert_true(is_good("retention.ms", " 3600000 "));
    assert_true(is_good("retention.ms", "9223372036854775807"));
    assert_false(is_good("retention.ms", "-2"));
    assert_false(is_good("retention.ms", "9223372036854775808"));
    assert_false(is_good("retention.ms", ""));
    assert_false(is_good("retention.ms", "  "));
    assert_false(is_good("retention.ms", "12x"));
    assert_false(is_good("retention.ms", "1 2"));
    assert_false(is_good("retention.ms", "0x10"));
    assert_false(is_good("retention.ms", "1e3"));
    assert_false(is_good("segment.bytes", "2147483648"));
    assert_false(is_good("min.insync.replicas", "0"));
    assert_true(is_good("min.cleanable.dirty.ratio", "0.25"));
    assert_true(is_good("min.cleanable.dirty.ratio", "1"));
    assert_false(is_good("min.cleanable.dirty.ratio", "1.01"));
    assert_false(is_good("min.cleanable.dirty.ratio", "nan"));
    assert_false(is_good("min.cleanable.dirty.ratio", "-0.1"));
}

static void test_words(void **state)
{
    (void)state;
    assert_true(is_good("preallocate", "TRUE"));
    assert_false(is_good("preallocate", "yes"));
    assert_true(is_good("compression.type", "zstd"));
    assert_false(is_good("compression.type", "ZSTD"));
    assert_false(is_good("compression.type", "zstd,lz4"));
    assert_true(is_good("message.timestamp.type", "LogAppendTime"));
    assert_true(is_good("cleanup.policy", "compact"));
    assert_true(is_good("cleanup.policy", "compact, delete"));
    assert_false(is_good("cleanup.policy", ""));
    assert_false(is_good("cleanup.policy", "compact,"));
    assert_false(is_good("cleanup.policy", "shred"));
    assert_true(is_good("leader.replication.throttled.replicas", "0:1,1:2"));
}

static void test_value_may_not_hide_bytes(void **state)
{
    (void)state;
    char message[128];
    const struct topic_config_row *row = row_of("leader.replication.throttled.replicas");
    assert_non_null(topic_config_check(row, "a\0b", 3, message, sizeof message));
    static char large[TOPIC_CONFIG_VALUE_BYTES_MAX + 1];
    memset(large, '1', sizeof large);
    assert_null(topic_config_check(row, large, sizeof large - 1, message, sizeof message));
    assert_non_null(topic_config_check(row, large, sizeof large, message, sizeof message));
}

static void test_overrides(void **state)
{
    (void)state;
    struct topic_config config = {0};
    struct topic_config copy;
    assert_int_equal(topic_config_number(&config, "retention.ms"), 604800000);
    assert_null(topic_config_override(&config, "retention.ms"));
    topic_config_set(&config, row_of("segment.bytes"), "1048576xx", 7);
    topic_config_set(&config, row_of("preallocate"), "True", 4);
    topic_config_set(&config, row_of("retention.ms"), "5", 1);
    topic_config_set(&config, row_of("retention.ms"), " 60 ", 4);
    assert_int_equal(config.count, 3);
    for (size_t i = 1; i < config.count; i++) {
        assert_true(config.overrides[i - 1].row < config.overrides[i].row);
    }
    assert_int_equal(topic_config_number(&config, "retention.ms"), 60);
    assert_int_equal(topic_config_number(&config, "segment.bytes"), 1048576);
    assert_true(topic_config_boolean(&config, "preallocate"));
    assert_string_equal(topic_config_text(&config, "cleanup.policy"), "delete");
    topic_config_copy(&copy, &config);
    topic_config_unset(&config, row_of("retention.ms"));
    topic_config_unset(&config, row_of("retention.ms"));
    assert_int_equal(config.count, 2);
    assert_int_equal(topic_config_number(&config, "retention.ms"), 604800000);
    assert_int_equal(topic_config_number(&copy, "retention.ms"), 60);
    topic_config_clear(&config);
    topic_config_clear(&copy);
    assert_int_equal(copy.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_find_knows_whole_names_only),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_value_may_not_hide_bytes),
        cmocka_unit_test(test_overrides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
