/* `mainstem test`: TAP, what is refused, the exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli_fixture.h"

static const char counter[] =
    "aggregate 'counter' { initial = { n = 0 },\n"
    "  apply = { added = function(state) state.n = state.n + 1 end },\n"
    "  handle = { Add = function() return { event('added') } end } }\n"
    "test 'adds' { aggregate = 'counter', command = { type = 'Add' }, state = { n = 1 } }\n";

static void put(struct cli_fixture *f, const char *dir, const char *path, const char *content) {
    assert_int_equal(ms_vfs_mkdir_all(f->env.vfs, dir, NULL), 0);
    assert_int_equal(ms_vfs_replace_file(f->env.vfs, path, ms_bytes_cstr(content), NULL), 0);
}

static void tests_are_told_as_tap(void **state) {
    (void)state;
    struct cli_fixture f;
    fixture_open(&f, "");
    put(&f, "app", "app/counter.lua", counter);
    assert_int_equal(RUN(&f, "test", "app"), MS_EXIT_OK);
    assert_string_equal(f.out, "TAP version 13\nok 1 - adds\n1..1\n# 1 passed, 0 failed\n");
    put(&f, "app", "app/more.lua",
        "test 'goes wrong' { aggregate = 'counter', command = { type = 'Add' }, events = {} }");
    assert_int_equal(RUN(&f, "test", "app", "app"), MS_EXIT_FAILURE);
    expect_out(&f, "not ok 2 - goes wrong\n# app/more.lua:1\n#   expected (-), got (+)\n"
                   "#     - no events\n#     + event {\"data\":{},\"type\":\"added\"}\n"
                   "ok 3 - adds\n");
    expect_out(&f, "1..4\n# 2 passed, 2 failed\n");
    fixture_close(&f);
}

static void what_is_no_app_is_refused(void **state) {
    (void)state;
    struct cli_fixture f;
    fixture_open(&f, "");
    assert_int_equal(RUN(&f, "test", "none"), MS_EXIT_NOT_FOUND);
    assert_int_equal(RUN(&f, "test"), MS_EXIT_USAGE);
    put(&f, "bad", "bad/x.lua", "aggregate 'x' { handel = {} }");
    assert_int_equal(RUN(&f, "test", "bad/"), MS_EXIT_FAILURE);
    expect_out(&f, "Bail out! bad/ is refused");
    expect_err(&f, "mainstem: bad/x.lua:1: aggregate \"x\": unknown field 'handel', did you mean "
                   "'handle'?");
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tests_are_told_as_tap),
        cmocka_unit_test(what_is_no_app_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
