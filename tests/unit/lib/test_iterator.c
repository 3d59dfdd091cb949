/* Reading: every event once, in order, from where it was asked for. */
#include "lib/library.h"

#include "base/alloc.h"

static void fill(struct library *library, const char *stream, int first, int count) {
    static struct mainstem_event events[1000];
    static char data[1000][32];
    for (int i = 0; i < count; i++) {
        snprintf(data[i], sizeof data[i], "{\"n\":%d}", first + i);
        events[i] = event_of("counted", data[i]);
    }
    if (mainstem_append(library->store, stream, MAINSTEM_ANY, events, (size_t)count, NULL,
                        &library->error) != 0)
        fail_msg("%s", library->error.message);
}

static struct mainstem_iterator *stream_from(struct library *library, const char *stream,
                                             const struct mainstem_read_options *options) {
    struct mainstem_iterator *iterator;
    if (mainstem_read_stream(library->store, stream, options, &iterator, &library->error) != 0)
        fail_msg("%s", library->error.message);
    return iterator;
}

static struct mainstem_iterator *all_from(struct library *library,
                                          const struct mainstem_read_options *options) {
    struct mainstem_iterator *iterator;
    if (mainstem_read_all(library->store, options, &iterator, &library->error) != 0)
        fail_msg("%s", library->error.message);
    return iterator;
}

/* The next event's version, -1 at the end. */
static int64_t next_version(struct library *library, struct mainstem_iterator *iterator) {
    const struct mainstem_recorded_event *event;
    int code = mainstem_iterator_next(iterator, &event, &library->error);
    if (code < 0)
        fail_msg("%s", library->error.message);
    return code == 0 ? -1 : event->version;
}

static size_t count_rest(struct library *library, struct mainstem_iterator *iterator) {
    size_t count = 0;
    while (next_version(library, iterator) >= 0)
        count++;
    return count;
}

static void a_stream_is_read_forward_page_after_page(void **state) {
    struct library *library = *state;
    const struct mainstem_recorded_event *event;
    char wanted[32];
    fill(library, "a-1", 0, 1000);
    fill(library, "a-2", 0, 10);
    fill(library, "a-1", 1000, 1000);
    struct mainstem_read_options options = {.struct_size = sizeof options, .page_bytes = 4096};
    struct mainstem_iterator *iterator = stream_from(library, "a-1", &options);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(mainstem_iterator_next(iterator, &event, &library->error), 1);
        assert_int_equal(event->version, i);
        snprintf(wanted, sizeof wanted, "{\"n\":%d}", i);
        assert_bytes(event->event.data, wanted);
        assert_bytes(event->stream, "a-1");
    }
    assert_int_equal(mainstem_iterator_next(iterator, &event, &library->error), 0);
    mainstem_iterator_free(iterator);
}

static void a_stream_is_read_backward_from_its_end(void **state) {
    struct library *library = *state;
    fill(library, "a-1", 0, 700);
    struct mainstem_read_options options = {
        .struct_size = sizeof options, .backward = 1, .from = MAINSTEM_END, .page_bytes = 4096};
    struct mainstem_iterator *iterator = stream_from(library, "a-1", &options);
    for (int i = 699; i >= 0; i--)
        assert_int_equal(next_version(library, iterator), i);
    assert_int_equal(next_version(library, iterator), -1);
    fill(library, "a-1", 700, 1);
    assert_int_equal(next_version(library, iterator), -1); /* what is newer is not behind it */
    mainstem_iterator_free(iterator);
    options.from = 3;
    iterator = stream_from(library, "a-1", &options);
    assert_int_equal(next_version(library, iterator), 3);
    assert_int_equal(count_rest(library, iterator), 3);
    mainstem_iterator_free(iterator);
}

static void from_and_limit_are_kept(void **state) {
    struct library *library = *state;
    fill(library, "a-1", 0, 500);
    struct mainstem_read_options options = {
        .struct_size = sizeof options, .from = 100, .limit = 250};
    struct mainstem_iterator *iterator = stream_from(library, "a-1", &options);
    for (int i = 100; i < 350; i++)
        assert_int_equal(next_version(library, iterator), i);
    assert_int_equal(next_version(library, iterator), -1);
    assert_int_equal(next_version(library, iterator), -1);
    mainstem_iterator_free(iterator);
    options = (struct mainstem_read_options){.struct_size = sizeof options, .from = 5000};
    iterator = stream_from(library, "a-1", &options);
    assert_int_equal(next_version(library, iterator), -1);
    mainstem_iterator_free(iterator);
}

static void asked_again_at_the_end_it_goes_on(void **state) {
    struct library *library = *state;
    struct mainstem_iterator *iterator = stream_from(library, "a-1", NULL);
    struct mainstem_iterator *all = all_from(library, NULL);
    assert_int_equal(next_version(library, iterator), -1);
    assert_int_equal(next_version(library, all), -1);
    for (int64_t i = 0; i < 50; i++) {
        fill(library, "a-1", (int)i, 1);
        assert_int_equal(next_version(library, iterator), i);
        assert_int_equal(next_version(library, iterator), -1);
        assert_int_equal(next_version(library, all), i);
        assert_int_equal(next_version(library, all), -1);
    }
    mainstem_iterator_free(iterator);
    mainstem_iterator_free(all);
}

static void from_the_end_forward_means_the_end_as_it_was(void **state) {
    struct library *library = *state;
    fill(library, "a-1", 0, 5);
    struct mainstem_read_options options = {.struct_size = sizeof options, .from = MAINSTEM_END};
    struct mainstem_iterator *iterator = stream_from(library, "a-1", &options);
    struct mainstem_iterator *missing = stream_from(library, "a-9", &options);
    struct mainstem_iterator *all = all_from(library, &options);
    fill(library, "a-1", 5, 2);
    assert_int_equal(next_version(library, iterator), 5);
    assert_int_equal(next_version(library, all), 5);
    assert_int_equal(count_rest(library, iterator), 1);
    assert_int_equal(count_rest(library, all), 1);
    fill(library, "a-9", 0, 1);
    assert_int_equal(next_version(library, missing), 0);
    mainstem_iterator_free(iterator);
    mainstem_iterator_free(missing);
    mainstem_iterator_free(all);
}

static void all_events_come_in_the_order_of_the_log(void **state) {
    struct library *library = *state;
    const struct mainstem_recorded_event *event;
    uint64_t position = 0;
    size_t count = 0;
    for (int i = 0; i < 300; i++)
        fill(library, i % 2 ? "a-1" : "b-1", i, 1 + i % 7);
    struct mainstem_read_options options = {.struct_size = sizeof options, .page_bytes = 5000};
    struct mainstem_iterator *iterator = all_from(library, &options);
    while (mainstem_iterator_next(iterator, &event, &library->error) == 1) {
        assert_true(count == 0 || event->position > position);
        position = event->position;
        count++;
    }
    mainstem_iterator_free(iterator);
    options.backward = 1;
    options.from = MAINSTEM_END;
    iterator = all_from(library, &options);
    assert_int_equal(mainstem_iterator_next(iterator, &event, &library->error), 1);
    assert_int_equal(event->position, position);
    size_t backward = 1;
    while (mainstem_iterator_next(iterator, &event, &library->error) == 1) {
        assert_true(event->position < position);
        position = event->position;
        backward++;
    }
    assert_int_equal(backward, count);
    mainstem_iterator_free(iterator);
    options = (struct mainstem_read_options){
        .struct_size = sizeof options, .from = position + 10, .limit = 7};
    iterator = all_from(library, &options);
    assert_int_equal(mainstem_iterator_next(iterator, &event, &library->error), 1);
    assert_true(event->position >= position + 10);
    assert_int_equal(count_rest(library, iterator), 6);
    mainstem_iterator_free(iterator);
}

static void filters_select(void **state) {
    struct library *library = *state;
    struct mainstem_event tagged = event_of("tagged", "{}");
    struct mainstem_bytes types[2] = {mainstem_text("tagged"), mainstem_text("other")};
    struct mainstem_bytes tags[1] = {mainstem_text("red")};
    struct mainstem_filter filter = {.struct_size = sizeof filter};
    struct mainstem_read_options options = {.struct_size = sizeof options, .filter = &filter};
    tagged.tags = mainstem_text("red,big");
    fill(library, "a-1", 0, 10);
    fill(library, "b-1", 0, 20);
    ASSERT_OK(
        mainstem_append(library->store, "b-2", MAINSTEM_ANY, &tagged, 1, NULL, &library->error));
    append_one(library, "b-2", "other", "{}");
    const struct {
        struct mainstem_filter filter;
        size_t wanted;
    } cases[] = {
        {{.topic = mainstem_text("a")}, 10},
        {{.topic = mainstem_text("b")}, 22},
        {{.topic = mainstem_text("c")}, 0},
        {{.stream_prefix = mainstem_text("b-2")}, 2},
        {{.types = types, .type_count = 2}, 2},
        {{.types = types, .type_count = 1}, 1},
        {{.tags = tags, .tag_count = 1}, 1},
        {{.topic = mainstem_text("a"), .tags = tags, .tag_count = 1}, 0},
        {{.topic = {NULL, 0}}, 32},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        filter = cases[i].filter;
        filter.struct_size = sizeof filter;
        struct mainstem_iterator *iterator = all_from(library, &options);
        assert_int_equal(count_rest(library, iterator), cases[i].wanted);
        mainstem_iterator_free(iterator);
    }
    filter = (struct mainstem_filter){.struct_size = sizeof filter, .include_system = 1};
    struct mainstem_iterator *iterator = all_from(library, &options);
    assert_true(count_rest(library, iterator) > 32); /* the topics' own events */
    mainstem_iterator_free(iterator);
}

static void the_past_is_read_as_it_was(void **state) {
    struct library *library = *state;
    struct mainstem_event early = event_of("x", "{}"), late = event_of("x", "{}");
    struct mainstem_append_result result;
    early.timestamp_ms = 1000;
    late.timestamp_ms = 2000;
    ASSERT_OK(mainstem_append(library->store, "a-1", -1, &early, 1, &result, &library->error));
    ASSERT_OK(mainstem_append(library->store, "a-1", 0, &late, 1, NULL, &library->error));
    struct mainstem_read_options options = {
        .struct_size = sizeof options, .as_of = MAINSTEM_AS_OF_TIME, .time_ms = 1500};
    struct mainstem_iterator *iterator = stream_from(library, "a-1", &options);
    assert_int_equal(count_rest(library, iterator), 1);
    mainstem_iterator_free(iterator);
    options.as_of = MAINSTEM_AS_OF_POSITION;
    options.position = result.position;
    iterator = all_from(library, &options);
    assert_int_equal(count_rest(library, iterator), 1);
    mainstem_iterator_free(iterator);
    options.as_of = MAINSTEM_KNOWN_AT;
    options.time_ms = 5; /* long before anything was recorded here */
    iterator = stream_from(library, "a-1", &options);
    assert_int_equal(count_rest(library, iterator), 0);
    mainstem_iterator_free(iterator);
    options.as_of = 9;
    assert_int_equal(mainstem_read_all(library->store, &options, &iterator, &library->error),
                     MAINSTEM_EINVAL);
}

static void large_events_pass_through_small_pages(void **state) {
    struct library *library = *state;
    size_t size = 3u << 20;
    char *large = malloc(size);
    assert_non_null(large);
    for (size_t i = 0; i < size; i++)
        large[i] = (char)(i * 31 + i / 997);
    struct mainstem_event event = {.type = mainstem_text("x"),
                                   .data = mainstem_bytes_of(large, size)};
    const struct mainstem_recorded_event *read;
    struct mainstem_read_options options = {.struct_size = sizeof options, .page_bytes = 4096};
    fill(library, "a-1", 0, 3);
    ASSERT_OK(
        mainstem_append(library->store, "a-1", MAINSTEM_ANY, &event, 1, NULL, &library->error));
    fill(library, "a-1", 4, 3);
    struct mainstem_iterator *iterator = all_from(library, &options);
    for (int64_t i = 0; i < 7; i++) {
        assert_int_equal(mainstem_iterator_next(iterator, &read, &library->error), 1);
        assert_int_equal(read->version, i);
        if (i == 3) {
            assert_int_equal(read->event.data.size, size);
            assert_memory_equal(read->event.data.data, large, size);
        }
    }
    mainstem_iterator_free(iterator);
    free(large);
}

static void missing_and_deleted_streams_have_no_events(void **state) {
    struct library *library = *state;
    struct mainstem_iterator *iterator = stream_from(library, "nothing-1", NULL);
    assert_int_equal(next_version(library, iterator), -1);
    mainstem_iterator_free(iterator);
    fill(library, "a-1", 0, 3);
    iterator = stream_from(library, "a-1", NULL);
    assert_int_equal(next_version(library, iterator), 0);
    ASSERT_OK(mainstem_delete_stream(library->store, "a-1", MAINSTEM_ANY, 0, &library->error));
    struct mainstem_iterator *deleted = stream_from(library, "a-1", NULL);
    assert_int_equal(next_version(library, deleted), -1);
    fill(library, "a-1", 3, 1); /* reopened: what comes now has the next version */
    assert_int_equal(next_version(library, deleted), 3);
    mainstem_iterator_free(deleted);
    mainstem_iterator_free(iterator);
}

static void malformed_reads_are_refused(void **state) {
    struct library *library = *state;
    struct mainstem_iterator *iterator = NULL;
    struct mainstem_filter filter = {.struct_size = sizeof filter};
    struct mainstem_read_options options = {.struct_size = sizeof options, .filter = &filter};
    const struct mainstem_recorded_event *event;
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    assert_int_equal(mainstem_read_stream(store, "a-1", &options, &iterator, error),
                     MAINSTEM_EINVAL);
    assert_int_equal(mainstem_read_stream(store, NULL, NULL, &iterator, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_read_stream(store, "a-1", NULL, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_read_all(store, NULL, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_read_all(NULL, NULL, &iterator, error), MAINSTEM_EINVAL);
    options = (struct mainstem_read_options){.struct_size = sizeof options, .page_bytes = 100};
    assert_int_equal(mainstem_read_all(store, &options, &iterator, error), MAINSTEM_EINVAL);
    options = (struct mainstem_read_options){.struct_size = sizeof options, .from = 1ull << 63};
    assert_int_equal(mainstem_read_all(store, &options, &iterator, error), MAINSTEM_EINVAL);
    assert_null(iterator);
    assert_int_equal(mainstem_iterator_next(NULL, &event, error), MAINSTEM_EINVAL);
    iterator = stream_from(library, "", NULL); /* the name is looked at when it is read */
    assert_int_equal(mainstem_iterator_next(iterator, &event, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_iterator_next(iterator, NULL, error), MAINSTEM_EINVAL);
    mainstem_iterator_free(iterator);
    mainstem_iterator_free(NULL);
    /* An older struct that ends before `limit`. */
    options.from = 0;
    options.limit = 1;
    options.struct_size = offsetof(struct mainstem_read_options, limit);
    fill(library, "a-1", 0, 3);
    iterator = stream_from(library, "a-1", &options);
    assert_int_equal(count_rest(library, iterator), 3);
    mainstem_iterator_free(iterator);
}

static void every_failed_allocation_is_told_and_nothing_skipped(void **state) {
    struct library *library = *state;
    const struct mainstem_recorded_event *event;
    fill(library, "a-1", 0, 100);
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct mainstem_iterator *iterator;
        int64_t version = 0;
        ms_alloc_fail_nth(n);
        int code = mainstem_read_stream(library->store, "a-1", NULL, &iterator, &library->error);
        bool opened = code == 0;
        while (opened && (code = mainstem_iterator_next(iterator, &event, &library->error)) != 0) {
            if (code == 1)
                assert_int_equal(event->version, version++);
            else
                assert_int_equal(code, MAINSTEM_ENOMEM); /* and tried again */
        }
        failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        if (opened) {
            assert_int_equal(version, 100);
            mainstem_iterator_free(iterator);
        } else {
            assert_int_equal(code, MAINSTEM_ENOMEM);
        }
    }
}

static void a_read_error_is_told_and_tried_again(void **state) {
    struct library *library = *state;
    const struct mainstem_recorded_event *event;
    struct mainstem_options options = small_options();
    options.tail_cache_bytes = 1; /* so that reading needs the file */
    fill(library, "a-1", 0, 900);
    ASSERT_OK(mainstem_close(library->store, &library->error));
    ASSERT_OK(ms_lib_open("/data", &options, &library->env, &library->store, &library->error));
    struct mainstem_iterator *iterator = all_from(library, NULL);
    ms_vfs_sim_fail_nth(library->sim, MS_SIM_READ, 1, MS_EIO, false);
    assert_int_equal(mainstem_iterator_next(iterator, &event, &library->error), MAINSTEM_EIO);
    assert_int_equal(next_version(library, iterator), 0);
    assert_int_equal(count_rest(library, iterator), 899);
    mainstem_iterator_free(iterator);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL_TEST(a_stream_is_read_forward_page_after_page),
        REAL_TEST(a_stream_is_read_backward_from_its_end),
        REAL_TEST(from_and_limit_are_kept),
        REAL_TEST(asked_again_at_the_end_it_goes_on),
        REAL_TEST(from_the_end_forward_means_the_end_as_it_was),
        REAL_TEST(all_events_come_in_the_order_of_the_log),
        REAL_TEST(filters_select),
        REAL_TEST(the_past_is_read_as_it_was),
        REAL_TEST(large_events_pass_through_small_pages),
        REAL_TEST(missing_and_deleted_streams_have_no_events),
        REAL_TEST(malformed_reads_are_refused),
        REAL_TEST(every_failed_allocation_is_told_and_nothing_skipped),
        SIMULATED_TEST(a_read_error_is_told_and_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
