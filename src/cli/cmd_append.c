/*
 * `mainstem append STREAM TYPE [DATA]`: one event under a condition.
 *
 * The event's id is made here when none is given, and shown when the outcome is not known, so that
 * sending again is always possible.
 */
#include "base/time.h"
#include "cli/line_reader.h"
#include "cli/output.h"
#include "cli/target.h"
#include "wire/base64.h"
#include "wire/event_json.h"

#define EVENT_TEXT_MAX ((size_t)256 << 20)
#define DATA_DEPTH_MAX 1024
#define NAME_ARENA_MAX ((size_t)1 << 20)

/* Adds ,"name":"value" for an option that was given. */
static int add_option(struct ms_invocation *invocation, const char *option, const char *name,
                      struct ms_buf *out) {
    const char *value = ms_option_text(invocation, option);
    if (!value)
        return 0;
    int rc = ms_buf_printf(out, ",\"%s\":", name);
    return rc == 0 ? ms_json_write_string(out, ms_bytes_cstr(value)) : rc;
}

static int add_tags(struct ms_invocation *invocation, struct ms_buf *out) {
    struct ms_bytes *tags;
    size_t count;
    int rc = ms_option_list(invocation, "tag", &tags, &count);
    if (rc != 0 || count == 0)
        return rc;
    rc = ms_buf_append_cstr(out, ",\"tags\":[");
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = i ? ms_buf_append_u8(out, ',') : 0;
        if (rc == 0)
            rc = ms_json_write_string(out, tags[i]);
    }
    return rc == 0 ? ms_buf_append_u8(out, ']') : rc;
}

static int add_metadata(struct ms_invocation *invocation, struct ms_buf *out,
                        struct ms_error *err) {
    const char *text = ms_option_text(invocation, "metadata");
    if (!text)
        return 0;
    struct ms_json_value value;
    int rc = ms_json_parse(ms_bytes_cstr(text), DATA_DEPTH_MAX, &value, err);
    if (rc == 0 && value.type != MS_JSON_OBJECT)
        rc = ms_error_set(err, MS_EINVAL, "a JSON object was expected");
    if (rc != 0) {
        ms_error_prefix(err, "--metadata");
        return rc;
    }
    rc = ms_buf_append_cstr(out, ",\"metadata\":");
    return rc == 0 ? ms_buf_append_bytes(out, value.text) : rc;
}

static int add_binary(struct ms_buf *out, struct ms_bytes data) {
    int rc = ms_buf_append_cstr(out, ",\"data_base64\":\"");
    if (rc == 0)
        rc = ms_base64_write(out, data);
    return rc == 0 ? ms_buf_append_u8(out, '"') : rc;
}

/* JSON data is embedded as it is; data of another content type travels as base64. */
static int add_data(struct ms_invocation *invocation, struct ms_bytes data, struct ms_buf *out,
                    struct ms_error *err) {
    const char *content_type = ms_option_text(invocation, "content-type");
    if (content_type && !ms_content_type_is_json(ms_bytes_cstr(content_type)))
        return add_binary(out, data);
    struct ms_json_value value;
    int rc = ms_json_parse(data, DATA_DEPTH_MAX, &value, err);
    if (rc != 0) {
        ms_error_prefix(err, "the data is not JSON (say --content-type for other data)");
        return rc;
    }
    rc = ms_buf_append_cstr(out, ",\"data\":");
    return rc == 0 ? ms_buf_append_bytes(out, value.text) : rc;
}

/* From the argument, a file or standard input; absent when there is none. */
static int get_data(struct ms_invocation *invocation, struct ms_buf *file,
                    struct ms_bytes *ret_data, struct ms_error *err) {
    const char *path = ms_option_text(invocation, "file");
    *ret_data = ms_bytes_of(NULL, 0);
    if (path && invocation->arg_count > 2)
        return ms_error_set(err, MS_EINVAL,
                            "give the data as an argument or with --file, not both");
    if (invocation->arg_count > 2)
        *ret_data = ms_bytes_cstr(invocation->args[2]);
    if (!path)
        return 0;
    int rc = ms_read_input(path, invocation->cli->in, file, err);
    if (rc == 0)
        *ret_data = file->len ? ms_buf_bytes(file) : ms_bytes_cstr("");
    return rc;
}

static int check_time(const char *time, struct ms_error *err) {
    int64_t us;
    if (!time || ms_time_parse(ms_bytes_cstr(time), &us) == 0)
        return 0;
    return ms_error_set(err, MS_EINVAL,
                        "--time: a time such as 2026-11-23T10:52:54Z was expected, not \"%.64s\"",
                        time);
}

static int make_event(struct ms_invocation *invocation, const char *id, struct ms_bytes data,
                      struct ms_buf *out, struct ms_error *err) {
    static const char *const options[][2] = {{"correlation-id", "correlation_id"},
                                             {"causation-id", "causation_id"},
                                             {"time", "timestamp"},
                                             {"source", "source"},
                                             {"content-type", "content_type"}};
    int rc = ms_buf_append_cstr(out, "{\"event_id\":");
    if (rc == 0)
        rc = ms_json_write_string(out, ms_bytes_cstr(id));
    if (rc == 0)
        rc = ms_buf_append_cstr(out, ",\"event_type\":");
    if (rc == 0)
        rc = ms_json_write_string(out, ms_bytes_cstr(invocation->args[1]));
    for (size_t i = 0; i < sizeof options / sizeof options[0] && rc == 0; i++)
        rc = add_option(invocation, options[i][0], options[i][1], out);
    if (rc == 0)
        rc = check_time(ms_option_text(invocation, "time"), err);
    if (rc == 0)
        rc = add_tags(invocation, out);
    if (rc == 0)
        rc = add_metadata(invocation, out, err);
    if (rc == 0 && data.data)
        rc = add_data(invocation, data, out, err);
    return rc == 0 ? ms_buf_append_u8(out, '}') : rc;
}

static int print_json(struct ms_invocation *invocation, struct ms_bytes stream, const char *id,
                      const struct ms_target_append_result *result) {
    struct ms_buf line;
    ms_buf_init(&line, EVENT_TEXT_MAX);
    int rc = ms_buf_append_cstr(&line, "{\"stream\":");
    if (rc == 0)
        rc = ms_json_write_string(&line, stream);
    if (rc == 0)
        rc = ms_buf_printf(&line,
                           ",\"version\":%lld,\"position\":%llu,\"repeated\":%s,\"event_id\":",
                           (long long)result->version, (unsigned long long)result->position,
                           result->repeated ? "true" : "false");
    if (rc == 0)
        rc = ms_json_write_string(&line, ms_bytes_cstr(id));
    if (rc == 0)
        fprintf(invocation->cli->out, "%.*s}\n", (int)line.len, (const char *)line.data);
    ms_buf_deinit(&line);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, NULL);
}

static int print_result(struct ms_invocation *invocation, const char *id,
                        const struct ms_target_append_result *result) {
    struct ms_arena arena;
    ms_arena_init(&arena, NAME_ARENA_MAX);
    struct ms_bytes stream = ms_shown_stream(invocation->args[0], &arena);
    int status = MS_EXIT_OK;
    if (ms_wants_json(invocation))
        status = print_json(invocation, stream, id, result);
    else
        fprintf(invocation->cli->out, "%.*s@%lld  position %llu%s\n", (int)stream.len,
                (const char *)stream.data, (long long)result->version,
                (unsigned long long)result->position,
                result->repeated ? "  (it was there already)" : "");
    ms_arena_deinit(&arena);
    return status;
}

static int append_event(struct ms_invocation *invocation, struct ms_condition condition,
                        const char *id, struct ms_bytes event) {
    struct ms_error error = {0};
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_WRITES, &target, &error);
    if (rc != 0)
        return ms_cli_fail(invocation->cli, rc, &error);
    struct ms_target_part part = {.stream = ms_bytes_cstr(invocation->args[0]),
                                  .condition = condition,
                                  .events = &event,
                                  .count = 1};
    struct ms_target_append append = {.parts = &part, .part_count = 1};
    struct ms_target_append_result result;
    rc = ms_target_append(target, &append, &result, &error);
    ms_target_free(target);
    if (rc == 0)
        return print_result(invocation, id, &result);
    int status = ms_cli_fail(invocation->cli, rc, &error);
    if (status == MS_EXIT_UNKNOWN)
        fprintf(invocation->cli->err, "Send it again with --id %s: it will not be there twice.\n",
                id);
    return status;
}

int ms_cmd_append(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_condition condition = {.kind = MS_EXPECT_ANY};
    const char *expect = ms_option_text(invocation, "expect");
    if (expect && ms_condition_parse(expect, &condition, &error) != 0)
        return ms_usage(invocation, "%s", error.message);

    char made_id[MS_UUID_TEXT_LEN + 1];
    const char *id = ms_option_text(invocation, "id");
    if (!id) {
        struct ms_uuid uuid;
        ms_env_uuid_v7(invocation->cli->env, &uuid);
        ms_uuid_format(&uuid, made_id);
        id = made_id;
    }
    struct ms_buf file, event;
    ms_buf_init(&file, EVENT_TEXT_MAX);
    ms_buf_init(&event, EVENT_TEXT_MAX);
    struct ms_bytes data;
    int status;
    int rc = get_data(invocation, &file, &data, &error);
    if (rc == 0)
        rc = make_event(invocation, id, data, &event, &error);
    if (rc == MS_EINVAL)
        status = ms_usage(invocation, "%s", error.message);
    else if (rc != 0)
        status = ms_cli_fail(invocation->cli, rc, &error);
    else
        status = append_event(invocation, condition, id, ms_buf_bytes(&event));
    ms_buf_deinit(&file);
    ms_buf_deinit(&event);
    return status;
}
