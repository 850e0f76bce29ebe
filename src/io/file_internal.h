/* SPDX-License-Identifier: Apache-2.0
 *
 * file_internal.h -- what the files of this room share about open files.  Not for other rooms.
 */
#ifndef IO_FILE_INTERNAL_H
#define IO_FILE_INTERNAL_H

#include "base/buf.h"
#include "io/file.h"

int io_file_descriptor(const struct io_file *file);

/* Writes the slices one behind the other, everything or fails: 0 or a negative errno. */
int io_file_write_slices(struct io_file *file, uint64_t position, const struct buf_slice *slices,
                         uint32_t slice_count);

#endif
