/* SPDX-License-Identifier: Apache-2.0
 *
 * directory.c -- see directory.h.
 */
#include "directory.h"

#include "base/assert.h"
#include "io/file.h"

#include <stdio.h>
#include <stdlib.h>

void directory_begin(struct directory *directory)
{
    snprintf(directory->path, sizeof directory->path, "/tmp/flotilla-test-XXXXXX");
    directory->next = 0;
    require(mkdtemp(directory->path) != NULL);
}

const char *directory_join(struct directory *directory, const char *name)
{
    char path[sizeof directory->path];
    char *joined = directory->joined[directory->next++ % DIRECTORY_JOINED];
    snprintf(path, sizeof path, "%s", directory->path);
    snprintf(joined, PATH_MAX, "%s/%s", path, name);
    return joined;
}

void directory_end(struct directory *directory)
{
    require(io_directory_remove_tree(directory->path) == 0);
}
