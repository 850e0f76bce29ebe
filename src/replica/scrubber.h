/* SPDX-License-Identifier: Apache-2.0
 *
 * scrubber.h -- goes over the files of all groups of a shard, slowly, for ever, and reports what
 * does not hold any more what was written: a replica's damage is found while the others are whole,
 * not when it is needed.
 *
 * It reads so many bytes a second and no more, from the medium, and leaves the page cache alone.  A
 * pass takes the groups that run when it begins, one after the other; nothing of it is kept over a
 * restart.  What is found goes the way of all damage (quarantine.h); a damaged snapshot is written
 * anew from the applier's state.
 *
 * Locality: one a manager.
 */
#ifndef REPLICA_SCRUBBER_H
#define REPLICA_SCRUBBER_H

#include "io/loop.h"
#include "log/scrub.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replica_group;
struct replica_manager;

struct replica_scrubber {
    struct replica_manager *manager;
    struct io_timer timer;
    uint64_t *ids; /* of the groups of this pass */
    size_t id_count;
    size_t at;
    uint64_t pass_began_ns;
    struct replica_group *group; /* held while a step is under way, else NULL */
    struct log_scrub scrub;      /* of the group at "at" */
    struct io_work record_work;
    int record_result;
};

/* Does nothing when the manager's options have no rate. */
void replica_scrubber_start(struct replica_scrubber *scrubber, struct replica_manager *manager);
/* Begins no further step; the one under way holds its group. */
void replica_scrubber_stop(struct replica_scrubber *scrubber);
/* No step is under way. */
void replica_scrubber_free(struct replica_scrubber *scrubber);

#endif
