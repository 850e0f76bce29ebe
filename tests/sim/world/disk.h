/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.h -- a file system in memory that remembers what is durable and what is not.  Knows neither
 * time nor processes; file.c puts those around it.
 *
 * What it promises is what a journaling file system promises and no more:
 *   - a file's bytes are durable once the file was synced; before, each 512-byte sector is old or
 *     new by chance, and the size is old, new or between;
 *   - a name (made, renamed, removed) is durable once its directory was synced; before, the first
 *     so-and-so many changes of that directory are, by chance;
 *   - a rename is all or nothing;
 *   - a sync that fails leaves some sectors that no later sync will write.
 *
 * A sector's durable bytes are kept only while they differ from what is seen.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_DISK_H
#define TESTS_SIM_WORLD_DISK_H

#include "base/prng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_SECTOR_BYTES 512u
#define DISK_PATH_SIZE 512

struct sim_disk;
/* A file or a directory; lives while a name (seen or durable) or a holder has it. */
struct sim_inode;

struct sim_disk *disk_new(void);
void disk_free(struct sim_disk *disk);
/* A disk that holds, durable, what is seen on this one. */
struct sim_disk *disk_copy(const struct sim_disk *disk);
void disk_set_capacity(struct sim_disk *disk, uint64_t capacity_bytes);
uint64_t disk_capacity(const struct sim_disk *disk);
uint64_t disk_used(const struct sim_disk *disk);

/* Results: 0 or a negative errno. */
int disk_find(struct sim_disk *disk, const char *path, struct sim_inode **inode); /* borrowed */
/* Made when missing; *is_new tells. */
int disk_create(struct sim_disk *disk, const char *path, struct sim_inode **inode, bool *is_new);
int disk_make_directory(struct sim_disk *disk, const char *path);
int disk_remove(struct sim_disk *disk, const char *path); /* a file, or an empty directory */
int disk_rename(struct sim_disk *disk, const char *from, const char *to);
int disk_sync_directory(struct sim_disk *disk, const char *path);
/* The names in a directory by position; NULL behind the last. */
const char *disk_name_at(const struct sim_inode *directory, size_t position);
struct sim_inode *disk_child_at(const struct sim_inode *directory, size_t position);

struct sim_inode *inode_hold(struct sim_inode *inode);
void inode_release(struct sim_inode *inode);
bool inode_is_directory(const struct sim_inode *inode);
uint64_t inode_size(const struct sim_inode *inode);
/* Returns how many bytes there were. */
size_t inode_read(const struct sim_inode *inode, uint64_t position, void *data, size_t length);
/* 0, or -ENOSPC with what fitted written. */
int inode_write(struct sim_inode *inode, uint64_t position, const void *data, size_t length);
int inode_truncate(struct sim_inode *inode, uint64_t size);
void inode_sync(struct sim_inode *inode);

/* ---- Faults ---- */

/* What was not durable is lost or kept, as prng says; all names and bytes are durable then. */
void disk_lose_power(struct sim_disk *disk, struct prng *prng);
/* A sync that failed: each dirty sector is durable or never will be, unless written again. */
void inode_fail_sync(struct sim_inode *inode, struct prng *prng);
/* The range is seen as written, but stays as it was on the medium, syncs or not. */
void inode_lose_write(struct sim_inode *inode, uint64_t position, size_t length);
/* The durable bytes of the sector at position become these, unseen before the power goes. */
void inode_misdirect(struct sim_inode *inode, uint64_t position, const void *data, size_t length);
/* A byte becomes another, as it is seen and as it is durable. */
void inode_set_byte(struct sim_inode *inode, uint64_t position, uint8_t byte);
/* Flips a bit of a byte below the durable size. */
void inode_rot(struct sim_inode *inode, uint64_t position, unsigned bit);
uint64_t inode_durable_size(const struct sim_inode *inode);

/* Who holds the file's lock (flock); 0: nobody. */
uint64_t inode_lock_owner(const struct sim_inode *inode);
void inode_set_lock_owner(struct sim_inode *inode, uint64_t owner);

#endif
