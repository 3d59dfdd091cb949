/* Query conditions: "nothing that matches has been appended since", against what is published, what
 * is only sequenced, and what others append at the same time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "support/store_world.h"

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    if (store_world_open(&w) != 0)
        return -1;
    *state = &w;
    alarm(60); /* a condition that can't be decided must not wait for ever */
    return 0;
}

static int teardown(void **state) {
    alarm(0);
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

struct query {
    struct ms_bytes types[300], tags[4];
    struct ms_query_condition condition;
};

/* type and tags: "a b", NULL none. after < 0: from the first event. */
static void make_query(struct query *q, const char *type, const char *tag, const char *tag2,
                       int64_t after) {
    *q = (struct query){0};
    if (type != NULL)
        q->types[q->condition.type_count++] = ms_bytes_cstr(type);
    if (tag != NULL)
        q->tags[q->condition.tag_count++] = ms_bytes_cstr(tag);
    if (tag2 != NULL)
        q->tags[q->condition.tag_count++] = ms_bytes_cstr(tag2);
    q->condition.types = q->types;
    q->condition.tags = q->tags;
    q->condition.after_none = after < 0;
    q->condition.after = after < 0 ? 0 : (uint64_t)after;
}

static void submit(struct store_world *w, const char *stream, const char *id, const char *type,
                   const char *tags, const struct query *q, struct store_answer *answer) {
    struct ms_event event = {.id = ms_bytes_cstr(id),
                             .type = ms_bytes_cstr(type),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = MS_BYTES_LITERAL("{}"),
                             .tags = ms_bytes_cstr(tags)};
    struct ms_append_part part = {ms_bytes_cstr(stream), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    if (q != NULL) {
        request.query_conditions = &q->condition;
        request.query_condition_count = 1;
    }
    *answer = (struct store_answer){0};
    answer->refused = ms_store_append(w->store, &request, store_answer_take, answer, NULL);
}

static struct store_answer append_if(struct store_world *w, const char *id, const char *type,
                                     const char *tags, const struct query *q) {
    struct store_answer answer;
    submit(w, "s-1", id, type, tags, q, &answer);
    ms_store_run(w->store);
    if (answer.refused != 0)
        answer.code = answer.refused;
    return answer;
}

static void matching_events_refuse(void **state) {
    struct store_world *w = *state;
    struct query q;
    uint64_t first = append_if(w, "1", "enrolled", "course:c1,student:s1", NULL).position;
    uint64_t second = append_if(w, "2", "enrolled", "course:c1,student:s2", NULL).position;
    const struct {
        const char *type, *tag, *tag2;
        int64_t after;
        int64_t match; /* -1: none */
    } rows[] = {
        {"enrolled", NULL, NULL, -1, (int64_t)first},
        {"enrolled", NULL, NULL, (int64_t)first, (int64_t)second},
        {"enrolled", NULL, NULL, (int64_t)second, -1},
        {"left", NULL, NULL, -1, -1},
        {NULL, "course:c1", NULL, -1, (int64_t)first},
        {NULL, "course:c2", NULL, -1, -1},
        {NULL, "course:c1", "student:s2", -1, (int64_t)second},
        {NULL, "course:c1", "student:s3", -1, -1},
        {"enrolled", "student:s2", NULL, -1, (int64_t)second},
        {"enrolled", "student:s2", NULL, (int64_t)second, -1},
        {"left", "student:s2", NULL, -1, -1},
        {NULL, "course:c", NULL, -1, -1},
    };
    char id[16];
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            snprintf(id, sizeof id, "x%d-%zu", pass, i);
            make_query(&q, rows[i].type, rows[i].tag, rows[i].tag2, rows[i].after);
            struct store_answer answer = append_if(w, id, "checked", NULL, &q);
            int wanted = rows[i].match < 0 ? 0 : MS_EQUERYCONDITION;
            if (answer.code != wanted ||
                (wanted != 0 && answer.matching_position != (uint64_t)rows[i].match))
                fail_msg("row %zu: %s, match %llu", i, ms_error_name(answer.code),
                         (unsigned long long)answer.matching_position);
        }
        store_world_reopen(w);
    }
}

static void condition_without_type_and_tag_is_refused(void **state) {
    struct store_world *w = *state;
    struct query q;
    make_query(&q, NULL, NULL, NULL, -1);
    assert_int_equal(append_if(w, "1", "t", NULL, &q).code, MS_EINVAL);
}

static void all_conditions_count_and_the_failed_one_is_named(void **state) {
    struct store_world *w = *state;
    struct query a, b;
    assert_int_equal(append_if(w, "1", "t1", "x", NULL).code, 0);
    make_query(&a, "other", NULL, NULL, -1);
    make_query(&b, "t1", NULL, NULL, -1);
    struct ms_query_condition both[] = {a.condition, b.condition};
    both[0].types = a.types;
    both[1].types = b.types;
    struct ms_event event = {
        .type = MS_BYTES_LITERAL("t2"), .timestamp_ms = 1, .data = MS_BYTES_LITERAL("1")};
    struct ms_append_part part = {MS_BYTES_LITERAL("s-1"), ANY, &event, 1};
    struct ms_append_request request = {
        .parts = &part, .part_count = 1, .query_conditions = both, .query_condition_count = 2};
    struct store_answer answer = store_request(w, &request);
    assert_int_equal(answer.code, MS_EQUERYCONDITION);
    assert_int_equal(answer.failed_query, 1);
    both[1].types = b.types + 1;
    b.types[1] = MS_BYTES_LITERAL("nothing");
    assert_int_equal(store_request(w, &request).code, 0);
}

/* What is sequenced and not yet published counts as well. */
static void unpublished_events_refuse(void **state) {
    struct store_world *w = *state;
    struct query q;
    struct store_answer first, second, third;
    make_query(&q, "enrolled", "course:c1", NULL, -1);
    submit(w, "s-1", "1", "enrolled", "course:c1", &q, &first);
    submit(w, "s-2", "2", "enrolled", "course:c1", &q, &second);
    make_query(&q, "enrolled", "course:c2", NULL, -1);
    submit(w, "s-3", "3", "enrolled", "course:c2", &q, &third);
    assert_int_equal(first.calls, 1); /* the refusal waited for the event that it lost to */
    assert_int_equal(second.calls, 1);
    ms_store_run(w->store);
    assert_int_equal(first.code, 0);
    assert_int_equal(second.code, MS_EQUERYCONDITION);
    assert_int_equal(second.matching_position, first.position);
    assert_int_equal(third.code, 0);
    assert_string_equal(store_ids(w, "s-2", 0), "");
}

/* The very first condition of a store meets events that are on their way already. */
static void first_condition_meets_unpublished_events(void **state) {
    struct store_world *w = *state;
    struct query q;
    struct store_answer before, conditional;
    submit(w, "s-1", "1", "enrolled", "course:c1", NULL, &before);
    make_query(&q, "enrolled", NULL, NULL, -1);
    submit(w, "s-2", "2", "enrolled", NULL, &q, &conditional);
    ms_store_run(w->store);
    assert_int_equal(before.code, 0);
    assert_int_equal(conditional.code, MS_EQUERYCONDITION);
}

/* One unpublished append with more types than any small buffer holds. */
static void unpublished_append_with_many_terms_refuses(void **state) {
    struct store_world *w = *state;
    enum { MANY = 2000 };
    static struct ms_event events[MANY];
    static char types[MANY][24];
    struct query q;
    make_query(&q, "warm-up", NULL, NULL, -1);
    assert_int_equal(append_if(w, "w", "other", NULL, &q).code, 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(types[i], sizeof types[i], "type-%d", i);
        events[i] = (struct ms_event){
            .type = ms_bytes_cstr(types[i]), .timestamp_ms = 1, .data = MS_BYTES_LITERAL("1")};
    }
    struct ms_append_part part = {MS_BYTES_LITERAL("big-1"), ANY, events, MANY};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    struct store_answer big = {0}, answers[5];
    static const int tried[5] = {0, 255, 257, 1000, MANY - 1};
    assert_int_equal(ms_store_append(w->store, &request, store_answer_take, &big, NULL), 0);
    for (int i = 0; i < 5; i++) {
        make_query(&q, types[tried[i]], NULL, NULL, -1);
        submit(w, "s-9", types[tried[i]], "other", NULL, &q, &answers[i]);
    }
    ms_store_run(w->store);
    assert_int_equal(big.code, 0);
    for (int i = 0; i < 5; i++)
        if (answers[i].code != MS_EQUERYCONDITION)
            fail_msg("type %d was not seen", tried[i]);
}

/* Told by another store, or before a restore: it would guard nothing. */
static void positions_behind_the_end_are_refused(void **state) {
    struct store_world *w = *state;
    struct query q;
    make_query(&q, "enrolled", NULL, NULL, 0); /* what an empty store tells */
    uint64_t first = append_if(w, "1", "enrolled", NULL, &q).position;
    make_query(&q, "enrolled", NULL, NULL, (int64_t)first);
    assert_int_equal(append_if(w, "2", "checked", NULL, &q).code, 0);
    uint64_t end = ms_store_end(w->store);
    make_query(&q, "enrolled", NULL, NULL, (int64_t)end);
    assert_int_equal(append_if(w, "3", "checked", NULL, &q).code, MS_EINVAL);
    make_query(&q, "enrolled", NULL, NULL, 1000000);
    assert_int_equal(append_if(w, "3", "checked", NULL, &q).code, MS_EINVAL);
    assert_int_equal(ms_store_end(w->store), end);
}

/* A position inside an unpublished append: what stands behind it in the same append counts. */
static void position_inside_an_unpublished_append(void **state) {
    struct store_world *w = *state;
    struct query q;
    struct store_answer batch = {0}, conditional;
    make_query(&q, "warm-up", NULL, NULL, -1);
    assert_int_equal(append_if(w, "w", "other", NULL, &q).code, 0);
    uint64_t end = ms_store_end(w->store);
    struct ms_event events[3];
    for (int i = 0; i < 3; i++)
        events[i] =
            (struct ms_event){.type = i == 2 ? MS_BYTES_LITERAL("last") : MS_BYTES_LITERAL("t"),
                              .timestamp_ms = 1,
                              .data = MS_BYTES_LITERAL("1")};
    struct ms_append_part part = {MS_BYTES_LITERAL("s-1"), ANY, events, 3};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    assert_int_equal(ms_store_append(w->store, &request, store_answer_take, &batch, NULL), 0);
    make_query(&q, "last", NULL, NULL, (int64_t)end);
    submit(w, "s-2", "2", "x", NULL, &q, &conditional);
    ms_store_run(w->store);
    assert_int_equal(conditional.code, MS_EQUERYCONDITION);
}

/* Streams without a topic in their name hold users' events too. */
static void events_of_streams_without_topic_refuse(void **state) {
    struct store_world *w = *state;
    struct query q;
    struct store_answer answer;
    submit(w, "cart", "1", "put", "item:1", NULL, &answer);
    ms_store_run(w->store);
    make_query(&q, "put", NULL, NULL, -1);
    submit(w, "other", "2", "put", NULL, &q, &answer);
    ms_store_run(w->store);
    assert_int_equal(answer.code, MS_EQUERYCONDITION);
}

/* The system's own events are not what users ask for. */
static void system_events_do_not_refuse(void **state) {
    struct store_world *w = *state;
    struct query q;
    struct store_answer answers[3];
    make_query(&q, "topic.created", NULL, NULL, -1);
    submit(w, "new-1", "1", "x", NULL, &q, &answers[0]);
    submit(w, "newer-1", "2", "x", NULL, &q, &answers[1]);
    ms_store_run(w->store);
    submit(w, "newest-1", "3", "x", NULL, &q, &answers[2]);
    ms_store_run(w->store);
    for (int i = 0; i < 3; i++)
        assert_int_equal(answers[i].code, 0);
}

/* ---- races ---- */

struct enroller {
    struct store_world *w;
    unsigned number, courses;
    _Atomic unsigned *won;
};

static void *enroll(void *argument) {
    const struct enroller *e = argument;
    char stream[32], tag[32];
    snprintf(stream, sizeof stream, "student-%u", e->number);
    for (unsigned course = 0; course < e->courses; course++) {
        struct query q;
        snprintf(tag, sizeof tag, "course:%u", course);
        make_query(&q, "enrolled", tag, NULL, -1);
        struct ms_event event = {.type = MS_BYTES_LITERAL("enrolled"),
                                 .timestamp_ms = 1,
                                 .data = MS_BYTES_LITERAL("{}"),
                                 .tags = ms_bytes_cstr(tag)};
        struct ms_append_part part = {ms_bytes_cstr(stream), ANY, &event, 1};
        struct ms_append_request request = {.parts = &part,
                                            .part_count = 1,
                                            .query_conditions = &q.condition,
                                            .query_condition_count = 1};
        struct store_answer answer = store_request(e->w, &request);
        MS_ASSERT(answer.code == 0 || answer.code == MS_EQUERYCONDITION);
        e->won[course] += answer.code == 0;
    }
    return NULL;
}

/* Each course has one place; everybody wants it. */
static void one_of_many_wins(void **state) {
    (void)state;
    enum { STUDENTS = 6, COURSES_MAX = 1000 };
    struct store_world w;
    pthread_t threads[STUDENTS];
    static struct enroller enrollers[STUDENTS];
    static _Atomic unsigned won[COURSES_MAX];
    unsigned courses = (unsigned)world_setting("MS_THREAD_ROUNDS", 120);
    assert_true(courses <= COURSES_MAX);
    store_world_init_real(&w);
    assert_int_equal(store_world_open(&w), 0);
    for (unsigned i = 0; i < STUDENTS; i++) {
        enrollers[i] = (struct enroller){&w, i, courses, won};
        assert_int_equal(pthread_create(&threads[i], NULL, enroll, &enrollers[i]), 0);
    }
    for (int i = 0; i < STUDENTS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < courses; i++)
        assert_int_equal(won[i], 1);
    store_world_deinit(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(matching_events_refuse),
        test(condition_without_type_and_tag_is_refused),
        test(all_conditions_count_and_the_failed_one_is_named),
        test(unpublished_events_refuse),
        test(first_condition_meets_unpublished_events),
        test(unpublished_append_with_many_terms_refuses),
        test(positions_behind_the_end_are_refused),
        test(position_inside_an_unpublished_append),
        test(events_of_streams_without_topic_refuse),
        test(system_events_do_not_refuse),
        cmocka_unit_test(one_of_many_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
