/* Committing, fetching and deleting offsets. */
#include "group_fixture.h"

static void a_commit_comes_back_whole(void **state) {
    (void)state;
    struct party *party = party_new();
    assert_int_equal(commit_now(party, nobody("g"), "t", 2, 42), MS_GROUP_OK);
    struct ms_arena arena;
    ms_arena_init(&arena, 1 << 20);
    struct ms_group_offset offsets[] = {{.topic = TEXT("t"), .partition = 2},
                                        {.topic = TEXT("t"), .partition = 3}};
    assert_int_equal(ms_groups_fetch(party->groups, TEXT("g"), true, &arena, offsets, 2), 0);
    assert_int_equal(offsets[0].code, MS_GROUP_OK);
    assert_int_equal(offsets[0].offset, 42);
    assert_int_equal(offsets[0].leader_epoch, 3);
    assert_true(ms_bytes_equal_cstr(offsets[0].metadata, "note"));
    assert_int_equal(offsets[0].commit_time_ms, INT64_C(1700000000000));
    assert_int_equal(offsets[1].code, MS_GROUP_OK);
    assert_int_equal(offsets[1].offset, -1);
    assert_int_equal(offsets[1].leader_epoch, -1);
    assert_int_equal(fetch_offset(party, "unknown", "t", 2), -1);
    ms_arena_deinit(&arena);
    party_free(party);
}

static void all_offsets_come_sorted(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)commit_now(party, nobody("g"), "b", 1, 1);
    (void)commit_now(party, nobody("g"), "a", 2, 2);
    (void)commit_now(party, nobody("g"), "a", 0, 3);
    struct ms_arena arena;
    ms_arena_init(&arena, 1 << 20);
    struct ms_group_offset *offsets;
    size_t count;
    assert_int_equal(ms_groups_fetch_all(party->groups, TEXT("g"), false, &arena, &offsets, &count),
                     0);
    assert_int_equal(count, 3);
    assert_int_equal(offsets[0].offset, 3);
    assert_int_equal(offsets[1].offset, 2);
    assert_true(ms_bytes_equal_cstr(offsets[2].topic, "b"));
    assert_int_equal(
        ms_groups_fetch_all(party->groups, TEXT("none"), false, &arena, &offsets, &count), 0);
    assert_int_equal(count, 0);
    ms_arena_deinit(&arena);
    party_free(party);
}

static void only_members_of_the_generation_commit(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    a.generation = 1;
    assert_int_equal(commit_now(party, client_identity(&a), "t", 0, 1), MS_GROUP_NOT_FOUND);
    settle_two(&a, &b);
    assert_int_equal(commit_now(party, client_identity(&a), "t", 0, 1), MS_GROUP_OK);
    assert_int_equal(commit_now(party, nobody("g"), "t", 0, 9), MS_GROUP_UNKNOWN_MEMBER);
    a.generation = 1;
    assert_int_equal(commit_now(party, client_identity(&a), "t", 0, 9),
                     MS_GROUP_ILLEGAL_GENERATION);
    a.generation = 2;
    struct ms_group_identity stranger = client_identity(&a);
    stranger.member_id = TEXT("stranger");
    assert_int_equal(commit_now(party, stranger, "t", 0, 9), MS_GROUP_UNKNOWN_MEMBER);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 1);
    party_free(party);
}

static void commits_are_taken_while_preparing_but_not_while_completing(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    client_settle(&a);
    client_join(&b);
    assert_int_equal(commit_now(party, client_identity(&a), "t", 0, 1), MS_GROUP_OK);
    client_join(&a);
    assert_int_equal(commit_now(party, client_identity(&a), "t", 0, 2), MS_GROUP_REBALANCING);
    client_sync(&a);
    assert_int_equal(commit_now(party, client_identity(&a), "t", 0, 3), MS_GROUP_OK);
    party_free(party);
}

static void a_commit_keeps_the_session_alive(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_settle(&a);
    for (int i = 0; i < 10; i++) {
        party_advance(party, 9000);
        assert_int_equal(commit_now(party, client_identity(&a), "t", 0, i), MS_GROUP_OK);
    }
    party_free(party);
}

static void commits_are_durable_before_they_are_answered_or_seen(void **state) {
    (void)state;
    struct party *party = party_new();
    struct committing c;
    party->log.hold = true;
    commit_start(&c, party, nobody("g"), "t", 0, 5);
    assert_int_equal(c.answered, 0);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    fake_log_finish(&party->log, 0, 0);
    assert_int_equal(c.answered, 1);
    assert_int_equal(c.code, MS_GROUP_OK);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    party_free(party);
}

static void a_commit_that_could_not_be_stored_changes_nothing(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)commit_now(party, nobody("g"), "t", 0, 5);
    party->log.failure = MS_ENOSPC;
    assert_int_equal(commit_now(party, nobody("g"), "t", 0, 6), MS_GROUP_NOT_AVAILABLE);
    assert_int_equal(commit_now(party, nobody("new"), "t", 0, 6), MS_GROUP_NOT_AVAILABLE);
    party->log.failure = MS_ETOOBIG;
    assert_int_equal(commit_now(party, nobody("g"), "t", 0, 6), MS_GROUP_INVALID_COMMIT_SIZE);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    struct ms_groups_stats stats;
    ms_groups_stats(party->groups, &stats);
    assert_int_equal(stats.groups[MS_GROUP_EMPTY], 1);
    assert_int_equal(stats.failed_writes, 3);
    party_free(party);
}

static void an_older_commit_never_replaces_a_newer_one(void **state) {
    (void)state;
    struct party *party = party_new();
    struct committing first, second;
    party->log.hold = true;
    commit_start(&first, party, nobody("g"), "t", 0, 10);
    commit_start(&second, party, nobody("g"), "t", 0, 20);
    fake_log_finish(&party->log, 1, 0); /* completions in the wrong order */
    assert_int_equal(fetch_offset(party, "g", "t", 0), 20);
    fake_log_finish(&party->log, 0, 0);
    assert_int_equal(first.code, MS_GROUP_OK);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 20);
    party->log.hold = false;
    party_restart(party);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 20);
    assert_int_equal(commit_now(party, nobody("g"), "t", 0, 3), MS_GROUP_OK); /* a reset */
    assert_int_equal(fetch_offset(party, "g", "t", 0), 3);
    party_free(party);
}

static void too_much_metadata_refuses_one_partition_only(void **state) {
    (void)state;
    struct party *party = party_new();
    char large[4097];
    memset(large, 'x', sizeof large);
    struct committing c = {0};
    struct ms_group_offset offsets[] = {
        {.topic = TEXT("t"), .offset = 1, .metadata = {(uint8_t *)large, 4097}},
        {.topic = TEXT("t"), .partition = 1, .offset = 2, .metadata = {(uint8_t *)large, 4096}},
        {.topic = TEXT("t"), .partition = -1, .offset = 3}};
    c.commit = (struct ms_group_commit){.identity = nobody("g"),
                                        .offsets = offsets,
                                        .offset_count = 3,
                                        .done = commit_done,
                                        .context = &c};
    ms_groups_commit(party->groups, &c.commit);
    assert_int_equal(c.answered, 1);
    assert_int_equal(offsets[0].code, MS_GROUP_OFFSET_METADATA_TOO_LARGE);
    assert_int_equal(offsets[1].code, MS_GROUP_OK);
    assert_int_equal(offsets[2].code, MS_GROUP_INVALID_REQUEST);
    assert_int_equal(fetch_offset(party, "g", "t", 1), 2);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    party_free(party);
}

static void offsets_are_limited(void **state) {
    (void)state;
    struct ms_groups_options options = {.offsets_max = 1};
    struct party *party = party_new_with(&options);
    assert_int_equal(commit_now(party, nobody("g"), "t", 0, 1), MS_GROUP_OK);
    assert_int_equal(commit_now(party, nobody("g"), "t", 1, 1), MS_GROUP_POLICY_VIOLATION);
    assert_int_equal(commit_now(party, nobody("g"), "t", 0, 2), MS_GROUP_OK);
    party_free(party);
}

static void a_forgotten_commit_still_counts(void **state) {
    (void)state;
    struct party *party = party_new();
    party->log.hold = true;
    struct committing c;
    commit_start(&c, party, nobody("g"), "t", 0, 5);
    ms_groups_forget(party->groups, &c.commit.request);
    fake_log_finish(&party->log, 0, 0);
    assert_int_equal(c.answered, 0);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    party_free(party);
}

struct deleting {
    struct ms_group_delete_offsets request;
    unsigned answered;
    enum ms_group_code code;
};

static void deleted(struct ms_group_delete_offsets *request, enum ms_group_code code) {
    struct deleting *d = request->context;
    d->answered++;
    d->code = code;
}

static enum ms_group_code delete_offsets(struct party *party, const char *group,
                                         struct ms_group_offset *offsets, size_t count) {
    struct deleting d = {.request = {.group = ms_bytes_cstr(group),
                                     .offsets = offsets,
                                     .offset_count = count,
                                     .done = deleted}};
    d.request.context = &d;
    ms_groups_delete_offsets(party->groups, &d.request);
    assert_int_equal(d.answered, 1);
    return d.code;
}

static void offsets_are_deleted_for_good(void **state) {
    (void)state;
    struct party *party = party_new();
    (void)commit_now(party, nobody("g"), "t", 0, 5);
    (void)commit_now(party, nobody("g"), "t", 1, 6);
    struct ms_group_offset offsets[] = {{.topic = TEXT("t")}, {.topic = TEXT("none")}};
    assert_int_equal(delete_offsets(party, "g", offsets, 2), MS_GROUP_OK);
    assert_int_equal(offsets[0].code, MS_GROUP_OK);
    assert_int_equal(offsets[1].code, MS_GROUP_OK);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    party_restart(party);
    assert_int_equal(fetch_offset(party, "g", "t", 0), -1);
    assert_int_equal(fetch_offset(party, "g", "t", 1), 6);
    assert_int_equal(delete_offsets(party, "none", offsets, 2), MS_GROUP_NOT_FOUND);
    party_free(party);
}

static void offsets_of_topics_in_use_are_not_deleted(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    a.protocols[0].metadata = TEXT("\0\1\0\0\0\1\0\1t\xff\xff\xff\xff");
    client_settle(&a);
    (void)commit_now(party, client_identity(&a), "t", 0, 5);
    (void)commit_now(party, client_identity(&a), "u", 0, 6);
    struct ms_group_offset offsets[] = {{.topic = TEXT("t")}, {.topic = TEXT("u")}};
    assert_int_equal(delete_offsets(party, "g", offsets, 2), MS_GROUP_OK);
    assert_int_equal(offsets[0].code, MS_GROUP_SUBSCRIBED);
    assert_int_equal(offsets[1].code, MS_GROUP_OK);
    assert_int_equal(fetch_offset(party, "g", "t", 0), 5);
    assert_int_equal(fetch_offset(party, "g", "u", 0), -1);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_comes_back_whole),
        cmocka_unit_test(all_offsets_come_sorted),
        cmocka_unit_test(only_members_of_the_generation_commit),
        cmocka_unit_test(commits_are_taken_while_preparing_but_not_while_completing),
        cmocka_unit_test(a_commit_keeps_the_session_alive),
        cmocka_unit_test(commits_are_durable_before_they_are_answered_or_seen),
        cmocka_unit_test(a_commit_that_could_not_be_stored_changes_nothing),
        cmocka_unit_test(an_older_commit_never_replaces_a_newer_one),
        cmocka_unit_test(too_much_metadata_refuses_one_partition_only),
        cmocka_unit_test(offsets_are_limited),
        cmocka_unit_test(a_forgotten_commit_still_counts),
        cmocka_unit_test(offsets_are_deleted_for_good),
        cmocka_unit_test(offsets_of_topics_in_use_are_not_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
