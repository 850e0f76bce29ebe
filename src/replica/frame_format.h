/* SPDX-License-Identifier: Apache-2.0
 *
 * frame_format.h -- the numbers of the peer frame that its writer and its reader share.
 *
 * Locality: constants.
 */
#ifndef REPLICA_FRAME_FORMAT_H
#define REPLICA_FRAME_FORMAT_H

#include "raft/raft.h"

#define FRAME_VERSION 0

/* The tag of an item: a raft_message_kind, or one of these. */
#define FRAME_TAG_CHUNK 64
#define FRAME_TAG_ACK 65

/* Set in the tag of a Raft message: the incarnation of the sender's replica follows the group id.
 */
#define FRAME_TAG_HAS_INCARNATION 0x80
/* Likewise: a rest is offered or agreed to, and how long follows the fields. */
#define FRAME_TAG_HAS_REST 0x20
_Static_assert(RAFT_MESSAGE_KINDS <= FRAME_TAG_HAS_REST,
               "the flags of a tag stand above the kinds");

/* Which fields of a Raft message are not zero, in the order they are written. */
#define FRAME_HAS_INDEX 0x01
#define FRAME_HAS_INDEX_TERM 0x02
#define FRAME_HAS_COMMIT 0x04
#define FRAME_HAS_BARRIER 0x08
#define FRAME_HAS_HINT_INDEX 0x10
#define FRAME_HAS_HINT_TERM 0x20
#define FRAME_IS_GRANTED 0x40
#define FRAME_IS_FORCED 0x80

/* The least an entry of an APPEND takes: kind, gap, span, term and payload length. */
#define FRAME_ENTRY_BYTES_MIN 5

#endif
