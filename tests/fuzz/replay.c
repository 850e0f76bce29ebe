/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.c -- a fuzz target as an ordinary test: runs it over the files that begin with a prefix in
 * a folder, each as it is and in a number of damaged forms that are the same in every run.
 *
 *     replay FOLDER PREFIX
 */
#include "base/prng.h"
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX (1u << 20)
#define DAMAGED_FORMS 60
#define PATH_BYTES_MAX 4096

/* Hands over an exact copy, so that the sanitizer sees a read beyond its end. */
static void run(const uint8_t *data, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, length);
    LLVMFuzzerTestOneInput(copy, length);
    free(copy);
}

/* Changes up to eight bytes, and in every third form cuts the end off. */
static size_t damage(struct prng *prng, uint8_t *data, size_t length)
{
    for (uint64_t i = prng_below(prng, 8); i < 8 && length > 0; i++) {
        data[prng_below(prng, length)] = (uint8_t)prng_next(prng);
    }
    return prng_below(prng, 3) == 0 && length > 0 ? (size_t)prng_below(prng, length) : length;
}

static void run_with_damage(const uint8_t *data, size_t length)
{
    struct prng prng;
    prng_init(&prng, length);
    run(data, length);
    uint8_t *damaged = malloc(length > 0 ? length : 1);
    if (damaged == NULL) {
        abort();
    }
    for (int form = 0; form < DAMAGED_FORMS; form++) {
        memcpy(damaged, data, length);
        run(damaged, damage(&prng, damaged, length));
    }
    free(damaged);
}

static int run_file(const char *path, uint8_t *input)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    size_t length = fread(input, 1, INPUT_BYTES_MAX, file);
    fclose(file);
    run_with_damage(input, length);
    return 0;
}

int main(int argument_count, char **arguments)
{
    DIR *folder = argument_count == 3 ? opendir(arguments[1]) : NULL;
    uint8_t *input = malloc(INPUT_BYTES_MAX);
    if (folder == NULL || input == NULL) {
        fprintf(stderr, "usage: replay FOLDER PREFIX\n");
        return 2;
    }
    int count = 0;
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[PATH_BYTES_MAX];
        if (strncmp(entry->d_name, arguments[2], strlen(arguments[2])) == 0) {
            snprintf(path, sizeof(path), "%s/%s", arguments[1], entry->d_name);
            failed |= run_file(path, input);
            count++;
        }
    }
    closedir(folder);
    free(input);
    printf("%d inputs, %d forms of each\n", count, DAMAGED_FORMS + 1);
    return failed != 0 || count == 0 ? 1 : 0;
}
