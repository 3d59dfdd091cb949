/* Reading streams and everything: every filter, direction, page size and kind of time travel,
 * compared with a naive selection from a list of all events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "support/store_world.h"

struct fixture {
    struct store_world w;
    struct event_log all; /* system events included, in log order */
};

static const char *const streams[] = {"order-1", "order-2", "order-10",
                                      "cart",    "other-1", "order-gone"};
static const char *const types[] = {"created", "changed", "closed"};
static const char *const tags[] = {NULL, "red", "blue", "red,blue", "blue,green,red"};
static const char *const correlations[] = {NULL, "c1", "c2"};

/* Appends of one to five events, a fixed variety, with late timestamps in between. */
static void fill(struct store_world *w) {
    char ids[5][16];
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    bool created;
    settings.compression = MS_CODEC_LZ4;
    assert_int_equal(
        ms_store_put_topic(w->store, MS_BYTES_LITERAL("other"), &settings, &created, NULL), 0);
    for (unsigned i = 0; i < 120; i++) {
        struct ms_event events[5];
        size_t count = 1 + i * 7 % 5;
        ms_clock_manual_advance(&w->world.clock, (1 + i % 3) * INT64_C(1000000));
        for (size_t k = 0; k < count; k++) {
            unsigned n = i * 5 + (unsigned)k;
            snprintf(ids[k], sizeof ids[k], "e%u", n);
            events[k] = (struct ms_event){
                .id = ms_bytes_cstr(ids[k]),
                .type = ms_bytes_cstr(types[n % 3]),
                .timestamp_ms = WORLD_START_US / 1000 + (int64_t)(n * 37 % 250) * 1000,
                .tags = ms_bytes_cstr(tags[n * 3 % 5]),
                .correlation_id = ms_bytes_cstr(correlations[n % 11 == 0 ? 1 + n % 2 : 0]),
                .data = ms_bytes_cstr(ids[k]),
                .data_is_null = n % 13 == 0,
            };
            if (events[k].data_is_null)
                events[k].data = (struct ms_bytes){0};
        }
        struct ms_append_part part = {ms_bytes_cstr(streams[i * 11 % 6]), ANY, events, count};
        struct ms_append_request request = {.parts = &part, .part_count = 1};
        assert_int_equal(store_request(w, &request).code, 0);
        if (i % 40 == 39)
            assert_int_equal(store_put_metadata(w, "order-1", ANY, "{\"x\":1}").code, 0);
    }
    struct ms_append_part root = {MS_BYTES_LITERAL("other-2"), ANY,
                                  &(struct ms_event){.id = MS_BYTES_LITERAL("c2"),
                                                     .timestamp_ms = 5,
                                                     .type = MS_BYTES_LITERAL("root"),
                                                     .data = MS_BYTES_LITERAL("1")},
                                  1};
    struct ms_append_request request = {.parts = &root, .part_count = 1};
    assert_int_equal(store_request(w, &request).code, 0);
}

/* Everything, by walking with system events; the one reading that needs no selection. */
static void read_all_events(struct fixture *f) {
    event_log_clear(&f->all);
    store_read_everything(&f->w, true, &f->all);
    assert_true(f->all.count > 300);
    uint64_t end = ms_store_end(f->w.store);
    assert_int_equal(f->all.count, end);
    for (size_t i = 0; i < f->all.count; i++)
        assert_int_equal(f->all.events[i].position, i);
}

static int setup(void **state) {
    static struct fixture f;
    f = (struct fixture){0};
    store_world_init(&f.w, 1);
    if (store_world_open(&f.w) != 0)
        return -1;
    fill(&f.w);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    event_log_clear(&f->all);
    store_world_deinit(&f->w);
    return 0;
}

#define test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

/* ---- the naive way ---- */

static bool has_tag(const char *list, struct ms_bytes tag) {
    char wrapped[128], wanted[64];
    snprintf(wrapped, sizeof wrapped, ",%s,", list != NULL ? list : "");
    snprintf(wanted, sizeof wanted, ",%.*s,", (int)tag.len, tag.data);
    return strstr(wrapped, wanted) != NULL;
}

static bool naive_match(const struct ms_filter *f, const struct seen_event *e) {
    bool system = e->topic[0] == '$' && strcmp(e->topic, "$streams") != 0;
    bool match = f->include_system || !system;
    bool of_topic = f->topic_count == 0;
    for (size_t i = 0; i < f->topic_count; i++)
        of_topic = of_topic || ms_bytes_equal_cstr(f->topics[i], e->topic);
    match = match && of_topic;
    if (f->stream_prefix.data != NULL)
        match = match && ms_bytes_starts_with(ms_bytes_cstr(e->stream), f->stream_prefix);
    if (f->type_count > 0) {
        bool any = false;
        for (size_t i = 0; i < f->type_count; i++)
            any = any || ms_bytes_equal_cstr(f->types[i], e->type);
        match = match && any;
    }
    for (size_t i = 0; i < f->tag_count; i++)
        match = match && has_tag(e->tags, f->tags[i]);
    if (f->correlation_id.data != NULL)
        match = match && ((e->correlation_id != NULL &&
                           ms_bytes_equal_cstr(f->correlation_id, e->correlation_id)) ||
                          ms_bytes_equal_cstr(f->correlation_id, e->id));
    return match;
}

static bool naive_in_time(const struct ms_time_travel *t, const struct seen_event *e) {
    if (t->kind == MS_AS_OF_TIME)
        return e->timestamp_ms <= t->time_ms;
    if (t->kind == MS_AS_OF_POSITION)
        return e->position <= t->position;
    return t->kind != MS_KNOWN_AT || e->recorded_at_ms <= t->time_ms;
}

static void check_page(const struct fixture *f, const struct ms_all_read *read,
                       const struct event_log *got, size_t before,
                       const struct ms_all_read_result *result) {
    /* What was passed without being delivered must not match. */
    (void)f;
    assert_true(got->count - before <= read->limit);
    if (!result->at_end && read->scan_max == 0)
        assert_int_equal(got->count - before, read->limit);
}

static bool naive_wanted(const struct ms_all_read *read, const struct seen_event *e) {
    bool side = read->from_end
                    ? read->backward
                    : (read->backward ? e->position <= read->from : e->position >= read->from);
    return side && naive_match(&read->filter, e) && naive_in_time(&read->travel, e);
}

/* Reads page by page to the end and compares. */
static void compare(struct fixture *f, struct ms_all_read read, const char *what) {
    struct event_log got = {0};
    struct ms_all_read original = read;
    struct ms_all_read_result result = {0};
    unsigned pages = 0;
    do {
        size_t before = got.count;
        int rc = ms_store_read_all(f->w.store, &read, event_log_take, &got, &result, &f->w.error);
        if (rc != 0)
            fail_msg("%s: %s", what, f->w.error.message);
        check_page(f, &read, &got, before, &result);
        read.from = result.next;
        read.from_end = false;
        if (++pages > 5000)
            fail_msg("%s: reading never ends (from %llu)", what, (unsigned long long)read.from);
    } while (!result.at_end);
    size_t at = 0;
    for (size_t i = 0; i < f->all.count; i++) {
        const struct seen_event *e = &f->all.events[read.backward ? f->all.count - 1 - i : i];
        if (!naive_wanted(&original, e))
            continue;
        if (at >= got.count)
            fail_msg("%s: position %llu is missing at the end", what,
                     (unsigned long long)e->position);
        if (!seen_event_equal(&got.events[at], e))
            fail_msg("%s: %llu instead of %llu", what, (unsigned long long)got.events[at].position,
                     (unsigned long long)e->position);
        at++;
    }
    if (at != got.count)
        fail_msg("%s: position %llu is too much", what,
                 (unsigned long long)got.events[at].position);
    event_log_clear(&got);
}

static const struct ms_bytes type_list[] = {
    {(const uint8_t *)"created", 7}, {(const uint8_t *)"closed", 6}, {(const uint8_t *)"never", 5}};
static const struct ms_bytes tag_list[] = {
    {(const uint8_t *)"red", 3}, {(const uint8_t *)"blue", 4}, {(const uint8_t *)"never", 5}};

#define TEXT(t)                                                                                    \
    { (const uint8_t *)(t), sizeof(t) - 1 }

static const struct ms_bytes topic_list[] = {TEXT("order"), TEXT("other"), TEXT("$streams"),
                                             TEXT("$metadata"), TEXT("nothing")};

static const struct {
    const char *name;
    struct ms_filter filter;
} filters[] = {
    {"none", {.include_system = false}},
    {"system", {.include_system = true}},
    {"topic", {.topics = topic_list + 0, .topic_count = 1}},
    {"topic $streams", {.topics = topic_list + 2, .topic_count = 1}},
    {"topic $metadata", {.topics = topic_list + 3, .topic_count = 1, .include_system = true}},
    {"topic $metadata hidden", {.topics = topic_list + 3, .topic_count = 1}},
    {"topic none", {.topics = topic_list + 4, .topic_count = 1}},
    {"compressed topic", {.topics = topic_list + 1, .topic_count = 1}},
    {"two topics", {.topics = topic_list, .topic_count = 2}},
    {"three topics, one of them none", {.topics = topic_list + 2, .topic_count = 3}},
    {"two topics and a type",
     {.topics = topic_list + 1, .topic_count = 2, .types = type_list, .type_count = 2}},
    {"prefix", {.stream_prefix = TEXT("order-1")}},
    {"prefix without topic", {.stream_prefix = TEXT("ord")}},
    {"prefix of all", {.stream_prefix = TEXT("")}},
    {"prefix none", {.stream_prefix = TEXT("nothing-1")}},
    {"one type", {.types = type_list, .type_count = 1}},
    {"two types", {.types = type_list, .type_count = 2}},
    {"no such type", {.types = type_list + 2, .type_count = 1}},
    {"tag", {.tags = tag_list, .tag_count = 1}},
    {"two tags", {.tags = tag_list, .tag_count = 2}},
    {"no such tag", {.tags = tag_list + 1, .tag_count = 2}},
    {"type and tag", {.types = type_list, .type_count = 2, .tags = tag_list, .tag_count = 1}},
    {"topic and type",
     {.topics = topic_list + 0, .topic_count = 1, .types = type_list, .type_count = 1}},
    {"topic and prefix",
     {.topics = topic_list + 0, .topic_count = 1, .stream_prefix = TEXT("order-2")}},
    {"topic against prefix",
     {.topics = topic_list + 1, .topic_count = 1, .stream_prefix = TEXT("order-2")}},
    {"all of it",
     {.topics = topic_list + 0,
      .topic_count = 1,
      .stream_prefix = TEXT("order-1"),
      .types = type_list,
      .type_count = 2,
      .tags = tag_list,
      .tag_count = 1}},
    {"correlation", {.correlation_id = TEXT("c1")}},
    {"correlation to an event's id", {.correlation_id = TEXT("e50")}},
    {"correlation and topic",
     {.correlation_id = TEXT("c1"), .topics = topic_list + 0, .topic_count = 1}},
    {"no such correlation", {.correlation_id = TEXT("never")}},
};

static void every_filter(struct fixture *f, const struct ms_time_travel *travel, uint64_t from,
                         const char *when) {
    static const size_t limits[] = {1, 3, 7, 100000};
    size_t number = 0, step = (size_t)world_setting("MS_FILTER_STEP", 1);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        for (int way = 0; way < 4; way++)
            for (size_t l = 0; l < 4; l += 1 + (from > 0)) {
                char what[128];
                if (number++ % step != 0)
                    continue;
                struct ms_all_read read = {.backward = way & 1,
                                           .from_end = way == 3,
                                           .from = from,
                                           .limit = limits[l],
                                           .travel = *travel,
                                           .filter = filters[i].filter,
                                           .scan_max = way == 2 ? 5 : 0};
                snprintf(what, sizeof what, "%s, filter %s, way %d, limit %zu, from %llu", when,
                         filters[i].name, way, limits[l], (unsigned long long)from);
                compare(f, read, what);
            }
}

static void every_filter_from_every_side(void **state) {
    struct fixture *f = *state;
    const struct ms_time_travel now = {.kind = MS_AS_OF_NOW};
    read_all_events(f);
    uint64_t end = ms_store_end(f->w.store);
    for (int pass = 0; pass < 2; pass++) {
        every_filter(f, &now, 0, "now");
        every_filter(f, &now, end / 2, "now");
        store_world_reopen(&f->w);
    }
    every_filter(f, &now, end - 1, "now");
    every_filter(f, &now, end + 10, "now");
}

static void every_filter_back_in_time(void **state) {
    struct fixture *f = *state;
    read_all_events(f);
    uint64_t end = ms_store_end(f->w.store);
    const struct ms_time_travel travels[] = {
        {.kind = MS_AS_OF_TIME, .time_ms = WORLD_START_US / 1000 + 100000},
        {.kind = MS_AS_OF_TIME, .time_ms = 0},
        {.kind = MS_AS_OF_POSITION, .position = end / 3},
        {.kind = MS_AS_OF_POSITION, .position = 0},
        {.kind = MS_AS_OF_POSITION, .position = end + 5},
        {.kind = MS_KNOWN_AT, .time_ms = WORLD_START_US / 1000 + 90000},
        {.kind = MS_KNOWN_AT, .time_ms = 0},
    };
    for (size_t i = 0; i < sizeof travels / sizeof travels[0]; i++) {
        char when[32];
        snprintf(when, sizeof when, "travel %zu", i);
        every_filter(f, &travels[i], 0, when);
        every_filter(f, &travels[i], end / 2, when);
    }
}

/* A page may end inside an append: the next one begins there, whatever the filter. */
static void pages_may_begin_anywhere(void **state) {
    struct fixture *f = *state;
    read_all_events(f);
    uint64_t end = ms_store_end(f->w.store);
    for (uint64_t from = 0; from < end; from += 5)
        for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i += 2)
            for (int backward = 0; backward < 2; backward++) {
                struct ms_all_read read = {
                    .backward = backward, .from = from, .limit = 4, .filter = filters[i].filter};
                struct ms_all_read_result result;
                struct event_log got = {0};
                size_t at = 0;
                assert_int_equal(
                    ms_store_read_all(f->w.store, &read, event_log_take, &got, &result, NULL), 0);
                for (size_t k = 0; k < f->all.count && at < got.count; k++) {
                    const struct seen_event *e =
                        &f->all.events[backward ? f->all.count - 1 - k : k];
                    if (!naive_wanted(&read, e))
                        continue;
                    if (got.events[at].position != e->position)
                        fail_msg("filter %s from %llu: %llu instead of %llu", filters[i].name,
                                 (unsigned long long)from,
                                 (unsigned long long)got.events[at].position,
                                 (unsigned long long)e->position);
                    at++;
                }
                assert_int_equal(at, got.count);
                event_log_clear(&got);
            }
}

static void visitors_may_stop_and_fail(void **state) {
    struct fixture *f = *state;
    read_all_events(f);
    for (int backward = 0; backward < 2; backward++) {
        struct event_log got = {.stop_at = 5}, failed = {.fail_at = 3};
        struct ms_all_read read = {.backward = backward, .from_end = backward, .limit = 100};
        struct ms_all_read_result result = {.next = 77};
        assert_int_equal(ms_store_read_all(f->w.store, &read, event_log_take, &got, &result, NULL),
                         0);
        assert_int_equal(got.count, 5);
        assert_int_equal(result.next, got.events[4].position + (backward ? UINT64_MAX : 1));
        result.next = 77;
        assert_int_equal(
            ms_store_read_all(f->w.store, &read, event_log_take, &failed, &result, NULL),
            MS_ECANCELED);
        assert_int_equal(failed.count, 2);
        assert_int_equal(result.next, 77); /* untouched */
        event_log_clear(&got);
        event_log_clear(&failed);
    }
}

static void empty_pages(void **state) {
    struct fixture *f = *state;
    struct ms_all_read read = {.limit = 0};
    struct ms_all_read_result result;
    assert_int_equal(ms_store_read_all(f->w.store, &read, NULL, NULL, &result, NULL), 0);
    assert_false(result.at_end);
    read.from_end = true;
    assert_int_equal(ms_store_read_all(f->w.store, &read, NULL, NULL, &result, NULL), 0);
    assert_true(result.at_end);
    assert_int_equal(result.next, ms_store_end(f->w.store));
}

/* ---- one stream ---- */

static bool naive_stream_wanted(const struct ms_stream_read *read, const struct seen_event *e,
                                int64_t last) {
    if (!ms_bytes_equal_cstr(read->stream, e->stream) || !naive_in_time(&read->travel, e))
        return false;
    if (read->backward)
        return read->from_end || e->version <= read->from;
    return read->from_end ? e->version > last : e->version >= read->from;
}

static void compare_stream(struct fixture *f, struct ms_stream_read read, const char *what) {
    struct event_log got = {0};
    struct ms_stream_read original = read;
    struct ms_stream_read_result result;
    unsigned pages = 0;
    do {
        int rc =
            ms_store_read_stream(f->w.store, &read, event_log_take, &got, &result, &f->w.error);
        if (rc != 0)
            fail_msg("%s: %s", what, f->w.error.message);
        read.from = result.next;
        read.from_end = false;
        if (++pages > 5000)
            fail_msg("%s: reading never ends (from %lld)", what, (long long)read.from);
    } while (!result.at_end);
    size_t at = 0;
    for (size_t i = 0; i < f->all.count; i++) {
        const struct seen_event *e = &f->all.events[read.backward ? f->all.count - 1 - i : i];
        if (!naive_stream_wanted(&original, e, result.head))
            continue;
        if (at >= got.count || !seen_event_equal(&got.events[at], e))
            fail_msg("%s: version %lld is missing", what, (long long)e->version);
        at++;
    }
    if (at != got.count)
        fail_msg("%s: version %lld is too much", what, (long long)got.events[at].version);
    event_log_clear(&got);
}

static void streams_from_every_version_both_ways(void **state) {
    struct fixture *f = *state;
    read_all_events(f);
    uint64_t end = ms_store_end(f->w.store);
    const struct ms_time_travel travels[] = {
        {.kind = MS_AS_OF_NOW},
        {.kind = MS_AS_OF_TIME, .time_ms = WORLD_START_US / 1000 + 100000},
        {.kind = MS_AS_OF_POSITION, .position = end / 3},
        {.kind = MS_AS_OF_POSITION, .position = 2},
        {.kind = MS_KNOWN_AT, .time_ms = WORLD_START_US / 1000 + 90000},
    };
    for (size_t s = 0; s < 6; s++)
        for (size_t t = 0; t < 5; t++)
            for (int64_t from = -2; from < 80; from += from < 12 ? 1 : 13)
                for (int way = 0; way < 3; way++)
                    for (size_t limit = 1; limit < 100000; limit = limit * 7 + 1) {
                        char what[128];
                        struct ms_stream_read read = {.stream = ms_bytes_cstr(streams[s]),
                                                      .backward = way & 1,
                                                      .from_end =
                                                          way == 2 || (way == 1 && from == -2),
                                                      .from = from,
                                                      .limit = limit,
                                                      .travel = travels[t]};
                        snprintf(what, sizeof what, "%s, travel %zu, from %lld, way %d, limit %zu",
                                 streams[s], t, (long long)from, way, limit);
                        compare_stream(f, read, what);
                    }
}

static void streams_that_are_not_there(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {"order-999", "nothing-1", "nothing", "$$nothing-1"};
    for (size_t i = 0; i < 4; i++) {
        struct ms_stream_read_result result = store_stream(&f->w, names[i]);
        assert_int_equal(result.state, MS_STREAM_NONE);
        assert_int_equal(result.head, -1);
        assert_true(result.at_end);
        assert_string_equal(store_ids(&f->w, names[i], 0), "");
    }
    assert_string_equal(store_ids(&f->w, "", 0), "MS_EINVAL");
    assert_string_equal(store_ids(&f->w, "a\n", 0), "MS_EINVAL");
}

static void damage_in_the_log_is_an_error_of_reading(void **state) {
    struct fixture *f = *state;
    assert_int_equal(store_world_close(&f->w), 0);
    f->w.options.tail_cache_bytes = 0;
    assert_int_equal(store_world_open(&f->w), 0);
    const char *path = "data/shard-000/00000000000000000000.log";
    unsigned refused = 0;
    for (uint64_t offset = 300; offset < 400000; offset += 10 * MS_BLOCK_ALIGN) {
        struct event_log got = {0};
        struct ms_all_read read = {.limit = 100000};
        struct ms_all_read_result result;
        assert_int_equal(ms_vfs_sim_flip(f->w.world.sim, path, offset, 1), 0);
        int rc = ms_store_read_all(f->w.store, &read, event_log_take, &got, &result, NULL);
        assert_true(rc == 0 || rc == MS_ECORRUPT);
        refused += rc != 0;
        event_log_clear(&got);
        assert_int_equal(ms_vfs_sim_flip(f->w.world.sim, path, offset, 1), 0);
    }
    assert_true(refused > 0);
}

/* ---- while others append and delete ---- */

struct racing_reader {
    struct store_world *w;
    _Atomic bool stop;
    unsigned reads, wrong;
};

static int take_version(void *context, const struct ms_read_event *event) {
    *(int64_t *)context = event->place.version;
    return 0;
}

static void *read_newest(void *argument) {
    struct racing_reader *r = argument;
    struct ms_stream_read read = {
        .stream = MS_BYTES_LITERAL("order-1"), .backward = true, .from_end = true, .limit = 1};
    while (!atomic_load(&r->stop)) {
        struct ms_stream_read_result result;
        int64_t newest = -1;
        int rc = ms_store_read_stream(r->w->store, &read, take_version, &newest, &result, NULL);
        MS_ASSERT(rc == 0);
        r->reads++;
        r->wrong += newest != (result.state == MS_STREAM_LIVE ? result.head : -1);
    }
    return NULL;
}

/* The index has an append a moment before the log shows it; versions and rules are two lookups. */
static void newest_event_head_and_rules_are_of_one_moment(void **state) {
    (void)state;
    struct store_world w;
    pthread_t thread;
    store_world_init_real(&w);
    assert_int_equal(store_world_open(&w), 0);
    struct racing_reader reader = {.w = &w};
    assert_int_equal(pthread_create(&thread, NULL, read_newest, &reader), 0);
    unsigned rounds = (unsigned)world_setting("MS_THREAD_ROUNDS", 300);
    for (unsigned i = 0; i < rounds; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%u", i);
        assert_int_equal(store_append(&w, "order-1", ANY, id).code, 0);
        if (i % 4 == 3)
            assert_int_equal(store_delete(&w, "order-1", ANY, false).code, 0);
    }
    atomic_store(&reader.stop, true);
    pthread_join(thread, NULL);
    if (reader.wrong > 0)
        fail_msg("%u of %u reads", reader.wrong, reader.reads);
    store_world_deinit(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(every_filter_from_every_side),
        test(every_filter_back_in_time),
        test(pages_may_begin_anywhere),
        test(visitors_may_stop_and_fail),
        test(empty_pages),
        test(streams_from_every_version_both_ways),
        test(streams_that_are_not_there),
        test(damage_in_the_log_is_an_error_of_reading),
        cmocka_unit_test(newest_event_head_and_rules_are_of_one_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
