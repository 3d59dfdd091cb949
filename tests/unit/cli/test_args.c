/* The command line: which command, options, arguments, and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/command.h"

static struct ms_invocation invocation;

static int set_up(void **state) {
    (void)state;
    invocation = (struct ms_invocation){0};
    ms_arena_init(&invocation.arena, (size_t)1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ms_arena_deinit(&invocation.arena);
    return 0;
}

static int parse(const char *const *arguments, struct ms_error *err) {
    int count = 0;
    while (arguments[count])
        count++;
    return ms_args_parse(&invocation, count, arguments, err);
}
#define PARSE(...)                                                                                 \
    do {                                                                                           \
        struct ms_error err_ = {0};                                                                \
        if (parse((const char *const[]){__VA_ARGS__, NULL}, &err_) != 0)                           \
            fail_msg("refused: %s", err_.message);                                                 \
    } while (0)
#define REFUSED(message_, ...)                                                                     \
    do {                                                                                           \
        struct ms_error err_ = {0};                                                                \
        set_up(NULL);                                                                              \
        assert_int_equal(parse((const char *const[]){__VA_ARGS__, NULL}, &err_), MS_EINVAL);       \
        assert_string_equal(err_.message, (message_));                                             \
    } while (0)

static void arguments_and_options_mix(void **state) {
    (void)state;
    PARSE("append", "--expect", "none", "order-1", "--tag=a", "order.created", "--tag", "b=c",
          "{\"x\":1}");
    assert_string_equal(invocation.command->name, "append");
    assert_int_equal(invocation.arg_count, 3);
    assert_string_equal(invocation.args[0], "order-1");
    assert_string_equal(invocation.args[2], "{\"x\":1}");
    assert_string_equal(ms_option_text(&invocation, "expect"), "none");
    struct ms_bytes *tags;
    size_t count;
    assert_int_equal(ms_option_list(&invocation, "tag", &tags, &count), 0);
    assert_int_equal(count, 2);
    assert_true(ms_bytes_equal_cstr(tags[0], "a"));
    assert_true(ms_bytes_equal_cstr(tags[1], "b=c"));
    assert_null(ms_option_text(&invocation, "id"));
}

static void commands_of_two_words_are_found(void **state) {
    (void)state;
    PARSE("stream", "delete", "order-1", "--tombstone");
    assert_string_equal(invocation.command->name, "stream delete");
    assert_true(ms_option_given(&invocation, "tombstone"));
    assert_false(ms_option_given(&invocation, "expect"));
}

static void two_dashes_end_the_options(void **state) {
    (void)state;
    PARSE("read", "--json", "--", "--odd-name");
    assert_int_equal(invocation.arg_count, 1);
    assert_string_equal(invocation.args[0], "--odd-name");
}

static void a_single_dash_and_negative_numbers_are_arguments(void **state) {
    (void)state;
    PARSE("append", "a-1", "x.y", "-5");
    assert_string_equal(invocation.args[2], "-5");
    set_up(NULL);
    PARSE("import", "-");
    assert_string_equal(invocation.args[0], "-");
}

static void the_last_of_two_equal_options_counts(void **state) {
    (void)state;
    PARSE("read", "--limit", "1", "--limit", "2");
    uint64_t limit = 0;
    assert_int_equal(ms_option_u64(&invocation, "limit", 1, 10, &limit, NULL), 0);
    assert_int_equal(limit, 2);
}

static void numbers_keep_their_limits(void **state) {
    (void)state;
    PARSE("import", "f", "--batch", "0", "--in-flight", "x");
    struct ms_error err;
    uint64_t value = 77;
    assert_int_equal(ms_option_u64(&invocation, "batch", 1, 100, &value, &err), MS_EINVAL);
    assert_string_equal(err.message, "--batch: a number from 1 to 100 was expected, not 0");
    assert_int_equal(ms_option_u64(&invocation, "in-flight", 1, 16, &value, &err), MS_EINVAL);
    assert_int_equal(value, 77);
}

static void settings_are_options_of_serve(void **state) {
    (void)state;
    PARSE("serve", "--http", "127.0.0.1:0", "--insecure", "--log-segment-bytes=1MiB");
    assert_int_equal(invocation.flag_count, 3);
    assert_string_equal(invocation.flags[0].setting->key, "http.listen");
    assert_string_equal(invocation.flags[1].value, "true");
    assert_string_equal(invocation.flags[2].value, "1MiB");
    set_up(NULL);
    PARSE("serve", "--insecure=false");
    assert_string_equal(invocation.flags[0].value, "false");
}

static void help_is_known_everywhere(void **state) {
    (void)state;
    PARSE("--help");
    assert_true(invocation.help);
    for (size_t i = 0; i < ms_command_count; i++) {
        char first[64], second[64] = "";
        int words = sscanf(ms_commands[i].name, "%63s %63s", first, second);
        set_up(NULL);
        if (words == 2)
            PARSE(first, second, "--help");
        else
            PARSE(first, "-h");
        assert_true(invocation.help);
        assert_ptr_equal(invocation.command, &ms_commands[i]);
    }
    set_up(NULL);
    PARSE("stream", "--help");
    assert_string_equal(invocation.command->name, "help");
    assert_string_equal(invocation.args[0], "stream");
}

static void unknown_words_are_refused_with_the_nearest(void **state) {
    (void)state;
    REFUSED("there is no command apend; did you mean append?", "apend", "a-1");
    REFUSED("there is no command frobnicate", "frobnicate");
    REFUSED("stream has no command sow; it has show, delete, metadata", "stream", "sow");
    REFUSED("stream needs one of show, delete, metadata", "stream");
    REFUSED("unknown option --expct; did you mean --expect?", "append", "a", "b", "--expct", "1");
    REFUSED("unknown option --colour", "read", "--colour");
    REFUSED(
        "unknown option \"-x\": options begin with --, and an argument that begins with - comes "
        "after --",
        "read", "-x");
    REFUSED("unknown option --http-idle-timout; did you mean --http-idle-timeout?", "serve",
            "--http-idle-timout", "1s");
    REFUSED("unknown option --server", "version", "--server", "x");
}

static void wrong_shapes_are_refused(void **state) {
    (void)state;
    struct ms_error err;
    assert_int_equal(ms_args_parse(&invocation, 0, NULL, &err), MS_EINVAL);
    assert_string_equal(err.message, "name a command");
    REFUSED("append needs STREAM TYPE [DATA]", "append", "a-1");
    REFUSED("unexpected argument \"c\"", "read", "a", "c");
    REFUSED("option --limit needs a value", "read", "--limit");
    REFUSED("option --http needs a value", "serve", "--http");
    REFUSED("option --json takes no value", "read", "--json=yes");
}

static void too_many_options_are_refused(void **state) {
    (void)state;
    const char *arguments[2 + MS_OPTIONS_MAX + 2] = {"read"};
    for (size_t i = 1; i < 2 + MS_OPTIONS_MAX; i++)
        arguments[i] = "--backward";
    struct ms_error err;
    assert_int_equal(parse(arguments, &err), MS_EINVAL);
    assert_string_equal(err.message, "more than 64 options");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(arguments_and_options_mix),
        TEST(commands_of_two_words_are_found),
        TEST(two_dashes_end_the_options),
        TEST(a_single_dash_and_negative_numbers_are_arguments),
        TEST(the_last_of_two_equal_options_counts),
        TEST(numbers_keep_their_limits),
        TEST(settings_are_options_of_serve),
        TEST(help_is_known_everywhere),
        TEST(unknown_words_are_refused_with_the_nearest),
        TEST(wrong_shapes_are_refused),
        TEST(too_many_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
