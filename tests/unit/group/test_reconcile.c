/* From what a member owns to what it is to own: revoke first, then assign. */
#include "consumer_fixture.h"

static struct feast *two_of_four(struct eater *a, struct eater *b) {
    struct feast *feast = feast_new();
    topic_add(&feast->topics, "t", 4);
    eater_init(a, feast, "a", "t");
    eater_init(b, feast, "b", "t");
    eater_joins(a);
    return feast;
}

static void a_partition_moves_when_its_owner_has_let_go_of_it(void **state) {
    (void)state;
    struct eater a, b;
    struct feast *feast = two_of_four(&a, &b);
    a.slow = true;
    eater_joins(&b);
    assert_int_equal(b.epoch, 2); /* there is nothing it has to give up */
    assert_int_equal(eater_count(&b), 0);
    assert_int_equal(feast_state(feast), MS_GROUP_RECONCILING);
    eater_beats(&a);
    assert_int_equal(a.epoch, 1); /* until it has revoked */
    assert_true(a.assigned);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 0);
    eater_beats(&a); /* it still has all */
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 0);
    assert_int_equal(a.epoch, 1);
    eater_idle(&a); /* says nothing of what it owns */
    assert_answered(&a, MS_GROUP_OK);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 0);
    eater_let_go(&a);
    assert_int_equal(eater_count(&a), 2);
    eater_beats(&a);
    assert_int_equal(a.epoch, 2);
    assert_int_equal(feast_state(feast), MS_GROUP_RECONCILING);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 2);
    assert_int_equal(feast_state(feast), MS_GROUP_STABLE);
    struct eater *const both[] = {&a, &b};
    assert_disjoint(both, 2);
    feast_free(feast);
}

static void others_need_not_wait_for_a_slow_one(void **state) {
    (void)state;
    struct eater a, b, c;
    struct feast *feast = two_of_four(&a, &b);
    eater_init(&c, feast, "c", "t");
    eater_joins(&b);
    struct eater *const both[] = {&a, &b};
    settle_eaters(both, 2);
    a.slow = true;
    topic_resize(&feast->topics, 0, 12);
    eater_joins(&c);
    eater_beats(&b); /* 4 of 12 each: two new ones are free for b */
    assert_int_equal(eater_count(&b), 4);
    assert_int_equal(b.epoch, feast_epoch(feast));
    assert_int_equal(eater_count(&c), 4);
    feast_free(feast);
}

static void who_never_lets_go_is_removed(void **state) {
    (void)state;
    struct eater a, b;
    struct feast *feast = feast_new();
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    a.slow = true;
    a.rebalance_ms = 20000;
    eater_joins(&a);
    eater_joins(&b);
    eater_beats(&a);
    for (int i = 0; i < 4; i++) {
        eater_beats(&a);
        eater_beats(&b);
        assert_int_equal(eater_count(&b), 0);
        party_advance(feast->party, 5000);
    }
    eater_beat(&a);
    assert_answered(&a, MS_GROUP_UNKNOWN_MEMBER);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 4);
    feast_free(feast);
}

static void who_lets_go_in_time_is_not_removed(void **state) {
    (void)state;
    struct eater a, b;
    struct feast *feast = two_of_four(&a, &b);
    a.slow = true;
    eater_joins(&b);
    eater_beats(&a);
    party_advance(feast->party, 40000);
    eater_let_go(&a);
    eater_beats(&a);
    eater_beats(&b);
    party_advance(feast->party, 40000);
    eater_beats(&a);
    assert_int_equal(eater_count(&a), 2);
    feast_free(feast);
}

static void what_is_given_back_before_it_was_let_go_of_stays(void **state) {
    (void)state;
    struct eater a, b;
    struct feast *feast = two_of_four(&a, &b);
    a.slow = true;
    eater_joins(&b);
    eater_beats(&a); /* is to let go of two */
    eater_leave(&b, -1);
    eater_beats(&a); /* until it has, that stands */
    assert_int_equal(a.epoch, 1);
    eater_let_go(&a);
    eater_beats(&a);
    assert_int_equal(a.epoch, feast_epoch(feast));
    assert_int_equal(eater_count(&a), 4);
    feast_free(feast);
}

static void joining_again_lets_go_of_everything_revoked(void **state) {
    (void)state;
    struct eater a, b;
    struct feast *feast = two_of_four(&a, &b);
    a.slow = true;
    eater_joins(&b);
    eater_beats(&a);
    eater_joins(&a); /* a fresh start: it owns nothing */
    assert_int_equal(eater_count(&a), 2);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 2);
    feast_free(feast);
}

static void a_newcomer_moves_no_more_than_its_share(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater eaters[4], *all[4];
    partition_map before[3];
    topic_add(&feast->topics, "t", 12);
    for (size_t i = 0; i < 4; i++) {
        char id[2] = {(char)('a' + i), '\0'};
        eater_init(&eaters[i], feast, id, "t");
        all[i] = &eaters[i];
    }
    for (size_t i = 0; i < 3; i++)
        eater_joins(all[i]);
    settle_eaters(all, 3);
    for (size_t i = 0; i < 3; i++)
        memcpy(before[i], eaters[i].owned, sizeof before[i]);
    eater_joins(all[3]);
    settle_eaters(all, 4);
    size_t kept = 0;
    for (size_t i = 0; i < 3; i++)
        for (size_t p = 0; p < 12; p++)
            kept += before[i][0][p] && eaters[i].owned[0][p];
    assert_int_equal(kept, 9);
    assert_int_equal(eater_count(all[3]), 3);
    assert_disjoint(all, 4);
    feast_free(feast);
}

static void quiet_members_change_nothing(void **state) {
    (void)state;
    struct eater a, b;
    struct feast *feast = two_of_four(&a, &b);
    struct eater *const both[] = {&a, &b};
    eater_joins(&b);
    settle_eaters(both, 2);
    size_t records = feast->party->log.count;
    int32_t epoch = feast_epoch(feast);
    for (int i = 0; i < 20; i++) {
        party_advance(feast->party, 5000);
        eater_idle(&a);
        eater_beats(&b);
        assert_answered(&a, MS_GROUP_OK);
        assert_false(a.assigned || b.assigned);
    }
    assert_int_equal(feast_epoch(feast), epoch);
    assert_int_equal(feast->party->log.count, records); /* nor is anything written */
    feast_free(feast);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_moves_when_its_owner_has_let_go_of_it),
        cmocka_unit_test(others_need_not_wait_for_a_slow_one),
        cmocka_unit_test(who_never_lets_go_is_removed),
        cmocka_unit_test(who_lets_go_in_time_is_not_removed),
        cmocka_unit_test(what_is_given_back_before_it_was_let_go_of_stays),
        cmocka_unit_test(joining_again_lets_go_of_everything_revoked),
        cmocka_unit_test(a_newcomer_moves_no_more_than_its_share),
        cmocka_unit_test(quiet_members_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
