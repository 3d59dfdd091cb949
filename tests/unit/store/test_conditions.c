/* Conditions of appends: every kind against every state that a stream can be in, deletes and what
 * comes after them, and appends to several streams at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "support/store_world.h"

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    if (store_world_open(&w) != 0)
        return -1;
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

enum stream_kind { NEVER, EVENTS_3, SOFT_DELETED, REOPENED, TOMBSTONED, METADATA_ONLY, KINDS };
static const char *const kind_names[] = {"never existed", "three events", "soft deleted",
                                         "reopened",      "tombstoned",   "only metadata"};

static void make_stream(struct store_world *w, enum stream_kind kind, const char *name) {
    if (kind == METADATA_ONLY)
        assert_int_equal(store_put_metadata(w, name, ANY, "{\"x\":1}").code, 0);
    if (kind == NEVER || kind == METADATA_ONLY)
        return;
    assert_int_equal(store_append(w, name, ANY, "a b c").code, 0);
    if (kind == SOFT_DELETED || kind == REOPENED)
        assert_int_equal(store_delete(w, name, ANY, false).code, 0);
    if (kind == REOPENED)
        assert_int_equal(store_append(w, name, NONE, "d").code, 0);
    if (kind == TOMBSTONED)
        assert_int_equal(store_delete(w, name, ANY, true).code, 0);
}

struct row {
    enum stream_kind kind;
    struct ms_condition condition;
    int code;
    int64_t version; /* of the first event appended, or the actual one in the refusal */
    enum ms_stream_state state;
};

static const struct row rows[] = {
    {NEVER, {MS_EXPECT_ANY, 0}, 0, 0, 0},
    {NEVER, {MS_EXPECT_NONE, 0}, 0, 0, 0},
    {NEVER, {MS_EXPECT_EXISTS, 0}, MS_ECONFLICT, -1, MS_STREAM_NONE},
    {NEVER, {MS_EXPECT_VERSION, 0}, MS_ECONFLICT, -1, MS_STREAM_NONE},
    {NEVER, {MS_EXPECT_VERSION, -1}, MS_ECONFLICT, -1, MS_STREAM_NONE},
    {NEVER, {MS_EXPECT_VERSION, 7}, MS_ECONFLICT, -1, MS_STREAM_NONE},

    {EVENTS_3, {MS_EXPECT_ANY, 0}, 0, 3, 0},
    {EVENTS_3, {MS_EXPECT_NONE, 0}, MS_ECONFLICT, 2, MS_STREAM_LIVE},
    {EVENTS_3, {MS_EXPECT_EXISTS, 0}, 0, 3, 0},
    {EVENTS_3, {MS_EXPECT_VERSION, 0}, MS_ECONFLICT, 2, MS_STREAM_LIVE},
    {EVENTS_3, {MS_EXPECT_VERSION, 1}, MS_ECONFLICT, 2, MS_STREAM_LIVE},
    {EVENTS_3, {MS_EXPECT_VERSION, 2}, 0, 3, 0},
    {EVENTS_3, {MS_EXPECT_VERSION, 3}, MS_ECONFLICT, 2, MS_STREAM_LIVE},
    {EVENTS_3, {MS_EXPECT_VERSION, INT64_MAX}, MS_ECONFLICT, 2, MS_STREAM_LIVE},
    {EVENTS_3, {MS_EXPECT_VERSION, INT64_MIN}, MS_ECONFLICT, 2, MS_STREAM_LIVE},

    {SOFT_DELETED, {MS_EXPECT_ANY, 0}, 0, 3, 0},
    {SOFT_DELETED, {MS_EXPECT_NONE, 0}, 0, 3, 0},
    {SOFT_DELETED, {MS_EXPECT_EXISTS, 0}, MS_ECONFLICT, 2, MS_STREAM_DELETED},
    {SOFT_DELETED, {MS_EXPECT_VERSION, 1}, MS_ECONFLICT, 2, MS_STREAM_DELETED},
    {SOFT_DELETED, {MS_EXPECT_VERSION, 2}, 0, 3, 0},
    {SOFT_DELETED, {MS_EXPECT_VERSION, 3}, MS_ECONFLICT, 2, MS_STREAM_DELETED},

    {REOPENED, {MS_EXPECT_ANY, 0}, 0, 4, 0},
    {REOPENED, {MS_EXPECT_NONE, 0}, MS_ECONFLICT, 3, MS_STREAM_LIVE},
    {REOPENED, {MS_EXPECT_EXISTS, 0}, 0, 4, 0},
    {REOPENED, {MS_EXPECT_VERSION, 2}, MS_ECONFLICT, 3, MS_STREAM_LIVE},
    {REOPENED, {MS_EXPECT_VERSION, 3}, 0, 4, 0},

    {TOMBSTONED, {MS_EXPECT_ANY, 0}, MS_ETOMBSTONED, 3, MS_STREAM_TOMBSTONED},
    {TOMBSTONED, {MS_EXPECT_NONE, 0}, MS_ETOMBSTONED, 3, MS_STREAM_TOMBSTONED},
    {TOMBSTONED, {MS_EXPECT_EXISTS, 0}, MS_ETOMBSTONED, 3, MS_STREAM_TOMBSTONED},
    {TOMBSTONED, {MS_EXPECT_VERSION, 2}, MS_ETOMBSTONED, 3, MS_STREAM_TOMBSTONED},
    {TOMBSTONED, {MS_EXPECT_VERSION, 3}, MS_ETOMBSTONED, 3, MS_STREAM_TOMBSTONED},

    {METADATA_ONLY, {MS_EXPECT_ANY, 0}, 0, 0, 0},
    {METADATA_ONLY, {MS_EXPECT_NONE, 0}, 0, 0, 0},
    {METADATA_ONLY, {MS_EXPECT_EXISTS, 0}, 0, 0, 0},
    {METADATA_ONLY, {MS_EXPECT_VERSION, 0}, MS_ECONFLICT, -1, MS_STREAM_NONE},

    {NEVER, {MS_EXPECT_LIVE_VERSION, -1}, MS_ECONFLICT, -1, MS_STREAM_NONE},
    {EVENTS_3, {MS_EXPECT_LIVE_VERSION, 1}, MS_ECONFLICT, 2, MS_STREAM_LIVE},
    {EVENTS_3, {MS_EXPECT_LIVE_VERSION, 2}, 0, 3, 0},
    {SOFT_DELETED, {MS_EXPECT_LIVE_VERSION, 2}, MS_ECONFLICT, 2, MS_STREAM_DELETED},
    {REOPENED, {MS_EXPECT_LIVE_VERSION, 3}, 0, 4, 0},
    {TOMBSTONED, {MS_EXPECT_LIVE_VERSION, 3}, MS_ETOMBSTONED, 3, MS_STREAM_TOMBSTONED},
};

static void check_row(const struct row *row, const struct store_answer *answer, size_t count,
                      const char *what) {
    int64_t version = answer->code == 0 ? answer->parts[0].first_version : answer->actual_version;
    int64_t wanted = row->code == 0 && count == 0 ? row->version - 1 : row->version;
    bool state =
        answer->code == 0 || (answer->actual_state == row->state && answer->failed_part == 0 &&
                              answer->expected.kind == row->condition.kind &&
                              answer->expected.version == row->condition.version);
    if (answer->code != row->code || version != wanted || !state)
        fail_msg(
            "%s, %s, condition %d %lld, %zu events: %s, version %lld, state %d; wanted %s, %lld",
            what, kind_names[row->kind], (int)row->condition.kind,
            (long long)row->condition.version, count, ms_error_name(answer->code),
            (long long)version, (int)answer->actual_state, ms_error_name(row->code),
            (long long)wanted);
    if (row->code != 0 && answer->error.message[0] == 0)
        fail_msg("a refusal without a sentence");
}

/* Every row with no event (only a check), one and two, on a stream of its own; with the head in
 * memory, and after a start, when it has to be looked up. */
static void condition_table(struct store_world *w, bool reopen, const char *topic) {
    char name[64];
    size_t count_rows = sizeof rows / sizeof rows[0];
    static const char *const ids[] = {"", "x", "x y"};
    for (size_t i = 0; i < count_rows * 3; i++) {
        snprintf(name, sizeof name, "%s-%zu", topic, i);
        make_stream(w, rows[i / 3].kind, name);
    }
    if (reopen)
        store_world_reopen(w);
    for (size_t i = 0; i < count_rows * 3; i++) {
        const struct row *row = &rows[i / 3];
        snprintf(name, sizeof name, "%s-%zu", topic, i);
        uint64_t before = ms_store_end(w->store);
        struct store_answer answer = store_append(w, name, row->condition, ids[i % 3]);
        check_row(row, &answer, i % 3, reopen ? "after a start" : "in memory");
        uint64_t added = answer.code == 0 ? i % 3 : 0;
        assert_int_equal(ms_store_end(w->store), before + added);
        if (answer.code == 0 && added > 0) {
            assert_int_equal(answer.position, before + added - 1);
            assert_int_equal(answer.parts[0].version, row->version + (int64_t)added - 1);
        }
    }
}

static void every_condition_in_every_state(void **state) {
    condition_table(*state, false, "t");
    condition_table(*state, true, "u");
}

static void soft_deleted_stream_is_gone_and_goes_on_counting(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a b").code, 0);
    assert_int_equal(store_delete(w, "o-1", AT(1), false).code, 0);
    for (int i = 0; i < 2; i++) {
        struct ms_stream_read_result read = store_stream(w, "o-1");
        assert_int_equal(read.state, MS_STREAM_DELETED);
        assert_int_equal(read.head, 1);
        assert_string_equal(store_ids(w, "o-1", 0), "");
        store_world_reopen(w);
    }
    assert_int_equal(store_append(w, "o-1", AT(1), "c").parts[0].version, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(store_ids(w, "o-1", 0), "c");
        assert_int_equal(store_stream(w, "o-1").first, 2);
        store_world_reopen(w);
    }
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
    assert_string_equal(store_ids(w, "o-1", 0), "");
    assert_int_equal(store_append(w, "o-1", NONE, "d").parts[0].version, 3);
    assert_string_equal(store_ids(w, "o-1", 0), "d");
}

static void deleting_what_is_not_there(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, MS_ENOTFOUND);
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    assert_int_equal(store_delete(w, "o-1", AT(3), false).code, MS_ECONFLICT);
    assert_int_equal(store_delete(w, "o-1", NONE, false).code, MS_ECONFLICT);
    assert_string_equal(store_ids(w, "o-1", 0), "a");
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, MS_EDELETED);
    assert_int_equal(store_delete(w, "o-1", ANY, true).code, 0);
    assert_int_equal(store_delete(w, "o-1", ANY, false).code, MS_ETOMBSTONED);
    assert_int_equal(store_delete(w, "o-1", ANY, true).code, MS_ETOMBSTONED);
    assert_int_equal(store_delete(w, "$o-1", ANY, true).code, MS_ERESERVED);
    assert_int_equal(store_delete(w, "$$o-1", ANY, true).code, MS_ERESERVED);
    assert_int_equal(store_delete(w, "", ANY, true).code, MS_EINVAL);
}

/* Rows: condition, for the states none, metadata only, live at 1, deleted at 1, tombstoned. */
static void deletes_hold_where_appends_hold(void **state) {
    struct store_world *w = *state;
    static const struct {
        struct ms_condition condition;
        bool tombstone;
        int codes[5];
    } deletes[] = {
        {ANY, false, {MS_ENOTFOUND, 0, 0, MS_EDELETED, MS_ETOMBSTONED}},
        {EXISTS, false, {MS_ENOTFOUND, 0, 0, MS_EDELETED, MS_ETOMBSTONED}},
        {NONE, false, {0, 0, MS_ECONFLICT, 0, MS_ETOMBSTONED}},
        {AT(1), false, {MS_ENOTFOUND, MS_ENOTFOUND, 0, 0, MS_ETOMBSTONED}},
        {AT(0), false, {MS_ENOTFOUND, MS_ENOTFOUND, MS_ECONFLICT, MS_EDELETED, MS_ETOMBSTONED}},
        {ANY, true, {0, 0, 0, 0, MS_ETOMBSTONED}},
        {EXISTS, true, {MS_ENOTFOUND, 0, 0, MS_EDELETED, MS_ETOMBSTONED}},
        {AT(1), true, {MS_ENOTFOUND, MS_ENOTFOUND, 0, 0, MS_ETOMBSTONED}},
        {AT(0), true, {MS_ENOTFOUND, MS_ENOTFOUND, MS_ECONFLICT, MS_EDELETED, MS_ETOMBSTONED}},
    };
    for (size_t r = 0; r < sizeof deletes / sizeof deletes[0]; r++)
        for (size_t s = 0; s < 5; s++) {
            char name[32];
            snprintf(name, sizeof name, "o-%zu.%zu", r, s);
            if (s == 1)
                assert_int_equal(store_put_metadata(w, name, ANY, "{\"a\":1}").code, 0);
            if (s > 1)
                assert_int_equal(store_append(w, name, ANY, "a b").code, 0);
            if (s > 2)
                assert_int_equal(store_delete(w, name, ANY, s == 4).code, 0);
            int code = store_delete(w, name, deletes[r].condition, deletes[r].tombstone).code;
            if (code != deletes[r].codes[s])
                fail_msg("row %zu, state %zu: %s", r, s, ms_error_name(code));
        }
}

/* A delete whose answer was lost is sent again with its version. */
static void a_delete_with_its_version_may_be_sent_again(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a b").code, 0);
    assert_int_equal(store_put_metadata(w, "o-1", ANY, "{\"$maxCount\":1}").code, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_delete(w, "o-1", AT(1), false).code, 0);
        assert_int_equal(store_stream(w, "o-1").state, MS_STREAM_DELETED);
        assert_int_equal(store_stream(w, "o-1").head, 1);
        store_world_reopen(w);
    }
    assert_int_equal(store_append(w, "o-1", NONE, "c d").parts[0].first_version, 2);
    assert_string_equal(store_ids(w, "o-1", 0), "d"); /* $maxCount is kept */
    assert_int_equal(store_delete(w, "o-1", AT(1), false).code, MS_ECONFLICT);
}

static void tombstone_is_for_ever(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_append(w, "o-1", ANY, "a").code, 0);
    assert_int_equal(store_delete(w, "o-1", AT(0), true).code, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_stream(w, "o-1").state, MS_STREAM_TOMBSTONED);
        assert_string_equal(store_ids(w, "o-1", 0), "");
        assert_int_equal(store_append(w, "o-1", ANY, "b").code, MS_ETOMBSTONED);
        assert_int_equal(store_put_metadata(w, "o-1", ANY, "{}").code, MS_ETOMBSTONED);
        store_world_reopen(w);
    }
}

/* ---- answers leave only when what they read is durable ---- */

static void refusals_wait_for_the_append_they_have_seen(void **state) {
    struct store_world *w = *state;
    struct store_answer append, refusal, check;
    assert_int_equal(store_append(w, "o-1", NONE, "a").code, 0);
    store_submit(w, "o-1", AT(0), "b", &append);
    store_submit(w, "o-1", AT(0), "c", &refusal);
    store_submit(w, "o-1", AT(1), "", &check);
    assert_int_equal(append.calls + refusal.calls + check.calls, 0);
    ms_store_run(w->store);
    assert_int_equal(append.code, 0);
    assert_int_equal(refusal.code, MS_ECONFLICT);
    assert_int_equal(refusal.actual_version, 1);
    assert_int_equal(check.code, 0);
    assert_int_equal(append.calls + refusal.calls + check.calls, 3);
}

static void refusals_wait_for_the_deletion_they_have_seen(void **state) {
    struct store_world *w = *state;
    struct store_answer deletion = {0}, refusal;
    assert_int_equal(store_append(w, "o-1", NONE, "a").code, 0);
    assert_int_equal(ms_store_delete_stream(w->store, MS_BYTES_LITERAL("o-1"), ANY, false,
                                            store_answer_take, &deletion, NULL),
                     0);
    store_submit(w, "o-1", EXISTS, "b", &refusal);
    assert_int_equal(deletion.calls, 0);
    assert_int_equal(refusal.calls,
                     0); /* the deletion may still be lost: "deleted" is not said yet */
    ms_store_run(w->store);
    assert_int_equal(deletion.code, 0);
    assert_int_equal(refusal.code, MS_ECONFLICT);
    assert_int_equal(refusal.actual_state, MS_STREAM_DELETED);
}

static void refusal_is_unknown_when_the_append_it_has_seen_is(void **state) {
    struct store_world *w = *state;
    struct store_answer append, refusal;
    assert_int_equal(store_append(w, "o-1", NONE, "a").code, 0);
    store_submit(w, "o-1", AT(0), "b", &append);
    store_submit(w, "o-1", AT(0), "c", &refusal);
    ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_WRITE, 1, MS_EIO, false);
    ms_store_run(w->store);
    assert_int_equal(append.code, MS_EUNKNOWN);
    assert_int_equal(refusal.code, MS_EUNKNOWN);
    assert_int_equal(w->failures, 1);
    assert_int_equal(store_append(w, "o-1", ANY, "d").code, MS_ECLOSED);
    assert_int_equal(store_world_close(w), MS_EIO);
    assert_int_equal(store_world_open(w), 0);
}

/* ---- several streams at once ---- */

static struct store_answer append_to(struct store_world *w, struct ms_append_part *parts,
                                     size_t count) {
    struct ms_append_request request = {.parts = parts, .part_count = count};
    return store_request(w, &request);
}

static struct ms_event event_of(const char *id) {
    return (struct ms_event){.id = ms_bytes_cstr(id),
                             .type = MS_BYTES_LITERAL("happened"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = MS_BYTES_LITERAL("1")};
}

static void several_streams_are_appended_to_together_or_not_at_all(void **state) {
    struct store_world *w = *state;
    struct ms_event a[] = {event_of("a1"), event_of("a2")}, b[] = {event_of("b1")};
    struct ms_append_part parts[] = {
        {MS_BYTES_LITERAL("x-1"), NONE, a, 2},
        {MS_BYTES_LITERAL("y-1"), NONE, b, 1},
        {MS_BYTES_LITERAL("z-1"), NONE, NULL, 0},
    };
    struct store_answer answer = append_to(w, parts, 3);
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.part_count, 3);
    assert_int_equal(answer.parts[0].first_version, 0);
    assert_int_equal(answer.parts[0].version, 1);
    assert_int_equal(answer.parts[1].version, 0);
    assert_int_equal(answer.parts[2].first_version, -1);
    assert_int_equal(answer.parts[2].version, -1);
    struct ms_event check[] = {event_of("k1")};
    struct ms_append_part checked[] = {
        {MS_BYTES_LITERAL("k-1"), NONE, check, 1},
        {MS_BYTES_LITERAL("x-1"), AT(1), NULL, 0},
    };
    for (int i = 0; i < 2; i++) { /* appended, and repeated: the head of what is only checked */
        answer = append_to(w, checked, 2);
        assert_int_equal(answer.code, 0);
        assert_int_equal(answer.repeated, i);
        assert_int_equal(answer.parts[1].first_version, 1);
        assert_int_equal(answer.parts[1].version, 1);
    }
    uint64_t end = ms_store_end(w->store);
    struct ms_event c[] = {event_of("c1")}, d[] = {event_of("d1")};
    struct ms_append_part more[] = {
        {MS_BYTES_LITERAL("x-1"), AT(1), c, 1},
        {MS_BYTES_LITERAL("y-1"), AT(5), d, 1},
    };
    answer = append_to(w, more, 2);
    assert_int_equal(answer.code, MS_ECONFLICT);
    assert_int_equal(answer.failed_part, 1);
    assert_int_equal(answer.actual_version, 0);
    assert_int_equal(ms_store_end(w->store), end);
    more[1].condition = AT(0);
    more[0].condition = EXISTS;
    assert_int_equal(append_to(w, more, 2).code, 0);
    store_world_reopen(w);
    assert_string_equal(store_ids(w, "x-1", 0), "a1 a2 c1");
    assert_string_equal(store_ids(w, "y-1", 0), "b1 d1");
}

static void check_only_parts_guard_the_others(void **state) {
    struct store_world *w = *state;
    struct ms_event a[] = {event_of("a1")};
    assert_int_equal(store_append(w, "guard-1", ANY, "g").code, 0);
    struct ms_append_part parts[] = {
        {MS_BYTES_LITERAL("x-1"), ANY, a, 1},
        {MS_BYTES_LITERAL("guard-1"), AT(3), NULL, 0},
    };
    struct store_answer answer = append_to(w, parts, 2);
    assert_int_equal(answer.code, MS_ECONFLICT);
    assert_int_equal(answer.failed_part, 1);
    assert_string_equal(store_ids(w, "x-1", 0), "");
    parts[1].condition = AT(0);
    assert_int_equal(append_to(w, parts, 2).code, 0);
    assert_string_equal(store_ids(w, "x-1", 0), "a1");
}

static void requests_without_sense_are_refused(void **state) {
    struct store_world *w = *state;
    struct ms_event a[] = {event_of("a1")}, b[] = {event_of("a1"), event_of("a1")};
    struct ms_append_part twice[] = {
        {MS_BYTES_LITERAL("x-1"), ANY, a, 1},
        {MS_BYTES_LITERAL("x-1"), ANY, a, 1},
    };
    struct ms_append_part same_ids[] = {{MS_BYTES_LITERAL("x-2"), ANY, b, 2}};
    struct ms_append_part reserved[] = {{MS_BYTES_LITERAL("$x-2"), ANY, a, 1}};
    struct ms_append_part same_bytes[] = {
        {MS_BYTES_LITERAL("x-1"), ANY, a, 1},
        {MS_BYTES_LITERAL("x-%31"), ANY, a, 1},
    };
    uint64_t end = ms_store_end(w->store);
    assert_int_equal(append_to(w, twice, 2).refused, MS_EINVAL);
    assert_int_equal(append_to(w, same_bytes, 2).refused, MS_EINVAL);
    assert_int_equal(append_to(w, twice, 0).refused, MS_EINVAL);
    assert_int_equal(append_to(w, same_ids, 1).refused, MS_EINVAL);
    assert_int_equal(append_to(w, reserved, 1).refused, MS_ERESERVED);
    struct ms_event untyped = event_of("q");
    untyped.type = (struct ms_bytes){0};
    struct ms_append_part no_type[] = {{MS_BYTES_LITERAL("x-3"), ANY, &untyped, 1}};
    assert_int_equal(append_to(w, no_type, 1).refused, MS_EINVAL);
    assert_string_equal(store_ids(w, "x-1", 0), "");
    assert_true(ms_store_end(w->store) <= end + 1); /* at most the topic was made */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(every_condition_in_every_state),
        test(soft_deleted_stream_is_gone_and_goes_on_counting),
        test(deleting_what_is_not_there),
        test(deletes_hold_where_appends_hold),
        test(a_delete_with_its_version_may_be_sent_again),
        test(tombstone_is_for_ever),
        test(refusals_wait_for_the_append_they_have_seen),
        test(refusals_wait_for_the_deletion_they_have_seen),
        test(refusal_is_unknown_when_the_append_it_has_seen_is),
        test(several_streams_are_appended_to_together_or_not_at_all),
        test(check_only_parts_guard_the_others),
        test(requests_without_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
