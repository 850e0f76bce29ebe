/* SPDX-License-Identifier: Apache-2.0
 *
 * test_placement.c -- leaders and replicas are spread evenly, over racks, and without chance.
 */
#include "cluster_fixture.h"

#include "base/prng.h"
#include "cluster/placement.h"

struct spread {
    uint32_t leaders[64];
    uint32_t replicas[64];
};

static uint32_t difference(const uint32_t *counts, uint32_t broker_count)
{
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t i = 0; i < broker_count; i++) {
        least = counts[i] < least ? counts[i] : least;
        most = counts[i] > most ? counts[i] : most;
    }
    return most - least;
}

static struct spread spread_of(const struct cluster_metadata *metadata)
{
    struct spread spread = {0};
    const struct cluster_topic *topic;
    size_t position = 0;
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            const struct cluster_partition *partition = &topic->partitions[i];
            spread.leaders[partition->replicas[0] - 1]++;
            for (uint32_t j = 0; j < partition->replica_count; j++) {
                spread.replicas[partition->replicas[j] - 1]++;
            }
        }
    }
    return spread;
}

static void create(struct cluster_metadata *metadata, uint64_t number, int32_t partitions,
                   int32_t replicas, uint32_t broker_count)
{
    char name[32];
    snprintf(name, sizeof name, "topic-%llu", (unsigned long long)number);
    struct cluster_topic_request request =
        fixture_request(name, number, partitions, replicas, broker_count);
    fixture_create(metadata, &request);
}

static void test_divisible_counts_are_exactly_even(void **state)
{
    (void)state;
    for (uint32_t brokers = 1; brokers <= 12; brokers++) {
        for (uint32_t replicas = 1; replicas <= brokers; replicas++) {
            struct cluster_metadata *metadata = fixture_cluster(brokers, NULL);
            for (uint64_t topic = 1; topic <= 3; topic++) {
                create(metadata, topic, (int32_t)(brokers * topic), (int32_t)replicas, brokers);
                struct spread spread = spread_of(metadata);
                assert_int_equal(difference(spread.leaders, brokers), 0);
                assert_int_equal(difference(spread.replicas, brokers), 0);
            }
            cluster_metadata_free(metadata);
        }
    }
}

/* With one replication factor for all topics; with several, even leaders come before even replicas.
 */
static void test_any_counts_are_nearly_even(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (uint32_t run = 0; run < 300; run++) {
        uint32_t brokers = 1 + (uint32_t)prng_below(&prng, 12);
        struct cluster_metadata *metadata = fixture_cluster(brokers, NULL);
        uint64_t topics = 1 + prng_below(&prng, 12);
        int32_t replicas = 1 + (int32_t)prng_below(&prng, brokers);
        for (uint64_t topic = 1; topic <= topics; topic++) {
            int32_t partitions = 1 + (int32_t)prng_below(&prng, 20);
            create(metadata, topic, partitions, replicas, brokers);
            struct spread spread = spread_of(metadata);
            assert_true(difference(spread.leaders, brokers) <= 1);
            assert_true(difference(spread.replicas, brokers) <= 2);
        }
        cluster_metadata_free(metadata);
    }
}

static uint32_t racks_used(const struct cluster_metadata *metadata,
                           const struct cluster_partition *partition)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        const char *rack = cluster_broker_find(metadata, partition->replicas[i])->rack;
        bool seen = false;
        for (uint32_t j = 0; j < i; j++) {
            seen |= strcmp(rack, cluster_broker_find(metadata, partition->replicas[j])->rack) == 0;
        }
        used += seen ? 0 : 1;
    }
    return used;
}

static void test_replicas_are_on_different_racks(void **state)
{
    (void)state;
    static const char *const even[] = {"a", "a", "a", "b", "b", "b", "c", "c", "c"};
    static const char *const uneven[] = {"a", "a", "a", "a", "a", "b", "b", "c", ""};
    for (uint32_t replicas = 1; replicas <= 9; replicas++) {
        for (uint32_t is_even = 0; is_even <= 1; is_even++) {
            struct cluster_metadata *metadata = fixture_cluster(9, is_even ? even : uneven);
            uint32_t rack_count = is_even ? 3 : 4;
            create(metadata, 1, 18, (int32_t)replicas, 9);
            create(metadata, 2, 7, (int32_t)replicas, 9);
            for (uint64_t id = 1; id <= 2; id++) {
                struct uuid topic_id = fixture_id(id);
                const struct cluster_topic *topic = cluster_topic_find_id(metadata, &topic_id);
                for (uint32_t i = 0; i < topic->partition_count; i++) {
                    uint32_t expected = replicas < rack_count ? replicas : rack_count;
                    assert_int_equal(racks_used(metadata, &topic->partitions[i]), expected);
                }
            }
            assert_true(difference(spread_of(metadata).leaders, 9) <= 1);
            cluster_metadata_free(metadata);
        }
    }
}

static void test_even_racks_stay_even(void **state)
{
    (void)state;
    static const char *const racks[] = {"a", "a", "b", "b", "c", "c"};
    for (uint32_t replicas = 1; replicas <= 6; replicas++) {
        struct cluster_metadata *metadata = fixture_cluster(6, racks);
        create(metadata, 1, 24, (int32_t)replicas, 6);
        struct spread spread = spread_of(metadata);
        assert_int_equal(difference(spread.leaders, 6), 0);
        assert_int_equal(difference(spread.replicas, 6), 0);
        cluster_metadata_free(metadata);
    }
}

static void test_an_empty_broker_is_filled_first(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(4, NULL);
    create(metadata, 1, 12, 3, 3);
    create(metadata, 2, 4, 1, 4);
    struct spread spread = spread_of(metadata);
    assert_int_equal(spread.leaders[3], 4);
    cluster_metadata_free(metadata);
}

static void test_brokers_share_with_many_others(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(6, NULL);
    create(metadata, 1, 60, 2, 6);
    struct uuid id = fixture_id(1);
    const struct cluster_topic *topic = cluster_topic_find_id(metadata, &id);
    uint32_t partners_of_first = 0;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (topic->partitions[i].replicas[0] == 1) {
            partners_of_first |= 1u << topic->partitions[i].replicas[1];
        }
    }
    assert_int_equal(__builtin_popcount(partners_of_first), 5);
    cluster_metadata_free(metadata);
}

static void test_placement_is_a_function_of_the_state(void **state)
{
    (void)state;
    struct cluster_metadata *left = fixture_cluster(5, NULL);
    struct cluster_metadata *right = fixture_cluster(5, NULL);
    for (uint64_t topic = 1; topic <= 20; topic++) {
        create(left, topic, 7, 3, 5);
        create(right, topic, 7, 3, 5);
    }
    fixture_assert_equal(left, right);
    cluster_metadata_free(left);
    cluster_metadata_free(right);
}

static void test_unknown_live_brokers_are_left_out(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct placement *placement = placement_new(metadata, fixture_live, 10);
    assert_int_equal(placement_broker_count(placement), 2);
    placement_free(placement);
    cluster_metadata_free(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divisible_counts_are_exactly_even),
        cmocka_unit_test(test_any_counts_are_nearly_even),
        cmocka_unit_test(test_replicas_are_on_different_racks),
        cmocka_unit_test(test_even_racks_stay_even),
        cmocka_unit_test(test_an_empty_broker_is_filled_first),
        cmocka_unit_test(test_brokers_share_with_many_others),
        cmocka_unit_test(test_placement_is_a_function_of_the_state),
        cmocka_unit_test(test_unknown_live_brokers_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
