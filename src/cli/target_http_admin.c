/* Backup and scavenge of a server. See target.h. */
#include "cli/http_client.h"
#include "wire/json.h"

#define BODY_BYTES_MAX ((size_t)64 << 10)
#define ANSWER_DEPTH_MAX 16
#define POLL_US 200000
#define SCAVENGE_PATH "/v1/admin/scavenge"

static struct ms_http_target *http_of(struct ms_target *target) {
    return (struct ms_http_target *)target;
}

int ms_target_http_backup(struct ms_target *target, const char *dir,
                          const struct ms_target_progress *progress, struct ms_buf *out,
                          struct ms_error *err) {
    (void)progress; /* the server answers when it is done */
    struct ms_buf body;
    struct ms_http_answer answer;
    ms_buf_init(&body, BODY_BYTES_MAX);
    ms_http_answer_init(&answer);
    int rc = ms_buf_append_cstr(&body, "{\"dir\":");
    if (rc == 0)
        rc = ms_json_write_string(&body, ms_bytes_cstr(dir));
    if (rc == 0)
        rc = ms_buf_append_u8(&body, '}');
    if (rc != 0)
        rc = ms_error_set(err, rc, "the path is too long");
    struct ms_http_call call = {.method = "POST",
                                .path = "/v1/admin/backup",
                                .body = ms_buf_bytes(&body),
                                .changes_something = true};
    if (rc == 0)
        rc = ms_http_call(http_of(target), &call, &answer, err);
    if (rc == 0)
        rc = ms_buf_append_bytes(out, ms_buf_bytes(&answer.body));
    ms_http_answer_deinit(&answer);
    ms_buf_deinit(&body);
    return rc;
}

/* ---- scavenge ---- */

struct status {
    bool running;
    int64_t done, segments;
    struct ms_json_value last;
};

static int parse_status(struct ms_bytes body, struct status *ret_status, struct ms_error *err) {
    struct ms_json_value document, running, done, segments;
    struct status status;
    if (ms_json_parse(body, ANSWER_DEPTH_MAX, &document, NULL) != 0 ||
        document.type != MS_JSON_OBJECT || !ms_json_get(document, "running", &running) ||
        !ms_json_get(document, "segments_done", &done) ||
        !ms_json_get(document, "segments", &segments) ||
        !ms_json_get(document, "last", &status.last) || ms_json_i64(done, &status.done) != 0 ||
        ms_json_i64(segments, &status.segments) != 0)
        return ms_error_set(err, MS_EIO, "the server's answer was not understood");
    status.running = running.type == MS_JSON_TRUE;
    *ret_status = status;
    return 0;
}

/* The status is borrowed from the answer. */
static int call_scavenge(struct ms_target *target, const char *method, struct ms_bytes body,
                         struct ms_http_answer *answer, struct status *ret_status,
                         struct ms_error *err) {
    struct ms_http_call call = {.method = method,
                                .path = SCAVENGE_PATH,
                                .body = body,
                                .changes_something = body.data != NULL};
    ms_http_answer_deinit(answer);
    ms_http_answer_init(answer);
    int rc = ms_http_call(http_of(target), &call, answer, err);
    return rc == 0 ? parse_status(ms_buf_bytes(&answer->body), ret_status, err) : rc;
}

/* {"error":null,…}: the result; a text: how it failed. */
static int take_last(const struct status *status, struct ms_buf *out, struct ms_error *err) {
    struct ms_json_value error;
    struct ms_arena arena;
    struct ms_bytes text;
    if (status->last.type != MS_JSON_OBJECT || !ms_json_get(status->last, "error", &error))
        return ms_error_set(err, MS_EIO, "the server does not say how the scavenge ended");
    if (error.type != MS_JSON_STRING) {
        int rc = ms_buf_append_bytes(out, status->last.text);
        return rc == 0 ? 0 : ms_error_set(err, rc, "no memory for the result");
    }
    ms_arena_init(&arena, BODY_BYTES_MAX);
    int rc = ms_json_string(error, &arena, &text);
    if (rc == 0)
        rc = ms_error_set(err, MS_EIO, "the scavenge failed: %.*s", (int)text.len,
                          (const char *)text.data);
    ms_arena_deinit(&arena);
    return rc;
}

int ms_target_http_scavenge(struct ms_target *target, const struct ms_target_scavenge *scavenge,
                            const struct ms_target_progress *progress, struct ms_buf *out,
                            struct ms_error *err) {
    char body[96];
    struct ms_http_answer answer;
    struct status status;
    ms_http_answer_init(&answer);
    int len =
        snprintf(body, sizeof body, "{\"all\":%s,\"bytes_per_second\":%llu}",
                 scavenge->all ? "true" : "false", (unsigned long long)scavenge->bytes_per_second);
    int rc = call_scavenge(target, "POST", ms_bytes_of(body, (size_t)len), &answer, &status, err);
    while (rc == 0 && scavenge->wait && status.running) {
        if (progress->show)
            progress->show(progress->context, (uint64_t)status.done, (uint64_t)status.segments);
        ms_clock_sleep_us(http_of(target)->env->clock, POLL_US);
        rc = call_scavenge(target, "GET", (struct ms_bytes){0}, &answer, &status, err);
    }
    if (rc == 0)
        rc = scavenge->wait ? take_last(&status, out, err)
                            : ms_buf_append_bytes(out, ms_buf_bytes(&answer.body));
    ms_http_answer_deinit(&answer);
    return rc;
}
