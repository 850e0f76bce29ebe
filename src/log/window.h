/* SPDX-License-Identifier: Apache-2.0
 *
 * window.h -- a moving window of memory on a file, through which batches are looked at one after
 * another.
 *
 * Reads begin and end at multiples of IO_MEDIUM_ALIGNMENT, so that the file may be one that is read
 * past the page cache.
 *
 * Locality: where blocking is allowed.
 */
#ifndef LOG_WINDOW_H
#define LOG_WINDOW_H

#include "io/file.h"
#include "wire/batch.h"

#include <stddef.h>
#include <stdint.h>

struct log_window {
    const struct io_file *file;
    uint64_t file_size; /* nothing is shown behind it */
    uint64_t position;  /* what is shown: [position, position + length) */
    size_t length;
    size_t capacity;
    uint8_t *data;   /* aligned, inside memory */
    uint8_t *memory; /* owned */
};

/* file is borrowed and stays open while the window is used. */
void log_window_init(struct log_window *window, const struct io_file *file, uint64_t file_size);
void log_window_free(struct log_window *window);
/* Forgets what was read: the next look reads again. */
void log_window_forget(struct log_window *window);
/* *data: bytes [position, position + length), which lie before file_size, until the next call.  0;
 * -EIO also when the file ends too early; or another errno. */
int log_window_show(struct log_window *window, uint64_t position, size_t length,
                    const uint8_t **data);
/* 1: a batch whose length and checksum are right stands there; 0: none; or an errno.  head: with
 * 1, of the whole batch, until the next call; with 0 it may be anything. */
int log_window_batch(struct log_window *window, uint64_t position, struct wire_batch *head);

#endif
