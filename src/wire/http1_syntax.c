/*
 * The strict reading of HTTP/1.1's lines, see http1_syntax.h.
 *
 * Most of what is refused here is how requests are smuggled past a proxy that reads a line
 * differently than we do: white space before a colon, bare CR or LF, two lengths, a length beside
 * chunks, codings that only one side knows. RFC 9112 sections 2.2, 3.2, 5.1, 6.1, 6.3, 7.1, 11.2.
 *
 * No state; any thread.
 */
#include "wire/http1_syntax.h"

#include <strings.h>

static const char wrong_line_end[] = "a line must end with CR LF";

static bool is_alphanumeric(uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool ms_http1_is_token_char(uint8_t c) {
    return is_alphanumeric(c) || (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

static bool equals_ignoring_case(struct ms_bytes a, struct ms_bytes b) {
    return a.len == b.len &&
           (a.len == 0 || strncasecmp((const char *)a.data, (const char *)b.data, a.len) == 0);
}

/* Removes the CR; false when there is none. */
static bool cut_line_end(struct ms_bytes *line) {
    if (line->len == 0 || line->data[line->len - 1] != '\r')
        return false;
    line->len--;
    return true;
}

/* ---- request line ---- */

/* Cuts everything up to the first space out of *line; an empty word when there is no space. */
static struct ms_bytes cut_word(struct ms_bytes *line) {
    const uint8_t *space = line->len ? memchr(line->data, ' ', line->len) : NULL;
    size_t len = space ? (size_t)(space - line->data) : 0;
    struct ms_bytes word = ms_bytes_of(line->data, len);
    if (space) {
        line->data += len + 1;
        line->len -= len + 1;
    }
    return word;
}

static bool is_method(struct ms_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!ms_http1_is_token_char(text.data[i]))
            return false;
    }
    return text.len > 0;
}

static bool is_target(struct ms_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f || text.data[i] == '#')
            return false;
    }
    return text.len > 0;
}

/* Length of "http://authority" at the start of an absolute target, 0 for other targets. */
static size_t origin_len(struct ms_bytes target) {
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);
        if (target.len < len || strncasecmp((const char *)target.data, schemes[i], len) != 0)
            continue;
        while (len < target.len && target.data[len] != '/' && target.data[len] != '?')
            len++;
        return len;
    }
    return 0;
}

/* Path and query of a target; false for a form that a server doesn't know. */
static bool split_target(struct ms_http1_request *request) {
    struct ms_bytes target = request->target;
    if (ms_bytes_equal_cstr(target, "*")) {
        request->path = target;
        return ms_bytes_equal_cstr(request->method, "OPTIONS");
    }
    size_t origin = origin_len(target);
    struct ms_bytes path = ms_bytes_of(target.data + origin, target.len - origin);
    if (origin == 0 && path.data[0] != '/')
        return false;
    const uint8_t *mark = path.len ? memchr(path.data, '?', path.len) : NULL;
    if (mark) {
        size_t path_len = (size_t)(mark - path.data);
        request->query = ms_bytes_of(mark + 1, path.len - path_len - 1);
        path.len = path_len;
    }
    request->path = path.len ? path : MS_BYTES_LITERAL("/");
    return true;
}

static bool is_version(struct ms_bytes text) {
    return text.len == 8 && memcmp(text.data, "HTTP/", 5) == 0 && text.data[6] == '.' &&
           text.data[5] >= '0' && text.data[5] <= '9' && text.data[7] >= '0' && text.data[7] <= '9';
}

const char *ms_http1_check_request_line(struct ms_bytes line, size_t target_bytes_max,
                                        struct ms_http1_request *request, int *ret_status) {
    *ret_status = 400;
    if (!cut_line_end(&line))
        return wrong_line_end;
    request->method = cut_word(&line);
    request->target = cut_word(&line);
    if (!is_method(request->method) || !is_target(request->target) || !is_version(line))
        return "the request line must be a method, a target and a version";
    if (request->target.len > target_bytes_max) {
        *ret_status = 414;
        return "the target is too long";
    }
    request->http10 = ms_bytes_equal_cstr(line, "HTTP/1.0");
    if (!request->http10 && !ms_bytes_equal_cstr(line, "HTTP/1.1")) {
        *ret_status = 505;
        return "the version must be HTTP/1.1 or HTTP/1.0";
    }
    if (ms_bytes_equal_cstr(request->method, "CONNECT")) {
        *ret_status = 501;
        return "CONNECT is for proxies";
    }
    if (!split_target(request))
        return "the target must begin with '/' or be an absolute http URI";
    return NULL;
}

/* ---- header and chunk-size lines ---- */

static bool is_field_text(struct ms_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] == 0x7f)
            return false;
    }
    return true;
}

const char *ms_http1_check_header_line(struct ms_bytes line, int *ret_status) {
    *ret_status = 400;
    if (!cut_line_end(&line))
        return wrong_line_end;
    if (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
        return "a header must not be folded";
    size_t name_len = 0;
    while (name_len < line.len && ms_http1_is_token_char(line.data[name_len]))
        name_len++;
    if (name_len == 0 || name_len == line.len || line.data[name_len] != ':')
        return "a header must be a name, a colon directly behind it, and a value";
    if (!is_field_text(line))
        return "a header must not hold control characters";
    return NULL;
}

const char *ms_http1_check_chunk_line(struct ms_bytes line, int *ret_status) {
    *ret_status = 400;
    if (!cut_line_end(&line))
        return wrong_line_end;
    size_t digits = 0;
    while (digits < line.len && line.data[digits] != 0 &&
           strchr("0123456789abcdefABCDEF", line.data[digits]))
        digits++;
    if (digits == 0 || digits > 16 || (digits < line.len && line.data[digits] != ';'))
        return "a chunk must begin with its size in hexadecimal digits";
    if (!is_field_text(line))
        return "a chunk extension must not hold control characters";
    return NULL;
}

/* ---- all headers together ---- */

/* The only header of that name: its count is in *ret_count. */
static struct ms_bytes find_header(const struct ms_http1_request *request, const char *name,
                                   size_t *ret_count) {
    struct ms_bytes value = {0};
    *ret_count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (ms_bytes_equal_cstr(request->headers[i].name, name)) {
            value = request->headers[i].value;
            ++*ret_count;
        }
    }
    return value;
}

static bool is_host(struct ms_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alphanumeric(text.data[i]) &&
            (text.data[i] == 0 || !strchr("-._~%!$&'()*+,;=:[]", text.data[i])))
            return false;
    }
    return true;
}

static const char *check_host(const struct ms_http1_request *request) {
    size_t count;
    struct ms_bytes host = find_header(request, "host", &count);
    if (count > 1 || (count == 0 && !request->http10))
        return "exactly one Host header is needed";
    if (!is_host(host))
        return "the Host header is malformed";
    size_t origin = origin_len(request->target);
    if (origin == 0 || count == 0)
        return NULL;
    const uint8_t *colon = memchr(request->target.data, ':', origin);
    size_t scheme_len = (size_t)(colon - request->target.data) + 3;
    struct ms_bytes authority = ms_bytes_of(request->target.data + scheme_len, origin - scheme_len);
    return equals_ignoring_case(authority, host) ? NULL
                                                 : "the target and the Host header must agree";
}

static const char *check_length(struct ms_http1_request *request, int *ret_status) {
    size_t length_count, coding_count;
    struct ms_bytes length = find_header(request, "content-length", &length_count);
    struct ms_bytes coding = find_header(request, "transfer-encoding", &coding_count);
    request->content_length = -1;
    request->has_body = coding_count > 0;
    if (length_count > 1 || coding_count > 1 || (length_count && coding_count))
        return "more than one header says how long the body is";
    if (length_count > 0) {
        uint64_t value;
        if (ms_parse_u64(length, &value) < 0 || value > INT64_MAX)
            return "Content-Length must be a number";
        request->content_length = (int64_t)value;
        request->has_body = value > 0;
    }
    if (coding_count == 0)
        return NULL;
    if (request->http10 || coding.len == 0)
        return "HTTP/1.0 has no Transfer-Encoding, and an empty one means nothing";
    if (equals_ignoring_case(coding, MS_BYTES_LITERAL("chunked")))
        return NULL;
    *ret_status = 501;
    return "the only transfer coding is chunked";
}

const char *ms_http1_check_headers(struct ms_http1_request *request, int *ret_status) {
    *ret_status = 400;
    const char *wrong = check_host(request);
    if (!wrong)
        wrong = check_length(request, ret_status);
    if (wrong)
        return wrong;
    size_t count;
    struct ms_bytes expect = find_header(request, "expect", &count);
    if (count == 0 || request->http10)
        return NULL;
    if (count > 1 || !equals_ignoring_case(expect, MS_BYTES_LITERAL("100-continue"))) {
        *ret_status = 417;
        return "the only expectation is 100-continue";
    }
    request->expect_continue = request->has_body;
    return NULL;
}
