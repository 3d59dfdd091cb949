/* HTTP/1.1 requests: every refusal with its status, above all what smuggles requests. */
#include "http1_story.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
