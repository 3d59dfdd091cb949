/* SyncGroup, Heartbeat, LeaveGroup, and the ends of sessions. */
#include "group_fixture.h"

static void followers_wait_for_the_leaders_assignments(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    client_join(&b);
    client_join(&a);
    client_sync(&b);
    assert_int_equal(b.syncs_answered, 0);
    client_sync(&a);
    assert_synced(&a, MS_GROUP_OK);
    assert_synced(&b, MS_GROUP_OK);
    assert_string_equal(a.assignment, a.id);
    assert_string_equal(b.assignment, b.id);
    assert_int_equal(party_state(party, "g"), MS_GROUP_STABLE);
    client_sync(&b); /* once more, after a lost answer */
    assert_synced(&b, MS_GROUP_OK);
    assert_string_equal(b.assignment, b.id);
    party_free(party);
}

static void members_without_an_assignment_get_an_empty_one(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    client_join(&b);
    client_join(&a);
    struct ms_group_assignment only[] = {{ms_bytes_cstr(b.id), TEXT("all")},
                                         {TEXT("nobody"), TEXT("lost")}};
    client_sync_with(&a, only, 2);
    assert_synced(&a, MS_GROUP_OK);
    assert_string_equal(a.assignment, "");
    client_sync(&b);
    assert_string_equal(b.assignment, "all");
    party_free(party);
}

static void assignments_are_durable_before_they_are_handed_out(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    party->log.hold = true;
    client_join(&a);
    client_sync(&a);
    assert_int_equal(a.syncs_answered, 0);
    assert_int_equal(party_state(party, "g"), MS_GROUP_COMPLETING);
    assert_int_equal(party->log.held_count, 1);
    fake_log_finish(&party->log, 0, 0);
    assert_synced(&a, MS_GROUP_OK);
    assert_int_equal(party_state(party, "g"), MS_GROUP_STABLE);
    party_free(party);
}

static void assignments_that_could_not_be_stored_are_nobodys(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    settle_two(&a, &b);
    client_join(&a);
    client_join(&b);
    party->log.failure = MS_ENOSPC;
    client_sync(&b);
    client_sync(&a);
    assert_synced(&a, MS_GROUP_NOT_AVAILABLE);
    assert_synced(&b, MS_GROUP_NOT_AVAILABLE);
    assert_string_equal(b.assignment, "");
    assert_int_equal(party_state(party, "g"), MS_GROUP_PREPARING);
    party->log.failure = 0;
    client_join(&a);
    client_join(&b);
    client_sync(&a);
    assert_synced(&a, MS_GROUP_OK);
    party_free(party);
}

static void a_group_too_large_to_store_is_an_error_of_the_server(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_join(&a);
    party->log.failure = MS_ETOOBIG;
    client_sync(&a);
    assert_synced(&a, MS_GROUP_UNKNOWN_SERVER_ERROR);
    party_free(party);
}

static void assignments_of_a_generation_that_is_over_are_dropped(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    party->log.hold = true;
    client_join(&a);
    client_sync(&a);
    client_join(&b);
    assert_synced(&a, MS_GROUP_REBALANCING);
    fake_log_finish(&party->log, 0, 0);
    assert_int_equal(a.syncs_answered, 1);
    assert_int_equal(party_state(party, "g"), MS_GROUP_PREPARING);
    client_join(&a);
    client_sync(&a);
    client_sync(&b);
    assert_int_equal(b.syncs_answered, 0);
    fake_log_finish(&party->log, 0, 0);
    assert_string_equal(b.assignment, b.id);
    party_free(party);
}

static void late_assignments_do_not_end_the_next_generations_sync(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    party->log.hold = true;
    client_join(&a);
    client_sync(&a);
    client_join(&b);
    client_join(&a);
    assert_joined(&a, MS_GROUP_OK);
    client_sync(&b);
    fake_log_finish(&party->log, 0, 0); /* the first generation's */
    assert_int_equal(b.syncs_answered, 0);
    client_sync(&a);
    assert_int_equal(b.syncs_answered, 0);
    fake_log_finish(&party->log, 0, 0);
    assert_string_equal(a.assignment, a.id);
    assert_string_equal(b.assignment, b.id);
    party_free(party);
}

static void syncs_are_checked(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_sync(&a);
    assert_synced(&a, MS_GROUP_UNKNOWN_MEMBER);
    client_settle(&a);
    a.generation = 0;
    client_sync(&a);
    assert_synced(&a, MS_GROUP_ILLEGAL_GENERATION);
    a.generation = 1;
    client_join(&b);
    client_sync(&a);
    assert_synced(&a, MS_GROUP_REBALANCING);
    (void)snprintf(b.id, sizeof b.id, "nobody");
    client_sync(&b);
    assert_synced(&b, MS_GROUP_UNKNOWN_MEMBER);
    party_free(party);
}

static void protocols_named_in_a_sync_must_be_the_groups(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_settle(&a);
    a.syncs_answered = 0;
    a.sync = (struct ms_group_sync){.group = TEXT("g"),
                                    .member_id = ms_bytes_cstr(a.id),
                                    .generation = 1,
                                    .protocol_type = TEXT("consumer"),
                                    .protocol_name = TEXT("sticky"),
                                    .done = client_synced,
                                    .context = &a};
    ms_groups_sync(party->groups, &a.sync);
    assert_synced(&a, MS_GROUP_INCONSISTENT_PROTOCOL);
    party_free(party);
}

static void members_that_do_not_sync_are_removed(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    a.session_ms = b.session_ms = 100000;
    settle_two(&a, &b);
    client_join(&a);
    client_join(&b);
    client_sync(&b);
    party_advance(party, 59999);
    assert_int_equal(b.syncs_answered, 0);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_OK);
    party_advance(party, 1);
    assert_synced(&b, MS_GROUP_REBALANCING);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_UNKNOWN_MEMBER);
    client_join(&b);
    assert_joined(&b, MS_GROUP_OK);
    assert_int_equal(b.joined.member_count, 1);
    party_free(party);
}

static void heartbeats_are_checked(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_UNKNOWN_MEMBER);
    client_join(&a);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_OK); /* completing */
    client_sync(&a);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_OK);
    a.generation = 7;
    assert_int_equal(client_heartbeat(&a), MS_GROUP_ILLEGAL_GENERATION);
    a.instance = "one";
    assert_int_equal(client_heartbeat(&a), MS_GROUP_UNKNOWN_MEMBER);
    a.group = "";
    assert_int_equal(client_heartbeat(&a), MS_GROUP_INVALID_GROUP_ID);
    party_free(party);
}

static void a_session_ends_without_heartbeats(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    settle_two(&a, &b);
    for (int i = 0; i < 9; i++) {
        party_advance(party, 1000);
        assert_int_equal(client_heartbeat(&a), MS_GROUP_OK);
    }
    assert_int_equal(party_state(party, "g"), MS_GROUP_STABLE);
    party_advance(party, 1000);
    assert_int_equal(client_heartbeat(&a), MS_GROUP_REBALANCING);
    assert_int_equal(client_heartbeat(&b), MS_GROUP_UNKNOWN_MEMBER);
    client_join(&a);
    assert_joined(&a, MS_GROUP_OK);
    assert_int_equal(a.joined.member_count, 1);
    party_free(party);
}

static void a_member_that_waits_does_not_lose_its_session(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b, c;
    client_init(&a, party);
    client_init(&b, party);
    client_init(&c, party);
    a.session_ms = 100000;
    settle_two(&a, &b);
    client_join(&c);
    client_join(&b);
    party_advance(party, 30000); /* b's session is 10 s */
    assert_int_equal(b.joins_answered, 0);
    client_join(&a);
    assert_joined(&b, MS_GROUP_OK);
    assert_int_equal(a.joined.member_count, 3);
    party_free(party);
}

static void leaving_begins_a_rebalance_and_the_last_one_empties_the_group(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    settle_two(&a, &b);
    assert_int_equal(client_leave(&a), MS_GROUP_OK);
    assert_int_equal(client_heartbeat(&b), MS_GROUP_REBALANCING);
    client_join(&b);
    assert_joined(&b, MS_GROUP_OK);
    assert_true(client_leads(&b));
    assert_int_equal(b.generation, 3);
    assert_int_equal(client_leave(&b), MS_GROUP_OK);
    assert_int_equal(party_state(party, "g"), MS_GROUP_EMPTY);
    assert_int_equal(party_generation(party, "g"), 4);
    assert_int_equal(client_leave(&b), MS_GROUP_UNKNOWN_MEMBER);
    party_free(party);
}

static void leaving_completes_a_join_that_waited_for_it(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    client_join(&b);
    assert_int_equal(client_leave(&a), MS_GROUP_OK);
    assert_joined(&b, MS_GROUP_OK);
    assert_true(client_leads(&b));
    party_free(party);
}

static void leaving_answers_what_the_member_waits_for(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    client_join(&b);
    client_join(&a);
    client_sync(&b);
    assert_int_equal(client_leave(&b), MS_GROUP_OK);
    assert_synced(&b, MS_GROUP_UNKNOWN_MEMBER);
    assert_int_equal(party_state(party, "g"), MS_GROUP_PREPARING);
    party_free(party);
}

static void a_forgotten_sync_is_not_answered(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    client_join(&b);
    client_join(&a);
    client_sync(&b);
    ms_groups_forget(party->groups, &b.sync.request);
    client_sync(&a);
    assert_synced(&a, MS_GROUP_OK);
    assert_int_equal(b.syncs_answered, 0);
    party_free(party);
}

/* A callback that calls in: the sync is handed in from the join's answer. */
static void sync_when_joined(struct ms_group_join *join,
                             const struct ms_group_join_answer *answer) {
    client_joined(join, answer);
    client_sync(join->context);
}

static void callbacks_may_call_in(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_join(&a);
    a.join.request = (struct ms_group_request){0};
    a.join.member_id = ms_bytes_cstr(a.id);
    a.join.done = sync_when_joined;
    ms_groups_join(party->groups, &a.join);
    assert_synced(&a, MS_GROUP_OK);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(followers_wait_for_the_leaders_assignments),
        cmocka_unit_test(members_without_an_assignment_get_an_empty_one),
        cmocka_unit_test(assignments_are_durable_before_they_are_handed_out),
        cmocka_unit_test(assignments_that_could_not_be_stored_are_nobodys),
        cmocka_unit_test(a_group_too_large_to_store_is_an_error_of_the_server),
        cmocka_unit_test(assignments_of_a_generation_that_is_over_are_dropped),
        cmocka_unit_test(late_assignments_do_not_end_the_next_generations_sync),
        cmocka_unit_test(syncs_are_checked),
        cmocka_unit_test(protocols_named_in_a_sync_must_be_the_groups),
        cmocka_unit_test(members_that_do_not_sync_are_removed),
        cmocka_unit_test(heartbeats_are_checked),
        cmocka_unit_test(a_session_ends_without_heartbeats),
        cmocka_unit_test(a_member_that_waits_does_not_lose_its_session),
        cmocka_unit_test(leaving_begins_a_rebalance_and_the_last_one_empties_the_group),
        cmocka_unit_test(leaving_completes_a_join_that_waited_for_it),
        cmocka_unit_test(leaving_answers_what_the_member_waits_for),
        cmocka_unit_test(a_forgotten_sync_is_not_answered),
        cmocka_unit_test(callbacks_may_call_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
