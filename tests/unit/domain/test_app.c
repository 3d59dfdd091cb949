/* Apps are read from directories: their files in order, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "domain/app.h"
#include "support/world.h"

static int setup(void **state) {
    static struct world w;
    world_init(&w, 1);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    world_deinit(*state);
    return 0;
}

static void put(struct world *w, const char *path, const char *content) {
    struct ms_error err;
    char dir[256];
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(ms_vfs_mkdir_all(w->env.vfs, dir, &err), 0);
    assert_int_equal(ms_vfs_replace_file(w->env.vfs, path, ms_bytes_cstr(content), &err), 0);
}

static void files_come_in_the_order_of_their_paths(void **state) {
    struct world *w = *state;
    struct ms_app *app;
    struct ms_error err = {0};
    put(w, "app/b.lua", "B");
    put(w, "app/a/z.lua", "Z");
    put(w, "app/orders.sql", "S");
    put(w, "app/README.md", "no");
    put(w, "app/.git/x.lua", "no");
    put(w, "app/.hidden.lua", "no");
    if (ms_app_read(w->env.vfs, "app", &app, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(app->count, 3);
    assert_string_equal(app->files[0].path, "a/z.lua");
    assert_string_equal(app->files[1].path, "b.lua");
    assert_string_equal(app->files[2].path, "orders.sql");
    assert_true(ms_bytes_equal_cstr(app->files[0].content, "Z"));
    assert_true(ms_app_is_module(&app->files[1]));
    assert_false(ms_app_is_module(&app->files[2]));
    ms_app_free(app);
}

static struct ms_hash128 hash_of(struct world *w) {
    struct ms_app *app;
    assert_int_equal(ms_app_read(w->env.vfs, "h", &app, NULL), 0);
    struct ms_hash128 hash = app->hash;
    ms_app_free(app);
    return hash;
}

static void the_hash_is_of_paths_and_contents(void **state) {
    struct world *w = *state;
    put(w, "h/a.lua", "x");
    struct ms_hash128 first = hash_of(w), again = hash_of(w);
    assert_memory_equal(&first, &again, sizeof first);
    put(w, "h/a.lua", "y");
    struct ms_hash128 changed = hash_of(w);
    assert_memory_not_equal(&first, &changed, sizeof first);
    put(w, "h/a.lua", "x");
    put(w, "h/b.lua", "");
    struct ms_hash128 more = hash_of(w);
    assert_memory_not_equal(&first, &more, sizeof first);
}

static void what_is_no_app_is_refused(void **state) {
    struct world *w = *state;
    struct ms_app *app;
    struct ms_error err = {0};
    assert_int_equal(ms_app_read(w->env.vfs, "none", &app, &err), MS_ENOTFOUND);
    put(w, "empty/README", "");
    assert_int_equal(ms_app_read(w->env.vfs, "empty", &app, &err), MS_ENOTFOUND);
    assert_non_null(strstr(err.message, "empty has no file of an app"));
    put(w, "deep/1/2/3/4/5/6/7/8/9/x.lua", "");
    assert_int_equal(ms_app_read(w->env.vfs, "deep", &app, &err), MS_ETOOBIG);
    assert_non_null(strstr(err.message, "nest 8 deep"));
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(files_come_in_the_order_of_their_paths),
        test(the_hash_is_of_paths_and_contents),
        test(what_is_no_app_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
