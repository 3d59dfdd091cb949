/* What consumer groups have in common with classic ones, and what keeps the two apart: offsets,
 * retention, deletion, lists, one type at a time. */
#include "consumer_fixture.h"

static enum ms_group_code commit(struct feast *feast, struct ms_group_identity who) {
    struct committing c;
    commit_start(&c, feast->party, who, "t", 0, 7);
    assert_int_equal(c.answered, 1);
    return c.code;
}

/* ---- offsets ---- */

static void only_members_at_their_epoch_commit(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    assert_int_equal(commit(feast, nobody("g")), MS_GROUP_OK); /* nobody is in it yet */
    eater_joins(&a);
    struct ms_group_identity who = eater_identity(&a);
    assert_int_equal(commit(feast, who), MS_GROUP_OK);
    assert_int_equal(commit(feast, nobody("g")), MS_GROUP_UNKNOWN_MEMBER);
    who.generation = a.epoch + 1;
    assert_int_equal(commit(feast, who), MS_GROUP_STALE_EPOCH);
    topic_resize(&feast->topics, 0, 5);
    who.generation = a.epoch;
    eater_beats(&a);
    assert_int_equal(commit(feast, who), MS_GROUP_STALE_EPOCH);
    assert_int_equal(commit(feast, eater_identity(&a)), MS_GROUP_OK);
    who = eater_identity(&a);
    who.member_id = TEXT("b");
    assert_int_equal(commit(feast, who), MS_GROUP_UNKNOWN_MEMBER);
    eater_leave(&a, -1);
    assert_int_equal(commit(feast, nobody("g")), MS_GROUP_OK);
    feast_free(feast);
}

static void a_transaction_hears_of_generations(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    struct committing c;
    struct ms_group_identity who = eater_identity(&a);
    who.generation++;
    c = (struct committing){.offset = {.topic = TEXT("t"), .offset = 1, .commit_time_ms = -1}};
    c.commit = (struct ms_group_commit){.identity = who,
                                        .retention_ms = -1,
                                        .offsets = &c.offset,
                                        .offset_count = 1,
                                        .producer_id = 1,
                                        .done = commit_done,
                                        .context = &c};
    ms_groups_txn_commit(feast->party->groups, &c.commit);
    assert_int_equal(c.code, MS_GROUP_ILLEGAL_GENERATION);
    feast_free(feast);
}

static void who_fetches_may_say_who_it_is(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct ms_groups *groups = feast->party->groups;
    struct eater a;
    eater_init(&a, feast, "a", "t");
    struct ms_group_identity who = {TEXT("g"), TEXT("a"), {0}, 1}, nobody_ = nobody("g");
    assert_int_equal(ms_groups_check_fetch(groups, &who), MS_GROUP_OK); /* of no group */
    eater_joins(&a);
    assert_int_equal(ms_groups_check_fetch(groups, &who), MS_GROUP_OK);
    assert_int_equal(ms_groups_check_fetch(groups, &nobody_), MS_GROUP_OK);
    who.generation = 2;
    assert_int_equal(ms_groups_check_fetch(groups, &who), MS_GROUP_STALE_EPOCH);
    who.member_id = TEXT("b");
    assert_int_equal(ms_groups_check_fetch(groups, &who), MS_GROUP_UNKNOWN_MEMBER);
    feast_free(feast);
}

static void ignore(struct ms_group_delete_offsets *request, enum ms_group_code code) {
    (void)request, (void)code;
}

/* What is said to who wants to delete the offset. */
static enum ms_group_code deletion_of_offset(struct feast *feast) {
    struct ms_group_offset offset = {.topic = TEXT("t")};
    struct ms_group_delete_offsets request = {
        .group = TEXT("g"), .offsets = &offset, .offset_count = 1, .done = ignore};
    ms_groups_delete_offsets(feast->party->groups, &request);
    return offset.code;
}

static void offsets_in_use_stay(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "u");
    eater_joins(&a);
    eater_joins(&b);
    assert_int_equal(commit(feast, eater_identity(&b)), MS_GROUP_OK);
    assert_int_equal(deletion_of_offset(feast), MS_GROUP_SUBSCRIBED);
    for (int day = 0; day < 8; day++) {
        for (int i = 0; i < 24 * 120; i++) { /* every 30 s */
            party_advance(feast->party, 30000);
            eater_beats(&a);
            eater_beats(&b);
        }
    }
    assert_int_equal(fetch_offset(feast->party, "g", "t", 0), 7);
    eater_leave(&a, -1);
    eater_beats(&b);
    party_advance(feast->party, 600000);
    party_advance(feast->party, 600000);
    assert_int_equal(fetch_offset(feast->party, "g", "t", 0), -1);
    feast_free(feast);
}

/* ---- the end of a group ---- */

struct deletion {
    struct ms_group_delete request;
    unsigned answered;
    enum ms_group_code code;
};

static void deleted(struct ms_group_delete *request, enum ms_group_code code) {
    struct deletion *deletion = request->context;
    deletion->answered++;
    deletion->code = code;
}

static enum ms_group_code delete_group(struct feast *feast) {
    struct deletion d = {.request = {.group = TEXT("g"), .done = deleted, .context = &d}};
    ms_groups_delete(feast->party->groups, &d.request);
    assert_int_equal(d.answered, 1);
    return d.code;
}

static void an_empty_group_can_be_deleted(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    assert_int_equal(commit(feast, eater_identity(&a)), MS_GROUP_OK);
    assert_int_equal(delete_group(feast), MS_GROUP_NON_EMPTY);
    eater_leave(&a, -1);
    assert_int_equal(delete_group(feast), MS_GROUP_OK);
    assert_int_equal(delete_group(feast), MS_GROUP_NOT_FOUND);
    party_restart(feast->party);
    assert_int_equal(delete_group(feast), MS_GROUP_NOT_FOUND);
    eater_joins(&a);
    assert_int_equal(a.epoch, 1);
    feast_free(feast);
}

static void a_deletion_that_fails_leaves_the_group(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    feast->party->log.hold = true;
    eater_leave(&a, -1);
    assert_int_equal(delete_group(feast), MS_GROUP_NOT_AVAILABLE); /* its outcome is not known */
    feast->party->log.hold = false;
    fake_log_finish_all(&feast->party->log, MS_EIO);
    assert_answered(&a, MS_GROUP_NOT_AVAILABLE);
    feast->party->log.failure = MS_EIO;
    assert_int_equal(delete_group(feast), MS_GROUP_NOT_AVAILABLE);
    assert_int_equal(feast_state(feast), MS_GROUP_EMPTY);
    feast->party->log.failure = 0;
    assert_int_equal(delete_group(feast), MS_GROUP_OK);
    party_restart(feast->party);
    assert_int_equal(feast_state(feast), MS_GROUP_DEAD);
    feast_free(feast);
}

static void an_empty_group_without_offsets_goes_by_itself(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    eater_leave(&a, -1);
    party_advance(feast->party, 600000);
    party_advance(feast->party, 10);
    assert_int_equal(feast_state(feast), MS_GROUP_DEAD);
    feast_free(feast);
}

/* ---- one type at a time ---- */

static void a_group_with_members_is_of_one_type(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    struct client c;
    eater_init(&a, feast, "a", "t");
    client_init(&c, feast->party);
    client_settle(&c);
    eater_join(&a);
    assert_answered(&a, MS_GROUP_NOT_FOUND);
    assert_int_equal(client_leave(&c), MS_GROUP_OK);
    eater_joins(&a);
    assert_int_equal(client_heartbeat(&c), MS_GROUP_UNKNOWN_MEMBER);
    client_sync(&c);
    assert_synced(&c, MS_GROUP_UNKNOWN_MEMBER);
    c.id[0] = '\0';
    client_join(&c);
    assert_joined(&c, MS_GROUP_INCONSISTENT_PROTOCOL);
    eater_leave(&a, -1);
    client_settle(&c);
    eater_beat(&a);
    assert_answered(&a, MS_GROUP_NOT_FOUND);
    feast_free(feast);
}

static void a_group_that_changes_its_type_keeps_its_offsets(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    struct client c;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    client_init(&c, feast->party);
    for (int round = 0; round < 3; round++) {
        c.id[0] = '\0';
        client_settle(&c);
        assert_int_equal(commit(feast, client_identity(&c)), MS_GROUP_OK);
        party_restart(feast->party);
        assert_int_equal(client_heartbeat(&c), MS_GROUP_OK);
        assert_int_equal(client_leave(&c), MS_GROUP_OK);
        eater_joins(&a);
        assert_int_equal(fetch_offset(feast->party, "g", "t", 0), 7);
        party_restart(feast->party);
        eater_beats(&a);
        assert_int_equal(eater_count(&a), 4);
        assert_int_equal(fetch_offset(feast->party, "g", "t", 0), 7);
        eater_leave(&a, -1);
        if (round == 1)
            party_restart(feast->party);
    }
    feast_free(feast);
}

static void a_classic_member_that_is_pending_is_no_member(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    struct client c;
    eater_init(&a, feast, "a", "t");
    client_init(&c, feast->party);
    c.require_member_id = true;
    client_join(&c);
    assert_joined(&c, MS_GROUP_MEMBER_ID_REQUIRED);
    eater_joins(&a);
    client_join(&c);
    assert_joined(&c, MS_GROUP_INCONSISTENT_PROTOCOL);
    feast_free(feast);
}

/* ---- describing ---- */

static void a_group_is_described(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a, b;
    struct report report;
    topic_add(&feast->topics, "t", 4);
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", "t");
    a.slow = true;
    b.instance = "two";
    eater_joins(&a);
    eater_joins(&b);
    eater_beats(&a);
    report_of(&report, feast, "g");
    assert_int_equal(report.code, MS_GROUP_OK);
    assert_int_equal(report.info.base.state, MS_GROUP_RECONCILING);
    assert_int_equal(report.info.base.generation, 2);
    assert_int_equal(report.info.target_epoch, 2);
    const struct ms_group_consumer_info *m = report.info.members;
    assert_int_equal(m[0].epoch, 1);
    assert_int_equal(m[1].epoch, 2);
    assert_int_equal(m[0].assigned[0].count, 4); /* what it has to let go of too */
    assert_int_equal(m[0].target[0].count, 2);
    assert_int_equal(m[1].assigned_count, 0);
    assert_true(ms_bytes_equal_cstr(m[1].target[0].topic, "t"));
    assert_true(ms_bytes_equal_cstr(m[1].instance_id, "two"));
    assert_true(ms_bytes_equal_cstr(m[1].topics[0], "t"));
    report_end(&report);
    report_of(&report, feast, "none");
    assert_int_equal(report.code, MS_GROUP_NOT_FOUND);
    report_end(&report);
    struct client c;
    client_init(&c, feast->party);
    c.group = "classic";
    client_settle(&c);
    report_of(&report, feast, "classic");
    assert_int_equal(report.code, MS_GROUP_NOT_FOUND);
    report_end(&report);
    feast_free(feast);
}

static void lists_and_counts_know_the_type(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    struct client c;
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    client_init(&c, feast->party);
    c.group = "classic";
    client_settle(&c);
    struct ms_arena arena;
    struct ms_group_info *infos;
    size_t count;
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(ms_groups_list(feast->party->groups, 0, 1u << MS_GROUP_TYPE_CONSUMER, &arena,
                                    &infos, &count),
                     MS_GROUP_OK);
    assert_int_equal(count, 1);
    assert_true(ms_bytes_equal_cstr(infos[0].group, "g"));
    assert_true(ms_bytes_equal_cstr(infos[0].protocol_type, "consumer"));
    assert_int_equal(infos[0].member_count, 1);
    assert_string_equal(ms_group_type_name(infos[0].type), "consumer");
    ms_arena_deinit(&arena);
    struct ms_groups_stats stats;
    ms_groups_stats(feast->party->groups, &stats);
    assert_int_equal(stats.types[MS_GROUP_TYPE_CONSUMER], 1);
    assert_int_equal(stats.types[MS_GROUP_TYPE_CLASSIC], 1);
    assert_int_equal(stats.members, 2);
    assert_string_equal(ms_group_state_name(MS_GROUP_ASSIGNING), "Assigning");
    assert_string_equal(ms_group_state_name(MS_GROUP_RECONCILING), "Reconciling");
    feast_free(feast);
}

/* ---- memory ---- */

static void answer_once(const struct eater *eater) { assert_int_equal(eater->answered, 1); }

static void work(struct feast *feast) {
    struct eater a, b, again;
    struct client c;
    eater_init(&a, feast, "a", "t");
    eater_init(&b, feast, "b", NULL);
    eater_init(&again, feast, "a2", "t");
    a.instance = again.instance = "one";
    b.pattern = "t.*";
    eater_join(&a);
    answer_once(&a);
    eater_join(&b);
    answer_once(&b);
    eater_beat(&a);
    eater_beat(&b);
    eater_leave(&a, -2);
    answer_once(&a);
    eater_join(&again);
    answer_once(&again);
    a.epoch = again.epoch;
    eater_beat(&again);
    answer_once(&again);
    party_advance(feast->party, 46000);
    party_advance(feast->party, 46000);
    client_init(&c, feast->party);
    client_join(&c);
    (void)client_leave(&c);
    party_advance(feast->party, 600000);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct feast *feast = feast_new();
        struct eater a;
        topic_add(&feast->topics, "t", 4);
        topic_add(&feast->topics, "tt", 4);
        ms_alloc_fail_nth(n);
        work(feast);
        bool failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        party_restart(feast->party); /* nothing that is stored is wrong */
        eater_init(&a, feast, "fresh", "t");
        a.group = "another";
        eater_joins(&a);
        assert_int_equal(eater_count(&a), 4);
        feast_free(feast);
        if (!failed)
            break;
        assert_in_range(n, 1, 2000);
    }
}

static void memory_is_bounded(void **state) {
    (void)state;
    struct ms_groups_options options = {.bytes_max = 64 * 1024};
    struct feast *feast = feast_new_with(&options);
    struct eater a;
    unsigned refused = 0;
    topic_add(&feast->topics, "t", 16);
    for (int i = 0; i < 500; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        eater_init(&a, feast, id, "t");
        eater_join(&a);
        assert_int_equal(a.answered, 1);
        refused += a.code != MS_GROUP_OK;
    }
    assert_true(refused > 100);
    party_advance(feast->party, 46000);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    assert_int_equal(eater_count(&a), 16);
    feast_free(feast);
}

static void a_group_is_described_as_a_classic_one_too(void **state) {
    (void)state;
    struct feast *feast = feast_new();
    struct eater a;
    struct ms_arena arena;
    struct ms_group_info info;
    topic_add(&feast->topics, "t", 2);
    eater_init(&a, feast, "a", "t");
    eater_joins(&a);
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(ms_groups_describe(feast->party->groups, TEXT("g"), &arena, &info),
                     MS_GROUP_OK);
    assert_int_equal(info.type, MS_GROUP_TYPE_CONSUMER);
    assert_int_equal(info.member_count, 1);
    assert_true(ms_bytes_equal_cstr(info.members[0].member_id, "a"));
    assert_true(ms_bytes_equal(info.members[0].assignment,
                               TEXT("\0\0\0\0\0\1\0\1t\0\0\0\2\0\0\0\0\0\0\0\1\xff\xff\xff\xff")));
    ms_arena_deinit(&arena);
    feast_free(feast);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_members_at_their_epoch_commit),
        cmocka_unit_test(a_transaction_hears_of_generations),
        cmocka_unit_test(who_fetches_may_say_who_it_is),
        cmocka_unit_test(offsets_in_use_stay),
        cmocka_unit_test(an_empty_group_can_be_deleted),
        cmocka_unit_test(a_deletion_that_fails_leaves_the_group),
        cmocka_unit_test(an_empty_group_without_offsets_goes_by_itself),
        cmocka_unit_test(a_group_with_members_is_of_one_type),
        cmocka_unit_test(a_group_that_changes_its_type_keeps_its_offsets),
        cmocka_unit_test(a_classic_member_that_is_pending_is_no_member),
        cmocka_unit_test(a_group_is_described),
        cmocka_unit_test(lists_and_counts_know_the_type),
        cmocka_unit_test(a_group_is_described_as_a_classic_one_too),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
