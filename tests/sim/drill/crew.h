/* SPDX-License-Identifier: Apache-2.0
 *
 * crew.h -- the operator who adds brokers to the cluster while it is under load, and decommissions
 * them; one change at a time.
 *
 * A broker that has left comes back with an empty disk, under its id, as a new one.  Three brokers
 * at least stay, and one of the founders, which everybody's config names.
 *
 *   protocol    an answer makes no sense, or has a code that does not belong to it
 */
#ifndef TESTS_SIM_DRILL_CREW_H
#define TESTS_SIM_DRILL_CREW_H

#include "drill/client.h"

struct drill;
struct drill_crew;

/* client and drill outlive it. */
struct drill_crew *drill_crew_new(struct client *client, struct drill *drill);
void drill_crew_free(struct drill_crew *crew);
/* Begins to change things, or ends it: a broker that is leaving still leaves. */
void drill_crew_work(struct drill_crew *crew, bool on);
/* Nobody is leaving. */
bool drill_crew_is_idle(const struct drill_crew *crew);
/* The host's process may have been refused, as it has left. */
bool drill_crew_excuses(const struct drill_crew *crew, uint32_t host);
/* The host runs nothing: true when it is not to be started, as it has left, or may have. */
bool drill_crew_keeps_down(struct drill_crew *crew, uint32_t host);
uint64_t drill_crew_joined(const struct drill_crew *crew);
uint64_t drill_crew_left(const struct drill_crew *crew);

#endif
