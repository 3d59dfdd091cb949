/* The store as a whole: opening and closing, its identity, limits, budget, caches that are too
 * small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include <stdio.h>

#include "base/alloc.h"
#include "support/store_world.h"

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void options_are_checked(void **state) {
    struct store_world *w = *state;
    struct ms_store_options good = w->options;
    w->options.dir = "";
    assert_int_equal(store_world_open(w), MS_EINVAL);
    w->options = good;
    w->options.head_cache_entries = 1023;
    assert_int_equal(store_world_open(w), MS_EINVAL);
    w->options = good;
    w->options.topic_partitions = 0;
    assert_int_equal(store_world_open(w), MS_EINVAL);
    w->options.topic_partitions = 1025;
    assert_int_equal(store_world_open(w), MS_EINVAL);
    w->options = good;
    static const uint64_t sizes[] = {
        0, 4096, 131072, (1 << 20) + 1, (uint64_t)2 << 30, UINT64_MAX, ((uint64_t)1 << 30) + 4096};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        w->options.segment_bytes = sizes[i];
        assert_int_equal(store_world_open(w), MS_EINVAL);
    }
    w->options = good;
    assert_int_equal(store_world_open(w), 0);
}

static void directory_is_locked(void **state) {
    struct store_world *w = *state;
    struct ms_store *second;
    struct ms_error err;
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(ms_store_open(&w->options, &second, &err), MS_ELOCKED);
    assert_non_null(strstr(err.message, "data"));
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    assert_int_equal(store_world_close(w), 0);
    assert_int_equal(store_world_open(w), 0);
}

static void identity_stays(void **state) {
    struct store_world *w = *state;
    struct ms_store_info first, again;
    assert_int_equal(store_world_open(w), 0);
    ms_store_info(w->store, &first);
    store_world_reopen(w);
    ms_store_info(w->store, &again);
    assert_true(ms_uuid_equal(&first.uuid, &again.uuid));
    assert_int_equal(again.epoch, first.epoch + 1);
}

static void log_without_its_format_file_is_refused(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    assert_int_equal(store_world_close(w), 0);
    world_remove(&w->world, "data/FORMAT");
    assert_int_equal(store_world_open(w), MS_ECORRUPT);
    w->options.read_only = true;
    assert_int_not_equal(store_world_open(w), 0);
}

static void damaged_and_newer_format_files_are_refused(void **state) {
    struct store_world *w = *state;
    static const struct {
        const char *text;
        int code;
    } rows[] = {{"", MS_ECORRUPT},
                {"nothing", MS_ECORRUPT},
                {"mainstem 1\nstore x\nlog y\n", MS_ECORRUPT},
                {"mainstem 2\n", MS_EFORMAT},
                {"mainstem 2\nsomething else\n", MS_EFORMAT}};
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(store_world_close(w), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world_remove(&w->world, "data/FORMAT");
        world_write(&w->world, "data/FORMAT", 0, rows[i].text, strlen(rows[i].text));
        assert_int_equal(store_world_open(w), rows[i].code);
        assert_true(w->error.message[0] != 0);
    }
}

static void reading_only_needs_no_lock_and_refuses_writes(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(store_append(w, "o-1", ANY, "a b").code, 0);
    struct ms_store_options options = w->options;
    struct ms_store *reader, *writer = w->store;
    options.read_only = true;
    assert_int_equal(ms_store_open(&options, &reader, &w->error), 0);
    w->store = reader;
    bool created;
    struct ms_topic_settings settings = ms_topic_settings_default(reader);
    assert_string_equal(store_ids(w, "o-1", 0), "a b");
    assert_int_equal(store_append(w, "o-1", ANY, "c").code, MS_ECLOSED);
    assert_int_equal(store_delete(w, "o-1", ANY, true).code, MS_ECLOSED);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{}").code, MS_ECLOSED);
    assert_int_equal(ms_store_put_topic(reader, MS_BYTES_LITERAL("x"), &settings, &created, NULL),
                     MS_ECLOSED);
    assert_int_equal(ms_store_delete_topic(reader, MS_BYTES_LITERAL("o"), NULL), MS_ECLOSED);
    assert_int_equal(ms_store_close(reader, NULL), 0);
    w->store = writer;
    assert_int_equal(store_append(w, "o-1", ANY, "c").code, 0);
    assert_int_equal(store_world_close(w), 0);
    assert_int_equal(store_world_open(w), 0);
    assert_string_equal(store_ids(w, "o-1", 0), "a b c");
}

static void closing_takes_null(void **state) {
    (void)state;
    assert_int_equal(ms_store_close(NULL, NULL), 0);
}

static void metrics_are_well_formed(void **state) {
    struct store_world *w = *state;
    struct ms_buf out;
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(store_append(w, "o-1", NONE, "a b").code, 0);
    assert_int_equal(store_append(w, "o-1", NONE, "c").code, MS_ECONFLICT);
    ms_buf_init(&out, (size_t)1 << 20);
    assert_int_equal(ms_store_metrics(w->store, &out), 0);
    assert_int_equal(ms_buf_append_u8(&out, 0), 0);
    assert_non_null(strstr((char *)out.data, "\nmainstem_store_appends_total 1\n"));
    assert_non_null(/* and the topic's creation */
                    strstr((char *)out.data, "\nmainstem_store_events_total 3\n"));
    assert_non_null(strstr((char *)out.data, "\nmainstem_store_conflicts_total 1\n"));
    assert_non_null(strstr((char *)out.data, "\nmainstem_store_subscription_lag_events 0\n"));
    assert_non_null(strstr((char *)out.data, "\nmainstem_store_subscription_lag_events_max 0\n"));
    assert_non_null(strstr((char *)out.data, "\nmainstem_store_head_cache_entries 2\n"));
    assert_non_null(strstr((char *)out.data, "\nmainstem_store_idempotence_window_events 3\n"));
    static const char *const sizes[] = {"\nmainstem_log_tail_cache_bytes ",
                                        "\nmainstem_store_head_cache_bytes ",
                                        "\nmainstem_store_idempotence_window_bytes "};
    for (size_t i = 0; i < 3; i++) {
        const char *at = strstr((char *)out.data, sizes[i]);
        assert_non_null(at);
        assert_true(strtod(at + strlen(sizes[i]), NULL) >= 1024);
    }
    ms_buf_deinit(&out);
}

/* ---- limits ---- */

static struct store_answer append_bytes(struct store_world *w, size_t len, size_t count) {
    uint8_t *data = ms_alloc(len);
    struct ms_event *events = ms_calloc(count, sizeof *events);
    memset(data, 'x', len);
    for (size_t i = 0; i < count; i++)
        events[i] = (struct ms_event){.type = MS_BYTES_LITERAL("big"),
                                      .timestamp_ms = 1,
                                      .content_type = MS_BYTES_LITERAL("text/plain"),
                                      .data = ms_bytes_of(data, len)};
    struct ms_append_part part = {MS_BYTES_LITERAL("big-1"), ANY, events, count};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    struct store_answer answer = store_request(w, &request);
    ms_free(data);
    ms_free(events);
    return answer;
}

static int check_size(void *context, const struct ms_read_event *event) {
    size_t *total = context;
    for (size_t i = 0; i < event->event.data.len; i += 4096)
        assert_int_equal(event->event.data.data[i], 'x');
    *total += event->event.data.len;
    return 0;
}

static void largest_events_and_appends(void **state) {
    struct store_world *w = *state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* one thread and hundreds of megabytes: long, and nothing for it to see */
#endif
    w->options.segment_bytes = (uint64_t)256 << 20;
    assert_int_equal(store_world_open(w), 0);
    size_t event_max = w->options.limits.event_bytes_max,
           append_max = w->options.limits.append_bytes_max;
    assert_int_equal(event_max, 16 << 20);
    assert_int_equal(append_max, 64 << 20);
    assert_int_equal(append_bytes(w, event_max + 1, 1).code, MS_ETOOBIG);
    assert_int_equal(append_bytes(w, event_max - 100, 1).code, 0);
    assert_int_equal(append_bytes(w, event_max, 4).code, MS_ETOOBIG);
    assert_int_equal(append_bytes(w, event_max - 4096, 4).code, 0);
    size_t total = 0;
    struct ms_stream_read read = {.stream = MS_BYTES_LITERAL("big-1"), .limit = 100};
    struct ms_stream_read_result result;
    for (int i = 0; i < 2; i++) {
        total = 0;
        assert_int_equal(ms_store_read_stream(w->store, &read, check_size, &total, &result, NULL),
                         0);
        assert_int_equal(total, event_max - 100 + 4 * (event_max - 4096));
        if (i == 0)
            store_world_reopen(w);
    }
}

static void number_of_events_is_limited(void **state) {
    struct store_world *w = *state;
    w->options.limits.append_events_max = 100;
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(append_bytes(w, 10, 101).code, MS_ETOOBIG);
    assert_int_equal(append_bytes(w, 10, 100).code, 0);
}

static void small_segments_hold_smaller_appends(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(append_bytes(w, 900000, 1).code, MS_ETOOBIG);
    for (int i = 0; i < 6; i++)
        assert_int_equal(append_bytes(w, 600000, 1).code, 0);
    store_world_reopen(w);
    assert_int_equal(store_stream(w, "big-1").head, 5);
}

static void full_disk_is_told_and_gone_when_there_is_space(void **state) {
    struct store_world *w = *state;
    ms_vfs_sim_set_capacity(w->world.sim, (uint64_t)3 << 20);
    assert_int_equal(store_world_open(w), 0);
    int rc;
    while ((rc = append_bytes(w, 100000, 1).code) == 0)
        continue;
    assert_int_equal(rc, MS_ENOSPC);
    struct ms_store_info info;
    ms_store_info(w->store, &info);
    assert_true(info.refusing_appends);
    assert_false(info.failed);
    assert_int_equal(info.inflight_bytes, 0);
    assert_int_equal(store_delete(w, "big-1", ANY, false).code, 0); /* the way out */
    assert_int_equal(store_put_metadata(w, "big-1", ANY, "{\"$maxCount\":1}").code, 0);
    assert_int_equal(w->failures, 0);
    ms_vfs_sim_set_capacity(w->world.sim, 0);
    assert_int_equal(append_bytes(w, 100000, 1).code, 0);
    store_world_reopen(w);
}

/* ---- the budget of appends in flight ---- */

static void budget_is_kept_and_given_back(void **state) {
    struct store_world *w = *state;
    struct store_answer answers[100];
    char id[32];
    int i, accepted = 0;
    w->options.inflight_bytes_max = 20000;
    assert_int_equal(store_world_open(w), 0);
    for (int round = 0; round < 3; round++) {
        for (i = 0; i < 100; i++) {
            snprintf(id, sizeof id, "%d-%d", round, i);
            store_submit(w, "o-1", ANY, id, &answers[i]);
            if (answers[i].refused != 0)
                break;
        }
        accepted += i;
        assert_true(i > 5 && i < 100);
        assert_int_equal(answers[i].refused, MS_EAGAIN);
        ms_store_run(w->store);
        struct ms_store_info info;
        ms_store_info(w->store, &info);
        assert_int_equal(info.inflight_bytes, 0);
    }
    assert_int_equal(store_stream(w, "o-1").head, accepted - 1);
    /* Refusals of any kind give it back too. */
    for (i = 0; i < 200; i++) {
        assert_int_equal(store_append(w, "o-1", AT(1000000), "x").code, MS_ECONFLICT);
        assert_int_equal(store_append(w, "", ANY, "x").code, MS_EINVAL);
        assert_int_equal(store_delete(w, "none-1", ANY, false).code, MS_ENOTFOUND);
    }
    struct ms_store_info info;
    ms_store_info(w->store, &info);
    assert_int_equal(info.inflight_bytes, 0);
}

struct pusher {
    struct store_world *w;
    unsigned number;
};

static void *push(void *argument) {
    const struct pusher *p = argument;
    char stream[32];
    static uint8_t data[3000];
    snprintf(stream, sizeof stream, "o-%u", p->number);
    for (int i = 0; i < 150; i++) {
        struct ms_event event = {.type = MS_BYTES_LITERAL("t"),
                                 .timestamp_ms = 1,
                                 .content_type = MS_BYTES_LITERAL("text/plain"),
                                 .data = ms_bytes_of(data, sizeof data)};
        struct ms_append_part part = {ms_bytes_cstr(stream), ANY, &event, 1};
        struct ms_append_request request = {.parts = &part, .part_count = 1, .wait = true};
        struct ms_append_result result;
        struct ms_append_part_result parts[1];
        MS_ASSERT(ms_store_append_wait(p->w->store, &request, parts, &result, NULL) == 0);
        MS_ASSERT(parts[0].version == i);
    }
    return NULL;
}

static void who_waits_for_the_budget_gets_it(void **state) {
    (void)state;
    enum { PUSHERS = 6 };
    struct store_world w;
    pthread_t threads[PUSHERS];
    struct pusher pushers[PUSHERS];
    store_world_init_real(&w);
    w.options.inflight_bytes_max = 4000;
    assert_int_equal(store_world_open(&w), 0);
    for (unsigned i = 0; i < PUSHERS; i++) {
        pushers[i] = (struct pusher){&w, i};
        assert_int_equal(pthread_create(&threads[i], NULL, push, &pushers[i]), 0);
    }
    for (int i = 0; i < PUSHERS; i++)
        pthread_join(threads[i], NULL);
    store_world_deinit(&w);
}

/* ---- heads that do not all fit into memory ---- */

static void many_more_streams_than_heads(struct store_world *w, unsigned streams, unsigned rounds) {
    char stream[32], id[32];
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < streams; i++) {
            unsigned k = (i * 7919u + round) % streams; /* a prime: each of them once a round */
            snprintf(stream, sizeof stream, "s-%u", k);
            snprintf(id, sizeof id, "%u-%u", k, round);
            struct store_answer answer =
                store_append(w, stream, round == 0 ? NONE : AT((int64_t)round - 1), id);
            if (answer.code != 0)
                fail_msg("stream %u round %u: %s", k, round, answer.error.message);
            if (i % 97 == 0) /* a refusal tells the true version, in memory or not */
                assert_int_equal(store_append(w, stream, AT(1000), "x").actual_version, round);
            if (i % 501 == 0 && round == 0)
                assert_int_equal(store_delete(w, stream, ANY, false).code, 0);
            if (i % 501 == 0 && round == 0)
                assert_int_equal(store_append(w, stream, EXISTS, "x").actual_state,
                                 MS_STREAM_DELETED);
        }
}

static void more_streams_than_heads(void **state) {
    struct store_world *w = *state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* one thread */
#endif
    w->options.tail_cache_bytes = (size_t)16 << 20;
    assert_int_equal(store_world_open(w), 0);
    many_more_streams_than_heads(w, 2500, 2);
    store_world_reopen(w);
    char stream[32];
    for (unsigned i = 0; i < 2500; i += 7) {
        snprintf(stream, sizeof stream, "s-%u", i);
        assert_int_equal(store_stream(w, stream).head, 1);
    }
}

/* Deletions and metadata that are not published yet must not be forgotten with a head that has to
 * go. */
static void rules_on_their_way_survive_the_eviction_of_their_head(void **state) {
    struct store_world *w = *state;
    char stream[32];
    struct store_answer deletion = {0}, refusal;
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(store_append(w, "victim-1", ANY, "a").code, 0);
    assert_int_equal(ms_store_delete_stream(w->store, MS_BYTES_LITERAL("victim-1"), ANY, false,
                                            store_answer_take, &deletion, NULL),
                     0);
    static struct store_answer checks[6000];
    for (unsigned i = 0; i < 6000; i++) { /* every head but the victim's may be looked up again */
        snprintf(stream, sizeof stream, "s-%u", i % 3000);
        store_submit(w, stream, ANY, "", &checks[i]);
    }
    store_submit(w, "victim-1", EXISTS, "b", &refusal);
    ms_store_run(w->store);
    assert_int_equal(deletion.code, 0);
    assert_int_equal(refusal.code, MS_ECONFLICT);
    assert_int_equal(refusal.actual_state, MS_STREAM_DELETED);
}

static void append_to_many_streams_at_once(void **state) {
    struct store_world *w = *state;
    enum { MANY = 1500 }; /* more than heads */
    static struct ms_append_part parts[MANY];
    static char names[MANY][24];
    struct ms_event event = {
        .type = MS_BYTES_LITERAL("t"), .timestamp_ms = 1, .data = MS_BYTES_LITERAL("1")};
    assert_int_equal(store_world_open(w), 0);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "m-%u", i);
        parts[i] = (struct ms_append_part){ms_bytes_cstr(names[i]), NONE, &event, 1};
    }
    struct ms_append_request request = {.parts = parts, .part_count = MANY};
    struct store_answer answer = store_request(w, &request);
    assert_true(answer.code == 0 || answer.code == MS_ELIMIT);
    int64_t head = answer.code == 0 ? 0 : -1;
    store_world_reopen(w);
    for (unsigned i = 0; i < MANY; i += 11)
        assert_int_equal(store_stream(w, names[i]).head, head);
}

/* ---- the index is derived ---- */

static void same_answers_without_the_index(void **state) {
    (void)state;
    struct store_world w;
    struct event_log first = {0}, again = {0};
    char stream[32], id[32];
    store_world_init_real(&w);
    w.options.index_overlay_entries_max = 50; /* flushed again and again */
    assert_int_equal(store_world_open(&w), 0);
    for (unsigned i = 0; i < 600; i++) {
        snprintf(stream, sizeof stream, "%s-%u", i % 2 ? "o" : "p", i % 37);
        snprintf(id, sizeof id, "%u", i);
        assert_int_equal(store_append(&w, stream, ANY, id).code, 0);
        if (i % 50 == 7)
            assert_int_equal(store_put_metadata(&w, stream, ANY, "{\"$maxCount\":3}").code, 0);
        if (i % 90 == 9)
            assert_int_equal(store_delete(&w, stream, ANY, false).code, 0);
    }
    store_read_everything(&w, true, &first);
    char streams_before[37 * 2][256];
    for (int pass = 0; pass < 3; pass++) {
        for (unsigned i = 0; i < 74; i++) {
            snprintf(stream, sizeof stream, "%s-%u", i % 2 ? "o" : "p", i / 2);
            struct ms_stream_read_result r = store_stream(&w, stream);
            char now[256];
            snprintf(now, sizeof now, "%d %lld %lld %.200s", (int)r.state, (long long)r.head,
                     (long long)r.first, store_ids(&w, stream, 0));
            if (pass == 0)
                memcpy(streams_before[i], now, sizeof now);
            assert_string_equal(now, streams_before[i]);
        }
        event_log_clear(&again);
        store_read_everything(&w, true, &again);
        assert_true(event_log_equal(&first, &again, false));
        assert_int_equal(store_world_close(&w), 0);
        if (pass == 1)
            store_world_drop_index(&w);
        assert_int_equal(store_world_open(&w), 0);
    }
    event_log_clear(&first);
    event_log_clear(&again);
    store_world_deinit(&w);
}

/* A check of one stream while an append to another one is under way. */
static void answers_name_no_position_that_may_be_lost(void **state) {
    struct store_world *w = *state;
    struct store_answer append = {0}, check = {0};
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(store_append(w, "a-1", ANY, "1").code, 0);
    uint64_t durable = ms_store_end(w->store);
    store_submit(w, "b-1", ANY, "2 3 4", &append);
    store_submit(w, "a-1", AT(0), "", &check);
    assert_int_equal(check.calls, 1);
    assert_int_equal(append.calls, 0);
    assert_true(check.position < durable);
    store_submit(w, "b-1", AT(2), "", &check); /* it waits, and may name what it waited for */
    assert_int_equal(check.calls, 0);
    ms_store_run(w->store);
    assert_int_equal(check.calls, 1);
    assert_true(check.position < ms_store_end(w->store));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(options_are_checked),
        test(directory_is_locked),
        test(identity_stays),
        test(log_without_its_format_file_is_refused),
        test(damaged_and_newer_format_files_are_refused),
        test(reading_only_needs_no_lock_and_refuses_writes),
        test(closing_takes_null),
        test(metrics_are_well_formed),
        test(largest_events_and_appends),
        test(number_of_events_is_limited),
        test(small_segments_hold_smaller_appends),
        test(full_disk_is_told_and_gone_when_there_is_space),
        test(budget_is_kept_and_given_back),
        cmocka_unit_test(who_waits_for_the_budget_gets_it),
        test(more_streams_than_heads),
        test(rules_on_their_way_survive_the_eviction_of_their_head),
        test(append_to_many_streams_at_once),
        test(answers_name_no_position_that_may_be_lost),
        cmocka_unit_test(same_answers_without_the_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
