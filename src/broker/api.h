/* SPDX-License-Identifier: Apache-2.0
 *
 * api.h -- the handlers behind the request table, one for each request type, each in its own
 * api_*.c.
 *
 * A handler is called on the shard of the request and answers once, now or later (see request.h).
 */
#ifndef BROKER_API_H
#define BROKER_API_H

#include "broker/request.h"

/* Kafka's protocol. */
void api_produce(struct request *request);
void api_fetch(struct request *request);
void api_list_offsets(struct request *request);
void api_offset_for_leader_epoch(struct request *request);
void api_metadata(struct request *request);
/* Called with version -1 when the client's version is not served: answers in version 0 with
 * UNSUPPORTED_VERSION, so that the client can try again. */
void api_api_versions(struct request *request);
void api_create_topics(struct request *request);
void api_delete_topics(struct request *request);
void api_delete_records(struct request *request);
void api_create_partitions(struct request *request);
void api_elect_leaders(struct request *request);
void api_alter_partition_reassignments(struct request *request);
void api_list_partition_reassignments(struct request *request);
void api_describe_transactions(struct request *request);
void api_list_transactions(struct request *request);
void api_describe_configs(struct request *request);
void api_alter_configs(struct request *request);
void api_incremental_alter_configs(struct request *request);
void api_describe_log_dirs(struct request *request);
void api_alter_replica_log_dirs(struct request *request);
void api_describe_producers(struct request *request);
void api_describe_quorum(struct request *request);
void api_describe_cluster(struct request *request);
void api_unregister_broker(struct request *request);
void api_recommission_broker(struct request *request); /* ours, but sent by operators */
void api_describe_topic_partitions(struct request *request);
void api_find_coordinator(struct request *request);
void api_join_group(struct request *request);
void api_sync_group(struct request *request);
void api_heartbeat(struct request *request);
void api_leave_group(struct request *request);
void api_offset_commit(struct request *request);
void api_offset_fetch(struct request *request);
void api_offset_delete(struct request *request);
void api_describe_groups(struct request *request);
void api_list_config_resources(struct request *request);
void api_list_groups(struct request *request);
void api_delete_groups(struct request *request);
void api_init_producer_id(struct request *request);

/* Between brokers, always on shard 0. */
void api_peer_hello(struct request *request);
void api_raft_frame(struct request *request);
void api_forward(struct request *request);
void api_start_partition_raft_group(struct request *request);
void api_stop_partition_raft_group(struct request *request);
void api_announce_leaders(struct request *request);
void api_register_broker(struct request *request);
void api_allocate_producer_ids(struct request *request);
void api_readmit_replica(struct request *request);
void api_withdraw_replica(struct request *request);
void api_complete_reassignment(struct request *request);
void api_pass_lead(struct request *request);
void api_peer_ping(struct request *request);
void api_tell_compacted(struct request *request);
void api_await_metadata(struct request *request);
void api_find_founders(struct request *request);

#endif
