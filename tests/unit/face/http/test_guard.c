/* Host and Origin checks. */
#include "face/http/guard.h"
#include "http_cmocka.h"

static const char *const hosts[] = {"db.example", "proxy:8443"};
static const char *const origins[] = {"https://app.example"};

static struct ms_http_options options(void) {
    struct ms_http_options made;
    ms_http_options_init(&made);
    made.allowed_hosts = hosts;
    made.allowed_host_count = 2;
    made.cors_origins = origins;
    made.cors_origin_count = 1;
    return made;
}

static void loopback_names_are_always_good(void **state) {
    (void)state;
    struct ms_http_options made = options();
    struct ms_http_guard guard = {&made, "127.0.0.1", false};
    assert_true(ms_http_guard_host(&guard, B("localhost")));
    assert_true(ms_http_guard_host(&guard, B("LocalHost:8080")));
    assert_true(ms_http_guard_host(&guard, B("127.0.0.1:1")));
    assert_true(ms_http_guard_host(&guard, B("127.1.2.3")));
    assert_true(ms_http_guard_host(&guard, B("[::1]:8080")));
    assert_true(ms_http_guard_host(&guard, B("[::1]")));
}

static void configured_names_are_good_with_any_or_their_port(void **state) {
    (void)state;
    struct ms_http_options made = options();
    struct ms_http_guard guard = {&made, "127.0.0.1", false};
    assert_true(ms_http_guard_host(&guard, B("db.example")));
    assert_true(ms_http_guard_host(&guard, B("DB.example:99")));
    assert_true(ms_http_guard_host(&guard, B("proxy:8443")));
    assert_false(ms_http_guard_host(&guard, B("proxy:8444")));
}

static void unknown_names_are_refused(void **state) {
    (void)state;
    struct ms_http_options made = options();
    struct ms_http_guard guard = {&made, "127.0.0.1", false};
    static const char *const wrong[] = {"",
                                        "evil.example",
                                        "localhost.evil.example",
                                        "127.0.0.1.evil.example",
                                        "10.0.0.1",
                                        "[::2]",
                                        "[::1",
                                        "xlocalhost",
                                        "127.0.0.256",
                                        "db.example.evil",
                                        "128.0.0.1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(ms_http_guard_host(&guard, ms_bytes_cstr(wrong[i])));
}

static void a_server_on_all_interfaces_takes_addresses_but_no_names(void **state) {
    (void)state;
    struct ms_http_options made = options();
    struct ms_http_guard guard = {&made, "0.0.0.0", true};
    assert_true(ms_http_guard_host(&guard, B("192.168.1.5:8080")));
    assert_true(ms_http_guard_host(&guard, B("[fe80::1]:8080")));
    assert_false(ms_http_guard_host(&guard, B("evil.example")));
}

static void a_star_takes_every_host(void **state) {
    (void)state;
    static const char *const star[] = {"*"};
    struct ms_http_options made = options();
    made.allowed_hosts = star;
    made.allowed_host_count = 1;
    struct ms_http_guard guard = {&made, "127.0.0.1", false};
    assert_true(ms_http_guard_host(&guard, B("anything.example:1")));
}

static void origins_are_own_allowed_or_foreign(void **state) {
    (void)state;
    struct ms_http_options made = options();
    struct ms_http_guard guard = {&made, "127.0.0.1", false};
    struct ms_bytes host = B("localhost:8080");
    assert_int_equal(ms_http_guard_origin(&guard, NO_BYTES, host), MS_HTTP_ORIGIN_NONE);
    assert_int_equal(ms_http_guard_origin(&guard, B("http://localhost:8080"), host),
                     MS_HTTP_ORIGIN_NONE);
    assert_int_equal(ms_http_guard_origin(&guard, B("https://app.example"), host),
                     MS_HTTP_ORIGIN_ALLOWED);
    assert_int_equal(ms_http_guard_origin(&guard, B("http://localhost:8081"), host),
                     MS_HTTP_ORIGIN_FOREIGN);
    assert_int_equal(ms_http_guard_origin(&guard, B("null"), host), MS_HTTP_ORIGIN_FOREIGN);
    assert_int_equal(ms_http_guard_origin(&guard, B("https://app.example.evil"), host),
                     MS_HTTP_ORIGIN_FOREIGN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_names_are_always_good),
        cmocka_unit_test(configured_names_are_good_with_any_or_their_port),
        cmocka_unit_test(unknown_names_are_refused),
        cmocka_unit_test(a_server_on_all_interfaces_takes_addresses_but_no_names),
        cmocka_unit_test(a_star_takes_every_host),
        cmocka_unit_test(origins_are_own_allowed_or_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
