/* Backup and restore: under load, to a point in the past, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    assert_int_equal(store_world_open(&w), 0);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static struct store_answer append_big(struct store_world *w, const char *stream, unsigned number) {
    static char data[BIG];
    char id[32];
    memset(data, 'x', BIG);
    data[0] = data[BIG - 1] = '"';
    snprintf(id, sizeof id, "e%u", number);
    struct ms_event event = {
        .id = ms_bytes_cstr(id),
        .type = MS_BYTES_LITERAL("happened"),
        .timestamp_ms = MS_TIMESTAMP_NONE,
        .data = ms_bytes_of(data, BIG),
    };
    struct ms_append_part part = {ms_bytes_cstr(stream), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    if (!w->real)
        ms_clock_manual_advance(&w->world.clock, 1000000);
    struct store_answer answer = store_request(w, &request);
    assert_int_equal(answer.code, 0);
    return answer;
}

/* Three segments, the first two sealed. */
static void fill(struct store_world *w) {
    static unsigned number;
    for (unsigned i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "s-%u", i % 5);
        append_big(w, name, number++);
    }
    while (ms_keeper_step(w->store->log))
        continue;
}

static struct ms_backup_result backup(struct store_world *w, const char *dir) {
    struct ms_backup_result result;
    if (ms_store_backup(w->store, dir, NULL, NULL, &result, &w->error) != 0)
        fail_msg("backup: %s", w->error.message);
    return result;
}

static struct ms_restore_options restore_options(struct store_world *w, const char *from,
                                                 const char *to) {
    return (struct ms_restore_options){.env = &w->env, .backup = from, .dir = to};
}

static struct ms_restore_result restore(struct store_world *w,
                                        const struct ms_restore_options *options) {
    struct ms_restore_result result;
    if (ms_store_restore(options, &result, &w->error) != 0)
        fail_msg("restore: %s", w->error.message);
    return result;
}

/* The events of the store in `dir`, which is opened for it. */
static void read_dir(struct store_world *w, const char *dir, struct event_log *out) {
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

static void assert_verifies(struct store_world *w, const char *dir) {
    struct ms_offline offline;
    struct ms_verify_result result;
    assert_int_equal(ms_offline_open(&offline, &w->env, dir, false, &w->error), 0);
    struct ms_verify_options options = {
        .env = &w->env, .dir = offline.shard, .log_uuid = offline.log_uuid};
    assert_int_equal(ms_log_verify(&options, &result, &w->error), 0);
    assert_int_equal(result.damages, 0);
    ms_offline_close(&offline);
}

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

static void remove_dir(struct store_world *w, const char *dir) {
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

/* ---- refusals ---- */

static int try_backup(struct store_world *w, const char *dir) {
    struct ms_backup_result result;
    return ms_store_backup(w->store, dir, NULL, NULL, &result, &w->error);
}

static int try_restore(struct store_world *w, const char *from, const char *to) {
    struct ms_restore_options options = restore_options(w, from, to);
    struct ms_restore_result result;
    return ms_store_restore(&options, &result, &w->error);
}

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
    struct ms_store *none;
    struct ms_store_options options = w->options; /* nothing that opens is left behind */
    options.dir = "restored";
    assert_int_equal(ms_store_open(&options, &none, &w->error), MS_ECORRUPT);
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
    remove_dir(w, "restored");
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
    for (unsigned round = 0; round < 4; round++) {
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
        test(full_directories_are_refused),
        test(a_backup_that_was_not_finished_is_refused),
        test(a_file_that_differs_from_the_manifest_is_named),
        test(a_shortened_or_missing_file_is_named),
        test(manifests_that_make_no_sense_are_refused),
        test(a_backup_can_be_stopped_and_is_then_unfinished),
        test(a_backup_waits_for_no_scavenge),
        test(a_failing_call_leaves_no_backup_that_restores_wrongly),
        test(a_power_cut_leaves_a_whole_backup_or_none),
        cmocka_unit_test(under_load_a_backup_is_a_prefix_with_all_that_was_acknowledged),
        test(a_lost_format_file_can_be_written_anew),
        test(what_is_no_store_is_said_to_be_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
