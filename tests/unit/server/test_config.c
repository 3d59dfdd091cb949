/* Settings: the table itself, values of every type, their limits, and the checks between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/config.h"

static struct ms_config config;

static int set_up(void **state) {
    (void)state;
    return ms_config_init(&config, NULL);
}

static int tear_down(void **state) {
    (void)state;
    ms_config_deinit(&config);
    return 0;
}

static const struct ms_setting *setting(const char *key) {
    const struct ms_setting *found = ms_setting_by_key(ms_bytes_cstr(key));
    assert_non_null(found);
    return found;
}

static int set(const char *key, const char *text, struct ms_error *err) {
    struct ms_config_origin origin = {.source = MS_SOURCE_FLAG};
    return ms_config_set(&config, setting(key), ms_bytes_cstr(text), origin, err);
}

static void expect_set(const char *key, const char *text) {
    struct ms_error err = {0};
    if (set(key, text, &err) != 0)
        fail_msg("%s: %s was refused: %s", key, text, err.message);
}

static void expect_refused(const char *key, const char *text, const char *message) {
    struct ms_error err = {0};
    struct ms_config_origin before = ms_config_origin_of(&config, setting(key));
    assert_int_equal(set(key, text, &err), MS_EINVAL);
    if (!strstr(err.message, message))
        fail_msg("%s: \"%s\" lacks \"%s\"", key, err.message, message);
    assert_int_equal(ms_config_origin_of(&config, setting(key)).source, before.source);
}

/* ---- the table ---- */

static void defaults_are_within_their_own_limits(void **state) {
    (void)state; /* set_up parsed each default like any other value */
    assert_int_equal(ms_config_check(&config, NULL), 0);
    assert_int_equal(config.log_segment_bytes, 256 << 20);
    assert_int_equal(config.http_idle_timeout_ms, 75000);
    assert_string_equal(config.http_listen, "127.0.0.1:8080");
    assert_int_equal(config.durability, 0);
    assert_int_equal(config.limits_event_bytes_max, 16 << 20);
    for (size_t i = 0; i < MS_SETTING_COUNT; i++)
        assert_int_equal(config.origins[i].source, MS_SOURCE_DEFAULT);
}

static void keys_flags_and_variables_are_unique(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_SETTING_COUNT; i++) {
        char flag[MS_SETTING_NAME_MAX];
        ms_setting_flag(&ms_settings[i], flag);
        assert_ptr_equal(ms_setting_by_key(ms_bytes_cstr(ms_settings[i].key)), &ms_settings[i]);
        assert_ptr_equal(ms_setting_by_flag(ms_bytes_cstr(flag + 2)), &ms_settings[i]);
    }
}

static void names_follow_from_the_key(void **state) {
    (void)state;
    char flag[MS_SETTING_NAME_MAX], variable[MS_SETTING_NAME_MAX];
    ms_setting_flag(setting("log.segment_bytes"), flag);
    ms_setting_variable(setting("log.segment_bytes"), variable);
    assert_string_equal(flag, "--log-segment-bytes");
    assert_string_equal(variable, "MAINSTEM_LOG_SEGMENT_BYTES");
    assert_ptr_equal(ms_setting_by_flag(ms_bytes_cstr("http")), setting("http.listen"));
    assert_ptr_equal(ms_setting_by_flag(ms_bytes_cstr("http-listen")), setting("http.listen"));
    assert_null(ms_setting_by_flag(ms_bytes_cstr("htt")));
    assert_null(ms_setting_by_key(ms_bytes_cstr("http")));
}

static void every_setting_has_help_of_one_sentence(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_SETTING_COUNT; i++) {
        size_t len = strlen(ms_settings[i].help);
        assert_true(len > 10);
        assert_true(ms_settings[i].help[len - 1] != '.');
        assert_true(ms_settings[i].min <= ms_settings[i].max);
    }
}

static void every_value_reads_back_as_it_is_written(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_SETTING_COUNT; i++) {
        struct ms_buf first, second;
        ms_buf_init(&first, 4096);
        ms_buf_init(&second, 4096);
        assert_int_equal(ms_config_format(&config, &ms_settings[i], &first), 0);
        struct ms_config_origin origin = {.source = MS_SOURCE_FLAG};
        assert_int_equal(
            ms_config_set(&config, &ms_settings[i], ms_buf_bytes(&first), origin, NULL), 0);
        assert_int_equal(ms_config_format(&config, &ms_settings[i], &second), 0);
        assert_true(ms_bytes_equal(ms_buf_bytes(&first), ms_buf_bytes(&second)));
        ms_buf_deinit(&first);
        ms_buf_deinit(&second);
    }
}

/* ---- values ---- */

static void bools_have_several_spellings(void **state) {
    (void)state;
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        expect_set("insecure", yes[i]);
        assert_true(config.insecure);
        expect_set("insecure", no[i]);
        assert_false(config.insecure);
    }
    expect_refused("insecure", "maybe", "\"maybe\" is not true or false");
    expect_refused("insecure", "", "is not true or false");
    expect_refused("insecure", "TRUE", "is not true or false");
}

static void integers_keep_their_limits(void **state) {
    (void)state;
    expect_set("http.threads", "0");
    expect_set("http.threads", "256");
    assert_int_equal(config.http_threads, 256);
    expect_refused("http.threads", "257", "must be between 0 and 256, not 257");
    expect_refused("http.threads", "-1", "must be between 0 and 256");
    expect_refused("http.threads", "4x", "is not a whole number");
    expect_refused("http.threads", "99999999999999999999", "is not a whole number");
    assert_int_equal(config.http_threads, 256);
}

static void sizes_have_units_and_limits(void **state) {
    (void)state;
    expect_set("log.segment_bytes", "1MiB");
    assert_int_equal(config.log_segment_bytes, 1 << 20);
    expect_set("log.segment_bytes", "1073741824");
    assert_int_equal(config.log_segment_bytes, 1 << 30);
    expect_refused("log.segment_bytes", "1048575", "must be between 1MiB and 1GiB, not 1048575");
    expect_refused("log.segment_bytes", "1025MiB", "must be between 1MiB and 1GiB");
    expect_refused("log.segment_bytes", "12 parsecs", "is not a size such as");
    expect_refused("log.segment_bytes", "99999999999GiB", "is not a size such as");
    expect_refused("log.segment_bytes", "-1", "is not a size such as");
}

static void durations_have_units_and_limits(void **state) {
    (void)state;
    expect_set("http.idle_timeout", "250ms");
    assert_int_equal(config.http_idle_timeout_ms, 250);
    expect_set("http.idle_timeout", "2m");
    assert_int_equal(config.http_idle_timeout_ms, 120000);
    expect_refused("http.idle_timeout", "99ms", "must be between 100ms and 1d, not 99ms");
    expect_refused("http.idle_timeout", "25h", "must be between 100ms and 1d");
    expect_refused("http.idle_timeout", "soon", "is not a duration such as");
}

static void choices_are_named_when_one_is_wrong(void **state) {
    (void)state;
    expect_set("logging.level", "warn");
    assert_int_equal(config.logging_level, 2);
    expect_set("log.write", "buffered");
    assert_int_equal(config.log_write, 1);
    expect_refused("logging.level", "loud", "\"loud\" is not one of debug,info,warn,error");
    expect_refused("logging.level", "", "is not one of");
    expect_refused("logging.level", "inf", "is not one of");
    expect_refused("durability", "commit,os", "is not one of");
}

static void addresses_are_host_and_port(void **state) {
    (void)state;
    static const char *const good[] = {"127.0.0.1:0", "[::1]:8080", "localhost:65535", "db.x:1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        expect_set("http.listen", good[i]);
        assert_string_equal(config.http_listen, good[i]);
    }
    static const char *const bad[] = {"",      "8080",    ":8080", "::1:8080", "[::1]",
                                      "a:",    "a:65536", "a:-1",  "[]:80",    "a]:80",
                                      "[a:80", "a:80x",   "a:b:80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_refused("http.listen", bad[i], "is not an address");
}

static void an_address_is_empty_where_that_is_the_default(void **state) {
    (void)state;
    expect_set("kafka.listen", "127.0.0.1:9092");
    expect_set("kafka.listen", "");
    assert_string_equal(config.kafka_listen, "");
    expect_refused("kafka.listen", "9092", "is not an address");
    expect_refused("kafka.advertised", ":9092", "is not an address");
}

static void strings_hold_no_nul(void **state) {
    (void)state;
    struct ms_error err;
    struct ms_config_origin origin = {.source = MS_SOURCE_FILE};
    assert_int_equal(ms_config_set(&config, setting("data"), ms_bytes_of("a\0b", 3), origin, &err),
                     MS_EINVAL);
    assert_non_null(strstr(err.message, "NUL"));
    assert_string_equal(config.data, "mainstem-data");
}

/* ---- between settings ---- */

static void expect_conflict(const char *message) {
    struct ms_error err = {0};
    assert_int_equal(ms_config_check(&config, &err), MS_EINVAL);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" lacks \"%s\"", err.message, message);
}

static void segments_are_whole_pages(void **state) {
    (void)state;
    expect_set("log.segment_bytes", "1048577");
    expect_conflict("multiple of 4096, not 1048577");
}

static void sizes_that_contradict_are_refused(void **state) {
    (void)state;
    expect_set("limits.event_bytes_max", "65MiB");
    expect_conflict("could never be appended");
    expect_set("limits.append_bytes_max", "300MiB");
    expect_conflict("could never be accepted");
    expect_set("log.inflight_bytes_max", "300MiB");
    assert_int_equal(ms_config_check(&config, NULL), 0);
}

static void an_empty_data_directory_is_refused(void **state) {
    (void)state;
    expect_set("data", "");
    expect_conflict("data is empty");
}

static void listening_beyond_loopback_needs_insecure(void **state) {
    (void)state;
    static const char *const reachable[] = {"0.0.0.0:8080", "[::]:8080",
                                            "10.0.0.1:1",   "localhost.example.org:1",
                                            "[::11]:1",     "128.0.0.1:1"};
    static const char *const local[] = {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"};
    for (size_t i = 0; i < sizeof reachable / sizeof reachable[0]; i++) {
        expect_set("http.listen", reachable[i]);
        expect_set("insecure", "false");
        expect_conflict("--insecure");
        expect_set("insecure", "true");
        assert_int_equal(ms_config_check(&config, NULL), 0);
    }
    expect_set("insecure", "false");
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        expect_set("http.listen", local[i]);
        assert_int_equal(ms_config_check(&config, NULL), 0);
    }
}

static void a_name_that_begins_with_127_is_not_loopback(void **state) {
    (void)state;
    assert_false(ms_address_is_loopback("127.0.0.1.example.org:80"));
    assert_false(ms_address_is_loopback("127.example.org:80"));
    assert_true(ms_address_is_loopback("127.0.0.1:80"));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_within_their_own_limits),
        TEST(keys_flags_and_variables_are_unique),
        TEST(names_follow_from_the_key),
        TEST(every_setting_has_help_of_one_sentence),
        TEST(every_value_reads_back_as_it_is_written),
        TEST(bools_have_several_spellings),
        TEST(integers_keep_their_limits),
        TEST(sizes_have_units_and_limits),
        TEST(durations_have_units_and_limits),
        TEST(choices_are_named_when_one_is_wrong),
        TEST(addresses_are_host_and_port),
        TEST(an_address_is_empty_where_that_is_the_default),
        TEST(strings_hold_no_nul),
        TEST(segments_are_whole_pages),
        TEST(sizes_that_contradict_are_refused),
        TEST(an_empty_data_directory_is_refused),
        TEST(listening_beyond_loopback_needs_insecure),
        TEST(a_name_that_begins_with_127_is_not_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
