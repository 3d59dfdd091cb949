/* Append conditions; see condition.h. */
#include "face/http/condition.h"

#include <stdio.h>

static int bad_if_match(struct ms_bytes value, struct ms_error *err) {
    int shown = value.len > 40 ? 40 : (int)value.len;
    return ms_error_set(err, MS_EINVAL,
                        "header If-Match: expected one version such as \"5\", or *, got %.*s",
                        shown, (const char *)value.data);
}

static int parse_version(struct ms_bytes value, int64_t *ret_version, struct ms_error *err) {
    struct ms_bytes digits = value;
    if (digits.len >= 2 && digits.data[0] == '"' && digits.data[digits.len - 1] == '"')
        digits = ms_bytes_of(digits.data + 1, digits.len - 2);
    int64_t version;
    if (ms_parse_i64(digits, &version) != 0)
        return bad_if_match(value, err);
    if (version < 0)
        return ms_error_set(err, MS_EINVAL,
                            "header If-Match: versions count from 0; for a stream that does not "
                            "exist yet send If-None-Match: *");
    *ret_version = version;
    return 0;
}

int ms_http_condition_parse(struct ms_bytes if_match, struct ms_bytes if_none_match,
                            struct ms_condition *ret_condition, struct ms_error *err) {
    struct ms_condition condition = {MS_EXPECT_ANY, 0};
    if (if_match.data && if_none_match.data)
        return ms_error_set(err, MS_EINVAL,
                            "headers If-Match and If-None-Match contradict each other: send one");
    if (if_none_match.data) {
        if (!ms_bytes_equal_cstr(if_none_match, "*"))
            return ms_error_set(err, MS_EINVAL,
                                "header If-None-Match: only * is known here (no such stream)");
        condition.kind = MS_EXPECT_NONE;
    } else if (if_match.data && ms_bytes_equal_cstr(if_match, "*")) {
        condition.kind = MS_EXPECT_EXISTS;
    } else if (if_match.data) {
        condition.kind = MS_EXPECT_VERSION;
        int code = parse_version(if_match, &condition.version, err);
        if (code != 0)
            return code;
    }
    *ret_condition = condition;
    return 0;
}

int ms_http_condition_parse_expect(struct ms_bytes text, bool is_string,
                                   struct ms_condition *ret_condition, struct ms_error *err) {
    static const struct {
        const char *name;
        enum ms_condition_kind kind;
    } names[] = {{"any", MS_EXPECT_ANY}, {"none", MS_EXPECT_NONE}, {"exists", MS_EXPECT_EXISTS}};
    for (size_t i = 0; is_string && i < sizeof names / sizeof *names; i++) {
        if (ms_bytes_equal_cstr(text, names[i].name)) {
            *ret_condition = (struct ms_condition){names[i].kind, 0};
            return 0;
        }
    }
    int64_t version;
    if (!is_string && ms_parse_i64(text, &version) == 0 && version >= 0) {
        *ret_condition = (struct ms_condition){MS_EXPECT_VERSION, version};
        return 0;
    }
    int shown = text.len > 40 ? 40 : (int)text.len;
    return ms_error_set(err, MS_EINVAL,
                        "expected \"any\", \"none\", \"exists\" or a version from 0 on, got %.*s",
                        shown, (const char *)text.data);
}

void ms_http_condition_format(const struct ms_condition *condition, char out[32]) {
    switch (condition->kind) {
    case MS_EXPECT_ANY:
        snprintf(out, 32, "\"any\"");
        break;
    case MS_EXPECT_NONE:
        snprintf(out, 32, "\"none\"");
        break;
    case MS_EXPECT_EXISTS:
        snprintf(out, 32, "\"exists\"");
        break;
    case MS_EXPECT_VERSION:
    case MS_EXPECT_LIVE_VERSION:
        snprintf(out, 32, "%lld", (long long)condition->version);
        break;
    }
}

const char *ms_http_stream_state_name(enum ms_stream_state state) {
    switch (state) {
    case MS_STREAM_NONE:
        return "none";
    case MS_STREAM_LIVE:
        return "live";
    case MS_STREAM_DELETED:
        return "deleted";
    case MS_STREAM_TOMBSTONED:
        return "tombstoned";
    }
    return "none";
}
