/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster_view.c -- see cluster_view.h.
 */
#include "cli/cluster_view.h"

#define LOOK_TIMEOUT_MS 5000 /* a broker that hangs is not waited for longer */

struct look {
    struct tool_options options;
    json_t *view;
};

static void look_at(const char *address, void *context)
{
    struct look *look = context;
    char error[256];
    if (look->view != NULL) {
        return;
    }
    json_t *view = tool_admin_get(&look->options, address, "/v1/cluster", error, sizeof error);
    json_int_t controller = json_integer_value(json_object_get(view, "controller"));
    if (controller == 0 || controller != json_integer_value(json_object_get(view, "broker"))) {
        json_decref(view);
        return;
    }
    look->view = view;
}

json_t *cluster_view(const struct tool_options *options)
{
    struct look look = {.options = *options};
    if (look.options.timeout_ms > LOOK_TIMEOUT_MS) {
        look.options.timeout_ms = LOOK_TIMEOUT_MS;
    }
    tool_admin_each(options, look_at, &look);
    return look.view;
}

json_t *cluster_view_broker(const json_t *view, long long broker_id)
{
    size_t position;
    json_t *broker;
    json_array_foreach(json_object_get(view, "brokers"), position, broker)
    {
        if (json_integer_value(json_object_get(broker, "id")) == broker_id) {
            return broker;
        }
    }
    return NULL;
}
