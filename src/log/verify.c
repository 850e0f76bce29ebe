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
#include "log/torn.h"
#include "log/window.h"

#include <errno.h>
#include <string.h>

static bool has_its_term(const struct log_history *history, const struct wire_batch *head)
{
    uint64_t term = log_history_term_at_offset(history, (uint64_t)head->base_offset);
    return (uint64_t)(uint32_t)head->leader_epoch == term;
}

/* Whether any batch behind a bad place belongs to this log.  1, 0 or an errno. */
static int good_batch_behind(struct log_window *window, const struct log_segment *segment,
                             const struct log_history *history)
{
    uint64_t position = segment->size_bytes + 1;
    while (position + WIRE_BATCH_HEAD_BYTES <= window->file_size) {
        struct wire_batch head;
        const uint8_t *data;
        int result = log_window_show(window, position, WIRE_BATCH_HEAD_BYTES, &data);
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
            result = log_window_batch(window, position, &head);
            if (result != 0) {
                return result;
            }
        }
        position++;
    }
    return 0;
}

/* What stands at the end of the good batches? */
static int judge(struct log_window *window, const struct log_segment *segment,
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
    int result = log_window_show(window, position, WIRE_BATCH_HEAD_BYTES, &data);
    if (result != 0) {
        return result;
    }
    uint64_t claimed = WIRE_BATCH_HEAD_BYTES;
    if (wire_batch_read(&head, data, WIRE_BATCH_HEAD_BYTES) && log_scan_is_plausible(&head, left)) {
        claimed = head.total_bytes;
    }
    uint64_t shown = claimed + TORN_SECTOR_BYTES < left ? claimed + TORN_SECTOR_BYTES : left;
    result = log_window_show(window, position, (size_t)shown, &data);
    if (result != 0) {
        return result;
    }
    if (!torn_has_unwritten_sector(data, (size_t)shown, position, position, position + claimed)) {
        verified->end = LOG_END_DAMAGED;
    }
    return 0;
}

const char *log_verify_batch(int is_whole, const struct wire_batch *head, uint64_t offset,
                             uint64_t term)
{
    if (is_whole == 0) {
        return "no whole batch with a right checksum";
    }
    if ((uint64_t)head->base_offset != offset) {
        return "a batch with an offset that does not follow";
    }
    return (uint64_t)(uint32_t)head->leader_epoch == term
               ? NULL
               : "a batch of a term that does not belong there";
}

int log_verify_segment(struct log_segment *segment, const struct log_history *history,
                       uint64_t file_size, struct log_verified *verified)
{
    require(segment->file != NULL && segment->size_bytes <= file_size);
    *verified = (struct log_verified){.end = LOG_END_EXACT};
    struct log_window window;
    log_window_init(&window, segment->file, file_size);
    int result = 0;
    while (segment->size_bytes < file_size) {
        struct wire_batch head;
        int is_whole = log_window_batch(&window, segment->size_bytes, &head);
        if (is_whole < 0) {
            result = is_whole;
            break;
        }
        verified->problem =
            log_verify_batch(is_whole, &head, segment->end_offset,
                             log_history_term_at_offset(history, segment->end_offset));
        if (verified->problem != NULL) {
            result = judge(&window, segment, history, verified);
            break;
        }
        log_segment_note(segment, &head);
    }
    log_window_free(&window);
    return result;
}
