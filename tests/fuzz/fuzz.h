/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz.h -- what a fuzz target offers: libFuzzer calls it with inputs it makes up, replay.c with
 * files.
 *
 * A target that finds a fault aborts.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

#endif
