/* Stores whose log lacks what their index has seen: refused, and what is not taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/alloc.h"
#include "os/scratch.h"
#include "store/backup.h"
#include "store/file_copy.h"
#include "store/internal.h"
#include "store/offline.h"
#include "support/store_world.h"

#define EVENTS 900u
#define EVENTS_PER_APPEND 30u

static unsigned warnings;

static void on_warning(void *context, const char *message) {
    (void)context;
    (void)message;
    warnings++;
}

static int setup(void **state) {
    static struct store_world w;
    store_world_init_real(&w);
    w.options.on_warning = on_warning;
    warnings = 0;
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void append(struct store_world *w, const char *stream, unsigned first, unsigned count) {
    char ids[EVENTS_PER_APPEND * 12 + 1];
    for (unsigned i = first; i < first + count; i += EVENTS_PER_APPEND) {
        size_t len = 0;
        for (unsigned k = i; k < i + EVENTS_PER_APPEND; k++)
            len += (size_t)snprintf(ids + len, sizeof ids - len, "e%u ", k);
        struct store_answer answer = store_append(w, stream, ANY, ids);
        if (answer.code != 0)
            fail_msg("append: %s", answer.error.message);
    }
}

/* Some events, all of them in the index on disk; closed. Returns the end of the log. */
static uint64_t fill(struct store_world *w) {
    assert_int_equal(store_world_open(w), 0);
    append(w, "s-1", 0, EVENTS);
    uint64_t end = ms_log_end(w->store->log);
    assert_int_equal(store_world_close(w), 0);
    return end;
}

static void path_in(const struct store_world *w, const char *name, char out[MS_PATH_MAX]) {
    assert_int_equal(ms_path_join(out, w->dir, name), 0);
}

static void cut(const struct store_world *w, uint64_t size) {
    char path[MS_PATH_MAX];
    struct ms_file *file;
    path_in(w, "shard-000/00000000000000000000.log", path);
    assert_int_equal(ms_vfs_open(w->env.vfs, path, MS_OPEN_WRITE, &file, NULL), 0);
    assert_int_equal(ms_file_truncate(file, size, NULL), 0);
    ms_file_close(file);
}

static void remove_log(const struct store_world *w) {
    char path[MS_PATH_MAX];
    path_in(w, "shard-000/00000000000000000000.log", path);
    assert_int_equal(ms_vfs_unlink(w->env.vfs, path, NULL), 0);
}

/* How many names in shard-000 begin so. */
static unsigned names(const struct store_world *w, const char *prefix) {
    char shard[MS_PATH_MAX];
    struct ms_dir_entry *entries;
    size_t count;
    unsigned found = 0;
    path_in(w, "shard-000", shard);
    assert_int_equal(ms_vfs_list(w->env.vfs, shard, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        found += strncmp(entries[i].name, prefix, strlen(prefix)) == 0;
    ms_dir_entries_free(entries, count);
    return found;
}

static void copy_tree(const struct store_world *w, const char *from, const char *to) {
    struct ms_dir_entry *entries;
    struct ms_hash128 hash;
    size_t count;
    assert_int_equal(ms_vfs_list(w->env.vfs, from, &entries, &count, NULL), 0);
    assert_int_equal(ms_vfs_mkdir_all(w->env.vfs, to, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        char source[MS_PATH_MAX], target[MS_PATH_MAX];
        assert_int_equal(ms_path_join(source, from, entries[i].name), 0);
        assert_int_equal(ms_path_join(target, to, entries[i].name), 0);
        if (entries[i].is_dir)
            copy_tree(w, source, target);
        else
            assert_int_equal(ms_file_copy(&w->env, source, target, entries[i].size, &hash, NULL),
                             0);
    }
    ms_dir_entries_free(entries, count);
}

static void assert_refused(struct store_world *w) {
    for (int pass = 0; pass < 2; pass++) { /* the evidence stays */
        assert_int_equal(store_world_open(w), MS_ECORRUPT);
        if (strstr(w->error.message, "acknowledged events are missing") == NULL)
            fail_msg("%s", w->error.message);
    }
    assert_int_equal(names(w, "index"), 1);
    assert_int_equal(names(w, "spare"), 0);
}

static uint64_t known_end(struct store_world *w) {
    struct ms_offline offline;
    assert_int_equal(ms_offline_open(&offline, &w->env, w->dir, false, &w->error), 0);
    uint64_t known = offline.known_end;
    ms_offline_close(&offline);
    return known;
}

/* ---- refused ---- */

static void log_without_its_segments_is_refused(void **state) {
    struct store_world *w = *state;
    uint64_t end = fill(w);
    remove_log(w);
    assert_refused(w);
    assert_int_equal(names(w, "0000"), 0); /* nothing was made either */
    assert_int_equal(known_end(w), end);
}

static void log_that_was_cut_is_refused(void **state) {
    struct store_world *w = *state;
    fill(w);
    cut(w, 3 * 4096);
    assert_refused(w);
}

static void without_the_index_the_rest_is_served(void **state) {
    struct store_world *w = *state;
    uint64_t end = fill(w);
    cut(w, 3 * 4096);
    store_world_drop_index(w);
    assert_int_equal(known_end(w), 0);
    assert_int_equal(store_world_open(w), 0);
    assert_true(ms_log_end(w->store->log) < end);
}

static void what_repair_leaves_opens(void **state) {
    struct store_world *w = *state;
    struct ms_offline offline;
    fill(w);
    cut(w, 3 * 4096);
    assert_refused(w);
    assert_int_equal(ms_offline_open(&offline, &w->env, w->dir, true, &w->error), 0);
    assert_int_equal(ms_offline_discard_index(&offline, &w->error), 0);
    ms_offline_close(&offline);
    assert_int_equal(names(w, "index.damaged-1"), 1);
    assert_int_equal(store_world_open(w), 0);
    append(w, "s-1", 0, 90);
}

/* ---- not refused ---- */

static void end_of_an_os_log_may_be_lost(void **state) {
    struct store_world *w = *state;
    w->options.durability = MS_DURABILITY_OS;
    uint64_t end = fill(w);
    cut(w, 3 * 4096);
    assert_int_equal(store_world_open(w), 0);
    assert_true(ms_log_end(w->store->log) < end);
    assert_int_equal(warnings, 1);
    assert_int_equal(names(w, "index.damaged-1"), 1);
    append(w, "s-1", 0, 90);
    store_world_reopen(w);
    assert_int_equal(warnings, 1);
}

static void index_of_another_store_proves_nothing(void **state) {
    struct store_world *w = *state, other;
    char from[MS_PATH_MAX], to[MS_PATH_MAX];
    fill(w);
    store_world_init_real(&other);
    assert_int_equal(store_world_open(&other), 0);
    append(&other, "s-1", 0, 30);
    assert_int_equal(store_world_close(&other), 0);
    store_world_drop_index(&other);
    path_in(w, "shard-000/index", from);
    path_in(&other, "shard-000/index", to);
    copy_tree(w, from, to);
    assert_int_equal(known_end(&other), 0);
    assert_int_equal(store_world_open(&other), 0);
    assert_int_equal(names(&other, "index.damaged-1"), 1);
    store_world_deinit(&other);
}

/* The index of the first store beside a restored log: the uuid tells them apart. */
static void restored_store_opens_beside_its_old_index(void **state) {
    struct store_world *w = *state, other;
    char from[MS_PATH_MAX], to[MS_PATH_MAX], backup[MS_PATH_MAX];
    struct ms_backup_result made;
    struct ms_restore_result restored;
    fill(w);
    store_world_init_real(&other);
    path_in(&other, "backup", backup);
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(ms_store_backup(w->store, backup, NULL, NULL, &made, &w->error), 0);
    assert_int_equal(store_world_close(w), 0);
    assert_int_equal(ms_path_join(to, other.dir, "restored"), 0);
    struct ms_restore_options options = {
        .env = &w->env,
        .backup = backup,
        .dir = to,
        .segment_bytes = w->options.segment_bytes,
        .to = MS_RESTORE_TO_POSITION,
        .position = 300,
    };
    assert_int_equal(ms_store_restore(&options, &restored, &w->error), 0);
    assert_true(restored.end < made.end);
    path_in(w, "shard-000/index", from);
    other.options.dir = to;
    char index[MS_PATH_MAX];
    assert_int_equal(ms_path_join(index, to, "shard-000/index"), 0);
    copy_tree(w, from, index);
    assert_int_equal(store_world_open(&other), 0);
    assert_int_equal(ms_log_end(other.store->log), restored.end);
    store_world_deinit(&other);
}

static void older_copy_of_the_whole_directory_goes_on(void **state) {
    struct store_world *w = *state, copy;
    uint64_t end = fill(w);
    store_world_init_real(&copy);
    copy_tree(w, w->dir, copy.dir);
    assert_int_equal(store_world_open(w), 0);
    append(w, "s-2", EVENTS, 300);
    assert_int_equal(store_world_close(w), 0);
    assert_int_equal(scratch_remove(w->dir), 0);
    copy_tree(&copy, copy.dir, w->dir);
    store_world_deinit(&copy);
    assert_int_equal(known_end(w), end);
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(ms_log_end(w->store->log), end);
    append(w, "s-2", EVENTS, 300);
    store_world_reopen(w);
}

static void nothing_is_asked_of_a_directory_in_use(void **state) {
    struct store_world *w = *state;
    uint64_t end = fill(w);
    assert_int_equal(known_end(w), end);
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(known_end(w), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(log_without_its_segments_is_refused),
        test(log_that_was_cut_is_refused),
        test(without_the_index_the_rest_is_served),
        test(what_repair_leaves_opens),
        test(end_of_an_os_log_may_be_lost),
        test(index_of_another_store_proves_nothing),
        test(restored_store_opens_beside_its_old_index),
        test(older_copy_of_the_whole_directory_goes_on),
        test(nothing_is_asked_of_a_directory_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
