/* Describing, listing and counting. */
#include "group_fixture.h"

static void a_stable_group_is_described_whole(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    b.instance = "two";
    settle_two(&a, &b);
    struct ms_arena arena;
    struct ms_group_info info;
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(ms_groups_describe(party->groups, TEXT("g"), &arena, &info), 0);
    assert_int_equal(info.state, MS_GROUP_STABLE);
    assert_int_equal(info.generation, 2);
    assert_true(ms_bytes_equal_cstr(info.protocol_type, "consumer"));
    assert_true(ms_bytes_equal_cstr(info.protocol_name, "range"));
    assert_int_equal(info.member_count, 2);
    assert_true(ms_bytes_equal_cstr(info.members[1].member_id, b.id));
    assert_true(ms_bytes_equal_cstr(info.members[1].instance_id, "two"));
    assert_true(ms_bytes_equal_cstr(info.members[1].client_id, "client"));
    assert_true(ms_bytes_equal_cstr(info.members[1].client_host, "/127.0.0.1"));
    assert_true(ms_bytes_equal_cstr(info.members[1].metadata, "meta"));
    assert_true(ms_bytes_equal_cstr(info.members[1].assignment, b.id));
    client_join(&a);
    assert_int_equal(ms_groups_describe(party->groups, TEXT("g"), &arena, &info), 0);
    assert_int_equal(info.state, MS_GROUP_PREPARING);
    assert_int_equal(info.members[1].assignment.len, 0);
    assert_int_equal(info.protocol_name.len, 0);
    ms_arena_deinit(&arena);
    party_free(party);
}

static void an_unknown_group_is_dead(void **state) {
    (void)state;
    struct party *party = party_new();
    struct ms_arena arena;
    struct ms_group_info info;
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(ms_groups_describe(party->groups, TEXT("g"), &arena, &info),
                     MS_GROUP_NOT_FOUND);
    assert_int_equal(info.state, MS_GROUP_DEAD);
    assert_string_equal(ms_group_state_name(info.state), "Dead");
    ms_arena_deinit(&arena);
    party_free(party);
}

static void groups_are_listed_by_state_and_type(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_settle(&a);
    (void)commit_now(party, nobody("b"), "t", 0, 1);
    (void)commit_now(party, nobody("a"), "t", 0, 1);
    struct ms_arena arena;
    struct ms_group_info *infos;
    size_t count;
    ms_arena_init(&arena, 1 << 20);
    assert_int_equal(ms_groups_list(party->groups, 0, 0, &arena, &infos, &count), 0);
    assert_int_equal(count, 3);
    assert_true(ms_bytes_equal_cstr(infos[0].group, "a"));
    assert_true(ms_bytes_equal_cstr(infos[2].group, "g"));
    assert_int_equal(infos[0].member_count, 0);
    assert_int_equal(infos[2].member_count, 1);
    assert_null(infos[2].members);
    uint32_t empty = 1u << MS_GROUP_EMPTY;
    assert_int_equal(ms_groups_list(party->groups, empty, 0, &arena, &infos, &count), 0);
    assert_int_equal(count, 2);
    uint32_t classic = 1u << MS_GROUP_TYPE_CLASSIC;
    assert_int_equal(ms_groups_list(party->groups, 0, classic, &arena, &infos, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(ms_groups_list(party->groups, 0, ~classic, &arena, &infos, &count), 0);
    assert_int_equal(count, 0);
    ms_arena_deinit(&arena);
    party_free(party);
}

static void a_full_arena_is_an_error(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a;
    client_init(&a, party);
    client_settle(&a);
    struct ms_arena arena;
    struct ms_group_info info;
    ms_arena_init(&arena, 1);
    assert_int_equal(ms_groups_describe(party->groups, TEXT("g"), &arena, &info),
                     MS_GROUP_NOT_AVAILABLE);
    ms_arena_deinit(&arena);
    party_free(party);
}

static void sum_up(void *context, struct ms_bytes group, const struct ms_group_offset *offset) {
    int64_t *sum = context;
    assert_true(group.len == 1);
    *sum += offset->offset;
}

static void groups_members_and_offsets_are_counted(void **state) {
    (void)state;
    struct party *party = party_new();
    struct client a, b;
    client_init(&a, party);
    client_init(&b, party);
    settle_two(&a, &b);
    (void)commit_now(party, client_identity(&a), "t", 0, 3);
    (void)commit_now(party, nobody("b"), "t", 0, 4);
    struct ms_groups_stats stats;
    ms_groups_stats(party->groups, &stats);
    assert_int_equal(stats.groups[MS_GROUP_STABLE], 1);
    assert_int_equal(stats.groups[MS_GROUP_EMPTY], 1);
    assert_int_equal(stats.members, 2);
    assert_int_equal(stats.pending_members, 0);
    assert_int_equal(stats.offsets, 2);
    assert_int_equal(stats.rebalances, 2);
    assert_int_equal(stats.writes_in_flight, 0);
    int64_t sum = 0;
    ms_groups_visit_offsets(party->groups, sum_up, &sum);
    assert_int_equal(sum, 7);
    party_free(party);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stable_group_is_described_whole),
        cmocka_unit_test(an_unknown_group_is_dead),
        cmocka_unit_test(groups_are_listed_by_state_and_type),
        cmocka_unit_test(a_full_arena_is_an_error),
        cmocka_unit_test(groups_members_and_offsets_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
