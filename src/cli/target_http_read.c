/* Pages of events over HTTP, followed by their `Link: rel="next"`. See target.h. */
#include "cli/http_client.h"
#include "wire/json.h"

#define PAGE_EVENTS 1000
#define PATH_BYTES_MAX ((size_t)1 << 16)

/* ---- the query ---- */

/* Appends name=value; `*separator` is '?' before the first one and '&' from then on. */
static int add_bytes(struct ms_buf *out, char *separator, const char *name, struct ms_bytes value) {
    int rc = ms_buf_printf(out, "%c%s=", *separator, name);
    *separator = '&';
    return rc == 0 ? ms_http_encode(out, value) : rc;
}

static int add_text(struct ms_buf *out, char *separator, const char *name, const char *value) {
    return value ? add_bytes(out, separator, name, ms_bytes_cstr(value)) : 0;
}

static int add_number(struct ms_buf *out, char *separator, const char *name, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return add_text(out, separator, name, text);
}

static int add_list(struct ms_buf *out, char *separator, const char *name,
                    const struct ms_bytes *values, size_t count) {
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add_bytes(out, separator, name, values[i]);
    return rc;
}

static int add_place(struct ms_buf *out, char *separator, const struct ms_target_read *read) {
    int rc = 0;
    if (read->has_from)
        rc = add_number(out, separator, "from", read->from);
    else if (read->from_end || read->backward)
        rc = add_text(out, separator, "from", "end");
    if (rc == 0 && read->backward)
        rc = add_text(out, separator, "direction", "backward");
    return rc;
}

static int add_filter(struct ms_buf *out, char *separator, const struct ms_target_read *read) {
    int rc = add_text(out, separator, "topic", read->topic);
    if (rc == 0)
        rc = add_text(out, separator, "stream_prefix", read->stream_prefix);
    if (rc == 0)
        rc = add_text(out, separator, "correlation_id", read->correlation_id);
    if (rc == 0)
        rc = add_list(out, separator, "type", read->types, read->type_count);
    if (rc == 0)
        rc = add_list(out, separator, "tag", read->tags, read->tag_count);
    if (rc == 0 && read->include_system)
        rc = add_text(out, separator, "system", "true");
    return rc;
}

int ms_http_read_path(struct ms_buf *out, const struct ms_target_read *read, uint64_t limit) {
    char separator = '?';
    int rc;
    if (read->stream) {
        rc = ms_buf_append_cstr(out, "/v1/streams/");
        if (rc == 0)
            rc = ms_http_encode(out, ms_bytes_cstr(read->stream));
    } else {
        rc = ms_buf_append_cstr(out, "/v1/events");
    }
    if (rc == 0)
        rc = add_place(out, &separator, read);
    if (rc == 0 && limit > 0)
        rc = add_number(out, &separator, "limit", limit);
    if (rc == 0)
        rc = add_text(out, &separator, "as_of", read->as_of);
    if (rc == 0)
        rc = add_text(out, &separator, "known_at", read->known_at);
    if (rc == 0 && !read->stream)
        rc = add_filter(out, &separator, read);
    return rc;
}

/* ---- pages ---- */

struct paging {
    ms_target_event_fn *visit;
    void *context;
    uint64_t left; /* events that may still be visited */
};

/* 1: the visitor has had enough. */
static int visit_page(struct paging *paging, struct ms_bytes body, size_t *ret_count,
                      struct ms_error *err) {
    struct ms_json_value page, event;
    if (ms_json_parse(body, MS_JSON_DEPTH_LIMIT, &page, NULL) != 0 || page.type != MS_JSON_ARRAY)
        return ms_error_set(err, MS_EIO, "the server's page of events was not understood");
    *ret_count = 0;
    for (size_t at = 0; paging->left > 0 && ms_json_next_element(page, &at, &event);) {
        paging->left--;
        int rc = paging->visit(paging->context, event.text);
        if (rc != 0)
            return rc;
        ++*ret_count;
    }
    return paging->left == 0;
}

/* Reads one page and replaces *path by the next one's. 1: there is nothing more to read. */
static int read_page(struct ms_http_target *http, struct ms_buf *path, struct paging *paging,
                     struct ms_error *err) {
    struct ms_http_answer answer;
    ms_http_answer_init(&answer);
    struct ms_http_call call = {.method = "GET", .path = (const char *)path->data};
    size_t count = 0;
    int rc = ms_http_call(http, &call, &answer, err);
    if (rc == 0)
        rc = visit_page(paging, ms_buf_bytes(&answer.body), &count, err);
    if (rc == 0) {
        bool moves = strcmp(answer.next, (const char *)path->data) != 0;
        rc = answer.next[0] && (count > 0 || moves) ? 0 : 1;
    }
    if (rc == 0) {
        ms_buf_clear(path);
        rc = ms_buf_append(path, answer.next, strlen(answer.next) + 1);
    }
    ms_http_answer_deinit(&answer);
    return rc;
}

int ms_target_http_read(struct ms_target *target, const struct ms_target_read *read,
                        ms_target_event_fn *visit, void *context, struct ms_error *err) {
    if (read->limit == 0)
        return 0;
    struct paging paging = {.visit = visit, .context = context, .left = read->limit};
    struct ms_buf path;
    ms_buf_init(&path, PATH_BYTES_MAX);
    int rc = ms_http_read_path(&path, read, read->limit < PAGE_EVENTS ? read->limit : PAGE_EVENTS);
    if (rc == 0)
        rc = ms_buf_append_u8(&path, 0);
    if (rc != 0)
        ms_error_set(err, rc, "the query is too long");
    while (rc == 0)
        rc = read_page((struct ms_http_target *)target, &path, &paging, err);
    ms_buf_deinit(&path);
    return rc < 0 ? rc : 0;
}
