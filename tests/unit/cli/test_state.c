/* `mainstem state`: what the events of one stream add up to, with an app and without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli_fixture.h"
#include "unit/os/scratch.h"

static char base[MS_PATH_MAX], dir[MS_PATH_MAX], app[MS_PATH_MAX];

static const char order[] =
    "aggregate 'order' { initial = { n = 0 },\n"
    "  apply = { added = function(state, event) state.n = state.n + event.data.by\n"
    "    state.last = event.key .. '@' .. event.version end,\n"
    "    broken = function() error('no') end } }\n";

static void append(struct cli_fixture *f, const char *type, const char *data) {
    if (RUN(f, "append", "order-1", type, data, "--data", dir) != MS_EXIT_OK)
        fail_msg("%s", f->err);
}

static void set_up(struct cli_fixture *f) {
    char path[MS_PATH_MAX];
    fixture_open(f, "");
    f->env.vfs = ms_vfs_posix();
    assert_int_equal(scratch_make(base), 0);
    assert_int_equal(ms_path_join(dir, base, "d"), 0);
    assert_int_equal(ms_path_join(app, base, "app"), 0);
    assert_int_equal(ms_path_join(path, app, "order.lua"), 0);
    assert_int_equal(ms_vfs_mkdir_all(f->env.vfs, app, NULL), 0);
    assert_int_equal(ms_vfs_replace_file(f->env.vfs, path, ms_bytes_cstr(order), NULL), 0);
    append(f, "added", "{\"by\":2,\"who\":\"a\"}");
    append(f, "added", "{\"by\":5}");
    append(f, "noted", "\"text\"");
}

static void a_state_is_folded_now_and_in_the_past(void **state) {
    (void)state;
    struct cli_fixture f;
    set_up(&f);
    assert_int_equal(RUN(&f, "state", "order-1", "--data", dir), MS_EXIT_OK);
    assert_string_equal(
        f.out, "{\"stream\":\"order-1\",\"state\":{\"by\":5,\"who\":\"a\"},\"version\":2}\n");
    assert_int_equal(RUN(&f, "state", "order-1", "--data", dir, "--app", app), MS_EXIT_OK);
    assert_string_equal(
        f.out, "{\"stream\":\"order-1\",\"state\":{\"last\":\"1@1\",\"n\":7},\"version\":2}\n");
    assert_int_equal(RUN(&f, "state", "order-1", "--data", dir, "--app", app, "--at", "1"),
                     MS_EXIT_OK);
    assert_string_equal(
        f.out, "{\"stream\":\"order-1\",\"state\":{\"last\":\"1@0\",\"n\":2},\"version\":0}\n");
    assert_int_equal(
        RUN(&f, "state", "order-1", "--data", dir, "--app", app, "--at", "2000-01-01T00:00:00Z"),
        MS_EXIT_OK);
    assert_string_equal(f.out, "{\"stream\":\"order-1\",\"state\":{\"n\":0},\"version\":-1}\n");
    fixture_close(&f);
    assert_int_equal(scratch_remove(base), 0);
}

static void what_can_not_be_folded_is_told(void **state) {
    (void)state;
    struct cli_fixture f;
    set_up(&f);
    assert_int_equal(RUN(&f, "state", "order-2", "--data", dir), MS_EXIT_NOT_FOUND);
    assert_int_equal(RUN(&f, "state", "cart-1", "--data", dir, "--app", app), MS_EXIT_NOT_FOUND);
    expect_err(&f, "the app has no aggregate 'cart'");
    assert_int_equal(RUN(&f, "state", "order-1", "--data", dir, "--at", "x"), MS_EXIT_USAGE);
    expect_err(&f, "--at: a time such as");
    append(&f, "broken", "{}");
    assert_int_equal(RUN(&f, "state", "order-1", "--data", dir, "--app", app), MS_EXIT_FAILURE);
    expect_err(&f, "the event behind version 2: ");
    expect_err(&f, "app/order.lua:4: no");
    fixture_close(&f);
    assert_int_equal(scratch_remove(base), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_is_folded_now_and_in_the_past),
        cmocka_unit_test(what_can_not_be_folded_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
