/* Backup and restore: under load, to a point in the past, in trouble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/backup_fixture.h"

static void a_restored_store_has_the_same_events(void **state) {
    struct store_world *w = *state;
    struct event_log before = {0}, after = {0};
    fill(w);
    store_read_everything(w, true, &before);
    struct ms_backup_result made = backup(w, "copy");
    assert_int_equal(made.files, 3);
    assert_int_equal(made.linked, 2);
    assert_int_equal(made.end, ms_store_end(w->store));
    assert_verifies(w, "copy");
    struct ms_restore_options options = restore_options(w, "copy", "restored");
    struct ms_restore_result result = restore(w, &options);
    assert_int_equal(result.files, 3);
    assert_int_equal(result.bytes, made.bytes);
    assert_int_equal(result.end, made.end);
    assert_verifies(w, "restored");
    read_dir(w, "restored", &after);
    assert_true(event_log_equal(&before, &after, false));
    event_log_clear(&before);
    event_log_clear(&after);
}

static void a_restored_store_is_another_store_on_the_same_log(void **state) {
    struct store_world *w = *state;
    struct ms_offline original, copy;
    fill(w);
    backup(w, "copy");
    struct ms_restore_options options = restore_options(w, "copy", "restored");
    struct ms_restore_result result = restore(w, &options);
    assert_int_equal(ms_offline_open(&original, &w->env, w->dir, false, NULL), 0);
    assert_int_equal(ms_offline_open(&copy, &w->env, "restored", false, NULL), 0);
    assert_true(original.in_use);
    assert_false(copy.in_use);
    assert_true(ms_uuid_equal(&original.log_uuid, &copy.log_uuid));
    assert_false(ms_uuid_equal(&original.store_uuid, &copy.store_uuid));
    assert_true(ms_uuid_equal(&result.store_uuid, &copy.store_uuid));
    ms_offline_close(&original);
    ms_offline_close(&copy);
}

static void a_backup_is_not_changed_by_what_happens_later(void **state) {
    struct store_world *w = *state;
    struct event_log before = {0}, after = {0};
    fill(w);
    store_read_everything(w, true, &before);
    backup(w, "copy");
    assert_int_equal(store_delete(w, "s-1", ANY, false).code, 0);
    fill(w);
    struct ms_scavenge_options all = {.all = true};
    struct ms_scavenge_result scavenged;
    assert_int_equal(ms_store_scavenge(w->store, &all, &scavenged, &w->error), 0);
    assert_true(scavenged.rewritten >= 2);
    struct ms_restore_options options = restore_options(w, "copy", "restored");
    restore(w, &options);
    read_dir(w, "restored", &after);
    assert_true(event_log_equal(&before, &after, false));
    event_log_clear(&before);
    event_log_clear(&after);
}

static void a_scavenged_store_can_be_backed_up(void **state) {
    struct store_world *w = *state;
    struct event_log before = {0}, after = {0};
    fill(w);
    assert_int_equal(store_delete(w, "s-1", ANY, false).code, 0);
    struct ms_scavenge_options all = {.all = true};
    struct ms_scavenge_result scavenged;
    assert_int_equal(ms_store_scavenge(w->store, &all, &scavenged, &w->error), 0);
    store_read_everything(w, true, &before);
    backup(w, "copy");
    struct ms_restore_options options = restore_options(w, "copy", "restored");
    restore(w, &options);
    read_dir(w, "restored", &after);
    assert_true(event_log_equal(&before, &after, false));
    event_log_clear(&before);
    event_log_clear(&after);
}

/* ---- to a point ---- */

static void to_a_position_gives_that_prefix(void **state) {
    struct store_world *w = *state;
    struct event_log before = {0};
    fill(w);
    store_read_everything(w, true, &before);
    backup(w, "copy");
    for (size_t position = 0; position < before.count; position += 3) {
        struct event_log after = {0};
        struct ms_restore_options options = restore_options(w, "copy", "restored");
        options.to = MS_RESTORE_TO_POSITION;
        options.position = position;
        struct ms_restore_result result = restore(w, &options);
        assert_true(result.end <= position + 1);
        assert_verifies(w, "restored");
        read_dir(w, "restored", &after);
        assert_int_equal(after.count, result.end);
        /* A topic and its first event are one append: half of it is never there. */
        size_t wanted = position + 1;
        assert_true(after.count == wanted || after.count + 1 == wanted);
        for (size_t i = 0; i < after.count; i++)
            assert_true(seen_event_equal(&before.events[i], &after.events[i]));
        event_log_clear(&after);
        remove_dir(w, "restored");
    }
    event_log_clear(&before);
}

static void to_a_time_gives_what_had_been_recorded(void **state) {
    struct store_world *w = *state;
    struct event_log before = {0};
    fill(w);
    store_read_everything(w, true, &before);
    backup(w, "copy");
    for (size_t at = 5; at < before.count; at += 7) {
        struct event_log after = {0};
        struct ms_restore_options options = restore_options(w, "copy", "restored");
        options.to = MS_RESTORE_TO_TIME;
        options.time_ms = before.events[at].recorded_at_ms;
        restore(w, &options);
        read_dir(w, "restored", &after);
        assert_int_equal(after.count, at + 1);
        event_log_clear(&after);
        remove_dir(w, "restored");
    }
    event_log_clear(&before);
}

static void an_atomic_append_is_never_split(void **state) {
    struct store_world *w = *state;
    struct ms_event events[3];
    struct ms_append_part parts[3];
    char names[3][16], ids[3][16];
    for (int i = 0; i < 3; i++) {
        snprintf(names[i], sizeof names[i], "s-%d", i);
        assert_int_equal(store_append(w, names[i], ANY, "first").code, 0);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(ids[i], sizeof ids[i], "m%d", i);
        events[i] = (struct ms_event){.id = ms_bytes_cstr(ids[i]),
                                      .type = MS_BYTES_LITERAL("t"),
                                      .timestamp_ms = MS_TIMESTAMP_NONE};
        parts[i] = (struct ms_append_part){ms_bytes_cstr(names[i]), ANY, &events[i], 1};
    }
    struct ms_append_request request = {.parts = parts, .part_count = 3};
    struct store_answer answer = store_request(w, &request);
    assert_int_equal(answer.code, 0);
    uint64_t last = answer.position;
    assert_int_equal(store_append(w, "s-0", ANY, "later").code, 0);
    backup(w, "copy");
    for (uint64_t position = last - 3; position <= last + 1; position++) {
        struct event_log after = {0};
        struct ms_restore_options options = restore_options(w, "copy", "restored");
        options.to = MS_RESTORE_TO_POSITION;
        options.position = position;
        struct ms_restore_result result = restore(w, &options);
        uint64_t wanted = position >= last ? position + 1 : last - 2;
        assert_int_equal(result.end, wanted);
        remove_dir(w, "restored");
        event_log_clear(&after);
    }
}

/* ---- trouble ---- */

static void a_failing_call_leaves_no_backup_that_restores_wrongly(void **state) {
    struct store_world *w = *state;
    bool failed = true;
    fill(w);
    struct event_log before = {0};
    store_read_everything(w, true, &before);
    for (uint64_t n = 1; failed; n++) {
        char dir[32], to[32];
        snprintf(dir, sizeof dir, "copy-%llu", (unsigned long long)n);
        snprintf(to, sizeof to, "restored-%llu", (unsigned long long)n);
        uint64_t calls = ms_vfs_sim_count(w->world.sim, MS_SIM_ANY);
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_ANY, n, MS_EIO, false);
        int rc = try_backup(w, dir);
        failed = ms_vfs_sim_count(w->world.sim, MS_SIM_ANY) - calls >= n;
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_ANY, 0, 0, false);
        assert_true(rc == 0 || failed);
        /* When the last sync of all failed the backup is whole, but it is not known to stay. */
        if (try_restore(w, dir, to) != 0) {
            assert_true(rc != 0);
            continue;
        }
        struct event_log after = {0};
        read_dir(w, to, &after);
        assert_true(event_log_equal(&before, &after, false));
        event_log_clear(&after);
        remove_dir(w, to);
        remove_dir(w, dir);
    }
    event_log_clear(&before);
}

static void a_power_cut_leaves_a_whole_backup_or_none(void **state) {
    struct store_world *w = *state;
    bool cut = true;
    for (uint64_t n = 1; cut; n++) {
        struct event_log before = {0}, after = {0};
        fill(w);
        store_read_everything(w, true, &before);
        ms_vfs_sim_cut_at(w->world.sim, n);
        int rc = try_backup(w, "copy");
        cut = ms_vfs_sim_is_cut(w->world.sim);
        ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_RANDOM);
        ms_ignore(store_world_close(w));
        assert_true(cut || rc == 0);
        if (try_restore(w, "copy", "restored") == 0) {
            read_dir(w, "restored", &after);
            assert_true(event_log_equal(&before, &after, false));
        } else {
            assert_true(cut);
        }
        event_log_clear(&before);
        event_log_clear(&after);
        store_world_deinit(w);
        store_world_init(w, n + 1);
        assert_int_equal(store_world_open(w), 0);
    }
}

/* ---- under load, on real files ---- */

struct load {
    struct store_world *w;
    atomic_bool stop;
    _Atomic uint64_t acknowledged; /* the highest position */
    atomic_uint number;
};

static void *write_on(void *context) {
    struct load *load = context;
    while (!atomic_load(&load->stop)) {
        char name[32], id[32];
        unsigned n = atomic_fetch_add(&load->number, 1);
        snprintf(name, sizeof name, "l-%u", n % 11);
        snprintf(id, sizeof id, "l%u", n);
        struct store_answer answer = store_append(load->w, name, ANY, id);
        MS_ASSERT(answer.code == 0);
        uint64_t seen = atomic_load(&load->acknowledged);
        while (answer.position > seen &&
               !atomic_compare_exchange_weak(&load->acknowledged, &seen, answer.position))
            continue;
    }
    return NULL;
}

static void under_load_a_backup_is_a_prefix_with_all_that_was_acknowledged(void **state) {
    (void)state;
    struct store_world w;
    char dirs[MS_PATH_MAX];
    store_world_init_real(&w);
    memcpy(dirs, w.dir, sizeof dirs);
    char data[MS_PATH_MAX], copy[MS_PATH_MAX], restored[MS_PATH_MAX];
    assert_int_equal(ms_path_join(data, dirs, "data"), 0);
    w.options.dir = data;
    assert_int_equal(store_world_open(&w), 0);
    for (unsigned i = 0; i < 40; i++)
        append_big(&w, "s-1", i);
    struct load load = {.w = &w};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_on, &load), 0);
    unsigned rounds = (unsigned)world_setting("MS_BACKUP_ROUNDS", 4);
    for (unsigned round = 0; round < rounds; round++) {
        char name[32];
        ms_clock_sleep_us(w.env.clock, 100000);
        uint64_t acknowledged = atomic_load(&load.acknowledged);
        snprintf(name, sizeof name, "copy-%u", round);
        assert_int_equal(ms_path_join(copy, dirs, name), 0);
        struct ms_backup_result made = backup(&w, copy);
        assert_true(made.end > acknowledged);
        snprintf(name, sizeof name, "restored-%u", round);
        assert_int_equal(ms_path_join(restored, dirs, name), 0);
        struct ms_restore_options options = restore_options(&w, copy, restored);
        restore(&w, &options);
        struct event_log live = {0}, after = {0};
        read_dir(&w, restored, &after);
        assert_true(after.count >= made.end);
        store_read_everything(&w, true, &live);
        assert_true(live.count >= after.count);
        for (size_t i = 0; i < after.count; i++)
            assert_true(seen_event_equal(&live.events[i], &after.events[i]));
        event_log_clear(&live);
        event_log_clear(&after);
    }
    atomic_store(&load.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    store_world_deinit(&w);
}

/* ---- a directory without a store ---- */

static void a_lost_format_file_can_be_written_anew(void **state) {
    struct store_world *w = *state;
    struct event_log before = {0}, after = {0};
    struct ms_offline offline;
    fill(w);
    store_read_everything(w, true, &before);
    struct ms_uuid log_uuid = w->store->log_uuid;
    assert_int_equal(ms_offline_open(&offline, &w->env, w->dir, true, &w->error), MS_ELOCKED);
    assert_int_equal(store_world_close(w), 0);
    world_remove(&w->world, "data/FORMAT");
    assert_int_equal(store_world_open(w), MS_ECORRUPT);
    assert_int_equal(ms_offline_open(&offline, &w->env, w->dir, true, &w->error), 0);
    assert_true(offline.format_lost);
    assert_true(ms_uuid_equal(&offline.log_uuid, &log_uuid));
    assert_int_equal(ms_offline_restore_format(&offline, &w->error), 0);
    ms_offline_close(&offline);
    assert_int_equal(store_world_open(w), 0);
    store_read_everything(w, true, &after);
    assert_true(event_log_equal(&before, &after, false));
    event_log_clear(&before);
    event_log_clear(&after);
}

static void what_is_no_store_is_said_to_be_none(void **state) {
    struct store_world *w = *state;
    struct ms_offline offline;
    assert_int_equal(ms_offline_open(&offline, &w->env, "nowhere", false, &w->error), MS_ENOTFOUND);
    assert_non_null(strstr(w->error.message, "nowhere"));
    assert_int_equal(ms_vfs_mkdir(w->env.vfs, "empty", NULL), 0);
    assert_int_equal(ms_offline_open(&offline, &w->env, "empty", false, &w->error), MS_ENOTFOUND);
    assert_false(world_exists(&w->world, "empty/LOCK"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(a_restored_store_has_the_same_events),
        test(a_restored_store_is_another_store_on_the_same_log),
        test(a_backup_is_not_changed_by_what_happens_later),
        test(a_scavenged_store_can_be_backed_up),
        test(to_a_position_gives_that_prefix),
        test(to_a_time_gives_what_had_been_recorded),
        test(an_atomic_append_is_never_split),
        test(a_failing_call_leaves_no_backup_that_restores_wrongly),
        test(a_power_cut_leaves_a_whole_backup_or_none),
        cmocka_unit_test(under_load_a_backup_is_a_prefix_with_all_that_was_acknowledged),
        test(a_lost_format_file_can_be_written_anew),
        test(what_is_no_store_is_said_to_be_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
