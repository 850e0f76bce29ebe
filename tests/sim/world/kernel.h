/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel.h -- what a host's kernel does when a process or the power goes.  Not for tests.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_KERNEL_H
#define TESTS_SIM_WORLD_KERNEL_H

#include "internal.h"

/* in_silence: nobody hears of it, as when the power goes. */
void kernel_close_listeners(struct sim_host *host, bool in_silence); /* listener.c */
void kernel_close_ends(struct sim_host *host, bool in_silence);      /* network.c */
void kernel_close_files(struct sim_process *process);                /* file.c */
/* Between being killed and gone: what the flushers were writing is written in part. */
void kernel_lose_power(struct sim_host *host); /* file.c */
struct io_loop *loop_of_process_node(struct list_node *node);

#endif
