/* Repositories: state is the fold of the stream, with or without snapshots. */
#include "lib/counter.h"

#include "base/alloc.h"

static void a_missing_aggregate_is_at_its_beginning(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(mainstem_aggregate_version(aggregate), -1);
    assert_int_equal(counter_of(aggregate)->value, 0);
    assert_true(counter_of(aggregate)->from_init);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
    assert_int_equal(mainstem_aggregate_version(NULL), -1);
    assert_null(mainstem_aggregate_state(NULL));
    mainstem_aggregate_free(NULL);
    mainstem_repository_free(NULL);
}

static void state_is_the_fold_of_the_stream(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    type.snapshot_every = 0;
    struct mainstem_repository *repository = repository_of(library, &type);
    for (int i = 0; i < 7; i++)
        append_one(library, "counter-1", i == 3 ? "counter.lowered" : "counter.raised", "{}");
    append_one(library, "counter-1", "counter.unknown", "{}");
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 5);
    assert_int_equal(counter_of(aggregate)->applied, 8);
    assert_int_equal(mainstem_aggregate_version(aggregate), 7);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void loading_starts_from_the_newest_snapshot(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    raise_by(library, repository, "1", 4); /* none is due */
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->applied, 4);
    mainstem_aggregate_free(aggregate);
    raise_by(library, repository, "1", 4); /* version 7: due */
    library_reopen(library);               /* snapshots are not waited for, closing does */
    mainstem_repository_free(repository);
    repository = repository_of(library, &type);
    append_one(library, "counter-1", "counter.raised", "{}");
    aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 9);
    assert_int_equal(counter_of(aggregate)->applied, 1);
    assert_int_equal(mainstem_aggregate_version(aggregate), 8);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
    /* Of another shape: passed over. */
    type.snapshot_version = 2;
    repository = repository_of(library, &type);
    aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 9);
    assert_int_equal(counter_of(aggregate)->applied, 9);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void put_counter_snapshot(struct library *library, int64_t version, int64_t value) {
    struct mainstem_event snapshot = {.type = mainstem_text("snapshot"),
                                      .version = mainstem_text("1"),
                                      .data = mainstem_bytes_of(&value, sizeof value)};
    ASSERT_OK(
        mainstem_put_snapshot(library->store, "counter-1", version, &snapshot, &library->error));
}

static void snapshots_from_before_a_deletion_do_not_count(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    for (int i = 0; i < 3; i++)
        append_one(library, "counter-1", "counter.raised", "{}");
    put_counter_snapshot(library, 2, 3);
    ASSERT_OK(
        mainstem_delete_stream(library->store, "counter-1", MAINSTEM_ANY, 0, &library->error));
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 0);
    assert_int_equal(mainstem_aggregate_version(aggregate), -1);
    mainstem_aggregate_free(aggregate);
    append_one(library, "counter-1", "counter.raised", "{}"); /* reopened as version 3 */
    aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 1);
    assert_int_equal(mainstem_aggregate_version(aggregate), 3);
    mainstem_aggregate_free(aggregate);
    put_counter_snapshot(library, 3, 100); /* one of its new life counts again */
    aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 100);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void events_behind_a_snapshot_may_be_truncated(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    for (int i = 0; i < 6; i++)
        append_one(library, "counter-1", "counter.raised", "{}");
    put_counter_snapshot(library, 3, 4);
    ASSERT_OK(mainstem_put_metadata(library->store, "counter-1", MAINSTEM_ANY,
                                    mainstem_text("{\"$tb\":4}"), &library->error));
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 6);
    assert_int_equal(counter_of(aggregate)->applied, 2);
    mainstem_aggregate_free(aggregate);
    /* A gap behind the snapshot: what can be read is folded, without it. */
    ASSERT_OK(mainstem_put_metadata(library->store, "counter-1", MAINSTEM_ANY,
                                    mainstem_text("{\"$tb\":5}"), &library->error));
    aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 1);
    mainstem_aggregate_free(aggregate);
    /* All of it truncated: the version is still the last one's. */
    put_counter_snapshot(library, 5, 6);
    ASSERT_OK(mainstem_put_metadata(library->store, "counter-1", MAINSTEM_ANY,
                                    mainstem_text("{\"$tb\":6}"), &library->error));
    aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 6);
    assert_int_equal(mainstem_aggregate_version(aggregate), 5);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

/* It would be refused today; stores written before may hold one. */
static void put_future_snapshot(struct library *library, int64_t value) {
    struct ms_extension version = {MS_BYTES_LITERAL("snapshotversion"), MS_BYTES_LITERAL("9")};
    struct ms_event event = {
        .type = MS_BYTES_LITERAL("snapshot"),
        .content_type = MS_BYTES_LITERAL("application/octet-stream"),
        .version = MS_BYTES_LITERAL("1"),
        .timestamp_ms = MS_TIMESTAMP_NONE,
        .data = ms_bytes_of((const uint8_t *)&value, sizeof value),
        .extensions = &version,
        .extension_count = 1,
    };
    struct ms_append_part part = {
        .stream = MS_BYTES_LITERAL("$snapshots-counter-1"), .events = &event, .count = 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1, .system = true};
    struct ms_append_part_result place;
    struct ms_append_result result;
    assert_int_equal(ms_store_append_wait(library->store->store, &request, &place, &result, NULL),
                     0);
}

static void a_snapshot_of_the_future_does_not_count(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    append_one(library, "counter-1", "counter.raised", "{}");
    put_future_snapshot(library, 50);
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 1);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void what_a_callback_returns_is_the_result(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    struct mainstem_aggregate *aggregate = NULL;
    append_one(library, "counter-1", "counter.poisoned", "{}");
    counter_apply_code = 17;
    assert_int_equal(mainstem_load(repository, "1", &aggregate, &library->error), 17);
    assert_message_has(&library->error, "counter-1");
    counter_apply_code = 0;
    counter_init_code = 18;
    assert_int_equal(mainstem_load(repository, "1", &aggregate, &library->error), 18);
    counter_init_code = 0;
    struct mainstem_event snapshot = event_of("snapshot", "too short");
    snapshot.version = mainstem_text("1");
    ASSERT_OK(mainstem_put_snapshot(library->store, "counter-1", 0, &snapshot, &library->error));
    assert_int_equal(mainstem_load(repository, "1", &aggregate, &library->error), 31);
    assert_null(aggregate);
    mainstem_repository_free(repository);
}

static void a_snapshot_that_fails_is_no_failure_of_the_save(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    counter_snapshot_code = 5;
    raise_by(library, repository, "1", 20);
    counter_snapshot_code = 0;
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->applied, 20);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void a_topic_may_have_a_dash(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    type.topic = "my-counter";
    struct mainstem_repository *repository = repository_of(library, &type);
    raise_by(library, repository, "1-a", 3);
    struct mainstem_aggregate *aggregate = load(library, repository, "1-a");
    assert_int_equal(counter_of(aggregate)->applied, 3);
    struct mainstem_event event = event_of("raised", "1");
    struct mainstem_append_result result;
    ASSERT_OK(mainstem_append(library->store, "my%2Dcounter-1-a",
                              mainstem_aggregate_version(aggregate), &event, 1, &result,
                              &library->error));
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void malformed_types_are_refused(void **state) {
    struct library *library = *state;
    struct mainstem_repository *repository = NULL;
    struct mainstem_aggregate *aggregate = NULL;
    struct mainstem_error *error = &library->error;
    struct mainstem_aggregate_type wrong[9];
    for (size_t i = 0; i < 9; i++)
        wrong[i] = counter_type();
    wrong[0].topic = NULL;
    wrong[1].topic = "";
    wrong[2].topic = "a b";
    wrong[3].apply = NULL;
    wrong[4].state_size = 0;
    wrong[5].from_snapshot = NULL;
    wrong[6].to_snapshot = NULL;
    wrong[7].to_snapshot = NULL, wrong[7].from_snapshot = NULL;
    wrong[8].struct_size = 0;
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(mainstem_repository_new(library->store, &wrong[i], &repository, error),
                         MAINSTEM_EINVAL);
    struct mainstem_aggregate_type type = counter_type();
    assert_int_equal(mainstem_repository_new(NULL, &type, &repository, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_repository_new(library->store, NULL, &repository, error),
                     MAINSTEM_EINVAL);
    assert_int_equal(mainstem_repository_new(library->store, &type, NULL, error), MAINSTEM_EINVAL);
    assert_null(repository);
    repository = repository_of(library, &type);
    assert_int_equal(mainstem_load(NULL, "1", &aggregate, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_load(repository, NULL, &aggregate, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_load(repository, "1", NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_buffer_append(NULL, "x", 1), MAINSTEM_EINVAL);
    mainstem_repository_free(repository);
}

static void an_older_type_struct_does_without_snapshots(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    type.struct_size = offsetof(struct mainstem_aggregate_type, to_snapshot);
    type.snapshot_every = 0;
    struct mainstem_repository *repository = repository_of(library, &type);
    raise_by(library, repository, "1", 3);
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, 3);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void loading_survives_every_failed_allocation(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    bool failed = true;
    append_one(library, "counter-1", "counter.raised", "{}");
    put_counter_snapshot(library, 0, 1);
    append_one(library, "counter-1", "counter.raised", "{}");
    for (uint64_t n = 1; failed; n++) {
        struct mainstem_repository *repository;
        struct mainstem_aggregate *aggregate = NULL;
        ms_alloc_fail_nth(n);
        int code = mainstem_repository_new(library->store, &type, &repository, &library->error);
        bool made = code == 0;
        if (made)
            code = mainstem_load(repository, "1", &aggregate, &library->error);
        failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        assert_int_equal(code, failed ? MAINSTEM_ENOMEM : 0);
        if (code == 0)
            assert_int_equal(counter_of(aggregate)->value, 2);
        mainstem_aggregate_free(aggregate);
        if (made)
            mainstem_repository_free(repository);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL_TEST(a_missing_aggregate_is_at_its_beginning),
        REAL_TEST(state_is_the_fold_of_the_stream),
        REAL_TEST(loading_starts_from_the_newest_snapshot),
        REAL_TEST(snapshots_from_before_a_deletion_do_not_count),
        REAL_TEST(events_behind_a_snapshot_may_be_truncated),
        REAL_TEST(a_snapshot_of_the_future_does_not_count),
        REAL_TEST(what_a_callback_returns_is_the_result),
        REAL_TEST(a_snapshot_that_fails_is_no_failure_of_the_save),
        REAL_TEST(a_topic_may_have_a_dash),
        REAL_TEST(malformed_types_are_refused),
        REAL_TEST(an_older_type_struct_does_without_snapshots),
        REAL_TEST(loading_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
