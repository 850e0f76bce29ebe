/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_recovery.c -- opening a log, one of whose files holds arbitrary bytes.  The first byte says
 * which.
 *
 * Whatever stands there, log_open() and log_snapshot_read() refuse it or give a log that reads and
 * closes.
 */
#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "unit/log/fake_io.h"
#include "unit/log/log_fixture.h"

static const char *const paths[] = {
    "/f/epochs",
    "/f/00000000000000000000.log",
    "/f/00000000000000000000.index",
    "/f/snapshot",
};

static void read_done(struct log_read *read, int result, const struct log_entry *entries,
                      size_t count)
{
    (void)entries;
    ensure(result <= 0 && (result == 0 || count == 0));
    read->private_state = NULL;
}

static bool open_and_close(bool append)
{
    const struct log_options options = {
        .segment_bytes = 400, .segment_ms = 1000, .index_interval_bytes = 100};
    struct log_found found;
    struct log *log;
    char error[256];
    struct log_stream *stream = log_stream_new(fake_loop());
    bool is_open = log_open(&log, stream, "/f", &options, &found, error, sizeof(error)) == 0;
    if (is_open && append) {
        fixture_append_term(log, found.term + 1);
        for (uint32_t i = 0; i < 6; i++) {
            fixture_append_batch(log, found.term + 1, 2, 40, 1000 + i, i);
        }
    } else if (is_open) {
        struct log_read read = {.after_index = found.first_index - 1,
                                .last_index = found.last_index,
                                .bytes_max = 1000,
                                .done = read_done};
        log_read(log, &read);
        fake_run();
    }
    if (is_open) {
        log_detach(log);
        log_close(log);
    }
    log_stream_free(stream);
    fake_run();
    return is_open;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    fake_reset();
    ensure(open_and_close(true));
    if (length > 0) {
        fake_file_put(paths[data[0] % 4], data + 1, length - 1);
    }
    if (open_and_close(false)) {
        ensure(open_and_close(false));
    }
    uint64_t index;
    uint64_t term;
    uint64_t next_offset;
    struct buf *content;
    if (log_snapshot_read("/f", &index, &term, &next_offset, &content) == 0) {
        buf_release(content);
    }
    fake_reset();
    return 0;
}
