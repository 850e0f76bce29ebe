/* SPDX-License-Identifier: Apache-2.0
 *
 * epochs_format.h -- sizes and checksums that the writing and the reading side of the epoch log
 * share.
 *
 * Locality: plain data.
 */
#ifndef LOG_EPOCHS_FORMAT_H
#define LOG_EPOCHS_FORMAT_H

#include "log/epochs.h"

#define EPOCHS_FORMAT_VERSION 1
#define EPOCHS_MARK 0xa5
#define EPOCHS_START_PAYLOAD_BYTES 8
#define EPOCHS_RESET_PAYLOAD_BYTES 1
#define EPOCHS_SLOT_BYTES 60
#define EPOCHS_RECORD_BYTES(payload_length)                                                        \
    ((size_t)LOG_EPOCHS_RECORD_HEAD_BYTES + (payload_length) + 1)

/* Of everything behind the checksum field, seeded with the position in the file. */
uint32_t epochs_record_crc(uint64_t position, const uint8_t *record, size_t length);
uint32_t epochs_slot_crc(uint64_t position, const uint8_t *slot);

#endif
