/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.c -- the HTTP door: a table of paths, served by libmicrohttpd with small limits.
 */
#include "admin/admin.h"

#include "admin/metrics.h"
#include "admin/status.h"
#include "base/memory.h"
#include "io/stream.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 64
#define CONNECTION_BYTES_MAX (16 * 1024)
#define CONNECTION_TIMEOUT_S 10

struct admin {
    struct MHD_Daemon *daemon;
    struct broker *broker;
};

/* Text of the C heap (libmicrohttpd frees it), its length and an HTTP status. */
struct page {
    char *text;
    size_t length;
    unsigned int status;
};

static struct page make_page(char *text, unsigned int status)
{
    return (struct page){text, text != NULL ? strlen(text) : 0, status};
}

static struct page serve_metrics(struct broker *broker)
{
    struct page page = {NULL, 0, MHD_HTTP_OK};
    page.text = metrics_format(broker, &page.length);
    return page;
}

static struct page serve_health(struct broker *broker)
{
    bool good = status_is_healthy(broker);
    return make_page(strdup(good ? "ok\n" : "a shard does not answer\n"),
                     good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE);
}

static struct page serve_readiness(struct broker *broker)
{
    bool good = status_is_ready(broker);
    return make_page(
        strdup(good ? "ready\n" : "not ready: no controller leader, or metadata not loaded\n"),
        good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE);
}

static struct page serve_json(char *text)
{
    if (text == NULL) {
        return make_page(strdup("{\"error\":\"a shard does not answer\"}"),
                         MHD_HTTP_SERVICE_UNAVAILABLE);
    }
    return make_page(text, MHD_HTTP_OK);
}

static struct page serve_cluster(struct broker *broker)
{
    return serve_json(status_cluster(broker));
}

static struct page serve_raft(struct broker *broker)
{
    return serve_json(status_raft(broker));
}

static const struct route {
    const char *path;
    const char *content_type;
    struct page (*serve)(struct broker *broker);
} routes[] = {
    {"/metrics", "text/plain; version=0.0.4", serve_metrics},
    {"/healthz", "text/plain", serve_health},
    {"/readyz", "text/plain", serve_readiness},
    {"/v1/cluster", "application/json", serve_cluster},
    {"/v1/raft", "application/json", serve_raft},
};

static enum MHD_Result respond(struct MHD_Connection *connection, struct page page,
                               const char *content_type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page.length, page.text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(page.text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    enum MHD_Result result = MHD_queue_response(connection, page.status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_size, void **connection_context)
{
    (void)version;
    (void)upload_data;
    (void)connection_context;
    struct admin *admin = context;
    if (*upload_size != 0 || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)) {
        *upload_size = 0;
        return respond(connection,
                       make_page(strdup("only GET is served\n"), MHD_HTTP_METHOD_NOT_ALLOWED),
                       "text/plain");
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(url, routes[i].path) == 0) {
            return respond(connection, routes[i].serve(admin->broker), routes[i].content_type);
        }
    }
    return respond(connection,
                   make_page(strdup("there are /metrics /healthz /readyz /v1/cluster /v1/raft\n"),
                             MHD_HTTP_NOT_FOUND),
                   "text/plain");
}

/* The configured literal address as the kernel wants it; false when it is a name. */
static bool socket_address(const struct broker_config *config, struct sockaddr_storage *storage)
{
    struct io_address address;
    const char *host =
        strcmp(config->admin_host, "localhost") == 0 ? "127.0.0.1" : config->admin_host;
    memset(storage, 0, sizeof *storage);
    if (!io_address_parse(&address, host, config->admin_port)) {
        return false;
    }
    if (address.family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)storage;
        in->sin_family = AF_INET;
        in->sin_port = htons(address.port);
        memcpy(&in->sin_addr, address.bytes, sizeof in->sin_addr);
    } else {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)storage;
        in->sin6_family = AF_INET6;
        in->sin6_port = htons(address.port);
        memcpy(&in->sin6_addr, address.bytes, sizeof in->sin6_addr);
    }
    return true;
}

struct admin *admin_start(struct broker *broker, const struct broker_config *config, char *error,
                          size_t error_size)
{
    struct sockaddr_storage address;
    if (!socket_address(config, &address)) {
        snprintf(error, error_size, "admin_listener: '%s' is not an address", config->admin_host);
        return NULL;
    }
    struct admin *admin = memory_allocate_zeroed(sizeof *admin);
    admin->broker = broker;
    /* Not its default, select(): that cannot watch descriptors from 1,024 on, and a broker with
     * many partitions has more. */
    unsigned int flags = MHD_USE_POLL_INTERNAL_THREAD;
    if (address.ss_family == AF_INET6) {
        flags |= MHD_USE_IPv6;
    }
    admin->daemon = MHD_start_daemon(
        flags, config->admin_port, NULL, NULL, handle, admin, MHD_OPTION_SOCK_ADDR,
        (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)CONNECTION_TIMEOUT_S, MHD_OPTION_END);
    if (admin->daemon == NULL) {
        snprintf(error, error_size, "admin_listener %s:%u: %s", config->admin_host,
                 config->admin_port, errno != 0 ? strerror(errno) : "cannot be opened");
        memory_free(admin);
        return NULL;
    }
    return admin;
}

void admin_stop(struct admin *admin)
{
    if (admin != NULL) {
        MHD_stop_daemon(admin->daemon);
        memory_free(admin);
    }
}
