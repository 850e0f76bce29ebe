/* SPDX-License-Identifier: Apache-2.0
 *
 * thread.c -- starting the few threads of the process.
 */
#define _GNU_SOURCE
#include "io/thread.h"

#include "base/trace.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

void io_thread_start(pthread_t *thread, const char *name, size_t stack_bytes,
                     void *(*run)(void *argument), void *argument)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    int error = pthread_create(thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        trace_error("cannot start thread %s: %s", name, strerror(error));
        abort();
    }
    pthread_setname_np(*thread, name);
}
