/* Topics: making, changing, deleting, listing, and what survives a start with and without its
 * index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

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
    *(struct ms_topic_info *)context = *info;
    return 0;
}

static int get(struct store_world *w, const char *name, struct ms_topic_info *ret_info) {
    return ms_store_get_topic(w->store, ms_bytes_cstr(name), take_info, ret_info, &w->error);
}

static int put(struct store_world *w, const char *name, struct ms_topic_settings settings,
               bool *ret_created) {
    return ms_store_put_topic(w->store, ms_bytes_cstr(name), &settings, ret_created, &w->error);
}

static struct ms_topic_settings unusual(void) {
    return (struct ms_topic_settings){.partitions = 7,
                                      .streams = true,
                                      .retention_ms = 86400000,
                                      .retention_bytes = 1 << 30,
                                      .retention_count = 1000000,
                                      .compact = true,
                                      .compression = MS_CODEC_ZSTD,
                                      .require_source = true,
                                      .require_correlation_id = false,
                                      .message_bytes_max = 5000,
                                      .log_append_time = true,
                                      .recompress = true,
                                      .retention_ignored = true,
                                      .compaction_lag_ms = 1000,
                                      .compaction_lag_max_ms = 60000,
                                      .delete_retention_ms = 3,
                                      .timestamp_before_ms = 4,
                                      .timestamp_after_ms = INT64_MAX - 1,
                                      .configs_set = (uint64_t)1 << 40 | 1,
                                      .configs_kept = {7, 0, -1, INT64_MAX}};
}

static void assert_settings(const struct ms_topic_settings *a, const struct ms_topic_settings *b) {
    assert_int_equal(a->partitions, b->partitions);
    assert_int_equal(a->streams, b->streams);
    assert_int_equal(a->retention_ms, b->retention_ms);
    assert_int_equal(a->retention_bytes, b->retention_bytes);
    assert_int_equal(a->retention_count, b->retention_count);
    assert_int_equal(a->timestamp_before_ms, b->timestamp_before_ms);
    assert_int_equal(a->timestamp_after_ms, b->timestamp_after_ms);
    assert_int_equal(a->compact, b->compact);
    assert_int_equal(a->compression, b->compression);
    assert_int_equal(a->require_source, b->require_source);
    assert_int_equal(a->require_correlation_id, b->require_correlation_id);
    assert_int_equal(a->message_bytes_max, b->message_bytes_max);
    assert_int_equal(a->log_append_time, b->log_append_time);
    assert_int_equal(a->recompress, b->recompress);
    assert_int_equal(a->retention_ignored, b->retention_ignored);
    assert_int_equal(a->compaction_lag_ms, b->compaction_lag_ms);
    assert_int_equal(a->compaction_lag_max_ms, b->compaction_lag_max_ms);
    assert_int_equal(a->delete_retention_ms, b->delete_retention_ms);
    assert_true(a->configs_set == b->configs_set);
    assert_memory_equal(a->configs_kept, b->configs_kept, sizeof a->configs_kept);
}

static void settings_survive(struct store_world *w) {
    struct ms_topic_info info, again;
    struct ms_topic_settings settings = unusual();
    bool created = false;
    assert_int_equal(put(w, "order", settings, &created), 0);
    assert_true(created);
    assert_int_equal(get(w, "order", &info), 0);
    assert_settings(&info.settings, &settings);
    settings.partitions = 9;
    settings.compact = false;
    settings.retention_ms = -1;
    assert_int_equal(put(w, "order", settings, &created), 0);
    assert_false(created);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(get(w, "order", &again), 0);
        assert_settings(&again.settings, &settings);
        assert_true(ms_uuid_equal(&again.id, &info.id));
        assert_int_equal(again.number, info.number);
        assert_int_equal(again.created_at_ms, info.created_at_ms);
        assert_int_equal(store_world_close(w), 0);
        if (i >= 1)
            store_world_drop_index(w);
        assert_int_equal(store_world_open(w), 0);
    }
}

static void settings_survive_a_start(void **state) { settings_survive(*state); }

static void settings_survive_a_start_with_and_without_index(void **state) {
    (void)state;
    struct store_world w;
    store_world_init_real(&w);
    assert_int_equal(store_world_open(&w), 0);
    settings_survive(&w);
    store_world_deinit(&w);
}

static void senseless_settings_are_refused(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings s = unusual();
    bool created;
    s.partitions = 0;
    assert_int_equal(put(w, "a", s, &created), MS_EINVAL);
    s.partitions = 1025;
    assert_int_equal(put(w, "a", s, &created), MS_EINVAL);
    s.partitions = 1024;
    assert_int_equal(put(w, "a", s, &created), 0);
    s.partitions = 1023;
    assert_int_equal(put(w, "a", s, &created), MS_EINVAL);
    s = unusual();
    s.retention_ms = -2;
    assert_int_equal(put(w, "b", s, &created), MS_EINVAL);
    s = unusual();
    s.retention_bytes = -2;
    assert_int_equal(put(w, "b", s, &created), MS_EINVAL);
    s = unusual();
    s.retention_count = -2;
    assert_int_equal(put(w, "b", s, &created), MS_EINVAL);
    s = unusual();
    s.compression = (enum ms_codec)9;
    assert_int_equal(put(w, "b", s, &created), MS_EINVAL);
    s = unusual();
    assert_int_equal(put(w, "", s, &created), MS_EINVAL);
    assert_int_equal(put(w, "a b", s, &created), MS_EINVAL);
    assert_int_equal(put(w, "$a", s, &created), MS_ERESERVED);
    assert_int_equal(put(w, "$$a", s, &created), MS_EINVAL);
    assert_int_equal(put(w, "_schemas", s, &created), MS_ERESERVED);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("$streams"), NULL),
                     MS_ERESERVED);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("none"), NULL), MS_ENOTFOUND);
    store_world_reopen(w);
}

static void topic_made_anew_is_another_topic(void **state) {
    struct store_world *w = *state;
    struct ms_topic_info old, new;
    bool created;
    assert_int_equal(store_append(w, "order-1", ANY, "a b").code, 0);
    assert_int_equal(store_append(w, "other-1", ANY, "x").code, 0);
    assert_int_equal(get(w, "order", &old), 0);
    assert_int_equal(old.events, 2);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("order"), NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct event_log all = {0};
        char ids[64];
        assert_int_equal(get(w, "order", &new), MS_ENOTFOUND);
        assert_string_equal(store_ids(w, "order-1", 0), "");
        assert_int_equal(store_stream(w, "order-1").state, MS_STREAM_NONE);
        store_read_everything(w, false, &all);
        assert_string_equal(event_log_ids(&all, ids, sizeof ids), "x");
        event_log_clear(&all);
        store_world_reopen(w);
    }
    assert_int_equal(put(w, "order", ms_topic_settings_default(w->store), &created), 0);
    assert_true(created);
    assert_int_equal(store_append(w, "order-1", NONE, "a").parts[0].version, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get(w, "order", &new), 0);
        assert_true(new.number > old.number);
        assert_false(ms_uuid_equal(&new.id, &old.id));
        assert_int_equal(new.events, 1);
        assert_string_equal(store_ids(w, "order-1", 0), "a");
        store_world_reopen(w);
    }
}

static void appends_make_topics_up_to_the_limit(void **state) {
    struct store_world *w = *state;
    char name[32];
    assert_int_equal(store_world_close(w), 0);
    w->options.topics_max = 3;
    assert_int_equal(store_world_open(w), 0);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "t%d-1", i);
        assert_int_equal(store_append(w, name, ANY, "a").code, 0);
    }
    struct store_answer answer = store_append(w, "t3-1", ANY, "a");
    assert_int_equal(answer.refused, MS_ELIMIT);
    assert_int_equal(store_append(w, "t0-2", ANY, "a").code, 0);
    assert_int_equal(store_append(w, "notopic", ANY, "a").code, 0);
    assert_int_equal(store_put_metadata(w, "t0-2", ANY, "{}").code, 0);
    bool created;
    assert_int_equal(put(w, "t4", ms_topic_settings_default(w->store), &created), MS_ELIMIT);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("t1"), NULL), 0);
    assert_int_equal(store_append(w, "t3-1", ANY, "a").code, 0);
}

static void required_fields_are_required(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings s = ms_topic_settings_default(w->store);
    struct ms_event event = {
        .type = MS_BYTES_LITERAL("t"), .timestamp_ms = 1, .data = MS_BYTES_LITERAL("1")};
    struct ms_append_part part = {MS_BYTES_LITERAL("order-1"), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    bool created;
    s.require_source = s.require_correlation_id = true;
    assert_int_equal(put(w, "order", s, &created), 0);
    assert_int_equal(store_request(w, &request).refused, MS_EINVAL);
    event.source = MS_BYTES_LITERAL("here");
    assert_int_equal(store_request(w, &request).refused, MS_EINVAL);
    event.correlation_id = MS_BYTES_LITERAL("c");
    assert_int_equal(store_request(w, &request).code, 0);
}

/* A compressed topic: refused appends must not leave anything behind either. */
static void compressed_topics_read_as_others(void **state) {
    struct store_world *w = *state;
    static const enum ms_codec codecs[] = {MS_CODEC_GZIP, MS_CODEC_SNAPPY, MS_CODEC_LZ4,
                                           MS_CODEC_ZSTD};
    char topic[16], stream[32];
    for (size_t i = 0; i < 4; i++) {
        struct ms_topic_settings s = ms_topic_settings_default(w->store);
        bool created;
        s.compression = codecs[i];
        snprintf(topic, sizeof topic, "c%zu", i);
        snprintf(stream, sizeof stream, "c%zu-1", i);
        assert_int_equal(put(w, topic, s, &created), 0);
        assert_int_equal(store_append(w, stream, ANY, "a b c").code, 0);
        struct ms_event events[2] = {
            {.type = MS_BYTES_LITERAL("t"), .timestamp_ms = 1, .data = MS_BYTES_LITERAL("1")},
            {.timestamp_ms = 1, .data = MS_BYTES_LITERAL("1")}};
        struct ms_append_part part = {ms_bytes_cstr(stream), ANY, events, 2};
        struct ms_append_request request = {.parts = &part, .part_count = 1};
        assert_int_equal(store_request(w, &request).refused, MS_EINVAL);
        assert_string_equal(store_ids(w, stream, 0), "a b c");
        assert_true(store_append(w, stream, NONE, "a b c").repeated);
    }
    store_world_reopen(w);
    assert_string_equal(store_ids(w, "c3-1", 1), "b c");
}

static int collect(void *context, const struct ms_topic_info *info) {
    char *out = context;
    size_t at = strlen(out);
    snprintf(out + at, 512 - at, "%.*s ", (int)info->name.len, info->name.data);
    return 0;
}

static void topics_are_listed(void **state) {
    struct store_world *w = *state;
    char names[512] = "";
    assert_int_equal(store_append(w, "b-1", ANY, "a").code, 0);
    assert_int_equal(store_append(w, "a-1", ANY, "a").code, 0);
    assert_int_equal(store_append(w, "c-1", ANY, "a").code, 0);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("a"), NULL), 0);
    for (int i = 0; i < 2; i++) {
        names[0] = 0;
        assert_int_equal(ms_store_list_topics(w->store, false, collect, names, NULL), 0);
        assert_string_equal(names, "b c ");
        names[0] = 0;
        assert_int_equal(ms_store_list_topics(w->store, true, collect, names, NULL), 0);
        assert_non_null(strstr(names, "$topics"));
        store_world_reopen(w);
    }
}

static void failed_topic_changes_are_told(void **state) {
    struct store_world *w = *state;
    bool created;
    ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_WRITE, 1, MS_EIO, false);
    assert_int_equal(put(w, "order", ms_topic_settings_default(w->store), &created), MS_EUNKNOWN);
    assert_int_equal(put(w, "other", ms_topic_settings_default(w->store), &created), MS_ECLOSED);
    assert_int_equal(store_world_close(w), MS_EIO);
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(put(w, "order", ms_topic_settings_default(w->store), &created), 0);
}

static int ignore_topic(void *context, const struct ms_topic_info *info) {
    (void)context;
    (void)info;
    return 0;
}

/* Many names, so that they stand in each other's places in the table. */
static void deleted_topics_are_gone_and_the_others_stay(void **state) {
    struct store_world *w = *state;
    char name[16];
    bool created;
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(put(w, name, ms_topic_settings_default(w->store), &created), 0);
    }
    for (int i = 0; i < 150; i += 3) {
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(ms_store_delete_topic(w->store, ms_bytes_cstr(name), &w->error), 0);
        for (int k = 0; k < 150; k++) {
            snprintf(name, sizeof name, "t%d", k);
            int rc =
                ms_store_get_topic(w->store, ms_bytes_cstr(name), ignore_topic, NULL, &w->error);
            assert_int_equal(rc, k % 3 == 0 && k <= i ? MS_ENOTFOUND : 0);
        }
    }
}

/* ---- streams of a topic ---- */

struct listing {
    char text[4096];
    size_t stop_after, count;
};

static int take_stream(void *context, struct ms_bytes stream, int64_t head,
                       uint64_t first_position) {
    struct listing *l = context;
    size_t at = strlen(l->text);
    (void)first_position;
    snprintf(l->text + at, sizeof l->text - at, "%.*s@%lld ", (int)stream.len, stream.data,
             (long long)head);
    return ++l->count == l->stop_after ? 1 : 0;
}

static const char *list(struct store_world *w, const char *topic, size_t page) {
    static struct listing l;
    uint64_t next = 0;
    bool at_end = false;
    l = (struct listing){0};
    while (!at_end) {
        size_t before = l.count;
        int rc = ms_store_list_streams(w->store, ms_bytes_cstr(topic), next, page, take_stream, &l,
                                       &next, &at_end, &w->error);
        if (rc != 0)
            return ms_error_name(rc);
        assert_true(at_end || l.count == before + page);
    }
    return l.text;
}

static void streams_are_listed_in_the_order_of_their_first_event(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-b", ANY, "1").code, 0);
    assert_int_equal(store_append(w, "o-a", ANY, "1 2 3").code, 0);
    assert_int_equal(store_append(w, "p-x", ANY, "1").code, 0);
    assert_int_equal(store_append(w, "o-b", ANY, "2").code, 0);
    assert_int_equal(store_append(w, "o-gone", ANY, "1").code, 0);
    assert_int_equal(store_append(w, "o-dead", ANY, "1").code, 0);
    assert_int_equal(store_append(w, "o-c%25", ANY, "1").code, 0);
    assert_int_equal(store_append(w, "o-back", ANY, "1").code, 0);
    assert_int_equal(store_delete(w, "o-gone", ANY, false).code, 0);
    assert_int_equal(store_delete(w, "o-back", ANY, false).code, 0);
    assert_int_equal(store_append(w, "o-back", ANY, "2").code, 0);
    assert_int_equal(store_delete(w, "o-dead", ANY, true).code, 0);
    for (int i = 0; i < 2; i++) {
        for (size_t page = 1; page < 8; page++)
            assert_string_equal(list(w, "o", page), "o-b@1 o-a@2 o-c%25@0 o-back@1 ");
        assert_string_equal(list(w, "none", 3), "MS_ENOTFOUND");
        store_world_reopen(w);
    }
}

static void many_streams_are_listed_in_pages(void **state) {
    struct store_world *w = *state;
    char name[32], wanted[4096] = "";
    for (int i = 0; i < 300; i++) { /* more appends than the index gives at once */
        snprintf(name, sizeof name, "o-%d", i % 150);
        assert_int_equal(store_append(w, name, ANY, i < 150 ? "a" : "b").code, 0);
    }
    for (int i = 0; i < 150; i++) {
        size_t at = strlen(wanted);
        snprintf(wanted + at, sizeof wanted - at, "o-%d@1 ", i);
    }
    assert_string_equal(list(w, "o", 7), wanted);
    assert_string_equal(list(w, "o", 1000), wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(settings_survive_a_start),
        cmocka_unit_test(settings_survive_a_start_with_and_without_index),
        test(senseless_settings_are_refused),
        test(topic_made_anew_is_another_topic),
        test(appends_make_topics_up_to_the_limit),
        test(required_fields_are_required),
        test(compressed_topics_read_as_others),
        test(topics_are_listed),
        test(failed_topic_changes_are_told),
        test(deleted_topics_are_gone_and_the_others_stay),
        test(streams_are_listed_in_the_order_of_their_first_event),
        test(many_streams_are_listed_in_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
