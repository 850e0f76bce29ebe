/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.c -- the names of a disk: directories as they are seen, as they are durable, and the changes
 * between the two.
 */
#include "disk.h"

#include "base/assert.h"
#include "disk_inode.h"
#include "own_memory.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define DISK_CAPACITY_BYTES (1ull << 40)
#define DISK_DEPTH_MAX 16

/* ---- Names of one directory ---- */

static uint64_t name_hash(const char *name)
{
    uint64_t hash = 1469598103934665603ull;
    for (; *name != 0; name++) {
        hash = (hash ^ (uint8_t)*name) * 1099511628211ull;
    }
    return hash;
}

static struct directory_entry *names_find(const struct directory_names *names, const char *name)
{
    uint64_t hash = name_hash(name);
    for (size_t i = 0; i < names->count; i++) {
        if (names->entries[i].hash == hash && strcmp(names->entries[i].name, name) == 0) {
            return &names->entries[i];
        }
    }
    return NULL;
}

static void names_unset(struct directory_names *names, const char *name)
{
    struct directory_entry *entry = names_find(names, name);
    if (entry != NULL) {
        struct directory_entry gone = *entry;
        *entry = names->entries[--names->count];
        own_free(gone.name);
        inode_release(gone.inode);
    }
}

static void names_set(struct directory_names *names, const char *name, struct sim_inode *inode)
{
    inode_hold(inode);
    struct directory_entry *entry = names_find(names, name);
    if (entry != NULL) {
        struct sim_inode *replaced = entry->inode;
        entry->inode = inode;
        inode_release(replaced);
        return;
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity > 0 ? names->capacity * 2 : 4;
        names->entries =
            own_reallocate(names->entries, names->capacity * sizeof(struct directory_entry));
    }
    names->entries[names->count++] =
        (struct directory_entry){own_duplicate(name), name_hash(name), inode};
}

static void names_clear(struct directory_names *names)
{
    while (names->count > 0) {
        struct directory_entry gone = names->entries[--names->count];
        own_free(gone.name);
        inode_release(gone.inode);
    }
    own_free(names->entries);
    *names = (struct directory_names){0};
}

static void change_apply(struct directory_names *names, const struct directory_change *change)
{
    if (change->to != NULL) {
        names_set(names, change->to, change->inode);
    }
    if (change->from != NULL) {
        names_unset(names, change->from);
    }
}

static void changes_clear(struct directory_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        own_free(changes->changes[i].from);
        own_free(changes->changes[i].to);
        if (changes->changes[i].inode != NULL) {
            inode_release(changes->changes[i].inode);
        }
    }
    own_free(changes->changes);
    *changes = (struct directory_changes){0};
}

/* Seen at once, durable later. */
static void directory_change(struct sim_inode *directory, const char *from, const char *to,
                             struct sim_inode *inode)
{
    struct directory_changes *changes = &directory->changes;
    if (changes->count == changes->capacity) {
        changes->capacity = changes->capacity > 0 ? changes->capacity * 2 : 4;
        changes->changes =
            own_reallocate(changes->changes, changes->capacity * sizeof(struct directory_change));
    }
    struct directory_change *change = &changes->changes[changes->count++];
    *change = (struct directory_change){
        .from = from != NULL ? own_duplicate(from) : NULL,
        .to = to != NULL ? own_duplicate(to) : NULL,
        .inode = inode != NULL ? inode_hold(inode) : NULL,
    };
    change_apply(&directory->seen, change);
}

static void directory_sync(struct sim_inode *directory)
{
    for (size_t i = 0; i < directory->changes.count; i++) {
        change_apply(&directory->durable, &directory->changes.changes[i]);
    }
    changes_clear(&directory->changes);
}

void directory_free(struct sim_inode *directory)
{
    names_clear(&directory->seen);
    names_clear(&directory->durable);
    changes_clear(&directory->changes);
}

/* ---- Paths ---- */

/* Where a walk along a path is: in the directory on top, before its entry name ("" : none). */
struct walk {
    struct sim_inode *directories[DISK_DEPTH_MAX];
    size_t depth;
    char name[NAME_MAX + 1];
};

static int walk_enter(struct walk *walk)
{
    struct sim_inode *directory = walk->directories[walk->depth - 1];
    const struct directory_entry *entry = names_find(&directory->seen, walk->name);
    if (entry == NULL) {
        return -ENOENT;
    }
    if (!entry->inode->is_directory) {
        return -ENOTDIR;
    }
    if (walk->depth == DISK_DEPTH_MAX) {
        return -ELOOP;
    }
    walk->directories[walk->depth++] = entry->inode;
    walk->name[0] = 0;
    return 0;
}

static int walk_step(struct walk *walk, const char *component, size_t length)
{
    int result = walk->name[0] != 0 ? walk_enter(walk) : 0;
    if (result != 0 || (length == 1 && component[0] == '.')) {
        return result;
    }
    if (length == 2 && component[0] == '.' && component[1] == '.') {
        walk->depth -= walk->depth > 1 ? 1 : 0;
        return 0;
    }
    if (length > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(walk->name, component, length);
    walk->name[length] = 0;
    return 0;
}

/* The directory that holds the last component, and that component in name ("": the path names the
 * directory itself). */
static int walk_to_parent(struct sim_disk *disk, const char *path, struct sim_inode **parent,
                          char name[NAME_MAX + 1])
{
    struct walk walk;
    walk.directories[0] = disk->root;
    walk.depth = 1;
    walk.name[0] = 0;
    int result = 0;
    path += strspn(path, "/");
    while (*path != 0 && result == 0) {
        size_t length = strcspn(path, "/");
        result = walk_step(&walk, path, length);
        path += length;
        path += strspn(path, "/");
    }
    *parent = walk.directories[walk.depth - 1];
    memcpy(name, walk.name, strlen(walk.name) + 1);
    return result;
}

int disk_find(struct sim_disk *disk, const char *path, struct sim_inode **inode)
{
    char name[NAME_MAX + 1];
    struct sim_inode *parent = NULL;
    int result = walk_to_parent(disk, path, &parent, name);
    if (result != 0) {
        return result;
    }
    if (name[0] == 0) {
        *inode = parent;
        return 0;
    }
    struct directory_entry *entry = names_find(&parent->seen, name);
    *inode = entry != NULL ? entry->inode : NULL;
    return entry != NULL ? 0 : -ENOENT;
}

/* A new file or directory under a name that is not taken. */
static int make(struct sim_disk *disk, struct sim_inode *parent, const char *name,
                bool is_directory)
{
    if (disk->used >= disk->capacity) {
        return -ENOSPC;
    }
    struct sim_inode *inode = inode_new(disk, is_directory);
    directory_change(parent, NULL, name, inode);
    inode_release(inode);
    return 0;
}

int disk_create(struct sim_disk *disk, const char *path, struct sim_inode **inode, bool *is_new)
{
    char name[NAME_MAX + 1];
    struct sim_inode *parent = NULL;
    int result = walk_to_parent(disk, path, &parent, name);
    *is_new = false;
    if (result != 0) {
        return result;
    }
    if (name[0] == 0) {
        return -EISDIR;
    }
    const struct directory_entry *entry = names_find(&parent->seen, name);
    if (entry == NULL) {
        result = make(disk, parent, name, false);
        if (result != 0) {
            return result;
        }
        *is_new = true;
        entry = names_find(&parent->seen, name);
    }
    *inode = entry->inode;
    return entry->inode->is_directory ? -EISDIR : 0;
}

int disk_make_directory(struct sim_disk *disk, const char *path)
{
    char name[NAME_MAX + 1];
    struct sim_inode *parent = NULL;
    struct sim_inode *there = NULL;
    int result = walk_to_parent(disk, path, &parent, name);
    if (result != 0) {
        return result;
    }
    if (disk_find(disk, path, &there) == 0) {
        return there->is_directory ? 0 : -ENOTDIR;
    }
    return make(disk, parent, name, true);
}

int disk_remove(struct sim_disk *disk, const char *path)
{
    char name[NAME_MAX + 1];
    struct sim_inode *parent = NULL;
    int result = walk_to_parent(disk, path, &parent, name);
    if (result != 0) {
        return result;
    }
    struct directory_entry *entry = names_find(&parent->seen, name);
    if (entry == NULL) {
        return -ENOENT;
    }
    if (entry->inode->is_directory && entry->inode->seen.count > 0) {
        return -ENOTEMPTY;
    }
    directory_change(parent, name, NULL, NULL);
    return 0;
}

/* Within one directory: nobody needs more, and only that is a single change of a directory here. */
int disk_rename(struct sim_disk *disk, const char *from, const char *to)
{
    char from_name[NAME_MAX + 1];
    char to_name[NAME_MAX + 1];
    struct sim_inode *from_parent = NULL;
    struct sim_inode *to_parent = NULL;
    int result = walk_to_parent(disk, from, &from_parent, from_name);
    if (result == 0) {
        result = walk_to_parent(disk, to, &to_parent, to_name);
    }
    if (result != 0) {
        return result;
    }
    struct directory_entry *source = names_find(&from_parent->seen, from_name);
    struct directory_entry *target = names_find(&to_parent->seen, to_name);
    if (source == NULL) {
        return -ENOENT;
    }
    require(from_parent == to_parent);
    if (target != NULL && target->inode->is_directory && target->inode->seen.count > 0) {
        return -ENOTEMPTY;
    }
    directory_change(from_parent, from_name, to_name, source->inode);
    return 0;
}

int disk_sync_directory(struct sim_disk *disk, const char *path)
{
    struct sim_inode *directory = NULL;
    int result = disk_find(disk, path, &directory);
    if (result != 0) {
        return result;
    }
    if (!directory->is_directory) {
        return -ENOTDIR;
    }
    directory_sync(directory);
    return 0;
}

const char *disk_name_at(const struct sim_inode *directory, size_t position)
{
    return position < directory->seen.count ? directory->seen.entries[position].name : NULL;
}

struct sim_inode *disk_child_at(const struct sim_inode *directory, size_t position)
{
    return position < directory->seen.count ? directory->seen.entries[position].inode : NULL;
}

/* ---- Whole disks ---- */

struct sim_disk *disk_new(void)
{
    struct sim_disk *disk = own_allocate(sizeof *disk);
    disk->capacity = DISK_CAPACITY_BYTES;
    disk->root = inode_new(disk, true);
    return disk;
}

void disk_free(struct sim_disk *disk)
{
    inode_release(disk->root);
    ensure(disk->used == 0);
    own_free(disk);
}

void disk_set_capacity(struct sim_disk *disk, uint64_t capacity_bytes)
{
    disk->capacity = capacity_bytes > 0 ? capacity_bytes : DISK_CAPACITY_BYTES;
}

uint64_t disk_capacity(const struct sim_disk *disk)
{
    return disk->capacity;
}

uint64_t disk_used(const struct sim_disk *disk)
{
    return disk->used;
}

static void directory_copy(struct sim_inode *to, const struct sim_inode *from)
{
    for (size_t i = 0; i < from->seen.count; i++) {
        const struct directory_entry *entry = &from->seen.entries[i];
        struct sim_inode *copy = inode_new(to->disk, entry->inode->is_directory);
        directory_change(to, NULL, entry->name, copy);
        if (copy->is_directory) {
            directory_copy(copy, entry->inode);
        } else if (entry->inode->size > 0) {
            int result = inode_write(copy, 0, entry->inode->data, (size_t)entry->inode->size);
            ensure(result == 0);
            inode_sync(copy);
        }
        inode_release(copy);
    }
    directory_sync(to);
}

struct sim_disk *disk_copy(const struct sim_disk *disk)
{
    struct sim_disk *copy = disk_new();
    directory_copy(copy->root, disk->root);
    copy->capacity = disk->capacity;
    return copy;
}

/* Of each directory's changes the first so-and-so many were on the medium. */
static void directory_lose_power(struct sim_inode *directory, struct prng *prng)
{
    struct directory_changes *changes = &directory->changes;
    size_t kept = changes->count > 0 ? (size_t)prng_below(prng, changes->count + 1) : 0;
    for (size_t i = 0; i < kept; i++) {
        change_apply(&directory->durable, &changes->changes[i]);
    }
    changes_clear(changes);
    names_clear(&directory->seen);
    for (size_t i = 0; i < directory->durable.count; i++) {
        const struct directory_entry *entry = &directory->durable.entries[i];
        names_set(&directory->seen, entry->name, entry->inode);
        if (entry->inode->is_directory) {
            directory_lose_power(entry->inode, prng);
        } else {
            inode_lose_power(entry->inode, prng);
        }
    }
}

void disk_lose_power(struct sim_disk *disk, struct prng *prng)
{
    directory_lose_power(disk->root, prng);
}
