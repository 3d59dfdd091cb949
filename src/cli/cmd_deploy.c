/*
 * `mainstem projection deploy` and `rebuild`: a version that fills beside the one that answers, and
 * waiting until it has taken over.
 *
 * All files are read and looked at before the first is sent. The server calls the file by the
 * projection's name; its messages are told with the path that was typed.
 */
#include "cli/line_reader.h"
#include "cli/projection_answer.h"
#include "projection/definition.h"
#include "projection/limits.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define FILE_BYTES_MAX (2 * MS_PROJECTION_FILE_BYTES_MAX)
#define POLL_US_MIN 5000
#define POLL_US_MAX 200000

struct deployment {
    const char *path;              /* NULL: a rebuild */
    struct ms_bytes name, content; /* in the invocation's arena */
    uint64_t version;
    bool unchanged;
};

struct deploying {
    struct ms_invocation *invocation;
    struct ms_target *target;
    struct ms_output output;
    struct ms_buf text; /* the server's answer */
    struct ms_error *err;
};

/* ---- messages ---- */

static bool is_name_byte(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* "orders.sql:7:11: no such column" as "sql/my-orders.sql:7:11: no such column". */
static void tell_path(struct ms_error *err, const struct deployment *deployment) {
    char shown[MS_ERROR_TEXT_MAX], called[MS_PROJECTION_NAME_MAX + 8];
    if (!deployment->path || err->code == 0)
        return;
    snprintf(called, sizeof called, "%.*s.sql:", (int)deployment->name.len,
             (const char *)deployment->name.data);
    size_t len = 0;
    const char *from = err->message, *found = from;
    while (len < sizeof shown && (found = strstr(found, called)) != NULL) {
        bool whole = found == err->message || !is_name_byte((uint8_t)found[-1]);
        int before = (int)(found - from);
        found += strlen(called);
        if (!whole)
            continue;
        len += (size_t)snprintf(shown + len, sizeof shown - len, "%.*s%s:", before, from,
                                deployment->path);
        from = found;
    }
    if (len < sizeof shown)
        snprintf(shown + len, sizeof shown - len, "%s", from);
    ms_error_set(err, err->code, "%s", shown);
}

/* ---- reading the files ---- */

static int copy(struct ms_invocation *invocation, struct ms_bytes from, struct ms_bytes *ret_copy) {
    uint8_t *to = ms_arena_alloc(&invocation->arena, from.len + 1);
    if (!to)
        return MS_ENOMEM;
    if (from.len > 0)
        memcpy(to, from.data, from.len);
    *ret_copy = ms_bytes_of(to, from.len);
    return 0;
}

static int look_at(struct deploying *deploying, const struct ms_buf *file,
                   struct deployment *deployment) {
    struct ms_projection_definition *definition;
    int rc = ms_projection_parse(deployment->path, ms_buf_bytes(file), NULL, &definition,
                                 deploying->err);
    if (rc != 0)
        return rc;
    rc = copy(deploying->invocation, definition->name, &deployment->name);
    if (rc == 0)
        rc = copy(deploying->invocation, ms_buf_bytes(file), &deployment->content);
    ms_projection_definition_free(definition);
    return rc;
}

static int read_file(struct deploying *deploying, const char *path,
                     struct deployment *ret_deployment) {
    struct ms_buf file;
    struct deployment deployment = {.path = strcmp(path, "-") == 0 ? "standard input" : path};
    ms_buf_init(&file, FILE_BYTES_MAX);
    int rc = ms_read_input(path, deploying->invocation->cli->in, &file, deploying->err);
    if (rc == 0)
        rc = look_at(deploying, &file, &deployment);
    ms_buf_deinit(&file);
    if (rc == 0)
        *ret_deployment = deployment;
    return rc;
}

/* ---- waiting ---- */

static int find_version(struct ms_json_value projection, uint64_t number,
                        struct ms_projection_state *ret_state, struct ms_error *err) {
    struct ms_json_value versions, version;
    int rc = ms_projection_array(projection, "versions", &versions, err);
    if (rc != 0)
        return rc;
    for (size_t at = 0; ms_json_next_element(versions, &at, &version);) {
        rc = ms_projection_read_state(version, ret_state, err);
        if (rc != 0 || ret_state->version == number)
            return rc;
    }
    return ms_error_set(err, MS_ENOTFOUND,
                        "version %llu is gone: a newer one was deployed, or the projection was "
                        "dropped",
                        (unsigned long long)number);
}

static bool is(struct ms_bytes text, const char *word) { return ms_bytes_equal_cstr(text, word); }

/* Why it will not take over by itself; 0: it goes on. */
static int why_not(struct deploying *deploying, const struct deployment *deployment,
                   const struct ms_projection_state *state) {
    struct ms_bytes why = ms_bytes_cstr("");
    bool ended =
        is(state->state, "stopped") || is(state->state, "failed") || is(state->state, "incomplete");
    if (is(state->state, "paused"))
        return ms_error_set(deploying->err, MS_EAGAIN,
                            "version %llu of %.*s waits: the projection is paused",
                            (unsigned long long)state->version, (int)deployment->name.len,
                            (const char *)deployment->name.data);
    if (!ended)
        return 0;
    if (state->error.type == MS_JSON_STRING &&
        ms_json_string(state->error, &deploying->invocation->arena, &why) != 0)
        return MS_ENOMEM;
    if (state->error_position == 0)
        return ms_error_set(deploying->err, MS_EINVAL, "version %llu of %.*s %.*s: %.*s",
                            (unsigned long long)state->version, (int)deployment->name.len,
                            (const char *)deployment->name.data, (int)state->state.len,
                            (const char *)state->state.data, (int)why.len, (const char *)why.data);
    return ms_error_set(deploying->err, MS_EINVAL,
                        "version %llu of %.*s stopped at the event at position %llu: %.*s",
                        (unsigned long long)state->version, (int)deployment->name.len,
                        (const char *)deployment->name.data,
                        (unsigned long long)state->error_position, (int)why.len,
                        (const char *)why.data);
}

/* Until it has taken over, or never will. */
static int wait_for(struct deploying *deploying, const struct deployment *deployment,
                    struct ms_progress *progress) {
    struct ms_target_projection request = {.method = "GET", .name = deployment->name};
    int64_t pause_us = POLL_US_MIN;
    for (;;) {
        struct ms_json_value projection;
        struct ms_projection_state state = {0};
        int rc = ms_projection_ask(deploying->target, &request, &deploying->text, &projection,
                                   deploying->err);
        if (rc == 0)
            rc = find_version(projection, deployment->version, &state, deploying->err);
        if (rc == 0)
            rc = why_not(deploying, deployment, &state);
        if (rc != 0 || !is(state.role, "candidate"))
            return rc;
        ms_progress_positions(progress, state.position, state.end, state.rate);
        ms_clock_sleep_us(deploying->invocation->cli->env->clock, pause_us);
        pause_us = pause_us * 2 < POLL_US_MAX ? pause_us * 2 : POLL_US_MAX;
    }
}

static int print_done(struct deploying *deploying, const struct deployment *deployment,
                      bool waited) {
    FILE *out = deploying->output.file;
    struct ms_bytes name = deployment->name;
    if (deploying->output.json)
        fprintf(out, "{\"projection\":\"%.*s\",\"version\":%llu,\"unchanged\":%s}\n", (int)name.len,
                (const char *)name.data, (unsigned long long)deployment->version,
                deployment->unchanged ? "true" : "false");
    else
        fprintf(out, "%.*s: version %llu %s%s\n", (int)name.len, (const char *)name.data,
                (unsigned long long)deployment->version,
                deployment->unchanged ? "was there already"
                : waited              ? "answers now"
                                      : "is filled",
                waited || deployment->unchanged ? "" : " beside the one that answers");
    return fflush(out) == 0 ? 0 : ms_error_set(deploying->err, MS_EIO, "the output is closed");
}

static int finish(struct deploying *deploying, const struct deployment *deployment) {
    bool waits = !ms_option_given(deploying->invocation, "no-wait");
    int rc = 0;
    if (waits) {
        struct ms_progress progress;
        ms_progress_begin(&progress, deploying->invocation->cli, "filling");
        rc = wait_for(deploying, deployment, &progress);
        ms_progress_end(&progress);
    }
    if (rc != 0)
        tell_path(deploying->err, deployment);
    return rc == 0 ? print_done(deploying, deployment, waits) : rc;
}

static bool allows_incomplete(const struct deploying *deploying) {
    return ms_option_given(deploying->invocation, "allow-incomplete");
}

/* ---- deploy ---- */

static int send(struct deploying *deploying, struct deployment *deployment) {
    struct ms_target_projection request = {.method = "PUT",
                                           .name = deployment->name,
                                           .body = deployment->content,
                                           .allow_incomplete = allows_incomplete(deploying)};
    struct ms_json_value answer, version, unchanged;
    int64_t number;
    int rc =
        ms_projection_ask(deploying->target, &request, &deploying->text, &answer, deploying->err);
    if (rc != 0) {
        tell_path(deploying->err, deployment);
        return rc;
    }
    if (!ms_json_get(answer, "version", &version) || ms_json_i64(version, &number) != 0 ||
        !ms_json_get(answer, "unchanged", &unchanged))
        return ms_error_set(deploying->err, MS_EIO, "the server's answer was not understood");
    deployment->version = (uint64_t)number;
    deployment->unchanged = unchanged.type == MS_JSON_TRUE;
    return 0;
}

static int deploy(struct deploying *deploying) {
    const struct ms_invocation *invocation = deploying->invocation;
    struct deployment deployments[MS_ARGS_MAX];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < invocation->arg_count; i++)
        rc = read_file(deploying, invocation->args[i], &deployments[i]);
    for (size_t i = 0; rc == 0 && i < invocation->arg_count; i++)
        rc = send(deploying, &deployments[i]);
    for (size_t i = 0; rc == 0 && i < invocation->arg_count; i++)
        rc = finish(deploying, &deployments[i]);
    return rc;
}

/* ---- rebuild ---- */

/* The newest version is the one that was just made. */
static int newest(struct ms_json_value projection, uint64_t *ret_version, struct ms_error *err) {
    struct ms_json_value versions, version;
    struct ms_projection_state state;
    int rc = ms_projection_array(projection, "versions", &versions, err);
    *ret_version = 0;
    for (size_t at = 0; rc == 0 && ms_json_next_element(versions, &at, &version);) {
        rc = ms_projection_read_state(version, &state, err);
        if (rc == 0 && state.version > *ret_version)
            *ret_version = state.version;
    }
    return rc;
}

static int rebuild(struct deploying *deploying) {
    struct deployment deployment = {.name = ms_bytes_cstr(deploying->invocation->args[0])};
    struct ms_target_projection request = {.method = "POST",
                                           .name = deployment.name,
                                           .verb = "rebuild",
                                           .body = ms_bytes_cstr("{}"),
                                           .allow_incomplete = allows_incomplete(deploying)};
    struct ms_json_value projection;
    int rc = ms_projection_ask(deploying->target, &request, &deploying->text, &projection,
                               deploying->err);
    if (rc == 0)
        rc = newest(projection, &deployment.version, deploying->err);
    return rc == 0 ? finish(deploying, &deployment) : rc;
}

/* ---- the commands ---- */

static int run(struct ms_invocation *invocation, int (*command)(struct deploying *deploying)) {
    struct ms_error error = {0};
    struct deploying deploying = {.invocation = invocation, .err = &error};
    int rc = ms_projection_server(invocation, &deploying.target, &error);
    if (rc == 0) {
        ms_output_init(&deploying.output, invocation);
        ms_buf_init(&deploying.text, TEXT_BYTES_MAX);
        rc = command(&deploying);
        ms_buf_deinit(&deploying.text);
        ms_output_deinit(&deploying.output);
        ms_target_free(deploying.target);
    }
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}

int ms_cmd_projection_deploy(struct ms_invocation *invocation) { return run(invocation, deploy); }
int ms_cmd_projection_rebuild(struct ms_invocation *invocation) { return run(invocation, rebuild); }
