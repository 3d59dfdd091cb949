/* What was removed is known: by topic and position, before anybody can miss it, and for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/endian.h"
#include "log/internal.h"
#include "store/backup.h"
#include "store/both_worlds.h"
#include "store/scavenge.h"
#include "txn_records.h"

#define TOPICS_MAX 8

struct lost {
    size_t count;
    struct {
        char topic[64]; /* "" for any */
        uint64_t first, last;
    } of[TOPICS_MAX];
};

static int take_lost(void *context, const struct ms_lost *lost) {
    struct lost *to = context;
    assert_true(to->count < TOPICS_MAX);
    snprintf(to->of[to->count].topic, sizeof to->of[0].topic, "%.*s", (int)lost->topic.len,
             lost->topic.data != NULL ? (const char *)lost->topic.data : "");
    to->of[to->count].first = lost->first;
    to->of[to->count++].last = lost->last;
    return 0;
}

static struct lost lost_of(struct ms_store *store) {
    struct lost lost = {0};
    struct ms_error err = {0};
    if (ms_store_lost(store, take_lost, &lost, &err) != 0)
        fail_msg("%s", err.message);
    return lost;
}

static void expect_lost(struct store_world *w, const char *topic, uint64_t first, uint64_t last) {
    struct lost lost = lost_of(w->store);
    assert_int_equal(lost.count, 1);
    assert_string_equal(lost.of[0].topic, topic);
    assert_int_equal(lost.of[0].first, first);
    assert_int_equal(lost.of[0].last, last);
}

static uint64_t append_at(struct store_world *w, const char *stream, const char *id) {
    struct store_answer answer = store_append(w, stream, ANY, id);
    assert_int_equal(answer.code, 0);
    return answer.position;
}

/* ---- what counts ---- */

static void removed_events_are_known_by_topic_and_position(void **state) {
    struct store_world *w = *state;
    append_at(w, "a-1", "a0");
    uint64_t first = append_at(w, "b-1", "b0");
    append_at(w, "a-1", "a1");
    uint64_t last = append_at(w, "b-1", "b1");
    append_at(w, "b-1", "b2");
    assert_int_equal(store_put_metadata(w, "b-1", ANY, "{\"$tb\":2}").code, 0);
    fill_segment(w);
    uint64_t before = ms_store_losses(w->store);
    assert_int_equal(lost_of(w->store).count, 0); /* marked is not removed */
    assert_int_equal(scavenge_store(w, true), 2);
    assert_true(ms_store_losses(w->store) > before);
    for (int i = 0; i < 3; i++) {
        expect_lost(w, "b", first, last);
        reopen_anew(w);
        assert_int_equal(scavenge_store(w, true), 0); /* written anew, and it still says so */
    }
}

static void later_losses_join_earlier_ones(void **state) {
    struct store_world *w = *state;
    uint64_t first = append_at(w, "a-1", "a0");
    uint64_t second = append_at(w, "a-1", "a1");
    append_at(w, "a-1", "a2");
    for (int left = 2; left > 0; left--) {
        char json[32];
        snprintf(json, sizeof json, "{\"$maxCount\":%d}", left);
        assert_int_equal(store_put_metadata(w, "a-1", ANY, json).code, 0);
        fill_segment(w);
        scavenge_store(w, true);
        expect_lost(w, "a", first, left == 2 ? first : second);
    }
    reopen_anew(w);
    expect_lost(w, "a", first, second);
}

static void the_systems_own_records_are_no_loss(void **state) {
    struct store_world *w = *state;
    append_at(w, "a-1", "a0");
    for (int i = 0; i < 5; i++)
        assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"mine\":1}").code, 0);
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 4);
    assert_int_equal(lost_of(w->store).count, 0);
}

static void events_of_deleted_topics_count(void **state) {
    struct store_world *w = *state;
    uint64_t first = append_at(w, "a-1", "a0");
    uint64_t last = append_at(w, "a-1", "a1");
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("a"), &w->error), 0);
    fill_segment(w);
    scavenge_store(w, true);
    expect_lost(w, "a", first, last);
    reopen_anew(w);
    expect_lost(w, "a", first, last);
}

static void a_look_without_a_rewrite_loses_nothing(void **state) {
    struct store_world *w = *state;
    append_at(w, "a-1", "a0");
    append_at(w, "a-1", "a1");
    assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"$tb\":1}").code, 0);
    store_append_large(w, "keep-1", "k", 500000); /* so that it would gain too little */
    fill_segment(w);
    struct ms_scavenge_options options = {.all = false};
    struct ms_scavenge_result result;
    assert_int_equal(ms_scavenge_lock(w->store), 0);
    assert_int_equal(ms_scavenge_run(w->store, &options, true, &result, &w->error), 0);
    if (result.rewritten == 0)
        assert_int_equal(lost_of(w->store).count, 0);
    else
        assert_int_equal(lost_of(w->store).count, 1);
}

/* ---- transactions ---- */

static int take_position(void *context, const struct ms_read_event *event) {
    struct lost *seen = context;
    if (seen->count == 0)
        seen->of[0].first = event->place.position;
    seen->of[0].last = event->place.position;
    seen->count++;
    return 0;
}

/* Where readers see the events of a topic. */
static struct lost seen_of(struct store_world *w, const char *topic) {
    struct lost seen = {0};
    struct ms_bytes name = ms_bytes_cstr(topic);
    struct ms_all_read read = {.limit = 1000, .filter = {.topics = &name, .topic_count = 1}};
    struct ms_all_read_result result;
    assert_int_equal(ms_store_read_all(w->store, &read, take_position, &seen, &result, &w->error),
                     0);
    return seen;
}

static void committed_records_are_lost_at_their_commits(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7}, q = {.id = 8};
    struct ms_topic_settings settings = plain_settings(w, 1);
    settings.retention_ms = 3600000;
    put_topic(w, "t", settings);
    txn_open(w, &p, "t", 0);
    txn_put(w, &p, "t", 0, "a", "1");
    txn_open(w, &q, "t", 0);
    txn_put(w, &q, "t", 0, "b", "2");
    txn_put(w, &p, "t", 0, "c", "3");
    txn_end(w, &q, false);
    fill_segment(w); /* the commits are in another segment than the batches */
    txn_end(w, &p, true);
    fill_segment(w);
    struct lost seen = seen_of(w, "t");
    assert_int_equal(seen.count, 2);
    ms_clock_manual_advance(&w->world.clock, (int64_t)2 * 3600 * 1000000);
    assert_true(scavenge_store(w, true) > 0);
    for (int i = 0; i < 2; i++) {
        expect_lost(w, "t", seen.of[0].first, seen.of[0].last);
        reopen_anew(w);
    }
}

static void aborted_records_are_no_loss(void **state) {
    struct store_world *w = *state;
    struct txn_producer p = {.id = 7};
    struct ms_topic_settings settings = plain_settings(w, 1);
    settings.retention_ms = 3600000;
    put_topic(w, "t", settings);
    txn_open(w, &p, "t", 0);
    txn_put(w, &p, "t", 0, "a", "1");
    txn_end(w, &p, false);
    fill_segment(w);
    ms_clock_manual_advance(&w->world.clock, (int64_t)2 * 3600 * 1000000);
    assert_true(scavenge_store(w, true) > 0);
    assert_int_equal(lost_of(w->store).count, 0);
}

/* ---- where it goes ---- */

static void a_backup_takes_it_along_also_when_it_is_cut(void **state) {
    struct store_world *w = *state;
    uint64_t first = append_at(w, "a-1", "a0");
    append_at(w, "a-1", "a1");
    uint64_t kept = append_at(w, "b-1", "b0");
    append_at(w, "b-1", "b1");
    assert_int_equal(store_put_metadata(w, "a-1", ANY, "{\"$tb\":1}").code, 0);
    fill_segment(w);
    scavenge_store(w, true);
    struct ms_backup_result backup;
    char to[MS_PATH_MAX + 16], restored[MS_PATH_MAX + 16];
    snprintf(to, sizeof to, "%s-backup", w->dir);
    assert_int_equal(ms_store_backup(w->store, to, NULL, NULL, &backup, &w->error), 0);
    for (int cut = 0; cut < 2; cut++) {
        snprintf(restored, sizeof restored, "%s-restored%d", w->dir, cut);
        struct ms_restore_options options = {
            .env = &w->env,
            .backup = to,
            .dir = restored,
            .to = cut ? MS_RESTORE_TO_POSITION : MS_RESTORE_ALL,
            .position = kept,
            .segment_bytes = w->options.segment_bytes,
        };
        struct ms_restore_result result;
        if (ms_store_restore(&options, &result, &w->error) != 0)
            fail_msg("%s", w->error.message);
        struct ms_store_options open = w->options;
        struct ms_store *store;
        open.dir = restored;
        assert_int_equal(ms_store_open(&open, &store, &w->error), 0);
        struct lost lost = lost_of(store);
        assert_int_equal(lost.count, 1);
        assert_string_equal(lost.of[0].topic, "a");
        assert_int_equal(lost.of[0].first, first);
        assert_int_equal(lost.of[0].last, first);
        assert_int_equal(ms_store_close(store, &w->error), 0);
    }
}

/* As a version did that did not note losses. */
static int drop_first(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                      struct ms_error *err) {
    const uint64_t *position = context;
    (void)err;
    if (entry->header.first_position != *position)
        *ret_batch = entry->batch;
    return 0;
}

static void forget_losses(struct store_world *w) {
    struct ms_segment *segment = ms_log_find_segment(w->store->log, 0);
    segment->losses_known = false;
    ms_losses_deinit(&segment->losses);
    assert_int_equal(ms_log_seal(w->store->log, segment, &w->error), 0);
    ms_segment_unref(segment);
}

static void what_an_earlier_version_removed_is_read_off_its_gaps(void **state) {
    struct store_world *w = *state;
    struct ms_rewrite_result result;
    append_at(w, "a-1", "a0");
    uint64_t gone = append_at(w, "a-1", "a1");
    append_at(w, "a-1", "a2");
    fill_segment(w);
    struct ms_rewrite_options options = {
        .segment = 0, .visit = drop_first, .context = &gone, .keep_above_percent = 1000};
    assert_int_equal(ms_log_rewrite(w->store->log, &options, &result, &w->error), 0);
    assert_int_equal(lost_of(w->store).count, 0); /* whoever removes says what counts */
    forget_losses(w);
    reopen_anew(w);
    expect_lost(w, "", gone, gone);
    assert_int_equal(scavenge_store(w, true), 0);
    reopen_anew(w);
    expect_lost(w, "", gone, gone);
}

static void what_was_only_compressed_by_an_earlier_version_lost_nothing(void **state) {
    struct store_world *w = *state;
    append_at(w, "a-1", "a0");
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 0);
    forget_losses(w);
    reopen_anew(w);
    assert_int_equal(lost_of(w->store).count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(removed_events_are_known_by_topic_and_position),
        test(later_losses_join_earlier_ones),
        test(the_systems_own_records_are_no_loss),
        test(events_of_deleted_topics_count),
        test(a_look_without_a_rewrite_loses_nothing),
        test(committed_records_are_lost_at_their_commits),
        test(aborted_records_are_no_loss),
        test(a_backup_takes_it_along_also_when_it_is_cut),
        test(what_an_earlier_version_removed_is_read_off_its_gaps),
        test(what_was_only_compressed_by_an_earlier_version_lost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
