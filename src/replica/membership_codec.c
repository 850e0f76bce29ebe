/* SPDX-License-Identifier: Apache-2.0
 *
 * membership_codec.c -- a membership as bytes.  Decoding checks everything, as the bytes come from
 * peers and from disk.
 */
#include "replica/membership_codec.h"

#include "base/assert.h"
#include "wire/cursor.h"

#include <string.h>

/* Version 1 adds the epoch behind the counts; version 0 is written when it is 0. */
#define MEMBERSHIP_VERSION 0
#define MEMBERSHIP_VERSION_EPOCH 1

static size_t encode_ids(const uint32_t *ids, uint32_t count, uint8_t *bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        bytes[4 * i] = (uint8_t)(ids[i] >> 24);
        bytes[4 * i + 1] = (uint8_t)(ids[i] >> 16);
        bytes[4 * i + 2] = (uint8_t)(ids[i] >> 8);
        bytes[4 * i + 3] = (uint8_t)ids[i];
    }
    return (size_t)count * 4;
}

size_t replica_membership_encode(const struct raft_membership *membership, uint8_t *bytes)
{
    require(membership->voter_count <= RAFT_MEMBERS_MAX);
    require(membership->learner_count <= RAFT_MEMBERS_MAX);
    bool has_epoch = membership->epoch != 0;
    bytes[0] = has_epoch ? MEMBERSHIP_VERSION_EPOCH : MEMBERSHIP_VERSION;
    bytes[1] = (uint8_t)membership->voter_count;
    bytes[2] = (uint8_t)membership->learner_count;
    size_t length = 3;
    length += has_epoch ? encode_ids(&membership->epoch, 1, bytes + length) : 0;
    length += encode_ids(membership->voters, membership->voter_count, bytes + length);
    length += encode_ids(membership->learners, membership->learner_count, bytes + length);
    ensure(length <= REPLICA_MEMBERSHIP_BYTES_MAX);
    return length;
}

static void decode_ids(struct wire_cursor *cursor, uint32_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = wire_read_uint32(cursor);
    }
}

bool replica_membership_decode(struct raft_membership *membership, const uint8_t *bytes,
                               size_t length)
{
    memset(membership, 0, sizeof *membership);
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, bytes, length, NULL);
    int8_t version = wire_read_int8(&cursor);
    uint32_t voter_count = (uint8_t)wire_read_int8(&cursor);
    uint32_t learner_count = (uint8_t)wire_read_int8(&cursor);
    bool is_known = version == MEMBERSHIP_VERSION || version == MEMBERSHIP_VERSION_EPOCH;
    membership->epoch = version == MEMBERSHIP_VERSION_EPOCH ? wire_read_uint32(&cursor) : 0;
    if (cursor.error != NULL || !is_known || voter_count > RAFT_MEMBERS_MAX ||
        learner_count > RAFT_MEMBERS_MAX ||
        wire_remaining(&cursor) != ((size_t)voter_count + learner_count) * 4) {
        return false;
    }
    membership->voter_count = voter_count;
    membership->learner_count = learner_count;
    decode_ids(&cursor, membership->voters, voter_count);
    decode_ids(&cursor, membership->learners, learner_count);
    return cursor.error == NULL &&
           (replica_membership_is_empty(membership) || raft_membership_is_valid(membership));
}

bool replica_membership_is_empty(const struct raft_membership *membership)
{
    return membership->voter_count == 0 && membership->learner_count == 0;
}
