/* From records to groups: what a restart finds. */
#include "group_fixture.h"

static void members_go_on_with_their_ids_and_generation(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    b.instance = "two";
    settle_two(&a, &b);
    (void)commit_now(party, client_identity(&b), "t", 0, 7);
    party_restart(party);
    assert_int_equal(party_state(party, "g"), MS_GROUP_STABLE);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_OK);
    assert_int_equal(client_heartbeat(&b), MS_GROUP_OK);
    assert_int_equal(commit_now(party, client_identity(&a), "t", 0, 8), MS_GROUP_OK);
    client_sync(&b);
    assert_synced(&b, MS_GROUP_OK);
    assert_string_equal(b.assignment, b.id);
    client_join(&b); /* unchanged: no rebalance */
    assert_joined(&b, MS_GROUP_OK);
    assert_string_equal(b.leader, a.id);
    assert_int_equal(b.generation, 2);
    party_free(party);
}

static void sessions_begin_when_loading_ends(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_settle(&a);
    party_close(party);
    ms_clock_manual_advance(&party->clock, INT64_C(3600) * 1000 * 1000);
    party_reload(party);
    party_advance(party, 9999);
    assert_int_equal(party_state(party, "g"), MS_GROUP_STABLE);
    party_advance(party, 1);
    assert_int_equal(party_state(party, "g"), MS_GROUP_EMPTY);
    assert_int_equal(party_generation(party, "g"), 2);
    party_free(party);
}

static void load(struct party *party, size_t index) {
    const struct fake_record *r = &party->log.records[index];
    struct ms_group_record record = {r->key, r->value, r->tombstone};
    assert_int_equal(ms_groups_load(party->groups, &record, index, r->producer_id), 0);
}

static void records_may_come_in_any_order(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b, c;
    struct ms_group_leaver leaver = {0};
    client_init(&a, party);
    client_init(&b, party);
    client_init(&c, party);
    settle_two(&a, &b);
    (void)commit_now(party, client_identity(&a), "t", 0, 7);
    (void)commit_now(party, client_identity(&a), "t", 0, 8);
    (void)commit_now(party, nobody("simple"), "t", 0, 9);
    c.group = "gone";
    client_settle(&c);
    leaver.member_id = ms_bytes_cstr(c.id);
    assert_int_equal(ms_groups_leave(party->groups, TEXT("gone"), &leaver, 1), MS_GROUP_OK);
    ms_clock_manual_advance(&party->clock, 600000 * 1000);
    (void)client_heartbeat(&a);
    (void)client_heartbeat(&b);
    (void)ms_groups_tick(party->groups); /* "gone" is buried */
    assert_int_equal(party_state(party, "gone"), MS_GROUP_DEAD);
    party_close(party);
    for (int round = 0; round < 20; round++) {
        size_t order[64], count = party->log.count;
        assert_in_range(count, 6, 64);
        for (size_t i = 0; i < count; i++)
            order[i] = i;
        for (size_t i = count; i > 1; i--) {
            size_t k = ms_random_below(&party->random.random, i), kept = order[i - 1];
            order[i - 1] = order[k];
            order[k] = kept;
        }
        party_open(party);
        for (size_t i = 0; i < count; i++)
            load(party, order[i]);
        ms_groups_loaded(party->groups);
        assert_int_equal(fetch_offset(party, "g", "t", 0), 8);
        assert_int_equal(fetch_offset(party, "simple", "t", 0), 9);
        assert_int_equal(party_state(party, "gone"), MS_GROUP_DEAD);
        assert_int_equal(client_heartbeat(&a), MS_GROUP_OK);
        assert_int_equal(client_heartbeat(&b), MS_GROUP_OK);
        party_close(party);
    }
    party_free(party);
}

static void malformed_records_are_refused_and_unknown_ones_passed_over(void **state) {
    (void)state;
    struct party *party = party_new();
    party_close(party);
    party_open(party);
    struct ms_group_record record = {TEXT("\0\2\0\1g"), TEXT("\0\3"), false};
    assert_int_equal(ms_groups_load(party->groups, &record, 1, -1), MS_EINVAL);
    record.key = TEXT("\0\1\0\1g\0\1t\0\0\0\1");
    assert_int_equal(ms_groups_load(party->groups, &record, 2, -1), MS_EINVAL);
    record.key = TEXT("\0\1\0");
    assert_int_equal(ms_groups_load(party->groups, &record, 3, -1), MS_EINVAL);
    record.key = TEXT("\0\x10whatever");
    assert_int_equal(ms_groups_load(party->groups, &record, 4, -1), 0);
    record = (struct ms_group_record){TEXT("\0\1\0\0\0\1t\0\0\0\1"),
                                      TEXT("\0\0\0\0\0\0\0\0\0\5\0\1m\0\0\0\0\0\0\0\6"), false};
    assert_int_equal(ms_groups_load(party->groups, &record, 5, -1), MS_EINVAL); /* no name */
    ms_groups_loaded(party->groups);
    struct ms_groups_stats stats;
    ms_groups_stats(party->groups, &stats);
    assert_int_equal(stats.groups[MS_GROUP_EMPTY], 0);
    party_free(party);
}

static void commits_after_a_restart_are_newer_than_what_was_loaded(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)commit_now(party, nobody("g"), "t", 0, 7);
    party_restart(party);
    assert_int_equal(commit_now(party, nobody("g"), "t", 0, 3), MS_GROUP_OK);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 3);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_go_on_with_their_ids_and_generation),
        cmocka_unit_test(sessions_begin_when_loading_ends),
        cmocka_unit_test(records_may_come_in_any_order),
        cmocka_unit_test(malformed_records_are_refused_and_unknown_ones_passed_over),
        cmocka_unit_test(commits_after_a_restart_are_newer_than_what_was_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
