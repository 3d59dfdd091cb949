/* The command as a whole: exit statuses, help, version, configuration, usage errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/cli_fixture.h"

static struct cli_fixture fixture;

static int set_up(void **state) {
    (void)state;
    fixture_open(&fixture, "");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static void every_code_has_an_exit_status(void **state) {
    (void)state;
    static const struct {
        int code, status;
    } rows[] = {
        {MS_OK, 0},        {MS_ECONFLICT, 3},   {MS_EIDCONFLICT, 3}, {MS_EQUERYCONDITION, 3},
        {MS_ENOTEMPTY, 3}, {MS_ETIMESTAMP, 1},  {MS_EEXIST, 3},      {MS_ENOTFOUND, 4},
        {MS_EDELETED, 4},  {MS_ETOMBSTONED, 4}, {MS_ESCAVENGED, 4},  {MS_EAGAIN, 5},
        {MS_ECLOSED, 5},   {MS_ETIMEOUT, 5},    {MS_ELOCKED, 5},     {MS_ELIMIT, 5},
        {MS_EUNKNOWN, 6},  {MS_EINVAL, 1},      {MS_ENOSPC, 1},      {MS_ECORRUPT, 1},
        {MS_ENOMEM, 1},    {-9999, 1},          {MS_ENOTAPPLIED, 1}, {MS_EINCOMPLETE, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(ms_cli_exit_status(rows[i].code), rows[i].status);
#define X(name, value, http, type, text)                                                           \
    assert_in_range(ms_cli_exit_status(name), MS_EXIT_FAILURE, MS_EXIT_UNKNOWN);
    MS_ERROR_LIST(X)
#undef X
}

static void version_is_told(void **state) {
    (void)state;
    assert_int_equal(RUN(&fixture, "version"), 0);
    expect_out(&fixture, "mainstem " MS_VERSION "\n");
    assert_int_equal(RUN(&fixture, "--version"), 0);
    expect_out(&fixture, "mainstem " MS_VERSION "\n");
    assert_int_equal(RUN(&fixture, "version", "--json"), 0);
    expect_out(&fixture, "\"version\":\"" MS_VERSION "\"}\n");
}

static void help_goes_to_standard_output(void **state) {
    (void)state;
    assert_int_equal(RUN(&fixture, "--help"), 0);
    expect_out(&fixture, "Usage: mainstem COMMAND");
    assert_int_equal(RUN(&fixture, "read", "--help"), 0);
    expect_out(&fixture, "Usage: mainstem read [STREAM]");
    assert_int_equal(RUN(&fixture, "help", "stream", "show"), 0);
    expect_out(&fixture, "Usage: mainstem stream show STREAM");
    assert_int_equal(RUN(&fixture, "stream", "--help"), 0);
    expect_out(&fixture, "Usage: mainstem stream delete STREAM");
    assert_int_equal(RUN(&fixture, "help", "nothing"), MS_EXIT_USAGE);
    expect_err(&fixture, "there is no command nothing");
}

static void usage_errors_say_where_help_is(void **state) {
    (void)state;
    assert_int_equal(ms_cli_run(&fixture.cli, 0, NULL), MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "append", "a-1"), MS_EXIT_USAGE);
    expect_err(&fixture, "mainstem append: append needs STREAM TYPE [DATA]\n"
                         "Try `mainstem append --help`.\n");
    assert_int_equal(RUN(&fixture, "append", "a-1", "t", "1", "--expect", "-1"), MS_EXIT_USAGE);
    expect_err(&fixture, "--expect: none, exists, any or a version");
    assert_int_equal(RUN(&fixture, "append", "a-1", "t", "{oops"), MS_EXIT_USAGE);
    expect_err(&fixture, "the data is not JSON");
    assert_int_equal(RUN(&fixture, "append", "a-1", "t", "--metadata", "[1]"), MS_EXIT_USAGE);
    expect_err(&fixture, "--metadata: a JSON object was expected");
    assert_int_equal(RUN(&fixture, "append", "a-1", "t", "1", "--file", "-"), MS_EXIT_USAGE);
    expect_err(&fixture, "not both");
    assert_int_equal(RUN(&fixture, "read", "a-1", "--type", "x"), MS_EXIT_USAGE);
    expect_err(&fixture, "--type selects from all events");
    assert_int_equal(RUN(&fixture, "read", "--from", "soon"), MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "read", "--limit", "0"), MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "read", "--as-of", "1", "--known-at", "2"), MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "read", "--known-at", "7"), MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "append", "a-1", "t", "--time", "soon"), MS_EXIT_USAGE);
    expect_err(&fixture, "--time: a time such as");
    assert_int_equal(RUN(&fixture, "import", "f", "--batch", "10001"), MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "import", "f", "--in-flight", "17"), MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "topic", "create", "t", "--retention", "x"), MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "topic", "create", "t", "--retention-count", "-1"),
                     MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "stream", "metadata", "a", "--expect", "1"), MS_EXIT_USAGE);
}

static void config_check_names_the_line(void **state) {
    (void)state;
    struct ms_vfs *vfs = fixture.env.vfs;
    assert_int_equal(
        ms_vfs_replace_file(vfs, "/good.yaml", ms_bytes_cstr("durability: os\n"), NULL), 0);
    assert_int_equal(
        ms_vfs_replace_file(vfs, "/bad.yaml", ms_bytes_cstr("data: x\nhttp.thread: 1\n"), NULL), 0);
    assert_int_equal(
        ms_vfs_replace_file(vfs, "/open.yaml", ms_bytes_cstr("http.listen: 0.0.0.0:80\n"), NULL),
        0);
    assert_int_equal(RUN(&fixture, "config", "check", "/good.yaml"), 0);
    expect_out(&fixture, "/good.yaml is valid");
    assert_int_equal(RUN(&fixture, "config", "check", "/bad.yaml"), MS_EXIT_USAGE);
    expect_err(&fixture, "/bad.yaml:2: unknown setting http.thread; did you mean http.threads?");
    assert_int_equal(RUN(&fixture, "config", "check", "/open.yaml"), MS_EXIT_USAGE);
    expect_err(&fixture, "/open.yaml: http.listen is 0.0.0.0:80");
    assert_int_equal(RUN(&fixture, "config", "check", "/none.yaml"), MS_EXIT_NOT_FOUND);
}

static void config_print_shows_where_values_come_from(void **state) {
    (void)state;
    const char *const environment[] = {"MAINSTEM_HTTP_THREADS=3", NULL};
    fixture.cli.environment = environment;
    assert_int_equal(RUN(&fixture, "config", "print", "--data", "d"), 0);
    expect_out(&fixture, "data: \"d\"  # flag\n");
    expect_out(&fixture, "http.threads: 3  # env\n");
    expect_out(&fixture, "durability: \"commit\"  # default\n");
    assert_int_equal(RUN(&fixture, "config", "print", "--http-threads", "x"), MS_EXIT_USAGE);
    expect_err(&fixture, "--http-threads: \"x\" is not a whole number");
}

static void serve_refuses_to_be_reachable_without_insecure(void **state) {
    (void)state;
    assert_int_equal(RUN(&fixture, "serve", "--http", "0.0.0.0:0"), MS_EXIT_USAGE);
    expect_err(&fixture, "say --insecure");
}

static void a_server_that_is_not_there_is_unavailable(void **state) {
    (void)state;
    assert_int_equal(RUN(&fixture, "read", "--server", "http://127.0.0.1:1"), MS_EXIT_UNAVAILABLE);
    expect_err(&fixture, "no server answers at http://127.0.0.1:1");
    assert_int_equal(RUN(&fixture, "append", "a-1", "t", "1", "--server", "127.0.0.1:1"),
                     MS_EXIT_UNAVAILABLE);
    assert_int_equal(RUN(&fixture, "read", "--server", "ftp://127.0.0.1"), MS_EXIT_FAILURE);
    expect_err(&fixture, "is not an http address");
    assert_int_equal(RUN(&fixture, "read", "--server", "a", "--data", "b"), MS_EXIT_USAGE);
    expect_err(&fixture, "not both");
}

static void a_data_directory_that_is_not_there_is_not_made_by_reading(void **state) {
    (void)state;
    assert_int_equal(RUN(&fixture, "read", "--data", "/none"), MS_EXIT_NOT_FOUND);
    expect_err(&fixture, "there is no data directory /none");
    assert_int_equal(ms_vfs_mkdir(fixture.env.vfs, "/empty", NULL), 0);
    assert_int_equal(RUN(&fixture, "stats", "--data", "/empty"), MS_EXIT_NOT_FOUND);
}

static void a_directory_of_something_else_is_left_alone_by_reading(void **state) {
    (void)state;
    assert_int_equal(ms_vfs_mkdir(fixture.env.vfs, "/photos", NULL), 0);
    assert_int_equal(ms_vfs_mkdir(fixture.env.vfs, "/photos/2026", NULL), 0);
    assert_int_equal(RUN(&fixture, "read", "--data", "/photos"), MS_EXIT_NOT_FOUND);
    expect_err(&fixture, "/photos is no data directory: it has neither FORMAT nor shard-000");
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(fixture.env.vfs, "/photos", &entries, &count, NULL), 0);
    ms_dir_entries_free(entries, count);
    assert_int_equal(count, 1);
}

static void output_that_cannot_be_written_is_a_failure(void **state) {
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    if (!full)
        skip();
    FILE *out = fixture.cli.out;
    fixture.cli.out = full;
    const char *const arguments[] = {"version"};
    assert_int_equal(ms_cli_run(&fixture.cli, 1, arguments), MS_EXIT_FAILURE);
    fixture.cli.out = out;
    fclose(full);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_code_has_an_exit_status),
        TEST(version_is_told),
        TEST(help_goes_to_standard_output),
        TEST(usage_errors_say_where_help_is),
        TEST(config_check_names_the_line),
        TEST(config_print_shows_where_values_come_from),
        TEST(serve_refuses_to_be_reachable_without_insecure),
        TEST(a_server_that_is_not_there_is_unavailable),
        TEST(a_data_directory_that_is_not_there_is_not_made_by_reading),
        TEST(a_directory_of_something_else_is_left_alone_by_reading),
        TEST(output_that_cannot_be_written_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
