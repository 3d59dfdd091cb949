/* The scavenger: everything that marks, what stays, that nothing moves, crashes, company. */
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
#include "store/internal.h"
#include "support/store_world.h"

#define BIG 60000 /* bytes of an event: some 14 to a segment */

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

/* ---- making history ---- */

static void append_big(struct store_world *w, const char *stream, const char *id) {
    assert_int_equal(store_append_large(w, stream, id, BIG).code, 0);
}

static void append_many(struct store_world *w, const char *stream, int count) {
    static unsigned made;
    for (int i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "e%u", made++);
        append_big(w, stream, id);
    }
}

static void seal(struct store_world *w) {
    while (ms_keeper_step(w->store->log))
        continue;
}

/* Everything appended so far is in sealed segments afterwards. */
static void fill(struct store_world *w) {
    struct ms_store_info info;
    ms_store_info(w->store, &info);
    uint32_t segments = info.segments;
    while (info.segments < segments + 1) {
        append_many(w, "filler-1", 1);
        ms_store_info(w->store, &info);
    }
    seal(w);
}

static struct ms_scavenge_result scavenge(struct store_world *w, bool all) {
    struct ms_scavenge_options options = {.all = all};
    struct ms_scavenge_result result;
    if (ms_store_scavenge(w->store, &options, &result, &w->error) != 0)
        fail_msg("scavenge: %s", w->error.message);
    return result;
}

/* ---- what readers are told ---- */

struct answer {
    struct ms_stream_read_result result;
    struct event_log forward, backward;
};

#define NAMES_MAX 8

struct answers {
    struct answer streams[NAMES_MAX];
    size_t count;
    uint64_t end;
};

static struct answer ask(struct store_world *w, const char *stream) {
    struct answer answer = {0};
    struct ms_stream_read read = {.stream = ms_bytes_cstr(stream), .limit = SIZE_MAX};
    assert_int_equal(ms_store_read_stream(w->store, &read, event_log_take, &answer.forward,
                                          &answer.result, &w->error),
                     0);
    struct ms_stream_read_result backward;
    read.backward = read.from_end = true;
    assert_int_equal(ms_store_read_stream(w->store, &read, event_log_take, &answer.backward,
                                          &backward, &w->error),
                     0);
    assert_true(event_log_equal(&answer.forward, &answer.backward, true));
    return answer;
}

static struct answers ask_all(struct store_world *w, const char *const *names) {
    struct answers answers = {.end = ms_store_end(w->store)};
    for (; names[answers.count] != NULL; answers.count++)
        answers.streams[answers.count] = ask(w, names[answers.count]);
    return answers;
}

static void clear(struct answers *answers) {
    for (size_t i = 0; i < answers->count; i++) {
        event_log_clear(&answers->streams[i].forward);
        event_log_clear(&answers->streams[i].backward);
    }
}

static void assert_same(struct store_world *w, const char *const *names,
                        const struct answers *before) {
    struct answers now = ask_all(w, names);
    for (size_t i = 0; i < now.count; i++) {
        const struct answer *a = &before->streams[i], *b = &now.streams[i];
        if (!event_log_equal(&a->forward, &b->forward, false))
            fail_msg("%s: %zu events before, %zu now", names[i], a->forward.count,
                     b->forward.count);
        assert_int_equal(a->result.state, b->result.state);
        assert_int_equal(a->result.head, b->result.head);
    }
    assert_int_equal(now.end, before->end);
    clear(&now);
}

static void assert_verifies(struct store_world *w) {
    char shard[MS_PATH_MAX];
    assert_int_equal(ms_path_join(shard, w->dir, "shard-000"), 0);
    struct ms_verify_options options = {
        .env = &w->env, .dir = shard, .log_uuid = w->store->log_uuid};
    struct ms_verify_result result;
    assert_int_equal(ms_log_verify(&options, &result, &w->error), 0);
    assert_int_equal(result.damages, 0);
}

static size_t count_all(struct store_world *w, const char *topic) {
    struct event_log log = {0};
    size_t count = 0;
    store_read_everything(w, false, &log);
    for (size_t i = 0; i < log.count; i++)
        count += strcmp(log.events[i].topic, topic) == 0;
    event_log_clear(&log);
    return count;
}

static const char *const streams[] = {"a-1", "b-1", "filler-1", NULL};

/* Readers honour the rule at once; the scavenger removes what it hides and changes no answer, nor
 * does folding the log anew. Versions go on. */
static void check_mark(struct store_world *w, uint64_t removed) {
    fill(w);
    struct answers before = ask_all(w, streams);
    struct ms_scavenge_result result = scavenge(w, false);
    assert_int_equal(result.events_removed, removed);
    assert_true(result.rewritten > 0);
    assert_true(result.bytes_after < result.bytes_before);
    assert_same(w, streams, &before);
    assert_verifies(w);
    store_world_reopen(w); /* the index is folded from the log anew */
    assert_same(w, streams, &before);
    assert_int_equal(scavenge(w, true).events_removed, 0);
    store_world_reopen(w);
    assert_same(w, streams, &before);
    clear(&before);
}

static void assert_version_goes_on(struct store_world *w, const char *stream, int64_t version) {
    struct store_answer answer = store_append(w, stream, ANY, "afterwards");
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.parts[0].version, version);
}

/* ---- the marks ---- */

static void truncated_events_go(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20);
    append_many(w, "b-1", 5);
    assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"$tb\":15}").code, 0);
    check_mark(w, 15);
    assert_int_equal(count_all(w, "a"), 5);
    assert_version_goes_on(w, "a-1", 20);
}

static void events_beyond_max_count_go(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20);
    append_many(w, "b-1", 5);
    assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"$maxCount\":3}").code, 0);
    check_mark(w, 17);
    assert_version_goes_on(w, "a-1", 20);
}

static void events_beyond_max_age_go(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20); /* a second apart */
    assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"$maxAge\":1000}").code, 0);
    append_many(w, "b-1", 5);
    fill(w);
    ms_clock_manual_advance(&w->world.clock, INT64_C(990) * 1000000);
    struct answers before = ask_all(w, streams);
    size_t left = before.streams[0].forward.count;
    assert_true(left < 20);
    struct ms_scavenge_result result = scavenge(w, true);
    assert_int_equal(result.events_removed, 20 - left);
    assert_same(w, streams, &before);
    store_world_reopen(w);
    assert_same(w, streams, &before);
    clear(&before);
    assert_version_goes_on(w, "a-1", 20);
}

static void softly_deleted_streams_go(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20);
    append_many(w, "b-1", 5);
    assert_int_equal(store_delete(w, "a-1", ANY, false).code, 0);
    check_mark(w, 20);
    assert_int_equal(store_stream(w, "a-1").state, MS_STREAM_DELETED);
    assert_int_equal(store_append(w, "a-1", NONE, "reopened").code, 0);
    assert_int_equal(store_stream(w, "a-1").head, 20);
    assert_string_equal(store_ids(w, "a-1", 0), "reopened");
}

static void a_reopened_stream_keeps_what_came_after(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20);
    assert_int_equal(store_delete(w, "a-1", ANY, false).code, 0);
    append_many(w, "a-1", 3);
    append_many(w, "b-1", 5);
    check_mark(w, 20);
    assert_int_equal(store_stream(w, "a-1").state, MS_STREAM_LIVE);
    assert_version_goes_on(w, "a-1", 23);
}

static void tombstoned_streams_go_and_stay_tombstoned(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20);
    append_many(w, "b-1", 5);
    assert_int_equal(store_delete(w, "a-1", ANY, true).code, 0);
    check_mark(w, 20);
    assert_int_equal(store_stream(w, "a-1").state, MS_STREAM_TOMBSTONED);
    assert_int_equal(store_append(w, "a-1", ANY, "never").code, MS_ETOMBSTONED);
}

static void events_of_deleted_topics_go(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20);
    append_many(w, "b-1", 5);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("a"), &w->error), 0);
    check_mark(w, 20);
    assert_int_equal(store_stream(w, "a-1").state, MS_STREAM_NONE);
    struct store_answer again = store_append(w, "a-1", NONE, "new");
    assert_int_equal(again.parts[0].version, 0); /* another topic under the same name */
}

static void change_topic(struct store_world *w, const char *name,
                         struct ms_topic_settings settings) {
    bool created;
    assert_int_equal(
        ms_store_put_topic(w->store, ms_bytes_cstr(name), &settings, &created, &w->error), 0);
}

/* Retention and compaction take effect when the scavenger comes. */
static void check_retention(struct store_world *w, uint64_t removed, const char *left) {
    struct ms_scavenge_result result = scavenge(w, true);
    assert_int_equal(result.events_removed, removed);
    for (int pass = 0; pass < 2; pass++) {
        assert_string_equal(store_ids(w, "a-1", 0), left);
        assert_int_equal(store_stream(w, "a-1").head, 19);
        assert_int_equal(count_all(w, "b"), 5);
        assert_verifies(w);
        store_world_reopen(w);
    }
    assert_version_goes_on(w, "a-1", 20);
}

static void events_older_than_the_retention_go(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    settings.retention_ms = 10000;
    change_topic(w, "a", settings);
    append_many(w, "b-1", 5);
    append_many(w, "a-1", 20);
    fill(w);
    ms_clock_manual_advance(&w->world.clock, INT64_C(3600) * 1000000);
    check_retention(w, 20, "");
}

static void events_beyond_the_retained_bytes_go_oldest_first(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    settings.retention_bytes = 3 * BIG + BIG / 2;
    change_topic(w, "a", settings);
    append_many(w, "b-1", 5);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        append_big(w, "a-1", id);
    }
    fill(w);
    check_retention(w, 17, "r17 r18 r19");
}

static void compaction_keeps_the_newest_of_each_key(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    settings.compact = true;
    change_topic(w, "a", settings);
    append_many(w, "b-1", 5);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "c%d", i);
        append_big(w, "a-1", id);
    }
    append_big(w, "a-2", "other");
    fill(w);
    check_retention(w, 19, "c19");
    assert_string_equal(store_ids(w, "a-2", 0), "other");
}

static void an_append_of_several_events_can_lose_some(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "a-1", ANY, "a0 a1 a2 a3 a4 a5").code, 0);
    append_many(w, "b-1", 5);
    assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"$tb\":4}").code, 0);
    fill(w);
    struct answers before = ask_all(w, streams);
    assert_int_equal(scavenge(w, true).events_removed, 4);
    assert_same(w, streams, &before);
    store_world_reopen(w);
    assert_same(w, streams, &before);
    clear(&before);
    assert_string_equal(store_ids(w, "a-1", 0), "a4 a5");
    struct store_answer repeat = store_append(w, "a-1", AT(5), "next");
    assert_int_equal(repeat.parts[0].version, 6);
}

static void old_metadata_and_snapshots_go(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 2);
    for (int i = 0; i < 10; i++)
        assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"mine\":1}").code, 0);
    assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"mine\":2}").code, 0);
    fill(w);
    assert_int_equal(scavenge(w, true).events_removed, 10);
    for (int pass = 0; pass < 2; pass++) {
        struct ms_buf text;
        int64_t version;
        ms_buf_init(&text, 4096);
        assert_int_equal(
            ms_store_get_metadata(w->store, MS_BYTES_LITERAL("a-1"), &text, &version, &w->error),
            0);
        assert_int_equal(version, 10);
        assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&text), "{\"mine\":2}"));
        ms_buf_deinit(&text);
        store_world_reopen(w);
    }
}

/* ---- what must not happen ---- */

static void nothing_marked_nothing_removed(void **state) {
    struct store_world *w = *state;
    struct event_log before = {0}, after = {0};
    append_many(w, "a-1", 20);
    append_many(w, "b-1", 20);
    fill(w);
    store_read_everything(w, true, &before);
    struct ms_scavenge_result result = scavenge(w, true);
    assert_int_equal(result.events_removed, 0);
    store_read_everything(w, true, &after);
    assert_true(event_log_equal(&before, &after, false)); /* positions, times, data, everything */
    event_log_clear(&after);
    store_world_reopen(w);
    store_read_everything(w, true, &after);
    assert_true(event_log_equal(&before, &after, false));
    event_log_clear(&before);
    event_log_clear(&after);
}

static void the_active_segment_is_left_alone(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 3);
    assert_int_equal(store_delete(w, "a-1", ANY, false).code, 0);
    struct ms_scavenge_result result = scavenge(w, true);
    assert_int_equal(result.segments, 0);
    assert_int_equal(result.events_removed, 0);
}

static void resends_of_scavenged_events_are_still_recognised_by_version(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20);
    assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"$tb\":20}").code, 0);
    check_mark(w, 20);
    struct store_answer stale = store_append(w, "a-1", AT(3), "late");
    assert_int_equal(stale.code, MS_ECONFLICT);
    assert_int_equal(stale.actual_version, 19);
}

static bool stop_at_once(void *context) {
    ++*(int *)context;
    return true;
}

static void a_scavenge_can_be_stopped(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20);
    assert_int_equal(store_delete(w, "a-1", ANY, false).code, 0);
    fill(w);
    int asked = 0;
    struct ms_scavenge_options options = {.all = true, .stop = stop_at_once, .context = &asked};
    struct ms_scavenge_result result;
    assert_int_equal(ms_store_scavenge(w->store, &options, &result, &w->error), MS_ECANCELED);
    assert_true(asked > 0);
    assert_int_equal(scavenge(w, true).events_removed, 20);
}

struct nested {
    struct store_world *w;
    int rc;
    unsigned calls;
};

static void scavenge_inside(void *context, uint64_t done, uint64_t segments) {
    struct nested *nested = context;
    struct ms_scavenge_options options = {0};
    struct ms_scavenge_result result;
    nested->calls++;
    assert_true(done <= segments);
    nested->rc = ms_store_scavenge(nested->w->store, &options, &result, &nested->w->error);
}

static void one_scavenge_at_a_time(void **state) {
    struct store_world *w = *state;
    struct nested nested = {.w = w};
    append_many(w, "a-1", 5);
    fill(w);
    struct ms_scavenge_options options = {.on_progress = scavenge_inside, .context = &nested};
    struct ms_scavenge_result result;
    assert_int_equal(ms_store_scavenge(w->store, &options, &result, &w->error), 0);
    assert_true(nested.calls > 0);
    assert_int_equal(nested.rc, MS_EAGAIN);
}

/* ---- trouble ---- */

static void prepare_trouble(struct store_world *w) {
    append_many(w, "a-1", 12);
    append_many(w, "b-1", 5);
    assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"$tb\":9}").code, 0);
    fill(w);
}

static void a_power_cut_at_any_moment_changes_no_answer(void **state) {
    struct store_world *w = *state;
    bool cut = true;
    for (uint64_t n = 1; cut; n++) {
        prepare_trouble(w);
        struct answers before = ask_all(w, streams);
        struct ms_scavenge_options options = {.all = true};
        struct ms_scavenge_result result;
        ms_vfs_sim_cut_at(w->world.sim, n);
        ms_ignore(ms_store_scavenge(w->store, &options, &result, &w->error));
        cut = ms_vfs_sim_is_cut(w->world.sim);
        ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_RANDOM);
        ms_ignore(store_world_close(w));
        if (store_world_open(w) != 0)
            fail_msg("cut %llu: %s", (unsigned long long)n, w->error.message);
        assert_same(w, streams, &before);
        assert_verifies(w);
        scavenge(w, true);
        assert_same(w, streams, &before);
        clear(&before);
        store_world_deinit(w);
        store_world_init(w, n + 1);
        assert_int_equal(store_world_open(w), 0);
    }
}

static void any_failing_call_changes_no_answer(void **state) {
    struct store_world *w = *state;
    bool failed = true;
    for (uint64_t n = 1; failed; n += 3) {
        prepare_trouble(w);
        struct answers before = ask_all(w, streams);
        struct ms_scavenge_options options = {.all = true};
        struct ms_scavenge_result result;
        uint64_t calls = ms_vfs_sim_count(w->world.sim, MS_SIM_ANY);
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_ANY, n, n % 2 ? MS_EIO : MS_ENOSPC, false);
        int rc = ms_store_scavenge(w->store, &options, &result, &w->error);
        failed = ms_vfs_sim_count(w->world.sim, MS_SIM_ANY) - calls >= n;
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_ANY, 0, 0, false);
        assert_true(rc == 0 || failed);
        assert_int_equal(w->failures, 0); /* the log itself goes on */
        assert_same(w, streams, &before);
        assert_int_equal(store_append(w, "c-1", ANY, "x").code, 0);
        clear(&before);
        before = ask_all(w, streams);
        store_world_reopen(w);
        scavenge(w, true);
        assert_same(w, streams, &before);
        clear(&before);
        store_world_deinit(w);
        store_world_init(w, n + 1);
        assert_int_equal(store_world_open(w), 0);
    }
}

/* What made events superfluous must be durable before they are gone. */
static void a_delete_that_is_lost_has_removed_nothing(void **state) {
    struct store_world *w = *state;
    append_many(w, "a-1", 20);
    fill(w);
    struct store_answer answer;
    store_submit(w, "a-1", ANY, "in-flight", &answer); /* sequenced, not durable */
    struct ms_scavenge_options options = {.all = true};
    struct ms_scavenge_result result;
    ms_ignore(ms_store_scavenge(w->store, &options, &result, &w->error));
    assert_int_equal(answer.calls, 1); /* the rewrite waited for it */
    assert_int_equal(store_stream(w, "a-1").head, 20);
}

/* ---- in company, on real files ---- */

struct company {
    struct store_world *w;
    atomic_bool stop;
    atomic_uint appended, read;
    unsigned number;
};

static void *write_on(void *context) {
    struct company *c = context;
    while (!atomic_load(&c->stop)) {
        char name[32], id[32];
        unsigned n = atomic_fetch_add(&c->appended, 1);
        snprintf(name, sizeof name, "w-%u", n % 7);
        snprintf(id, sizeof id, "w%u", n);
        append_big(c->w, name, id);
    }
    return NULL;
}

static int check_order(void *context, const struct ms_read_event *event) {
    uint64_t *next = context;
    if (event->place.position < *next)
        return MS_ECORRUPT;
    *next = event->place.position + 1;
    return 0;
}

static void *read_on(void *context) {
    struct company *c = context;
    while (!atomic_load(&c->stop)) {
        uint64_t next = 0;
        struct ms_error error = {0};
        struct ms_all_read read = {.limit = SIZE_MAX};
        struct ms_all_read_result result;
        int rc = ms_store_read_all(c->w->store, &read, check_order, &next, &result, &error);
        if (rc != 0)
            fprintf(stderr, "reader: %s\n", error.message);
        MS_ASSERT(rc == 0);
        for (int i = 0; i < 7; i++) {
            char name[32];
            int64_t version = -1;
            (void)version;
            snprintf(name, sizeof name, "w-%d", i);
            uint64_t from = 0;
            struct ms_stream_read one = {.stream = ms_bytes_cstr(name), .limit = SIZE_MAX};
            struct ms_stream_read_result answer;
            rc = ms_store_read_stream(c->w->store, &one, check_order, &from, &answer, &error);
            MS_ASSERT(rc == 0);
        }
        atomic_fetch_add(&c->read, 1);
    }
    return NULL;
}

static void appends_and_readers_go_on_meanwhile(void **state) {
    (void)state;
    struct store_world w;
    store_world_init_real(&w);
    assert_int_equal(store_world_open(&w), 0);
    for (int i = 0; i < 7; i += 2) {
        char name[32];
        snprintf(name, sizeof name, "w-%d", i);
        assert_int_equal(store_put_metadata(&w, name, ANY, "{\"$maxCount\":3}").code, 0);
    }
    struct company company = {.w = &w};
    pthread_t threads[3];
    assert_int_equal(pthread_create(&threads[0], NULL, write_on, &company), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, read_on, &company), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, read_on, &company), 0);
    int64_t until = ms_clock_monotonic_us(w.env.clock) + 2000000;
    while (ms_clock_monotonic_us(w.env.clock) < until || atomic_load(&company.appended) < 100) {
        (void)scavenge(&w, false);
        ms_clock_sleep_us(w.env.clock, 20000);
    }
    atomic_store(&company.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&company.read) > 0);
    static const char *const written[] = {"w-0", "w-1", "w-2", "w-3", "w-4", "w-5", "w-6", NULL};
    struct answers before = ask_all(&w, written);
    for (size_t i = 0; i < before.count; i++) {
        size_t all = (size_t)before.streams[i].result.head + 1;
        assert_int_equal(before.streams[i].forward.count, i % 2 == 0 ? 3 : all);
    }
    /* Reopened, with and without the index that was there. */
    store_world_reopen(&w);
    assert_same(&w, written, &before);
    assert_int_equal(store_world_close(&w), 0);
    store_world_drop_index(&w);
    assert_int_equal(store_world_open(&w), 0);
    assert_same(&w, written, &before);
    clear(&before);
    assert_verifies(&w);
    store_world_deinit(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(truncated_events_go),
        test(events_beyond_max_count_go),
        test(events_beyond_max_age_go),
        test(softly_deleted_streams_go),
        test(a_reopened_stream_keeps_what_came_after),
        test(tombstoned_streams_go_and_stay_tombstoned),
        test(events_of_deleted_topics_go),
        test(events_older_than_the_retention_go),
        test(events_beyond_the_retained_bytes_go_oldest_first),
        test(compaction_keeps_the_newest_of_each_key),
        test(an_append_of_several_events_can_lose_some),
        test(old_metadata_and_snapshots_go),
        test(nothing_marked_nothing_removed),
        test(the_active_segment_is_left_alone),
        test(resends_of_scavenged_events_are_still_recognised_by_version),
        test(a_scavenge_can_be_stopped),
        test(one_scavenge_at_a_time),
        test(a_power_cut_at_any_moment_changes_no_answer),
        test(any_failing_call_changes_no_answer),
        test(a_delete_that_is_lost_has_removed_nothing),
        cmocka_unit_test(appends_and_readers_go_on_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
