/* SPDX-License-Identifier: Apache-2.0
 *
 * compact_points.h -- up to where a log was compacted, and when: what tells its dirty part from the
 * clean one, and how long a tombstone has been seen.
 *
 * A file beside the segments, replaced as a whole after a compaction.  To have lost it costs time
 * and nothing else: then all is dirty and every tombstone is new.  It goes when the log is reset.
 *
 * Locality: plain data; reading and writing where blocking is allowed.
 */
#ifndef LOG_COMPACT_POINTS_H
#define LOG_COMPACT_POINTS_H

#include <stddef.h>
#include <stdint.h>

#define COMPACT_POINTS_MAX 32

struct compact_point {
    uint64_t offset; /* everything below it was compacted */
    int64_t time_ms; /* by then */
};

struct compact_points {
    struct compact_point points[COMPACT_POINTS_MAX]; /* ascending in both */
    size_t count;
};

/* The newest point's offset; 0: none. */
uint64_t compact_points_offset(const struct compact_points *points);
/* What was compacted at oldest_ms or before lies below this offset. */
uint64_t compact_points_older(const struct compact_points *points, int64_t oldest_ms);
/* Adds a point.  A tombstone is never taken for older than it is. */
void compact_points_add(struct compact_points *points, uint64_t offset, int64_t time_ms);

int compact_points_write(const char *directory, const struct compact_points *points);
/* No points when there is no file, or it is damaged, or it speaks of more than end_offset. */
void compact_points_read(const char *directory, uint64_t end_offset, struct compact_points *points);
int compact_points_remove(const char *directory);

#endif
