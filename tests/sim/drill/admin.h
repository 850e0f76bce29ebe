/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.h -- the client that creates the drill's topics, and lets some come and go.
 */
#ifndef TESTS_SIM_DRILL_ADMIN_H
#define TESTS_SIM_DRILL_ADMIN_H

#include "drill/client.h"
#include "drill/swarm.h"

struct drill_admin;

/* Creates the swarm's topics at once; client and swarm outlive it. */
struct drill_admin *drill_admin_new(struct client *client, const struct swarm *swarm);
void drill_admin_free(struct drill_admin *admin);
/* The swarm's own topics are all there. */
bool drill_admin_is_ready(const struct drill_admin *admin);
/* Begins to create and delete other topics, or ends it. */
void drill_admin_churn(struct drill_admin *admin, bool on);
/* Nothing is under way. */
bool drill_admin_is_idle(const struct drill_admin *admin);

#endif
