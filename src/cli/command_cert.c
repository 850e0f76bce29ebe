/* SPDX-License-Identifier: Apache-2.0
 *
 * command_cert.c -- flotilla cert: a certificate authority and one certificate a broker, for a test
 * cluster.
 *
 * A broker's certificate names it by exactly one URI, flotilla://<cluster>/broker/<id>, which is
 * what the brokers check of each other.  Existing files are never overwritten.
 */
#include "cli/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_DAYS 825
#define PATH_BYTES_MAX 1024

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
};

struct plan {
    const char *directory;
    const char *cluster;
    const char *hosts;
    int64_t days;
};

static bool write_pem(const char *path, X509 *certificate, EVP_PKEY *key)
{
    int descriptor =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, key != NULL ? 0600 : 0644);
    if (descriptor < 0) {
        tool_fail("%s: %s", path, strerror(errno));
        return false;
    }
    FILE *file = fdopen(descriptor, "w");
    bool good = key != NULL ? PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1
                            : PEM_write_X509(file, certificate) == 1;
    good = fclose(file) == 0 && good;
    if (!good) {
        tool_fail("%s: cannot be written", path);
    }
    return good;
}

static bool add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

/* An unsigned certificate with random serial number and a fresh P-256 key. */
static X509 *new_certificate(const char *name, int64_t days, EVP_PKEY **key)
{
    *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    uint8_t serial[16];
    if (*key == NULL || certificate == NULL || RAND_bytes(serial, sizeof serial) != 1) {
        X509_free(certificate);
        EVP_PKEY_free(*key);
        *key = NULL;
        return NULL;
    }
    serial[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_time_adj_ex(X509_getm_notAfter(certificate), (int)days, 0, NULL);
    X509_set_pubkey(certificate, *key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    return certificate;
}

static bool make_authority(const struct plan *plan, struct authority *authority)
{
    char name[256];
    char path[PATH_BYTES_MAX];
    snprintf(name, sizeof name, "%s brokers", plan->cluster);
    authority->certificate = new_certificate(name, plan->days, &authority->key);
    X509 *certificate = authority->certificate;
    if (certificate == NULL) {
        tool_fail("OpenSSL cannot make a key");
        return false;
    }
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    if (!add_extension(certificate, certificate, NID_basic_constraints,
                       "critical,CA:TRUE,pathlen:0") ||
        !add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(certificate, certificate, NID_subject_key_identifier, "hash") ||
        X509_sign(certificate, authority->key, EVP_sha256()) == 0) {
        tool_fail("OpenSSL cannot make the authority's certificate");
        return false;
    }
    snprintf(path, sizeof path, "%s/ca.pem", plan->directory);
    if (!write_pem(path, certificate, NULL)) {
        return false;
    }
    snprintf(path, sizeof path, "%s/ca.key", plan->directory);
    return write_pem(path, NULL, authority->key);
}

static bool sign_broker(const struct plan *plan, const struct authority *authority,
                        X509 *certificate, int64_t broker)
{
    char names[1024];
    int used = snprintf(names, sizeof names, "URI:flotilla://%s/broker/%lld", plan->cluster,
                        (long long)broker);
    char *copy = strdup(plan->hosts);
    char *rest = copy;
    for (char *host = strtok_r(copy, ",", &rest); host != NULL && used < (int)sizeof names;
         host = strtok_r(NULL, ",", &rest)) {
        bool is_address = strspn(host, "0123456789.") == strlen(host) || strchr(host, ':') != NULL;
        used += snprintf(names + used, sizeof names - (size_t)used, ",%s:%s",
                         is_address ? "IP" : "DNS", host);
    }
    free(copy);
    if (used >= (int)sizeof names) {
        return false;
    }
    X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate));
    X509 *issuer = authority->certificate;
    return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid") &&
           add_extension(certificate, issuer, NID_subject_alt_name, names) &&
           X509_sign(certificate, authority->key, EVP_sha256()) != 0;
}

static bool make_broker(const struct plan *plan, const struct authority *authority, int64_t broker)
{
    char name[256];
    char path[PATH_BYTES_MAX];
    EVP_PKEY *key;
    snprintf(name, sizeof name, "%s broker %lld", plan->cluster, (long long)broker);
    X509 *certificate = new_certificate(name, plan->days, &key);
    bool good = certificate != NULL && sign_broker(plan, authority, certificate, broker);
    if (!good) {
        tool_fail("OpenSSL cannot make broker %lld's certificate; are the --hosts valid?",
                  (long long)broker);
    }
    snprintf(path, sizeof path, "%s/broker%lld.pem", plan->directory, (long long)broker);
    good = good && write_pem(path, certificate, NULL);
    snprintf(path, sizeof path, "%s/broker%lld.key", plan->directory, (long long)broker);
    good = good && write_pem(path, NULL, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return good;
}

/* Before anything is made. */
static bool check_brokers(const char *brokers)
{
    char *copy = strdup(brokers);
    char *rest = copy;
    bool good = true;
    for (char *text = strtok_r(copy, ",", &rest); text != NULL && good;
         text = strtok_r(NULL, ",", &rest)) {
        int64_t broker;
        good = tool_parse_number("--for", text, 1, INT32_MAX, &broker);
    }
    free(copy);
    return good;
}

static bool make_all(const struct plan *plan, const char *brokers)
{
    struct authority authority = {NULL, NULL};
    bool good = make_authority(plan, &authority);
    char *copy = strdup(brokers);
    char *rest = copy;
    for (char *text = strtok_r(copy, ",", &rest); text != NULL && good;
         text = strtok_r(NULL, ",", &rest)) {
        int64_t broker;
        good = tool_parse_number("--for", text, 1, INT32_MAX, &broker) &&
               make_broker(plan, &authority, broker);
    }
    free(copy);
    X509_free(authority.certificate);
    EVP_PKEY_free(authority.key);
    return good;
}

int command_cert(const struct tool_options *options)
{
    if (!tool_check_options(options, "--directory --cluster --for --hosts --days", "", 0)) {
        return TOOL_USAGE;
    }
    const char *cluster = tool_take_option(options, "--cluster");
    const char *brokers = tool_take_option(options, "--for");
    const char *hosts = tool_take_option(options, "--hosts");
    const char *days = tool_take_option(options, "--days");
    struct plan plan = {.directory = tool_take_option(options, "--directory"),
                        .cluster = cluster != NULL ? cluster : "flotilla-sample",
                        .hosts = hosts != NULL ? hosts : "localhost,127.0.0.1,::1",
                        .days = DEFAULT_DAYS};
    if (plan.directory == NULL) {
        return tool_usage("cert needs --directory");
    }
    if (brokers != NULL && !check_brokers(brokers)) {
        return TOOL_USAGE;
    }
    if (days != NULL && !tool_parse_number("--days", days, 1, 36500, &plan.days)) {
        return TOOL_USAGE;
    }
    if (mkdir(plan.directory, 0700) != 0 && errno != EEXIST) {
        return tool_fail("%s: %s", plan.directory, strerror(errno));
    }
    if (!make_all(&plan, brokers != NULL ? brokers : "1,2,3")) {
        return TOOL_FAILED;
    }
    if (options->json) {
        tool_print_json(json_pack("{ss ss}", "directory", plan.directory, "cluster", plan.cluster));
    } else {
        printf("made %s/ca.pem and the certificates of brokers %s of cluster %s\n", plan.directory,
               brokers != NULL ? brokers : "1,2,3", plan.cluster);
    }
    return TOOL_DONE;
}
