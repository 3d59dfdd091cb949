/* Where values come from: precedence of the sources, and what a reload takes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/vfs_sim.h"
#include "server/config.h"

static struct ms_vfs_sim *sim;

static int set_up(void **state) {
    (void)state;
    return ms_vfs_sim_new(1, &sim);
}

static int tear_down(void **state) {
    (void)state;
    ms_vfs_sim_free(sim);
    return 0;
}

static void write_file(const char *text) {
    assert_int_equal(ms_vfs_replace_file(ms_vfs_sim_vfs(sim), "/m.yaml", ms_bytes_cstr(text), NULL),
                     0);
}

static struct ms_config_flag flag(const char *name, const char *value) {
    const struct ms_setting *setting = ms_setting_by_flag(ms_bytes_cstr(name));
    assert_non_null(setting);
    return (struct ms_config_flag){.setting = setting, .value = value};
}

static enum ms_config_source source_of(const struct ms_config *config, const char *key) {
    return ms_config_origin_of(config, ms_setting_by_key(ms_bytes_cstr(key))).source;
}

static void flag_beats_environment_beats_file_beats_default(void **state) {
    (void)state;
    write_file("http: {threads: 1, reader_threads: 3, pipeline_max: 5}\n");
    const char *const environment[] = {"PATH=/bin", "MAINSTEM_HTTP_THREADS=2",
                                       "MAINSTEM_HTTP_READER_THREADS=4", NULL};
    const struct ms_config_flag flags[] = {flag("config", "/m.yaml"), flag("http-threads", "6")};
    struct ms_config_sources sources = {
        .vfs = ms_vfs_sim_vfs(sim), .environment = environment, .flags = flags, .flag_count = 2};
    struct ms_config config;
    assert_int_equal(ms_config_load(&sources, &config, NULL), 0);
    assert_int_equal(config.http_threads, 6);
    assert_int_equal(config.http_reader_threads, 4);
    assert_int_equal(config.http_pipeline_max, 5);
    assert_int_equal(config.http_headers_max, 100);
    assert_int_equal(source_of(&config, "http.threads"), MS_SOURCE_FLAG);
    assert_int_equal(source_of(&config, "http.reader_threads"), MS_SOURCE_ENVIRONMENT);
    assert_int_equal(source_of(&config, "http.pipeline_max"), MS_SOURCE_FILE);
    assert_int_equal(source_of(&config, "http.headers_max"), MS_SOURCE_DEFAULT);
    ms_config_deinit(&config);
}

static void the_last_of_two_equal_flags_counts(void **state) {
    (void)state;
    const struct ms_config_flag flags[] = {flag("http", "127.0.0.1:1"),
                                           flag("http-listen", "127.0.0.1:2")};
    struct ms_config_sources sources = {.flags = flags, .flag_count = 2};
    struct ms_config config;
    assert_int_equal(ms_config_load(&sources, &config, NULL), 0);
    assert_string_equal(config.http_listen, "127.0.0.1:2");
    ms_config_deinit(&config);
}

static void the_environment_can_name_the_file(void **state) {
    (void)state;
    write_file("durability: os\n");
    const char *const environment[] = {"MAINSTEM_CONFIG=/m.yaml", NULL};
    struct ms_config_sources sources = {.vfs = ms_vfs_sim_vfs(sim), .environment = environment};
    struct ms_config config;
    assert_int_equal(ms_config_load(&sources, &config, NULL), 0);
    assert_int_equal(config.durability, 1);
    assert_string_equal(config.config_file, "/m.yaml");
    ms_config_deinit(&config);
}

static void errors_name_flag_and_variable(void **state) {
    (void)state;
    struct ms_config config = {0};
    struct ms_error err = {0};
    const struct ms_config_flag flags[] = {flag("http-threads", "x")};
    struct ms_config_sources sources = {.flags = flags, .flag_count = 1};
    assert_int_equal(ms_config_load(&sources, &config, &err), MS_EINVAL);
    assert_string_equal(err.message, "--http-threads: \"x\" is not a whole number");

    const char *const environment[] = {"MAINSTEM_HTTP_THREADS=y", NULL};
    sources = (struct ms_config_sources){.environment = environment};
    assert_int_equal(ms_config_load(&sources, &config, &err), MS_EINVAL);
    assert_string_equal(err.message, "environment variable MAINSTEM_HTTP_THREADS: \"y\" is not a "
                                     "whole number");
    assert_null(config.data); /* untouched */
}

static void a_file_that_is_named_must_be_there(void **state) {
    (void)state;
    struct ms_config config;
    const struct ms_config_flag flags[] = {flag("config", "/none.yaml")};
    struct ms_config_sources sources = {
        .vfs = ms_vfs_sim_vfs(sim), .flags = flags, .flag_count = 1};
    assert_int_equal(ms_config_load(&sources, &config, NULL), MS_ENOTFOUND);
}

static void what_was_loaded_is_checked_as_a_whole(void **state) {
    (void)state;
    struct ms_config config;
    struct ms_error err = {0};
    const struct ms_config_flag flags[] = {flag("http", "0.0.0.0:8080")};
    struct ms_config_sources sources = {.flags = flags, .flag_count = 1};
    assert_int_equal(ms_config_load(&sources, &config, &err), MS_EINVAL);
    assert_non_null(strstr(err.message, "--insecure"));
    const struct ms_config_flag kafka[] = {flag("kafka", "0.0.0.0:9092")};
    sources.flags = kafka;
    assert_int_equal(ms_config_load(&sources, &config, &err), MS_EINVAL);
    assert_non_null(strstr(err.message, "kafka.listen is 0.0.0.0:9092"));
}

/* ---- reload ---- */

struct changes {
    const char *applied, *kept;
    int count;
};

static void on_changed(void *context, const struct ms_setting *setting, bool applied) {
    struct changes *changes = context;
    changes->count++;
    if (applied)
        changes->applied = setting->key;
    else
        changes->kept = setting->key;
}

static void load_file(struct ms_config *ret_config) {
    const struct ms_config_flag flags[] = {flag("config", "/m.yaml")};
    struct ms_config_sources sources = {
        .vfs = ms_vfs_sim_vfs(sim), .flags = flags, .flag_count = 1};
    assert_int_equal(ms_config_load(&sources, ret_config, NULL), 0);
}

static void reload_applies_what_the_table_marks_and_reports_the_rest(void **state) {
    (void)state;
    struct ms_config config, fresh;
    write_file("data: one\nlogging.level: info\nhttp.page_events_max: 7000\n");
    load_file(&config);
    write_file("data: two\nlogging.level: debug\nhttp.page_events_max: 7000\n");
    load_file(&fresh);
    struct changes changes = {0};
    assert_int_equal(ms_config_reload(&config, &fresh, on_changed, &changes, NULL), 0);
    assert_int_equal(changes.count, 2);
    assert_string_equal(changes.applied, "logging.level");
    assert_string_equal(changes.kept, "data");
    assert_int_equal(config.logging_level, 0);
    assert_string_equal(config.data, "one");
    assert_int_equal(config.http_page_events_max, 7000);
    ms_config_deinit(&config);
    ms_config_deinit(&fresh);
}

static void reloading_for_ever_needs_no_more_memory(void **state) {
    (void)state;
    struct ms_config config;
    write_file("data: one\n");
    load_file(&config);
    size_t used = config.arena.used;
    for (int i = 0; i < 200; i++) {
        struct ms_config fresh;
        write_file(i % 2 ? "data: two\nhttp.allowed_hosts: a\n" : "data: three\n");
        load_file(&fresh);
        struct changes changes = {0};
        assert_int_equal(ms_config_reload(&config, &fresh, on_changed, &changes, NULL), 0);
        assert_string_equal(config.data, "one");
    }
    assert_true(config.arena.used <= used * 2);
    ms_config_deinit(&config);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(flag_beats_environment_beats_file_beats_default),
        TEST(the_last_of_two_equal_flags_counts),
        TEST(the_environment_can_name_the_file),
        TEST(errors_name_flag_and_variable),
        TEST(a_file_that_is_named_must_be_there),
        TEST(what_was_loaded_is_checked_as_a_whole),
        TEST(reload_applies_what_the_table_marks_and_reports_the_rest),
        TEST(reloading_for_ever_needs_no_more_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
