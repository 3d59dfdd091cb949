/* HTTP/1.1 requests and responses: what is accepted, every refusal with its status, and that how the
 * bytes were split makes no difference. Each input of this file is fed in one piece, byte by byte and
 * in pieces of every small size, and must give the same story each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
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

/* ---- accepted ---- */

static void reads_a_request_without_body(void **state) {
    (void)state;
    assert_story("GET /a%20b/c?x=1&y=?2 HTTP/1.1\r\nHost: x:80\r\nX-Empty:\r\n"
                 "aCCEPT: \t a, b \t\r\n\r\n",
                 "GET /a%20b/c?x=1&y=?2 path=/a%20b/c query=x=1&y=?2 [host=x:80] [x-empty=] "
                 "[accept=a, b] length=-1\ncomplete\nbetween\n");
    assert_story("GET /? HTTP/1.1\r\n" HOST "\r\n",
                 "GET /? path=/ query= [host=x] length=-1\ncomplete\nbetween\n");
}

static void reads_a_body_of_known_length(void **state) {
    (void)state;
    assert_story("POST / HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\nhello\r\nworl",
                 "POST / path=/ [host=x] [content-length=11] length=11 body\n"
                 "body hello\r\nworl\ncomplete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
                 "POST / path=/ [host=x] [content-length=0] length=0\ncomplete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell",
                 "POST / path=/ [host=x] [content-length=5] length=5 body\n"
                 "body hellin message\n");
}

static void reads_a_chunked_body(void **state) {
    (void)state;
    assert_story("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
                 "5;a=b;c=\"d e\"\r\nhel\r\n\r\n0005\r\nworld\r\n0;last\r\n"
                 "X-Trailer: t\r\nContent-Length: 5\r\n\r\n",
                 "POST / path=/ [host=x] [transfer-encoding=Chunked] length=-1 body\n"
                 "body hel\r\nworld\ncomplete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 "POST / path=/ [host=x] [transfer-encoding=chunked] length=-1 body\n"
                 "complete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n",
                 "POST / path=/ [host=x] [transfer-encoding=chunked] length=-1 body\n"
                 "body 0123456789in message\n");
}

static void pipelined_requests_come_one_after_the_other(void **state) {
    (void)state;
    assert_story("POST /1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\none"
                 "\r\n"
                 "GET /2 HTTP/1.1\r\n" HOST "\r\n"
                 "\r\n"
                 "POST /3 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                 "2\r\nhi\r\n0\r\n\r\n"
                 "GET /4 HTTP/1.1\r\nHo",
                 "POST /1 path=/1 [host=x] [content-length=3] length=3 body\nbody one\ncomplete\n"
                 "GET /2 path=/2 [host=x] length=-1\ncomplete\n"
                 "POST /3 path=/3 [host=x] [transfer-encoding=chunked] length=-1 body\n"
                 "body hi\ncomplete\n"
                 "in message\n");
}

static void connection_header_decides_about_more(void **state) {
    (void)state;
    assert_story("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET / HTTP/9.9\r\nrubbish",
                 "GET / path=/ [host=x] [connection=close] length=-1 close\ncomplete\nbetween\n");
    assert_story("GET / HTTP/1.1\r\n" HOST "Connection: foo, Close\r\n\r\n",
                 "GET / path=/ [host=x] [connection=foo, Close] length=-1 close\ncomplete\n"
                 "between\n");
    assert_story("GET / HTTP/1.0\r\n\r\n", "GET / path=/ length=-1 close 1.0\ncomplete\nbetween\n");
    assert_story("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
                 "GET / path=/ [connection=keep-alive] length=-1 1.0\ncomplete\n"
                 "GET / path=/ length=-1 close 1.0\ncomplete\nbetween\n");
    assert_story("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
                 "GET / path=/ [connection=keep-alive] [connection=close] length=-1 close 1.0\n"
                 "complete\nbetween\n");
}

static void targets_come_in_three_forms(void **state) {
    (void)state;
    assert_story("OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
                 "OPTIONS * path=* [host=x] length=-1\ncomplete\nbetween\n");
    assert_story("GET http://X/p?q HTTP/1.1\r\n" HOST "\r\n",
                 "GET http://X/p?q path=/p query=q [host=x] length=-1\ncomplete\nbetween\n");
    assert_story("GET http://x?q HTTP/1.1\r\n" HOST "\r\n",
                 "GET http://x?q path=/ query=q [host=x] length=-1\ncomplete\nbetween\n");
    assert_story("GET HTTPS://x HTTP/1.0\r\n\r\n",
                 "GET HTTPS://x path=/ length=-1 close 1.0\ncomplete\nbetween\n");
    assert_story("GET //x/../y HTTP/1.1\r\n" HOST "\r\n",
                 "GET //x/../y path=//x/../y [host=x] length=-1\ncomplete\nbetween\n");
}

static void upgrade_requests_are_read_as_plain_ones(void **state) {
    (void)state;
    assert_story("GET /1 HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
                 "GET /2 HTTP/1.1\r\n" HOST "\r\n",
                 "GET /1 path=/1 [host=x] [upgrade=h2c] [connection=Upgrade] length=-1\ncomplete\n"
                 "GET /2 path=/2 [host=x] length=-1\ncomplete\nbetween\n");
    assert_story("POST /1 HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: upgrade\r\n"
                 "Content-Length: 2\r\n\r\nhiGET /2 HTTP/1.1\r\n" HOST "\r\n",
                 "POST /1 path=/1 [host=x] [upgrade=websocket] [connection=upgrade] "
                 "[content-length=2] length=2 body\nbody hi\ncomplete\n"
                 "GET /2 path=/2 [host=x] length=-1\ncomplete\nbetween\n");
}

static void expect_continue_is_reported(void **state) {
    (void)state;
    assert_story("POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
                 "POST / path=/ [host=x] [expect=100-Continue] [content-length=1] length=1 body "
                 "expect\nbody x\ncomplete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n",
                 "POST / path=/ [host=x] [expect=100-continue] length=-1\ncomplete\nbetween\n");
    assert_story("GET / HTTP/1.0\r\nExpect: magic\r\n\r\n",
                 "GET / path=/ [expect=magic] length=-1 close 1.0\ncomplete\nbetween\n");
}

/* ---- refused ---- */

static void assert_refused(const char *input, size_t len, const char *code_and_status) {
    struct recorder recorder;
    struct ms_bytes story = story_of(&recorder, ms_bytes_of(input, len), SIZE_MAX, false);
    if (!ms_bytes_starts_with(story, ms_bytes_cstr(code_and_status)))
        fail_msg("%s tells\n%.*s", input, SHOWN(story));
    for (size_t step = 1; step < 9; step++)
        assert_same(ms_bytes_of(input, len), story, step, false);

    /* Dead for good, and it says the same again. */
    size_t consumed = 7;
    int status;
    struct ms_error err;
    int r = ms_http1_feed(recorder.parser, MS_BYTES_LITERAL("GET / HTTP/1.1\r\n" HOST "\r\n"),
                          &consumed, &status, &err);
    assert_true(r < 0);
    assert_int_equal(consumed, 0);
    assert_true(status >= 400);
    assert_int_equal(recorder.completed, 0);
    assert_false(ms_http1_in_message(recorder.parser));
    recorder_deinit(&recorder);
}

static void malformed_request_lines_are_400(void **state) {
    (void)state;
    static const char *const lines[] = {
        "GET /\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET /  HTTP/1.1\r\n",
        " GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET /\tHTTP/1.1\r\n",
        "GET\t/ HTTP/1.1\r\n",
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\r\r\n",
        "GET /\r HTTP/1.1\r\n",
        "GET / http/1.1\r\n",
        "GET / HTTP/11\r\n",
        "GET / HTTP/1.1.1\r\n",
        "GET / HTTP/1.\r\n",
        "GET / HTTP/x.1\r\n",
        "GET /a b HTTP/1.1\r\n",
        "GET /a#b HTTP/1.1\r\n",
        "GET /\xc3\xa9 HTTP/1.1\r\n",
        "GET /\x7f HTTP/1.1\r\n",
        "GET /\x01 HTTP/1.1\r\n",
        "GET a HTTP/1.1\r\n",
        "GET * HTTP/1.1\r\n",
        "GET ftp://x/ HTTP/1.1\r\n",
        "G(T / HTTP/1.1\r\n",
        "\r\n\r\n",
        "\n",
        "\r\rGET / HTTP/1.1\r\n",
        "\x16\x03\x01",
        "{",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_refused(lines[i], strlen(lines[i]), "MS_EINVAL 400");
    assert_refused("GET /\0 HTTP/1.1\r\n", 17, "MS_EINVAL 400");
    assert_refused("\0", 1, "MS_EINVAL 400");
}

static void malformed_headers_are_400(void **state) {
    (void)state;
    static const char *const headers[] = {
        HOST "Name : v\r\n",         HOST "Name\t: v\r\n",  HOST " Folded: v\r\n",
        HOST "A: b\r\n\tfolded\r\n", HOST "A: b\r\n c\r\n", HOST "no colon\r\n",
        HOST "nocolon\r\n",          HOST ": v\r\n",        HOST "A: b\n",
        HOST "A: b\rc\r\n",          HOST "A: b\r\r\n",     HOST "A(: b\r\n",
        HOST "A: b\x01\r\n",         HOST "A: b\x7f\r\n",   HOST "\xc3\xa9: b\r\n",
        HOST "A: b\r\n\n",           HOST "\r \n",          " Host: x\r\n",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        char input[256];
        int len = snprintf(input, sizeof input, "GET / HTTP/1.1\r\n%s\r\n", headers[i]);
        assert_refused(input, (size_t)len, "MS_EINVAL 400");
    }
    assert_refused("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", 29, "MS_EINVAL 400");
    assert_refused("GET / HTTP/1.1\r\nA\0: x\r\n\r\n", 26, "MS_EINVAL 400");
}

static void versions_and_methods_that_are_not_known_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *input, *outcome;
    } cases[] = {
        {"GET / HTTP/2.0\r\n", "MS_EUNSUPPORTED 505"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "MS_EUNSUPPORTED 505"},
        {"GET / HTTP/0.9\r\n", "MS_EUNSUPPORTED 505"},
        {"GET / HTTP/1.2\r\n", "MS_EUNSUPPORTED 505"},
        {"BREW / HTTP/1.1\r\n" HOST "\r\n", "MS_EUNSUPPORTED 501"},
        {"get / HTTP/1.1\r\n" HOST "\r\n", "MS_EUNSUPPORTED 501"},
        {"GETT / HTTP/1.1\r\n" HOST "\r\n", "MS_EUNSUPPORTED 501"},
        {"CONNECT x:80 HTTP/1.1\r\n" HOST "\r\n", "MS_EUNSUPPORTED 501"},
        {"GET / HTTP/1.1\r\n" HOST "Expect: magic\r\n\r\n", "MS_EUNSUPPORTED 417"},
        {"GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n",
         "MS_EUNSUPPORTED 417"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].input, strlen(cases[i].input), cases[i].outcome);
}

static void doubtful_lengths_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *headers, *outcome;
    } cases[] = {
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "MS_EINVAL 400"},
        {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "MS_EINVAL 400"},
        {"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "MS_EINVAL 400"},
        {"Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", "MS_EINVAL 400"},
        {"Content-Length: 5\r\nContent-Length: 6\r\n", "MS_EINVAL 400"},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", "MS_EINVAL 400"},
        {"Content-Length: 5, 5\r\n", "MS_EINVAL 400"},
        {"Content-Length: 5 5\r\n", "MS_EINVAL 400"},
        {"Content-Length: +5\r\n", "MS_EINVAL 400"},
        {"Content-Length: -5\r\n", "MS_EINVAL 400"},
        {"Content-Length: 0x5\r\n", "MS_EINVAL 400"},
        {"Content-Length:\r\n", "MS_EINVAL 400"},
        {"Content-Length: \r\n", "MS_EINVAL 400"},
        {"Content-Length: 9223372036854775808\r\n", "MS_EINVAL 400"},
        {"Content-Length: 18446744073709551616\r\n", "MS_EINVAL 400"},
        {"Content-Length: 99999999999999999999999\r\n", "MS_EINVAL 400"},
        {"Content-Length : 5\r\n", "MS_EINVAL 400"},
        {"Transfer-Encoding : chunked\r\n", "MS_EINVAL 400"},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "MS_EINVAL 400"},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "MS_EINVAL 400"},
        {"Transfer-Encoding:\r\n", "MS_EINVAL 400"},
        {"Transfer-Encoding:\r\n chunked\r\n", "MS_EINVAL 400"},
        {"Transfer-Encoding: gzip\r\n", "MS_EUNSUPPORTED 501"},
        {"Transfer-Encoding: identity\r\n", "MS_EUNSUPPORTED 501"},
        {"Transfer-Encoding: gzip, chunked\r\n", "MS_EUNSUPPORTED 501"},
        {"Transfer-Encoding: chunked, gzip\r\n", "MS_EUNSUPPORTED 501"},
        {"Transfer-Encoding: chunked, chunked\r\n", "MS_EUNSUPPORTED 501"},
        {"Transfer-Encoding: xchunked\r\n", "MS_EUNSUPPORTED 501"},
        {"Transfer-Encoding: \x0b"
         "chunked\r\n",
         "MS_EINVAL 400"},
        {"Transfer-Encoding: \"chunked\"\r\n", "MS_EUNSUPPORTED 501"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char input[256];
        int len = snprintf(input, sizeof input, "POST / HTTP/1.1\r\n" HOST "%s\r\n0\r\n\r\n",
                           cases[i].headers);
        assert_refused(input, (size_t)len, cases[i].outcome);
    }
    const char *old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_refused(old, strlen(old), "MS_EINVAL 400");
}

static void host_must_be_one_and_the_targets(void **state) {
    (void)state;
    static const char *const inputs[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\\y\r\n\r\n",
        "GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x:81/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http:///p HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        assert_refused(inputs[i], strlen(inputs[i]), "MS_EINVAL 400");
}

/* The story of a chunked request whose body is `body`. */
static void assert_chunks(const char *body, const char *expected_end) {
    char input[4096], expected[4096];
    (void)snprintf(input, sizeof input,
                   "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%s", body);
    (void)snprintf(expected, sizeof expected,
                   "POST / path=/ [host=x] [transfer-encoding=chunked] length=-1 body\n%s",
                   expected_end);
    assert_story(input, expected);
}

static void malformed_chunks_are_400(void **state) {
    (void)state;
    static const char *const sizes[] = {"x\r\n",
                                        "\r\n",
                                        "-1\r\n",
                                        "0x1\r\n",
                                        "1 \r\n",
                                        " 1\r\n",
                                        "1 ;a\r\n",
                                        ";a\r\n",
                                        "+1\r\n",
                                        "1g\r\n",
                                        "00000000000000001\r\n"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_chunks(sizes[i], "MS_EINVAL 400 a chunk must begin with its size in hexadecimal "
                                "digits\n");
    assert_chunks("1\n", "MS_EINVAL 400 a line must end with CR LF\n");
    assert_chunks("1;a\rb\r\n", "MS_EINVAL 400 a chunk extension must not hold control "
                                "characters\n");
    const char *end = "body a\nMS_EINVAL 400 a chunk must end with CR LF after its last byte\n";
    assert_chunks("1\r\na\n", end);
    assert_chunks("1\r\nab", end);
    assert_chunks("1\r\na\rb", end);
    assert_chunks("0\r\n\n", "MS_EINVAL 400 a line must end with CR LF\n");
    assert_chunks("0\r\nno colon\r\n", "MS_EINVAL 400 a header must be a name, a colon directly "
                                       "behind it, and a value\n");
    assert_chunks("0\r\n folded: x\r\n", "MS_EINVAL 400 a header must not be folded\n");
    assert_chunks("ffffffffffffffff\r\n", "MS_EINVAL 400 invalid character in content-length "
                                          "header\n");
}

static void chunk_extensions_are_bounded(void **state) {
    (void)state;
    char line[600];
    memset(line, 'e', sizeof line);
    memcpy(line, "1;", 2);
    memcpy(line + 254, "\r\na\r\n0\r\n\r\n", 11);
    assert_chunks(line, "body a\ncomplete\nbetween\n");
    memset(line + 2, 'e', sizeof line - 2);
    memcpy(line + 255, "\r\n", 3);
    assert_chunks(line, "MS_EINVAL 400 a chunk extension is too long\n");
    memset(line + 2, 'e', sizeof line - 2);
    line[sizeof line - 1] = 0;
    assert_chunks(line, "MS_EINVAL 400 a chunk extension is too long\n");
}

static void bodies_over_the_limit_are_413(void **state) {
    (void)state;
    char input[512], body[128];
    memset(body, 'b', sizeof body);
    struct recorder recorder;
    struct ms_bytes story;
    for (int length = 99; length <= 101; length++) {
        (void)snprintf(input, sizeof input,
                       "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n%.*s", length, length,
                       body);
        story = story_of(&recorder, ms_bytes_cstr(input), SIZE_MAX, false);
        assert_int_equal(recorder.completed, length <= 100);
        bool refused = memmem(story.data, story.len, "MS_ETOOBIG 413", 14) != NULL;
        assert_int_equal(refused, length > 100);
        assert_null(length > 100 ? memmem(story.data, story.len, "body b", 6) : NULL);
        recorder_deinit(&recorder);
    }
    assert_chunks("65\r\n", "MS_ETOOBIG 413 the body is too large\n");
    assert_chunks("1\r\na\r\n64\r\n", "body a\nMS_ETOOBIG 413 the body is too large\n");
    assert_chunks("1\r\na\r\nfffffffffffffff\r\n",
                  "body a\nMS_ETOOBIG 413 the body is too large\n");
    assert_chunks("1\r\na\r\n63\r\n", "body ain message\n");
}

static void callback_may_change_the_body_limit(void **state) {
    (void)state;
    static const char input[] =
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (size_t max = 4; max <= 5; max++) {
        struct recorder recorder;
        recorder_init(&recorder);
        recorder.body_max = max;
        feed(&recorder, ms_bytes_cstr(input), SIZE_MAX);
        assert_int_equal(recorder.completed, max == 5 ? 2 : 0);
        recorder_deinit(&recorder);
    }
}

static void targets_over_the_limit_are_414(void **state) {
    (void)state;
    char input[2048], path[1500];
    memset(path, 'p', sizeof path);
    path[0] = '/';
    int len = snprintf(input, sizeof input, "GET %.64s HTTP/1.1\r\n" HOST "\r\n", path);
    struct recorder recorder;
    (void)story_of(&recorder, ms_bytes_of(input, (size_t)len), SIZE_MAX, false);
    assert_int_equal(recorder.completed, 1);
    recorder_deinit(&recorder);
    len = snprintf(input, sizeof input, "GET %.65s HTTP/1.1\r\n", path);
    assert_refused(input, (size_t)len, "MS_ETOOBIG 414 the target is too long");
    len = snprintf(input, sizeof input, "GET %.1500s", path);
    assert_refused(input, (size_t)len, "MS_ETOOBIG 414 the request line is too long");
}

static void header_blocks_over_the_limit_are_431(void **state) {
    (void)state;
    enum { HEAD_LEN = 16 + 9 + 4 + 2 + 2 };
    char input[2048], value[1200];
    memset(value, 'v', sizeof value);
    struct recorder recorder;
    for (int extra = 0; extra <= 1; extra++) {
        int len = snprintf(input, sizeof input, "GET / HTTP/1.1\r\n" HOST "AB: %.*s\r\n\r\n",
                           1024 - HEAD_LEN + extra, value);
        assert_int_equal(len, 1024 + extra);
        if (extra) {
            assert_refused(input, (size_t)len, "MS_ETOOBIG 431 the headers are too large");
            continue;
        }
        (void)story_of(&recorder, ms_bytes_of(input, (size_t)len), 100, false);
        assert_int_equal(recorder.completed, 1);
        recorder_deinit(&recorder);
    }
    int len = snprintf(input, sizeof input, "GET / HTTP/1.1\r\n" HOST "AB: %.1200s", value);
    assert_refused(input, (size_t)len, "MS_ETOOBIG 431 the headers are too large");

    char many[512] = "GET / HTTP/1.1\r\n" HOST;
    for (int i = 1; i < 8; i++)
        strncat(many, "A: b\r\n", sizeof many - strlen(many) - 1);
    size_t before = strlen(many);
    strncat(many, "\r\n", sizeof many - strlen(many) - 1);
    (void)story_of(&recorder, ms_bytes_cstr(many), 1, false);
    assert_int_equal(recorder.completed, 1);
    recorder_deinit(&recorder);
    many[before] = 0;
    strncat(many, "A: b\r\n", sizeof many - strlen(many) - 1);
    assert_refused(many, strlen(many), "MS_ETOOBIG 431 too many headers");
}

static void trailers_are_bounded(void **state) {
    (void)state;
    char body[2048] = "0\r\n";
    for (int i = 0; i < 8; i++)
        strncat(body, "A: b\r\n", sizeof body - strlen(body) - 1);
    size_t before = strlen(body);
    strncat(body, "\r\n", sizeof body - strlen(body) - 1);
    assert_chunks(body, "complete\nbetween\n");
    body[before] = 0;
    strncat(body, "A: b\r\n", sizeof body - strlen(body) - 1);
    assert_chunks(body, "MS_ETOOBIG 431 too many trailers\n");

    memset(body, 'v', sizeof body);
    memcpy(body, "0\r\nA: ", 6);
    memcpy(body + 600, "\r\nB: ", 5);
    body[1200] = 0;
    assert_chunks(body, "MS_ETOOBIG 431 the trailers are too large\n");
}

/* ---- driving ---- */

static void a_callback_can_stop_the_parser(void **state) {
    (void)state;
    static const char input[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello...";
    static const size_t consumed_at[] = {sizeof input - 1 - 8, sizeof input - 1 - 3,
                                         sizeof input - 1 - 3};
    for (int where = 0; where < 3; where++) {
        struct recorder recorder;
        recorder_init(&recorder);
        recorder.stop_at_headers = where == 0 ? 42 : 0;
        recorder.stop_at_body = where == 1 ? MS_ELIMIT : 0;
        recorder.stop_at_complete = where == 2 ? MS_ECANCELED : 0;
        int expected = where == 0 ? 42 : where == 1 ? MS_ELIMIT : MS_ECANCELED;
        size_t consumed;
        int status = -1;
        assert_int_equal(
            ms_http1_feed(recorder.parser, ms_bytes_cstr(input), &consumed, &status, NULL),
            expected);
        assert_int_equal(consumed, consumed_at[where]);
        assert_int_equal(status, 0);
        assert_int_equal(
            ms_http1_feed(recorder.parser, ms_bytes_cstr(input), &consumed, &status, NULL),
            expected);
        assert_int_equal(consumed, 0);
        recorder_deinit(&recorder);
    }
}

static void a_paused_parser_consumes_nothing_until_resume(void **state) {
    (void)state;
    static const char first[] = "GET /1 HTTP/1.1\r\n" HOST "\r\n";
    static const char both[] = "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n";
    struct recorder recorder;
    recorder_init(&recorder);
    recorder.pauses = true;
    struct ms_bytes input = ms_bytes_cstr(both);
    size_t consumed;
    int status;
    assert_int_equal(ms_http1_feed(recorder.parser, input, &consumed, &status, NULL), 0);
    assert_int_equal(consumed, sizeof first - 1);
    assert_int_equal(recorder.completed, 0); /* paused by on_headers */
    assert_true(ms_http1_in_message(recorder.parser));
    input = ms_bytes_of(input.data + consumed, input.len - consumed);
    assert_int_equal(ms_http1_feed(recorder.parser, input, &consumed, &status, NULL), 0);
    assert_int_equal(consumed, 0);
    ms_http1_resume(recorder.parser);
    assert_int_equal(ms_http1_feed(recorder.parser, input, &consumed, &status, NULL), 0);
    assert_int_equal(consumed, 0);
    assert_int_equal(recorder.completed, 1); /* paused by on_complete */
    assert_false(ms_http1_in_message(recorder.parser));
    recorder.pauses = false;
    ms_http1_resume(recorder.parser);
    assert_int_equal(ms_http1_feed(recorder.parser, input, &consumed, &status, NULL), 0);
    assert_int_equal(consumed, input.len);
    assert_int_equal(recorder.completed, 2);
    recorder_deinit(&recorder);
}

static void in_message_is_true_from_first_byte_to_last(void **state) {
    (void)state;
    static const char input[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi";
    struct recorder recorder;
    recorder_init(&recorder);
    assert_false(ms_http1_in_message(recorder.parser));
    for (size_t i = 0; i < sizeof input - 1; i++) {
        size_t consumed;
        int status;
        assert_int_equal(
            ms_http1_feed(recorder.parser, ms_bytes_of(input + i, 1), &consumed, &status, NULL), 0);
        assert_int_equal(ms_http1_in_message(recorder.parser), i + 1 < sizeof input - 1);
    }
    assert_int_equal(recorder.completed, 1);
    recorder_deinit(&recorder);
}

static void header_is_found_by_name(void **state) {
    (void)state;
    static const struct ms_http1_header headers[] = {
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"1", 1}},
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"2", 1}},
        {{(const uint8_t *)"b", 1}, {(const uint8_t *)"", 0}}};
    struct ms_http1_request request = {.headers = headers, .header_count = 3};
    assert_true(ms_bytes_equal_cstr(ms_http1_header(&request, "a"), "1"));
    assert_non_null(ms_http1_header(&request, "b").data);
    assert_null(ms_http1_header(&request, "c").data);
}

static void every_failed_allocation_is_503(void **state) {
    (void)state;
    static const char input[] =
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: t\r\n\r\n";
    uint64_t failures = 0;
    for (uint64_t n = 1;; n++) {
        struct recorder recorder = {0};
        struct ms_error err = {0};
        size_t consumed;
        int status = 0;
        ms_buf_init(&recorder.story, 1 << 16);
        assert_int_equal(ms_buf_reserve(&recorder.story, 4096), 0);
        ms_alloc_fail_nth(n);
        int r = ms_http1_parser_new(&limits, &callbacks, &recorder, &recorder.parser);
        if (r == 0)
            r = ms_http1_feed(recorder.parser, ms_bytes_cstr(input), &consumed, &status, &err);
        bool failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        assert_int_equal(r, failed ? MS_ENOMEM : 0);
        if (failed && recorder.parser)
            assert_int_equal(status, 503);
        recorder_deinit(&recorder);
        if (!failed)
            break;
        failures++;
    }
    assert_true(failures >= 3);
}

static void header_limit_is_capped(void **state) {
    (void)state;
    struct ms_http1_limits large = limits;
    struct ms_http1_parser *parser = NULL;
    large.header_bytes_max = MS_HTTP1_HEADER_BYTES_LIMIT + 1;
    assert_int_equal(ms_http1_parser_new(&large, &callbacks, NULL, &parser), MS_EINVAL);
    assert_null(parser);
    large.header_bytes_max--;
    assert_int_equal(ms_http1_parser_new(&large, &callbacks, NULL, &parser), 0);
    ms_http1_parser_free(parser);
    ms_http1_parser_free(NULL);
}

static int count_request(void *context, const struct ms_http1_request *request) {
    size_t *count = context;
    *count += request->header_count;
    return 0;
}

static int ignore_piece(void *context, struct ms_bytes piece) {
    (void)context;
    (void)piece;
    return 0;
}

static int ignore_end(void *context) {
    (void)context;
    return 0;
}

/* A head as large as is allowed passes http_parser's own limit too, and the next one as well. */
static void the_largest_header_block_is_read(void **state) {
    (void)state;
    struct ms_http1_limits large = limits;
    large.header_bytes_max = MS_HTTP1_HEADER_BYTES_LIMIT;
    const struct ms_http1_callbacks counting = {count_request, ignore_piece, ignore_end};
    struct ms_http1_parser *parser;
    size_t count = 0, consumed;
    int status;
    assert_int_equal(ms_http1_parser_new(&large, &counting, &count, &parser), 0);
    static uint8_t input[MS_HTTP1_HEADER_BYTES_LIMIT];
    memset(input, 'v', sizeof input);
    memcpy(input, "GET / HTTP/1.1\r\nHost: x\r\nA: ", 28);
    memcpy(input + sizeof input / 2, "\r\nB: ", 5);
    memcpy(input + sizeof input - 4, "\r\n\r\n", 4);
    for (size_t round = 1; round <= 3; round++) {
        assert_int_equal(
            ms_http1_feed(parser, ms_bytes_of(input, sizeof input), &consumed, &status, NULL), 0);
        assert_int_equal(consumed, sizeof input);
        assert_int_equal(count, 3 * round);
    }
    ms_http1_parser_free(parser);
}

/* ---- responses ---- */

static void status_lines_have_reasons(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *line;
    } cases[] = {
        {200, "HTTP/1.1 200 OK\r\n"},
        {204, "HTTP/1.1 204 No Content\r\n"},
        {422, "HTTP/1.1 422 Unprocessable Content\r\n"},
        {428, "HTTP/1.1 428 Precondition Required\r\n"},
        {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
        {451, "HTTP/1.1 451 Unavailable For Legal Reasons\r\n"},
        {507, "HTTP/1.1 507 Insufficient Storage\r\n"},
        {599, "HTTP/1.1 599 Unknown\r\n"},
    };
    struct ms_buf out;
    ms_buf_init(&out, 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ms_buf_clear(&out);
        assert_int_equal(ms_http1_write_status(&out, cases[i].status), 0);
        assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&out), cases[i].line));
    }
    ms_buf_clear(&out);
    assert_int_equal(ms_http1_write_status(&out, 99), MS_EINVAL);
    assert_int_equal(ms_http1_write_status(&out, 1000), MS_EINVAL);
    assert_int_equal(out.len, 0);
    ms_buf_deinit(&out);
}

/* Every status that our errors map to can be answered by name. */
static void every_error_has_a_reason(void **state) {
    (void)state;
#define X(name, value, http, type, text) assert_string_not_equal(ms_http1_reason(http), "Unknown");
    MS_ERROR_LIST(X)
#undef X
}

static void header_values_cannot_split_a_response(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 24);
    assert_int_equal(ms_http1_write_header(&out, "Location", MS_BYTES_LITERAL("/a b")), 0);
    assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&out), "Location: /a b\r\n"));
    assert_int_equal(ms_http1_write_header(&out, "A", (struct ms_bytes){0}), 0);
    assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&out), "Location: /a b\r\nA: \r\n"));
    size_t len = out.len;
    assert_int_equal(ms_http1_write_header(&out, "A", MS_BYTES_LITERAL("a\rb")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "A", MS_BYTES_LITERAL("a\nb")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "A", MS_BYTES_LITERAL("a\0b")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "A:", MS_BYTES_LITERAL("a")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "", MS_BYTES_LITERAL("a")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "A", MS_BYTES_LITERAL("a")), MS_ETOOBIG);
    assert_int_equal(out.len, len);
    ms_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request_without_body),
        cmocka_unit_test(reads_a_body_of_known_length),
        cmocka_unit_test(reads_a_chunked_body),
        cmocka_unit_test(pipelined_requests_come_one_after_the_other),
        cmocka_unit_test(connection_header_decides_about_more),
        cmocka_unit_test(targets_come_in_three_forms),
        cmocka_unit_test(upgrade_requests_are_read_as_plain_ones),
        cmocka_unit_test(expect_continue_is_reported),
        cmocka_unit_test(malformed_request_lines_are_400),
        cmocka_unit_test(malformed_headers_are_400),
        cmocka_unit_test(versions_and_methods_that_are_not_known_are_refused),
        cmocka_unit_test(doubtful_lengths_are_refused),
        cmocka_unit_test(host_must_be_one_and_the_targets),
        cmocka_unit_test(malformed_chunks_are_400),
        cmocka_unit_test(chunk_extensions_are_bounded),
        cmocka_unit_test(bodies_over_the_limit_are_413),
        cmocka_unit_test(callback_may_change_the_body_limit),
        cmocka_unit_test(targets_over_the_limit_are_414),
        cmocka_unit_test(header_blocks_over_the_limit_are_431),
        cmocka_unit_test(trailers_are_bounded),
        cmocka_unit_test(a_callback_can_stop_the_parser),
        cmocka_unit_test(a_paused_parser_consumes_nothing_until_resume),
        cmocka_unit_test(in_message_is_true_from_first_byte_to_last),
        cmocka_unit_test(header_is_found_by_name),
        cmocka_unit_test(every_failed_allocation_is_503),
        cmocka_unit_test(header_limit_is_capped),
        cmocka_unit_test(the_largest_header_block_is_read),
        cmocka_unit_test(status_lines_have_reasons),
        cmocka_unit_test(every_error_has_a_reason),
        cmocka_unit_test(header_values_cannot_split_a_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
