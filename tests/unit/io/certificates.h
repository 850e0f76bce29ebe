/* SPDX-License-Identifier: Apache-2.0
 *
 * certificates.h -- certificates of every good and bad kind, made for the test that needs them.
 */
#ifndef TEST_CERTIFICATES_H
#define TEST_CERTIFICATES_H

#include <stdbool.h>

struct certificate_wish {
    const char *uri;            /* subject alternative name; NULL: none */
    const char *extended_usage; /* OpenSSL's words: "serverAuth,clientAuth" */
    bool is_expired;
};

struct authority;

struct authority *authority_new(const char *certificate_path);
void authority_free(struct authority *authority);
/* Writes a certificate signed by the authority, and its key (0600). */
void authority_issue(struct authority *authority, const struct certificate_wish *wish,
                     const char *certificate_path, const char *key_path);

#endif
