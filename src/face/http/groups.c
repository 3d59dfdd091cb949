/*
 * Consumer groups.
 *
 *   GET    /v1/groups           {"groups":[{"group":"billing","state":"Stable",
 *                                "protocol_type":"consumer","protocol":"range","members":2,
 *                                "lag":12},…]}
 *   GET    /v1/groups/{group}   {"group":…,"state":…,"protocol_type":…,"protocol":…,
 *                                "generation":3,"members":[{"member_id":…,"instance_id":null,
 *                                "client_id":…,"host":…,"assigned":[…]},…],"lag":12,
 *                                "offsets":[{"topic":"order","partition":0,"offset":7,
 *                                "end_offset":19,"lag":12,"lag_seconds":4.211,"metadata":"",
 *                                "committed_at":…},…]}
 *   DELETE /v1/groups/{group}   204
 *
 * The first two are readers' jobs; how old the oldest unread events are is looked for in the log,
 * for at most LAG_READS_MAX partitions of an answer. A delete is answered when it is durable.
 */
#include "face/http/groups.h"

#include "base/time.h"
#include "face/http/answer.h"
#include "face/http/assignment.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/server.h"
#include "group/lag.h"
#include "wire/json.h"

#define LAG_READS_MAX 1000u
#define OFFSETS_BYTES_MAX ((size_t)256 << 20) /* of one group, while it is looked at */

/* ---- refusals ---- */

struct ms_groups *ms_http_groups(struct ms_http_request *request) {
    struct ms_groups *groups = request->loop->http->groups;
    if (groups == NULL) {
        ms_http_answer_refusal(request, 501, "this server keeps no consumer groups");
        ms_http_request_done(request);
    }
    return groups;
}

static int error_of(enum ms_group_code code) {
    switch (code) {
    case MS_GROUP_OK:
        return 0;
    case MS_GROUP_NOT_FOUND:
        return MS_ENOTFOUND;
    case MS_GROUP_LOADING:
    case MS_GROUP_NOT_AVAILABLE:
        return MS_EAGAIN;
    case MS_GROUP_INVALID_GROUP_ID:
    case MS_GROUP_INVALID_REQUEST:
    case MS_GROUP_OFFSET_METADATA_TOO_LARGE:
    case MS_GROUP_INVALID_SESSION_TIMEOUT:
    case MS_GROUP_MEMBER_ID_REQUIRED:
    case MS_GROUP_UNSUPPORTED_ASSIGNOR:
    case MS_GROUP_INVALID_PATTERN:
        return MS_EINVAL;
    case MS_GROUP_INVALID_COMMIT_SIZE:
        return MS_ETOOBIG;
    case MS_GROUP_POLICY_VIOLATION:
    case MS_GROUP_FULL:
        return MS_ELIMIT;
    case MS_GROUP_NON_EMPTY: /* and what a commit by nobody is told by a group that has members */
    case MS_GROUP_UNKNOWN_MEMBER:
    case MS_GROUP_ILLEGAL_GENERATION:
    case MS_GROUP_INCONSISTENT_PROTOCOL:
    case MS_GROUP_REBALANCING:
    case MS_GROUP_FENCED_INSTANCE:
    case MS_GROUP_SUBSCRIBED:
    case MS_GROUP_UNSTABLE_OFFSETS:
    case MS_GROUP_FENCED_EPOCH:
    case MS_GROUP_UNRELEASED_INSTANCE:
    case MS_GROUP_STALE_EPOCH:
        return MS_ENOTEMPTY;
    case MS_GROUP_UNKNOWN_SERVER_ERROR:
        break;
    }
    return MS_EIO;
}

static void refuse_members(struct ms_http_request *request) {
    struct ms_group_info info = {.state = MS_GROUP_DEAD};
    struct ms_error err;
    char members[128];
    struct ms_bytes group = request->captures[0];
    struct ms_http_problem problem = ms_http_problem_of_code(MS_ENOTEMPTY);
    enum ms_group_code code =
        ms_groups_describe(request->loop->http->groups, group, &request->arena, &info);
    const char *state = ms_group_state_name(info.state);
    if (code != MS_GROUP_OK) {
        ms_http_answer_error(request, MS_EAGAIN, NULL);
        return;
    }
    ms_error_set(&err, MS_ENOTEMPTY, "group '%.*s' is %s and has %zu member%s: stop them first",
                 (int)group.len, (const char *)group.data, state, info.member_count,
                 info.member_count == 1 ? "" : "s");
    snprintf(members, sizeof members, ",\"state\":\"%s\",\"members\":%zu", state,
             info.member_count);
    problem.detail = ms_bytes_cstr(err.message);
    problem.members = ms_bytes_cstr(members);
    ms_http_answer_problem(request, problem);
}

void ms_http_group_refuse(struct ms_http_request *request, enum ms_group_code code) {
    struct ms_error err = {0};
    struct ms_bytes group = request->captures[0];
    int rc = error_of(code);
    if (rc == MS_ENOTEMPTY) {
        refuse_members(request);
        return;
    }
    if (code == MS_GROUP_NOT_FOUND)
        ms_error_set(&err, rc, "there is no group '%.*s'", (int)group.len,
                     (const char *)group.data);
    else if (code == MS_GROUP_INVALID_GROUP_ID)
        ms_error_set(&err, rc, "a group's name has 1 to %u bytes", MS_GROUP_ID_BYTES_MAX);
    else if (code == MS_GROUP_POLICY_VIOLATION)
        ms_error_set(&err, rc, "there are as many groups or committed offsets as there may be");
    ms_http_answer_error(request, rc, &err);
}

/* `code` is of base/error.h; whatever was written before is replaced by the problem. */
static void finish(struct ms_http_request *request, int code, const struct ms_error *err) {
    if (code == 0)
        ms_http_answer(request, 200, "application/json");
    else
        ms_http_answer_error(request, code, err);
}

/* ---- list ---- */

/* A text, or null when it is empty. */
static int write_text(struct ms_buf *out, const char *name, struct ms_bytes text) {
    int code = ms_buf_printf(out, "\"%s\":", name);
    if (code == 0)
        code = text.len > 0 ? ms_json_write_string(out, text) : ms_buf_append_cstr(out, "null");
    return code;
}

static int write_head(struct ms_buf *out, const struct ms_group_info *info) {
    int code = ms_buf_append_cstr(out, "{\"group\":");
    if (code == 0)
        code = ms_json_write_string(out, info->group);
    if (code == 0)
        code = ms_buf_printf(out, ",\"state\":\"%s\",", ms_group_state_name(info->state));
    if (code == 0)
        code = write_text(out, "protocol_type", info->protocol_type);
    if (code == 0)
        code = ms_buf_append_u8(out, ',');
    return code == 0 ? write_text(out, "protocol", info->protocol_name) : code;
}

/* A group that went meanwhile has no lag. */
static int write_listed(struct ms_http_request *request, const struct ms_group_info *info,
                        struct ms_arena *scratch, enum ms_group_code *ret_code) {
    struct ms_http *http = request->loop->http;
    struct ms_buf *out = &request->answer.body;
    struct ms_group_lag *lags = NULL;
    size_t count = 0;
    ms_arena_reset(scratch);
    *ret_code = ms_group_lags(http->store, http->groups, info->group, scratch, &lags, &count);
    int code = *ret_code == MS_GROUP_OK ? write_head(out, info) : 0;
    if (code == 0)
        code = ms_buf_printf(out, ",\"members\":%zu,\"lag\":%lld}", info->member_count,
                             (long long)ms_group_lag_sum(lags, count));
    return code;
}

static void run_list_groups(struct ms_http_request *request) {
    struct ms_buf *out = &request->answer.body;
    struct ms_arena scratch;
    struct ms_group_info *infos = NULL;
    size_t count = 0;
    enum ms_group_code state =
        ms_groups_list(request->loop->http->groups, 0, 0, &request->arena, &infos, &count);
    int code = ms_buf_append_cstr(out, "{\"groups\":[");
    ms_arena_init(&scratch, OFFSETS_BYTES_MAX);
    for (size_t i = 0; code == 0 && state == MS_GROUP_OK && i < count; i++) {
        code = ms_buf_append_cstr(out, i > 0 ? ",\n" : "\n");
        if (code == 0)
            code = write_listed(request, &infos[i], &scratch, &state);
    }
    ms_arena_deinit(&scratch);
    if (code == 0)
        code = ms_buf_append_cstr(out, "\n]}\n");
    if (state != MS_GROUP_OK)
        ms_http_group_refuse(request, state);
    else
        finish(request, code, NULL);
}

/* ---- show ---- */

static int write_member(struct ms_buf *out, const struct ms_group_info *group,
                        const struct ms_group_member_info *member) {
    const struct {
        const char *name;
        struct ms_bytes text;
    } texts[] = {{"member_id", member->member_id},
                 {"instance_id", member->instance_id},
                 {"client_id", member->client_id},
                 {"host", member->client_host}};
    int code = ms_buf_append_u8(out, '{');
    for (size_t i = 0; code == 0 && i < sizeof texts / sizeof *texts; i++) {
        code = write_text(out, texts[i].name, texts[i].text);
        if (code == 0)
            code = ms_buf_append_u8(out, ',');
    }
    if (code == 0)
        code = ms_http_assignment_write(out, group->protocol_type, member->assignment);
    return code == 0 ? ms_buf_append_u8(out, '}') : code;
}

static int write_members(struct ms_buf *out, const struct ms_group_info *group) {
    int code = ms_buf_printf(out, ",\"generation\":%d,\"members\":[", (int)group->generation);
    for (size_t i = 0; code == 0 && i < group->member_count; i++) {
        code = ms_buf_append_cstr(out, i > 0 ? ",\n" : "\n");
        if (code == 0)
            code = write_member(out, group, &group->members[i]);
    }
    return code == 0 ? ms_buf_append_u8(out, ']') : code;
}

/* null where it is not known: -1. */
static int write_number(struct ms_buf *out, const char *name, int64_t number) {
    return number < 0 ? ms_buf_printf(out, ",\"%s\":null", name)
                      : ms_buf_printf(out, ",\"%s\":%lld", name, (long long)number);
}

static int write_offset(struct ms_buf *out, const struct ms_group_lag *lag) {
    char committed[MS_TIME_TEXT_MAX];
    long long age_ms = lag->age_ms;
    int code = ms_buf_append_cstr(out, "{\"topic\":");
    if (code == 0)
        code = ms_json_write_string(out, lag->topic);
    if (code == 0)
        code = ms_buf_printf(out, ",\"partition\":%d,\"offset\":%lld", (int)lag->partition,
                             (long long)lag->offset);
    if (code == 0)
        code = write_number(out, "end_offset", lag->end);
    if (code == 0)
        code = write_number(out, "lag", lag->lag);
    if (code == 0)
        code = age_ms < 0 ? ms_buf_append_cstr(out, ",\"lag_seconds\":null")
                          : ms_buf_printf(out, ",\"lag_seconds\":%lld.%03lld", age_ms / 1000,
                                          age_ms % 1000);
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"metadata\":");
    if (code == 0)
        code = ms_json_write_string(out, lag->metadata);
    ms_time_format_ms(lag->commit_time_ms, committed);
    return code == 0 ? ms_buf_printf(out, ",\"committed_at\":\"%s\"}", committed) : code;
}

static int write_offsets(struct ms_buf *out, const struct ms_group_lag *lags, size_t count) {
    int code =
        ms_buf_printf(out, ",\"lag\":%lld,\"offsets\":[", (long long)ms_group_lag_sum(lags, count));
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = ms_buf_append_cstr(out, i > 0 ? ",\n" : "\n");
        if (code == 0)
            code = write_offset(out, &lags[i]);
    }
    return code == 0 ? ms_buf_append_cstr(out, "\n]}\n") : code;
}

/* The ages of those that come last are not known when there are very many. */
static int date_lags(const struct ms_http *http, struct ms_group_lag *lags, size_t count,
                     struct ms_error *err) {
    struct ms_partition_reader *reader;
    int64_t now_ms = ms_clock_now_us(http->env->clock) / 1000;
    unsigned reads = 0;
    int code = ms_partition_reader_new(http->store, &reader);
    if (code != 0)
        return ms_error_set(err, code, "no memory to look at partitions");
    for (size_t i = 0; code == 0 && i < count && reads < LAG_READS_MAX; i++) {
        reads += lags[i].lag > 0;
        code = ms_group_lag_date(reader, &lags[i], now_ms, err);
    }
    ms_partition_reader_free(reader);
    return code;
}

static void run_get_group(struct ms_http_request *request) {
    const struct ms_http *http = request->loop->http;
    struct ms_buf *out = &request->answer.body;
    struct ms_error err = {0};
    struct ms_group_info info;
    struct ms_group_lag *lags;
    struct ms_arena scratch;
    size_t count;
    int code = 0;
    ms_arena_init(&scratch, OFFSETS_BYTES_MAX);
    enum ms_group_code state =
        ms_groups_describe(http->groups, request->captures[0], &scratch, &info);
    if (state == MS_GROUP_OK)
        state =
            ms_group_lags(http->store, http->groups, request->captures[0], &scratch, &lags, &count);
    if (state == MS_GROUP_OK)
        code = date_lags(http, lags, count, &err);
    if (state == MS_GROUP_OK && code == 0)
        code = write_head(out, &info);
    if (state == MS_GROUP_OK && code == 0)
        code = write_members(out, &info);
    if (state == MS_GROUP_OK && code == 0)
        code = write_offsets(out, lags, count);
    ms_arena_deinit(&scratch);
    if (state != MS_GROUP_OK)
        ms_http_group_refuse(request, state);
    else
        finish(request, code, &err);
}

/* ---- delete ---- */

/* Any thread; the last thing that is done with the request here. */
static void on_deleted(struct ms_group_delete *delete, enum ms_group_code code) {
    struct ms_http_request *request = delete->context;
    if (code == MS_GROUP_OK)
        ms_http_answer(request, 204, NULL);
    else
        ms_http_group_refuse(request, code);
    ms_http_request_hand_back(request);
}

void ms_http_delete_group_start(struct ms_http_request *request) {
    struct ms_groups *groups = ms_http_groups(request);
    if (groups == NULL)
        return;
    struct ms_group_delete *delete = ms_arena_zalloc(&request->arena, sizeof *delete);
    if (delete == NULL) {
        ms_http_answer_error(request, MS_ENOMEM, NULL);
        ms_http_request_done(request);
        return;
    }
    *delete = (struct ms_group_delete){
        .group = request->captures[0], .done = on_deleted, .context = request};
    ms_http_request_handed_over(request, ms_http_request_done);
    ms_groups_delete(groups, delete);
}

/* ---- the loop's side ---- */

void ms_http_list_groups_start(struct ms_http_request *request) {
    if (ms_http_groups(request) != NULL)
        ms_http_request_submit(request, run_list_groups, ms_http_request_done);
}
void ms_http_get_group_start(struct ms_http_request *request) {
    if (ms_http_groups(request) != NULL)
        ms_http_request_submit(request, run_get_group, ms_http_request_done);
}
