/* SPDX-License-Identifier: Apache-2.0
 *
 * verify.c -- reading a segment with every check, and judging its end.
 *
 * A batch is good when its length fits, its checksum matches, its base offset follows the batch
 * before, and its term is the one the epoch log gives for that offset.  Where the good ones end
 * there may be nothing; the remains of an interrupted write, which are missing, zero in whole
 * sectors, or followed by nothing good; old batches that a truncation did not reach, of which no
 * one fits; or damage: a bad batch with good ones behind it.
 */
#include "log/verify.h"

#include "base/assert.h"
#include "base/memory.h"
#include "log/torn.h"

#include <errno.h>
#include <string.h>

#define WINDOW_BYTES ((size_t)256 << 10)

/* Bytes [position, position + length) of a file. */
struct window {
    const struct io_file *file;
    uint64_t file_size;
    uint64_t position;
    size_t length;
    size_t capacity;
    uint8_t *data;
};

/* Makes the window hold [position, position + length), which lies in the file; more if there is
 * room. */
static int window_show(struct window *window, uint64_t position, size_t length,
                       const uint8_t **data)
{
    require(position + length <= window->file_size);
    bool shows =
        position >= window->position && position + length <= window->position + window->length;
    if (!shows) {
        size_t wanted = length > WINDOW_BYTES ? length : WINDOW_BYTES;
        if (wanted > window->capacity) {
            window->data = memory_reallocate(window->data, wanted);
            window->capacity = wanted;
        }
        uint64_t left = window->file_size - position;
        size_t count = left < window->capacity ? (size_t)left : window->capacity;
        size_t done = 0;
        int result = io_file_read(window->file, position, window->data, count, &done);
        if (result != 0) {
            window->length = 0;
            return result;
        }
        window->position = position;
        window->length = done;
        if (done < length) {
            return -EIO;
        }
    }
    *data = window->data + (position - window->position);
    return 0;
}

/* 1: a batch whose length and checksum are right; 0: none; or an errno. */
static int window_batch(struct window *window, uint64_t position, struct wire_batch *head)
{
    uint64_t left = window->file_size - position;
    const uint8_t *data;
    if (left < WIRE_BATCH_HEAD_BYTES) {
        return 0;
    }
    int result = window_show(window, position, WIRE_BATCH_HEAD_BYTES, &data);
    if (result != 0) {
        return result;
    }
    if (!wire_batch_read(head, data, WIRE_BATCH_HEAD_BYTES) || !log_scan_is_plausible(head, left)) {
        return 0;
    }
    result = window_show(window, position, head->total_bytes, &data);
    if (result != 0) {
        return result;
    }
    return wire_batch_read(head, data, head->total_bytes) && wire_batch_crc_matches(head) ? 1 : 0;
}

static bool has_its_term(const struct log_history *history, const struct wire_batch *head)
{
    uint64_t term = log_history_term_at_offset(history, (uint64_t)head->base_offset);
    return (uint64_t)(uint32_t)head->leader_epoch == term;
}

/* Whether any batch behind a bad place belongs to this log.  1, 0 or an errno. */
static int good_batch_behind(struct window *window, const struct log_segment *segment,
                             const struct log_history *history)
{
    uint64_t position = segment->size_bytes + 1;
    while (position + WIRE_BATCH_HEAD_BYTES <= window->file_size) {
        struct wire_batch head;
        const uint8_t *data;
        int result = window_show(window, position, WIRE_BATCH_HEAD_BYTES, &data);
        if (result != 0) {
            return result;
        }
        /* The cheap look first: base offset near the expected one, which random bytes hardly have.
         */
        bool may_be = data[16] == 2 && wire_batch_read(&head, data, WIRE_BATCH_HEAD_BYTES) &&
                      (uint64_t)head.base_offset >= segment->end_offset &&
                      (uint64_t)head.base_offset - segment->base_offset <= UINT32_MAX &&
                      has_its_term(history, &head);
        if (may_be) {
            result = window_batch(window, position, &head);
            if (result != 0) {
                return result;
            }
        }
        position++;
    }
    return 0;
}

/* What stands at the end of the good batches? */
static int judge(struct window *window, const struct log_segment *segment,
                 const struct log_history *history, struct log_verified *verified)
{
    uint64_t position = segment->size_bytes;
    int behind = good_batch_behind(window, segment, history);
    if (behind < 0) {
        return behind;
    }
    verified->end = LOG_END_TORN;
    if (behind == 0) {
        return 0;
    }
    /* Good data behind it: part of one interrupted write only if some sector never arrived. */
    struct wire_batch head;
    uint64_t left = window->file_size - position;
    ensure(left > WIRE_BATCH_HEAD_BYTES);
    const uint8_t *data;
    int result = window_show(window, position, WIRE_BATCH_HEAD_BYTES, &data);
    if (result != 0) {
        return result;
    }
    uint64_t claimed = WIRE_BATCH_HEAD_BYTES;
    if (wire_batch_read(&head, data, WIRE_BATCH_HEAD_BYTES) && log_scan_is_plausible(&head, left)) {
        claimed = head.total_bytes;
    }
    uint64_t shown = claimed + TORN_SECTOR_BYTES < left ? claimed + TORN_SECTOR_BYTES : left;
    result = window_show(window, position, (size_t)shown, &data);
    if (result != 0) {
        return result;
    }
    if (!torn_has_unwritten_sector(data, (size_t)shown, position, position, position + claimed)) {
        verified->end = LOG_END_DAMAGED;
    }
    return 0;
}

static const char *problem_of(int is_whole, const struct wire_batch *head,
                              const struct log_segment *segment, const struct log_history *history)
{
    if (is_whole == 0) {
        return "no whole batch with a right checksum";
    }
    if ((uint64_t)head->base_offset != segment->end_offset) {
        return "a batch with an offset that does not follow";
    }
    return has_its_term(history, head) ? NULL : "a batch of a term that does not belong there";
}

int log_verify_segment(struct log_segment *segment, const struct log_history *history,
                       uint64_t file_size, struct log_verified *verified)
{
    require(segment->file != NULL && segment->size_bytes <= file_size);
    *verified = (struct log_verified){.end = LOG_END_EXACT};
    struct window window = {.file = segment->file, .file_size = file_size};
    int result = 0;
    while (segment->size_bytes < file_size) {
        struct wire_batch head;
        int is_whole = window_batch(&window, segment->size_bytes, &head);
        if (is_whole < 0) {
            result = is_whole;
            break;
        }
        verified->problem = problem_of(is_whole, &head, segment, history);
        if (verified->problem != NULL) {
            result = judge(&window, segment, history, verified);
            break;
        }
        log_segment_note(segment, &head);
    }
    memory_free(window.data);
    return result;
}
