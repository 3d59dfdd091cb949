/* Query parameters; see params.h. */
#include "face/http/params.h"

#include <stdio.h>

#include "base/time.h"
#include "wire/http1.h"

/* What one parser works on. */
struct parsing {
    const struct ms_http_params_rules *rules;
    struct ms_arena *arena;
    struct ms_http_params *params;
    enum ms_http_param param;
    struct ms_bytes value;
    struct ms_error *err;
};

static int wrong(const struct parsing *parsing, const char *expected) {
    int shown = parsing->value.len > 64 ? 64 : (int)parsing->value.len;
    return ms_error_set(parsing->err, MS_EINVAL,
                        "query parameter \"%s\": expected %s, got \"%.*s\"",
                        ms_http_param_info(parsing->param)->name, expected, shown,
                        (const char *)parsing->value.data);
}

static int copy_text(const struct parsing *parsing, struct ms_bytes *ret_text) {
    if (parsing->value.len == 0)
        return wrong(parsing, "some text");
    char *copy = ms_arena_strdup(parsing->arena, parsing->value);
    if (!copy)
        return ms_error_set(parsing->err, MS_ENOMEM, "no memory for the query parameters");
    *ret_text = ms_bytes_of(copy, parsing->value.len);
    return 0;
}

static int parse_from(struct parsing *parsing) {
    struct ms_http_params *params = parsing->params;
    if (ms_bytes_equal_cstr(parsing->value, "end")) {
        params->from_end = true;
        return 0;
    }
    if (ms_parse_u64(parsing->value, &params->from) != 0 || params->from > INT64_MAX)
        return wrong(parsing, "a number from 0 on, or end");
    return 0;
}

static int parse_limit(struct parsing *parsing) {
    uint64_t limit;
    if (ms_parse_u64(parsing->value, &limit) != 0 || limit > parsing->rules->limit_max) {
        char expected[64];
        snprintf(expected, sizeof expected, "a number from 0 to %zu", parsing->rules->limit_max);
        return wrong(parsing, expected);
    }
    parsing->params->limit = (size_t)limit;
    return 0;
}

static int parse_direction(struct parsing *parsing) {
    if (ms_bytes_equal_cstr(parsing->value, "backward"))
        parsing->params->backward = true;
    else if (!ms_bytes_equal_cstr(parsing->value, "forward"))
        return wrong(parsing, "forward or backward");
    return 0;
}

#define TIME_EXPECTED "an RFC 3339 time such as 2026-11-23T10:52:54Z"

/* A '+' of a time zone that was not escaped arrives as a space; no other reading of it makes sense
 * in a time. */
static int parse_time(struct parsing *parsing, const char *expected, int64_t *ret_ms) {
    char text[64];
    if (parsing->value.len == 0 || parsing->value.len >= sizeof text)
        return wrong(parsing, expected);
    memcpy(text, parsing->value.data, parsing->value.len);
    for (size_t i = 11; i < parsing->value.len; i++) {
        if (text[i] == ' ')
            text[i] = '+';
    }
    int64_t us;
    if (ms_time_parse(ms_bytes_of(text, parsing->value.len), &us) != 0)
        return wrong(parsing, expected);
    *ret_ms = us >= 0 ? us / 1000 : -((-us + 999) / 1000);
    return 0;
}

static int parse_as_of(struct parsing *parsing) {
    struct ms_time_travel *travel = &parsing->params->travel;
    if (travel->kind != MS_AS_OF_NOW)
        return wrong(parsing, "to be given alone, without known_at");
    if (ms_parse_u64(parsing->value, &travel->position) == 0) {
        travel->kind = MS_AS_OF_POSITION;
        return 0;
    }
    travel->kind = MS_AS_OF_TIME;
    return parse_time(parsing, "a position from 0 on or " TIME_EXPECTED, &travel->time_ms);
}

static int parse_known_at(struct parsing *parsing) {
    struct ms_time_travel *travel = &parsing->params->travel;
    if (travel->kind != MS_AS_OF_NOW)
        return wrong(parsing, "to be given alone, without as_of");
    travel->kind = MS_KNOWN_AT;
    return parse_time(parsing, TIME_EXPECTED, &travel->time_ms);
}

/* "30" would be 30 ms, which is never what is meant; nothing but 0 goes without a unit. */
static bool lacks_unit(struct ms_bytes text) {
    uint8_t last = text.len ? text.data[text.len - 1] : '0';
    return last >= '0' && last <= '9' && !ms_bytes_equal_cstr(text, "0");
}

static int parse_wait(struct parsing *parsing) {
    int64_t wait_ms;
    if (lacks_unit(parsing->value) || ms_duration_parse_ms(parsing->value, &wait_ms) != 0 ||
        wait_ms < 0 || wait_ms > parsing->rules->wait_ms_max) {
        char expected[80];
        snprintf(expected, sizeof expected, "a duration with its unit such as 30s, at most %llds",
                 (long long)(parsing->rules->wait_ms_max / 1000));
        return wrong(parsing, expected);
    }
    parsing->params->wait_ms = wait_ms;
    return 0;
}

static int parse_topic(struct parsing *parsing) {
    return copy_text(parsing, &parsing->params->topic);
}
static int parse_stream_prefix(struct parsing *parsing) {
    return copy_text(parsing, &parsing->params->stream_prefix);
}
static int parse_correlation_id(struct parsing *parsing) {
    return copy_text(parsing, &parsing->params->correlation_id);
}

static int add_to_list(struct parsing *parsing, struct ms_bytes **list, size_t *count) {
    if (!*list)
        *list = ms_arena_alloc(parsing->arena, MS_HTTP_PARAM_LIST_MAX * sizeof **list);
    if (!*list)
        return ms_error_set(parsing->err, MS_ENOMEM, "no memory for the query parameters");
    if (*count == MS_HTTP_PARAM_LIST_MAX)
        return ms_error_set(parsing->err, MS_EINVAL,
                            "query parameter \"%s\": at most %d of them in one request",
                            ms_http_param_info(parsing->param)->name, MS_HTTP_PARAM_LIST_MAX);
    int code = copy_text(parsing, &(*list)[*count]);
    if (code == 0)
        (*count)++;
    return code;
}
static int parse_type(struct parsing *parsing) {
    return add_to_list(parsing, &parsing->params->types, &parsing->params->type_count);
}
static int parse_tag(struct parsing *parsing) {
    return add_to_list(parsing, &parsing->params->tags, &parsing->params->tag_count);
}

/* Present without a value (`?tombstone`) means yes. */
static int parse_flag(struct parsing *parsing, bool *ret_flag) {
    bool yes = parsing->value.len == 0 || ms_bytes_equal_cstr(parsing->value, "true");
    if (!yes && !ms_bytes_equal_cstr(parsing->value, "false"))
        return wrong(parsing, "true or false");
    *ret_flag = yes;
    return 0;
}
static int parse_system(struct parsing *parsing) {
    return parse_flag(parsing, &parsing->params->include_system);
}
static int parse_tombstone(struct parsing *parsing) {
    return parse_flag(parsing, &parsing->params->tombstone);
}

static int parse_allow_incomplete(struct parsing *parsing) {
    return parse_flag(parsing, &parsing->params->allow_incomplete);
}

static int parse_version(struct parsing *parsing) {
    int64_t version;
    if (ms_parse_i64(parsing->value, &version) != 0 || version < 0)
        return wrong(parsing, "a version from 0 on");
    parsing->params->version = version;
    return 0;
}

#define SCHEMA_TEXT "{\"type\":\"string\"}"
#define SCHEMA_NUMBER "{\"type\":\"integer\",\"minimum\":0}"
#define SCHEMA_FLAG "{\"type\":\"boolean\",\"default\":false}"

static const struct {
    struct ms_http_param_info info;
    int (*parse)(struct parsing *parsing);
} table[MS_HTTP_PARAM_COUNT] = {
    [MS_HTTP_PARAM_FROM] =
        {{"from",
          "{\"oneOf\":[{\"type\":\"integer\",\"minimum\":0},"
          "{\"const\":\"end\"}]}",
          "The first version (of a stream) or position (of all events) wanted, inclusive; `end` is "
          "after the last one, backward the last one.",
          false},
         parse_from},
    [MS_HTTP_PARAM_LIMIT] = {{"limit", "{\"type\":\"integer\",\"minimum\":0,\"default\":100}",
                              "The most entries to answer with; 0 answers with the headers only.",
                              false},
                             parse_limit},
    [MS_HTTP_PARAM_DIRECTION] = {{"direction",
                                  "{\"enum\":[\"forward\",\"backward\"],\"default\":\"forward\"}",
                                  "Oldest or newest first.", false},
                                 parse_direction},
    [MS_HTTP_PARAM_AS_OF] =
        {{"as_of",
          "{\"oneOf\":[{\"type\":\"string\",\"format\":\"date-time\"},"
          "{\"type\":\"integer\",\"minimum\":0}]}",
          "Only events whose timestamp is not after this time, or that stand at or before this "
          "position.",
          false},
         parse_as_of},
    [MS_HTTP_PARAM_KNOWN_AT] =
        {{"known_at", "{\"type\":\"string\",\"format\":\"date-time\"}",
          "Only events that were recorded at this time or before: what the system knew then.",
          false},
         parse_known_at},
    [MS_HTTP_PARAM_WAIT] = {{"wait", "{\"type\":\"string\",\"examples\":[\"30s\"]}",
                             "Long poll: when there is nothing from `from` on yet, wait this long "
                             "for the first event.",
                             false},
                            parse_wait},
    [MS_HTTP_PARAM_TOPIC] = {{"topic", SCHEMA_TEXT, "Only of this topic.", false}, parse_topic},
    [MS_HTTP_PARAM_STREAM_PREFIX] = {{"stream_prefix", SCHEMA_TEXT,
                                      "Only events of streams whose name begins with this.", false},
                                     parse_stream_prefix},
    [MS_HTTP_PARAM_TYPE] = {{"type", SCHEMA_TEXT,
                             "Only events of this type; given several times, of any of them.",
                             true},
                            parse_type},
    [MS_HTTP_PARAM_TAG] = {{"tag", SCHEMA_TEXT,
                            "Only events with this tag; given several times, with all of them.",
                            true},
                           parse_tag},
    [MS_HTTP_PARAM_CORRELATION_ID] = {{"correlation_id", SCHEMA_TEXT,
                                       "Only events of this correlation: the whole causation tree.",
                                       false},
                                      parse_correlation_id},
    [MS_HTTP_PARAM_SYSTEM] = {{"system", SCHEMA_FLAG,
                               "Also what is in system topics (names beginning with $).", false},
                              parse_system},
    [MS_HTTP_PARAM_TOMBSTONE] = {{"tombstone", SCHEMA_FLAG,
                                  "Delete for ever: the name can never be used again.", false},
                                 parse_tombstone},
    [MS_HTTP_PARAM_VERSION] = {{"version", SCHEMA_NUMBER,
                                "The stream's version that the snapshot stands for.", false},
                               parse_version},
    [MS_HTTP_PARAM_ALLOW_INCOMPLETE] = {{"allow_incomplete", SCHEMA_FLAG,
                                         "Also when events that are needed were scavenged.", false},
                                        parse_allow_incomplete},
};

const struct ms_http_param_info *ms_http_param_info(enum ms_http_param param) {
    MS_ASSERT((unsigned)param < MS_HTTP_PARAM_COUNT);
    return &table[param].info;
}

static int param_named(struct ms_bytes name) {
    for (int i = 0; i < MS_HTTP_PARAM_COUNT; i++) {
        if (ms_bytes_equal_cstr(name, table[i].info.name))
            return i;
    }
    return -1;
}

static int unknown(struct ms_bytes name, uint32_t known, struct ms_error *err) {
    char names[256] = "";
    size_t len = 0;
    for (int i = 0; i < MS_HTTP_PARAM_COUNT && len < sizeof names; i++) {
        if ((known >> i) & 1)
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "",
                                    table[i].info.name);
    }
    int shown = name.len > 64 ? 64 : (int)name.len;
    return ms_error_set(err, MS_EINVAL, "unknown query parameter \"%.*s\"; known here: %s", shown,
                        (const char *)name.data, len ? names : "none");
}

static int parse_pair(struct parsing *parsing, struct ms_bytes name) {
    int param = param_named(name);
    if (param < 0 || !((parsing->rules->known >> param) & 1))
        return unknown(name, parsing->rules->known, parsing->err);
    parsing->param = (enum ms_http_param)param;
    if (ms_http_param_given(parsing->params, parsing->param) && !table[param].info.repeatable)
        return ms_error_set(parsing->err, MS_EINVAL, "query parameter \"%s\" is given twice",
                            table[param].info.name);
    parsing->params->given |= UINT32_C(1) << param;
    return table[param].parse(parsing);
}

int ms_http_params_parse(struct ms_bytes query, const struct ms_http_params_rules *rules,
                         struct ms_arena *arena, struct ms_http_params *ret_params,
                         struct ms_error *err) {
    struct ms_http_params params = {.limit = MS_HTTP_LIMIT_DEFAULT};
    if (params.limit > rules->limit_max)
        params.limit = rules->limit_max;
    struct parsing parsing = {.rules = rules, .arena = arena, .params = &params, .err = err};
    size_t at = 0;
    while (query.len) {
        struct ms_bytes name;
        int more = ms_query_next(query, &at, arena, &name, &parsing.value);
        if (more == MS_EINVAL)
            return ms_error_set(err, MS_EINVAL, "query string: bad percent escape");
        if (more < 0)
            return ms_error_set(err, more, "query string: %s", ms_error_text(more));
        if (more == 0)
            break;
        int code = parse_pair(&parsing, name);
        if (code != 0)
            return code;
    }
    *ret_params = params;
    return 0;
}

int ms_http_percent_encode(struct ms_buf *out, struct ms_bytes text) {
    static const char hex[] = "0123456789ABCDEF";
    int code = ms_buf_reserve(out, 3 * text.len);
    if (code != 0)
        return code;
    uint8_t *at = out->data + out->len;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                     byte == '~';
        if (plain) {
            *at++ = byte;
        } else {
            *at++ = '%';
            *at++ = (uint8_t)hex[byte >> 4];
            *at++ = (uint8_t)hex[byte & 15];
        }
    }
    out->len = (size_t)(at - out->data);
    return 0;
}

int ms_http_target_escape(struct ms_buf *out, struct ms_bytes text) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < text.len; i++) {
        uint8_t byte = text.data[i];
        bool unsafe = byte <= ' ' || byte >= 0x7f || byte == '<' || byte == '>' || byte == '"' ||
                      byte == '\\';
        code = unsafe ? ms_http_percent_encode(out, ms_bytes_of(&byte, 1))
                      : ms_buf_append_u8(out, byte);
    }
    return code;
}

/* Only names need to be compared, and ours hold no character that a client would escape. */
static bool is_dropped(struct ms_bytes pair, uint32_t dropped) {
    const uint8_t *equals = pair.len ? memchr(pair.data, '=', pair.len) : NULL;
    struct ms_bytes name = equals ? ms_bytes_of(pair.data, (size_t)(equals - pair.data)) : pair;
    int param = param_named(name);
    return pair.len == 0 || (param >= 0 && ((dropped >> param) & 1));
}

int ms_http_query_without(struct ms_buf *out, struct ms_bytes query, uint32_t dropped) {
    int code = ms_buf_append_u8(out, '?');
    while (code == 0 && query.len) {
        const uint8_t *ampersand = memchr(query.data, '&', query.len);
        struct ms_bytes pair =
            ampersand ? ms_bytes_of(query.data, (size_t)(ampersand - query.data)) : query;
        size_t used = pair.len + (ampersand ? 1 : 0);
        query = ms_bytes_of(query.data + used, query.len - used);
        if (is_dropped(pair, dropped))
            continue;
        code = ms_http_target_escape(out, pair);
        if (code == 0)
            code = ms_buf_append_u8(out, '&');
    }
    return code;
}
