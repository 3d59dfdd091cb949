/*
 * GET /v1/projections/{projection}/errors: what its versions can't apply, by version.
 *
 *   {"stopped":[{"version":2,"role":"candidate","state":"stopped","position":17,"error":…}],
 *    "parked":[{"version":1,"position":9,"parked_at":…,"stream":…,"event_id":…,"event_type":…,
 *               "error":…}]}
 *
 * `position` is that of the event, null where there is no event to blame; a parked event without an
 * error waits behind another of its stream. A reader's job.
 */
#include "base/time.h"
#include "face/http/answer.h"
#include "face/http/loop.h"
#include "face/http/projections.h"
#include "face/http/server.h"
#include "wire/json.h"

#define PARKED_MAX 1000u /* of a version */

struct errors {
    struct ms_buf *out;
    unsigned version;
    size_t count;
};

/* ---- what has stopped ---- */

static bool has_failed(const struct ms_version_info *info) {
    enum ms_runner_state state = info->status.state;
    return !info->running || state == MS_RUNNER_STOPPED || state == MS_RUNNER_FAILED ||
           state == MS_RUNNER_RETRYING;
}

static int write_stopped(struct errors *errors, const struct ms_version_info *info) {
    struct ms_buf *out = errors->out;
    int code =
        ms_buf_printf(out, "%s{\"version\":%u,\"role\":\"%s\",\"state\":\"%s\",\"position\":",
                      errors->count++ > 0 ? ",\n" : "\n", info->number,
                      ms_version_role_name(info->role), ms_runner_state_name(info->status.state));
    if (code == 0)
        code = info->status.state == MS_RUNNER_STOPPED
                   ? ms_buf_printf(out, "%llu", (unsigned long long)info->status.error_position)
                   : ms_buf_append_cstr(out, "null");
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"error\":");
    if (code == 0)
        code = ms_json_write_string(out, ms_bytes_cstr(info->status.error));
    return code == 0 ? ms_buf_append_u8(out, '}') : code;
}

static int take_stopped(void *context, const struct ms_projection_info *info) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < info->count; i++)
        if (has_failed(&info->versions[i]))
            code = write_stopped(context, &info->versions[i]);
    return code;
}

/* ---- what is parked ---- */

static int write_parked(void *context, const struct ms_parked *parked) {
    struct errors *errors = context;
    struct ms_buf *out = errors->out;
    char at[MS_TIME_TEXT_MAX];
    ms_time_format_ms(parked->parked_at_ms, at);
    int code =
        ms_buf_printf(out, "%s{\"version\":%u,\"position\":%llu,\"parked_at\":\"%s\",\"stream\":",
                      errors->count++ > 0 ? ",\n" : "\n", errors->version,
                      (unsigned long long)parked->position, at);
    if (code == 0)
        code = ms_json_write_string(out, parked->stream);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"event_id\":");
    if (code == 0)
        code = ms_json_write_string(out, parked->event_id);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"event_type\":");
    if (code == 0)
        code = ms_json_write_string(out, parked->event_type);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"error\":");
    if (code == 0)
        code = parked->error.len > 0 ? ms_json_write_string(out, parked->error)
                                     : ms_buf_append_cstr(out, "null");
    return code == 0 ? ms_buf_append_u8(out, '}') : code;
}

/* Of all versions; each is released. */
static int gather_parked(struct ms_version **versions, size_t count, struct errors *errors,
                         struct ms_error *err) {
    int code = 0;
    for (size_t i = 0; i < count; i++) {
        struct ms_runner_status status;
        ms_runner_status(ms_version_runner(versions[i]), &status);
        errors->version = ms_version_number(versions[i]);
        if (code == 0 && status.parked > 0)
            code = ms_version_parked(versions[i], PARKED_MAX, write_parked, errors, err);
        ms_version_release(versions[i]);
    }
    return code;
}

void ms_http_run_projection_errors(struct ms_http_request *request) {
    struct ms_projections *projections = request->loop->http->projections;
    struct ms_version *versions[MS_PROJECTION_VERSIONS_MAX];
    struct errors errors = {.out = &request->answer.body};
    struct ms_error err = {0};
    size_t count = 0;
    int code = ms_buf_append_cstr(errors.out, "{\"stopped\":[");
    if (code == 0)
        code = ms_projections_get(projections, request->captures[0], take_stopped, &errors, &err);
    if (code == 0)
        code = ms_buf_append_cstr(errors.out, "],\n\"parked\":[");
    errors.count = 0;
    if (code == 0)
        code = ms_projections_hold_all(projections, request->captures[0], versions, &count, &err);
    if (code == 0)
        code = gather_parked(versions, count, &errors, &err);
    if (code == 0)
        code = ms_buf_append_cstr(errors.out, "]}\n");
    if (code == 0)
        ms_http_answer(request, 200, "application/json");
    else
        ms_http_answer_error(request, code, &err);
}
