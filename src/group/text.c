/* SPDX-License-Identifier: Apache-2.0
 *
 * text.c -- byte strings that a group owns, and their copies in answers.
 *
 * Locality: plain data.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "group/group_state.h"

#include <string.h>

struct group_text group_text_copy(const void *data, int32_t length)
{
    require(length >= -1 && (data != NULL || length <= 0));
    struct group_text text = {NULL, length};
    if (length > 0) {
        text.data = memory_allocate((size_t)length);
        memcpy(text.data, data, (size_t)length);
    }
    return text;
}

struct group_text group_text_of(struct wire_string string)
{
    return group_text_copy(string.data, string.length);
}

void group_text_free(struct group_text *text)
{
    memory_free(text->data);
    *text = (struct group_text){NULL, -1};
}

void group_text_set(struct group_text *text, const void *data, int32_t length)
{
    struct group_text copy = group_text_copy(data, length);
    group_text_free(text);
    *text = copy;
}

bool group_text_equal(const struct group_text *text, const void *data, int32_t length)
{
    return text->length >= 0 && text->length == length &&
           (length == 0 || memcmp(text->data, data, (size_t)length) == 0);
}

static const void *answer(struct arena *arena, const struct group_text *text)
{
    void *copy = arena_allocate(arena, (size_t)text->length);
    if (copy != NULL && text->length > 0) {
        memcpy(copy, text->data, (size_t)text->length);
    }
    return copy;
}

struct wire_string group_text_answer(struct arena *arena, const struct group_text *text)
{
    const char *copy = text->length >= 0 ? answer(arena, text) : NULL;
    return (struct wire_string){copy, copy != NULL ? text->length : -1};
}

struct wire_bytes group_text_answer_bytes(struct arena *arena, const struct group_text *text)
{
    const uint8_t *copy = text->length >= 0 ? answer(arena, text) : NULL;
    return (struct wire_bytes){copy, copy != NULL ? text->length : -1};
}
