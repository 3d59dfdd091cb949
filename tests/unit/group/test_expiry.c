/* What goes: offsets past their retention, groups without anything, deleted groups. */
#include "group_fixture.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static void offsets_of_a_group_without_members_expire_from_the_commit(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)commit_now(party, nobody("g"), "t", 0, 1);
    party_advance(party, 6 * DAY_MS);
    (void)commit_now(party, nobody("g"), "t", 1, 2);
    party_advance(party, DAY_MS);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    assert_int_equal(fetch_offset(party, "g", "t", 1), 2);
    party_restart(party); /* tombstones were left */
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    assert_int_equal(fetch_offset(party, "g", "t", 1), 2);
    party_free(party);
}

static void offsets_expire_from_when_the_group_became_empty(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_settle(&a);
    (void)commit_now(party, client_identity(&a), "t", 0, 1);
    for (int day = 0; day < 10; day++) {
        for (int i = 0; i < 24 * 360; i++) { /* a heartbeat every 10 s, just in time */
            ms_clock_manual_advance(&party->clock, 9999 * 1000);
            assert_int_equal(client_heartbeat(&a), MS_GROUP_OK);
        }
        party_advance(party, 0);
    }
    assert_int_equal(fetch_offset(party, "g", "t", 0), 1);
    assert_int_equal(client_leave(&a), MS_GROUP_OK);
    party_advance(party, 7 * DAY_MS - 1000);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 1);
    party_restart(party); /* the time is on record */
    party_advance(party, 1000 + 600000);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    party_free(party);
}

static void a_commit_can_bring_its_retention(void **state) {
    (void)state;
    struct party *party = party_new();
    struct committing c = {.offset = {.topic = TEXT("t"), .offset = 1, .commit_time_ms = -1}};
    c.commit = (struct ms_group_commit){.identity = nobody("g"),
                                        .retention_ms = DAY_MS,
                                        .offsets = &c.offset,
                                        .offset_count = 1,
                                        .done = commit_done,
                                        .context = &c};
    ms_groups_commit(party->groups, &c.commit);
    party_advance(party, DAY_MS - 1);
    party_restart(party);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 1);
    party_advance(party, 600000);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    party_free(party);
}

static void a_stable_group_loses_offsets_of_topics_it_no_longer_reads(void **state) {
    (void)state;
    struct ms_groups_options options = {.offsets_retention_ms = 1000,
                                        .offsets_retention_check_ms = 100};
    struct party *party = party_new_with(&options);
    struct client a;
    client_init(&a, party);
    a.protocols[0].metadata = TEXT("\0\1\0\0\0\1\0\1t\xff\xff\xff\xff");
    client_settle(&a);
    (void)commit_now(party, client_identity(&a), "t", 0, 1);
    (void)commit_now(party, client_identity(&a), "u", 0, 2);
    party_advance(party, 1100);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 1);
    assert_int_equal(fetch_offset(party, "g", "u", 0), -1);
    party_free(party);
}

static void an_empty_group_without_offsets_goes(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_settle(&a);
    assert_int_equal(client_leave(&a), MS_GROUP_OK);
    assert_int_equal(party_state(party, "g"), MS_GROUP_EMPTY);
    party_advance(party, 600000);
    assert_int_equal(party_state(party, "g"), MS_GROUP_DEAD);
    party_restart(party);
    assert_int_equal(party_state(party, "g"), MS_GROUP_DEAD);
    struct ms_groups_stats stats;
    ms_groups_stats(party->groups, &stats);
    assert_int_equal(stats.bytes, 0);
    party_free(party);
}

static void what_could_not_be_buried_is_still_there(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)commit_now(party, nobody("g"), "t", 0, 1);
    party->log.failure = MS_ENOSPC;
    party_advance(party, 8 * DAY_MS);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 1);
    party->log.failure = 0;
    party_advance(party, 600000);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    party_free(party);
}

static void many_offsets_expire_in_portions(void **state) {
    (void)state;
    struct party *party = party_new();
    for (int i = 0; i < 2500; i++)
        (void)commit_now(party, nobody("g"), "t", i, 1);
    size_t before = party->log.count;
    party_advance(party, 8 * DAY_MS);
    assert_int_equal(party->log.count, before + 2500);
    struct ms_groups_stats stats;
    ms_groups_stats(party->groups, &stats);
    assert_int_equal(stats.offsets, 0);
    party_free(party);
}

static void every_group_is_swept(void **state) {
    (void)state;
    struct party *party = party_new();
    char name[20];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "g%d", i);
        (void)commit_now(party, nobody(name), "t", 0, 1);
    }
    party_advance(party, 8 * DAY_MS);
    for (int i = 0; i < 100; i++)
        party_advance(party, 1);
    struct ms_groups_stats stats;
    ms_groups_stats(party->groups, &stats);
    assert_int_equal(stats.offsets, 0);
    assert_int_equal(stats.groups[MS_GROUP_EMPTY], 0);
    party_free(party);
}

struct deleting {
    struct ms_group_delete request;
    unsigned answered;
    enum ms_group_code code;
};

static void deleted(struct ms_group_delete *request, enum ms_group_code code) {
    struct deleting *d = request->context;
    d->answered++;
    d->code = code;
}

static void delete_start(struct deleting *d, struct party *party, const char *group) {
    *d = (struct deleting){.request = {.group = ms_bytes_cstr(group), .done = deleted}};
    d->request.context = d;
    ms_groups_delete(party->groups, &d->request);
}

static void an_empty_group_is_deleted_with_its_offsets(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    struct deleting d;
    client_init(&a, party);
    client_settle(&a);
    (void)commit_now(party, client_identity(&a), "t", 0, 1);
    delete_start(&d, party, "g");
    assert_int_equal(d.code, MS_GROUP_NON_EMPTY);
    assert_int_equal(client_leave(&a), MS_GROUP_OK);
    delete_start(&d, party, "g");
    assert_int_equal(d.answered, 1);
    assert_int_equal(d.code, MS_GROUP_OK);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    delete_start(&d, party, "g");
    assert_int_equal(d.code, MS_GROUP_NOT_FOUND);
    party_restart(party);
    assert_int_equal(party_state(party, "g"), MS_GROUP_DEAD);
    party_free(party);
}

static void a_deletion_is_answered_when_it_is_durable(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    struct deleting d;
    client_init(&a, party);
    (void)commit_now(party, nobody("g"), "t", 0, 1);
    party->log.hold = true;
    delete_start(&d, party, "g");
    assert_int_equal(d.answered, 0);
    client_join(&a); /* not into a group that is going */
    assert_joined(&a, MS_GROUP_NOT_AVAILABLE);
    assert_int_equal(commit_now(party, nobody("g"), "t", 0, 2), MS_GROUP_NOT_AVAILABLE);
    fake_log_finish(&party->log, 0, MS_EIO);
    assert_int_equal(d.code, MS_GROUP_NOT_AVAILABLE);
    assert_int_equal(party_state(party, "g"), MS_GROUP_EMPTY);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 1);
    delete_start(&d, party, "g");
    fake_log_finish(&party->log, 0, 0);
    assert_int_equal(d.code, MS_GROUP_OK);
    client_join(&a);
    assert_joined(&a, MS_GROUP_OK);
    assert_int_equal(a.generation, 1);
    party_free(party);
}

static void a_commit_before_a_deletion_does_not_survive_it(void **state) {
    (void)state;
    struct party *party = party_new();
    struct deleting d;
    struct committing c;
    (void)commit_now(party, nobody("g"), "t", 0, 1);
    party->log.hold = true;
    commit_start(&c, party, nobody("g"), "t", 0, 2);
    delete_start(&d, party, "g");
    fake_log_finish(&party->log, 1, 0);
    fake_log_finish(&party->log, 0, 0);
    assert_int_equal(c.code, MS_GROUP_OK);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    assert_int_equal(party_state(party, "g"), MS_GROUP_DEAD);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_of_a_group_without_members_expire_from_the_commit),
        cmocka_unit_test(offsets_expire_from_when_the_group_became_empty),
        cmocka_unit_test(a_commit_can_bring_its_retention),
        cmocka_unit_test(a_stable_group_loses_offsets_of_topics_it_no_longer_reads),
        cmocka_unit_test(an_empty_group_without_offsets_goes),
        cmocka_unit_test(what_could_not_be_buried_is_still_there),
        cmocka_unit_test(many_offsets_expire_in_portions),
        cmocka_unit_test(every_group_is_swept),
        cmocka_unit_test(an_empty_group_is_deleted_with_its_offsets),
        cmocka_unit_test(a_deletion_is_answered_when_it_is_durable),
        cmocka_unit_test(a_commit_before_a_deletion_does_not_survive_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
