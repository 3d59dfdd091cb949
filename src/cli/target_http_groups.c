/* Consumer groups of a server. See target.h. */
#include "cli/http_client.h"

int ms_target_http_list_groups(struct ms_target *target, struct ms_buf *out, struct ms_error *err) {
    struct ms_http_named named = {.method = "GET", .prefix = "/v1/groups", .suffix = ""};
    return ms_http_call_named(target, &named, out, NULL, err);
}

int ms_target_http_get_group(struct ms_target *target, struct ms_bytes group, struct ms_buf *out,
                             struct ms_error *err) {
    struct ms_http_named named = {
        .method = "GET", .prefix = "/v1/groups/", .name = group, .suffix = ""};
    return ms_http_call_named(target, &named, out, NULL, err);
}

int ms_target_http_reset_group(struct ms_target *target, struct ms_bytes group,
                               struct ms_bytes json, struct ms_buf *out, struct ms_error *err) {
    struct ms_http_named named = {.method = "PUT",
                                  .prefix = "/v1/groups/",
                                  .name = group,
                                  .suffix = "/offsets",
                                  .body = json};
    return ms_http_call_named(target, &named, out, NULL, err);
}

int ms_target_http_delete_group(struct ms_target *target, struct ms_bytes group,
                                struct ms_error *err) {
    struct ms_http_named named = {
        .method = "DELETE", .prefix = "/v1/groups/", .name = group, .suffix = ""};
    return ms_http_call_named(target, &named, NULL, NULL, err);
}
