/* SPDX-License-Identifier: Apache-2.0
 *
 * replica_files.h -- reads a replica's batches from its host's files, past all code under test but
 * the batch head's: segments in order of their names, whose base offsets ascend with them.
 *
 *   replica-divergence    there is a hole between two batches, or the files end below the high
 *                         watermark
 */
#ifndef TESTS_SIM_DRILL_REPLICA_FILES_H
#define TESTS_SIM_DRILL_REPLICA_FILES_H

#include "wire/batch.h"

#include <stdbool.h>
#include <stdint.h>

struct drill;

struct replica_files {
    struct drill *drill;
    uint32_t host;
    uint64_t group_id;
    int64_t start_offset; /* the log's: what stands below it is on its way out */
    int64_t end_offset;   /* the high watermark: only what lies below is read */
    void *context;        /* the caller's */
};

/* is_compacted: a segment that begins inside of the one before is left over from a compaction,
 * about to be removed, and is passed over.  The group runs on the host: take is called for each
 * batch in order, also for those on their way out.  False when it does not run there. */
bool replica_files_read(struct drill *drill, uint32_t host, uint64_t group_id, bool is_compacted,
                        void (*take)(const struct replica_files *files,
                                     const struct wire_batch *batch),
                        void *context);

#endif
