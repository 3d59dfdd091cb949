/* The scavenger, where a topic got its streams late: records of several streams in one entry go one
 * by one; what remains keeps its version, and what went is not forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/verify.h"
#include "store/both_worlds.h"
#include "store/txn_records.h"

/* ---- help ---- */

/* "k=v k=v", a batch; of the producer's transaction, if there is one. */
static void produce_in(struct store_world *w, struct txn_producer *producer, const char *words) {
    struct ms_batch_writer writer;
    struct ms_buf batch;
    char copy[200], *save;
    snprintf(copy, sizeof copy, "%s", words);
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, now_of(w)), 0);
    if (producer != NULL) {
        writer.producer_id = producer->id;
        writer.producer_epoch = producer->epoch;
        writer.base_sequence = producer->sequence[0];
        writer.attributes |= MS_BATCH_TRANSACTIONAL;
        producer->sequence[0] += (int32_t)(strlen(words) + 1) / 4;
    }
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        struct ms_bytes key = ms_bytes_of(word, 1), value = ms_bytes_cstr(word + 2);
        assert_int_equal(ms_batch_add(&writer, now_of(w), &key, &value, NULL, 0), 0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
    produce_batch(w, "t", 0, ms_buf_bytes(&batch));
    ms_buf_deinit(&batch);
}

static void produce_words(struct store_world *w, const char *words) { produce_in(w, NULL, words); }

static void change_settings(struct store_world *w, struct ms_topic_settings settings) {
    bool created;
    if (ms_store_put_topic(w->store, MS_BYTES_LITERAL("t"), &settings, &created, &w->error) != 0)
        fail_msg("%s", w->error.message);
}

/* A topic with streams that it got behind "a=0 b=0 a=1 c=0" "b=1 a=2 b=2". */
static void make_late_topic(struct store_world *w) {
    struct ms_topic_settings settings = plain_settings(w, 1);
    put_topic(w, "t", settings);
    produce_words(w, "a=0 b=0 a=1 c=0");
    produce_words(w, "b=1 a=2 b=2");
    settings.streams = true;
    change_settings(w, settings);
}

static int add_version(void *context, const struct ms_read_event *event) {
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, 500 - len, "%s%lld:%.*s", len ? " " : "", (long long)event->place.version,
             (int)event->event.data.len, (const char *)event->event.data.data);
    return 0;
}

static const char *stored(struct store_world *w, const char *stream, bool stored) {
    static char text[500];
    struct ms_stream_read read = {.stream = ms_bytes_cstr(stream), .limit = 100, .stored = stored};
    struct ms_stream_read_result result;
    text[0] = 0;
    if (ms_store_read_stream(w->store, &read, add_version, text, &result, &w->error) != 0)
        fail_msg("%s: %s", stream, w->error.message);
    return text;
}

static void assert_verifies(struct store_world *w) {
    char shard[MS_PATH_MAX];
    assert_int_equal(ms_path_join(shard, w->dir, "shard-000"), 0);
    struct ms_verify_options options = {
        .env = &w->env, .dir = shard, .log_uuid = w->store->log_uuid};
    struct ms_verify_result result;
    assert_int_equal(ms_log_verify(&options, &result, &w->error), 0);
    assert_int_equal(result.damages, 0);
}

/* ---- tests ---- */

static void nothing_goes_that_is_not_marked(void **state) {
    struct store_world *w = *state;
    make_late_topic(w);
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(stored(w, "t-a", true), "0:0 1:1 2:2");
        assert_string_equal(stored(w, "t-b", true), "0:0 1:1 2:2");
        assert_string_equal(records_of(w, "t", 0, 0), "0:a=0 1:b=0 2:a=1 3:c=0 4:b=1 5:a=2 6:b=2");
        assert_verifies(w);
        reopen_anew(w);
    }
}

static void truncation_removes_records_of_its_stream_only(void **state) {
    struct store_world *w = *state;
    make_late_topic(w);
    assert_int_equal(store_put_metadata(w, "t-a", ANY, "{\"$tb\":2}").code, 0);
    assert_int_equal(store_put_metadata(w, "t-b", ANY, "{\"$maxCount\":2}").code, 0);
    assert_string_equal(stored(w, "t-a", false), "2:2");
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 3);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(stored(w, "t-a", true), "2:2");
        assert_string_equal(stored(w, "t-b", true), "1:1 2:2");
        assert_string_equal(stored(w, "t-c", true), "0:0");
        assert_string_equal(records_of(w, "t", 0, 0), "3:c=0 4:b=1 5:a=2 6:b=2");
        reopen_anew(w);
    }
    assert_int_equal(store_append(w, "t-a", AT(2), "x").code, 0);
}

static void deleted_streams_leave_their_versions(void **state) {
    struct store_world *w = *state;
    make_late_topic(w);
    assert_int_equal(store_delete(w, "t-a", ANY, false).code, 0);
    assert_int_equal(store_delete(w, "t-b", ANY, true).code, 0);
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 6);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(records_of(w, "t", 0, 0), "3:c=0 7:b={}");
        assert_int_equal(store_stream(w, "t-b").state, MS_STREAM_TOMBSTONED);
        assert_int_equal(store_stream(w, "t-a").head, 2);
        assert_int_equal(store_stream(w, "t-a").state, MS_STREAM_DELETED);
        reopen_anew(w);
    }
    struct store_answer answer = store_append(w, "t-a", NONE, "x");
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.parts[0].version, 3);
}

static void versions_go_on_when_retention_took_all(void **state) {
    struct store_world *w = *state;
    make_late_topic(w);
    struct ms_topic_settings settings = plain_settings(w, 1);
    settings.streams = true;
    settings.retention_count = 1;
    change_settings(w, settings);
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 6);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(records_of(w, "t", 0, 6), "6:b=2");
        assert_string_equal(stored(w, "t-a", true), "");
        assert_string_equal(stored(w, "t-b", true), "2:2");
        assert_int_equal(store_stream(w, "t-a").head, 2);
        assert_int_equal(store_stream(w, "t-c").head, 0);
        reopen_anew(w);
    }
    produce_words(w, "a=3 c=1");
    assert_string_equal(stored(w, "t-a", true), "3:3");
    assert_string_equal(stored(w, "t-c", true), "1:1");
}

static void compaction_keeps_the_newest_of_each_stream(void **state) {
    struct store_world *w = *state;
    make_late_topic(w);
    produce_words(w, "c=1 c=2");
    struct ms_topic_settings settings = plain_settings(w, 1);
    settings.streams = settings.compact = true;
    change_settings(w, settings);
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 6);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(records_of(w, "t", 0, 0), "5:a=2 6:b=2 8:c=2");
        assert_string_equal(stored(w, "t-a", true), "2:2");
        assert_string_equal(stored(w, "t-b", true), "2:2");
        assert_string_equal(stored(w, "t-c", true), "2:2");
        reopen_anew(w);
    }
}

/* What compaction by keys removed before has no version. */
static void records_that_are_gone_before_the_switch_have_no_versions(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = plain_settings(w, 1);
    settings.compact = true;
    put_topic(w, "t", settings);
    produce_words(w, "a=0 b=0 a=1 a=2 c=0");
    produce_words(w, "b=1 a=3 a=4");
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 5);
    settings.streams = true;
    change_settings(w, settings);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(stored(w, "t-a", true), "0:4");
        assert_string_equal(stored(w, "t-b", true), "0:1");
        assert_string_equal(stored(w, "t-c", true), "0:0");
        reopen_anew(w);
    }
}

/* A transaction's batch from before has records of several streams: none of them decides. */
static void transactions_from_before_the_switch_go_by_no_stream(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = plain_settings(w, 1);
    struct txn_producer committed = {.id = 77}, aborted = {.id = 78};
    put_topic(w, "t", settings);
    txn_open(w, &committed, "t", 0);
    txn_open(w, &aborted, "t", 0);
    produce_in(w, &committed, "a=0 b=0 a=1");
    produce_in(w, &aborted, "a=x b=x");
    produce_in(w, &committed, "b=1 c=0");
    txn_end(w, &aborted, false);
    txn_end(w, &committed, true);
    settings.streams = true;
    change_settings(w, settings);
    assert_int_equal(store_append(w, "t-b", AT(1), "x").code, 0);
    assert_int_equal(store_delete(w, "t-a", ANY, true).code, 0);
    fill_segment(w);
    (void)scavenge_store(w, true);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(stored(w, "t-c", true), "0:0");
        assert_memory_equal(stored(w, "t-b", true), "0:0 1:1 2:", 10);
        assert_verifies(w);
        reopen_anew(w);
    }
    assert_int_equal(store_append(w, "t-b", AT(2), "y").code, 0);
    assert_int_equal(store_append(w, "t-c", AT(0), "z").code, 0);
}

static void pages_go_with_their_topic(void **state) {
    struct store_world *w = *state;
    make_late_topic(w);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("t"), &w->error), 0);
    make_late_topic(w); /* another one */
    fill_segment(w);
    assert_int_equal(scavenge_store(w, true), 7 + 1);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(stored(w, "t-a", true), "0:0 1:1 2:2");
        assert_verifies(w);
        reopen_anew(w);
    }
    assert_int_equal(scavenge_store(w, true), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(nothing_goes_that_is_not_marked),
        BOTH(truncation_removes_records_of_its_stream_only),
        BOTH(deleted_streams_leave_their_versions),
        BOTH(versions_go_on_when_retention_took_all),
        BOTH(compaction_keeps_the_newest_of_each_stream),
        BOTH(records_that_are_gone_before_the_switch_have_no_versions),
        BOTH(transactions_from_before_the_switch_go_by_no_stream),
        BOTH(pages_go_with_their_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
