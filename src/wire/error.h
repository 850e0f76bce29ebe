/* SPDX-License-Identifier: Apache-2.0
 *
 * error.h -- the error codes of the Kafka protocol: one table of code, name, whether a client may
 * try the same request again, and what it means.
 *
 * Locality: any thread.
 */
#ifndef WIRE_ERROR_H
#define WIRE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define WIRE_ERROR_TABLE(X) \
    X(UNKNOWN_SERVER_ERROR, -1, false, "the broker met something it did not expect") \
    X(NONE, 0, false, "no error") \
    X(OFFSET_OUT_OF_RANGE, 1, false, "the offset is outside of the partition") \
    X(CORRUPT_MESSAGE, 2, true, "the record batch is damaged or has a wrong size") \
    X(UNKNOWN_TOPIC_OR_PARTITION, 3, true, "this broker has no such topic or partition") \
    X(INVALID_FETCH_SIZE, 4, false, "the fetch size makes no sense") \
    X(LEADER_NOT_AVAILABLE, 5, true, "the partition has no leader at the moment") \
    X(NOT_LEADER_OR_FOLLOWER, 6, true, "this broker does not lead the partition, or holds no replica of it") \
    X(REQUEST_TIMED_OUT, 7, true, "the request was not done within its time") \
    X(BROKER_NOT_AVAILABLE, 8, false, "the broker is not available") \
    X(REPLICA_NOT_AVAILABLE, 9, true, "the replica is not available here") \
    X(MESSAGE_TOO_LARGE, 10, false, "the record batch is larger than the topic allows") \
    X(STALE_CONTROLLER_EPOCH, 11, false, "a newer controller has taken over") \
    X(OFFSET_METADATA_TOO_LARGE, 12, false, "the text stored with the offset is too long") \
    X(NETWORK_EXCEPTION, 13, true, "the connection broke before the answer") \
    X(COORDINATOR_LOAD_IN_PROGRESS, 14, true, "the coordinator is still loading its state") \
    X(COORDINATOR_NOT_AVAILABLE, 15, true, "the coordinator is not available at the moment") \
    X(NOT_COORDINATOR, 16, true, "this broker is not the coordinator") \
    X(INVALID_TOPIC_EXCEPTION, 17, false, "the topic's name or this use of it is not allowed") \
    X(RECORD_LIST_TOO_LARGE, 18, false, "the batches of the request are larger than a segment") \
    X(NOT_ENOUGH_REPLICAS, 19, true, "too few replicas are in sync to accept the write") \
    X(NOT_ENOUGH_REPLICAS_AFTER_APPEND, 20, true, "the write was stored but on too few replicas") \
    X(INVALID_REQUIRED_ACKS, 21, false, "acks must be -1, 0 or 1") \
    X(ILLEGAL_GENERATION, 22, false, "the generation is not the group's present one") \
    X(INCONSISTENT_GROUP_PROTOCOL, 23, false, "the member shares no protocol with the group") \
    X(INVALID_GROUP_ID, 24, false, "the group id is not allowed") \
    X(UNKNOWN_MEMBER_ID, 25, false, "the group has no such member") \
    X(INVALID_SESSION_TIMEOUT, 26, false, "the session timeout is outside the broker's limits") \
    X(REBALANCE_IN_PROGRESS, 27, false, "the group is rebalancing, join again") \
    X(INVALID_COMMIT_OFFSET_SIZE, 28, false, "the committed offset is too large to store") \
    X(TOPIC_AUTHORIZATION_FAILED, 29, false, "no right to the topic") \
    X(GROUP_AUTHORIZATION_FAILED, 30, false, "no right to the group") \
    X(CLUSTER_AUTHORIZATION_FAILED, 31, false, "no right to the cluster") \
    X(INVALID_TIMESTAMP, 32, false, "the timestamp is too far from the broker's clock") \
    X(UNSUPPORTED_SASL_MECHANISM, 33, false, "the broker does not offer this way to authenticate") \
    X(ILLEGAL_SASL_STATE, 34, false, "the request does not fit the state of the authentication") \
    X(UNSUPPORTED_VERSION, 35, false, "the broker does not know this version of the request") \
    X(TOPIC_ALREADY_EXISTS, 36, false, "a topic of this name exists") \
    X(INVALID_PARTITIONS, 37, false, "the number of partitions is not allowed") \
    X(INVALID_REPLICATION_FACTOR, 38, false, "fewer than 1 replica, or more than there are brokers") \
    X(INVALID_REPLICA_ASSIGNMENT, 39, false, "the assignment of replicas to brokers is not allowed") \
    X(INVALID_CONFIG, 40, false, "a configuration value is not allowed") \
    X(NOT_CONTROLLER, 41, true, "this broker is not the controller") \
    X(INVALID_REQUEST, 42, false, "the request contradicts itself or the protocol") \
    X(UNSUPPORTED_FOR_MESSAGE_FORMAT, 43, false, "the record format on the broker cannot do this") \
    X(POLICY_VIOLATION, 44, false, "a policy of the cluster forbids this") \
    X(OUT_OF_ORDER_SEQUENCE_NUMBER, 45, false, "the producer's sequence number leaves a gap") \
    X(DUPLICATE_SEQUENCE_NUMBER, 46, false, "the producer's sequence number was seen before") \
    X(INVALID_PRODUCER_EPOCH, 47, false, "the producer's epoch is older than the broker's") \
    X(INVALID_TXN_STATE, 48, false, "the transaction is in no state for this") \
    X(INVALID_PRODUCER_ID_MAPPING, 49, false, "the producer id does not belong to this transactional id") \
    X(INVALID_TRANSACTION_TIMEOUT, 50, false, "the transaction timeout is longer than the broker allows") \
    X(CONCURRENT_TRANSACTIONS, 51, true, "the producer's previous transaction is not finished yet") \
    X(TRANSACTION_COORDINATOR_FENCED, 52, false, "a newer coordinator has taken over the transaction") \
    X(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 53, false, "no right to the transactional id") \
    X(SECURITY_DISABLED, 54, false, "security is switched off") \
    X(OPERATION_NOT_ATTEMPTED, 55, false, "not tried, because another part of the request failed") \
    X(KAFKA_STORAGE_ERROR, 56, true, "the broker's disk failed") \
    X(LOG_DIR_NOT_FOUND, 57, false, "the broker has no such log directory") \
    X(SASL_AUTHENTICATION_FAILED, 58, false, "the credentials were refused") \
    X(UNKNOWN_PRODUCER_ID, 59, false, "the broker remembers nothing of this producer id") \
    X(REASSIGNMENT_IN_PROGRESS, 60, false, "the partition is being moved") \
    X(DELEGATION_TOKEN_AUTH_DISABLED, 61, false, "delegation tokens are switched off") \
    X(DELEGATION_TOKEN_NOT_FOUND, 62, false, "there is no such delegation token") \
    X(DELEGATION_TOKEN_OWNER_MISMATCH, 63, false, "the delegation token belongs to somebody else") \
    X(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, 64, false, "not on this connection") \
    X(DELEGATION_TOKEN_AUTHORIZATION_FAILED, 65, false, "no right to the delegation token") \
    X(DELEGATION_TOKEN_EXPIRED, 66, false, "the delegation token has expired") \
    X(INVALID_PRINCIPAL_TYPE, 67, false, "the kind of principal is not supported") \
    X(NON_EMPTY_GROUP, 68, false, "the group still has members") \
    X(GROUP_ID_NOT_FOUND, 69, false, "there is no such group") \
    X(FETCH_SESSION_ID_NOT_FOUND, 70, true, "the broker has no such fetch session") \
    X(INVALID_FETCH_SESSION_EPOCH, 71, true, "the fetch session is at another epoch") \
    X(LISTENER_NOT_FOUND, 72, true, "the leader has no listener that matches this one") \
    X(TOPIC_DELETION_DISABLED, 73, false, "deleting topics is switched off") \
    X(FENCED_LEADER_EPOCH, 74, true, "the leader epoch is older than the broker's") \
    X(UNKNOWN_LEADER_EPOCH, 75, true, "the leader epoch is newer than the broker's") \
    X(UNSUPPORTED_COMPRESSION_TYPE, 76, false, "the compression of the batch is not supported") \
    X(STALE_BROKER_EPOCH, 77, false, "the broker has registered again since") \
    X(OFFSET_NOT_AVAILABLE, 78, true, "the new leader does not know the end offset yet") \
    X(MEMBER_ID_REQUIRED, 79, false, "join again with the member id that was given") \
    X(PREFERRED_LEADER_NOT_AVAILABLE, 80, true, "the preferred leader is not available") \
    X(GROUP_MAX_SIZE_REACHED, 81, false, "the group is full") \
    X(FENCED_INSTANCE_ID, 82, false, "another member took over this group instance id") \
    X(ELIGIBLE_LEADERS_NOT_AVAILABLE, 83, true, "no replica that may lead is available") \
    X(ELECTION_NOT_NEEDED, 84, true, "the partition has the leader it should have") \
    X(NO_REASSIGNMENT_IN_PROGRESS, 85, false, "the partition is not being moved") \
    X(GROUP_SUBSCRIBED_TO_TOPIC, 86, false, "the group is subscribed to the topic, so its offsets stay") \
    X(INVALID_RECORD, 87, false, "a record of the batch breaks a rule") \
    X(UNSTABLE_OFFSET_COMMIT, 88, true, "a transaction that commits this offset is still open") \
    X(THROTTLING_QUOTA_EXCEEDED, 89, true, "the quota is used up") \
    X(PRODUCER_FENCED, 90, false, "another producer with the same transactional id took over") \
    X(RESOURCE_NOT_FOUND, 91, false, "there is no such resource") \
    X(DUPLICATE_RESOURCE, 92, false, "the resource stands twice in the request") \
    X(UNACCEPTABLE_CREDENTIAL, 93, false, "the credential is not good enough") \
    X(INCONSISTENT_VOTER_SET, 94, false, "the voters differ from those expected") \
    X(INVALID_UPDATE_VERSION, 95, false, "the feature cannot be set to this version") \
    X(FEATURE_UPDATE_FAILED, 96, false, "the features could not be updated") \
    X(PRINCIPAL_DESERIALIZATION_FAILURE, 97, false, "the forwarded principal cannot be read") \
    X(SNAPSHOT_NOT_FOUND, 98, false, "there is no such snapshot") \
    X(POSITION_OUT_OF_RANGE, 99, false, "the position is outside of the snapshot") \
    X(UNKNOWN_TOPIC_ID, 100, true, "this broker has no topic of this id") \
    X(DUPLICATE_BROKER_REGISTRATION, 101, false, "the broker id is taken by another broker") \
    X(BROKER_ID_NOT_REGISTERED, 102, false, "no broker of this id is registered") \
    X(INCONSISTENT_TOPIC_ID, 103, true, "the topic's id differs from the one in the request") \
    X(INCONSISTENT_CLUSTER_ID, 104, false, "the request is meant for another cluster") \
    X(TRANSACTIONAL_ID_NOT_FOUND, 105, false, "there is no such transactional id") \
    X(FETCH_SESSION_TOPIC_ID_ERROR, 106, true, "the fetch session mixes topic names and topic ids") \
    X(INELIGIBLE_REPLICA, 107, false, "the replica may not join those in sync") \
    X(NEW_LEADER_ELECTED, 108, false, "the change itself moved the leadership") \
    X(OFFSET_MOVED_TO_TIERED_STORAGE, 109, false, "the offset is no longer on the broker's own disk") \
    X(FENCED_MEMBER_EPOCH, 110, false, "the coordinator fenced the member's epoch, join again") \
    X(UNRELEASED_INSTANCE_ID, 111, false, "the instance id is still in use by a member") \
    X(UNSUPPORTED_ASSIGNOR, 112, false, "the group does not offer this assignor") \
    X(STALE_MEMBER_EPOCH, 113, false, "the member's epoch is old, ask for the present one") \
    X(MISMATCHED_ENDPOINT_TYPE, 114, false, "the request was sent to the wrong kind of endpoint") \
    X(UNSUPPORTED_ENDPOINT_TYPE, 115, false, "this kind of endpoint is not supported") \
    X(UNKNOWN_CONTROLLER_ID, 116, false, "there is no controller of this id") \
    X(UNKNOWN_SUBSCRIPTION_ID, 117, false, "the telemetry subscription is not known, ask for it again") \
    X(TELEMETRY_TOO_LARGE, 118, false, "the telemetry is larger than the broker takes") \
    X(INVALID_REGISTRATION, 119, false, "the registration is not valid") \
    X(TRANSACTION_ABORTABLE, 120, false, "the transaction can only be aborted now") \
    X(INVALID_RECORD_STATE, 121, false, "the record is in no state to be acknowledged so") \
    X(SHARE_SESSION_NOT_FOUND, 122, true, "there is no such share session") \
    X(INVALID_SHARE_SESSION_EPOCH, 123, true, "the share session is at another epoch") \
    X(FENCED_STATE_EPOCH, 124, false, "the share state is at a newer epoch") \
    X(INVALID_VOTER_KEY, 125, false, "the voter's directory differs from the one known") \
    X(DUPLICATE_VOTER, 126, false, "the voter is in the set already") \
    X(VOTER_NOT_FOUND, 127, false, "the set has no such voter") \
    X(INVALID_REGULAR_EXPRESSION, 128, false, "the regular expression cannot be understood") \
    X(REBOOTSTRAP_REQUIRED, 129, false, "the client's metadata is too old, it has to start over") \
    X(STREAMS_INVALID_TOPOLOGY, 130, false, "the streams topology is not valid") \
    X(STREAMS_INVALID_TOPOLOGY_EPOCH, 131, false, "the epoch of the streams topology is not valid") \
    X(STREAMS_TOPOLOGY_FENCED, 132, false, "the streams topology is older than the group's") \
    X(SHARE_SESSION_LIMIT_REACHED, 133, true, "the broker keeps as many share sessions as it may")
/* clang-format on */

enum wire_error {
#define WIRE_ERROR_MEMBER(name, code, retriable, text) WIRE_ERROR_##name = code,
    WIRE_ERROR_TABLE(WIRE_ERROR_MEMBER)
#undef WIRE_ERROR_MEMBER
};

/* "OFFSET_OUT_OF_RANGE"; for a code that is not in the table, as for the others below, the answer
 * of UNKNOWN_SERVER_ERROR. */
const char *wire_error_name(enum wire_error error);
/* What it means, in words for a log line or an error message. */
const char *wire_error_text(enum wire_error error);
/* Whether the same request may succeed later, perhaps after the client has asked for fresh
 * metadata. */
bool wire_error_is_retriable(enum wire_error error);

#endif
