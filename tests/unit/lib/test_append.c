/* Appending: waiting and with a callback, to one stream and to several, under conditions. */
#include "lib/library.h"

#include <pthread.h>

static struct mainstem_append_result append_at(struct library *library, const char *stream,
                                               int64_t expected, const char *type) {
    struct mainstem_event event = event_of(type, "{}");
    struct mainstem_append_result result = {0};
    if (mainstem_append(library->store, stream, expected, &event, 1, &result, &library->error) != 0)
        fail_msg("%s", library->error.message);
    return result;
}

/* ---- one stream ---- */

static void versions_count_from_nought(void **state) {
    struct library *library = *state;
    struct mainstem_append_result first = append_at(library, "a-1", MAINSTEM_NO_STREAM, "x");
    struct mainstem_append_result second = append_at(library, "a-1", first.version, "x");
    assert_int_equal(first.first_version, 0);
    assert_int_equal(first.version, 0);
    assert_int_equal(second.version, 1);
    assert_true(second.position > first.position);
    assert_int_equal(second.repeated, 0);
    assert_int_equal(append_at(library, "a-1", MAINSTEM_EXISTS, "x").version, 2);
    assert_int_equal(append_at(library, "a-1", MAINSTEM_ANY, "x").version, 3);
}

static void many_events_get_a_row_of_versions(void **state) {
    struct library *library = *state;
    struct mainstem_event events[150];
    struct mainstem_append_result result;
    for (int i = 0; i < 150; i++)
        events[i] = event_of("x", "{}");
    ASSERT_OK(mainstem_append(library->store, "a-1", MAINSTEM_NO_STREAM, events, 150, &result,
                              &library->error));
    assert_int_equal(result.first_version, 0);
    assert_int_equal(result.version, 149);
}

static void conflicts_tell_what_there_is(void **state) {
    struct library *library = *state;
    struct mainstem_event event = event_of("x", "{}");
    struct mainstem_append_result untouched = {.version = 77};
    append_at(library, "a-1", MAINSTEM_NO_STREAM, "x");
    append_at(library, "a-1", 0, "x");
    assert_int_equal(
        mainstem_append(library->store, "a-1", 0, &event, 1, &untouched, &library->error),
        MAINSTEM_ECONFLICT);
    assert_int_equal(library->error.code, MAINSTEM_ECONFLICT);
    assert_int_equal(library->error.actual_version, 1);
    assert_int_equal(library->error.actual_state, MAINSTEM_STREAM_LIVE);
    assert_int_equal(untouched.version, 77);
    assert_int_equal(
        mainstem_append(library->store, "a-1", MAINSTEM_NO_STREAM, &event, 1, NULL, NULL),
        MAINSTEM_ECONFLICT);
    assert_int_equal(
        mainstem_append(library->store, "a-2", MAINSTEM_EXISTS, &event, 1, NULL, &library->error),
        MAINSTEM_ECONFLICT);
    assert_int_equal(library->error.actual_version, -1);
    assert_int_equal(library->error.actual_state, MAINSTEM_STREAM_NONE);
}

static void a_resend_is_answered_with_the_first_result(void **state) {
    struct library *library = *state;
    struct mainstem_event event = event_of("x", "{}");
    struct mainstem_append_result first, again;
    event.id = mainstem_text("id-1");
    ASSERT_OK(mainstem_append(library->store, "a-1", MAINSTEM_NO_STREAM, &event, 1, &first,
                              &library->error));
    append_at(library, "a-1", 0, "x");
    ASSERT_OK(mainstem_append(library->store, "a-1", MAINSTEM_NO_STREAM, &event, 1, &again,
                              &library->error));
    assert_true(again.repeated);
    assert_int_equal(again.version, first.version);
    event.data = mainstem_text("{\"other\":1}");
    assert_int_equal(mainstem_append(library->store, "a-1", MAINSTEM_NO_STREAM, &event, 1, &again,
                                     &library->error),
                     MAINSTEM_EIDCONFLICT);
}

static void no_events_only_check_the_condition(void **state) {
    struct library *library = *state;
    struct mainstem_append_result result;
    append_at(library, "a-1", MAINSTEM_NO_STREAM, "x");
    ASSERT_OK(mainstem_append(library->store, "a-1", 0, NULL, 0, &result, &library->error));
    assert_int_equal(result.version, 0);
    assert_int_equal(mainstem_append(library->store, "a-1", 1, NULL, 0, &result, &library->error),
                     MAINSTEM_ECONFLICT);
}

static void what_is_malformed_is_refused_and_nothing_stored(void **state) {
    struct library *library = *state;
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    struct mainstem_event event = event_of("x", "{}"), none = {0};
    struct mainstem_stream_info info = {.struct_size = sizeof info};
    assert_int_equal(mainstem_append(NULL, "a-1", -2, &event, 1, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_append(store, NULL, -2, &event, 1, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_append(store, "", -2, &event, 1, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_append(store, "a-1", -4, &event, 1, NULL, error), MAINSTEM_EINVAL);
    assert_message_has(error, "expected version -4");
    assert_int_equal(mainstem_append(store, "a-1", -2, NULL, 1, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_append(store, "a-1", -2, &none, 1, NULL, error), MAINSTEM_EINVAL);
    assert_message_has(error, "event_type");
    event.metadata = mainstem_text("[1]");
    assert_int_equal(mainstem_append(store, "a-1", -2, &event, 1, NULL, error), MAINSTEM_EINVAL);
    event = event_of("x", "{}");
    event.extension_count = 1;
    assert_int_equal(mainstem_append(store, "a-1", -2, &event, 1, NULL, error), MAINSTEM_EINVAL);
    event = event_of("x", "{}");
    event.time = mainstem_text("yesterday");
    assert_int_equal(mainstem_append(store, "a-1", -2, &event, 1, NULL, error), MAINSTEM_EINVAL);
    event = event_of("x", "{}");
    assert_int_equal(mainstem_append(store, "$a-1", -2, &event, 1, NULL, error),
                     MAINSTEM_ERESERVED);
    ASSERT_OK(mainstem_stream_info(store, "a-1", &info, error));
    assert_int_equal(info.state, MAINSTEM_STREAM_NONE);
}

static int append_sized(struct library *library, size_t bytes, size_t count, const char *type) {
    static char data[100000];
    static struct mainstem_event events[8];
    memset(data, '1', sizeof data);
    for (size_t i = 0; i < count; i++)
        events[i] = (struct mainstem_event){.type = mainstem_text(type),
                                            .data = mainstem_bytes_of(data, bytes)};
    return mainstem_append(library->store, "a-1", MAINSTEM_ANY, events, count, NULL,
                           &library->error);
}

static int emit_sized(const void *state, const void *command, struct mainstem_decision *decision) {
    (void)state;
    static char data[100000];
    struct mainstem_event event = {.type = mainstem_text("x"),
                                   .data = mainstem_bytes_of(data, *(const size_t *)command)};
    return mainstem_emit(decision, &event);
}

static int apply_nothing(void *state, const struct mainstem_recorded_event *event) {
    (void)state;
    (void)event;
    return 0;
}

static void limits_are_what_the_options_say(void **state) {
    struct library *library = *state;
    struct mainstem_options options = small_options();
    options.event_bytes_max = 5000;
    options.append_bytes_max = 9000;
    options.append_events_max = 4;
    options.name_bytes_max = 40;
    ASSERT_OK(mainstem_close(library->store, &library->error));
    ASSERT_OK(mainstem_open(library->dir, &options, &library->store, &library->error));
    ASSERT_OK(append_sized(library, 4000, 2, "x"));
    assert_int_equal(append_sized(library, 5000, 1, "x"), MAINSTEM_ETOOBIG);
    assert_int_equal(append_sized(library, 4000, 3, "x"), MAINSTEM_ETOOBIG);
    ASSERT_OK(append_sized(library, 1, 4, "1234567890123456789012345678901234567890"));
    assert_int_equal(append_sized(library, 1, 5, "x"), MAINSTEM_ETOOBIG);
    assert_int_equal(append_sized(library, 1, 1, "12345678901234567890123456789012345678901"),
                     MAINSTEM_ETOOBIG);
    struct mainstem_aggregate_type type = {
        .struct_size = sizeof type, .topic = "b", .state_size = 8, .apply = apply_nothing};
    struct mainstem_repository *repository;
    ASSERT_OK(mainstem_repository_new(library->store, &type, &repository, &library->error));
    size_t fits = 4000, large = 5001;
    ASSERT_OK(mainstem_execute(repository, "1", emit_sized, &fits, NULL, &library->error));
    assert_int_equal(mainstem_execute(repository, "1", emit_sized, &large, NULL, &library->error),
                     MAINSTEM_ETOOBIG);
    mainstem_repository_free(repository);
}

static void a_name_has_at_most_512_bytes(void **state) {
    struct library *library = *state;
    struct mainstem_event event = event_of("x", "{}");
    struct mainstem_stream_info info = {.struct_size = sizeof info};
    char name[MAINSTEM_NAME_BYTES_MAX + 2];
    for (int more = 0; more < 2; more++) {
        memset(name, 'n', sizeof name);
        name[1] = '-';
        name[MAINSTEM_NAME_BYTES_MAX + more] = 0;
        int expected = more ? MAINSTEM_EINVAL : 0;
        struct mainstem_error *err = &library->error;
        assert_int_equal(mainstem_append(library->store, name, MAINSTEM_ANY, &event, 1, NULL, err),
                         expected);
        if (more)
            assert_non_null(strstr(err->message, "513 bytes, the limit is 512"));
        assert_int_equal(mainstem_stream_info(library->store, name, &info, err), expected);
        assert_int_equal(mainstem_put_metadata(library->store, name, MAINSTEM_ANY,
                                               mainstem_bytes_of("{}", 2), err),
                         expected);
        assert_int_equal(mainstem_put_snapshot(library->store, name, 0, &event, err), expected);
        assert_int_equal(mainstem_delete_stream(library->store, name, MAINSTEM_ANY, 0, err),
                         expected);
    }
}

static void limits_may_be_raised(void **state) {
    struct library *library = *state;
    struct mainstem_options options = small_options();
    options.segment_bytes = 64u << 20;
    options.event_bytes_max = options.append_bytes_max = 32u << 20;
    ASSERT_OK(mainstem_close(library->store, &library->error));
    ASSERT_OK(mainstem_open(library->dir, &options, &library->store, &library->error));
    size_t size = MAINSTEM_EVENT_BYTES_MAX + 4096;
    char *large = malloc(size);
    assert_non_null(large);
    memset(large, '1', size);
    struct mainstem_event event = event_of("x", "{}");
    event.data = mainstem_bytes_of(large, size);
    ASSERT_OK(
        mainstem_append(library->store, "a-1", MAINSTEM_ANY, &event, 1, NULL, &library->error));
    free(large);
}

static void limits_are_errors(void **state) {
    struct library *library = *state;
    struct mainstem_event event = event_of("x", "{}");
    char *large = malloc(MAINSTEM_EVENT_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, 'x', MAINSTEM_EVENT_BYTES_MAX + 1);
    event.data = mainstem_bytes_of(large, MAINSTEM_EVENT_BYTES_MAX + 1);
    assert_int_equal(
        mainstem_append(library->store, "a-1", MAINSTEM_ANY, &event, 1, NULL, &library->error),
        MAINSTEM_ETOOBIG);
    event.data = mainstem_text("{}");
    event.type = mainstem_bytes_of(large, MAINSTEM_NAME_BYTES_MAX + 1);
    assert_int_equal(
        mainstem_append(library->store, "a-1", MAINSTEM_ANY, &event, 1, NULL, &library->error),
        MAINSTEM_ETOOBIG);
    event.type = mainstem_bytes_of(large, MAINSTEM_NAME_BYTES_MAX);
    ASSERT_OK(
        mainstem_append(library->store, "a-1", MAINSTEM_ANY, &event, 1, NULL, &library->error));
    assert_int_equal(mainstem_append(library->store, "a-1", MAINSTEM_ANY, &event,
                                     MAINSTEM_APPEND_EVENTS_MAX + 1, NULL, &library->error),
                     MAINSTEM_ETOOBIG);
    free(large);
}

/* ---- several streams ---- */

static void several_streams_change_together_or_not_at_all(void **state) {
    struct library *library = *state;
    struct mainstem_event taken = event_of("taken", "{}"), given = event_of("given", "{}");
    struct mainstem_part parts[2] = {{"account-1", MAINSTEM_NO_STREAM, &taken, 1},
                                     {"account-2", MAINSTEM_NO_STREAM, &given, 1}};
    struct mainstem_append_request request = {
        .struct_size = sizeof request, .parts = parts, .part_count = 2};
    struct mainstem_part_result results[2];
    struct mainstem_append_result result;
    struct mainstem_stream_info info = {.struct_size = sizeof info};
    ASSERT_OK(mainstem_append_multi(library->store, &request, results, &result, &library->error));
    assert_int_equal(results[0].version, 0);
    assert_int_equal(results[1].version, 0);
    parts[0].expected_version = 0;
    parts[1].expected_version = 5;
    assert_int_equal(
        mainstem_append_multi(library->store, &request, results, &result, &library->error),
        MAINSTEM_ECONFLICT);
    assert_int_equal(library->error.failed, 1);
    assert_int_equal(library->error.actual_version, 0);
    ASSERT_OK(mainstem_stream_info(library->store, "account-1", &info, &library->error));
    assert_int_equal(info.version, 0);
    parts[1] = parts[0];
    assert_int_equal(mainstem_append_multi(library->store, &request, NULL, NULL, &library->error),
                     MAINSTEM_EINVAL);
    assert_message_has(&library->error, "twice");
}

static void query_conditions_guard_a_decision(void **state) {
    struct library *library = *state;
    struct mainstem_event event = event_of("seat.taken", "{}");
    struct mainstem_part part = {"seat-1", MAINSTEM_ANY, &event, 1};
    struct mainstem_bytes type = mainstem_text("seat.taken"), tag = mainstem_text("show:7");
    struct mainstem_query_condition query = {
        .types = &type, .type_count = 1, .tags = &tag, .tag_count = 1};
    struct mainstem_append_request request = {.struct_size = sizeof request,
                                              .parts = &part,
                                              .part_count = 1,
                                              .query_conditions = &query,
                                              .query_condition_count = 1};
    struct mainstem_append_result result;
    event.tags = mainstem_text("show:7,row:3");
    ASSERT_OK(mainstem_append_multi(library->store, &request, NULL, &result, &library->error));
    assert_int_equal(mainstem_append_multi(library->store, &request, NULL, NULL, &library->error),
                     MAINSTEM_EQUERYCONDITION);
    assert_int_equal(library->error.position, result.position);
    assert_int_equal(library->error.failed, 0);
    query.since = result.position + 1; /* read up to there: decided anew */
    ASSERT_OK(mainstem_append_multi(library->store, &request, NULL, &result, &library->error));
    query.since = result.position; /* that one counts */
    assert_int_equal(mainstem_append_multi(library->store, &request, NULL, NULL, &library->error),
                     MAINSTEM_EQUERYCONDITION);
    query.type_count = query.tag_count = 0;
    assert_int_equal(mainstem_append_multi(library->store, &request, NULL, NULL, &library->error),
                     MAINSTEM_EINVAL);
}

static void malformed_requests_are_refused(void **state) {
    struct library *library = *state;
    struct mainstem_event event = event_of("x", "{}");
    struct mainstem_part parts[2] = {{"a-1", MAINSTEM_ANY, &event, 1}, {NULL, 0, NULL, 0}};
    struct mainstem_append_request request = {.struct_size = sizeof request, .part_count = 1};
    struct mainstem_store *store = library->store;
    struct mainstem_error *error = &library->error;
    assert_int_equal(mainstem_append_multi(store, NULL, NULL, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_append_multi_async(store, NULL, NULL, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_append_multi(store, &request, NULL, NULL, error), MAINSTEM_EINVAL);
    request.parts = parts;
    request.part_count = 0;
    assert_int_equal(mainstem_append_multi(store, &request, NULL, NULL, error), MAINSTEM_EINVAL);
    request.part_count = MAINSTEM_APPEND_PARTS_MAX + 1;
    assert_int_equal(mainstem_append_multi(store, &request, NULL, NULL, error), MAINSTEM_EINVAL);
    request.part_count = 2;
    assert_int_equal(mainstem_append_multi(store, &request, NULL, NULL, error), MAINSTEM_EINVAL);
    assert_int_equal(error->failed, 1);
    request.part_count = 1;
    request.query_condition_count = 1;
    assert_int_equal(mainstem_append_multi(store, &request, NULL, NULL, error), MAINSTEM_EINVAL);
    request.query_condition_count = 0;
    request.struct_size = 2;
    assert_int_equal(mainstem_append_multi(store, &request, NULL, NULL, error), MAINSTEM_EINVAL);
    /* An older request without query conditions. */
    request.struct_size = offsetof(struct mainstem_append_request, query_conditions);
    request.query_condition_count = 99;
    ASSERT_OK(mainstem_append_multi(store, &request, NULL, NULL, error));
}

/* ---- with a callback ---- */

#define ASYNC_APPENDS 2000

struct answers {
    pthread_mutex_t lock;
    pthread_cond_t all;
    struct mainstem_store *store;
    int count, wanted, failures;
    int64_t next_version;
    bool in_order;
    int last_code;
    struct mainstem_error last_error;
    int blocking_code;
    int async_code;
};

static void answers_init(struct answers *answers, struct library *library, int wanted) {
    *answers = (struct answers){.store = library->store, .wanted = wanted, .in_order = true};
    pthread_mutex_init(&answers->lock, NULL);
    pthread_cond_init(&answers->all, NULL);
}

static void answers_wait(struct answers *answers) {
    pthread_mutex_lock(&answers->lock);
    while (answers->count < answers->wanted)
        pthread_cond_wait(&answers->all, &answers->lock);
    pthread_mutex_unlock(&answers->lock);
    pthread_cond_destroy(&answers->all);
    pthread_mutex_destroy(&answers->lock);
}

static void take_answer(void *context, const struct mainstem_completion *completion) {
    struct answers *answers = context;
    pthread_mutex_lock(&answers->lock);
    answers->count++;
    answers->last_code = completion->code;
    if (completion->code != 0) {
        answers->failures++;
        answers->last_error = *completion->error;
        answers->in_order = answers->in_order && completion->result == NULL;
    } else {
        answers->in_order = answers->in_order && completion->error == NULL &&
                            completion->part_count >= 1 &&
                            completion->parts[0].version == completion->result->version &&
                            completion->result->version == answers->next_version;
        answers->next_version = completion->result->version + 1;
    }
    pthread_cond_signal(&answers->all);
    pthread_mutex_unlock(&answers->lock);
}

static void appends_may_follow_each_other_without_waiting(void **state) {
    struct library *library = *state;
    struct answers answers;
    struct mainstem_event event = event_of("x", "{}");
    answers_init(&answers, library, ASYNC_APPENDS);
    for (int64_t i = 0; i < ASYNC_APPENDS; i++)
        ASSERT_OK(mainstem_append_async(library->store, "a-1", i - 1, &event, 1, take_answer,
                                        &answers, &library->error));
    answers_wait(&answers);
    assert_int_equal(answers.failures, 0);
    assert_true(answers.in_order);
    assert_int_equal(answers.next_version, ASYNC_APPENDS);
}

static void an_asynchronous_conflict_comes_through_the_callback(void **state) {
    struct library *library = *state;
    struct answers answers;
    struct mainstem_event event = event_of("x", "{}");
    append_at(library, "a-1", MAINSTEM_ANY, "x");
    answers_init(&answers, library, 1);
    ASSERT_OK(mainstem_append_async(library->store, "a-1", 5, &event, 1, take_answer, &answers,
                                    &library->error));
    answers_wait(&answers);
    assert_int_equal(answers.last_code, MAINSTEM_ECONFLICT);
    assert_int_equal(answers.last_error.actual_version, 0);
    assert_true(answers.in_order);
    event.type.data = NULL;
    assert_int_equal(mainstem_append_async(library->store, "a-1", 0, &event, 1, take_answer,
                                           &answers, &library->error),
                     MAINSTEM_EINVAL);
    assert_int_equal(answers.count, 1);
    event = event_of("x", "{}");
    ASSERT_OK(
        mainstem_append_async(library->store, "a-1", 0, &event, 1, NULL, NULL, &library->error));
}

static void several_streams_asynchronously(void **state) {
    struct library *library = *state;
    struct answers answers;
    struct mainstem_event event = event_of("x", "{}");
    struct mainstem_part parts[2] = {{"a-1", MAINSTEM_NO_STREAM, &event, 1},
                                     {"a-2", MAINSTEM_NO_STREAM, &event, 1}};
    struct mainstem_append_request request = {
        .struct_size = sizeof request, .wait = 1, .parts = parts, .part_count = 2};
    answers_init(&answers, library, 1);
    ASSERT_OK(mainstem_append_multi_async(library->store, &request, take_answer, &answers,
                                          &library->error));
    answers_wait(&answers);
    assert_int_equal(answers.last_code, 0);
    assert_true(answers.in_order);
}

static void ask_blocking(void *context, const struct mainstem_completion *completion) {
    struct answers *answers = context;
    struct mainstem_event event = event_of("x", "{}");
    struct mainstem_error error;
    assert_int_equal(completion->code, 0);
    pthread_mutex_lock(&answers->lock);
    answers->blocking_code =
        mainstem_append(answers->store, "a-1", MAINSTEM_ANY, &event, 1, NULL, &error);
    if (mainstem_close(answers->store, &error) != MAINSTEM_EINVAL)
        answers->failures++;
    pthread_mutex_unlock(&answers->lock);
    /* But another asynchronous one may be begun. */
    answers->async_code = mainstem_append_async(answers->store, "a-1", MAINSTEM_ANY, &event, 1,
                                                take_answer, answers, &error);
}

static void a_callback_that_would_wait_for_itself_is_refused(void **state) {
    struct library *library = *state;
    struct answers answers;
    struct mainstem_event event = event_of("x", "{}");
    answers_init(&answers, library, 1);
    answers.next_version = 1;
    ASSERT_OK(mainstem_append_async(library->store, "a-1", MAINSTEM_ANY, &event, 1, ask_blocking,
                                    &answers, &library->error));
    answers_wait(&answers);
    assert_int_equal(answers.blocking_code, MAINSTEM_EINVAL);
    assert_int_equal(answers.async_code, 0);
    assert_int_equal(answers.failures, 0);
    assert_true(answers.in_order);
    append_at(library, "a-1", 1, "x"); /* outside it works */
}

static void too_much_in_flight_is_refused_or_waited_for(void **state) {
    struct library *library = *state;
    struct mainstem_options options = small_options();
    struct answers answers;
    char data[60000];
    struct mainstem_event event = {.type = mainstem_text("x")};
    struct mainstem_part part = {"a-1", MAINSTEM_ANY, &event, 1};
    struct mainstem_append_request request = {
        .struct_size = sizeof request, .parts = &part, .part_count = 1};
    int refused = 0, accepted = 0;
    memset(data, 'x', sizeof data);
    event.data = mainstem_bytes_of(data, sizeof data);
    options.inflight_bytes_max = 100000;
    ASSERT_OK(mainstem_close(library->store, &library->error));
    ASSERT_OK(mainstem_open(library->dir, &options, &library->store, &library->error));
    answers_init(&answers, library, 0);
    for (int i = 0; i < 300; i++) {
        request.wait = i % 3 == 0;
        int code = mainstem_append_multi_async(library->store, &request, take_answer, &answers,
                                               &library->error);
        assert_true(code == 0 || (code == MAINSTEM_EAGAIN && !request.wait));
        refused += code != 0;
        accepted += code == 0;
    }
    answers.wanted = accepted;
    answers_wait(&answers);
    assert_true(refused > 0);
    assert_int_equal(answers.failures, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL_TEST(versions_count_from_nought),
        REAL_TEST(many_events_get_a_row_of_versions),
        REAL_TEST(conflicts_tell_what_there_is),
        REAL_TEST(a_resend_is_answered_with_the_first_result),
        REAL_TEST(no_events_only_check_the_condition),
        REAL_TEST(what_is_malformed_is_refused_and_nothing_stored),
        REAL_TEST(limits_are_errors),
        REAL_TEST(limits_are_what_the_options_say),
        REAL_TEST(a_name_has_at_most_512_bytes),
        REAL_TEST(limits_may_be_raised),
        REAL_TEST(several_streams_change_together_or_not_at_all),
        REAL_TEST(query_conditions_guard_a_decision),
        REAL_TEST(malformed_requests_are_refused),
        REAL_TEST(appends_may_follow_each_other_without_waiting),
        REAL_TEST(an_asynchronous_conflict_comes_through_the_callback),
        REAL_TEST(several_streams_asynchronously),
        REAL_TEST(a_callback_that_would_wait_for_itself_is_refused),
        REAL_TEST(too_much_in_flight_is_refused_or_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
