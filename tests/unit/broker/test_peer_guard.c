/* SPDX-License-Identifier: Apache-2.0
 *
 * test_peer_guard.c -- who may speak as a broker: all combinations of the three checks, and every
 * way to be nearly right.
 */
#include "broker/peer_guard.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct uuid our_cluster = {{1, 2, 3}};
static const struct uuid other_cluster = {{1, 2, 4}};

static struct io_address address_of(const char *text)
{
    struct io_address address = {0};
    assert_true(io_address_parse(&address, text, 1));
    return address;
}

static void make_policy(struct peer_guard_policy *policy, bool with_tls)
{
    static char lan[] = "10.1.0.0/16";
    static char private[] = "fd00::/8";
    static char loopback[] = "127.0.0.1";
    static char *allowed[] = {lan, private, loopback};
    static char name[] = "ships";
    static char with[] = "ca.pem";
    static char without[] = "";
    char error[128];
    const struct broker_config config = {
        .broker_id = 1,
        .cluster_name = name,
        .peer_tls_ca = with_tls ? with : without,
        .peer_allow = allowed,
        .peer_allow_count = sizeof allowed / sizeof allowed[0],
    };
    assert_true(peer_guard_policy_init(policy, &config, &our_cluster, error, sizeof error));
}

static enum peer_guard_verdict decide(bool with_tls, const char *address, const char *uri,
                                      size_t uri_count, uint32_t broker_id,
                                      const struct uuid *cluster_id, uint32_t dialled)
{
    struct peer_guard_policy policy;
    make_policy(&policy, with_tls);
    struct io_address from = address_of(address);
    const struct peer_guard_claim claim = {
        .address = &from,
        .uri_count = uri_count,
        .uri = uri,
        .cluster_id = *cluster_id,
        .broker_id = broker_id,
        .dialled_broker_id = dialled,
    };
    enum peer_guard_verdict verdict = peer_guard_decide(&policy, &claim);
    peer_guard_policy_free(&policy);
    return verdict;
}

/* P-1, P-2: only all three pass, and the first that fails in their order is the one that is named.
 */
static void test_p1_truth_table(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 8; bits++) {
        bool address = (bits & 1) != 0;
        bool certificate = (bits & 2) != 0;
        bool hello = (bits & 4) != 0;
        enum peer_guard_verdict verdict =
            decide(true, address ? "10.1.2.3" : "10.2.2.3",
                   certificate ? "flotilla://ships/broker/2" : "flotilla://ships/broker/3", 1, 2,
                   hello ? &our_cluster : &other_cluster, 0);
        enum peer_guard_verdict expected = !address       ? PEER_GUARD_ADDRESS
                                           : !certificate ? PEER_GUARD_CERTIFICATE
                                           : !hello       ? PEER_GUARD_CLUSTER
                                                          : PEER_GUARD_PASSED;
        assert_int_equal(verdict, expected);
    }
}

static void test_p3_dialled_broker_must_be_the_one_reached(void **state)
{
    (void)state;
    const char *two = "flotilla://ships/broker/2";
    assert_int_equal(decide(true, "10.1.0.1", two, 1, 2, &our_cluster, 2), PEER_GUARD_PASSED);
    assert_int_equal(decide(true, "10.1.0.1", two, 1, 2, &our_cluster, 3), PEER_GUARD_BROKER_ID);
    assert_int_equal(decide(true, "10.1.0.1", two, 1, 3, &our_cluster, 3), PEER_GUARD_CERTIFICATE);
}

static void test_p4_certificate_without_our_name(void **state)
{
    (void)state;
    static const char *const names[] = {
        "broker-2",
        "broker://ships/2",
        "flotilla://other/broker/2",
        "flotilla://ships/client/2",
        "FLOTILLA://ships/broker/2",
        "",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(decide(true, "10.1.0.1", names[i], 1, 2, &our_cluster, 0),
                         PEER_GUARD_CERTIFICATE);
    }
    assert_int_equal(decide(true, "10.1.0.1", NULL, 0, 2, &our_cluster, 0), PEER_GUARD_CERTIFICATE);
}

static void test_p7_id_matches_exactly(void **state)
{
    (void)state;
    static const char *const names[] = {
        "flotilla://ships/broker/1",  "flotilla://ships/broker/20", "flotilla://ships/broker/02",
        "flotilla://ships/broker/2 ", "flotilla://ships/broker/2/", "flotilla://ships/broker/",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(decide(true, "10.1.0.1", names[i], 1, 2, &our_cluster, 0),
                         PEER_GUARD_CERTIFICATE);
    }
    const char *two = "flotilla://ships/broker/2";
    assert_int_equal(decide(true, "10.1.0.1", two, 2, 2, &our_cluster, 0), PEER_GUARD_CERTIFICATE);
    assert_int_equal(decide(true, "10.1.0.1", "flotilla://ships/broker/0", 1, 0, &our_cluster, 0),
                     PEER_GUARD_BROKER_ID);
    assert_int_equal(decide(true, "10.1.0.1", "flotilla://ships/broker/1", 1, 1, &our_cluster, 0),
                     PEER_GUARD_BROKER_ID);
    assert_int_equal(decide(true, "10.1.0.1", "flotilla://ships/broker/2147483648", 1, 1u << 31,
                            &our_cluster, 0),
                     PEER_GUARD_BROKER_ID);
}

static void test_p13_another_cluster_is_refused(void **state)
{
    (void)state;
    const char *two = "flotilla://ships/broker/2";
    assert_int_equal(decide(true, "10.1.0.1", two, 1, 2, &other_cluster, 0), PEER_GUARD_CLUSTER);
    assert_int_equal(decide(true, "10.1.0.1", two, 1, 2, &other_cluster, 2), PEER_GUARD_CLUSTER);
    assert_int_equal(decide(false, "10.1.0.1", NULL, 0, 2, &other_cluster, 0), PEER_GUARD_CLUSTER);
}

static void test_without_tls_address_and_hello_decide(void **state)
{
    (void)state;
    assert_int_equal(decide(false, "10.1.0.1", NULL, 0, 2, &our_cluster, 0), PEER_GUARD_PASSED);
    assert_int_equal(decide(false, "10.3.0.1", NULL, 0, 2, &our_cluster, 0), PEER_GUARD_ADDRESS);
    assert_int_equal(decide(false, "10.1.0.1", NULL, 0, 1, &our_cluster, 0), PEER_GUARD_BROKER_ID);
}

static void test_p10_allow_list_at_its_edges(void **state)
{
    (void)state;
    static const struct {
        const char *block;
        const char *address;
        bool lies_in;
    } cases[] = {
        {"10.1.0.0/16", "10.1.0.0", true},
        {"10.1.0.0/16", "10.1.255.255", true},
        {"10.1.0.0/16", "10.0.255.255", false},
        {"10.1.0.0/16", "10.2.0.0", false},
        {"10.1.0.0/16", "::ffff:10.1.2.3", true}, /* IPv4-mapped is IPv4 */
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "10.1.2.3", false},
        {"192.168.7.128/25", "192.168.7.127", false},
        {"192.168.7.128/25", "192.168.7.128", true},
        {"192.168.7.9", "192.168.7.9", true},
        {"192.168.7.9", "192.168.7.8", false},
        {"fe80::/10", "fe80::1", true},
        {"fe80::/10", "febf:ffff::1", true},
        {"fe80::/10", "fec0::1", false},
        {"::1/128", "::1", true},
        {"::1/128", "::2", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cidr cidr;
        struct io_address address = address_of(cases[i].address);
        assert_true(cidr_parse(&cidr, cases[i].block));
        assert_int_equal(cidr_contains(&cidr, &address), cases[i].lies_in);
    }
}

static void test_blocks_that_are_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",          "10.1.0.0/33", "10.1.0.0/",   "10.1.0.0/-1", "10.1.0.0/016", "10.1.0.0/1x",
        "10.1.0/16", "10.1.0.1/16", "host.name/8", "::1/129",     "/8",           "10.1.0.0/16/8",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cidr cidr;
        assert_false(cidr_parse(&cidr, texts[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p1_truth_table),
        cmocka_unit_test(test_p3_dialled_broker_must_be_the_one_reached),
        cmocka_unit_test(test_p4_certificate_without_our_name),
        cmocka_unit_test(test_p7_id_matches_exactly),
        cmocka_unit_test(test_p13_another_cluster_is_refused),
        cmocka_unit_test(test_without_tls_address_and_hello_decide),
        cmocka_unit_test(test_p10_allow_list_at_its_edges),
        cmocka_unit_test(test_blocks_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
