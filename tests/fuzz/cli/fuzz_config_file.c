/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_config_file.c -- a broker's config file: whatever stands in it is taken or refused with a
 * sentence, and what is taken can be shown.
 *
 * Input: the file.
 */
#include "base/assert.h"
#include "broker/config_table.h"
#include "cli/config_file.h"
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void show(const struct broker_config *config)
{
    char text[256];
    for (size_t i = 0; i < config_row_count(); i++) {
        broker_config_format(config, config_row_at(i), text, sizeof text);
        ensure(strlen(text) < sizeof text);
    }
}

static void read_config(const char *path)
{
    struct broker_config config;
    char error[512] = "";
    broker_config_init(&config);
    if (config_file_read(&config, path, error, sizeof error)) {
        show(&config);
        if (broker_config_finish(&config, error, sizeof error)) {
            show(&config);
        } else {
            ensure(error[0] != '\0');
        }
    } else {
        ensure(error[0] != '\0');
    }
    broker_config_free(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    int file = memfd_create("config", MFD_CLOEXEC);
    ensure(file >= 0);
    ensure(write(file, data, length) == (ssize_t)length);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    read_config(path);
    close(file);
    return 0;
}
