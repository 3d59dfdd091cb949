/* Content types and Accept. */
#include "face/http/media.h"
#include "http_cmocka.h"

static void bodies_are_told_apart_by_content_type(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum ms_http_body_type type;
    } cases[] = {
        {"", MS_HTTP_BODY_MISSING},
        {"application/json", MS_HTTP_BODY_JSON},
        {"Application/JSON; charset=utf-8", MS_HTTP_BODY_JSON},
        {"text/json", MS_HTTP_BODY_JSON},
        {"application/cloudevents+json", MS_HTTP_BODY_CLOUDEVENT},
        {"application/cloudevents-batch+json;charset=utf-8", MS_HTTP_BODY_CLOUDEVENTS},
        {"application/x-ndjson", MS_HTTP_BODY_NDJSON},
        {"text/plain", MS_HTTP_BODY_OTHER},
        {"application/jsonx", MS_HTTP_BODY_OTHER},
        {"application/x-www-form-urlencoded", MS_HTTP_BODY_OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ms_http_body_type(ms_bytes_cstr(cases[i].text)), cases[i].type);
    assert_int_equal(ms_http_body_type(NO_BYTES), MS_HTTP_BODY_MISSING);
}

static void the_best_accepted_type_is_chosen(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        enum ms_http_answer_type type;
    } cases[] = {
        {"", MS_HTTP_ANSWER_JSON},
        {"*/*", MS_HTTP_ANSWER_JSON},
        {"application/*", MS_HTTP_ANSWER_JSON},
        {"application/json", MS_HTTP_ANSWER_JSON},
        {"text/event-stream", MS_HTTP_ANSWER_SSE},
        {"text/html, */*;q=0.1", MS_HTTP_ANSWER_JSON},
        {"application/cloudevents-batch+json", MS_HTTP_ANSWER_CLOUDEVENTS},
        {"application/json;q=0.5, application/x-ndjson", MS_HTTP_ANSWER_NDJSON},
        {"application/json;q=0.5,application/x-ndjson;q=0.25", MS_HTTP_ANSWER_JSON},
        {"application/json;q=0, */*", MS_HTTP_ANSWER_CLOUDEVENTS},
        {"text/event-stream, application/json;q=0.9", MS_HTTP_ANSWER_SSE},
        {"TEXT/Event-Stream", MS_HTTP_ANSWER_SSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum ms_http_answer_type type;
        assert_int_equal(ms_http_accept_parse(ms_bytes_cstr(cases[i].accept), &type), 0);
        assert_int_equal(type, cases[i].type);
    }
}

static void what_can_not_be_given_is_not_acceptable(void **state) {
    (void)state;
    static const char *const cases[] = {
        "text/html", "application/xml, image/*", "application/json;q=0", "text/*", "*/*;q=0.000",
        "garbage"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum ms_http_answer_type type = MS_HTTP_ANSWER_NDJSON;
        assert_int_equal(ms_http_accept_parse(ms_bytes_cstr(cases[i]), &type), MS_EUNSUPPORTED);
        assert_int_equal(type, MS_HTTP_ANSWER_NDJSON);
    }
}

static void only_utf_8_is_a_charset(void **state) {
    (void)state;
    static const char *const good[] = {"",
                                       "application/json",
                                       "application/json; charset=utf-8",
                                       "application/json;charset=\"UTF-8\"",
                                       "a/b; x=y; Charset=Utf-8",
                                       "a/b; version=latin1"};
    static const char *const bad[] = {"application/json; charset=latin1",
                                      "a/b; x=y; charset=utf-16",
                                      "a/b; charset=", "a/b; charset=utf-8; charset=latin1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(ms_http_charset_is_utf8(ms_bytes_cstr(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ms_http_charset_is_utf8(ms_bytes_cstr(bad[i])));
}

static void only_identity_is_no_encoding(void **state) {
    (void)state;
    assert_true(ms_http_encoding_is_identity(NO_BYTES));
    assert_true(ms_http_encoding_is_identity(B(" Identity ")));
    assert_false(ms_http_encoding_is_identity(B("gzip")));
    assert_false(ms_http_encoding_is_identity(B("identity, gzip")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_told_apart_by_content_type),
        cmocka_unit_test(the_best_accepted_type_is_chosen),
        cmocka_unit_test(what_can_not_be_given_is_not_acceptable),
        cmocka_unit_test(only_utf_8_is_a_charset),
        cmocka_unit_test(only_identity_is_no_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
