/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_io.h -- a disk in memory that can lose power, and a loop that does one thing at a time.
 *
 * Implements what log uses of io/file.h and io/loop.h.  A file has a content that is seen and one
 * that is durable; names in a directory likewise.  A power cut keeps what was synced and, sector by
 * sector and name by name, as much of the rest as chance wants.
 */
#ifndef TESTS_LOG_FAKE_IO_H
#define TESTS_LOG_FAKE_IO_H

#include "base/prng.h"
#include "io/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void fake_reset(void);
/* Carries out one flush step or one work; false when nothing waits. */
bool fake_step(void);
void fake_run(void); /* until nothing waits */
/* From now on every write, sync and open fails with this errno (negative); 0: no more. */
void fake_fail(int error);
/* The nth file operation from now (1: the next), a read as well, fails with this errno (negative);
 * lasting: and with it every later write, sync and open, as if the process had died there.
 * FAKE_SHORT_READ: if it is a read it ends early, as of a file that was cut meanwhile. */
#define FAKE_SHORT_READ 1
void fake_fail_at(uint32_t nth, int error, bool is_lasting);
bool fake_fault_is_ahead(void); /* the nth operation has not come yet */
/* The process has died and another one begins: flushes have failed, the disk works again. */
void fake_restart(void);
/* A sync has failed: what is not durable is clean now, and no sync writes it before a write does.
 */
void fake_lose_unsynced(void);
/* The power goes: pending flushes and works fail; then the disk holds what survived. */
void fake_cut_power(struct prng *prng);
void fake_advance_ms(int64_t ms);
void fake_page_cache(
    bool is_cold); /* cold: io_file_read_cached gives nothing until the file is read */
struct io_loop *fake_loop(void);

/* Contents, for looking and for damaging. */
uint8_t *fake_file(const char *path, size_t *size); /* NULL when there is none; borrowed */
void fake_file_put(const char *path, const void *data, size_t size); /* durable */
size_t fake_file_count(void);

#endif
