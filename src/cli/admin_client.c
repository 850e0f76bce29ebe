/* SPDX-License-Identifier: Apache-2.0
 *
 * admin_client.c -- GET from a broker's admin HTTP door, with libcurl.
 */
#include "cli/tool.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX (256u << 20)

struct answer {
    char *data;
    size_t length;
};

static size_t take_bytes(char *data, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    size_t length = size * count;
    if (length > ANSWER_BYTES_MAX - answer->length) {
        return 0;
    }
    char *grown = realloc(answer->data, answer->length + length + 1);
    if (grown == NULL) {
        return 0;
    }
    memcpy(grown + answer->length, data, length);
    answer->data = grown;
    answer->length += length;
    grown[answer->length] = 0;
    return length;
}

json_t *tool_admin_get(const struct tool_options *options, const char *address, const char *path,
                       char *error, size_t error_size)
{
    char url[512];
    struct answer answer = {NULL, 0};
    json_t *document = NULL;
    snprintf(url, sizeof url, "http://%s%s", address, path);
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        snprintf(error, error_size, "libcurl cannot start");
        return NULL;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    CURLcode result = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    json_error_t problem;
    if (result != CURLE_OK) {
        snprintf(error, error_size, "%s: %s", address, curl_easy_strerror(result));
    } else if (status != 200) {
        snprintf(error, error_size, "%s: HTTP status %ld", address, status);
    } else {
        document = json_loadb(answer.data != NULL ? answer.data : "", answer.length, 0, &problem);
        if (document == NULL) {
            snprintf(error, error_size, "%s: not JSON: %s", address, problem.text);
        }
    }
    free(answer.data);
    return document;
}

void tool_admin_each(const struct tool_options *options,
                     void (*visit)(const char *address, void *context), void *context)
{
    char *copy = strdup(options->admin);
    char *rest = copy;
    for (char *address = strtok_r(copy, ",", &rest); address != NULL;
         address = strtok_r(NULL, ",", &rest)) {
        visit(address, context);
    }
    free(copy);
}
