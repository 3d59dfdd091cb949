/* Offsets of groups in transactions. */
#include "txn_fixture.h"

static const struct fake_record *committed(struct party *party, const char *key) {
    return fake_find(&party->log, MS_RECORDS_CONSUMER_OFFSETS, ms_bytes_cstr(key));
}

static size_t pending_records(struct party *party) {
    size_t count = 0;
    for (size_t i = 0; i < party->log.count; i++) {
        struct ms_txn_key key;
        if (party->log.records[i].topic == MS_RECORDS_TRANSACTION_STATE &&
            ms_txn_key_read(party->log.records[i].key, &key) == 0)
            count += key.kind == MS_TXN_KEY_PENDING;
    }
    return count;
}

static void offsets_become_committed_with_the_transaction(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    assert_int_equal(add_offsets(party, "x", producer), MS_TXN_OK);
    assert_int_equal(begin_offsets(party, "x", producer, false), MS_TXN_OK);
    assert_int_equal(offsets(party, producer, "g0", "1"), 0);
    assert_int_equal(offsets(party, producer, "g1", "5"), 0);
    assert_int_equal(offsets(party, producer, "g0", "2"), 0);
    assert_null(committed(party, "g0"));
    assert_int_equal(pending_records(party), 2);
    size_t before = party->log.appended;
    assert_int_equal(end(party, "x", producer, true), MS_TXN_OK);
    assert_int_equal(party->log.appended, before + 1);
    assert_true(ms_bytes_equal_cstr(committed(party, "g0")->value, "2"));
    assert_true(ms_bytes_equal_cstr(committed(party, "g1")->value, "5"));
    assert_int_equal(pending_records(party), 0);
    assert_int_equal(party_stats(party).pending_offsets, 0);
    assert_int_equal(party->log.told_commit, 1);
    party_free(party);
}

static void offsets_go_with_an_abort(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    assert_int_equal(offsets(party, producer, "g0", "1"), 0);
    assert_int_equal(end_bump(party, "x", &producer, false), MS_TXN_OK);
    assert_null(committed(party, "g0"));
    assert_int_equal(pending_records(party), 0);
    assert_int_equal(party->log.told, 1);
    assert_int_equal(party->log.told_commit, 0);
    party_free(party);
}

static void offsets_need_a_transaction(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), old = producer;
    assert_int_equal(begin_offsets(party, "x", producer, false), MS_TXN_INVALID_STATE);
    assert_int_equal(offsets(party, producer, "g0", "1"), MS_EFENCED);
    assert_int_equal(begin(party, "x", producer, 0), MS_TXN_OK);
    assert_int_equal(begin_offsets(party, "x", producer, false), MS_TXN_INVALID_STATE);
    assert_int_equal(offsets(party, producer, "g0", "1"), MS_EFENCED);
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    assert_int_equal(end_bump(party, "x", &producer, true), MS_TXN_OK);
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    assert_int_equal(offsets(party, old, "g0", "1"), MS_EFENCED); /* late */
    party_free(party);
}

static void pending_offsets_survive_a_restart(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    assert_int_equal(offsets(party, producer, "g0", "1"), 0);
    party_restart(party);
    assert_int_equal(state_of(party, "x"), MS_TXN_ONGOING);
    assert_int_equal(party_stats(party).pending_offsets, 1);
    assert_int_equal(offsets(party, producer, "g1", "7"), 0);
    assert_int_equal(end_bump(party, "x", &producer, true), MS_TXN_OK);
    assert_true(ms_bytes_equal_cstr(committed(party, "g0")->value, "1"));
    assert_true(ms_bytes_equal_cstr(committed(party, "g1")->value, "7"));
    assert_int_equal(pending_records(party), 0);
    party_free(party);
}

static int visited(void *context, int64_t producer_id, const struct ms_group_record *record,
                   uint64_t position) {
    (void)position;
    assert_int_equal(producer_id, 0);
    assert_true(ms_bytes_equal_cstr(record->key, "g0"));
    ++*(int *)context;
    return 0;
}

static void the_groups_are_told_of_them(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    int count = 0;
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    assert_int_equal(offsets(party, producer, "g0", "1"), 0);
    party_restart(party);
    assert_int_equal(ms_txns_visit_offsets(party->txns, visited, &count), 0);
    assert_int_equal(count, 1);
    party_free(party);
}

static void a_commit_waits_for_offsets_on_their_way(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x"), now = producer;
    int code;
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    party->log.hold = true;
    send_offsets(party, producer, "g0", "1", &code);
    assert_int_equal(end_bump(party, "x", &now, true), MS_TXN_CONCURRENT);
    fake_finish_all(&party->log, MS_EIO);
    assert_int_equal(code, MS_EIO);
    assert_int_equal(party_stats(party).pending_offsets, 0);
    party->log.hold = false;
    assert_int_equal(end_bump(party, "x", &now, true), MS_TXN_OK);
    assert_null(committed(party, "g0"));
    party_free(party);
}

static void an_abort_covers_offsets_on_their_way(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    struct asked asked;
    int code;
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    party->log.hold = true;
    send_offsets(party, producer, "g0", "1", &code);
    send_end(party, &asked, "x", producer, false, true);
    fake_finish_all(&party->log, 0);
    assert_int_equal(code, 0);
    assert_int_equal(answered(&asked), MS_TXN_OK);
    assert_int_equal(pending_records(party), 0);
    party_free(party);
}

static void pending_offsets_of_nobody_are_removed_at_start(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_txn_producer producer = init(party, "x");
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    assert_int_equal(offsets(party, producer, "g0", "1"), 0);
    struct ms_buf key;
    ms_buf_init(&key, 100);
    assert_int_equal(ms_txn_id_key_write(&key, TEXT("x")), 0);
    struct fake_record *record =
        fake_find(&party->log, MS_RECORDS_TRANSACTION_STATE, ms_buf_bytes(&key));
    fake_drop(record);
    *record = party->log.records[--party->log.count];
    ms_buf_deinit(&key);
    party_restart(party);
    assert_int_equal(pending_records(party), 0);
    assert_int_equal(party_stats(party).pending_offsets, 0);
    party_free(party);
}

static void memory_of_pending_offsets_is_limited(void **state) {
    (void)state;
    struct ms_txns_options options = {.bytes_max = 4096};
    struct party *party = party_new_with(&options);
    struct ms_txn_producer producer = init(party, "x");
    assert_int_equal(begin_offsets(party, "x", producer, true), MS_TXN_OK);
    int rc = 0, stored = 0;
    for (; rc == 0 && stored < 1000; stored++)
        rc = offsets(party, producer, "g0", "some value");
    assert_int_equal(rc, MS_ENOMEM);
    assert_true(stored > 5);
    assert_int_equal(end_bump(party, "x", &producer, true), MS_TXN_OK);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_become_committed_with_the_transaction),
        cmocka_unit_test(offsets_go_with_an_abort),
        cmocka_unit_test(offsets_need_a_transaction),
        cmocka_unit_test(pending_offsets_survive_a_restart),
        cmocka_unit_test(the_groups_are_told_of_them),
        cmocka_unit_test(a_commit_waits_for_offsets_on_their_way),
        cmocka_unit_test(an_abort_covers_offsets_on_their_way),
        cmocka_unit_test(pending_offsets_of_nobody_are_removed_at_start),
        cmocka_unit_test(memory_of_pending_offsets_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
