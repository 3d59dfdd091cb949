/* Tests of os/vfs_sim_tree: which names survive a power cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "unit/os/sim_world.h"

static int sync_dir(struct ms_vfs_sim *sim, const char *path) {
    return ms_vfs_sync_dir(ms_vfs_sim_vfs(sim), path, NULL);
}

static int do_rename(struct ms_vfs_sim *sim, const char *from, const char *to) {
    return ms_vfs_rename(ms_vfs_sim_vfs(sim), from, to, NULL);
}

static int make_dir(struct ms_vfs_sim *sim, const char *path) {
    return ms_vfs_mkdir(ms_vfs_sim_vfs(sim), path, NULL);
}

static void a_synced_file_without_its_name_vanishes(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    struct ms_file *file = sim_open(sim, "f", RWC);
    assert_int_equal(ms_file_write(file, 0, "x", 1, NULL), 0);
    assert_int_equal(ms_file_sync(file, NULL), 0);
    ms_file_close(file);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_false(sim_exists(sim, "f"));
    ms_vfs_sim_free(sim);
}

static void a_synced_name_without_content_is_an_empty_file(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    sim_put(sim, "f", "content", false);
    assert_int_equal(sync_dir(sim, "/"), 0);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_true(sim_content_is(sim, "f", ""));
    ms_vfs_sim_free(sim);
}

static void an_unsynced_removal_is_undone(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    sim_put(sim, "f", "content", true);
    assert_int_equal(ms_vfs_unlink(ms_vfs_sim_vfs(sim), "f", NULL), 0);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_KEEP_ALL);
    assert_false(sim_exists(sim, "f"));
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_true(sim_content_is(sim, "f", "content"));
    assert_int_equal(ms_vfs_unlink(ms_vfs_sim_vfs(sim), "f", NULL), 0);
    assert_int_equal(sync_dir(sim, "."), 0);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_false(sim_exists(sim, "f"));
    ms_vfs_sim_free(sim);
}

static void a_lost_directory_takes_its_content_along(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    assert_int_equal(make_dir(sim, "d"), 0);
    sim_put(sim, "d/f", "x", true);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_false(sim_exists(sim, "d/f"));
    assert_int_equal(make_dir(sim, "d"), 0);
    sim_put(sim, "d/f", "y", true);
    assert_int_equal(sync_dir(sim, "/"), 0);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_true(sim_content_is(sim, "d/f", "y"));
    ms_vfs_sim_free(sim);
}

static void mkdir_all_is_durable(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    assert_int_equal(ms_vfs_mkdir_all(ms_vfs_sim_vfs(sim), "/a/b/c", NULL), 0);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_int_equal(make_dir(sim, "/a/b/c"), MS_EEXIST);
    ms_vfs_sim_free(sim);
}

static void a_rename_survives_whole_or_not_at_all(void **state) {
    (void)state;
    int outcomes[2] = {0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        bool across = seed % 2;
        const char *from = across ? "d/new" : "new";
        assert_int_equal(make_dir(sim, "d"), 0);
        sim_put(sim, "old", "old", true);
        sim_put(sim, from, "new", true);
        assert_int_equal(do_rename(sim, from, "old"), 0);
        ms_vfs_sim_cut(sim, MS_SIM_CUT_RANDOM);
        bool renamed = !sim_exists(sim, from);
        assert_true(sim_content_is(sim, "old", renamed ? "new" : "old"));
        if (!renamed)
            assert_true(sim_content_is(sim, from, "new"));
        outcomes[renamed]++;
        ms_vfs_sim_free(sim);
    }
    assert_true(outcomes[0] > 30 && outcomes[1] > 30);
}

static void a_rename_between_directories_needs_both_synced(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    assert_int_equal(make_dir(sim, "a"), 0);
    assert_int_equal(make_dir(sim, "b"), 0);
    sim_put(sim, "a/f", "x", true);
    assert_int_equal(sync_dir(sim, "/"), 0);
    assert_int_equal(do_rename(sim, "a/f", "b/f"), 0);
    assert_int_equal(sync_dir(sim, "b"), 0);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_true(sim_content_is(sim, "a/f", "x"));
    assert_true(sim_content_is(sim, "b/f", "x"));

    assert_int_equal(do_rename(sim, "a/f", "b/g"), 0);
    assert_int_equal(sync_dir(sim, "a"), 0); /* the file must not be in neither */
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_false(sim_exists(sim, "a/f"));
    assert_true(sim_content_is(sim, "b/g", "x"));

    assert_int_equal(do_rename(sim, "b/g", "a/g"), 0);
    assert_int_equal(sync_dir(sim, "a"), 0);
    assert_int_equal(sync_dir(sim, "b"), 0);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_false(sim_exists(sim, "b/g"));
    assert_true(sim_content_is(sim, "a/g", "x"));
    ms_vfs_sim_free(sim);
}

static void a_rename_takes_along_what_it_stands_on(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    assert_int_equal(make_dir(sim, "a"), 0);
    assert_int_equal(make_dir(sim, "b"), 0);
    assert_int_equal(sync_dir(sim, "/"), 0);
    sim_put(sim, "a/f", "moved", true);
    sim_put(sim, "b/f", "replaced", false);
    assert_int_equal(do_rename(sim, "a/f", "b/f"), 0);
    assert_int_equal(sync_dir(sim, "a"), 0);
    /* The making of the replaced file must not come to the disk after the rename. */
    assert_int_equal(sync_dir(sim, "b"), 0);
    sim_put(sim, "lost", "", false);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_false(sim_exists(sim, "lost"));
    assert_false(sim_exists(sim, "a/f"));
    assert_true(sim_content_is(sim, "b/f", "moved"));
    ms_vfs_sim_free(sim);
}

static void nothing_survives_that_was_done_after_a_lost_removal(void **state) {
    (void)state;
    int outcomes[3] = {0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        sim_put(sim, "old", "", true);
        assert_int_equal(ms_vfs_unlink(ms_vfs_sim_vfs(sim), "old", NULL), 0);
        sim_put(sim, "new", "", false);
        ms_vfs_sim_cut(sim, MS_SIM_CUT_RANDOM);
        bool old_there = sim_exists(sim, "old"), new_there = sim_exists(sim, "new");
        assert_false(old_there && new_there);
        outcomes[old_there ? 0 : new_there ? 2 : 1]++;
        ms_vfs_sim_free(sim);
    }
    assert_true(outcomes[0] > 10 && outcomes[1] > 10 && outcomes[2] > 10);
}

static void of_each_directory_a_prefix_survives(void **state) {
    (void)state;
    enum { FILES = 8 };
    int independent = 0, partial = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        assert_int_equal(make_dir(sim, "a"), 0);
        assert_int_equal(make_dir(sim, "b"), 0);
        assert_int_equal(sync_dir(sim, "/"), 0);
        char path[20];
        for (int i = 0; i < FILES; i++) {
            snprintf(path, sizeof path, "a/%d", i);
            sim_put(sim, path, "", false);
            snprintf(path, sizeof path, "b/%d", i);
            sim_put(sim, path, "", false);
        }
        ms_vfs_sim_cut(sim, MS_SIM_CUT_RANDOM);
        int counts[2] = {0};
        for (int dir = 0; dir < 2; dir++) {
            bool ended = false;
            for (int i = 0; i < FILES; i++) {
                snprintf(path, sizeof path, "%c/%d", 'a' + dir, i);
                bool exists = sim_exists(sim, path);
                assert_false(exists && ended);
                ended = !exists;
                counts[dir] += exists;
            }
            partial += counts[dir] > 0 && counts[dir] < FILES;
        }
        independent += counts[0] + 1 < counts[1] || counts[1] + 1 < counts[0];
        ms_vfs_sim_free(sim);
    }
    assert_true(partial > 100 && independent > 50);
}

static void replace_file_is_atomic_at_every_cut(void **state) {
    (void)state;
    int new_seen = 0, old_seen = 0;
    for (uint64_t n = 1;; n++) {
        bool finished = false;
        for (uint64_t seed = 0; seed < 50; seed++) {
            struct ms_vfs_sim *sim = sim_new(seed);
            struct ms_vfs *vfs = ms_vfs_sim_vfs(sim);
            assert_int_equal(ms_vfs_mkdir_all(vfs, "dir", NULL), 0);
            assert_int_equal(ms_vfs_replace_file(vfs, "dir/f", ms_bytes_cstr("old"), NULL), 0);
            ms_vfs_sim_cut_at(sim, n);
            int code = ms_vfs_replace_file(vfs, "dir/f", ms_bytes_cstr("newer"), NULL);
            finished = !ms_vfs_sim_is_cut(sim);
            assert_int_equal(code, finished ? 0 : MS_EIO);
            ms_vfs_sim_cut(sim, (enum ms_sim_cut)(seed % 3));
            bool is_new = sim_content_is(sim, "dir/f", "newer");
            assert_true(is_new || sim_content_is(sim, "dir/f", "old"));
            if (finished)
                assert_true(is_new);
            new_seen += is_new && !finished;
            old_seen += !is_new;
            ms_vfs_sim_free(sim);
        }
        if (finished) {
            assert_int_equal(n, 6); /* create, write, sync, rename, sync of the directory */
            break;
        }
    }
    assert_true(new_seen > 10 && old_seen > 50);
}

/* Whatever was done: a durable file without an operation on it is still there, and the tree is
 * sound. */
static void random_names_never_break_the_tree(void **state) {
    (void)state;
    static const char *const paths[] = {"a",     "b", "a/c", "b/c", "a/c/d",
                                        "b/c/d", "e", "a/f", "b/f"};
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct ms_random_seeded random;
        ms_random_seeded_init(&random, seed);
        struct ms_vfs_sim *sim = sim_new(seed);
        struct ms_vfs *vfs = ms_vfs_sim_vfs(sim);
        sim_put(sim, "keep", "kept", true);
        for (int i = 0; i < 80; i++) {
            const char *from = paths[ms_random_below(&random.random, 9)];
            const char *to = paths[ms_random_below(&random.random, 9)];
            int ignored = 0;
            struct ms_file *file;
            switch (ms_random_below(&random.random, 9)) {
            case 0:
            case 1:
                ignored = ms_vfs_mkdir(vfs, from, NULL);
                break;
            case 2:
                ignored = ms_vfs_open(vfs, from, RWC, &file, NULL);
                if (ignored == 0)
                    ms_file_close(file);
                break;
            case 3:
            case 4:
                ignored = ms_vfs_rename(vfs, from, to, NULL);
                break;
            case 5:
                ignored = ms_vfs_unlink(vfs, from, NULL);
                break;
            case 6:
                ignored = ms_vfs_rmdir(vfs, from, NULL);
                break;
            case 7:
                ignored =
                    ms_vfs_sync_dir(vfs, ms_random_below(&random.random, 3) ? from : "/", NULL);
                break;
            default:
                ignored = ms_vfs_link(vfs, from, to, NULL);
                break;
            }
            assert_true(ignored <= 0);
            if (ms_random_below(&random.random, 20) == 0)
                ms_vfs_sim_cut(sim, (enum ms_sim_cut)ms_random_below(&random.random, 3));
            assert_true(sim_content_is(sim, "keep", "kept"));
        }
        ms_vfs_sim_free(sim);
    }
}

static void dots_and_long_names_are_refused(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    assert_int_equal(sim_try_open(sim, "../f"), MS_EINVAL);
    assert_int_equal(sim_try_open(sim, ""), MS_ENOTFOUND);
    assert_int_equal(sim_try_open(sim, "/"), MS_EINVAL);
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(sim_try_open(sim, name), MS_ETOOBIG);
    name[255] = '\0';
    sim_put(sim, name, "long", true);
    assert_true(sim_content_is(sim, name, "long"));
    sim_put(sim, "f", "x", true);
    assert_true(sim_content_is(sim, "//./f", "x"));
    assert_int_equal(ms_vfs_rmdir(ms_vfs_sim_vfs(sim), "/", NULL), MS_EINVAL);
    assert_int_equal(do_rename(sim, "/", "x"), MS_EINVAL);
    assert_int_equal(make_dir(sim, "/"), MS_EEXIST);
    ms_vfs_sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_synced_file_without_its_name_vanishes),
        cmocka_unit_test(a_synced_name_without_content_is_an_empty_file),
        cmocka_unit_test(an_unsynced_removal_is_undone),
        cmocka_unit_test(a_lost_directory_takes_its_content_along),
        cmocka_unit_test(mkdir_all_is_durable),
        cmocka_unit_test(a_rename_survives_whole_or_not_at_all),
        cmocka_unit_test(a_rename_between_directories_needs_both_synced),
        cmocka_unit_test(a_rename_takes_along_what_it_stands_on),
        cmocka_unit_test(nothing_survives_that_was_done_after_a_lost_removal),
        cmocka_unit_test(of_each_directory_a_prefix_survives),
        cmocka_unit_test(replace_file_is_atomic_at_every_cut),
        cmocka_unit_test(random_names_never_break_the_tree),
        cmocka_unit_test(dots_and_long_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
