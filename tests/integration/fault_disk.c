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
 * began before it returns after it, so nothing is acknowledged that is undone.
 *
 * What it cannot do: see writes through mmap or write() (the broker's files are written by
 * pwritev); keep a removed or overwritten directory's files; show reads that fail; tear a sector.
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
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SECTOR_BYTES 512
#define RULES_MAX 8

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

/* An unsynced change of a directory. */
struct name_change {
    struct name_change *older;
    uint64_t number;
    enum name_change_kind kind;
    char path[PATH_MAX];
    char from[PATH_MAX]; /* NAME_RENAMED */
    char kept[PATH_MAX]; /* a link to what path named before; empty: it named nothing */
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
    struct changed_file *files;
    struct name_change *names; /* the newest */
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER};

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

static struct name_change *keep_name(enum name_change_kind kind, const char *path, const char *from)
{
    struct name_change *change = must_allocate(sizeof *change);
    change->number = ++disk.number;
    change->kind = kind;
    memcpy(change->path, path, strlen(path) + 1);
    memcpy(change->from, from, strlen(from) + 1);
    snprintf(change->kept, sizeof change->kept, "%.2000s/%ld-%llu", disk.lost, (long)getpid(),
             (unsigned long long)change->number);
    if (kind == NAME_MADE || link(path, change->kept) != 0) {
        change->kept[0] = 0; /* nothing was there, or a directory, or it did not work out */
    }
    return change;
}

/* The call came back: keep the change if it took place. */
static int name_changed(struct name_change *change, long result)
{
    int error = errno;
    if (result == 0) {
        change->older = disk.names;
        disk.names = change;
    } else {
        unlink(change->kept);
        free(change);
    }
    errno = error;
    return (int)result;
}

static bool stands_in(const struct name_change *change, const char *directory)
{
    size_t length = strlen(directory);
    return strncmp(change->path, directory, length) == 0 && change->path[length] == '/' &&
           strchr(change->path + length + 1, '/') == NULL;
}

static void names_synced(const char *directory, uint64_t number)
{
    struct name_change **at = &disk.names;
    while (*at != NULL) {
        struct name_change *change = *at;
        if (change->number <= number && stands_in(change, directory)) {
            *at = change->older;
            if (change->kept[0] != 0) {
                unlink(change->kept);
            }
            free(change);
        } else {
            at = &change->older;
        }
    }
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

static void undo_name(const struct name_change *change)
{
    char lost[PATH_MAX];
    snprintf(lost, sizeof lost, "%.2000s/%ld-lost-%llu", disk.lost, (long)getpid(),
             (unsigned long long)change->number);
    long result = 0;
    switch (change->kind) {
    case NAME_MADE:
        result = syscall(SYS_renameat, AT_FDCWD, change->path, AT_FDCWD, lost);
        break;
    case NAME_RENAMED:
        result = syscall(SYS_renameat, AT_FDCWD, change->path, AT_FDCWD, change->from);
        break;
    case NAME_REMOVED:
        break;
    case NAME_DIRECTORY_REMOVED:
        result = syscall(SYS_mkdirat, AT_FDCWD, change->path, 0700);
        break;
    }
    if (result == 0 && change->kept[0] != 0) {
        result = link(change->kept, change->path);
    }
    if (result != 0) {
        give_up(change->path);
    }
}

/* Of each directory's changes the oldest few have arrived. */
static void undo_names(uint64_t seed)
{
    for (const struct name_change *change = disk.names; change != NULL; change = change->older) {
        char parent[PATH_MAX];
        memcpy(parent, change->path, sizeof parent);
        *strrchr(parent, '/') = 0;
        uint64_t all = 0;
        uint64_t rank = 0; /* how many of the directory's changes are older */
        uint64_t mark = 0;
        for (const struct name_change *other = disk.names; other != NULL; other = other->older) {
            if (stands_in(other, parent)) {
                all++;
                rank += other->number < change->number;
                mark = other->number;
            }
        }
        uint64_t arrived = seed != 0 ? chance(seed, mark, 0) % (all + 1) : 0;
        if (rank >= arrived) {
            tell("undone %s\n", change->path);
            undo_name(change);
        }
    }
}

static _Noreturn void cut_power(uint64_t seed)
{
    pthread_mutex_lock(&disk.mutex); /* and never given back */
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
    kill(getpid(), SIGKILL);
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
        descriptor = (int)syscall(SYS_openat, directory, name, flags, mode);
        if (descriptor >= 0 && is_new) {
            name_changed(keep_name(NAME_MADE, path, ""), 0);
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
        names_synced(path, number);
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
        keep_name(is_directory ? NAME_DIRECTORY_REMOVED : NAME_REMOVED, path, "");
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
    struct name_change *change = keep_name(NAME_MADE, path, "");
    int result = name_changed(change, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
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
    if (sscanf(line, "fail %15s %15s %ld %127s", call, error, &number, part) == 4) {
        add_rule(call, error, number, part);
    } else if (sscanf(line, "delay sync %ld", &number) == 1) {
        hold();
        disk.sync_delay_ms = number;
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
