/* The body of a request as events; see event_body.h. */
#include "face/http/event_body.h"

#include <stdio.h>

#include "face/http/loop.h"
#include "face/http/server.h"
#include "wire/event_json.h"

#define KEY_MAX 128
#define NDJSON_EVENTS_FIRST 64

static const struct ms_event_limits *limits_of(const struct ms_http_request *request) {
    return &request->loop->config->options.event_limits;
}

/* ---- CloudEvents binary mode ---- */

/* Header memory is the parser's; what the event keeps must live as long as the request. */
static int take_header(struct ms_http_request *request, const struct ms_http1_header *header,
                       struct ms_event *event, struct ms_error *err) {
    bool wanted = ms_bytes_equal_cstr(header->name, "content-type") ||
                  ms_bytes_starts_with(header->name, MS_BYTES_LITERAL("ce-"));
    if (!wanted)
        return 0;
    char *name = ms_arena_strdup(&request->arena, header->name);
    char *value = ms_arena_strdup(&request->arena, header->value);
    if (!name || !value)
        return ms_error_set(err, MS_ENOMEM, "no memory for the event's headers");
    return ms_event_parse_binary_header(event, ms_bytes_of(name, header->name.len),
                                        ms_bytes_of(value, header->value.len), &request->arena,
                                        err);
}

static int parse_binary(struct ms_http_request *request, struct ms_error *err) {
    struct ms_event *event = ms_arena_zalloc(&request->arena, sizeof *event);
    if (!event)
        return ms_error_set(err, MS_ENOMEM, "no memory for the event");
    event->timestamp_ms = MS_TIMESTAMP_NONE;
    const struct ms_http1_request *http1 = request->http1;
    if (!ms_http1_header(http1, "ce-specversion").data)
        return ms_error_set(err, MS_EINVAL,
                            "header ce-specversion is missing: a CloudEvent in binary mode has it");
    for (size_t i = 0; i < http1->header_count; i++) {
        int code = take_header(request, &http1->headers[i], event, err);
        if (code != 0)
            return code;
    }
    event->data = ms_buf_bytes(&request->body);
    event->data_is_null = event->data.len == 0;
    bool json = !event->content_type.data || ms_content_type_is_json(event->content_type);
    struct ms_json_value ignored;
    if (json && event->data.len) {
        int code = ms_json_parse(event->data, limits_of(request)->json_depth_max, &ignored, err);
        if (code != 0) {
            ms_error_prefix(err, "data");
            return code;
        }
    }
    request->events = event;
    request->event_count = 1;
    return ms_event_check(event, limits_of(request), err);
}

/* ---- lines of JSON ---- */

/* Takes the next line that is not blank; false at the end. */
static bool next_line(struct ms_bytes *rest, struct ms_bytes *ret_line, size_t *number) {
    while (rest->len) {
        const uint8_t *end = memchr(rest->data, '\n', rest->len);
        size_t len = end ? (size_t)(end - rest->data) : rest->len;
        *ret_line = ms_bytes_of(rest->data, len);
        size_t used = len + (end ? 1 : 0);
        *rest = ms_bytes_of(rest->data + used, rest->len - used);
        ++*number;
        for (size_t i = 0; i < len; i++) {
            if (ret_line->data[i] != ' ' && ret_line->data[i] != '\t' && ret_line->data[i] != '\r')
                return true;
        }
    }
    return false;
}

static struct ms_event *grow(struct ms_http_request *request, size_t *capacity) {
    size_t larger = *capacity ? *capacity * 2 : NDJSON_EVENTS_FIRST;
    struct ms_event *events = ms_arena_alloc(&request->arena, larger * sizeof *events);
    if (events && request->event_count)
        memcpy(events, request->events, request->event_count * sizeof *events);
    *capacity = larger;
    return events;
}

static int parse_lines(struct ms_http_request *request, struct ms_error *err) {
    const struct ms_event_limits *limits = limits_of(request);
    struct ms_bytes rest = ms_buf_bytes(&request->body), line;
    size_t capacity = 0, number = 0;
    while (next_line(&rest, &line, &number)) {
        if (request->event_count == limits->append_events_max)
            return ms_error_set(err, MS_ETOOBIG, "more than %zu events in one append",
                                limits->append_events_max);
        if (request->event_count == capacity)
            request->events = grow(request, &capacity);
        if (!request->events)
            return ms_error_set(err, MS_ENOMEM, "no memory for the events");
        struct ms_event *event;
        size_t count;
        int code =
            ms_events_parse(MS_FORMAT_JSON, line, limits, &request->arena, &event, &count, err);
        if (code != 0) {
            ms_error_prefix(err, "line %zu", number);
            return code;
        }
        if (count != 1)
            return ms_error_set(err, MS_EINVAL, "line %zu: expected one event", number);
        request->events[request->event_count++] = *event;
    }
    return 0;
}

/* ---- the subject of a CloudEvent is the stream's key ---- */

static struct ms_bytes subject_of(const struct ms_event *event) {
    for (size_t i = 0; i < event->extension_count; i++)
        if (ms_bytes_equal_cstr(event->extensions[i].name, "subject"))
            return event->extensions[i].value;
    return (struct ms_bytes){0};
}

static int shown(struct ms_bytes text) { return (int)(text.len > 150 ? 150 : text.len); }

/* Any spelling of the stream's name will do. */
static bool names_stream(struct ms_http_request *request, struct ms_bytes subject) {
    struct ms_bytes name;
    return ms_store_canonical_name(subject, &request->arena, &name, NULL) == 0 &&
           ms_bytes_equal(name, request->stream);
}

/* Readers are told the key as the subject, so another one would be lost. */
static int check_subjects(struct ms_http_request *request, struct ms_error *err) {
    struct ms_bytes key = {0};
    for (size_t i = 0; i < request->event_count; i++) {
        struct ms_bytes subject = subject_of(&request->events[i]);
        if (!subject.data || names_stream(request, subject))
            continue;
        int code = key.data ? 0
                            : ms_store_stream_key(request->loop->http->store, request->stream,
                                                  &request->arena, &key, err);
        if (code != 0)
            return code;
        if (ms_bytes_equal(subject, key))
            continue;
        code = ms_error_set(err, MS_EINVAL,
                            "the subject '%.*s' is not the key of stream '%.*s', which is '%.*s': "
                            "leave it out, or make it the same",
                            shown(subject), subject.data, shown(request->stream),
                            request->stream.data, shown(key), key.data);
        if (request->event_count > 1)
            ms_error_prefix(err, "event %zu", i);
        return code;
    }
    return 0;
}

/* ---- idempotency ---- */

int ms_http_idempotency_key(struct ms_http_request *request, struct ms_bytes *ret_key,
                            struct ms_error *err) {
    struct ms_bytes key = request->headers.idempotency_key;
    *ret_key = (struct ms_bytes){0};
    if (!key.data)
        return 0;
    if (key.len >= 2 && key.data[0] == '"' && key.data[key.len - 1] == '"')
        key = ms_bytes_of(key.data + 1, key.len - 2);
    bool good = key.len > 0 && key.len <= KEY_MAX;
    for (size_t i = 0; i < key.len; i++)
        good = good && key.data[i] > ' ' && key.data[i] < 0x7f;
    if (!good)
        return ms_error_set(err, MS_EINVAL,
                            "header Idempotency-Key: expected 1 to %d visible ASCII characters",
                            KEY_MAX);
    char *copy = ms_arena_strdup(&request->arena, key);
    if (!copy)
        return ms_error_set(err, MS_ENOMEM, "no memory for the idempotency key");
    *ret_key = ms_bytes_of(copy, key.len);
    return 0;
}

struct ms_bytes ms_http_derived_id(struct ms_bytes key, size_t index,
                                   char out[MS_HTTP_DERIVED_ID_MAX]) {
    MS_ASSERT(key.len <= KEY_MAX);
    int len = snprintf(out, MS_HTTP_DERIVED_ID_MAX, "%.*s/%zu", (int)key.len,
                       (const char *)key.data, index);
    return ms_bytes_of(out, (size_t)len);
}

int ms_http_idempotency_apply(struct ms_http_request *request, struct ms_bytes key,
                              struct ms_event *events, size_t count, size_t first) {
    for (size_t i = 0; i < count; i++) {
        if (events[i].id.data)
            continue;
        char *id = ms_arena_alloc(&request->arena, MS_HTTP_DERIVED_ID_MAX);
        if (!id)
            return MS_ENOMEM;
        events[i].id = ms_http_derived_id(key, first + i, id);
    }
    return 0;
}

/* ---- all of them ---- */

static int parse(struct ms_http_request *request, struct ms_error *err) {
    bool structured = request->body_type == MS_HTTP_BODY_CLOUDEVENT ||
                      request->body_type == MS_HTTP_BODY_CLOUDEVENTS;
    bool binary = request->headers.cloudevent && !structured;
    if (!binary && request->body_type == MS_HTTP_BODY_NDJSON)
        return parse_lines(request, err);
    bool plain = !binary && request->body_type == MS_HTTP_BODY_JSON;
    int code = binary
                   ? parse_binary(request, err)
                   : ms_events_parse(plain ? MS_FORMAT_JSON : MS_FORMAT_CLOUDEVENTS,
                                     ms_buf_bytes(&request->body), limits_of(request),
                                     &request->arena, &request->events, &request->event_count, err);
    return code == 0 && !plain ? check_subjects(request, err) : code;
}

int ms_http_event_body_parse(struct ms_http_request *request, struct ms_error *err) {
    struct ms_bytes key;
    int code = parse(request, err);
    if (code == 0)
        code = ms_http_idempotency_key(request, &key, err);
    if (code != 0 || !key.data)
        return code;
    request->idempotency_key = key;
    return ms_http_idempotency_apply(request, key, request->events, request->event_count, 0);
}
