/*
 * Read models, administration. All but the queries themselves (queries.c).
 *
 *   GET    /v1/projections                       {"projections":[…]}
 *   GET    /v1/projections/{projection}          one of them
 *   PUT    /v1/projections/{projection}          the file as the body: {"projection":…,"version":2,
 *                                                "unchanged":false}; 201 for a new version
 *   DELETE /v1/projections/{projection}          204
 *   GET    /v1/projections/{projection}/errors   {"stopped":[{"version":2,"position":…,"error":…}],
 *                                                "parked":[{"version":1,"position":…,…}]}
 *   POST   /v1/projections/{projection}/{verb}   pause, resume, rebuild,
 *                                                switch {"version":2,"force":false},
 *                                                retry {"stream":"order-1"}, skip {"position":17}
 *
 * What comes of a retry or skip is waited for: the projection with "tried":{"version":1,
 * "applied":2}; or 409 "event-not-applied", with the members version, applied and position.
 *
 * A projection: {"projection":"orders","paused":false,"versions":[{"version":2,"role":"current",
 * "hash":…,"target":"sqlite","mode":"async","on_error":"stop","state":"live","position":17,
 * "end":17,"lag":0,"lag_seconds":0.000,"applied":9,"rate":0.0,"parked":0,"error":null,
 * "error_position":null,"idle_seconds":3.1,"deployed_at":…,"first_needed":0,
 * "allow_incomplete":false,"incomplete":null,"scavenged_ahead":null}]}
 *
 * `incomplete` is what its tables lack, `scavenged_ahead` what it has not applied and can't any
 * more: {"topic":"order","first_position":3,"last_position":17}, the topic null where it is not
 * known. PUT, resume and rebuild take ?allow_incomplete=true, without which they are refused (409),
 * or stop, where something is missing.
 * `position` is the first that is not applied, `lag` how many there are behind it. All are readers'
 * jobs.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/time.h"
#include "face/http/answer.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/projections.h"
#include "face/http/server.h"
#include "wire/json.h"

#define JSON_TYPE "application/json"

static void finish(struct ms_http_request *request, int code, int status,
                   const struct ms_error *err) {
    if (code == 0)
        ms_http_answer(request, status, status == 204 ? NULL : JSON_TYPE);
    else
        ms_http_answer_error(request, code, err);
}

static struct ms_projections *service(const struct ms_http_request *request) {
    return request->loop->http->projections;
}

/* ---- showing ---- */

static int write_kind(struct ms_buf *out, const struct ms_version_info *info) {
    char deployed[MS_TIME_TEXT_MAX];
    ms_time_format_ms(info->deployed_at_ms, deployed);
    return ms_buf_printf(
        out,
        "{\"version\":%u,\"role\":\"%s\",\"hash\":\"%s\",\"target\":\"%s\",\"mode\":\"%s\","
        "\"on_error\":\"%s\",\"deployed_at\":\"%s\"",
        info->number, ms_version_role_name(info->role), info->hash,
        info->target == MS_SQL_SQLITE ? "sqlite" : "postgres",
        info->mode == MS_PROJECTION_SYNC ? "sync" : "async",
        info->on_error == MS_PROJECTION_PARK ? "park" : "stop", deployed);
}

static int write_progress(struct ms_http_request *request, struct ms_buf *out,
                          const struct ms_runner_status *status) {
    int64_t now = ms_clock_monotonic_us(request->loop->http->env->clock);
    int64_t lag_ms =
        ms_projection_lag_ms(request->loop->http->store, request->loop->http->env, status);
    double idle = (double)(now - status->progress_us) / 1e6;
    uint64_t lag = status->end > status->position ? status->end - status->position : 0;
    return ms_buf_printf(out,
                         ",\"state\":\"%s\",\"position\":%llu,\"end\":%llu,\"lag\":%llu,"
                         "\"lag_seconds\":%.3f,\"applied\":%llu,\"rate\":%.1f,\"parked\":%llu,"
                         "\"idle_seconds\":%.3f",
                         ms_runner_state_name(status->state), (unsigned long long)status->position,
                         (unsigned long long)status->end, (unsigned long long)lag,
                         (double)lag_ms / 1000, (unsigned long long)status->applied, status->rate,
                         (unsigned long long)status->parked, idle > 0 && lag > 0 ? idle : 0.0);
}

static int write_missing(struct ms_buf *out, const char *name, const struct ms_missing *missing) {
    int code = ms_buf_printf(out, ",\"%s\":%s", name, missing->any ? "{\"topic\":" : "null");
    if (code != 0 || !missing->any)
        return code;
    code = missing->topic[0] != '\0' ? ms_json_write_string(out, ms_bytes_cstr(missing->topic))
                                     : ms_buf_append_cstr(out, "null");
    if (code == 0)
        code = ms_buf_printf(out, ",\"first_position\":%llu,\"last_position\":%llu}",
                             (unsigned long long)missing->first, (unsigned long long)missing->last);
    return code;
}

static int write_past(struct ms_buf *out, const struct ms_version_info *info) {
    int code = ms_buf_printf(out, ",\"first_needed\":%llu,\"allow_incomplete\":%s",
                             (unsigned long long)info->first_needed,
                             info->allow_incomplete ? "true" : "false");
    if (code == 0)
        code = write_missing(out, "incomplete", &info->missing);
    return code == 0 ? write_missing(out, "scavenged_ahead", &info->ahead) : code;
}

static int write_version(struct ms_http_request *request, struct ms_buf *out,
                         const struct ms_version_info *info) {
    const struct ms_runner_status *status = &info->status;
    int code = write_kind(out, info);
    if (code == 0)
        code = write_progress(request, out, status);
    if (code == 0)
        code = write_past(out, info);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"error\":");
    if (code == 0)
        code = status->error[0] != '\0' ? ms_json_write_string(out, ms_bytes_cstr(status->error))
                                        : ms_buf_append_cstr(out, "null");
    if (code == 0 && status->error[0] != '\0' && status->error_position > 0)
        return ms_buf_printf(out, ",\"error_position\":%llu}",
                             (unsigned long long)status->error_position);
    return code == 0 ? ms_buf_append_cstr(out, ",\"error_position\":null}") : code;
}

/* `tried`: what came of a retry or skip, or NULL. */
static int write_projection(struct ms_http_request *request, struct ms_buf *out,
                            const struct ms_projection_info *info,
                            const struct ms_projection_tried *tried) {
    int code = ms_buf_printf(out, "{\"projection\":\"%s\",\"paused\":%s", info->name,
                             info->paused ? "true" : "false");
    if (code == 0 && tried)
        code = ms_buf_printf(out, ",\"tried\":{\"version\":%u,\"applied\":%llu}", tried->version,
                             (unsigned long long)tried->outcome.applied);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"versions\":[");
    for (size_t i = 0; code == 0 && i < info->count; i++) {
        code = i > 0 ? ms_buf_append_cstr(out, ",\n") : 0;
        if (code == 0)
            code = write_version(request, out, &info->versions[i]);
    }
    return code == 0 ? ms_buf_append_cstr(out, "]}") : code;
}

/* ---- list ---- */

struct listing {
    struct ms_arena *arena;
    struct listed {
        struct listed *next;
        struct ms_projection_info info;
    } * first, **last;
};

static int take_info(void *context, const struct ms_projection_info *info) {
    struct listing *listing = context;
    struct listed *listed = ms_arena_alloc(listing->arena, sizeof *listed);
    if (listed == NULL)
        return MS_ENOMEM;
    listed->info = *info;
    listed->next = NULL;
    *listing->last = listed;
    listing->last = &listed->next;
    return 0;
}

static void run_list(struct ms_http_request *request) {
    struct listing listing = {.arena = &request->arena, .last = &listing.first};
    struct ms_buf *out = &request->answer.body;
    int code = ms_projections_list(service(request), take_info, &listing);
    if (code == 0)
        code = ms_buf_append_cstr(out, "{\"projections\":[");
    for (const struct listed *listed = listing.first; code == 0 && listed; listed = listed->next) {
        code = ms_buf_append_cstr(out, listed == listing.first ? "\n" : ",\n");
        if (code == 0)
            code = write_projection(request, out, &listed->info, NULL);
    }
    if (code == 0)
        code = ms_buf_append_cstr(out, "]}\n");
    finish(request, code, 200, NULL);
}

/* ---- show ---- */

static void answer_projection(struct ms_http_request *request,
                              const struct ms_projection_tried *tried) {
    struct listing listing = {.arena = &request->arena, .last = &listing.first};
    struct ms_error err = {0};
    struct ms_buf *out = &request->answer.body;
    int code =
        ms_projections_get(service(request), request->captures[0], take_info, &listing, &err);
    if (code == 0)
        code = write_projection(request, out, &listing.first->info, tried);
    if (code == 0)
        code = ms_buf_append_u8(out, '\n');
    finish(request, code, 200, &err);
}

static void run_get(struct ms_http_request *request) { answer_projection(request, NULL); }

/* ---- deploy ---- */

static int write_deployed(struct ms_buf *out, const struct ms_deployed *deployed) {
    return ms_buf_printf(out, "{\"projection\":\"%s\",\"version\":%u,\"unchanged\":%s}\n",
                         deployed->name_text, deployed->version,
                         deployed->unchanged ? "true" : "false");
}

static bool allows_incomplete(const struct ms_http_request *request) {
    return request->params.allow_incomplete;
}

static void run_put(struct ms_http_request *request) {
    struct ms_deployed deployed;
    struct ms_error err = {0};
    char file[MS_PROJECTION_NAME_MAX + 8];
    struct ms_bytes name = request->captures[0];
    if (name.len > MS_PROJECTION_NAME_MAX) {
        ms_error_set(&err, MS_EINVAL, "a projection's name has at most %u bytes",
                     MS_PROJECTION_NAME_MAX);
        finish(request, MS_EINVAL, 0, &err);
        return;
    }
    snprintf(file, sizeof file, "%.*s.sql", (int)name.len, (const char *)name.data);
    int code = ms_projections_deploy(service(request), file, ms_buf_bytes(&request->body), name,
                                     allows_incomplete(request) ? MS_DEPLOY_INCOMPLETE : 0,
                                     &deployed, &err);
    if (code == 0)
        code = write_deployed(&request->answer.body, &deployed);
    finish(request, code, code == 0 && deployed.unchanged ? 200 : 201, &err);
}

static void run_delete(struct ms_http_request *request) {
    struct ms_error err = {0};
    int code = ms_projections_drop(service(request), request->captures[0], &err);
    finish(request, code, 204, &err);
}

/* ---- verbs ---- */

struct order {
    unsigned version;
    bool force;
    const char *stream; /* the document's */
    uint64_t position;
    bool has_position;
};

static int take_field(const char *name, json_t *value, struct order *order, struct ms_error *err) {
    bool number = json_is_integer(value) && json_integer_value(value) >= 0;
    if (strcmp(name, "version") == 0 && number && json_integer_value(value) <= UINT32_MAX)
        order->version = (unsigned)json_integer_value(value);
    else if (strcmp(name, "force") == 0 && json_is_boolean(value))
        order->force = json_is_true(value);
    else if (strcmp(name, "stream") == 0 && json_is_string(value))
        order->stream = json_string_value(value);
    else if (strcmp(name, "position") == 0 && number)
        order->position = (uint64_t)json_integer_value(value), order->has_position = true;
    else
        return ms_error_set(err, MS_EINVAL,
                            "field \"%.64s\": known are version (a number), force (true or false), "
                            "stream (a text) and position (a number)",
                            name);
    return 0;
}

static int read_order(struct ms_bytes body, json_t **ret_root, struct order *ret_order,
                      struct ms_error *err) {
    json_error_t problem;
    json_t *root = body.len == 0 ? json_object()
                                 : json_loadb((const char *)body.data, body.len,
                                              JSON_REJECT_DUPLICATES, &problem),
           *value;
    const char *name;
    int code = 0;
    *ret_order = (struct order){0};
    if (!root)
        return ms_error_set(err, MS_EINVAL, "line %d, column %d: %s", problem.line, problem.column,
                            problem.text);
    if (!json_is_object(root))
        code = ms_error_set(err, MS_EINVAL, "expected a JSON object");
    json_object_foreach(root, name, value) {
        if (code == 0)
            code = take_field(name, value, ret_order, err);
    }
    *ret_root = root;
    return code;
}

static int run_rebuild(struct ms_http_request *request, struct ms_error *err) {
    struct ms_deployed deployed;
    return ms_projections_rebuild(service(request), request->captures[0],
                                  allows_incomplete(request), &deployed, err);
}

/* Resuming with it is how one that stopped for what is missing goes on. */
static int run_resume(struct ms_http_request *request, struct ms_error *err) {
    struct ms_bytes name = request->captures[0];
    int code = allows_incomplete(request)
                   ? ms_projections_allow_incomplete(service(request), name, err)
                   : 0;
    return code == 0 ? ms_projections_pause(service(request), name, false, err) : code;
}

static int run_order(struct ms_http_request *request, const struct order *order,
                     struct ms_error *err) {
    struct ms_projections *projections = service(request);
    struct ms_bytes name = request->captures[0], verb = request->captures[1];
    if (ms_bytes_equal_cstr(verb, "pause"))
        return ms_projections_pause(projections, name, true, err);
    if (ms_bytes_equal_cstr(verb, "resume"))
        return run_resume(request, err);
    if (ms_bytes_equal_cstr(verb, "rebuild"))
        return run_rebuild(request, err);
    if (ms_bytes_equal_cstr(verb, "switch"))
        return ms_projections_switch(projections, name, order->version, order->force, err);
    return ms_error_set(err, MS_ENOTFOUND,
                        "'%.*s' can't be done with a projection: pause, resume, rebuild, switch, "
                        "retry or skip",
                        MS_PLACE_SHOWN(verb));
}

/* ---- retry, skip ---- */

static int try_again(struct ms_http_request *request, const struct order *order,
                     struct ms_projection_tried *tried, struct ms_error *err) {
    struct ms_bytes name = request->captures[0], stream = {0};
    if (ms_bytes_equal_cstr(request->captures[1], "skip"))
        return order->has_position
                   ? ms_projections_skip(service(request), name, order->position, tried, err)
                   : ms_error_set(err, MS_EINVAL, "field \"position\" is missing: which event?");
    if (order->stream)
        stream = ms_bytes_cstr(order->stream);
    return ms_projections_retry(service(request), name, stream, tried, err);
}

static void answer_not_applied(struct ms_http_request *request,
                               const struct ms_projection_tried *tried,
                               const struct ms_error *err) {
    const struct ms_runner_outcome *outcome = &tried->outcome;
    struct ms_http_problem problem = ms_http_problem_of_code(MS_ENOTAPPLIED);
    char members[128];
    struct ms_error whole = *err;
    ms_error_prefix(&whole, "version %u can't apply the event at position %llu (%llu applied)",
                    tried->version, (unsigned long long)outcome->position,
                    (unsigned long long)outcome->applied);
    int len = snprintf(members, sizeof members,
                       ",\"version\":%u,\"applied\":%llu,\"position\":%llu", tried->version,
                       (unsigned long long)outcome->applied, (unsigned long long)outcome->position);
    problem.detail = ms_bytes_cstr(whole.message);
    problem.members = ms_bytes_of(members, (size_t)len);
    ms_http_answer_problem(request, problem);
}

/* ---- any of them ---- */

static bool tries_again(struct ms_bytes verb) {
    return ms_bytes_equal_cstr(verb, "retry") || ms_bytes_equal_cstr(verb, "skip");
}

static void run_verb(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_projection_tried tried;
    struct order order;
    json_t *root = NULL;
    bool tries = tries_again(request->captures[1]);
    int code = read_order(ms_buf_bytes(&request->body), &root, &order, &err);
    if (code == 0)
        code = tries ? try_again(request, &order, &tried, &err) : run_order(request, &order, &err);
    json_decref(root);
    if (code == MS_ENOTAPPLIED)
        answer_not_applied(request, &tried, &err);
    else if (code != 0)
        finish(request, code, 0, &err);
    else
        answer_projection(request, tries ? &tried : NULL);
}

/* ---- the routes ---- */

static void submit(struct ms_http_request *request, void (*run)(struct ms_http_request *request)) {
    if (service(request) == NULL) {
        ms_http_answer_refusal(request, 501, "this server keeps no projections");
        ms_http_request_done(request);
        return;
    }
    ms_http_request_submit(request, run, ms_http_request_done);
}

void ms_http_list_projections_start(struct ms_http_request *request) { submit(request, run_list); }
void ms_http_get_projection_start(struct ms_http_request *request) { submit(request, run_get); }
void ms_http_put_projection_start(struct ms_http_request *request) { submit(request, run_put); }
void ms_http_delete_projection_start(struct ms_http_request *request) {
    submit(request, run_delete);
}
void ms_http_projection_errors_start(struct ms_http_request *request) {
    submit(request, ms_http_run_projection_errors);
}
void ms_http_projection_verb_start(struct ms_http_request *request) { submit(request, run_verb); }
