/* SPDX-License-Identifier: Apache-2.0
 *
 * founding.h -- who founds the controller group: settled once, before a broker takes part in it.
 *
 * A broker with an empty data directory may be new, or may have lost a directory in which it had
 * voted.  It must found the group in the first case and must not in the second, and its config is
 * the same in both.  So the founders are written down with the ids of their data directories:
 *
 *  - The configured controller with the lowest id, and nobody else, makes the list, when every
 * other configured controller has answered that it knows none.  It is durable before it is told.
 *  - Everybody else asks until somebody has the list, and keeps it.
 *  - Who stands in it with the directory it has now founds the group as a voter; who does not joins
 *    it as a learner, and gets a vote by the leader's doing (controller_members.h).
 *
 * Therefore a cluster is founded only while all its configured controllers run.  A broker whose
 * directory was lost has an id that is not in the list; if it is the one that made the list, the
 * others have it still.
 *
 * Locality: shard 0.
 */
#ifndef BROKER_FOUNDING_H
#define BROKER_FOUNDING_H

#include "broker/data_directory.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct founding;

struct founding *founding_new(struct broker_shard *shard);
/* done comes once, perhaps at once: the founders are known and durable.  Not after a stop. */
void founding_start(struct founding *founding, void (*done)(void *context), void *context);
void founding_stop(struct founding *founding);
/* Nothing is under way. */
bool founding_is_idle(const struct founding *founding);
void founding_free(struct founding *founding);

/* Those known, durably; 0: none yet. */
uint32_t founding_founders(const struct founding *founding,
                           const struct data_directory_founder **founders);
/* This broker, with the data directory it has now, is one of them. */
bool founding_is_founder(const struct founding *founding);

/* ---- The rule, by itself ---- */

/* What one configured controller answered. */
struct founding_answer {
    uint32_t broker_id;
    bool has_answered; /* that it knows no founders */
    bool is_agreed;    /* its controllers are the same brokers as ours */
    struct uuid directory_id;
};

/* Fills in the founders when own_id may make the list, and says how many; else 0.  others: the
 * configured controllers but this one. */
uint32_t founding_decide(uint32_t own_id, const struct uuid *own_directory_id,
                         const struct founding_answer *others, uint32_t other_count,
                         struct data_directory_founder *founders);

#endif
