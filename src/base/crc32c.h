/* SPDX-License-Identifier: Apache-2.0
 *
 * crc32c.h -- CRC-32C (Castagnoli), the checksum of Kafka record batches and of our own files.
 * Uses the processor's instruction where there is one.
 *
 * Locality: any thread.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* crc: 0 to begin, or the result so far to go on. */
uint32_t crc32c(uint32_t crc, const void *data, size_t length);

/* The same by tables, for processors without the instruction; public so that tests can hold one
 * against the other. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t length);

#endif
