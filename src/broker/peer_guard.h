/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_guard.h -- who may speak as a broker: three checks, all of which must pass, in this order:
 *
 *   1. the address lies in the allow-list: at accept, before TLS spends anything on a stranger;
 *   2. the certificate is signed by the brokers' CA (verified by TLS) and carries exactly one URI,
 *      flotilla://<cluster name>/broker/<id>;
 *   3. the hello names this cluster and the same broker id as the certificate.
 *
 * Nothing a peer sends but its hello is parsed before all three have passed.  Without TLS between
 * brokers (loopback, or allow_insecure) there is no second check, and the hello is believed.  The
 * dialling side checks whom it reached by the same function.
 *
 * A broker that is not known yet may connect: the certificate is its admission to the cluster.
 *
 * Decides only; who calls, logs and closes stands in listener.c, api_peer_hello.c and peer_dial.c.
 *
 * Locality: the policy is read-only after start; any shard.
 */
#ifndef BROKER_PEER_GUARD_H
#define BROKER_PEER_GUARD_H

#include "base/uuid.h"
#include "broker/cidr.h"
#include "broker/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer_guard_policy {
    const char *cluster_name;
    struct uuid cluster_id;
    uint32_t own_broker_id;
    bool requires_certificate; /* TLS between brokers is configured */
    struct cidr *allowed;
    size_t allowed_count;
};

enum peer_guard_verdict {
    PEER_GUARD_PASSED,
    PEER_GUARD_ADDRESS,     /* not in the allow-list */
    PEER_GUARD_CERTIFICATE, /* none, several URIs, or another broker's */
    PEER_GUARD_CLUSTER,     /* another cluster's */
    PEER_GUARD_BROKER_ID,   /* no id, our own, or not the one that was dialled */
};

/* What a peer says and shows. */
struct peer_guard_claim {
    const struct io_address *address; /* NULL: we dialled, the address is ours to choose */
    size_t uri_count;
    const char *uri; /* the first one; NULL: none */
    struct uuid cluster_id;
    uint32_t broker_id;
    uint32_t dialled_broker_id; /* 0: it called us */
};

/* False with a message when peer_allow holds something that is no block. */
bool peer_guard_policy_init(struct peer_guard_policy *policy, const struct broker_config *config,
                            const struct uuid *cluster_id, char *error, size_t error_size);
void peer_guard_policy_free(struct peer_guard_policy *policy);

/* The first check alone, at accept. */
bool peer_guard_admits_address(const struct peer_guard_policy *policy,
                               const struct io_address *address);
/* All three. */
enum peer_guard_verdict peer_guard_decide(const struct peer_guard_policy *policy,
                                          const struct peer_guard_claim *claim);
/* Names the check that failed, for the log. */
const char *peer_guard_text(enum peer_guard_verdict verdict);

#endif
