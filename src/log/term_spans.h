/* SPDX-License-Identifier: Apache-2.0
 *
 * term_spans.h -- which term the batches from an offset on must have, copied out of a log's history
 * for a work that checks batches elsewhere.
 *
 * Locality: log_term_spans_copy the shard of the log; else plain data.
 */
#ifndef LOG_TERM_SPANS_H
#define LOG_TERM_SPANS_H

#include "log/history.h"

#include <stddef.h>
#include <stdint.h>

/* From this offset on batches are of this term. */
struct log_term_span {
    uint64_t offset;
    uint64_t term;
};

struct log_term_spans {
    struct log_term_span *spans; /* ascending; at least one */
    size_t count;
};

/* Those that cover all offsets from one on; freed by the caller. */
void log_term_spans_copy(struct log_term_spans *spans, const struct log_history *history,
                         uint64_t offset);
void log_term_spans_free(struct log_term_spans *spans);
/* offset: not below the one they were copied for. */
uint64_t log_term_spans_at(const struct log_term_spans *spans, uint64_t offset);

#endif
