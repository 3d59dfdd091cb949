/* The configuration file: what is taken from it, and errors that name file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/vfs_sim.h"
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

static int read_text(const char *text, struct ms_error *err) {
    return ms_config_read_yaml(&config, "m.yaml", ms_bytes_cstr(text), err);
}

static void expect_read(const char *text) {
    struct ms_error err = {0};
    if (read_text(text, &err) != 0)
        fail_msg("refused: %s", err.message);
}

static void expect_error(const char *text, const char *message) {
    struct ms_error err = {0};
    assert_int_equal(read_text(text, &err), MS_EINVAL);
    if (strcmp(err.message, message) != 0)
        fail_msg("\"%s\" instead of \"%s\"", err.message, message);
}

static unsigned line_of(const char *key) {
    const struct ms_setting *setting = ms_setting_by_key(ms_bytes_cstr(key));
    struct ms_config_origin origin = ms_config_origin_of(&config, setting);
    return origin.source == MS_SOURCE_FILE ? origin.line : 0;
}

static void nested_and_dotted_keys_mean_the_same(void **state) {
    (void)state;
    expect_read("# settings\n"
                "log:\n"
                "  write: buffered\n"
                "  segment_bytes: 1MiB\n"
                "http.idle_timeout: 5s\n"
                "insecure: yes\n");
    assert_int_equal(config.log_write, 1);
    assert_int_equal(config.log_segment_bytes, 1 << 20);
    assert_int_equal(config.http_idle_timeout_ms, 5000);
    assert_true(config.insecure);
    assert_int_equal(line_of("log.write"), 3);
    assert_int_equal(line_of("log.segment_bytes"), 4);
    assert_int_equal(line_of("http.idle_timeout"), 5);
    assert_int_equal(line_of("log.tail_cache_bytes"), 0);
}

static void lists_are_sequences_or_text(void **state) {
    (void)state;
    expect_read("http:\n  allowed_hosts: [a.example, b.example]\n  cors_origins: 'x,y'\n");
    assert_string_equal(config.http_allowed_hosts, "a.example,b.example");
    assert_string_equal(config.http_cors_origins, "x,y");
}

static void an_empty_file_changes_nothing(void **state) {
    (void)state;
    expect_read("");
    expect_read("# nothing\n");
    expect_read("---\n");
    assert_int_equal(config.log_write, 0);
}

static void quoted_empty_text_is_a_value(void **state) {
    (void)state;
    expect_read("ready_file: \"\"\n");
    assert_string_equal(config.ready_file, "");
}

static void unknown_keys_are_errors_with_line_and_suggestion(void **state) {
    (void)state;
    expect_error("data: x\nlog:\n  segment_bites: 1MiB\n",
                 "m.yaml:3: unknown setting log.segment_bites; did you mean log.segment_bytes?");
    expect_error("colour: red\n", "m.yaml:1: unknown setting colour");
    expect_error("data: x\n\nlogs: {write: direct}\n", "m.yaml:3: unknown setting logs");
    expect_error("log: {write: direct, '': 1}\n", "m.yaml:1: unknown setting log.");
}

static void bad_values_are_errors_with_line(void **state) {
    (void)state;
    expect_error("\nhttp:\n  threads: many\n",
                 "m.yaml:3: http.threads: \"many\" is not a whole number");
    expect_error("http: {threads: 1000}\n",
                 "m.yaml:1: http.threads: must be between 0 and 256, not 1000");
    expect_error("durability: maybe\n", "m.yaml:1: durability: \"maybe\" is not one of commit,os");
    expect_error("data:\n", "m.yaml:1: data: has no value");
    expect_error("data: ~\n", "m.yaml:1: data: has no value");
    expect_error("data: [a, b]\n", "m.yaml:1: data: must be one value, not a list");
    expect_error("data: {a: b}\n", "m.yaml:1: data: must be a value, not a group of settings");
    expect_error("log: direct\n", "m.yaml:1: unknown setting log");
    expect_error("http.allowed_hosts: [[a]]\n",
                 "m.yaml:1: http.allowed_hosts: the list must hold plain values");
    expect_error("http.allowed_hosts: ['a,b']\n",
                 "m.yaml:1: http.allowed_hosts: a value of the list must not be empty or contain a "
                 "comma");
}

static void settings_given_twice_are_errors(void **state) {
    (void)state;
    expect_error("data: a\nlog.write: direct\nlog: {write: buffered}\n",
                 "m.yaml:3: log.write was set in line 2 already");
}

static void the_files_own_name_cannot_be_set_in_it(void **state) {
    (void)state;
    expect_error("config: other.yaml\n", "m.yaml:1: config can't be set in a file");
}

static void text_that_is_no_yaml_is_an_error_with_line(void **state) {
    (void)state;
    struct ms_error err = {0};
    assert_int_equal(read_text("data: a\nlog: [1, 2\n", &err), MS_EINVAL);
    assert_non_null(strstr(err.message, "m.yaml:3: "));
    expect_error("- a\n- b\n", "m.yaml:1: settings as `key: value` were expected");
    expect_error("just text\n", "m.yaml:1: settings as `key: value` were expected");
    assert_int_equal(read_text("data: \"a\\xzz\"\n", &err), MS_EINVAL);
}

static void anchors_that_contain_themselves_end(void **state) {
    (void)state;
    struct ms_error err = {0};
    assert_int_equal(read_text("log: &a\n  log: *a\n", &err), MS_EINVAL);
    assert_int_equal(read_text("&a {log: *a}\n", &err), MS_EINVAL);
    assert_int_equal(read_text("http.allowed_hosts: &a [*a]\n", &err), MS_EINVAL);
}

static void long_keys_are_refused(void **state) {
    (void)state;
    char text[400];
    memset(text, 'k', 300);
    memcpy(text + 300, ": 1\n", 5);
    expect_error(text, "m.yaml:1: a setting's name was expected");
}

/* ---- from a file system ---- */

static void a_missing_file_is_named(void **state) {
    (void)state;
    struct ms_vfs_sim *sim;
    assert_int_equal(ms_vfs_sim_new(1, &sim), 0);
    struct ms_error err = {0};
    assert_int_equal(ms_config_read_file(&config, ms_vfs_sim_vfs(sim), "/none.yaml", &err),
                     MS_ENOTFOUND);
    assert_non_null(strstr(err.message, "/none.yaml"));
    ms_vfs_sim_free(sim);
}

static void a_file_is_read_and_bounded(void **state) {
    (void)state;
    struct ms_vfs_sim *sim;
    assert_int_equal(ms_vfs_sim_new(1, &sim), 0);
    struct ms_vfs *vfs = ms_vfs_sim_vfs(sim);
    assert_int_equal(ms_vfs_replace_file(vfs, "/m.yaml", ms_bytes_cstr("durability: os\n"), NULL),
                     0);
    assert_int_equal(ms_config_read_file(&config, vfs, "/m.yaml", NULL), 0);
    assert_int_equal(config.durability, 1);

    char *large = malloc(MS_CONFIG_FILE_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, '#', MS_CONFIG_FILE_BYTES_MAX + 1);
    struct ms_bytes text = ms_bytes_of(large, MS_CONFIG_FILE_BYTES_MAX + 1);
    assert_int_equal(ms_vfs_replace_file(vfs, "/large.yaml", text, NULL), 0);
    assert_int_equal(ms_config_read_file(&config, vfs, "/large.yaml", NULL), MS_ETOOBIG);
    free(large);
    ms_vfs_sim_free(sim);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nested_and_dotted_keys_mean_the_same),
        TEST(lists_are_sequences_or_text),
        TEST(an_empty_file_changes_nothing),
        TEST(quoted_empty_text_is_a_value),
        TEST(unknown_keys_are_errors_with_line_and_suggestion),
        TEST(bad_values_are_errors_with_line),
        TEST(settings_given_twice_are_errors),
        TEST(the_files_own_name_cannot_be_set_in_it),
        TEST(text_that_is_no_yaml_is_an_error_with_line),
        TEST(anchors_that_contain_themselves_end),
        TEST(long_keys_are_refused),
        TEST(a_missing_file_is_named),
        TEST(a_file_is_read_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
