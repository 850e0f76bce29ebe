/* SPDX-License-Identifier: Apache-2.0
 *
 * fault_disk.c -- a disk that misbehaves, under a broker that does not know: a library for
 * LD_PRELOAD that stands between a program and the files below one directory.
 *
 * FAULT_DISK_DIRECTORY names the directory (absolute, no links in it), FAULT_DISK_CONTROL a FIFO
 * from which commands are read, one a line.  What was done is appended to FAULT_DISK_CONTROL.log,
 * which begins with "ready".
 *
 *     fail CALL ERRNO COUNT PART   the next COUNT calls (-1: all) on paths that contain PART fail;
 *                                  CALL is open, write, truncate or sync; a failing write of more
 *                                  than one byte is cut short first, as on a disk that gets full
 *     delay sync MS                every sync takes so much longer
 *     room BYTES                   the file system says that so much is free; -1: the truth
 *     cut SEED                     the power goes: what was not synced is undone, then SIGKILL
 *
 * What is durable.  Before a write or truncation the bytes it replaces are kept, and dropped when a
 * sync of the file that began later has succeeded; names made, removed or renamed are kept until a
 * sync of their directory.  A sync that is made to fail puts the kept bytes back, as a kernel does
 * that drops the pages it could not write: a later sync that succeeds does not bring them back.
 *
 * The power cut.  With SEED 0 all that is left is undone; with another, chance decides: for each
 * 512-byte sector of each file whether it arrived, how long the file is, and for each directory how
 * many of its changes arrived, the oldest first.
 *
 * Every call holds one mutex while it changes a file, and the cut takes it for good: no call that
 * began before it returns after it, so nothing is acknowledged that is undone.  What is undone is
 * undone by a child process while the broker stands still, so that it reads nothing of it either.
 *
 * A directory is known by what it is, not by its path: after it was renamed, or removed and made
 * anew under the same name, a change of the old one is never undone in the new one.
 *
 * What it cannot do: see writes through mmap or write() (the broker's files are written by
 * pwritev); keep what a renamed directory replaced; show reads that fail; tear a sector.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SECTOR_BYTES 512
#define RULES_MAX 8
#define NAME_BYTES 256
#define DIRECTORY_ENTRIES_BYTES 4096

enum call { CALL_OPEN, CALL_WRITE, CALL_TRUNCATE, CALL_SYNC, CALL_COUNT };
static const char *const call_names[CALL_COUNT] = {"open", "write", "truncate", "sync"};

struct rule {
    enum call call;
    int error;
    long left; /* -1: without end */
    bool has_cut_short;
    char part[128];
};

/* What a write or truncation replaced. */
struct replaced {
    struct replaced *older;
    uint64_t number;
    off_t position;
    size_t length; /* of data; what lay behind the file's end is zero and not kept */
    off_t size;    /* of the file before */
    uint8_t data[];
};

/* A file with unsynced content. */
struct changed_file {
    struct changed_file *next;
    dev_t device;
    ino_t inode;
    int descriptor; /* our own */
    struct replaced *newest;
};

enum name_change_kind { NAME_MADE, NAME_REMOVED, NAME_RENAMED, NAME_DIRECTORY_REMOVED };

/* A directory with unsynced changes, whatever it is called by now. */
struct directory {
    struct directory *next;
    dev_t device;
    ino_t inode;
    int descriptor; /* our own; its inode is not used again while it is open */
    bool is_removed;
};

/* An unsynced change of a directory. */
struct name_change {
    struct name_change *older;
    uint64_t number;
    enum name_change_kind kind;
    struct directory *directory;
    char name[NAME_BYTES];
    struct directory *from_directory; /* NAME_RENAMED */
    char from[NAME_BYTES];
    struct directory *removed; /* NAME_DIRECTORY_REMOVED; NULL: it had no unsynced changes */
    char kept[PATH_MAX];       /* a link to what the name meant before; empty: nothing */
};

static struct {
    pthread_mutex_t mutex;
    char directory[PATH_MAX]; /* empty: do nothing */
    size_t directory_length;
    char parent[PATH_MAX]; /* where the directory's own name stands */
    char lost[PATH_MAX];   /* a directory beside it, for what is kept and what is lost */
    int control;
    int log;
    uint64_t number; /* of the newest change */
    struct rule rules[RULES_MAX];
    size_t rule_count;
    long sync_delay_ms;
    long long room_bytes; /* -1: as it is */
    struct changed_file *files;
    struct name_change *names; /* the newest */
    struct directory *directories;
    pid_t stopped; /* in the child that cuts the power: the broker */
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .room_bytes = -1};

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
    char line[PATH_MAX + 128];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < sizeof line) {
        (void)!write(disk.log, line, (size_t)length);
    }
}

static _Noreturn void give_up(const char *what)
{
    tell("fault_disk gives up: %s: %s\n", what, strerror(errno));
    if (disk.stopped != 0) {
        kill(disk.stopped, SIGABRT);
        kill(disk.stopped, SIGCONT);
    }
    abort();
}

static void *must_allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL) {
        give_up("memory");
    }
    return memory;
}

static bool is_ours(const char *path)
{
    return disk.directory[0] != 0 && strncmp(path, disk.directory, disk.directory_length) == 0 &&
           (path[disk.directory_length] == '/' || path[disk.directory_length] == 0);
}

/* What an open file is called now; false when it is none of ours. */
static bool path_of(int descriptor, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = disk.directory[0] != 0 ? readlink(link, path, PATH_MAX - 1) : -1;
    path[length > 0 ? length : 0] = 0;
    return length > 0 && is_ours(path);
}

/* The path an *at call means. */
static bool path_at(int directory, const char *name, char path[PATH_MAX])
{
    char parent[PATH_MAX];
    if (name[0] == '/' || directory == AT_FDCWD) {
        return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && is_ours(path);
    }
    return path_of(directory, parent) && snprintf(path, PATH_MAX, "%s/%s", parent, name) < PATH_MAX;
}

/* ---- Failing ---- */

/* The rule that says that this call fails, or NULL; the mutex is held. */
static struct rule *failing(enum call call, const char *path)
{
    for (size_t i = 0; i < disk.rule_count; i++) {
        struct rule *rule = &disk.rules[i];
        if (rule->call == call && rule->left != 0 && strstr(path, rule->part) != NULL) {
            return rule;
        }
    }
    return NULL;
}

static bool fails(enum call call, const char *path)
{
    struct rule *rule = failing(call, path);
    if (rule == NULL) {
        return false;
    }
    rule->left -= rule->left > 0;
    tell("%s %s: %s\n", call_names[call], path, strerror(rule->error));
    errno = rule->error;
    return true;
}

/* ---- Content ---- */

static struct changed_file *find_file(int descriptor, bool make)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        give_up("fstat");
    }
    for (struct changed_file *file = disk.files; file != NULL; file = file->next) {
        if (file->device == status.st_dev && file->inode == status.st_ino) {
            return file;
        }
    }
    if (!make) {
        return NULL;
    }
    struct changed_file *file = must_allocate(sizeof *file);
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (file->descriptor < 0) {
        give_up("dup");
    }
    file->next = disk.files;
    disk.files = file;
    return file;
}

/* Keeps what lies in [position, position + length). */
static void keep_content(int descriptor, off_t position, size_t length)
{
    struct changed_file *file = find_file(descriptor, true);
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        give_up("fstat");
    }
    size_t old = position < status.st_size ? (size_t)(status.st_size - position) : 0;
    old = old < length ? old : length;
    struct replaced *replaced = must_allocate(sizeof *replaced + old);
    if (pread(descriptor, replaced->data, old, position) != (ssize_t)old) {
        give_up("reading what is replaced");
    }
    replaced->number = ++disk.number;
    replaced->position = position;
    replaced->length = old;
    replaced->size = status.st_size;
    replaced->older = file->newest;
    file->newest = replaced;
}

/* Drops what was replaced up to a number; the file when nothing is left. */
static void content_synced(int descriptor, uint64_t number)
{
    struct changed_file *file = find_file(descriptor, false);
    if (file == NULL) {
        return;
    }
    struct replaced **at = &file->newest;
    while (*at != NULL && (*at)->number > number) {
        at = &(*at)->older;
    }
    while (*at != NULL) {
        struct replaced *gone = *at;
        *at = gone->older;
        free(gone);
    }
    if (file->newest == NULL) {
        struct changed_file **place = &disk.files;
        while (*place != file) {
            place = &(*place)->next;
        }
        *place = file->next;
        close(file->descriptor);
        free(file);
    }
}

/* ---- Names ---- */

static struct directory *find_directory(const struct stat *status)
{
    struct directory *directory = disk.directories;
    while (directory != NULL &&
           (directory->device != status->st_dev || directory->inode != status->st_ino)) {
        directory = directory->next;
    }
    return directory;
}

/* The directory at a path, NULL when there is none. */
static struct directory *directory_at(const char *path)
{
    int descriptor =
        (int)syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) {
        return NULL;
    }
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        give_up("fstat");
    }
    struct directory *directory = find_directory(&status);
    if (directory != NULL) {
        close(descriptor);
        return directory;
    }
    directory = must_allocate(sizeof *directory);
    directory->device = status.st_dev;
    directory->inode = status.st_ino;
    directory->descriptor = descriptor;
    directory->next = disk.directories;
    disk.directories = directory;
    return directory;
}

/* The directory that a path's last name stands in, and that name; NULL when there is none. */
static struct directory *split(const char *path, char name[NAME_BYTES])
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = (size_t)(slash - path);
    memcpy(parent, path, length);
    parent[length] = 0;
    snprintf(name, NAME_BYTES, "%.255s", slash + 1);
    return directory_at(parent);
}

/* A link to what a path names now; empty when it names nothing, or a directory. */
static void keep_target(struct name_change *change, const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0 || S_ISDIR(status.st_mode)) {
        return;
    }
    snprintf(change->kept, sizeof change->kept, "%.2000s/%ld-%llu", disk.lost, (long)getpid(),
             (unsigned long long)change->number);
    if (link(path, change->kept) != 0) {
        give_up("keeping a name");
    }
}

/* Called before the change; from: NAME_RENAMED, else NULL.  NULL: a directory of it is not there,
 * so the change will not take place. */
static struct name_change *keep_name(enum name_change_kind kind, const char *path, const char *from)
{
    struct name_change *change = must_allocate(sizeof *change);
    change->kind = kind;
    change->directory = split(path, change->name);
    change->from_directory = from != NULL ? split(from, change->from) : NULL;
    if (change->directory == NULL || (from != NULL && change->from_directory == NULL)) {
        free(change);
        return NULL;
    }
    change->number = ++disk.number;
    if (kind == NAME_REMOVED || kind == NAME_RENAMED) {
        keep_target(change, path);
    } else if (kind == NAME_DIRECTORY_REMOVED) {
        change->removed = directory_at(path);
    }
    return change;
}

/* The call came back: keep the change if it took place. */
static int name_changed(struct name_change *change, long result)
{
    int error = errno;
    if (result == 0 && change == NULL) {
        give_up("a change in a directory that was not there");
    }
    if (result == 0) {
        if (change->removed != NULL) {
            change->removed->is_removed = true;
        }
        change->older = disk.names;
        disk.names = change;
    } else if (change != NULL) {
        unlink(change->kept);
        free(change);
    }
    errno = error;
    return (int)result;
}

static void forget_name(struct name_change **at)
{
    struct name_change *change = *at;
    *at = change->older;
    if (change->kept[0] != 0) {
        unlink(change->kept);
    }
    free(change);
}

/* Its removal is durable: what was changed in it before is of no account. */
static bool is_gone(const struct directory *directory)
{
    const struct name_change *change = disk.names;
    while (change != NULL && change->removed != directory) {
        change = change->older;
    }
    return directory->is_removed && change == NULL;
}

static bool forget_names_of_one_gone(void)
{
    for (struct name_change **at = &disk.names; *at != NULL; at = &(*at)->older) {
        if (is_gone((*at)->directory)) {
            forget_name(at);
            return true;
        }
    }
    return false;
}

static bool is_used(const struct directory *directory)
{
    const struct name_change *change = disk.names;
    while (change != NULL && change->directory != directory &&
           change->from_directory != directory && change->removed != directory) {
        change = change->older;
    }
    return change != NULL;
}

static void forget_unused_directories(void)
{
    struct directory **at = &disk.directories;
    while (*at != NULL) {
        struct directory *directory = *at;
        if (is_used(directory)) {
            at = &directory->next;
        } else {
            *at = directory->next;
            close(directory->descriptor);
            free(directory);
        }
    }
}

/* Drops what was changed up to a number in the directory that a descriptor means. */
static void names_synced(int descriptor, uint64_t number)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        give_up("fstat");
    }
    const struct directory *directory = find_directory(&status);
    struct name_change **at = &disk.names;
    while (directory != NULL && *at != NULL) {
        if ((*at)->number <= number && (*at)->directory == directory) {
            forget_name(at);
        } else {
            at = &(*at)->older;
        }
    }
    while (forget_names_of_one_gone()) {
    }
    forget_unused_directories();
}

/* ---- The cut ---- */

static uint64_t chance(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + a * 0xbf58476d1ce4e5b9u + b + 1;
    for (int i = 0; i < 3; i++) {
        x ^= x >> 30;
        x *= 0xbf58476d1ce4e5b9u;
        x ^= x >> 27;
    }
    return x;
}

static void put_back(const struct changed_file *file, const struct replaced *replaced,
                     uint64_t seed)
{
    size_t at = 0;
    while (at < replaced->length) {
        uint64_t sector = (uint64_t)(replaced->position + (off_t)at) / SECTOR_BYTES;
        size_t end = (size_t)((off_t)((sector + 1) * SECTOR_BYTES) - replaced->position);
        end = end < replaced->length ? end : replaced->length;
        bool has_arrived = seed != 0 && (chance(seed, file->inode, sector) & 1) != 0;
        if (!has_arrived && pwrite(file->descriptor, replaced->data + at, end - at,
                                   replaced->position + (off_t)at) != (ssize_t)(end - at)) {
            give_up("putting bytes back");
        }
        at = end;
    }
}

/* Sectors of [from, to) that did not arrive hold zeros. */
static void clear_new_sectors(const struct changed_file *file, off_t from, off_t to, uint64_t seed)
{
    static const uint8_t zeros[SECTOR_BYTES];
    while (from < to) {
        uint64_t sector = (uint64_t)from / SECTOR_BYTES;
        off_t end = (off_t)((sector + 1) * SECTOR_BYTES);
        end = end < to ? end : to;
        if ((chance(seed, file->inode, sector) & 1) == 0 &&
            pwrite(file->descriptor, zeros, (size_t)(end - from), from) != end - from) {
            give_up("clearing a sector");
        }
        from = end;
    }
}

static void undo_content(const struct changed_file *file, uint64_t seed)
{
    struct stat status;
    if (fstat(file->descriptor, &status) != 0) {
        give_up("fstat");
    }
    off_t durable = status.st_size;
    for (const struct replaced *at = file->newest; at != NULL; at = at->older) {
        put_back(file, at, seed);
        durable = at->size;
    }
    off_t size = durable;
    if (seed != 0 && status.st_size > durable) {
        uint64_t pick = chance(seed, file->inode, UINT64_MAX);
        off_t more = status.st_size - durable;
        size = (pick & 1) == 0 ? status.st_size : durable + (off_t)((pick >> 8) % (uint64_t)more);
        clear_new_sectors(file, durable, size, seed);
    } else if (seed != 0 && (chance(seed, file->inode, UINT64_MAX) & 1) == 0) {
        size = status.st_size;
    }
    if (syscall(SYS_ftruncate, file->descriptor, size) != 0) {
        give_up("cutting a file back");
    }
}

/* A directory that is there again, and what was removed from it follows. */
static long make_again(const struct name_change *change)
{
    long result = syscall(SYS_mkdirat, change->directory->descriptor, change->name, 0700);
    if (result != 0 || change->removed == NULL) {
        return result;
    }
    int descriptor = (int)syscall(SYS_openat, change->directory->descriptor, change->name,
                                  O_PATH | O_DIRECTORY | O_CLOEXEC);
    change->removed->is_removed = false;
    return descriptor >= 0 && dup2(descriptor, change->removed->descriptor) >= 0 ? 0 : -1;
}

static void undo_name(const struct name_change *change)
{
    if (change->directory->is_removed) {
        return; /* and its removal arrived, so nothing can be found in it */
    }
    char lost[PATH_MAX];
    snprintf(lost, sizeof lost, "%.2000s/%ld-lost-%llu", disk.lost, (long)getpid(),
             (unsigned long long)change->number);
    int at = change->directory->descriptor;
    long result = 0;
    switch (change->kind) {
    case NAME_MADE:
        result = syscall(SYS_renameat, at, change->name, AT_FDCWD, lost);
        break;
    case NAME_RENAMED:
        result = syscall(SYS_renameat, at, change->name, change->from_directory->descriptor,
                         change->from);
        break;
    case NAME_REMOVED:
        break;
    case NAME_DIRECTORY_REMOVED:
        result = make_again(change);
        break;
    }
    if (result == 0 && change->kept[0] != 0) {
        result = linkat(AT_FDCWD, change->kept, at, change->name, 0);
    }
    if (result != 0) {
        give_up(change->name);
    }
}

/* Of each directory's changes the oldest few have arrived. */
static void undo_names(uint64_t seed)
{
    static const char *const kinds[] = {"made", "removed", "renamed", "directory removed"};
    for (const struct name_change *change = disk.names; change != NULL; change = change->older) {
        uint64_t all = 0;
        uint64_t rank = 0; /* how many of the directory's changes are older */
        uint64_t mark = 0;
        for (const struct name_change *other = disk.names; other != NULL; other = other->older) {
            if (other->directory == change->directory) {
                all++;
                rank += other->number < change->number;
                mark = other->number;
            }
        }
        uint64_t arrived = seed != 0 ? chance(seed, mark, 0) % (all + 1) : 0;
        if (rank >= arrived) {
            tell("undone: %s %s\n", kinds[change->kind], change->name);
            undo_name(change);
        }
    }
}

static bool is_needed(int descriptor)
{
    bool is_found = descriptor == disk.log;
    for (const struct changed_file *file = disk.files; file != NULL; file = file->next) {
        is_found = is_found || file->descriptor == descriptor;
    }
    for (const struct directory *at = disk.directories; at != NULL; at = at->next) {
        is_found = is_found || at->descriptor == descriptor;
    }
    return is_found;
}

/* A /proc directory whose entries are numbers.  No memory is asked for: this runs in a child that
 * may have been forked while another thread held the allocator's lock. */
static void for_each_number(const char *path, void (*visit)(int number))
{
    struct entry {
        uint64_t inode;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    static _Alignas(struct entry) char entries[DIRECTORY_ENTRIES_BYTES];
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long length;
    while ((length = syscall(SYS_getdents64, descriptor, entries, sizeof entries)) > 0) {
        for (long at = 0; at < length;) {
            const struct entry *entry = (const void *)(entries + at);
            at += entry->length;
            if (entry->name[0] != '.' && atoi(entry->name) != descriptor) {
                visit(atoi(entry->name));
            }
        }
    }
    close(descriptor);
    if (length < 0) {
        give_up(path);
    }
}

/* The broker's locks and ports must end with the broker, not with the child. */
static void close_unneeded(int descriptor)
{
    if (!is_needed(descriptor)) {
        close(descriptor);
    }
}

static bool all_stand_still;

static void look_at_thread(int thread)
{
    char path[64];
    char line[512] = "";
    snprintf(path, sizeof path, "/proc/%ld/task/%d/stat", (long)disk.stopped, thread);
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return; /* it ended */
    }
    (void)!read(descriptor, line, sizeof line - 1);
    close(descriptor);
    const char *state = strrchr(line, ')'); /* behind the name, which may hold anything */
    if (state != NULL && state[1] == ' ' && strchr("TXZ", state[2]) == NULL) {
        all_stand_still = false;
    }
}

static void stop_the_broker(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/task", (long)disk.stopped);
    if (kill(disk.stopped, SIGSTOP) != 0) {
        give_up("stopping the broker");
    }
    do {
        struct timespec pause_time = {.tv_nsec = 100000};
        nanosleep(&pause_time, NULL);
        all_stand_still = true;
        for_each_number(path, look_at_thread);
    } while (!all_stand_still);
}

/* In the child. */
static void undo(uint64_t seed)
{
    size_t files = 0;
    size_t names = 0;
    for (const struct changed_file *file = disk.files; file != NULL; file = file->next) {
        undo_content(file, seed);
        files++;
    }
    for (const struct name_change *change = disk.names; change != NULL; change = change->older) {
        names++;
    }
    undo_names(seed);
    tell("cut %llu: %zu files and %zu names were not synced\n", (unsigned long long)seed, files,
         names);
}

static _Noreturn void cut_power(uint64_t seed)
{
    pthread_mutex_lock(&disk.mutex); /* and never given back */
    pid_t broker = getpid();
    pid_t child = fork(); /* not _Fork(): the thread sanitizer must know of it */
    if (child < 0) {
        give_up("fork");
    }
    if (child == 0) {
        disk.stopped = broker;
        for_each_number("/proc/self/fd", close_unneeded);
        stop_the_broker();
        undo(seed);
        kill(broker, SIGKILL);
        _exit(0);
    }
    for (;;) {
        pause();
    }
}

/* ---- The calls that are stood in for ---- */

static void hold(void)
{
    pthread_mutex_lock(&disk.mutex);
}

static void let_go(void)
{
    int error = errno;
    pthread_mutex_unlock(&disk.mutex);
    errno = error;
}

static int open_at(int directory, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    if (!path_at(directory, name, path)) {
        return (int)syscall(SYS_openat, directory, name, flags, mode);
    }
    hold();
    int descriptor = -1;
    if (!fails(CALL_OPEN, path)) {
        struct stat status;
        bool is_new = (flags & O_CREAT) != 0 && lstat(path, &status) != 0;
        struct name_change *change = is_new ? keep_name(NAME_MADE, path, NULL) : NULL;
        descriptor = (int)syscall(SYS_openat, directory, name, flags, mode);
        if (is_new) {
            name_changed(change, descriptor < 0 ? -1 : 0);
        }
    }
    let_go();
    return descriptor;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_at(directory, path, flags, mode);
}

static ssize_t write_vectors(int descriptor, const struct iovec *vectors, int count, off_t position)
{
    return syscall(SYS_pwritev, descriptor, vectors, (long)count, position, 0L);
}

ssize_t pwritev(int descriptor, const struct iovec *vectors, int count, off_t position)
{
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) {
        return write_vectors(descriptor, vectors, count, position);
    }
    hold();
    ssize_t written = -1;
    struct iovec first = vectors[0];
    struct rule *rule = failing(CALL_WRITE, path);
    if (rule != NULL && !rule->has_cut_short && first.iov_len > 1) {
        rule->has_cut_short = true;
        first.iov_len /= 2;
        vectors = &first;
        count = 1;
    } else if (fails(CALL_WRITE, path)) {
        let_go();
        return -1;
    }
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        length += vectors[i].iov_len;
    }
    keep_content(descriptor, position, length);
    written = write_vectors(descriptor, vectors, count, position);
    let_go();
    return written;
}

int ftruncate(int descriptor, off_t size)
{
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) {
        return (int)syscall(SYS_ftruncate, descriptor, size);
    }
    hold();
    int result = -1;
    if (!fails(CALL_TRUNCATE, path)) {
        keep_content(descriptor, size, SIZE_MAX);
        result = (int)syscall(SYS_ftruncate, descriptor, size);
    }
    let_go();
    return result;
}

/* What a failed sync leaves of a file: what it was before. */
static void drop_pages(int descriptor)
{
    int error = errno;
    const struct changed_file *file = find_file(descriptor, false);
    if (file != NULL) {
        undo_content(file, 0);
        content_synced(descriptor, disk.number);
    }
    errno = error;
}

static void sleep_ms(long ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* A directory's sync is for its names, a file's for its content: neither covers the other. */
static int sync_descriptor(long call, int descriptor)
{
    char path[PATH_MAX];
    if (!path_of(descriptor, path) && (path[0] == 0 || strcmp(path, disk.parent) != 0)) {
        return (int)syscall(call, descriptor);
    }
    hold();
    uint64_t number = disk.number;
    long delay_ms = disk.sync_delay_ms;
    if (fails(CALL_SYNC, path)) {
        drop_pages(descriptor);
        let_go();
        return -1;
    }
    let_go();
    sleep_ms(delay_ms);
    int result = (int)syscall(call, descriptor);
    hold();
    if (result == 0) {
        content_synced(descriptor, number);
        names_synced(descriptor, number);
    }
    let_go();
    return result;
}

int fdatasync(int descriptor)
{
    return sync_descriptor(SYS_fdatasync, descriptor);
}

int fsync(int descriptor)
{
    return sync_descriptor(SYS_fsync, descriptor);
}

int rename(const char *from, const char *to)
{
    if (!is_ours(from) || !is_ours(to)) {
        return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    }
    hold();
    struct name_change *change = keep_name(NAME_RENAMED, to, from);
    int result = name_changed(change, syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to));
    let_go();
    return result;
}

int unlinkat(int directory, const char *name, int flags)
{
    char path[PATH_MAX];
    if (!path_at(directory, name, path)) {
        return (int)syscall(SYS_unlinkat, directory, name, flags);
    }
    hold();
    bool is_directory = (flags & AT_REMOVEDIR) != 0;
    struct name_change *change =
        keep_name(is_directory ? NAME_DIRECTORY_REMOVED : NAME_REMOVED, path, NULL);
    int result = name_changed(change, syscall(SYS_unlinkat, directory, name, flags));
    let_go();
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdir(const char *path, mode_t mode)
{
    if (!is_ours(path)) {
        return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    }
    hold();
    struct name_change *change = keep_name(NAME_MADE, path, NULL);
    int result = name_changed(change, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
    let_go();
    return result;
}

/* The C library's own: statvfs() by way of an open directory. */
static int fstatvfs_at(const char *path, struct statvfs *status)
{
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return -1;
    }
    int result = fstatvfs(descriptor, status);
    close(descriptor);
    return result;
}

int statvfs(const char *path, struct statvfs *status)
{
    int result = fstatvfs_at(path, status);
    hold();
    if (result == 0 && disk.room_bytes >= 0 && is_ours(path)) {
        status->f_bavail = (fsblkcnt_t)disk.room_bytes / status->f_frsize;
    }
    let_go();
    return result;
}

/* ---- Commands ---- */

static void add_rule(const char *call, const char *error, long count, const char *part)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EMFILE", EMFILE}, {"EDQUOT", EDQUOT}};
    struct rule rule = {.call = CALL_COUNT, .left = count};
    for (size_t i = 0; i < CALL_COUNT; i++) {
        rule.call = strcmp(call, call_names[i]) == 0 ? (enum call)i : rule.call;
    }
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        rule.error = strcmp(error, errors[i].name) == 0 ? errors[i].error : rule.error;
    }
    snprintf(rule.part, sizeof rule.part, "%s", part);
    hold();
    if (rule.call == CALL_COUNT || rule.error == 0 || disk.rule_count == RULES_MAX) {
        errno = EINVAL;
        give_up("a rule");
    }
    disk.rules[disk.rule_count++] = rule;
    let_go();
}

static void obey(const char *line)
{
    char call[16];
    char error[16];
    char part[128];
    long number = 0;
    unsigned long long seed = 0;
    long long room = 0;
    if (sscanf(line, "fail %15s %15s %ld %127s", call, error, &number, part) == 4) {
        add_rule(call, error, number, part);
    } else if (sscanf(line, "delay sync %ld", &number) == 1) {
        hold();
        disk.sync_delay_ms = number;
        let_go();
    } else if (sscanf(line, "room %lld", &room) == 1) {
        hold();
        disk.room_bytes = room;
        let_go();
    } else if (sscanf(line, "cut %llu", &seed) == 1) {
        cut_power(seed);
    } else {
        errno = EINVAL;
        give_up(line);
    }
    tell("obeyed %s\n", line);
}

static void *listen_main(void *argument)
{
    FILE *commands = argument;
    char line[256];
    while (fgets(line, sizeof line, commands) != NULL) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
    }
    give_up("the control FIFO ended");
}

/* The thread takes no signals: they are the program's. */
static void start_listening(void)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    FILE *commands = fdopen(disk.control, "r");
    if (commands == NULL || pthread_create(&thread, NULL, listen_main, commands) != 0) {
        give_up("the control thread");
    }
    pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

__attribute__((constructor)) static void begin(void)
{
    const char *directory = getenv("FAULT_DISK_DIRECTORY");
    const char *control = getenv("FAULT_DISK_CONTROL");
    if (directory == NULL || control == NULL) {
        return;
    }
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s.log", control);
    disk.log =
        (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* Open both ways, so that it never ends when a writer goes. */
    disk.control = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDWR | O_CLOEXEC, 0);
    if (disk.log < 0 || disk.control < 0) {
        give_up(control);
    }
    snprintf(disk.lost, sizeof disk.lost, "%.2000s.lost", directory);
    (void)syscall(SYS_mkdirat, AT_FDCWD, disk.lost, 0700);
    snprintf(disk.directory, sizeof disk.directory, "%s", directory);
    disk.directory_length = strlen(disk.directory);
    memcpy(disk.parent, disk.directory, sizeof disk.parent);
    *strrchr(disk.parent, '/') = 0;
    start_listening();
    tell("ready\n");
}
