/* SPDX-License-Identifier: Apache-2.0
 *
 * flusher.h -- the thread of a loop that makes writes durable.  Not for other rooms, which use
 * io_flush_submit().
 *
 * Locality: the loop's own thread.
 */
#ifndef IO_FLUSHER_H
#define IO_FLUSHER_H

#include "io/loop.h"

struct io_flusher;

/* The thread starts with the first flush. */
struct io_flusher *io_flusher_new(struct io_loop *loop);
/* Executes what is queued and ends the threads; done is not called any more. */
void io_flusher_free(struct io_flusher *flusher);

#endif
