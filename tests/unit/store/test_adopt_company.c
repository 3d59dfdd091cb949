/* Topics that get streams while others are at work, and when the power is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "store/both_worlds.h"
#include "store/produce_world.h"

#include "store/adopt_world.h"

/* ---- power cuts ---- */

static void cut_history(struct adopt_world *a) {
    for (int i = 0; i < 12; i++)
        assert_int_equal(adopt_produce(a, i % 3 == 0 ? &a->idempotent : NULL), 0);
    adopt_open(a, &a->transactional[0]);
    assert_int_equal(adopt_produce(a, &a->transactional[0]), 0);
    adopt_end(a, &a->transactional[0], true);
}

/* True when the power was cut while streams were switched on. */
static bool cut_at(uint64_t n, enum ms_sim_cut how, bool *ret_switched) {
    static struct adopt_world a;
    adopt_world_init(&a, n, false);
    adopt_world_open(&a);
    (void)make_topic(&a.w, ADOPT_TOPIC, plain(&a.w, 2));
    cut_history(&a);
    ms_vfs_sim_cut_at(a.w.world.sim, n);
    int rc = adopt_switch(&a);
    bool cut = ms_vfs_sim_is_cut(a.w.world.sim);
    ms_ignore(store_world_close(&a.w));
    ms_vfs_sim_cut(a.w.world.sim, how);
    adopt_world_open(&a);
    struct ms_topic_settings settings = ms_topics_settings(a.w.store, adopt_topic(&a));
    *ret_switched = settings.streams;
    assert_true(rc != 0 || settings.streams); /* what was acknowledged stays */
    a.switched = settings.streams;
    adopt_check_world(&a);
    assert_int_equal(adopt_produce(&a, NULL), 0);
    if (adopt_switch(&a) != 0)
        fail_msg("cut %llu: %s", (unsigned long long)n, a.w.error.message);
    adopt_append(&a);
    adopt_check_world(&a);
    adopt_reopen(&a, true);
    adopt_check_world(&a);
    store_world_deinit(&a.w);
    return cut;
}

static void power_cut_leaves_it_switched_or_not(void **state) {
    static const enum ms_sim_cut hows[] = {MS_SIM_CUT_LOSE_ALL, MS_SIM_CUT_KEEP_ALL,
                                           MS_SIM_CUT_RANDOM};
    (void)state;
    unsigned before = 0, after = 0;
    for (size_t how = 0; how < 3; how++) {
        bool switched, cut = true;
        for (uint64_t n = 1; cut; n++) {
            cut = cut_at(n, hows[how], &switched);
            before += cut && !switched;
            after += cut && switched;
        }
    }
    assert_true(before > 3 && after > 0);
}

/* ---- company ---- */

#define PRODUCED 400

struct company {
    struct store_world *w;
    struct ms_topic *topic;
    atomic_uint produced, refused;
};

/* Batches of three keys, one after the other, each until it is taken. */
static void *produce_on(void *context) {
    struct company *company = context;
    for (unsigned n = 0; n < PRODUCED;) {
        char words[100];
        snprintf(words, sizeof words, "a=%u b=%u %u a=%u c=%u", n, n, n, n, n);
        struct store_answer answer = produce(company->w, company->topic, n % 2, words);
        if (answer.code == MS_EAGAIN) {
            atomic_fetch_add(&company->refused, 1);
            continue;
        }
        assert_int_equal(answer.code, 0);
        atomic_store(&company->produced, ++n);
    }
    return NULL;
}

static void *append_on(void *context) {
    struct company *company = context;
    for (unsigned n = 0; n < PRODUCED; n++) {
        char id[16];
        snprintf(id, sizeof id, "o%u", n);
        assert_int_equal(store_append(company->w, "other-1", ANY, id).code, 0);
    }
    return NULL;
}

static int expect_next(void *context, const struct ms_read_event *event) {
    struct counting *counting = context;
    char value[16];
    snprintf(value, sizeof value, "%lld", (long long)(counting->next / counting->batch));
    assert_int_equal(event->place.version, counting->next);
    if (!ms_bytes_equal_cstr(event->event.data, value))
        fail_msg("version %lld: %.*s instead of %s", (long long)counting->next,
                 (int)event->event.data.len, (const char *)event->event.data.data, value);
    counting->next++;
    return 0;
}

static void producers_go_on_while_streams_are_switched_on(void **state) {
    struct store_world *w = *state;
    struct company company = {.w = w, .topic = make_topic(w, "order", plain(w, 2))};
    pthread_t producer, other;
    assert_int_equal(pthread_create(&producer, NULL, produce_on, &company), 0);
    assert_int_equal(pthread_create(&other, NULL, append_on, &company), 0);
    while (atomic_load(&company.produced) < PRODUCED / 4)
        ms_clock_sleep_us(ms_clock_system(), 100);
    struct ms_topic_settings settings = plain(w, 2);
    struct ms_error err = {0};
    bool created;
    settings.streams = true;
    if (ms_store_put_topic(w->store, MS_BYTES_LITERAL("order"), &settings, &created, &err) != 0)
        fail_msg("%s", err.message);
    pthread_join(producer, NULL);
    pthread_join(other, NULL);
    for (int i = 0; i < 2; i++) {
        static const char *const streams[] = {"order-a", "order-b", "order-c"};
        for (int s = 0; s < 3; s++) {
            struct ms_stream_read read = {.stream = ms_bytes_cstr(streams[s]), .limit = SIZE_MAX};
            struct ms_stream_read_result result;
            struct counting counting = {.batch = s == 0 ? 2 : 1};
            assert_int_equal(
                ms_store_read_stream(w->store, &read, expect_next, &counting, &result, &w->error),
                0);
            assert_int_equal(counting.next, (s == 0 ? 2 : 1) * PRODUCED);
        }
        reopen_anew(w);
    }
}

/* A transaction at a time, of two batches, until it is through. */
static void *commit_on(void *context) {
    struct company *company = context;
    struct ms_store *store = company->w->store;
    for (unsigned n = 0; n < PRODUCED / 4; n++) {
        int16_t epoch = (int16_t)n;
        assert_int_equal(ms_store_txn_set_epoch(store, 77, epoch), 0);
        for (int32_t sequence = 0; sequence < 2;) {
            struct ms_batch_writer writer;
            struct ms_buf batch;
            struct ms_bytes key = MS_BYTES_LITERAL("x"), value;
            char text[16];
            snprintf(text, sizeof text, "%u", n);
            value = ms_bytes_cstr(text);
            ms_buf_init(&batch, 1 << 16);
            assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1000), 0);
            writer.producer_id = 77;
            writer.producer_epoch = epoch;
            writer.base_sequence = sequence;
            writer.attributes |= MS_BATCH_TRANSACTIONAL;
            assert_int_equal(ms_batch_add(&writer, 1000, &key, &value, NULL, 0), 0);
            assert_int_equal(ms_batch_end(&writer), 0);
            struct ms_produce_request request = {
                .topic = company->topic, .batch = ms_buf_bytes(&batch), .begins = true};
            struct store_answer answer = {0};
            int32_t index;
            answer.refused = ms_store_produce(store, &request, store_answer_take, &answer, &index,
                                              &answer.error);
            ms_buf_deinit(&batch);
            store_wait(company->w, &answer);
            if (answer.code == MS_EAGAIN)
                continue;
            assert_int_equal(answer.code, 0);
            sequence++;
        }
        struct ms_txn_end end = {.producer_id = 77, .epoch = epoch, .commit = true};
        struct store_answer answer = {0};
        assert_int_equal(ms_store_txn_end(store, &end, store_answer_take, &answer, NULL), 0);
        store_wait(company->w, &answer);
        assert_int_equal(answer.code, 0);
        atomic_store(&company->produced, n + 1);
    }
    return NULL;
}

static void transactions_go_on_while_streams_are_switched_on(void **state) {
    struct store_world *w = *state;
    struct company company = {.w = w, .topic = make_topic(w, "order", plain(w, 1))};
    struct ms_topic_settings settings = plain(w, 1);
    struct ms_error err = {0};
    bool created;
    pthread_t producer;
    settings.streams = true;
    assert_int_equal(pthread_create(&producer, NULL, commit_on, &company), 0);
    while (atomic_load(&company.produced) < PRODUCED / 16)
        ms_clock_sleep_us(ms_clock_system(), 100);
    if (ms_store_put_topic(w->store, MS_BYTES_LITERAL("order"), &settings, &created, &err) != 0)
        fail_msg("%s", err.message);
    pthread_join(producer, NULL);
    for (int i = 0; i < 2; i++) {
        struct ms_stream_read read = {.stream = MS_BYTES_LITERAL("order-x"), .limit = SIZE_MAX};
        struct ms_stream_read_result result;
        struct counting counting = {.batch = 2};
        assert_int_equal(
            ms_store_read_stream(w->store, &read, expect_next, &counting, &result, &w->error), 0);
        assert_int_equal(counting.next, PRODUCED / 2);
        reopen_anew(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_cut_leaves_it_switched_or_not),
        test_real(producers_go_on_while_streams_are_switched_on),
        test_real(transactions_go_on_while_streams_are_switched_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
