/* SPDX-License-Identifier: Apache-2.0
 *
 * registration.h -- making this broker known to the cluster: RegisterBroker to the controller
 * leader, again and again until the metadata shows this process's incarnation.
 *
 * Locality: shard 0.
 */
#ifndef BROKER_REGISTRATION_H
#define BROKER_REGISTRATION_H

#include <stdbool.h>

struct broker_shard;
struct registration;

struct registration *registration_new(struct broker_shard *shard);
/* Something it waits for changed: a leader is known, a broker is registered. */
void registration_wake(struct registration *registration);
void registration_stop(struct registration *registration);
/* No request is under way. */
bool registration_is_idle(const struct registration *registration);
void registration_free(struct registration *registration);

/* The metadata knows this process. */
bool registration_is_done(const struct broker_shard *shard);

#endif
