/* Backups and restores that are refused, and what they leave behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/backup_fixture.h"

static void full_directories_are_refused(void **state) {
    struct store_world *w = *state;
    fill(w);
    backup(w, "copy");
    assert_int_equal(try_backup(w, "copy"), MS_EEXIST);
    assert_int_equal(try_backup(w, w->dir), MS_EEXIST);
    assert_int_equal(try_restore(w, "copy", w->dir), MS_EEXIST);
    assert_int_equal(ms_vfs_mkdir(w->env.vfs, "empty", NULL), 0);
    assert_int_equal(try_restore(w, "copy", "empty"), 0);
}

static bool is_dir(struct store_world *w, const char *path) {
    struct ms_dir_entry *entries;
    size_t count;
    int rc = ms_vfs_list(w->env.vfs, path, &entries, &count, NULL);
    if (rc == 0)
        ms_dir_entries_free(entries, count);
    return rc == 0;
}

static void directories_inside_a_store_are_refused(void **state) {
    struct store_world *w = *state;
    char inside[MS_PATH_MAX];
    fill(w);
    assert_int_equal(ms_path_join(inside, w->dir, "copies/monday/"), 0);
    assert_int_equal(try_backup(w, inside), MS_EINVAL);
    assert_non_null(strstr(w->error.message, "lies inside"));
    backup(w, "copy");
    assert_int_equal(try_restore(w, "copy", inside), MS_EINVAL);
    assert_int_equal(try_restore(w, "copy", "copy/shard-000/x"), MS_EINVAL);
    assert_int_equal(ms_path_join(inside, w->dir, "copies"), 0);
    assert_false(is_dir(w, inside));
}

static void points_that_the_backup_does_not_reach_are_refused(void **state) {
    struct store_world *w = *state;
    struct ms_restore_options options = restore_options(w, "copy", "restored");
    struct ms_restore_result result;
    fill(w);
    uint64_t end = backup(w, "copy").end;
    options.to = MS_RESTORE_TO_POSITION;
    options.position = end;
    assert_int_equal(ms_store_restore(&options, &result, &w->error), MS_EINVAL);
    assert_false(is_dir(w, "restored"));
    options.to = MS_RESTORE_TO_TIME;
    options.time_ms = ms_clock_now_us(w->env.clock) / 1000 + 1;
    assert_int_equal(ms_store_restore(&options, &result, &w->error), MS_EINVAL);
    assert_non_null(strstr(w->error.message, "was made before that time"));
    assert_false(is_dir(w, "restored"));
    options.time_ms--;
    assert_int_equal(ms_store_restore(&options, &result, &w->error), 0);
    assert_int_equal(result.end, end);
}

static void assert_empty(struct store_world *w, const char *dir) {
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(w->env.vfs, dir, &entries, &count, NULL), 0);
    ms_dir_entries_free(entries, count);
    assert_int_equal(count, 0);
}

static void a_backup_that_was_not_finished_is_refused(void **state) {
    struct store_world *w = *state;
    fill(w);
    assert_int_equal(try_restore(w, "nothing", "restored"), MS_ENOTFOUND);
    backup(w, "copy");
    world_remove(&w->world, "copy/MANIFEST.json");
    assert_int_equal(try_restore(w, "copy", "restored"), MS_ENOTFOUND);
    assert_non_null(strstr(w->error.message, "MANIFEST.json"));
}

static void a_file_that_differs_from_the_manifest_is_named(void **state) {
    struct store_world *w = *state;
    static const char *const name = "copy/shard-000/00000000000000000000.log";
    fill(w);
    backup(w, "copy");
    world_copy(&w->world, name, "kept"); /* the backup's file is a link to the store's */
    world_remove(&w->world, name);
    world_copy(&w->world, "kept", name);
    assert_int_equal(ms_vfs_sim_flip(w->world.sim, name, 70000, 1), 0);
    assert_int_equal(try_restore(w, "copy", "restored"), MS_ECORRUPT);
    assert_non_null(strstr(w->error.message, "00000000000000000000.log"));
    assert_empty(w, "restored"); /* nothing is left behind, nor in the way of another try */
}

static void a_shortened_or_missing_file_is_named(void **state) {
    struct store_world *w = *state;
    static const char *const name = "copy/shard-000/00000000000000000000.log";
    fill(w);
    backup(w, "copy");
    world_copy(&w->world, name, "kept");
    world_remove(&w->world, name);
    assert_int_equal(try_restore(w, "copy", "restored"), MS_ENOTFOUND);
    assert_non_null(strstr(w->error.message, "00000000000000000000.log"));
    world_copy(&w->world, "kept", name);
    world_truncate(&w->world, name, 8192);
    assert_int_equal(try_restore(w, "copy", "restored"), MS_ECORRUPT);
}

static void write_manifest(struct store_world *w, const char *text) {
    assert_int_equal(ms_vfs_mkdir_all(w->env.vfs, "bad/shard-000", NULL), 0);
    if (world_exists(&w->world, "bad/MANIFEST.json"))
        world_remove(&w->world, "bad/MANIFEST.json");
    world_write(&w->world, "bad/MANIFEST.json", 0, text, strlen(text));
}

static void manifests_that_make_no_sense_are_refused(void **state) {
    struct store_world *w = *state;
    static const char uuid[] = "60068b90-aafb-4f18-83e9-912a1a45a658";
    static const struct {
        const char *format;
        int code;
    } rows[] = {
        {"", MS_ECORRUPT},
        {"[]", MS_ECORRUPT},
        {"{\"mainstem_backup\":2}", MS_EFORMAT},
        {"{\"mainstem_backup\":1}", MS_ECORRUPT},
        {"{\"mainstem_backup\":1,\"log\":\"x\",\"end\":1,\"files\":[]}", MS_ECORRUPT},
        {"{\"mainstem_backup\":1,\"log\":\"%s\",\"end\":-1,\"files\":[]}", MS_ECORRUPT},
        {"{\"mainstem_backup\":1,\"log\":\"%s\",\"end\":1,\"files\":{}}", MS_ECORRUPT},
        {"{\"mainstem_backup\":1,\"log\":\"%s\",\"end\":1,\"files\":[{\"name\":\"../../etc/"
         "passwd\","
         "\"bytes\":1,\"xxh3_128\":\"00\"}]}",
         MS_ECORRUPT},
        {"{\"mainstem_backup\":1,\"log\":\"%s\",\"end\":1,\"files\":[{\"name\":"
         "\"00000000000000000000.log\",\"xxh3_128\":\"00\"}]}",
         MS_ECORRUPT},
        {"{\"mainstem_backup\":1,\"log\":\"%s\",\"end\":1,\"files\":[7]}", MS_ECORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        const char *hole = strstr(rows[i].format, "%s");
        size_t head = hole ? (size_t)(hole - rows[i].format) : strlen(rows[i].format);
        snprintf(text, sizeof text, "%.*s%s%s", (int)head, rows[i].format, hole ? uuid : "",
                 hole ? hole + 2 : "");
        write_manifest(w, text);
        if (try_restore(w, "bad", "restored") != rows[i].code)
            fail_msg("row %zu: %s", i, w->error.message);
        struct ms_dir_entry *entries;
        size_t count;
        if (ms_vfs_list(w->env.vfs, "restored", &entries, &count, NULL) == 0) {
            ms_dir_entries_free(entries, count);
            remove_dir(w, "restored");
        }
    }
}

static bool stop_at_first(void *context, uint64_t done, uint64_t total) {
    ++*(int *)context;
    assert_true(done <= total);
    return false;
}

static void a_backup_can_be_stopped_and_is_then_unfinished(void **state) {
    struct store_world *w = *state;
    struct ms_backup_result result;
    int calls = 0;
    fill(w);
    assert_int_equal(ms_store_backup(w->store, "copy", stop_at_first, &calls, &result, &w->error),
                     MS_ECANCELED);
    assert_int_equal(calls, 1);
    assert_false(world_exists(&w->world, "copy/MANIFEST.json"));
    assert_int_equal(try_restore(w, "copy", "restored"), MS_ENOTFOUND);
}

struct inside {
    struct store_world *w;
    int rc;
};

static void back_up_inside(void *context, uint64_t done, uint64_t segments) {
    struct inside *inside = context;
    (void)done;
    (void)segments;
    inside->rc = try_backup(inside->w, "inside");
}

static void a_backup_waits_for_no_scavenge(void **state) {
    struct store_world *w = *state;
    struct inside inside = {.w = w};
    struct ms_scavenge_options options = {.on_progress = back_up_inside, .context = &inside};
    struct ms_scavenge_result result;
    fill(w);
    assert_int_equal(ms_store_scavenge(w->store, &options, &result, &w->error), 0);
    assert_int_equal(inside.rc, MS_EAGAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(full_directories_are_refused),
        test(directories_inside_a_store_are_refused),
        test(points_that_the_backup_does_not_reach_are_refused),
        test(a_backup_that_was_not_finished_is_refused),
        test(a_file_that_differs_from_the_manifest_is_named),
        test(a_shortened_or_missing_file_is_named),
        test(manifests_that_make_no_sense_are_refused),
        test(a_backup_can_be_stopped_and_is_then_unfinished),
        test(a_backup_waits_for_no_scavenge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
