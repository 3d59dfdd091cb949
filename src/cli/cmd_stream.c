/* `mainstem stream show|delete|metadata`. */
#include "cli/output.h"
#include "cli/target.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define NAME_ARENA_MAX ((size_t)1 << 20)

static struct ms_bytes stream_of(const struct ms_invocation *invocation) {
    return ms_bytes_cstr(invocation->args[0]);
}

/* ---- show ---- */

static int keep_event(void *context, struct ms_bytes event) {
    struct ms_buf *kept = context;
    ms_buf_clear(kept);
    int rc = ms_buf_append_bytes(kept, event);
    return rc == 0 ? 1 : rc;
}

/* The first or the last readable event. MS_ENOTFOUND when there is none. */
static int read_one(struct ms_target *target, const char *stream, bool last, struct ms_buf *out,
                    struct ms_error *err) {
    struct ms_target_read read = {.stream = stream, .backward = last, .limit = 1};
    int rc = ms_target_read(target, &read, keep_event, out, err);
    if (rc == 0 && out->len == 0)
        return ms_error_set(err, MS_ENOTFOUND, "the stream %s has no readable events", stream);
    return rc;
}

/* Appends ,"name":<member of the event>, when it has it. */
static int add_member(struct ms_buf *out, const char *name, struct ms_bytes event,
                      const char *member) {
    struct ms_json_value object, value;
    if (ms_json_parse(event, MS_JSON_DEPTH_LIMIT, &object, NULL) != 0 ||
        object.type != MS_JSON_OBJECT || !ms_json_get(object, member, &value))
        return 0;
    int rc = ms_buf_printf(out, ",\"%s\":", name);
    return rc == 0 ? ms_buf_append_bytes(out, value.text) : rc;
}

static int describe(struct ms_bytes stream, struct ms_bytes first, struct ms_bytes last,
                    struct ms_bytes metadata, struct ms_buf *out) {
    const struct {
        const char *name;
        struct ms_bytes event;
        const char *member;
    } members[] = {
        {"topic", last, "topic"},
        {"partition", last, "partition"},
        {"first_version", first, "version"},
        {"version", last, "version"},
        {"first_timestamp", first, "timestamp"},
        {"timestamp", last, "timestamp"},
        {"event_type", last, "event_type"},
        {"position", last, "position"},
    };
    int rc = ms_buf_append_cstr(out, "{\"stream\":");
    if (rc == 0)
        rc = ms_json_write_string(out, stream);
    for (size_t i = 0; i < sizeof members / sizeof members[0] && rc == 0; i++)
        rc = add_member(out, members[i].name, members[i].event, members[i].member);
    if (rc == 0 && metadata.len > 0) {
        rc = ms_buf_append_cstr(out, ",\"metadata\":");
        if (rc == 0)
            rc = ms_buf_append_bytes(out, metadata);
    }
    return rc == 0 ? ms_buf_append_u8(out, '}') : rc;
}

static int show(struct ms_invocation *invocation, struct ms_target *target, struct ms_error *err) {
    struct ms_buf first, last, metadata, text;
    ms_buf_init(&first, TEXT_BYTES_MAX);
    ms_buf_init(&last, TEXT_BYTES_MAX);
    ms_buf_init(&metadata, TEXT_BYTES_MAX);
    ms_buf_init(&text, TEXT_BYTES_MAX);
    int rc = read_one(target, invocation->args[0], true, &last, err);
    if (rc == 0)
        rc = read_one(target, invocation->args[0], false, &first, err);
    if (rc == 0) {
        rc = ms_target_get_metadata(target, stream_of(invocation), &metadata, err);
        rc = rc == MS_ENOTFOUND ? 0 : rc;
    }
    struct ms_arena arena;
    ms_arena_init(&arena, NAME_ARENA_MAX);
    if (rc == 0)
        rc = describe(ms_shown_stream(invocation->args[0], &arena), ms_buf_bytes(&first),
                      ms_buf_bytes(&last), ms_buf_bytes(&metadata), &text);
    ms_arena_deinit(&arena);
    if (rc == 0) {
        struct ms_output output;
        ms_output_init(&output, invocation);
        rc = ms_output_object(&output, ms_buf_bytes(&text), NULL);
        ms_output_deinit(&output);
    }
    ms_buf_deinit(&first);
    ms_buf_deinit(&last);
    ms_buf_deinit(&metadata);
    ms_buf_deinit(&text);
    return rc;
}

int ms_cmd_stream_show(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_READS, &target, &error);
    if (rc == 0) {
        rc = show(invocation, target, &error);
        ms_target_free(target);
    }
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}

/* ---- delete ---- */

int ms_cmd_stream_delete(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_condition condition = {.kind = MS_EXPECT_EXISTS};
    const char *expect = ms_option_text(invocation, "expect");
    if (expect && ms_condition_parse(expect, &condition, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    bool tombstone = ms_option_given(invocation, "tombstone");
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_WRITES, &target, &error);
    if (rc == 0) {
        rc = ms_target_delete_stream(target, stream_of(invocation), condition, tombstone, &error);
        ms_target_free(target);
    }
    if (rc != 0)
        return ms_cli_fail(invocation->cli, rc, &error);
    if (ms_wants_json(invocation))
        return MS_EXIT_OK;
    struct ms_arena arena;
    ms_arena_init(&arena, NAME_ARENA_MAX);
    struct ms_bytes stream = ms_shown_stream(invocation->args[0], &arena);
    fprintf(invocation->cli->out, "%.*s was deleted%s\n", (int)stream.len,
            (const char *)stream.data, tombstone ? " for ever" : "; an append reopens it");
    ms_arena_deinit(&arena);
    return MS_EXIT_OK;
}

/* ---- metadata ---- */

static int print_metadata(struct ms_invocation *invocation, struct ms_target *target,
                          struct ms_error *err) {
    struct ms_buf text;
    ms_buf_init(&text, TEXT_BYTES_MAX);
    int rc = ms_target_get_metadata(target, stream_of(invocation), &text, err);
    if (rc == 0) {
        struct ms_output output;
        ms_output_init(&output, invocation);
        rc = ms_output_object(&output, ms_buf_bytes(&text), NULL);
        ms_output_deinit(&output);
    }
    ms_buf_deinit(&text);
    return rc;
}

int ms_cmd_stream_metadata(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_condition condition = {.kind = MS_EXPECT_ANY};
    const char *expect = ms_option_text(invocation, "expect");
    bool replaces = invocation->arg_count > 1;
    if (expect && !replaces)
        return ms_usage(invocation, "--expect is for replacing the metadata: give the new JSON");
    if (expect && ms_condition_parse(expect, &condition, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    struct ms_target *target;
    int rc =
        ms_target_open(invocation, replaces ? MS_TARGET_WRITES : MS_TARGET_READS, &target, &error);
    if (rc == 0) {
        rc = replaces ? ms_target_put_metadata(target, stream_of(invocation), condition,
                                               ms_bytes_cstr(invocation->args[1]), &error)
                      : print_metadata(invocation, target, &error);
        ms_target_free(target);
    }
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}
