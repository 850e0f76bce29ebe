/* SPDX-License-Identifier: Apache-2.0
 *
 * replica_error.c -- the one place where results of the Raft manager become protocol errors.
 *
 * Locality: any.
 */
#include "broker/replica_error.h"

#include "base/assert.h"

enum wire_error replica_error(enum replica_result result)
{
    switch (result) {
    case REPLICA_OK:
        return WIRE_ERROR_NONE;
    case REPLICA_INVALID_GROUP_ID:
    case REPLICA_BAD_REQUEST:
    case REPLICA_ALREADY_RUNNING:
    case REPLICA_SUPERSEDED:
        return WIRE_ERROR_INVALID_REQUEST;
    case REPLICA_NOT_RUNNING:
    case REPLICA_NOT_LEADER:
        return WIRE_ERROR_NOT_LEADER_OR_FOLLOWER;
    case REPLICA_DELETED:
        return WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    case REPLICA_FOREIGN:
    case REPLICA_DAMAGED:
    case REPLICA_DISK_FAILED:
        return WIRE_ERROR_KAFKA_STORAGE_ERROR;
    case REPLICA_NOT_READY:
        return WIRE_ERROR_LEADER_NOT_AVAILABLE;
    case REPLICA_FULL:
    case REPLICA_BUSY:
        return WIRE_ERROR_REQUEST_TIMED_OUT;
    }
    unreachable_code();
}
