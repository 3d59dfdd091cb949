/* A server as a target: life, documents, topics. See target.h. */
#include "base/alloc.h"
#include "cli/http_client.h"
#include "wire/json.h"

#define PATH_MAX_BYTES ((size_t)1 << 16)
#define ANSWER_DEPTH_MAX 1024

static struct ms_http_target *http_of(struct ms_target *target) {
    return (struct ms_http_target *)target;
}

static void http_free(struct ms_target *target) {
    struct ms_http_target *http = http_of(target);
    ms_http_slots_free(http);
    if (http->easy)
        curl_easy_cleanup(http->easy);
    ms_free(http->url);
    ms_free(http);
}

/* prefix + encoded name + suffix, terminated. */
static int make_path(struct ms_buf *out, const char *prefix, struct ms_bytes name,
                     const char *suffix) {
    int rc = ms_buf_append_cstr(out, prefix);
    if (rc == 0)
        rc = ms_http_encode(out, name);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, suffix);
    return rc == 0 ? ms_buf_append_u8(out, 0) : rc;
}

/* The spelling of a condition in If-Match and If-None-Match. */
static void set_condition(struct ms_http_call *call, struct ms_condition condition,
                          char version[32]) {
    switch (condition.kind) {
    case MS_EXPECT_ANY:
        break;
    case MS_EXPECT_NONE:
        call->if_none_match = "*";
        break;
    case MS_EXPECT_EXISTS:
        call->if_match = "*";
        break;
    case MS_EXPECT_VERSION:
    case MS_EXPECT_LIVE_VERSION:
        snprintf(version, 32, "\"%lld\"", (long long)condition.version);
        call->if_match = version;
        break;
    }
}

int ms_http_call_named(struct ms_target *target, const struct ms_http_named *named,
                       struct ms_buf *out, bool *ret_created, struct ms_error *err) {
    struct ms_buf path;
    ms_buf_init(&path, PATH_MAX_BYTES);
    struct ms_http_answer answer;
    ms_http_answer_init(&answer);
    int rc = make_path(&path, named->prefix, named->name, named->suffix);
    if (rc != 0) {
        ms_error_set(err, rc, "the name is too long");
    } else {
        char version[32];
        struct ms_http_call call = {.method = named->method,
                                    .path = (const char *)path.data,
                                    .body = named->body,
                                    .content_type = named->content_type,
                                    .changes_something = strcmp(named->method, "GET") != 0};
        set_condition(&call, named->condition, version);
        rc = ms_http_call(http_of(target), &call, &answer, err);
    }
    if (rc == 0 && ret_created)
        *ret_created = answer.created;
    if (rc == 0 && out)
        rc = ms_buf_append_bytes(out, ms_buf_bytes(&answer.body));
    ms_http_answer_deinit(&answer);
    ms_buf_deinit(&path);
    return rc;
}

static int http_delete_stream(struct ms_target *target, struct ms_bytes stream,
                              struct ms_condition condition, bool tombstone, struct ms_error *err) {
    struct ms_http_named named = {.method = "DELETE",
                                  .prefix = "/v1/streams/",
                                  .name = stream,
                                  .suffix = tombstone ? "?tombstone=true" : "",
                                  .condition = condition};
    return ms_http_call_named(target, &named, NULL, NULL, err);
}

static int http_get_metadata(struct ms_target *target, struct ms_bytes stream, struct ms_buf *out,
                             struct ms_error *err) {
    struct ms_http_named named = {
        .method = "GET", .prefix = "/v1/streams/", .name = stream, .suffix = "/metadata"};
    return ms_http_call_named(target, &named, out, NULL, err);
}

static int http_put_metadata(struct ms_target *target, struct ms_bytes stream,
                             struct ms_condition condition, struct ms_bytes json,
                             struct ms_error *err) {
    struct ms_http_named named = {.method = "PUT",
                                  .prefix = "/v1/streams/",
                                  .name = stream,
                                  .suffix = "/metadata",
                                  .body = json,
                                  .condition = condition};
    return ms_http_call_named(target, &named, NULL, NULL, err);
}

static int http_get_topic(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                          struct ms_error *err) {
    struct ms_http_named named = {
        .method = "GET", .prefix = "/v1/topics/", .name = name, .suffix = ""};
    return ms_http_call_named(target, &named, out, NULL, err);
}

static int http_get_partitions(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                               struct ms_error *err) {
    struct ms_http_named named = {
        .method = "GET", .prefix = "/v1/topics/", .name = name, .suffix = "/partitions"};
    return ms_http_call_named(target, &named, out, NULL, err);
}

static int http_put_topic(struct ms_target *target, struct ms_bytes name, struct ms_bytes settings,
                          bool *ret_created, struct ms_error *err) {
    struct ms_http_named named = {
        .method = "PUT", .prefix = "/v1/topics/", .name = name, .suffix = "", .body = settings};
    return ms_http_call_named(target, &named, NULL, ret_created, err);
}

static int http_delete_topic(struct ms_target *target, struct ms_bytes name, struct ms_error *err) {
    struct ms_http_named named = {
        .method = "DELETE", .prefix = "/v1/topics/", .name = name, .suffix = ""};
    return ms_http_call_named(target, &named, NULL, NULL, err);
}

static int http_info(struct ms_target *target, struct ms_buf *out, struct ms_error *err) {
    struct ms_http_named named = {.method = "GET", .prefix = "/v1/info", .suffix = ""};
    return ms_http_call_named(target, &named, out, NULL, err);
}

/* {"topics":[…]} */
static int visit_topics(struct ms_bytes body, ms_target_event_fn *visit, void *context,
                        struct ms_error *err) {
    struct ms_json_value document, topics, topic;
    if (ms_json_parse(body, ANSWER_DEPTH_MAX, &document, err) != 0 ||
        document.type != MS_JSON_OBJECT || !ms_json_get(document, "topics", &topics) ||
        topics.type != MS_JSON_ARRAY)
        return ms_error_set(err, MS_EIO, "the server's list of topics was not understood");
    int rc = 0;
    for (size_t at = 0; rc == 0 && ms_json_next_element(topics, &at, &topic);)
        rc = visit(context, topic.text);
    return rc < 0 ? rc : 0;
}

static int http_list_topics(struct ms_target *target, ms_target_event_fn *visit, void *context,
                            struct ms_error *err) {
    struct ms_buf body;
    ms_buf_init(&body, MS_HTTP_ANSWER_BYTES_MAX);
    struct ms_http_named named = {.method = "GET", .prefix = "/v1/topics", .suffix = ""};
    int rc = ms_http_call_named(target, &named, &body, NULL, err);
    if (rc == 0)
        rc = visit_topics(ms_buf_bytes(&body), visit, context, err);
    ms_buf_deinit(&body);
    return rc;
}

static const struct ms_target_ops http_ops = {
    .free = http_free,
    .append_start = ms_target_http_append_start,
    .poll = ms_target_http_poll,
    .read = ms_target_http_read,
    .subscribe = ms_target_http_subscribe,
    .delete_stream = http_delete_stream,
    .get_metadata = http_get_metadata,
    .put_metadata = http_put_metadata,
    .list_topics = http_list_topics,
    .get_topic = http_get_topic,
    .put_topic = http_put_topic,
    .delete_topic = http_delete_topic,
    .get_partitions = http_get_partitions,
    .list_groups = ms_target_http_list_groups,
    .get_group = ms_target_http_get_group,
    .reset_group = ms_target_http_reset_group,
    .delete_group = ms_target_http_delete_group,
    .projection = ms_target_http_projection,
    .query = ms_target_http_query,
    .info = http_info,
    .backup = ms_target_http_backup,
    .scavenge = ms_target_http_scavenge,
};

/* "127.0.0.1:8080" and "http://127.0.0.1:8080/" are the same server. */
static char *make_url(const char *given) {
    struct ms_buf text;
    ms_buf_init(&text, PATH_MAX_BYTES);
    char *url = NULL;
    if (ms_buf_printf(&text, "%s%s", strstr(given, "://") ? "" : "http://", given) == 0) {
        while (text.len > 0 && text.data[text.len - 1] == '/')
            text.len--;
        url = ms_alloc_strdup(ms_buf_bytes(&text));
    }
    ms_buf_deinit(&text);
    return url;
}

int ms_target_http_new(const struct ms_env *env, const char *url, FILE *messages,
                       struct ms_target **ret_target, struct ms_error *err) {
    struct ms_http_target *http = ms_calloc(1, sizeof *http);
    if (!http)
        return ms_error_set(err, MS_ENOMEM, "no memory for a connection");
    http->target.ops = &http_ops;
    http->env = env;
    http->messages = messages;
    http->url = make_url(url);
    http->easy = curl_easy_init();
    int rc = http->url && http->easy ? ms_http_slots_new(http, err)
                                     : ms_error_set(err, MS_ENOMEM, "no memory for a connection");
    if (rc != 0)
        http_free(&http->target);
    else
        *ret_target = &http->target;
    return rc;
}
