/* SPDX-License-Identifier: Apache-2.0
 *
 * torn.h -- telling a write that a power cut interrupted from damage.
 *
 * A disk writes sectors whole or not at all, and files only grow: bytes of an interrupted write
 * that did not arrive are missing or zero.  Damage to what was once written looks different.
 *
 * Locality: plain data.
 */
#ifndef LOG_TORN_H
#define LOG_TORN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TORN_SECTOR_BYTES 512

/* data: file bytes from base_position on.  Whether some sector that overlaps [from, to) holds
 * nothing but zeros from "from" on (positions in the file, the last sector ends with the data). */
static inline bool torn_has_unwritten_sector(const uint8_t *data, size_t length,
                                             uint64_t base_position, uint64_t from, uint64_t to)
{
    uint64_t end = base_position + length;
    uint64_t sector_from = from;
    while (sector_from < to && sector_from < end) {
        uint64_t sector_to = (sector_from / TORN_SECTOR_BYTES + 1) * TORN_SECTOR_BYTES;
        sector_to = sector_to < end ? sector_to : end;
        uint64_t at = sector_from;
        while (at < sector_to && data[at - base_position] == 0) {
            at++;
        }
        if (at == sector_to) {
            return true;
        }
        sector_from = sector_to;
    }
    return false;
}

#endif
