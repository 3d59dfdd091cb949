/* Idempotent producers and transactions: what is appended once, what is seen when, what survives a
 * start with and without its index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/both_worlds.h"
#include "store/produce_world.h"
#include "store/transactions.h"

/* ---- help ---- */

struct producer {
    int64_t id;
    int16_t epoch;
    bool transactional, begins;
};

/* Words as records, with that sequence number. */
static struct store_answer send(struct store_world *w, struct ms_topic *topic, uint32_t partition,
                                struct producer producer, int32_t sequence, const char *words) {
    struct ms_buf batch;
    struct ms_batch_writer writer;
    char copy[200], *save;
    ms_buf_init(&batch, 1 << 20);
    snprintf(copy, sizeof copy, "%s", words);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1000), 0);
    writer.producer_id = producer.id;
    writer.producer_epoch = producer.epoch;
    writer.base_sequence = sequence;
    writer.attributes |= producer.transactional ? MS_BATCH_TRANSACTIONAL : 0;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        struct ms_bytes value = ms_bytes_cstr(word), key = ms_bytes_of(word, 1);
        assert_int_equal(ms_batch_add(&writer, 1000, &key, &value, NULL, 0), 0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
    struct ms_produce_request request = {.topic = topic,
                                         .partition = partition,
                                         .batch = ms_buf_bytes(&batch),
                                         .begins = producer.begins};
    struct store_answer answer = {0};
    int32_t index;
    answer.refused =
        ms_store_produce(w->store, &request, store_answer_take, &answer, &index, &answer.error);
    ms_buf_deinit(&batch);
    store_wait(w, &answer);
    if (answer.refused != 0)
        answer.code = answer.refused;
    return answer;
}

static int end_with(struct store_world *w, struct ms_txn_end end) {
    struct store_answer answer = {0};
    int rc = ms_store_txn_end(w->store, &end, store_answer_take, &answer, &w->error);
    if (rc != 0)
        return rc;
    store_wait(w, &answer);
    return answer.code;
}

static int end_txn(struct store_world *w, int64_t id, int16_t epoch, bool commit) {
    return end_with(w, (struct ms_txn_end){.producer_id = id, .epoch = epoch, .commit = commit});
}

static void begin(struct store_world *w, struct producer producer, struct ms_topic *topic,
                  uint32_t partition) {
    assert_int_equal(ms_store_txn_set_epoch(w->store, producer.id, producer.epoch), 0);
    assert_int_equal(
        ms_store_txn_add(w->store, producer.id, producer.epoch, topic, partition, &w->error), 0);
}

static struct ms_partition_state state_of(struct store_world *w, struct ms_topic *topic,
                                          uint32_t partition) {
    struct ms_partition_state state;
    assert_int_equal(ms_store_partition_state(w->store, topic, partition, &state), 0);
    return state;
}

static int add_value(void *context, const struct ms_read_event *event) {
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, 1000 - len, "%s%.*s", len ? " " : "", (int)event->event.data.len,
             (const char *)event->event.data.data);
    return 0;
}

/* The values of all events, in the order of their positions. */
static const char *everything(struct store_world *w, bool backward) {
    static char text[1000];
    struct ms_all_read read = {.limit = 1000, .backward = backward, .from_end = backward};
    struct ms_all_read_result result;
    text[0] = 0;
    assert_int_equal(ms_store_read_all(w->store, &read, add_value, text, &result, &w->error), 0);
    return text;
}

static const char *of_topic(struct store_world *w, const char *topic) {
    static char text[1000];
    struct ms_bytes topic_name = ms_bytes_cstr(topic);
    struct ms_all_read read = {.limit = 1000, .filter = {.topics = &topic_name, .topic_count = 1}};
    struct ms_all_read_result result;
    text[0] = 0;
    assert_int_equal(ms_store_read_all(w->store, &read, add_value, text, &result, &w->error), 0);
    return text;
}

static void assert_aborted(struct store_world *w, struct ms_topic *topic, int64_t from, int64_t to,
                           size_t wanted, int64_t first_id, int64_t first_offset) {
    struct ms_arena arena;
    struct ms_txn_aborted *aborted;
    size_t count;
    ms_arena_init(&arena, 1 << 16);
    assert_int_equal(ms_store_aborted(w->store, topic, 0, from, to, &arena, &aborted, &count), 0);
    assert_int_equal(count, wanted);
    if (wanted > 0) {
        assert_int_equal(aborted[0].producer_id, first_id);
        assert_int_equal(aborted[0].first_offset, first_offset);
    }
    ms_arena_deinit(&arena);
}

static struct ms_topic *again(struct store_world *w, const char *name) {
    store_world_reopen(w);
    return ms_store_topic(w->store, ms_bytes_cstr(name), false);
}

/* ---- idempotence ---- */

static void batch_sent_again_is_appended_once(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 2));
    struct producer p = {.id = 7};
    for (int i = 0; i < 6; i++) {
        char word[8];
        snprintf(word, sizeof word, "v%d", i);
        assert_int_equal(send(w, topic, 0, p, i, word).parts[0].first_offset, i);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 1; i < 6; i++) { /* the last five are known */
            char word[8];
            snprintf(word, sizeof word, "v%d", i);
            struct store_answer answer = send(w, topic, 0, p, i, word);
            assert_int_equal(answer.code, 0);
            assert_true(answer.repeated);
            assert_int_equal(answer.parts[0].first_offset, i);
        }
        assert_int_equal(send(w, topic, 0, p, 0, "v0").code, MS_ESEQUENCE);
        assert_int_equal(send(w, topic, 0, p, 7, "v7").code, MS_ESEQUENCE);
        assert_int_equal(state_of(w, topic, 0).end_offset, 6);
        topic = again(w, "t");
    }
    assert_int_equal(send(w, topic, 0, p, 6, "v6").parts[0].first_offset, 6);
    assert_int_equal(send(w, topic, 1, p, 0, "w0").parts[0].first_offset, 0);
}

static void epochs_fence_and_begin_at_zero(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    assert_int_equal(send(w, topic, 0, (struct producer){.id = 7, .epoch = 3}, 100, "a b").code,
                     0); /* not known: any sequence */
    assert_int_equal(send(w, topic, 0, (struct producer){.id = 7, .epoch = 2}, 0, "x").code,
                     MS_EFENCED);
    assert_int_equal(send(w, topic, 0, (struct producer){.id = 7, .epoch = 4}, 102, "x").code,
                     MS_ESEQUENCE);
    assert_int_equal(send(w, topic, 0, (struct producer){.id = 7, .epoch = 4}, 0, "c").code, 0);
    assert_int_equal(send(w, topic, 0, (struct producer){.id = 7, .epoch = 3}, 102, "x").code,
                     MS_EFENCED);
    assert_string_equal(consume(w, topic, 0, 0, 1 << 20), "0:a=a 1:b=b 2:c=c");
}

static void sequences_wrap(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    struct producer p = {.id = 7};
    assert_int_equal(send(w, topic, 0, p, INT32_MAX - 1, "a b c").code, 0); /* ends with 0 */
    assert_int_equal(send(w, topic, 0, p, 1, "d").code, 0);
    assert_true(send(w, topic, 0, p, INT32_MAX - 1, "a b c").repeated);
    assert_int_equal(send(w, topic, 0, p, 3, "x").code, MS_ESEQUENCE);
}

static void batch_in_a_topic_with_streams_is_known_as_a_whole(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", ms_topic_settings_default(w->store));
    struct producer p = {.id = 7};
    assert_int_equal(send(w, topic, 0, p, 0, "a1 b1 a2").code, 0);
    for (int i = 0; i < 2; i++) {
        struct store_answer answer = send(w, topic, 0, p, 0, "a1 b1 a2");
        assert_true(answer.repeated);
        assert_int_equal(answer.parts[0].first_offset, 0);
        assert_int_equal(store_stream(w, "order-a").head, 1);
        topic = again(w, "order");
    }
    assert_int_equal(send(w, topic, 0, p, 3, "a3").code, 0);
    assert_int_equal(store_stream(w, "order-a").head, 2);
}

/* ---- transactions ---- */

static void transaction_is_seen_when_it_commits(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 2));
    struct producer p = {.id = 7, .transactional = true};
    begin(w, p, topic, 0);
    begin(w, p, topic, 1);
    assert_int_equal(produce(w, topic, 0, "x=1").code, 0);
    assert_int_equal(send(w, topic, 0, p, 0, "a1 a2").parts[0].first_offset, 1);
    assert_int_equal(send(w, topic, 1, p, 0, "b1").parts[0].first_offset, 0);
    assert_int_equal(send(w, topic, 0, p, 2, "a3").parts[0].first_offset, 3);
    assert_int_equal(produce(w, topic, 0, "y=2").code, 0);
    assert_int_equal(state_of(w, topic, 0).end_offset, 5);
    assert_int_equal(state_of(w, topic, 0).stable_offset, 1);
    assert_int_equal(state_of(w, topic, 1).stable_offset, 0);
    assert_string_equal(everything(w, false), "1 2");
    assert_int_equal(end_txn(w, 7, 0, true), 0);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(everything(w, false), "1 2 a1 a2 b1 a3");
        assert_string_equal(everything(w, true), "a3 b1 a2 a1 2 1");
        assert_string_equal(of_topic(w, "t"), "1 2 a1 a2 b1 a3");
        assert_int_equal(state_of(w, topic, 0).end_offset, 6); /* and the marker */
        assert_int_equal(state_of(w, topic, 0).stable_offset, 6);
        assert_int_equal(state_of(w, topic, 1).stable_offset, 2);
        assert_aborted(w, topic, 0, 6, 0, 0, 0);
        topic = again(w, "t");
    }
}

static void aborted_transaction_is_never_seen_but_by_kafka(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    struct producer p = {.id = 7, .transactional = true};
    struct producer q = {.id = 8, .transactional = true};
    begin(w, p, topic, 0);
    begin(w, q, topic, 0);
    assert_int_equal(send(w, topic, 0, p, 0, "a").code, 0);   /* 0 */
    assert_int_equal(send(w, topic, 0, q, 0, "b").code, 0);   /* 1 */
    assert_int_equal(end_txn(w, 7, 1, false), 0);             /* 2: epoch 1 from here on */
    assert_int_equal(state_of(w, topic, 0).stable_offset, 1); /* q's goes on */
    assert_int_equal(end_txn(w, 8, 0, true), 0);              /* 3 */
    for (int i = 0; i < 2; i++) {
        assert_string_equal(everything(w, false), "b");
        assert_int_equal(state_of(w, topic, 0).stable_offset, 4);
        assert_aborted(w, topic, 0, 4, 1, 7, 0);
        assert_aborted(w, topic, 3, 4, 0, 0, 0);
        assert_aborted(w, topic, 2, 4, 1, 7, 0); /* its marker is in the range */
        topic = again(w, "t");
    }
    assert_int_equal(ms_store_txn_set_epoch(w->store, 7, 1), 0);
    assert_int_equal(send(w, topic, 0, p, 1, "late").code, MS_EFENCED);
}

static void open_transaction_survives_a_start(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings streams = ms_topic_settings_default(w->store);
    for (int commit = 0; commit < 2; commit++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", commit);
        struct ms_topic *topic = make_topic(w, name, streams);
        struct producer p = {.id = 7, .epoch = (int16_t)commit, .transactional = true};
        begin(w, p, topic, 0);
        begin(w, p, topic, 1);
        assert_int_equal(send(w, topic, 1, p, 0, "b1 c1").code, 0);
        assert_int_equal(send(w, topic, 0, p, 0, "a1").code, 0);
        assert_int_equal(send(w, topic, 1, p, 2, "b2").code, 0);
        topic = again(w, name);
        assert_int_equal(state_of(w, topic, 1).stable_offset, 0);
        assert_string_equal(of_topic(w, name), "");
        begin(w, p, topic, 0);
        begin(w, p, topic, 1);
        assert_int_equal(send(w, topic, 0, p, 1, "a2").code, 0);
        topic = again(w, name);
        assert_int_equal(ms_store_txn_set_epoch(w->store, 7, p.epoch), 0);
        assert_int_equal(end_txn(w, 7, p.epoch, commit), 0);
        for (int i = 0; i < 2; i++) {
            assert_string_equal(of_topic(w, name), commit ? "b1 c1 a1 b2 a2" : "");
            assert_int_equal(state_of(w, topic, 1).stable_offset, 4);
            assert_int_equal(state_of(w, topic, 0).stable_offset, 3);
            assert_int_equal(store_stream(w, commit ? "t1-b" : "t0-b").head, commit ? 1 : -1);
            topic = again(w, name);
        }
    }
}

static void versions_are_given_by_the_commit(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", ms_topic_settings_default(w->store));
    struct producer p = {.id = 7, .transactional = true};
    begin(w, p, topic, 0);
    assert_int_equal(send(w, topic, 0, p, 0, "a1 b1").code, 0);
    assert_int_equal(store_append(w, "order-a", NONE, "first").code, 0);
    assert_int_equal(end_txn(w, 7, 0, true), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_stream(w, "order-a").head, 1);
        assert_string_equal(store_ids(w, "order-a", 0), "first order/0/0");
        assert_int_equal(store_stream(w, "order-b").head, 0);
        store_world_reopen(w);
    }
    assert_int_equal(store_append(w, "order-a", AT(1), "third").code, 0);
}

static void nothing_is_written_without_permission(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 2));
    struct producer p = {.id = 7, .transactional = true};
    assert_int_equal(send(w, topic, 0, p, 0, "a").code, MS_ENOTXN);
    begin(w, p, topic, 0);
    assert_int_equal(send(w, topic, 1, p, 0, "a").code, MS_ENOTXN);
    assert_int_equal(send(w, topic, 0, p, 0, "a").code, 0);
    p.begins = true;
    assert_int_equal(send(w, topic, 1, p, 0, "b").code, 0);
    assert_int_equal(end_txn(w, 7, 0, true), 0);
    p.begins = false;
    assert_int_equal(send(w, topic, 0, p, 1, "late").code, MS_ENOTXN);
    p.begins = true;
    assert_int_equal(send(w, topic, 0, p, 1, "next").code, 0);
    assert_int_equal(ms_store_txn_add(w->store, 7, 5, topic, 0, NULL), MS_EFENCED);
    assert_int_equal(ms_store_txn_add(w->store, 7, 0, topic, 2, NULL), MS_ENOTFOUND);
    assert_int_equal(end_txn(w, 7, 0, false), 0);
    assert_string_equal(everything(w, false), "a b");
}

static int count_record(void *context, const struct ms_keyed_record *record, uint64_t position) {
    (void)record;
    (void)position;
    ++*(int *)context;
    return 0;
}

static void records_stand_or_fall_with_the_end(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    struct producer p = {.id = 7, .transactional = true};
    struct ms_keyed_record offset = {MS_BYTES_LITERAL("o"), MS_BYTES_LITERAL("5"), false};
    struct ms_keyed_record ended = {MS_BYTES_LITERAL("x"), MS_BYTES_LITERAL("done"), false};
    struct ms_keyed_records sets[] = {{MS_RECORDS_CONSUMER_OFFSETS, &offset, 1},
                                      {MS_RECORDS_TRANSACTION_STATE, &ended, 1}};
    begin(w, p, topic, 0);
    assert_int_equal(send(w, topic, 0, p, 0, "a").code, 0);
    struct ms_txn_end end = {.producer_id = 7, .commit = true, .sets = sets, .set_count = 2};
    assert_int_equal(end_with(w, end), 0);
    for (int i = 0; i < 2; i++) {
        int offsets = 0, states = 0;
        assert_int_equal(ms_store_list_records(w->store, MS_RECORDS_CONSUMER_OFFSETS, count_record,
                                               &offsets, NULL),
                         0);
        assert_int_equal(ms_store_list_records(w->store, MS_RECORDS_TRANSACTION_STATE, count_record,
                                               &states, NULL),
                         0);
        assert_int_equal(offsets, 1);
        assert_int_equal(states, 1);
        assert_string_equal(everything(w, false), "a");
        topic = again(w, "t");
    }
}

static void end_of_nothing_is_an_end(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    struct producer p = {.id = 7, .transactional = true};
    begin(w, p, topic, 0);
    uint64_t before = ms_store_end(w->store);
    assert_int_equal(end_txn(w, 7, 1, true), 0);
    assert_int_equal(ms_store_end(w->store), before);
    assert_int_equal(send(w, topic, 0, p, 0, "a").code, MS_EFENCED); /* epoch 1 now */
    assert_int_equal(end_txn(w, 99, 0, true), 0);
}

static void transaction_over_a_deleted_topic_can_end(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    struct ms_topic *other = make_topic(w, "u", plain(w, 1));
    struct producer p = {.id = 7, .transactional = true};
    begin(w, p, topic, 0);
    begin(w, p, other, 0);
    assert_int_equal(send(w, topic, 0, p, 0, "a").code, 0);
    assert_int_equal(send(w, other, 0, p, 0, "b").code, 0);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("t"), NULL), 0);
    assert_int_equal(end_txn(w, 7, 0, true), 0);
    assert_string_equal(everything(w, false), "b");
}

static int count_open(void *context, const struct ms_txn_open *open) {
    assert_int_equal(open->producer_id, 7);
    assert_true(open->first_offset >= 0);
    ++*(int *)context;
    return 0;
}

static void open_ones_are_listed(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 3));
    struct producer p = {.id = 7, .transactional = true};
    begin(w, p, topic, 0);
    begin(w, p, topic, 1);
    begin(w, p, topic, 2); /* nothing is written there */
    assert_int_equal(send(w, topic, 0, p, 0, "a").code, 0);
    assert_int_equal(send(w, topic, 1, p, 0, "a").code, 0);
    for (int i = 0; i < 2; i++) {
        int open = 0;
        assert_int_equal(ms_store_txn_list(w->store, count_open, &open), 0);
        assert_int_equal(open, 2);
        topic = again(w, "t");
    }
}

#define BOTH(f) test(f), test_real(f)

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(batch_sent_again_is_appended_once),
        BOTH(epochs_fence_and_begin_at_zero),
        BOTH(sequences_wrap),
        BOTH(batch_in_a_topic_with_streams_is_known_as_a_whole),
        BOTH(transaction_is_seen_when_it_commits),
        BOTH(aborted_transaction_is_never_seen_but_by_kafka),
        BOTH(open_transaction_survives_a_start),
        BOTH(versions_are_given_by_the_commit),
        BOTH(nothing_is_written_without_permission),
        BOTH(records_stand_or_fall_with_the_end),
        BOTH(end_of_nothing_is_an_end),
        BOTH(transaction_over_a_deleted_topic_can_end),
        BOTH(open_ones_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
