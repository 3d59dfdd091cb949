/* What belongs to a transaction, and how it ends. */
#include "txn_fixture.h"

static void a_transaction_ends_as_it_was_asked_to(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    for (int commit = 0; commit < 2; commit++) {
        assert_int_equal(add(party, "x", producer, 0), MS_TXN_OK);
        assert_int_equal(state_of(party, "x"), MS_TXN_ONGOING);
        assert_int_equal(party_write(party, producer, 0), 0);
        assert_int_equal(end(party, "x", producer, commit), MS_TXN_OK);
        assert_last_end(party, producer, commit);
        assert_int_equal(end(party, "x", producer, commit), MS_TXN_OK); /* lost the answer */
        assert_int_equal(party->log.end_count, (size_t)commit + 1);
        assert_int_equal(end(party, "x", producer, !commit), MS_TXN_INVALID_STATE);
        assert_int_equal(party_write(party, producer, 0), MS_ENOTXN);
    }
    party_free(party);
}

static void an_end_without_a_transaction_is_refused(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), other = {77, 0}, next = producer;
    assert_int_equal(end(party, "x", producer, true), MS_TXN_INVALID_STATE);
    assert_int_equal(end(party, "x", producer, false), MS_TXN_INVALID_STATE);
    assert_int_equal(end_bump(party, "x", &next, true), MS_TXN_INVALID_STATE);
    assert_int_equal(end(party, "y", producer, true), MS_TXN_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(end(party, "x", other, true), MS_TXN_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(end(party, "", producer, true), MS_TXN_INVALID_REQUEST);
    party_free(party);
}

static void every_end_bumps_the_epoch_of_new_clients(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), before, late;
    for (int i = 0; i < 4; i++) {
        before = producer;
        assert_int_equal(begin(party, "x", producer, 0), MS_TXN_OK);
        assert_int_equal(party_write(party, producer, 0), 0);
        assert_int_equal(end_bump(party, "x", &producer, i & 1), MS_TXN_OK);
        assert_producer(producer, 0, i + 1);
        assert_last_end(party, producer, i & 1);
        late = before;
        assert_int_equal(end_bump(party, "x", &late, i & 1), MS_TXN_OK); /* lost the answer */
        assert_producer(late, 0, i + 1);
        late = before;
        assert_int_equal(end_bump(party, "x", &late, !(i & 1)), MS_TXN_INVALID_STATE);
        assert_int_equal(party_write(party, before, 0), MS_EFENCED);
        assert_int_equal(begin(party, "x", before, 0), MS_TXN_FENCED);
    }
    assert_int_equal(party->log.end_count, 4);
    party_free(party);
}

static void a_late_end_never_reaches_a_later_transaction(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), first = producer, late;
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_OK);
    assert_int_equal(end_bump(party, "x", &producer, true), MS_TXN_OK);
    assert_int_equal(begin(party, "x", producer, 1), MS_TXN_OK);
    late = first;
    assert_int_equal(end_bump(party, "x", &late, true), MS_TXN_FENCED);
    assert_int_equal(end(party, "x", first, true), MS_TXN_FENCED);
    assert_int_equal(state_of(party, "x"), MS_TXN_ONGOING);
    assert_int_equal(end_bump(party, "x", &producer, false), MS_TXN_OK);
    late = first;
    assert_int_equal(end_bump(party, "x", &late, true), MS_TXN_FENCED); /* two steps back */
    party_free(party);
}

static void an_abort_of_nothing_bumps_too(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), before = producer;
    assert_int_equal(end_bump(party, "x", &producer, false), MS_TXN_OK);
    assert_producer(producer, 0, 1);
    assert_int_equal(party->log.end_count, 0);
    assert_int_equal(party->log.producers[0].epoch, 1);
    assert_int_equal(end_bump(party, "x", &before, false), MS_TXN_OK);
    assert_producer(before, 0, 1);
    party_free(party);
}

static void an_end_with_the_last_epoch_brings_a_new_id(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), before;
    while (producer.epoch < MS_TXN_EPOCH_MAX)
        producer = init(party, "x");
    before = producer;
    party_restart(party);
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_OK);
    assert_int_equal(end_bump(party, "x", &producer, true), MS_TXN_CONCURRENT); /* no ids */
    assert_int_equal(end_bump(party, "x", &producer, true), MS_TXN_OK);
    assert_producer(producer, 1000, 0);
    assert_last_end(party, (struct ms_txn_producer){0, INT16_MAX}, true);
    assert_int_equal(end_bump(party, "x", &before, true), MS_TXN_OK);
    assert_producer(before, 1000, 0);
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_OK);
    assert_int_equal(party_write(party, producer, 0), 0);
    party_free(party);
}

static void while_it_ends_everything_else_waits(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), now = producer;
    struct asked asked;
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_OK);
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    party->log.hold = true;
    send_end(party, &asked, "x", producer, true, true);
    assert_int_equal(end_bump(party, "x", &now, true), MS_TXN_CONCURRENT);
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_CONCURRENT);
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_CONCURRENT);
    assert_int_equal(offsets(party, producer, "k", "v"), MS_EAGAIN);
    assert_int_equal(party_write(party, producer, 0), MS_EFENCED); /* the store is ahead */
    party_advance(party, 10 * TIMEOUT_MS);
    assert_int_equal(asked.answers, 0);
    fake_finish_all(&party->log, 0);
    assert_int_equal(answered(&asked), MS_TXN_OK);
    assert_int_equal(party->log.end_count, 1);
    party_free(party);
}

static void an_end_that_is_refused_can_be_asked_for_again(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_OK);
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    assert_int_equal(offsets(party, producer, "k", "v"), 0);
    party->log.failure = MS_ENOSPC;
    assert_int_equal(end_bump(party, "x", &producer, true), MS_TXN_NOT_AVAILABLE);
    party->log.failure = MS_ETOOBIG;
    assert_int_equal(end_bump(party, "x", &producer, true), MS_TXN_UNKNOWN_SERVER_ERROR);
    party->log.failure = 0;
    assert_int_equal(state_of(party, "x"), MS_TXN_ONGOING);
    assert_int_equal(end_bump(party, "x", &producer, true), MS_TXN_OK);
    assert_int_equal(party->log.end_count, 1);
    assert_int_equal(party->log.told, 1);
    party_free(party);
}

static void a_transaction_is_aborted_after_its_timeout(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), late = producer;
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_OK);
    party_advance(party, TIMEOUT_MS - 1);
    assert_int_equal(add(party, "x", producer, 1), MS_TXN_OK); /* begins nothing anew */
    assert_int_equal(party->log.end_count, 0);
    party->log.failure = MS_ENOSPC;
    party_advance(party, 1);
    assert_int_equal(state_of(party, "x"), MS_TXN_ONGOING);
    party->log.failure = 0;
    party_advance(party, 1000);
    assert_int_equal(party->log.end_count, 1);
    assert_last_end(party, (struct ms_txn_producer){0, 1}, false);
    assert_int_equal(party_write(party, producer, 0), MS_EFENCED);
    assert_int_equal(end(party, "x", producer, true), MS_TXN_FENCED);
    assert_int_equal(end_bump(party, "x", &late, true), MS_TXN_INVALID_STATE); /* and not: OK */
    assert_int_equal(end_bump(party, "x", &late, false), MS_TXN_OK);
    assert_producer(late, 0, 1);
    assert_int_equal(begin(party, "x", late, 0), MS_TXN_OK);
    party_free(party);
}

static void who_was_timed_out_can_go_on(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), next;
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_OK);
    party_advance(party, TIMEOUT_MS);
    assert_int_equal(init_expecting(party, "x", producer, &next), MS_TXN_OK);
    assert_producer(next, 0, 1);
    assert_int_equal(add(party, "x", next, 0), MS_TXN_OK);
    assert_int_equal(init_expecting(party, "x", producer, &next), MS_TXN_FENCED);
    party_free(party);
}

static void a_timeout_with_the_last_epoch_leaves_none_to_go_on_with(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), next;
    while (producer.epoch < MS_TXN_EPOCH_MAX)
        producer = init(party, "x");
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_OK);
    party_advance(party, TIMEOUT_MS);
    next = producer;
    assert_int_equal(end_bump(party, "x", &next, false), MS_TXN_FENCED);
    assert_int_equal(init_expecting(party, "x", producer, &next), MS_TXN_OK);
    assert_producer(next, 1, 0);
    party_free(party);
}

static void the_owner_is_woken_for_a_timeout(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    assert_int_equal(ms_txns_tick(party->txns), 60000);
    ms_clock_manual_advance(&party->clock, 1000000);
    unsigned before = party->wakes;
    struct ms_txn_init init = {true, TEXT("y"), 500, MS_TXN_NO_PRODUCER};
    struct asked asked;
    ms_txns_init(party->txns, &init, ask(&asked));
    assert_int_equal(begin(party, "y", asked.request.producer, 0), MS_TXN_OK);
    assert_int_equal(party->wakes, before + 1);
    assert_int_equal(ms_txns_tick(party->txns), 500);
    (void)producer;
    party_free(party);
}

static void partitions_are_durable_before_they_are_answered(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    struct ms_txn_identity identity = who("x", producer);
    struct ms_txn_partition_name names[] = {{TEXT("t"), 3}, {TEXT("t"), 1}, {TEXT("t"), 3}};
    struct asked asked;
    party->log.hold = true;
    ms_txns_add_partitions(party->txns, &identity, names, 3, ask(&asked));
    assert_int_equal(asked.answers, 0);
    assert_int_equal(party_write(party, producer, 1), MS_ENOTXN);
    fake_finish_all(&party->log, 0);
    party->log.hold = false;
    assert_int_equal(answered(&asked), MS_TXN_OK);
    assert_int_equal(party->log.producers[0].partitions, 1u << 3 | 1u << 1);
    size_t before = party->log.appended;
    assert_int_equal(add(party, "x", producer, 3), MS_TXN_OK);
    assert_int_equal(party->log.appended, before);
    party_restart(party);
    assert_int_equal(state_of(party, "x"), MS_TXN_ONGOING);
    assert_int_equal(party->log.producers[0].partitions, 1u << 3 | 1u << 1);
    assert_int_equal(party_write(party, producer, 1), 0);
    assert_int_equal(end(party, "x", producer, true), MS_TXN_OK);
    party_free(party);
}

static void a_partition_that_is_gone_is_none_of_it(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    party->log.gone = true;
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_UNKNOWN_PARTITION);
    assert_int_equal(state_of(party, "x"), MS_TXN_EMPTY);
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_UNKNOWN_PARTITION);
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_UNKNOWN_PARTITION);
    party->log.gone = false;
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_OK);
    party->log.gone = true;
    party_restart(party);
    assert_int_equal(end(party, "x", producer, true), MS_TXN_OK);
    party_free(party);
}

static void partitions_are_limited(void **state) {
    (void)state;
    struct ms_txns_options options = {.partitions_max = 2};
    struct party *party = party_new_with(&options);
    struct ms_txn_producer producer = init(party, "x");
    assert_int_equal(add(party, "x", producer, 0), MS_TXN_OK);
    assert_int_equal(begin(party, "x", producer, 1), MS_TXN_OK);
    assert_int_equal(begin(party, "x", producer, 2), MS_TXN_POLICY_VIOLATION);
    assert_int_equal(add(party, "x", producer, 2), MS_TXN_POLICY_VIOLATION);
    assert_int_equal(begin(party, "x", producer, 1), MS_TXN_OK);
    party_free(party);
}

static void what_was_written_is_open_after_a_restart(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer one = init(party, "one"), two = init(party, "two");
    assert_int_equal(begin(party, "one", one, 4), MS_TXN_OK);
    assert_int_equal(party_write(party, one, 4), 0);
    assert_int_equal(begin(party, "two", two, 4), MS_TXN_OK); /* writes nothing */
    party_restart(party);
    assert_int_equal(state_of(party, "one"), MS_TXN_ONGOING);
    assert_int_equal(state_of(party, "two"), MS_TXN_EMPTY);
    assert_int_equal(party_write(party, one, 4), 0);
    assert_int_equal(end_bump(party, "one", &one, true), MS_TXN_OK);
    assert_int_equal(begin(party, "two", two, 4), MS_TXN_OK);
    assert_int_equal(party_write(party, two, 4), 0);
    party_restart(party);
    party_advance(party, TIMEOUT_MS);
    assert_int_equal(state_of(party, "two"), MS_TXN_COMPLETE_ABORT);
    party_free(party);
}

static void what_belongs_to_nobody_is_aborted_at_start(void **state) {
    (void)state;
    struct party *party = party_new();
    party->log.producers[9] = (struct fake_producer){3, 1, 6, 3};
    party_restart(party);
    assert_int_equal(party->log.end_count, 1);
    assert_last_end(party, (struct ms_txn_producer){9, 3}, false);
    party_free(party);
}

static void a_forgotten_end_happens_all_the_same(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    struct asked asked;
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_OK);
    party->log.hold = true;
    send_end(party, &asked, "x", producer, true, true);
    ms_txns_forget(party->txns, &asked.request);
    fake_finish_all(&party->log, 0);
    assert_int_equal(asked.answers, 0);
    assert_int_equal(state_of(party, "x"), MS_TXN_COMPLETE_COMMIT);
    party_free(party);
}

static void memory_that_fails_is_an_answer(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 60; n++) {
        struct party *party = party_new();
        struct ms_txn_producer producer = init(party, "x"), next;
        struct asked asked;
        ms_alloc_fail_nth(n);
        enum ms_txn_code code = add(party, "x", producer, 0);
        assert_true(code == MS_TXN_OK || code == MS_TXN_NOT_AVAILABLE);
        code = begin_offsets(party, "x", producer, true);
        assert_int_equal(code, MS_TXN_OK);
        int rc = offsets(party, producer, "k", "v");
        assert_true(rc == 0 || rc == MS_ENOMEM);
        send_end(party, &asked, "x", producer, true, true);
        assert_true(answered(&asked) == MS_TXN_OK || asked.request.code == MS_TXN_NOT_AVAILABLE);
        code = init_expecting(party, "y", MS_TXN_NO_PRODUCER, &next);
        assert_true(code == MS_TXN_OK || code == MS_TXN_NOT_AVAILABLE);
        ms_alloc_fail_nth(0);
        (void)init(party, "x");
        (void)init(party, "y");
        party_free(party);
    }
}

static void administrators_see_what_there_is(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer b = init(party, "b"), a = init(party, "a");
    struct ms_arena arena;
    struct ms_txn_info info, *infos;
    size_t count;
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(begin(party, "b", b, 2), MS_TXN_OK);
    assert_int_equal(begin(party, "b", b, 1), MS_TXN_OK);
    assert_int_equal(begin_offsets(party, "b", b, true), MS_TXN_OK);
    assert_int_equal(ms_txns_describe(party->txns, TEXT("b"), &arena, &info), MS_TXN_OK);
    assert_string_equal(ms_txn_state_name(info.state), "Ongoing");
    assert_int_equal(info.partition_count, 3);
    assert_true(ms_bytes_equal_cstr(info.partitions[0].topic, "__consumer_offsets"));
    assert_int_equal(info.partitions[1].partition, 1);
    assert_int_equal(info.timeout_ms, TIMEOUT_MS);
    assert_int_equal(ms_txns_describe(party->txns, TEXT("c"), &arena, &info), MS_TXN_NOT_FOUND);
    struct ms_txn_filter filter = {.duration_ms = -1};
    assert_int_equal(ms_txns_list(party->txns, &filter, &arena, &infos, &count), MS_TXN_OK);
    assert_int_equal(count, 2);
    assert_true(ms_bytes_equal_cstr(infos[0].id, "a"));
    filter.states = 1u << MS_TXN_ONGOING;
    assert_int_equal(ms_txns_list(party->txns, &filter, &arena, &infos, &count), MS_TXN_OK);
    assert_int_equal(count, 1);
    filter = (struct ms_txn_filter){.producer_ids = &a.id, .producer_count = 1, .duration_ms = -1};
    assert_int_equal(ms_txns_list(party->txns, &filter, &arena, &infos, &count), MS_TXN_OK);
    assert_int_equal(count, 1);
    assert_true(ms_bytes_equal_cstr(infos[0].id, "a"));
    filter = (struct ms_txn_filter){.duration_ms = 1000};
    assert_int_equal(ms_txns_list(party->txns, &filter, &arena, &infos, &count), MS_TXN_OK);
    assert_int_equal(count, 0);
    party_advance(party, 1001);
    assert_int_equal(ms_txns_list(party->txns, &filter, &arena, &infos, &count), MS_TXN_OK);
    assert_int_equal(count, 1);
    ms_arena_deinit(&arena);
    party_free(party);
}

static void ends_are_counted(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer x = init(party, "x"), y = init(party, "y"), z = init(party, "z");
    struct ms_buf text;
    assert_int_equal(party_stats(party).oldest_open_ms, 0);
    assert_int_equal(begin(party, "x", x, 0), MS_TXN_OK);
    party_advance(party, 3000);
    assert_int_equal(begin(party, "y", y, 1), MS_TXN_OK);
    assert_int_equal(begin(party, "z", z, 2), MS_TXN_OK);
    assert_int_equal(party_stats(party).open, 3);
    assert_int_equal(party_stats(party).oldest_open_ms, 3000);
    assert_int_equal(end(party, "x", x, true), MS_TXN_OK);
    assert_int_equal(end(party, "y", y, false), MS_TXN_OK);
    assert_int_equal(party_stats(party).oldest_open_ms, 0);
    party_advance(party, TIMEOUT_MS + 1);
    struct ms_txns_stats stats = party_stats(party);
    assert_int_equal(stats.commits, 1);
    assert_int_equal(stats.aborts, 2);
    assert_int_equal(stats.timeouts, 1);
    assert_int_equal(stats.open, 0);
    ms_buf_init(&text, 1 << 16);
    assert_int_equal(ms_txns_metrics(party->txns, &text), 0);
    assert_int_equal(ms_buf_append_u8(&text, 0), 0);
    const char *got = (const char *)text.data;
    assert_non_null(strstr(got, "\nmainstem_transactions_ended_total{result=\"commit\"} 1\n"));
    assert_non_null(strstr(got, "\nmainstem_transactions_ended_total{result=\"abort\"} 2\n"));
    assert_non_null(strstr(got, "\nmainstem_transaction_timeouts_total 1\n"));
    assert_non_null(strstr(got, "\nmainstem_transactions_open 0\n"));
    ms_buf_deinit(&text);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_ends_as_it_was_asked_to),
        cmocka_unit_test(an_end_without_a_transaction_is_refused),
        cmocka_unit_test(every_end_bumps_the_epoch_of_new_clients),
        cmocka_unit_test(a_late_end_never_reaches_a_later_transaction),
        cmocka_unit_test(an_abort_of_nothing_bumps_too),
        cmocka_unit_test(an_end_with_the_last_epoch_brings_a_new_id),
        cmocka_unit_test(while_it_ends_everything_else_waits),
        cmocka_unit_test(an_end_that_is_refused_can_be_asked_for_again),
        cmocka_unit_test(a_transaction_is_aborted_after_its_timeout),
        cmocka_unit_test(who_was_timed_out_can_go_on),
        cmocka_unit_test(a_timeout_with_the_last_epoch_leaves_none_to_go_on_with),
        cmocka_unit_test(the_owner_is_woken_for_a_timeout),
        cmocka_unit_test(partitions_are_durable_before_they_are_answered),
        cmocka_unit_test(a_partition_that_is_gone_is_none_of_it),
        cmocka_unit_test(partitions_are_limited),
        cmocka_unit_test(what_was_written_is_open_after_a_restart),
        cmocka_unit_test(what_belongs_to_nobody_is_aborted_at_start),
        cmocka_unit_test(a_forgotten_end_happens_all_the_same),
        cmocka_unit_test(memory_that_fails_is_an_answer),
        cmocka_unit_test(administrators_see_what_there_is),
        cmocka_unit_test(ends_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
