/* SPDX-License-Identifier: Apache-2.0
 *
 * line_limit.h -- how many log lines strangers may cause: a few a second; the rest is counted and
 * told in one line when the second is over and another comes.
 *
 * Locality: the owner of the limit.
 */
#ifndef BROKER_LINE_LIMIT_H
#define BROKER_LINE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LINE_LIMIT_A_SECOND 20

struct line_limit {
    uint64_t since_ns;
    uint32_t lines;
    uint64_t suppressed;
};

/* May the line be written?  *missed: lines suppressed before it that were not told of yet. */
static inline bool line_limit_allows(struct line_limit *limit, uint64_t now_ns, uint64_t *missed)
{
    *missed = 0;
    if (now_ns - limit->since_ns >= 1000000000ull) {
        *missed = limit->suppressed;
        *limit = (struct line_limit){.since_ns = now_ns};
    }
    if (limit->lines >= LINE_LIMIT_A_SECOND) {
        limit->suppressed++;
        return false;
    }
    limit->lines++;
    return true;
}

#endif
