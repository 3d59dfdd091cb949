/* Topics: making, changing, deleting, listing; streams of a topic. */
#include "lib/library.h"

struct seen {
    struct mainstem_store *store;
    int calls, stop_at;
    struct mainstem_topic_info topic;
    struct mainstem_topic_settings settings;
    char name[64];
};

static int see_topic(void *context, const struct mainstem_topic_info *topic) {
    struct seen *seen = context;
    seen->calls++;
    seen->topic = *topic;
    seen->settings = *topic->settings;
    snprintf(seen->name, sizeof seen->name, "%.*s", (int)topic->name.size,
             (const char *)topic->name.data);
    return seen->calls == seen->stop_at ? 9 : 0;
}

static void settings_are_kept(void **state) {
    struct library *library = *state;
    struct mainstem_topic_settings settings = {
        .struct_size = sizeof settings,
        .partitions = 8,
        .retention_ms = 5000,
        .compact = 1,
        .compression = MAINSTEM_COMPRESSION_ZSTD,
        .require_source = 1,
        .retention_count = 9,
    };
    struct mainstem_event event = event_of("x", "{}");
    struct seen seen = {0};
    int created = 77;
    ASSERT_OK(mainstem_put_topic(library->store, "order", &settings, &created, &library->error));
    assert_int_equal(created, 1);
    library_reopen(library);
    ASSERT_OK(mainstem_get_topic(library->store, "order", see_topic, &seen, &library->error));
    assert_string_equal(seen.name, "order");
    assert_int_equal(seen.settings.partitions, 8);
    assert_int_equal(seen.settings.retention_ms, 5000);
    assert_int_equal(seen.settings.retention_bytes, 0);
    assert_int_equal(seen.settings.retention_count, 9);
    assert_int_equal(seen.settings.compact, 1);
    assert_int_equal(seen.settings.compression, MAINSTEM_COMPRESSION_ZSTD);
    assert_int_equal(strlen(seen.topic.id), 36);
    assert_false(seen.topic.system);
    assert_int_equal(
        mainstem_append(library->store, "order-1", MAINSTEM_ANY, &event, 1, NULL, &library->error),
        MAINSTEM_EINVAL);
    assert_message_has(&library->error, "source");
    settings.require_source = 0;
    ASSERT_OK(mainstem_put_topic(library->store, "order", &settings, &created, &library->error));
    assert_int_equal(created, 0);
    append_one(library, "order-1", "x", "{}");
}

static void malformed_settings_are_refused(void **state) {
    struct library *library = *state;
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    const struct mainstem_topic_settings wrong[] = {
        {.struct_size = sizeof wrong[0], .partitions = 5000},
        {.struct_size = sizeof wrong[0], .partitions = 70000},
        {.struct_size = sizeof wrong[0], .compression = 9},
        {.struct_size = sizeof wrong[0], .retention_ms = -1},
        {.struct_size = sizeof wrong[0], .retention_count = -1},
        {.struct_size = 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(mainstem_put_topic(store, "t", &wrong[i], NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_put_topic(store, NULL, NULL, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_put_topic(store, "a b", NULL, NULL, error), MAINSTEM_EINVAL);
    char long_name[MAINSTEM_TOPIC_NAME_BYTES_MAX + 2] = {0};
    memset(long_name, 'x', sizeof long_name - 1);
    assert_int_equal(mainstem_put_topic(store, long_name, NULL, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_put_topic(store, "$mine", NULL, NULL, error), MAINSTEM_ERESERVED);
    ASSERT_OK(mainstem_put_topic(store, "t", NULL, NULL, error));
    const struct mainstem_topic_settings fewer = {.struct_size = sizeof fewer, .partitions = 1};
    assert_int_equal(mainstem_put_topic(store, "t", &fewer, NULL, error), MAINSTEM_EINVAL);
}

static void a_deleted_topic_is_gone_with_its_streams(void **state) {
    struct library *library = *state;
    struct seen seen = {0};
    struct mainstem_stream_info info = {.struct_size = sizeof info};
    append_one(library, "a-1", "x", "{}");
    ASSERT_OK(mainstem_delete_topic(library->store, "a", &library->error));
    assert_int_equal(mainstem_get_topic(library->store, "a", see_topic, &seen, &library->error),
                     MAINSTEM_ENOTFOUND);
    ASSERT_OK(mainstem_stream_info(library->store, "a-1", &info, &library->error));
    assert_int_equal(info.state, MAINSTEM_STREAM_NONE);
    assert_int_equal(mainstem_delete_topic(library->store, "a", &library->error),
                     MAINSTEM_ENOTFOUND);
    assert_int_equal(mainstem_delete_topic(library->store, NULL, &library->error), MAINSTEM_EINVAL);
    assert_int_equal(append_one(library, "a-1", "x", "{}"), 0);
}

/* Visitors may call what they like, which the store's own lock would not allow. */
static int change_topic(void *context, const struct mainstem_topic_info *topic) {
    struct seen *seen = context;
    (void)topic;
    seen->calls++;
    return mainstem_put_topic(seen->store, "made-while-listing", NULL, NULL, NULL);
}

static void topics_are_listed(void **state) {
    struct library *library = *state;
    struct seen seen = {.store = library->store};
    append_one(library, "a-1", "x", "{}");
    append_one(library, "b-1", "x", "{}");
    ASSERT_OK(mainstem_list_topics(library->store, 0, see_topic, &seen, &library->error));
    assert_int_equal(seen.calls, 2);
    assert_string_equal(seen.name, "b");
    seen.calls = 0;
    ASSERT_OK(mainstem_list_topics(library->store, 1, see_topic, &seen, &library->error));
    assert_true(seen.calls > 2);
    seen = (struct seen){.store = library->store, .stop_at = 1};
    assert_int_equal(mainstem_list_topics(library->store, 0, see_topic, &seen, &library->error), 9);
    assert_int_equal(seen.calls, 1);
    seen.calls = 0;
    ASSERT_OK(mainstem_list_topics(library->store, 0, change_topic, &seen, &library->error));
    assert_int_equal(seen.calls, 2);
    assert_int_equal(mainstem_list_topics(library->store, 0, NULL, NULL, &library->error),
                     MAINSTEM_EINVAL);
    assert_int_equal(mainstem_get_topic(library->store, "a", NULL, NULL, &library->error),
                     MAINSTEM_EINVAL);
}

static void the_number_of_topics_is_limited(void **state) {
    struct library *library = *state;
    struct mainstem_options options = small_options();
    struct mainstem_event event = event_of("x", "{}");
    char stream[16];
    int code = 0, made = 0;
    options.topics_max = 10;
    ASSERT_OK(mainstem_close(library->store, &library->error));
    ASSERT_OK(mainstem_open(library->dir, &options, &library->store, &library->error));
    while (code == 0 && made <= 10) {
        snprintf(stream, sizeof stream, "t%d-1", made);
        code =
            mainstem_append(library->store, stream, MAINSTEM_ANY, &event, 1, NULL, &library->error);
        made += code == 0;
    }
    assert_int_equal(code, MAINSTEM_ELIMIT);
    assert_true(made > 0);
    assert_int_equal(mainstem_put_topic(library->store, "more", NULL, NULL, &library->error),
                     MAINSTEM_ELIMIT);
    append_one(library, "t0-2", "x", "{}"); /* those that are there go on */
}

struct streams {
    int calls, stop_at;
    uint64_t last;
    char names[10][16];
};

static int see_stream(void *context, struct mainstem_bytes stream, int64_t version,
                      uint64_t first_position) {
    struct streams *streams = context;
    assert_true(version >= 0);
    streams->last = first_position;
    snprintf(streams->names[streams->calls], 16, "%.*s", (int)stream.size,
             (const char *)stream.data);
    streams->calls++;
    return streams->calls == streams->stop_at ? 5 : 0;
}

static void streams_are_listed_page_by_page(void **state) {
    struct library *library = *state;
    struct streams streams = {0};
    char name[16];
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "a-%d", i);
        append_one(library, name, "x", "{}");
        append_one(library, "b-1", "x", "{}");
    }
    ASSERT_OK(
        mainstem_list_streams(library->store, "a", 0, 4, see_stream, &streams, &library->error));
    assert_int_equal(streams.calls, 4);
    ASSERT_OK(mainstem_list_streams(library->store, "a", streams.last + 1, 0, see_stream, &streams,
                                    &library->error));
    assert_int_equal(streams.calls, 6);
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "a-%d", i);
        assert_string_equal(streams.names[i], name);
    }
    streams = (struct streams){.stop_at = 2};
    assert_int_equal(
        mainstem_list_streams(library->store, "a", 0, 0, see_stream, &streams, &library->error), 5);
    assert_int_equal(streams.calls, 2);
    assert_int_equal(
        mainstem_list_streams(library->store, "z", 0, 0, see_stream, &streams, &library->error),
        MAINSTEM_ENOTFOUND);
    assert_int_equal(mainstem_list_streams(library->store, "a", 0, 0, NULL, NULL, &library->error),
                     MAINSTEM_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL_TEST(settings_are_kept),
        REAL_TEST(malformed_settings_are_refused),
        REAL_TEST(a_deleted_topic_is_gone_with_its_streams),
        REAL_TEST(topics_are_listed),
        REAL_TEST(the_number_of_topics_is_limited),
        REAL_TEST(streams_are_listed_page_by_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
