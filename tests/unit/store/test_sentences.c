/* Whoever is refused for lack of memory is told so in a sentence, whichever allocation failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/alloc.h"
#include "log/internal.h"
#include "store/internal.h"
#include "support/store_world.h"

#define BYTES(text) MS_BYTES_LITERAL(text)

static int take_event(void *context, const struct ms_read_event *event) {
    (void)context, (void)event;
    return 0;
}

static int take_stream(void *context, struct ms_bytes stream, int64_t head, uint64_t first) {
    (void)context, (void)stream, (void)head, (void)first;
    return 0;
}

static int take_topic(void *context, const struct ms_topic_info *topic) {
    (void)context, (void)topic;
    return 0;
}

/* ---- operations; each returns its code and leaves the sentence in w->error ---- */

static int told(struct store_world *w, struct store_answer answer) {
    if (answer.error.code != 0)
        w->error = answer.error;
    return answer.code;
}

static int append(struct store_world *w) {
    static unsigned made;
    char names[2][16];
    snprintf(names[0], sizeof names[0], "t%u-1", made);
    snprintf(names[1], sizeof names[1], "order-%u%%", made++);
    struct ms_bytes texts[] = {BYTES("seen"), BYTES("vip")};
    struct ms_event events[] = {
        {.type = BYTES("a"), .id = BYTES("1"), .tags = BYTES("vip,eu"), .data = BYTES("{}")},
        {.type = BYTES("b"), .timestamp_ms = MS_TIMESTAMP_NONE, .data = BYTES("{}")},
    };
    struct ms_append_part parts[] = {
        {ms_bytes_cstr(names[0]), NONE, events, 2},
        {ms_bytes_cstr(names[1]), ANY, events, 2},
        {BYTES("order-1"), EXISTS, NULL, 0},
    };
    struct ms_query_condition query = {
        .types = texts, .type_count = 1, .tags = texts + 1, .tag_count = 1, .after_none = true};
    struct ms_append_request request = {
        .parts = parts, .part_count = 3, .query_conditions = &query, .query_condition_count = 1};
    return told(w, store_request(w, &request));
}

static int append_one(struct store_world *w, const char *stream, const char *id) {
    struct ms_event event = {.type = BYTES("happened"),
                             .id = ms_bytes_cstr(id),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = BYTES("1")};
    struct ms_append_part part = {ms_bytes_cstr(stream), NONE, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    return told(w, store_request(w, &request));
}

static int repeat(struct store_world *w) { return append_one(w, "order-3", "once"); }

static int put_metadata(struct store_world *w) {
    return told(w, store_put_metadata(w, "order-%31", ANY, "{\"a\":\"\\u0061\",\"$maxCount\":9}"));
}

static int get_metadata(struct store_world *w) {
    struct ms_buf out;
    int64_t version;
    ms_buf_init(&out, 1000);
    int rc = ms_store_get_metadata(w->store, BYTES("order-1"), &out, &version, &w->error);
    ms_buf_deinit(&out);
    return rc;
}

static int put_snapshot(struct store_world *w) {
    struct store_answer answer = {0};
    struct ms_extension extension = {BYTES("mine"), BYTES("1")};
    struct ms_event event = {.type = BYTES("s"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .extensions = &extension,
                             .extension_count = 1};
    answer.refused = answer.code = ms_store_put_snapshot(w->store, BYTES("order-1"), 1, &event,
                                                         store_answer_take, &answer, &w->error);
    ms_store_run(w->store);
    return told(w, answer);
}

static int get_snapshot(struct store_world *w) {
    int64_t version;
    return ms_store_get_snapshot(w->store, BYTES("order-1"), take_event, NULL, &version, &w->error);
}

static int delete_and_reopen(struct store_world *w) {
    int rc = told(w, store_delete(w, "order-2", EXISTS, false));
    rc = rc == MS_EDELETED ? 0 : rc;
    return rc == 0 ? append_one(w, "order-2", "again") : rc;
}

static int tombstone(struct store_world *w) {
    static unsigned made;
    char name[24];
    snprintf(name, sizeof name, "order-gone%u", made++);
    return told(w, store_delete(w, name, ANY, true));
}

static int put_topic(struct store_world *w) {
    static unsigned made;
    char name[16];
    bool created;
    snprintf(name, sizeof name, "made%u", made++);
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    return ms_store_put_topic(w->store, ms_bytes_cstr(name), &settings, &created, &w->error);
}

static int show_topics(struct store_world *w) {
    int rc = ms_store_get_topic(w->store, BYTES("order"), take_topic, NULL, &w->error);
    return rc == 0 ? ms_store_list_topics(w->store, true, take_topic, NULL, &w->error) : rc;
}

static int list_streams(struct store_world *w) {
    uint64_t next;
    bool at_end;
    return ms_store_list_streams(w->store, BYTES("order"), 0, 10, take_stream, NULL, &next, &at_end,
                                 &w->error);
}

static int read_forward(struct store_world *w) {
    struct ms_stream_read read = {.stream = BYTES("my%2Dorder-%31"), .limit = 10};
    struct ms_stream_read_result result;
    return ms_store_read_stream(w->store, &read, take_event, NULL, &result, &w->error);
}

static int read_backward(struct store_world *w) {
    struct ms_stream_read read = {
        .stream = BYTES("order-1"), .limit = 10, .backward = true, .from_end = true};
    struct ms_stream_read_result result;
    return ms_store_read_stream(w->store, &read, take_event, NULL, &result, &w->error);
}

static int read_all(struct store_world *w) {
    struct ms_bytes types[] = {BYTES("happened"), BYTES("b")}, tag = BYTES("vip");
    struct ms_bytes topic = BYTES("order");
    struct ms_all_read reads[] = {
        {.limit = 10},
        {.limit = 10, .backward = true, .from_end = true},
        {.limit = 10,
         .filter = {.types = types, .type_count = 2, .topics = &topic, .topic_count = 1}},
        {.limit = 10, .filter = {.tags = &tag, .tag_count = 1}, .backward = true, .from_end = true},
        {.limit = 10, .filter = {.correlation_id = BYTES("a")}},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof reads / sizeof reads[0]; i++) {
        struct ms_all_read_result result;
        rc = ms_store_read_all(w->store, &reads[i], take_event, NULL, &result, &w->error);
    }
    return rc;
}

static int subscribe(struct store_world *w) {
    struct ms_bytes type = BYTES("happened"), tag = BYTES("vip"), topic = BYTES("order");
    struct ms_subscription_options options[] = {
        {.stream = BYTES("my%2Dorder-%31")},
        {.filter = {.types = &type,
                    .type_count = 1,
                    .tags = &tag,
                    .tag_count = 1,
                    .topics = &topic,
                    .topic_count = 1,
                    .stream_prefix = BYTES("order-"),
                    .correlation_id = BYTES("a")}},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        struct ms_subscription *subscription;
        bool caught_up = false;
        rc = ms_subscription_new(w->store, &options[i], &subscription, &w->error);
        if (rc != 0)
            break;
        rc = ms_subscription_poll(subscription, 10, take_event, NULL, &caught_up, &w->error);
        ms_subscription_free(subscription);
    }
    return rc;
}

static int scavenge(struct store_world *w) {
    struct ms_scavenge_options options = {.all = true};
    struct ms_scavenge_result result;
    return ms_store_scavenge(w->store, &options, &result, &w->error);
}

static int scavenge_frugally(struct store_world *w) {
    struct ms_scavenge_options options = {0};
    struct ms_scavenge_result result;
    assert_int_equal(pthread_mutex_trylock(&w->store->scavenge_lock), 0);
    return ms_scavenge_run(w->store, &options, true, &result, &w->error);
}

static int reopen(struct store_world *w) {
    ms_ignore(store_world_close(w));
    w->error = (struct ms_error){0};
    int rc = store_world_open(w);
    struct ms_error error = w->error;
    ms_alloc_fail_nth(0);
    if (rc != 0)
        assert_int_equal(store_world_open(w), 0);
    w->error = error;
    return rc;
}

/* ---- */

static const struct {
    const char *name;
    int (*run)(struct store_world *w);
} operations[] = {
    {"append", append},
    {"repeat", repeat},
    {"put metadata", put_metadata},
    {"get metadata", get_metadata},
    {"put snapshot", put_snapshot},
    {"get snapshot", get_snapshot},
    {"delete", delete_and_reopen},
    {"tombstone", tombstone},
    {"put topic", put_topic},
    {"show topics", show_topics},
    {"list streams", list_streams},
    {"read forward", read_forward},
    {"read backward", read_backward},
    {"read all", read_all},
    {"subscribe", subscribe},
    {"scavenge", scavenge},
    {"scavenge frugally", scavenge_frugally},
    {"reopen", reopen},
};

static void fill(struct store_world *w) {
    static char data[100000];
    struct ms_event event = {.type = BYTES("filler"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = ms_bytes_of(data, sizeof data)};
    struct ms_append_part part = {BYTES("filler-1"), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    memset(data, '1', sizeof data);
    for (int i = 0; i < 12; i++)
        assert_int_equal(store_request(w, &request).code, 0);
    while (ms_keeper_step(w->store->log))
        continue;
}

static void prepare(struct store_world *w) {
    struct ms_topic_settings settings;
    bool created;
    store_world_init(w, 1);
    assert_int_equal(store_world_open(w), 0);
    settings = ms_topic_settings_default(w->store);
    settings.retention_bytes = 1 << 20;
    assert_int_equal(ms_store_put_topic(w->store, BYTES("order"), &settings, &created, &w->error),
                     0);
    assert_int_equal(store_append(w, "order-1", NONE, "a b c").code, 0);
    assert_int_equal(store_append(w, "order-2", NONE, "a").code, 0);
    assert_int_equal(store_append(w, "my%2Dorder-1", NONE, "a b").code, 0);
    assert_int_equal(store_append_event(w, "order-1", "v", "happened", "vip").code, 0);
    assert_int_equal(append_one(w, "order-3", "once"), 0);
    assert_int_equal(put_metadata(w), 0);
    assert_int_equal(put_snapshot(w), 0);
    fill(w);
}

static void check(struct store_world *w, const char *name, uint64_t n, int rc) {
    if (rc != 0 && (w->error.code != rc || w->error.message[0] == 0))
        fail_msg("%s, allocation %llu: %s without a sentence ('%s', %s)", name,
                 (unsigned long long)n, ms_error_name(rc), w->error.message,
                 ms_error_name(w->error.code));
}

static void no_memory_is_told_in_a_sentence(void **state) {
    static struct store_world w;
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        bool failed = true;
        prepare(&w);
        for (uint64_t n = 1; failed && n < 3000; n++) {
            w.error = (struct ms_error){0};
            ms_alloc_fail_nth(n);
            int rc = operations[i].run(&w);
            failed = ms_alloc_has_failed();
            ms_alloc_fail_nth(0);
            check(&w, operations[i].name, n, rc);
            if (w.store == NULL || ms_log_failed(w.store->log)) { /* in the middle of a commit */
                store_world_deinit(&w);
                prepare(&w);
            }
        }
        store_world_deinit(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_memory_is_told_in_a_sentence)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
