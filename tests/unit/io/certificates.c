/* SPDX-License-Identifier: Apache-2.0
 *
 * certificates.c -- see certificates.h.
 */
#include "certificates.h"

#include "base/assert.h"
#include "base/memory.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_S (24L * 60 * 60)

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
    long serial;
};

static void add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    require(extension != NULL);
    require(X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static X509 *new_certificate(EVP_PKEY *key, const char *name, long serial, long from_s, long to_s)
{
    X509 *certificate = X509_new();
    require(certificate != NULL);
    require(X509_set_version(certificate, X509_VERSION_3) == 1);
    require(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial) == 1);
    require(X509_gmtime_adj(X509_getm_notBefore(certificate), from_s) != NULL);
    require(X509_gmtime_adj(X509_getm_notAfter(certificate), to_s) != NULL);
    require(X509_set_pubkey(certificate, key) == 1);
    require(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                       (const unsigned char *)name, -1, -1, 0) == 1);
    return certificate;
}

static void write_certificate(X509 *certificate, const char *path)
{
    FILE *file = fopen(path, "w");
    require(file != NULL);
    require(PEM_write_X509(file, certificate) == 1);
    require(fclose(file) == 0);
}

struct authority *authority_new(const char *certificate_path)
{
    struct authority *authority = memory_allocate_zeroed(sizeof *authority);
    authority->key = EVP_EC_gen("P-256");
    require(authority->key != NULL);
    X509 *certificate = new_certificate(authority->key, "test authority", 1, -DAY_S, DAY_S);
    require(X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1);
    add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    require(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
    write_certificate(certificate, certificate_path);
    authority->certificate = certificate;
    authority->serial = 2;
    return authority;
}

void authority_free(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
    memory_free(authority);
}

void authority_issue(struct authority *authority, const struct certificate_wish *wish,
                     const char *certificate_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    require(key != NULL);
    long to_s = wish->is_expired ? -60 : DAY_S;
    X509 *certificate = new_certificate(key, "test peer", authority->serial++, -DAY_S, to_s);
    require(X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate)) == 1);
    if (wish->uri != NULL) {
        char name[200];
        snprintf(name, sizeof name, "URI:%s", wish->uri);
        add_extension(certificate, authority->certificate, NID_subject_alt_name, name);
    }
    if (wish->extended_usage != NULL) {
        add_extension(certificate, authority->certificate, NID_ext_key_usage, wish->extended_usage);
    }
    require(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
    write_certificate(certificate, certificate_path);
    int descriptor = open(key_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FILE *file = fdopen(descriptor, "w");
    require(file != NULL);
    require(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    require(fclose(file) == 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}
