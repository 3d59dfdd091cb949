/* Read models of a server, and queries of them. See target.h. */
#include "cli/http_client.h"
#include "wire/json.h"

#define PATH_BYTES_MAX ((size_t)1 << 16)
#define SUFFIX_MAX 64

int ms_target_http_projection(struct ms_target *target, const struct ms_target_projection *request,
                              struct ms_buf *out, struct ms_error *err) {
    char suffix[SUFFIX_MAX];
    bool is_file = strcmp(request->method, "PUT") == 0;
    snprintf(suffix, sizeof suffix, "%s%s%s", request->verb ? "/" : "",
             request->verb ? request->verb : "",
             request->allow_incomplete ? "?allow_incomplete=true" : "");
    struct ms_http_named named = {.method = request->method,
                                  .prefix =
                                      request->name.data ? "/v1/projections/" : "/v1/projections",
                                  .name = request->name,
                                  .suffix = suffix,
                                  .body = request->body,
                                  .content_type = is_file ? "application/sql" : NULL};
    return ms_http_call_named(target, &named, out, NULL, err);
}

/* ---- queries ---- */

static int write_path(struct ms_buf *out, const struct ms_target_query *query) {
    int rc = ms_buf_append_cstr(out, "/v1/queries/");
    if (rc == 0)
        rc = ms_http_encode(out, query->projection);
    if (rc == 0)
        rc = ms_buf_append_u8(out, '/');
    if (rc == 0)
        rc = ms_http_encode(out, query->query);
    for (size_t i = 0; rc == 0 && i < query->parameter_count; i++) {
        rc = ms_buf_append_u8(out, i == 0 ? '?' : '&');
        if (rc == 0)
            rc = ms_http_encode(out, query->parameters[i].name);
        if (rc == 0)
            rc = ms_buf_append_u8(out, '=');
        if (rc == 0)
            rc = ms_http_encode(out, query->parameters[i].value);
    }
    return rc == 0 ? ms_buf_append_u8(out, 0) : rc;
}

/* Returns 1 when `visit` has had enough. */
static int visit_rows(struct ms_bytes body, ms_target_event_fn *visit, void *context,
                      struct ms_error *err) {
    struct ms_json_value rows, row;
    if (ms_json_parse(body, MS_JSON_DEPTH_LIMIT, &rows, NULL) != 0 || rows.type != MS_JSON_ARRAY)
        return ms_error_set(err, MS_EIO, "the server's rows were not understood");
    int rc = 0;
    for (size_t at = 0; rc == 0 && ms_json_next_element(rows, &at, &row);)
        rc = visit(context, row.text);
    return rc;
}

/* One page; *path becomes the next one's, or empty. */
static int read_page(struct ms_http_target *http, struct ms_buf *path, ms_target_event_fn *visit,
                     void *context, struct ms_error *err) {
    struct ms_http_answer answer;
    ms_http_answer_init(&answer);
    struct ms_http_call call = {.method = "GET", .path = (const char *)path->data};
    int rc = ms_http_call(http, &call, &answer, err);
    if (rc == 0)
        rc = visit_rows(ms_buf_bytes(&answer.body), visit, context, err);
    ms_buf_clear(path);
    if (rc == 0 && *answer.next)
        rc = ms_buf_append(path, answer.next, strlen(answer.next) + 1);
    ms_http_answer_deinit(&answer);
    return rc;
}

int ms_target_http_query(struct ms_target *target, const struct ms_target_query *query,
                         ms_target_event_fn *visit, void *context, struct ms_error *err) {
    struct ms_buf path;
    ms_buf_init(&path, PATH_BYTES_MAX);
    int rc = write_path(&path, query);
    if (rc != 0)
        ms_error_set(err, rc, "the query's parameters are too long");
    while (rc == 0 && path.len > 0)
        rc = read_page((struct ms_http_target *)target, &path, visit, context, err);
    ms_buf_deinit(&path);
    return rc > 0 ? 0 : rc;
}
