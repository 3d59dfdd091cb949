/* Static members: an instance id that outlives its process. */
#include "group_fixture.h"

static void init_static(struct client *client, struct party *party, const char *instance) {
    client_init(client, party);
    client->instance = instance;
}

static void a_static_member_needs_no_id_first(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    init_static(&a, party, "one");
    a.require_member_id = true;
    client_join(&a);
    assert_joined(&a, MS_GROUP_OK);
    assert_int_equal(strncmp(a.id, "one-", 4), 0);
    assert_string_equal(a.instances[0], "one");
    party_free(party);
}

static void a_restarted_follower_keeps_its_assignment_without_a_rebalance(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    init_static(&a, party, "one");
    init_static(&b, party, "two");
    settle_two(&a, &b);
    char old_assignment[ID_MAX];
    memcpy(old_assignment, b.assignment, ID_MAX);
    struct client again;
    init_static(&again, party, "two");
    client_join(&again);
    assert_joined(&again, MS_GROUP_OK);
    assert_string_not_equal(again.id, b.id);
    assert_int_equal(again.generation, 2);
    assert_string_equal(again.leader, a.id);
    assert_int_equal(party_state(party, "g"), MS_GROUP_STABLE);
    client_sync(&again);
    assert_synced(&again, MS_GROUP_OK);
    assert_string_equal(again.assignment, old_assignment);
    assert_int_equal(client_heartbeat(&again), MS_GROUP_OK);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_OK);
    party_free(party);
}

static void the_old_self_is_fenced(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, again;
    init_static(&a, party, "one");
    init_static(&again, party, "one");
    client_settle(&a);
    client_join(&again);
    assert_joined(&again, MS_GROUP_OK);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_FENCED_INSTANCE);
    client_sync(&a);
    assert_synced(&a, MS_GROUP_FENCED_INSTANCE);
    assert_int_equal(commit_now(party, client_identity(&a), "t", 0, 1), MS_GROUP_FENCED_INSTANCE);
    assert_int_equal(client_leave(&a), MS_GROUP_FENCED_INSTANCE);
    client_join(&a);
    assert_joined(&a, MS_GROUP_FENCED_INSTANCE);
    a.instance = NULL;
    assert_int_equal(client_heartbeat(&a), MS_GROUP_UNKNOWN_MEMBER);
    party_free(party);
}

static void the_old_selfs_waiting_join_is_fenced(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b, again;
    client_init(&a, party);
    init_static(&b, party, "two");
    init_static(&again, party, "two");
    client_settle(&a);
    client_join(&b);
    client_join(&again);
    assert_joined(&b, MS_GROUP_FENCED_INSTANCE);
    assert_int_equal(again.joins_answered, 0);
    client_join(&a);
    assert_joined(&again, MS_GROUP_OK);
    assert_int_equal(a.joined.member_count, 2);
    party_free(party);
}

static void a_restarted_leader_is_told_to_skip_the_assignment(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b, again;
    init_static(&a, party, "one");
    init_static(&b, party, "two");
    init_static(&again, party, "one");
    settle_two(&a, &b);
    again.can_skip = true;
    client_join(&again);
    assert_joined(&again, MS_GROUP_OK);
    assert_true(again.joined.skip_assignment);
    assert_string_equal(again.leader, again.id);
    assert_int_equal(again.joined.member_count, 2);
    client_sync_with(&again, NULL, 0);
    assert_synced(&again, MS_GROUP_OK);
    assert_string_equal(again.assignment, a.assignment);
    party_free(party);
}

static void a_leader_that_cannot_skip_is_told_that_its_old_self_leads(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, again;
    init_static(&a, party, "one");
    init_static(&again, party, "one");
    client_settle(&a);
    client_join(&again);
    assert_joined(&again, MS_GROUP_OK);
    assert_false(again.joined.skip_assignment);
    assert_string_equal(again.leader, a.id);
    assert_int_equal(again.joined.member_count, 0);
    party_free(party);
}

static void a_restarted_member_that_reads_other_topics_makes_a_rebalance(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, again;
    init_static(&a, party, "one");
    init_static(&again, party, "one");
    a.protocols[0].metadata = TEXT("\0\1\0\0\0\1\0\1a\xff\xff\xff\xff");
    client_settle(&a);
    again.protocols[0].metadata = TEXT("\0\1\0\0\0\1\0\1a\0\0\0\4data");
    client_join(&again);
    assert_int_equal(again.generation, 1); /* other user data is no reason */
    again.id[0] = '\0';
    again.protocols[0].metadata = TEXT("\0\1\0\0\0\1\0\1b\xff\xff\xff\xff");
    client_join(&again);
    assert_joined(&again, MS_GROUP_OK);
    assert_int_equal(again.generation, 2);
    assert_int_equal(party_state(party, "g"), MS_GROUP_COMPLETING);
    party_free(party);
}

static void a_replacement_is_durable_before_it_is_answered(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, again;
    init_static(&a, party, "one");
    init_static(&again, party, "one");
    client_settle(&a);
    party->log.hold = true;
    client_join(&again);
    assert_int_equal(again.joins_answered, 0);
    fake_log_finish(&party->log, 0, 0);
    assert_joined(&again, MS_GROUP_OK);
    party->log.hold = false;
    party_restart(party);
    assert_int_equal(client_heartbeat(&again), MS_GROUP_OK);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_FENCED_INSTANCE);
    party_free(party);
}

static void a_replacement_that_could_not_be_stored_is_taken_back(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, again;
    init_static(&a, party, "one");
    init_static(&again, party, "one");
    client_settle(&a);
    party->log.failure = MS_ENOSPC;
    client_join(&again);
    assert_joined(&again, MS_GROUP_NOT_AVAILABLE);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_OK);
    party_free(party);
}

static void a_rebalance_during_the_replacement_answers_it(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b, again;
    init_static(&a, party, "one");
    init_static(&again, party, "one");
    client_init(&b, party);
    client_settle(&a);
    party->log.hold = true;
    client_join(&again);
    client_join(&b); /* all have joined: the next generation */
    assert_joined(&again, MS_GROUP_OK);
    assert_joined(&b, MS_GROUP_OK);
    assert_int_equal(again.generation, 2);
    fake_log_finish_all(&party->log, 0);
    assert_int_equal(again.joins_answered, 1);
    party_free(party);
}

static void a_static_member_leaves_by_its_instance_id(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    init_static(&a, party, "one");
    init_static(&b, party, "two");
    settle_two(&a, &b);
    struct ms_group_leaver leavers[] = {
        {.instance_id = TEXT("two")}, {.instance_id = TEXT("three")}, {.member_id = TEXT("x")}};
    assert_int_equal(ms_groups_leave(party->groups, TEXT("g"), leavers, 3), MS_GROUP_OK);
    assert_int_equal(leavers[0].code, MS_GROUP_OK);
    assert_int_equal(leavers[1].code, MS_GROUP_UNKNOWN_MEMBER);
    assert_int_equal(leavers[2].code, MS_GROUP_UNKNOWN_MEMBER);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_REBALANCING);
    party_free(party);
}

static void a_static_member_that_is_late_stays_in_the_next_generation(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b, c;
    init_static(&a, party, "one");
    client_init(&b, party);
    client_init(&c, party);
    a.session_ms = 1000000;
    b.session_ms = 1000000;
    settle_two(&a, &b);
    client_join(&c);
    client_join(&b);
    party_advance(party, 60000);
    assert_joined(&b, MS_GROUP_OK);
    assert_joined(&c, MS_GROUP_OK);
    assert_true(client_leads(&b)); /* a leads no more: it has not joined */
    assert_int_equal(b.joined.member_count, 3);
    party_free(party);
}

static void a_group_of_late_static_members_waits_for_their_sessions(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    init_static(&a, party, "one");
    init_static(&b, party, "two");
    a.session_ms = b.session_ms = 100000;
    settle_two(&a, &b);
    assert_int_equal(client_leave(&b), MS_GROUP_OK); /* a should join again, and doesn't */
    party_advance(party, 60000);
    assert_int_equal(party_state(party, "g"), MS_GROUP_PREPARING);
    party_advance(party, 40000);
    assert_int_equal(party_state(party, "g"), MS_GROUP_EMPTY);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_static_member_needs_no_id_first),
        cmocka_unit_test(a_restarted_follower_keeps_its_assignment_without_a_rebalance),
        cmocka_unit_test(the_old_self_is_fenced),
        cmocka_unit_test(the_old_selfs_waiting_join_is_fenced),
        cmocka_unit_test(a_restarted_leader_is_told_to_skip_the_assignment),
        cmocka_unit_test(a_leader_that_cannot_skip_is_told_that_its_old_self_leads),
        cmocka_unit_test(a_restarted_member_that_reads_other_topics_makes_a_rebalance),
        cmocka_unit_test(a_replacement_is_durable_before_it_is_answered),
        cmocka_unit_test(a_replacement_that_could_not_be_stored_is_taken_back),
        cmocka_unit_test(a_rebalance_during_the_replacement_answers_it),
        cmocka_unit_test(a_static_member_leaves_by_its_instance_id),
        cmocka_unit_test(a_static_member_that_is_late_stays_in_the_next_generation),
        cmocka_unit_test(a_group_of_late_static_members_waits_for_their_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
