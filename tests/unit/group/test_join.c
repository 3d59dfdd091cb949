/* JoinGroup: who is let in, and what a rebalance waits for. */
#include "group_fixture.h"

static void the_first_member_leads_and_sees_everyone(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_join(&a);
    assert_joined(&a, MS_GROUP_OK);
    assert_true(strlen(a.id) > 36 && strncmp(a.id, "client-", 7) == 0);
    assert_string_equal(a.leader, a.id);
    assert_string_equal(a.protocol, "range");
    assert_int_equal(a.generation, 1);
    assert_int_equal(a.joined.member_count, 1);
    assert_string_equal(a.members[0], a.id);
    assert_string_equal(a.metadata[0], "meta");
    assert_false(a.joined.skip_assignment);
    assert_int_equal(party_state(party, "g"), MS_GROUP_COMPLETING);
    party_free(party);
}

static void a_second_member_makes_the_first_one_join_again(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    client_join(&b);
    assert_int_equal(b.joins_answered, 0);
    assert_int_equal(party_state(party, "g"), MS_GROUP_PREPARING);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_REBALANCING);
    client_join(&a);
    assert_joined(&a, MS_GROUP_OK);
    assert_joined(&b, MS_GROUP_OK);
    assert_int_equal(a.generation, 2);
    assert_int_equal(b.generation, 2);
    assert_string_equal(b.leader, a.id);
    assert_int_equal(a.joined.member_count, 2);
    assert_int_equal(b.joined.member_count, 0); /* only the leader is told */
    party_free(party);
}

static void malformed_joins_are_refused(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    a.group = "";
    client_join(&a);
    assert_joined(&a, MS_GROUP_INVALID_GROUP_ID);
    assert_int_equal(a.joined.generation, -1);
    client_init(&a, party);
    a.session_ms = 5999;
    client_join(&a);
    assert_joined(&a, MS_GROUP_INVALID_SESSION_TIMEOUT);
    a.session_ms = 30 * 60 * 1000 + 1;
    client_join(&a);
    assert_joined(&a, MS_GROUP_INVALID_SESSION_TIMEOUT);
    client_init(&a, party);
    a.protocol_count = 0;
    client_join(&a);
    assert_joined(&a, MS_GROUP_INCONSISTENT_PROTOCOL);
    client_init(&a, party);
    a.rebalance_ms = -1;
    client_join(&a);
    assert_joined(&a, MS_GROUP_INVALID_REQUEST);
    client_init(&a, party);
    (void)snprintf(a.id, sizeof a.id, "nobody");
    client_join(&a);
    assert_joined(&a, MS_GROUP_UNKNOWN_MEMBER);
    struct ms_groups_stats stats;
    ms_groups_stats(party->groups, &stats);
    assert_int_equal(stats.groups[MS_GROUP_EMPTY], 0); /* nothing is left of them */
    assert_int_equal(stats.bytes, 0);
    party_free(party);
}

static void requests_before_loading_ends_are_told_so(void **state) {
    (void)state;
    struct party *party = party_new();
    party_close(party);
    party_open(party);
    struct client a;
    client_init(&a, party);
    client_join(&a);
    assert_joined(&a, MS_GROUP_LOADING);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_LOADING);
    assert_int_equal(commit_now(party, nobody("g"), "t", 0, 1), MS_GROUP_LOADING);
    party_free(party);
}

static void a_dynamic_member_joins_with_the_id_it_is_given(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    a.require_member_id = true;
    client_join(&a);
    assert_joined(&a, MS_GROUP_MEMBER_ID_REQUIRED);
    assert_int_not_equal(strlen(a.id), 0);
    char given[ID_MAX];
    memcpy(given, a.id, ID_MAX);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_UNKNOWN_MEMBER); /* it has not joined yet */
    client_join(&a);
    assert_joined(&a, MS_GROUP_OK);
    assert_string_equal(a.id, given);
    party_free(party);
}

static void a_pending_member_holds_the_rebalance_up_until_its_session_ends(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b, c;
    client_init(&a, party);
    client_init(&b, party);
    client_init(&c, party);
    client_settle(&a);
    c.require_member_id = true;
    client_join(&c);
    assert_joined(&c, MS_GROUP_MEMBER_ID_REQUIRED);
    client_join(&b);
    client_join(&a);
    assert_int_equal(a.joins_answered, 0);
    party_advance(party, 9999);
    assert_int_equal(a.joins_answered, 0);
    party_advance(party, 1);
    assert_joined(&a, MS_GROUP_OK);
    assert_joined(&b, MS_GROUP_OK);
    client_join(&c); /* too late */
    assert_joined(&c, MS_GROUP_UNKNOWN_MEMBER);
    party_free(party);
}

static void a_pending_member_can_leave(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    a.require_member_id = true;
    client_join(&a);
    assert_int_equal(client_leave(&a), MS_GROUP_OK);
    assert_int_equal(client_leave(&a), MS_GROUP_UNKNOWN_MEMBER);
    assert_int_equal(party_state(party, "g"), MS_GROUP_DEAD);
    party_free(party);
}

static void protocols_must_agree(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    b.protocols[0].name = TEXT("sticky");
    client_join(&b);
    assert_joined(&b, MS_GROUP_INCONSISTENT_PROTOCOL);
    assert_int_equal(party_state(party, "g"), MS_GROUP_STABLE);
    party_free(party);
}

static void the_protocol_that_all_know_and_most_prefer_is_chosen(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client c[3];
    static const char *const orders[3][3] = {
        {"only-a", "range", "sticky"}, {"sticky", "range", ""}, {"sticky", "range", ""}};
    for (size_t i = 0; i < 3; i++) {
        client_init(&c[i], party);
        c[i].protocol_count = 0;
        for (size_t k = 0; k < 3 && orders[i][k][0] != '\0'; k++)
            c[i].protocols[c[i].protocol_count++] = (struct ms_group_protocol){
                ms_bytes_cstr(orders[i][k]), ms_bytes_cstr(orders[i][k])};
    }
    client_join(&c[0]);
    assert_string_equal(c[0].protocol, "only-a");
    client_join(&c[1]);
    client_join(&c[2]);
    client_join(&c[0]);
    assert_joined(&c[1], MS_GROUP_OK);
    assert_string_equal(c[1].protocol, "sticky");
    assert_int_equal(c[0].joined.member_count, 3);
    assert_string_equal(c[0].metadata[0], "sticky");
    party_free(party);
}

static void a_lost_join_answer_is_given_again(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_join(&a);
    client_join(&a);
    assert_joined(&a, MS_GROUP_OK);
    assert_int_equal(a.generation, 1);
    assert_int_equal(a.joined.member_count, 1);
    party_free(party);
}

static void a_follower_that_joins_unchanged_is_told_of_the_stable_generation(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    settle_two(&a, &b);
    client_join(&b);
    assert_joined(&b, MS_GROUP_OK);
    assert_int_equal(b.generation, 2);
    assert_int_equal(party_state(party, "g"), MS_GROUP_STABLE);
    b.protocols[0].metadata = TEXT("changed");
    client_join(&b);
    assert_int_equal(b.joins_answered, 0);
    assert_int_equal(party_state(party, "g"), MS_GROUP_PREPARING);
    party_free(party);
}

static void the_leader_that_joins_again_begins_a_rebalance(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    settle_two(&a, &b);
    client_join(&a);
    assert_int_equal(a.joins_answered, 0);
    assert_int_equal(client_heartbeat(&b), MS_GROUP_REBALANCING);
    client_join(&b);
    assert_joined(&a, MS_GROUP_OK);
    assert_int_equal(a.generation, 3);
    party_free(party);
}

static void a_join_that_is_repeated_answers_the_first(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    b.require_member_id = true;
    client_settle(&a);
    client_join(&b);
    client_join(&b);
    assert_int_equal(b.joins_answered, 0);
    struct client again = b;
    again.join.context = &again;
    client_join(&again);
    assert_joined(&b, MS_GROUP_REBALANCING);
    assert_int_equal(again.joins_answered, 0);
    client_join(&a);
    assert_joined(&again, MS_GROUP_OK);
    party_free(party);
}

static void members_that_do_not_come_back_are_removed_after_the_rebalance_timeout(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    a.session_ms = 100000;
    client_settle(&a);
    client_join(&b);
    for (int i = 0; i < 59; i++) {
        party_advance(party, 1000);
        assert_int_equal(client_heartbeat(&a), MS_GROUP_REBALANCING); /* alive, but late */
    }
    assert_int_equal(b.joins_answered, 0);
    party_advance(party, 1000);
    assert_joined(&b, MS_GROUP_OK);
    assert_string_equal(b.leader, b.id);
    assert_int_equal(b.joined.member_count, 1);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_UNKNOWN_MEMBER);
    party_free(party);
}

static void the_initial_delay_is_extended_by_each_member_up_to_the_rebalance_timeout(void **state) {
    (void)state;
    struct ms_groups_options options = {.initial_rebalance_delay_ms = 3000};
    struct party *party = party_new_with(&options);
    struct client c[5];
    for (size_t i = 0; i < 5; i++) {
        client_init(&c[i], party);
        c[i].rebalance_ms = 8000;
    }
    client_join(&c[0]);
    for (size_t i = 1; i < 4; i++) { /* at 2, 4 and 6 s */
        party_advance(party, 1000);
        party_advance(party, 1000);
        assert_int_equal(c[0].joins_answered, 0);
        client_join(&c[i]);
    }
    party_advance(party, 1999);
    assert_int_equal(c[0].joins_answered, 0);
    party_advance(party, 1); /* 8 s */
    assert_joined(&c[0], MS_GROUP_OK);
    assert_int_equal(c[0].joined.member_count, 4);
    party_free(party);
}

static void without_newcomers_the_initial_delay_ends(void **state) {
    (void)state;
    struct ms_groups_options options = {.initial_rebalance_delay_ms = 3000};
    struct party *party = party_new_with(&options);
    struct client a;
    client_init(&a, party);
    client_join(&a);
    assert_true(party->wakes > 0); /* the owner would have come in a minute */
    assert_int_equal(ms_groups_tick(party->groups), 3000);
    party_advance(party, 2999);
    assert_int_equal(a.joins_answered, 0);
    party_advance(party, 1);
    assert_joined(&a, MS_GROUP_OK);
    party_free(party);
}

static void a_full_group_takes_nobody_but_its_members(void **state) {
    (void)state;
    struct ms_groups_options options = {.members_max = 2};
    struct party *party = party_new_with(&options);
    struct client a, b, c;
    client_init(&a, party);
    client_init(&b, party);
    client_init(&c, party);
    settle_two(&a, &b);
    client_join(&c);
    assert_joined(&c, MS_GROUP_FULL);
    assert_int_equal(party_state(party, "g"), MS_GROUP_STABLE);
    client_join(&b);
    assert_joined(&b, MS_GROUP_OK);
    party_free(party);
}

static void groups_and_their_memory_are_limited(void **state) {
    (void)state;
    struct ms_groups_options options = {.groups_max = 1, .member_bytes_max = 100};
    struct party *party = party_new_with(&options);
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    b.group = "other";
    client_join(&b);
    assert_joined(&b, MS_GROUP_POLICY_VIOLATION);
    uint8_t large[101] = {0};
    b.group = "g";
    b.protocols[0].metadata = ms_bytes_of(large, sizeof large);
    client_join(&b);
    assert_joined(&b, MS_GROUP_INVALID_REQUEST);
    party_free(party);
    options = (struct ms_groups_options){.bytes_max = 300};
    party = party_new_with(&options);
    client_init(&a, party);
    client_join(&a);
    assert_joined(&a, MS_GROUP_NOT_AVAILABLE);
    struct ms_groups_stats stats;
    ms_groups_stats(party->groups, &stats);
    assert_int_equal(stats.bytes, 0);
    party_free(party);
}

static void a_forgotten_join_of_a_new_member_takes_it_out(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    client_join(&b);
    ms_groups_forget(party->groups, &b.join.request);
    assert_int_equal(b.joins_answered, 0);
    client_join(&a);
    assert_joined(&a, MS_GROUP_OK);
    assert_int_equal(a.joined.member_count, 1);
    party_free(party);
}

static void a_forgotten_join_of_a_member_that_knows_its_id_leaves_it_its_session(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    b.require_member_id = true;
    client_settle(&a);
    client_join(&b);
    client_join(&b);
    ms_groups_forget(party->groups, &b.join.request);
    client_join(&a);
    assert_int_equal(a.joins_answered, 0); /* b may still come */
    client_join(&b);
    assert_joined(&a, MS_GROUP_OK);
    assert_joined(&b, MS_GROUP_OK);
    assert_int_equal(a.joined.member_count, 2);
    party_free(party);
}

static void stopping_answers_whoever_waits(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    client_join(&b);
    ms_groups_stop(party->groups);
    assert_joined(&b, MS_GROUP_NOT_AVAILABLE);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_NOT_AVAILABLE);
    party_free(party);
}

static void limits_that_contradict_each_other_are_refused(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_groups_options options = party->options;
    struct ms_groups *groups;
    options.session_timeout_ms_min = 10;
    options.session_timeout_ms_max = 9;
    assert_int_equal(ms_groups_new(&options, &groups), MS_EINVAL);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_member_leads_and_sees_everyone),
        cmocka_unit_test(a_second_member_makes_the_first_one_join_again),
        cmocka_unit_test(malformed_joins_are_refused),
        cmocka_unit_test(requests_before_loading_ends_are_told_so),
        cmocka_unit_test(a_dynamic_member_joins_with_the_id_it_is_given),
        cmocka_unit_test(a_pending_member_holds_the_rebalance_up_until_its_session_ends),
        cmocka_unit_test(a_pending_member_can_leave),
        cmocka_unit_test(protocols_must_agree),
        cmocka_unit_test(the_protocol_that_all_know_and_most_prefer_is_chosen),
        cmocka_unit_test(a_lost_join_answer_is_given_again),
        cmocka_unit_test(a_follower_that_joins_unchanged_is_told_of_the_stable_generation),
        cmocka_unit_test(the_leader_that_joins_again_begins_a_rebalance),
        cmocka_unit_test(a_join_that_is_repeated_answers_the_first),
        cmocka_unit_test(members_that_do_not_come_back_are_removed_after_the_rebalance_timeout),
        cmocka_unit_test(the_initial_delay_is_extended_by_each_member_up_to_the_rebalance_timeout),
        cmocka_unit_test(without_newcomers_the_initial_delay_ends),
        cmocka_unit_test(a_full_group_takes_nobody_but_its_members),
        cmocka_unit_test(groups_and_their_memory_are_limited),
        cmocka_unit_test(a_forgotten_join_of_a_new_member_takes_it_out),
        cmocka_unit_test(a_forgotten_join_of_a_member_that_knows_its_id_leaves_it_its_session),
        cmocka_unit_test(stopping_answers_whoever_waits),
        cmocka_unit_test(limits_that_contradict_each_other_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
