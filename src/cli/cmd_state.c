/* `mainstem state`: what the events of one stream add up to, now or at a point of the past. */
#include "base/time.h"
#include "cli/app_files.h"
#include "cli/target.h"
#include "domain/replay.h"
#include "wire/http1.h"
#include "wire/json.h"

#define STATE_BYTES_MAX ((size_t)64 << 20)

struct folding {
    struct ms_replay *replay;
    struct ms_error *err;
};

static int fold_event(void *context, struct ms_bytes event) {
    struct folding *folding = context;
    return ms_replay_event(folding->replay, event, folding->err);
}

static int check_travel(const struct ms_invocation *invocation, struct ms_error *err) {
    const char *at = ms_option_text(invocation, "at");
    const char *known_at = ms_option_text(invocation, "known-at");
    uint64_t position;
    int64_t us;
    if (at != NULL && known_at != NULL)
        return ms_error_set(err, MS_EINVAL, "give --at or --known-at, not both");
    if (at != NULL && ms_parse_u64(ms_bytes_cstr(at), &position) != 0 &&
        ms_time_parse(ms_bytes_cstr(at), &us) != 0)
        return ms_error_set(err, MS_EINVAL,
                            "--at: a time such as 2026-11-23T10:52:54Z or a position was expected, "
                            "not \"%.64s\"",
                            at);
    if (known_at != NULL && ms_time_parse(ms_bytes_cstr(known_at), &us) != 0)
        return ms_error_set(err, MS_EINVAL,
                            "--known-at: a time such as 2026-11-23T10:52:54Z was expected, not "
                            "\"%.64s\"",
                            known_at);
    return 0;
}

static int read_stream(struct ms_invocation *invocation, struct ms_replay *replay,
                       struct ms_error *err) {
    struct ms_target_read read = {.stream = invocation->args[0],
                                  .limit = UINT64_MAX,
                                  .as_of = ms_option_text(invocation, "at"),
                                  .known_at = ms_option_text(invocation, "known-at")};
    struct folding folding = {replay, err};
    struct ms_target *target;
    int code = ms_target_open(invocation, MS_TARGET_READS, &target, err);
    if (code != 0)
        return code;
    code = ms_target_read(target, &read, fold_event, &folding, err);
    ms_target_free(target);
    return code;
}

static int print_state(struct ms_invocation *invocation, struct ms_replay *replay,
                       struct ms_error *err) {
    struct ms_buf out;
    int64_t version;
    ms_buf_init(&out, STATE_BYTES_MAX);
    int code = ms_buf_append_cstr(&out, "{\"stream\":");
    if (code == 0)
        code = ms_json_write_string(&out, ms_bytes_cstr(invocation->args[0]));
    if (code == 0)
        code = ms_buf_append_cstr(&out, ",\"state\":");
    if (code == 0)
        code = ms_replay_state(replay, &out, &version, err);
    if (code == 0)
        fprintf(invocation->cli->out, "%.*s,\"version\":%lld}\n", (int)out.len,
                (const char *)out.data, (long long)version);
    ms_buf_deinit(&out);
    return code;
}

static int run(struct ms_invocation *invocation, struct ms_replay_options *options,
               struct ms_error *err) {
    struct ms_replay *replay;
    int code = ms_replay_new(options, &replay, err);
    if (code != 0)
        return code;
    code = read_stream(invocation, replay, err);
    if (code == 0)
        code = print_state(invocation, replay, err);
    ms_replay_free(replay);
    return code;
}

/* The instance: what stands behind the topic's '-'. */
static int find_key(struct ms_invocation *invocation, struct ms_bytes *ret_key) {
    const char *dash = strchr(invocation->args[0], '-');
    struct ms_bytes text = ms_bytes_cstr(dash != NULL ? dash + 1 : invocation->args[0]);
    return ms_percent_decode_bytes(text, &invocation->arena, ret_key);
}

int ms_cmd_state(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    const char *dir = ms_option_text(invocation, "app");
    uint8_t room[MS_STREAM_TOPIC_MAX];
    struct ms_error err = {0};
    struct ms_replay_options options = {
        .clock = cli->env->clock,
        .aggregate = ms_store_stream_topic(ms_bytes_cstr(invocation->args[0]), room),
    };
    struct ms_module_file *files;
    struct ms_app *app = NULL;
    int code = check_travel(invocation, &err);
    if (code != 0)
        return ms_usage(invocation, "%s", err.message);
    code = find_key(invocation, &options.key);
    if (code == 0 && dir != NULL)
        code = ms_app_read(cli->env->vfs, dir, &app, &err);
    if (code == 0 && app != NULL) {
        code = ms_app_module_files(invocation, dir, app, &files, &options.count);
        options.files = files;
    }
    if (code == 0)
        code = run(invocation, &options, &err);
    ms_app_free(app);
    return code == 0 ? MS_EXIT_OK : ms_cli_fail(cli, code, &err);
}
