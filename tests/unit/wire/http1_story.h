/* For the tests of HTTP/1.1: writes down what the parser tells, as text that a test can compare.
 * Each input is fed in one piece, byte by byte and in pieces of every small size, with and without
 * pauses, and must give the same story each time. One thread. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/http1.h"

#define HOST "Host: x\r\n"

static const struct ms_http1_limits limits = {
    .header_bytes_max = 1024, .headers_max = 8, .target_bytes_max = 64, .body_bytes_max = 100};

/* Writes down what the parser tells. */
struct recorder {
    struct ms_http1_parser *parser;
    struct ms_buf story;
    bool in_body;
    bool pauses;     /* after each callback */
    size_t body_max; /* set from on_headers when not 0 */
    int stop_at_headers, stop_at_body, stop_at_complete;
    size_t completed;
};

static void tell(struct recorder *recorder, const char *format, ...) MS_PRINTF(2, 3);
static void tell(struct recorder *recorder, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof text);
    assert_int_equal(ms_buf_append(&recorder->story, text, (size_t)n), 0);
}

#define SHOWN(bytes) (int)(bytes).len, (const char *)(bytes).data

static int on_headers(void *context, const struct ms_http1_request *request) {
    struct recorder *recorder = context;
    tell(recorder, "%.*s %.*s path=%.*s", SHOWN(request->method), SHOWN(request->target),
         SHOWN(request->path));
    if (request->query.data)
        tell(recorder, " query=%.*s", SHOWN(request->query));
    for (size_t i = 0; i < request->header_count; i++)
        tell(recorder, " [%.*s=%.*s]", SHOWN(request->headers[i].name),
             SHOWN(request->headers[i].value));
    tell(recorder, " length=%d%s%s%s%s\n", (int)request->content_length,
         request->has_body ? " body" : "", request->keep_alive ? "" : " close",
         request->expect_continue ? " expect" : "", request->http10 ? " 1.0" : "");
    if (recorder->body_max)
        ms_http1_set_body_max(recorder->parser, recorder->body_max);
    if (recorder->pauses)
        ms_http1_pause(recorder->parser);
    return recorder->stop_at_headers;
}

static int on_body(void *context, struct ms_bytes piece) {
    struct recorder *recorder = context;
    assert_true(piece.len > 0);
    tell(recorder, "%s%.*s", recorder->in_body ? "" : "body ", SHOWN(piece));
    recorder->in_body = true;
    if (recorder->pauses)
        ms_http1_pause(recorder->parser);
    return recorder->stop_at_body;
}

static int on_complete(void *context) {
    struct recorder *recorder = context;
    tell(recorder, "%scomplete\n", recorder->in_body ? "\n" : "");
    recorder->in_body = false;
    recorder->completed++;
    if (recorder->pauses)
        ms_http1_pause(recorder->parser);
    return recorder->stop_at_complete;
}

static const struct ms_http1_callbacks callbacks = {on_headers, on_body, on_complete};

static void recorder_init(struct recorder *recorder) {
    *recorder = (struct recorder){0};
    ms_buf_init(&recorder->story, 1 << 20);
    assert_int_equal(ms_http1_parser_new(&limits, &callbacks, recorder, &recorder->parser), 0);
}

static void recorder_deinit(struct recorder *recorder) {
    ms_http1_parser_free(recorder->parser);
    ms_buf_deinit(&recorder->story);
}

/* Feeds the input in pieces of at most `step` bytes and ends the story with the outcome. */
static void feed(struct recorder *recorder, struct ms_bytes input, size_t step) {
    struct ms_error err = {0};
    int r = 0, status = -1;
    size_t at = 0;
    bool again = false;
    while (r == 0 && (at < input.len || again)) {
        size_t n = input.len - at < step ? input.len - at : step, consumed = SIZE_MAX;
        uint8_t *copy = malloc(n ? n : 1); /* nothing may be read before, behind or later */
        assert_non_null(copy);
        memcpy(copy, input.data + at, n);
        r = ms_http1_feed(recorder->parser, ms_bytes_of(copy, n), &consumed, &status, &err);
        memset(copy, 'Z', n);
        free(copy);
        assert_true(consumed <= n);
        assert_true(r != 0 || consumed == n || recorder->pauses);
        again = recorder->pauses && consumed > 0;
        at += consumed;
        if (recorder->pauses)
            ms_http1_resume(recorder->parser);
    }
    if (recorder->pauses && r == 0) {
        size_t consumed;
        r = ms_http1_feed(recorder->parser, (struct ms_bytes){0}, &consumed, &status, &err);
    }
    if (r == 0)
        tell(recorder, "%s\n", ms_http1_in_message(recorder->parser) ? "in message" : "between");
    else
        tell(recorder, "%s%s %d %s\n", recorder->in_body ? "\n" : "", ms_error_name(r), status,
             err.message);
}

static struct ms_bytes story_of(struct recorder *recorder, struct ms_bytes input, size_t step,
                                bool pauses) {
    recorder_init(recorder);
    recorder->pauses = pauses;
    feed(recorder, input, step);
    return ms_buf_bytes(&recorder->story);
}

static void assert_same(struct ms_bytes input, struct ms_bytes expected, size_t step, bool pauses) {
    struct recorder recorder;
    struct ms_bytes story = story_of(&recorder, input, step, pauses);
    if (!ms_bytes_equal(story, expected))
        fail_msg("step %zu%s tells\n%.*s\nand not\n%.*s", step, pauses ? " with pauses" : "",
                 SHOWN(story), SHOWN(expected));
    recorder_deinit(&recorder);
}

static void assert_story_bytes(struct ms_bytes input, const char *expected) {
    struct recorder recorder;
    struct ms_bytes story = story_of(&recorder, input, SIZE_MAX, false);
    if (!ms_bytes_equal_cstr(story, expected))
        fail_msg("tells\n%.*s\nand not\n%s", SHOWN(story), expected);
    for (size_t step = 1; step < 12; step++)
        assert_same(input, story, step, false);
    assert_same(input, story, SIZE_MAX, true);
    assert_same(input, story, 1, true);
    assert_same(input, story, 7, true);
    recorder_deinit(&recorder);
}

static void assert_story(const char *input, const char *expected) {
    assert_story_bytes(ms_bytes_cstr(input), expected);
}
