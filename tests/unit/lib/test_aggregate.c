/* Aggregates: commands decided on the state, saved under its version, retried on a conflict. */
#include "lib/counter.h"

#include <pthread.h>

#include "base/alloc.h"

static int lower(const void *state, const void *command, struct mainstem_decision *decision) {
    const struct counter *counter = state;
    struct mainstem_event event = event_of("counter.lowered", "{}");
    (void)command;
    int code = mainstem_emit(decision, &event); /* dropped again when the command is refused */
    if (code == 0 && counter->value == 0)
        return mainstem_refuse(decision, 42, "the counter is at nought");
    return code;
}

static int do_nothing(const void *state, const void *command, struct mainstem_decision *decision) {
    (void)state, (void)command, (void)decision;
    return 0;
}

static int poison(const void *state, const void *command, struct mainstem_decision *decision) {
    struct mainstem_event event = event_of("counter.poisoned", "{}");
    (void)state, (void)command;
    return mainstem_emit(decision, &event);
}

static int64_t stored_version(struct library *library, const char *stream) {
    struct mainstem_stream_info info = {.struct_size = sizeof info};
    ASSERT_OK(mainstem_stream_info(library->store, stream, &info, &library->error));
    return info.version;
}

static void executing_appends_what_was_decided(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    struct mainstem_append_result result;
    int times = 3;
    ASSERT_OK(mainstem_execute(repository, "1", raise_counter, &times, &result, &library->error));
    assert_int_equal(result.first_version, 0);
    assert_int_equal(result.version, 2);
    ASSERT_OK(mainstem_execute(repository, "1", lower, NULL, &result, &library->error));
    assert_int_equal(result.version, 3);
    uint64_t position = result.position;
    ASSERT_OK(mainstem_execute(repository, "1", do_nothing, NULL, &result, &library->error));
    assert_int_equal(result.version, 3);
    assert_true(result.position >= position);
    assert_int_equal(stored_version(library, "counter-1"), 3);
    mainstem_repository_free(repository);
}

static void a_refused_command_changes_nothing(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    assert_int_equal(mainstem_execute(repository, "1", lower, NULL, NULL, &library->error), 42);
    assert_string_equal(library->error.message, "the counter is at nought");
    assert_int_equal(library->error.code, 42);
    assert_int_equal(stored_version(library, "counter-1"), -1);
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(mainstem_decide(aggregate, lower, NULL, &library->error), 42);
    assert_int_equal(counter_of(aggregate)->value, 0);
    int once = 1;
    ASSERT_OK(mainstem_decide(aggregate, raise_counter, &once, &library->error));
    ASSERT_OK(mainstem_save(aggregate, NULL, &library->error));
    assert_int_equal(stored_version(library, "counter-1"), 0);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void several_decisions_are_saved_together(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    struct mainstem_append_result result;
    int twice = 2;
    ASSERT_OK(mainstem_decide(aggregate, raise_counter, &twice, &library->error));
    assert_int_equal(counter_of(aggregate)->value, 2); /* seen at once … */
    ASSERT_OK(mainstem_decide(aggregate, lower, NULL, &library->error));
    assert_int_equal(mainstem_aggregate_version(aggregate), -1);
    assert_int_equal(stored_version(library, "counter-1"), -1); /* … and stored by the save */
    ASSERT_OK(mainstem_save(aggregate, &result, &library->error));
    assert_int_equal(result.version, 2);
    assert_int_equal(mainstem_aggregate_version(aggregate), 2);
    ASSERT_OK(mainstem_save(aggregate, &result, &library->error)); /* nothing to save */
    assert_int_equal(result.version, 2);
    ASSERT_OK(mainstem_decide(aggregate, raise_counter, &twice, &library->error));
    ASSERT_OK(mainstem_save(aggregate, &result, &library->error));
    assert_int_equal(result.first_version, 3);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void the_slower_of_two_is_told(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    struct mainstem_aggregate *fast = load(library, repository, "1");
    struct mainstem_aggregate *slow = load(library, repository, "1");
    int once = 1;
    ASSERT_OK(mainstem_decide(fast, raise_counter, &once, &library->error));
    ASSERT_OK(mainstem_decide(slow, raise_counter, &once, &library->error));
    ASSERT_OK(mainstem_save(fast, NULL, &library->error));
    assert_int_equal(mainstem_save(slow, NULL, &library->error), MAINSTEM_ECONFLICT);
    assert_int_equal(library->error.actual_version, 0);
    mainstem_aggregate_free(fast);
    mainstem_aggregate_free(slow);
    mainstem_repository_free(repository);
}

/* Interferes while it decides, as another writer would. */
struct interference {
    struct library *library;
    int times, calls;
};

static int raise_against_others(const void *state, const void *command,
                                struct mainstem_decision *decision) {
    struct interference *interference = *(struct interference *const *)command;
    int once = 1;
    interference->calls++;
    if (interference->times-- > 0)
        append_one(interference->library, "counter-1", "counter.raised", "{}");
    return raise_counter(state, &once, decision);
}

static void a_conflict_is_decided_anew(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    struct interference interference = {library, 3, 0}, *command = &interference;
    struct mainstem_append_result result;
    ASSERT_OK(mainstem_execute(repository, "1", raise_against_others, &command, &result,
                               &library->error));
    assert_int_equal(interference.calls, 4);
    assert_int_equal(result.version, 3);
    mainstem_repository_free(repository);
    type.retries_max = 2;
    repository = repository_of(library, &type);
    interference = (struct interference){library, 100, 0};
    assert_int_equal(
        mainstem_execute(repository, "1", raise_against_others, &command, &result, &library->error),
        MAINSTEM_ECONFLICT);
    assert_int_equal(interference.calls, 3);
    mainstem_repository_free(repository);
}

#define THREADS 4
#define RAISES 25

struct racer {
    struct mainstem_repository *repository;
    int failures;
};

static void *race(void *argument) {
    struct racer *racer = argument;
    int once = 1;
    for (int i = 0; i < RAISES; i++)
        if (mainstem_execute(racer->repository, "1", raise_counter, &once, NULL, NULL) != 0)
            racer->failures++;
    return NULL;
}

static void racing_commands_all_take_effect_once(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    type.retries_max = 10000;
    struct mainstem_repository *repository = repository_of(library, &type);
    pthread_t threads[THREADS];
    struct racer racers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){repository, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(racers[i].failures, 0);
    }
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    assert_int_equal(counter_of(aggregate)->value, THREADS * RAISES);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void an_apply_that_fails_breaks_the_aggregate(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    counter_apply_code = 13;
    assert_int_equal(mainstem_decide(aggregate, poison, NULL, &library->error), 13);
    counter_apply_code = 0;
    assert_int_equal(mainstem_decide(aggregate, do_nothing, NULL, &library->error),
                     MAINSTEM_EINVAL);
    assert_int_equal(mainstem_save(aggregate, NULL, &library->error), MAINSTEM_EINVAL);
    assert_message_has(&library->error, "load it anew");
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
    assert_int_equal(stored_version(library, "counter-1"), -1);
}

/* ---- what is emitted ---- */

struct previewed {
    struct mainstem_recorded_event event;
    char id[64];
};
static struct previewed previewed;

static int remember(void *state, const struct mainstem_recorded_event *event) {
    (void)state;
    previewed.event = *event;
    snprintf(previewed.id, sizeof previewed.id, "%.*s", (int)event->event.id.size,
             (const char *)event->event.id.data);
    return 0;
}

static int emit_from_stack(const void *state, const void *command,
                           struct mainstem_decision *decision) {
    char type[] = "counter.raised", data[] = "{\"by\":1}", name[] = "tenantid", value[] = "t1";
    struct mainstem_extension extension = {mainstem_text(name), mainstem_text(value)};
    struct mainstem_event event = {.type = mainstem_text(type),
                                   .data = mainstem_text(data),
                                   .extensions = &extension,
                                   .extension_count = 1};
    (void)state, (void)command;
    int code = mainstem_emit(decision, &event);
    memset(type, '?', sizeof type);
    memset(data, '?', sizeof data);
    memset(name, '?', sizeof name);
    return code;
}

static void what_is_emitted_is_copied_and_applied_as_it_will_be_read(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = {
        .struct_size = sizeof type, .topic = "counter", .state_size = 1, .apply = remember};
    struct mainstem_repository *repository = repository_of(library, &type);
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    ASSERT_OK(mainstem_decide(aggregate, emit_from_stack, NULL, &library->error));
    struct previewed before = previewed;
    assert_int_equal(before.event.position, MAINSTEM_END);
    assert_bytes(before.event.stream, "counter-1");
    assert_bytes(before.event.key, "1");
    assert_bytes(before.event.event.data, "{\"by\":1}");
    assert_bytes(before.event.event.source, "mainstem");
    assert_int_equal(strlen(before.id), 36);
    int64_t timestamp_ms = before.event.event.timestamp_ms;
    assert_true(timestamp_ms > 1600000000000);
    ASSERT_OK(mainstem_save(aggregate, NULL, &library->error));
    mainstem_aggregate_free(aggregate);
    aggregate = load(library, repository, "1");
    assert_string_equal(previewed.id, before.id);
    assert_int_equal(previewed.event.version, before.event.version);
    assert_int_equal(previewed.event.event.timestamp_ms, timestamp_ms);
    assert_int_equal(previewed.event.event.extension_count, 1);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static int emit_wrong(const void *state, const void *command, struct mainstem_decision *decision) {
    struct mainstem_event event = event_of("x", "{}");
    const int *which = command;
    (void)state;
    switch (*which) {
    case 0:
        event.type.data = NULL;
        return mainstem_emit(decision, &event);
    case 1:
        return mainstem_emit(decision, NULL);
    case 2:
        return mainstem_emit(NULL, &event);
    case 3:
        event.data.size = MAINSTEM_EVENT_BYTES_MAX + 1;
        return mainstem_emit(decision, &event);
    case 4:
        event.extension_count = 1;
        return mainstem_emit(decision, &event);
    default:
        return mainstem_refuse(NULL, 7, "nobody hears it");
    }
}

static void malformed_calls_are_refused(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    struct mainstem_aggregate *aggregate = load(library, repository, "1");
    const int wanted[] = {MAINSTEM_EINVAL,  MAINSTEM_EINVAL, MAINSTEM_EINVAL,
                          MAINSTEM_ETOOBIG, MAINSTEM_EINVAL, 7};
    for (int i = 0; i < 6; i++)
        assert_int_equal(mainstem_decide(aggregate, emit_wrong, &i, &library->error), wanted[i]);
    assert_int_equal(mainstem_decide(aggregate, NULL, NULL, &library->error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_decide(NULL, do_nothing, NULL, &library->error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_save(NULL, NULL, &library->error), MAINSTEM_EINVAL);
    assert_int_equal(mainstem_execute(NULL, "1", do_nothing, NULL, NULL, &library->error),
                     MAINSTEM_EINVAL);
    assert_int_equal(mainstem_execute(repository, NULL, do_nothing, NULL, NULL, &library->error),
                     MAINSTEM_EINVAL);
    mainstem_aggregate_free(aggregate);
    mainstem_repository_free(repository);
}

static void executing_survives_every_failed_allocation(void **state) {
    struct library *library = *state;
    struct mainstem_aggregate_type type = counter_type();
    struct mainstem_repository *repository = repository_of(library, &type);
    int thrice = 3, code = MAINSTEM_ENOMEM;
    append_one(library, "counter-1", "counter.raised", "{}");
    for (uint64_t n = 1; code != 0; n++) {
        struct mainstem_append_result result = {.version = 77};
        ms_alloc_fail_nth(n);
        code = mainstem_execute(repository, "1", raise_counter, &thrice, &result, &library->error);
        ms_alloc_fail_nth(0);
        assert_true(code == 0 || code == MAINSTEM_ENOMEM);
        assert_int_equal(result.version, code == 0 ? 3 : 77);
    }
    assert_int_equal(stored_version(library, "counter-1"), 3);
    mainstem_repository_free(repository);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL_TEST(executing_appends_what_was_decided),
        REAL_TEST(a_refused_command_changes_nothing),
        REAL_TEST(several_decisions_are_saved_together),
        REAL_TEST(the_slower_of_two_is_told),
        REAL_TEST(a_conflict_is_decided_anew),
        REAL_TEST(racing_commands_all_take_effect_once),
        REAL_TEST(an_apply_that_fails_breaks_the_aggregate),
        REAL_TEST(what_is_emitted_is_copied_and_applied_as_it_will_be_read),
        REAL_TEST(malformed_calls_are_refused),
        REAL_TEST(executing_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
