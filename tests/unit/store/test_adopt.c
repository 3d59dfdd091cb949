/* Topics that get streams when they have records already: what readers are told, what survives a
 * start with and without the index, crashes, company. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/both_worlds.h"
#include "store/produce_world.h"

#include "store/adopt_world.h"

/* ---- help ---- */

static int add_version(void *context, const struct ms_read_event *event) {
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, 500 - len, "%s%lld:%.*s", len ? " " : "", (long long)event->place.version,
             (int)event->event.data.len, (const char *)event->event.data.data);
    return 0;
}

/* "version:data version:data …" */
static const char *versions_of(struct store_world *w, const char *stream) {
    static char text[500];
    struct ms_stream_read read = {.stream = ms_bytes_cstr(stream), .limit = 100};
    struct ms_stream_read_result result;
    text[0] = 0;
    if (ms_store_read_stream(w->store, &read, add_version, text, &result, &w->error) != 0)
        fail_msg("%s: %s", stream, w->error.message);
    return text;
}

/* ---- what it is ---- */

static void records_that_are_there_become_events_of_streams(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 2));
    assert_int_equal(produce(w, topic, 0, "7=a 8=b c 7=d 7=e").code, 0);
    assert_int_equal(produce(w, topic, 1, "8=f 7=g").code, 0);
    struct ms_stream_read read = {.stream = MS_BYTES_LITERAL("order-7"), .limit = 1};
    struct ms_stream_read_result result;
    assert_int_equal(ms_store_read_stream(w->store, &read, NULL, NULL, &result, &w->error),
                     MS_ENOSTREAMS);
    assert_int_equal(switch_on(w, "order", 2), 0);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(versions_of(w, "order-7"), "0:a 1:d 2:e 3:g");
        assert_string_equal(versions_of(w, "order-8"), "0:b 1:f");
        assert_int_equal(store_stream(w, "order-c").head, -1);
        assert_string_equal(
            consume(w, ms_store_topic(w->store, MS_BYTES_LITERAL("order"), false), 0, 0, 1 << 20),
            "0:7=a 1:8=b 2:c 3:7=d 4:7=e");
        if (i == 0)
            store_world_reopen(w);
        else if (i == 1)
            reopen_anew(w);
    }
}

static void versions_go_on_behind_the_switch(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 2));
    assert_int_equal(produce(w, topic, 1, "7=a 8=b 7=c").code, 0);
    assert_int_equal(switch_on(w, "order", 2), 0);
    assert_int_equal(store_append(w, "order-7", NONE, "x").code, MS_ECONFLICT);
    assert_int_equal(store_append(w, "order-7", AT(0), "x").code, MS_ECONFLICT);
    struct store_answer answer = store_append(w, "order-7", AT(1), "x");
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.parts[0].version, 2);
    assert_int_equal(answer.parts[0].partition, 1); /* where its last record stands */
    assert_int_equal(store_append(w, "order-9", NONE, "y").code, 0);
    assert_int_equal(produce(w, topic, 0, "8=d 7=e 8=f").code, 0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(versions_of(w, "order-7"), "0:a 1:c 2:\"data of x\" 3:e");
        assert_string_equal(versions_of(w, "order-8"), "0:b 1:d 2:f");
        assert_int_equal(store_stream(w, "order-9").head, 0);
        reopen_anew(w);
    }
    assert_int_equal(store_append(w, "order-8", AT(2), "z").code, 0);
}

static int note_stream(void *context, struct ms_bytes stream, int64_t head,
                       uint64_t first_position) {
    (void)first_position;
    snprintf(context, 64, "%.*s %lld", (int)stream.len, (const char *)stream.data, (long long)head);
    return 0;
}

static void streams_of_records_are_listed(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    assert_int_equal(produce(w, topic, 0, "a=1 b=2 a=3 4 c=5").code, 0);
    assert_int_equal(produce(w, topic, 0, "b=6 d=7").code, 0);
    assert_int_equal(switch_on(w, "order", 1), 0);
    assert_int_equal(store_append(w, "order-e", NONE, "y").code, 0);
    assert_int_equal(store_delete(w, "order-b", ANY, false).code, 0);
    static const char *const wanted[] = {"order-a 1", "order-c 0", "order-d 0", "order-e 0"};
    uint64_t from = 0;
    for (size_t i = 0; i < 5; i++) { /* one by one */
        char text[64] = "";
        bool at_end;
        assert_int_equal(ms_store_list_streams(w->store, MS_BYTES_LITERAL("order"), from, 1,
                                               note_stream, text, &from, &at_end, &w->error),
                         0);
        assert_string_equal(text, i < 4 ? wanted[i] : "");
        assert_int_equal(at_end, i == 4);
    }
}

static void streams_cant_be_switched_off_again(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    struct ms_topic_settings settings = plain(w, 1);
    bool created;
    assert_int_equal(produce(w, topic, 0, "a=1").code, 0);
    assert_int_equal(switch_on(w, "order", 1), 0);
    assert_int_equal(
        ms_store_put_topic(w->store, MS_BYTES_LITERAL("order"), &settings, &created, &w->error),
        MS_EUNSUPPORTED);
    assert_non_null(strstr(w->error.message, "switched off"));
    assert_string_equal(versions_of(w, "order-a"), "0:1");
    assert_int_equal(produce(w, topic, 0, "a=2").code, 0);
    assert_string_equal(versions_of(w, "order-a"), "0:1 1:2");
}

static int want_streams(void *context, struct ms_topic_settings *settings, struct ms_error *err) {
    (void)err;
    ++*(int *)context;
    settings->streams = true;
    return 0;
}

static void change_may_be_validated_only(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    struct ms_bytes name = MS_BYTES_LITERAL("order");
    int asked = 0;
    assert_int_equal(produce(w, topic, 0, "a=1").code, 0);
    uint64_t end = ms_store_end(w->store);
    assert_int_equal(ms_store_change_topic(w->store, name, want_streams, &asked, true, &w->error),
                     0);
    assert_int_equal(ms_store_end(w->store), end);
    assert_int_equal(store_append(w, "order-a", ANY, "x").code, MS_ENOSTREAMS);
    assert_int_equal(produce(w, topic, 0, "a=2").code, 0);
    assert_int_equal(ms_store_change_topic(w->store, name, want_streams, &asked, false, &w->error),
                     0);
    assert_int_equal(asked, 3);
    assert_string_equal(versions_of(w, "order-a"), "0:1 1:2");
}

/* ---- what can't be ---- */

static void key_that_names_no_stream_is_named_and_nothing_changes(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 2));
    char words[300] = "a=1 b=2 ";
    memset(words + 8, 'k', 100);
    memcpy(words + 108, "=3 a=4", 7);
    assert_int_equal(store_world_close(w), 0);
    w->options.limits.name_bytes_max = 80;
    assert_int_equal(store_world_open(w), 0);
    topic = ms_store_topic(w->store, MS_BYTES_LITERAL("order"), false);
    assert_int_equal(produce(w, topic, 0, "a=0").code, 0);
    assert_int_equal(produce(w, topic, 1, words).code, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(switch_on(w, "order", 2), MS_EINVAL);
        assert_non_null(strstr(w->error.message, "offset 2 of partition 1"));
        assert_int_equal(store_append(w, "order-a", ANY, "x").code, MS_ENOSTREAMS);
        assert_int_equal(produce(w, topic, 0, "a=5 b=6").code, 0);
    }
    assert_int_equal(store_world_close(w), 0);
    w->options.limits.name_bytes_max = 100;
    assert_int_equal(store_world_open(w), 0);
    assert_int_equal(switch_on(w, "order", 2), 0);
    assert_string_equal(versions_of(w, "order-a"), "0:0 1:1 2:4 3:5 4:5");
}

static void committed_records_stand_where_they_were_committed(void **state) {
    static struct adopt_world a;
    (void)state;
    adopt_world_init(&a, 7, false);
    adopt_world_open(&a);
    (void)make_topic(&a.w, ADOPT_TOPIC, plain(&a.w, 2));
    struct adopt_producer *first = &a.transactional[0], *second = &a.transactional[1];
    adopt_open(&a, first);
    adopt_open(&a, second);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(adopt_produce(&a, first), 0);
        assert_int_equal(adopt_produce(&a, second), 0);
        assert_int_equal(adopt_produce(&a, NULL), 0);
    }
    adopt_end(&a, second, true);
    assert_int_equal(adopt_produce(&a, NULL), 0);
    adopt_open(&a, second);
    assert_int_equal(adopt_produce(&a, second), 0);
    adopt_end(&a, second, false);
    /* One is open: not now. */
    assert_int_equal(adopt_switch(&a), MS_EAGAIN);
    assert_non_null(strstr(a.w.error.message, "producer 101"));
    adopt_check_world(&a);
    assert_int_equal(adopt_produce(&a, first), 0);
    adopt_end(&a, first, true);
    assert_int_equal(adopt_switch(&a), 0);
    for (int i = 0; i < 2; i++) {
        adopt_check_world(&a);
        adopt_open(&a, first);
        assert_int_equal(adopt_produce(&a, first), 0);
        adopt_end(&a, first, true);
        adopt_append(&a);
        adopt_check_world(&a);
        adopt_reopen(&a, true);
    }
    store_world_deinit(&a.w);
}

/* While the switch waits for it, a transaction goes on, also where it hasn't written yet; none
 * begins. */
static void open_transaction_may_go_on_in_every_partition(void **state) {
    static struct adopt_world a;
    (void)state;
    adopt_world_init(&a, 3, false);
    adopt_world_open(&a);
    struct ms_topic *topic = make_topic(&a.w, ADOPT_TOPIC, plain(&a.w, 2));
    struct adopt_producer *open = &a.transactional[0], *late = &a.transactional[1];
    adopt_open(&a, open);
    adopt_open(&a, late);
    assert_int_equal(adopt_produce(&a, open), 0);
    assert_true(open->sequence[0] == 0 || open->sequence[1] == 0);
    topic->gate = MS_GATE_NO_BEGINNING;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(adopt_produce(&a, open), 0);
        assert_int_equal(adopt_produce(&a, NULL), 0);
    }
    assert_true(open->sequence[0] > 0 && open->sequence[1] > 0);
    int32_t before[2] = {late->sequence[0], late->sequence[1]};
    assert_int_equal(adopt_produce(&a, late), MS_EAGAIN);
    memcpy(late->sequence, before, sizeof before);
    adopt_end(&a, open, true);
    topic->gate = MS_GATE_SHUT;
    assert_int_equal(adopt_produce(&a, NULL), MS_EAGAIN);
    topic->gate = MS_GATE_OPEN;
    assert_int_equal(adopt_produce(&a, late), 0);
    adopt_end(&a, late, true);
    assert_int_equal(adopt_switch(&a), 0);
    adopt_check_world(&a);
    store_world_deinit(&a.w);
}

/* What is remembered of streams from when the topic had some, and no records, is not believed. */
static void heads_from_before_are_forgotten(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = plain(w, 1);
    bool created;
    settings.streams = true;
    struct ms_topic *topic = make_topic(w, "order", settings);
    assert_int_equal(store_append(w, "order-a", AT(4), "x").code, MS_ECONFLICT);
    assert_int_equal(store_put_metadata(w, "order-b", ANY, "{\"$maxCount\":1}").code, 0);
    settings.streams = false;
    assert_int_equal(
        ms_store_put_topic(w->store, MS_BYTES_LITERAL("order"), &settings, &created, &w->error), 0);
    assert_int_equal(store_append(w, "order-a", NONE, "x").code, MS_ENOSTREAMS);
    assert_int_equal(produce(w, topic, 0, "a=1 a=2 b=3 b=4").code, 0);
    assert_int_equal(switch_on(w, "order", 1), 0);
    assert_int_equal(store_append(w, "order-a", NONE, "x").code, MS_ECONFLICT);
    assert_int_equal(store_append(w, "order-b", AT(-1), "x").code, MS_ECONFLICT);
    assert_int_equal(store_append(w, "order-a", AT(1), "y").code, 0);
    assert_int_equal(store_append(w, "order-b", AT(1), "z").code, 0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(versions_of(w, "order-a"), "0:1 1:2 2:\"data of y\"");
        assert_string_equal(versions_of(w, "order-b"), "2:\"data of z\"");
        reopen_anew(w);
    }
}

/* Pages are the store's own: what appends are limited to doesn't matter. */
static void small_appends_make_no_small_pages(void **state) {
    struct store_world *w = *state;
    assert_int_equal(store_world_close(w), 0);
    w->options.limits.append_bytes_max = w->options.limits.event_bytes_max = 1024;
    assert_int_equal(store_world_open(w), 0);
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    for (int i = 0; i < 1100; i++) {
        char record[32];
        snprintf(record, sizeof record, "k%d=%d", i, i);
        assert_int_equal(produce(w, topic, 0, record).code, 0);
    }
    assert_int_equal(switch_on(w, "order", 1), 0);
    assert_string_equal(versions_of(w, "order-k0"), "0:0");
    assert_string_equal(versions_of(w, "order-k1099"), "0:1099");
}

/* A batch that was appended before the switch is known when it comes again behind it. */
static void resent_batch_is_not_appended_again(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    struct ms_batch_writer writer;
    struct ms_buf batch;
    struct ms_bytes key = MS_BYTES_LITERAL("a"), value = MS_BYTES_LITERAL("1");
    ms_buf_init(&batch, 1 << 16);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1000), 0);
    writer.producer_id = 5;
    writer.producer_epoch = 0;
    writer.base_sequence = 0;
    assert_int_equal(ms_batch_add(&writer, 1000, &key, &value, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).parts[0].first_offset, 0);
    assert_int_equal(switch_on(w, "order", 1), 0);
    struct store_answer again = produce_bytes(w, topic, 0, ms_buf_bytes(&batch));
    assert_int_equal(again.code, 0);
    assert_true(again.repeated);
    assert_int_equal(again.parts[0].first_offset, 0);
    assert_string_equal(versions_of(w, "order-a"), "0:1");
    ms_buf_deinit(&batch);
}

/* ---- like the model ---- */

static void run_history(uint64_t seed, bool real) {
    static struct adopt_world a;
    adopt_world_init(&a, seed, real);
    if (real)
        a.w.options.index_overlay_entries_max = 16; /* flushed again and again */
    adopt_world_open(&a);
    (void)make_topic(&a.w, ADOPT_TOPIC, plain(&a.w, 2));
    unsigned before = adopt_below(&a, 30), after = adopt_below(&a, 20);
    for (unsigned i = 0; i < before; i++) {
        adopt_step(&a);
        if (adopt_below(&a, 12) == 0)
            adopt_reopen(&a, adopt_below(&a, 2) == 0);
        if (adopt_below(&a, 12) == 0) { /* an attempt that gets as far as it may */
            int rc = adopt_switch(&a);
            assert_true(rc == 0 || rc == MS_EAGAIN);
        }
    }
    adopt_check_world(&a);
    adopt_end_all(&a);
    if (adopt_switch(&a) != 0)
        fail_msg("seed %llu: %s", (unsigned long long)seed, a.w.error.message);
    adopt_check_world(&a);
    for (unsigned i = 0; i < after; i++) {
        adopt_step(&a);
        if (adopt_below(&a, 6) == 0)
            adopt_reopen(&a, adopt_below(&a, 2) == 0);
    }
    adopt_check_world(&a);
    adopt_reopen(&a, false);
    adopt_check_world(&a);
    adopt_reopen(&a, true);
    adopt_check_world(&a);
    store_world_deinit(&a.w);
}

static void any_history_reads_like_the_model(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= world_setting("MS_ADOPT_SEEDS", 60); seed++)
        run_history(seed, false);
}

static void any_history_reads_like_the_model_with_an_index(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= world_setting("MS_ADOPT_SEEDS", 60) / 5; seed++)
        run_history(seed, true);
}

/* ---- size ---- */

static int take_prepared(void *context, const struct ms_topic_info *topic) {
    *(uint64_t *)context = topic->streams_prepared;
    assert_true(topic->streams_prepared <= topic->end);
    return 0;
}

static uint64_t prepared_of(struct store_world *w, const char *topic) {
    uint64_t prepared;
    assert_int_equal(
        ms_store_get_topic(w->store, ms_bytes_cstr(topic), take_prepared, &prepared, NULL), 0);
    return prepared;
}

static void pages_end_within_batches(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    for (int i = 0; i < 3; i++)
        adopt_produce_many(w, topic, ADOPT_MANY);
    assert_int_equal(switch_on(w, "order", 1), 0);
    for (int i = 0; i < 3; i++) {
        struct ms_stream_read read = {.stream = MS_BYTES_LITERAL("order-3"), .limit = SIZE_MAX};
        struct ms_stream_read_result result;
        struct counting counting = {.batch = ADOPT_MANY / 7};
        assert_int_equal(
            ms_store_read_stream(w->store, &read, count_event, &counting, &result, &w->error), 0);
        assert_int_equal(counting.next, ADOPT_MANY / 7 * 3);
        if (i == 0)
            store_world_reopen(w);
        else
            reopen_anew(w);
    }
    /* Three pages for each batch. */
    assert_int_equal(atomic_load(&ms_topics_at(w->store, MS_TOPIC_VERSIONS)->events),
                     3 * ADOPT_MANY / 1024 + 1);
}

static void preparing_goes_step_by_step_and_is_not_done_again(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    struct ms_bytes name = MS_BYTES_LITERAL("order");
    bool more = true;
    int steps = 0;
    assert_int_equal(ms_store_prepare_streams(w->store, name, &more, &w->error), 0);
    assert_false(more);
    for (int i = 0; i < 100; i++)
        adopt_produce_many(w, topic, ADOPT_MANY);
    assert_int_equal(prepared_of(w, "order"), 0);
    for (more = true; more; steps++) {
        uint64_t before = prepared_of(w, "order");
        assert_int_equal(ms_store_prepare_streams(w->store, name, &more, &w->error), 0);
        assert_true(!more || prepared_of(w, "order") >= before + 32768);
    }
    assert_int_equal(steps, 10); /* 299,600 records, 32,768 and what ends the batch at a time */
    assert_int_equal(store_append(w, "order-3", ANY, "x").code, MS_ENOSTREAMS);
    uint64_t prepared = atomic_load(&topic->versions_end);
    reopen_anew(w);
    topic = ms_store_topic(w->store, name, false);
    assert_int_equal(atomic_load(&topic->versions_end), prepared);
    assert_int_equal(switch_on(w, "order", 1), 0);
    assert_int_equal(ms_store_prepare_streams(w->store, name, &more, &w->error), 0);
    assert_false(more);
    assert_int_equal(store_stream(w, "order-3").head, ADOPT_MANY / 7 * 100 - 1);
    assert_int_equal(prepared_of(w, "order"), 0); /* there is nothing more to tell */
    uint64_t pages = atomic_load(&ms_topics_at(w->store, MS_TOPIC_VERSIONS)->events);
    assert_in_range(pages, 293, 303); /* a step ends a page */
}

/* Records without keys need no versions, and still aren't read again with each step. */
static void records_without_keys_are_passed_over(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    struct ms_batch_writer writer;
    struct ms_buf batch;
    struct ms_bytes value = MS_BYTES_LITERAL("v");
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_LZ4, 1000), 0);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(ms_batch_add(&writer, 1000, NULL, &value, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, 0);
    ms_buf_deinit(&batch);
    bool more = true;
    int steps = 0;
    for (; more; steps++)
        assert_int_equal(
            ms_store_prepare_streams(w->store, MS_BYTES_LITERAL("order"), &more, &w->error), 0);
    assert_int_equal(steps, 3); /* two batches at a time */
    assert_true(atomic_load(&topic->versions_end) > 80000);
    assert_int_equal(produce(w, topic, 0, "a=1").code, 0);
    assert_int_equal(switch_on(w, "order", 1), 0);
    assert_string_equal(versions_of(w, "order-a"), "0:1");
}

/* A page ends within a batch, and something behind it ends the attempt: the next goes on there. */
static void attempt_goes_on_within_a_batch(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    struct ms_batch_writer writer;
    struct ms_buf batch;
    char key[120], value[16];
    memset(key, 'k', sizeof key);
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1000), 0);
    for (int i = 0; i < 2100; i++) {
        int len = snprintf(value, sizeof value, "%d", i / 3);
        struct ms_bytes k = ms_bytes_of(&"abc"[i % 3], 1), v = ms_bytes_of(value, (size_t)len);
        if (i == 1500)
            k = ms_bytes_of(key, sizeof key);
        assert_int_equal(ms_batch_add(&writer, 1000, &k, &v, NULL, 0), 0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
    assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, 0);
    ms_buf_deinit(&batch);
    for (unsigned max = 80; max <= 160; max += 80) {
        assert_int_equal(store_world_close(w), 0);
        w->options.limits.name_bytes_max = max;
        assert_int_equal(store_world_open(w), 0);
        assert_int_equal(switch_on(w, "order", 1), max < 120 ? MS_EINVAL : 0);
        topic = ms_store_topic(w->store, MS_BYTES_LITERAL("order"), false);
        assert_true(atomic_load(&topic->versions_end) > 0);
    }
    for (int i = 0; i < 2; i++) {
        static const char *const streams[] = {"order-a", "order-b", "order-c"};
        for (int s = 0; s < 3; s++) {
            assert_int_equal(store_stream(w, streams[s]).head, s == 0 ? 698 : 699);
            struct ms_stream_read read = {.stream = ms_bytes_cstr(streams[s]), .limit = 500};
            struct ms_stream_read_result result;
            struct counting counting = {.batch = 1000};
            assert_int_equal(
                ms_store_read_stream(w->store, &read, count_event, &counting, &result, &w->error),
                0);
            assert_int_equal(counting.next, 500);
        }
        reopen_anew(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(records_that_are_there_become_events_of_streams),
        test_real(records_that_are_there_become_events_of_streams),
        test(versions_go_on_behind_the_switch),
        test_real(versions_go_on_behind_the_switch),
        test(streams_of_records_are_listed),
        test(streams_cant_be_switched_off_again),
        test(change_may_be_validated_only),
        test(key_that_names_no_stream_is_named_and_nothing_changes),
        cmocka_unit_test(committed_records_stand_where_they_were_committed),
        cmocka_unit_test(open_transaction_may_go_on_in_every_partition),
        test(heads_from_before_are_forgotten),
        test_real(heads_from_before_are_forgotten),
        test(small_appends_make_no_small_pages),
        test(resent_batch_is_not_appended_again),
        cmocka_unit_test(any_history_reads_like_the_model),
        cmocka_unit_test(any_history_reads_like_the_model_with_an_index),
        test(pages_end_within_batches),
        test_real(pages_end_within_batches),
        test_real(preparing_goes_step_by_step_and_is_not_done_again),
        test(records_without_keys_are_passed_over),
        test(attempt_goes_on_within_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
