/* ConsumerGroupHeartbeat: joining, staying, leaving, being fenced. */
#include "consumer_fixture.h"

/* ---- joining ---- */

static void a_first_member_is_given_everything_at_once(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    assert_int_equal(a.epoch, 1);
    assert_int_equal(eater_count(&a), 4);
    assert_int_equal(a.interval_ms, 5000);
    assert_int_equal(feast_state(feast), MS_GROUP_STABLE);
    eater_beats(&a);
    assert_false(a.assigned); /* there is nothing new */
    assert_int_equal(a.epoch, 1);
    feast_free(feast);
}

static void version_0_is_given_an_id(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "t", 2);
    eater_init(&a, feast, "", "t");
    eater_init(&b, feast, "", "t");
    a.makes_id = b.makes_id = true;
    eater_joins(&a);
    eater_joins(&b);
    assert_int_equal(strlen(a.id), MS_UUID_TEXT_LEN);
    assert_string_not_equal(a.id, b.id);
    eater_init(&a, feast, "", "t"); /* version 1 has one */
    eater_join(&a);
    assert_answered(&a, MS_GROUP_INVALID_REQUEST);
    feast_free(feast);
}

static void expect(struct eater *eater, enum ms_group_code code) {
    eater_send(eater);
    assert_answered(eater, code);
    eater_prepare(eater);
}

static void what_makes_no_sense_is_refused(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 2);
    eater_init(&a, feast, "a", "t");
    int32_t partition = 0;
    struct ms_group_partitions owned = {feast->topics.item[0].id, {0}, &partition, 1};
    char long_name[300];
    memset(long_name, 'x', sizeof long_name);
    struct ms_bytes too_long = ms_bytes_of(long_name, sizeof long_name);
    eater_prepare(&a);
    a.consume.group = TEXT("");
    expect(&a, MS_GROUP_INVALID_REQUEST);
    a.consume.rebalance_timeout_ms = -1;
    expect(&a, MS_GROUP_INVALID_REQUEST);
    a.consume.topics = NULL;
    a.consume.topic_count = 0;
    expect(&a, MS_GROUP_INVALID_REQUEST);
    a.consume.topics = &too_long;
    expect(&a, MS_GROUP_INVALID_REQUEST);
    a.consume.owned = &owned;
    a.consume.owned_count = 1;
    expect(&a, MS_GROUP_INVALID_REQUEST);
    a.consume.epoch = -3;
    expect(&a, MS_GROUP_INVALID_REQUEST);
    a.consume.epoch = MS_GROUP_EPOCH_LEAVE_STATIC; /* without an instance */
    expect(&a, MS_GROUP_INVALID_REQUEST);
    a.consume.assignor = TEXT("sticky");
    expect(&a, MS_GROUP_UNSUPPORTED_ASSIGNOR);
    a.consume.pattern = TEXT("(");
    expect(&a, MS_GROUP_INVALID_PATTERN);
    a.consume.epoch = 1;
    expect(&a, MS_GROUP_NOT_FOUND);
    struct ms_groups_stats stats;
    ms_groups_stats(feast->party->groups, &stats);
    assert_int_equal(stats.groups[MS_GROUP_EMPTY], 0); /* nothing is left of it all */
    feast_free(feast);
}

static void a_full_group_lets_nobody_in(void **state) {
    (void)state;
    struct ms_groups_options options = {.members_max = 2};
    struct feast *feast = feast_new_with(&options);
    struct eater a, b, c;
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    eater_init(&c, feast, "c", "t");
    eater_joins(&a);
    eater_joins(&b);
    eater_join(&c);
    assert_answered(&c, MS_GROUP_FULL);
    eater_joins(&a); /* who is in may join again */
    eater_leave(&b, -1);
    eater_joins(&c);
    feast_free(feast);
}

static void joining_again_gives_the_same_again(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    eater_joins(&a);
    assert_int_equal(a.epoch, 1);
    assert_true(a.assigned);
    assert_int_equal(eater_count(&a), 4);
    feast_free(feast);
}

static void a_topic_that_is_not_there_yet_is_waited_for(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    assert_true(a.assigned);
    assert_int_equal(eater_count(&a), 0);
    assert_int_equal(feast_state(feast), MS_GROUP_STABLE);
    topic_add(&feast->topics, "t", 3);
    eater_beats(&a);
    assert_int_equal(a.epoch, 2);
    assert_int_equal(eater_count(&a), 3);
    topic_resize(&feast->topics, 0, 5);
    eater_beats(&a);
    assert_int_equal(eater_count(&a), 5);
    assert_int_equal(a.epoch, 3);
    topic_resize(&feast->topics, 0, 0); /* deleted */
    eater_beats(&a);
    assert_int_equal(eater_count(&a), 0);
    eater_beats(&a);
    assert_int_equal(a.epoch, 4);
    assert_int_equal(feast_state(feast), MS_GROUP_STABLE);
    topic_add(&feast->topics, "t", 2); /* another one of that name */
    eater_beats(&a);
    assert_int_equal(eater_count(&a), 2);
    assert_true(a.owned[1][0]);
    feast_free(feast);
}

static void another_subscription_is_another_assignment(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 2);
    topic_add(&feast->topics, "u", 3);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    a.names[0] = TEXT("u");
    eater_prepare(&a);
    eater_send(&a);
    assert_answered(&a, MS_GROUP_OK);
    assert_int_equal(a.epoch, 1); /* t is to be let go of first */
    assert_int_equal(eater_count(&a), 0);
    eater_beats(&a);
    assert_int_equal(a.epoch, 2);
    assert_int_equal(eater_count(&a), 3);
    eater_prepare(&a); /* the same once more is no change */
    eater_send(&a);
    assert_int_equal(a.epoch, 2);
    assert_int_equal(feast_epoch(feast), 2);
    a.name_count = 0;
    eater_prepare(&a);
    eater_send(&a);
    eater_beats(&a);
    assert_int_equal(a.epoch, 3);
    assert_int_equal(eater_count(&a), 0);
    feast_free(feast);
}

static void a_pattern_is_matched_again_when_topics_change(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "orders", 2);
    topic_add(&feast->topics, "reorders", 2);
    eater_init(&a, feast, "a", NULL);
    eater_init(&b, feast, "b", NULL);
    a.pattern = b.pattern = "order.*";
    eater_joins(&a);
    assert_int_equal(eater_count(&a), 2);
    topic_add(&feast->topics, "orders-eu", 2);
    eater_joins(&b);
    struct eater *const both[] = {&a, &b};
    settle_eaters(both, 2);
    assert_int_equal(eater_count(&a), 2);
    assert_int_equal(eater_count(&b), 2);
    assert_false(a.owned[1][0] || b.owned[1][0]);
    eater_prepare(&b);
    b.consume.pattern = TEXT(""); /* taken back */
    eater_send(&b);
    eater_beats(&b);
    eater_beats(&a);
    assert_int_equal(eater_count(&a), 4);
    assert_int_equal(eater_count(&b), 0);
    feast_free(feast);
}

static void most_members_say_how_to_assign(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    struct report report;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    eater_joins(&a);
    report_of(&report, feast, "g");
    assert_true(ms_bytes_equal_cstr(report.info.assignor, "uniform"));
    report_end(&report);
    b.assignor = "range";
    eater_joins(&b);
    struct eater *const both[] = {&a, &b};
    settle_eaters(both, 2);
    report_of(&report, feast, "g");
    assert_true(ms_bytes_equal_cstr(report.info.assignor, "range"));
    report_end(&report);
    assert_true(a.owned[0][0] && a.owned[0][1] && b.owned[0][2] && b.owned[0][3]);
    feast_free(feast);
}

/* ---- being fenced ---- */

static void epochs_that_are_not_the_members_are_fenced(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    eater_joins(&a);
    eater_prepare(&a);
    a.consume.epoch = 2;
    expect(&a, MS_GROUP_FENCED_EPOCH);
    eater_joins(&b);
    eater_beats(&a);
    eater_beats(&a);
    assert_int_equal(a.epoch, 2);
    eater_beats(&b);
    eater_beats(&a); /* it is known to know the epoch from here on */
    eater_prepare(&a);
    a.consume.epoch = 1;
    expect(&a, MS_GROUP_FENCED_EPOCH);
    eater_init(&b, feast, "c", "t");
    eater_prepare(&b);
    b.consume.epoch = 1;
    expect(&b, MS_GROUP_UNKNOWN_MEMBER);
    feast_free(feast);
}

static void a_lost_answer_can_be_asked_for_again(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    topic_resize(&feast->topics, 0, 6);
    eater_prepare(&a);
    eater_beats(&a);
    assert_int_equal(a.epoch, 2);
    a.epoch = 1; /* as if it had not been answered */
    a.owned[0][4] = a.owned[0][5] = false;
    eater_beats(&a);
    assert_int_equal(a.epoch, 2);
    assert_int_equal(eater_count(&a), 6);
    a.epoch = 1;
    a.owned[1][0] = true; /* what was never its own */
    eater_beat(&a);
    assert_answered(&a, MS_GROUP_FENCED_EPOCH);
    a.owned[1][0] = false;
    a.epoch = 1;
    eater_idle(&a); /* nor may it say nothing */
    assert_answered(&a, MS_GROUP_FENCED_EPOCH);
    feast_free(feast);
}

static void a_member_that_is_silent_is_removed(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    eater_joins(&a);
    eater_joins(&b);
    party_advance(feast->party, 44000);
    eater_beats(&b);
    party_advance(feast->party, 1500);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 4);
    eater_beat(&a);
    assert_answered(&a, MS_GROUP_UNKNOWN_MEMBER);
    party_advance(feast->party, 46000);
    assert_int_equal(feast_state(feast), MS_GROUP_EMPTY);
    feast_free(feast);
}

/* ---- leaving ---- */

static void who_leaves_leaves_its_partitions(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    eater_joins(&a);
    eater_joins(&b);
    eater_leave(&a, -1);
    assert_answered(&a, MS_GROUP_OK);
    assert_int_equal(a.epoch, -1);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 4);
    eater_leave(&a, -1);
    assert_answered(&a, MS_GROUP_UNKNOWN_MEMBER);
    eater_leave(&b, -1);
    assert_int_equal(feast_state(feast), MS_GROUP_EMPTY);
    feast_free(feast);
}

static void tools_can_remove_members(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    b.instance = "two";
    eater_joins(&a);
    eater_joins(&b);
    struct ms_group_leaver leavers[] = {
        {TEXT("a"), {0}, 0}, {{0}, TEXT("two"), 0}, {TEXT("a"), {0}, 0}};
    assert_int_equal(ms_groups_leave(feast->party->groups, TEXT("g"), leavers, 3), MS_GROUP_OK);
    assert_int_equal(leavers[0].code, MS_GROUP_OK);
    assert_int_equal(leavers[1].code, MS_GROUP_OK);
    assert_int_equal(leavers[2].code, MS_GROUP_UNKNOWN_MEMBER);
    assert_int_equal(feast_state(feast), MS_GROUP_EMPTY);
    feast_free(feast);
}

/* ---- static members ---- */

static void a_static_member_comes_back_to_what_it_had(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b, again;
    partition_map had;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    a.instance = "one";
    b.instance = "two";
    eater_joins(&a);
    eater_joins(&b);
    struct eater *const both[] = {&a, &b};
    settle_eaters(both, 2);
    int32_t epoch = feast_epoch(feast);
    memcpy(had, a.owned, sizeof had);
    eater_leave(&a, -2);
    assert_answered(&a, MS_GROUP_OK);
    assert_int_equal(a.epoch, -2);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 2); /* nobody else gets it */
    eater_init(&again, feast, "a2", "t");
    again.instance = "one";
    eater_joins(&again);
    assert_memory_equal(again.owned, had, sizeof had);
    assert_int_equal(feast_epoch(feast), epoch);
    assert_int_equal(feast_state(feast), MS_GROUP_STABLE);
    a.epoch = epoch;
    eater_beat(&a); /* its old self */
    assert_answered(&a, MS_GROUP_FENCED_INSTANCE);
    party_restart(feast->party);
    eater_beats(&again);
    assert_int_equal(eater_count(&again), 2);
    eater_beat(&a);
    assert_answered(&a, MS_GROUP_FENCED_INSTANCE);
    feast_free(feast);
}

static void an_instance_id_in_use_is_not_given_away(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    a.instance = b.instance = "one";
    eater_joins(&a);
    eater_join(&b);
    assert_answered(&b, MS_GROUP_UNRELEASED_INSTANCE);
    b.epoch = 1;
    eater_beat(&b);
    assert_answered(&b, MS_GROUP_FENCED_INSTANCE);
    b.instance = "nobody's";
    eater_beat(&b);
    assert_answered(&b, MS_GROUP_UNKNOWN_MEMBER);
    b.instance = "one";
    party_advance(feast->party, 46000); /* the first one is gone */
    eater_joins(&b);
    assert_int_equal(eater_count(&b), 4);
    feast_free(feast);
}

static void a_static_member_that_stays_away_is_removed(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    a.instance = "one";
    eater_joins(&a);
    eater_joins(&b);
    eater_leave(&a, -2);
    party_advance(feast->party, 30000);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 0);
    party_advance(feast->party, 16000);
    eater_beats(&b);
    assert_int_equal(eater_count(&b), 4);
    feast_free(feast);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_member_is_given_everything_at_once),
        cmocka_unit_test(version_0_is_given_an_id),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(a_full_group_lets_nobody_in),
        cmocka_unit_test(joining_again_gives_the_same_again),
        cmocka_unit_test(a_topic_that_is_not_there_yet_is_waited_for),
        cmocka_unit_test(another_subscription_is_another_assignment),
        cmocka_unit_test(a_pattern_is_matched_again_when_topics_change),
        cmocka_unit_test(most_members_say_how_to_assign),
        cmocka_unit_test(epochs_that_are_not_the_members_are_fenced),
        cmocka_unit_test(a_lost_answer_can_be_asked_for_again),
        cmocka_unit_test(a_member_that_is_silent_is_removed),
        cmocka_unit_test(who_leaves_leaves_its_partitions),
        cmocka_unit_test(tools_can_remove_members),
        cmocka_unit_test(a_static_member_comes_back_to_what_it_had),
        cmocka_unit_test(an_instance_id_in_use_is_not_given_away),
        cmocka_unit_test(a_static_member_that_stays_away_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
