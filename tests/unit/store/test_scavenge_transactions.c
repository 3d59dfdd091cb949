/* The scavenger and transactions: nothing that is committed is lost, what is open is left alone,
 * and what nobody needs any more goes: data first, then commits, then markers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/both_worlds.h"
#include "store/scavenge.h"
#include "txn_records.h"

#define HOUR_US ((int64_t)3600000000)

static int add_event(void *context, const struct ms_read_event *event) {
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, 1000 - len, "%s%.*s", len ? " " : "", (int)event->event.data.len,
             (const char *)event->event.data.data);
    return 0;
}

/* The values of a topic's events, in the order of their positions. */
static const char *events_of(struct store_world *w, const char *topic) {
    static char text[1000];
    struct ms_bytes topic_name = ms_bytes_cstr(topic);
    struct ms_all_read read = {.limit = 1000, .filter = {.topics = &topic_name, .topic_count = 1}};
    struct ms_all_read_result result;
    text[0] = 0;
    assert_int_equal(ms_store_read_all(w->store, &read, add_event, text, &result, &w->error), 0);
    return text;
}

/* ---- what is committed stays ---- */

static void committed_events_outlive_a_scavenge(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7}, q = {.id = 8};
    put_topic(w, "t", plain_settings(w, 1));
    put_topic(w, "order", ms_topic_settings_default(w->store));
    txn_open(w, &p, "t", 0);
    txn_open(w, &p, "order", 0);
    txn_put(w, &p, "t", 0, "a", "1");
    txn_put(w, &p, "order", 0, "x", "2");
    txn_end(w, &p, true);
    txn_open(w, &q, "t", 0);
    txn_put(w, &q, "t", 0, "b", "3");
    txn_end(w, &q, true);
    fill_segment(w);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(events_of(w, "t"), "1 3");
        assert_string_equal(events_of(w, "order"), "2");
        assert_string_equal(committed_of(w, "t", 0), "0:a=1 2:b=3");
        assert_int_equal(scavenge_store(w, true), 0);
        reopen_anew(w);
    }
}

static struct ms_topic_settings compact_settings(struct store_world *w) {
    struct ms_topic_settings settings = plain_settings(w, 1);
    settings.compact = settings.retention_ignored = true;
    return settings;
}

static void pass_hours(struct store_world *w, int64_t hours) {
    ms_clock_manual_advance(&w->world.clock, hours * HOUR_US);
}

static uint32_t number_of(struct store_world *w, const char *topic) {
    return topic_named(w, topic)->number;
}

static void expect_entries(struct store_world *w, uint32_t topic, int pending, int commits,
                           int markers) {
    struct stored_entries stored = entries_of(w, topic);
    if (stored.pending != pending || stored.commits != commits || stored.markers != markers)
        fail_msg("there are %d pending batches, %d commits, %d markers", stored.pending,
                 stored.commits, stored.markers);
}

static size_t aborted_in(struct store_world *w, const char *topic) {
    struct ms_arena arena;
    struct ms_txn_aborted *aborted;
    size_t count;
    ms_arena_init(&arena, 1 << 16);
    assert_int_equal(ms_store_aborted(w->store, topic_named(w, topic), 0, 0, INT64_MAX, &arena,
                                      &aborted, &count),
                     0);
    ms_arena_deinit(&arena);
    return count;
}

/* ---- compaction by key ---- */

static void committed_records_supersede_and_are_superseded(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7}, q = {.id = 8};
    put_topic(w, "t", compact_settings(w));
    produce_one(w, "t", 0, "a", "0");
    produce_one(w, "t", 0, "b", "1");
    txn_open(w, &p, "t", 0);
    txn_open(w, &q, "t", 0);
    txn_put(w, &p, "t", 0, "a", "2");
    txn_put(w, &q, "t", 0, "b", "3"); /* will be aborted */
    txn_put(w, &p, "t", 0, "c", "4");
    txn_end(w, &q, false); /* 5 */
    txn_end(w, &p, true);  /* 6 */
    produce_one(w, "t", 0, "c", "7");
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 3);
    expect_entries(w, number_of(w, "t"), 3, 2, 2); /* two empty ones: the producers may go on */
    for (int i = 0; i < 4; i++) {
        assert_string_equal(committed_of(w, "t", 0), "1:b=1 2:a=2 7:c=7");
        assert_string_equal(events_of(w, "t"), "1 2 7");
        assert_int_equal(state_of(w, "t", 0).stable_offset, 8);
        assert_int_equal(state_of(w, "t", 0).start_offset, 0);
        reopen_anew(w);
        pass_hours(w, 25);
        scavenge_store(w, true);
    }
    expect_entries(w, number_of(w, "t"), 1, 1, 1);
}

static void nothing_behind_the_stable_offset_counts_or_goes(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7};
    put_topic(w, "t", compact_settings(w));
    produce_one(w, "t", 0, "a", "0");
    produce_one(w, "t", 0, "a", "1");
    produce_one(w, "t", 0, "b", "2");
    txn_open(w, &p, "t", 0);
    txn_put(w, &p, "t", 0, "a", "3");
    produce_one(w, "t", 0, "b", "4");
    produce_one(w, "t", 0, "b", "5");
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 1);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(records_of(w, "t", 0, 0), "1:a=1 2:b=2 3:a=3 4:b=4 5:b=5");
        assert_string_equal(committed_of(w, "t", 0), "1:a=1 2:b=2");
        assert_int_equal(state_of(w, "t", 0).stable_offset, 3);
        reopen_anew(w);
        assert_int_equal(scavenge_store(w, true), 0);
    }
    assert_int_equal(ms_store_txn_set_epoch(w->store, 7, 0), 0);
    txn_end(w, &p, true);
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 3);
    assert_string_equal(committed_of(w, "t", 0), "3:a=3 5:b=5");
}

/* What stands next in the log behind a gap may be open: it is no answer to who reads committed. */
static void gap_before_an_open_transaction_ends_a_read(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7};
    put_topic(w, "t", compact_settings(w));
    produce_one(w, "t", 0, "a", "0");
    produce_one(w, "t", 0, "b", "1");
    produce_one(w, "t", 0, "b", NULL);
    txn_open(w, &p, "t", 0);
    txn_put(w, &p, "t", 0, "a", "3");
    fill_segment(w);
    pass_hours(w, 25);
    scavenge_store(w, true);
    scavenge_store(w, true);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(records_of(w, "t", 0, 0), "0:a=0 3:a=3");
        assert_string_equal(committed_of(w, "t", 0), "0:a=0");
        reopen_anew(w);
    }
}

/* As Kafka has it: DeleteRecords goes up to the end, and readers begin there. */
static void start_behind_an_open_transaction_is_stable(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7};
    int64_t start;
    put_topic(w, "t", plain_settings(w, 1));
    txn_open(w, &p, "t", 0);
    txn_put(w, &p, "t", 0, "a", "0");
    txn_put(w, &p, "t", 0, "b", "1");
    assert_int_equal(ms_store_trim_partition(w->store, topic_named(w, "t"), 0, 1, &start, NULL), 0);
    assert_int_equal(state_of(w, "t", 0).stable_offset, 1);
    txn_end(w, &p, true);
    assert_int_equal(state_of(w, "t", 0).stable_offset, 3);
}

/* What the list of aborted transactions names without a marker would hide the producer's next. */
static void markers_go_when_nothing_of_their_transaction_is_left(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7}, q = {.id = 8};
    put_topic(w, "t", compact_settings(w));
    txn_open(w, &p, "t", 0);
    txn_open(w, &q, "t", 0);
    txn_put(w, &p, "t", 0, "a", "0");
    txn_put(w, &q, "t", 0, "a", "1");
    txn_end(w, &p, false);
    txn_end(w, &q, true);
    produce_one(w, "t", 0, "a", "4");
    fill_segment(w);
    scavenge_store(w, true);
    expect_entries(w, number_of(w, "t"), 2, 1, 2); /* empty: the producers may go on */
    pass_hours(w, 25);
    txn_open(w, &p, "t", 0);
    txn_put(w, &p, "t", 0, "b", "5");
    txn_end(w, &p, true);
    assert_int_equal(aborted_in(w, "t"), 1);
    for (int i = 0; i < 4; i++) {
        scavenge_store(w, true);
        assert_string_equal(committed_of(w, "t", 0), "4:a=4 5:b=5");
        if (w->real)
            store_world_reopen(w);
        assert_string_equal(committed_of(w, "t", 0), "4:a=4 5:b=5");
    }
    expect_entries(w, number_of(w, "t"), 1, 1, 1);
    assert_int_equal(aborted_in(w, "t"), 0);
    reopen_anew(w);
    assert_string_equal(committed_of(w, "t", 0), "4:a=4 5:b=5");
    assert_string_equal(events_of(w, "t"), "4 5");
    expect_entries(w, number_of(w, "t"), 1, 1, 1);
}

static void tombstones_of_transactions_go_at_last(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7};
    struct ms_topic_settings settings = compact_settings(w);
    settings.delete_retention_ms = 2 * 3600000;
    put_topic(w, "t", settings);
    produce_one(w, "t", 0, "a", "0");
    txn_open(w, &p, "t", 0);
    txn_put(w, &p, "t", 0, "a", NULL);
    txn_end(w, &p, true);
    produce_one(w, "t", 0, "b", "3");
    fill_segment(w);
    scavenge_store(w, true);
    assert_string_equal(committed_of(w, "t", 0), "1:a= 3:b=3");
    pass_hours(w, 3);
    scavenge_store(w, true);
    assert_string_equal(committed_of(w, "t", 0), "3:b=3");
    pass_hours(w, 25);
    for (int i = 0; i < 3; i++)
        scavenge_store(w, true);
    expect_entries(w, number_of(w, "t"), 0, 0, 0);
    reopen_anew(w);
    assert_string_equal(committed_of(w, "t", 0), "3:b=3");
}

/* ---- deleted topics, starts ---- */

static void nothing_stays_of_a_deleted_topic(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7}, q = {.id = 8}, r = {.id = 9};
    put_topic(w, "t", plain_settings(w, 1));
    put_topic(w, "u", plain_settings(w, 1));
    uint32_t number = number_of(w, "t");
    txn_open(w, &p, "t", 0);
    txn_open(w, &q, "t", 0);
    txn_open(w, &r, "t", 0);
    txn_open(w, &r, "u", 0);
    txn_put(w, &p, "t", 0, "a", "0");
    txn_put(w, &q, "t", 0, "a", "1");
    txn_put(w, &r, "t", 0, "a", "2"); /* stays open */
    txn_put(w, &r, "u", 0, "a", "u");
    fill_segment(w);
    txn_end(w, &p, true);
    txn_end(w, &q, false);
    fill_segment(w);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("t"), NULL), 0);
    scavenge_store(w, true);
    expect_entries(w, number, 1, 0, 2); /* data lies before the markers */
    reopen_anew(w);
    scavenge_store(w, true);
    expect_entries(w, number, 1, 0, 2);
    assert_int_equal(ms_store_txn_set_epoch(w->store, 9, 0), 0);
    txn_end(w, &r, true);
    assert_string_equal(events_of(w, "u"), "u");
    fill_segment(w);
    scavenge_store(w, true);
    expect_entries(w, number, 0, 0, 0);
    reopen_anew(w);
    assert_string_equal(events_of(w, "u"), "u");
    assert_int_equal(state_of(w, "u", 0).stable_offset, 2);
}

static void what_lies_before_the_start_goes_with_its_markers(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7}, q = {.id = 8};
    struct ms_topic_settings settings = plain_settings(w, 1);
    settings.retention_ms = 3600000;
    put_topic(w, "t", settings);
    txn_open(w, &p, "t", 0);
    txn_open(w, &q, "t", 0);
    txn_put(w, &p, "t", 0, "a", "0");
    txn_put(w, &q, "t", 0, "a", "1");
    txn_end(w, &p, false);
    txn_end(w, &q, true);
    fill_segment(w);
    pass_hours(w, 25); /* also what the producers might send again is not needed any more */
    txn_open(w, &p, "t", 0);
    txn_put(w, &p, "t", 0, "a", "4");
    txn_end(w, &p, true);
    for (int i = 0; i < 3; i++) {
        scavenge_store(w, true);
        assert_int_equal(state_of(w, "t", 0).start_offset, 4);
        read_committed(w, "t", 0, 4, 1 << 20, add_record_text, (char[2048]){0});
        assert_int_equal(aborted_in(w, "t"), 0);
        reopen_anew(w);
        assert_int_equal(aborted_in(w, "t"), 0);
        assert_int_equal(state_of(w, "t", 0).start_offset, 4);
    }
    expect_entries(w, number_of(w, "t"), 1, 1, 1);
    assert_string_equal(events_of(w, "t"), "4");
}

/* An open transaction is not expired, however old. */
static void retention_waits_for_open_transactions(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7};
    struct ms_topic_settings settings = plain_settings(w, 1);
    settings.retention_ms = 3600000;
    put_topic(w, "t", settings);
    produce_one(w, "t", 0, "a", "0");
    txn_open(w, &p, "t", 0);
    txn_put(w, &p, "t", 0, "a", "1");
    fill_segment(w);
    pass_hours(w, 2);
    for (int i = 0; i < 2; i++) {
        scavenge_store(w, true);
        assert_int_equal(state_of(w, "t", 0).start_offset, 1);
        assert_int_equal(state_of(w, "t", 0).stable_offset, 1);
        assert_string_equal(records_of(w, "t", 0, 1), "1:a=1");
        reopen_anew(w);
    }
    assert_int_equal(ms_store_txn_set_epoch(w->store, 7, 0), 0);
    txn_end(w, &p, true);
    assert_string_equal(events_of(w, "t"), "1");
}

static int count_events(void *context, const struct ms_read_event *event) {
    (void)event;
    ++*(int *)context;
    return 0;
}

static int starts_in(struct store_world *w) {
    int count = 0;
    struct ms_bytes starts = MS_BYTES_LITERAL("$starts");
    struct ms_all_read read = {
        .limit = 1000, .filter = {.topics = &starts, .topic_count = 1, .include_system = true}};
    struct ms_all_read_result result;
    assert_int_equal(ms_store_read_all(w->store, &read, count_events, &count, &result, &w->error),
                     0);
    return count;
}

static void starts_of_deleted_topics_go(void **state) {
    struct store_world *w = *state;
    int64_t start;
    for (int i = 0; i < 2; i++) {
        const char *topic = i == 0 ? "t" : "u";
        put_topic(w, topic, plain_settings(w, 1));
        produce_one(w, topic, 0, "a", "0");
        produce_one(w, topic, 0, "a", "1");
        assert_int_equal(
            ms_store_trim_partition(w->store, topic_named(w, topic), 0, 1, &start, &w->error), 0);
    }
    assert_int_equal(starts_in(w), 2);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("t"), NULL), 0);
    fill_segment(w);
    scavenge_store(w, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(starts_in(w), 1);
        assert_int_equal(state_of(w, "u", 0).start_offset, 1);
        reopen_anew(w);
    }
    assert_int_equal(entries_of(w, MS_TOPIC_STARTS).others, 1);
}

/* ---- streams ---- */

static void put_three_of_each(struct store_world *w) {
    static const char *const keys[] = {"truncated", "deleted", "tombstoned", "counted", "kept"};
    struct txn_producer p = {.id = 7}, q = {.id = 8};
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    settings.partitions = 1;
    put_topic(w, "s", settings);
    txn_open(w, &p, "s", 0);
    txn_open(w, &q, "s", 0);
    for (int round = 0; round < 3; round++)
        for (size_t k = 0; k < 5; k++) {
            char value[16];
            snprintf(value, sizeof value, "%c%d", keys[k][1], round);
            txn_put(w, &p, "s", 0, keys[k], value);
            txn_put(w, &q, "s", 0, keys[k], "no");
        }
    p.epoch++; /* as KIP-890 has it: nothing of the epoch before can be sent again */
    q.epoch++;
    txn_end(w, &q, false);
    txn_end(w, &p, true);
    fill_segment(w);
}

static void records_of_dead_streams_go(void **state) {
    struct store_world *w = *state;
    put_three_of_each(w);
    expect_entries(w, number_of(w, "s"), 30, 15, 2);
    assert_int_equal(scavenge_store(w, true), 0);
    assert_int_equal(store_put_metadata(w, "s-truncated", ANY, "{\"$tb\":2}").code, 0);
    assert_int_equal(store_put_metadata(w, "s-counted", ANY, "{\"$maxCount\":1}").code, 0);
    assert_int_equal(store_delete(w, "s-deleted", ANY, false).code, 0);
    assert_int_equal(store_delete(w, "s-tombstoned", ANY, true).code, 0);
    /* 2 + 2 + 3 + 3 committed ones, and 12 of the aborted */
    assert_int_equal(scavenge_store(w, true), 22);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(events_of(w, "s"), "e0 e1 r2 o2 e2 {}");
        assert_int_equal(store_stream(w, "s-truncated").head, 2);
        assert_int_equal(store_stream(w, "s-deleted").head, 2);
        assert_int_equal(store_stream(w, "s-kept").head, 2);
        assert_int_equal(store_append(w, "s-tombstoned", ANY, "x").code, MS_ETOMBSTONED);
        assert_int_equal(scavenge_store(w, true), 0);
        expect_entries(w, number_of(w, "s"), 5 + 3, 5 + 1, 2); /* deleted-2 is a last word */
        reopen_anew(w);
    }
    struct store_answer answer = store_append(w, "s-deleted", NONE, "again");
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.parts[0].version, 3);
}

static void compacted_streams_keep_their_newest(void **state) {
    struct store_world *w = *state;
    put_three_of_each(w);
    struct ms_topic_settings settings = ms_topics_settings(w->store, topic_named(w, "s"));
    settings.compact = true;
    put_topic(w, "s", settings);
    assert_int_equal(scavenge_store(w, true), 10 + 15);
    scavenge_store(w, true);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(events_of(w, "s"), "r2 e2 o2 o2 e2");
        expect_entries(w, number_of(w, "s"), 5, 5, 2);
        reopen_anew(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(committed_events_outlive_a_scavenge),
        test(committed_records_supersede_and_are_superseded),
        BOTH(nothing_behind_the_stable_offset_counts_or_goes),
        test(gap_before_an_open_transaction_ends_a_read),
        test(start_behind_an_open_transaction_is_stable),
        test(markers_go_when_nothing_of_their_transaction_is_left),
        test(tombstones_of_transactions_go_at_last),
        BOTH(nothing_stays_of_a_deleted_topic),
        test(what_lies_before_the_start_goes_with_its_markers),
        test(retention_waits_for_open_transactions),
        BOTH(starts_of_deleted_topics_go),
        BOTH(records_of_dead_streams_go),
        BOTH(compacted_streams_keep_their_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
