/* Tests of base/error: the list's columns, messages and their limits, errno values, assertions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"

static void every_code_has_its_row(void **state) {
    (void)state;
    int expected = -1;
#define X(name, value, http, type, text)                                                           \
    assert_int_equal(name, expected--);                                                            \
    assert_string_equal(ms_error_name(name), #name);                                               \
    assert_string_equal(ms_error_text(name), text);                                                \
    assert_string_equal(ms_error_type(name), type);                                                \
    assert_int_equal(ms_error_http_status(name), http);
    MS_ERROR_LIST(X)
#undef X
    assert_string_equal(ms_error_name(expected), "MS_E?");
    assert_int_equal(ms_error_http_status(0), 200);
    assert_string_equal(ms_error_name(0), "MS_OK");
}

static void unknown_codes_are_internal_errors(void **state) {
    (void)state;
    const int unknown[] = {1, -1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_string_equal(ms_error_name(unknown[i]), "MS_E?");
        assert_string_equal(ms_error_text(unknown[i]), "unknown error");
        assert_string_equal(ms_error_type(unknown[i]), "internal");
        assert_int_equal(ms_error_http_status(unknown[i]), 500);
    }
}

static void set_fills_code_and_message(void **state) {
    (void)state;
    struct ms_error err = {0};
    assert_int_equal(ms_error_set(&err, MS_EINVAL, "bad %s at %d", "thing", 7), MS_EINVAL);
    assert_int_equal(err.code, MS_EINVAL);
    assert_string_equal(err.message, "bad thing at 7");
    assert_int_equal(ms_error_set(NULL, MS_EIO, "nobody listens"), MS_EIO);
}

static void set_may_quote_its_own_message(void **state) {
    (void)state;
    struct ms_error err = {0};
    ms_error_set(&err, MS_EIO, "inner");
    ms_error_set(&err, MS_EUNKNOWN, "outer (%s)", err.message);
    assert_string_equal(err.message, "outer (inner)");
}

static void prefix_goes_before_the_message(void **state) {
    (void)state;
    struct ms_error err = {0};
    ms_error_set(&err, MS_ENOTFOUND, "no such file");
    ms_error_prefix(&err, "open %s", "x");
    assert_int_equal(err.code, MS_ENOTFOUND);
    assert_string_equal(err.message, "open x: no such file");
    ms_error_prefix(NULL, "x");
    err.message[0] = '\0';
    ms_error_prefix(&err, "alone");
    assert_string_equal(err.message, "alone");
}

static void long_messages_are_cut_between_characters(void **state) {
    (void)state;
    char text[2 * MS_ERROR_TEXT_MAX];
    for (size_t pad = 0; pad < 4; pad++) {
        memset(text, 'a', pad);
        for (size_t at = pad; at + 3 < sizeof text; at += 3)
            memcpy(text + at, "\xe2\x82\xac", 4);
        struct ms_error err;
        ms_error_set(&err, MS_EIO, "%s", text);
        size_t len = strlen(err.message);
        assert_in_range(len, MS_ERROR_TEXT_MAX - 4, MS_ERROR_TEXT_MAX - 1);
        assert_true(ms_utf8_valid(ms_bytes_cstr(err.message)));
        for (int i = 0; i < 5; i++) {
            ms_error_prefix(&err, "p");
            assert_in_range(strlen(err.message), MS_ERROR_TEXT_MAX - 4, MS_ERROR_TEXT_MAX - 1);
            assert_memory_equal(err.message, "p: ", 3);
            assert_true(ms_utf8_valid(ms_bytes_cstr(err.message)));
        }
        ms_error_prefix(&err, "%s", text);
        assert_true(ms_utf8_valid(ms_bytes_cstr(err.message)));
    }
}

static void a_message_that_just_fits_is_whole(void **state) {
    (void)state;
    char text[MS_ERROR_TEXT_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct ms_error err;
    ms_error_set(&err, MS_EIO, "%s", text);
    assert_string_equal(err.message, text);
    text[sizeof text - 4] = '\0';
    ms_error_set(&err, MS_EIO, "%s", text);
    ms_error_prefix(&err, "y");
    assert_int_equal(strlen(err.message), MS_ERROR_TEXT_MAX - 1);
    assert_memory_equal(err.message + 3, text, MS_ERROR_TEXT_MAX - 3);
}

static void what_is_told_is_of_the_code_that_is_returned(void **state) {
    (void)state;
    struct ms_error err = {0};
    assert_int_equal(ms_error_settle(&err, 0, "read"), 0);
    assert_int_equal(err.code, 0);
    assert_int_equal(ms_error_settle(NULL, MS_ENOMEM, "read"), MS_ENOMEM);
    assert_int_equal(ms_error_settle(&err, MS_ENOMEM, "read"), MS_ENOMEM);
    assert_int_equal(err.code, MS_ENOMEM);
    assert_string_equal(err.message, "read: out of memory, or a memory limit was reached");
    ms_error_set(&err, MS_ENOTFOUND, "no such key");
    assert_int_equal(ms_error_settle(&err, MS_ENOMEM, "read"), MS_ENOMEM);
    assert_string_equal(err.message, "read: out of memory, or a memory limit was reached");
    ms_error_set(&err, MS_ENOMEM, "no memory for a name");
    assert_int_equal(ms_error_settle(&err, MS_ENOMEM, "read"), MS_ENOMEM);
    assert_string_equal(err.message, "no memory for a name");
    assert_int_equal(ms_error_settle(&err, 0, "read"), 0);
    assert_string_equal(err.message, "no memory for a name");
}

static void errno_values_have_codes(void **state) {
    (void)state;
    assert_int_equal(ms_error_from_errno(0), 0);
    assert_int_equal(ms_error_from_errno(ENOSPC), MS_ENOSPC);
    assert_int_equal(ms_error_from_errno(EDQUOT), MS_ENOSPC);
    assert_int_equal(ms_error_from_errno(ENOENT), MS_ENOTFOUND);
    assert_int_equal(ms_error_from_errno(EEXIST), MS_EEXIST);
    assert_int_equal(ms_error_from_errno(EAGAIN), MS_EAGAIN);
    assert_int_equal(ms_error_from_errno(ENOMEM), MS_ENOMEM);
    assert_int_equal(ms_error_from_errno(EMFILE), MS_ELIMIT);
    assert_int_equal(ms_error_from_errno(EIO), MS_EIO);
    assert_int_equal(ms_error_from_errno(12345), MS_EIO);
}

static void a_false_assertion_aborts_and_names_itself(void **state) {
    (void)state;
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_fds[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        MS_ASSERT(1 + 1 == 3);
        _exit(0);
    }
    close(pipe_fds[1]);
    char text[512] = {0};
    assert_true(read(pipe_fds[0], text, sizeof text - 1) > 0);
    close(pipe_fds[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "1 + 1 == 3"));
    assert_non_null(strstr(text, "test_error.c"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_row),
        cmocka_unit_test(unknown_codes_are_internal_errors),
        cmocka_unit_test(set_fills_code_and_message),
        cmocka_unit_test(set_may_quote_its_own_message),
        cmocka_unit_test(prefix_goes_before_the_message),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(a_message_that_just_fits_is_whole),
        cmocka_unit_test(what_is_told_is_of_the_code_that_is_returned),
        cmocka_unit_test(errno_values_have_codes),
        cmocka_unit_test(a_false_assertion_aborts_and_names_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
