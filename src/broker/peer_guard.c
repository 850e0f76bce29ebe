/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_guard.c -- see peer_guard.h.
 */
#include "broker/peer_guard.h"

#include "base/assert.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define URI_BYTES_MAX 128

bool peer_guard_policy_init(struct peer_guard_policy *policy, const struct broker_config *config,
                            const struct uuid *cluster_id, char *error, size_t error_size)
{
    *policy = (struct peer_guard_policy){
        .cluster_name = config->cluster_name,
        .cluster_id = *cluster_id,
        .own_broker_id = config->broker_id,
        .requires_certificate = config->peer_tls_ca[0] != '\0',
        .allowed_count = config->peer_allow_count,
    };
    policy->allowed = memory_allocate_zeroed(config->peer_allow_count * sizeof *policy->allowed);
    for (size_t i = 0; i < config->peer_allow_count; i++) {
        if (!cidr_parse(&policy->allowed[i], config->peer_allow[i])) {
            snprintf(error, error_size,
                     "peer_allow: '%.60s' is not an address block such as 10.1.0.0/16",
                     config->peer_allow[i]);
            peer_guard_policy_free(policy);
            return false;
        }
    }
    return true;
}

void peer_guard_policy_free(struct peer_guard_policy *policy)
{
    memory_free(policy->allowed);
    policy->allowed = NULL;
    policy->allowed_count = 0;
}

bool peer_guard_admits_address(const struct peer_guard_policy *policy,
                               const struct io_address *address)
{
    for (size_t i = 0; i < policy->allowed_count; i++) {
        if (cidr_contains(&policy->allowed[i], address)) {
            return true;
        }
    }
    return false;
}

/* Compared as a whole and exactly: "broker/1" is not "broker/10", "broker/01" or "broker/1 ". */
static bool certificate_names(const struct peer_guard_policy *policy,
                              const struct peer_guard_claim *claim)
{
    char expected[URI_BYTES_MAX];
    int length = snprintf(expected, sizeof expected, "flotilla://%s/broker/%" PRIu32,
                          policy->cluster_name, claim->broker_id);
    if (length < 0 || (size_t)length >= sizeof expected) {
        return false;
    }
    return claim->uri_count == 1 && claim->uri != NULL && strcmp(claim->uri, expected) == 0;
}

enum peer_guard_verdict peer_guard_decide(const struct peer_guard_policy *policy,
                                          const struct peer_guard_claim *claim)
{
    if (claim->address != NULL && !peer_guard_admits_address(policy, claim->address)) {
        return PEER_GUARD_ADDRESS;
    }
    if (policy->requires_certificate && !certificate_names(policy, claim)) {
        return PEER_GUARD_CERTIFICATE;
    }
    if (!uuid_equal(&claim->cluster_id, &policy->cluster_id)) {
        return PEER_GUARD_CLUSTER;
    }
    bool is_expected =
        claim->dialled_broker_id == 0 || claim->dialled_broker_id == claim->broker_id;
    if (claim->broker_id == 0 || claim->broker_id == policy->own_broker_id ||
        claim->broker_id > INT32_MAX || !is_expected) {
        return PEER_GUARD_BROKER_ID;
    }
    return PEER_GUARD_PASSED;
}

const char *peer_guard_text(enum peer_guard_verdict verdict)
{
    switch (verdict) {
    case PEER_GUARD_PASSED:
        return "passed";
    case PEER_GUARD_ADDRESS:
        return "address not in peer_allow";
    case PEER_GUARD_CERTIFICATE:
        return "certificate is not that of the broker it claims to be";
    case PEER_GUARD_CLUSTER:
        return "another cluster";
    case PEER_GUARD_BROKER_ID:
        return "its broker id is this broker's own, or not the one that was called";
    }
    unreachable_code();
}
