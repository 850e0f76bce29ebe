/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_inode.h -- what disk.c (names) and inode.c (bytes) share.  Not for others.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_DISK_INODE_H
#define TESTS_SIM_WORLD_DISK_INODE_H

#include "disk.h"

/* The durable bytes of a sector that is seen otherwise. */
struct inode_sector {
    uint64_t number;
    bool is_lost; /* no sync writes it: only a new write makes it dirty again */
    uint8_t bytes[DISK_SECTOR_BYTES];
};

struct directory_entry {
    char *name;
    uint64_t hash;           /* of the name */
    struct sim_inode *inode; /* held */
};

struct directory_names {
    struct directory_entry *entries;
    size_t count;
    size_t capacity;
};

/* A change of a directory that is not durable yet: the name from goes (NULL: none), to comes. */
struct directory_change {
    char *from;
    char *to;                /* NULL: none */
    struct sim_inode *inode; /* of to; held */
};

struct directory_changes {
    struct directory_change *changes;
    size_t count;
    size_t capacity;
};

struct sim_inode {
    struct sim_disk *disk;
    uint32_t holders;
    bool is_directory;
    uint64_t lock_owner;

    /* A file: bytes as they are seen. */
    uint8_t *data;
    uint64_t size;
    uint64_t capacity;
    uint64_t durable_size;        /* bytes from here to size are dirty, without a sector kept */
    struct inode_sector *sectors; /* sorted by number */
    size_t sector_count;
    size_t sector_capacity;

    /* A directory. */
    struct directory_names seen;
    struct directory_names durable;
    struct directory_changes changes;
};

struct sim_disk {
    struct sim_inode *root;
    uint64_t capacity;
    uint64_t used;
};

struct sim_inode *inode_new(struct sim_disk *disk, bool is_directory);
void inode_lose_power(struct sim_inode *inode, struct prng *prng);
/* disk.c */
void directory_free(struct sim_inode *directory);

#endif
