/* One thing goes wrong at every place where it can, once and from then on: allocations and file
 * operations, while appending, opening and scavenging. Afterwards what was acknowledged is there,
 * what was refused is not, what is unknown is there whole or not at all; and the same again
 * succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>

#include "base/alloc.h"
#include "log/internal.h"
#include "log/verify.h"
#include "store/internal.h"
#include "support/store_world.h"

/* ---- what is done ---- */

enum kind { ACT_APPEND, ACT_DELETE, ACT_TOMBSTONE, ACT_METADATA };

struct act {
    enum kind kind;
    const char *streams[2]; /* the second: an append to both */
    struct ms_condition condition;
    unsigned events; /* to each stream */
    bool query;      /* with a query condition that holds */
};

/* Each depends only on those before it that went well. */
static const struct act acts[] = {
    {ACT_APPEND, {"s-1"}, {MS_EXPECT_NONE, 0}, 2, false},
    {ACT_APPEND, {"s-1"}, {MS_EXPECT_VERSION, 1}, 1, true},
    {ACT_APPEND, {"s-2", "t-1"}, {MS_EXPECT_NONE, 0}, 3, false},
    {ACT_METADATA, {"s-2"}, {MS_EXPECT_ANY, 0}, 0, false},
    {ACT_APPEND, {"d-1"}, {MS_EXPECT_NONE, 0}, 1, false},
    {ACT_DELETE, {"d-1"}, {MS_EXPECT_EXISTS, 0}, 0, false},
    {ACT_APPEND, {"plain"}, {MS_EXPECT_ANY, 0}, 2, false},
    {ACT_TOMBSTONE, {"gone-1"}, {MS_EXPECT_ANY, 0}, 0, false},
};
#define ACTS (sizeof acts / sizeof acts[0])

struct fault {
    uint64_t alloc;    /* the n-th allocation of the call fails; 0 none */
    bool alloc_sticky; /* and all after it */
    bool struck;
};

static void arm(const struct fault *fault) {
    if (fault->alloc > 0 && fault->alloc_sticky)
        ms_alloc_fail_from(fault->alloc);
    else if (fault->alloc > 0)
        ms_alloc_fail_nth(fault->alloc);
}

static void disarm(struct fault *fault) {
    if (fault->alloc > 0)
        fault->struck |= ms_alloc_has_failed();
    ms_alloc_fail_nth(0);
}

struct request {
    struct ms_event events[2][4];
    char ids[2][4][32];
    struct ms_append_part parts[2];
    struct ms_bytes type;
    struct ms_query_condition query;
    struct ms_append_request request;
};

/* The ids of an append are those of its number. */
static void fill_request(struct request *r, size_t number) {
    const struct act *act = &acts[number];
    size_t count = act->streams[1] != NULL ? 2 : 1;
    *r = (struct request){.type = MS_BYTES_LITERAL("never")};
    for (size_t p = 0; p < count; p++) {
        for (unsigned i = 0; i < act->events; i++) {
            snprintf(r->ids[p][i], sizeof r->ids[p][i], "%zu.%zu.%u", number, p, i);
            r->events[p][i] = (struct ms_event){.id = ms_bytes_cstr(r->ids[p][i]),
                                                .type = MS_BYTES_LITERAL("happened"),
                                                .timestamp_ms = MS_TIMESTAMP_NONE,
                                                .data = ms_bytes_cstr("{\"n\":1}"),
                                                .tags = ms_bytes_cstr("a,b")};
        }
        r->parts[p] = (struct ms_append_part){ms_bytes_cstr(act->streams[p]), act->condition,
                                              r->events[p], act->events};
    }
    r->query = (struct ms_query_condition){.types = &r->type, .type_count = 1, .after_none = true};
    r->request = (struct ms_append_request){.parts = r->parts,
                                            .part_count = count,
                                            .query_conditions = &r->query,
                                            .query_condition_count = act->query};
}

/* Does it and waits for its answer; the test's own memory is never what fails. */
static struct store_answer perform(struct store_world *w, size_t number, struct fault *fault) {
    static struct request r;
    const struct act *act = &acts[number];
    struct ms_bytes stream = ms_bytes_cstr(act->streams[0]);
    struct store_answer answer = {0};
    struct ms_error err = {0};
    int rc = 0;
    fill_request(&r, number);
    arm(fault);
    switch (act->kind) {
    case ACT_APPEND:
        rc = ms_store_append(w->store, &r.request, store_answer_take, &answer, &err);
        break;
    case ACT_DELETE:
    case ACT_TOMBSTONE:
        rc = ms_store_delete_stream(w->store, stream, act->condition, act->kind == ACT_TOMBSTONE,
                                    store_answer_take, &answer, &err);
        break;
    case ACT_METADATA:
        rc = ms_store_put_metadata(w->store, stream, act->condition,
                                   MS_BYTES_LITERAL("{\"$maxCount\":9}"), store_answer_take,
                                   &answer, &err);
        break;
    }
    ms_store_run(w->store);
    disarm(fault);
    if (rc != 0)
        answer.refused = answer.code = rc;
    if (answer.calls != (rc == 0 ? 1u : 0u))
        fail_msg("act %zu: %s, and answered %u times", number, ms_error_name(rc), answer.calls);
    if (rc != 0 && rc != MS_ENOMEM && err.code != rc)
        fail_msg("act %zu: %s without a sentence", number, ms_error_name(rc));
    return answer;
}

/* ---- what must hold ---- */

static unsigned count_events(const struct event_log *log, size_t number) {
    char prefix[24];
    unsigned found = 0;
    int len = snprintf(prefix, sizeof prefix, "%zu.", number);
    for (size_t i = 0; i < log->count; i++)
        found += strncmp(log->events[i].id, prefix, (size_t)len) == 0;
    return found;
}

/* What is there of an act: 0 nothing, 1 all of it; anything else fails. */
static bool is_there(struct store_world *w, const struct event_log *log, size_t number) {
    const struct act *act = &acts[number];
    unsigned wanted = act->events * (act->streams[1] != NULL ? 2 : 1), found = 0;
    struct ms_stream_read_result stream = store_stream(w, act->streams[0]);
    struct ms_buf json;
    int64_t version;
    switch (act->kind) {
    case ACT_APPEND:
        found = count_events(log, number);
        if (found != 0 && found != wanted)
            fail_msg("%u of the %u events of act %zu are there", found, wanted, number);
        return found > 0;
    case ACT_DELETE:
        return stream.state == MS_STREAM_DELETED;
    case ACT_TOMBSTONE:
        return stream.state == MS_STREAM_TOMBSTONED;
    case ACT_METADATA:
        ms_buf_init(&json, 4096);
        found = ms_store_get_metadata(w->store, ms_bytes_cstr(act->streams[0]), &json, &version,
                                      NULL) == 0;
        ms_buf_deinit(&json);
        return found > 0;
    }
    return false;
}

static void check_answers(struct store_world *w, const struct store_answer *answers,
                          const char *what, uint64_t n) {
    struct event_log log = {0};
    store_read_everything(w, false, &log);
    for (size_t i = 0; i < ACTS; i++) {
        bool there = is_there(w, &log, i);
        bool wrong = answers[i].code == 0 ? !there : answers[i].code != MS_EUNKNOWN && there;
        if (wrong)
            fail_msg("%s %llu: act %zu was answered with %s and is %s", what, (unsigned long long)n,
                     i, ms_error_name(answers[i].code), there ? "there" : "not there");
    }
    event_log_clear(&log);
}

/* Everything once more, as a client does that was not answered. */
static void again(struct store_world *w, const char *what, uint64_t n) {
    struct fault none = {0};
    struct event_log log = {0};
    for (size_t i = 0; i < ACTS; i++) {
        int code = perform(w, i, &none).code;
        bool done = (acts[i].kind == ACT_DELETE && code == MS_EDELETED) ||
                    (acts[i].kind == ACT_TOMBSTONE && code == MS_ETOMBSTONED);
        if (code != 0 && !done)
            fail_msg("%s %llu: act %zu again: %s", what, (unsigned long long)n, i,
                     ms_error_name(code));
    }
    store_read_everything(w, false, &log);
    for (size_t i = 0; i < ACTS; i++)
        if (!is_there(w, &log, i))
            fail_msg("%s %llu: act %zu is not there after all", what, (unsigned long long)n, i);
    event_log_clear(&log);
}

static void open_again(struct store_world *w, const char *what, uint64_t n) {
    if (w->store != NULL)
        ms_ignore(store_world_close(w));
    if (store_world_open(w) != 0)
        fail_msg("%s %llu: opening: %s", what, (unsigned long long)n, w->error.message);
}

static void check_afterwards(struct store_world *w, const struct store_answer *answers,
                             const char *what, uint64_t n) {
    assert_true(w->failures <= 2); /* once for each time the store was open */
    open_again(w, what, n);
    check_answers(w, answers, what, n);
    again(w, what, n);
    if (n % 16 == 0) { /* and from the disk */
        open_again(w, what, n);
        again(w, what, n);
    }
    assert_int_equal(store_world_close(w), 0);
}

/* ---- file operations ---- */

static void run_script(struct store_world *w, struct store_answer answers[ACTS]) {
    struct fault none = {0};
    for (size_t i = 0; i < ACTS; i++)
        answers[i].code = MS_ECLOSED;
    if (store_world_open(w) != 0)
        return;
    for (size_t i = 0; i < ACTS; i++)
        answers[i] = perform(w, i, &none);
    ms_ignore(store_world_close(w));
    if (store_world_open(w) == 0) /* after a clean stop there is more to read */
        ms_ignore(store_world_close(w));
}

static void fail_each_operation(enum ms_sim_op op, int code, bool sticky) {
    struct store_answer answers[ACTS];
    struct store_world w;
    uint64_t step = world_setting("MS_FAULT_STEP", 1), count;
    store_world_init(&w, 1);
    run_script(&w, answers);
    count = ms_vfs_sim_count(w.world.sim, op);
    check_afterwards(&w, answers, "no fault", 0);
    store_world_deinit(&w);
    assert_true(count > 5 && count < 2000);
    for (uint64_t n = 1; n <= count; n += step) {
        store_world_init(&w, n);
        ms_vfs_sim_fail_nth(w.world.sim, op, n, code, sticky);
        run_script(&w, answers);
        ms_vfs_sim_fail_nth(w.world.sim, op, 0, 0, false);
        check_afterwards(&w, answers, ms_error_name(code), n);
        store_world_deinit(&w);
    }
}

static void any_failed_operation_leaves_the_store_sound(void **state) {
    (void)state;
    fail_each_operation(MS_SIM_ANY, MS_EIO, false);
}

static void storage_that_dies_leaves_the_store_sound(void **state) {
    (void)state;
    fail_each_operation(MS_SIM_ANY, MS_EIO, true);
}

static void space_that_runs_out_leaves_the_store_sound(void **state) {
    (void)state;
    fail_each_operation(MS_SIM_WRITE, MS_ENOSPC, false);
    fail_each_operation(MS_SIM_WRITE, MS_ENOSPC, true);
}

/* ---- memory, while appending ---- */

/* The n-th allocation of one act fails; false when it has fewer. */
static bool fail_allocation(size_t number, uint64_t n, bool sticky) {
    struct store_answer answers[ACTS];
    struct fault none = {0}, fault = {.alloc = n, .alloc_sticky = sticky};
    struct store_world w;
    store_world_init(&w, n);
    assert_int_equal(store_world_open(&w), 0);
    for (size_t i = 0; i < ACTS; i++)
        answers[i] = perform(&w, i, i == number ? &fault : &none);
    int code = answers[number].code;
    if (code != 0 && code != MS_ENOMEM && code != MS_EUNKNOWN)
        fail_msg("allocation %llu of act %zu: %s", (unsigned long long)n, number,
                 ms_error_name(code));
    assert_true(fault.struck || code == 0);
    if (w.failures > 0 || n % 8 == 0) {
        check_afterwards(&w, answers, "allocation", n);
    } else { /* the store goes on */
        check_answers(&w, answers, "allocation", n);
        again(&w, "allocation", n);
    }
    store_world_deinit(&w);
    return fault.struck;
}

static void memory_that_runs_out_refuses_an_append(void **state) {
    (void)state;
    uint64_t step = world_setting("MS_FAULT_STEP", 1), struck = 0;
    for (size_t i = 0; i < ACTS; i++)
        for (int sticky = 0; sticky < 2; sticky++) /* most operations end at the first one */
            for (uint64_t n = 1; fail_allocation(i, n, sticky != 0); n += sticky ? 3 * step : step)
                struck++;
    assert_true(struck * step > 2 * ACTS);
}

/* ---- opening ---- */

static void die(struct store_world *w) {
    struct ms_error died = {.code = MS_EIO, .message = "died"};
    ms_log_poison(w->store->log, &died);
    ms_ignore(store_world_close(w));
    w->failures = 0;
}

/* The directory that is opened over and over: every act in it, and bytes behind the end. */
static void leave_a_store(struct store_world *w) {
    struct store_answer answers[ACTS];
    store_world_init(w, 7);
    run_script(w, answers);
    assert_int_equal(store_world_open(w), 0);
    again(w, "before", 0);
    die(w);
}

static void open_and_compare(struct store_world *w, const struct event_log *right, uint64_t n) {
    struct event_log log = {0};
    if (w->store == NULL && store_world_open(w) != 0)
        fail_msg("%llu: opening again: %s", (unsigned long long)n, w->error.message);
    store_read_everything(w, false, &log);
    assert_true(event_log_equal(&log, right, false));
    event_log_clear(&log);
}

static void memory_that_runs_out_while_opening_is_only_an_error(void **state) {
    (void)state;
    struct event_log right = {0};
    struct store_world w;
    uint64_t step = world_setting("MS_FAULT_STEP", 1), failures = 0;
    leave_a_store(&w);
    assert_int_equal(store_world_open(&w), 0);
    store_read_everything(&w, false, &right);
    die(&w);
    for (int sticky = 0; sticky < 2; sticky++) {
        struct fault fault = {.alloc_sticky = sticky != 0};
        do {
            fault.struck = false;
            fault.alloc += fault.alloc == 0 ? 1 : sticky != 0 ? 4 * step : step;
            arm(&fault);
            int rc = store_world_open(&w);
            disarm(&fault);
            if (rc != 0 && rc != MS_ENOMEM)
                fail_msg("allocation %llu: %s", (unsigned long long)fault.alloc, w.error.message);
            assert_true(rc == 0 || (fault.struck && w.store == NULL));
            failures += rc != 0;
            open_and_compare(&w, &right, fault.alloc);
            die(&w);
        } while (fault.struck);
    }
    assert_true(failures * step > 20);
    event_log_clear(&right);
    store_world_deinit(&w);
}

static void failed_operations_while_opening_are_only_errors(void **state) {
    (void)state;
    struct event_log right = {0};
    struct store_world w;
    uint64_t step = world_setting("MS_FAULT_STEP", 1), before, count;
    leave_a_store(&w);
    before = ms_vfs_sim_count(w.world.sim, MS_SIM_ANY);
    assert_int_equal(store_world_open(&w), 0);
    count = ms_vfs_sim_count(w.world.sim, MS_SIM_ANY) - before;
    store_read_everything(&w, false, &right);
    die(&w);
    for (int sticky = 0; sticky < 2; sticky++)
        for (uint64_t n = 1; n <= count; n += step) {
            ms_vfs_sim_fail_nth(w.world.sim, MS_SIM_ANY, n, MS_EIO, sticky != 0);
            int rc = store_world_open(&w);
            ms_vfs_sim_fail_nth(w.world.sim, MS_SIM_ANY, 0, 0, false);
            if (rc != 0 && rc != MS_EIO)
                fail_msg("operation %llu: %s", (unsigned long long)n, w.error.message);
            open_again(&w, "operation", n);
            open_and_compare(&w, &right, n);
            die(&w);
        }
    event_log_clear(&right);
    store_world_deinit(&w);
}

/* ---- scavenging ---- */

#define BIG 60000u

static void append_big(struct store_world *w, const char *stream) {
    static char data[BIG];
    memset(data, 'x', sizeof data);
    struct ms_event event = {.type = MS_BYTES_LITERAL("big"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .content_type = MS_BYTES_LITERAL("text/plain"),
                             .data = ms_bytes_of(data, sizeof data)};
    struct ms_append_part part = {ms_bytes_cstr(stream), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    assert_int_equal(store_request(w, &request).code, 0);
}

/* Two sealed segments, half of which is deleted, and what comes after them. */
static void leave_waste(struct store_world *w, struct event_log *right) {
    struct ms_store_info info = {0};
    store_world_init(w, 9);
    assert_int_equal(store_world_open(w), 0);
    for (unsigned i = 0; info.segments < 3; i++) {
        append_big(w, i % 2 == 0 ? "waste-1" : "kept-1");
        ms_store_info(w->store, &info);
    }
    while (ms_keeper_step(w->store->log))
        continue;
    assert_int_equal(store_delete(w, "waste-1", EXISTS, false).code, 0);
    assert_int_equal(store_append(w, "kept-1", ANY, "last").code, 0);
    struct ms_scavenge_options options = {.all = true};
    struct ms_scavenge_result result;
    assert_int_equal(ms_store_scavenge(w->store, &options, &result, &w->error), 0);
    assert_true(result.events_removed > 0);
    store_read_everything(w, false, right);
}

static int scavenge(struct store_world *w) {
    struct ms_scavenge_options options = {.all = true};
    struct ms_scavenge_result result;
    w->error = (struct ms_error){0};
    int rc = ms_store_scavenge(w->store, &options, &result, &w->error);
    assert_true(rc == 0 || rc == MS_ENOMEM || rc == w->error.code);
    assert_true(rc != 0 || result.rewritten >= 2);
    return rc;
}

/* After one that failed: everything reads as before, and the next one succeeds. */
static void scavenge_again(struct store_world *w, const struct event_log *right, uint64_t n) {
    struct ms_store_info info;
    ms_store_info(w->store, &info);
    if (info.failed) {
        w->failures = 0;
        open_again(w, "scavenging", n);
    }
    open_and_compare(w, right, n);
    if (scavenge(w) != 0)
        fail_msg("%llu: scavenging again: %s", (unsigned long long)n, w->error.message);
    open_and_compare(w, right, n);
}

static void finish_scavenging(struct store_world *w, struct event_log *right) {
    struct ms_verify_result verified;
    struct ms_uuid uuid = w->store->log->options.store_uuid;
    struct ms_verify_options options = {.env = &w->env, .dir = "data/shard-000", .log_uuid = uuid};
    store_world_reopen(w);
    open_and_compare(w, right, 0);
    assert_int_equal(store_world_close(w), 0);
    assert_int_equal(ms_log_verify(&options, &verified, NULL), 0);
    assert_int_equal(verified.damages, 0);
    event_log_clear(right);
    store_world_deinit(w);
}

static void memory_that_runs_out_while_scavenging_is_only_an_error(void **state) {
    (void)state;
    struct event_log right = {0};
    struct store_world w;
    uint64_t step = world_setting("MS_FAULT_STEP", 1), failures = 0;
    leave_waste(&w, &right);
    for (int sticky = 0; sticky < 2; sticky++) {
        struct fault fault = {.alloc_sticky = sticky != 0};
        do {
            fault.struck = false;
            fault.alloc += fault.alloc == 0 ? 1 : step;
            arm(&fault);
            int rc = scavenge(&w);
            disarm(&fault);
            if (rc != 0 && rc != MS_ENOMEM)
                fail_msg("allocation %llu: %s", (unsigned long long)fault.alloc, w.error.message);
            failures += rc != 0;
            if (rc != 0)
                scavenge_again(&w, &right, fault.alloc);
        } while (fault.struck);
    }
    assert_true(failures * step > 20);
    finish_scavenging(&w, &right);
}

static void failed_operations_while_scavenging_are_only_errors(void **state) {
    (void)state;
    struct event_log right = {0};
    struct store_world w;
    uint64_t step = world_setting("MS_FAULT_STEP", 1), before, count;
    leave_waste(&w, &right);
    before = ms_vfs_sim_count(w.world.sim, MS_SIM_ANY);
    assert_int_equal(scavenge(&w), 0);
    count = ms_vfs_sim_count(w.world.sim, MS_SIM_ANY) - before;
    assert_true(count > 20 && count < 1000);
    for (int sticky = 0; sticky < 2; sticky++)
        for (uint64_t n = 1; n <= count; n += step) {
            ms_vfs_sim_fail_nth(w.world.sim, MS_SIM_ANY, n, MS_EIO, sticky != 0);
            int rc = scavenge(&w);
            ms_vfs_sim_fail_nth(w.world.sim, MS_SIM_ANY, 0, 0, false);
            if (rc != 0 && rc != MS_EIO)
                fail_msg("operation %llu: %s", (unsigned long long)n, w.error.message);
            scavenge_again(&w, &right, n);
        }
    finish_scavenging(&w, &right);
}

int main(void) {
    /* Hundreds of stores are opened here: their chunks need not go back to the system each time. */
    (void)mallopt(M_MMAP_THRESHOLD, 2 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_failed_operation_leaves_the_store_sound),
        cmocka_unit_test(storage_that_dies_leaves_the_store_sound),
        cmocka_unit_test(space_that_runs_out_leaves_the_store_sound),
        cmocka_unit_test(memory_that_runs_out_refuses_an_append),
        cmocka_unit_test(memory_that_runs_out_while_opening_is_only_an_error),
        cmocka_unit_test(failed_operations_while_opening_are_only_errors),
        cmocka_unit_test(memory_that_runs_out_while_scavenging_is_only_an_error),
        cmocka_unit_test(failed_operations_while_scavenging_are_only_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
