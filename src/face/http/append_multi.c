/*
 * POST /v1/append: several streams, all or nothing, each under its own condition, and query
 * conditions over all events.
 *
 *   {"appends": [{"stream": "order-1", "expect": "any" | "none" | "exists" | 5,
 *                 "events": [{…}, …]}, …],
 *    "query_conditions": [{"types": ["…"], "tags": ["…"], "after": 4711 | null}, …]}
 *
 *   201 {"position": 4713, "repeated": false,
 *        "results": [{"stream": "order-1", "first_version": 6, "version": 6}, …]}
 *
 * An append without events only checks its condition; its result has no first_version, and the
 * stream's version, null when there is none. Runs as append.c does.
 */
#include <stdio.h>

#include "face/http/answer.h"
#include "face/http/append_multi.h"
#include "face/http/condition.h"
#include "face/http/event_body.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/outcome.h"
#include "face/http/server.h"
#include "face/http/stream_key.h"
#include "wire/event_json.h"

/* The request's own levels around an event. */
#define OUTER_DEPTH 5

static int no_memory(struct ms_error *err) {
    return ms_error_set(err, MS_ENOMEM, "no memory for the request");
}

static int expect_type(struct ms_json_value value, enum ms_json_type type, const char *expected,
                       struct ms_error *err) {
    if (value.type == type)
        return 0;
    return ms_error_set(err, MS_EINVAL, "expected %s", expected);
}

static size_t count_elements(struct ms_json_value array) {
    size_t at = 0, count = 0;
    struct ms_json_value element;
    while (ms_json_next_element(array, &at, &element))
        count++;
    return count;
}

/* ---- members by name ---- */

struct member {
    const char *name;
    int (*parse)(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                 struct ms_error *err);
};

static int parse_member(struct ms_http_multi *multi, const struct member *members,
                        struct ms_bytes name, struct ms_json_value value, void *target,
                        struct ms_error *err) {
    for (const struct member *member = members; member->name; member++) {
        if (!ms_bytes_equal_cstr(name, member->name))
            continue;
        int code = member->parse(multi, value, target, err);
        if (code != 0)
            ms_error_prefix(err, "%s", member->name);
        return code;
    }
    int shown = name.len > 64 ? 64 : (int)name.len;
    return ms_error_set(err, MS_EINVAL, "unknown field \"%.*s\"", shown, (const char *)name.data);
}

static int parse_object(struct ms_http_multi *multi, struct ms_json_value object,
                        const struct member *members, void *target, struct ms_error *err) {
    int code = expect_type(object, MS_JSON_OBJECT, "an object", err);
    size_t at = 0;
    uint32_t seen = 0;
    struct ms_json_value raw_name, value;
    while (code == 0 && ms_json_next_member(object, &at, &raw_name, &value)) {
        struct ms_bytes name;
        if (ms_json_string(raw_name, multi->arena, &name) != 0)
            return no_memory(err);
        for (uint32_t i = 0; members[i].name; i++) {
            if (!ms_bytes_equal_cstr(name, members[i].name))
                continue;
            if ((seen >> i) & 1)
                return ms_error_set(err, MS_EINVAL, "field \"%s\" is given twice", members[i].name);
            seen |= UINT32_C(1) << i;
        }
        code = parse_member(multi, members, name, value, target, err);
    }
    return code;
}

/* Calls `each` for every element with the element's place in an array of `size`-byte targets. */
static int parse_array(struct ms_http_multi *multi, struct ms_json_value array, size_t size,
                       int (*each)(struct ms_http_multi *multi, struct ms_json_value value,
                                   void *target, struct ms_error *err),
                       struct ms_http_multi_array *ret_array, struct ms_error *err) {
    int code = expect_type(array, MS_JSON_ARRAY, "an array", err);
    if (code != 0)
        return code;
    size_t count = count_elements(array);
    uint8_t *targets = count ? ms_arena_zalloc(multi->arena, count * size) : NULL;
    if (count && !targets)
        return no_memory(err);
    size_t at = 0;
    struct ms_json_value element;
    for (size_t i = 0; i < count && ms_json_next_element(array, &at, &element); i++) {
        code = each(multi, element, targets + i * size, err);
        if (code != 0) {
            ms_error_prefix(err, "[%zu]", i);
            return code;
        }
    }
    *ret_array = (struct ms_http_multi_array){targets, count};
    return 0;
}

static int parse_text(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                      struct ms_error *err) {
    int code = expect_type(value, MS_JSON_STRING, "a string", err);
    if (code == 0 && ms_json_string(value, multi->arena, target) != 0)
        return no_memory(err);
    return code;
}

/* ---- appends ---- */

static int parse_expect(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                        struct ms_error *err) {
    struct ms_append_part *part = target;
    struct ms_bytes text = value.text;
    bool is_string = value.type == MS_JSON_STRING;
    if (is_string && ms_json_string(value, multi->arena, &text) != 0)
        return no_memory(err);
    return ms_http_condition_parse_expect(text, is_string, &part->condition, err);
}

static int parse_stream(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                        struct ms_error *err) {
    struct ms_append_part *part = target;
    struct ms_bytes name;
    int code = parse_text(multi, value, &name, err);
    if (code != 0)
        return code;
    /* The answer names it, and a large body is gone by then. */
    char *copy = ms_arena_strdup(multi->arena, name);
    if (!copy)
        return no_memory(err);
    part->stream = ms_bytes_of(copy, name.len);
    return 0;
}

static int parse_event(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                       struct ms_error *err) {
    if (multi->event_count++ == multi->limits->append_events_max)
        return ms_error_set(err, MS_ETOOBIG, "more than %zu events in one append",
                            multi->limits->append_events_max);
    return ms_event_parse_value(MS_FORMAT_JSON, value, multi->limits, multi->arena, target, err);
}

static int parse_events(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                        struct ms_error *err) {
    struct ms_append_part *part = target;
    struct ms_http_multi_array events;
    int code = parse_array(multi, value, sizeof(struct ms_event), parse_event, &events, err);
    if (code == 0) {
        part->events = events.items;
        part->count = events.count;
    }
    return code;
}

static int parse_append(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                        struct ms_error *err) {
    static const struct member members[] = {
        {"stream", parse_stream}, {"expect", parse_expect}, {"events", parse_events}, {NULL, NULL}};
    struct ms_append_part *part = target;
    int code = parse_object(multi, value, members, part, err);
    if (code == 0 && !part->stream.data)
        return ms_error_set(err, MS_EINVAL, "field \"stream\" is missing");
    return code;
}

static int parse_appends(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                         struct ms_error *err) {
    (void)target;
    struct ms_http_multi_array parts;
    int code = parse_array(multi, value, sizeof(struct ms_append_part), parse_append, &parts, err);
    if (code == 0) {
        multi->parts = parts.items;
        multi->part_count = parts.count;
    }
    return code;
}

/* ---- query conditions ---- */

static int parse_texts(struct ms_http_multi *multi, struct ms_json_value value,
                       const struct ms_bytes **ret_texts, size_t *ret_count, struct ms_error *err) {
    struct ms_http_multi_array texts;
    int code = parse_array(multi, value, sizeof(struct ms_bytes), parse_text, &texts, err);
    if (code == 0) {
        *ret_texts = texts.items;
        *ret_count = texts.count;
    }
    return code;
}

static int parse_types(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                       struct ms_error *err) {
    struct ms_query_condition *query = target;
    return parse_texts(multi, value, &query->types, &query->type_count, err);
}

static int parse_tags(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                      struct ms_error *err) {
    struct ms_query_condition *query = target;
    return parse_texts(multi, value, &query->tags, &query->tag_count, err);
}

static int parse_after(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                       struct ms_error *err) {
    (void)multi;
    struct ms_query_condition *query = target;
    query->after_none = value.type == MS_JSON_NULL;
    if (query->after_none)
        return 0;
    if (value.type != MS_JSON_NUMBER || ms_parse_u64(value.text, &query->after) != 0)
        return ms_error_set(err, MS_EINVAL, "expected a position from 0 on, or null");
    return 0;
}

static int parse_query(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                       struct ms_error *err) {
    static const struct member members[] = {
        {"types", parse_types}, {"tags", parse_tags}, {"after", parse_after}, {NULL, NULL}};
    struct ms_query_condition *query = target;
    query->after_none = true;
    int code = parse_object(multi, value, members, query, err);
    if (code == 0 && query->type_count == 0 && query->tag_count == 0)
        return ms_error_set(err, MS_EINVAL, "a query condition needs types or tags");
    return code;
}

static int parse_queries(struct ms_http_multi *multi, struct ms_json_value value, void *target,
                         struct ms_error *err) {
    (void)target;
    struct ms_http_multi_array queries;
    int code =
        parse_array(multi, value, sizeof(struct ms_query_condition), parse_query, &queries, err);
    if (code == 0) {
        multi->queries = queries.items;
        multi->query_count = queries.count;
    }
    return code;
}

int ms_http_multi_parse(struct ms_bytes body, struct ms_http_multi *multi, struct ms_error *err) {
    static const struct member members[] = {
        {"appends", parse_appends}, {"query_conditions", parse_queries}, {NULL, NULL}};
    struct ms_json_value root;
    int code = ms_json_parse(body, multi->limits->json_depth_max + OUTER_DEPTH, &root, err);
    if (code == 0)
        code = parse_object(multi, root, members, multi, err);
    if (code == 0 && multi->part_count == 0)
        return ms_error_set(err, MS_EINVAL, "field \"appends\" is missing or empty");
    return code;
}

/* ---- answering ---- */

static int write_result(struct ms_buf *out, const struct ms_append_part *part,
                        const struct ms_append_part_result *result, bool first) {
    int code = ms_buf_append_cstr(out, first ? "{\"stream\":" : ",{\"stream\":");
    if (code == 0)
        code = ms_json_write_string(out, part->stream);
    if (code == 0 && part->count)
        code = ms_buf_printf(out, ",\"first_version\":%lld", (long long)result->first_version);
    if (code == 0 && result->version < 0) /* only checked, and not there */
        code = ms_buf_append_cstr(out, ",\"version\":null}");
    else if (code == 0)
        code = ms_buf_printf(out, ",\"version\":%lld}", (long long)result->version);
    return code;
}

static int write_body(struct ms_http_request *request) {
    const struct ms_http_append_outcome *outcome = &request->outcome;
    struct ms_buf *out = &request->answer.body;
    int code =
        ms_buf_printf(out, "{\"position\":%llu,\"repeated\":%s,\"results\":[",
                      (unsigned long long)outcome->position, outcome->repeated ? "true" : "false");
    for (size_t i = 0; code == 0 && i < outcome->part_count; i++)
        code = write_result(out, &outcome->parts[i], &outcome->part_results[i], i == 0);
    return code == 0 ? ms_buf_append_cstr(out, "]}\n") : code;
}

static void answer_multi(struct ms_http_request *request) {
    const struct ms_http_append_outcome *outcome = &request->outcome;
    int code = outcome->code;
    if (code != 0) {
        ms_http_outcome_answer_refusal(request);
    } else if (write_body(request) != 0 ||
               ms_http_answer_header(request, "Mainstem-Position", "%llu",
                                     (unsigned long long)outcome->position) != 0) {
        ms_http_answer_error(request, MS_ENOMEM, NULL);
    } else {
        bool added = request->event_count > 0 && !outcome->repeated;
        ms_http_answer(request, added ? 201 : 200, "application/json");
    }
    ms_http_request_done(request);
}

static void multi_resumed(struct ms_http_request *request) {
    ms_http_append_answer(request, answer_multi);
}

static int apply_key(struct ms_http_request *request, struct ms_http_multi *multi,
                     struct ms_error *err) {
    struct ms_bytes key;
    int code = ms_http_idempotency_key(request, &key, err);
    size_t first = 0;
    for (size_t i = 0; code == 0 && key.data && i < multi->part_count; i++) {
        struct ms_append_part *part = &multi->parts[i];
        /* The events were made here; only the request's view of them is const. */
        code = ms_http_idempotency_apply(request, key, (struct ms_event *)part->events, part->count,
                                         first);
        first += part->count;
    }
    request->idempotency_key = key;
    return code;
}

/* A large body is given back before the answer, which names the streams. */
static int keep_name(struct ms_http_request *request, struct ms_bytes *stream,
                     struct ms_error *err) {
    char *copy = ms_arena_strdup(&request->arena, *stream);
    if (!copy)
        return ms_error_set(err, MS_ENOMEM, "no memory for a stream's name");
    *stream = ms_bytes_of(copy, stream->len);
    return 0;
}

/* The answer names the streams as all answers do. */
static int name_streams(struct ms_http_request *request, struct ms_http_multi *multi,
                        struct ms_error *err) {
    for (size_t i = 0; i < multi->part_count; i++) {
        struct ms_bytes *stream = &multi->parts[i].stream;
        int code = ms_http_stream_of_name(*stream, true, &request->arena, stream, err);
        if (code == 0)
            code = keep_name(request, stream, err);
        if (code != 0) {
            ms_error_prefix(err, "append %zu", i);
            return code;
        }
    }
    return 0;
}

static int prepare(struct ms_http_request *request, struct ms_error *err) {
    struct ms_http_multi multi = {.limits = &request->loop->config->options.event_limits,
                                  .arena = &request->arena};
    int code = ms_http_multi_parse(ms_buf_bytes(&request->body), &multi, err);
    if (code == 0)
        code = apply_key(request, &multi, err);
    if (code == 0)
        code = name_streams(request, &multi, err);
    if (code != 0)
        return code;
    request->event_count = multi.event_count;
    request->outcome.parts = multi.parts;
    request->outcome.part_count = multi.part_count;
    request->outcome.part_results =
        ms_arena_zalloc(&request->arena, multi.part_count * sizeof *request->outcome.part_results);
    if (!request->outcome.part_results)
        return no_memory(err);
    request->append = (struct ms_append_request){.parts = multi.parts,
                                                 .part_count = multi.part_count,
                                                 .query_conditions = multi.queries,
                                                 .query_condition_count = multi.query_count};
    return 0;
}

void ms_http_append_multi_start(struct ms_http_request *request) {
    struct ms_error err = {0};
    int code = prepare(request, &err);
    if (code == 0) {
        ms_http_append_submit(request, multi_resumed);
        return;
    }
    ms_http_answer_error(request, code, &err);
    ms_http_request_done(request);
}
