/* SPDX-License-Identifier: Apache-2.0
 *
 * test_model.c -- random histories of a log against a list in memory, with power cuts at every
 * stage.
 */
#include "fake_io.h"
#include "log_fixture.h"

#include "base/crc32c.h"
#include "base/memory.h"
#include "wire/batch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES_MAX 20000
#define DIRECTORY "/data/group"

struct model_entry {
    uint64_t first_index;
    uint64_t last_index;
    uint64_t term;
    uint64_t base_offset;
    int64_t timestamp_ms;
    uint64_t length_bytes;
    uint32_t crc; /* of the payload bytes */
    enum log_entry_kind kind;
    uint64_t moved_start; /* START_MOVE: to which offset */
};

struct model {
    struct prng prng;
    struct log_stream *stream;
    struct log *log;
    struct model_entry entries[ENTRIES_MAX];
    size_t count;
    uint64_t term;
    uint64_t floor; /* entries up to here were acknowledged and not truncated since */
    uint64_t commit;
    uint64_t start_offset;
    uint64_t write_id; /* the newest one submitted */
    uint64_t done_id;
    uint64_t last_of_write[4096]; /* by write id */
    uint64_t term_of_write[4096]; /* 0: no hard state in it */
    uint64_t acked_term;
    uint64_t seed;
};

static struct model model;

static const struct log_options options = {
    .segment_bytes = 6000, .segment_ms = 60000, .index_interval_bytes = 500};

static void written(void *owner, uint64_t write_id, int result)
{
    assert_ptr_equal(owner, &model);
    if (result == 0) {
        assert_int_equal(write_id, model.done_id + 1);
        model.done_id = write_id;
        uint64_t last = model.last_of_write[write_id % 4096];
        model.floor = last > model.floor ? last : model.floor;
        uint64_t term = model.term_of_write[write_id % 4096];
        model.acked_term = term > model.acked_term ? term : model.acked_term;
    }
}

static struct model_entry describe(const struct log_entry *entry)
{
    struct model_entry described = {
        .first_index = entry->first_index,
        .last_index = entry->last_index,
        .term = entry->term,
        .kind = entry->kind,
        .length_bytes = entry->payload.length_bytes,
        .crc = crc32c(0, entry->payload.data, entry->payload.length_bytes),
    };
    if (entry->kind == LOG_ENTRY_BATCH) {
        struct wire_batch head;
        assert_true(wire_batch_read(&head, entry->payload.data, entry->payload.length_bytes));
        described.base_offset = (uint64_t)head.base_offset;
        described.timestamp_ms = head.max_timestamp;
    } else if (entry->kind == LOG_ENTRY_START_MOVE) {
        assert_true(log_start_move_decode(entry->payload.data, entry->payload.length_bytes,
                                          &described.moved_start));
    }
    return described;
}

struct collect {
    struct log_read read;
    struct model_entry *entries;
    size_t count;
    int result;
    bool is_done;
};

static void collected(struct log_read *read, int result, const struct log_entry *entries,
                      size_t count)
{
    struct collect *collect = container_of(read, struct collect, read);
    assert_false(collect->is_done);
    collect->is_done = true;
    collect->result = result;
    for (size_t i = 0; i < count; i++) {
        collect->entries[collect->count++] = describe(&entries[i]);
    }
}

static size_t read_entries(uint64_t after, uint64_t last, uint64_t bytes_max,
                           struct model_entry *entries)
{
    struct collect collect = {.read = {.after_index = after,
                                       .last_index = last,
                                       .bytes_max = bytes_max,
                                       .done = collected},
                              .entries = entries};
    log_read(model.log, &collect.read);
    while (!collect.is_done) {
        assert_true(fake_step());
    }
    assert_int_equal(collect.result, 0);
    return collect.count;
}

static size_t place_of(uint64_t index)
{
    size_t place = 0;
    while (place < model.count && model.entries[place].last_index < index) {
        place++;
    }
    return place;
}

static void assert_same(const struct model_entry *left, const struct model_entry *right)
{
    assert_int_equal(left->first_index, right->first_index);
    assert_int_equal(left->last_index, right->last_index);
    assert_int_equal(left->term, right->term);
    assert_int_equal(left->kind, right->kind);
    assert_int_equal(left->length_bytes, right->length_bytes);
    assert_int_equal(left->crc, right->crc);
}

static void open_log(void)
{
    char error[256];
    struct log_found found;
    model.stream = log_stream_new(fake_loop());
    int result =
        log_open(&model.log, model.stream, DIRECTORY, &options, &found, error, sizeof(error));
    if (result != 0) {
        fail_msg("open: %d %s", result, error);
    }
    assert_int_equal(found.first_index, log_first_index(model.log));
    assert_int_equal(found.last_index, log_last_index(model.log));
    assert_int_equal(found.end_offset, log_next_offset(model.log));
    assert_true(found.term >= model.acked_term);
    if (found.term > model.term) {
        model.term = found.term;
    }
}

static void close_log(void)
{
    log_detach(model.log);
    log_close(model.log);
    log_stream_free(model.stream);
    model.log = NULL;
}

/* Every committed move of the start holds, whatever crashed since, and no other. */
static void check_start(void)
{
    uint64_t least = 0;
    uint64_t most = log_offset_after(model.log, model.commit);
    for (size_t i = 0; i < model.count; i++) {
        const struct model_entry *entry = &model.entries[i];
        if (entry->last_index <= model.commit && entry->moved_start > least) {
            least = entry->moved_start;
        }
    }
    assert_true(log_start_offset(model.log) >= least);
    assert_true(log_start_offset(model.log) <= most);
}

/* What the log now holds must be old entries, unchanged, up to a point not before the floor. */
static void check_recovered(void)
{
    static struct model_entry found[ENTRIES_MAX];
    uint64_t first = log_first_index(model.log);
    uint64_t last = log_last_index(model.log);
    assert_true(last >= model.floor);
    uint64_t after = first - 1;
    size_t count = 0;
    while (after < last) {
        size_t more = read_entries(after, last, 3000, &found[count]);
        assert_true(more > 0);
        count += more;
        after = found[count - 1].last_index;
    }
    for (size_t i = 0; i < count; i++) {
        size_t place = place_of(found[i].first_index);
        /* What retention dropped may be back when that was not durable. */
        if (place == model.count || found[i].first_index < model.entries[0].first_index) {
            continue;
        }
        /* Behind the floor what was truncated may be back, and everything else is what it was: at
         * one index one term has one entry. */
        if (found[i].last_index <= model.floor || found[i].term == model.entries[place].term) {
            assert_same(&found[i], &model.entries[place]);
        }
    }
    memcpy(model.entries, found, count * sizeof(found[0]));
    model.count = count;
    model.commit = model.floor > first - 1 ? model.floor : first - 1;
    log_set_commit(model.log, model.commit);
    check_start();
    model.floor = last;
}

static void submit(bool hard_state)
{
    model.last_of_write[++model.write_id % 4096] = log_last_index(model.log);
    model.term_of_write[model.write_id % 4096] = hard_state ? model.term : 0;
    struct log_write write = {
        .log = model.log,
        .write_id = model.write_id,
        .hard_state_changed = hard_state,
        .term = model.term,
        .vote = (uint32_t)prng_below(&model.prng, 3),
        .owner = &model,
    };
    log_stream_submit(model.stream, &write, 1, written);
}

static void append_start_move(void)
{
    uint64_t start = log_start_offset(model.log);
    uint64_t end = log_offset_after(model.log, model.commit);
    fixture_append_start_move(model.log, model.term,
                              start + prng_below(&model.prng, end - start + 1));
    assert_int_equal(log_start_offset(model.log), start); /* not before it is committed */
}

static void append_some(void)
{
    static struct model_entry entries[64];
    uint64_t after = log_last_index(model.log);
    uint64_t kind = prng_below(&model.prng, 20);
    if (kind == 0 || model.term == 0) {
        model.term++;
        fixture_append_term(model.log, model.term);
    } else if (kind == 1 && log_last_index(model.log) > 0) {
        fixture_append_membership(model.log, model.term, (uint8_t)prng_next(&model.prng));
    } else if (kind == 3) {
        append_start_move();
    } else {
        fixture_append_batch(model.log, model.term, 1 + (uint32_t)prng_below(&model.prng, 5),
                             prng_below(&model.prng, kind == 2 ? 3000 : 200),
                             (int64_t)prng_below(&model.prng, 100000), ++model.seed);
    }
    size_t count = read_entries(after, log_last_index(model.log), UINT64_MAX, entries);
    assert_int_equal(count, 1);
    assert_true(model.count < ENTRIES_MAX);
    model.entries[model.count++] = entries[0];
}

/* A new leader opens its term. */
static void begin_term(void)
{
    static struct model_entry entries[4];
    uint64_t after = log_last_index(model.log);
    fixture_append_term(model.log, ++model.term);
    assert_int_equal(read_entries(after, after + 1, 100, entries), 1);
    model.entries[model.count++] = entries[0];
}

static void truncate_some(void)
{
    uint64_t last = log_last_index(model.log);
    uint64_t bound =
        model.commit >= log_first_index(model.log) ? model.commit + 1 : log_first_index(model.log);
    if (last < bound) {
        return;
    }
    uint64_t from = bound + prng_below(&model.prng, last - bound + 1);
    size_t place = place_of(from);
    from = model.entries[place].first_index;
    if (from <= model.commit) {
        return;
    }
    log_truncate(model.log, from);
    model.count = place;
    assert_int_equal(log_last_index(model.log), from - 1);
    model.floor = model.floor < from - 1 ? model.floor : from - 1;
    for (uint64_t id = model.done_id + 1; id <= model.write_id; id++) {
        uint64_t *end = &model.last_of_write[id % 4096];
        *end = *end < from - 1 ? *end : from - 1;
    }
    begin_term();
}

static void read_some(void)
{
    static struct model_entry entries[300];
    if (model.count == 0) {
        return;
    }
    size_t place = prng_below(&model.prng, model.count);
    uint64_t after = model.entries[place].first_index - 1;
    size_t count =
        read_entries(after, log_last_index(model.log), prng_below(&model.prng, 4000), entries);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_same(&entries[i], &model.entries[place + i]);
    }
}

struct waiting {
    struct log_wait wait;
    bool is_resumed;
};

static void resumed(struct log_wait *wait)
{
    container_of(wait, struct waiting, wait)->is_resumed = true;
}

static void fetch_some(void)
{
    uint64_t start = log_start_offset(model.log);
    uint64_t end = log_next_offset(model.log);
    uint64_t offset = start + prng_below(&model.prng, end - start + 1);
    uint64_t limit = offset + prng_below(&model.prng, end - offset + 1);
    uint64_t bytes_max = prng_below(&model.prng, 5000);
    struct log_fetched fetched;
    struct waiting waiting = {.wait = {.resume = resumed}};
    int result;
    while ((result = log_fetch(model.log, offset, limit, bytes_max, &fetched, &waiting.wait)) ==
           -EAGAIN) {
        while (!waiting.is_resumed) {
            assert_true(fake_step());
        }
        waiting.is_resumed = false;
    }
    assert_int_equal(result, 0);
    uint8_t *bytes = memory_allocate(fetched.length_bytes);
    size_t length = 0;
    if (fetched.file != NULL) {
        assert_int_equal(
            io_file_read(fetched.file, fetched.position, bytes, fetched.length_bytes, &length), 0);
    }
    for (uint32_t i = 0; i < fetched.slice_count; i++) {
        memcpy(bytes + length, fetched.slices[i].data, fetched.slices[i].length_bytes);
        length += fetched.slices[i].length_bytes;
    }
    assert_int_equal(length, fetched.length_bytes);
    size_t at = 0;
    uint64_t expected = offset;
    bool holds_one = false;
    while (at < length) {
        struct wire_batch head;
        assert_true(wire_batch_read(&head, bytes + at, length - at));
        assert_non_null(head.data);
        assert_true(wire_batch_crc_matches(&head));
        uint64_t head_end = (uint64_t)head.base_offset + (uint64_t)head.last_offset_delta + 1;
        assert_true((uint64_t)head.base_offset <= expected && head_end > expected);
        assert_true(head_end <= limit);
        assert_true(!holds_one || at + head.total_bytes <= bytes_max);
        holds_one = true;
        expected = head_end;
        at += head.total_bytes;
    }
    for (size_t i = 0; i < model.count && !holds_one; i++) {
        const struct model_entry *entry = &model.entries[i];
        uint64_t entry_end = entry->base_offset + (entry->last_index - entry->first_index) + 1;
        bool holds =
            entry->kind == LOG_ENTRY_BATCH && entry->base_offset <= offset && entry_end > offset;
        assert_false(holds && entry_end <= limit);
    }
    memory_free(bytes);
    log_fetched_release(&fetched);
}

struct found_time {
    struct log_find_time find;
    bool is_done;
    bool is_found;
    uint64_t base_offset;
};

static void time_found(struct log_find_time *find, int result, struct buf_slice batch)
{
    struct found_time *found = container_of(find, struct found_time, find);
    assert_int_equal(result, 0);
    found->is_done = true;
    if (batch.length_bytes > 0) {
        struct wire_batch head;
        assert_true(wire_batch_read(&head, batch.data, batch.length_bytes));
        found->is_found = true;
        found->base_offset = (uint64_t)head.base_offset;
    }
}

static void find_time_some(void)
{
    struct found_time found = {.find = {.timestamp_ms = (int64_t)prng_below(&model.prng, 110000),
                                        .limit_offset = log_next_offset(model.log),
                                        .done = time_found}};
    log_find_time(model.log, &found.find);
    while (!found.is_done) {
        assert_true(fake_step());
    }
    const struct model_entry *expected = NULL;
    int64_t greatest = INT64_MIN;
    for (size_t i = 0; i < model.count; i++) {
        const struct model_entry *entry = &model.entries[i];
        uint64_t end = entry->base_offset + (entry->last_index - entry->first_index) + 1;
        if (entry->kind != LOG_ENTRY_BATCH || end <= log_start_offset(model.log)) {
            continue;
        }
        if (expected == NULL && entry->timestamp_ms >= found.find.timestamp_ms) {
            expected = entry;
        }
    }
    for (size_t i = 0; i < model.count; i++) {
        if (model.entries[i].kind == LOG_ENTRY_BATCH && model.entries[i].timestamp_ms > greatest) {
            greatest = model.entries[i].timestamp_ms;
        }
    }
    assert_int_equal(found.is_found, expected != NULL);
    if (expected != NULL) {
        assert_int_equal(found.base_offset, expected->base_offset);
    }
    int64_t timestamp_ms;
    uint64_t base_offset;
    bool any =
        log_max_timestamp(model.log, log_next_offset(model.log), &timestamp_ms, &base_offset);
    assert_int_equal(any, greatest != INT64_MIN);
    assert_true(!any || timestamp_ms == greatest);
}

static void commit_some(void)
{
    if (model.floor > model.commit) {
        model.commit += prng_below(&model.prng, model.floor - model.commit + 1);
        log_set_commit(model.log, model.commit);
        check_start();
    }
}

static void retain_some(void)
{
    if (prng_below(&model.prng, 2) == 0) {
        log_set_snapshot(model.log, model.commit);
    }
    struct log_retention retention = {.retention_ms = -1,
                                      .retention_bytes = (int64_t)prng_below(&model.prng, 40000)};
    if (prng_below(&model.prng, 3) == 0) {
        uint64_t end = log_offset_after(model.log, model.commit);
        uint64_t start = log_start_offset(model.log);
        if (end > start) {
            log_set_start_offset(model.log, start + prng_below(&model.prng, end - start + 1));
        }
    }
    if (log_apply_retention(model.log, &retention, 0)) {
        size_t gone = place_of(log_first_index(model.log));
        memmove(model.entries, &model.entries[gone],
                (model.count - gone) * sizeof(model.entries[0]));
        model.count -= gone;
    }
    submit(false);
}

static void check_positions(void)
{
    check_start();
    for (int i = 0; i < 3 && model.count > 0; i++) {
        const struct model_entry *entry = &model.entries[prng_below(&model.prng, model.count)];
        if (entry->kind != LOG_ENTRY_BATCH) {
            continue;
        }
        uint64_t span = entry->last_index - entry->first_index + 1;
        assert_int_equal(log_offset_after(model.log, entry->last_index), entry->base_offset + span);
        assert_int_equal(log_index_before(model.log, entry->base_offset + span), entry->last_index);
    }
}

static void step(void)
{
    switch (prng_below(&model.prng, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        append_some();
        break;
    case 5:
    case 6:
        submit(prng_below(&model.prng, 4) == 0);
        break;
    case 7:
    case 8:
        fake_step();
        break;
    case 9:
        read_some();
        break;
    case 10:
        fetch_some();
        break;
    case 11:
        commit_some();
        break;
    case 12:
        if (prng_below(&model.prng, 6) == 0) {
            truncate_some();
        }
        break;
    case 13:
        check_positions();
        find_time_some();
        break;
    case 14:
        if (prng_below(&model.prng, 8) == 0) {
            retain_some();
        }
        break;
    default:
        fake_advance_ms((int64_t)prng_below(&model.prng, 400));
        if (prng_below(&model.prng, 20) == 0) {
            fake_page_cache(true);
        }
        break;
    }
}

static void run_history(uint64_t seed, int rounds, bool with_cuts)
{
    memset(&model, 0, sizeof(model));
    prng_init(&model.prng, seed);
    fake_reset();
    open_log();
    for (int round = 0; round < rounds; round++) {
        for (uint64_t steps = 20 + prng_below(&model.prng, 150); steps > 0; steps--) {
            step();
        }
        if (with_cuts && prng_below(&model.prng, 4) != 0) {
            fake_cut_power(&model.prng);
        } else {
            fake_run();
        }
        close_log();
        fake_run();
        if (!with_cuts) {
            model.floor = model.count > 0 ? model.entries[model.count - 1].last_index : 0;
        }
        model.done_id = model.write_id;
        open_log();
        check_recovered();
        begin_term();
    }
    fake_run();
    close_log();
    fake_run();
    fake_reset();
}

static void test_clean_histories(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_history(seed, 12, false);
    }
}

static void test_power_cuts(void **state)
{
    (void)state;
    for (uint64_t seed = 1000; seed < 1600; seed++) {
        run_history(seed, 12, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_histories),
        cmocka_unit_test(test_power_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
