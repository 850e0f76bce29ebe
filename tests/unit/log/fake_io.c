/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_io.c -- a disk in memory that can lose power.
 */
#include "fake_io.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/loop.h"

#include <errno.h>
#include <string.h>

#define FILES_MAX 4096
#define SECTOR 512

struct content {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

struct io_file {
    uint32_t references;
    bool is_cold;
    struct content seen;
    struct content durable;
    bool *lost; /* by sector: clean, but never written; no sync writes it before a write does */
    size_t lost_count;
};

struct name {
    char *path;
    struct io_file *seen; /* NULL: not there */
    struct io_file *durable;
};

static struct {
    struct name names[FILES_MAX];
    size_t name_count;
    struct list flushes;
    struct list works;
    uint32_t step;
    int error;
    uint32_t countdown; /* to the operation that fails; 0: none does */
    int countdown_error;
    bool is_lasting;
    int poison;
    bool is_cold;
    uint64_t now_ns;
    int64_t wall_ms;
    struct io_timer *timers[16];
    size_t timer_count;
    bool is_made;
} disk;

struct io_loop *fake_loop(void)
{
    return (struct io_loop *)(void *)&disk;
}

static void content_resize(struct content *content, size_t size)
{
    if (size > content->capacity) {
        content->capacity = size * 2;
        content->data = memory_reallocate(content->data, content->capacity);
    }
    if (size > content->size) {
        memset(content->data + content->size, 0, size - content->size);
    }
    content->size = size;
}

static void content_copy(struct content *to, const struct content *from)
{
    content_resize(to, from->size);
    if (from->size > 0) {
        memcpy(to->data, from->data, from->size);
    }
}

struct io_file *io_file_reference(struct io_file *file)
{
    file->references++;
    return file;
}

void io_file_release(struct io_file *file)
{
    if (file != NULL && --file->references == 0) {
        memory_free(file->seen.data);
        memory_free(file->durable.data);
        memory_free(file->lost);
        memory_free(file);
    }
}

static void name_set(struct io_file **slot, struct io_file *file)
{
    if (file != NULL) {
        io_file_reference(file);
    }
    io_file_release(*slot);
    *slot = file;
}

static struct name *find_name(const char *path, bool make)
{
    for (size_t i = 0; i < disk.name_count; i++) {
        if (strcmp(disk.names[i].path, path) == 0) {
            return &disk.names[i];
        }
    }
    if (!make) {
        return NULL;
    }
    require(disk.name_count < FILES_MAX);
    struct name *name = &disk.names[disk.name_count++];
    *name = (struct name){.path = memory_duplicate_string(path)};
    return name;
}

void fake_reset(void)
{
    for (size_t i = 0; i < disk.name_count; i++) {
        io_file_release(disk.names[i].seen);
        io_file_release(disk.names[i].durable);
        memory_free(disk.names[i].path);
    }
    memset(&disk, 0, sizeof(disk));
    list_init(&disk.flushes);
    list_init(&disk.works);
    disk.wall_ms = 1000000;
    disk.now_ns = 1000000000;
}

void fake_fail(int error)
{
    disk.error = error;
}

void fake_fail_at(uint32_t nth, int error, bool is_lasting)
{
    disk.countdown = nth;
    disk.countdown_error = error;
    disk.is_lasting = is_lasting;
}

bool fake_fault_is_ahead(void)
{
    return disk.countdown > 0;
}

static bool is_fault_now(void)
{
    return disk.countdown > 0 && --disk.countdown == 0;
}

/* What becomes of the next operation: 0, or the errno it fails with. */
static int outcome(bool is_change)
{
    if (disk.countdown_error != FAKE_SHORT_READ && is_fault_now()) {
        disk.error = disk.is_lasting ? disk.countdown_error : disk.error;
        return disk.countdown_error;
    }
    return is_change ? disk.error : 0;
}

void fake_restart(void)
{
    disk.error = 0;
    fake_run();
    disk.poison = 0;
    disk.step = 0;
}

void fake_page_cache(bool is_cold)
{
    disk.is_cold = is_cold;
    for (size_t i = 0; i < disk.name_count; i++) {
        if (disk.names[i].seen != NULL) {
            disk.names[i].seen->is_cold = is_cold;
        }
    }
}

/* ---- io/file.h ---- */

int io_file_open(struct io_file **file, const char *path, enum io_open_mode mode)
{
    *file = NULL;
    int result = outcome(true);
    if (result != 0) {
        return result;
    }
    struct name *name = find_name(path, mode == IO_OPEN_CREATE || mode == IO_OPEN_CREATE_NEW);
    if (name == NULL ||
        (name->seen == NULL && mode != IO_OPEN_CREATE && mode != IO_OPEN_CREATE_NEW)) {
        return -ENOENT;
    }
    if (name->seen == NULL) {
        name->seen = memory_allocate_zeroed(sizeof(struct io_file));
        name->seen->references = 1;
    }
    *file = io_file_reference(name->seen);
    (*file)->is_cold = disk.is_cold;
    return 0;
}

int io_file_size(const struct io_file *file, uint64_t *size)
{
    *size = file->seen.size;
    return outcome(false);
}

static void read_content(const struct io_file *file, uint64_t position, void *data, size_t length,
                         size_t *done)
{
    ((struct io_file *)(uintptr_t)file)->is_cold = false;
    *done = 0;
    if (position < file->seen.size) {
        uint64_t left = file->seen.size - position;
        *done = left < length ? (size_t)left : length;
        memcpy(data, file->seen.data + position, *done);
    }
}

int io_file_read(const struct io_file *file, uint64_t position, void *data, size_t length,
                 size_t *done)
{
    *done = 0;
    if (disk.countdown_error == FAKE_SHORT_READ && is_fault_now()) {
        return 0;
    }
    int result = outcome(false);
    if (result == 0) {
        read_content(file, position, data, length, done);
    }
    return result;
}

int io_file_read_cached(const struct io_file *file, uint64_t position, void *data, size_t length,
                        size_t *done)
{
    *done = 0;
    if (!file->is_cold) {
        read_content(file, position, data, length, done);
    }
    return 0;
}

int io_file_write(struct io_file *file, uint64_t position, const void *data, size_t length)
{
    int result = outcome(true);
    if (result != 0) {
        return result;
    }
    if (position + length > file->seen.size) {
        content_resize(&file->seen, position + length);
    }
    if (length > 0) {
        memcpy(file->seen.data + position, data, length);
    }
    for (size_t at = position / SECTOR; at < file->lost_count && at * SECTOR < position + length;
         at++) {
        file->lost[at] = false;
    }
    return 0;
}

int io_file_truncate(struct io_file *file, uint64_t size)
{
    int result = outcome(true);
    if (result == 0) {
        content_resize(&file->seen, size);
    }
    return result;
}

static bool is_lost(const struct io_file *file, size_t sector)
{
    return sector < file->lost_count && file->lost[sector];
}

static void sync_content(struct io_file *file)
{
    content_resize(&file->durable, file->seen.size);
    for (size_t at = 0; at < file->seen.size; at += SECTOR) {
        size_t left = file->seen.size - at;
        if (!is_lost(file, at / SECTOR)) {
            memcpy(file->durable.data + at, file->seen.data + at, left < SECTOR ? left : SECTOR);
        }
    }
}

int io_file_sync(struct io_file *file)
{
    int result = outcome(true);
    if (result == 0) {
        sync_content(file);
    }
    return result;
}

void fake_lose_unsynced(void)
{
    for (size_t i = 0; i < disk.name_count; i++) {
        struct io_file *file = disk.names[i].seen;
        if (file == NULL) {
            continue;
        }
        size_t count = (file->seen.size + SECTOR - 1) / SECTOR;
        memory_free(file->lost);
        file->lost = memory_allocate_zeroed((count + 1) * sizeof(bool));
        file->lost_count = count;
        for (size_t at = 0; at < file->seen.size; at += SECTOR) {
            size_t end = at + SECTOR < file->seen.size ? at + SECTOR : file->seen.size;
            file->lost[at / SECTOR] =
                end > file->durable.size ||
                memcmp(file->seen.data + at, file->durable.data + at, end - at) != 0;
        }
    }
}

int io_directory_make(const char *path)
{
    (void)path;
    return outcome(false);
}

static bool is_in(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

int io_directory_sync(const char *path)
{
    int result = outcome(true);
    for (size_t i = 0; result == 0 && i < disk.name_count; i++) {
        if (is_in(disk.names[i].path, path)) {
            name_set(&disk.names[i].durable, disk.names[i].seen);
        }
    }
    return result;
}

int io_path_remove(const char *path)
{
    struct name *name = find_name(path, false);
    int result = outcome(true);
    if (result == 0 && name != NULL) {
        name_set(&name->seen, NULL);
    }
    return result;
}

int io_path_rename(const char *from, const char *to)
{
    int result = outcome(true);
    if (result != 0) {
        return result;
    }
    struct name *target = find_name(to, true);
    struct name *source = find_name(from, false);
    if (source == NULL || source->seen == NULL) {
        return -ENOENT;
    }
    name_set(&target->seen, source->seen);
    name_set(&source->seen, NULL);
    return 0;
}

int io_directory_list(const char *path, bool (*visit)(const char *name, void *context),
                      void *context)
{
    int result = outcome(false);
    for (size_t i = 0; result == 0 && i < disk.name_count; i++) {
        if (disk.names[i].seen != NULL && is_in(disk.names[i].path, path) &&
            !visit(disk.names[i].path + strlen(path) + 1, context)) {
            break;
        }
    }
    return result;
}

int io_path_read(const char *path, size_t size_max, struct buf **content)
{
    int result = outcome(false);
    if (result != 0) {
        return result;
    }
    struct name *name = find_name(path, false);
    if (name == NULL || name->seen == NULL) {
        return -ENOENT;
    }
    if (name->seen->seen.size > size_max) {
        return -EFBIG;
    }
    *content = buf_new(name->seen->seen.size);
    (*content)->length_bytes = name->seen->seen.size;
    if (name->seen->seen.size > 0) {
        memcpy((*content)->data, name->seen->seen.data, name->seen->seen.size);
    }
    return 0;
}

int io_path_replace(const char *path, const void *content, size_t length)
{
    int result = outcome(true);
    if (result == 0) {
        fake_file_put(path, content, length);
    }
    return result;
}

/* ---- Flushes and works ---- */

void io_flush_submit(struct io_loop *loop, struct io_flush *flush)
{
    (void)loop;
    list_append(&disk.flushes, &flush->node);
}

void io_work_submit(struct io_loop *loop, struct io_work *work)
{
    (void)loop;
    list_append(&disk.works, &work->node);
}

static int run_step(const struct io_flush_step *step)
{
    int result = 0;
    uint64_t position = step->position;
    switch (step->kind) {
    case IO_FLUSH_WRITE:
        for (uint32_t i = 0; i < step->slice_count && result == 0; i++) {
            result = io_file_write(step->file, position, step->slices[i].data,
                                   step->slices[i].length_bytes);
            position += step->slices[i].length_bytes;
        }
        return result;
    case IO_FLUSH_TRUNCATE:
        return io_file_truncate(step->file, step->position);
    case IO_FLUSH_SYNC:
        return io_file_sync(step->file);
    case IO_FLUSH_SYNC_DIRECTORY:
        return io_directory_sync(step->path);
    }
    unreachable_code();
}

static void step_flush(struct io_flush *flush)
{
    if (disk.poison == 0 && disk.step < flush->step_count) {
        disk.poison = run_step(&flush->steps[disk.step++]);
        if (disk.poison == 0 && disk.step < flush->step_count) {
            return;
        }
    }
    disk.step = 0;
    list_remove(&flush->node);
    flush->result = disk.poison;
    flush->done(flush);
}

bool fake_step(void)
{
    struct list_node *node = list_first(&disk.flushes);
    if (node != NULL) {
        step_flush(container_of(node, struct io_flush, node));
        return true;
    }
    node = list_take_first(&disk.works);
    if (node != NULL) {
        struct io_work *work = container_of(node, struct io_work, node);
        work->run(work);
        work->done(work);
        return true;
    }
    return false;
}

void fake_run(void)
{
    while (fake_step()) {
    }
}

/* ---- Power ---- */

static void survive(struct io_file *file, struct prng *prng)
{
    struct content *seen = &file->seen;
    struct content *durable = &file->durable;
    size_t small = seen->size < durable->size ? seen->size : durable->size;
    size_t large = seen->size < durable->size ? durable->size : seen->size;
    size_t size = prng_below(prng, 2) == 0 ? durable->size : seen->size;
    if (large > small && prng_below(prng, 2) == 0) {
        size = small + prng_below(prng, large - small + 1);
    }
    struct content after = {0};
    content_resize(&after, size);
    for (size_t at = 0; at < size; at += SECTOR) {
        const struct content *from =
            is_lost(file, at / SECTOR) || prng_below(prng, 2) == 0 ? durable : seen;
        size_t end = at + SECTOR < size ? at + SECTOR : size;
        end = end < from->size ? end : from->size;
        if (end > at) {
            memcpy(after.data + at, from->data + at, end - at);
        }
    }
    content_copy(seen, &after);
    content_copy(durable, &after);
    file->lost_count = 0;
    memory_free(after.data);
}

void fake_cut_power(struct prng *prng)
{
    for (uint64_t steps = prng_below(prng, 12); steps > 0 && fake_step(); steps--) {
    }
    disk.error = -EIO;
    fake_run();
    disk.error = 0;
    fake_fail_at(0, 0, false);
    disk.poison = 0;
    disk.step = 0;
    disk.timer_count = 0;
    for (size_t i = 0; i < disk.name_count; i++) {
        struct name *name = &disk.names[i];
        struct io_file *kept = prng_below(prng, 2) == 0 ? name->durable : name->seen;
        if (kept != NULL) {
            io_file_reference(kept);
        }
        name_set(&name->seen, kept);
        name_set(&name->durable, kept);
        io_file_release(kept);
        if (kept != NULL) {
            survive(kept, prng);
        }
    }
}

/* ---- io/loop.h ---- */

void fake_advance_ms(int64_t ms)
{
    disk.now_ns += (uint64_t)ms * 1000000;
    disk.wall_ms += ms;
    for (size_t i = 0; i < disk.timer_count; i++) {
        struct io_timer *timer = disk.timers[i];
        if (timer->deadline_ns <= disk.now_ns) {
            disk.timers[i--] = disk.timers[--disk.timer_count];
            timer->heap_position = 0;
            timer->fire(timer);
        }
    }
}

uint64_t io_random(struct io_loop *loop)
{
    (void)loop;
    return 0x9e3779b97f4a7c15u;
}

uint64_t io_now_ns(const struct io_loop *loop)
{
    (void)loop;
    return disk.now_ns;
}

int64_t io_wall_ms(const struct io_loop *loop)
{
    (void)loop;
    return disk.wall_ms;
}

void io_timer_init(struct io_timer *timer, void (*fire)(struct io_timer *timer))
{
    *timer = (struct io_timer){.fire = fire};
}

void io_timer_stop(struct io_loop *loop, struct io_timer *timer)
{
    (void)loop;
    for (size_t i = 0; i < disk.timer_count; i++) {
        if (disk.timers[i] == timer) {
            disk.timers[i--] = disk.timers[--disk.timer_count];
        }
    }
    timer->heap_position = 0;
}

void io_timer_start(struct io_loop *loop, struct io_timer *timer, uint64_t deadline_ns)
{
    io_timer_stop(loop, timer);
    require(disk.timer_count < 16);
    timer->deadline_ns = deadline_ns;
    timer->heap_position = 1;
    disk.timers[disk.timer_count++] = timer;
}

bool io_timer_is_running(const struct io_timer *timer)
{
    return timer->heap_position != 0;
}

/* ---- Looking ---- */

uint8_t *fake_file(const char *path, size_t *size)
{
    struct name *name = find_name(path, false);
    if (name == NULL || name->seen == NULL) {
        return NULL;
    }
    *size = name->seen->seen.size;
    return name->seen->seen.data;
}

void fake_file_put(const char *path, const void *data, size_t size)
{
    struct name *name = find_name(path, true);
    struct io_file *file = memory_allocate_zeroed(sizeof(*file));
    file->references = 1;
    content_resize(&file->seen, size);
    if (size > 0) {
        memcpy(file->seen.data, data, size);
    }
    content_copy(&file->durable, &file->seen);
    name_set(&name->seen, file);
    name_set(&name->durable, file);
    io_file_release(file);
}

size_t fake_file_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < disk.name_count; i++) {
        count += disk.names[i].seen != NULL;
    }
    return count;
}
