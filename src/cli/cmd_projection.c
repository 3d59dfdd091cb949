/* `mainstem projection …`: read models of a running server; see cmd_deploy.c for deploying them. */
#include "cli/projection_answer.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define BODY_BYTES_MAX ((size_t)64 << 10)
#define COUNT(columns) (sizeof(columns) / sizeof *(columns))

/* What a command works with. */
struct work {
    struct ms_invocation *invocation;
    struct ms_target *target;
    struct ms_output output;
    struct ms_buf text; /* the server's answer */
    struct ms_buf rows;
    bool allow_incomplete;
    struct ms_error *err;
};

static struct ms_bytes name_of(const struct work *work) {
    if (work->invocation->arg_count == 0)
        return (struct ms_bytes){0};
    return ms_bytes_cstr(work->invocation->args[0]);
}

static int ask(struct work *work, const char *method, const char *verb, struct ms_bytes body,
               struct ms_json_value *ret_object) {
    struct ms_target_projection request = {.method = method,
                                           .name = name_of(work),
                                           .verb = verb,
                                           .body = body,
                                           .allow_incomplete = work->allow_incomplete};
    return ms_projection_ask(work->target, &request, &work->text, ret_object, work->err);
}

static int run(struct ms_invocation *invocation, int (*command)(struct work *work)) {
    struct ms_error error = {0};
    struct work work = {.invocation = invocation, .err = &error};
    int rc = ms_projection_server(invocation, &work.target, &error);
    if (rc == 0) {
        ms_output_init(&work.output, invocation);
        ms_buf_init(&work.text, TEXT_BYTES_MAX);
        ms_buf_init(&work.rows, TEXT_BYTES_MAX);
        rc = command(&work);
        ms_buf_deinit(&work.rows);
        ms_buf_deinit(&work.text);
        ms_output_deinit(&work.output);
        ms_target_free(work.target);
    }
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}

/* ---- list, lag ---- */

static const struct ms_output_column list_columns[] = {
    {"projection", "PROJECTION", false, NULL},
    {"version", "VERSION", true, NULL},
    {"role", "ROLE", false, NULL},
    {"state", "STATE", false, NULL},
    {"lag", "LAG", true, NULL},
    {"lag_seconds", "SECONDS", true, NULL},
    {"rate", "RATE", true, NULL},
    {"parked", "PARKED", true, NULL},
    {"incomplete", "INCOMPLETE", false, NULL},
    {"error", "ERROR", false, NULL},
};
static const struct ms_output_column lag_columns[] = {
    {"projection", "PROJECTION", false, NULL},
    {"version", "VERSION", true, NULL},
    {"state", "STATE", false, NULL},
    {"position", "POSITION", true, NULL},
    {"end", "END", true, NULL},
    {"lag", "LAG", true, NULL},
    {"lag_seconds", "SECONDS", true, NULL},
    {"idle_seconds", "IDLE", true, NULL},
    {"rate", "RATE", true, NULL},
};

/* Of all projections, or of the one that was named. */
static int print_projections(struct work *work, const struct ms_output_column *columns,
                             size_t column_count) {
    struct ms_json_value answer, projections, projection;
    bool one = work->invocation->arg_count > 0;
    int rc = ask(work, "GET", NULL, (struct ms_bytes){0}, &answer);
    if (rc == 0 && one)
        projections = (struct ms_json_value){0};
    else if (rc == 0)
        rc = ms_projection_array(answer, "projections", &projections, work->err);
    if (rc == 0 && one)
        rc = work->output.json ? ms_output_object(&work->output, answer.text, NULL)
                               : ms_projection_add_rows(&work->rows, answer);
    for (size_t at = 0; rc == 0 && !one && ms_json_next_element(projections, &at, &projection);)
        rc = work->output.json ? ms_output_object(&work->output, projection.text, NULL)
                               : ms_projection_add_rows(&work->rows, projection);
    if (rc == 0 && !work->output.json)
        rc = ms_projection_print_rows(&work->output, &work->rows, columns, column_count);
    return rc;
}

static int list(struct work *work) {
    return print_projections(work, list_columns, COUNT(list_columns));
}

static int lag(struct work *work) {
    return print_projections(work, lag_columns, COUNT(lag_columns));
}

int ms_cmd_projection_list(struct ms_invocation *invocation) { return run(invocation, list); }
int ms_cmd_projection_lag(struct ms_invocation *invocation) { return run(invocation, lag); }

/* ---- show ---- */

static const struct ms_output_column version_columns[] = {
    {"version", "VERSION", true, NULL},
    {"role", "ROLE", false, NULL},
    {"state", "STATE", false, NULL},
    {"position", "POSITION", true, NULL},
    {"end", "END", true, NULL},
    {"lag", "LAG", true, NULL},
    {"lag_seconds", "SECONDS", true, NULL},
    {"rate", "RATE", true, NULL},
    {"parked", "PARKED", true, NULL},
    {"target", "TARGET", false, NULL},
    {"mode", "MODE", false, NULL},
    {"on_error", "ON ERROR", false, NULL},
    {"deployed_at", "DEPLOYED", false, NULL},
    {"first_needed", "NEEDS", true, NULL},
    {"incomplete", "INCOMPLETE", false, NULL},
    {"scavenged_ahead", "SCAVENGED AHEAD", false, NULL},
    {"error_position", "AT", true, NULL},
    {"error", "ERROR", false, NULL},
};

static int print_fact(struct work *work, struct ms_json_value projection, const char *name) {
    struct ms_json_value value;
    struct ms_buf line;
    if (!ms_json_get(projection, name, &value))
        return 0;
    ms_buf_init(&line, TEXT_BYTES_MAX);
    int rc = ms_buf_printf(&line, "{\"%s\":%.*s}", name, (int)value.text.len,
                           (const char *)value.text.data);
    if (rc == 0)
        rc = ms_output_object(&work->output, ms_buf_bytes(&line), NULL);
    ms_buf_deinit(&line);
    return rc;
}

/* The projection that the server has answered with. */
static int print_projection(struct work *work, struct ms_json_value projection) {
    if (work->output.json)
        return ms_output_object(&work->output, projection.text, NULL);
    int rc = print_fact(work, projection, "projection");
    if (rc == 0)
        rc = print_fact(work, projection, "paused");
    if (rc == 0)
        rc = ms_projection_add_rows(&work->rows, projection);
    if (rc == 0 && fputc('\n', work->output.file) == EOF)
        rc = MS_EIO;
    return rc == 0 ? ms_projection_print_rows(&work->output, &work->rows, version_columns,
                                              COUNT(version_columns))
                   : rc;
}

static int show(struct work *work) {
    struct ms_json_value projection;
    int rc = ask(work, "GET", NULL, (struct ms_bytes){0}, &projection);
    return rc == 0 ? print_projection(work, projection) : rc;
}

int ms_cmd_projection_show(struct ms_invocation *invocation) { return run(invocation, show); }

/* ---- what changes it ---- */

/* What came of a retry or skip, above the projection. */
static int print_tried(struct work *work, struct ms_json_value projection) {
    struct ms_json_value tried, version, applied;
    if (work->output.json || !ms_json_get(projection, "tried", &tried) ||
        !ms_json_get(tried, "version", &version) || !ms_json_get(tried, "applied", &applied))
        return 0;
    bool one = ms_bytes_equal_cstr(applied.text, "1");
    int written = fprintf(work->output.file, "version %.*s has applied %.*s event%s\n\n",
                          (int)version.text.len, (const char *)version.text.data,
                          (int)applied.text.len, (const char *)applied.text.data, one ? "" : "s");
    return written < 0 ? MS_EIO : 0;
}

static int change(struct work *work, const char *verb, struct ms_bytes body) {
    struct ms_json_value projection;
    int rc = ask(work, "POST", verb, body, &projection);
    if (rc == 0)
        rc = print_tried(work, projection);
    return rc == 0 ? print_projection(work, projection) : rc;
}

static int pause_it(struct work *work) { return change(work, "pause", ms_bytes_cstr("{}")); }
static int resume(struct work *work) {
    work->allow_incomplete = ms_option_given(work->invocation, "allow-incomplete");
    return change(work, "resume", ms_bytes_cstr("{}"));
}

int ms_cmd_projection_pause(struct ms_invocation *invocation) { return run(invocation, pause_it); }
int ms_cmd_projection_resume(struct ms_invocation *invocation) { return run(invocation, resume); }

static int switch_it(struct work *work) {
    char body[96];
    uint64_t version = 0;
    int rc = ms_option_u64(work->invocation, "version", 1, UINT32_MAX, &version, work->err);
    if (rc != 0)
        return rc;
    int len =
        snprintf(body, sizeof body, "{\"version\":%llu,\"force\":%s}", (unsigned long long)version,
                 ms_option_given(work->invocation, "force") ? "true" : "false");
    return change(work, "switch", ms_bytes_of(body, (size_t)len));
}

static int retry(struct work *work) {
    const char *stream = ms_option_text(work->invocation, "stream");
    struct ms_buf body;
    if (!stream)
        return change(work, "retry", ms_bytes_cstr("{}"));
    ms_buf_init(&body, BODY_BYTES_MAX);
    int rc = ms_buf_append_cstr(&body, "{\"stream\":");
    if (rc == 0)
        rc = ms_json_write_string(&body, ms_bytes_cstr(stream));
    if (rc == 0)
        rc = ms_buf_append_u8(&body, '}');
    rc = rc == 0 ? change(work, "retry", ms_buf_bytes(&body))
                 : ms_error_set(work->err, rc, "the stream's name is too long");
    ms_buf_deinit(&body);
    return rc;
}

static int skip(struct work *work) {
    char body[64];
    uint64_t position = 0;
    int rc = ms_option_u64(work->invocation, "position", 0, INT64_MAX, &position, work->err);
    if (rc != 0)
        return rc;
    int len = snprintf(body, sizeof body, "{\"position\":%llu}", (unsigned long long)position);
    return change(work, "skip", ms_bytes_of(body, (size_t)len));
}

int ms_cmd_projection_retry(struct ms_invocation *invocation) { return run(invocation, retry); }

/* What is wrong with a number is the command line's. */
int ms_cmd_projection_switch(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    uint64_t version;
    if (ms_option_u64(invocation, "version", 1, UINT32_MAX, &version, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    return run(invocation, switch_it);
}

int ms_cmd_projection_skip(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    uint64_t position;
    if (!ms_option_given(invocation, "position"))
        return ms_usage(invocation,
                        "say --position of which event; `mainstem projection errors` tells it");
    if (ms_option_u64(invocation, "position", 0, INT64_MAX, &position, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    return run(invocation, skip);
}

static int drop(struct work *work) {
    struct ms_target_projection request = {.method = "DELETE", .name = name_of(work)};
    int rc = ms_target_projection(work->target, &request, NULL, work->err);
    if (rc == 0 && !work->output.json)
        fprintf(work->output.file, "%s was dropped with its tables\n", work->invocation->args[0]);
    return rc;
}

int ms_cmd_projection_drop(struct ms_invocation *invocation) {
    if (!ms_option_given(invocation, "yes"))
        return ms_usage(invocation, "this drops the projection with all its tables: say --yes");
    return run(invocation, drop);
}

/* ---- errors ---- */

static const struct ms_output_column stopped_columns[] = {
    {"version", "VERSION", true, NULL}, {"role", "ROLE", false, NULL},
    {"state", "STATE", false, NULL},    {"position", "POSITION", true, NULL},
    {"error", "ERROR", false, NULL},
};
static const struct ms_output_column parked_columns[] = {
    {"version", "VERSION", true, NULL}, {"position", "POSITION", true, NULL},
    {"stream", "STREAM", false, NULL},  {"event_type", "TYPE", false, NULL},
    {"event_id", "EVENT", false, NULL}, {"parked_at", "PARKED", false, NULL},
    {"error", "ERROR", false, NULL},
};

static int print_table(struct work *work, struct ms_json_value rows,
                       const struct ms_output_column *columns, size_t column_count, bool *any) {
    struct ms_json_value row;
    size_t at = 0;
    if (!ms_json_next_element(rows, &at, &row))
        return 0;
    if (*any && fputc('\n', work->output.file) == EOF)
        return MS_EIO;
    *any = true;
    return ms_output_table(&work->output, rows, columns, column_count);
}

static int errors(struct work *work) {
    struct ms_json_value answer, stopped, parked;
    bool any = false;
    int rc = ask(work, "GET", "errors", (struct ms_bytes){0}, &answer);
    if (rc == 0)
        rc = ms_projection_array(answer, "stopped", &stopped, work->err);
    if (rc == 0)
        rc = ms_projection_array(answer, "parked", &parked, work->err);
    if (rc != 0)
        return rc;
    if (work->output.json)
        return ms_output_object(&work->output, answer.text, NULL);
    rc = print_table(work, stopped, stopped_columns, COUNT(stopped_columns), &any);
    if (rc == 0)
        rc = print_table(work, parked, parked_columns, COUNT(parked_columns), &any);
    if (rc == 0 && !any)
        fprintf(work->output.file, "%s has no errors\n", work->invocation->args[0]);
    return rc;
}

int ms_cmd_projection_errors(struct ms_invocation *invocation) { return run(invocation, errors); }
