/* The coordinator over a real store, with groups: what readers see, what a start finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "store/produce_world.h"
#include "txn/service.h"

struct fixture {
    struct store_world w;
    struct ms_txns_options options;
    struct ms_txn_service *txns;
    struct ms_group_service *groups;
    struct ms_topic *topic;
    pthread_mutex_t lock;
    pthread_cond_t answered;
};

static void start(struct fixture *f) {
    struct ms_groups_options options = {.env = ms_env_system()};
    f->options.env = ms_env_system();
    assert_int_equal(ms_txn_service_new(f->w.store, &f->options, &f->txns, &f->w.error), 0);
    struct ms_group_txns txns = ms_txn_service_group_txns(f->txns);
    assert_int_equal(ms_group_service_start(f->w.store, &options, &txns, &f->groups, &f->w.error),
                     0);
    assert_int_equal(ms_txn_service_start(f->txns, ms_group_service_groups(f->groups), &f->w.error),
                     0);
}

static void stop(struct fixture *f) {
    ms_txn_service_stop(f->txns);
    ms_group_service_stop(f->groups);
    ms_txn_service_free(f->txns);
    ms_group_service_free(f->groups);
}

static void restart(struct fixture *f, bool drop_index) {
    stop(f);
    assert_int_equal(store_world_close(&f->w), 0);
    if (drop_index)
        store_world_drop_index(&f->w);
    assert_int_equal(store_world_open(&f->w), 0);
    f->topic = ms_store_topic(f->w.store, MS_BYTES_LITERAL("t"), false);
    start(f);
}

static int setup(void **state) {
    static struct fixture f;
    f = (struct fixture){0};
    store_world_init_real(&f.w);
    assert_int_equal(store_world_open(&f.w), 0);
    f.topic = make_topic(&f.w, "t", plain(&f.w, 2));
    pthread_mutex_init(&f.lock, NULL);
    pthread_cond_init(&f.answered, NULL);
    start(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    stop(f);
    store_world_deinit(&f->w);
    pthread_cond_destroy(&f->answered);
    pthread_mutex_destroy(&f->lock);
    return 0;
}

/* ---- requests, waited for ---- */

struct asked {
    struct ms_txn_request request;
    struct fixture *f;
    bool done;
};

static void on_answer(struct ms_txn_request *request) {
    struct asked *asked = request->context;
    pthread_mutex_lock(&asked->f->lock);
    asked->done = true;
    pthread_cond_broadcast(&asked->f->answered);
    pthread_mutex_unlock(&asked->f->lock);
}

static struct ms_txn_request *ask(struct fixture *f, struct asked *asked) {
    *asked = (struct asked){.request = {.done = on_answer, .context = asked}, .f = f};
    return &asked->request;
}

static enum ms_txn_code wait_for(struct asked *asked) {
    pthread_mutex_lock(&asked->f->lock);
    while (!asked->done)
        pthread_cond_wait(&asked->f->answered, &asked->f->lock);
    pthread_mutex_unlock(&asked->f->lock);
    return asked->request.code;
}

static struct ms_txn_producer init(struct fixture *f, int32_t timeout_ms) {
    struct asked asked;
    struct ms_txn_init init = {true, MS_BYTES_LITERAL("x"), timeout_ms, MS_TXN_NO_PRODUCER};
    ms_txns_init(ms_txn_service_txns(f->txns), &init, ask(f, &asked));
    assert_int_equal(wait_for(&asked), MS_TXN_OK);
    return asked.request.producer;
}

static struct ms_txn_identity who(struct ms_txn_producer producer) {
    return (struct ms_txn_identity){MS_BYTES_LITERAL("x"), producer};
}

static enum ms_txn_code add(struct fixture *f, struct ms_txn_producer producer) {
    struct asked asked;
    struct ms_txn_identity identity = who(producer);
    struct ms_txn_partition_name name = {MS_BYTES_LITERAL("t"), 0};
    ms_txns_add_partitions(ms_txn_service_txns(f->txns), &identity, &name, 1, ask(f, &asked));
    return wait_for(&asked);
}

static enum ms_txn_code end(struct fixture *f, struct ms_txn_producer *producer, bool commit,
                            bool bumps) {
    struct asked asked;
    struct ms_txn_identity identity = who(*producer);
    ms_txns_end(ms_txn_service_txns(f->txns), &identity, commit, bumps, ask(f, &asked));
    enum ms_txn_code code = wait_for(&asked);
    if (code == MS_TXN_OK && bumps)
        *producer = asked.request.producer;
    return code;
}

/* Words as records of partition 0, with that sequence number. */
static int send(struct fixture *f, struct ms_txn_producer producer, int32_t sequence,
                const char *words) {
    struct ms_buf batch;
    ms_buf_init(&batch, 1 << 20);
    struct ms_batch_writer writer;
    char copy[200], *save;
    snprintf(copy, sizeof copy, "%s", words);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1000), 0);
    writer.producer_id = producer.id;
    writer.producer_epoch = producer.epoch;
    writer.base_sequence = sequence;
    writer.attributes |= MS_BATCH_TRANSACTIONAL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        struct ms_bytes value = ms_bytes_cstr(word);
        assert_int_equal(ms_batch_add(&writer, 1000, NULL, &value, NULL, 0), 0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
    struct store_answer answer = produce_bytes(&f->w, f->topic, 0, ms_buf_bytes(&batch));
    ms_buf_deinit(&batch);
    return answer.code;
}

static int64_t stable_offset(struct fixture *f) {
    struct ms_partition_state state;
    assert_int_equal(ms_store_partition_state(f->w.store, f->topic, 0, &state), 0);
    return state.stable_offset;
}

static size_t aborted(struct fixture *f) {
    struct ms_arena arena;
    struct ms_txn_aborted *list;
    size_t count;
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(ms_store_aborted(f->w.store, f->topic, 0, 0, 1000, &arena, &list, &count), 0);
    ms_arena_deinit(&arena);
    return count;
}

/* ---- groups ---- */

struct committing {
    struct ms_group_commit commit;
    struct fixture *f;
    bool done;
};

static void on_committed(struct ms_group_commit *commit, enum ms_group_code code) {
    struct committing *committing = commit->context;
    (void)code;
    pthread_mutex_lock(&committing->f->lock);
    committing->done = true;
    pthread_cond_broadcast(&committing->f->answered);
    pthread_mutex_unlock(&committing->f->lock);
}

static enum ms_group_code commit_offset(struct fixture *f, struct ms_txn_producer producer,
                                        int64_t offset) {
    struct ms_group_offset asked = {
        .topic = MS_BYTES_LITERAL("t"), .offset = offset, .leader_epoch = -1, .commit_time_ms = -1};
    struct committing committing = {
        .commit = {.identity = {.group = MS_BYTES_LITERAL("g"), .generation = -1},
                   .offsets = &asked,
                   .offset_count = 1,
                   .producer_id = producer.id,
                   .producer_epoch = producer.epoch,
                   .done = on_committed},
        .f = f};
    committing.commit.context = &committing;
    ms_groups_txn_commit(ms_group_service_groups(f->groups), &committing.commit);
    pthread_mutex_lock(&f->lock);
    while (!committing.done)
        pthread_cond_wait(&f->answered, &f->lock);
    pthread_mutex_unlock(&f->lock);
    return asked.code;
}

static void assert_offset(struct fixture *f, enum ms_group_code code, int64_t wanted) {
    struct ms_arena arena;
    struct ms_group_offset offset = {.topic = MS_BYTES_LITERAL("t")};
    ms_arena_init(&arena, 1 << 16);
    assert_int_equal(ms_groups_fetch(ms_group_service_groups(f->groups), MS_BYTES_LITERAL("g"),
                                     true, &arena, &offset, 1),
                     MS_GROUP_OK);
    assert_int_equal(offset.code, code);
    if (code == MS_GROUP_OK)
        assert_int_equal(offset.offset, wanted);
    ms_arena_deinit(&arena);
}

static enum ms_txn_code begin_offsets(struct fixture *f, struct ms_txn_producer producer) {
    struct ms_txn_identity identity = who(producer);
    return ms_txns_begin_offsets(ms_txn_service_txns(f->txns), &identity, true);
}

static enum ms_txn_code begin(struct fixture *f, struct ms_txn_producer producer) {
    struct ms_txn_identity identity = who(producer);
    return ms_txns_begin(ms_txn_service_txns(f->txns), &identity, MS_BYTES_LITERAL("t"), 0);
}

/* ---- the claims ---- */

static void readers_see_what_was_committed(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f, 60000);
    assert_int_equal(send(f, producer, 0, "early"), MS_ENOTXN);
    assert_int_equal(add(f, producer), MS_TXN_OK);
    assert_int_equal(send(f, producer, 0, "a b"), 0);
    assert_int_equal(stable_offset(f), 0);
    assert_int_equal(end(f, &producer, true, false), MS_TXN_OK);
    assert_int_equal(stable_offset(f), 3);
    assert_int_equal(aborted(f), 0);
    assert_int_equal(send(f, producer, 2, "late"), MS_ENOTXN);
    assert_int_equal(begin(f, producer), MS_TXN_OK);
    assert_int_equal(send(f, producer, 2, "c"), 0);
    struct ms_txn_producer before = producer;
    assert_int_equal(end(f, &producer, false, true), MS_TXN_OK);
    assert_int_equal(producer.epoch, 1);
    assert_int_equal(aborted(f), 1);
    assert_int_equal(send(f, before, 3, "late"), MS_EFENCED);
}

static void what_is_open_goes_on_after_a_start(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f, 60000), old;
    for (int i = 0; i < 4; i++) {
        if (i & 1)
            assert_int_equal(begin(f, producer), MS_TXN_OK);
        else
            assert_int_equal(add(f, producer), MS_TXN_OK);
        assert_int_equal(send(f, producer, 0, "a"), 0);
        assert_int_equal(begin_offsets(f, producer), MS_TXN_OK);
        assert_int_equal(commit_offset(f, producer, 10 + i), MS_GROUP_OK);
        restart(f, i >= 2);
        assert_offset(f, MS_GROUP_UNSTABLE_OFFSETS, 0);
        assert_int_equal(send(f, producer, 1, "b"), 0);
        old = producer;
        assert_int_equal(end(f, &producer, true, true), MS_TXN_OK);
        assert_offset(f, MS_GROUP_OK, 10 + i);
        restart(f, i >= 2);
        assert_offset(f, MS_GROUP_OK, 10 + i);
        assert_int_equal(end(f, &old, true, true), MS_TXN_OK); /* lost the answer */
        assert_int_equal(old.epoch, producer.epoch);
        assert_int_equal(stable_offset(f), 3 * (i + 1));
    }
    assert_int_equal(aborted(f), 0);
    assert_int_equal(init(f, 60000).id, producer.id);
}

static void offsets_of_an_aborted_transaction_are_gone(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f, 60000);
    assert_int_equal(begin_offsets(f, producer), MS_TXN_OK);
    assert_int_equal(commit_offset(f, producer, 5), MS_GROUP_OK);
    assert_int_equal(end(f, &producer, true, true), MS_TXN_OK);
    assert_int_equal(begin_offsets(f, producer), MS_TXN_OK);
    assert_int_equal(commit_offset(f, producer, 9), MS_GROUP_OK);
    assert_offset(f, MS_GROUP_UNSTABLE_OFFSETS, 0);
    producer = init(f, 60000); /* aborts it */
    assert_offset(f, MS_GROUP_OK, 5);
    restart(f, true);
    assert_offset(f, MS_GROUP_OK, 5);
    assert_int_equal(commit_offset(f, producer, 11), MS_GROUP_NOT_AVAILABLE); /* none is open */
}

static void a_timeout_comes_by_itself(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f, 100);
    assert_int_equal(add(f, producer), MS_TXN_OK);
    assert_int_equal(send(f, producer, 0, "a"), 0);
    for (int i = 0; i < 2000 && aborted(f) == 0; i++)
        ms_clock_sleep_us(ms_clock_system(), 5000);
    assert_int_equal(aborted(f), 1);
    assert_int_equal(send(f, producer, 1, "b"), MS_EFENCED);
    assert_int_equal(end(f, &producer, true, false), MS_TXN_FENCED);
}

static void producer_ids_are_not_used_again(void **state) {
    struct fixture *f = *state;
    int64_t last = -1;
    for (int i = 0; i < 3; i++) {
        struct asked asked;
        struct ms_txn_init init = {.expected = MS_TXN_NO_PRODUCER};
        ms_txns_init(ms_txn_service_txns(f->txns), &init, ask(f, &asked));
        assert_int_equal(wait_for(&asked), MS_TXN_OK);
        assert_true(asked.request.producer.id > last);
        last = asked.request.producer.id;
        restart(f, i == 1);
    }
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(readers_see_what_was_committed),
        test(what_is_open_goes_on_after_a_start),
        test(offsets_of_an_aborted_transaction_are_gone),
        test(a_timeout_comes_by_itself),
        test(producer_ids_are_not_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
