/* One stream: its state, deleting, metadata, snapshots. */
#include "lib/library.h"

static struct mainstem_stream_info info_of(struct library *library, const char *stream) {
    struct mainstem_stream_info info = {.struct_size = sizeof info};
    if (mainstem_stream_info(library->store, stream, &info, &library->error) != 0)
        fail_msg("%s", library->error.message);
    return info;
}

static void info_tells_state_and_versions(void **state) {
    struct library *library = *state;
    struct mainstem_stream_info small = {.struct_size = 8, .version = 77};
    assert_int_equal(info_of(library, "a-1").state, MAINSTEM_STREAM_NONE);
    assert_int_equal(info_of(library, "a-1").version, -1);
    append_one(library, "a-1", "x", "{}");
    append_one(library, "a-1", "x", "{}");
    assert_int_equal(info_of(library, "a-1").state, MAINSTEM_STREAM_LIVE);
    assert_int_equal(info_of(library, "a-1").version, 1);
    ASSERT_OK(mainstem_stream_info(library->store, "a-1", &small, &library->error));
    assert_int_equal(small.version, 77);
    assert_int_equal(mainstem_stream_info(library->store, NULL, &small, &library->error),
                     MAINSTEM_EINVAL);
    assert_int_equal(mainstem_stream_info(library->store, "a-1", NULL, &library->error),
                     MAINSTEM_EINVAL);
    assert_int_equal(mainstem_stream_info(library->store, "", &small, &library->error),
                     MAINSTEM_EINVAL);
}

static void a_soft_delete_can_be_undone_by_an_append(void **state) {
    struct library *library = *state;
    struct mainstem_event event = event_of("x", "{}");
    append_one(library, "a-1", "x", "{}");
    assert_int_equal(mainstem_delete_stream(library->store, "a-1", 3, 0, &library->error),
                     MAINSTEM_ECONFLICT);
    assert_int_equal(library->error.actual_version, 0);
    ASSERT_OK(mainstem_delete_stream(library->store, "a-1", 0, 0, &library->error));
    assert_int_equal(info_of(library, "a-1").state, MAINSTEM_STREAM_DELETED);
    assert_int_equal(
        mainstem_delete_stream(library->store, "a-1", MAINSTEM_ANY, 0, &library->error),
        MAINSTEM_EDELETED);
    ASSERT_OK(mainstem_append(library->store, "a-1", MAINSTEM_NO_STREAM, &event, 1, NULL,
                              &library->error));
    assert_int_equal(info_of(library, "a-1").state, MAINSTEM_STREAM_LIVE);
    assert_int_equal(info_of(library, "a-1").version, 1);
    assert_int_equal(info_of(library, "a-1").first_version, 1);
}

static void a_tombstone_is_for_ever(void **state) {
    struct library *library = *state;
    struct mainstem_event event = event_of("x", "{}");
    append_one(library, "a-1", "x", "{}");
    ASSERT_OK(mainstem_delete_stream(library->store, "a-1", MAINSTEM_ANY, 1, &library->error));
    assert_int_equal(info_of(library, "a-1").state, MAINSTEM_STREAM_TOMBSTONED);
    assert_int_equal(
        mainstem_append(library->store, "a-1", MAINSTEM_ANY, &event, 1, NULL, &library->error),
        MAINSTEM_ETOMBSTONED);
    assert_int_equal(library->error.actual_state, MAINSTEM_STREAM_TOMBSTONED);
}

static void deleting_refuses_what_is_wrong(void **state) {
    struct library *library = *state;
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    assert_int_equal(mainstem_delete_stream(store, "a-1", MAINSTEM_ANY, 0, error),
                     MAINSTEM_ENOTFOUND);
    assert_int_equal(mainstem_delete_stream(store, "$a-1", MAINSTEM_ANY, 0, error),
                     MAINSTEM_ERESERVED);
    assert_int_equal(mainstem_delete_stream(store, NULL, MAINSTEM_ANY, 0, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_delete_stream(store, "a-1", -9, 0, error), MAINSTEM_EINVAL);
}

static void metadata_is_kept_and_its_rules_hold(void **state) {
    struct library *library = *state;
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    char *json;
    int64_t version;
    for (int i = 0; i < 5; i++)
        append_one(library, "a-1", "x", "{}");
    assert_int_equal(mainstem_get_metadata(store, "a-1", &json, &version, error),
                     MAINSTEM_ENOTFOUND);
    ASSERT_OK(mainstem_put_metadata(store, "a-1", MAINSTEM_NO_STREAM,
                                    mainstem_text("{\"$maxCount\":2,\"owner\":\"ann\"}"), error));
    ASSERT_OK(mainstem_get_metadata(store, "a-1", &json, &version, error));
    assert_string_equal(json, "{\"$maxCount\":2,\"owner\":\"ann\"}");
    assert_int_equal(version, 0);
    mainstem_free(json);
    assert_int_equal(info_of(library, "a-1").first_version, 3);
    assert_int_equal(mainstem_put_metadata(store, "a-1", 7, mainstem_text("{}"), error),
                     MAINSTEM_ECONFLICT);
    assert_int_equal(
        mainstem_put_metadata(store, "a-1", 0, mainstem_text("{\"$maxCount\":\"x\"}"), error),
        MAINSTEM_EINVAL);
    assert_int_equal(mainstem_put_metadata(store, "a-1", 0, mainstem_text("nonsense"), error),
                     MAINSTEM_EINVAL);
    assert_int_equal(mainstem_put_metadata(store, NULL, 0, mainstem_text("{}"), error),
                     MAINSTEM_EINVAL);
    ASSERT_OK(mainstem_put_metadata(store, "a-1", 0, mainstem_text("{}"), error));
    ASSERT_OK(mainstem_get_metadata(store, "a-1", &json, NULL, error));
    mainstem_free(json);
    assert_int_equal(mainstem_get_metadata(store, "a-1", NULL, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(info_of(library, "a-1").first_version, 0);
}

struct seen {
    int calls, answer;
    char data[64];
};

static int see(void *context, const struct mainstem_recorded_event *event) {
    struct seen *seen = context;
    seen->calls++;
    snprintf(seen->data, sizeof seen->data, "%.*s", (int)event->event.data.size,
             (const char *)event->event.data.data);
    return seen->answer;
}

static void the_newest_snapshot_counts(void **state) {
    struct library *library = *state;
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    struct mainstem_event first = event_of("snapshot", "{\"at\":3}");
    struct mainstem_event second = event_of("snapshot", "{\"at\":7}");
    struct seen seen = {0};
    int64_t version = 77;
    assert_int_equal(mainstem_get_snapshot(store, "a-1", see, &seen, &version, error),
                     MAINSTEM_ENOTFOUND);
    assert_int_equal(mainstem_put_snapshot(store, "a-1", 3, &first, error), MAINSTEM_ENOTFOUND);
    for (int i = 0; i < 8; i++)
        append_one(library, "a-1", "x", "{}");
    assert_int_equal(mainstem_put_snapshot(store, "a-1", 8, &first, error), MAINSTEM_ECONFLICT);
    assert_int_equal(error->actual_version, 7);
    assert_int_equal(error->failed, 0);
    ASSERT_OK(mainstem_put_snapshot(store, "a-1", 3, &first, error));
    ASSERT_OK(mainstem_put_snapshot(store, "a-1", 7, &second, error));
    ASSERT_OK(mainstem_get_snapshot(store, "a-1", see, &seen, &version, error));
    assert_int_equal(seen.calls, 1);
    assert_int_equal(version, 7);
    assert_string_equal(seen.data, "{\"at\":7}");
    seen.answer = 42;
    version = 77;
    assert_int_equal(mainstem_get_snapshot(store, "a-1", see, &seen, &version, error), 42);
    assert_int_equal(version, 77);
}

static void malformed_snapshots_are_refused(void **state) {
    struct library *library = *state;
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    struct mainstem_event event = event_of("snapshot", "{}");
    struct seen seen = {0};
    append_one(library, "a-1", "x", "{}");
    assert_int_equal(mainstem_put_snapshot(store, "a-1", -1, &event, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_put_snapshot(store, "a-1", 0, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_put_snapshot(store, NULL, 0, &event, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_put_snapshot(store, "$a-1", 0, &event, error), MAINSTEM_ERESERVED);
    event.type.data = NULL;
    assert_int_equal(mainstem_put_snapshot(store, "a-1", 0, &event, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_get_snapshot(store, "a-1", NULL, NULL, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_get_snapshot(store, NULL, see, &seen, NULL, error), MAINSTEM_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL_TEST(info_tells_state_and_versions),
        REAL_TEST(a_soft_delete_can_be_undone_by_an_append),
        REAL_TEST(a_tombstone_is_for_ever),
        REAL_TEST(deleting_refuses_what_is_wrong),
        REAL_TEST(metadata_is_kept_and_its_rules_hold),
        REAL_TEST(the_newest_snapshot_counts),
        REAL_TEST(malformed_snapshots_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
