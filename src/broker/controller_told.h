/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_told.h -- whom clients are told to ask for what is the controller's.
 *
 * Locality: any shard.
 */
#ifndef BROKER_CONTROLLER_TOLD_H
#define BROKER_CONTROLLER_TOLD_H

#include "broker/broker.h"

#include <stdint.h>

/* Id of the controller leader if it is known and live.  Else of this broker: it takes requests for
 * the controller and forwards them once there is one (KRaft names any live broker, too), while some
 * clients wait long when they are told of none.  -1 while this broker is not registered. */
int32_t controller_told(const struct broker_shard *shard);

#endif
