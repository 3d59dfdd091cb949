/* Problem documents; see problem.h. */
#include "face/http/problem.h"

#include "wire/json.h"

#define DETAIL_MAX 1024

static const struct {
    int status;
    const char *type, *title;
} statuses[] = {
    {400, "bad-request", "the request is malformed"},
    {401, "unauthorized", "the request is not authenticated"},
    {403, "forbidden", "the request is not allowed"},
    {404, "no-such-resource", "there is no such resource"},
    {405, "method-not-allowed", "the resource does not know this method"},
    {406, "not-acceptable", "the answer can't be given in an accepted media type"},
    {408, "request-timeout", "the request did not arrive in time"},
    {413, "too-large", "the body is larger than the limit"},
    {414, "target-too-long", "the request target is longer than the limit"},
    {415, "unsupported-media-type", "unsupported or missing content type"},
    {417, "expectation-failed", "the expectation can't be met"},
    {421, "misdirected-request", "the host name is not one of this server's"},
    {429, "limit-reached", "a configured limit was reached, try later"},
    {431, "headers-too-large", "the headers are larger than the limit"},
    {501, "unsupported", "not supported"},
    {503, "try-again", "not possible right now, try again"},
    {505, "version-not-supported", "the HTTP version is not supported"},
    {500, "internal", "an internal error"},
};

struct ms_http_problem ms_http_problem_of_code(int code) {
    return (struct ms_http_problem){.status = ms_error_http_status(code),
                                    .type = ms_error_type(code),
                                    .title = ms_error_text(code)};
}

struct ms_http_problem ms_http_problem_of_status(int status) {
    size_t last = sizeof statuses / sizeof *statuses - 1;
    size_t i = 0;
    while (i < last && statuses[i].status != status)
        i++;
    return (struct ms_http_problem){
        .status = status, .type = statuses[i].type, .title = statuses[i].title};
}

/* What a client sent may be quoted in a message, cut anywhere: a document must be valid all the
 * same. */
static int write_text(struct ms_buf *out, struct ms_bytes text) {
    if (ms_utf8_valid(text))
        return ms_json_write_string(out, text);
    uint8_t clean[DETAIL_MAX];
    size_t len = text.len < sizeof clean ? text.len : sizeof clean;
    for (size_t i = 0; i < len; i++)
        clean[i] = text.data[i] < 0x80 ? text.data[i] : '?';
    return ms_json_write_string(out, ms_bytes_of(clean, len));
}

int ms_http_problem_write(struct ms_buf *out, const struct ms_http_problem *problem) {
    size_t before = out->len;
    int code = ms_buf_printf(out,
                             "{\"type\":\"urn:mainstem:problem:%s\",\"title\":\"%s\","
                             "\"status\":%d,\"detail\":",
                             problem->type, problem->title, problem->status);
    if (code == 0)
        code =
            write_text(out, problem->detail.len ? problem->detail : ms_bytes_cstr(problem->title));
    if (code == 0 && problem->request_id.len)
        code = ms_buf_printf(out, ",\"instance\":\"urn:mainstem:request:%.*s\"",
                             (int)problem->request_id.len, (const char *)problem->request_id.data);
    if (code == 0)
        code = ms_buf_append_bytes(out, problem->members);
    if (code == 0)
        code = ms_buf_append_cstr(out, "}\n");
    if (code != 0)
        out->len = before;
    return code;
}
