/* See http_client.h. */
#include "cli/http_client.h"

#include <ctype.h>

#include "wire/json.h"

#define CONNECT_TIMEOUT_MS 5000L
#define PROBLEM_DEPTH_MAX 16

void ms_http_answer_init(struct ms_http_answer *answer) {
    *answer = (struct ms_http_answer){0};
    ms_buf_init(&answer->body, MS_HTTP_ANSWER_BYTES_MAX);
}

void ms_http_answer_deinit(struct ms_http_answer *answer) { ms_buf_deinit(&answer->body); }

int ms_http_encode(struct ms_buf *out, struct ms_bytes text) {
    int rc = 0;
    for (size_t i = 0; i < text.len && rc == 0; i++) {
        uint8_t c = text.data[i];
        bool plain = (c < 0x80 && isalnum(c)) || (c && strchr("-._~", c));
        rc = plain ? ms_buf_append_u8(out, c) : ms_buf_printf(out, "%%%02X", c);
    }
    return rc;
}

/* ---- receiving ---- */

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    struct ms_http_answer *answer = context;
    size_t len = size * count;
    if (ms_buf_append(&answer->body, data, len) != 0) {
        answer->too_big = true;
        return 0;
    }
    return len;
}

/* Link: </v1/events?from=17>; rel="next" */
static void take_link(struct ms_http_answer *answer, struct ms_bytes value) {
    const uint8_t *end = value.data + value.len;
    const uint8_t *open = memchr(value.data, '<', value.len);
    while (open) {
        const uint8_t *close = memchr(open, '>', (size_t)(end - open));
        if (!close)
            return;
        const uint8_t *following = memchr(close, '<', (size_t)(end - close));
        size_t parameters = (size_t)((following ? following : end) - close);
        size_t len = (size_t)(close - open) - 1;
        if (memmem(close, parameters, "rel=\"next\"", 10) && len < MS_HTTP_LINK_MAX) {
            memcpy(answer->next, open + 1, len);
            answer->next[len] = 0;
        }
        open = following;
    }
}

static size_t on_header(char *data, size_t size, size_t count, void *context) {
    struct ms_http_answer *answer = context;
    size_t len = size * count;
    if (len > 5 && strncasecmp(data, "link:", 5) == 0)
        take_link(answer, ms_bytes_of(data + 5, len - 5));
    return len;
}

/* ---- sending ---- */

static int add_header(struct curl_slist **headers, const char *name, const char *value) {
    char line[512];
    int len = snprintf(line, sizeof line, "%s: %s", name, value);
    if (len < 0 || (size_t)len >= sizeof line)
        return MS_ETOOBIG;
    struct curl_slist *more = curl_slist_append(*headers, line);
    if (!more)
        return MS_ENOMEM;
    *headers = more;
    return 0;
}

static int make_headers(const struct ms_http_call *call, struct curl_slist **ret_headers) {
    struct curl_slist *headers = NULL;
    int rc = add_header(&headers, "Accept", "application/json");
    if (rc == 0 && call->body.data)
        rc = add_header(&headers, "Content-Type",
                        call->content_type ? call->content_type : "application/json");
    if (rc == 0)
        rc = add_header(&headers, "Expect", "");
    if (rc == 0 && call->if_match)
        rc = add_header(&headers, "If-Match", call->if_match);
    if (rc == 0 && call->if_none_match)
        rc = add_header(&headers, "If-None-Match", call->if_none_match);
    if (rc != 0)
        curl_slist_free_all(headers);
    else
        *ret_headers = headers;
    return rc;
}

static void set_body(CURL *easy, const struct ms_http_call *call) {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    if (!call->body.data) {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)call->body.data);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
}

int ms_http_prepare(CURL *easy, const char *url, const struct ms_http_call *call,
                    struct ms_http_answer *answer, struct curl_slist **ret_headers,
                    struct ms_error *err) {
    struct ms_buf full;
    ms_buf_init(&full, (size_t)1 << 16);
    int rc = ms_buf_printf(&full, "%s%s", url, call->path);
    if (rc == 0)
        rc = ms_buf_append_u8(&full, 0);
    if (rc == 0)
        rc = make_headers(call, ret_headers);
    if (rc == 0) {
        curl_easy_reset(easy); /* keeps the connection */
        curl_easy_setopt(easy, CURLOPT_URL, (const char *)full.data);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *ret_headers);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, answer);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "mainstem/" MS_VERSION);
        set_body(easy, call);
    }
    ms_buf_deinit(&full);
    return rc == 0 ? 0 : ms_error_set(err, rc, "the request could not be made");
}

/* ---- what it means ---- */

int ms_http_problem_code(struct ms_bytes type) {
    static const struct {
        const char *type;
        int code;
    } types[] = {
#define X(name, value, http, type_, text) {type_, name},
        MS_ERROR_LIST(X)
#undef X
    };
    const uint8_t *colon = type.len ? memrchr(type.data, ':', type.len) : NULL;
    if (colon)
        type = ms_bytes_of(colon + 1, type.len - (size_t)(colon + 1 - type.data));
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (ms_bytes_equal_cstr(type, types[i].type))
            return types[i].code;
    return MS_EIO;
}

static int code_of_status(long status) {
    switch (status) {
    case 404:
        return MS_ENOTFOUND;
    case 410:
        return MS_ETOMBSTONED;
    case 412:
        return MS_ECONFLICT;
    case 429:
    case 503:
        return MS_EAGAIN;
    default:
        return status >= 400 && status < 500 ? MS_EINVAL : MS_EIO;
    }
}

/* Reads a problem document; anything else is told by its status. */
static int problem(const struct ms_http_answer *answer, const char *url, struct ms_error *err) {
    struct ms_json_value document, type, detail;
    int code = code_of_status(answer->status);
    bool parsed =
        ms_json_parse(ms_buf_bytes(&answer->body), PROBLEM_DEPTH_MAX, &document, NULL) == 0 &&
        document.type == MS_JSON_OBJECT;
    struct ms_arena arena;
    ms_arena_init(&arena, MS_HTTP_LINK_MAX);
    struct ms_bytes text = {0};
    if (parsed && ms_json_get(document, "type", &type) && type.type == MS_JSON_STRING &&
        ms_json_string(type, &arena, &text) == 0) {
        int known = ms_http_problem_code(text);
        code = known == MS_EIO ? code : known;
    }
    if (parsed && ms_json_get(document, "detail", &detail) && detail.type == MS_JSON_STRING &&
        ms_json_string(detail, &arena, &text) == 0 && text.len > 0)
        ms_error_set(err, code, "%.*s", (int)text.len, (const char *)text.data);
    else
        ms_error_set(err, code, "%s answered with status %ld", url, answer->status);
    ms_arena_deinit(&arena);
    return code;
}

static bool was_refused(CURLcode result) {
    return result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST ||
           result == CURLE_COULDNT_RESOLVE_PROXY;
}

int ms_http_outcome(CURL *easy, CURLcode result, const char *url, bool changes_something,
                    struct ms_http_answer *answer, struct ms_error *err) {
    if (result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL)
        return ms_error_set(err, MS_EINVAL, "%s is not an http address", url);
    if (was_refused(result))
        return ms_error_set(err, MS_ECLOSED,
                            "no server answers at %s (%s); start one with "
                            "`mainstem serve`, or name one with --server",
                            url, curl_easy_strerror(result));
    if (answer->too_big)
        return ms_error_set(err, MS_ETOOBIG, "the answer of %s is too large", url);
    if (result != CURLE_OK && changes_something)
        return ms_error_set(
            err, MS_EUNKNOWN,
            "the connection to %s broke before the answer (%s): whether it was done "
            "is not known",
            url, curl_easy_strerror(result));
    if (result != CURLE_OK)
        return ms_error_set(err, MS_EIO, "the connection to %s broke: %s", url,
                            curl_easy_strerror(result));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
    answer->created = answer->status == 201;
    if (answer->status >= 200 && answer->status < 300)
        return 0;
    return problem(answer, url, err);
}

int ms_http_call(struct ms_http_target *http, const struct ms_http_call *call,
                 struct ms_http_answer *answer, struct ms_error *err) {
    struct curl_slist *headers = NULL;
    int rc = ms_http_prepare(http->easy, http->url, call, answer, &headers, err);
    if (rc != 0)
        return rc;
    CURLcode result = curl_easy_perform(http->easy);
    rc = ms_http_outcome(http->easy, result, http->url, call->changes_something, answer, err);
    curl_slist_free_all(headers);
    return rc;
}
