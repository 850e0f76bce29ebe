/* SPDX-License-Identifier: Apache-2.0
 *
 * proposal_line.h -- the changes of one metadata write, committed one after the other: each is
 * planned on the state that the one before left, so that placement counts what was placed a moment
 * ago.  What a change sets off elsewhere may hold up the end of the line.
 *
 * A line of which nothing was proposed says what the metadata here says, and that of a leader that
 * was paused may be old news: it ends when a majority has confirmed the lead, or with
 * NOT_CONTROLLER for every item.
 *
 * Locality: shard 0 of the controller leader.
 */
#ifndef BROKER_PROPOSAL_LINE_H
#define BROKER_PROPOSAL_LINE_H

#include "cluster/cluster.h"
#include "wire/error.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;

/* Embedded in its owner, which fills in the first part and lives until ended is called. */
struct proposal_line {
    struct broker_shard *shard;
    uint32_t count;
    /* Writes the record of an item; false: there is nothing to commit for it (it is refused). */
    bool (*plan)(struct proposal_line *line, uint32_t item, struct wire_writer *record);
    /* The item's record was committed and applied, or not: see controller_propose(). */
    void (*committed)(struct proposal_line *line, uint32_t item, enum wire_error error,
                      const struct cluster_change *change);
    /* All items are through, and what was held has been released.  The last call. */
    void (*ended)(struct proposal_line *line);

    uint32_t position; /* its own, as below */
    bool is_away;      /* a record is being committed */
    bool is_confirmed; /* one was proposed, which told who leads */
    bool is_running;   /* planning, so that a proposal refused at once does not recurse */
    uint32_t held;     /* by others, and once by the line until all items are through */
};

void proposal_line_run(struct proposal_line *line);

/* The line does not end before as many releases as holds; only from committed(). */
void proposal_line_hold(struct proposal_line *line);
void proposal_line_release(struct proposal_line *line);

/* This broker may plan and commit: it is the controller leader and this is its shard 0. */
bool proposal_line_is_here(const struct broker_shard *shard);

#endif
