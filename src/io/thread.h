/* SPDX-License-Identifier: Apache-2.0
 *
 * thread.h -- starting the few threads of the process.  Not for other rooms.
 */
#ifndef IO_THREAD_H
#define IO_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Starts a thread that blocks all signals (they are the main thread's) and has the given stack.  A
 * process that cannot start its threads ends here.  name: at most 15 characters. */
void io_thread_start(pthread_t *thread, const char *name, size_t stack_bytes,
                     void *(*run)(void *argument), void *argument);

#endif
