/* What is stored of consumer groups: before it is answered, whatever fails, and found again. */
#include "consumer_fixture.h"

static void an_answer_waits_until_it_is_durable(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct fake_log *log = &feast->party->log;
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    log->hold = true;
    eater_join(&a);
    assert_int_equal(a.answered, 0);
    eater_join(&b); /* waits for the next write: one is in flight at a time */
    assert_int_equal(log->held_count, 1);
    fake_log_finish(log, 0, 0);
    assert_answered(&a, MS_GROUP_OK);
    assert_int_equal(b.answered, 0);
    assert_int_equal(log->held_count, 1);
    fake_log_finish(log, 0, 0);
    assert_answered(&b, MS_GROUP_OK);
    eater_beat(&a);
    assert_int_equal(a.answered, 0);
    fake_log_finish(log, 0, 0);
    assert_answered(&a, MS_GROUP_OK);
    log->hold = false;
    feast_free(feast);
}

static void what_could_not_be_stored_is_stored_with_what_comes_next(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct fake_log *log = &feast->party->log;
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    eater_joins(&a);
    log->failure = MS_EIO;
    eater_join(&b);
    assert_answered(&b, MS_GROUP_NOT_AVAILABLE);
    eater_beat(&a);
    assert_answered(&a, MS_GROUP_NOT_AVAILABLE);
    assert_int_equal(eater_count(&a), 4);
    log->failure = 0;
    eater_beats(&a);
    assert_int_equal(eater_count(&a), 2);
    eater_joins(&b);
    struct eater *const both[] = {&a, &b};
    settle_eaters(both, 2);
    party_restart(feast->party);
    int32_t epoch = feast_epoch(feast);
    settle_eaters(both, 2);
    assert_int_equal(feast_epoch(feast), epoch);
    assert_int_equal(eater_count(&a), 2);
    assert_int_equal(eater_count(&b), 2);
    assert_disjoint(both, 2);
    feast_free(feast);
}

static void a_member_that_will_not_know_its_id_is_gone_at_once(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct fake_log *log = &feast->party->log;
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "", "t");
    eater_init(&b, feast, "", "t");
    a.makes_id = b.makes_id = true;
    log->failure = MS_EIO;
    eater_join(&a);
    assert_answered(&a, MS_GROUP_NOT_AVAILABLE);
    log->failure = 0;
    party_advance(feast->party, 1);
    eater_joins(&b);
    assert_int_equal(eater_count(&b), 4);
    log->hold = true;
    eater_join(&a);
    ms_groups_forget(feast->party->groups, &a.consume.request);
    fake_log_finish_all(log, 0);
    log->hold = false;
    assert_int_equal(a.answered, 0);
    party_advance(feast->party, 1);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 4);
    feast_free(feast);
}

static void a_request_repeated_answers_the_first(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct fake_log *log = &feast->party->log;
    struct eater a, again;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&again, feast, "a", "t");
    log->hold = true;
    eater_join(&a);
    eater_join(&again);
    assert_answered(&a, MS_GROUP_NOT_AVAILABLE);
    fake_log_finish_all(log, 0);
    assert_answered(&again, MS_GROUP_OK);
    assert_int_equal(eater_count(&again), 4);
    log->hold = false;
    feast_free(feast);
}

static void stopping_answers_what_waits(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    feast->party->log.hold = true;
    eater_join(&a);
    eater_join(&b);
    party_close(feast->party);
    assert_answered(&a, MS_GROUP_NOT_AVAILABLE);
    assert_answered(&b, MS_GROUP_NOT_AVAILABLE);
    feast_free(feast);
}

/* ---- restarts ---- */

static void a_restart_goes_on_without_a_rebalance(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "t", 5);
    topic_add(&feast->topics, "orders", 3);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    a.pattern = b.pattern = "order.*";
    a.assignor = b.assignor = "range";
    eater_joins(&a);
    eater_joins(&b);
    struct eater *const both[] = {&a, &b};
    settle_eaters(both, 2);
    int32_t epoch = feast_epoch(feast);
    partition_map had;
    memcpy(had, a.owned, sizeof had);
    party_restart(feast->party);
    assert_int_equal(feast_state(feast), MS_GROUP_STABLE);
    eater_beats(&a);
    eater_beats(&b);
    assert_int_equal(feast_epoch(feast), epoch);
    assert_int_equal(a.epoch, epoch);
    assert_memory_equal(a.owned, had, sizeof had);
    struct report report;
    report_of(&report, feast, "g");
    assert_int_equal(report.info.member_count, 2);
    assert_true(ms_bytes_equal_cstr(report.info.members[0].pattern, "order.*"));
    assert_true(ms_bytes_equal_cstr(report.info.members[0].client_host, "/127.0.0.1"));
    report_end(&report);
    party_restart(feast->party);
    topic_resize(&feast->topics, 1, 4);
    settle_eaters(both, 2);
    assert_int_equal(feast_epoch(feast), epoch + 1);
    feast_free(feast);
}

static void a_restart_amid_a_revocation_goes_on_with_it(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    a.slow = true;
    eater_joins(&a);
    eater_joins(&b);
    eater_beats(&a);
    party_restart(feast->party);
    assert_int_equal(feast_state(feast), MS_GROUP_RECONCILING);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 0);
    eater_beats(&a);
    assert_int_equal(a.epoch, 1);
    eater_let_go(&a);
    eater_beats(&a);
    party_restart(feast->party);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 2);
    a.slow = true;
    feast_free(feast);
}

static void sessions_begin_anew_after_a_restart(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    party_advance(feast->party, 40000);
    party_restart(feast->party);
    party_advance(feast->party, 40000);
    eater_beats(&a);
    party_restart(feast->party);
    party_advance(feast->party, 46000);
    assert_int_equal(feast_state(feast), MS_GROUP_EMPTY);
    party_restart(feast->party);
    eater_beat(&a);
    assert_answered(&a, MS_GROUP_UNKNOWN_MEMBER);
    feast_free(feast);
}

static void load(struct feast *feast, size_t i) {
    const struct fake_record *r = &feast->party->log.records[i];
    struct ms_group_record record = {r->key, r->value, r->tombstone};
    assert_int_equal(ms_groups_load(feast->party->groups, &record, i, -1), 0);
}

static void records_may_come_in_any_order(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b, c;
    topic_add(&feast->topics, "t", 6);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    eater_init(&c, feast, "c", "t");
    struct eater *const all[] = {&a, &b, &c};
    for (size_t i = 0; i < 3; i++)
        eater_joins(all[i]);
    settle_eaters(all, 3);
    eater_leave(&c, -1);
    settle_eaters(all, 2);
    int32_t epoch = feast_epoch(feast);
    size_t count = feast->party->log.count;
    for (size_t step = 1; step < 60; step += 6) {
        if (count % step == 0 && step != 1)
            continue;
        party_close(feast->party);
        party_open(feast->party);
        for (size_t i = 0, at = count - 1; i < count; i++, at = (at + step) % count)
            if (step != 1)
                load(feast, at);
            else
                load(feast, count - 1 - i);
        ms_groups_loaded(feast->party->groups);
        (void)ms_groups_tick(feast->party->groups);
        assert_int_equal(feast_epoch(feast), epoch);
        assert_int_equal(feast_state(feast), MS_GROUP_STABLE);
    }
    settle_eaters(all, 2);
    assert_int_equal(feast_epoch(feast), epoch);
    assert_int_equal(eater_count(&a), 3);
    assert_int_equal(eater_count(&b), 3);
    feast_free(feast);
}

static void malformed_values_are_refused(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    party_close(feast->party);
    party_open(feast->party);
    for (size_t i = 0; i < feast->party->log.count; i++) {
        const struct fake_record *r = &feast->party->log.records[i];
        for (size_t len = 0; len < r->value.len; len++) {
            struct ms_group_record record = {r->key, ms_bytes_of(r->value.data, len), false};
            assert_int_equal(ms_groups_load(feast->party->groups, &record, i, -1), MS_EINVAL);
        }
    }
    ms_groups_loaded(feast->party->groups);
    assert_int_equal(feast_state(feast), MS_GROUP_DEAD);
    feast_free(feast);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_waits_until_it_is_durable),
        cmocka_unit_test(what_could_not_be_stored_is_stored_with_what_comes_next),
        cmocka_unit_test(a_member_that_will_not_know_its_id_is_gone_at_once),
        cmocka_unit_test(a_request_repeated_answers_the_first),
        cmocka_unit_test(stopping_answers_what_waits),
        cmocka_unit_test(a_restart_goes_on_without_a_rebalance),
        cmocka_unit_test(a_restart_amid_a_revocation_goes_on_with_it),
        cmocka_unit_test(sessions_begin_anew_after_a_restart),
        cmocka_unit_test(records_may_come_in_any_order),
        cmocka_unit_test(malformed_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
