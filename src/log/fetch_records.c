/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch_records.c -- passing over what compaction has left without a record.
 *
 * Batches without records are legal in a fetch's answer, and consumers step over them.  But an
 * answer with nothing else looks to some of them as if their limits were too small for the next
 * record: librdkafka doubles its own ten times, and then reports an error.  So such an answer is
 * given only where nothing else follows.
 *
 * How far a read has come is kept by its wait, also when it has found what it looked for: a fetch
 * of several partitions is looked at anew until none of them waits, and what each has to pass over
 * may be more segments than a log keeps open.
 *
 * Only what log_fetch() gave is passed over, which is checked; so no damage can hide a record.
 */
#include "base/assert.h"
#include "log/log.h"
#include "log/scan.h"

#include <errno.h>

/* 0 when a batch has a record, or cannot be looked at now; else where the batches end. */
static uint64_t recordless_end_of_slice(const struct buf_slice *slice)
{
    uint64_t end = 0;
    for (size_t at = 0; at < slice->length_bytes;) {
        struct wire_batch head;
        if (!wire_batch_read(&head, slice->data + at, slice->length_bytes - at) ||
            head.record_count > 0) {
            return 0;
        }
        end = log_scan_end_offset(&head);
        at += head.total_bytes;
    }
    return end;
}

static uint64_t recordless_end_of_range(const struct log_fetched *fetched)
{
    struct log_scan scan;
    struct wire_batch head;
    uint64_t end = 0;
    log_scan_init(&scan, fetched->file, fetched->position,
                  fetched->position + fetched->length_bytes, true);
    int result = log_scan_head(&scan, &head);
    while (result == 0 && head.record_count == 0) {
        end = log_scan_end_offset(&head);
        log_scan_skip(&scan, &head);
        result = log_scan_head(&scan, &head);
    }
    return result == -ENODATA ? end : 0;
}

static uint64_t recordless_end(const struct log_fetched *fetched)
{
    if (fetched->file != NULL) {
        return recordless_end_of_range(fetched);
    }
    uint64_t end = 0;
    for (uint32_t i = 0; i < fetched->slice_count; i++) {
        end = recordless_end_of_slice(&fetched->slices[i]);
        if (end == 0) {
            break;
        }
    }
    return end;
}

int log_fetch_records(struct log *log, uint64_t offset, uint64_t limit_offset, uint64_t bytes_max,
                      struct log_fetched *fetched, struct log_wait *wait)
{
    bool goes_on = wait->passed_to > 0 && wait->passed_from == offset;
    uint64_t from = goes_on ? wait->passed_to : offset;
    wait->passed_from = offset;
    wait->passed_to = 0;
    for (;;) {
        int result = log_fetch(log, from, limit_offset, bytes_max, fetched, wait);
        if (result == -EAGAIN) {
            wait->passed_to = from > offset ? from : 0;
            return result;
        }
        if (result == -ERANGE && from > offset) {
            from = offset; /* the log has become shorter meanwhile, at one end or the other */
            continue;
        }
        uint64_t end = result == 0 ? recordless_end(fetched) : 0;
        if (end == 0 || end >= limit_offset || end >= log_next_offset(log)) {
            wait->passed_to = result == 0 && from > offset ? from : 0;
            return result;
        }
        ensure(end > from);
        log_fetched_release(fetched);
        from = end;
    }
}
