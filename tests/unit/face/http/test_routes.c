/* The route table. */
#include "face/http/http_metrics.h"
#include "face/http/params.h"
#include "face/http/routes.h"
#include "http_cmocka.h"

static const char *name_of(enum ms_http_method method, const char *path) {
    struct ms_http_match match = ms_http_route_find(method, ms_bytes_cstr(path));
    return match.route ? match.route->name : "none";
}

static void every_row_of_the_table_is_found(void **state) {
    (void)state;
    static const struct {
        enum ms_http_method method;
        const char *path, *name;
    } cases[] = {
        {MS_HTTP_POST, "/v1/streams/order-1", "appendToStream"},
        {MS_HTTP_GET, "/v1/streams/order-1", "readStream"},
        {MS_HTTP_HEAD, "/v1/streams/order-1", "readStream"},
        {MS_HTTP_DELETE, "/v1/streams/order-1", "deleteStream"},
        {MS_HTTP_GET, "/v1/events", "readAll"},
        {MS_HTTP_POST, "/v1/append", "appendMulti"},
        {MS_HTTP_GET, "/v1/streams/order-1/metadata", "getStreamMetadata"},
        {MS_HTTP_PUT, "/v1/streams/order-1/metadata", "putStreamMetadata"},
        {MS_HTTP_GET, "/v1/streams/order-1/snapshot", "getSnapshot"},
        {MS_HTTP_PUT, "/v1/streams/order-1/snapshot", "putSnapshot"},
        {MS_HTTP_GET, "/v1/streams", "listStreams"},
        {MS_HTTP_GET, "/v1/topics", "listTopics"},
        {MS_HTTP_GET, "/v1/topics/order", "getTopic"},
        {MS_HTTP_PUT, "/v1/topics/order", "putTopic"},
        {MS_HTTP_DELETE, "/v1/topics/order", "deleteTopic"},
        {MS_HTTP_GET, "/v1/topics/order/keys/1", "readKey"},
        {MS_HTTP_POST, "/v1/topics/order/keys/1", "appendToKey"},
        {MS_HTTP_DELETE, "/v1/topics/order/keys/1", "deleteKey"},
        {MS_HTTP_GET, "/v1/topics/order/keys/1/metadata", "getKeyMetadata"},
        {MS_HTTP_PUT, "/v1/topics/order/keys/1/metadata", "putKeyMetadata"},
        {MS_HTTP_GET, "/v1/topics/order/keys/1/snapshot", "getKeySnapshot"},
        {MS_HTTP_PUT, "/v1/topics/order/keys/1/snapshot", "putKeySnapshot"},
        {MS_HTTP_GET, "/healthz", "health"},
        {MS_HTTP_GET, "/readyz", "ready"},
        {MS_HTTP_GET, "/metrics", "metrics"},
        {MS_HTTP_GET, "/v1/info", "info"},
        {MS_HTTP_GET, "/openapi.json", "openapi"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(name_of(cases[i].method, cases[i].path), cases[i].name);
}

static void captures_are_the_raw_segments(void **state) {
    (void)state;
    struct ms_http_match match = ms_http_route_find(MS_HTTP_GET, B("/v1/topics/a%2Fb/keys/%00x"));
    assert_bytes(match.captures[0], "a%2Fb");
    assert_bytes(match.captures[1], "%00x");
    match = ms_http_route_find(MS_HTTP_GET, B("/v1/streams/metadata"));
    assert_bytes(match.captures[0], "metadata");
}

static void other_paths_are_no_resources(void **state) {
    (void)state;
    static const char *const paths[] = {"",
                                        "/",
                                        "//",
                                        "/v1",
                                        "/v1/",
                                        "/v1/streams/",
                                        "/v1/topics/",
                                        "/v2/events",
                                        "/v1/events/",
                                        "/v1/event",
                                        "/v1/eventss",
                                        "v1/events",
                                        "/v1/streams/a/b",
                                        "/v1/streams//metadata",
                                        "/v1/topics/a/keys/",
                                        "/v1/topics/a/keys",
                                        "/v1/topics/a/keys/b/c",
                                        "/healthz/",
                                        "*",
                                        "http://x/v1/events"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct ms_http_match match = ms_http_route_find(MS_HTTP_GET, ms_bytes_cstr(paths[i]));
        assert_null(match.route);
        assert_int_equal(match.allowed, 0);
    }
}

static void a_wrong_method_is_told_the_right_ones(void **state) {
    (void)state;
    struct ms_http_match match = ms_http_route_find(MS_HTTP_PUT, B("/v1/streams/a"));
    assert_null(match.route);
    assert_int_equal(match.allowed, 1u << MS_HTTP_GET | 1u << MS_HTTP_HEAD | 1u << MS_HTTP_POST |
                                        1u << MS_HTTP_DELETE);
    match = ms_http_route_find(MS_HTTP_GET, B("/v1/append"));
    assert_int_equal(match.allowed, 1u << MS_HTTP_POST);
    match = ms_http_route_find(MS_HTTP_HEAD, B("/v1/append"));
    assert_int_equal(match.allowed, 1u << MS_HTTP_POST);
}

static void methods_are_told_apart_exactly(void **state) {
    (void)state;
    enum ms_http_method method;
    assert_true(ms_http_method_parse(B("DELETE"), &method));
    assert_int_equal(method, MS_HTTP_DELETE);
    assert_false(ms_http_method_parse(B("get"), &method));
    assert_false(ms_http_method_parse(B("PATCH"), &method));
    assert_false(ms_http_method_parse(B(""), &method));
}

static void every_route_is_sound(void **state) {
    (void)state;
    for (size_t i = 0; i < ms_http_route_count(); i++) {
        const struct ms_http_route *route = ms_http_route_at(i);
        assert_int_equal(ms_http_route_index(route), i);
        assert_non_null(route->start);
        assert_true(route->params < UINT32_C(1) << MS_HTTP_PARAM_COUNT);
        assert_true(route->answers[0].status != 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(route->name, ms_http_route_at(j)->name);
    }
    assert_int_equal(ms_http_route_index(NULL), MS_HTTP_ROUTES_MAX - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_is_found),
        cmocka_unit_test(captures_are_the_raw_segments),
        cmocka_unit_test(other_paths_are_no_resources),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(methods_are_told_apart_exactly),
        cmocka_unit_test(every_route_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
