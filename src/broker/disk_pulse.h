/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_pulse.h -- notices a disk that hangs: neither an error nor an end, so that nothing else
 * would.
 *
 * Looked at every second.  While a flush of the shard has been under way for longer than
 * DISK_PULSE_HUNG_NS the broker tells the others that its disk does not answer (PeerPing), who then
 * do not count it among the live; and what the shard leads is handed over to whoever can take it.
 * When the flush ends, all of that ends by itself.
 *
 * Locality: one a shard.
 */
#ifndef BROKER_DISK_PULSE_H
#define BROKER_DISK_PULSE_H

struct broker_shard;
struct disk_pulse;

#define DISK_PULSE_HUNG_NS 5000000000ull

struct disk_pulse *disk_pulse_new(struct broker_shard *shard);
void disk_pulse_start(struct disk_pulse *pulse);
void disk_pulse_stop(struct disk_pulse *pulse);
void disk_pulse_free(struct disk_pulse *pulse);

#endif
