/* SPDX-License-Identifier: Apache-2.0
 *
 * directory.h -- a directory of its own for every test, gone with it.
 */
#ifndef TEST_DIRECTORY_H
#define TEST_DIRECTORY_H

#include <limits.h>

#define DIRECTORY_JOINED 8

struct directory {
    char path[64];
    char joined[DIRECTORY_JOINED][PATH_MAX];
    unsigned next;
};

void directory_begin(struct directory *directory);
/* The path of name in the directory; stays good for the next seven calls. */
const char *directory_join(struct directory *directory, const char *name);
void directory_end(struct directory *directory);

#endif
