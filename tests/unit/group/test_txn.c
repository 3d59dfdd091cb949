/* Offsets of open transactions. */
#include "group_fixture.h"

static void txn_start(struct committing *c, struct party *party, struct ms_group_identity who,
                      int64_t producer_id, int64_t offset) {
    *c = (struct committing){
        .offset = {.topic = TEXT("t"), .offset = offset, .leader_epoch = -1, .commit_time_ms = -1}};
    c->commit = (struct ms_group_commit){.identity = who,
                                         .offsets = &c->offset,
                                         .offset_count = 1,
                                         .producer_id = producer_id,
                                         .done = commit_done,
                                         .context = c};
    ms_groups_txn_commit(party->groups, &c->commit);
}

static enum ms_group_code txn_commit(struct party *party, int64_t producer_id, int64_t offset) {
    struct committing c;
    txn_start(&c, party, nobody("g"), producer_id, offset);
    assert_int_equal(c.answered, 1);
    return c.code;
}

static enum ms_group_code stable_code(struct party *party) {
    struct ms_arena arena;
    struct ms_group_offset offset = {.topic = TEXT("t")};
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(ms_groups_fetch(party->groups, TEXT("g"), true, &arena, &offset, 1), 0);
    ms_arena_deinit(&arena);
    return offset.code;
}

static void offsets_are_seen_when_the_transaction_commits(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)commit_now(party, nobody("g"), "t", 0, 1);
    assert_int_equal(txn_commit(party, 9, 5), MS_GROUP_OK);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 1);
    assert_int_equal(stable_code(party), MS_GROUP_UNSTABLE_OFFSETS);
    ms_groups_txn_end(party->groups, 8, true); /* somebody else's */
    assert_int_equal(fetch_offset(party, "g", "t", 0), 1);
    ms_groups_txn_end(party->groups, 9, true);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    assert_int_equal(stable_code(party), MS_GROUP_OK);
    party_free(party);
}

static void offsets_of_an_aborted_transaction_are_never_seen(void **state) {
    (void)state;
    struct party *party = party_new();
    assert_int_equal(txn_commit(party, 9, 5), MS_GROUP_OK);
    ms_groups_txn_end(party->groups, 9, false);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    assert_int_equal(stable_code(party), MS_GROUP_OK);
    struct ms_groups_stats stats;
    ms_groups_stats(party->groups, &stats);
    assert_int_equal(stats.offsets, 0);
    assert_int_equal(stats.bytes, 0); /* the group is gone with it */
    party_free(party);
}

static void the_last_offset_of_a_transaction_counts(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)txn_commit(party, 9, 5);
    (void)txn_commit(party, 9, 6);
    ms_groups_txn_end(party->groups, 9, true);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 6);
    party_free(party);
}

/* As after a restart: the end's records come behind it. */
static void a_commit_in_between_is_replaced_at_the_end(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)txn_commit(party, 9, 5);
    (void)txn_commit(party, 9, 6);
    (void)commit_now(party, nobody("g"), "t", 0, 7);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 7);
    ms_groups_txn_end(party->groups, 9, true);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 6);
    (void)commit_now(party, nobody("g"), "t", 0, 8);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 8);
    party_free(party);
}

static void what_is_refused_at_the_end_replaces_nothing(void **state) {
    (void)state;
    struct party *party = party_new();
    struct committing c;
    (void)txn_commit(party, 9, 5);
    party->log.hold = true;
    txn_start(&c, party, nobody("g"), 9, 6);
    ms_groups_txn_end(party->groups, 9, true);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    fake_log_finish_all(&party->log, MS_EAGAIN);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    party_free(party);
}

static void an_end_waits_for_the_offsets_own_record(void **state) {
    (void)state;
    struct party *party = party_new();
    struct committing c;
    party->log.hold = true;
    txn_start(&c, party, nobody("g"), 9, 5);
    ms_groups_txn_end(party->groups, 9, true);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    fake_log_finish(&party->log, 0, 0);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    txn_start(&c, party, nobody("g"), 9, 6);
    ms_groups_txn_end(party->groups, 9, true);
    fake_log_finish(&party->log, 0, MS_EIO);
    assert_int_equal(c.code, MS_GROUP_NOT_AVAILABLE);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    party_free(party);
}

static void open_transactions_survive_a_restart(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)txn_commit(party, 9, 5);
    party_restart(party);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    assert_int_equal(stable_code(party), MS_GROUP_UNSTABLE_OFFSETS);
    ms_groups_txn_end(party->groups, 9, true);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    party_free(party);
}

static void members_are_checked_when_they_are_named(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    struct committing c;
    client_init(&a, party);
    client_settle(&a);
    txn_start(&c, party, client_identity(&a), 9, 5);
    assert_int_equal(c.code, MS_GROUP_OK);
    txn_start(&c, party, nobody("g"), 9, 5); /* an old client */
    assert_int_equal(c.code, MS_GROUP_OK);
    a.generation = 0;
    txn_start(&c, party, client_identity(&a), 9, 5);
    assert_int_equal(c.code, MS_GROUP_ILLEGAL_GENERATION);
    txn_start(&c, party, nobody("g"), -1, 5);
    assert_int_equal(c.code, MS_GROUP_INVALID_REQUEST);
    party_free(party);
}

static void a_group_in_a_transaction_is_not_deleted(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)txn_commit(party, 9, 5);
    party_advance(party, INT64_C(8) * 24 * 3600 * 1000);
    ms_groups_txn_end(party->groups, 9, true);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_seen_when_the_transaction_commits),
        cmocka_unit_test(offsets_of_an_aborted_transaction_are_never_seen),
        cmocka_unit_test(the_last_offset_of_a_transaction_counts),
        cmocka_unit_test(a_commit_in_between_is_replaced_at_the_end),
        cmocka_unit_test(what_is_refused_at_the_end_replaces_nothing),
        cmocka_unit_test(an_end_waits_for_the_offsets_own_record),
        cmocka_unit_test(open_transactions_survive_a_restart),
        cmocka_unit_test(members_are_checked_when_they_are_named),
        cmocka_unit_test(a_group_in_a_transaction_is_not_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
