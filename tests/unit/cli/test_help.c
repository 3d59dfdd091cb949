/* Help and manual: complete, from the tables, and the page in docs/ is up to date. */
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/command.h"
#include "server/generated.h"

static struct ms_buf out;

static int set_up(void **state) {
    (void)state;
    ms_buf_init(&out, (size_t)4 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ms_buf_deinit(&out);
    return 0;
}

static bool contains(const char *text) {
    return memmem(out.data, out.len, text, strlen(text)) != NULL;
}

static size_t longest_line(void) {
    size_t longest = 0, columns = 0;
    for (size_t i = 0; i < out.len; i++) {
        columns = out.data[i] == '\n' ? 0 : columns + ((out.data[i] & 0xc0) != 0x80);
        longest = columns > longest ? columns : longest;
    }
    return longest;
}

static void the_table_is_in_order(void **state) {
    (void)state;
    for (size_t i = 0; i < ms_command_count; i++) {
        const struct ms_command *command = &ms_commands[i];
        assert_non_null(command->run);
        assert_true(strlen(command->summary) > 8);
        assert_true(command->summary[strlen(command->summary) - 1] != '.');
        assert_true(command->args_min <= command->args_max && command->args_max <= MS_ARGS_MAX);
        assert_true((command->args_max == 0) == (*command->arguments == 0));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(command->name, ms_commands[j].name);
    }
}

static void help_names_every_command_and_exit_status(void **state) {
    (void)state;
    assert_int_equal(ms_help_all(&out), 0);
    for (size_t i = 0; i < ms_command_count; i++) {
        assert_true(contains(ms_commands[i].name));
        char start[17] = {0}; /* a long summary is wrapped */
        memcpy(start, ms_commands[i].summary, strnlen(ms_commands[i].summary, 16));
        assert_true(contains(start));
    }
#define X(name, value, text) assert_true(contains("\n  " #value " "));
    MS_EXIT_LIST(X)
#undef X
    assert_true(longest_line() <= 90);
}

static void help_of_a_command_names_each_of_its_options(void **state) {
    (void)state;
    for (size_t i = 0; i < ms_command_count; i++) {
        ms_buf_clear(&out);
        assert_int_equal(ms_help_command(&ms_commands[i], &out), 0);
        const struct ms_option *option = ms_commands[i].options;
        for (; option && option->name; option++) {
            char text[64];
            snprintf(text, sizeof text, "\n  --%s%s", option->name, option->argument ? " " : "");
            assert_true(contains(text));
        }
        assert_int_equal(contains("\n  --server URL"),
                         (ms_commands[i].traits & MS_COMMAND_TARGET) != 0);
        assert_true(contains("\n  --help"));
    }
}

static void help_of_serve_names_every_setting(void **state) {
    (void)state;
    for (size_t i = 0; i < ms_command_count; i++)
        if (strcmp(ms_commands[i].name, "serve") == 0)
            assert_int_equal(ms_help_command(&ms_commands[i], &out), 0);
    for (size_t i = 0; i < MS_SETTING_COUNT; i++) {
        char flag[MS_SETTING_NAME_MAX];
        ms_setting_flag(&ms_settings[i], flag);
        assert_true(contains(ms_settings[i].alias ? ms_settings[i].alias : flag));
    }
    assert_true(longest_line() <= 90);
}

static void the_manual_is_troff_without_stray_control_lines(void **state) {
    (void)state;
    static const char *const macros[] = {".\\\" ", ".TH ",  ".SH ", ".SS ",  ".TP\n",
                                         ".B ",    ".I ",   ".BR ", ".PP\n", ".nf\n",
                                         ".fi\n",  ".RS\n", ".RE\n"};
    assert_int_equal(ms_man_page(&out), 0);
    assert_int_equal(ms_buf_append_u8(&out, 0), 0);
    const char *line = (const char *)out.data;
    for (; *line; line = strchr(line, '\n') + 1) {
        bool known = *line != '.' && *line != '\'' && *line != '\n';
        for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++)
            known |= strncmp(line, macros[i], strlen(macros[i])) == 0;
        if (!known)
            fail_msg("stray line: %.40s", line);
    }
}

static void docs_man_mainstem_is_up_to_date(void **state) {
    (void)state;
    assert_int_equal(ms_man_page(&out), 0);
    expect_generated("docs/man/mainstem.1", "build/mainstem help --man", &out);
}

static void help_needs_room(void **state) {
    (void)state;
    struct ms_buf small;
    ms_buf_init(&small, 100);
    assert_int_equal(ms_help_all(&small), MS_ETOOBIG);
    assert_int_equal(ms_man_page(&small), MS_ETOOBIG);
    assert_int_equal(ms_help_command(&ms_commands[0], &small), MS_ETOOBIG);
    ms_buf_deinit(&small);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_table_is_in_order),
        TEST(help_names_every_command_and_exit_status),
        TEST(help_of_a_command_names_each_of_its_options),
        TEST(help_of_serve_names_every_setting),
        TEST(the_manual_is_troff_without_stray_control_lines),
        TEST(docs_man_mainstem_is_up_to_date),
        TEST(help_needs_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
