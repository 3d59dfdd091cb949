/* One store per test, and what tests of backups say often. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "log/internal.h"
#include "log/verify.h"
#include "store/backup.h"
#include "store/internal.h"
#include "store/offline.h"
#include "support/store_world.h"

#define BIG 60000

static inline int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    assert_int_equal(store_world_open(&w), 0);
    *state = &w;
    return 0;
}

static inline int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static inline void append_big(struct store_world *w, const char *stream, unsigned number) {
    char id[32];
    snprintf(id, sizeof id, "e%u", number);
    assert_int_equal(store_append_large(w, stream, id, BIG).code, 0);
}

/* Three segments, the first two sealed. */
static inline void fill(struct store_world *w) {
    static unsigned number;
    for (unsigned i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "s-%u", i % 5);
        append_big(w, name, number++);
    }
    while (ms_keeper_step(w->store->log))
        continue;
}

static inline struct ms_backup_result backup(struct store_world *w, const char *dir) {
    struct ms_backup_result result;
    if (ms_store_backup(w->store, dir, NULL, NULL, &result, &w->error) != 0)
        fail_msg("backup: %s", w->error.message);
    return result;
}

static inline struct ms_restore_options restore_options(struct store_world *w, const char *from,
                                                        const char *to) {
    return (struct ms_restore_options){.env = &w->env, .backup = from, .dir = to};
}

static inline struct ms_restore_result restore(struct store_world *w,
                                               const struct ms_restore_options *options) {
    struct ms_restore_result result;
    if (ms_store_restore(options, &result, &w->error) != 0)
        fail_msg("restore: %s", w->error.message);
    return result;
}

/* The events of the store in `dir`, which is opened for it. */
static inline void read_dir(struct store_world *w, const char *dir, struct event_log *out) {
    struct store_world other = *w;
    other.store = NULL;
    other.options.dir = dir;
    other.options.env = &w->env;
    if (store_world_open(&other) != 0)
        fail_msg("%s: %s", dir, other.error.message);
    store_read_everything(&other, true, out);
    assert_int_equal(store_append(&other, "after-1", ANY, "goes-on").code, 0);
    assert_int_equal(store_world_close(&other), 0);
}

static inline void assert_verifies(struct store_world *w, const char *dir) {
    struct ms_offline offline;
    struct ms_verify_result result;
    assert_int_equal(ms_offline_open(&offline, &w->env, dir, false, &w->error), 0);
    struct ms_verify_options options = {
        .env = &w->env, .dir = offline.shard, .log_uuid = offline.log_uuid};
    assert_int_equal(ms_log_verify(&options, &result, &w->error), 0);
    assert_int_equal(result.damages, 0);
    ms_offline_close(&offline);
}

static inline void remove_dir(struct store_world *w, const char *dir) {
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(w->env.vfs, dir, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        char path[MS_PATH_MAX];
        assert_int_equal(ms_path_join(path, dir, entries[i].name), 0);
        if (entries[i].is_dir)
            remove_dir(w, path);
        else
            assert_int_equal(ms_vfs_unlink(w->env.vfs, path, NULL), 0);
    }
    ms_dir_entries_free(entries, count);
    assert_int_equal(ms_vfs_rmdir(w->env.vfs, dir, NULL), 0);
}

static inline int try_backup(struct store_world *w, const char *dir) {
    struct ms_backup_result result;
    return ms_store_backup(w->store, dir, NULL, NULL, &result, &w->error);
}

static inline int try_restore(struct store_world *w, const char *from, const char *to) {
    struct ms_restore_options options = restore_options(w, from, to);
    struct ms_restore_result result;
    return ms_store_restore(&options, &result, &w->error);
}
