/* Opening, closing, state, and the store that has stopped. */
#include "lib/library.h"

#include <unistd.h>

#include "base/alloc.h"

static void opening_makes_a_directory_and_finds_it_again(void **state) {
    struct library *library = *state;
    assert_int_equal(append_one(library, "order-1", "order.created", "{}"), 0);
    library_reopen(library);
    assert_int_equal(append_one(library, "order-1", "order.paid", "{}"), 1);
}

static void opening_refuses_what_is_wrong(void **state) {
    struct library *library = *state;
    struct mainstem_store *store = NULL;
    struct mainstem_options options = small_options();
    assert_int_equal(mainstem_open(NULL, NULL, &store, &library->error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_open("", NULL, &store, &library->error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_open("x", NULL, NULL, NULL), MAINSTEM_EINVAL);
    options.durability = 2;
    assert_int_equal(mainstem_open("x", &options, &store, &library->error), MAINSTEM_EINVAL);
    assert_message_has(&library->error, "durability");
    options = small_options();
    options.topic_partitions = 70000;
    assert_int_equal(mainstem_open("x", &options, &store, &library->error), MAINSTEM_EINVAL);
    options = small_options();
    options.segment_bytes = 5000;
    assert_int_equal(mainstem_open("x", &options, &store, &library->error), MAINSTEM_EINVAL);
    options = small_options();
    options.head_cache_entries = 5;
    assert_int_equal(mainstem_open("x", &options, &store, &library->error), MAINSTEM_EINVAL);
    const uint64_t limits[][4] = {{1023, 0, 0, 0},    {(256u << 20) + 1, 0, 0, 0},
                                  {0, 1023, 0, 0},    {0, (512u << 20) + 1, 0, 0},
                                  {0, 0, 1000001, 0}, {0, 0, 0, 35},
                                  {0, 0, 0, 4097}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        options = small_options();
        options.event_bytes_max = limits[i][0];
        options.append_bytes_max = limits[i][1];
        options.append_events_max = (uint32_t)limits[i][2];
        options.name_bytes_max = (uint32_t)limits[i][3];
        assert_int_equal(mainstem_open("x", &options, &store, &library->error), MAINSTEM_EINVAL);
        assert_message_has(&library->error, "_max is ");
    }
    assert_null(store);
    assert_int_equal(access("x", F_OK), -1); /* nothing was made */
}

static void a_second_opener_is_locked_out(void **state) {
    struct library *library = *state;
    struct mainstem_store *store;
    assert_int_equal(mainstem_open(library->dir, NULL, &store, &library->error), MAINSTEM_ELOCKED);
    assert_int_equal(library->error.code, MAINSTEM_ELOCKED);
    assert_message_has(&library->error, library->dir);
}

static void a_reader_sees_and_does_not_write(void **state) {
    struct library *library = *state;
    struct mainstem_options options = {.struct_size = sizeof options, .read_only = 1};
    struct mainstem_store *reader;
    struct mainstem_event event = event_of("order.paid", "{}");
    struct mainstem_stream_info info = {.struct_size = sizeof info};
    append_one(library, "order-1", "order.created", "{}");
    ASSERT_OK(mainstem_close(library->store, &library->error));
    ASSERT_OK(mainstem_open(library->dir, &options, &reader, &library->error));
    ASSERT_OK(mainstem_stream_info(reader, "order-1", &info, &library->error));
    assert_int_equal(info.version, 0);
    assert_int_equal(
        mainstem_append(reader, "order-1", MAINSTEM_ANY, &event, 1, NULL, &library->error),
        MAINSTEM_ECLOSED);
    assert_message_has(&library->error, "reading");
    ASSERT_OK(mainstem_close(reader, &library->error));
    library_open(library);
}

static void a_reader_of_nothing_is_told_so(void **state) {
    struct library *library = *state;
    struct mainstem_options options = {.struct_size = sizeof options, .read_only = 1};
    struct mainstem_store *reader;
    char path[MS_PATH_MAX];
    assert_int_equal(ms_path_join(path, library->dir, "missing"), 0);
    assert_int_equal(mainstem_open(path, &options, &reader, &library->error), MAINSTEM_ENOTFOUND);
}

static void older_and_newer_option_structs_are_understood(void **state) {
    struct library *library = *state;
    struct {
        struct mainstem_options options;
        uint64_t newer;
    } larger = {.options = small_options()};
    /* Older: only the first fields are looked at; what lies behind is somebody else's memory. */
    struct mainstem_options older = small_options();
    memset((uint8_t *)&older + 8, 0xff, sizeof older - 8);
    older.struct_size = 8;
    ASSERT_OK(mainstem_close(library->store, &library->error));
    ASSERT_OK(mainstem_open(library->dir, &older, &library->store, &library->error));
    ASSERT_OK(mainstem_close(library->store, &library->error));
    larger.options.struct_size = sizeof larger;
    ASSERT_OK(mainstem_open(library->dir, &larger.options, &library->store, &library->error));
    ASSERT_OK(mainstem_close(library->store, &library->error));
    larger.newer = 1;
    assert_int_equal(mainstem_open(library->dir, &larger.options, &library->store, &library->error),
                     MAINSTEM_EUNSUPPORTED);
    older.struct_size = 0;
    assert_int_equal(mainstem_open(library->dir, &older, &library->store, &library->error),
                     MAINSTEM_EINVAL);
    assert_message_has(&library->error, "struct_size");
    library_open(library);
}

static void info_tells_the_state(void **state) {
    struct library *library = *state;
    struct mainstem_info info = {.struct_size = sizeof info};
    append_one(library, "order-1", "order.created", "{}");
    ASSERT_OK(mainstem_info(library->store, &info, &library->error));
    assert_true(info.end >= 1); /* the topic's creation is an event too */
    assert_int_equal(strlen(info.uuid), 36);
    assert_true(info.segments >= 1);
    assert_false(info.failed);
    assert_int_equal(info.struct_size, sizeof info);
    /* A smaller struct gets no more than it has. */
    struct mainstem_info small = {.struct_size = 8, .refusing_appends = 77};
    ASSERT_OK(mainstem_info(library->store, &small, &library->error));
    assert_int_equal(small.refusing_appends, 77);
    small.struct_size = 0;
    assert_int_equal(mainstem_info(library->store, &small, &library->error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_info(library->store, NULL, NULL), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_info(NULL, &info, NULL), MAINSTEM_EINVAL);
}

static void metrics_are_text(void **state) {
    struct library *library = *state;
    char *text;
    append_one(library, "order-1", "order.created", "{}");
    ASSERT_OK(mainstem_metrics(library->store, &text, &library->error));
    assert_non_null(strstr(text, "mainstem_store_appends_total"));
    mainstem_free(text);
    mainstem_free(NULL);
    assert_int_equal(mainstem_metrics(library->store, NULL, NULL), MAINSTEM_EINVAL);
}

static void closing_nothing_is_fine(void **state) {
    (void)state;
    ASSERT_OK(mainstem_close(NULL, NULL));
}

static void codes_have_texts(void **state) {
    (void)state;
    assert_string_equal(mainstem_strerror(0), "success");
    for (int code = -1; code >= -35; code--)
        assert_string_not_equal(mainstem_strerror(code), "unknown error");
    assert_string_equal(mainstem_strerror(-36), "unknown error");
    assert_string_equal(mainstem_strerror(5), "unknown error");
    assert_string_equal(mainstem_version(), MS_VERSION);
}

static void opening_survives_every_failed_allocation(void **state) {
    struct library *library = *state;
    struct mainstem_options options = small_options();
    bool failed = true;
    ASSERT_OK(mainstem_close(library->store, &library->error));
    for (uint64_t n = 1; failed; n++) {
        library->store = NULL;
        ms_alloc_fail_nth(n);
        int code = ms_lib_open("/data", &options, &library->env, &library->store, &library->error);
        failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        assert_true(code == 0 || (failed && code == MAINSTEM_ENOMEM));
        if (code == 0 && failed) /* a thread of the store met it, and lived */
            ASSERT_OK(mainstem_close(library->store, &library->error));
    }
    append_one(library, "order-1", "order.created", "{}");
}

/* ---- the store that has stopped ---- */

struct failure {
    _Atomic(int) calls;
    struct mainstem_error error;
};

static void note_failure(void *context, const struct mainstem_error *error) {
    struct failure *failure = context;
    failure->error = *error;
    failure->calls++;
}

static void wait_for_failure(struct failure *failure) {
    for (int i = 0; i < 5000 && failure->calls == 0; i++)
        ms_clock_sleep_us(ms_clock_system(), 1000);
    assert_int_equal(failure->calls, 1);
}

static int ignore_event(void *context, const struct mainstem_recorded_event *event) {
    (void)context;
    (void)event;
    return 0;
}
static int ignore_topic(void *context, const struct mainstem_topic_info *topic) {
    (void)context;
    (void)topic;
    return 0;
}
static int ignore_stream(void *context, struct mainstem_bytes stream, int64_t version,
                         uint64_t position) {
    (void)context, (void)stream, (void)version, (void)position;
    return 0;
}
static int apply_nothing(void *state, const struct mainstem_recorded_event *event) {
    (void)state;
    (void)event;
    return 0;
}

static void assert_closed_for_reading(struct library *library) {
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    struct mainstem_stream_info stream_info = {.struct_size = sizeof stream_info};
    struct mainstem_iterator *iterator;
    char *json;
    int64_t version;
    assert_int_equal(mainstem_stream_info(store, "a-1", &stream_info, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_get_metadata(store, "a-1", &json, &version, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_get_snapshot(store, "a-1", ignore_event, NULL, &version, error),
                     MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_read_stream(store, "a-1", NULL, &iterator, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_read_all(store, NULL, &iterator, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_get_topic(store, "a", ignore_topic, NULL, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_list_topics(store, 0, ignore_topic, NULL, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_list_streams(store, "a", 0, 0, ignore_stream, NULL, error),
                     MAINSTEM_ECLOSED);
}

static void assert_closed_for_writing(struct library *library) {
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    struct mainstem_event event = event_of("x", "{}");
    struct mainstem_part part = {"a-1", MAINSTEM_ANY, &event, 1};
    struct mainstem_append_request request = {
        .struct_size = sizeof request, .parts = &part, .part_count = 1};
    struct mainstem_subscription_options subscribe = {.struct_size = sizeof subscribe,
                                                      .on_event = ignore_event};
    struct mainstem_subscription *subscription;
    struct mainstem_aggregate_type type = {
        .struct_size = sizeof type, .topic = "a", .state_size = 1, .apply = apply_nothing};
    struct mainstem_repository *repository;
    assert_int_equal(mainstem_append(store, "a-1", MAINSTEM_ANY, &event, 1, NULL, error),
                     MAINSTEM_ECLOSED);
    assert_message_has(error, "has stopped");
    assert_int_equal(
        mainstem_append_async(store, "a-1", MAINSTEM_ANY, &event, 1, NULL, NULL, error),
        MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_append_multi(store, &request, NULL, NULL, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_append_multi_async(store, &request, NULL, NULL, error),
                     MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_delete_stream(store, "a-1", MAINSTEM_ANY, 0, error),
                     MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_put_metadata(store, "a-1", MAINSTEM_ANY, mainstem_text("{}"), error),
                     MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_put_snapshot(store, "a-1", 0, &event, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_put_topic(store, "b", NULL, NULL, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_delete_topic(store, "a", error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_subscribe(store, &subscribe, &subscription, error), MAINSTEM_ECLOSED);
    assert_int_equal(mainstem_repository_new(store, &type, &repository, error), MAINSTEM_ECLOSED);
}

static void a_failed_write_stops_the_store_and_not_the_host(void **state) {
    struct library *library = *state;
    struct failure failure = {0};
    struct mainstem_options options = small_options();
    options.on_failure = note_failure;
    options.context = &failure;
    ASSERT_OK(mainstem_close(library->store, &library->error));
    ASSERT_OK(ms_lib_open("/data", &options, &library->env, &library->store, &library->error));
    append_one(library, "a-1", "x", "{}");
    struct mainstem_iterator *iterator;
    const struct mainstem_recorded_event *event;
    ASSERT_OK(mainstem_read_all(library->store, NULL, &iterator, &library->error));

    ms_vfs_sim_fail_nth(library->sim, MS_SIM_WRITE, 1, MS_EIO, true);
    ms_vfs_sim_fail_nth(library->sim, MS_SIM_SYNC, 1, MS_EIO, true);
    struct mainstem_event lost = event_of("x", "{}");
    assert_int_equal(
        mainstem_append(library->store, "a-1", MAINSTEM_ANY, &lost, 1, NULL, &library->error),
        MAINSTEM_EUNKNOWN);
    wait_for_failure(
        &failure); /* the thread that found out may be another than the one answering */
    assert_int_equal(failure.error.code, MAINSTEM_EIO);
    assert_closed_for_writing(library);
    assert_closed_for_reading(library);
    assert_int_equal(mainstem_iterator_next(iterator, &event, &library->error), MAINSTEM_ECLOSED);
    mainstem_iterator_free(iterator);

    struct mainstem_info info = {.struct_size = sizeof info};
    char *metrics;
    ASSERT_OK(mainstem_info(library->store, &info, &library->error));
    assert_true(info.failed);
    ASSERT_OK(mainstem_metrics(library->store, &metrics, &library->error));
    mainstem_free(metrics);
    assert_int_equal(mainstem_close(library->store, &library->error), MAINSTEM_ECLOSED);
    library->store = NULL;
    assert_int_equal(failure.calls, 1);
}

struct progress {
    int calls;
};

static void note_progress(void *context, const char *what, uint64_t done, uint64_t total) {
    struct progress *progress = context;
    assert_non_null(what);
    assert_true(done <= total || total == 0);
    progress->calls++;
}

/* A real index is there at once; one in memory is folded anew, and long enough to be told of. */
static void long_openings_tell_their_progress(void **state) {
    struct library *library = *state;
    struct progress progress = {0};
    struct mainstem_options options = small_options();
    struct mainstem_event events[200];
    for (size_t i = 0; i < 200; i++)
        events[i] = event_of("x", "{}");
    for (int i = 0; i < 5000; i++)
        ASSERT_OK(mainstem_append_async(library->store, "a-1", MAINSTEM_ANY, events, 1, NULL, NULL,
                                        &library->error));
    ASSERT_OK(mainstem_close(library->store, &library->error));
    options.on_progress = note_progress;
    options.context = &progress;
    ASSERT_OK(ms_lib_open("/data", &options, &library->env, &library->store, &library->error));
    assert_true(progress.calls > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL_TEST(opening_makes_a_directory_and_finds_it_again),
        REAL_TEST(opening_refuses_what_is_wrong),
        REAL_TEST(a_second_opener_is_locked_out),
        REAL_TEST(a_reader_sees_and_does_not_write),
        REAL_TEST(a_reader_of_nothing_is_told_so),
        REAL_TEST(older_and_newer_option_structs_are_understood),
        REAL_TEST(info_tells_the_state),
        REAL_TEST(metrics_are_text),
        REAL_TEST(closing_nothing_is_fine),
        REAL_TEST(codes_have_texts),
        SIMULATED_TEST(opening_survives_every_failed_allocation),
        SIMULATED_TEST(a_failed_write_stops_the_store_and_not_the_host),
        SIMULATED_TEST(long_openings_tell_their_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
