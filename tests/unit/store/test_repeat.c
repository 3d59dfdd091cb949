/* Resends: the same event ids again give the first answer and add nothing; anything less is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "log/internal.h"
#include "store/internal.h"
#include "support/store_world.h"

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    if (store_world_open(&w) != 0)
        return -1;
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void assert_repeated(const struct store_answer *answer, int64_t first, int64_t last,
                            uint64_t position) {
    if (answer->code != 0)
        fail_msg("%s: %s", ms_error_name(answer->code), answer->error.message);
    assert_true(answer->repeated);
    assert_int_equal(answer->parts[0].first_version, first);
    assert_int_equal(answer->parts[0].version, last);
    assert_int_equal(answer->position, position);
}

static void resends_give_the_first_answer(struct store_world *w, struct ms_condition first,
                                          struct ms_condition then, const char *stream) {
    assert_int_equal(store_append(w, stream, ANY, "p q").code, 0);
    struct store_answer original = store_append(w, stream, first, "a b c");
    assert_int_equal(original.code, 0);
    assert_false(original.repeated);
    assert_int_equal(store_append(w, stream, ANY, "z").code, 0);
    for (int i = 0; i < 4; i++) {
        uint64_t end = ms_store_end(w->store);
        struct store_answer again = store_append(w, stream, then, "a b c");
        assert_repeated(&again, 2, 4, original.position);
        assert_int_equal(ms_store_end(w->store), end);
        if (i > 0)
            store_world_reopen(w);
    }
    assert_string_equal(store_ids(w, stream, 0), "p q a b c z");
}

static void any_repeats(void **state) { resends_give_the_first_answer(*state, ANY, ANY, "o-1"); }
static void exists_repeats(void **state) {
    resends_give_the_first_answer(*state, EXISTS, EXISTS, "o-1");
}
static void exact_repeats(void **state) {
    resends_give_the_first_answer(*state, AT(1), AT(1), "o-1");
}

static void no_stream_repeats(void **state) {
    struct store_world *w = *state;
    struct store_answer first = store_append(w, "o-1", NONE, "a b");
    assert_int_equal(store_append(w, "o-1", ANY, "c").code, 0);
    for (int i = 0; i < 3; i++) {
        struct store_answer again = store_append(w, "o-1", NONE, "a b");
        assert_repeated(&again, 0, 1, first.position);
        store_world_reopen(w);
    }
    assert_string_equal(store_ids(w, "o-1", 0), "a b c");
}

/* The first answer is not there yet when the resend comes. */
static void resend_waits_for_the_first_append(void **state) {
    struct store_world *w = *state;
    struct store_answer first, again;
    store_submit(w, "o-1", ANY, "a b", &first);
    store_submit(w, "o-1", ANY, "a b", &again);
    assert_int_equal(first.calls + again.calls, 0);
    ms_store_run(w->store);
    assert_int_equal(first.calls, 1);
    assert_int_equal(again.calls, 1);
    assert_int_equal(first.code, 0);
    assert_repeated(&again, 0, 1, first.position);
    assert_string_equal(store_ids(w, "o-1", 0), "a b");
}

static void closing_answers_resends_on_their_way(void **state) {
    struct store_world *w = *state;
    struct store_answer again, other;
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    store_submit(w, "o-1", ANY, "a", &again);
    store_submit(w, "o-1", ANY, "b", &other);
    assert_int_equal(store_world_close(w), 0);
    assert_int_equal(again.calls, 1);
    assert_int_equal(other.calls, 1);
    assert_int_equal(other.code, 0);
    assert_true(again.code == 0 || again.code == MS_ECLOSED || again.code == MS_EUNKNOWN);
    assert_int_equal(store_world_open(w), 0);
    assert_string_equal(store_ids(w, "o-1", 0), "a b");
}

static void part_of_it_again_is_refused(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a b c").code, 0);
    static const struct {
        struct ms_condition condition;
        const char *ids;
        int code;
    } rows[] = {
        {{MS_EXPECT_ANY, 0}, "a b x", MS_EIDCONFLICT},
        {{MS_EXPECT_ANY, 0}, "x a", MS_EIDCONFLICT},
        {{MS_EXPECT_ANY, 0}, "b a", MS_EIDCONFLICT},
        {{MS_EXPECT_ANY, 0}, "a c", MS_EIDCONFLICT},
        {{MS_EXPECT_NONE, 0}, "a b x", MS_ECONFLICT},
        {{MS_EXPECT_NONE, 0}, "a b c d", MS_ECONFLICT},
        {{MS_EXPECT_NONE, 0}, "b c", MS_ECONFLICT},
        {{MS_EXPECT_VERSION, 0}, "b x", MS_ECONFLICT},
        {{MS_EXPECT_VERSION, 0}, "c", MS_ECONFLICT},
        {{MS_EXPECT_VERSION, 5}, "a", MS_ECONFLICT},
    };
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            struct store_answer answer = store_append(w, "o-1", rows[i].condition, rows[i].ids);
            if (answer.code != rows[i].code)
                fail_msg("row %zu: %s instead of %s", i, ms_error_name(answer.code),
                         ms_error_name(rows[i].code));
            assert_int_equal(answer.actual_version, 2);
        }
        assert_string_equal(store_ids(w, "o-1", 0), "a b c");
        store_world_reopen(w);
    }
    /* A part that stands in a row is a resend of that part. */
    struct store_answer answer = store_append(w, "o-1", ANY, "b c");
    assert_repeated(&answer, 1, 2, answer.position);
    answer = store_append(w, "o-1", AT(0), "b");
    assert_repeated(&answer, 1, 1, answer.position);
}

static struct store_answer append_data(struct store_world *w, const char *stream,
                                       struct ms_condition condition, const char *id,
                                       const char *data) {
    struct ms_event event = {.id = ms_bytes_cstr(id),
                             .type = MS_BYTES_LITERAL("happened"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = ms_bytes_cstr(data)};
    struct ms_append_part part = {ms_bytes_cstr(stream), condition, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    return store_request(w, &request);
}

static void same_id_with_other_data_is_refused(void **state) {
    struct store_world *w = *state;
    assert_int_equal(append_data(w, "o-1", ANY, "a", "1").code, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(append_data(w, "o-1", ANY, "a", "2").code, MS_EIDCONFLICT);
        assert_int_equal(append_data(w, "o-1", NONE, "a", "2").code, MS_EIDCONFLICT);
        assert_true(append_data(w, "o-1", ANY, "a", "1").repeated);
        store_world_reopen(w);
    }
    assert_string_equal(store_ids(w, "o-1", 0), "a");
}

static struct store_answer append_typed(struct store_world *w, struct ms_condition condition,
                                        const char *type, const char *content_type,
                                        const char *metadata) {
    struct ms_event event = {.id = MS_BYTES_LITERAL("a"),
                             .type = ms_bytes_cstr(type),
                             .content_type = ms_bytes_cstr(content_type),
                             .metadata = ms_bytes_cstr(metadata),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = MS_BYTES_LITERAL("1")};
    struct ms_append_part part = {MS_BYTES_LITERAL("o-1"), condition, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    return store_request(w, &request);
}

static void same_id_with_another_type_is_refused(void **state) {
    struct store_world *w = *state;
    const struct ms_condition conditions[] = {ANY, EXISTS, NONE};
    assert_int_equal(append_typed(w, NONE, "paid", NULL, "{\"try\":1}").code, 0);
    for (int i = 0; i < 2; i++) {
        for (size_t c = 0; c < 3; c++) {
            struct ms_condition condition = conditions[c];
            assert_int_equal(append_typed(w, condition, "refunded", NULL, NULL).code,
                             MS_EIDCONFLICT);
            assert_int_equal(append_typed(w, condition, "paid", "text/plain", NULL).code,
                             MS_EIDCONFLICT);
            /* The default spelt out is the same; metadata is not compared. */
            assert_true(append_typed(w, condition, "paid", "application/json", NULL).repeated);
            assert_true(append_typed(w, condition, "paid", NULL, "{\"try\":2}").repeated);
        }
        store_world_reopen(w);
    }
    assert_string_equal(store_ids(w, "o-1", 0), "a");
}

static void ids_belong_to_their_stream(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    struct store_answer other = store_append(w, "o-2", ANY, "a");
    assert_int_equal(other.code, 0);
    assert_false(other.repeated);
    /* At the version that the stream has, an append is an append. */
    other = store_append(w, "o-1", AT(0), "a");
    assert_int_equal(other.code, 0);
    assert_false(other.repeated);
    assert_string_equal(store_ids(w, "o-1", 0), "a a");
}

static void events_without_ids_are_always_new(void **state) {
    struct store_world *w = *state;
    struct ms_event event = {.type = MS_BYTES_LITERAL("happened"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = MS_BYTES_LITERAL("1")};
    struct ms_append_part part = {MS_BYTES_LITERAL("o-1"), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    for (int i = 0; i < 3; i++)
        assert_false(store_request(w, &request).repeated);
    part.condition = NONE;
    assert_int_equal(store_request(w, &request).code, MS_ECONFLICT);
    assert_int_equal(store_stream(w, "o-1").head, 2);
}

static void several_streams_repeat_together(void **state) {
    struct store_world *w = *state;
    struct ms_event a = {.id = MS_BYTES_LITERAL("a"),
                         .type = MS_BYTES_LITERAL("t"),
                         .timestamp_ms = 5,
                         .data = MS_BYTES_LITERAL("1")};
    struct ms_event b = a, c = a;
    b.id = MS_BYTES_LITERAL("b");
    c.id = MS_BYTES_LITERAL("c");
    struct ms_append_part parts[] = {{MS_BYTES_LITERAL("x-1"), NONE, &a, 1},
                                     {MS_BYTES_LITERAL("y-1"), ANY, &b, 1},
                                     {MS_BYTES_LITERAL("z-1"), ANY, NULL, 0}};
    struct ms_append_request request = {.parts = parts, .part_count = 3};
    struct store_answer first = store_request(w, &request);
    assert_int_equal(first.code, 0);
    for (int i = 0; i < 3; i++) {
        uint64_t end = ms_store_end(w->store);
        struct store_answer again = store_request(w, &request);
        assert_repeated(&again, 0, 0, first.position);
        assert_int_equal(again.parts[1].version, 0);
        assert_int_equal(ms_store_end(w->store), end);
        store_world_reopen(w);
    }
    /* One part is new: the whole is refused, for its failed condition or for its ids. */
    parts[1].events = &c;
    assert_int_equal(store_request(w, &request).code, MS_ECONFLICT);
    parts[0].condition = ANY;
    assert_int_equal(store_request(w, &request).code, MS_EIDCONFLICT);
    assert_string_equal(store_ids(w, "y-1", 0), "b");
}

/* What is marked for removal was still appended: its resend must not bring it back. */
static void resends_of_what_is_not_readable_any_more_add_nothing(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    assert_int_equal(store_append(w, "o-1", ANY, "b").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$maxCount\":1}").code, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(store_append(w, "o-1", ANY, "a").repeated);
        assert_true(store_append(w, "o-1", NONE, "a b").repeated);
        assert_true(store_append(w, "o-1", AT(0), "b").repeated);
        assert_string_equal(store_ids(w, "o-1", 0), "b");
        store_world_reopen(w);
    }
    assert_int_equal(store_append(w, "o-2", ANY, "a b").code, 0);
    assert_int_equal(store_put_metadata(w, "o-2", ANY, "{\"$tb\":2}").code, 0);
    assert_true(store_append(w, "o-2", ANY, "a b").repeated);
    assert_int_equal(store_append(w, "o-3", ANY, "a b").code, 0);
    assert_int_equal(store_delete(w, "o-3", ANY, false).code, 0);
    assert_true(store_append(w, "o-3", ANY, "a b").repeated);
    assert_int_equal(store_stream(w, "o-3").state, MS_STREAM_DELETED);
}

/* Metadata takes the place of what the deletion put, and nothing says any more where the stream was
 * reopened. */
static void reopening_repeats_after_metadata_was_put(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", NONE, "a b").code, 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
    struct store_answer first = store_append(w, "o-1", NONE, "c d");
    assert_int_equal(first.code, 0);
    assert_int_equal(store_append(w, "o-1", ANY, "e").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$tb\":2}").code, 0);
    for (int i = 0; i < 3; i++) {
        struct store_answer again = store_append(w, "o-1", NONE, "c d");
        assert_repeated(&again, 2, 3, first.position);
        again = store_append(w, "o-1", NONE, "a b"); /* of its first life */
        assert_repeated(&again, 0, 1, again.position);
        assert_int_equal(store_append(w, "o-1", NONE, "x y").code, MS_ECONFLICT);
        assert_int_equal(store_append(w, "o-1", NONE, "c x").code, MS_ECONFLICT);
        store_world_reopen(w);
    }
    assert_string_equal(store_ids(w, "o-1", 0), "c d e");
}

/* What the events are compared with is read later: meanwhile the stream is deleted, and the
 * condition would hold. */
static void refusal_names_the_state_that_was_judged(void **state) {
    struct store_world *w = *state;
    struct store_answer other;
    assert_int_equal(store_append(w, "o-1", ANY, "a b").code, 0);
    store_submit(w, "o-1", NONE, "x", &other);
    assert_int_equal(other.calls, 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
    assert_int_equal(other.calls, 1);
    assert_int_equal(other.code, MS_ECONFLICT);
    assert_int_equal(other.actual_state, MS_STREAM_LIVE);
    assert_int_equal(other.actual_version, 1);
}

/* No stream is a condition that holds for a deleted one: the ids are what is wrong. */
static void half_a_resend_to_a_deleted_stream_is_refused_for_its_ids(void **state) {
    struct store_world *w = *state;
    struct ms_event a = {.id = MS_BYTES_LITERAL("a"),
                         .type = MS_BYTES_LITERAL("t"),
                         .timestamp_ms = 5,
                         .data = MS_BYTES_LITERAL("1")};
    struct ms_event b = a;
    b.id = MS_BYTES_LITERAL("b");
    struct ms_append_part parts[] = {{MS_BYTES_LITERAL("x-1"), NONE, &a, 1},
                                     {MS_BYTES_LITERAL("y-1"), ANY, &b, 1}};
    struct ms_append_request request = {.parts = parts, .part_count = 1};
    assert_int_equal(store_request(w, &request).code, 0);
    assert_int_equal(store_delete(w, "x-1", ANY, false).code, 0);
    request.part_count = 2;
    struct store_answer answer = store_request(w, &request);
    assert_int_equal(answer.code, MS_EIDCONFLICT);
    assert_int_equal(answer.failed_part, 0);
    assert_int_equal(store_stream(w, "y-1").head, -1);
}

/* Everything appended so far is in a sealed segment, and what is marked in it is removed. */
static uint64_t scavenge(struct store_world *w) {
    static char data[100000];
    struct ms_store_info info = {0};
    struct ms_scavenge_options options = {.all = true};
    struct ms_scavenge_result result;
    memset(data, '7', sizeof data);
    while (info.segments < 2) {
        struct ms_event event = {.type = MS_BYTES_LITERAL("t"),
                                 .timestamp_ms = MS_TIMESTAMP_NONE,
                                 .data = ms_bytes_of(data, sizeof data)};
        struct ms_append_part part = {MS_BYTES_LITERAL("filler-1"), ANY, &event, 1};
        struct ms_append_request request = {.parts = &part, .part_count = 1};
        assert_int_equal(store_request(w, &request).code, 0);
        ms_store_info(w->store, &info);
    }
    while (ms_keeper_step(w->store->log))
        continue;
    assert_int_equal(ms_store_scavenge(w->store, &options, &result, &w->error), 0);
    return result.events_removed;
}

/* Where the events are gone the window's word stands, whatever the condition. */
static void resends_of_scavenged_events_are_recognised_by_the_window(void **state) {
    struct store_world *w = *state;
    struct store_answer first = store_append(w, "o-1", NONE, "a b");
    assert_int_equal(first.code, 0);
    assert_int_equal(store_append(w, "o-1", ANY, "c").code, 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
    assert_int_equal(scavenge(w), 3);
    for (int i = 0; i < 2; i++) {
        struct store_answer again = store_append(w, "o-1", i == 0 ? ANY : NONE, "a b");
        assert_repeated(&again, 0, 1, first.position);
    }
    assert_int_equal(store_stream(w, "o-1").state, MS_STREAM_DELETED);
}

static void resends_of_what_is_scavenged_in_part_add_nothing(void **state) {
    struct store_world *w = *state;
    struct store_answer first = store_append(w, "o-1", NONE, "a b c d");
    assert_int_equal(first.code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$tb\":2}").code, 0);
    assert_int_equal(scavenge(w), 2);
    struct store_answer again = store_append(w, "o-1", ANY, "a b c d");
    assert_repeated(&again, 0, 3, first.position);
    again = store_append(w, "o-1", ANY, "a b");
    assert_repeated(&again, 0, 1, first.position - 2);
    again = store_append(w, "o-1", ANY, "b c");
    assert_repeated(&again, 1, 2, first.position - 1);
    assert_int_equal(store_append(w, "o-1", NONE, "a b c d").code, MS_ECONFLICT);
    store_world_reopen(w); /* the index is folded from the log anew */
    again = store_append(w, "o-1", ANY, "a b c d");
    assert_repeated(&again, 0, 3, first.position);
    again = store_append(w, "o-1", ANY, "a b");
    assert_repeated(&again, 0, 1, first.position - 2);
    assert_string_equal(store_ids(w, "o-1", 0), "c d");
}

static void window_is_as_long_as_it_says(void **state) {
    struct store_world *w = *state;
    char id[32];
    assert_int_equal(store_world_close(w), 0);
    w->options.idempotence_window = 50;
    assert_int_equal(store_world_open(w), 0);
    for (int i = 0; i < 400; i++) {
        snprintf(id, sizeof id, "e%d", i);
        struct store_answer answer = store_append(w, "o-1", ANY, id);
        assert_int_equal(answer.code, 0);
        assert_false(answer.repeated);
        snprintf(id, sizeof id, "e%d", i > 48 ? i - 48 : 0); /* still inside */
        assert_true(store_append(w, "o-1", ANY, id).repeated);
    }
    assert_int_equal(store_stream(w, "o-1").head, 399);
    /* Outside, `any` can't know it; exact conditions always do. */
    assert_false(store_append(w, "o-1", ANY, "e10").repeated);
    assert_true(store_append(w, "o-1", AT(9), "e10").repeated);
    store_world_reopen(w);
    assert_true(store_append(w, "o-1", ANY, "e399").repeated);
    assert_true(store_append(w, "o-1", ANY, "e370").repeated);
}

static void window_of_one_event_works(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_world_close(w), 0);
    w->options.idempotence_window = 0;
    assert_int_equal(store_world_open(w), 0);
    for (int i = 0; i < 5; i++) {
        assert_false(store_append(w, "o-1", ANY, "a").repeated);
        assert_true(store_append(w, "o-1", ANY, "a").repeated);
        assert_false(store_append(w, "o-1", ANY, "b").repeated);
    }
    assert_string_equal(store_ids(w, "o-1", 0), "a b a b a b a b a b");
}

/* Clients that resend while the first append is on its way through the threads. */
struct resender {
    struct store_world *w;
    bool exact;
    unsigned rounds;
    int64_t added; /* to the stream, by this one */
};

/* Whoever is first adds the event; for all others it is a resend, at once and later. */
static void *resend(void *argument) {
    struct resender *r = argument;
    char id[32];
    for (unsigned i = 0; i < r->rounds; i++) {
        struct ms_condition exact = i == 0 ? NONE : AT((int64_t)i - 1);
        snprintf(id, sizeof id, "e%u", i);
        struct store_answer answer = store_append(r->w, "o-1", r->exact ? exact : ANY, id);
        MS_ASSERT(answer.code == 0 && answer.parts[0].version == (int64_t)i);
        r->added += !answer.repeated;
    }
    return NULL;
}

static int64_t resend_from_threads(struct store_world *w, bool exact, unsigned rounds) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    struct resender resenders[THREADS];
    int64_t added = 0;
    for (int i = 0; i < THREADS; i++) {
        resenders[i] = (struct resender){w, exact, rounds, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, resend, &resenders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        added += resenders[i].added;
    }
    return added;
}

/* What they are compared with moves on meanwhile: from the tail's cache to the file, from the
 * index's overlay to its tables. */
static void resends_from_threads_add_each_event_once(bool exact) {
    struct store_world w;
    unsigned rounds = (unsigned)world_setting("MS_THREAD_ROUNDS", 150);
    store_world_init_real(&w);
    w.options.idempotence_window = 100000;
    w.options.index_overlay_entries_max = 60;
    w.options.tail_cache_bytes = 16384;
    assert_int_equal(store_world_open(&w), 0);
    assert_int_equal(resend_from_threads(&w, exact, rounds), rounds);
    assert_int_equal(store_stream(&w, "o-1").head, rounds - 1);
    store_world_reopen(&w);
    assert_int_equal(resend_from_threads(&w, exact, rounds), 0);
    store_world_deinit(&w);
}

static void concurrent_resends_add_each_event_once(void **state) {
    (void)state;
    resends_from_threads_add_each_event_once(false);
}

static void concurrent_resends_at_exact_versions_add_each_event_once(void **state) {
    (void)state;
    resends_from_threads_add_each_event_once(true);
}

/* Who has read an event may send it again: as far as ids tell it is the same, whoever made them. */
static void ids_that_were_made_here_are_recognised(void **state) {
    struct store_world *w = *state;
    struct ms_event event = {.type = MS_BYTES_LITERAL("made"), .timestamp_ms = MS_TIMESTAMP_NONE};
    struct ms_append_part part = {MS_BYTES_LITERAL("o-1"), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    char id[64];
    assert_int_equal(store_request(w, &request).code, 0);
    assert_int_equal(store_request(w, &request).code, 0); /* without an id it is another one */
    snprintf(id, sizeof id, "%.36s", store_ids(w, "o-1", 0));
    event.id = ms_bytes_cstr(id);
    for (int i = 0; i < 2; i++) { /* before and after a start */
        struct store_answer answer = store_request(w, &request);
        assert_int_equal(answer.code, 0);
        assert_true(answer.repeated);
        assert_int_equal(answer.parts[0].version, 0);
        store_world_reopen(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(any_repeats),
        test(exists_repeats),
        test(exact_repeats),
        test(no_stream_repeats),
        test(resend_waits_for_the_first_append),
        test(closing_answers_resends_on_their_way),
        test(part_of_it_again_is_refused),
        test(same_id_with_other_data_is_refused),
        test(same_id_with_another_type_is_refused),
        test(ids_belong_to_their_stream),
        test(events_without_ids_are_always_new),
        test(several_streams_repeat_together),
        test(resends_of_what_is_not_readable_any_more_add_nothing),
        test(reopening_repeats_after_metadata_was_put),
        test(refusal_names_the_state_that_was_judged),
        test(half_a_resend_to_a_deleted_stream_is_refused_for_its_ids),
        test(resends_of_scavenged_events_are_recognised_by_the_window),
        test(resends_of_what_is_scavenged_in_part_add_nothing),
        test(window_is_as_long_as_it_says),
        test(window_of_one_event_works),
        cmocka_unit_test(concurrent_resends_add_each_event_once),
        cmocka_unit_test(concurrent_resends_at_exact_versions_add_each_event_once),
        test(ids_that_were_made_here_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
