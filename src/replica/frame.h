/* SPDX-License-Identifier: Apache-2.0
 *
 * frame.h -- the peer frame: what the groups of one shard have to say to one broker in one turn.
 *
 *     int32 size, request header (type 1001), then the body:
 *     version, sender broker, sender shard, sender shard count, and items up to the end.
 *
 * An item is a Raft message or a piece of a snapshot transfer.  Numbers are varints, group ids are
 * differences to the item before, and a field that is zero is left out (one byte says which are
 * there), so the heartbeat of an idle group takes about ten bytes.  Batches go out by reference.
 *
 * Everything decoded here is untrusted: lengths and counts are compared with what is left, and a
 * batch must carry the checksum, term and span that its entry claims.
 *
 * Locality: the shard of its manager.
 */
#ifndef REPLICA_FRAME_H
#define REPLICA_FRAME_H

#include "io/stream.h"
#include "log/entry.h"
#include "raft/raft.h"
#include "wire/cursor.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLICA_FRAME_REQUEST_TYPE 1001
#define REPLICA_FRAME_ENTRIES_MAX 4096      /* of one append */
#define REPLICA_FRAME_BYTES_SOFT (4u << 20) /* a longer frame is sent and another begun */
#define REPLICA_SNAPSHOT_CHUNK_BYTES (256u << 10)
#define REPLICA_SNAPSHOT_BYTES_MAX (256ull << 20) /* of a whole applier snapshot */

struct replica_frame_head {
    uint32_t broker_id;
    uint16_t shard;
    uint16_t shard_count;
};

/* Where a snapshot stands, sent with every chunk of it. */
struct replica_snapshot_place {
    uint64_t log_index; /* the log begins behind this entry */
    uint64_t log_term;
    uint64_t log_offset; /* first Kafka offset of the log */
    uint64_t index;      /* the applier's state; Invariant: >= log_index */
    uint64_t term;
    uint64_t next_offset;
    struct raft_membership membership; /* committed */
    uint64_t membership_index;         /* Invariant: <= log_index */
    uint64_t total_bytes;              /* of the applier's state */
    uint32_t crc;                      /* crc32c of all of it */
};

struct replica_snapshot_chunk {
    uint64_t group_id;
    uint64_t term; /* the leader's */
    uint64_t transfer_id;
    struct replica_snapshot_place place;
    uint64_t position; /* of data in the whole */
    struct buf_slice data;
};

enum replica_snapshot_status {
    REPLICA_SNAPSHOT_GOING_ON,
    REPLICA_SNAPSHOT_INSTALLED,
    REPLICA_SNAPSHOT_REFUSED,
    REPLICA_SNAPSHOT_STATUSES, /* how many there are */
};

struct replica_snapshot_ack {
    uint64_t group_id;
    uint64_t term; /* as in the chunk */
    uint64_t transfer_id;
    uint64_t received; /* bytes held without a gap: send from here */
    enum replica_snapshot_status status;
};

/* ---- Writing ---- */

struct replica_frame_writer {
    struct wire_writer writer;
    bool is_open; /* between begin and send/discard; the writer holds memory only then */
    uint64_t last_group_id;
    struct buf_slice *payloads; /* spliced in, one reference each; kept between frames */
    uint32_t payload_count;
    uint32_t payload_capacity;
};

void replica_frame_init(struct replica_frame_writer *frame);
void replica_frame_free(struct replica_frame_writer *frame);
void replica_frame_begin(struct replica_frame_writer *frame, const struct replica_frame_head *head);
/* Any message but an APPEND.  incarnation: of the replica that sends it; APPENDs need none, as what
 * a leader sends is true whatever became of its replica. */
void replica_frame_add_message(struct replica_frame_writer *frame,
                               const struct raft_message *message, uint32_t incarnation);
/* An APPEND with its entries as the log gave them; takes references on their bufs. */
void replica_frame_add_append(struct replica_frame_writer *frame,
                              const struct raft_message *message, const struct log_entry *entries,
                              size_t count);
void replica_frame_add_chunk(struct replica_frame_writer *frame,
                             const struct replica_snapshot_chunk *chunk);
void replica_frame_add_ack(struct replica_frame_writer *frame,
                           const struct replica_snapshot_ack *ack);
/* Bytes of the frame so far, payload included. */
size_t replica_frame_bytes(const struct replica_frame_writer *frame);
/* Queues the frame on the stream; the writer is empty again. */
void replica_frame_send(struct replica_frame_writer *frame, struct io_stream *stream);
void replica_frame_discard(struct replica_frame_writer *frame);

/* ---- Reading ---- */

enum replica_frame_item_kind {
    REPLICA_FRAME_END,
    REPLICA_FRAME_BAD,     /* reader->cursor.error says what; nothing more can be read */
    REPLICA_FRAME_SKIPPED, /* an APPEND with a damaged batch: reader->damage says what */
    REPLICA_FRAME_MESSAGE,
    REPLICA_FRAME_CHUNK,
    REPLICA_FRAME_ACK,
};

struct replica_frame_item {
    enum replica_frame_item_kind kind;
    uint64_t group_id;
    struct raft_message message;         /* MESSAGE; from and to are left 0 */
    uint32_t incarnation;                /* MESSAGE, but of an APPEND */
    struct replica_snapshot_chunk chunk; /* CHUNK */
    struct replica_snapshot_ack ack;     /* ACK */
};

/* Kept between frames for its arrays; entries and payloads are valid until the next item is read.
 */
struct replica_frame_reader {
    struct wire_cursor cursor;
    struct buf *buf; /* borrowed: where the frame stands */
    uint64_t last_group_id;
    const char *damage;
    struct raft_entry *entries;
    struct buf_slice *payloads; /* one for each entry, not referenced */
    uint32_t entry_capacity;
};

void replica_frame_reader_init(struct replica_frame_reader *reader);
void replica_frame_reader_free(struct replica_frame_reader *reader);
/* Reads the head; false when it makes no sense. */
bool replica_frame_reader_begin(struct replica_frame_reader *reader, struct buf *buf,
                                const uint8_t *body, size_t length,
                                struct replica_frame_head *head);
void replica_frame_reader_next(struct replica_frame_reader *reader,
                               struct replica_frame_item *item);

#endif
