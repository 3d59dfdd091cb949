/*
 * Administration; see admin.h.
 *
 *   POST /v1/admin/backup {"dir":"/abs/path"}: made on the server's host, answered when it is done:
 *                            {"dir":…,"end":…,"files":…,"linked":…,"bytes":…}
 *   POST /v1/admin/scavenge  {"all":false,"bytes_per_second":0}, both optional: 202 and the status
 *   GET /v1/admin/scavenge   {"running":true,"segments_done":3,"segments":9,"last":null}, or `last`
 *                            {"started_at":…,"finished_at":…,"error":null,"segments":…,
 *                            "rewritten":…,"bytes_before":…,"bytes_after":…,"bytes_written":…,
 *                            "write_amplification":…,"events_removed":…}
 */
#include "face/http/admin.h"

#include <jansson.h>

#include "base/time.h"
#include "face/http/answer.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/server.h"
#include "store/backup.h"
#include "wire/json.h"

static struct ms_http_admin *admin_of(const struct ms_http_request *request) {
    return &request->loop->http->admin;
}

static void answer(struct ms_http_request *request, int code, const struct ms_error *err,
                   int status) {
    if (code == 0) {
        ms_http_answer(request, status, "application/json");
        return;
    }
    ms_buf_clear(&request->answer.headers);
    ms_http_answer_error(request, code, err);
}

/* ---- bodies ---- */

static int parse_object(struct ms_bytes body, json_t **ret_root, struct ms_error *err) {
    json_error_t problem;
    json_t *root = body.len == 0 ? json_object()
                                 : json_loadb((const char *)body.data, body.len,
                                              JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        return ms_error_set(err, MS_EINVAL, "line %d, column %d: %s", problem.line, problem.column,
                            problem.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return ms_error_set(err, MS_EINVAL, "expected a JSON object");
    }
    *ret_root = root;
    return 0;
}

static int parse_backup(struct ms_bytes body, struct ms_arena *arena, const char **ret_dir,
                        struct ms_error *err) {
    json_t *root;
    int code = parse_object(body, &root, err);
    if (code != 0)
        return code;
    const json_t *dir = json_object_get(root, "dir");
    const char *text = json_string_value(dir);
    if (json_object_size(root) != 1 || !text)
        code = ms_error_set(err, MS_EINVAL, "expected one field, \"dir\", with a text");
    else if (text[0] != '/')
        code = ms_error_set(err, MS_EINVAL,
                            "field \"dir\": an absolute path on the server's host was expected");
    else if (!(*ret_dir = ms_arena_strdup(arena, ms_bytes_cstr(text))))
        code = ms_error_set(err, MS_ENOMEM, "no memory for the request");
    json_decref(root);
    return code;
}

static int set_scavenge_field(const char *name, const json_t *value,
                              struct ms_scavenge_options *options, struct ms_error *err) {
    if (strcmp(name, "all") == 0 && json_is_boolean(value)) {
        options->all = json_is_true(value);
        return 0;
    }
    if (strcmp(name, "bytes_per_second") == 0 && json_is_integer(value) &&
        json_integer_value(value) >= 0) {
        options->bytes_per_second = (uint64_t)json_integer_value(value);
        return 0;
    }
    return ms_error_set(err, MS_EINVAL,
                        "field \"%.64s\": known here are all (true or false) and bytes_per_second "
                        "(a number from 0 on)",
                        name);
}

static int parse_scavenge(struct ms_bytes body, struct ms_scavenge_options *options,
                          struct ms_error *err) {
    json_t *root, *value;
    const char *name;
    int code = parse_object(body, &root, err);
    if (code != 0)
        return code;
    json_object_foreach(root, name, value) {
        if (code == 0)
            code = set_scavenge_field(name, value, options, err);
    }
    json_decref(root);
    return code;
}

/* ---- backup ---- */

static bool backup_goes_on(void *context, uint64_t bytes_done, uint64_t bytes) {
    struct ms_http_admin *admin = context;
    (void)bytes_done;
    (void)bytes;
    return !atomic_load(&admin->stop);
}

static int write_backup(struct ms_buf *out, const char *dir,
                        const struct ms_backup_result *result) {
    int code = ms_buf_append_cstr(out, "{\"dir\":");
    if (code == 0)
        code = ms_json_write_string(out, ms_bytes_cstr(dir));
    if (code == 0)
        code = ms_buf_printf(out, ",\"end\":%llu,\"files\":%llu,\"linked\":%llu,\"bytes\":%llu}\n",
                             (unsigned long long)result->end, (unsigned long long)result->files,
                             (unsigned long long)result->linked, (unsigned long long)result->bytes);
    return code;
}

static void run_backup(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_http_admin *admin = admin_of(request);
    struct ms_backup_result result;
    const char *dir = NULL;
    int code = parse_backup(ms_buf_bytes(&request->body), &request->arena, &dir, &err);
    if (code == 0)
        code = ms_store_backup(admin->store, dir, backup_goes_on, admin, &result, &err);
    if (code == 0)
        code = write_backup(&request->answer.body, dir, &result);
    answer(request, code, &err, 200);
}

/* The backups' thread, made when it is first wanted. */
static int need_backups(struct ms_http_admin *admin, struct ms_error *err) {
    pthread_mutex_lock(&admin->mutex);
    int code = admin->has_backups ? 0 : ms_net_readers_start(&admin->backups, 1, "http", err);
    admin->has_backups = code == 0;
    pthread_mutex_unlock(&admin->mutex);
    return code;
}

void ms_http_backup_start(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_http_admin *admin = admin_of(request);
    int code = need_backups(admin, &err);
    if (code == 0) {
        ms_http_request_submit_to(request, &admin->backups, run_backup, ms_http_request_done);
        return;
    }
    answer(request, code, &err, 200);
    ms_http_request_done(request);
}

/* ---- scavenge ---- */

static void scavenge_progress(void *context, uint64_t segments_done, uint64_t segments) {
    struct ms_http_admin *admin = context;
    pthread_mutex_lock(&admin->mutex);
    admin->done = segments_done;
    admin->segments = segments;
    pthread_mutex_unlock(&admin->mutex);
}

static bool scavenge_stops(void *context) {
    return atomic_load(&((struct ms_http_admin *)context)->stop);
}

static void *scavenge_main(void *context) {
    struct ms_http_admin *admin = context;
    struct ms_scavenge_result result = {0};
    struct ms_error error = {0};
    int code = ms_store_scavenge(admin->store, &admin->options, &result, &error);
    pthread_mutex_lock(&admin->mutex);
    admin->code = code;
    admin->error = error;
    admin->last = result;
    admin->finished_ms = ms_clock_now_us(admin->clock) / 1000;
    admin->running = false;
    pthread_mutex_unlock(&admin->mutex);
    return NULL;
}

/* Under the mutex. */
static int begin_scavenge(struct ms_http_admin *admin, const struct ms_scavenge_options *options,
                          struct ms_error *err) {
    if (admin->running)
        return ms_error_set(err, MS_EAGAIN, "a scavenge is running");
    if (atomic_load(&admin->stop))
        return ms_error_set(err, MS_ECLOSED, "the server is stopping");
    if (admin->has_thread) /* it has finished: there is nothing to wait for */
        pthread_join(admin->thread, NULL);
    admin->options = *options;
    admin->options.on_progress = scavenge_progress;
    admin->options.stop = scavenge_stops;
    admin->options.context = admin;
    admin->done = admin->segments = 0;
    admin->started_ms = ms_clock_now_us(admin->clock) / 1000;
    admin->finished_ms = 0;
    admin->running = true;
    admin->has_thread = pthread_create(&admin->thread, NULL, scavenge_main, admin) == 0;
    if (admin->has_thread)
        return 0;
    admin->running = false;
    return ms_error_set(err, MS_ENOMEM, "can't start a thread for the scavenge");
}

static int write_last(struct ms_buf *out, const struct ms_http_admin *admin) {
    char started[MS_TIME_TEXT_MAX], finished[MS_TIME_TEXT_MAX];
    const struct ms_scavenge_result *last = &admin->last;
    if (admin->finished_ms == 0)
        return ms_buf_append_cstr(out, "null");
    ms_time_format_ms(admin->started_ms, started);
    ms_time_format_ms(admin->finished_ms, finished);
    int code = ms_buf_printf(
        out, "{\"started_at\":\"%s\",\"finished_at\":\"%s\",\"error\":", started, finished);
    if (code == 0 && admin->code == 0)
        code = ms_buf_append_cstr(out, "null");
    else if (code == 0)
        code = ms_json_write_string(out, ms_bytes_cstr(admin->error.message));
    if (code == 0)
        code = ms_buf_printf(
            out,
            ",\"segments\":%llu,\"rewritten\":%llu,\"bytes_before\":%llu,\"bytes_after\":%llu,"
            "\"bytes_written\":%llu,\"write_amplification\":%.2f,\"events_removed\":%llu}",
            (unsigned long long)last->segments, (unsigned long long)last->rewritten,
            (unsigned long long)last->bytes_before, (unsigned long long)last->bytes_after,
            (unsigned long long)last->bytes_written,
            ms_scavenge_amplification(last->bytes_written, last->bytes_before, last->bytes_after),
            (unsigned long long)last->events_removed);
    return code;
}

/* Under the mutex. */
static int write_status(struct ms_buf *out, const struct ms_http_admin *admin) {
    int code =
        ms_buf_printf(out, "{\"running\":%s,\"segments_done\":%llu,\"segments\":%llu,\"last\":",
                      admin->running ? "true" : "false", (unsigned long long)admin->done,
                      (unsigned long long)admin->segments);
    if (code == 0)
        code = write_last(out, admin);
    return code == 0 ? ms_buf_append_cstr(out, "}\n") : code;
}

void ms_http_scavenge_start(struct ms_http_request *request) {
    struct ms_error err = {0};
    struct ms_http_admin *admin = admin_of(request);
    struct ms_scavenge_options options = {0};
    int code = parse_scavenge(ms_buf_bytes(&request->body), &options, &err);
    pthread_mutex_lock(&admin->mutex);
    if (code == 0)
        code = begin_scavenge(admin, &options, &err);
    if (code == 0)
        code = write_status(&request->answer.body, admin);
    pthread_mutex_unlock(&admin->mutex);
    if (code == 0)
        code = ms_http_answer_header(request, "Location", "/v1/admin/scavenge");
    answer(request, code, &err, 202);
    ms_http_request_done(request);
}

void ms_http_scavenge_status_start(struct ms_http_request *request) {
    struct ms_http_admin *admin = admin_of(request);
    pthread_mutex_lock(&admin->mutex);
    int code = write_status(&request->answer.body, admin);
    pthread_mutex_unlock(&admin->mutex);
    answer(request, code, NULL, 200);
    ms_http_request_done(request);
}

/* ---- life ---- */

void ms_http_admin_init(struct ms_http_admin *admin, struct ms_store *store,
                        struct ms_clock *clock) {
    *admin = (struct ms_http_admin){.store = store, .clock = clock};
    pthread_mutex_init(&admin->mutex, NULL);
}

void ms_http_admin_stop(struct ms_http_admin *admin) { atomic_store(&admin->stop, true); }

void ms_http_admin_deinit(struct ms_http_admin *admin) {
    ms_http_admin_stop(admin);
    if (admin->has_thread)
        pthread_join(admin->thread, NULL);
    ms_net_readers_stop(&admin->backups);
    pthread_mutex_destroy(&admin->mutex);
}
