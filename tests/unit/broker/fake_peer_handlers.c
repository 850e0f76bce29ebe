/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_peer_handlers.c -- the handlers of requests between brokers, which the request table names
 * and no test here runs.
 */
#include "base/assert.h"
#include "broker/api.h"

#define NOT_RUN(name)                                                                              \
    void name(struct request *request)                                                             \
    {                                                                                              \
        (void)request;                                                                             \
        unreachable_code();                                                                        \
    }

NOT_RUN(api_peer_hello)
NOT_RUN(api_raft_frame)
NOT_RUN(api_forward)
NOT_RUN(api_stop_partition_raft_group)
NOT_RUN(api_announce_leaders)
NOT_RUN(api_register_broker)
NOT_RUN(api_allocate_producer_ids)
NOT_RUN(api_readmit_replica)
NOT_RUN(api_withdraw_replica)
NOT_RUN(api_complete_reassignment)
NOT_RUN(api_find_founders)
NOT_RUN(api_pass_lead)
NOT_RUN(api_peer_ping)
NOT_RUN(api_tell_compacted)
NOT_RUN(api_await_metadata)
NOT_RUN(api_unregister_broker)
NOT_RUN(api_recommission_broker)
