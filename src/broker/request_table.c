/* SPDX-License-Identifier: Apache-2.0
 *
 * request_table.c -- every request type the broker knows: who serves it, who may send it, which
 * versions.
 *
 * The one place where a request type is declared.  Types from 1000 upward are ours and exist
 * between brokers only.  Invariant: rows ascend by type.
 */
#include "broker/api.h"
#include "broker/request.h"

#include <stddef.h>

#define NOT_FLEXIBLE INT16_MAX

static const struct request_configuration configurations[] = {
    /* type, name, class, versions: least, most, advertised least, first flexible; handler */
    {REQUEST_PRODUCE, "Produce", REQUEST_DATA, 3, 12, 0, 9, api_produce},
    {REQUEST_FETCH, "Fetch", REQUEST_DATA, 4, 17, 4, 12, api_fetch},
    {REQUEST_LIST_OFFSETS, "ListOffsets", REQUEST_DATA, 0, 10, 0, 6, api_list_offsets},
    {REQUEST_METADATA, "Metadata", REQUEST_METADATA_READ, 0, 13, 0, 9, api_metadata},
    {REQUEST_OFFSET_COMMIT, "OffsetCommit", REQUEST_DATA, 0, 9, 0, 8, api_offset_commit},
    {REQUEST_OFFSET_FETCH, "OffsetFetch", REQUEST_DATA, 0, 9, 0, 6, api_offset_fetch},
    {REQUEST_FIND_COORDINATOR, "FindCoordinator", REQUEST_METADATA_READ, 0, 5, 0, 3,
     api_find_coordinator},
    {REQUEST_JOIN_GROUP, "JoinGroup", REQUEST_DATA, 0, 9, 0, 6, api_join_group},
    {REQUEST_HEARTBEAT, "Heartbeat", REQUEST_DATA, 0, 4, 0, 4, api_heartbeat},
    {REQUEST_LEAVE_GROUP, "LeaveGroup", REQUEST_DATA, 0, 5, 0, 4, api_leave_group},
    {REQUEST_SYNC_GROUP, "SyncGroup", REQUEST_DATA, 0, 5, 0, 4, api_sync_group},
    {REQUEST_DESCRIBE_GROUPS, "DescribeGroups", REQUEST_DATA, 0, 6, 0, 5, api_describe_groups},
    {REQUEST_LIST_GROUPS, "ListGroups", REQUEST_DATA, 0, 5, 0, 3, api_list_groups},
    {REQUEST_API_VERSIONS, "ApiVersions", REQUEST_METADATA_READ, 0, 4, 0, 3, api_api_versions},
    {REQUEST_CREATE_TOPICS, "CreateTopics", REQUEST_METADATA_WRITE, 0, 7, 0, 5, api_create_topics},
    {REQUEST_DELETE_TOPICS, "DeleteTopics", REQUEST_METADATA_WRITE, 0, 6, 0, 4, api_delete_topics},
    {REQUEST_DELETE_RECORDS, "DeleteRecords", REQUEST_DATA, 0, 2, 0, 2, api_delete_records},
    {REQUEST_INIT_PRODUCER_ID, "InitProducerId", REQUEST_METADATA_READ, 0, 5, 0, 2,
     api_init_producer_id},
    {REQUEST_OFFSET_FOR_LEADER_EPOCH, "OffsetForLeaderEpoch", REQUEST_DATA, 0, 4, 0, 4,
     api_offset_for_leader_epoch},
    {REQUEST_DESCRIBE_CONFIGS, "DescribeConfigs", REQUEST_METADATA_READ, 0, 4, 0, 4,
     api_describe_configs},
    {REQUEST_ALTER_CONFIGS, "AlterConfigs", REQUEST_METADATA_WRITE, 0, 2, 0, 2, api_alter_configs},
    {REQUEST_ALTER_REPLICA_LOG_DIRS, "AlterReplicaLogDirs", REQUEST_METADATA_READ, 0, 2, 0, 2,
     api_alter_replica_log_dirs},
    {REQUEST_DESCRIBE_LOG_DIRS, "DescribeLogDirs", REQUEST_DATA, 0, 4, 0, 2, api_describe_log_dirs},
    {REQUEST_CREATE_PARTITIONS, "CreatePartitions", REQUEST_METADATA_WRITE, 0, 3, 0, 2,
     api_create_partitions},
    {REQUEST_DELETE_GROUPS, "DeleteGroups", REQUEST_DATA, 0, 2, 0, 2, api_delete_groups},
    {REQUEST_ELECT_LEADERS, "ElectLeaders", REQUEST_METADATA_WRITE, 0, 2, 0, 2, api_elect_leaders},
    {REQUEST_INCREMENTAL_ALTER_CONFIGS, "IncrementalAlterConfigs", REQUEST_METADATA_WRITE, 0, 1, 0,
     1, api_incremental_alter_configs},
    {REQUEST_ALTER_PARTITION_REASSIGNMENTS, "AlterPartitionReassignments", REQUEST_METADATA_WRITE,
     0, 1, 0, 0, api_alter_partition_reassignments},
    {REQUEST_LIST_PARTITION_REASSIGNMENTS, "ListPartitionReassignments", REQUEST_METADATA_WRITE, 0,
     0, 0, 0, api_list_partition_reassignments},
    {REQUEST_OFFSET_DELETE, "OffsetDelete", REQUEST_DATA, 0, 0, 0, NOT_FLEXIBLE, api_offset_delete},
    {REQUEST_DESCRIBE_QUORUM, "DescribeQuorum", REQUEST_METADATA_WRITE, 0, 2, 0, 0,
     api_describe_quorum},
    {REQUEST_DESCRIBE_CLUSTER, "DescribeCluster", REQUEST_METADATA_READ, 0, 2, 0, 0,
     api_describe_cluster},
    {REQUEST_DESCRIBE_PRODUCERS, "DescribeProducers", REQUEST_DATA, 0, 0, 0, 0,
     api_describe_producers},
    {REQUEST_UNREGISTER_BROKER, "UnregisterBroker", REQUEST_METADATA_WRITE, 0, 0, 0, 0,
     api_unregister_broker},
    {REQUEST_DESCRIBE_TRANSACTIONS, "DescribeTransactions", REQUEST_METADATA_READ, 0, 0, 0, 0,
     api_describe_transactions},
    {REQUEST_LIST_TRANSACTIONS, "ListTransactions", REQUEST_METADATA_READ, 0, 2, 0, 0,
     api_list_transactions},
    {REQUEST_LIST_CONFIG_RESOURCES, "ListConfigResources", REQUEST_METADATA_READ, 0, 1, 0, 0,
     api_list_config_resources},
    {REQUEST_DESCRIBE_TOPIC_PARTITIONS, "DescribeTopicPartitions", REQUEST_METADATA_READ, 0, 0, 0,
     0, api_describe_topic_partitions},
    {REQUEST_PEER_HELLO, "PeerHello", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE, api_peer_hello},
    {REQUEST_RAFT_FRAME, "RaftFrame", REQUEST_INTER_BROKER, 0, 0, 0, 0, api_raft_frame},
    {REQUEST_FORWARD, "Forward", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE, api_forward},
    {REQUEST_START_PARTITION_RAFT_GROUP, "StartPartitionRaftGroup", REQUEST_INTER_BROKER, 0, 0, 0,
     NOT_FLEXIBLE, api_start_partition_raft_group},
    {REQUEST_STOP_PARTITION_RAFT_GROUP, "StopPartitionRaftGroup", REQUEST_INTER_BROKER, 0, 0, 0,
     NOT_FLEXIBLE, api_stop_partition_raft_group},
    {REQUEST_ANNOUNCE_LEADERS, "AnnounceLeaders", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE,
     api_announce_leaders},
    {REQUEST_REGISTER_BROKER, "RegisterBroker", REQUEST_CONTROLLER, 0, 0, 0, NOT_FLEXIBLE,
     api_register_broker},
    {REQUEST_ALLOCATE_PRODUCER_IDS, "AllocateProducerIds", REQUEST_CONTROLLER, 0, 0, 0,
     NOT_FLEXIBLE, api_allocate_producer_ids},
    {REQUEST_READMIT_REPLICA, "ReadmitReplica", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE,
     api_readmit_replica},
    {REQUEST_FIND_FOUNDERS, "FindFounders", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE,
     api_find_founders},
    {REQUEST_RECOMMISSION_BROKER, "RecommissionBroker", REQUEST_METADATA_WRITE, 0, 0, 0, 0,
     api_recommission_broker},
    {REQUEST_WITHDRAW_REPLICA, "WithdrawReplica", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE,
     api_withdraw_replica},
    {REQUEST_COMPLETE_REASSIGNMENT, "CompleteReassignment", REQUEST_INTER_BROKER, 0, 0, 0,
     NOT_FLEXIBLE, api_complete_reassignment},
    {REQUEST_PASS_LEAD, "PassLead", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE, api_pass_lead},
    {REQUEST_PEER_PING, "PeerPing", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE, api_peer_ping},
    {REQUEST_TELL_COMPACTED, "TellCompacted", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE,
     api_tell_compacted},
    {REQUEST_AWAIT_METADATA, "AwaitMetadata", REQUEST_INTER_BROKER, 0, 0, 0, NOT_FLEXIBLE,
     api_await_metadata},
};

size_t request_configuration_count(void)
{
    return sizeof configurations / sizeof configurations[0];
}

const struct request_configuration *request_configuration_at(size_t position)
{
    return position < request_configuration_count() ? &configurations[position] : NULL;
}

const struct request_configuration *request_configuration_find(int16_t type)
{
    size_t low = 0;
    size_t high = request_configuration_count();
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (configurations[middle].type == type) {
            return &configurations[middle];
        }
        if (configurations[middle].type < type) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
