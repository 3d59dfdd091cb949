/* Producer ids and InitProducerId. */
#include "txn_fixture.h"

static void every_producer_gets_an_id_of_its_own(void **state) {
    (void)state;
    struct party *party = party_new();
    for (int i = 0; i < 2500; i++)
        assert_producer(init(party, NULL), i, 0);
    party_restart(party); /* what was left of the range is lost */
    assert_producer(init(party, NULL), 3000, 0);
    party_free(party);
}

static void a_range_is_durable_before_it_is_handed_out(void **state) {
    (void)state;
    struct party *party = party_new();
    struct asked one, two, three;
    party->log.hold = true;
    send_init(party, &one, NULL, MS_TXN_NO_PRODUCER);
    send_init(party, &two, "x", MS_TXN_NO_PRODUCER);
    send_init(party, &three, NULL, MS_TXN_NO_PRODUCER);
    assert_int_equal(one.answers + two.answers + three.answers, 0);
    assert_int_equal(party->log.held_count, 1);
    ms_txns_forget(party->txns, &three.request);
    unsigned wakes = party->wakes;
    fake_finish(&party->log, 0, 0);
    assert_int_equal(answered(&one), MS_TXN_OK);
    assert_int_equal(two.answers, 0);
    assert_int_equal(party->log.held_count, 0); /* the log's thread appends nothing */
    assert_int_equal(party->wakes, wakes + 1);
    (void)ms_txns_tick(party->txns);
    fake_finish(&party->log, 0, 0);
    assert_int_equal(answered(&two), MS_TXN_OK);
    assert_producer(two.request.producer, 1, 0);
    assert_int_equal(three.answers, 0);
    party_free(party);
}

static void a_range_that_is_refused_hands_out_nothing(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer;
    party->log.failure = MS_ENOSPC;
    assert_int_equal(init_expecting(party, NULL, MS_TXN_NO_PRODUCER, &producer),
                     MS_TXN_NOT_AVAILABLE);
    assert_producer(producer, -1, -1);
    party->log.failure = 0;
    assert_producer(init(party, NULL), 0, 0);
    party_free(party);
}

static void an_idempotent_producer_may_go_on_with_its_id(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, NULL), of_txn = init(party, "x");
    assert_int_equal(init_expecting(party, NULL, producer, &producer), MS_TXN_OK);
    assert_producer(producer, 0, 1);
    producer.epoch = MS_TXN_EPOCH_MAX;
    assert_int_equal(init_expecting(party, NULL, producer, &producer), MS_TXN_OK);
    assert_producer(producer, 2, 0);
    producer = (struct ms_txn_producer){500, 3}; /* nobody's */
    assert_int_equal(init_expecting(party, NULL, producer, &producer), MS_TXN_OK);
    assert_producer(producer, 3, 0);
    assert_int_equal(init_expecting(party, NULL, of_txn, &producer), MS_TXN_OK);
    assert_producer(producer, 4, 0);
    party_free(party);
}

static void a_new_producer_fences_the_one_before(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer first = init(party, "x"), second = init(party, "x");
    assert_producer(first, 0, 0);
    assert_producer(second, 0, 1);
    assert_int_equal(party->log.producers[0].epoch, 1);
    assert_int_equal(add(party, "x", first, 0), MS_TXN_FENCED);
    assert_int_equal(begin(party, "x", first, 0), MS_TXN_FENCED);
    assert_int_equal(end(party, "x", first, true), MS_TXN_FENCED);
    assert_int_equal(add(party, "x", second, 0), MS_TXN_OK);
    party_free(party);
}

static void an_open_transaction_is_aborted_first(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer first = init(party, "x"), second;
    assert_int_equal(add(party, "x", first, 0), MS_TXN_OK);
    assert_int_equal(party_write(party, first, 0), 0);
    size_t before = party->log.appended;
    second = init(party, "x");
    assert_int_equal(party->log.appended, before + 1);
    assert_producer(second, 0, 1);
    assert_last_end(party, second, false);
    assert_int_equal(state_of(party, "x"), MS_TXN_EMPTY);
    assert_int_equal(party_write(party, first, 0), MS_EFENCED);
    assert_int_equal(end(party, "x", first, true), MS_TXN_FENCED);
    party_free(party);
}

static void others_wait_while_it_is_aborted(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer first = init(party, "x"), producer;
    struct asked asked;
    assert_int_equal(add(party, "x", first, 0), MS_TXN_OK);
    party->log.hold = true;
    send_init(party, &asked, "x", MS_TXN_NO_PRODUCER);
    assert_int_equal(init_expecting(party, "x", MS_TXN_NO_PRODUCER, &producer), MS_TXN_CONCURRENT);
    assert_int_equal(end(party, "x", first, true), MS_TXN_CONCURRENT);
    assert_int_equal(add(party, "x", first, 1), MS_TXN_CONCURRENT);
    assert_int_equal(begin(party, "x", first, 1), MS_TXN_CONCURRENT);
    fake_finish_all(&party->log, 0);
    assert_int_equal(answered(&asked), MS_TXN_OK);
    party_free(party);
}

static void an_abort_that_is_refused_changes_nothing(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer first = init(party, "x"), second;
    assert_int_equal(add(party, "x", first, 0), MS_TXN_OK);
    party->log.failure = MS_ENOSPC;
    assert_int_equal(init_expecting(party, "x", MS_TXN_NO_PRODUCER, &second), MS_TXN_NOT_AVAILABLE);
    party->log.failure = 0;
    assert_int_equal(party_write(party, first, 0), 0);
    assert_int_equal(end(party, "x", first, true), MS_TXN_OK);
    party_free(party);
}

static void who_lost_the_answer_gets_it_again(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer first = init(party, "x"), second, again;
    assert_int_equal(init_expecting(party, "x", first, &second), MS_TXN_OK);
    assert_producer(second, 0, 1);
    assert_int_equal(init_expecting(party, "x", first, &again), MS_TXN_OK);
    assert_producer(again, 0, 1);
    party_restart(party);
    assert_int_equal(init_expecting(party, "x", first, &again), MS_TXN_OK);
    assert_producer(again, 0, 1);
    assert_int_equal(init_expecting(party, "x", second, &again), MS_TXN_OK);
    assert_producer(again, 0, 2);
    assert_int_equal(init_expecting(party, "x", first, &again), MS_TXN_FENCED);
    assert_producer(init(party, "x"), 0, 3); /* somebody else: from now on nobody is remembered */
    assert_int_equal(init_expecting(party, "x", (struct ms_txn_producer){0, 2}, &again),
                     MS_TXN_FENCED);
    assert_int_equal(init_expecting(party, "x", (struct ms_txn_producer){9, 3}, &again),
                     MS_TXN_FENCED);
    party_free(party);
}

static void an_epoch_that_is_used_up_brings_a_new_id(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), again;
    while (producer.epoch < MS_TXN_EPOCH_MAX)
        producer = init(party, "x");
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_OK);
    assert_int_equal(init_expecting(party, "x", producer, &again), MS_TXN_OK);
    assert_producer(again, 1, 0);
    assert_last_end(party, (struct ms_txn_producer){0, INT16_MAX}, false);
    assert_int_equal(init_expecting(party, "x", producer, &again), MS_TXN_OK);
    assert_producer(again, 1, 0);
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(add(party, "x", again, 0), MS_TXN_OK);
    party_free(party);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    struct party *party = party_new();
    struct asked asked;
    struct ms_txn_producer producer;
    char id[MS_TXN_ID_BYTES_MAX + 2];
    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = '\0';
    assert_int_equal(init_expecting(party, "", MS_TXN_NO_PRODUCER, &producer),
                     MS_TXN_INVALID_REQUEST);
    assert_int_equal(init_expecting(party, id, MS_TXN_NO_PRODUCER, &producer),
                     MS_TXN_INVALID_REQUEST);
    assert_int_equal(init_expecting(party, "x", (struct ms_txn_producer){3, -1}, &producer),
                     MS_TXN_INVALID_REQUEST);
    for (int32_t i = 0; i < 3; i++) {
        static const int32_t timeouts[] = {0, -5, 15 * 60 * 1000 + 1};
        struct ms_txn_init init = {true, TEXT("x"), timeouts[i], MS_TXN_NO_PRODUCER};
        ms_txns_init(party->txns, &init, ask(&asked));
        assert_int_equal(answered(&asked), MS_TXN_INVALID_TIMEOUT);
    }
    assert_int_equal(party_stats(party).ids, 0);
    party_free(party);
}

static void ids_are_limited(void **state) {
    (void)state;
    struct ms_txns_options options = {.ids_max = 2};
    struct party *party = party_new_with(&options);
    struct ms_txn_producer producer;
    (void)init(party, "a");
    (void)init(party, "b");
    assert_int_equal(init_expecting(party, "c", MS_TXN_NO_PRODUCER, &producer),
                     MS_TXN_POLICY_VIOLATION);
    (void)init(party, "a");
    party_free(party);
}

static void nobody_is_served_before_loading_and_after_stopping(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    party_close(party);
    party_open(party);
    assert_int_equal(init_expecting(party, "x", MS_TXN_NO_PRODUCER, &producer), MS_TXN_LOADING);
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_LOADING);
    assert_int_equal(ms_txns_loaded(party->txns), 0);
    ms_txns_stop(party->txns);
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_NOT_AVAILABLE);
    party_free(party);
}

static void ids_are_forgotten_after_their_retention(void **state) {
    (void)state;
    struct party *party = party_new();
    const int64_t day_ms = 24 * 3600 * 1000;
    struct ms_txn_producer one = init(party, "one"), open = init(party, "open");
    party_advance(party, 4 * day_ms);
    assert_int_equal(add(party, "one", one, 0), MS_TXN_OK);
    assert_int_equal(end(party, "one", one, true), MS_TXN_OK);
    party_advance(party, 2 * day_ms);
    party_restart(party);
    party_advance(party, day_ms + 1);
    assert_int_equal(party_stats(party).ids, 1);
    assert_int_equal(party->log.producers[open.id].epoch, -1);
    assert_int_equal(add(party, "open", open, 0), MS_TXN_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(add(party, "one", one, 0), MS_TXN_OK);
    party_advance(party, TIMEOUT_MS);
    party->log.failure = MS_ENOSPC;
    party_advance(party, 8 * day_ms);
    assert_int_equal(party_stats(party).ids, 1);
    party->log.failure = 0;
    party_advance(party, 2000);
    assert_int_equal(party_stats(party).ids, 0);
    party_restart(party);
    assert_int_equal(party_stats(party).ids, 0);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_producer_gets_an_id_of_its_own),
        cmocka_unit_test(a_range_is_durable_before_it_is_handed_out),
        cmocka_unit_test(a_range_that_is_refused_hands_out_nothing),
        cmocka_unit_test(an_idempotent_producer_may_go_on_with_its_id),
        cmocka_unit_test(a_new_producer_fences_the_one_before),
        cmocka_unit_test(an_open_transaction_is_aborted_first),
        cmocka_unit_test(others_wait_while_it_is_aborted),
        cmocka_unit_test(an_abort_that_is_refused_changes_nothing),
        cmocka_unit_test(who_lost_the_answer_gets_it_again),
        cmocka_unit_test(an_epoch_that_is_used_up_brings_a_new_id),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(ids_are_limited),
        cmocka_unit_test(nobody_is_served_before_loading_and_after_stopping),
        cmocka_unit_test(ids_are_forgotten_after_their_retention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
