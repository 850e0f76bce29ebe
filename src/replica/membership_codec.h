/* SPDX-License-Identifier: Apache-2.0
 *
 * membership_codec.h -- a membership as bytes: the payload of a membership entry, on disk and on
 * the wire.
 *
 * Locality: any; plain data.
 */
#ifndef REPLICA_MEMBERSHIP_CODEC_H
#define REPLICA_MEMBERSHIP_CODEC_H

#include "raft/membership.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* version, two counts, the epoch, and the ids. */
#define REPLICA_MEMBERSHIP_BYTES_MAX (3 + 4 + 2 * RAFT_MEMBERS_MAX * 4)

/* Returns the length written into bytes (REPLICA_MEMBERSHIP_BYTES_MAX long). */
size_t replica_membership_encode(const struct raft_membership *membership, uint8_t *bytes);

/* False unless the bytes are exactly one membership.  An empty one (a replica that has yet to learn
 * who its members are) is well formed here; any other must be valid. */
bool replica_membership_decode(struct raft_membership *membership, const uint8_t *bytes,
                               size_t length);

/* No voters and no learners: nothing is known yet. */
bool replica_membership_is_empty(const struct raft_membership *membership);

#endif
