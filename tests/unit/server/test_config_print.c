/* `config print`, and the reference page in docs/ that is made from the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/generated.h"
#include "server/config.h"
#include "base/suggest.h"
#include "wire/json.h"

static struct ms_config config;
static struct ms_buf out;

static int set_up(void **state) {
    (void)state;
    ms_buf_init(&out, (size_t)4 << 20);
    return ms_config_init(&config, NULL);
}

static int tear_down(void **state) {
    (void)state;
    ms_config_deinit(&config);
    ms_buf_deinit(&out);
    return 0;
}

static bool contains(const char *text) {
    return memmem(out.data, out.len, text, strlen(text)) != NULL;
}

static void print_shows_value_and_source(void **state) {
    (void)state;
    struct ms_error err;
    assert_int_equal(ms_config_read_yaml(&config, "m.yaml",
                                         ms_bytes_cstr("durability: os\nhttp.threads: 3\n"), &err),
                     0);
    assert_int_equal(ms_config_print(&config, false, &out), 0);
    assert_true(contains("durability: \"os\"  # file line 1\n"));
    assert_true(contains("http.threads: 3  # file line 2\n"));
    assert_true(contains("http.idle_timeout: \"75s\"  # default\n"));
    assert_true(contains("# config: \"\"  # default\n"));
}

static void what_print_shows_is_a_file_that_says_the_same(void **state) {
    (void)state;
    assert_int_equal(ms_config_read_yaml(&config, "m.yaml",
                                         ms_bytes_cstr("http: {allowed_hosts: [a, b], threads: 2}\n"
                                                       "data: 'with \"quotes\" and \\'\n"),
                                         NULL),
                     0);
    assert_int_equal(ms_config_print(&config, false, &out), 0);
    struct ms_config again;
    assert_int_equal(ms_config_init(&again, NULL), 0);
    struct ms_error err = {0};
    if (ms_config_read_yaml(&again, "printed", ms_buf_bytes(&out), &err) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(again.data, config.data);
    assert_string_equal(again.http_allowed_hosts, "a,b");
    assert_int_equal(again.http_threads, 2);
    ms_config_deinit(&again);
}

static void print_as_json_has_one_object_a_setting(void **state) {
    (void)state;
    assert_int_equal(ms_config_print(&config, true, &out), 0);
    size_t count = 0;
    for (size_t at = 0; at < out.len; count++) {
        size_t len = (size_t)((uint8_t *)memchr(out.data + at, '\n', out.len - at) - out.data) - at;
        struct ms_json_value object, key;
        assert_int_equal(ms_json_parse(ms_bytes_of(out.data + at, len), 4, &object, NULL), 0);
        assert_true(ms_json_get(object, "key", &key));
        at += len + 1;
    }
    assert_int_equal(count, MS_SETTING_COUNT);
}

static void the_reference_lists_every_setting(void **state) {
    (void)state;
    assert_int_equal(ms_config_reference(&out), 0);
    for (size_t i = 0; i < MS_SETTING_COUNT; i++) {
        char heading[MS_SETTING_NAME_MAX + 16], flag[MS_SETTING_NAME_MAX];
        snprintf(heading, sizeof heading, "\n### `%s`\n", ms_settings[i].key);
        ms_setting_flag(&ms_settings[i], flag);
        assert_true(contains(heading));
        assert_true(contains(flag));
    }
}

static void docs_reference_configuration_is_up_to_date(void **state) {
    (void)state;
    assert_int_equal(ms_config_reference(&out), 0);
    expect_generated("docs/reference/configuration.md", "build/mainstem help --settings", &out);
}

static void suggestions_are_near(void **state) {
    (void)state;
    static const struct {
        const char *wanted, *best;
    } rows[] = {{"apend", "append"}, {"appned", "append"}, {"reed", "read"}, {"append", "append"},
                {"x", NULL},         {"export", NULL},     {"", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_suggestion suggestion;
        ms_suggest_begin(&suggestion, ms_bytes_cstr(rows[i].wanted));
        ms_suggest_offer(&suggestion, "read");
        ms_suggest_offer(&suggestion, "append");
        if (rows[i].best)
            assert_string_equal(suggestion.best, rows[i].best);
        else
            assert_null(suggestion.best);
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(print_shows_value_and_source),
        TEST(what_print_shows_is_a_file_that_says_the_same),
        TEST(print_as_json_has_one_object_a_setting),
        TEST(the_reference_lists_every_setting),
        TEST(docs_reference_configuration_is_up_to_date),
        TEST(suggestions_are_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
