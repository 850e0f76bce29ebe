/* SPDX-License-Identifier: Apache-2.0
 *
 * process.h -- the end of the process by its own decision.
 *
 * Locality: any thread.
 */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

/* At once: no exit handler runs, nothing queued is sent or written any more. */
_Noreturn void io_process_end(int status);

#endif
