/* SPDX-License-Identifier: Apache-2.0
 *
 * path.c -- directories and names.
 *
 * Locality: any thread that may block, see file.h.
 */
#define _GNU_SOURCE
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PATH_DIRECTORY_MODE 0700
#define PATH_FILE_MODE 0600
#define PATH_TREE_DEPTH_MAX 16

int io_directory_make(const char *path)
{
    if (mkdir(path, PATH_DIRECTORY_MODE) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return -errno;
    }
    struct stat status;
    if (lstat(path, &status) != 0) {
        return -errno;
    }
    return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int io_directory_sync(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return -errno;
    }
    int result = fsync(descriptor) == 0 ? 0 : -errno;
    close(descriptor);
    return result;
}

int io_path_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : -errno;
}

int io_path_remove(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

bool io_path_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static bool path_is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int path_remove_entries(int descriptor, int depth);

/* Directories are entered by descriptor and never through a symbolic link, so a link planted inside
 * the tree is removed itself and what it points to stays. */
static int path_remove_entry(int parent, const char *name, int depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return -errno;
    }
    if (depth == 0) {
        return -ELOOP;
    }
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    int result = path_remove_entries(descriptor, depth - 1);
    if (result != 0) {
        return result;
    }
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

/* Takes over the descriptor. */
static int path_remove_entries(int descriptor, int depth)
{
    DIR *directory = fdopendir(descriptor);
    if (directory == NULL) {
        int result = -errno;
        close(descriptor);
        return result;
    }
    int result = 0;
    errno = 0;
    struct dirent *entry = readdir(directory);
    while (entry != NULL && result == 0) {
        if (!path_is_dot(entry->d_name)) {
            result = path_remove_entry(dirfd(directory), entry->d_name, depth);
        }
        errno = 0;
        entry = readdir(directory);
    }
    if (result == 0 && errno != 0) {
        result = -errno;
    }
    closedir(directory);
    return result;
}

int io_directory_remove_tree(const char *path)
{
    return path_remove_entry(AT_FDCWD, path, PATH_TREE_DEPTH_MAX);
}

int io_directory_list(const char *path, bool (*visit)(const char *name, void *context),
                      void *context)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return -errno;
    }
    bool goes_on = true;
    errno = 0;
    struct dirent *entry = readdir(directory);
    while (entry != NULL && goes_on) {
        if (!path_is_dot(entry->d_name)) {
            goes_on = visit(entry->d_name, context);
        }
        errno = 0;
        entry = readdir(directory);
    }
    int result = goes_on && entry == NULL ? -errno : 0;
    closedir(directory);
    return result;
}

/* The descriptor is left open on purpose: the kernel drops the lock with it when the process ends,
 * in whatever way. */
int io_path_lock(const char *path)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, PATH_FILE_MODE);
    if (descriptor < 0) {
        return -errno;
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        int result = -errno;
        close(descriptor);
        return result;
    }
    return 0;
}

int io_path_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0) {
        return -errno;
    }
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    *total_bytes = (uint64_t)status.f_blocks * status.f_frsize;
    return 0;
}
