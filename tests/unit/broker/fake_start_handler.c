/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_start_handler.c -- the handler of StartPartitionRaftGroup, which the request table names and
 * one test alone runs.
 */
#include "base/assert.h"
#include "broker/api.h"

void api_start_partition_raft_group(struct request *request)
{
    (void)request;
    unreachable_code();
}
