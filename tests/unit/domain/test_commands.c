/* Commands from many threads: each is answered once, and what is in the streams adds up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "domain/commands.h"
#include "support/store_world.h"

#define KEYS 17u
#define THREADS 4u
#define EACH 300u

static const char account[] =
    "aggregate 'account' { initial = { n = 0 },\n"
    "  apply = { put = function(state, event) state.n = state.n + event.data.by end },\n"
    "  handle = {\n"
    "    Put = function(state, command)\n"
    "      return { event('put', { by = command.data.by, sum = state.n + command.data.by }) } "
    "end,\n"
    "    Ask = function(state) reject('sum', tostring(state.n)) end,\n"
    "    Loop = function() while true do end end,\n"
    "    None = function() return {} end } }\n";

struct fixture {
    struct store_world w;
    struct ms_commands *commands;
    struct ms_module_file file;
    pthread_mutex_t lock;
    pthread_cond_t answered;
};

/* One command and what came of it. */
struct asking {
    struct fixture *f;
    bool over;
    enum ms_command_outcome outcome;
    int64_t version;
    size_t events;
    int code;
    char text[128];
};

static int setup(void **state) {
    struct fixture *f = ms_calloc(1, sizeof *f);
    struct ms_sandbox_failure failure;
    store_world_init_real(&f->w);
    assert_int_equal(store_world_open(&f->w), 0);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->answered, NULL);
    f->file = (struct ms_module_file){"account.lua", ms_bytes_cstr(account)};
    struct ms_commands_options options = {.decider = {.store = f->w.store,
                                                      .clock = f->w.env.clock,
                                                      .limits = {.steps = 100000},
                                                      .files = &f->file,
                                                      .file_count = 1,
                                                      .kept_max = 10},
                                          .attempts = 1000};
    assert_int_equal(ms_commands_new(&options, &f->commands, &failure), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    ms_commands_free(f->commands);
    store_world_deinit(&f->w);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->answered);
    ms_free(f);
    return 0;
}

static void note(void *context, const struct ms_command_result *result) {
    struct asking *asking = context;
    pthread_mutex_lock(&asking->f->lock);
    assert_false(asking->over);
    asking->over = true;
    asking->outcome = result->outcome;
    asking->version = result->version;
    asking->events = result->events;
    if (result->failure != NULL)
        snprintf(asking->text, sizeof asking->text, "%.100s", result->failure->text);
    if (result->error != NULL)
        asking->code = result->error->code;
    pthread_cond_broadcast(&asking->f->answered);
    pthread_mutex_unlock(&asking->f->lock);
}

static void await(struct asking *asking) {
    pthread_mutex_lock(&asking->f->lock);
    while (!asking->over)
        pthread_cond_wait(&asking->f->answered, &asking->f->lock);
    pthread_mutex_unlock(&asking->f->lock);
}

static void submit(struct fixture *f, struct asking *asking, const char *key, const char *type,
                   const char *id, const int64_t *expected) {
    struct ms_command command = {.aggregate = MS_BYTES_LITERAL("account"),
                                 .key = ms_bytes_cstr(key),
                                 .type = ms_bytes_cstr(type),
                                 .data = MS_BYTES_LITERAL("{\"by\":1}"),
                                 .id = ms_bytes_cstr(id),
                                 .now_ms = 5000};
    *asking = (struct asking){.f = f};
    assert_int_equal(ms_commands_submit(f->commands, &command, expected, note, asking), 0);
}

static struct asking ask(struct fixture *f, const char *key, const char *type, const char *id,
                         const int64_t *expected) {
    struct asking asking;
    submit(f, &asking, key, type, id, expected);
    await(&asking);
    return asking;
}

static void every_outcome_is_told(void **state) {
    struct fixture *f = *state;
    struct asking a = ask(f, "1", "Put", "a", NULL);
    assert_int_equal(a.outcome, MS_COMMAND_APPENDED);
    assert_int_equal(a.version, 0);
    assert_int_equal(a.events, 1);
    a = ask(f, "1", "None", "b", NULL);
    assert_int_equal(a.outcome, MS_COMMAND_APPENDED);
    assert_int_equal(a.version, 0);
    assert_int_equal(a.events, 0);
    a = ask(f, "1", "Ask", "c", NULL);
    assert_int_equal(a.outcome, MS_COMMAND_REJECTED);
    assert_string_equal(a.text, "1");
    a = ask(f, "1", "Loop", "d", NULL);
    assert_int_equal(a.outcome, MS_COMMAND_FAILED);
    int64_t none = -1, zero = 0, five = 5;
    a = ask(f, "1", "Put", "e", &five);
    assert_int_equal(a.outcome, MS_COMMAND_ERROR);
    assert_int_equal(a.code, MS_ECONFLICT);
    assert_int_equal(a.version, 0);
    assert_int_equal(ask(f, "1", "Put", "e", &zero).version, 1);
    assert_int_equal(ask(f, "2", "Put", "f", &none).version, 0);
    assert_string_equal(ask(f, "1", "Ask", "g", NULL).text, "2");
}

static void what_others_append_is_decided_on_again(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "c%d", i);
        assert_int_equal(ask(f, "1", "Put", id, NULL).version, 2 * i);
        snprintf(id, sizeof id, "x%d", i);
        assert_int_equal(store_append(&f->w, "account-1", ANY, id).code, 0);
    }
    assert_string_equal(ask(f, "1", "Ask", "g", NULL).text, "20");
}

static void a_stream_that_was_deleted_goes_on(void **state) {
    struct fixture *f = *state;
    assert_int_equal(ask(f, "1", "Put", "a", NULL).version, 0);
    assert_int_equal(ask(f, "1", "Put", "b", NULL).version, 1);
    assert_int_equal(store_delete(&f->w, "account-1", ANY, false).code, 0);
    assert_int_equal(ask(f, "1", "Put", "c", NULL).version, 2);
    assert_int_equal(ask(f, "1", "Put", "d", NULL).version, 3);
    assert_string_equal(ask(f, "1", "Ask", "e", NULL).text, "2");
}

struct crowd {
    struct fixture *f;
    unsigned number;
    struct asking asking[EACH];
};

/* All of them at once; then waits for each. */
static void *crowd_main(void *context) {
    struct crowd *crowd = context;
    char key[16], id[32];
    for (unsigned i = 0; i < EACH; i++) {
        snprintf(key, sizeof key, "%u", (i * 7 + crowd->number) % KEYS);
        snprintf(id, sizeof id, "%u/%u", crowd->number, i);
        submit(crowd->f, &crowd->asking[i], key, "Put", id, NULL);
    }
    for (unsigned i = 0; i < EACH; i++)
        await(&crowd->asking[i]);
    return NULL;
}

static int check_sum(void *context, const struct ms_read_event *event) {
    unsigned *sum = context;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "{\"by\":1,\"sum\":%u}", ++*sum);
    if (!ms_bytes_equal_cstr(event->event.data, wanted))
        fail_msg("%.*s instead of %s", (int)event->event.data.len,
                 (const char *)event->event.data.data, wanted);
    return 0;
}

static void each_sees_what_came_before_it(void **state) {
    struct fixture *f = *state;
    static struct crowd crowds[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){.f = f, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_main, &crowds[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    unsigned total = 0;
    for (unsigned key = 0; key < KEYS; key++) {
        char stream[32];
        unsigned sum = 0;
        struct ms_stream_read_result result;
        snprintf(stream, sizeof stream, "account-%u", key);
        struct ms_stream_read read = {.stream = ms_bytes_cstr(stream), .limit = SIZE_MAX};
        assert_int_equal(
            ms_store_read_stream(f->w.store, &read, check_sum, &sum, &result, &f->w.error), 0);
        total += sum;
    }
    assert_int_equal(total, THREADS * EACH);
    for (unsigned i = 0; i < THREADS * EACH; i++)
        assert_int_equal(crowds[i / EACH].asking[i % EACH].outcome, MS_COMMAND_APPENDED);
}

static void stopping_answers_everybody(void **state) {
    struct fixture *f = *state;
    static struct crowd crowd;
    crowd = (struct crowd){.f = f};
    for (unsigned i = 0; i < EACH; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", i);
        submit(f, &crowd.asking[i], "1", "Put", id, NULL);
    }
    ms_commands_free(f->commands);
    f->commands = NULL;
    unsigned appended = 0;
    for (unsigned i = 0; i < EACH; i++) {
        assert_true(crowd.asking[i].over);
        bool done = crowd.asking[i].outcome == MS_COMMAND_APPENDED;
        assert_true(done || crowd.asking[i].code == MS_ECLOSED);
        appended += done;
    }
    assert_int_equal(store_stream(&f->w, "account-1").head, (int64_t)appended - 1);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(every_outcome_is_told),
        test(what_others_append_is_decided_on_again),
        test(a_stream_that_was_deleted_goes_on),
        test(each_sees_what_came_before_it),
        test(stopping_answers_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
