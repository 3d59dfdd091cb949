/* The options' copy. */
#include "base/alloc.h"
#include "face/http/config.h"
#include "http_cmocka.h"

static void the_copy_owns_its_strings(void **state) {
    (void)state;
    char host[] = "db.example";
    const char *hosts[] = {host, "*"};
    struct ms_http_options options;
    ms_http_options_init(&options);
    options.allowed_hosts = hosts;
    options.allowed_host_count = 2;
    struct ms_http_config *config;
    assert_int_equal(ms_http_config_new(&options, &config, NULL), 0);
    host[0] = 'X';
    hosts[1] = NULL;
    assert_string_equal(config->options.allowed_hosts[0], "db.example");
    assert_string_equal(config->options.allowed_hosts[1], "*");
    assert_non_null(config->options.env);
    ms_http_config_unref(ms_http_config_ref(config));
    assert_string_equal(config->options.listen, "127.0.0.1:8080");
    ms_http_config_unref(config);
    ms_http_config_unref(NULL);
}

static void a_limit_of_zero_is_refused_by_name(void **state) {
    (void)state;
    struct ms_http_options options;
    struct ms_http_config *config = NULL;
    struct ms_error err = {0};
    ms_http_options_init(&options);
    options.page_bytes_max = 0;
    assert_int_equal(ms_http_config_new(&options, &config, &err), MS_EINVAL);
    assert_mentions(&err, "page_bytes_max");
    ms_http_options_init(&options);
    options.limits.headers_max = 0;
    assert_int_equal(ms_http_config_new(&options, &config, &err), MS_EINVAL);
    assert_mentions(&err, "limits");
    assert_null(config);
}

static void every_failed_allocation_is_an_ordinary_error(void **state) {
    (void)state;
    const char *list[] = {"a", "b", "c"};
    struct ms_http_options options;
    ms_http_options_init(&options);
    options.allowed_hosts = options.cors_origins = list;
    options.allowed_host_count = options.cors_origin_count = 3;
    int code = MS_ENOMEM;
    unsigned n = 0;
    while (code != 0) {
        struct ms_http_config *config = NULL;
        ms_alloc_fail_nth(++n);
        code = ms_http_config_new(&options, &config, NULL);
        assert_true(code == 0 || (code == MS_ENOMEM && !config));
        assert_int_equal(ms_alloc_has_failed(), code != 0);
        ms_http_config_unref(config);
    }
    ms_alloc_fail_nth(0);
    assert_true(n > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_copy_owns_its_strings),
        cmocka_unit_test(a_limit_of_zero_is_refused_by_name),
        cmocka_unit_test(every_failed_allocation_is_an_ordinary_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
