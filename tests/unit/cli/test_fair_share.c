/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fair_share.c -- what a broker that was added takes over, and what it leaves alone.
 */
#include "cli/fair_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PARTITIONS_MAX 64

struct cluster {
    struct fair_share_broker brokers[6];
    size_t broker_count;
    struct fair_share_partition partitions[PARTITIONS_MAX];
    size_t partition_count;
};

static void add_broker(struct cluster *cluster, int32_t id, const char *rack)
{
    cluster->brokers[cluster->broker_count++] =
        (struct fair_share_broker){.id = id, .rack = rack, .takes_part = true};
}

/* With as many replicas as the text has digits, each a broker's id. */
static struct fair_share_partition *add_partition(struct cluster *cluster, uint32_t topic,
                                                  const char *replicas)
{
    struct fair_share_partition *partition = &cluster->partitions[cluster->partition_count++];
    *partition = (struct fair_share_partition){.topic = topic};
    for (; *replicas != 0; replicas++) {
        partition->replicas[partition->replica_count++] = *replicas - '0';
    }
    return partition;
}

static size_t plan(struct cluster *cluster, int32_t newcomer)
{
    return fair_share_plan(cluster->partitions, cluster->partition_count, cluster->brokers,
                           cluster->broker_count, newcomer);
}

static uint32_t count_of(const struct cluster *cluster, int32_t broker, bool as_first)
{
    uint32_t count = 0;
    for (size_t i = 0; i < cluster->partition_count; i++) {
        const struct fair_share_partition *partition = &cluster->partitions[i];
        for (int32_t j = 0; j < partition->replica_count; j++) {
            count += partition->replicas[j] == broker && (j == 0 || !as_first);
        }
    }
    return count;
}

static bool is_twice(const struct fair_share_partition *partition)
{
    for (int32_t i = 0; i < partition->replica_count; i++) {
        for (int32_t j = 0; j < i; j++) {
            if (partition->replicas[i] == partition->replicas[j]) {
                return true;
            }
        }
    }
    return false;
}

static void fill_three(struct cluster *cluster)
{
    static const char *const orders[] = {"123", "231", "312"};
    for (uint32_t i = 0; i < 16; i++) {
        (void)add_partition(cluster, i / 8, orders[i % 3]);
    }
}

static void test_the_newcomer_gets_the_mean(void **state)
{
    struct cluster cluster = {0};
    (void)state;
    for (int32_t id = 1; id <= 4; id++) {
        add_broker(&cluster, id, "");
    }
    fill_three(&cluster);
    assert_int_equal(plan(&cluster, 4), 12);
    for (int32_t id = 1; id <= 4; id++) {
        assert_int_equal(count_of(&cluster, id, false), 12);
    }
    assert_int_equal(count_of(&cluster, 4, true), 4);
    uint32_t of_first_topic = 0;
    for (size_t i = 0; i < cluster.partition_count; i++) {
        assert_false(is_twice(&cluster.partitions[i]));
        of_first_topic += i < 8 && cluster.partitions[i].is_planned;
        cluster.partitions[i].is_planned = false;
    }
    assert_int_equal(of_first_topic, 6);
    assert_int_equal(plan(&cluster, 4), 0);
}

static void test_what_moves_is_left_alone(void **state)
{
    struct cluster cluster = {0};
    (void)state;
    add_broker(&cluster, 1, "");
    add_broker(&cluster, 2, "");
    add_partition(&cluster, 0, "1")->is_moving = true;
    (void)add_partition(&cluster, 0, "1");
    add_partition(&cluster, 0, "1")->is_moving = true;
    (void)add_partition(&cluster, 0, "1");
    assert_int_equal(plan(&cluster, 2), 2);
    assert_int_equal(cluster.partitions[0].replicas[0], 1);
    assert_int_equal(cluster.partitions[1].replicas[0], 2);
    assert_int_equal(cluster.partitions[2].replicas[0], 1);
}

static void test_the_racks_stay_spanned(void **state)
{
    struct cluster cluster = {0};
    (void)state;
    add_broker(&cluster, 1, "a");
    add_broker(&cluster, 2, "b");
    add_broker(&cluster, 3, "a");
    for (int i = 0; i < 6; i++) {
        (void)add_partition(&cluster, 0, "12");
    }
    assert_int_equal(plan(&cluster, 3), 2); /* broker 2 is the only one of its rack */
    assert_int_equal(count_of(&cluster, 2, false), 6);
    for (size_t i = 0; i < cluster.partition_count; i++) {
        cluster.partitions[i].is_planned = false;
    }
    assert_int_equal(plan(&cluster, 3), 0); /* 2 holds more than its share, but cannot give */
}

static void test_who_is_dead_keeps_its_own(void **state)
{
    struct cluster cluster = {0};
    (void)state;
    for (int32_t id = 1; id <= 4; id++) {
        add_broker(&cluster, id, "");
    }
    cluster.brokers[1].takes_part = false;
    cluster.brokers[2].takes_part = false;
    for (int i = 0; i < 4; i++) {
        (void)add_partition(&cluster, 0, "123");
    }
    assert_int_equal(plan(&cluster, 4), 2);
    assert_int_equal(count_of(&cluster, 1, false), 2);
    assert_int_equal(count_of(&cluster, 2, false), 4);
    assert_int_equal(count_of(&cluster, 3, false), 4);
}

static void test_the_rack_of_a_dead_replica_counts(void **state)
{
    struct cluster cluster = {0};
    (void)state;
    add_broker(&cluster, 1, "a");
    add_broker(&cluster, 2, "b");
    add_broker(&cluster, 3, "b");
    cluster.brokers[1].takes_part = false;
    for (int i = 0; i < 4; i++) {
        (void)add_partition(&cluster, 0, "12");
    }
    assert_int_equal(plan(&cluster, 3), 0); /* in the place of 1 all would be in rack b */
}

static void test_an_empty_cluster(void **state)
{
    struct cluster cluster = {0};
    (void)state;
    add_broker(&cluster, 1, "");
    assert_int_equal(plan(&cluster, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newcomer_gets_the_mean),
        cmocka_unit_test(test_what_moves_is_left_alone),
        cmocka_unit_test(test_the_racks_stay_spanned),
        cmocka_unit_test(test_who_is_dead_keeps_its_own),
        cmocka_unit_test(test_the_rack_of_a_dead_replica_counts),
        cmocka_unit_test(test_an_empty_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
