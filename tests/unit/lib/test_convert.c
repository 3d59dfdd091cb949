/* The public structs to and from the core's. */
#include "lib/library.h"

#include "base/alloc.h"

static void nothing_of_an_event_is_lost_on_the_way(void **state) {
    struct library *library = *state;
    struct mainstem_extension extensions[2] = {{mainstem_text("tenantid"), mainstem_text("t1")},
                                               {mainstem_text("a"), mainstem_text("b")}};
    struct mainstem_event event = {
        .type = mainstem_text("order.paid"),
        .data = mainstem_bytes_of("\0\1\2", 3),
        .id = mainstem_text("id-1"),
        .content_type = mainstem_text("application/octet-stream"),
        .metadata = mainstem_text("{\"a\":1.10}"),
        .version = mainstem_text("2.1"),
        .source = mainstem_text("/shop"),
        .correlation_id = mainstem_text("c-1"),
        .causation_id = mainstem_text("c-2"),
        .traceparent = mainstem_text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        .tags = mainstem_text("x,y"),
        .time = mainstem_text("2026-11-23T10:52:54.123456Z"),
        .extensions = extensions,
        .extension_count = 2,
    };
    struct mainstem_iterator *iterator;
    const struct mainstem_recorded_event *read;
    ASSERT_OK(mainstem_append(library->store, "order-1", MAINSTEM_NO_STREAM, &event, 1, NULL,
                              &library->error));
    ASSERT_OK(mainstem_read_stream(library->store, "order-1", NULL, &iterator, &library->error));
    assert_int_equal(mainstem_iterator_next(iterator, &read, &library->error), 1);
    assert_bytes(read->event.type, "order.paid");
    assert_int_equal(read->event.data.size, 3);
    assert_memory_equal(read->event.data.data, "\0\1\2", 3);
    assert_bytes(read->event.id, "id-1");
    assert_bytes(read->event.content_type, "application/octet-stream");
    assert_bytes(read->event.metadata, "{\"a\":1.10}");
    assert_bytes(read->event.version, "2.1");
    assert_bytes(read->event.source, "/shop");
    assert_bytes(read->event.correlation_id, "c-1");
    assert_bytes(read->event.causation_id, "c-2");
    assert_bytes(read->event.traceparent,
                 "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_bytes(read->event.tags, "x,y");
    assert_bytes(read->event.time, "2026-11-23T10:52:54.123456Z");
    assert_int_equal(read->event.timestamp_ms, 1795431174123);
    assert_int_equal(read->event.extension_count, 2);
    assert_bytes(read->event.extensions[0].name, "tenantid");
    assert_bytes(read->event.extensions[1].value, "b");
    assert_bytes(read->stream, "order-1");
    assert_bytes(read->topic, "order");
    assert_bytes(read->key, "1");
    assert_int_equal(read->version, 0);
    assert_true(read->recorded_at_ms > 1600000000000);
    mainstem_iterator_free(iterator);
}

static void what_is_absent_gets_its_default(void **state) {
    struct library *library = *state;
    struct mainstem_event events[2] = {{.type = mainstem_text("x")},
                                       {.type = mainstem_text("x"), .data = mainstem_text("")}};
    struct mainstem_iterator *iterator;
    const struct mainstem_recorded_event *read;
    ASSERT_OK(mainstem_append(library->store, "a-1", MAINSTEM_NO_STREAM, events, 2, NULL,
                              &library->error));
    ASSERT_OK(mainstem_read_stream(library->store, "a-1", NULL, &iterator, &library->error));
    assert_int_equal(mainstem_iterator_next(iterator, &read, &library->error), 1);
    assert_null(read->event.data.data); /* no data is not empty data */
    assert_int_equal(read->event.id.size, 36);
    assert_ptr_equal(read->event.correlation_id.data, read->event.id.data);
    assert_bytes(read->event.source, "mainstem");
    assert_bytes(read->event.content_type, "application/json");
    assert_null(read->event.metadata.data);
    assert_null(read->event.extensions);
    assert_true(read->event.timestamp_ms > 1600000000000);
    assert_int_equal(mainstem_iterator_next(iterator, &read, &library->error), 1);
    assert_non_null(read->event.data.data);
    assert_int_equal(read->event.data.size, 0);
    mainstem_iterator_free(iterator);
}

static int64_t taken_timestamp(const struct mainstem_event *event) {
    struct ms_arena arena;
    const struct ms_event *taken;
    ms_arena_init(&arena, 1 << 20);
    ASSERT_OK(ms_lib_events(event, 1, &arena, &taken, NULL));
    int64_t timestamp_ms = taken->timestamp_ms;
    ms_arena_deinit(&arena);
    return timestamp_ms;
}

static void time_text_beats_the_number_and_rounds_down(void **state) {
    (void)state;
    struct mainstem_event event = {.type = mainstem_text("x"), .timestamp_ms = 5};
    assert_int_equal(taken_timestamp(&event), 5);
    event.time = mainstem_text("1970-01-01T00:00:00Z");
    assert_int_equal(taken_timestamp(&event), 0);
    event.time = mainstem_text("1969-12-31T23:59:59.999999Z");
    assert_int_equal(taken_timestamp(&event), -1);
    event = (struct mainstem_event){.type = mainstem_text("x")};
    assert_int_equal(taken_timestamp(&event), MS_TIMESTAMP_NONE);
}

static int taken(const struct mainstem_event *event, struct mainstem_error *error) {
    struct ms_arena arena;
    const struct ms_event *events;
    ms_arena_init(&arena, 1 << 20);
    int rc = ms_lib_events(event, 1, &arena, &events, error);
    ms_arena_deinit(&arena);
    return rc;
}

static void a_time_beyond_rfc_3339_is_refused(void **state) {
    (void)state;
    struct mainstem_error error;
    struct mainstem_event event = {.type = mainstem_text("x"), .timestamp_ms = INT64_MAX};
    assert_int_equal(taken(&event, &error), MAINSTEM_EINVAL);
    assert_string_equal(error.message, "event 0: timestamp_ms is not in the years 1 to 9999");
    event.timestamp_ms = INT64_MIN;
    assert_int_equal(taken(&event, &error), MAINSTEM_EINVAL);
    event.timestamp_ms = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */
    ASSERT_OK(taken(&event, &error));
    event.timestamp_ms++;
    assert_int_equal(taken(&event, &error), MAINSTEM_EINVAL);
    event.timestamp_ms = INT64_C(-62135596800000); /* 0001-01-01T00:00:00Z */
    ASSERT_OK(taken(&event, &error));
    event.timestamp_ms--;
    assert_int_equal(taken(&event, &error), MAINSTEM_EINVAL);
}

static void a_size_without_bytes_is_refused(void **state) {
    (void)state;
    struct mainstem_error error;
    struct mainstem_event event = {.type = mainstem_text("x"), .data = {NULL, 5}};
    assert_int_equal(taken(&event, &error), MAINSTEM_EINVAL);
    assert_string_equal(error.message, "event 0: data is NULL, but its size is 5");
    event.data.size = 0;
    ASSERT_OK(taken(&event, &error));
    event.time.size = 1;
    assert_int_equal(taken(&event, &error), MAINSTEM_EINVAL);
}

static void options_of_any_size_are_taken(void **state) {
    (void)state;
    struct {
        uint32_t struct_size;
        uint32_t a;
        uint64_t b, c;
    } given = {.a = 1, .b = 2, .c = 3}, taken;
    struct mainstem_error error;
    given.struct_size = sizeof given;
    ASSERT_OK(ms_lib_take_options("it", &given, &taken, sizeof taken, &error));
    assert_memory_equal(&given, &taken, sizeof given);
    given.struct_size = 8;
    ASSERT_OK(ms_lib_take_options("it", &given, &taken, sizeof taken, &error));
    assert_int_equal(taken.a, 1);
    assert_int_equal(taken.b, 0);
    given.struct_size = sizeof given;
    assert_int_equal(ms_lib_take_options("it", &given, &taken, 16, &error), MAINSTEM_EUNSUPPORTED);
    given.c = 0;
    ASSERT_OK(ms_lib_take_options("it", &given, &taken, 16, &error));
    given.struct_size = 3;
    assert_int_equal(ms_lib_take_options("it", &given, &taken, sizeof taken, &error),
                     MAINSTEM_EINVAL);
    given.struct_size = 1u << 20; /* never set */
    assert_int_equal(ms_lib_take_options("it", &given, &taken, sizeof taken, &error),
                     MAINSTEM_EINVAL);
    ASSERT_OK(ms_lib_take_options("it", NULL, &taken, sizeof taken, &error));
    assert_int_equal(taken.a, 0);
}

static void errors_carry_code_and_sentence(void **state) {
    (void)state;
    struct mainstem_error error = {.actual_version = 9, .position = 9};
    struct ms_error lower = {.code = MS_EIO, .message = "the disk is gone"};
    assert_int_equal(ms_lib_fail_with(&error, MS_EIO, &lower), MS_EIO);
    assert_string_equal(error.message, "the disk is gone");
    assert_int_equal(error.actual_version, 0);
    assert_int_equal(error.position, 0);
    /* A message of another failure is not told. */
    assert_int_equal(ms_lib_fail_with(&error, MS_ENOMEM, &lower), MS_ENOMEM);
    assert_string_equal(error.message, mainstem_strerror(MAINSTEM_ENOMEM));
    assert_int_equal(ms_lib_fail_with(NULL, MS_EIO, &lower), MS_EIO);
    assert_int_equal(ms_lib_fail(NULL, MS_EIO, "x"), MS_EIO);
}

static void filters_are_copied(void **state) {
    (void)state;
    char type[] = "x", topic[] = "order";
    struct mainstem_bytes types[1] = {mainstem_text(type)};
    struct mainstem_filter filter = {.struct_size = sizeof filter,
                                     .topic = mainstem_text(topic),
                                     .types = types,
                                     .type_count = 1,
                                     .include_system = 1};
    struct ms_filter copy;
    struct ms_arena arena;
    ms_arena_init(&arena, 1 << 20);
    ASSERT_OK(ms_lib_filter(&filter, &arena, &copy, NULL));
    type[0] = topic[0] = '?';
    types[0].size = 0;
    assert_int_equal(copy.topic_count, 1);
    assert_true(ms_bytes_equal_cstr(copy.topics[0], "order"));
    assert_true(ms_bytes_equal_cstr(copy.types[0], "x"));
    assert_true(copy.include_system);
    assert_null(copy.stream_prefix.data);
    filter.types = NULL;
    assert_int_equal(ms_lib_filter(&filter, &arena, &copy, NULL), MAINSTEM_EINVAL);
    filter.type_count = 0;
    filter.struct_size = 0;
    assert_int_equal(ms_lib_filter(&filter, &arena, &copy, NULL), MAINSTEM_EINVAL);
    ms_arena_deinit(&arena);
}

static void a_filter_survives_every_failed_allocation(void **state) {
    (void)state;
    struct mainstem_bytes types[1] = {mainstem_text("x")};
    struct mainstem_filter filter = {.struct_size = sizeof filter,
                                     .topic = mainstem_text("order"),
                                     .types = types,
                                     .type_count = 1};
    int code = MAINSTEM_ENOMEM;
    for (uint64_t n = 1; code != 0; n++) {
        struct ms_filter copy;
        struct ms_arena arena;
        ms_arena_init(&arena, 1 << 20);
        ms_alloc_fail_nth(n);
        code = ms_lib_filter(&filter, &arena, &copy, NULL);
        ms_alloc_fail_nth(0);
        assert_true(code == 0 || code == MAINSTEM_ENOMEM);
        ms_arena_deinit(&arena);
    }
}

static void bytes_are_compared_with_texts(void **state) {
    (void)state;
    assert_true(mainstem_is(mainstem_text("abc"), "abc"));
    assert_false(mainstem_is(mainstem_text("abc"), "abd"));
    assert_false(mainstem_is(mainstem_text("abc"), "ab"));
    assert_true(mainstem_is(mainstem_text(NULL), ""));
    assert_false(mainstem_is(mainstem_text(NULL), "a"));
    assert_int_equal(mainstem_bytes_of("abc", 2).size, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL_TEST(nothing_of_an_event_is_lost_on_the_way),
        REAL_TEST(what_is_absent_gets_its_default),
        cmocka_unit_test(time_text_beats_the_number_and_rounds_down),
        cmocka_unit_test(a_time_beyond_rfc_3339_is_refused),
        cmocka_unit_test(a_size_without_bytes_is_refused),
        cmocka_unit_test(options_of_any_size_are_taken),
        cmocka_unit_test(errors_carry_code_and_sentence),
        cmocka_unit_test(filters_are_copied),
        cmocka_unit_test(a_filter_survives_every_failed_allocation),
        cmocka_unit_test(bytes_are_compared_with_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
