/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h -- one record out of the record part of a batch; shared by the check of a whole batch
 * and by the reader that also decompresses.  Not for other rooms, which use wire/batch.h.
 *
 * Locality: plain data.
 */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include "wire/batch.h"

/* Length, attributes, timestamp, offset, key, value and header count of one byte each. */
#define WIRE_RECORD_BYTES_MIN 7

/* The most a batch may grow when it is decompressed, for each byte of input. */
#define WIRE_EXPANSION_MAX 128

/* Reads the record whose bytes, without the length in front, are all that remains in the cursor,
 * and checks that its parts fill it exactly and that its offset lies in the batch.  False:
 * cursor->error. */
bool wire_record_read(struct wire_record *record, const struct wire_batch *batch,
                      struct wire_cursor *cursor);

/* Walks the records of a whole uncompressed batch; what is wrong with them, or NULL. */
const char *wire_batch_check_records(const struct wire_batch *batch);

#endif
