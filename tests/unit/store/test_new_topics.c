/* Topics that appends make: with the append or not at all, one however many come first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

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

static int take_info(void *context, const struct ms_topic_info *info) {
    if (context != NULL)
        *(struct ms_topic_info *)context = *info;
    return 0;
}

static bool is_there(struct store_world *w, const char *topic) {
    return ms_store_get_topic(w->store, ms_bytes_cstr(topic), take_info, NULL, NULL) == 0;
}

static int count_topic(void *context, const struct ms_topic_info *info) {
    (void)info;
    ++*(int *)context;
    return 0;
}

static int topics(struct store_world *w) {
    int count = 0;
    assert_int_equal(ms_store_list_topics(w->store, false, count_topic, &count, NULL), 0);
    return count;
}

/* Neither a topic nor a position is taken, now and after a start. */
static void assert_nothing_there(struct store_world *w) {
    for (int i = 0; i < 2; i++) {
        assert_int_equal(topics(w), 0);
        assert_int_equal(ms_store_end(w->store), 0);
        store_world_reopen(w);
    }
}

static const struct ms_event good = {
    .type = MS_BYTES_LITERAL("t"), .timestamp_ms = 1, .data = MS_BYTES_LITERAL("1")};

static void failed_conditions_make_no_topic(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "order-1", AT(0), "a").code, MS_ECONFLICT);
    assert_int_equal(store_append(w, "order-1", AT(7), "").code, MS_ECONFLICT);
    struct store_answer answer = store_append(w, "order-1", EXISTS, "a");
    assert_int_equal(answer.code, MS_ECONFLICT);
    assert_int_equal(answer.actual_state, MS_STREAM_NONE);
    assert_int_equal(answer.actual_version, -1);
    assert_int_equal(store_delete(w, "order-1", ANY, false).code, MS_ENOTFOUND);
    assert_int_equal(store_delete(w, "order-1", AT(3), true).code, MS_ENOTFOUND);
    assert_int_equal(store_put_metadata(w, "order-1", AT(3), "{}").code, MS_ECONFLICT);
    assert_int_equal(store_put_metadata(w, "order-1", ANY, "{\"$tb\":-1}").refused, MS_EINVAL);
    assert_nothing_there(w);
}

static void bad_events_make_no_topic(void **state) {
    struct store_world *w = *state;
    static uint8_t large[100];
    assert_int_equal(store_world_close(w), 0);
    w->options.limits.event_bytes_max = 80;
    assert_int_equal(store_world_open(w), 0);
    struct ms_event events[2] = {good, good};
    struct ms_append_part part = {MS_BYTES_LITERAL("order-1"), ANY, events, 2};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    events[1].type = (struct ms_bytes){0};
    assert_int_equal(store_request(w, &request).refused, MS_EINVAL);
    events[1] = good;
    events[1].data = ms_bytes_of(large, sizeof large);
    assert_true(store_request(w, &request).refused != 0);
    events[0].id = events[1].id = MS_BYTES_LITERAL("same");
    events[1].data = good.data;
    assert_int_equal(store_request(w, &request).refused, MS_EINVAL);
    assert_nothing_there(w);
}

static void one_refused_part_makes_no_topic_of_the_others(void **state) {
    struct store_world *w = *state;
    struct ms_append_part parts[3] = {
        {MS_BYTES_LITERAL("order-1"), NONE, &good, 1},
        {MS_BYTES_LITERAL("stock-1"), NONE, &good, 1},
        {MS_BYTES_LITERAL("customer-1"), EXISTS, NULL, 0},
    };
    struct ms_append_request request = {.parts = parts, .part_count = 3};
    struct store_answer answer = store_request(w, &request);
    assert_int_equal(answer.code, MS_ECONFLICT);
    assert_int_equal(answer.failed_part, 2);
    assert_nothing_there(w);
    assert_int_equal(store_append(w, "customer-1", NONE, "a").code, 0);
    struct ms_bytes type = MS_BYTES_LITERAL("happened");
    struct ms_query_condition query = {.types = &type, .type_count = 1, .after_none = true};
    request.query_conditions = &query;
    request.query_condition_count = 1;
    assert_int_equal(store_request(w, &request).code, MS_EQUERYCONDITION);
    assert_int_equal(topics(w), 1);
    request.query_condition_count = 0;
    answer = store_request(w, &request);
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.parts[0].version, 0);
    assert_int_equal(answer.parts[1].version, 0);
    assert_int_equal(answer.parts[2].version, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(topics(w), 3);
        assert_int_equal(store_stream(w, "order-1").head, 0);
        assert_int_equal(store_stream(w, "stock-1").head, 0);
        store_world_reopen(w);
    }
}

static void a_stream_that_is_only_checked_makes_no_topic(void **state) {
    struct store_world *w = *state;
    struct ms_append_part parts[2] = {
        {MS_BYTES_LITERAL("order-1"), NONE, NULL, 0},
        {MS_BYTES_LITERAL("stock-1"), ANY, &good, 1},
    };
    struct ms_append_request request = {.parts = parts, .part_count = 1};
    struct store_answer answer = store_request(w, &request);
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.parts[0].version, -1);
    assert_nothing_there(w);
    request.part_count = 2;
    assert_int_equal(store_request(w, &request).code, 0);
    assert_false(is_there(w, "order"));
    assert_true(is_there(w, "stock"));
}

/* The creation is the append's first entry: either both are durable or nothing is. */
static void topic_and_first_event_are_one_append(void **state) {
    struct store_world *w = *state;
    struct store_answer answer = {0};
    store_submit(w, "order-1", NONE, "a", &answer);
    ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_WRITE, 1, MS_EIO, false);
    ms_store_run(w->store);
    assert_int_equal(answer.code, MS_EUNKNOWN);
    assert_int_equal(store_world_close(w), MS_EIO);
    assert_int_equal(store_world_open(w), 0);
    assert_nothing_there(w);
    answer = store_append(w, "order-1", NONE, "a");
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.position, 1);
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    ms_log_cursor_init(&cursor, w->store->log, 0);
    assert_true(ms_log_cursor_next(&cursor, &entry, NULL) > 0);
    assert_int_equal(entry.header.topic, MS_TOPIC_TOPICS);
    assert_int_equal(entry.header.flags & MS_ENTRY_JOINED, 0);
    assert_true(ms_log_cursor_next(&cursor, &entry, NULL) > 0);
    assert_int_equal(entry.header.topic, MS_TOPIC_USER_FIRST);
    assert_int_equal(entry.header.flags & MS_ENTRY_JOINED, MS_ENTRY_JOINED);
    ms_log_cursor_deinit(&cursor);
    assert_true(store_append(w, "order-1", NONE, "a").repeated);
}

static void metadata_makes_the_topic_that_it_is_about(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_put_metadata(w, "order-1", ANY, "{\"$maxCount\":1}").code, 0);
    store_world_reopen(w);
    assert_true(is_there(w, "order"));
    assert_int_equal(store_append(w, "order-1", ANY, "a b").code, 0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(store_ids(w, "order-1", 0), "b");
        store_world_reopen(w);
    }
}

/* Numbers are taken by what is made, not by what is refused. */
static void refused_appends_use_up_no_numbers(void **state) {
    struct store_world *w = *state;
    struct ms_topic_info info;
    for (int i = 0; i < 100; i++)
        assert_int_equal(store_append(w, "order-1", EXISTS, "a").code, MS_ECONFLICT);
    assert_int_equal(store_append(w, "order-1", ANY, "a").code, 0);
    assert_int_equal(
        ms_store_get_topic(w->store, MS_BYTES_LITERAL("order"), take_info, &info, NULL), 0);
    assert_int_equal(info.number, MS_TOPIC_USER_FIRST);
}

/* More of them than the tables begin with, and none too many. */
static void one_append_makes_many_topics(void **state) {
    struct store_world *w = *state;
    static char names[60][16];
    struct ms_append_part parts[60];
    assert_int_equal(store_world_close(w), 0);
    w->options.topics_max = 60;
    assert_int_equal(store_world_open(w), 0);
    for (int i = 0; i < 60; i++) {
        snprintf(names[i], sizeof names[i], "t%d-1", i);
        parts[i] = (struct ms_append_part){ms_bytes_cstr(names[i]), NONE, &good, 1};
    }
    struct ms_append_request request = {.parts = parts, .part_count = 60};
    assert_int_equal(store_append(w, "other-1", ANY, "a").code, 0);
    assert_int_equal(store_request(w, &request).refused, MS_ELIMIT);
    assert_int_equal(topics(w), 1);
    request.part_count = 59;
    assert_int_equal(store_request(w, &request).code, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(topics(w), 60);
        for (int k = 0; k < 59; k++)
            assert_int_equal(store_stream(w, names[k]).head, 0);
        store_world_reopen(w);
    }
}

static void topics_with_a_dash_have_streams(void **state) {
    struct store_world *w = *state;
    struct ms_stream_read_result stream;
    struct event_log all = {0};
    char ids[64];
    assert_int_equal(store_append(w, "my%2Dtopic-1", NONE, "a b").code, 0);
    assert_int_equal(store_append(w, "my%2dtopic-1", AT(1), "c").code, 0);
    assert_int_equal(store_append(w, "my-topic-1", NONE, "x").code, 0);
    assert_int_equal(store_append(w, "_schemas%2Dx-1", NONE, "x").refused, MS_ERESERVED);
    assert_int_equal(store_put_metadata(w, "my%2dtopic-1", NONE, "{\"$maxCount\":2}").code, 0);
    assert_int_equal(store_put_metadata(w, "my%2Dtopic-1", AT(0), "{\"$maxCount\":2}").code, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(is_there(w, "my-topic"));
        assert_string_equal(store_ids(w, "my%2Dtopic-1", 0), "b c");
        stream = store_stream(w, "my%2Dtopic-1");
        assert_int_equal(stream.head, 2);
        store_read_everything(w, false, &all);
        assert_string_equal(event_log_ids(&all, ids, sizeof ids), "a b c x");
        event_log_clear(&all);
        store_world_reopen(w);
    }
}

/* ---- many at once ---- */

enum { MAKERS = 8, ROUNDS = 60 };

struct maker {
    struct store_world *w;
    unsigned number;
    unsigned won; /* of the rounds' exclusive streams */
};

static void *make(void *argument) {
    struct maker *m = argument;
    char own[32], shared[32], checked[32];
    for (unsigned round = 0; round < ROUNDS; round++) {
        snprintf(own, sizeof own, "t%u-%u", round, m->number);
        snprintf(shared, sizeof shared, "t%u-shared", round);
        snprintf(checked, sizeof checked, "t%u-x", round + 1);
        struct ms_append_part parts[3] = {
            {ms_bytes_cstr(own), NONE, &good, 1},
            {ms_bytes_cstr(checked), NONE, NULL, 0},
            {ms_bytes_cstr(shared), NONE, &good, 1},
        };
        struct ms_append_request request = {.parts = parts, .part_count = 2, .wait = true};
        struct ms_append_result result;
        struct ms_append_part_result results[3];
        MS_ASSERT(ms_store_append_wait(m->w->store, &request, results, &result, NULL) == 0);
        MS_ASSERT(results[0].version == 0 && results[1].version == -1);
        request.parts = &parts[2];
        request.part_count = 1;
        int rc = ms_store_append_wait(m->w->store, &request, results, &result, NULL);
        MS_ASSERT(rc == 0 || rc == MS_ECONFLICT);
        m->won += rc == 0;
    }
    return NULL;
}

static void first_appends_at_once_make_one_topic(void **state) {
    (void)state;
    struct store_world w;
    pthread_t threads[MAKERS];
    struct maker makers[MAKERS];
    char name[32];
    unsigned won = 0;
    store_world_init_real(&w);
    assert_int_equal(store_world_open(&w), 0);
    for (unsigned i = 0; i < MAKERS; i++) {
        makers[i] = (struct maker){&w, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, make, &makers[i]), 0);
    }
    for (unsigned i = 0; i < MAKERS; i++) {
        pthread_join(threads[i], NULL);
        won += makers[i].won;
    }
    assert_int_equal(won, ROUNDS);
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(topics(&w), ROUNDS);
        /* One creation a topic, and every event in the one that there is. */
        assert_int_equal(ms_store_end(w.store), ROUNDS * (1 + MAKERS + 1));
        for (unsigned round = 0; round < ROUNDS; round++)
            for (unsigned i = 0; i < MAKERS; i++) {
                snprintf(name, sizeof name, "t%u-%u", round, i);
                assert_int_equal(store_stream(&w, name).head, 0);
            }
        assert_int_equal(store_world_close(&w), 0);
        store_world_drop_index(&w);
        assert_int_equal(store_world_open(&w), 0);
    }
    store_world_deinit(&w);
}

/* An append that was made ready before its topic's deletion was sequenced, and comes after it. */
static void nothing_is_added_behind_a_topics_deletion(void **state) {
    struct store_world *w = *state;
    struct store_answer answer = {0};
    struct ms_event event = {.type = MS_BYTES_LITERAL("late"), .timestamp_ms = MS_TIMESTAMP_NONE};
    struct ms_append_part part = {MS_BYTES_LITERAL("o-1"), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    struct ms_op *op;
    struct ms_error err = {0};
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    assert_int_equal(ms_op_new(w->store, &request, &op, &err), 0);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("o"), &err), 0);
    uint64_t end = ms_store_end(w->store);
    assert_int_equal(ms_op_submit(op, &err), MS_EAGAIN);
    assert_true(op->stale);
    assert_int_equal(ms_store_end(w->store), end);
    ms_op_free(op);
    assert_int_equal(ms_store_append(w->store, &request, store_answer_take, &answer, &err), 0);
    ms_store_run(w->store);
    assert_int_equal(answer.code, 0);
    for (int i = 0; i < 2; i++) { /* in the topic that was made anew */
        struct ms_topic_info info;
        assert_int_equal(
            ms_store_get_topic(w->store, MS_BYTES_LITERAL("o"), take_info, &info, NULL), 0);
        assert_int_equal(info.events, 1);
        store_world_reopen(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(failed_conditions_make_no_topic),
        test(bad_events_make_no_topic),
        test(one_refused_part_makes_no_topic_of_the_others),
        test(a_stream_that_is_only_checked_makes_no_topic),
        test(topic_and_first_event_are_one_append),
        test(metadata_makes_the_topic_that_it_is_about),
        test(refused_appends_use_up_no_numbers),
        test(one_append_makes_many_topics),
        test(topics_with_a_dash_have_streams),
        cmocka_unit_test(first_appends_at_once_make_one_topic),
        test(nothing_is_added_behind_a_topics_deletion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
