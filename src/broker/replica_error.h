/* SPDX-License-Identifier: Apache-2.0
 *
 * replica_error.h -- which protocol error tells a client about a result of the Raft manager.
 *
 * Locality: any.
 */
#ifndef BROKER_REPLICA_ERROR_H
#define BROKER_REPLICA_ERROR_H

#include "replica/replica.h"
#include "wire/error.h"

/* For a request that was refused before anything was appended: the code is definite. */
enum wire_error replica_error(enum replica_result result);

#endif
