/* SPDX-License-Identifier: Apache-2.0
 *
 * error.c -- looks up the table of wire/error.h.
 */
#include "wire/error.h"

#include <stddef.h>

struct error_row {
    const char *name;
    const char *text;
    bool retriable;
};

/* Row of code n is n + 1: the least code is -1 and there are no gaps. */
static const struct error_row error_rows[] = {
#define WIRE_ERROR_ROW(name, code, retriable, text) [(code) + 1] = {#name, text, retriable},
    WIRE_ERROR_TABLE(WIRE_ERROR_ROW)
#undef WIRE_ERROR_ROW
};

static const struct error_row *row_of(enum wire_error error)
{
    size_t row_count = sizeof(error_rows) / sizeof(error_rows[0]);
    int64_t row = (int64_t)error + 1;
    return row >= 0 && (size_t)row < row_count ? &error_rows[row] : &error_rows[0];
}

const char *wire_error_name(enum wire_error error)
{
    return row_of(error)->name;
}

const char *wire_error_text(enum wire_error error)
{
    return row_of(error)->text;
}

bool wire_error_is_retriable(enum wire_error error)
{
    return row_of(error)->retriable;
}
