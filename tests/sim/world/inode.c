/* SPDX-License-Identifier: Apache-2.0
 *
 * inode.c -- the bytes of a file: as they are seen, and the sectors whose durable bytes differ.
 */
#include "base/assert.h"
#include "disk_inode.h"
#include "own_memory.h"

#include <errno.h>
#include <string.h>

#define INODE_CAPACITY_MIN 4096u

struct sim_inode *inode_new(struct sim_disk *disk, bool is_directory)
{
    struct sim_inode *inode = own_allocate(sizeof *inode);
    inode->disk = disk;
    inode->holders = 1;
    inode->is_directory = is_directory;
    return inode;
}

struct sim_inode *inode_hold(struct sim_inode *inode)
{
    inode->holders++;
    return inode;
}

void inode_release(struct sim_inode *inode)
{
    require(inode->holders > 0);
    inode->holders--;
    if (inode->holders > 0) {
        return;
    }
    if (inode->is_directory) {
        directory_free(inode);
    }
    ensure(inode->disk->used >= inode->size);
    inode->disk->used -= inode->size;
    own_free(inode->data);
    own_free(inode->sectors);
    own_free(inode);
}

bool inode_is_directory(const struct sim_inode *inode)
{
    return inode->is_directory;
}

uint64_t inode_size(const struct sim_inode *inode)
{
    return inode->size;
}

uint64_t inode_durable_size(const struct sim_inode *inode)
{
    return inode->durable_size;
}

uint64_t inode_lock_owner(const struct sim_inode *inode)
{
    return inode->lock_owner;
}

void inode_set_lock_owner(struct sim_inode *inode, uint64_t owner)
{
    inode->lock_owner = owner;
}

/* Bytes that appear are zero up to filled_from: those behind it are written at once. */
static void inode_grow(struct sim_inode *inode, uint64_t size, uint64_t filled_from)
{
    require(size > inode->size && filled_from <= size);
    if (size > inode->capacity) {
        uint64_t capacity = inode->capacity > 0 ? inode->capacity : INODE_CAPACITY_MIN;
        while (capacity < size) {
            capacity *= 2;
        }
        inode->data = own_reallocate(inode->data, (size_t)capacity);
        inode->capacity = capacity;
    }
    if (filled_from > inode->size) {
        memset(inode->data + inode->size, 0, (size_t)(filled_from - inode->size));
    }
    inode->disk->used += size - inode->size;
    inode->size = size;
}

static void inode_set_size(struct sim_inode *inode, uint64_t size)
{
    if (size > inode->size) {
        inode_grow(inode, size, size);
    } else {
        inode->disk->used -= inode->size - size;
        inode->size = size;
    }
}

/* Position of the first kept sector that is not before number. */
static size_t sector_position(const struct sim_inode *inode, uint64_t number)
{
    size_t low = 0;
    size_t high = inode->sector_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (inode->sectors[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct inode_sector *sector_find(const struct sim_inode *inode, uint64_t number)
{
    size_t position = sector_position(inode, number);
    return position < inode->sector_count && inode->sectors[position].number == number
               ? &inode->sectors[position]
               : NULL;
}

/* The bytes of a sector as they are seen, zero behind the end. */
static void sector_see(const struct sim_inode *inode, uint64_t number, uint8_t *bytes)
{
    memset(bytes, 0, DISK_SECTOR_BYTES);
    inode_read(inode, number * DISK_SECTOR_BYTES, bytes, DISK_SECTOR_BYTES);
}

/* Keeps what is durable of a sector: what is seen now, when nothing was kept yet. */
static struct inode_sector *sector_keep(struct sim_inode *inode, uint64_t number)
{
    size_t position = sector_position(inode, number);
    if (position < inode->sector_count && inode->sectors[position].number == number) {
        return &inode->sectors[position];
    }
    if (inode->sector_count == inode->sector_capacity) {
        inode->sector_capacity = inode->sector_capacity > 0 ? inode->sector_capacity * 2 : 4;
        inode->sectors =
            own_reallocate(inode->sectors, inode->sector_capacity * sizeof(struct inode_sector));
    }
    struct inode_sector *sector = &inode->sectors[position];
    memmove(sector + 1, sector, (inode->sector_count - position) * sizeof *sector);
    inode->sector_count++;
    sector->number = number;
    sector->is_lost = false;
    if (number * DISK_SECTOR_BYTES < inode->durable_size) {
        sector_see(inode, number, sector->bytes);
        uint64_t durable_in_sector = inode->durable_size - number * DISK_SECTOR_BYTES;
        if (durable_in_sector < DISK_SECTOR_BYTES) {
            memset(sector->bytes + durable_in_sector, 0,
                   (size_t)(DISK_SECTOR_BYTES - durable_in_sector));
        }
    } else {
        memset(sector->bytes, 0, sizeof sector->bytes);
    }
    return sector;
}

/* The sectors of a range are going to be seen otherwise.  Those behind the durable size need
 * nothing kept. */
static void sectors_soil(struct sim_inode *inode, uint64_t begin, uint64_t end)
{
    uint64_t kept_end = end < inode->durable_size ? end : inode->durable_size;
    for (uint64_t number = begin / DISK_SECTOR_BYTES; number * DISK_SECTOR_BYTES < kept_end;
         number++) {
        sector_keep(inode, number)->is_lost = false;
    }
    for (size_t i = sector_position(inode, begin / DISK_SECTOR_BYTES);
         i < inode->sector_count && inode->sectors[i].number * DISK_SECTOR_BYTES < end; i++) {
        inode->sectors[i].is_lost = false;
    }
}

size_t inode_read(const struct sim_inode *inode, uint64_t position, void *data, size_t length)
{
    if (position >= inode->size) {
        return 0;
    }
    uint64_t left = inode->size - position;
    size_t done = left < length ? (size_t)left : length;
    if (done > 0) {
        memcpy(data, inode->data + position, done);
    }
    return done;
}

int inode_write(struct sim_inode *inode, uint64_t position, const void *data, size_t length)
{
    int result = 0;
    uint64_t end = position + length;
    uint64_t limit = inode->size;
    if (inode->disk->used < inode->disk->capacity) {
        limit += inode->disk->capacity - inode->disk->used;
    }
    if (end > limit) {
        result = -ENOSPC;
        end = limit > position ? limit : position;
        length = (size_t)(end - position);
    }
    if (length == 0) {
        return result;
    }
    sectors_soil(inode, position, end);
    if (end > inode->size) {
        inode_grow(inode, end, position);
    }
    memcpy(inode->data + position, data, length);
    return result;
}

int inode_truncate(struct sim_inode *inode, uint64_t size)
{
    if (size > inode->size && inode->disk->used + (size - inode->size) > inode->disk->capacity) {
        return -ENOSPC;
    }
    if (size < inode->size) {
        sectors_soil(inode, size, inode->size);
    }
    inode_set_size(inode, size);
    return 0;
}

void inode_sync(struct sim_inode *inode)
{
    size_t kept = 0;
    for (size_t i = 0; i < inode->sector_count; i++) {
        if (inode->sectors[i].is_lost &&
            inode->sectors[i].number * DISK_SECTOR_BYTES < inode->size) {
            inode->sectors[kept++] = inode->sectors[i];
        }
    }
    inode->sector_count = kept;
    inode->durable_size = inode->size;
}

/* Bytes behind the durable size have no sector kept: now they need one. */
static void sectors_keep_new(struct sim_inode *inode, uint64_t begin, uint64_t end)
{
    for (uint64_t number = begin / DISK_SECTOR_BYTES; number * DISK_SECTOR_BYTES < end; number++) {
        sector_keep(inode, number);
    }
}

void inode_fail_sync(struct sim_inode *inode, struct prng *prng)
{
    sectors_keep_new(inode, inode->durable_size, inode->size);
    size_t kept = 0;
    for (size_t i = 0; i < inode->sector_count; i++) {
        struct inode_sector *sector = &inode->sectors[i];
        if (sector->is_lost || prng_below(prng, 2) == 0) {
            sector->is_lost = true;
            inode->sectors[kept++] = *sector;
        }
    }
    inode->sector_count = kept;
    inode->durable_size = inode->size;
}

void inode_lose_write(struct sim_inode *inode, uint64_t position, size_t length)
{
    uint64_t begin = position / DISK_SECTOR_BYTES;
    for (uint64_t number = begin; number * DISK_SECTOR_BYTES < position + length; number++) {
        sector_keep(inode, number)->is_lost = true;
    }
}

void inode_misdirect(struct sim_inode *inode, uint64_t position, const void *data, size_t length)
{
    struct inode_sector *sector = sector_keep(inode, position / DISK_SECTOR_BYTES);
    sector->is_lost = true;
    memcpy(sector->bytes, data, length < DISK_SECTOR_BYTES ? length : DISK_SECTOR_BYTES);
}

void inode_rot(struct sim_inode *inode, uint64_t position, unsigned bit)
{
    require(position < inode->durable_size && bit < 8);
    struct inode_sector *sector = sector_find(inode, position / DISK_SECTOR_BYTES);
    if (sector != NULL) {
        sector->bytes[position % DISK_SECTOR_BYTES] ^= (uint8_t)(1u << bit);
    } else {
        inode->data[position] ^= (uint8_t)(1u << bit);
    }
}

void inode_set_byte(struct sim_inode *inode, uint64_t position, uint8_t byte)
{
    require(position < inode->size);
    struct inode_sector *sector = sector_find(inode, position / DISK_SECTOR_BYTES);
    inode->data[position] = byte;
    if (sector != NULL) {
        sector->bytes[position % DISK_SECTOR_BYTES] = byte;
    }
}

/* ---- Power ---- */

/* What happens to a file's dirty sectors: often all of them share a fate. */
enum fate { FATE_OLD, FATE_NEW, FATE_MIXED };

static bool fate_keeps(enum fate fate, struct prng *prng)
{
    return fate == FATE_NEW || (fate == FATE_MIXED && prng_below(prng, 2) == 0);
}

static uint64_t size_after_power_cut(const struct sim_inode *inode, enum fate fate,
                                     struct prng *prng)
{
    uint64_t least = inode->size < inode->durable_size ? inode->size : inode->durable_size;
    uint64_t most = inode->size + inode->durable_size - least;
    if (least == most || fate != FATE_MIXED) {
        return fate == FATE_OLD ? inode->durable_size : inode->size;
    }
    uint64_t between = least + prng_below(prng, most - least + 1);
    switch (prng_below(prng, 3)) {
    case 0:
        return inode->durable_size;
    case 1:
        return inode->size;
    default:
        return between - between % DISK_SECTOR_BYTES > least ? between - between % DISK_SECTOR_BYTES
                                                             : between;
    }
}

static void sector_restore(struct sim_inode *inode, const struct inode_sector *sector)
{
    uint64_t begin = sector->number * DISK_SECTOR_BYTES;
    if (begin < inode->size) {
        uint64_t left = inode->size - begin;
        memcpy(inode->data + begin, sector->bytes,
               left < DISK_SECTOR_BYTES ? (size_t)left : DISK_SECTOR_BYTES);
    }
}

void inode_lose_power(struct sim_inode *inode, struct prng *prng)
{
    enum fate fate = (enum fate)prng_below(prng, 3);
    uint64_t size = size_after_power_cut(inode, fate, prng);
    if (fate != FATE_NEW) {
        sectors_keep_new(inode, inode->durable_size, inode->size);
    }
    inode_set_size(inode, size);
    for (size_t i = 0; i < inode->sector_count; i++) {
        const struct inode_sector *sector = &inode->sectors[i];
        if (sector->is_lost || !fate_keeps(fate, prng)) {
            sector_restore(inode, sector);
        }
    }
    inode->sector_count = 0;
    inode->durable_size = size;
}
